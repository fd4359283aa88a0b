//! The only place that accepts a code. Pure: what is known goes in, the verdict and what must be kept come out.
//! Here is what goes in and what comes out; [`hearing`] is how it is judged, [`othertime`] what is told of codes that
//! are right for another time.

mod hearing;
mod othertime;

use crate::delivery::Contacts;
use crate::drift;
use crate::enrollment::{Authenticator, Enrollment, Kind};
use crate::issued::{Fate, StoredCode};
use crate::keyed::DigestKey;
use crate::origin::Origin;
use crate::passcode::Passcode;
use crate::policy::{Breadth, Policy, ThrottlePolicy};
use crate::service::Service;
use crate::state::State;
use crate::throttle::Gate;
use crate::time::UnixTime;
use crate::user::UserName;
use hearing::Hearing;

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
    /// Where codes can be sent to her. Read only where it is looked at what she could answer with, not where an answer is judged.
    pub contacts: Contacts,
    /// The machine's key, where there is something kept under it.
    pub key: Option<DigestKey>,
    /// What is kept now may be gone after the next boot: only time-based codes can be accepted, because what forbids
    /// theirs is over by then.
    pub until_boot: bool,
    /// Where such a boot may have been: when it was. A code that could have been accepted before it is refused.
    pub booted: Option<UnixTime>,
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
    /// Of a TOTP, how many steps the code was ahead of our clock (behind: negative); of a HOTP, how many counters it was
    /// ahead of the next one.
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
    /// It is a code of hers for another time, so many steps (of a HOTP: counters) ahead. A failure like any.
    OtherTime(i64),
    /// Too many failures; codes of this length are not compared until the hold ends.
    Throttled,
    /// 100 failures since the last acceptance: time-based codes are off. Or as many at codes that were sent: those are.
    Locked,
    /// The store cannot be overwritten, so the use of a stored or recovery code could not be kept; it is not compared.
    ReadOnly,
    /// It could have been accepted before the last boot, and whether it was may be forgotten. Not counted.
    TooEarly,
    /// It is from before the enrolment, or not issued yet: the clock went back. Not counted.
    ClockBehind,
    /// A stored code whose time is over.
    Expired,
    /// A stored code whose delivery failed, or was called off.
    Withdrawn,
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
            Self::Mismatch | Self::OtherTime(_) => "mismatch",
            Self::Throttled => "throttled",
            Self::Locked => "locked",
            Self::ReadOnly => "unavailable",
            Self::TooEarly | Self::ClockBehind => "too-early",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Used => "used",
            Self::Disabled => "disabled",
        }
    }

    /// How far away a code is right that was refused for its time.
    #[must_use]
    pub const fn offset(self) -> Option<i64> {
        match self {
            Self::OtherTime(offset) => Some(offset),
            _ => None,
        }
    }

    /// Whether the answer was a code of hers, only not any more or not yet: that is no guess.
    const fn was_right_once(self) -> bool {
        matches!(
            self,
            Self::TooEarly | Self::ClockBehind | Self::Expired | Self::Withdrawn | Self::Used
        )
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

impl Outcome {
    /// Notes that the answer came by this service, where it was accepted. `None` for what is no service.
    pub fn by(mut self, service: Option<Service>) -> Self {
        let last = self
            .changes
            .state
            .as_mut()
            .and_then(|state| state.last.as_mut());
        if let (Verdict::Accepted(_), Some(last)) = (self.verdict, last) {
            last.service = service;
        }
        self
    }
}

/// What an attempt changes. Stored codes are made durable before the state.
#[derive(Default)]
pub struct Changes {
    /// The stored codes that are not as they were.
    pub issued: Vec<StoredCode>,
    /// The state, if it is not as it was.
    pub state: Option<State>,
    /// It is enough to keep them until the next boot.
    pub until_boot: bool,
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
            contacts: Contacts::NONE,
            key: None,
            until_boot: false,
            booted: None,
        }
    }

    /// Whether there is anything of hers to ask for at `now`: an enrolment, a confirmed contact, or a stored code that is
    /// neither used, expired nor withdrawn. One that is guessed out, not yet good or disabled is still there, and so is a user who is disabled:
    /// `nullok` must not turn a refusal into a free pass.
    #[must_use]
    pub fn can_answer(&self, now: UnixTime) -> bool {
        let pending = |code: &StoredCode| code.fate == Fate::Live && !code.is_past(now);
        self.state.disabled
            || self.enrollment.is_some()
            || self.contacts.any_confirmed()
            || self.issued.iter().any(pending)
    }

    /// Whether she need not be asked: a code was accepted from `origin`, an address, no longer ago than the policy
    /// remembers it. Never while that origin is held, nor on the word of a clock that went back.
    #[must_use]
    pub fn is_remembered(&self, origin: &Origin, now: UnixTime, policy: &Policy) -> bool {
        let (Some(span), Origin::Address(_)) = (policy.remember, origin) else {
            return false;
        };
        let throttle_policy = self.throttle_policy(policy);
        let mut throttle = self.state.throttle.clone();
        throttle.settle(now, &throttle_policy);
        let is_free = throttle.gate(origin, now, &throttle_policy) == Gate::Open;
        let mut known = self.state.remembered.iter();
        is_free
            && !self.state.disabled
            && self.enrollment.is_some()
            && known.any(|known| {
                known.origin == *origin && known.at <= now && now < known.at.plus(span)
            })
    }

    /// How guessing is bounded for her: a guess that is right for more codes than one authenticator has comes at a
    /// slower pace.
    #[must_use]
    pub fn throttle_policy(&self, policy: &Policy) -> ThrottlePolicy {
        let usual = drift::offsets(policy.window, 0).count();
        let enrollment = self.enrollment.as_ref();
        let known = enrollment.map_or(&[][..], |enrollment| &enrollment.authenticators);
        let codes = known.iter().map(|one| self.right_codes(one, policy));
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        policy.throttle.with_breadth(Breadth {
            codes: count(codes.sum()),
            usual: count(usual),
        })
    }

    /// How many codes of an authenticator are right at one moment.
    fn right_codes(&self, authenticator: &Authenticator, policy: &Policy) -> usize {
        match authenticator.kind {
            Kind::Totp { .. } => {
                let entry = self.state.authenticator(authenticator.generation);
                let learned = entry.map_or(0, |entry| entry.drift.learned(policy.max_drift));
                drift::offsets(policy.window, learned).count()
            }
            Kind::Hotp => usize::from(policy.look_ahead).saturating_add(1),
        }
    }
}

/// Judges one answer. Codes are compared in constant time, and every one of a kind is compared.
pub fn verify(record: &Record, attempt: &Attempt<'_>, policy: &Policy) -> Outcome {
    let mut hearing = Hearing::open(record, attempt, policy);
    if record.state.disabled {
        return hearing.dismiss(Reason::Disabled);
    }
    match attempt.passcode {
        Passcode::Digits(typed) => {
            hearing.authenticated(typed);
            hearing.scratch(typed);
            hearing.stored(typed);
        }
        Passcode::Recovery(typed) => hearing.recovery(typed),
    }
    hearing.close()
}
