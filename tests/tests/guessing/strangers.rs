//! What strangers' guesses cost the owner, and what they cannot take from her.

use std::process::Command;
use std::time::Duration;

use otp::state::State;
use otp::store::Store;
use otp::throttle::{MAX_STRANGERS, MAX_TRUSTED};
use otp::verify::Changes;
use tests::pam::{Login, line};
use tests::sandbox::{Extras, OTPCTL, sandboxed, sandboxed_with, with_otpctl};
use tests::users::{Phone, account, issue, state, state_file, store};

const HOME: &str = "192.0.2.1";
const AWAY: &str = "203.0.113.9";
const RECOVERY: &str = "7kq2-m4tx-9bnc-2xwd";

fn login(from: &str, code: &str) -> &'static str {
    let login = Login::of("alice").from(from);
    login.typing(code).authenticate().answer
}

/// The n-th stranger: IPv4 addresses and IPv6 networks in turn.
fn stranger(n: u32) -> String {
    match n % 2 {
        0 => format!("198.51.{}.{}", n / 200, n % 200),
        _ => format!("2001:db8:{n:x}::{n:x}"),
    }
}

/// As if a day had gone by: every moment the throttle remembers lies a day further back.
fn a_day_goes_by() {
    let earlier = |state: &mut State| {
        let day = Duration::from_secs(24 * 60 * 60);
        state.throttle.dry_at = state.throttle.dry_at.map(|at| at.minus(day));
        for record in &mut state.throttle.origins {
            record.held_until = record.held_until.map(|at| at.minus(day));
        }
    };
    let change = |record: &otp::verify::Record| {
        let mut state = record.state.clone();
        earlier(&mut state);
        let changes = Changes {
            state: Some(state),
            ..Changes::default()
        };
        ((), changes)
    };
    store().update(&account("alice"), change).unwrap();
}

/// Strangers guess, each once a day from an address of his own, until time-based codes are off; how many days it took.
fn until_locked(wrong: &str) -> u32 {
    let mut addresses = 0..;
    for day in 1..100 {
        for n in addresses.by_ref().take(20) {
            assert_eq!(login(&stranger(n), wrong), "PAM_AUTH_ERR");
        }
        if state("alice").throttle.failures >= 100 {
            return day;
        }
        a_day_goes_by();
    }
    panic!("never");
}

#[test]
fn a_strangers_guesses_leave_the_owner_every_way_in_from_elsewhere() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[RECOVERY]);
        issue("alice", "48210937", 600);
        issue("alice", "907316", 600);
        let (six, eight) = (phone.wrong_code(), "12345678");
        for _ in 0..60 {
            assert_eq!(login("198.51.100.7", &six), "PAM_AUTH_ERR");
            assert_eq!(login("198.51.100.7", eight), "PAM_AUTH_ERR");
            assert_eq!(login("198.51.100.7", "7kq2-m4tx-9bnc-2xwe"), "PAM_AUTH_ERR");
        }
        assert_eq!(login(HOME, &phone.code()), "PAM_SUCCESS");
        assert_eq!(login(HOME, "48210937"), "PAM_SUCCESS");
        assert_eq!(login(HOME, "907316"), "PAM_SUCCESS");
        assert_eq!(login(HOME, RECOVERY), "PAM_SUCCESS");
    });
}

#[test]
fn a_recovery_code_works_even_where_a_stranger_guesses() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[RECOVERY]);
        let wrong = phone.wrong_code();
        for _ in 0..60 {
            login(HOME, &wrong);
        }
        assert_eq!(login(HOME, &phone.code()), "PAM_AUTH_ERR");
        assert_eq!(login(HOME, RECOVERY), "PAM_SUCCESS");
    });
}

#[test]
fn a_distributed_attack_is_held_by_the_account_and_the_owner_gets_in_where_she_was_before() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[RECOVERY]);
        assert_eq!(login(HOME, &phone.code()), "PAM_SUCCESS");
        let wrong = phone.wrong_code();
        for n in 0..200 {
            assert_eq!(login(&stranger(n), &wrong), "PAM_AUTH_ERR");
        }
        assert_eq!(state("alice").throttle.failures, 9);
        assert_eq!(
            login(AWAY, &phone.code_at(1)),
            "PAM_AUTH_ERR",
            "a new address has no share left"
        );
        assert_eq!(login(HOME, &wrong), "PAM_AUTH_ERR", "two typos");
        assert_eq!(login(HOME, &wrong), "PAM_AUTH_ERR", "two typos");
        assert_eq!(login(HOME, &phone.code_at(1)), "PAM_SUCCESS");
        assert_eq!(login(AWAY, RECOVERY), "PAM_SUCCESS");
    });
}

