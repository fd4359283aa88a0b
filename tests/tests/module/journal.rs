//! The log lines, to the letter.

use tests::pam::{Login, PAM_CONV_ERR, Reply, line, line_at};
use tests::sandbox::sandboxed;
use tests::syslog::{Line, Syslog};
use tests::users::{Phone, issue, store};

/// LOG_AUTHPRIV.
const AUTHPRIV: i32 = 10;
const ERR: i32 = 3;
const NOTICE: i32 = 5;
const INFO: i32 = 6;
const DEBUG: i32 = 7;

fn logged(severity: i32, text: &str) -> Vec<Line> {
    vec![Line {
        facility: AUTHPRIV,
        severity,
        text: text.to_owned(),
    }]
}

#[test]
fn one_line_a_login() {
    sandboxed(|| {
        let log = Syslog::bind();
        line("");
        let phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        issue("alice", "48210937", 600);
        let login = |rhost: &str, code: &str| {
            Login::of("alice").from(rhost).typing(code).authenticate();
            log.take()
        };
        phone.code();
        let before = phone.code_at(-1);
        assert_eq!(
            login("198.51.100.7", &before),
            logged(
                INFO,
                r#"pam_otp(sshd:auth): accepted method=totp offset=-1 rhost=198.51.100.7 user="alice""#
            )
        );
        assert_eq!(
            login("198.51.100.7", &before),
            logged(
                NOTICE,
                r#"pam_otp(sshd:auth): refused reason=used rhost=198.51.100.7 user="alice""#
            )
        );
        assert_eq!(
            login("2001:db8::7", &phone.code()),
            logged(
                INFO,
                r#"pam_otp(sshd:auth): accepted method=totp offset=0 rhost=2001:db8::7 user="alice""#
            )
        );
        assert_eq!(
            login("fe80::7%eth0", "48210937"),
            logged(
                INFO,
                r#"pam_otp(sshd:auth): accepted method=issued rhost=fe80::7 user="alice""#
            )
        );
        assert_eq!(
            login("a.name", "7kq2-m4tx-9bnc-2xwd"),
            logged(
                INFO,
                r#"pam_otp(sshd:auth): accepted method=recovery rhost=- user="alice""#
            )
        );
        assert_eq!(
            login("a.name", &phone.wrong_code()),
            logged(
                NOTICE,
                r#"pam_otp(sshd:auth): refused reason=mismatch rhost=- user="alice""#
            )
        );
        assert_eq!(
            login("1.2.3.4\n", ""),
            logged(
                NOTICE,
                r#"pam_otp(sshd:auth): refused reason=malformed rhost=- user="alice""#
            )
        );
        line_at("sudo", "");
        Login::of("bob").at("sudo").typing("123456").authenticate();
        assert_eq!(
            log.take(),
            logged(
                NOTICE,
                r#"pam_otp(sudo:auth): refused reason=not-enrolled rhost=- user="bob""#
            )
        );
    });
}

#[test]
fn expired_and_throttled_are_told_apart_here_and_nowhere_else() {
    sandboxed(|| {
        let log = Syslog::bind();
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        issue("alice", "48210937", 1);
        std::thread::sleep(std::time::Duration::from_millis(2100));
        let login = |code: &str| {
            Login::of("alice").typing(code).authenticate();
            log.take().remove(0).text
        };
        assert!(login("48210937").contains(" refused reason=expired "));
        for _ in 0..3 {
            assert!(login(&phone.wrong_code()).contains(" refused reason=mismatch "));
        }
        assert!(login(&phone.code()).contains(" refused reason=throttled "));
    });
}

#[test]
fn a_failure_says_what_and_where() {
    sandboxed(|| {
        let log = Syslog::bind();
        line("");
        Login::of("alice").typing("123456").authenticate();
        let lines = log.take();
        let text = &lines[0].text;
        assert_eq!((lines.len(), lines[0].severity), (1, ERR));
        let before = "pam_otp(sshd:auth): refused reason=unavailable rhost=- what=\"/var/lib/pam_otp is not there";
        assert!(text.starts_with(before), "{text}");
        assert!(text.ends_with("\" user=\"alice\""), "{text}");
        Login::of("alice")
            .typing(Reply::Error(PAM_CONV_ERR))
            .authenticate();
        assert_eq!(
            log.take(),
            logged(
                NOTICE,
                r#"pam_otp(sshd:auth): refused reason=unavailable rhost=- what="the conversation was broken off" user="alice""#
            )
        );
    });
}

#[test]
fn no_name_makes_a_line_or_a_field_of_its_own() {
    sandboxed(|| {
        let log = Syslog::bind();
        line("");
        store();
        let user = |name: &[u8]| {
            Login::of(name).typing("123456").authenticate();
            let mut lines = log.take();
            assert_eq!(lines.len(), 1);
            let text = lines.remove(0).text;
            let before = "pam_otp(sshd:auth): refused reason=not-enrolled rhost=- user=";
            text.strip_prefix(before)
                .expect("user= stands last")
                .to_owned()
        };
        assert_eq!(
            user(b"x\" rhost=203.0.113.9 user=\"root\n%s%n\x1b[2J"),
            r#""x\x22 rhost\x3d203.0.113.9 user\x3d\x22root\x0a%s%n\x1b[2J""#
        );
        assert_eq!(user(b"\xffm\xc3\xbcller\\"), r#""\xffm\xc3\xbcller\x5c""#);
        assert_eq!(user(b""), "\"\"");
        assert!(user(&[b'\n'; 100_000]).len() < 1100);
    });
}

#[test]
fn nobody_let_by_is_logged_unless_debug_asks_for_it() {
    sandboxed(|| {
        let log = Syslog::bind();
        store();
        line("nullok");
        Login::of("bob").authenticate();
        assert_eq!(log.take(), []);
        line("nullok debug");
        Login::of("bob").authenticate();
        assert_eq!(
            log.take(),
            logged(
                DEBUG,
                "pam_otp(sshd:auth): nothing is kept of the user, who is let by"
            )
        );
    });
}

#[test]
fn no_line_ever_holds_a_code_or_a_password() {
    sandboxed(|| {
        let log = Syslog::bind();
        let phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        let codes = [
            phone.code(),
            phone.code_at(1),
            phone.wrong_code(),
            "48210937".to_owned(),
            "7kq2-m4tx-9bnc-2xwd".to_owned(),
        ];
        for arguments in [
            "debug",
            "debug nullok",
            "debug forward_pass",
            "debug try_first_pass forward_pass",
        ] {
            line(arguments);
            for code in &codes {
                let typed = format!("hunter2{code}");
                for typed in [code, &typed] {
                    Login::of("alice").typing(&**typed).authenticate();
                    let lines = log.take();
                    assert!(!lines.is_empty());
                    for line in lines {
                        assert!(!line.text.contains(code.as_str()), "{}", line.text);
                        assert!(!line.text.contains("hunter2"), "{}", line.text);
                    }
                }
            }
        }
    });
}
