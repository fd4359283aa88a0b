//! The only place that accepts a code. Pure: what is known goes in, the verdict and what must be kept come out.

use std::time::Duration;

use crate::enrollment::{Authenticator, Enrollment, Kind};
use crate::issued::{Fate, StoredCode};
use crate::keyed::DigestKey;
use crate::origin::Origin;
use crate::passcode::{Digits, Passcode, RecoveryCode};
use crate::policy::Policy;
use crate::state::{LastLogin, State};
use crate::throttle::Gate;
use crate::time::{TimeStep, UnixTime};
use crate::totp;
use crate::user::UserName;

/// A clock may have been so much ahead at an enrolment and right since. Codes from before that are from no clock that
/// was ever right.
const ENROLLED_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// The store cannot be overwritten, so the use of a stored or recovery code could not be kept; it is not compared.
    ReadOnly,
    /// It could have been accepted before the last boot, and whether it was may be forgotten. Not counted.
    TooEarly,
    /// It is from before the enrolment, or not issued yet: the clock went back. Not counted.
    ClockBehind,
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
            Self::ReadOnly => "unavailable",
            Self::TooEarly | Self::ClockBehind => "too-early",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::Disabled => "disabled",
        }
    }

    /// Whether the answer was a code of hers, only not any more or not yet: that is no guess.
    const fn was_right_once(self) -> bool {
        matches!(
            self,
            Self::TooEarly | Self::ClockBehind | Self::Expired | Self::Used
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
            key: None,
            until_boot: false,
            booted: None,
        }
    }

    /// Whether there is anything of hers to ask for at `now`: an enrolment, or a stored code that is neither used nor
    /// expired. One that is guessed out, not yet good or disabled is still there, and so is a user who is disabled:
    /// `nullok` must not turn a refusal into a free pass.
    #[must_use]
    pub fn can_answer(&self, now: UnixTime) -> bool {
        let pending = |code: &StoredCode| code.fate == Fate::Live && !code.is_past(now);
        self.state.disabled || self.enrollment.is_some() || self.issued.iter().any(pending)
    }
}

/// Judges one answer. Codes are compared in constant time, and every one of a kind is compared.
pub fn verify(record: &Record, attempt: &Attempt<'_>, policy: &Policy) -> Outcome {
    if record.state.disabled {
        return Outcome {
            verdict: Verdict::Refused(Reason::Disabled),
            changes: Changes::default(),
        };
    }
    let mut hearing = Hearing::open(record, attempt, policy);
    match attempt.passcode {
        Passcode::Digits(typed) => {
            hearing.time_based(typed);
            hearing.stored(typed);
        }
        Passcode::Recovery(typed) => hearing.recovery(typed),
    }
    hearing.close()
}

/// One attempt while it is being judged: the record as it will be, and what was found so far.
struct Hearing<'a> {
    record: &'a Record,
    attempt: &'a Attempt<'a>,
    policy: &'a Policy,
    state: State,
    issued: Vec<StoredCode>,
    accepted: Option<Acceptance>,
    /// The gravest reason found; it is told only if nothing was accepted.
    reason: Reason,
    /// The answer was compared with a time-based code and was not it.
    failed: bool,
    /// The answer was a time-based code that is dead: no failure, whatever else it was compared with.
    dead_totp: bool,
    /// The answer was compared with these stored codes (by index) and was none of them.
    missed: Vec<usize>,
}

impl<'a> Hearing<'a> {
    fn open(record: &'a Record, attempt: &'a Attempt<'a>, policy: &'a Policy) -> Self {
        let mut state = record.state.clone();
        state.throttle.settle(attempt.now, &policy.throttle);
        let mut issued = record.issued.clone();
        for code in &mut issued {
            if code.fate == Fate::Live && code.is_past(attempt.now) {
                code.fate = Fate::Expired;
            }
        }
        let reason = if record.can_answer(attempt.now) {
            Reason::Mismatch
        } else {
            Reason::NotEnrolled
        };
        Self {
            record,
            attempt,
            policy,
            state,
            issued,
            accepted: None,
            reason,
            failed: false,
            dead_totp: false,
            missed: Vec::new(),
        }
    }

