//! `otpauth://` URIs, as apps scan them (the Key URI format), one a line.

use otp::enrollment::Kind;
use otp::hotp::{Algorithm, CodeLength};
use otp::secret::Secret;
use otp::time::Period;
use zeroize::Zeroizing;

use super::person::{Brought, Person, Why};
use super::{migration, text};

/// What a line says: one user, or those of an export of Google's app; nobody for an empty line or a comment.
pub(crate) fn line(line: &[u8]) -> Result<Vec<Person>, Why> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(Vec::new());
    }
    if let Some(rest) = migration::after_scheme(line) {
        return migration::data(rest);
    }
    uri(line).map(|person| vec![person])
}

/// What one URI says.
pub(crate) fn uri(uri: &[u8]) -> Result<Person, Why> {
    let rest = strip(uri, b"otpauth://").ok_or("it is no otpauth:// URI")?;
    let (path, query) = split(rest, b'?').ok_or("it has no parameters")?;
    let (kind, label) = split(path, b'/').ok_or("it has no label")?;
    let label = decoded(label)?;
    let is_hotp = match kind.to_ascii_lowercase().as_slice() {
        b"totp" => false,
        b"hotp" => true,
        _ => return Err("it is neither of type totp nor hotp"),
    };
    let asked = Parameters::read(query)?;
    let mut brought = Brought::totp(asked.secret.ok_or("it has no secret")?);
    brought.algorithm = asked.algorithm;
    brought.length = asked.length;
    if is_hotp {
        brought.count_from(asked.counter.ok_or("it has no counter")?);
    } else {
        let period = asked.period;
        brought.kind = Kind::Totp { period };
    }
    let (issuer, account) = match label.split_once(':') {
        Some((issuer, account)) => (Some(issuer.trim()), account.trim()),
        None => (None, label.trim()),
    };
    brought.issuer = asked.issuer.or_else(|| issuer.map(str::to_owned));
    brought.label = Some(account.to_owned());
    let user = Some(account.to_owned()).filter(|account| !account.is_empty());
    Ok(Person::with(user, brought))
}

/// What stands behind the question mark.
struct Parameters {
    secret: Option<Secret>,
    issuer: Option<String>,
    algorithm: Algorithm,
    length: CodeLength,
    period: Period,
    counter: Option<u64>,
}

impl Parameters {
    fn read(query: &[u8]) -> Result<Self, Why> {
        let mut read = Self {
            secret: None,
            issuer: None,
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            period: Period::THIRTY,
            counter: None,
        };
        for part in query.split(|byte| *byte == b'&') {
            let (key, value) = split(part, b'=').unwrap_or((part, b""));
            read.parameter(&key.to_ascii_lowercase(), value)?;
        }
        Ok(read)
    }

    fn parameter(&mut self, key: &[u8], value: &[u8]) -> Result<(), Why> {
        let number = || text::number(value);
        match key {
            b"secret" => {
                let text = decoded(value)?;
                self.secret = Some(text::base32(text.as_bytes())?);
            }
            b"issuer" => self.issuer = Some(decoded(value)?.as_str().to_owned()),
            b"algorithm" => {
                self.algorithm =
                    algorithm(value).ok_or("its algorithm is not SHA1, SHA256 or SHA512")?;
            }
            b"digits" => {
                let length = number().and_then(CodeLength::new);
                self.length = length.ok_or("its digits are not 6 to 8")?;
            }
            b"period" => {
                let period = number().and_then(Period::from_secs);
                self.period = period.ok_or("its period is not 5 to 300 seconds")?;
            }
            b"counter" => self.counter = Some(number().ok_or("its counter is not a number")?),
            // What apps add for themselves, such as an image.
            _ => {}
        }
        Ok(())
    }
}

fn algorithm(value: &[u8]) -> Option<Algorithm> {
    let name = std::str::from_utf8(value).ok()?.to_ascii_lowercase();
    let name = name.strip_prefix("hmac").unwrap_or(&name).replace('-', "");
    Algorithm::from_name(&name)
}

