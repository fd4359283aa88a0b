//! Resynchronisation on values: where it helps, and that it lets no used code in again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use otp::enrollment::{Authenticator, Enrollment, Generation, Kind};
use otp::hotp::{self, Algorithm, CodeLength};
use otp::origin::Origin;
use otp::passcode::{Digits, Passcode};
use otp::policy::Policy;
use otp::resync::{Claim, Resynced, resync};
use otp::secret::Secret;
use otp::state::AuthenticatorState;
use otp::time::{Period, TimeStep, UnixTime};
use otp::user::UserName;
use otp::verify::{Attempt, Reason, Record, Verdict, verify};
use proptest::prelude::*;

/// The middle of a step.
const START: UnixTime = UnixTime::from_secs(1_800_000_015);
const HERE: Origin = Origin::Local(0);

struct User {
    record: Record,
    policy: Policy,
    now: UnixTime,
}

impl User {
    fn with(kind: Kind) -> Self {
        let mut record = Record::none(UserName::parse("alice").unwrap());
        let generation = Generation::from_bits(1);
        let authenticator = Authenticator {
            name: "it".to_owned(),
            generation,
            kind,
            secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "host".to_owned(),
            label: "alice".to_owned(),
            enrolled_at: START,
        };
        record.enrollment = Some(Enrollment {
            authenticators: vec![authenticator],
            recovery: None,
        });
        let fresh = AuthenticatorState::fresh(generation);
        record.state.authenticators.push(fresh);
        Self {
            record,
            policy: Policy::default(),
            now: START,
        }
    }

    fn phone() -> Self {
        let period = Period::THIRTY;
        Self::with(Kind::Totp { period })
    }

    fn token(next: u64) -> Self {
        let mut user = Self::with(Kind::Hotp);
        if let Some(last) = next.checked_sub(1) {
            user.record.state.authenticators[0].used.raise_to(last);
        }
        user
    }

    fn step(&self) -> u64 {
        TimeStep::at(self.now, Period::THIRTY).number()
    }

    fn later(&mut self, secs: u64) {
        self.now = self.now.plus(Duration::from_secs(secs));
    }

    fn code(&self, factor: u64) -> Digits {
        let one = &self.record.enrollment.as_ref().unwrap().authenticators[0];
        let code = hotp::code(&one.secret, one.algorithm, one.length, factor);
        digits(code.expose())
    }

    /// The codes of these steps or counters.
    fn resync(&mut self, factors: [u64; 3]) -> Resynced {
        let codes = factors.map(|factor| self.code(factor));
        self.resync_with(&codes)
    }

    fn resync_with(&mut self, codes: &[Digits; 3]) -> Resynced {
        let enrollment = self.record.enrollment.as_ref().unwrap();
        let claim = Claim {
            authenticator: &enrollment.authenticators[0],
            codes,
            origin: HERE,
            now: self.now,
        };
        let (came, changes) = resync(&self.record, &claim, &self.policy);
        assert!(changes.issued.is_empty() && !changes.until_boot);
        if let Some(state) = changes.state {
            self.record.state = state;
        }
        came
    }

    fn login(&mut self, factor: u64) -> Verdict {
        let passcode = Passcode::Digits(self.code(factor));
        let attempt = Attempt {
            passcode: &passcode,
            origin: HERE,
            now: self.now,
        };
        let outcome = verify(&self.record, &attempt, &self.policy);
        if let Some(state) = outcome.changes.state {
            self.record.state = state;
        }
        outcome.verdict
    }

    fn entry(&self) -> &AuthenticatorState {
        &self.record.state.authenticators[0]
    }
}

fn digits(text: &str) -> Digits {
    match Passcode::parse(text.as_bytes()) {
        Ok(Passcode::Digits(digits)) => digits,
        _ => panic!("{text}"),
    }
}

const fn done(offset: i64) -> Resynced {
    Resynced::Done { offset }
}

const fn refused(reason: Reason) -> Resynced {
    Resynced::Refused(reason)
}

fn row_to(last: u64) -> [u64; 3] {
    [last - 2, last - 1, last]
}

#[test]
fn a_clock_that_is_off_by_no_more_than_the_policy_lets_it_be_is_known_from_then_on() {
    for offset in [-4_i64, -2, -1, 0, 1, 3, 4] {
        let mut user = User::phone();
        let shown = user.step().saturating_add_signed(offset);
        if offset.abs() > 1 {
            let before = user.login(shown);
            assert_eq!(before, Verdict::Refused(Reason::OtherTime(offset)));
        }
        assert_eq!(user.resync(row_to(shown)), done(offset));
        assert_eq!(user.entry().drift.learned(4), offset);
        user.later(30);
        assert!(
            matches!(user.login(shown + 1), Verdict::Accepted(_)),
            "{offset}"
        );
    }
}