    fn authenticators(&self) -> &'a [Authenticator] {
        let enrollment = self.record.enrollment.as_ref();
        enrollment.map_or(&[], |enrollment| &enrollment.authenticators)
    }

    fn refuse(&mut self, reason: Reason) {
        self.reason = self.reason.max(reason);
    }

    /// Digits that are right in several places are spent in all of them; the first is what is told.
    fn accept(&mut self, method: Method, offset: Option<i64>) {
        self.accepted.get_or_insert(Acceptance { method, offset });
    }

    /// The authenticators that show as many digits, unless the throttle holds this origin.
    fn time_based(&mut self, typed: &Digits) {
        let (throttle, policy) = (&self.state.throttle, &self.policy.throttle);
        let gate = throttle.gate(&self.attempt.origin, self.attempt.now, policy);
        for authenticator in self.authenticators() {
            if authenticator.length.digits() != typed.as_bytes().len() {
                continue;
            }
            match gate {
                Gate::Open => self.totp(authenticator, typed),
                Gate::Held(_) => self.refuse(Reason::Throttled),
                Gate::Locked => self.refuse(Reason::Locked),
            }
        }
    }

    /// RFC 6238 section 5.2: the current step and `window` on each side; an accepted one is dead from then on.
    fn totp(&mut self, authenticator: &Authenticator, typed: &Digits) {
        let Kind::Totp { period } = authenticator.kind;
        let now = TimeStep::at(self.attempt.now, period);
        let window = i64::from(self.policy.window);
        let horizon = now.offset(window).unwrap_or(now);
        let mut right = matching(authenticator, typed, now, window);
        if let Some(reason) = too_early(&mut right, self.record, authenticator, self.policy.window)
        {
            self.dead_totp = true;
            self.refuse(reason);
        }
        let entries = &mut self.state.authenticators;
        let entry = entries
            .iter_mut()
            .find(|entry| entry.generation == authenticator.generation);
        match (right.is_empty(), entry) {
            (true, _) => self.failed = true,
            // The store refuses a secret its state does not know; here it would be an open replay.
            (false, None) => {
                self.dead_totp = true;
                self.refuse(Reason::Used);
            }
            (false, Some(entry)) => {
                let fresh = |(_, step): &&(i64, TimeStep)| !entry.used.is_dead(*step, horizon);
                // The last one, should two steps share their digits: it takes the earlier ones with it.
                match right.iter().rfind(fresh).copied() {
                    Some((offset, step)) => {
                        entry.used.mark(step, horizon);
                        entry.drift = i32::try_from(offset).unwrap_or(0);
                        entry.last_used_at = Some(self.attempt.now);
                        self.accept(Method::Totp, Some(offset));
                    }
                    None => {
                        self.dead_totp = true;
                        self.refuse(Reason::Used);
                    }
                }
            }
        }
    }

    /// The stored codes of as many digits. A guess counts against each it was compared with.
    fn stored(&mut self, typed: &Digits) {
        if self.record.until_boot {
            let mut codes = self.record.issued.iter();
            if codes.any(|code| usize::from(code.length) == typed.as_bytes().len()) {
                self.refuse(Reason::ReadOnly);
            }
            return;
        }
        let Some(key) = &self.record.key else {
            return;
        };
        for index in 0..self.issued.len() {
            let Some(code) = self.issued.get(index) else {
                continue;
            };
            if usize::from(code.length) != typed.as_bytes().len() {
                continue;
            }
            let right = key.stored(&self.record.user, code.id, typed) == code.digest;
            match standing(code, self.attempt) {
                Ok(()) if right => {
                    if let Some(code) = self.issued.get_mut(index) {
                        code.fate = Fate::Used;
                    }
                    self.accept(Method::Issued, None);
                }
                Ok(()) => self.missed.push(index),
                Err(Reason::Throttled) => self.refuse(Reason::Throttled),
                Err(reason) if right => self.refuse(reason),
                Err(_) => {}
            }
        }
    }

    /// Recovery codes have 80 bits: guesses at them need no bound and count nowhere.
    fn recovery(&mut self, typed: &RecoveryCode) {
        let enrollment = self.record.enrollment.as_ref();
        let list = enrollment.and_then(|enrollment| enrollment.recovery.as_ref());
        let (Some(list), Some(key)) = (list, &self.record.key) else {
            return;
        };
        if self.record.until_boot {
            return self.refuse(Reason::ReadOnly);
        }
        let digest = key.recovery(&self.record.user, list.generation, typed);
        let right = (0..)
            .zip(&list.digests)
            .filter(|(_, kept)| **kept == digest);
        let Some((index, _)) = right.last() else {
            return;
        };
        let entries = &mut self.state.recovery;
        let entry = entries
            .iter_mut()
            .find(|entry| entry.generation == list.generation);
        match entry {
            Some(entry) if !entry.is_used(index) => {
                entry.mark(index);
                self.accept(Method::Recovery, None);
            }
            _ => self.refuse(Reason::Used),
        }
    }

    /// The verdict, with what it costs: an acceptance ends the hold of its origin; a guess counts wherever it was
    /// compared; a code that was right once is no guess at its own kind. A spent stored code is still a guess at the
    /// time-based ones: else its digits could be tried at every step for nothing.
    fn close(mut self) -> Outcome {
        let (origin, now) = (self.attempt.origin, self.attempt.now);
        if let Some(Acceptance { method, .. }) = self.accepted {
            self.state.throttle.succeed(origin);
            self.state.last = Some(LastLogin {
                at: now,
                method,
                origin,
            });
        } else {
            if self.failed && !self.dead_totp {
                self.state.throttle.fail(origin, now, &self.policy.throttle);
            }
            if !self.reason.was_right_once() {
                for index in &self.missed {
                    if let Some(code) = self.issued.get_mut(*index) {
                        code.count_attempt(origin);
                    }
                }
            }
        }
        Outcome {
            verdict: self
                .accepted
                .map_or(Verdict::Refused(self.reason), Verdict::Accepted),
            changes: self.changes(),
        }
    }

    fn changes(self) -> Changes {
        let before = &self.record.issued;
        let issued = self.issued.into_iter().zip(before);
        let until_boot = self.record.until_boot;
        Changes {
            // Until boot no stored code is compared, so there is nothing to keep but what time tells anyway.
            issued: issued
                .filter(|(after, before)| !until_boot && after != *before)
                .map(|(after, _)| after)
                .collect(),
            state: Some(self.state).filter(|state| *state != self.record.state),
            until_boot,
        }
    }
}

