//! Why a command did not do what it was asked, and the exit code that says so. A refused code is no failure.

use std::fmt::Display;
use std::path::Path;

use otp::door::client::NoAnswer;
use otp::request::Why;
use otp::store::{Error, PolicyError};
use otp::time::UnixTime;

use crate::report::words;

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done; code accepted; nothing wrong found.
    Done,
    /// The answer is no.
    No,
    /// State met on the way is at fault; the rest was done.
    AtFault,
}

impl Ending {
    pub(crate) const fn exit(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::AtFault => 5,
        }
    }
}

/// What stopped a command, with the sentence that names the next step.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

/// The kinds of failures: a word for scripts and an exit code each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asked for wrongly.
    Usage,
    /// Not root.
    NotPermitted,
    /// Not in the passwd database.
    UnknownUser,
    /// Nothing enrolled.
    NotEnrolled,
    /// No authenticator of that name.
    UnknownAuthenticator,
    /// No such issued code.
    UnknownCode,
    /// Enrolled before, and not to be replaced.
    AlreadyEnrolled,
    /// The only authenticator a user has.
    LastAuthenticator,
    /// More live codes, or authenticators, than a user may have.
    TooMany,
    /// No code is sent, and why.
    NotSent(Why),
    /// No contact on that channel.
    NoContact,
    /// Nothing was sent that could be confirmed.
    NothingSent,
    /// Not the code that was sent.
    Mismatch,
    /// The time of the code that was sent is over.
    Expired,
    /// The person at the terminal gave up.
    GivenUp,
    /// Another change is being tried.
    Pending,
    /// Nothing is being tried.
    NothingTried,
    /// Nobody logged in by what is being tried.
    Unconfirmed,
    /// A set-up that is not understood, and so not changed.
    NotUnderstood,
    /// Somebody else than root could have written it.
    Insecure,
    /// It cannot be understood.
    Damaged,
    /// A later version wrote it.
    Newer,
    /// Made for another uid of the same name.
    OtherUid,
    /// The policy is at fault.
    Policy,
    /// The store is not there.
    Missing,
    /// The operating system said no.
    Io,
    /// Locked by somebody else for too long.
    Busy,
}

impl Kind {
    /// The word in `{"error": …}`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotPermitted => "not-permitted",
            Self::UnknownUser => "unknown-user",
            Self::NotEnrolled => "not-enrolled",
            Self::UnknownAuthenticator => "unknown-authenticator",
            Self::UnknownCode => "unknown-code",
            Self::AlreadyEnrolled => "already-enrolled",
            Self::LastAuthenticator => "last-authenticator",
            Self::TooMany => "too-many",
            Self::NotSent(why) => why.name(),
            Self::NoContact => Why::NoContact.name(),
            Self::NothingSent => "nothing-sent",
            Self::Mismatch => "mismatch",
            Self::Expired => "expired",
            Self::GivenUp => "given-up",
            Self::Pending => "pending",
            Self::NothingTried => "nothing-tried",
            Self::Unconfirmed => "unconfirmed",
            Self::NotUnderstood => "not-understood",
            Self::Insecure => "insecure",
            Self::Damaged => "damaged",
            Self::Newer => "newer",
            Self::OtherUid => "other-uid",
            Self::Policy => "policy",
            Self::Missing => "missing",
            Self::Io => "io",
            Self::Busy => "busy",
        }
    }

    /// From when on it is worth another try, where that is known.
    pub(crate) const fn until(self) -> Option<UnixTime> {
        match self {
            Self::NotSent(why) => why.until(),
            _ => None,
        }
    }

    pub(crate) const fn exit(self) -> u8 {
        match self {
            Self::NotSent(Why::NoContact) => 3,
            Self::AlreadyEnrolled
            | Self::LastAuthenticator
            | Self::TooMany
            | Self::NotSent(_)
            | Self::Mismatch
            | Self::Expired
            | Self::GivenUp
            | Self::Pending
            | Self::NothingTried
            | Self::Unconfirmed
            | Self::NotUnderstood => 1,
            Self::Usage => 2,
            Self::UnknownUser
            | Self::NotEnrolled
            | Self::UnknownAuthenticator
            | Self::UnknownCode
            | Self::NoContact
            | Self::NothingSent => 3,
            Self::NotPermitted => 4,
            Self::Insecure
            | Self::Damaged
            | Self::Newer
            | Self::OtherUid
            | Self::Policy
            | Self::Missing
            | Self::Io
            | Self::Busy => 5,
        }
    }
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// `cannot {doing} {path}: {why}`
    pub(crate) fn io(doing: &str, path: &Path, why: &impl Display) -> Self {
        Self::new(
            Kind::Io,
            format!(
                "cannot {doing} {}: {}",
                path.display(),
                words::os_error(why)
            ),
        )
    }

    pub(crate) fn given_up() -> Self {
        Self::new(Kind::GivenUp, "given up; nothing has changed")
    }

    pub(crate) fn nothing_kept(user: &impl Display) -> Self {
        Self::new(
            Kind::NotEnrolled,
            format!(
                "nothing is kept of {user}, so nothing has changed: 'otpctl list' shows who is enrolled"
            ),
        )
    }

    pub(crate) fn not_enrolled(user: &impl Display) -> Self {
        Self::new(
            Kind::NotEnrolled,
            format!("{user} is not enrolled: otpctl enroll {user}"),
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io { .. } => Kind::Io,
            Error::Missing { .. } => Kind::Missing,
            Error::Insecure { .. } => Kind::Insecure,
            Error::Damaged { .. } => Kind::Damaged,
            Error::Newer { .. } => Kind::Newer,
            Error::OtherUid { .. } => Kind::OtherUid,
            Error::Busy { .. } => Kind::Busy,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<NoAnswer> for Failure {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Unsafe(error) => error.into(),
            NoAnswer::Busy(_) | NoAnswer::Slow(_) => Self::new(Kind::Busy, error.to_string()),
            _ => Self::new(Kind::Io, error.to_string()),
        }
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Unreadable(Error::Missing { path }) => Self::new(
                Kind::Policy,
                format!(
                    "there is no policy {}: name one that is there, or leave out --config",
                    path.display()
                ),
            ),
            PolicyError::Unreadable(error) => error.into(),
            PolicyError::Faults { .. } => Self::new(
                Kind::Policy,
                format!(
                    "{error}; no code is accepted until that is mended, and 'otpctl policy --check FILE' says when it is"
                ),
            ),
        }
    }
}
