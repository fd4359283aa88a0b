//! CSV (RFC 4180) with the header `user,uri`: a user and an `otpauth://` URI a line.

use super::otpauth;
use super::person::{Person, Why};

/// The header.
pub(crate) const HEADER: &str = "user,uri";

/// Whether the first line is the header, also behind a byte order mark.
pub(crate) fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let fields = fields(line.trim_ascii()).ok();
    fields.is_some_and(|[user, uri]| {
        user.eq_ignore_ascii_case(b"user") && uri.eq_ignore_ascii_case(b"uri")
    })
}

/// What a line below the header says; nobody for an empty one.
pub(crate) fn line(line: &[u8]) -> Result<Option<Person>, Why> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let [user, uri] = fields(line)?;
    let user = String::from_utf8(user).map_err(|_| "its user is not UTF-8")?;
    if user.is_empty() {
        return Err("it names no user");
    }
    let mut person = otpauth::uri(&uri)?;
    person.user = Some(user);
    Ok(Some(person))
}

/// A field as it has to be written.
pub(crate) fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The two fields of a line. A second one without quotes goes to the end: commas are fine in URIs.
fn fields(line: &[u8]) -> Result<[Vec<u8>; 2], Why> {
    const BAD: Why = "it is not two fields, user and URI, with a comma between";
    let (user, rest) = match line {
        [b'"', rest @ ..] => {
            let (user, rest) = quoted(rest).ok_or("its quotes are not closed")?;
            (user, rest.strip_prefix(b",").ok_or(BAD)?)
        }
        _ => {
            let (user, rest) = otpauth::split(line, b',').ok_or(BAD)?;
            (user.trim_ascii().to_vec(), rest)
        }
    };
    let uri = match rest {
        [b'"', rest @ ..] => match quoted(rest).ok_or("its quotes are not closed")? {
            (uri, []) => uri,
            _ => return Err(BAD),
        },
        _ => rest.to_vec(),
    };
    Ok([user, uri])
}

/// What stands up to the closing quote, and what behind it. Two quotes are one.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [b'"', b'"', more @ ..] => {
                out.push(b'"');
                rest = more;
            }
            [b'"', more @ ..] => return Some((out, more)),
            [byte, more @ ..] => {
                out.push(*byte);
                rest = more;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URI: &str = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=a,b";

    fn user(text: &str) -> Result<String, Why> {
        line(text.as_bytes()).map(|person| person.unwrap().user.unwrap())
    }

    #[test]
    fn the_user_is_the_first_field_whatever_the_label_says() {
        assert_eq!(user(&format!("alice,{URI}\r")), Ok("alice".to_owned()));
        assert_eq!(
            user(&format!("\"a\"\"b,c\",\"{URI}\"")),
            Ok("a\"b,c".to_owned())
        );
        assert!(line(b" ").unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for text in [
            "alice",
            "\"alice,otpauth",
            "\"a\"b,c",
            &format!(",{URI}"),
            &format!("a,\"{URI}\",c"),
        ] {
            assert!(user(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_header_is_known_in_every_spelling() {
        for header in ["user,uri", "User,URI\r", "\u{feff}\"user\",\"uri\""] {
            assert!(is_header(header.as_bytes()), "{header}");
        }
        assert!(!is_header(b"name,uri") && !is_header(b"user") && !is_header(b""));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_no_bytes_panic(name in "[^\\n\\r]{1,20}", bytes: Vec<u8>) {
            let written = format!("{},{URI}", field(&name));
            if !written.starts_with(char::is_whitespace) && !name.is_empty() {
                prop_assert_eq!(user(&written), Ok(name));
            }
            let _ = line(&bytes);
            let _ = is_header(&bytes);
        }
    }
}