#[test]
fn a_clock_that_is_further_off_is_told_by_how_much_and_nothing_changes() {
    for offset in [-1000_i64, -120, -5, 5, 6, 480, 1000] {
        let mut user = User::phone();
        let before = user.record.state.clone();
        let shown = user.step().saturating_add_signed(offset);
        let told = user.resync(row_to(shown));
        assert_eq!(told, refused(Reason::OtherTime(offset)));
        assert_eq!(user.record.state, before, "{offset}");
    }
    let mut user = User::phone();
    let shown = user.step() + 1001;
    assert_eq!(user.resync(row_to(shown)), refused(Reason::Mismatch));
}

#[test]
fn the_policy_has_the_last_word() {
    let mut user = User::phone();
    user.policy.max_drift = 0;
    let now = user.step();
    assert_eq!(user.resync(row_to(now + 2)), refused(Reason::OtherTime(2)));
    assert_eq!(
        user.resync(row_to(now + 1)),
        done(1),
        "the window is allowed anyway"
    );
    let mut user = User::phone();
    user.policy.max_drift = 20;
    assert_eq!(user.resync(row_to(now + 20)), done(20));
}

#[test]
fn the_codes_are_used_up_and_all_before_them_too() {
    let mut user = User::phone();
    let now = user.step();
    assert_eq!(user.resync(row_to(now)), done(0));
    for step in [now - 1, now] {
        assert_eq!(user.login(step), Verdict::Refused(Reason::Used));
    }
    assert_eq!(user.resync(row_to(now)), refused(Reason::Used));
    assert_eq!(
        user.resync(row_to(now + 1)),
        refused(Reason::Used),
        "two of them are"
    );
    user.later(90);
    assert_eq!(user.resync(row_to(now + 3)), done(0));

    let mut token = User::token(0);
    assert_eq!(token.resync([40, 41, 42]), done(40));
    assert_eq!(token.entry().used.next_counter(), Some(43));
    assert_eq!(token.login(42), Verdict::Refused(Reason::Used));
    assert!(!matches!(token.login(41), Verdict::Accepted(_)));
    assert_eq!(token.resync([40, 41, 42]), refused(Reason::Used));
    assert_eq!(token.resync([41, 42, 43]), refused(Reason::Used));
    assert!(matches!(token.login(43), Verdict::Accepted(_)));
}

#[test]
fn a_used_step_is_dead_where_the_clock_says_it_is_to_come() {
    // Google's learned drift let three used codes in again this way.
    let mut user = User::phone();
    let first = user.step();
    for step in first..first + 3 {
        assert!(matches!(user.login(step), Verdict::Accepted(_)));
        user.later(30);
    }
    for back in [0_u64, 30, 90, 150, 210] {
        let mut then = UnixTime::from_secs(user.now.as_secs() - back);
        std::mem::swap(&mut user.now, &mut then);
        let came = user.resync([first, first + 1, first + 2]);
        assert!(
            !matches!(came, Resynced::Done { .. }),
            "{back} s back: {came:?}"
        );
        for step in first..first + 3 {
            assert!(
                !matches!(user.login(step), Verdict::Accepted(_)),
                "{back} s back"
            );
        }
        user.now = then;
        user.record.state.throttle.clear();
    }
}

#[test]
fn a_token_is_found_a_thousand_codes_ahead_and_never_behind() {
    assert_eq!(User::token(0).resync([0, 1, 2]), done(0));
    assert_eq!(User::token(7).resync([1007, 1008, 1009]), done(1000));
    assert_eq!(
        User::token(7).resync([1008, 1009, 1010]),
        refused(Reason::Mismatch)
    );
    assert_eq!(User::token(7).resync([2, 3, 4]), refused(Reason::Mismatch));
    assert_eq!(User::token(7).resync([5, 6, 7]), refused(Reason::Used));
    let end = u64::MAX;
    assert_eq!(
        User::token(end - 2).resync([end - 2, end - 1, end]),
        done(0)
    );
    let mut spent = User::token(0);
    spent.record.state.authenticators[0].used.raise_to(end);
    assert_eq!(spent.resync([0, 1, 2]), refused(Reason::Used));
}

