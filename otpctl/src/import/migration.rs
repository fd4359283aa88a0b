//! `otpauth-migration://offline?data=…`, what Google's app shows to move its entries to another phone: protocol buffers in
//! base64. Read by hand: four kinds of fields, nothing nested deeper than one.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use otp::hotp::{Algorithm, CodeLength};
use zeroize::Zeroizing;

use super::person::{Brought, Person, Why};
use super::{otpauth, text};

/// One code of the app holds ten entries.
const MAX_ENTRIES: usize = 100;
const BAD: Why = "its data is not what the app exports";

/// What stands behind the scheme, if it is this one.
pub(crate) fn after_scheme(line: &[u8]) -> Option<&[u8]> {
    otpauth::strip(line, b"otpauth-migration://offline?data=")
}

/// The entries in the data of one URI.
pub(crate) fn data(data: &[u8]) -> Result<Vec<Person>, Why> {
    let data = data.split(|byte| *byte == b'&').next().unwrap_or_default();
    let mut text = Zeroizing::new(otpauth::decoded(data)?.as_bytes().to_vec());
    text.retain(|byte| *byte != b'=');
    let is_url = text.iter().any(|byte| b"-_".contains(byte));
    let encoding = if is_url {
        BASE64URL_NOPAD
    } else {
        BASE64_NOPAD
    };
    let bytes = Zeroizing::new(encoding.decode(&text).map_err(|_| BAD)?);
    let mut people = Vec::new();
    for field in Fields(&bytes) {
        if let (1, Value::Bytes(entry)) = field? {
            if people.len() >= MAX_ENTRIES {
                return Err(BAD);
            }
            people.push(self::entry(entry)?);
        }
    }
    if people.is_empty() {
        return Err("its data holds no entry");
    }
    Ok(people)
}

fn entry(bytes: &[u8]) -> Result<Person, Why> {
    let (mut secret, mut name, mut issuer) = (None, String::new(), None);
    let (mut algorithm, mut digits, mut kind, mut counter) = (0, 0, 0, 0);
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => secret = Some(Zeroizing::new(bytes.to_vec())),
            (2, Value::Bytes(bytes)) => name = utf8(bytes)?,
            (3, Value::Bytes(bytes)) => issuer = Some(utf8(bytes)?),
            (4, Value::Number(n)) => algorithm = n,
            (5, Value::Number(n)) => digits = n,
            (6, Value::Number(n)) => kind = n,
            (7, Value::Number(n)) => counter = n,
            _ => {}
        }
    }
    let mut brought = Brought::totp(text::secret(secret.ok_or("an entry has no secret")?)?);
    brought.algorithm = match algorithm {
        0 | 1 => Algorithm::Sha1,
        2 => Algorithm::Sha256,
        3 => Algorithm::Sha512,
        _ => return Err("the algorithm of an entry is not SHA1, SHA256 or SHA512"),
    };
    brought.length = match digits {
        0 | 1 => CodeLength::SIX,
        2 => CodeLength::new(8).unwrap_or(CodeLength::SIX),
        _ => return Err("an entry has neither six digits nor eight"),
    };
    match kind {
        1 => brought.count_from(counter),
        0 | 2 => {}
        _ => return Err("an entry is neither time-based nor counts"),
    }
    let account = match name.split_once(':') {
        Some((_, account)) => account.trim().to_owned(),
        None => name.trim().to_owned(),
    };
    brought.issuer = issuer.filter(|issuer| !issuer.is_empty());
    brought.label = Some(account.clone());
    Ok(Person::with(
        Some(account).filter(|account| !account.is_empty()),
        brought,
    ))
}

fn utf8(bytes: &[u8]) -> Result<String, Why> {
    let text = std::str::from_utf8(bytes).map_err(|_| BAD)?;
    Ok(text.to_owned())
}

/// The fields of a message.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no field of ours has.
    Fixed,
}

impl<'a> Fields<'a> {
    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Why>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            // What follows cannot be told apart any more.
            self.0 = &[];
        }
        Some(field.ok_or(BAD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend(bytes);
        out
    }

    /// Two entries as the app writes them: alice by time, bob's token at counter 300.
    fn export() -> Vec<u8> {
        let mut alice = field(1, b"12345678901234567890");
        alice.extend(field(2, b"Example:alice"));
        alice.extend(field(3, b"Example"));
        alice.extend([4 << 3, 1, 5 << 3, 1, 6 << 3, 2]);
        let mut bob = field(1, b"1234567890");
        bob.extend(field(2, b"bob"));
        bob.extend([4 << 3, 3, 5 << 3, 2, 6 << 3, 1, 7 << 3, 0xac, 2]);
        let mut all = field(1, &alice);
        all.extend(field(1, &bob));
        // version, batch_size, batch_index, batch_id (negative)
        all.extend([2 << 3, 1, 3 << 3, 1, 4 << 3, 0, 5 << 3]);
        all.extend([0xff; 9]);
        all.push(1);
        all
    }

    fn uri(bytes: &[u8]) -> Vec<u8> {
        let text = data_encoding::BASE64.encode(bytes);
        let text = text
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        format!("otpauth-migration://offline?data={text}").into_bytes()
    }

    #[test]
    fn every_entry_of_an_export_is_taken() {
        let people = otpauth::line(&uri(&export())).unwrap();
        let [alice, bob] = people.as_slice() else {
            panic!("{}", people.len());
        };
        assert_eq!(alice.user.as_deref(), Some("alice"));
        assert_eq!(alice.authenticators[0].issuer.as_deref(), Some("Example"));
        assert_eq!(
            alice.authenticators[0].secret.expose(),
            b"12345678901234567890"
        );
        let token = &bob.authenticators[0];
        assert_eq!(
            (token.length.digits(), token.algorithm),
            (8, Algorithm::Sha512)
        );
        assert_eq!(token.used.next_counter(), Some(300));
        assert!(token.secret.is_short());
    }

    #[test]
    fn data_cut_short_or_of_something_else_is_refused() {
        let whole = export();
        for length in 1..whole.len() {
            let cut = otpauth::line(&uri(&whole[..length]));
            // Cut behind an entry it is an export of fewer.
            assert!(
                cut.is_err() || cut.is_ok_and(|people| people.len() < 3),
                "{length}"
            );
        }
        assert!(otpauth::line(b"otpauth-migration://offline?data=").is_err());
        assert!(otpauth::line(b"otpauth-migration://offline?data=!!").is_err());
        let md5 = field(1, &[field(1, &[7; 20]), vec![4 << 3, 4]].concat());
        assert!(
            otpauth::line(&uri(&md5))
                .err()
                .unwrap()
                .contains("algorithm")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0..90_usize, bytes: Vec<u8>) {
            let mut all = export();
            let _ = all.splice(at.., bytes.clone());
            let _ = otpauth::line(&uri(&all));
            let _ = data(&bytes);
        }
    }
}
