//! Guessing is bounded, and bounding it hands attackers no switch (DESIGN, "Throttle").
//!
//! Three bounds, all pure. Per origin: after a few free failures each further one brings a longer hold, which
//! only that origin feels. Per account: a leaky bucket, whatever succeeds in between, of which a share is kept
//! for origins that succeeded before. And after 100 failures since the last acceptance, time-based codes are off
//! (NIST SP 800-63B-4 section 3.2.2); of codes that were sent, [`State`](crate::state::State) keeps a count of its own. A held
//! attempt is refused without being compared, counted or written.

use std::time::Duration;

use crate::origin::Origin;
use crate::policy::{Breadth, ThrottlePolicy};
use crate::time::UnixTime;

/// Origins remembered because they succeeded; strangers never push them out.
pub const MAX_TRUSTED: usize = 8;
/// Other origins remembered. Filling the table buys nothing: the account's bucket bounds all of them together.
pub const MAX_STRANGERS: usize = 8;

/// What is remembered of one user's failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Failures since the last acceptance of any code.
    pub failures: u32,
    /// When the account's bucket will have run dry; `None` or past: it is dry.
    pub dry_at: Option<UnixTime>,
    /// When a failure was counted last: the times here are to be read as of then.
    pub counted_at: Option<UnixTime>,
    /// What is remembered by origin, the most recent last.
    pub origins: Vec<OriginRecord>,
}

/// What is remembered of one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginRecord {
    /// Whose it is.
    pub origin: Origin,
    /// Failures in a row.
    pub failures: u32,
    /// Until when it is held, if it is.
    pub held_until: Option<UnixTime>,
    /// Whether a code from there was ever accepted.
    pub trusted: bool,
}

/// Whether an answer may be compared at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Gate {
    /// It may.
    Open,
    /// Not before this moment.
    Held(UnixTime),
    /// Not until an administrator unlocks her, or a stored or recovery code is accepted.
    Locked,
}

impl Throttle {
    /// Whether an answer from `origin` may be compared now. Call [`settle`](Self::settle) first.
    pub fn gate(&self, origin: &Origin, now: UnixTime, policy: &ThrottlePolicy) -> Gate {
        if self.failures >= policy.lock_after {
            return Gate::Locked;
        }
        let known = self.of(origin);
        let own = known.and_then(|record| record.held_until);
        let account = self.room_at(known.is_some_and(|record| record.trusted), policy);
        match own.max(account).filter(|until| now < *until) {
            Some(until) => Gate::Held(until),
            None => Gate::Open,
        }
    }

    /// Until when this origin is held for its own failures, whatever holds the account. Call [`settle`](Self::settle) first.
    #[must_use]
    pub fn own_hold(&self, origin: &Origin, now: UnixTime) -> Option<UnixTime> {
        let own = self.of(origin).and_then(|record| record.held_until);
        own.filter(|until| now < *until)
    }

    /// Counts a failure from `origin`.
    pub fn fail(&mut self, origin: Origin, now: UnixTime, policy: &ThrottlePolicy) {
        self.failures = self.failures.saturating_add(1);
        self.counted_at = Some(now);
        let dry_at = self.dry_at.map_or(now, |at| at.max(now));
        self.dry_at = Some(dry_at.plus(policy.drip()));
        let mut record = self.take(&origin).unwrap_or(OriginRecord {
            origin,
            failures: 0,
            held_until: None,
            trusted: false,
        });
        record.failures = record.failures.saturating_add(1);
        record.held_until = policy.hold(record.failures).map(|hold| now.plus(hold));
        self.remember(record);
    }

    /// Takes note of an acceptance from `origin`: its own hold ends, and the count of failures begins anew.
    /// The bucket stays as full as it was.
    pub fn succeed(&mut self, origin: Origin) {
        self.failures = 0;
        self.take(&origin);
        self.remember(OriginRecord {
            origin,
            failures: 0,
            held_until: None,
            trusted: true,
        });
    }

    /// Ends every hold and forgets every failure; origins that succeeded stay known.
    pub fn clear(&mut self) {
        self.failures = 0;
        self.dry_at = None;
        self.counted_at = None;
        self.origins.retain(|record| record.trusted);
        for record in &mut self.origins {
            record.failures = 0;
            record.held_until = None;
        }
    }