/// The steps around now whose code this is, each with its offset. Every one is compared.
fn matching(
    authenticator: &Authenticator,
    typed: &Digits,
    now: TimeStep,
    window: i64,
) -> Vec<(i64, TimeStep)> {
    let Authenticator {
        secret,
        algorithm,
        length,
        ..
    } = authenticator;
    let steps =
        (window.saturating_neg()..=window).filter_map(|offset| Some((offset, now.offset(offset)?)));
    steps
        .filter(|(_, step)| totp::code(secret, *algorithm, *length, *step).matches(typed))
        .collect()
}

/// Takes out the steps that no fresh code is from, and says why if that leaves none.
fn too_early(
    right: &mut Vec<(i64, TimeStep)>,
    record: &Record,
    authenticator: &Authenticator,
    window: u8,
) -> Option<Reason> {
    let Kind::Totp { period } = authenticator.kind;
    let enrolled = TimeStep::at(authenticator.enrolled_at.minus(ENROLLED_AHEAD), period);
    // A code that is ahead of our clock can have been accepted before its step began.
    let booted = record.booted.map(|booted| TimeStep::at(booted, period));
    let booted = booted.and_then(|step| step.offset(window.into()));
    let found = !right.is_empty();
    right.retain(|(_, step)| *step >= enrolled);
    let enrolled_since = !right.is_empty();
    right.retain(|(_, step)| booted.is_none_or(|booted| *step > booted));
    (found && right.is_empty()).then_some(if enrolled_since {
        Reason::TooEarly
    } else {
        Reason::ClockBehind
    })
}

/// Whether an answer may be compared with a stored code, or why not.
fn standing(code: &StoredCode, attempt: &Attempt<'_>) -> Result<(), Reason> {
    match code.fate {
        Fate::Used => Err(Reason::Used),
        Fate::Expired => Err(Reason::Expired),
        Fate::Live if code.issued_at > attempt.now => Err(Reason::ClockBehind),
        Fate::Live if code.is_live(attempt.now) && code.hears(&attempt.origin) => Ok(()),
        Fate::Live => Err(Reason::Throttled),
    }
}
