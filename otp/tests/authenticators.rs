//! Tokens that count, several authenticators of one user, clocks that drift, recovery codes brought along, and addresses
//! that are remembered: `verify` on values.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::time::Duration;

use otp::enrollment::{Authenticator, Enrollment, Generation, Kind, RecoveryList};
use otp::hotp::{self, Algorithm, CodeLength};
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::secret::Secret;
use otp::state::{AuthenticatorState, RecoveryState};
use otp::time::{Period, TimeStep, UnixTime};
use otp::user::UserName;
use otp::verify::{Acceptance, Attempt, Method, Reason, Record, Verdict, verify};
use zeroize::Zeroizing;

/// The middle of a step.
const START: UnixTime = UnixTime::from_secs(1_800_000_015);
const PHONE: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const TABLET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const TOKEN: &str = "KRSXG5DTEBUW4IDBEB2G623FNYQGCYLB";

struct User {
    record: Record,
    policy: Policy,
    now: UnixTime,
}

impl User {
    fn new() -> Self {
        let mut record = Record::none(UserName::parse("alice").unwrap());
        record.key = Some(DigestKey::from_bytes(Zeroizing::new([7; 32])));
        record.enrollment = Some(Enrollment::default());
        Self {
            record,
            policy: Policy::default(),
            now: START,
        }
    }

    fn with(mut self, name: &str, kind: Kind, secret: &str) -> Self {
        let known = &mut self.record.enrollment.as_mut().unwrap().authenticators;
        let generation = Generation::from_bits(known.len() as u64);
        known.push(Authenticator {
            name: name.to_owned(),
            generation,
            kind,
            secret: Secret::from_base32(secret).unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "host".to_owned(),
            label: "alice".to_owned(),
            enrolled_at: START,
        });
        let fresh = AuthenticatorState::fresh(generation);
        self.record.state.authenticators.push(fresh);
        self
    }

    fn phone() -> Self {
        let period = Period::THIRTY;
        Self::new().with("phone", Kind::Totp { period }, PHONE)
    }

    fn token() -> Self {
        Self::new().with("token", Kind::Hotp, TOKEN)
    }

    /// The code of the authenticator of this index `ahead` steps of the present, or of counter `ahead`.
    fn code(&self, index: usize, ahead: i64) -> String {
        let one = &self.record.enrollment.as_ref().unwrap().authenticators[index];
        let factor = match one.kind {
            Kind::Totp { period } => {
                let now = TimeStep::at(self.now, period);
                now.offset(ahead).unwrap().number()
            }
            Kind::Hotp => u64::try_from(ahead).unwrap(),
        };
        let code = hotp::code(&one.secret, one.algorithm, one.length, factor);
        code.expose().to_owned()
    }

    fn answer_from(&mut self, origin: Origin, typed: &str) -> Verdict {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin,
            now: self.now,
        };
        let outcome = verify(&self.record, &attempt, &self.policy);
        if let Some(state) = outcome.changes.state {
            self.record.state = state;
        }
        outcome.verdict
    }

    fn answer(&mut self, typed: &str) -> Verdict {
        self.answer_from(Origin::Local(1000), typed)
    }

    /// Half an hour later, so that steps are far from one another.
    fn later(&mut self) {
        self.now = self.now.plus(Duration::from_secs(1800));
    }

    /// Answers with the code `offset` steps ahead, half an hour later.
    fn next_login(&mut self, offset: i64) -> Verdict {
        self.later();
        let code = self.code(0, offset);
        self.answer(&code)
    }
}

fn home() -> Origin {
    Origin::of_address("198.51.100.7".parse().unwrap())
}

fn accepted(method: Method, offset: i64) -> Verdict {
    Verdict::Accepted(Acceptance {
        method,
        offset: Some(offset),
    })
}

fn refused(reason: Reason) -> Verdict {
    Verdict::Refused(reason)
}

#[test]
fn a_token_goes_on_from_counter_to_counter_and_never_back() {
    let mut alice = User::token();
    for counter in 0..20 {
        let code = alice.code(0, counter);
        assert_eq!(alice.answer(&code), accepted(Method::Hotp, 0));
        assert_eq!(alice.answer(&code), refused(Reason::Used));
    }
    assert_eq!(alice.record.state.throttle.failures, 0, "no failures");
}

