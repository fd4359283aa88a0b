//! What a login changes: used steps and counters, drift, throttle, used recovery codes, remembered origins. FILEFORMAT.md
//! has the record.

use crate::drift::Drift;
use crate::enrollment::{Enrollment, Generation, MAX_AUTHENTICATORS};
use crate::origin::Origin;
use crate::policy::ThrottlePolicy;
use crate::service::Service;
use crate::throttle::Throttle;
use crate::time::{TimeStep, UnixTime};
use crate::verify::Method;

/// Intervals of neighbouring used steps kept for one authenticator.
pub const MAX_INTERVALS: usize = 64;
/// A step so many before the present is truly past, whatever the clock did: 35 days of 30 s.
const LONG_PAST: u64 = 100_000;
/// Entries kept for authenticators: those enrolled, and one that is replacing another.
pub const MAX_AUTHENTICATOR_STATES: usize = MAX_AUTHENTICATORS + 1;
/// Entries kept for lists of recovery codes: the one in force, and one that is replacing it.
pub const MAX_RECOVERY_STATES: usize = 2;
/// Origins remembered because a code was accepted from there.
pub const MAX_REMEMBERED: usize = 8;

/// Everything a login changes for one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Every code is refused.
    pub disabled: bool,
    /// An enrolment was seen since this record was made: one that is missing now was lost, and exempts nobody.
    pub enrolled: bool,
    /// Failures and holds.
    pub throttle: Throttle,
    /// The last accepted code of any kind.
    pub last: Option<LastLogin>,
    /// One entry an authenticator, by its secret's generation.
    pub authenticators: Vec<AuthenticatorState>,
    /// One entry a list of recovery codes, by its generation.
    pub recovery: Vec<RecoveryState>,
    /// From where a code was accepted and when, the most recent last. Kept only where the policy remembers origins.
    pub remembered: Vec<Remembered>,
    /// Wrong answers at codes that were sent, since the last acceptance of any code.
    pub sent_failures: u32,
}

/// An origin from which a code was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// An address.
    pub origin: Origin,
    /// When the code was accepted.
    pub at: UnixTime,
}

/// The last accepted code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastLogin {
    /// When it was accepted.
    pub at: UnixTime,
    /// What it was.
    pub method: Method,
    /// Where it came from.
    pub origin: Origin,
    /// The PAM service that asked for it; none for `otpctl verify`, and for names no record keeps.
    pub service: Option<Service>,
}

/// What logins have done with one authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatorState {
    /// The secret this belongs to.
    pub generation: Generation,
    /// Steps (of a HOTP: counters) whose codes are dead.
    pub used: UsedSteps,
    /// How far its clock is off.
    pub drift: Drift,
    /// When its last code was accepted.
    pub last_used_at: Option<UnixTime>,
}

/// Which codes of one list of recovery codes are used: bit n for the list's code n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryState {
    /// The list this belongs to.
    pub generation: Generation,
    /// The bits.
    pub used: u64,
}

impl AuthenticatorState {
    /// The state of an authenticator nobody has used yet.
    #[must_use]
    pub const fn fresh(generation: Generation) -> Self {
        Self {
            generation,
            used: UsedSteps::NONE,
            drift: Drift::NONE,
            last_used_at: None,
        }
    }
}

impl RecoveryState {
    /// Whether code `index` of the list is used. An index no list has counts as used.
    #[must_use]
    pub fn is_used(&self, index: usize) -> bool {
        Self::bit(index).is_none_or(|bit| self.used & bit != 0)
    }

    /// Marks code `index` of the list as used.
    pub fn mark(&mut self, index: usize) {
        self.used |= Self::bit(index).unwrap_or(0);
    }

    fn bit(index: usize) -> Option<u64> {
        1_u64.checked_shl(u32::try_from(index).ok()?)
    }
}

impl State {
    /// The entry of the authenticator with this generation.
    #[must_use]
    pub fn authenticator(&self, generation: Generation) -> Option<&AuthenticatorState> {
        self.authenticators
            .iter()
            .find(|entry| entry.generation == generation)
    }

    /// The entry of the list of recovery codes with this generation.
    #[must_use]
    pub fn recovery(&self, generation: Generation) -> Option<&RecoveryState> {
        self.recovery
            .iter()
            .find(|entry| entry.generation == generation)
    }

    /// Whether codes that were sent are off, and none is sent: too many wrong answers at them since the last acceptance of any
    /// code (NIST SP 800-63B-4 section 3.2.2). They and the other codes are counted apart, so that guessing at one kind
    /// closes no other.
    #[must_use]
    pub const fn is_locked_for_sent(&self, policy: &ThrottlePolicy) -> bool {
        self.sent_failures >= policy.lock_after
    }

    /// Ends every hold and lock, and forgets every failure.
    pub fn unlock(&mut self) {
        self.throttle.clear();
        self.sent_failures = 0;
    }