    /// Reads the times as of `now`. Where the clock went back since the last failure, what was left of every wait then is
    /// left of it now: a typo made while the clock was ahead holds nobody until that day comes. No wait is longer
    /// than the policy's longest. Forgets strangers whose hold ended more than a longest hold ago.
    pub fn settle(&mut self, now: UnixTime, policy: &ThrottlePolicy) {
        let ahead = self.counted_at.map_or(Duration::ZERO, |at| at.since(now));
        let left = |until: UnixTime, most| until.minus(ahead).min(now.plus(most));
        self.counted_at = self.counted_at.map(|at| at.min(now));
        let fullest = policy.drip().saturating_mul(policy.burst);
        self.dry_at = self.dry_at.map(|at| left(at, fullest));
        self.dry_at = self.dry_at.filter(|at| now < *at);
        for record in &mut self.origins {
            record.held_until = record.held_until.map(|until| left(until, policy.max_hold));
        }
        self.origins.retain(|record| {
            let over = |until: UnixTime| until.plus(policy.max_hold) <= now;
            record.trusted || !record.held_until.is_some_and(over)
        });
    }

    /// Until when anybody is held at all, for showing: the latest of all holds.
    #[must_use]
    pub fn held_until(&self, now: UnixTime, policy: &ThrottlePolicy) -> Option<UnixTime> {
        let origins = self.origins.iter().filter_map(|record| record.held_until);
        origins
            .chain(self.room_at(false, policy))
            .filter(|until| now < *until)
            .max()
    }

    /// When the bucket has room for one more failure, for an origin that succeeded before or a stranger.
    fn room_at(&self, trusted: bool, policy: &ThrottlePolicy) -> Option<UnixTime> {
        let share = if trusted {
            policy.burst
        } else {
            policy.burst.saturating_sub(policy.reserved)
        };
        let earlier = policy.drip().saturating_mul(share.saturating_sub(1));
        self.dry_at.map(|at| at.minus(earlier))
    }

    fn of(&self, origin: &Origin) -> Option<&OriginRecord> {
        self.origins.iter().find(|record| record.origin == *origin)
    }

    fn take(&mut self, origin: &Origin) -> Option<OriginRecord> {
        let index = self
            .origins
            .iter()
            .position(|record| record.origin == *origin)?;
        Some(self.origins.remove(index))
    }

    /// Puts a record last; where its kind has no room, the one longest unheard of goes.
    fn remember(&mut self, record: OriginRecord) {
        let limit = if record.trusted {
            MAX_TRUSTED
        } else {
            MAX_STRANGERS
        };
        let alike = |other: &&OriginRecord| other.trusted == record.trusted;
        if self.origins.iter().filter(alike).count() >= limit {
            if let Some(oldest) = self
                .origins
                .iter()
                .position(|other| other.trusted == record.trusted)
            {
                self.origins.remove(oldest);
            }
        }
        self.origins.push(record);
    }
}

impl ThrottlePolicy {
    /// How long the account's bucket takes to leak one failure: longer where a guess is right for more codes.
    #[must_use]
    pub fn drip(&self) -> Duration {
        let Breadth { codes, usual } = self.breadth;
        let day = 24_u64.saturating_mul(60 * 60);
        let drip = day.checked_div(u64::from(self.per_day)).unwrap_or(day);
        let slowed = drip.saturating_mul(codes.max(usual).into());
        Duration::from_secs(slowed.checked_div(usual.into()).unwrap_or(drip))
    }

    /// The same policy for a user of whom so many codes are right at once.
    #[must_use]
    pub fn with_breadth(&self, breadth: Breadth) -> Self {
        Self {
            breadth,
            ..self.clone()
        }
    }

