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
mod tests {
    use super::*;
    use crate::enrollment::{Authenticator, Kind, RecoveryList};
    use crate::hotp::{Algorithm, CodeLength};
    use crate::secret::Secret;
    use crate::time::Period;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn dead(used: &UsedSteps, step: u64, horizon: u64) -> bool {
        used.is_dead(TimeStep::new(step), TimeStep::new(horizon))
    }

    fn mark(used: &mut UsedSteps, step: u64, horizon: u64) {
        used.mark(TimeStep::new(step), TimeStep::new(horizon));
    }

    #[test]
    fn a_used_step_and_all_before_it_are_dead_and_the_next_is_not() {
        let mut used = UsedSteps::NONE;
        assert!(!dead(&used, 0, 11));
        mark(&mut used, 10, 11);
        assert!(dead(&used, 10, 11) && dead(&used, 9, 11) && dead(&used, 0, 11));
        assert!(!dead(&used, 11, 11));
    }

    #[test]
    fn a_future_step_is_dead_by_itself_and_takes_nothing_with_it() {
        let mut used = UsedSteps::NONE;
        mark(&mut used, 2890, 2891);
        assert!(!dead(&used, 10, 11) && !dead(&used, 2889, 11));
        assert!(dead(&used, 2890, 11));
    }

    #[test]
    fn where_all_are_future_the_nearest_two_become_one_and_none_is_forgotten() {
        let mut used = UsedSteps::NONE;
        let steps: Vec<u64> = (0..=64).map(|n| 1_000 + n * n * 10).collect();
        for step in &steps {
            mark(&mut used, *step, 5);
        }
        assert_eq!(used.runs().len(), MAX_INTERVALS);
        assert_eq!(used.floor(), None, "the floor never passes the present");
        assert_eq!(used.runs()[0], (1_000, 1_010));
        assert!(steps.iter().all(|step| dead(&used, *step, 5)));
    }

    #[test]
    fn any_number_of_logins_made_while_the_clock_was_ahead_leaves_the_present_alive() {
        for ahead in [20, 2_880, 14_400, 1_051_200] {
            let mut used = UsedSteps::NONE;
            for day in 0..200 {
                mark(&mut used, 10_000 + day * 2_880, 10_001 + day * 2_880);
            }
            let now = 10_000 + 199 * 2_880 + 2;
            let later: Vec<u64> = (0..500).map(|n| now + ahead + n * 2).collect();
            for step in &later {
                mark(&mut used, *step, step + 1);
            }
            assert!(!dead(&used, now, now + 1), "{ahead} steps ahead and back");
            assert!(later.iter().all(|step| dead(&used, *step, now + 1)));
        }
    }

    #[test]
    fn a_jump_shorter_than_every_pause_between_logins_leaves_the_present_alive() {
        // For so long that the set is full, and no gap in it is short.
        for (pause, jump) in [(240, 3), (240, 120), (240, 239), (60, 40), (1_500, 20)] {
            for (logins, apart) in [(1, 1), (2, 1), (5, 1), (2, 2), (100, 2)] {
                let mut used = UsedSteps::NONE;
                for n in 0..720 {
                    mark(&mut used, 10_000 + n * pause, 10_001 + n * pause);
                }
                let now = 10_001 + 719 * pause;
                let later: Vec<u64> = (0..logins).map(|n| now + jump + n * apart).collect();
                for step in &later {
                    mark(&mut used, *step, step + 1);
                }
                let what = format!("{pause} steps between, {jump} ahead, {logins} there");
                assert!(!dead(&used, now, now + 1), "{what}");
                assert!(later.iter().all(|step| dead(&used, *step, now + 1)));
            }
        }
    }

    #[test]
    fn what_is_long_past_raises_the_floor_and_stays_dead_wherever_the_clock_goes() {
        let mut used = UsedSteps::NONE;
        for day in 0..200 {
            mark(&mut used, day * 2_880, day * 2_880 + 1);
        }
        assert_eq!(used.floor(), Some(135 * 2_880));
        assert!(
            dead(&used, 100 * 2_880 + 7, 100 * 2_880 + 8),
            "a clock set back"
        );
    }

