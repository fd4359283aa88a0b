//! Remembered addresses: who logged in from there with a code is asked for none for a while, and in any doubt is asked.

use std::fs;
use std::time::Duration;

use otp::store::Store;
use otp::verify::Changes;
use tests::elsewhen::accepts_at;
use tests::pam::{Login, line, line_at, stack};
use tests::sandbox::{MODULE, sandboxed};
use tests::syslog::Syslog;
use tests::users::{Phone, account, now, remove, state, store};

const HOME: &str = "198.51.100.7";

fn remember(policy: &str) {
    fs::write("/etc/security/otp.toml", policy).unwrap();
}

fn answer(from: &str, typed: &str) -> (&'static str, usize) {
    let login = Login::of("alice").from(from);
    let report = login.typing(typed).authenticate();
    (report.answer, report.asked.len())
}

/// Alice, who has just logged in from home.
fn at_home() -> Phone {
    line("nodelay");
    remember("remember = \"12h\"\n");
    let phone = Phone::enrolled("alice", &[]);
    assert_eq!(answer(HOME, &phone.code()), ("PAM_SUCCESS", 1));
    phone
}

/// Changes what is remembered.
fn doctored(change: impl Fn(&mut otp::state::State)) {
    let done = store().update(&account("alice"), |record| {
        let mut state = record.state.clone();
        change(&mut state);
        let state = Some(state);
        (
            (),
            Changes {
                state,
                ..Changes::default()
            },
        )
    });
    done.unwrap();
}

#[test]
fn she_is_asked_once_and_from_elsewhere_as_ever() {
    sandboxed(|| {
        let log = Syslog::bind();
        let phone = at_home();
        log.take();
        assert_eq!(answer(HOME, ""), ("PAM_IGNORE", 0));
        let told = format!("pam_otp(sshd:auth): remembered rhost={HOME} user=\"alice\"");
        assert_eq!(log.take()[0].text, told);
        for elsewhere in ["198.51.100.8", "alice.home.example", ""] {
            assert_eq!(answer(elsewhere, ""), ("PAM_AUTH_ERR", 1), "{elsewhere}");
        }
        line_at("su", "nodelay");
        let su = Login::of("alice").at("su").from(HOME).typing("");
        assert_eq!(su.authenticate().answer, "PAM_AUTH_ERR");
        let bob = Login::of("bob").from(HOME).typing("").authenticate();
        assert_eq!(bob.answer, "PAM_AUTH_ERR");
        drop(phone);
    });
}

#[test]
fn off_as_it_is_by_default_everybody_is_asked() {
    sandboxed(|| {
        let phone = at_home();
        for off in ["", "remember = \"off\"\n"] {
            remember(off);
            assert_eq!(answer(HOME, ""), ("PAM_AUTH_ERR", 1));
        }
        remember("");
        assert_eq!(answer("198.51.100.9", &phone.code_at(1)).0, "PAM_SUCCESS");
        remember("remember = \"12h\"\n");
        assert_eq!(answer("198.51.100.9", ""), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn a_wrong_password_is_as_wrong_as_ever() {
    sandboxed(|| {
        at_home();
        stack(
            "sshd",
            &[
                "auth required pam_unix.so nodelay",
                &format!("auth required {MODULE} nodelay"),
            ],
        );
        assert_eq!(answer(HOME, "correct horse"), ("PAM_SUCCESS", 1));
        assert_eq!(answer(HOME, "wrong"), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn it_ends_by_the_clock_and_a_clock_that_went_back_remembers_nothing() {
    sandboxed(|| {
        at_home();
        // pamtester has no remote address: the local line is listed as one, and says where it is.
        let asks_at = |clock: &str| {
            let shown = tests::elsewhen::prompts_at(clock, "alice", HOME);
            shown.contains("One-time code")
        };
        assert!(!asks_at("+0"));
        assert!(!asks_at("+11h"));
        assert!(asks_at("+13h"));
        assert!(asks_at("-1h"));
        assert!(!accepts_at("+13h", "alice", "000000"));
    });
}

#[test]
fn a_time_in_the_future_is_not_believed() {
    sandboxed(|| {
        at_home();
        assert_eq!(answer(HOME, ""), ("PAM_IGNORE", 0));
        doctored(|state| state.remembered[0].at = now().plus(Duration::from_secs(60)));
        assert_eq!(answer(HOME, ""), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn an_address_that_guesses_is_not_remembered_while_it_is_held() {
    sandboxed(|| {
        let phone = at_home();
        assert_eq!(answer(HOME, ""), ("PAM_IGNORE", 0));
        // Somebody else's line at the same address asks for codes.
        remember("");
        for _ in 0..3 {
            assert_eq!(answer(HOME, &phone.wrong_code()).0, "PAM_AUTH_ERR");
        }
        remember("remember = \"12h\"\n");
        assert_eq!(answer(HOME, &phone.code_at(1)), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn disabled_forgotten_removed_or_unreadable_she_is_asked() {
    sandboxed(|| {
        at_home();
        doctored(|state| state.disabled = true);
        assert_eq!(answer(HOME, "123456"), ("PAM_AUTH_ERR", 1));
        doctored(|state| state.disabled = false);
        assert_eq!(answer(HOME, ""), ("PAM_IGNORE", 0));
        let seen = state("alice").remembered;
        doctored(|state| state.remembered.clear());
        assert_eq!(answer(HOME, "123456"), ("PAM_AUTH_ERR", 1));
        doctored(|state| state.remembered.clone_from(&seen));
        assert_eq!(answer(HOME, ""), ("PAM_IGNORE", 0));
        let secret = "/var/lib/pam_otp/secrets/alice";
        fs::rename(secret, "/tmp/alice").unwrap();
        assert_eq!(answer(HOME, "123456"), ("PAM_AUTHINFO_UNAVAIL", 1));
        fs::rename("/tmp/alice", secret).unwrap();
        assert_eq!(answer(HOME, ""), ("PAM_IGNORE", 0));
        remove("alice");
        assert_eq!(answer(HOME, "123456"), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn an_authenticator_that_is_replaced_ends_it() {
    sandboxed(|| {
        at_home();
        remove("alice");
        Phone::enrolled("alice", &[]);
        assert_eq!(answer(HOME, "123456"), ("PAM_AUTH_ERR", 1));
    });
}
