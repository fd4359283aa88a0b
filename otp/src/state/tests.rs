//! Used steps and what else a login changes, against sets that forget nothing.

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
