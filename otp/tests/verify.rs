//! What is accepted, what is refused and why, and what each answer costs: `verify` on values.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::time::Duration;

use otp::delivery::Channel;
use otp::enrollment::{Authenticator, Enrollment, Generation, Kind, RecoveryList};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{CodeId, StoredCode};
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::passcode::{Passcode, RecoveryCode};
use otp::policy::Policy;
use otp::secret::Secret;
use otp::state::{AuthenticatorState, RecoveryState};
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::UserName;
use otp::verify::{Acceptance, Attempt, Method, Reason, Record, Verdict, verify};
use zeroize::Zeroizing;

/// The middle of a step, so that a few seconds either way change nothing.
const NOW: UnixTime = UnixTime::from_secs(1_800_000_015);
const HOME: Origin = Origin::Local(1000);

fn elsewhere(n: u8) -> Origin {
    Origin::of_address(std::net::Ipv4Addr::new(198, 51, 100, n).into())
}

/// A user under test: her record, and the clock and policy she is judged by.
struct User {
    record: Record,
    policy: Policy,
    now: UnixTime,
}

impl User {
    fn unknown() -> Self {
        let mut record = Record::none(UserName::parse("alice").unwrap());
        record.key = Some(DigestKey::from_bytes(Zeroizing::new([7; 32])));
        Self {
            record,
            policy: Policy::default(),
            now: NOW,
        }
    }

    fn enrolled() -> Self {
        Self::with(Algorithm::Sha1, 6, 30)
    }

    fn with(algorithm: Algorithm, digits: u64, period: u64) -> Self {
        let mut user = Self::unknown();
        let generation = Generation::from_bits(1);
        user.record.enrollment = Some(Enrollment {
            authenticators: vec![Authenticator {
                name: "phone".to_owned(),
                generation,
                kind: Kind::Totp {
                    period: Period::from_secs(period).unwrap(),
                },
                secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
                algorithm,
                length: CodeLength::new(digits).unwrap(),
                issuer: "host".to_owned(),
                label: "alice".to_owned(),
                enrolled_at: NOW,
            }],
            recovery: None,
        });
        user.record
            .state
            .authenticators
            .push(AuthenticatorState::fresh(generation));
        user
    }

    /// The code her phone shows `offset` steps from now.
    fn phone(&self, offset: i64) -> String {
        let phone = &self.record.enrollment.as_ref().unwrap().authenticators[0];
        let period = phone.kind.period().unwrap();
        let step = TimeStep::at(self.now, period).offset(offset).unwrap();
        let code = totp::code(&phone.secret, phone.algorithm, phone.length, step);
        code.expose().to_owned()
    }

    /// A code of as many digits as her phone shows, and none it shows anywhere near now.
    fn wrong(&self) -> String {
        let near: Vec<String> = (-50..50).map(|offset| self.phone(offset)).collect();
        let length = near[0].len();
        (0..)
            .map(|n| format!("{n:0length$}"))
            .find(|code| !near.contains(code))
            .unwrap()
    }

    fn issue(&mut self, code: &str, ttl: u64) {
        let id = CodeId::from_bytes([u8::try_from(self.record.issued.len()).unwrap(), 0, 0, 0]);
        let Ok(Passcode::Digits(digits)) = Passcode::parse(code.as_bytes()) else {
            panic!("stored codes are digits");
        };
        let key = self.record.key.as_ref().unwrap();
        self.record.issued.push(StoredCode::fresh(
            id,
            u8::try_from(code.len()).unwrap(),
            key.stored(&self.record.user, id, &digits),
            self.now,
            Duration::from_secs(ttl),
        ));
    }

    /// The same, sent to her.
    fn send(&mut self, code: &str, ttl: u64) {
        self.issue(code, ttl);
        let sent = self.record.issued.last_mut().unwrap();
        (sent.sends, sent.channel) = (1, Some(Channel::Sms));
    }

