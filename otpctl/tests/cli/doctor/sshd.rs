//! Faults of sshd's settings, read from its files where it cannot be asked; asked itself, in tests/e2e (docs/faults.md).

use std::fs;

use super::{LINE, ON, faults, finds, notes, set_up, told};
use crate::world::on_a_machine;

fn settings_are_found(sshd: &str, name: &str, saying: &str) {
    on_a_machine(|machine| {
        set_up(machine, LINE, sshd);
        finds(machine, name, saying);
    });
}

#[test]
fn sshd_that_answers_the_prompt_with_the_password() {
    on_a_machine(|machine| {
        for key in [
            "KbdInteractiveAuthentication",
            "ChallengeResponseAuthentication",
        ] {
            set_up(machine, LINE, &format!("UsePAM yes\n{key} no\n"));
            finds(
                machine,
                "KbdInteractiveAuthentication",
                "answers our prompt with the password",
            );
        }
    });
}

#[test]
fn sshd_that_does_not_ask_pam() {
    settings_are_found(
        "UsePAM no\nKbdInteractiveAuthentication yes\n",
        "UsePAM",
        "does not ask PAM at all",
    );
}

#[test]
fn a_file_that_comes_first_and_says_no() {
    on_a_machine(|machine| {
        set_up(machine, LINE, "UsePAM yes\n");
        fs::create_dir("/etc/ssh/sshd_config.d").unwrap();
        fs::write(
            "/etc/ssh/sshd_config.d/otp.conf",
            "KbdInteractiveAuthentication yes\n",
        )
        .unwrap();
        assert_eq!(faults(machine), [""; 0]);
        let first = "KbdInteractiveAuthentication no\n";
        fs::write("/etc/ssh/sshd_config.d/00-distribution.conf", first).unwrap();
        finds(machine, "KbdInteractiveAuthentication", "no:");
    });
}

#[test]
fn the_method_password_before_the_code() {
    settings_are_found(
        &format!("{ON}AuthenticationMethods password,keyboard-interactive\n"),
        "AuthenticationMethods",
        "'password' runs the same PAM lines",
    );
}

#[test]
fn methods_with_blanks_among_them() {
    settings_are_found(
        &format!("{ON}AuthenticationMethods password publickey, keyboard-interactive\n"),
        "AuthenticationMethods",
        "'password' runs the same PAM lines",
    );
}

#[test]
fn methods_that_ask_for_no_code() {
    settings_are_found(
        &format!("{ON}AuthenticationMethods publickey\n"),
        "AuthenticationMethods",
        "nobody is ever asked for a code",
    );
}

#[test]
fn a_key_that_needs_no_code() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        notes(machine, "key-alone", "a key logs in without a code");
    });
}

#[test]
fn a_client_that_offers_the_password_first() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        notes(machine, "password-method", "is refused there");
        set_up(machine, LINE, &format!("{ON}PasswordAuthentication no\n"));
        assert_eq!(told(machine, "sshd", "password-method"), "");
    });
}

#[test]
fn the_setting_in_the_file_of_the_client() {
    on_a_machine(|machine| {
        set_up(
            machine,
            LINE,
            "UsePAM yes\nKbdInteractiveAuthentication no\n",
        );
        let client = "Host *\n    ChallengeResponseAuthentication yes\n";
        fs::write("/etc/ssh/ssh_config", client).unwrap();
        finds(
            machine,
            "KbdInteractiveAuthentication",
            "/etc/ssh/ssh_config has it, but that is for those who log in from here",
        );
    });
}

#[test]
fn root_whose_answers_are_refused() {
    on_a_machine(|machine| {
        let methods = "AuthenticationMethods keyboard-interactive\n";
        for root in ["", "PermitRootLogin prohibit-password\n"] {
            set_up(machine, LINE, &format!("{ON}{methods}{root}"));
            notes(machine, "PermitRootLogin", "root does not log in by ssh");
        }
        let yes = format!("{ON}{methods}PermitRootLogin yes\n");
        set_up(machine, LINE, &yes);
        assert_eq!(told(machine, "sshd", "PermitRootLogin"), "");
    });
}

#[test]
fn names_instead_of_addresses() {
    settings_are_found(
        &format!("{ON}UseDNS yes\n"),
        "UseDNS",
        "a name is no origin",
    );
}

#[test]
fn our_own_reading_is_named_as_such() {
    on_a_machine(|machine| {
        let text = format!("{ON}Match User bob\n  KbdInteractiveAuthentication no\n");
        set_up(machine, LINE, &text);
        notes(machine, "sshd-config", "read from its files by otpctl");
    });
}