#[test]
fn all_hosts_of_one_ipv6_network_are_one_stranger() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let wrong = phone.wrong_code();
        for n in 0..100 {
            login(&format!("2001:db8:1:2:{n:x}::{n:x}"), &wrong);
        }
        assert_eq!(state("alice").throttle.failures, 3);
        assert_eq!(login("2001:db8:1:3::1", &phone.code()), "PAM_SUCCESS");
    });
}

#[test]
fn a_hundred_failures_turn_the_phone_off_until_a_stored_or_a_recovery_code_is_accepted() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[RECOVERY]);
        assert_eq!(login(HOME, &phone.code_at(-1)), "PAM_SUCCESS");
        let wrong = phone.wrong_code();
        for code in ["48210937", RECOVERY] {
            let days = until_locked(&wrong);
            assert!((12..=13).contains(&days), "{days} days of eight guesses");
            for n in 0..50 {
                login(&stranger(n), &wrong);
            }
            assert_eq!(state("alice").throttle.failures, 100, "it stops there");
            assert_eq!(login(HOME, &phone.code()), "PAM_AUTH_ERR");
            issue("alice", "48210937", 600);
            assert_eq!(login(AWAY, code), "PAM_SUCCESS");
            assert_eq!(state("alice").throttle.failures, 0);
        }
        assert_eq!(login(HOME, &phone.code()), "PAM_SUCCESS");
    });
}

#[test]
fn a_hundred_failures_turn_the_phone_off_until_an_administrator_unlocks_her() {
    let extras = Extras {
        programs: Some(with_otpctl),
        ..Extras::default()
    };
    sandboxed_with(extras, || {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        until_locked(&phone.wrong_code());
        assert_eq!(login(HOME, &phone.code()), "PAM_AUTH_ERR");
        let status = otpctl(&["status", "alice", "--json"]);
        assert!(status.contains(r#""failures":100,"#), "{status}");
        assert!(status.contains(r#""locked":true"#), "{status}");
        let status = otpctl(&["unlock", "alice", "--json"]);
        assert!(status.contains(r#""failures":0,"#), "{status}");
        assert!(status.contains(r#""locked":false"#), "{status}");
        assert_eq!(login(HOME, &phone.code()), "PAM_SUCCESS");
    });
}

fn otpctl(args: &[&str]) -> String {
    let done = Command::new(OTPCTL).args(args).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn what_is_remembered_of_origins_does_not_grow_and_filling_it_wins_nothing() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        assert_eq!(login(HOME, &phone.code()), "PAM_SUCCESS");
        let size = || std::fs::metadata(state_file("alice")).unwrap().len();
        let (before, wrong) = (size(), phone.wrong_code());
        for day in 0..20_u32 {
            let failures = state("alice").throttle.failures;
            // First until this one is held, then everybody else, then this one, whom the others have pushed out.
            for _ in 0..4 {
                login("198.51.100.7", &wrong);
            }
            for n in 0..40 {
                login(&stranger(day * 40 + n), &wrong);
            }
            login("198.51.100.7", &wrong);
            let throttle = state("alice").throttle;
            let most = if day == 0 { 9 } else { 8 };
            assert!(throttle.failures - failures <= most, "day {day}");
            assert!(throttle.origins.len() <= MAX_STRANGERS + MAX_TRUSTED);
            let home = throttle.origins.iter().find(|record| record.trusted);
            assert_eq!(home.unwrap().origin.to_string(), HOME);
            a_day_goes_by();
            if throttle.failures >= 92 {
                break;
            }
        }
        assert_eq!(size(), before);
        assert_eq!(login(HOME, &phone.code_at(1)), "PAM_SUCCESS");
    });
}

#[test]
fn a_stranger_who_guesses_at_a_code_of_six_digits_is_heard_five_times_and_its_owner_still_is() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        issue("alice", "907316", 600);
        let wrong = phone.wrong_code();
        for _ in 0..60 {
            login("198.51.100.7", &wrong);
        }
        let record = store().read(&account("alice")).unwrap();
        assert_eq!(record.issued[0].attempts(), 5);
        assert_eq!(login("198.51.100.7", "907316"), "PAM_AUTH_ERR");
        assert_eq!(login(AWAY, "907316"), "PAM_SUCCESS");
    });
}
