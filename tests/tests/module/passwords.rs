//! Password and code typed as one: try_first_pass, use_first_pass, forward_pass, tail.

use std::fs;

use tests::pam::{ECHO_OFF, Login, Report, stack};
use tests::sandbox::{MODULE, sandboxed};
use tests::users::{Phone, issue, state, store};

const PASSWORD: &str = "correct horse";

/// Our line, and after it pam_unix, which knows everybody's password and asks nobody.
fn before_pam_unix(arguments: &str) {
    let ours = format!("auth required {MODULE} {arguments} nodelay");
    stack(
        "sshd",
        &[&ours, "auth required pam_unix.so use_first_pass nodelay"],
    );
}

/// A line that asks for the password and whatever follows it, then ours, then one that keeps what PAM_AUTHTOK is.
fn after_a_password(arguments: &str) {
    stack(
        "sshd",
        &[
            "auth optional pam_unix.so nodelay",
            &format!("auth [success=ok ignore=ignore default=bad] {MODULE} {arguments} nodelay"),
            "auth optional pam_exec.so expose_authtok quiet /usr/bin/tee /tmp/authtok",
            "auth required pam_permit.so",
        ],
    );
}

fn handed_on() -> String {
    let token = fs::read_to_string("/tmp/authtok").unwrap();
    token.trim_end_matches('\0').to_owned()
}

fn typing(typed: &str) -> Report {
    Login::of("alice").typing(typed).authenticate()
}

#[test]
fn forward_pass_asks_once_and_pam_unix_gets_the_password() {
    sandboxed(|| {
        before_pam_unix("forward_pass");
        let phone = Phone::enrolled("alice", &[]);
        let report = typing(&format!("{PASSWORD}{}", phone.code()));
        assert_eq!(report.answer, "PAM_SUCCESS");
        assert_eq!(report.asked.len(), 1);
        assert_eq!(report.asked[0].text, "Password & one-time code: ");
        assert_eq!(report.asked[0].style, ECHO_OFF);
        assert_eq!(
            typing(&format!("wrong{}", phone.code_at(1))).answer,
            "PAM_AUTH_ERR"
        );
        let wrong = format!("{PASSWORD}{}", phone.wrong_code());
        assert_eq!(typing(&wrong).answer, "PAM_AUTH_ERR");
    });
}

#[test]
fn forward_pass_never_shows_the_password() {
    sandboxed(|| {
        before_pam_unix("forward_pass echo [prompt=Both: ]");
        store();
        let asked = typing("x").asked;
        assert_eq!(
            (asked[0].text.as_str(), asked[0].style),
            ("Both: ", ECHO_OFF)
        );
    });
}

#[test]
fn forward_pass_of_an_unenrolled_user_under_nullok_hands_on_the_whole() {
    sandboxed(|| {
        before_pam_unix("forward_pass nullok");
        store();
        let report = typing(PASSWORD);
        assert_eq!(report.answer, "PAM_SUCCESS");
        assert_eq!(report.asked.len(), 1);
        assert_eq!(report.asked[0].text, "Password: ");
        assert_eq!(typing("wrong").answer, "PAM_AUTH_ERR");
        assert_eq!(typing(&format!("{PASSWORD}123456")).answer, "PAM_AUTH_ERR");
    });
}

#[test]
fn the_code_is_the_tail_of_the_password_typed_before() {
    sandboxed(|| {
        for first_pass in ["use_first_pass", "try_first_pass"] {
            after_a_password(first_pass);
            let phone = Phone::enrolled("alice", &[]);
            let typed = format!("{PASSWORD}{}", phone.code());
            let report = typing(&typed);
            assert_eq!((report.answer, report.asked.len()), ("PAM_SUCCESS", 1));
            assert_eq!(
                handed_on(),
                typed,
                "without forward_pass it is not ours to change"
            );
            fs::remove_dir_all("/var/lib/pam_otp").unwrap();
        }
    });
}

#[test]
fn with_forward_pass_the_rest_is_the_password() {
    sandboxed(|| {
        after_a_password("use_first_pass forward_pass");
        let phone = Phone::enrolled("alice", &[]);
        assert_eq!(
            typing(&format!("{PASSWORD}{}", phone.code())).answer,
            "PAM_SUCCESS"
        );
        assert_eq!(handed_on(), PASSWORD);
        assert_eq!(typing(&phone.code_at(1)).answer, "PAM_SUCCESS");
        assert_eq!(handed_on(), "");
    });
}

#[test]
fn one_cut_is_one_attempt() {
    sandboxed(|| {
        after_a_password("try_first_pass");
        let phone = Phone::enrolled("alice", &[]);
        let login = Login::of("alice").typing(&*format!("{PASSWORD}{}", phone.wrong_code()));
        let report = login.typing(&*phone.code()).authenticate();
        assert_eq!((report.answer, report.asked.len()), ("PAM_AUTH_ERR", 1));
        assert_eq!(state("alice").throttle.failures, 1);
    });
}

#[test]
fn no_such_tail_counts_as_no_attempt_and_try_then_asks() {
    sandboxed(|| {
        let phone = Phone::enrolled("alice", &[]);
        for typed in [PASSWORD, "12345", "", "hunter2 12 456", "１２３４５６"] {
            after_a_password("use_first_pass");
            let report = typing(typed);
            assert_eq!(
                (report.answer, report.asked.len()),
                ("PAM_AUTH_ERR", 1),
                "{typed}"
            );
            after_a_password("try_first_pass");
            let login = Login::of("alice").typing(typed).typing("malformed");
            let report = login.authenticate();
            assert_eq!(
                (report.answer, report.asked.len()),
                ("PAM_AUTH_ERR", 2),
                "{typed}"
            );
            assert_eq!(report.asked[1].text, "One-time code: ");
        }
        assert_eq!(state("alice").throttle.failures, 0);
        let login = Login::of("alice").typing(PASSWORD).typing(&*phone.code());
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn where_nobody_asked_for_a_password_use_refuses_and_try_asks() {
    sandboxed(|| {
        let phone = Phone::enrolled("alice", &[]);
        tests::pam::line("use_first_pass");
        let report = Login::of("alice").authenticate();
        assert_eq!((report.answer, report.asked.len()), ("PAM_AUTH_ERR", 0));
        tests::pam::line("try_first_pass");
        let report = typing(&phone.code());
        assert_eq!((report.answer, report.asked.len()), ("PAM_SUCCESS", 1));
    });
}

#[test]
fn the_tail_is_as_long_as_the_line_says() {
    sandboxed(|| {
        after_a_password("use_first_pass forward_pass tail=8");
        issue("alice", "48210937", 600);
        assert_eq!(typing(&format!("{PASSWORD}48210937")).answer, "PAM_SUCCESS");
        assert_eq!(handed_on(), PASSWORD);
    });
}

#[test]
fn a_password_of_ten_million_digits_is_a_refusal() {
    sandboxed(|| {
        before_pam_unix("forward_pass");
        let _phone = Phone::enrolled("alice", &[]);
        assert_eq!(typing(&"1".repeat(10_000_000)).answer, "PAM_AUTH_ERR");
        assert_eq!(state("alice").throttle.failures, 0);
    });
}
