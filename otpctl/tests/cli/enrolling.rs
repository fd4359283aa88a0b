//! enroll, recovery, show, remove.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::world::{logged, on_a_machine};

#[test]
fn enrolling_prints_everything_an_app_needs_once() {
    on_a_machine(|machine| {
        let made = machine.json(&[
            "enroll",
            "alice",
            "--issuer",
            "Müller & Co",
            "--algorithm",
            "sha256",
            "--digits",
            "8",
            "--period",
            "60",
        ]);
        let secret = made["secret"].as_str().unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(
            made["uri"].as_str().unwrap(),
            format!(
                "otpauth://totp/M%C3%BCller%20%26%20Co:alice?secret={secret}&issuer=M%C3%BCller%20%26%20Co&algorithm=SHA256&digits=8&period=60"
            )
        );
        let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 10, "{keys:?}");
        assert_eq!(
            (made["user"].as_str(), made["type"].as_str()),
            (Some("alice"), Some("totp"))
        );
        assert_eq!(
            (
                made["algorithm"].as_str(),
                made["digits"].as_u64(),
                made["period"].as_u64()
            ),
            (Some("sha256"), Some(8), Some(60))
        );
        let codes = made["recovery_codes"].as_array().unwrap();
        assert_eq!(codes.len(), 10);
        assert_eq!(codes[0].as_str().unwrap().len(), 19);

        let status = machine.otpctl(&["status", "alice"]).exits(0);
        assert!(
            !status.out.contains(secret) && status.out.contains("8 digits, 60 s"),
            "{status:?}"
        );
        assert_eq!(
            machine.json(&["status", "alice"])["recovery_codes_left"],
            10
        );
    });
}

#[test]
fn an_enrolled_user_stays_as_she_is_without_replace() {
    on_a_machine(|machine| {
        let first = machine.json(&["enroll", "alice"]);
        let again = machine.otpctl(&["enroll", "alice"]).exits(1);
        assert!(
            again.out.is_empty() && again.err.contains("--replace"),
            "{again:?}"
        );
        assert_eq!(
            machine.json(&["enroll", "alice"])["error"],
            "already-enrolled"
        );
        assert_eq!(machine.json(&["show", "alice"])["secret"], first["secret"]);

        let other = machine.json(&["enroll", "alice", "--replace", "--recovery-codes", "0"]);
        assert_ne!(other["secret"], first["secret"]);
        assert_eq!(other["recovery_codes"].as_array().unwrap().len(), 0);
        assert_eq!(machine.json(&["show", "alice"])["secret"], other["secret"]);
        // With none asked for, those she had stay.
        assert_eq!(
            machine.json(&["status", "alice"])["recovery_codes_left"],
            10
        );
        machine.otpctl(&["enroll", "bob", "--replace"]).exits(0);
    });
}

