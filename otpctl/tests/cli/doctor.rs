//! doctor, on a machine made for it.

mod delivery;
mod machine;
mod pam;
mod sshd;

use std::fs;

use crate::world::{Machine, on_a_machine};

/// What a check of this name says; empty where nothing is wrong and nothing is to be known.
fn told(machine: &Machine, service: &str, name: &str) -> String {
    let health = machine.json(&["doctor", service]);
    let checks = health["checks"].as_array().unwrap().clone();
    let check = checks
        .iter()
        .find(|check| check["name"] == name && !check["fix"].is_null());
    check.map_or_else(String::new, |check| {
        check["detail"].as_str().unwrap().to_owned()
    })
}

/// That this check, and no other, is a fault of sshd and says so.
#[track_caller]
fn finds(machine: &Machine, name: &str, saying: &str) {
    assert_eq!(faults(machine), [name]);
    let told = told(machine, "sshd", name);
    assert!(told.contains(saying), "{told}");
}

/// That nothing is at fault, and this is to be known.
#[track_caller]
fn notes(machine: &Machine, name: &str, saying: &str) {
    assert_eq!(faults(machine), [""; 0]);
    let told = told(machine, "sshd", name);
    assert!(told.contains(saying), "{told}");
}

fn set_up(machine: &Machine, pam: &str, sshd: &str) {
    fs::write("/etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n").unwrap();
    fs::write("/etc/pam.d/sshd", pam).unwrap();
    fs::write(
        "/etc/pam.d/common-account",
        "account required pam_unix.so\n",
    )
    .unwrap();
    fs::write("/etc/ssh/sshd_config", sshd).unwrap();
    machine.otpctl(&["enroll", "alice"]);
}

/// The names of the faults.
fn faults(machine: &Machine) -> Vec<String> {
    let health = machine.json(&["doctor"]);
    let checks = health["checks"].as_array().unwrap();
    // Whether module and otpd are installed and the clock kept is this machine's business.
    let others = ["module", "otpd-program", "clock"];
    let ours = checks
        .iter()
        .filter(|check| !others.contains(&check["name"].as_str().unwrap()));
    let faults = ours.filter(|check| check["ok"] == false);
    faults
        .map(|check| {
            assert!(
                check["fix"].as_str().is_some_and(|fix| !fix.is_empty()),
                "{check}"
            );
            check["name"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// Below the password.
const LINE: &str = "@include common-auth\nauth required pam_otp.so\n";
const ON: &str = "UsePAM yes\nKbdInteractiveAuthentication yes\n";

#[test]
fn the_set_up_of_the_readme_is_healthy() {
    on_a_machine(|machine| {
        set_up(
            machine,
            "@include common-auth\nauth required pam_otp.so\n",
            ON,
        );
        assert_eq!(faults(machine), [""; 0]);
        let health = machine.otpctl(&["doctor"]);
        assert!(
            health
                .out
                .contains("locked-out: not enrolled, so refused: root, bob"),
            "{health:?}"
        );
    });
}

#[test]
fn what_locks_out_or_lets_in_is_a_fault_with_a_fix() {
    on_a_machine(|machine| {
        let line = "@include common-auth\nauth required pam_otp.so\n";
        set_up(
            machine,
            line,
            "UsePAM yes\nKbdInteractiveAuthentication no\n",
        );
        assert_eq!(faults(machine), ["KbdInteractiveAuthentication"]);
        machine.otpctl(&["doctor"]).exits(1);
        set_up(machine, "auth required pam_otp.so\n", ON);
        assert_eq!(faults(machine), ["code-alone"]);
        set_up(
            machine,
            "auth required pam_otp.so\n",
            &format!("{ON}AuthenticationMethods publickey,keyboard-interactive\n"),
        );
        assert_eq!(faults(machine), [""; 0]);
        set_up(
            machine,
            "auth sufficient pam_unix.so\nauth required pam_otp.so\n",
            ON,
        );
        assert_eq!(faults(machine), ["code-needed", "code-alone"]);
        set_up(
            machine,
            "@include common-auth\nauth [success=ok authinfo_unavail=ignore default=die] pam_otp.so\n",
            ON,
        );
        assert_eq!(faults(machine), ["fails-closed"]);
        set_up(machine, "@include common-auth\n", ON);
        assert_eq!(faults(machine), ["pam-line"]);
    });
}

#[test]
fn damage_orphans_and_open_doors_are_found() {
    on_a_machine(|machine| {
        set_up(
            machine,
            "@include common-auth\nauth required pam_otp.so\n",
            ON,
        );
        machine.otpctl(&["enroll", "bob"]).exits(0);
        fs::write("/var/lib/pam_otp/secrets/bob", "?").unwrap();
        assert_eq!(faults(machine), ["records"]);
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write("/etc/passwd", passwd.replace("alice", "alicia")).unwrap();
        let health = machine.otpctl(&["doctor"]).exits(1);
        assert!(health.out.contains("orphans: alice gone"), "{health:?}");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o770);
        fs::set_permissions("/var/spool/pam_otp", open).unwrap();
        assert_eq!(faults(machine), ["store"]);
        fs::write("/etc/security/otp.toml", "window = 99\n").unwrap();
        assert_eq!(faults(machine), ["policy"]);
        machine.otpctl(&["doctor", "../sshd"]).exits(2);
    });
}

#[test]
fn a_store_that_cannot_be_overwritten_is_a_fault() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let room = |machine: &Machine| {
            let health = machine.json(&["doctor"]);
            let checks = health["checks"].as_array().unwrap().clone();
            checks
                .into_iter()
                .find(|check| check["name"] == "room" && check["ok"] == false)
                .map(|check| check["detail"].as_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        assert_eq!(room(machine), "");
        crate::world::make_read_only("/var/lib/pam_otp");
        assert!(room(machine).contains("read-only: every code is refused"));
        fs::write("/etc/security/otp.toml", "on_read_only = \"totp\"\n").unwrap();
        assert!(room(machine).contains("read-only: app codes alone are accepted"));
    });
}

#[test]
fn nothing_is_run_that_the_callers_path_names() {
    use std::os::unix::fs::PermissionsExt;

    on_a_machine(|machine| {
        fs::create_dir("/tmp/hers").unwrap();
        for program in ["timedatectl", "sshd"] {
            let program = format!("/tmp/hers/{program}");
            fs::write(&program, "#!/bin/sh\n: >/tmp/was-run\n").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = machine.command(&["doctor", "sshd"]);
        let done = command.env("PATH", "/tmp/hers:/usr/bin:/bin").output();
        assert_eq!(done.unwrap().status.code(), Some(1));
        assert!(!std::path::Path::new("/tmp/was-run").exists());
    });
}