#[test]
fn presses_that_went_nowhere_are_looked_past_as_far_as_the_policy_says() {
    let mut alice = User::token();
    let (near, far) = (alice.code(0, 5), alice.code(0, 6 + 6));
    assert_eq!(alice.answer(&near), accepted(Method::Hotp, 5));
    for passed in 0..5 {
        let code = alice.code(0, passed);
        assert!(matches!(alice.answer(&code), Verdict::Refused(_)));
        alice.record.state.throttle.clear();
    }
    assert_eq!(alice.answer(&far), refused(Reason::OtherTime(6)));
    alice.record.state.throttle.clear();
    alice.policy.look_ahead = 6;
    assert_eq!(alice.answer(&far), accepted(Method::Hotp, 6));
}

#[test]
fn a_token_at_the_end_of_all_counters_opens_nothing() {
    let mut alice = User::token();
    alice.record.state.authenticators[0]
        .used
        .raise_to(u64::MAX - 1);
    let token = &alice.record.enrollment.as_ref().unwrap().authenticators[0];
    let last = hotp::code(&token.secret, token.algorithm, token.length, u64::MAX);
    let last = last.expose().to_owned();
    assert_eq!(alice.answer(&last), accepted(Method::Hotp, 0));
    assert_eq!(alice.answer(&last), refused(Reason::Used));
}

#[test]
fn where_nothing_lasts_beyond_a_boot_a_token_is_refused_and_not_counted() {
    let mut alice = User::token();
    alice.record.until_boot = true;
    let code = alice.code(0, 0);
    assert_eq!(alice.answer(&code), refused(Reason::ReadOnly));
    assert_eq!(alice.record.state.throttle.failures, 0);
}

#[test]
fn each_authenticator_has_used_codes_of_its_own() {
    let period = Period::THIRTY;
    let mut alice = User::phone()
        .with("tablet", Kind::Totp { period }, TABLET)
        .with("token", Kind::Hotp, TOKEN);
    let codes = [alice.code(0, 0), alice.code(1, 0), alice.code(2, 0)];
    assert_eq!(alice.answer(&codes[0]), accepted(Method::Totp, 0));
    assert_eq!(alice.answer(&codes[1]), accepted(Method::Totp, 0));
    assert_eq!(alice.answer(&codes[2]), accepted(Method::Hotp, 0));
    for code in &codes {
        assert_eq!(alice.answer(code), refused(Reason::Used));
    }
    let earlier = alice.code(1, -1);
    assert_eq!(alice.answer(&earlier), refused(Reason::Used));
    let later = alice.code(0, 1);
    assert_eq!(alice.answer(&later), accepted(Method::Totp, 1));
}

#[test]
fn a_code_of_two_authenticators_is_spent_at_both() {
    let period = Period::THIRTY;
    let mut alice = User::phone().with("copy", Kind::Totp { period }, PHONE);
    let code = alice.code(0, 0);
    assert_eq!(alice.answer(&code), accepted(Method::Totp, 0));
    assert_eq!(alice.answer(&code), refused(Reason::Used));
}

#[test]
fn a_guess_that_is_right_for_more_codes_comes_at_a_slower_pace() {
    let drip = |user: &User| user.record.throttle_policy(&user.policy).drip().as_secs();
    let period = Period::THIRTY;
    let usual = drip(&User::new());
    assert_eq!(usual, 3 * 3600);
    let mut one = User::phone();
    assert_eq!(drip(&one), usual);
    assert_eq!(
        drip(&User::token()),
        2 * usual,
        "six counters for three steps"
    );
    one.record.state.authenticators[0].drift.kept = 1;
    assert_eq!(drip(&one), usual * 4 / 3);
    one.record.state.authenticators[0].drift.kept = -4;
    assert_eq!(drip(&one), 2 * usual);
    let two = User::phone().with("tablet", Kind::Totp { period }, TABLET);
    assert_eq!(drip(&two), 2 * usual);
    let mut wide = User::phone();
    wide.policy.window = 10;
    assert_eq!(
        drip(&wide),
        usual,
        "the window is the administrator's to choose"
    );
}

