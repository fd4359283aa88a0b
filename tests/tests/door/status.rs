//! `otpctl status` for oneself, without root.

use std::process::{Command, Output};

use serde_json::Value;
use tests::door::{Otpd, as_user, open_log};
use tests::pam::{Login, line};
use tests::sandbox::OTPCTL;
use tests::users::{self, Phone};

use crate::with_otpd;

fn otpctl(words: &[&str]) -> Output {
    Command::new(OTPCTL)
        .args(words)
        .env_clear()
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

fn json(words: &[&str]) -> Value {
    serde_json::from_slice(&otpctl(words).stdout).unwrap()
}

#[test]
fn everybody_sees_how_she_stands_herself_as_root_sees_it_but_for_notes_about_her() {
    with_otpd(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        users::issue("alice", "48210937", 600);
        let _otpd = Otpd::listening();
        let log = open_log();
        as_user(1000, || {
            for typed in [phone.wrong_code(), phone.code()] {
                Login::of("alice").typing(&*typed).authenticate();
            }
            Login::of("alice")
                .typing(&*phone.wrong_code())
                .authenticate();
        });
        log.take();
        let mut seen = json(&["status", "alice", "--json"]);
        assert_eq!(seen["issued"][0]["reason"], "for a test");
        assert_eq!(seen["failures"], 1);
        assert_eq!(seen["authenticators"][0]["last_origin"], "local:1000");
        seen["issued"][0]["reason"] = Value::Null;
        as_user(1000, || {
            assert_eq!(json(&["status", "--json"]), seen);
            assert_eq!(json(&["status", "alice", "--json"]), seen);
            let page = String::from_utf8(otpctl(&["status"]).stdout).unwrap();
            assert!(
                page.starts_with("alice") && page.contains("1 of 1 left"),
                "{page}"
            );
            assert!(page.contains("0 of 50 attempts\n"), "{page}");
        });
        assert!(log.take().is_empty(), "a look is not told");
    });
}

#[test]
fn of_others_and_of_the_installation_nobody_is_told_and_everything_else_needs_root() {
    with_otpd(|| {
        let _phone = Phone::enrolled("alice", &[]);
        let otpd = Otpd::listening();
        as_user(1001, || {
            for words in [
                &["status", "alice"][..],
                &["status", "nosuch"],
                &["status", "--config", "/etc/security/otp.toml"],
                &["status", "bob", "--config", "/etc/security/otp.toml"],
                &["list"],
                &["metrics"],
                &["doctor"],
                &["unlock", "bob"],
                &["verify", "bob"],
            ] {
                let refused = otpctl(words);
                assert_eq!(refused.status.code(), Some(4), "{words:?}");
                let said = String::from_utf8(refused.stderr).unwrap();
                assert!(said.starts_with("error: needs root: sudo otpctl"), "{said}");
                assert!(refused.stdout.is_empty());
            }
            let page = String::from_utf8(otpctl(&["status"]).stdout).unwrap();
            assert_eq!(
                page,
                "bob         not enrolled\nNext: ask an administrator of this machine to enrol you\n"
            );
        });
        otpd.end();
        as_user(1000, || {
            let refused = otpctl(&["status"]);
            assert_eq!(refused.status.code(), Some(4));
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(
                said.starts_with(
                    "error: needs root ('sudo otpctl status alice') or otpd: there is no /run"
                ),
                "{said}"
            );
        });
    });
}