    /// Remembers that a code was accepted from `origin`; the one longest unheard of makes room.
    pub fn remember(&mut self, origin: Origin, at: UnixTime) {
        self.remembered.retain(|known| known.origin != origin);
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.remove(0);
        }
        self.remembered.push(Remembered { origin, at });
    }

    /// Notes that `enrollment` is durable: it was seen, and nothing of another one stays.
    pub fn settle(&mut self, enrollment: &Enrollment) {
        self.enrolled = true;
        self.keep_only(enrollment);
    }

    /// Whether that was noted. If not, an enrolment was cut short, and what is read of it need not be durable.
    #[must_use]
    pub fn is_settled(&self, enrollment: &Enrollment) -> bool {
        let mut settled = self.clone();
        settled.settle(enrollment);
        settled == *self
    }

    /// Drops the entries that belong to nothing in `enrollment`: what a replaced or half-finished enrolment left.
    pub fn keep_only(&mut self, enrollment: &Enrollment) {
        self.authenticators.retain(|entry| {
            let mut known = enrollment.authenticators.iter();
            known.any(|authenticator| authenticator.generation == entry.generation)
        });
        self.recovery.retain(|entry| {
            let list = enrollment.recovery.as_ref();
            list.is_some_and(|list| list.generation == entry.generation)
        });
    }
}

/// The used steps of one authenticator (RFC 6238 section 5.2: a code is not accepted twice).
///
/// A step is dead if it is in the set, at or below the floor, or at or below a used step that is itself not
/// in the future. So every step before an accepted one is dead too, and yet a login made while the clock was
/// ahead neither blocks the present nor comes back to life when its day comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedSteps {
    /// Every step up to and including this one is dead.
    floor: Option<u64>,
    /// First and last step of each run of used steps, ascending, with a gap between neighbours.
    runs: Vec<(u64, u64)>,
}

impl UsedSteps {
    /// No step is used yet.
    pub const NONE: Self = Self {
        floor: None,
        runs: Vec::new(),
    };

    /// From a record: runs ascending, not touching one another, at most [`MAX_INTERVALS`].
    #[must_use]
    pub fn from_parts(floor: Option<u64>, runs: Vec<(u64, u64)>) -> Option<Self> {
        let ordered = runs.iter().all(|(first, last)| first <= last)
            && runs
                .windows(2)
                .all(|pair| matches!(pair, [(_, end), (start, _)] if end.checked_add(1).is_some_and(|next| next < *start)));
        (ordered && runs.len() <= MAX_INTERVALS).then_some(Self { floor, runs })
    }

    /// The floor, for a record.
    #[must_use]
    pub const fn floor(&self) -> Option<u64> {
        self.floor
    }

    /// The runs, for a record.
    #[must_use]
    pub fn runs(&self) -> &[(u64, u64)] {
        &self.runs
    }

    /// The first counter of a HOTP that is not dead (RFC 4226 section 7.2); `None` at the end of all counters.
    #[must_use]
    pub fn next_counter(&self) -> Option<u64> {
        match self.floor {
            None => Some(0),
            Some(floor) => floor.checked_add(1),
        }
    }

    /// Kills every counter up to and including this one.
    pub fn raise_to(&mut self, counter: u64) {
        self.floor = self.floor.max(Some(counter));
    }

    /// Whether the code of `step` is dead, where `horizon` is the last step that is not in the future (now + window).
    #[must_use]
    pub fn is_dead(&self, step: TimeStep, horizon: TimeStep) -> bool {
        let step = step.number();
        if self.floor.is_some_and(|floor| step <= floor) {
            return true;
        }
        self.runs.iter().any(|(first, last)| {
            let up_to_now = (*last).min(horizon.number());
            (*first <= step && step <= *last) || (*first <= horizon.number() && step <= up_to_now)
        })
    }

    /// Marks `step` as used, where `horizon` is the last step that is not in the future.
    pub fn mark(&mut self, step: TimeStep, horizon: TimeStep) {
        let step = step.number();
        self.runs.push((step, step));
        self.runs.sort_unstable();
        self.join_neighbours();
        while self.runs.len() > MAX_INTERVALS {
            self.make_room(horizon.number());
        }
    }

    /// Marks all that `other` has. Where there is no room the nearest become one: nothing is forgotten.
    pub fn add(&mut self, other: &Self) {
        self.floor = self.floor.max(other.floor);
        for run in &other.runs {
            self.runs.push(*run);
            self.runs.sort_unstable();
            self.join_neighbours();
            while self.runs.len() > MAX_INTERVALS {
                self.make_room(0);
            }
        }
    }

    fn join_neighbours(&mut self) {
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(self.runs.len());
        for (first, last) in self.runs.drain(..) {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        self.runs = joined;
    }

    /// One run fewer. What is long past raises the floor; else two neighbours become one, which kills the few steps
    /// between them too: nothing is ever forgotten. The floor stays behind so that logins made while the clock was
    /// ahead, however many, do not lift it above the present. A gap longer than every later one may be where the clock
    /// jumped, and the present is in it once the clock is back: it goes last (ADR 4).
    fn make_room(&mut self, horizon: u64) {
        let is_long_past = |run: &(u64, u64)| run.1.saturating_add(LONG_PAST) <= horizon;
        if let Some((_, last)) = self.runs.first().copied().filter(is_long_past) {
            self.floor = self.floor.max(Some(last));
            self.runs.remove(0);
            return;
        }
        let mut longest_later = 0;
        let gaps = self.runs.windows(2).enumerate().rev();
        let narrowest = gaps.map(|(index, pair)| {
            let gap = match pair {
                [(_, end), (start, _)] => start.saturating_sub(*end),
                _ => u64::MAX,
            };
            let may_be_a_jump = gap > longest_later;
            longest_later = longest_later.max(gap);
            (may_be_a_jump, gap, index)
        });
        let Some((_, _, narrowest)) = narrowest.min() else {
            return;
        };
        let (_, end) = self.runs.remove(narrowest.saturating_add(1));
        if let Some(kept) = self.runs.get_mut(narrowest) {
            kept.1 = end;
        }
    }
}

#[cfg(test)]
mod tests;
