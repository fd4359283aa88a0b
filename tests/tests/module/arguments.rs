//! Arguments and policies that cannot be obeyed deny, and say why.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::pam::{Login, Report, line};
use tests::sandbox::sandboxed;
use tests::syslog::Syslog;
use tests::users::{Phone, store};

fn login(code: &str) -> Report {
    Login::of("alice").typing(code).authenticate()
}

#[test]
fn an_argument_that_cannot_be_obeyed_denies_and_is_named() {
    sandboxed(|| {
        let log = Syslog::bind();
        let phone = Phone::enrolled("alice", &[]);
        for (arguments, why) in [
            ("nulok", "argument 'nulok' is unknown: see pam_otp(8)"),
            (
                "nullok user=alice",
                "argument 'user\\x3dalice' is unknown: see pam_otp(8)",
            ),
            (
                "tail=5",
                "argument 'tail\\x3d5' takes a number of digits from 6 to 10",
            ),
            (
                "config=otp.toml",
                "argument 'config\\x3dotp.toml' takes an absolute path",
            ),
            (
                "try_first_pass use_first_pass",
                "argument 'use_first_pass' cannot stand beside the other of try_first_pass and use_first_pass",
            ),
        ] {
            line(arguments);
            let report = login(&phone.code());
            assert_eq!(
                (report.answer, report.asked.len()),
                ("PAM_AUTHINFO_UNAVAIL", 0)
            );
            assert!(report.delay.unwrap() > 0, "as late as any other failure");
            let lines = log.take();
            let expected = format!(
                "pam_otp(sshd:auth): refused reason=unavailable rhost=- what=\"{why}\" user=\"alice\""
            );
            assert_eq!(lines.len(), 1);
            assert_eq!(
                (lines[0].text.as_str(), lines[0].severity),
                (expected.as_str(), 3)
            );
        }
    });
}

#[test]
fn every_documented_argument_is_taken() {
    sandboxed(|| {
        line(
            "nullok [prompt=Code: ] echo try_first_pass forward_pass tail=7 after_first_factor nodelay debug",
        );
        store();
        assert_eq!(
            Login::of("alice").typing("password").authenticate().answer,
            "PAM_IGNORE"
        );
    });
}

#[test]
fn config_names_another_policy() {
    sandboxed(|| {
        let phone = Phone::enrolled("alice", &[]);
        let policy = "state_dir = \"/var/lib/elsewhere\"\n";
        fs::write("/etc/security/other.toml", policy).unwrap();
        line("config=/etc/security/other.toml");
        assert_eq!(login(&phone.code()).answer, "PAM_AUTHINFO_UNAVAIL");
        fs::rename("/var/lib/pam_otp", "/var/lib/elsewhere").unwrap();
        assert_eq!(login(&phone.code()).answer, "PAM_SUCCESS");
    });
}

#[test]
fn a_policy_that_cannot_be_obeyed_denies_by_line_and_never_quotes_it() {
    sandboxed(|| {
        let log = Syslog::bind();
        let phone = Phone::enrolled("alice", &[]);
        let policy = "/etc/security/otp.toml";
        let denied = |arguments: &str, why: &str| {
            line(arguments);
            assert_eq!(login(&phone.code()).answer, "PAM_AUTHINFO_UNAVAIL", "{why}");
            let lines = log.take();
            assert!(
                lines.len() == 1 && lines[0].text.contains(why),
                "{why}: {lines:?}"
            );
            assert!(!lines[0].text.contains("hunter2"));
        };
        fs::write(policy, "window = 1\nwindow_ = \"hunter2\"\n").unwrap();
        denied("", "/etc/security/otp.toml line 2: unknown key");
        denied("nullok", "/etc/security/otp.toml line 2: unknown key");
        fs::write(policy, "window = \"hunter2\"\n").unwrap();
        denied("", "line 1: window takes a number of steps from 0 to 10");
        fs::write(policy, "window = hunter2\n").unwrap();
        denied("", "/etc/security/otp.toml line 1");
        fs::write(policy, "").unwrap();
        fs::set_permissions(policy, fs::Permissions::from_mode(0o666)).unwrap();
        denied("", "/etc/security/otp.toml is not safe");
        fs::remove_file(policy).unwrap();
        denied(
            "config=/etc/security/none.toml",
            "/etc/security/none.toml is not there",
        );
        fs::create_dir(policy).unwrap();
        denied("", "/etc/security/otp.toml is not safe");
        fs::remove_dir(policy).unwrap();
        line("");
        assert_eq!(login(&phone.code()).answer, "PAM_SUCCESS");
    });
}
