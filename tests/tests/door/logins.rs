//! Logins through the door, each as it would be without it.

use std::fs;

use tests::door::{Otpd, as_su_of, as_user, open_log};
use tests::pam::{Login, line, line_at};
use tests::syslog::Syslog;
use tests::users::{self, Phone};

use crate::with_otpd;

/// The one line of a login.
fn told(log: &Syslog) -> String {
    let lines = log.take();
    let [only] = lines.as_slice() else {
        panic!("one line a login, not {lines:?}");
    };
    assert_eq!(only.facility, 10);
    only.text.clone()
}

fn answer(user: &str, typed: &str) -> &'static str {
    Login::of(user)
        .at("i3lock")
        .typing(typed)
        .authenticate()
        .answer
}

#[test]
fn a_users_own_program_lets_her_in_with_her_code_once_and_tells_the_log_once() {
    with_otpd(|| {
        line_at("i3lock", "");
        let phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        users::issue("alice", "48210937", 600);
        let _otpd = Otpd::listening();
        let log = open_log();
        let (code, wrong) = (phone.code(), phone.wrong_code());
        for (typed, expected, line) in [
            (
                &*code,
                "PAM_SUCCESS",
                "accepted method=totp offset=0 rhost=- user=\"alice\"",
            ),
            (
                &code,
                "PAM_AUTH_ERR",
                "refused reason=used rhost=- user=\"alice\"",
            ),
            (
                &wrong,
                "PAM_AUTH_ERR",
                "refused reason=mismatch rhost=- user=\"alice\"",
            ),
            (
                "48210937",
                "PAM_SUCCESS",
                "accepted method=issued rhost=- user=\"alice\"",
            ),
            (
                "7kq2-m4tx-9bnc-2xwd",
                "PAM_SUCCESS",
                "accepted method=recovery rhost=- user=\"alice\"",
            ),
            (
                "",
                "PAM_AUTH_ERR",
                "refused reason=malformed rhost=- user=\"alice\"",
            ),
        ] {
            as_user(1000, || {
                assert_eq!(answer("alice", typed), expected, "{line}")
            });
            assert_eq!(told(&log), format!("pam_otp(i3lock:auth): {line}"));
        }
        let last = users::state("alice").last.unwrap();
        assert_eq!(last.origin.to_string(), "local:1000");
        assert_eq!(last.service.unwrap().as_str(), "i3lock");
    });
}

#[test]
fn a_user_guesses_from_one_origin_whatever_she_calls_it() {
    with_otpd(|| {
        line("");
        let phone = Phone::enrolled("alice", &[]);
        let _otpd = Otpd::listening();
        let log = open_log();
        as_user(1000, || {
            for n in 0..5 {
                // sshd is a service whose address is an origin, where root says so.
                let login = Login::of("alice").from(&format!("198.51.100.{n}"));
                let report = login.typing(&*phone.wrong_code()).authenticate();
                assert_eq!(report.answer, "PAM_AUTH_ERR");
            }
        });
        let lines: Vec<String> = log.take().into_iter().map(|line| line.text).collect();
        assert_eq!(
            lines[2],
            "pam_otp(sshd:auth): refused reason=mismatch rhost=- user=\"alice\""
        );
        assert_eq!(
            lines[3],
            "pam_otp(sshd:auth): refused reason=throttled rhost=- user=\"alice\""
        );
        let state = users::state("alice");
        let origins: Vec<_> = state
            .throttle
            .origins
            .iter()
            .map(|one| one.origin.to_string())
            .collect();
        assert_eq!(
            (state.throttle.failures, origins),
            (3, vec!["local:1000".to_owned()])
        );
    });
}

