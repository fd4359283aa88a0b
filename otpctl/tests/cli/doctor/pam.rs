//! Faults of PAM lines, each reported to others by people who were locked out, or let in (docs/faults.md).

use std::fs;

use super::{LINE, ON, faults, finds, notes, set_up, told};
use crate::trying::install_module;
use crate::world::{Machine, on_a_machine};

/// A fault of sshd's lines.
fn lines_are_found(lines: &str, name: &str, saying: &str) {
    on_a_machine(|machine| are_found(machine, lines, name, saying));
}

fn are_found(machine: &Machine, lines: &str, name: &str, saying: &str) {
    set_up(machine, lines, ON);
    finds(machine, name, saying);
    machine.otpctl(&["doctor"]).exits(1);
}

#[test]
fn a_module_that_is_not_installed() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let directory = install_module();
        assert_eq!(told(machine, "sshd", "module"), "");
        fs::remove_file(directory.join("pam_otp.so")).unwrap();
        let said = told(machine, "sshd", "module");
        assert!(said.contains("in no security directory"), "{said}");
    });
}

#[test]
fn a_module_made_for_another_machine() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let module = install_module().join("pam_otp.so");
        let mut bytes = fs::read(&module).unwrap();
        // EM_S390: nobody runs this there.
        bytes[18..20].copy_from_slice(&[22, 0]);
        fs::write(&module, bytes).unwrap();
        let said = told(machine, "sshd", "module");
        assert!(said.contains("no module for this machine"), "{said}");
    });
}

#[test]
fn a_line_with_a_path_that_is_not_there() {
    lines_are_found(
        "@include common-auth\nauth required /usr/local/lib/security/pam_otp.so\n",
        "modules",
        "/etc/pam.d/sshd line 2 names /usr/local/lib/security/pam_otp.so, which is not there",
    );
}

#[test]
fn a_module_of_others_that_an_upgrade_took_away() {
    on_a_machine(|machine| {
        are_found(
            machine,
            &format!("auth required pam_tally2.so deny=3\n{LINE}"),
            "modules",
            "line 1 names pam_tally2.so, which is not there",
        );
        let optional = format!("-auth optional pam_not_here.so\n{LINE}");
        set_up(machine, &optional, ON);
        assert_eq!(faults(machine), [""; 0], "a dash says that it may lack");
    });
}

#[test]
fn a_line_among_the_sessions() {
    lines_are_found(
        "@include common-auth\nsession required pam_otp.so\n",
        "pam-line",
        "/etc/pam.d/sshd line 2 is a session or password line",
    );
}

#[test]
fn a_line_that_stands_below_the_sessions_works() {
    on_a_machine(|machine| {
        let lines = "@include common-auth\n@include common-account\nsession required pam_unix.so\nauth required pam_otp.so\n";
        set_up(machine, lines, ON);
        assert_eq!(faults(machine), [""; 0]);
    });
}

#[test]
fn a_line_that_a_good_password_skips() {
    on_a_machine(|machine| {
        let lines =
            "auth sufficient pam_unix.so\nauth required pam_otp.so\nauth required pam_deny.so\n";
        set_up(machine, lines, ON);
        let said = told(machine, "sshd", "code-needed");
        assert!(
            said.contains("line 1 (sufficient pam_unix.so) skips our line"),
            "{said}"
        );
    });
}

#[test]
fn a_line_that_is_optional() {
    lines_are_found(
        "@include common-auth\nauth optional pam_otp.so\n",
        "code-needed",
        "the control of /etc/pam.d/sshd line 2 ignores a refusal",
    );
}

#[test]
fn a_code_without_a_password() {
    lines_are_found(
        "auth optional pam_unix.so\nauth required pam_otp.so\n",
        "code-alone",
        "a code alone logs in",
    );
}

#[test]
fn a_code_that_ends_the_stack_before_the_password() {
    lines_are_found(
        "auth [success=done new_authtok_reqd=done ignore=ignore default=die] pam_otp.so nullok\n@include common-auth\n",
        "code-alone",
        "a code alone logs in",
    );
}

#[test]
fn a_code_that_is_asked_for_before_the_password_works() {
    on_a_machine(|machine| {
        set_up(
            machine,
            "auth required pam_otp.so nullok\n@include common-auth\n",
            ON,
        );
        assert_eq!(faults(machine), [""; 0]);
    });
}

#[test]
fn nullok_where_nobody_says_yes() {
    on_a_machine(|machine| {
        let sshd = format!("{ON}AuthenticationMethods publickey,keyboard-interactive\n");
        set_up(machine, "auth required pam_otp.so nullok\n", &sshd);
        finds(machine, "nullok", "refused all the same");
        let mended = "auth required pam_otp.so nullok\nauth required pam_permit.so\n";
        set_up(machine, mended, &sshd);
        notes(machine, "nullok", "log in without a code");
    });
}

#[test]
fn the_line_twice() {
    lines_are_found(
        "@include common-auth\nauth required pam_otp.so\nauth required pam_otp.so\n",
        "twice",
        "line 3 asks for a second code",
    );
}

