//! Who is asked, for what, and when: before anything is read, and everybody alike.

use std::fs;
use std::os::unix::fs::symlink;

use tests::pam::{DISALLOW_NULL_AUTHTOK, ECHO_OFF, ECHO_ON, Login, Report, SILENT, line};
use tests::sandbox::sandboxed;
use tests::users::{Phone, issue, state_file, store};

fn login(user: &[u8]) -> Report {
    Login::of(user).typing("123456").authenticate()
}

#[test]
fn everybody_is_asked_the_same_and_refused_the_same() {
    sandboxed(|| {
        line("");
        let _phone = Phone::enrolled("alice", &[]);
        for user in [
            &b"alice"[..],
            b"bob",
            b"mallory",
            b"root",
            b"",
            b"\xff\xfe",
            &[b'a'; 4000],
        ] {
            let report = login(user);
            assert_eq!(report.answer, "PAM_AUTH_ERR");
            assert_eq!(report.asked.len(), 1);
            assert_eq!(report.asked[0].text, "One-time code: ");
            assert_eq!(report.asked[0].style, ECHO_OFF);
            let delay = report.delay.unwrap();
            assert!((1_000_000..=3_000_000).contains(&delay), "{delay}");
        }
    });
}

#[test]
fn she_is_asked_before_the_store_is_looked_at() {
    sandboxed(|| {
        line("");
        let report = login(b"alice");
        assert_eq!(report.answer, "PAM_AUTHINFO_UNAVAIL", "there is no store");
        assert_eq!(report.asked.len(), 1);
        assert!(report.delay.unwrap() > 0);
    });
}

#[test]
fn a_store_that_is_not_in_order_answers_strangers_like_everybody() {
    sandboxed(|| {
        line("");
        for user in ["alice", "bob", "mallory"] {
            assert_eq!(login(user.as_bytes()).answer, "PAM_AUTHINFO_UNAVAIL");
        }
    });
}

#[test]
fn a_user_nobody_has_named_yet_is_asked_for_her_name() {
    sandboxed(|| {
        line("");
        let phone = Phone::enrolled("alice", &[]);
        let login = Login::of_nobody_yet()
            .typing("alice")
            .typing(&*phone.code());
        let report = login.authenticate();
        assert_eq!(report.answer, "PAM_SUCCESS");
        assert_eq!(report.asked.len(), 2);
        assert_eq!(report.asked[0].style, ECHO_ON);
    });
}

#[test]
fn the_prompt_is_the_administrators() {
    sandboxed(|| {
        let _phone = Phone::enrolled("alice", &[]);
        line("[prompt=Your code = %s: ]");
        assert_eq!(login(b"alice").asked[0].text, "Your code = %s: ");
        line("[prompt=Código: ] echo");
        let asked = login(b"alice").asked;
        assert_eq!(asked[0].text, "Código: ");
        assert_eq!(asked[0].style, ECHO_ON);
    });
}

#[test]
fn nodelay_asks_for_no_delay() {
    sandboxed(|| {
        store();
        line("nodelay");
        let report = login(b"bob");
        assert_eq!(report.answer, "PAM_AUTH_ERR");
        assert_eq!(report.delay, Some(0));
    });
}

#[test]
fn flags_of_the_host_change_nothing() {
    sandboxed(|| {
        line("nullok");
        let phone = Phone::enrolled("alice", &[]);
        for flags in [
            SILENT,
            DISALLOW_NULL_AUTHTOK,
            SILENT | DISALLOW_NULL_AUTHTOK,
        ] {
            let bob = Login::of("bob").with_flags(flags).authenticate();
            assert_eq!(bob.answer, "PAM_IGNORE");
        }
        let login = Login::of("alice").with_flags(SILENT).typing(&*phone.code());
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn nullok_lets_by_whom_nothing_is_kept_of_and_asks_the_others() {
    sandboxed(|| {
        line("nullok");
        let phone = Phone::enrolled("alice", &[]);
        let report = login(b"bob");
        assert_eq!((report.answer, report.asked.len()), ("PAM_IGNORE", 0));
        let right = Login::of("alice").typing(&*phone.code()).authenticate();
        assert_eq!((right.answer, right.asked.len()), ("PAM_SUCCESS", 1));
        let wrong = Login::of("alice").typing("").authenticate();
        assert_eq!((wrong.answer, wrong.asked.len()), ("PAM_AUTH_ERR", 1));
    });
}

#[test]
fn nullok_asks_whom_passwd_does_not_know() {
    sandboxed(|| {
        line("nullok");
        store();
        for user in [&b"mallory"[..], b"", b"\xff", b"../alice"] {
            let report = login(user);
            assert_eq!((report.answer, report.asked.len()), ("PAM_AUTH_ERR", 1));
        }
    });
}

#[test]
fn nullok_asks_a_user_who_has_a_stored_code_until_it_is_used_or_expired() {
    sandboxed(|| {
        line("nullok");
        issue("bob", "48210937", 600);
        let report = Login::of("bob").typing("48210937").authenticate();
        assert_eq!((report.answer, report.asked.len()), ("PAM_SUCCESS", 1));
        assert_eq!(login(b"bob").answer, "PAM_IGNORE");
    });
}

#[test]
fn nullok_takes_no_doubt_for_absence() {
    let doubts: [(&str, fn()); 9] = [
        ("the marker is gone", || {
            fs::remove_file("/var/lib/pam_otp/STORE").unwrap();
        }),
        ("the store is gone", || {
            fs::remove_dir_all("/var/lib/pam_otp").unwrap();
        }),
        ("an empty directory is mounted over it", || {
            fs::rename("/var/lib/pam_otp", "/var/lib/was").unwrap();
            fs::create_dir("/var/lib/pam_otp").unwrap();
            mode("/var/lib/pam_otp", 0o700);
        }),
        ("the spool is gone", || {
            fs::remove_dir_all("/var/spool/pam_otp").unwrap();
        }),
        ("others can write to the store", || {
            mode("/var/lib/pam_otp", 0o777);
        }),
        ("the secrets' directory is a link", || {
            fs::rename("/var/lib/pam_otp/secrets", "/tmp/secrets").unwrap();
            symlink("/tmp/secrets", "/var/lib/pam_otp/secrets").unwrap();
        }),
        ("her record is a directory", || {
            fs::create_dir_all("/var/lib/pam_otp/secrets/bob").unwrap();
            fs::create_dir_all("/var/lib/pam_otp/state/bob").unwrap();
        }),
        ("her record is a link to nowhere", || {
            symlink("/nowhere", "/var/lib/pam_otp/state/bob").unwrap();
        }),
        ("her record is empty", || {
            fs::write(state_file("bob"), "").unwrap();
            mode("/var/lib/pam_otp/state/bob", 0o600);
        }),
    ];
    sandboxed(|| {
        line("nullok");
        for (doubt, arises) in doubts {
            let _ = fs::remove_dir_all("/var/lib/pam_otp");
            let _ = fs::remove_dir_all("/var/spool/pam_otp");
            store();
            assert_eq!(login(b"bob").answer, "PAM_IGNORE", "before {doubt}");
            arises();
            assert_eq!(login(b"bob").answer, "PAM_AUTHINFO_UNAVAIL", "{doubt}");
        }
    });
}

fn mode(path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
