//! HOTP, RFC 4226: a code from a secret and a counter.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::passcode::Digits;
use crate::secret::Secret;

/// The hash beneath the HMAC: SHA-1 in RFC 4226, the other two in RFC 6238 section 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1, which every authenticator app has.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// The lower-case name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of that lower-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// How many digits an authenticator shows: 6, 7 or 8 (RFC 4226 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLength(u8);

impl CodeLength {
    /// Six digits, what authenticator apps show unless told otherwise.
    pub const SIX: Self = Self(6);

    /// 6, 7 or 8; anything else is no length.
    #[must_use]
    pub fn new(digits: u64) -> Option<Self> {
        match u8::try_from(digits) {
            Ok(digits @ 6..=8) => Some(Self(digits)),
            _ => None,
        }
    }

    /// The number of digits.
    #[must_use]
    pub fn digits(self) -> usize {
        usize::from(self.0)
    }
}

/// A code an authenticator shows: ASCII digits with leading zeros. Wiped on drop, never printed by accident.
pub struct Code(Zeroizing<String>);

impl Code {
    /// The digits, for the places that exist to show them (`explain`, the demonstrations).
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is what was typed. The time taken depends on the lengths alone.
    #[must_use]
    pub fn matches(&self, typed: &Digits) -> bool {
        self.0.as_bytes().ct_eq(typed.as_bytes()).into()
    }
}

/// How many counters ahead of `next` the typed code is right, the nearest first, of `count` counters looked at.
/// Diagnosis only: what it finds is never an acceptance.
#[must_use]
pub fn ahead_of(
    secret: &Secret,
    algorithm: Algorithm,
    typed: &Digits,
    next: u64,
    count: u32,
) -> Option<i64> {
    let length = CodeLength::new(u64::try_from(typed.as_bytes().len()).ok()?)?;
    (0..i64::from(count)).find(|ahead| {
        next.checked_add_signed(*ahead)
            .is_some_and(|counter| code(secret, algorithm, length, counter).matches(typed))
    })
}

/// HOTP(K, C) of RFC 4226 section 5.3, over the named hash.
#[must_use]
pub fn code(secret: &Secret, algorithm: Algorithm, length: CodeLength, counter: u64) -> Code {
    let message = counter.to_be_bytes();
    let truncated = match algorithm {
        Algorithm::Sha1 => truncate(&mac::<Hmac<Sha1>>(secret, &message)),
        Algorithm::Sha256 => truncate(&mac::<Hmac<Sha256>>(secret, &message)),
        Algorithm::Sha512 => truncate(&mac::<Hmac<Sha512>>(secret, &message)),
    };
    let modulus = 10_u32.saturating_pow(u32::from(length.0));
    let value = truncated.checked_rem(modulus).unwrap_or(0);
    Code(Zeroizing::new(format!(
        "{value:0width$}",
        width = length.digits()
    )))
}

fn mac<M: Mac + KeyInit>(secret: &Secret, message: &[u8]) -> Zeroizing<Vec<u8>> {
    // An HMAC takes a key of any length, so the fallback is never reached; were it, no code would match it.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret.expose()) else {
        return Zeroizing::new(Vec::new());
    };
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// Dynamic truncation, RFC 4226 section 5.3: four bytes at the offset that the last nibble names, top bit cleared.
fn truncate(mac: &[u8]) -> u32 {
    let offset = mac.last().map_or(0, |last| usize::from(last & 0x0f));
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(mac.iter().skip(offset)) {
        *to = *from;
    }
    u32::from_be_bytes(word) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4226_appendix_d() {
        let secret = Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, expected) in (0..).zip(expected) {
            let code = code(&secret, Algorithm::Sha1, CodeLength::SIX, counter);
            assert_eq!(code.expose(), expected, "counter {counter}");
        }
    }

    #[test]
    fn a_code_has_six_to_eight_digits() {
        assert!(CodeLength::new(5).is_none());
        assert!(CodeLength::new(9).is_none());
        assert!(CodeLength::new(262).is_none());
        assert_eq!(CodeLength::new(8).map(CodeLength::digits), Some(8));
    }
}
