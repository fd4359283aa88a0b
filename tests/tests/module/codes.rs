//! Which codes are accepted, and how often.

use std::time::Duration;

use tests::crowd;
use tests::pam::{Login, line};
use tests::sandbox::sandboxed;
use tests::users::{self, Phone, issue, state};

fn answer(user: &str, code: &str) -> &'static str {
    Login::of(user).typing(code).authenticate().answer
}

#[test]
fn a_code_is_accepted_once_and_the_next_one_still_works() {
    sandboxed(|| {
        line("");
        let phone = Phone::enrolled("alice", &[]);
        let code = phone.code();
        assert_eq!(answer("alice", &code), "PAM_SUCCESS");
        assert_eq!(answer("alice", &code), "PAM_AUTH_ERR");
        assert_eq!(answer("alice", &phone.code_at(1)), "PAM_SUCCESS");
        assert_eq!(answer("alice", &phone.code_at(0)), "PAM_AUTH_ERR");
    });
}

#[test]
fn spaces_and_hyphens_do_not_make_another_code_of_it() {
    sandboxed(|| {
        line("");
        let code = Phone::enrolled("alice", &[]).code();
        let (front, back) = code.split_at(3);
        assert_eq!(answer("alice", &format!(" {front} {back}")), "PAM_SUCCESS");
        for again in [code.clone(), format!("{front}-{back}"), format!("{code} ")] {
            assert_eq!(answer("alice", &again), "PAM_AUTH_ERR", "{again}");
        }
    });
}

#[test]
fn a_code_is_good_for_one_step_to_either_side() {
    sandboxed(|| {
        line("");
        let phone = Phone::enrolled("alice", &[]);
        phone.code();
        assert_eq!(answer("alice", &phone.code_at(-2)), "PAM_AUTH_ERR");
        assert_eq!(answer("alice", &phone.code_at(-1)), "PAM_SUCCESS");
        assert_eq!(answer("alice", &phone.code_at(2)), "PAM_AUTH_ERR");
        assert_eq!(answer("alice", &phone.code_at(1)), "PAM_SUCCESS");
    });
}

#[test]
fn of_32_processes_with_one_fresh_code_at_one_instant_one_is_let_in() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let code = phone.code();
        let accepted = crowd::processes(32, |_, wait| {
            wait();
            answer("alice", &code) == "PAM_SUCCESS"
        });
        assert_eq!(accepted, 1);
        assert_eq!(
            state("alice").throttle.failures,
            0,
            "a used code is no failure"
        );
    });
}

#[test]
fn of_eight_fresh_codes_at_one_instant_none_is_turned_away() {
    sandboxed(|| {
        line("nodelay");
        for n in 0..8 {
            issue("alice", &format!("1234567{n}"), 600);
        }
        let accepted = crowd::processes(8, |n, wait| {
            wait();
            answer("alice", &format!("1234567{n}")) == "PAM_SUCCESS"
        });
        assert_eq!(accepted, 8);
    });
}

#[test]
fn a_stored_code_is_good_once_for_a_user_who_is_not_enrolled() {
    sandboxed(|| {
        line("");
        issue("bob", "48210937", 600);
        assert_eq!(answer("bob", "12345678"), "PAM_AUTH_ERR");
        assert_eq!(answer("bob", "4821 0937"), "PAM_SUCCESS");
        assert_eq!(answer("bob", "48210937"), "PAM_AUTH_ERR");
    });
}

#[test]
fn a_stored_code_is_dead_once_its_time_is_over() {
    sandboxed(|| {
        line("");
        issue("bob", "48210937", 1);
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(answer("bob", "48210937"), "PAM_AUTH_ERR");
    });
}

#[test]
fn a_recovery_code_is_good_once() {
    sandboxed(|| {
        line("");
        let _phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        assert_eq!(answer("alice", "7KQ2m4tx 9bnc2xwd"), "PAM_SUCCESS");
        assert_eq!(answer("alice", "7kq2-m4tx-9bnc-2xwd"), "PAM_AUTH_ERR");
    });
}