#[test]
fn a_clock_that_drifts_away_slowly_is_followed_to_the_bound_and_no_further() {
    for sign in [1, -1] {
        let mut alice = User::phone();
        for offset in [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5] {
            let offset = sign * offset;
            assert_eq!(alice.next_login(offset), accepted(Method::Totp, offset));
        }
        assert_eq!(
            alice.next_login(sign * 6),
            refused(Reason::OtherTime(sign * 6))
        );
        assert_eq!(alice.next_login(0), accepted(Method::Totp, 0), "set right");
    }
}

#[test]
fn a_learned_drift_never_reaches_a_used_step_again() {
    let mut alice = User::phone();
    let mut seen = Vec::new();
    for offset in [
        1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -2, -2,
    ] {
        alice.now = alice.now.plus(Duration::from_secs(150));
        let code = alice.code(0, offset);
        assert!(matches!(alice.answer(&code), Verdict::Accepted(_)));
        seen.push(code);
        for old in seen.iter().rev().take(4) {
            assert!(matches!(alice.answer(old), Verdict::Refused(_)));
        }
        alice.record.state.throttle.clear();
    }
}

#[test]
fn without_drift_in_the_policy_nothing_is_learned() {
    let mut alice = User::phone();
    alice.policy.max_drift = 0;
    for _ in 0..5 {
        assert_eq!(alice.next_login(1), accepted(Method::Totp, 1));
    }
    assert_eq!(alice.next_login(2), refused(Reason::OtherTime(2)));
}

#[test]
fn what_is_right_for_another_time_counts_like_any_guess() {
    let mut alice = User::phone();
    assert_eq!(alice.next_login(20), refused(Reason::OtherTime(20)));
    assert_eq!(alice.next_login(-20), refused(Reason::OtherTime(-20)));
    assert_eq!(alice.next_login(21), refused(Reason::Mismatch));
    assert_eq!(alice.record.state.throttle.failures, 3);
    let code = alice.code(0, 15);
    assert_eq!(alice.answer(&code), refused(Reason::Throttled), "held");
}

fn with_scratch_codes(codes: &[&str]) -> User {
    let mut alice = User::phone();
    let generation = Generation::from_bits(9);
    let (key, name) = (alice.record.key.clone().unwrap(), alice.record.user.clone());
    let digest = |code: &&str| match Passcode::parse(code.as_bytes()) {
        Ok(Passcode::Digits(digits)) => key.scratch(&name, generation, &digits),
        _ => panic!("scratch codes are digits"),
    };
    alice.record.enrollment.as_mut().unwrap().recovery = Some(RecoveryList {
        generation,
        digests: codes.iter().map(digest).collect(),
        digits: CodeLength::new(8),
    });
    let used = 0;
    let entry = RecoveryState { generation, used };
    alice.record.state.recovery.push(entry);
    alice
}

#[test]
fn recovery_codes_of_other_software_are_each_good_once_and_guesses_at_them_are_bounded() {
    let mut alice = with_scratch_codes(&["12345678", "87654321"]);
    let by_recovery = Verdict::Accepted(Acceptance {
        method: Method::Recovery,
        offset: None,
    });
    assert_eq!(alice.answer("12345678"), by_recovery);
    assert_eq!(alice.answer("12345678"), refused(Reason::Used));
    assert_eq!(alice.record.state.throttle.failures, 0);
    for _ in 0..3 {
        assert_eq!(alice.answer("00000000"), refused(Reason::Mismatch));
    }
    assert_eq!(alice.answer("87654321"), refused(Reason::Throttled));
    assert_eq!(alice.record.state.throttle.failures, 3);
    alice.later();
    alice.record.until_boot = true;
    assert_eq!(alice.answer("87654321"), refused(Reason::ReadOnly));
    alice.record.until_boot = false;
    assert_eq!(alice.answer("87654321"), by_recovery);
}

