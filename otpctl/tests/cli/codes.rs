//! issue, revoke, verify, sweep, unlock, disable, enable.

use std::thread::sleep;
use std::time::Duration;

use crate::world::{Machine, Said, on_a_machine};

fn verify(machine: &Machine, user: &str, code: &str) -> Said {
    machine.otpctl_with(&["verify", user, "--json"], &format!("{code}\n"))
}

#[test]
fn an_issued_code_is_good_once_for_somebody_who_is_not_enrolled() {
    on_a_machine(|machine| {
        let issued = machine.json(&["issue", "alice", "--reason", "lost phone"]);
        let code = issued["code"].as_str().unwrap();
        assert_eq!(code.len(), 8);
        let first = verify(machine, "alice", code).exits(0).json();
        assert_eq!(
            (first["result"].as_str(), first["method"].as_str()),
            (Some("accepted"), Some("issued"))
        );
        assert!(first["reason"].is_null() && first["offset"].is_null());
        let second = verify(machine, "alice", code).exits(1).json();
        assert_eq!(
            (second["result"].as_str(), second["reason"].as_str()),
            (Some("refused"), Some("used"))
        );
        let shown = machine.otpctl(&["issue", "alice", "--ttl", "15m"]).exits(0);
        assert!(
            shown.out.contains("good once, until ") && shown.out.contains("(15 minutes)"),
            "{shown:?}"
        );
        assert!(shown.out.contains("otpctl revoke alice "), "{shown:?}");
    });
}

#[test]
fn a_code_ends_with_its_time() {
    on_a_machine(|machine| {
        let issued = machine.json(&["issue", "alice", "--ttl", "1s"]);
        sleep(Duration::from_millis(1100));
        let said = verify(machine, "alice", issued["code"].as_str().unwrap()).exits(1);
        assert_eq!(said.json()["reason"], "expired");
        assert_eq!(machine.json(&["sweep"])["deleted"], 1);
        assert_eq!(machine.json(&["sweep"])["deleted"], 0);
    });
}

#[test]
fn several_users_get_codes_all_or_none() {
    on_a_machine(|machine| {
        let issued = machine.json(&["issue", "alice", "bob", "--count", "2", "--digits", "10"]);
        let codes = issued["codes"].as_array().unwrap();
        let users: Vec<&str> = codes
            .iter()
            .map(|code| code["user"].as_str().unwrap())
            .collect();
        assert_eq!(users, ["alice", "alice", "bob", "bob"]);
        assert!(
            codes
                .iter()
                .all(|code| code["code"].as_str().unwrap().len() == 10)
        );
        let people = machine.otpctl(&["issue", "alice", "bob"]).exits(0);
        assert_eq!(people.out.lines().count(), 3, "{people:?}");

        machine.otpctl(&["issue", "alice", "nobody-here"]).exits(3);
        machine.otpctl(&["issue", "alice", "alice"]).exits(2);
        let pending = |user: &str| {
            machine.json(&["status", user])["issued"]
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!((pending("alice"), pending("bob")), (3, 3));

        // Bob's codes cannot be written: what alice got just before is taken back.
        crate::world::make_read_only("/var/spool/pam_otp/bob");
        let said = machine.otpctl(&["issue", "alice", "bob"]).exits(5);
        assert!(
            said.out.is_empty() && said.err.contains("/var/spool/pam_otp/bob"),
            "{said:?}"
        );
        assert_eq!(pending("alice"), 3);
    });
}

#[test]
fn twenty_live_codes_are_the_most() {
    on_a_machine(|machine| {
        machine
            .otpctl(&["issue", "alice", "--count", "20"])
            .exits(0);
        let said = machine.otpctl(&["issue", "bob", "alice"]).exits(1);
        assert!(said.err.contains("20 live codes"), "{said:?}");
        assert_eq!(machine.json(&["issue", "alice"])["error"], "too-many");
        assert_eq!(
            machine.json(&["status", "bob"])["issued"]
                .as_array()
                .unwrap()
                .len(),
            0
        );
    });
}

#[test]
fn what_cannot_be_issued_is_refused_with_a_sentence() {
    on_a_machine(|machine| {
        let long = "x".repeat(201);
        for args in [
            ["issue", "alice", "--ttl", "0"],
            ["issue", "alice", "--ttl", "25h"],
            ["issue", "alice", "--ttl", "soon"],
            ["issue", "alice", "--digits", "11"],
            ["issue", "alice", "--count", "21"],
            ["issue", "alice", "--count", "0"],
            ["issue", "alice", "--reason", "two\nlines"],
            ["issue", "alice", "--reason", &long],
        ] {
            let said = machine.otpctl(&args).exits(2);
            assert!(
                said.out.is_empty() && said.err.contains(args[2]),
                "{args:?}: {said:?}"
            );
        }
        assert_eq!(
            machine.json(&["issue", "alice", "--ttl", "0"])["error"],
            "usage"
        );
    });
}

#[test]
fn six_digits_beside_a_six_digit_app_bring_a_warning() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let warned = machine
            .otpctl(&["issue", "alice", "--digits", "6"])
            .exits(0);
        assert!(
            warned.complaints()[0].starts_with("warning: 6 digits"),
            "{warned:?}"
        );
        let calm = machine.otpctl(&["issue", "alice"]).exits(0);
        assert!(calm.complaints().is_empty(), "{calm:?}");
    });
}