    /// The hold after so many failures in a row from one origin: none while they are free, then the first
    /// hold, then four times the one before, up to the longest.
    #[must_use]
    pub fn hold(&self, failures: u32) -> Option<Duration> {
        let beyond = failures.checked_sub(self.free)?;
        let growth = 4_u32.saturating_pow(beyond.min(15));
        Some(self.first_hold.saturating_mul(growth).min(self.max_hold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn at(secs: u64) -> UnixTime {
        NOW.plus(Duration::from_secs(secs))
    }

    fn stranger(n: u32) -> Origin {
        Origin::of_address(std::net::Ipv4Addr::from_bits(0xc633_6400 + n).into())
    }

    fn policy() -> ThrottlePolicy {
        ThrottlePolicy::default()
    }

    #[test]
    fn failures_in_a_row_bring_growing_holds_to_one_origin_alone() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        let mut now = NOW;
        let mut holds = Vec::new();
        for _ in 0..8 {
            throttle.settle(now, &policy);
            assert_eq!(throttle.gate(&stranger(1), now, &policy), Gate::Open);
            throttle.fail(stranger(1), now, &policy);
            assert_eq!(throttle.gate(&stranger(2), now, &policy), Gate::Open);
            if let Gate::Held(until) = throttle.gate(&stranger(1), now, &policy) {
                holds.push(until.since(now).as_secs());
                now = until;
            }
        }
        assert_eq!(holds, [30, 120, 480, 1920, 7680, 30720]);
    }

    #[test]
    fn one_origin_never_fills_the_bucket_for_others() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        // It tries whenever it may, every ten seconds for ninety days.
        for tick in 0..90 * 8640 {
            let now = at(tick * 10);
            throttle.settle(now, &policy);
            if throttle.gate(&stranger(1), now, &policy) == Gate::Open {
                throttle.fail(stranger(1), now, &policy);
                throttle.failures = 0; // the owner logs in
            }
            let owner = throttle.gate(&stranger(2), now, &policy);
            assert_eq!(owner, Gate::Open, "after {} s", tick * 10);
        }
    }

    #[test]
    fn many_origins_share_one_bucket_of_which_the_owner_keeps_a_part() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        let home = stranger(0);
        throttle.succeed(home);
        let mut guesses = 0;
        for n in 1..=100 {
            if throttle.gate(&stranger(n), NOW, &policy) == Gate::Open {
                throttle.fail(stranger(n), NOW, &policy);
                guesses += 1;
            }
        }
        assert_eq!(guesses, policy.burst - policy.reserved);
        assert_eq!(throttle.gate(&home, NOW, &policy), Gate::Open);
        throttle.fail(home, NOW, &policy);
        assert_eq!(throttle.gate(&home, NOW, &policy), Gate::Open);
    }