    /// As many wrong answers at codes that were sent, ten at each, as nearly turn them off; and a code that is sent then.
    fn besieged(mut self, wrong: u32) -> Self {
        for n in 0..wrong {
            if n % 10 == 0 {
                self.record.issued.clear();
                self.send("48210937", 600);
            }
            let from = elsewhere(u8::try_from(n % 10).unwrap());
            assert_eq!(
                self.answer_from(from, "00000000"),
                refused(Reason::Mismatch)
            );
        }
        self.record.issued.clear();
        self.send("11112222", 600);
        self
    }

    fn give_recovery(&mut self, codes: &[&str]) {
        let generation = Generation::from_bits(9);
        let key = self.record.key.as_ref().unwrap();
        let digests = codes.iter().map(|code| {
            let code = recovery(code);
            key.recovery(&self.record.user, generation, &code)
        });
        self.record.enrollment.as_mut().unwrap().recovery = Some(RecoveryList {
            generation,
            digits: None,
            digests: digests.collect(),
        });
        self.record.state.recovery.push(RecoveryState {
            generation,
            used: 0,
        });
    }

    /// Answers, keeps what must be kept, and tells the verdict.
    fn answer_from(&mut self, origin: Origin, typed: &str) -> Verdict {
        let Ok(passcode) = Passcode::parse(typed.as_bytes()) else {
            return Verdict::Refused(Reason::Malformed);
        };
        let attempt = Attempt {
            passcode: &passcode,
            origin,
            now: self.now,
        };
        let outcome = verify(&self.record, &attempt, &self.policy);
        for changed in outcome.changes.issued {
            let mut codes = self.record.issued.iter_mut();
            let place = codes.find(|code| code.id == changed.id).unwrap();
            *place = changed;
        }
        if let Some(state) = outcome.changes.state {
            self.record.state = state;
        }
        outcome.verdict
    }

    fn answer(&mut self, typed: &str) -> Verdict {
        self.answer_from(HOME, typed)
    }

    fn later(&mut self, secs: u64) {
        self.now = self.now.plus(Duration::from_secs(secs));
    }
}

fn recovery(code: &str) -> RecoveryCode {
    match Passcode::parse(code.as_bytes()) {
        Ok(Passcode::Recovery(code)) => code,
        _ => panic!("no recovery code"),
    }
}

fn accepted(method: Method, offset: Option<i64>) -> Verdict {
    Verdict::Accepted(Acceptance { method, offset })
}

const fn refused(reason: Reason) -> Verdict {
    Verdict::Refused(reason)
}

#[test]
fn the_current_code_is_accepted_once() {
    let mut alice = User::enrolled();
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
    assert_eq!(alice.answer(&code), refused(Reason::Used));
    alice.later(30);
    assert_eq!(alice.answer(&code), refused(Reason::Used));
}

#[test]
fn one_step_of_skew_either_way_is_tolerated_and_two_are_not() {
    for (offset, verdict) in [
        (-2, refused(Reason::OtherTime(-2))),
        (-1, accepted(Method::Totp, Some(-1))),
        (1, accepted(Method::Totp, Some(1))),
        (2, refused(Reason::OtherTime(2))),
    ] {
        let mut alice = User::enrolled();
        let code = alice.phone(offset);
        assert_eq!(alice.answer(&code), verdict, "offset {offset}");
    }
}

#[test]
fn the_window_is_policy() {
    let mut alice = User::enrolled();
    alice.policy.window = 0;
    let early = alice.phone(1);
    assert_eq!(alice.answer(&early), refused(Reason::OtherTime(1)));
    alice.policy.window = 10;
    let late = alice.phone(-10);
    assert_eq!(alice.answer(&late), accepted(Method::Totp, Some(-10)));
}

#[test]
fn every_step_before_an_accepted_one_is_dead() {
    let mut alice = User::enrolled();
    let (before, code) = (alice.phone(-1), alice.phone(0));
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
    assert_eq!(alice.answer(&before), refused(Reason::Used));
    let next = alice.phone(1);
    assert_eq!(alice.answer(&next), accepted(Method::Totp, Some(1)));
}

#[test]
fn all_algorithms_lengths_and_periods_log_in() {
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        for digits in 6..=8 {
            for period in [5, 30, 60, 300] {
                let mut alice = User::with(algorithm, digits, period);
                let code = alice.phone(0);
                assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
            }
        }
    }
}

