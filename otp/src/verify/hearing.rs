//! How an answer is judged: what it is compared with, and what each comparison costs.

use std::time::Duration;

use super::othertime;
use super::{Acceptance, Attempt, Changes, Method, Outcome, Reason, Record, Verdict};
use crate::drift;
use crate::enrollment::{Authenticator, Kind, RecoveryList};
use crate::hotp;
use crate::issued::{Fate, StoredCode};
use crate::keyed::Digest;
use crate::origin::Origin;
use crate::passcode::{Digits, Passcode, RecoveryCode};
use crate::policy::{Policy, ThrottlePolicy};
use crate::state::{AuthenticatorState, LastLogin, State};
use crate::throttle::Gate;
use crate::time::{Period, TimeStep};
use crate::totp;

/// A clock may have been so much ahead at an enrolment and right since. Codes from before that are from no clock that
/// was ever right.
const ENROLLED_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// One attempt while it is being judged: the record as it will be, and what was found so far.
pub(super) struct Hearing<'a> {
    record: &'a Record,
    attempt: &'a Attempt<'a>,
    policy: &'a Policy,
    /// How guessing is bounded for this user.
    throttle: ThrottlePolicy,
    state: State,
    issued: Vec<StoredCode>,
    accepted: Option<Acceptance>,
    /// The gravest reason found; it is told only if nothing was accepted.
    reason: Reason,
    /// The answer was compared with an authenticator's codes and was none of them.
    failed: bool,
    /// The answer was a code of an authenticator that is dead: no failure, whatever else it was compared with.
    was_dead: bool,
    /// The answer was compared with these stored codes (by index) and was none of them.
    missed: Vec<usize>,
}

