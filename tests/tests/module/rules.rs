//! Who needs a code: the rules of otp.toml, with the machine's own group database.

use std::fs;

use tests::pam::{Login, line, line_at, stack};
use tests::sandbox::{MODULE, sandboxed};
use tests::syslog::Syslog;
use tests::users::{Phone, store};

const GROUPS: &str =
    "root:x:0:\nusers:x:1000:\nadmins:x:50:bob,alice\nstaff:x:51:bob\nempty:x:52:\n";

fn policy(rules: &str) {
    fs::write("/etc/group", GROUPS).unwrap();
    fs::write("/etc/security/otp.toml", rules).unwrap();
}

/// The answer, where our line is the whole stack, and how often it asked.
fn answer(login: Login, typed: &str) -> (&'static str, usize) {
    let report = login.typing(typed).authenticate();
    (report.answer, report.asked.len())
}

#[test]
fn a_group_is_exempt_and_the_log_says_by_which_rule() {
    sandboxed(|| {
        let log = Syslog::bind();
        line("nodelay");
        let alice = Phone::enrolled("alice", &[]);
        policy("[[rule]]\ngroups = [\"staff\", \"empty\"]\ncode = \"exempt\"\n");
        let bob = Login::of("bob").from("198.51.100.7");
        assert_eq!(answer(bob, ""), ("PAM_IGNORE", 0));
        let told = "pam_otp(sshd:auth): exempted rule=1 rhost=198.51.100.7 user=\"bob\"";
        assert_eq!(log.take().pop().unwrap().text, told);
        assert_eq!(
            answer(Login::of("alice"), &alice.code()),
            ("PAM_SUCCESS", 1)
        );
        // As one of several modules, the line lets the others decide.
        stack(
            "su",
            &[
                "auth required pam_unix.so nodelay",
                &format!("auth required {MODULE} nodelay"),
            ],
        );
        let login = |password| Login::of("bob").at("su").typing(password).authenticate();
        assert_eq!(login("correct horse").answer, "PAM_SUCCESS");
        assert_eq!(login("wrong").answer, "PAM_AUTH_ERR");
    });
}

#[test]
fn the_group_of_the_passwd_entry_counts() {
    sandboxed(|| {
        line("nodelay");
        store();
        policy("[[rule]]\ngroups = [\"users\"]\ncode = \"exempt\"\n");
        assert_eq!(answer(Login::of("alice"), "123456"), ("PAM_IGNORE", 0));
        assert_eq!(answer(Login::of("bob"), "123456"), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn what_a_rule_requires_nullok_does_not_let_by() {
    sandboxed(|| {
        line("nullok nodelay");
        store();
        policy("[[rule]]\ngroups = [\"admins\"]\ncode = \"required\"\n");
        assert_eq!(answer(Login::of("alice"), "123456"), ("PAM_AUTH_ERR", 1));
        let carol = Login::of("CORP\\carol smith");
        assert_eq!(answer(carol, "123456"), ("PAM_IGNORE", 0));
        line("nodelay");
        policy("[[rule]]\ngroups = [\"admins\"]\ncode = \"optional\"\n");
        assert_eq!(answer(Login::of("alice"), "123456"), ("PAM_IGNORE", 0));
        let carol = Login::of("CORP\\carol smith");
        assert_eq!(answer(carol, "123456"), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn only_an_address_is_from_a_network_and_only_where_the_service_knows_it() {
    sandboxed(|| {
        line("nodelay");
        line_at("su", "nodelay");
        store();
        policy("[[rule]]\nnetworks = [\"192.0.2.0/25\", \"2001:db8::/32\"]\ncode = \"exempt\"\n");
        let from = |address| answer(Login::of("alice").from(address), "123456");
        for inside in [
            "192.0.2.0",
            "192.0.2.127",
            "::ffff:192.0.2.9",
            "2001:db8::1%eth0",
        ] {
            assert_eq!(from(inside), ("PAM_IGNORE", 0), "{inside}");
        }
        for outside in [
            "192.0.2.128",
            "192.0.1.255",
            "2001:db9::",
            "192.0.2.9.office.example",
            "192.0.2.9 ",
            "localhost",
            "",
        ] {
            assert_eq!(from(outside), ("PAM_AUTH_ERR", 1), "{outside}");
        }
        let su = Login::of("alice").at("su").from("192.0.2.9");
        assert_eq!(answer(su, "123456"), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn nobody_is_exempt_whom_the_passwd_database_does_not_know() {
    sandboxed(|| {
        line("nullok nodelay");
        store();
        policy("[[rule]]\ncode = \"exempt\"\n");
        for stranger in ["mallory", "", "../alice"] {
            assert_eq!(answer(Login::of(stranger), "123456"), ("PAM_AUTH_ERR", 1));
        }
        assert_eq!(answer(Login::of("alice"), "123456"), ("PAM_IGNORE", 0));
    });
}

#[test]
fn a_group_that_nobody_knows_is_a_denial_for_whom_it_matters() {
    sandboxed(|| {
        let log = Syslog::bind();
        line("nullok nodelay");
        store();
        policy(
            "[[rule]]\nusers = [\"bob\"]\ncode = \"exempt\"\n[[rule]]\ngroups = [\"admin\"]\ncode = \"required\"\n",
        );
        assert_eq!(answer(Login::of("bob"), ""), ("PAM_IGNORE", 0));
        log.take();
        assert_eq!(answer(Login::of("alice"), ""), ("PAM_AUTHINFO_UNAVAIL", 0));
        let told = log.take().pop().unwrap().text;
        assert!(
            told.contains(
                "asks for the group \\x22admin\\x22, and the group database does not know it"
            ),
            "{told}"
        );
        fs::remove_file("/etc/group").unwrap();
        fs::create_dir("/etc/group").unwrap();
        assert_eq!(answer(Login::of("alice"), ""), ("PAM_AUTHINFO_UNAVAIL", 0));
    });
}

#[test]
fn a_file_with_one_wrong_rule_denies_everybody() {
    sandboxed(|| {
        let log = Syslog::bind();
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        policy("[[rule]]\nnetworks = [\"192.0.2.7/24\"]\ncode = \"exempt\"\n");
        let login = Login::of("alice").from("192.0.2.9");
        assert_eq!(answer(login, &phone.code()), ("PAM_AUTHINFO_UNAVAIL", 1));
        let told = log.take().pop().unwrap().text;
        assert!(told.contains("otp.toml line 2: network"), "{told}");
    });
}