#[test]
fn a_login_made_ahead_blocks_nobody_now_and_is_dead_when_its_day_comes() {
    let mut alice = User::enrolled();
    alice.later(86_400);
    let ahead = alice.phone(0);
    assert_eq!(alice.answer(&ahead), accepted(Method::Totp, Some(0)));
    alice.now = NOW;
    for _ in 0..20 {
        let code = alice.phone(0);
        assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
        alice.later(3600);
    }
    alice.now = NOW;
    alice.later(86_400);
    assert_eq!(alice.answer(&ahead), refused(Reason::Used));
    let next = alice.phone(1);
    assert_eq!(alice.answer(&next), accepted(Method::Totp, Some(1)));
}

#[test]
fn a_thousand_daily_logins_are_all_accepted_once() {
    let mut alice = User::enrolled();
    let mut old = Vec::new();
    for _ in 0..1000 {
        let code = alice.phone(0);
        assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
        assert_eq!(alice.answer(&code), refused(Reason::Used));
        old.push((alice.now, code));
        alice.later(86_400);
    }
    // And with the clock back on any of these days, its code stays dead.
    for (day, code) in old {
        alice.now = day;
        assert_eq!(alice.answer(&code), refused(Reason::Used));
    }
}

#[test]
fn a_stored_code_is_accepted_once_without_any_enrolment() {
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    assert_eq!(guest.answer("4821 0937"), accepted(Method::Issued, None));
    assert_eq!(guest.answer("48210937"), refused(Reason::Used));
}

#[test]
fn a_stored_code_dies_at_its_expiry_and_a_clock_set_back_does_not_revive_it() {
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    guest.issue("11112222", 600);
    guest.later(600);
    assert_eq!(guest.answer("48210937"), refused(Reason::Expired));
    guest.now = NOW;
    assert_eq!(guest.answer("48210937"), refused(Reason::Expired));
    assert_eq!(guest.answer("11112222"), refused(Reason::Expired));
}

#[test]
fn a_stored_code_is_good_until_the_second_before_its_expiry() {
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    guest.later(599);
    assert_eq!(guest.answer("48210937"), accepted(Method::Issued, None));
}

#[test]
fn a_stored_code_from_the_future_is_refused() {
    let mut guest = User::unknown();
    guest.later(3600);
    guest.issue("48210937", 600);
    guest.now = NOW;
    assert_eq!(guest.answer("48210937"), refused(Reason::ClockBehind));
}

#[test]
fn a_record_that_claims_a_year_of_life_has_a_day() {
    let mut guest = User::unknown();
    guest.issue("48210937", 365 * 86_400);
    guest.later(86_400);
    assert_eq!(guest.answer("48210937"), refused(Reason::Expired));
}

#[test]
fn a_digest_moved_to_another_user_or_code_matches_nothing() {
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    guest.record.user = UserName::parse("mallory").unwrap();
    assert_eq!(guest.answer("48210937"), refused(Reason::Mismatch));
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    guest.record.issued[0].id = CodeId::from_bytes([9; 4]);
    assert_eq!(guest.answer("48210937"), refused(Reason::Mismatch));
}

#[test]
fn a_strangers_guesses_never_spend_a_code_its_owner_holds() {
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    for n in 0..40 {
        let guess = format!("{n:08}");
        let _ = guest.answer_from(elsewhere(1), &guess);
    }
    assert_eq!(guest.record.issued[0].attempts(), 5);
    assert_eq!(
        guest.answer_from(elsewhere(1), "48210937"),
        refused(Reason::Throttled)
    );
    assert_eq!(guest.answer("48210937"), accepted(Method::Issued, None));
}

#[test]
fn somebody_on_this_machine_guesses_from_one_address_whichever_she_binds() {
    let mut user = User::enrolled();
    user.issue("49203918", 600);
    for n in 1..=60 {
        let loopback = Origin::of_address(std::net::Ipv4Addr::new(127, 0, n, 1).into());
        let wrong = user.wrong();
        for typed in ["11111111", &wrong] {
            assert!(matches!(
                user.answer_from(loopback, typed),
                Verdict::Refused(_)
            ));
        }
    }
    let totp = accepted(Method::Totp, Some(0));
    let phone = user.phone(0);
    assert_eq!(user.answer_from(elsewhere(1), &phone), totp);
    let issued = accepted(Method::Issued, None);
    assert_eq!(user.answer_from(elsewhere(2), "49203918"), issued);
}