#[test]
fn a_secret_that_exists_is_taken_from_standard_input() {
    on_a_machine(|machine| {
        let typed = "gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n";
        let said = machine
            .otpctl_with(&["enroll", "alice", "--secret", "-", "--json"], typed)
            .exits(0);
        assert_eq!(said.json()["secret"], "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for (bad, word) in [
            ("not base32!\n", "base32"),
            ("GEZDGNBV\n", "too short"),
            ("", "too short"),
        ] {
            let said = machine
                .otpctl_with(&["enroll", "bob", "--secret", "-"], bad)
                .exits(2);
            assert!(said.err.contains(word), "{said:?}");
        }
        let said = machine
            .otpctl(&[
                "enroll",
                "bob",
                "--secret",
                "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            ])
            .exits(2);
        assert!(
            said.err.contains("--secret takes -") && !said.err.contains("GEZD"),
            "{said:?}"
        );
        assert_eq!(machine.json(&["status", "bob"])["enrolled"], false);
    });
}

#[test]
fn what_is_asked_for_wrongly_changes_nothing() {
    on_a_machine(|machine| {
        for (args, word) in [
            (vec!["enroll", "alice", "--digits", "9"], "6..=8"),
            (vec!["enroll", "alice", "--period", "4"], "5..=300"),
            (vec!["enroll", "alice", "--recovery-codes", "65"], "0..=64"),
            (vec!["enroll", "alice", "--issuer", "a:b"], "colon"),
            (
                vec!["enroll", "alice", "--label", "a\nb"],
                "control character",
            ),
            (vec!["enroll", "alice", "--qr", "picture.jpg"], ".png"),
            (vec!["enroll", "alice", "--type", "sms"], "totp, hotp"),
            (vec!["enroll", "a\tb"], "control character"),
            (vec!["enroll"], "USER"),
        ] {
            let said = machine.otpctl(&args).exits(2);
            assert!(
                said.out.is_empty() && said.err.contains(word),
                "{args:?} {said:?}"
            );
            assert!(
                said.err.starts_with("error: ") && said.err.lines().count() == 1,
                "{said:?}"
            );
        }
        let said = machine.otpctl(&["enroll", "nobody-here"]).exits(3);
        assert!(
            said.err.contains("there is no user nobody-here"),
            "{said:?}"
        );
        assert_eq!(
            machine.json(&["enroll", "nobody-here"])["error"],
            "unknown-user"
        );
        assert!(!Path::new("/var/lib/pam_otp").exists(), "nothing was made");
    });
}

#[test]
fn a_picture_is_private_and_overwrites_nothing() {
    on_a_machine(|machine| {
        machine
            .otpctl(&["enroll", "alice", "--qr", "/run/a.png"])
            .exits(0);
        assert_eq!(
            fs::metadata("/run/a.png").unwrap().permissions().mode() & 0o7777,
            0o600
        );
        let before = fs::read("/run/a.png").unwrap();
        let said = machine
            .otpctl(&["enroll", "bob", "--qr", "/run/a.png"])
            .exits(2);
        assert!(said.err.contains("/run/a.png is there already"), "{said:?}");
        assert_eq!(fs::read("/run/a.png").unwrap(), before);
        std::os::unix::fs::symlink("/run/elsewhere", "/run/link.png").unwrap();
        machine
            .otpctl(&["enroll", "bob", "--qr", "/run/link.png"])
            .exits(2);
        machine
            .otpctl(&["enroll", "bob", "--qr", "/no/such/directory/b.svg"])
            .exits(5);
        assert!(!Path::new("/run/elsewhere").exists());
        assert_eq!(machine.json(&["status", "bob"])["enrolled"], false);
    });
}

#[test]
fn a_picture_of_a_failed_enrolment_is_taken_away() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        // Replaced in the middle by a state that cannot be read.
        fs::write("/var/lib/pam_otp/state/alice", "").unwrap();
        let said = machine
            .otpctl(&["enroll", "alice", "--replace", "--qr", "/run/a.png"])
            .exits(5);
        assert!(said.out.is_empty(), "{said:?}");
        assert!(!Path::new("/run/a.png").exists());
    });
}

#[test]
fn recovery_replaces_the_list_and_not_the_secret() {
    on_a_machine(|machine| {
        machine.otpctl(&["recovery", "alice"]).exits(5);
        let first = machine.json(&["enroll", "alice", "--recovery-codes", "2"]);
        let old = first["recovery_codes"][0].as_str().unwrap().to_owned();
        let fresh = machine.json(&["recovery", "alice"]);
        assert_eq!(fresh["recovery_codes"].as_array().unwrap().len(), 10);
        let verify =
            |code: &str| machine.otpctl_with(&["verify", "alice", "--json"], &format!("{code}\n"));
        assert_eq!(verify(&old).exits(1).json()["reason"], "mismatch");
        let new = fresh["recovery_codes"][3].as_str().unwrap();
        assert_eq!(
            verify(&new.to_uppercase()).exits(0).json()["method"],
            "recovery"
        );
        assert_eq!(verify(new).exits(1).json()["reason"], "used");
        assert_eq!(machine.json(&["status", "alice"])["recovery_codes_left"], 9);
        assert_eq!(machine.json(&["show", "alice"])["secret"], first["secret"]);
        assert_eq!(machine.json(&["recovery", "bob"])["error"], "not-enrolled");
    });
}

