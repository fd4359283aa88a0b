//! Moving from the modules people use today: files that their own tools made and their own modules logged in by, brought over by
//! otpctl, and then logins by ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tests::meddler::Program;
use tests::pam::{Login, line, stack};
use tests::sandbox::{Extras, OTPCTL, sandboxed_with, with_otpctl};
use tests::users::now;

/// Runs a test that has otpctl.
fn moving<F: FnOnce()>(test: F) {
    let extras = Extras {
        programs: Some(with_otpctl),
        ..Extras::default()
    };
    sandboxed_with(extras, test);
}

fn answer(service: &str, code: &str) -> &'static str {
    let login = Login::of("alice").at(service).typing(code);
    login.authenticate().answer
}

/// What a program of others prints.
fn printed(program: &str, args: &[&str]) -> String {
    let run = Command::new(program).args(args).output();
    let run = run.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(run.status.success(), "{program} {args:?}: {run:?}");
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

/// The code by oathtool so many seconds from now. Waits where the step is nearly over.
fn code(secret: &[&str], ahead: u64) -> String {
    while now().as_secs() % 30 > 24 {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let at = format!("--now=@{}", now().as_secs() + ahead);
    printed("oathtool", &[&["--totp", &at], secret].concat())
}

fn import(args: &[&str]) -> serde_json::Value {
    let words = [&[OTPCTL, "import", "--json"], args].concat();
    let ended = Program::new(&words).run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    serde_json::from_str(&ended.out).unwrap()
}

fn private(path: &str) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_user_of_google_authenticator_logs_in_by_us_and_not_with_what_she_used_there() {
    moving(|| {
        let file = "/tmp/alice.ga";
        let made = [
            "-t", "-d", "-f", "-C", "-q", "-Q", "none", "-r", "3", "-R", "30", "-w", "3", "-e",
            "2", "-s", file,
        ];
        printed("google-authenticator", &made);
        stack(
            "old",
            &[&format!(
                "auth required pam_google_authenticator.so secret={file} user=root no_strict_owner"
            )],
        );
        let text = fs::read_to_string(file).unwrap();
        let secret = ["--base32", text.lines().next().unwrap()];
        let used = code(&secret, 0);
        assert_eq!(answer("old", &used), "PAM_SUCCESS");
        let spent = text.lines().last().unwrap().to_owned();
        assert_eq!(answer("old", &spent), "PAM_SUCCESS");
        let left = text.lines().rev().nth(1).unwrap();

        let json = import(&["--user", "alice", file]);
        assert_eq!(json["imported"], 1);
        let notes = json["notes"].to_string();
        assert!(
            notes.contains("WINDOW_SIZE") && notes.contains("RATE_LIMIT"),
            "{notes}"
        );
        line("nodelay");
        assert_eq!(answer("sshd", &used), "PAM_AUTH_ERR");
        assert_eq!(answer("sshd", &code(&secret, 30)), "PAM_SUCCESS");
        assert_eq!(answer("sshd", &spent), "PAM_AUTH_ERR");
        assert_eq!(answer("sshd", left), "PAM_SUCCESS");
        assert_eq!(answer("sshd", left), "PAM_AUTH_ERR");
    });
}

#[test]
fn a_counter_of_google_authenticator_goes_on_where_it_stood() {
    moving(|| {
        let file = "/tmp/alice.ga";
        let made = [
            "-c", "-f", "-C", "-q", "-Q", "none", "-u", "-w", "3", "-s", file,
        ];
        printed("google-authenticator", &made);
        stack(
            "old",
            &[&format!(
                "auth required pam_google_authenticator.so secret={file} user=root no_strict_owner no_increment_hotp"
            )],
        );
        let text = fs::read_to_string(file).unwrap();
        let secret = text.lines().next().unwrap();
        let of =
            |counter: &str| printed("oathtool", &["--hotp", "-c", counter, "--base32", secret]);
        assert_eq!(answer("old", &of("2")), "PAM_SUCCESS");
        import(&["--user", "alice", file]);
        line("nodelay");
        for used in ["1", "2"] {
            assert_eq!(answer("sshd", &of(used)), "PAM_AUTH_ERR", "{used}");
        }
        assert_eq!(answer("sshd", &of("3")), "PAM_SUCCESS");
    });
}

const HEX: &str = "3132333435363738393031323334353637383930";

#[test]
fn users_of_pam_oath_log_in_by_us_and_not_with_what_they_used_there() {
    moving(|| {
        let file = "/tmp/users.oath";
        for (kind, used, next) in [
            ("HOTP", "969429".to_owned(), "338314".to_owned()),
            ("HOTP/T30", code(&[HEX], 0), code(&[HEX], 30)),
        ] {
            tests::users::wipe();
            fs::write(file, format!("{kind} alice - {HEX}\n")).unwrap();
            private(file);
            stack(
                "old",
                &[&format!(
                    "auth required pam_oath.so usersfile={file} window=10"
                )],
            );
            assert_eq!(answer("old", &used), "PAM_SUCCESS", "{kind}");
            let text = fs::read_to_string(file).unwrap();
            assert!(text.contains(&used), "pam_oath keeps the last code: {text}");
            assert_eq!(import(&[file])["imported"], 1);
            line("nodelay");
            assert_eq!(answer("sshd", &used), "PAM_AUTH_ERR", "{kind}");
            assert_eq!(answer("sshd", &next), "PAM_SUCCESS", "{kind}");
        }
    });
}