    #[test]
    fn the_end_of_time_is_a_step_like_any() {
        let mut used = UsedSteps::NONE;
        mark(&mut used, u64::MAX, u64::MAX);
        mark(&mut used, u64::MAX - 1, u64::MAX);
        assert_eq!(used.runs(), [(u64::MAX - 1, u64::MAX)]);
    }

    #[test]
    fn what_belongs_to_no_enrolment_goes_and_what_belongs_to_it_stays() {
        let [old, new] = [1, 2].map(Generation::from_bits);
        let mut state = State::default();
        for generation in [old, new] {
            let mut entry = AuthenticatorState::fresh(generation);
            entry.drift.last = 7;
            state.authenticators.push(entry);
            state.recovery.push(RecoveryState {
                generation,
                used: 5,
            });
        }
        let enrollment = Enrollment {
            authenticators: vec![authenticator(new)],
            recovery: Some(RecoveryList {
                generation: new,
                digits: None,
                digests: Vec::new(),
            }),
        };
        let mut kept = state.clone();
        kept.keep_only(&enrollment);
        assert_eq!(kept.authenticators, state.authenticators[1..]);
        assert_eq!(kept.recovery, state.recovery[1..]);
        assert!(!kept.is_settled(&enrollment), "it was not noted yet");
        state.enrolled = true;
        assert!(!state.is_settled(&enrollment), "the old entries are there");
        state.settle(&enrollment);
        assert!(state.is_settled(&enrollment));
        kept.settle(&enrollment);
        assert_eq!(kept, state);
        assert!(kept.enrolled);
        assert_eq!(
            state.authenticator(new).map(|entry| entry.drift.last),
            Some(7)
        );
        assert_eq!(state.recovery(new).map(|entry| entry.used), Some(5));
        assert_eq!(state.authenticator(old), None);
        assert_eq!(state.recovery(old), None);
    }

    fn authenticator(generation: Generation) -> Authenticator {
        Authenticator {
            name: "phone".to_owned(),
            generation,
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: String::new(),
            label: String::new(),
            enrolled_at: UnixTime::EPOCH,
        }
    }

    #[test]
    fn parts_that_no_marking_makes_are_refused() {
        assert!(UsedSteps::from_parts(None, vec![(5, 4)]).is_none());
        assert!(UsedSteps::from_parts(None, vec![(5, 6), (7, 8)]).is_none());
        assert!(UsedSteps::from_parts(None, vec![(7, 8), (1, 2)]).is_none());
        assert!(UsedSteps::from_parts(None, vec![(0, u64::MAX), (9, 9)]).is_none());
        let many = (0..65).map(|n| (n * 2, n * 2)).collect();
        assert!(UsedSteps::from_parts(None, many).is_none());
    }

    #[test]
    fn a_recovery_code_is_used_by_its_bit_and_no_other_index_exists() {
        let mut entry = RecoveryState {
            generation: Generation::from_bits(1),
            used: 0,
        };
        entry.mark(63);
        assert!(entry.is_used(63) && !entry.is_used(62));
        assert!(entry.is_used(64) && entry.is_used(usize::MAX));
    }

    proptest! {
        /// Against a set that forgets nothing: whatever the clock does, a used step is dead forever, and a step that
        /// nothing used and that stands above every used one that is not in the future is alive while the set has room.
        #[test]
        fn no_walk_of_the_clock_revives_a_used_step(
            walk in proptest::collection::vec((0_u64..200_000, 0_u64..3), 1..200)
        ) {
            let mut used = UsedSteps::NONE;
            let mut all = BTreeSet::new();
            for (now, ahead) in walk {
                let (step, horizon) = (now + ahead, now + 2);
                let was_dead = dead(&used, step, horizon);
                prop_assert!(was_dead || !all.contains(&step));
                let below = all.range(..=horizon).next_back();
                if all.len() < MAX_INTERVALS && below.is_none_or(|last| *last < step) && !all.contains(&step) {
                    prop_assert!(!was_dead, "step {} at {}", step, now);
                }
                if !was_dead {
                    mark(&mut used, step, horizon);
                    all.insert(step);
                }
                for step in &all {
                    prop_assert!(dead(&used, *step, horizon));
                }
                prop_assert!(used.runs().len() <= MAX_INTERVALS);
                let parts = UsedSteps::from_parts(used.floor(), used.runs().to_vec());
                prop_assert_eq!(parts.as_ref(), Some(&used));
            }
        }
    }
}