/// Where nobody answers; where otpd does, tests/tests/door/doctor.rs looks.
#[test]
fn the_line_in_what_every_service_includes() {
    on_a_machine(|machine| {
        set_up(machine, "@include common-auth\n", ON);
        let common = fs::read_to_string("/etc/pam.d/common-auth").unwrap();
        let line = "auth required pam_otp.so\n";
        let begin = "# and here are more per-package modules (the \"Additional\" block)\n";
        let end = "# end of pam-auth-update config\n";
        for with in [
            format!("{common}{line}"),
            format!("{common}{begin}{line}{end}"),
        ] {
            fs::write("/etc/pam.d/common-auth", with).unwrap();
            assert_eq!(faults(machine), ["common", "otpd"]);
            let said = told(machine, "sshd", "common");
            assert!(said.starts_with("/etc/pam.d/common-auth line "), "{said}");
            let why = "is part of every service, and otpd does not answer";
            assert!(said.contains(why), "{said}");
        }
    });
}

#[test]
fn a_screen_locker_that_runs_as_the_user() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        for locker in ["mate-screensaver", "i3lock", "kde"] {
            fs::write(format!("/etc/pam.d/{locker}"), LINE).unwrap();
            let said = told(machine, locker, "as-the-user");
            assert!(said.contains("the screen stays locked"), "{said}");
            fs::remove_file(format!("/etc/pam.d/{locker}")).unwrap();
        }
        fs::write("/etc/pam.d/login", LINE).unwrap();
        fs::write("/etc/pam.d/i3lock", "auth include login\n").unwrap();
        for service in ["login", "i3lock"] {
            let said = told(machine, service, "as-the-user");
            assert!(said.contains("i3lock asks by /etc/pam.d/login"), "{said}");
        }
    });
}

#[test]
fn a_screen_locker_that_goes_by_another_policy() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        fs::write("/etc/security/other.toml", "window = 2\n").unwrap();
        let lines =
            "@include common-auth\nauth required pam_otp.so config=/etc/security/other.toml\n";
        fs::write("/etc/pam.d/kde", lines).unwrap();
        let said = told(machine, "kde", "as-the-user");
        assert!(said.contains("who can name no policy"), "{said}");
    });
}

#[test]
fn a_screen_locker_that_has_one_field() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let apart =
            "auth required pam_otp.so forward_pass\nauth required pam_unix.so use_first_pass\n";
        for locker in ["i3lock", "swaylock"] {
            let file = format!("/etc/pam.d/{locker}");
            fs::write(&file, LINE).unwrap();
            let said = told(machine, locker, "one-field");
            let why = format!("{locker} asks by {file} line 2 and answers every question");
            assert!(said.starts_with(&why), "{said}");
            fs::write(&file, apart).unwrap();
            assert_eq!(told(machine, locker, "one-field"), "");
            fs::remove_file(&file).unwrap();
        }
        fs::write("/etc/pam.d/kde", LINE).unwrap();
        assert_eq!(told(machine, "kde", "one-field"), "");
        // Also by what all services include, once it is installed.
        let common = fs::read_to_string("/etc/pam.d/common-auth").unwrap();
        fs::write(
            "/etc/pam.d/common-auth",
            format!("{common}auth required pam_otp.so nullok\n"),
        )
        .unwrap();
        fs::write("/etc/pam.d/sshd", "@include common-auth\n").unwrap();
        assert_eq!(told(machine, "sshd", "one-field"), "");
        fs::write("/etc/pam.d/login", "@include common-auth\n").unwrap();
        fs::write("/etc/pam.d/i3lock", "auth include login\n").unwrap();
        let said = told(machine, "sshd", "one-field");
        assert!(
            said.contains("i3lock asks by /etc/pam.d/common-auth line 4"),
            "{said}"
        );
    });
}

#[test]
fn an_argument_with_a_typo() {
    on_a_machine(|machine| {
        are_found(
            machine,
            "@include common-auth\nauth required pam_otp.so nulok\n",
            "pam-line",
            "unknown argument nulok, which denies every login",
        );
        are_found(
            machine,
            &format!("{LINE}account required pam_otp.so enrol\n"),
            "account-line",
            "unknown argument enrol, which denies every login",
        );
        let account = format!("{LINE}account required pam_otp.so enroll notice\n");
        set_up(machine, &account, ON);
        assert_eq!(faults(machine), [""; 0]);
    });
}

#[test]
fn a_line_whose_policy_is_at_fault() {
    on_a_machine(|machine| {
        fs::write("/etc/security/other.toml", "window = 99\n").unwrap();
        let lines =
            "@include common-auth\nauth required pam_otp.so config=/etc/security/other.toml\n";
        set_up(machine, lines, ON);
        finds(machine, "line-policy", "/etc/security/other.toml");
    });
}

#[test]
fn a_line_that_vouches_for_a_factor_which_it_does_not_come_after() {
    on_a_machine(|machine| {
        let line = "auth required pam_otp.so after_first_factor\n";
        are_found(
            machine,
            &format!("auth required pam_unix.so\n{line}"),
            "first-factor",
            "/etc/pam.d/sshd line 2 says after_first_factor, but is reached without one too",
        );
        for before in ["@include common-auth\n", "auth requisite pam_unix.so\n"] {
            set_up(machine, &format!("{before}{line}"), ON);
            assert_eq!(faults(machine), [""; 0], "{before}");
        }
    });
}
