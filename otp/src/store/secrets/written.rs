//! A file of secrets as [`text`](super::text) writes it, to the byte. Nearly all are: an administrator may edit one, and then
//! the TOML parser reads it. Reading TOML in full was a quarter of what the module computes at a login.
//!
//! What is taken here the TOML parser takes for the same; everything else is left to it, errors too.

use data_encoding::HEXLOWER;

use super::super::table::generation;
use super::{VERSION, WRITTEN_BY, in_common};
use crate::enrollment::{
    Authenticator, Enrollment, Kind, MAX_AUTHENTICATORS, MAX_RECOVERY_CODES, RecoveryList,
};
use crate::hotp::{Algorithm, CodeLength};
use crate::keyed::Digest;
use crate::secret::Secret;
use crate::time::{Period, UnixTime};

/// A number of so many digits fits.
const LONGEST_NUMBER: usize = 18;

/// The uid and the enrolment, or nothing if it is not as it was written.
pub(super) fn read(content: &str) -> Option<(u32, Enrollment)> {
    let mut rest = Rest(content);
    rest.skip(WRITTEN_BY)?;
    if rest.number("format")? != VERSION {
        return None;
    }
    let uid = rest.number("uid")?.try_into().ok()?;
    let mut authenticators = Vec::new();
    while rest.skip("\n[[authenticator]]\n").is_some() {
        let one = authenticator(&mut rest)?;
        if authenticators
            .iter()
            .any(|known| in_common(known, &one).is_some())
        {
            return None;
        }
        authenticators.push(one);
    }
    let recovery = match rest.skip("\n[recovery]\n") {
        Some(()) => Some(recovery(&mut rest)?),
        None => None,
    };
    let count = authenticators.len();
    let is_whole = rest.0.is_empty() && (1..=MAX_AUTHENTICATORS).contains(&count);
    let enrollment = Enrollment {
        authenticators,
        recovery,
    };
    is_whole.then_some((uid, enrollment))
}

/// The keys in the order in which they are written.
fn authenticator(rest: &mut Rest<'_>) -> Option<Authenticator> {
    let name = rest.text("name")?.to_owned();
    let kind = rest.text("type")?;
    let secret = Secret::brought_base32(rest.text("secret")?).ok()?;
    let algorithm = Algorithm::from_name(rest.text("algorithm")?)?;
    let issuer = rest.text("issuer")?.to_owned();
    let label = rest.text("label")?.to_owned();
    let generation = generation(rest.text("generation")?)?;
    let length = CodeLength::new(rest.number("digits")?)?;
    let enrolled_at = UnixTime::from_secs(rest.number("enrolled_at")?);
    let kind = match kind {
        "totp" => Kind::Totp {
            period: Period::from_secs(rest.number("period")?)?,
        },
        "hotp" => Kind::Hotp,
        _ => return None,
    };
    Some(Authenticator {
        name,
        generation,
        kind,
        secret,
        algorithm,
        length,
        issuer,
        label,
        enrolled_at,
    })
}

fn recovery(rest: &mut Rest<'_>) -> Option<RecoveryList> {
    let generation = generation(rest.text("generation")?)?;
    let digits = match rest.number("digits") {
        Some(digits) => Some(CodeLength::new(digits)?),
        None => None,
    };
    rest.skip("digests = [\n")?;
    let mut digests = Vec::new();
    while rest.skip("  \"").is_some() {
        let bytes = HEXLOWER.decode(rest.until("\",\n")?.as_bytes()).ok()?;
        digests.push(Digest::from_bytes(bytes.try_into().ok()?));
    }
    rest.skip("]\n")?;
    (digests.len() <= MAX_RECOVERY_CODES).then_some(RecoveryList {
        generation,
        digits,
        digests,
    })
}

/// What is still to be read. What does not fit is left where it is.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (before, after) = self.0.split_once(end)?;
        self.0 = after;
        Some(before)
    }

    /// What stands behind this key, up to the end of the line.
    fn value(&self, key: &str) -> Option<(&'a str, &'a str)> {
        let value = self.0.strip_prefix(key)?.strip_prefix(" = ")?;
        value.split_once('\n')
    }

    /// A string with nothing in it that is escaped or that TOML forbids.
    fn text(&mut self, key: &str) -> Option<&'a str> {
        let (value, after) = self.value(key)?;
        let text = value.strip_prefix('"')?.strip_suffix('"')?;
        let is_special = |byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f);
        if text.bytes().any(is_special) {
            return None;
        }
        self.0 = after;
        Some(text)
    }

    /// Digits, as a number is written.
    fn number(&mut self, key: &str) -> Option<u64> {
        let (value, after) = self.value(key)?;
        let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
        let leads_with_zero = value.starts_with('0') && value != "0";
        if !is_plain || leads_with_zero || value.len() > LONGEST_NUMBER {
            return None;
        }
        self.0 = after;
        value.parse().ok()
    }
}