#[test]
fn fifty_guesses_from_everywhere_end_a_code() {
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    for n in 0..100 {
        let _ = guest.answer_from(elsewhere(n), &format!("{n:08}"));
    }
    assert_eq!(guest.record.issued[0].attempts(), 50);
    assert_ne!(guest.answer("48210937"), accepted(Method::Issued, None));
}

#[test]
fn ten_guesses_from_everywhere_end_a_code_that_was_sent() {
    let mut guest = User::unknown();
    guest.send("48210937", 600);
    for n in 0..40 {
        let _ = guest.answer_from(elsewhere(n), &format!("{n:08}"));
    }
    assert_eq!(guest.record.issued[0].attempts(), 10);
    assert_eq!(guest.record.state.sent_failures, 10);
    assert_eq!(guest.answer("48210937"), refused(Reason::Throttled));
}

#[test]
fn a_hundred_wrong_answers_turn_sent_codes_off_and_nothing_else() {
    let mut alice = User::enrolled().besieged(99);
    assert_eq!(alice.answer("00000000"), refused(Reason::Mismatch));
    let before = alice.record.state.clone();
    for typed in ["11112222", "00000000"] {
        let verdict = alice.answer_from(elsewhere(1), typed);
        assert_eq!(verdict, refused(Reason::Locked), "{typed}");
    }
    assert_eq!(alice.record.issued[0].attempts(), 1, "not compared");
    assert_eq!(alice.record.state, before);
    assert_eq!(before.throttle.failures, 0);
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
    assert_eq!(alice.answer("11112222"), accepted(Method::Issued, None));
}

#[test]
fn any_code_that_is_accepted_turns_sent_codes_on_again() {
    let locked = || {
        let mut alice = User::enrolled().besieged(100);
        alice.give_recovery(&["7kq2-m4tx-9bnc-2xwd"]);
        alice.issue("33334444", 600);
        alice
    };
    for typed in ["33334444", "7kq2-m4tx-9bnc-2xwd"] {
        let mut alice = locked();
        assert_eq!(alice.answer("11112222"), refused(Reason::Locked));
        assert!(matches!(alice.answer(typed), Verdict::Accepted(_)));
        assert_eq!(alice.record.state.sent_failures, 0, "{typed}");
        assert_eq!(alice.answer("11112222"), accepted(Method::Issued, None));
    }
    let mut alice = locked();
    alice.record.state.throttle.failures = 100;
    alice.record.state.unlock();
    assert_eq!(alice.record.state.throttle.failures, 0);
    assert_eq!(alice.answer("11112222"), accepted(Method::Issued, None));
    let mut alice = User::enrolled().besieged(99);
    assert_eq!(alice.answer("11112222"), accepted(Method::Issued, None));
    assert_eq!(alice.record.state.sent_failures, 0, "a sent one");
}

#[test]
fn an_answer_counts_once_at_all_sent_codes_and_only_where_it_is_a_guess_at_one() {
    let mut alice = User::enrolled();
    alice.issue("7777777", 600);
    let counts = |alice: &mut User, from: u8, typed: &str| {
        let before = alice.record.state.sent_failures;
        let _ = alice.answer_from(elsewhere(from), typed);
        alice.record.state.sent_failures - before
    };
    assert_eq!(counts(&mut alice, 1, "00000000"), 0, "none is sent");
    alice.send("48210937", 600);
    alice.send("11112222", 600);
    alice.send("55556666", 60);
    assert_eq!(counts(&mut alice, 1, "00000000"), 1, "three are");
    let wrong = alice.wrong();
    assert_eq!(counts(&mut alice, 1, &wrong), 0, "of the phone's length");
    assert_eq!(counts(&mut alice, 1, "0000000"), 0, "of the told one's");
    assert_eq!(counts(&mut alice, 1, "0123-4567-89ab-cdef"), 0, "recovery");
    alice.later(60);
    assert_eq!(counts(&mut alice, 1, "55556666"), 0, "right once");
    for _ in 1..5 {
        assert_eq!(counts(&mut alice, 1, "00000000"), 1);
    }
    assert_eq!(counts(&mut alice, 1, "00000000"), 0, "not heard");
    assert_eq!(counts(&mut alice, 2, "00000000"), 1, "from elsewhere");
    alice.record.state.disabled = true;
    assert_eq!(counts(&mut alice, 2, "00000000"), 0, "disabled");
    assert_eq!(alice.record.state.throttle.failures, 1, "the phone's");
}

