//! The other hooks, which grant nothing.

use tests::pam::{Login, Session, line_of, stack};
use tests::sandbox::{MODULE, sandboxed};
use tests::syslog::Syslog;
use tests::users::{Phone, store};

fn hook(hook: &str, kind: &str, arguments: &str) -> &'static str {
    line_of(kind, "sshd", arguments);
    Session::start(&Login::of("alice")).hook(hook)
}

#[test]
fn the_hooks_that_are_none_of_our_business_say_so() {
    sandboxed(|| {
        store();
        for (name, kind) in [
            ("account", "account"),
            ("open_session", "session"),
            ("close_session", "session"),
            ("chauthtok", "password"),
        ] {
            assert_eq!(hook(name, kind, ""), "PAM_IGNORE", "{name}");
        }
    });
}

#[test]
fn setcred_succeeds() {
    sandboxed(|| {
        stack("sshd", &[&format!("auth required {MODULE}")]);
        let phone = Phone::enrolled("alice", &[]);
        let mut session = Session::start(&Login::of("alice").typing(&*phone.code()));
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook("setcred"), "PAM_SUCCESS");
    });
}

#[test]
fn an_account_line_knows_its_own_arguments_and_no_others() {
    sandboxed(|| {
        let log = Syslog::bind();
        for known in [
            "config=/etc/security/otp.toml",
            "enroll",
            "notice",
            "enroll notice [prompt=Code: ]",
        ] {
            assert_eq!(hook("account", "account", known), "PAM_IGNORE");
        }
        assert_eq!(log.take(), []);
        for argument in ["nullok", "debug", "nosuch", "enrol"] {
            assert_eq!(hook("account", "account", argument), "PAM_AUTHINFO_UNAVAIL");
            let lines = log.take();
            let expected = format!(
                "pam_otp(sshd:account): refused reason=unavailable rhost=- what=\"argument '{argument}' is unknown in \
                 an account line: see pam_otp(8)\" user=\"alice\""
            );
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0].text, expected);
        }
    });
}