#[test]
fn removing_asks_and_takes_users_who_are_gone() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        machine.otpctl(&["issue", "alice"]).exits(0);
        let unasked = machine.otpctl(&["remove", "alice"]).exits(2);
        assert!(unasked.err.contains("--yes"), "{unasked:?}");
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write("/etc/passwd", passwd.replace("alice", "alicia")).unwrap();
        machine.otpctl(&["enroll", "alice"]).exits(3);
        assert_eq!(machine.json(&["status", "alice"])["enrolled"], true);
        let list = machine.otpctl(&["list"]).exits(0);
        assert!(list.out.contains("gone"), "{list:?}");
        let removed = machine
            .otpctl(&["remove", "alice", "--yes", "--json"])
            .exits(0);
        assert_eq!(removed.json()["enrolled"], false);
        machine.otpctl(&["remove", "alice", "--yes"]).exits(3);
        machine.otpctl(&["remove", "alicia", "--yes"]).exits(3);
    });
}

#[test]
fn removing_says_whether_she_can_still_log_in() {
    on_a_machine(|machine| {
        let said = |line: &str| {
            fs::write("/etc/pam.d/sshd", format!("auth required {line}\n")).unwrap();
            machine.otpctl(&["enroll", "alice"]).exits(0);
            machine.otpctl(&["remove", "alice", "--yes"]).exits(0).out
        };
        assert!(said("pam_unix.so").contains("nothing changes"));
        assert!(said("pam_otp.so").contains("cannot log in by sshd"));
        assert!(said("pam_otp.so nullok").contains("still logs in, without a code"));
    });
}

#[test]
fn a_uid_that_changed_inherits_nothing_and_can_be_cleared_away() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let issued = machine.json(&["issue", "alice"]);
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write(
            "/etc/passwd",
            passwd.replace("alice:x:1000", "alice:x:2000"),
        )
        .unwrap();
        let said = machine.otpctl(&["status", "alice"]).exits(5);
        assert!(
            said.err.contains("uid 1000") && said.err.contains("otpctl remove"),
            "{said:?}"
        );
        let revoked = machine.json(&["revoke", "alice", issued["id"].as_str().unwrap()]);
        assert_eq!(revoked["revoked"].as_array().map(Vec::len), Some(1));
        machine.otpctl(&["remove", "alice", "--yes"]).exits(0);
        machine.otpctl(&["enroll", "alice"]).exits(0);
    });
}

#[test]
fn who_was_enrolled_or_shown_is_logged_and_no_secret_is() {
    on_a_machine(|machine| {
        let log = machine.log();
        let made = machine.json(&["enroll", "carol@corp.example"]);
        machine.otpctl(&["show", "carol@corp.example"]).exits(0);
        machine.otpctl(&["disable", "carol@corp.example"]).exits(0);
        let issued = machine.json(&["issue", "alice", "--reason", "a \"lost\" phone"]);
        let lines = logged(&log);
        let found = |what: &str| lines.iter().any(|line| line.contains(what));
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with("<85>") && line.contains(" otpctl[")),
            "{lines:?}"
        );
        assert!(
            found(": enrolled type=totp") && found("user=\"carol@corp.example\""),
            "{lines:?}"
        );
        assert!(
            found(": secret-shown name=\"app\" by=uid:") && found(": disabled by=uid:"),
            "{lines:?}"
        );
        assert!(
            found("reason=\"a \\\"lost\\\" phone\" by=uid:"),
            "{lines:?}"
        );
        let all = lines.concat();
        for secret in [&made["secret"], &made["recovery_codes"][0], &issued["code"]] {
            assert!(!all.contains(secret.as_str().unwrap()));
        }
    });
}