#[test]
fn guesses_at_the_phone_leave_sent_codes_on() {
    let mut alice = User::enrolled();
    alice.send("48210937", 600);
    alice.record.state.throttle.failures = 100;
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), refused(Reason::Locked));
    assert_eq!(alice.answer("48210937"), accepted(Method::Issued, None));
}

#[test]
fn an_answer_counts_against_stored_codes_only_at_their_length() {
    let mut alice = User::enrolled();
    alice.issue("48210937", 600);
    let wrong = alice.wrong();
    assert_eq!(alice.answer(&wrong), refused(Reason::Mismatch));
    assert_eq!(alice.record.issued[0].attempts(), 0);
    assert_eq!(alice.record.state.throttle.failures, 1);
    assert_eq!(alice.answer("00000000"), refused(Reason::Mismatch));
    assert_eq!(alice.record.issued[0].attempts(), 1);
    assert_eq!(alice.record.state.throttle.failures, 1);
}

#[test]
fn a_right_answer_counts_against_none_of_the_others() {
    let mut guest = User::unknown();
    guest.issue("11111111", 600);
    guest.issue("22222222", 600);
    assert_eq!(guest.answer("22222222"), accepted(Method::Issued, None));
    assert_eq!(guest.record.issued[0].attempts(), 0);
    assert_eq!(guest.answer("22222222"), refused(Reason::Used));
    assert_eq!(guest.record.issued[0].attempts(), 0);
    assert_eq!(guest.answer("11111111"), accepted(Method::Issued, None));
}

#[test]
fn a_guess_beside_spent_codes_is_a_guess_and_counts_against_the_live_one() {
    let mut guest = User::unknown();
    guest.issue("11111111", 600);
    guest.issue("22222222", 60);
    guest.issue("33333333", 600);
    assert_eq!(guest.answer("11111111"), accepted(Method::Issued, None));
    guest.later(60);
    assert_eq!(guest.answer("44444444"), refused(Reason::Mismatch));
    let attempts: Vec<u32> = guest
        .record
        .issued
        .iter()
        .map(StoredCode::attempts)
        .collect();
    assert_eq!(attempts, [0, 0, 1]);
}

#[test]
fn only_the_codes_that_changed_are_to_be_kept() {
    let mut guest = User::unknown();
    guest.issue("11111111", 600);
    guest.issue("222222", 600);
    let changed = |typed: &str| {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin: HOME,
            now: guest.now,
        };
        let outcome = verify(&guest.record, &attempt, &guest.policy);
        let ids = outcome.changes.issued.iter().map(|code| code.id);
        ids.collect::<Vec<_>>()
    };
    let (long, short) = (guest.record.issued[0].id, guest.record.issued[1].id);
    assert_eq!(changed("11111111"), [long], "accepted");
    assert_eq!(changed("333333"), [short], "a wrong answer");
    assert_eq!(changed("7777777"), [], "no code is as long");
}

#[test]
fn a_recovery_code_is_accepted_once_in_any_spelling() {
    let mut alice = User::enrolled();
    alice.give_recovery(&["7kq2-m4tx-9bnc-2xwd", "0000-1111-2222-3333"]);
    assert_eq!(
        alice.answer("7KQ2M4TX 9BNC2XWD"),
        accepted(Method::Recovery, None)
    );
    assert_eq!(alice.answer("7kq2-m4tx-9bnc-2xwd"), refused(Reason::Used));
    assert_eq!(
        alice.answer("zzzz-zzzz-zzzz-zzzz"),
        refused(Reason::Mismatch)
    );
    assert_eq!(
        alice.answer("oooo-iiLL-2222-3333"),
        accepted(Method::Recovery, None)
    );
}