    #[test]
    fn a_year_of_guessing_from_everywhere_stays_within_the_goal() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        let mut guesses = 0_u32;
        for minute in 0..365 * 24 * 60 {
            let now = at(minute * 60);
            throttle.settle(now, &policy);
            if minute % (24 * 60) == 0 {
                throttle.succeed(stranger(0));
            }
            let origin = stranger(u32::try_from(minute % 100_000).unwrap() + 1);
            if throttle.gate(&origin, now, &policy) == Gate::Open {
                throttle.fail(origin, now, &policy);
                guesses += 1;
            }
        }
        // Window 1: three codes of a million are right at any time. 3,350 guesses make one percent.
        assert!(guesses <= 3_350, "{guesses} guesses");
    }

    #[test]
    fn a_hundred_failures_lock_until_any_code_is_accepted() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        for day in 0..100 {
            throttle.settle(at(day * 86_400), &policy);
            throttle.fail(stranger(1), at(day * 86_400), &policy);
        }
        let much_later = at(200 * 86_400);
        throttle.settle(much_later, &policy);
        assert_eq!(
            throttle.gate(&stranger(2), much_later, &policy),
            Gate::Locked
        );
        throttle.succeed(stranger(2));
        assert_eq!(throttle.gate(&stranger(2), much_later, &policy), Gate::Open);
    }

    #[test]
    fn success_ends_its_own_origins_hold_and_no_other() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        for _ in 0..3 {
            throttle.fail(stranger(1), NOW, &policy);
            throttle.fail(stranger(2), NOW, &policy);
        }
        throttle.succeed(stranger(1));
        assert_eq!(throttle.gate(&stranger(1), NOW, &policy), Gate::Open);
        assert!(matches!(
            throttle.gate(&stranger(2), NOW, &policy),
            Gate::Held(_)
        ));
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_what_was_left_of_a_wait() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        for days in [1, 365] {
            let ahead = at(days * 86_400);
            throttle.fail(stranger(1), ahead, &policy);
            throttle.settle(NOW, &policy);
            assert_eq!(throttle.gate(&stranger(1), NOW, &policy), Gate::Open);
        }
        throttle.fail(stranger(1), at(86_400), &policy);
        throttle.settle(at(60), &policy);
        let settled = throttle.clone();
        throttle.settle(at(60), &policy);
        assert_eq!(throttle, settled, "settling is done once");
        let gate = |throttle: &Throttle, now| throttle.gate(&stranger(1), now, &policy);
        assert_eq!(gate(&throttle, at(60)), Gate::Held(at(90)));
        throttle.settle(at(90), &policy);
        assert_eq!(gate(&throttle, at(90)), Gate::Open);
    }

    #[test]
    fn the_latest_wait_is_told_and_clearing_ends_them_all() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        assert_eq!(throttle.held_until(NOW, &policy), None);
        throttle.succeed(stranger(9));
        for _ in 0..3 {
            throttle.fail(stranger(1), NOW, &policy);
        }
        for _ in 0..4 {
            throttle.fail(stranger(2), NOW, &policy);
        }
        assert_eq!(throttle.held_until(NOW, &policy), Some(at(120)));
        assert_eq!(throttle.held_until(at(119), &policy), Some(at(120)));
        assert_eq!(throttle.held_until(at(120), &policy), None);
        // The bucket is full for strangers: of nine, one has to leak away.
        for n in 10..15 {
            throttle.fail(stranger(n), NOW, &policy);
        }
        assert_eq!(throttle.held_until(NOW, &policy), Some(at(4 * 10_800)));
        throttle.clear();
        assert_eq!(throttle.held_until(NOW, &policy), None);
        assert_eq!(throttle.failures, 0);
        assert_eq!(throttle.origins.len(), 1, "who succeeded stays known");
    }

    #[test]
    fn a_bucket_is_forgotten_when_dry_and_a_stranger_a_longest_hold_after_his_own() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        throttle.succeed(stranger(9));
        for _ in 0..3 {
            throttle.fail(stranger(1), NOW, &policy);
            throttle.fail(stranger(9), NOW, &policy);
        }
        throttle.fail(stranger(2), NOW, &policy);
        let settled = |secs| {
            let mut throttle = throttle.clone();
            throttle.settle(at(secs), &policy);
            let origins = throttle.origins.iter().map(|record| record.origin);
            (throttle.dry_at.is_some(), origins.collect::<Vec<_>>())
        };
        let (held, dry) = (30, 7 * 10_800);
        assert!(settled(dry - 1).0 && !settled(dry).0);
        let all = [stranger(1), stranger(9), stranger(2)];
        assert_eq!(settled(held + 86_399).1, all);
        assert_eq!(settled(held + 86_400).1, all[1..], "never held, or trusted");
    }

    #[test]
    fn no_wait_in_a_record_is_longer_than_the_longest() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        throttle.fail(stranger(1), NOW, &policy);
        throttle.dry_at = Some(at(u64::MAX));
        throttle.origins[0].held_until = Some(at(u64::MAX));
        throttle.settle(NOW, &policy);
        let until = at(86_400);
        assert_eq!(throttle.gate(&stranger(1), NOW, &policy), Gate::Held(until));
    }

    #[test]
    fn the_table_of_origins_is_bounded_and_keeps_those_that_succeeded() {
        let (policy, mut throttle) = (policy(), Throttle::default());
        throttle.succeed(stranger(0));
        for n in 1..1000 {
            throttle.fail(stranger(n), NOW, &policy);
        }
        let known = |throttle: &Throttle| {
            let origins = throttle.origins.iter().map(|record| record.origin);
            origins.collect::<Vec<_>>()
        };
        let latest: Vec<Origin> = (992..1000).map(stranger).collect();
        assert_eq!(known(&throttle), [vec![stranger(0)], latest].concat());
        for n in 1..1000 {
            throttle.succeed(stranger(n));
        }
        let latest: Vec<Origin> = (992..1000).map(stranger).collect();
        assert_eq!(known(&throttle), latest, "the strangers are none any more");
    }
}
