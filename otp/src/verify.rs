//! The only place that accepts a code. Pure: what is known goes in, the verdict and what must be kept come out.

use crate::enrollment::Enrollment;
use crate::issued::StoredCode;
use crate::keyed::DigestKey;
use crate::origin::Origin;
use crate::passcode::Passcode;
use crate::policy::Policy;
use crate::state::State;
use crate::time::UnixTime;
use crate::user::UserName;

/// Everything that is kept about one user, as read under her lock.
pub struct Record {
    /// Whose it is.
    pub user: UserName,
    /// Her authenticators and recovery codes.
    pub enrollment: Option<Enrollment>,
    /// What logins have changed.
    pub state: State,
    /// Her stored codes, the spent ones among them until they are swept.
    pub issued: Vec<StoredCode>,
    /// The machine's key, where there is something kept under it.
    pub key: Option<DigestKey>,
}

/// One answer at a prompt.
pub struct Attempt<'a> {
    /// What was typed.
    pub passcode: &'a Passcode,
    /// Where it came from.
    pub origin: Origin,
    /// The clock, read after the record was locked.
    pub now: UnixTime,
}

/// What came of an attempt. A wrong code is a verdict, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The code was right, and is dead from the moment `changes` are durable.
    Accepted(Acceptance),
    /// It was not, or may not be.
    Refused(Reason),
}

/// What was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Which kind of code.
    pub method: Method,
    /// For a TOTP: how many steps the code was ahead of our clock (behind: negative).
    pub offset: Option<i64>,
}

/// The kinds of codes that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// RFC 6238.
    Totp,
    /// RFC 4226.
    Hotp,
    /// A stored code.
    Issued,
    /// A recovery code.
    Recovery,
}

impl Method {
    /// The lower-case name used in logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Hotp => "hotp",
            Self::Issued => "issued",
            Self::Recovery => "recovery",
        }
    }
}

/// Why a code was refused. For the log and the administrator: the person at the prompt is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Not a passcode at all. Counts nowhere.
    Malformed,
    /// The user has no authenticator and no stored code.
    NotEnrolled,
    /// It is no code of hers.
    Mismatch,
    /// Too many failures; codes of this length are not compared until the hold ends.
    Throttled,
    /// 100 failures since the last acceptance: time-based codes are off.
    Locked,
    /// A stored code whose time is over.
    Expired,
    /// It was right once. No failure.
    Used,
    /// An administrator has disabled the user.
    Disabled,
}

impl Reason {
    /// The lower-case name used in logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotEnrolled => "not-enrolled",
            Self::Mismatch => "mismatch",
            Self::Throttled => "throttled",
            Self::Locked => "locked",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::Disabled => "disabled",
        }
    }
}

/// A verdict and what must be durable before it may be told.
#[must_use]
pub struct Outcome {
    /// What came of it.
    pub verdict: Verdict,
    /// What must be kept.
    pub changes: Changes,
}

/// What an attempt changes. Stored codes are made durable before the state.
#[derive(Default)]
pub struct Changes {
    /// The stored codes that are not as they were.
    pub issued: Vec<StoredCode>,
    /// The state, if it is not as it was.
    pub state: Option<State>,
}

impl Record {
    /// A user of whom nothing is kept.
    #[must_use]
    pub fn none(user: UserName) -> Self {
        Self {
            user,
            enrollment: None,
            state: State::default(),
            issued: Vec::new(),
            key: None,
        }
    }

    /// Whether there is anything she could log in with at `now`: an authenticator, recovery codes or a live
    /// stored code. Used and expired codes are nothing.
    #[must_use]
    pub fn can_answer(&self, now: UnixTime) -> bool {
        self.enrollment.is_some() || self.issued.iter().any(|code| code.is_live(now))
    }
}

/// Judges one answer.
pub fn verify(record: &Record, attempt: &Attempt<'_>, policy: &Policy) -> Outcome {
    let _ = (record, attempt, policy);
    Outcome {
        verdict: Verdict::Refused(Reason::Mismatch),
        changes: Changes::default(),
    }
}