#[test]
fn a_used_code_is_no_failure() {
    let mut alice = User::enrolled();
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
    for _ in 0..200 {
        assert_eq!(alice.answer(&code), refused(Reason::Used));
    }
    assert_eq!(alice.record.state.throttle.failures, 0);
}

#[test]
fn three_failures_hold_an_origin_and_a_held_answer_is_neither_compared_nor_written() {
    let mut alice = User::enrolled();
    let wrong = alice.wrong();
    for _ in 0..3 {
        assert_eq!(
            alice.answer_from(elsewhere(1), &wrong),
            refused(Reason::Mismatch)
        );
    }
    let code = alice.phone(0);
    let before = alice.record.state.clone();
    assert_eq!(
        alice.answer_from(elsewhere(1), &code),
        refused(Reason::Throttled)
    );
    assert_eq!(alice.record.state, before);
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
    alice.later(30);
    let code = alice.phone(1);
    assert_eq!(
        alice.answer_from(elsewhere(1), &code),
        accepted(Method::Totp, Some(1))
    );
}

#[test]
fn stored_and_recovery_codes_stay_usable_while_the_app_is_held_and_end_the_lock() {
    let mut alice = User::enrolled();
    alice.give_recovery(&["7kq2-m4tx-9bnc-2xwd"]);
    alice.issue("48210937", 600);
    alice.record.state.throttle.failures = 100;
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), refused(Reason::Locked));
    assert_eq!(
        alice.answer("7kq2-m4tx-9bnc-2xwd"),
        accepted(Method::Recovery, None)
    );
    alice.record.state.throttle.failures = 100;
    assert_eq!(alice.answer("48210937"), accepted(Method::Issued, None));
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
}

#[test]
fn disabled_refuses_every_code_and_spends_none() {
    let mut alice = User::enrolled();
    alice.give_recovery(&["7kq2-m4tx-9bnc-2xwd"]);
    alice.issue("48210937", 600);
    alice.record.state.disabled = true;
    let code = alice.phone(0);
    for typed in [&code, "7kq2-m4tx-9bnc-2xwd", "48210937"] {
        assert_eq!(alice.answer(typed), refused(Reason::Disabled));
    }
    alice.record.state.disabled = false;
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
}

#[test]
fn who_has_nothing_is_not_enrolled_and_leaves_no_trace() {
    let mut nobody = User::unknown();
    assert_eq!(nobody.answer("123456"), refused(Reason::NotEnrolled));
    assert_eq!(
        nobody.answer("7kq2-m4tx-9bnc-2xwd"),
        refused(Reason::NotEnrolled)
    );
    assert_eq!(nobody.record.state, otp::state::State::default());
}

#[test]
fn a_secret_its_state_does_not_know_is_no_open_replay() {
    let mut alice = User::enrolled();
    alice.record.state.authenticators.clear();
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), refused(Reason::Used));
}

#[test]
fn digits_that_are_right_in_two_places_are_spent_in_both() {
    let mut alice = User::enrolled();
    let code = alice.phone(0);
    alice.issue(&code, 600);
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
    assert_eq!(alice.answer(&code), refused(Reason::Used));
}

#[test]
fn a_spent_stored_code_is_no_free_guess_at_the_phone() {
    let mut alice = User::enrolled();
    let spent = alice.wrong();
    alice.issue(&spent, 600);
    assert_eq!(alice.answer(&spent), accepted(Method::Issued, None));
    assert_eq!(alice.answer(&spent), refused(Reason::Used));
    assert_eq!(alice.record.state.throttle.failures, 1);
}

#[test]
fn what_refuses_a_code_never_exempts_its_owner() {
    let mut guest = User::unknown();
    guest.issue("48210937", 600);
    guest.record.issued[0].attempts = vec![(HOME, 50)];
    assert!(guest.record.can_answer(NOW), "guessed out");
    let earlier = NOW.minus(Duration::from_secs(5));
    assert!(guest.record.can_answer(earlier), "not yet good");
    guest.later(600);
    assert!(!guest.record.can_answer(guest.now), "expired");
    guest.record.state.disabled = true;
    assert!(guest.record.can_answer(guest.now), "disabled");
}

