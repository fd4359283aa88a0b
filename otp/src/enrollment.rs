//! What is known of a user and rarely changes: her authenticators and recovery codes.
//! Their file is written by enrolment and read by every login; FILEFORMAT.md has its format.

use rand::CryptoRng;

use crate::hotp::{Algorithm, CodeLength};
use crate::keyed::{Digest, DigestKey};
use crate::passcode::RecoveryCode;
use crate::secret::Secret;
use crate::time::{Period, UnixTime};
use crate::user::UserName;

/// The most authenticators a user can have; one more fits the state record while one is replaced.
pub const MAX_AUTHENTICATORS: usize = 3;
/// The most recovery codes a list can have: one bit each in the state record.
pub const MAX_RECOVERY_CODES: usize = 64;

/// The longest name of an authenticator, in bytes.
pub const MAX_NAME: usize = 32;

/// Whether an authenticator can be called so: 1 to [`MAX_NAME`] bytes that can all be seen, with no space at either end.
#[must_use]
pub fn is_name(text: &str) -> bool {
    // Behind a letter, because there an accent of its own is nothing strange.
    let is_seen = |letter: char| {
        !['x', letter]
            .iter()
            .collect::<String>()
            .escape_debug()
            .to_string()
            .starts_with("x\\u")
    };
    (1..=MAX_NAME).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(char::is_control)
        && text.chars().all(is_seen)
}

/// Ties a secret, or a list of recovery codes, to what the state record says of it: 64 random bits,
/// drawn anew with each secret and each list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation(u64);

impl Generation {
    /// Draws one.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        Self(rng.next_u64())
    }

    /// From a record.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// For a record.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// For the keyed hash.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

/// Everything enrolled for one user.
#[derive(Clone, Default)]
pub struct Enrollment {
    /// Her authenticators, at most [`MAX_AUTHENTICATORS`].
    pub authenticators: Vec<Authenticator>,
    /// Her recovery codes, if she has any.
    pub recovery: Option<RecoveryList>,
}

/// One authenticator: an app or a device that shares a secret with us. No `Debug`.
#[derive(Clone)]
pub struct Authenticator {
    /// What its owner calls it.
    pub name: String,
    /// Which entry of the state record is its own.
    pub generation: Generation,
    /// What moves its codes on.
    pub kind: Kind,
    /// The shared secret.
    pub secret: Secret,
    /// The hash its codes come from.
    pub algorithm: Algorithm,
    /// How many digits it shows.
    pub length: CodeLength,
    /// Who the code is for, as the app shows it.
    pub issuer: String,
    /// Whose account it is, as the app shows it.
    pub label: String,
    /// When it was enrolled.
    pub enrolled_at: UnixTime,
}

/// What moves an authenticator's codes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Time: RFC 6238.
    Totp {
        /// How long a time step lasts.
        period: Period,
    },
    /// A counter, which the state record keeps: RFC 4226.
    Hotp,
}

impl Kind {
    /// The lower-case name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Hotp => "hotp",
        }
    }

    /// How long a time step lasts, where time moves the codes on.
    #[must_use]
    pub const fn period(self) -> Option<Period> {
        match self {
            Self::Totp { period } => Some(period),
            Self::Hotp => None,
        }
    }
}

/// A list of recovery codes, each good once. Only their digests are kept.
#[derive(Clone)]
pub struct RecoveryList {
    /// Which entry of the state record is its own.
    pub generation: Generation,
    /// One keyed digest a code, at most [`MAX_RECOVERY_CODES`].
    pub digests: Vec<Digest>,
    /// They are of so many digits each, as other software made them. Such short ones are bounded like guesses at an
    /// authenticator; `None`: they are ours, of 80 bits.
    pub digits: Option<CodeLength>,
}

impl RecoveryList {
    /// Draws `count` codes, at most [`MAX_RECOVERY_CODES`]: the list to keep, and the codes to show once.
    pub fn draw(
        rng: &mut impl CryptoRng,
        key: &DigestKey,
        user: &UserName,
        count: u8,
    ) -> (Self, Vec<RecoveryCode>) {
        let generation = Generation::draw(rng);
        let count = usize::from(count).min(MAX_RECOVERY_CODES);
        let codes: Vec<RecoveryCode> = (0..count).map(|_| RecoveryCode::draw(rng)).collect();
        let digests = codes
            .iter()
            .map(|code| key.recovery(user, generation, code));
        let list = Self {
            generation,
            digests: digests.collect(),
            digits: None,
        };
        (list, codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_can_be_seen() {
        for name in [
            "app",
            "YubiKey 5 (blue)",
            "Müllers",
            "cafe\u{301}",
            "a\\\"u'",
            &"x".repeat(32),
        ] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(33);
        for name in [
            "",
            " ",
            " a",
            "a ",
            "a\nb",
            "a\u{7f}",
            "a\u{202e}b",
            "\u{200b}",
            "a\u{9b}",
            &long,
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