impl<'a> Hearing<'a> {
    pub(super) fn open(record: &'a Record, attempt: &'a Attempt<'a>, policy: &'a Policy) -> Self {
        let throttle = record.throttle_policy(policy);
        let mut state = record.state.clone();
        state.throttle.settle(attempt.now, &throttle);
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
            throttle,
            state,
            issued,
            accepted: None,
            reason,
            failed: false,
            was_dead: false,
            missed: Vec::new(),
        }
    }

    /// Refuses without comparing anything, and changes nothing.
    pub(super) fn dismiss(self, reason: Reason) -> Outcome {
        let _ = self.other_time();
        Outcome {
            verdict: Verdict::Refused(reason),
            changes: Changes::default(),
        }
    }

    fn authenticators(&self) -> &'a [Authenticator] {
        let enrollment = self.record.enrollment.as_ref();
        enrollment.map_or(&[], |enrollment| &enrollment.authenticators)
    }

    fn refuse(&mut self, reason: Reason) {
        self.reason = self.reason.max(reason);
    }

    fn refuse_dead(&mut self, reason: Reason) {
        self.was_dead = true;
        self.refuse(reason);
    }

    /// Digits that are right in several places are spent in all of them; the first is what is told.
    fn accept(&mut self, method: Method, offset: Option<i64>) {
        self.accepted.get_or_insert(Acceptance { method, offset });
    }

    /// Whether the throttle lets this origin's guesses be compared; if not, why not.
    fn gate(&self) -> Result<(), Reason> {
        let (origin, now) = (&self.attempt.origin, self.attempt.now);
        match self.state.throttle.gate(origin, now, &self.throttle) {
            Gate::Open => Ok(()),
            Gate::Held(_) => Err(Reason::Throttled),
            Gate::Locked => Err(Reason::Locked),
        }
    }

    /// The authenticators that show as many digits, unless the throttle holds this origin.
    pub(super) fn authenticated(&mut self, typed: &Digits) {
        let gate = self.gate();
        for authenticator in self.authenticators() {
            if authenticator.length.digits() != typed.as_bytes().len() {
                continue;
            }
            match (gate, authenticator.kind) {
                (Err(reason), _) => self.refuse(reason),
                (Ok(()), Kind::Totp { period }) => self.totp(authenticator, period, typed),
                (Ok(()), Kind::Hotp) => self.hotp(authenticator, typed),
            }
        }
    }

    /// RFC 6238 section 5.2: the current step and `window` on each side, and the same around the learned drift (section
    /// 6); an accepted one is dead from then on.
    fn totp(&mut self, authenticator: &Authenticator, period: Period, typed: &Digits) {
        let now = TimeStep::at(self.attempt.now, period);
        let reach = Reach::of(self.policy);
        let horizon = now.offset(reach.0).unwrap_or(now);
        let learned = self
            .record
            .state
            .authenticator(authenticator.generation)
            .map_or(0, |entry| entry.drift.learned(self.policy.max_drift));
        let mut right = matching(authenticator, typed, now, self.policy.window, learned);
        if let Some(reason) = too_early(&mut right, self.record, authenticator, period, reach) {
            self.refuse_dead(reason);
        }
        if right.is_empty() {
            self.failed = true;
            return;
        }
        let (at, most) = (self.attempt.now, self.policy.max_drift);
        // The store refuses a secret its state does not know; here it would be an open replay.
        let Some(entry) = entry_of(&mut self.state, authenticator) else {
            return self.refuse_dead(Reason::Used);
        };
        let fresh = |(_, step): &&(i64, TimeStep)| !entry.used.is_dead(*step, horizon);
        // The last one, should two steps share their digits: it takes the earlier ones with it.
        let Some((offset, step)) = right.iter().rfind(fresh).copied() else {
            return self.refuse_dead(Reason::Used);
        };
        entry.used.mark(step, horizon);
        entry.drift.learn(offset, most);
        entry.last_used_at = Some(at);
        self.accept(Method::Totp, Some(offset));
    }

    /// RFC 4226 section 7.4: the next counter and `look_ahead` beyond it; what is accepted takes all before it along.
    fn hotp(&mut self, authenticator: &Authenticator, typed: &Digits) {
        let Authenticator {
            secret,
            algorithm,
            length,
            ..
        } = authenticator;
        let is_code =
            |counter: u64| hotp::code(secret, *algorithm, *length, counter).matches(typed);
        let (at, ahead) = (self.attempt.now, u64::from(self.policy.look_ahead));
        let until_boot = self.record.until_boot;
        let Some(entry) = entry_of(&mut self.state, authenticator) else {
            return self.refuse_dead(Reason::Used);
        };
        let last_used = entry.used.floor().is_some_and(is_code);
        let next = entry.used.next_counter();
        let counters = next.map(|next| next..=next.saturating_add(ahead));
        let right = counters.into_iter().flatten().filter(|n| is_code(*n));
        // Every one is compared, so no looking from the end.
        let right = right.fold(None, |_, counter| Some(counter));
        match (right, next) {
            // Its use could not be kept.
            (Some(_), _) if until_boot => self.refuse_dead(Reason::ReadOnly),
            // The last one, should two counters share their digits: it takes the earlier one with it.
            (Some(counter), Some(next)) => {
                entry.used.raise_to(counter);
                entry.last_used_at = Some(at);
                let skipped = counter.saturating_sub(next);
                self.accept(Method::Hotp, i64::try_from(skipped).ok());
            }
            _ if last_used => self.refuse_dead(Reason::Used),
            _ => self.failed = true,
        }
    }

    /// Recovery codes of other software that were brought along are digits, too short to be compared unbounded.
    pub(super) fn scratch(&mut self, typed: &Digits) {
        let length = |list: &RecoveryList| list.digits.map(hotp::CodeLength::digits);
        let list = self.recovery_list();
        let Some(list) = list.filter(|list| length(list) == Some(typed.as_bytes().len())) else {
            return;
        };
        if let Err(reason) = self.gate() {
            return self.refuse(reason);
        }
        let Some(key) = &self.record.key else {
            return;
        };
        let digest = key.scratch(&self.record.user, list.generation, typed);
        if !self.spend(list, digest) {
            self.failed = true;
        }
    }

    /// The stored codes of as many digits. A guess counts against each it was compared with.
    pub(super) fn stored(&mut self, typed: &Digits) {
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
        let sent_are_off = self.state.is_locked_for_sent(&self.throttle);
        for index in 0..self.issued.len() {
            let Some(code) = self.issued.get(index) else {
                continue;
            };
            if usize::from(code.length) != typed.as_bytes().len() {
                continue;
            }
            let right = key.stored(&self.record.user, code.id, typed) == code.digest;
            match standing(code, self.attempt, sent_are_off) {
                Ok(()) if right => {
                    if let Some(code) = self.issued.get_mut(index) {
                        code.fate = Fate::Used;
                    }
                    self.accept(Method::Issued, None);
                }
                Ok(()) => self.missed.push(index),
                Err(reason @ (Reason::Throttled | Reason::Locked)) => self.refuse(reason),
                Err(reason) if right => self.refuse(reason),
                Err(_) => {}
            }
        }
    }

    /// Recovery codes have 80 bits: guesses at them need no bound and count nowhere.
    pub(super) fn recovery(&mut self, typed: &RecoveryCode) {
        let list = self.recovery_list().filter(|list| list.digits.is_none());
        let (Some(list), Some(key)) = (list, &self.record.key) else {
            return;
        };
        if self.record.until_boot {
            return self.refuse(Reason::ReadOnly);
        }
        let digest = key.recovery(&self.record.user, list.generation, typed);
        self.spend(list, digest);
    }

    fn recovery_list(&self) -> Option<&'a RecoveryList> {
        let enrollment = self.record.enrollment.as_ref();
        enrollment.and_then(|enrollment| enrollment.recovery.as_ref())
    }

    /// Accepts the code of the list that has this digest, unless it is used or its use could not be kept. `false` if
    /// there is none.
    fn spend(&mut self, list: &RecoveryList, digest: Digest) -> bool {
        let right = (0..)
            .zip(&list.digests)
            .filter(|(_, kept)| **kept == digest);
        let Some((index, _)) = right.last() else {
            return false;
        };
        if self.record.until_boot {
            self.refuse_dead(Reason::ReadOnly);
            return true;
        }
        let mut entries = self.state.recovery.iter_mut();
        match entries.find(|entry| entry.generation == list.generation) {
            Some(entry) if !entry.is_used(index) => {
                entry.mark(index);
                self.accept(Method::Recovery, None);
            }
            _ => self.refuse_dead(Reason::Used),
        }
        true
    }

    /// The verdict, with what it costs: an acceptance ends the hold of its origin; a guess counts wherever it was
    /// compared; a code that was right once is no guess at its own kind. A spent stored code is still a guess at the
    /// authenticators: else its digits could be tried at every step for nothing.
    pub(super) fn close(mut self) -> Outcome {
        let (origin, now) = (self.attempt.origin, self.attempt.now);
        if let Some(Acceptance { method, .. }) = self.accepted {
            self.state.throttle.succeed(origin);
            self.state.sent_failures = 0;
            self.state.last = Some(LastLogin {
                at: now,
                method,
                origin,
                service: None,
            });
            if self.policy.remember.is_some() && matches!(origin, Origin::Address(_)) {
                self.state.remember(origin, now);
            }
        } else {
            let other_time = self.other_time();
            if self.failed && !self.was_dead {
                self.state.throttle.fail(origin, now, &self.throttle);
                self.reason = self.reason.max(other_time.unwrap_or(Reason::Mismatch));
            }
            if !self.reason.was_right_once() {
                self.count_missed(origin);
            }
        }
        Outcome {
            verdict: self
                .accepted
                .map_or(Verdict::Refused(self.reason), Verdict::Accepted),
            changes: self.changes(),
        }
    }

    /// A guess counts against each stored code it was compared with, and once for all of those that were sent.
    fn count_missed(&mut self, origin: Origin) {
        let mut was_sent = false;
        for index in &self.missed {
            if let Some(code) = self.issued.get_mut(*index) {
                code.count_attempt(origin);
                was_sent |= code.channel.is_some();
            }
        }
        let failures = &mut self.state.sent_failures;
        *failures = failures.saturating_add(was_sent.into());
    }

    /// Looked for at every refusal of digits, whatever becomes of it, so that all of them take as long.
    fn other_time(&self) -> Option<Reason> {
        let Passcode::Digits(typed) = self.attempt.passcode else {
            return None;
        };
        othertime::offset_of(
            self.authenticators(),
            &self.record.state,
            typed,
            self.attempt.now,
        )
        .map(Reason::OtherTime)
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

/// How many steps ahead of our clock a code can be and yet be accepted, now or at another time under this policy.
#[derive(Clone, Copy)]
struct Reach(i64);

impl Reach {
    fn of(policy: &Policy) -> Self {
        Self(i64::from(policy.window).saturating_add(policy.max_drift.into()))
    }
}

fn entry_of<'a>(
    state: &'a mut State,
    authenticator: &Authenticator,
) -> Option<&'a mut AuthenticatorState> {
    let mut entries = state.authenticators.iter_mut();
    entries.find(|entry| entry.generation == authenticator.generation)
}

