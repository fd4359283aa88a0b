//! What a file says of one user.

use otp::drift::Drift;
use otp::enrollment::{Generation, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::keyed::Digest;
use otp::passcode::Digits;
use otp::secret::Secret;
use otp::state::UsedSteps;
use otp::time::{Period, UnixTime};

/// Why a line cannot be taken. Fixed words, so that nothing of the line is in them.
pub(crate) type Why = &'static str;

/// A user as a file has her: an authenticator or several, and what comes with them.
pub(crate) struct Person {
    /// Her name as the file has it; `None` where the file says nothing of whose it is.
    pub(crate) user: Option<String>,
    /// Her authenticators.
    pub(crate) authenticators: Vec<Brought>,
    /// Her recovery codes.
    pub(crate) recovery: Option<Recovery>,
    /// Every code of hers is refused.
    pub(crate) disabled: bool,
    /// What of her settings has no counterpart here.
    pub(crate) notes: Vec<Why>,
}

/// An authenticator that is brought along.
pub(crate) struct Brought {
    /// What its owner calls it, if that is known.
    pub(crate) name: Option<String>,
    /// What moves its codes on.
    pub(crate) kind: Kind,
    /// The secret, which may be short.
    pub(crate) secret: Secret,
    /// The hash its codes come from.
    pub(crate) algorithm: Algorithm,
    /// How many digits it shows.
    pub(crate) length: CodeLength,
    /// Who the code is for, if that is known.
    pub(crate) issuer: Option<String>,
    /// Whose account it is, if that is known.
    pub(crate) label: Option<String>,
    /// What is used of it.
    pub(crate) used: UsedSteps,
    /// How far its clock is off.
    pub(crate) drift: Drift,
    /// When its last code was accepted.
    pub(crate) last_used_at: Option<UnixTime>,
    /// When it was enrolled, if that is known.
    pub(crate) enrolled_at: Option<UnixTime>,
}

/// Recovery codes that come along.
pub(crate) enum Recovery {
    /// Codes of eight digits, as other software keeps them: plain.
    Scratch(Vec<Digits>),
    /// Keyed digests of our own, from an archive: worth something under the same key alone.
    Digests {
        /// The list they belong to.
        generation: Generation,
        /// They are of so many digits; `None`: they are ours.
        digits: Option<CodeLength>,
        /// Those that are not used yet.
        unused: Vec<Digest>,
    },
}

impl Brought {
    /// A time-based authenticator as most are: SHA-1, six digits, 30 seconds, nothing used.
    #[must_use]
    pub(crate) const fn totp(secret: Secret) -> Self {
        Self {
            name: None,
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret,
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: None,
            label: None,
            used: UsedSteps::NONE,
            drift: Drift::NONE,
            last_used_at: None,
            enrolled_at: None,
        }
    }

    /// Makes it one that counts, whose next code is of this counter.
    pub(crate) fn count_from(&mut self, next: u64) {
        self.kind = Kind::Hotp;
        self.used = UsedSteps::NONE;
        if let Some(last) = next.checked_sub(1) {
            self.used.raise_to(last);
        }
    }
}

impl Person {
    /// Somebody with this authenticator alone.
    #[must_use]
    pub(crate) fn with(user: Option<String>, brought: Brought) -> Self {
        Self {
            user,
            authenticators: vec![brought],
            recovery: None,
            disabled: false,
            notes: Vec::new(),
        }
    }
}