#[test]
fn codes_that_are_not_three_in_a_row_are_a_failure_and_nothing_else() {
    let mut user = User::phone();
    let now = user.step();
    let rows = [
        [now, now, now],
        [now, now - 1, now - 2],
        [now - 3, now - 1, now],
    ];
    for (n, row) in (1..).zip(rows) {
        let before = user.entry().clone();
        assert_eq!(user.resync(row), refused(Reason::Mismatch), "{row:?}");
        assert_eq!(user.record.state.throttle.failures, n);
        assert_eq!(*user.entry(), before);
    }
    // The fourth is not looked at: three in a row hold the origin, for logins as well.
    assert_eq!(user.resync(row_to(now)), refused(Reason::Throttled));
    assert_eq!(user.login(now), Verdict::Refused(Reason::Throttled));
    assert_eq!(User::token(0).resync([3, 5, 6]), refused(Reason::Mismatch));
}

#[test]
fn it_ends_no_hold_and_forgets_no_failure() {
    let mut user = User::phone();
    let now = user.step();
    for step in [now + 500, now + 600] {
        let _ = user.login(step);
    }
    assert_eq!(user.resync(row_to(now)), done(0));
    assert_eq!(user.record.state.throttle.failures, 2);
    assert_eq!(user.record.state.last, None);
    assert_eq!(user.entry().last_used_at, None);
    assert!(user.record.state.remembered.is_empty());
}

#[test]
fn who_is_locked_or_disabled_or_cannot_be_written_stays_so() {
    let mut user = User::phone();
    let now = user.step();
    user.record.state.throttle.failures = 100;
    assert_eq!(user.resync(row_to(now)), refused(Reason::Locked));
    user.record.state.throttle.failures = 0;
    user.record.until_boot = true;
    assert_eq!(user.resync(row_to(now)), refused(Reason::ReadOnly));
    user.record.until_boot = false;
    user.record.state.disabled = true;
    assert_eq!(user.resync(row_to(now)), refused(Reason::Disabled));
    assert_eq!(user.entry().used.runs(), []);
}

#[test]
fn codes_of_another_length_are_none_and_count_nowhere() {
    let mut user = User::phone();
    let codes = ["12345678", "12345678", "12345678"].map(digits);
    assert_eq!(user.resync_with(&codes), refused(Reason::Malformed));
    assert_eq!(user.record.state.throttle.failures, 0);
}

#[test]
fn a_secret_that_the_state_does_not_know_is_none_to_go_by() {
    let mut user = User::phone();
    user.record.state.authenticators.clear();
    let now = user.step();
    assert_eq!(user.resync(row_to(now)), refused(Reason::Used));
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The clock goes on, or back.
    Clock(i64),
    /// Somebody offers the code of a step so far from now.
    Login(i64),
    /// Somebody offers the three codes that end so far from now.
    Resync(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (-600_i64..900).prop_map(Event::Clock),
        (-8_i64..9).prop_map(Event::Login),
        (-8_i64..9).prop_map(Event::Resync),
        (-90_i64..90).prop_map(Event::Resync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against a model that forgets nothing: whatever clocks and people do, a step or counter that a login or a
    /// resynchronisation took is accepted by neither again.
    #[test]
    fn no_walk_of_logins_and_resynchronisations_takes_a_code_twice(
        events in proptest::collection::vec(event(), 1..40),
        counts in any::<bool>(),
        max_drift in 0_u8..=20,
    ) {
        let mut user = if counts { User::token(2000) } else { User::phone() };
        user.policy.max_drift = max_drift;
        let mut taken = BTreeSet::new();
        for event in events {
            // Guessing is bounded elsewhere.
            user.record.state.throttle.clear();
            let here = if counts { 2000 + taken.len() as u64 } else { user.step() };
            match event {
                Event::Clock(secs) => user.now = UnixTime::from_secs(user.now.as_secs().saturating_add_signed(secs)),
                Event::Login(offset) => {
                    let factor = here.saturating_add_signed(offset);
                    if let Verdict::Accepted(_) = user.login(factor) {
                        prop_assert!(taken.insert(factor), "{factor} again");
                    }
                }
                Event::Resync(offset) => {
                    let row = row_to(here.saturating_add_signed(offset));
                    if let Resynced::Done { .. } = user.resync(row) {
                        for factor in row {
                            prop_assert!(taken.insert(factor), "{factor} again");
                        }
                    }
                }
            }
        }
    }
}