#[test]
fn codes_are_revoked_by_id_by_user_and_for_everyone() {
    on_a_machine(|machine| {
        let issued = machine.json(&["issue", "alice", "bob", "--count", "2"]);
        let id = issued["codes"][0]["id"].as_str().unwrap();
        let one = machine
            .otpctl(&["revoke", "alice", &id[..6], "--json"])
            .exits(0)
            .json();
        assert_eq!(
            (one["user"].as_str(), one["revoked"][0].as_str()),
            (Some("alice"), Some(id))
        );
        let code = issued["codes"][0]["code"].as_str().unwrap();
        verify(machine, "alice", code).exits(1);

        machine.otpctl(&["revoke", "alice", id]).exits(3);
        machine.otpctl(&["revoke", "alice", "xyz!"]).exits(2);
        machine.otpctl(&["revoke", "nobody-here"]).exits(3);
        assert_eq!(
            machine.json(&["revoke", "alice"])["revoked"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        machine.otpctl(&["revoke", "--everyone"]).exits(2);
        let all = machine
            .otpctl(&["revoke", "--everyone", "--yes", "--json"])
            .exits(0)
            .json();
        assert_eq!(all["revoked"].as_array().unwrap().len(), 2);
        machine.otpctl(&["revoke", "alice"]).exits(0);
        machine.otpctl(&["revoke"]).exits(2);
    });
}

#[test]
fn what_is_no_code_is_malformed_and_nobody_enrolled_is_a_refusal() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let long = "1".repeat(100_000);
        for typed in ["", "12345", "abc", "٤٩٢٠٣٩", &long] {
            assert_eq!(
                verify(machine, "alice", typed).exits(1).json()["reason"],
                "malformed"
            );
        }
        assert_eq!(
            verify(machine, "bob", "123456").exits(1).json()["reason"],
            "not-enrolled"
        );
        verify(machine, "nobody-here", "123456").exits(3);
        assert_eq!(machine.json(&["status", "alice"])["failures"], 0);
    });
}

#[test]
fn failures_hold_and_unlock_forgets_them() {
    on_a_machine(|machine| {
        let secret = machine.json(&["enroll", "alice"])["secret"].clone();
        let mut reasons = Vec::new();
        for guess in 0..4 {
            // Right by accident three times in a million.
            let said = verify(machine, "alice", &format!("00000{guess}"));
            reasons.push(said.exits(1).json()["reason"].as_str().unwrap().to_owned());
        }
        assert_eq!(
            reasons.last().map(String::as_str),
            Some("throttled"),
            "{reasons:?}"
        );
        let held = machine.json(&["status", "alice"]);
        assert!(
            held["throttled_until"].as_str().unwrap().ends_with('Z'),
            "{held}"
        );
        assert_eq!(machine.json(&["status"])["held"], 1);
        let shown = machine.otpctl(&["status", "alice"]).exits(0);
        assert!(shown.out.contains("held until"), "{shown:?}");
        let freed = machine.json(&["unlock", "alice"]);
        assert!(
            freed["throttled_until"].is_null() && freed["failures"] == 0,
            "{freed}"
        );
        assert_eq!(machine.json(&["show", "alice"])["secret"], secret);
        machine.otpctl(&["unlock", "bob"]).exits(3);
    });
}

#[test]
fn a_disabled_user_is_refused_until_she_is_enabled() {
    on_a_machine(|machine| {
        let made = machine.json(&["enroll", "alice"]);
        let code = made["recovery_codes"][0].as_str().unwrap();
        assert_eq!(machine.json(&["disable", "alice"])["disabled"], true);
        assert_eq!(
            verify(machine, "alice", code).exits(1).json()["reason"],
            "disabled"
        );
        assert_eq!(machine.json(&["enable", "alice"])["disabled"], false);
        verify(machine, "alice", code).exits(0);
        machine.otpctl(&["disable", "bob"]).exits(3);
        // All that is left of a code is a record without a word in it.
        machine.otpctl(&["issue", "bob"]).exits(0);
        machine.otpctl(&["revoke", "bob"]).exits(0);
        machine.otpctl(&["disable", "bob"]).exits(3);
        assert_eq!(machine.json(&["status", "bob"])["disabled"], false);
    });
}