/// Makes it the first second of a step.
fn on_a_step(user: &mut User) {
    user.now = UnixTime::from_secs(NOW.as_secs() / 30 * 30);
}

#[test]
fn a_clock_up_to_a_day_before_the_enrolment_is_believed_and_none_before_that() {
    let mut alice = User::enrolled();
    on_a_step(&mut alice);
    let enrolled = alice.now;
    let phone = &mut alice.record.enrollment.as_mut().unwrap().authenticators[0];
    phone.enrolled_at = enrolled;
    alice.now = enrolled.minus(Duration::from_secs(24 * 60 * 60 + 30));
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), refused(Reason::ClockBehind));
    assert_eq!(alice.record.state.throttle.failures, 0, "no failure");
    let wrong = alice.wrong();
    assert_eq!(alice.answer(&wrong), refused(Reason::Mismatch));
    alice.later(30);
    let code = alice.phone(0);
    assert_eq!(alice.answer(&code), accepted(Method::Totp, Some(0)));
}

#[test]
fn after_a_boot_no_code_is_accepted_that_could_have_been_before_it() {
    let mut alice = User::enrolled();
    // Else the reach of a learned drift is refused, too.
    alice.policy.max_drift = 0;
    on_a_step(&mut alice);
    // Booted in the middle of this step: the next one could have been accepted before, by a phone that is ahead.
    alice.record.booted = Some(alice.now.plus(Duration::from_secs(10)));
    alice.later(15);
    for offset in [-1, 0, 1] {
        let code = alice.phone(offset);
        assert_eq!(alice.answer(&code), refused(Reason::TooEarly), "{offset}");
    }
    assert_eq!(alice.record.state.throttle.failures, 0, "no failure");
    alice.later(30);
    let (this, next) = (alice.phone(0), alice.phone(1));
    assert_eq!(alice.answer(&this), refused(Reason::TooEarly));
    assert_eq!(alice.answer(&next), accepted(Method::Totp, Some(1)));
}

#[test]
fn where_nothing_lasts_beyond_a_boot_other_codes_are_not_even_compared() {
    let mut alice = User::enrolled();
    alice.give_recovery(&["0123456789abcdef"]);
    alice.issue("48210937", 600);
    alice.record.until_boot = true;
    for typed in [
        "48210937",
        "11111111",
        "0123456789abcdef",
        "zzzzzzzzzzzzzzzz",
    ] {
        assert_eq!(alice.answer(typed), refused(Reason::ReadOnly), "{typed}");
    }
    assert_eq!(alice.record.issued[0].attempts(), 0);
    let wrong = alice.wrong();
    assert_eq!(alice.answer(&wrong), refused(Reason::Mismatch));
    assert_eq!(alice.record.state.throttle.failures, 1);
    let code = alice.phone(0);
    let passcode = Passcode::parse(code.as_bytes()).unwrap();
    let attempt = Attempt {
        passcode: &passcode,
        origin: HOME,
        now: alice.now,
    };
    let outcome = verify(&alice.record, &attempt, &alice.policy);
    assert_eq!(outcome.verdict, accepted(Method::Totp, Some(0)));
    assert!(outcome.changes.until_boot && outcome.changes.issued.is_empty());
}

#[test]
fn methods_and_reasons_have_the_names_scripts_rely_on() {
    let methods = [Method::Totp, Method::Hotp, Method::Issued, Method::Recovery];
    let names = methods.map(Method::name);
    assert_eq!(names, ["totp", "hotp", "issued", "recovery"]);
    for (reason, name) in [
        (Reason::Malformed, "malformed"),
        (Reason::NotEnrolled, "not-enrolled"),
        (Reason::Mismatch, "mismatch"),
        (Reason::Throttled, "throttled"),
        (Reason::Locked, "locked"),
        (Reason::ReadOnly, "unavailable"),
        (Reason::TooEarly, "too-early"),
        (Reason::ClockBehind, "too-early"),
        (Reason::Expired, "expired"),
        (Reason::Used, "used"),
        (Reason::Disabled, "disabled"),
    ] {
        assert_eq!(reason.name(), name);
    }
}