#[test]
fn somebody_elses_code_is_nobodys() {
    sandboxed(|| {
        line("");
        let phone = Phone::enrolled("alice", &[]);
        issue("alice", "48210937", 600);
        for user in [
            "bob",
            "mallory",
            "root",
            "CORP\\carol smith",
            "",
            "../secrets/alice",
            "alice\n",
        ] {
            assert_eq!(answer(user, &phone.code()), "PAM_AUTH_ERR", "{user:?}");
            assert_eq!(answer(user, "48210937"), "PAM_AUTH_ERR", "{user:?}");
        }
        assert_eq!(answer("alice", &phone.code()), "PAM_SUCCESS");
    });
}

#[test]
fn a_name_from_a_directory_service_is_a_name() {
    sandboxed(|| {
        line("");
        let phone = Phone::enrolled("CORP\\carol smith", &[]);
        assert_eq!(answer("CORP\\carol smith", &phone.code()), "PAM_SUCCESS");
    });
}

#[test]
fn guessing_is_held_and_then_not_even_the_right_code_helps() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        for _ in 0..3 {
            assert_eq!(answer("alice", &phone.wrong_code()), "PAM_AUTH_ERR");
        }
        assert_eq!(answer("alice", &phone.code()), "PAM_AUTH_ERR");
        assert_eq!(
            state("alice").throttle.failures,
            3,
            "a held answer is not counted"
        );
    });
}

#[test]
fn one_address_held_is_no_other_address_held() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let from = |address: &str, code: &str| {
            let login = Login::of("alice").from(address);
            login.typing(code).authenticate().answer
        };
        for _ in 0..3 {
            from("198.51.100.7", &phone.wrong_code());
        }
        assert_eq!(from("198.51.100.7", &phone.code()), "PAM_AUTH_ERR");
        assert_eq!(from("198.51.100.8", &phone.code()), "PAM_SUCCESS");
    });
}

#[test]
fn the_address_counts_only_for_services_that_know_it() {
    sandboxed(|| {
        tests::pam::line_at("sudo", "nodelay");
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let origins = || -> Vec<String> {
            let records = state("alice").throttle.origins;
            records
                .iter()
                .map(|record| record.origin.to_string())
                .collect()
        };
        let guess = |login: Login| login.typing(&*phone.wrong_code()).authenticate();
        guess(Login::of("alice").at("sudo").from("198.51.100.7"));
        assert_eq!(origins(), ["local:0"]);
        guess(Login::of("alice").from("alices.laptop"));
        assert_eq!(origins(), ["local:0"], "a name is no address");
        guess(Login::of("alice").from("fe80::7%eth0"));
        assert_eq!(origins(), ["local:0", "fe80::/64"]);
    });
}

#[test]
fn what_is_no_passcode_counts_nowhere() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        for typed in [
            "",
            "12345",
            "hunter2",
            "\u{8}\n\r\u{7f}INCORRECT",
            "12345678901",
        ] {
            assert_eq!(answer("alice", typed), "PAM_AUTH_ERR", "{typed:?}");
        }
        assert_eq!(state("alice"), {
            let mut untouched = state("alice");
            untouched.throttle = Default::default();
            untouched.last = None;
            untouched
        });
        assert_eq!(answer("alice", &phone.code()), "PAM_SUCCESS");
    });
}

#[test]
fn the_record_of_another_uid_under_the_same_name_is_a_denial() {
    sandboxed(|| {
        line("");
        let phone = Phone::enrolled("alice", &[]);
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        std::fs::write("/etc/passwd", passwd.replace(":1000:", ":2000:")).unwrap();
        assert_eq!(answer("alice", &phone.code()), "PAM_AUTHINFO_UNAVAIL");
    });
}

#[test]
fn a_lock_is_waited_for_but_not_for_ever() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        // Held for longer than the login's patience: a denial, and the lock holds nobody up afterwards.
        let path = users::state_file("alice");
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.lock().unwrap();
        let begun = std::time::Instant::now();
        assert_eq!(answer("alice", &phone.code()), "PAM_AUTHINFO_UNAVAIL");
        let waited = begun.elapsed();
        assert!((4..8).contains(&waited.as_secs()), "{waited:?}");
        file.unlock().unwrap();
        assert_eq!(answer("alice", &phone.code()), "PAM_SUCCESS");
    });
}