/// Text with its percent signs resolved (RFC 3986 section 2.1).
pub(crate) fn decoded(text: &[u8]) -> Result<Zeroizing<String>, Why> {
    const BAD: Why = "it has a percent sign without two hexadecimal digits behind it";
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(BAD);
        };
        bytes.push(u8::try_from((high << 4) | low).map_err(|_| BAD)?);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8")?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What stands behind a prefix, in any case.
pub(crate) fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What stands before and behind the first such byte.
pub(crate) fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == at)?;
    let (before, behind) = text.split_at_checked(at)?;
    Some((before, behind.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use otp::state::AuthenticatorState;
    use otp::uri::otpauth;
    use proptest::prelude::*;

    const URI: &str = "otpauth://totp/Example:alice@google.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example&algorithm=SHA256&digits=8&period=60";

    fn read(uri: &str) -> Result<Person, Why> {
        super::uri(uri.as_bytes())
    }

    #[test]
    fn every_parameter_is_taken() {
        let person = read(URI).unwrap();
        let brought = &person.authenticators[0];
        assert_eq!(person.user.as_deref(), Some("alice@google.com"));
        assert_eq!(brought.issuer.as_deref(), Some("Example"));
        assert_eq!(brought.secret.expose(), b"12345678901234567890");
        assert_eq!(brought.algorithm, Algorithm::Sha256);
        assert_eq!(brought.length.digits(), 8);
        assert_eq!(brought.kind.period(), Period::from_secs(60));
        let token =
            read("OTPAUTH://HOTP/bob?COUNTER=7&secret=gezd%20gnbvgy3tqojqgezdgnbvgy3tqojq&image=x")
                .unwrap();
        assert_eq!(token.user.as_deref(), Some("bob"));
        assert_eq!(token.authenticators[0].used.next_counter(), Some(7));
    }

    #[test]
    fn what_we_export_reads_back() {
        let person = read("otpauth://hotp/M%C3%BCller%20%26%20Co:al%25ice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=42").unwrap();
        let brought = &person.authenticators[0];
        let known = otp::enrollment::Authenticator {
            name: "app".to_owned(),
            generation: otp::enrollment::Generation::from_bits(1),
            kind: brought.kind,
            secret: brought.secret.clone(),
            algorithm: brought.algorithm,
            length: brought.length,
            issuer: brought.issuer.clone().unwrap(),
            label: brought.label.clone().unwrap(),
            enrolled_at: otp::time::UnixTime::EPOCH,
        };
        let mut state = AuthenticatorState::fresh(known.generation);
        state.used = brought.used.clone();
        let again = read(&otpauth(&known, &state)).unwrap();
        let again = &again.authenticators[0];
        assert_eq!(again.issuer.as_deref(), Some("Müller & Co"));
        assert_eq!(again.label.as_deref(), Some("al%ice"));
        assert_eq!(again.used.next_counter(), Some(42));
    }

    #[test]
    fn what_is_wrong_is_named_and_none_of_its_text() {
        for (uri, word) in [
            ("https://example.org", "otpauth"),
            ("otpauth://totp/a", "parameters"),
            ("otpauth://totp?secret=A", "label"),
            ("otpauth://motp/a?secret=GEZDGNBVGY3TQOJQ", "type"),
            ("otpauth://totp/a?issuer=x", "no secret"),
            ("otpauth://totp/a?secret=GEZDGNB1", "base32"),
            ("otpauth://totp/a?secret=GEZDGNBV", "80 bits"),
            ("otpauth://hotp/a?secret=GEZDGNBVGY3TQOJQ", "no counter"),
            (
                "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ&digits=9",
                "6 to 8",
            ),
            (
                "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ&period=0",
                "period",
            ),
            (
                "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ&algorithm=MD5",
                "algorithm",
            ),
            ("otpauth://totp/a%4?secret=GEZDGNBVGY3TQOJQ", "percent"),
            ("otpauth://totp/%FF?secret=GEZDGNBVGY3TQOJQ", "UTF-8"),
        ] {
            let why = read(uri).err().unwrap();
            assert!(why.contains(word), "{uri}: {why}");
        }
        assert!(line(b"  ").unwrap().is_empty() && line(b"# x").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0..URI.len(), bytes: Vec<u8>) {
            let mut text = URI.as_bytes().to_vec();
            let _ = text.splice(at.., bytes);
            let _ = line(&text);
        }
    }
}