#[test]
fn nobody_but_root_asks_about_another() {
    with_otpd(|| {
        line("");
        let phone = Phone::enrolled("alice", &[]);
        let _otpd = Otpd::listening();
        let log = open_log();
        let code = phone.code();
        let try_as = |uid, user: &str, expected| {
            as_user(uid, || {
                let login = Login::of(user).typing(&*code);
                assert_eq!(login.authenticate().answer, expected, "{uid} {user}");
            });
            let lines = log.take();
            lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        for user in ["alice", "nosuch"] {
            let lines = try_as(1001, user, "PAM_AUTHINFO_UNAVAIL");
            let expected = format!(
                "pam_otp(sshd:auth): refused reason=unavailable rhost=- what=\"uid 1001 asks about somebody else than herself\" user=\"{user}\""
            );
            assert_eq!(lines[0], expected);
        }
        try_as(1000, "alice", "PAM_SUCCESS");
    });
}

#[test]
fn who_is_not_enrolled_is_refused_or_let_by_as_ever() {
    with_otpd(|| {
        line("");
        line_at("i3lock", "nullok");
        users::store();
        let _otpd = Otpd::listening();
        let log = open_log();
        as_user(1001, || {
            assert_eq!(
                Login::of("bob").typing("123456").authenticate().answer,
                "PAM_AUTH_ERR"
            );
            let report = Login::of("bob").at("i3lock").authenticate();
            assert_eq!((report.answer, report.asked.len()), ("PAM_IGNORE", 0));
        });
        assert_eq!(
            told(&log),
            "pam_otp(sshd:auth): refused reason=not-enrolled rhost=- user=\"bob\""
        );
    });
}

#[test]
fn su_asks_about_anybody_and_says_who_runs_it() {
    with_otpd(|| {
        line_at("su", "");
        let phone = Phone::enrolled("alice", &[]);
        let otpd = Otpd::listening();
        let log = open_log();
        as_su_of(1001, || {
            let login = Login::of("alice").at("su").typing(&*phone.code());
            assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
            let login = Login::of("nosuch").at("su").typing("123456");
            assert_eq!(login.authenticate().answer, "PAM_AUTH_ERR");
        });
        let lines: Vec<String> = log.take().into_iter().map(|line| line.text).collect();
        assert_eq!(
            lines,
            [
                "pam_otp(su:auth): accepted method=totp offset=0 rhost=- user=\"alice\"",
                "pam_otp(su:auth): refused reason=not-enrolled rhost=- user=\"nosuch\"",
            ]
        );
        assert_eq!(
            users::state("alice").last.unwrap().origin.to_string(),
            "local:1001"
        );
        // Through the door, it was: where it is shut, nobody gets in.
        let pid = otpd.pid();
        tests::door::signal(pid, libc::SIGSTOP);
        as_su_of(1001, || {
            let login = Login::of("alice").at("su").typing(&*phone.code_at(1));
            assert_eq!(login.authenticate().answer, "PAM_AUTHINFO_UNAVAIL");
        });
        tests::door::signal(pid, libc::SIGCONT);
    });
}

/// As before there was one: a machine without otpd keeps its su.
#[test]
fn without_a_door_su_does_the_work_itself_and_so_does_root_with_one() {
    with_otpd(|| {
        line_at("su", "");
        let phone = Phone::enrolled("alice", &[]);
        users::issue("alice", "48210937", 600);
        as_su_of(1001, || {
            let login = Login::of("alice").at("su").typing(&*phone.code());
            assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
        });
        let otpd = Otpd::listening();
        tests::door::signal(otpd.pid(), libc::SIGSTOP);
        let login = Login::of("alice").at("su").typing("48210937");
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn a_policy_of_the_lines_own_is_otpds_to_have() {
    with_otpd(|| {
        fs::write(
            "/etc/security/other.toml",
            "state_dir = \"/var/lib/other\"\n",
        )
        .unwrap();
        line("config=/etc/security/other.toml");
        line_at("i3lock", "");
        let log = open_log();
        let phone = Phone::enrolled("alice", &[]);
        let otpd = Otpd::listening();
        let code = phone.code();
        as_user(1000, || {
            let login = Login::of("alice").typing(&*code);
            assert_eq!(login.authenticate().answer, "PAM_AUTHINFO_UNAVAIL");
        });
        assert!(told(&log).contains("take the config argument out of the line"));
        otpd.end();
        let _otpd = Otpd::listening_with(&["--config", "/etc/security/other.toml"]);
        as_user(1000, || {
            assert_eq!(answer("alice", &code), "PAM_AUTHINFO_UNAVAIL")
        });
        assert!(
            log.take()[0].text.contains("/var/lib/other"),
            "otpd goes by its own"
        );
    });
}