#[test]
fn an_address_is_remembered_for_so_long_and_only_where_the_policy_says_so() {
    let mut alice = User::phone();
    let code = alice.code(0, 0);
    assert_eq!(alice.answer_from(home(), &code), accepted(Method::Totp, 0));
    assert!(alice.record.state.remembered.is_empty(), "off by default");
    alice.policy.remember = Some(Duration::from_secs(3600));
    let is_remembered = |alice: &User, origin: &Origin, after: u64| {
        let now = alice.now.plus(Duration::from_secs(after));
        alice.record.is_remembered(origin, now, &alice.policy)
    };
    assert!(!is_remembered(&alice, &home(), 0));
    alice.later();
    let code = alice.code(0, 0);
    assert_eq!(alice.answer_from(home(), &code), accepted(Method::Totp, 0));
    assert!(is_remembered(&alice, &home(), 0) && is_remembered(&alice, &home(), 3599));
    assert!(!is_remembered(&alice, &home(), 3600));
    let other = Origin::of_address("198.51.100.8".parse().unwrap());
    assert!(!is_remembered(&alice, &other, 0));
    let before = UnixTime::from_secs(alice.now.as_secs() - 1);
    assert!(
        !alice.record.is_remembered(&home(), before, &alice.policy),
        "a clock that went back"
    );
    alice.policy.remember = None;
    assert!(!is_remembered(&alice, &home(), 0));
}

#[test]
fn a_remembered_address_overrides_neither_a_hold_nor_a_disabling_nor_a_missing_enrolment() {
    let mut alice = User::phone();
    alice.policy.remember = Some(Duration::from_secs(86_400));
    let code = alice.code(0, 0);
    assert_eq!(alice.answer_from(home(), &code), accepted(Method::Totp, 0));
    let is_remembered = |alice: &User| {
        alice
            .record
            .is_remembered(&home(), alice.now, &alice.policy)
    };
    assert!(is_remembered(&alice));
    alice.record.state.disabled = true;
    assert!(!is_remembered(&alice));
    alice.record.state.disabled = false;
    for _ in 0..3 {
        assert!(is_remembered(&alice));
        assert!(matches!(
            alice.answer_from(home(), "000000"),
            Verdict::Refused(_)
        ));
    }
    assert!(!is_remembered(&alice), "held");
    alice.later();
    assert!(is_remembered(&alice));
    alice.record.enrollment = None;
    assert!(!is_remembered(&alice));
}

#[test]
fn somebody_at_this_machine_is_never_remembered() {
    let mut alice = User::phone();
    alice.policy.remember = Some(Duration::from_secs(86_400));
    let (code, local) = (alice.code(0, 0), Origin::Local(0));
    assert_eq!(alice.answer_from(local, &code), accepted(Method::Totp, 0));
    assert!(alice.record.state.remembered.is_empty());
    alice.record.state.remember(local, alice.now);
    assert!(!alice.record.is_remembered(&local, alice.now, &alice.policy));
}

/// How many of a year's guesses from ever new addresses are heard, whoever logs in meanwhile.
fn heard_in_a_year(user: &User) -> u64 {
    let policy = user.record.throttle_policy(&user.policy);
    let mut throttle = otp::throttle::Throttle::default();
    let (mut heard, mut stranger) = (0, 0);
    // As often as the bucket may leak, and a little more.
    for minute in (0..365 * 24 * 60).step_by(10) {
        let now = START.plus(Duration::from_secs(minute * 60));
        loop {
            stranger += 1;
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + stranger);
            let origin = Origin::of_address(address.into());
            throttle.settle(now, &policy);
            if throttle.gate(&origin, now, &policy) != otp::throttle::Gate::Open {
                break;
            }
            throttle.fail(origin, now, &policy);
            throttle.failures = 0;
            heard += 1;
        }
    }
    heard
}

#[test]
fn a_year_of_guesses_stays_below_one_in_a_hundred_whatever_a_user_has() {
    let period = Period::THIRTY;
    let totp = Kind::Totp { period };
    let mut drifted = User::phone();
    drifted.record.state.authenticators[0].drift.kept = 4;
    let mut all = User::phone()
        .with("tablet", totp, TABLET)
        .with("watch", totp, TOKEN);
    let three = heard_in_a_year(&all) * 9;
    for entry in &mut all.record.state.authenticators {
        entry.drift.kept = -4;
    }
    for right in [
        heard_in_a_year(&User::phone()) * 3,
        heard_in_a_year(&drifted) * 6,
        heard_in_a_year(&User::token()) * 6,
        three,
        heard_in_a_year(&all) * 18,
    ] {
        assert!((8_000..9_000).contains(&right), "{right} in a million");
    }
}