/// The steps around now, and around the learned drift, whose code this is, each with its offset, ascending. Every one is
/// compared.
fn matching(
    authenticator: &Authenticator,
    typed: &Digits,
    now: TimeStep,
    window: u8,
    learned: i64,
) -> Vec<(i64, TimeStep)> {
    let Authenticator {
        secret,
        algorithm,
        length,
        ..
    } = authenticator;
    let steps =
        drift::offsets(window, learned).filter_map(|offset| Some((offset, now.offset(offset)?)));
    steps
        .filter(|(_, step)| totp::code(secret, *algorithm, *length, *step).matches(typed))
        .collect()
}

/// Takes out the steps that no fresh code is from, and says why if that leaves none.
fn too_early(
    right: &mut Vec<(i64, TimeStep)>,
    record: &Record,
    authenticator: &Authenticator,
    period: Period,
    reach: Reach,
) -> Option<Reason> {
    let enrolled = TimeStep::at(authenticator.enrolled_at.minus(ENROLLED_AHEAD), period);
    // A code that is ahead of our clock can have been accepted before its step began.
    let booted = record.booted.map(|booted| TimeStep::at(booted, period));
    let booted = booted.and_then(|step| step.offset(reach.0));
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
fn standing(code: &StoredCode, attempt: &Attempt<'_>, sent_are_off: bool) -> Result<(), Reason> {
    match code.fate {
        Fate::Used => Err(Reason::Used),
        Fate::Expired => Err(Reason::Expired),
        Fate::Withdrawn => Err(Reason::Withdrawn),
        Fate::Live if code.issued_at > attempt.now => Err(Reason::ClockBehind),
        Fate::Live if sent_are_off && code.channel.is_some() => Err(Reason::Locked),
        Fate::Live if code.is_live(attempt.now) && code.hears(&attempt.origin) => Ok(()),
        Fate::Live => Err(Reason::Throttled),
    }
}
