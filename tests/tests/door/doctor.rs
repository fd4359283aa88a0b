//! `otpctl doctor`: what it says of otpd, and of lines by which programs ask that are not root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::Value;
use tests::door::{Otpd, Packets, SOCKET};
use tests::sandbox::{OTPCTL, OTPD};
use tests::users::Phone;

use crate::with_otpd;

const PROGRAM: &str = "/usr/lib/pam_otp/otpd";
const UNIX: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n";
const BEGIN: &str = "# and here are more per-package modules (the \"Additional\" block)\n";
const END: &str = "# end of pam-auth-update config\n";

/// What a check says of a service, and whether it is a fault.
fn told(service: &str, name: &str) -> Option<(bool, String)> {
    let done = Command::new(OTPCTL)
        .args(["doctor", service, "--json"])
        .env_clear()
        .output()
        .unwrap();
    let health: Value = serde_json::from_slice(&done.stdout).unwrap();
    let mut checks = health["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["name"] == name)?;
    let is_fault = check["ok"] == false;
    let detail = check["detail"].as_str().unwrap();
    let fix = check["fix"].as_str().unwrap_or_default();
    assert!(!is_fault || !fix.is_empty());
    Some((is_fault, format!("{detail} -> {fix}")))
}

#[track_caller]
fn is_a_fault(service: &str, name: &str, saying: &str) {
    let (is_fault, said) = told(service, name).expect("something is said");
    assert!(is_fault && said.contains(saying), "{said}");
}

#[track_caller]
fn is_no_fault(service: &str, name: &str, saying: &str) {
    let (is_fault, said) = told(service, name).expect("something is said");
    assert!(!is_fault && said.contains(saying), "{said}");
}

/// A common-auth with these lines behind the password.
fn common_auth(lines: &str) {
    fs::write("/etc/pam.d/common-auth", format!("{UNIX}{lines}")).unwrap();
    for service in ["su", "kde"] {
        fs::write(format!("/etc/pam.d/{service}"), "@include common-auth\n").unwrap();
    }
}

fn mode(path: &str, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_line_of_the_profile_is_no_fault_where_otpd_answers_and_one_by_hand_is() {
    with_otpd(|| {
        let _phone = Phone::enrolled("alice", &[]);
        let line = "auth required pam_otp.so nullok\n";
        common_auth(&format!("{BEGIN}{line}{END}"));
        is_a_fault(
            "su",
            "common",
            "line 5 is part of every service, and otpd does not answer",
        );
        is_a_fault("su", "otpd", "there is no /run/pam_otp/otpd.sock");
        let otpd = Otpd::listening();
        is_no_fault("su", "common", "by the profile of pam-auth-update");
        is_no_fault("su", "otpd", "answers");
        common_auth(line);
        is_a_fault(
            "su",
            "common",
            "was put there by hand -> put the line into the files",
        );
        common_auth("");
        fs::write("/etc/pam.d/kde", format!("@include common-auth\n{line}")).unwrap();
        is_no_fault(
            "kde",
            "as-the-user",
            "kde asks by /etc/pam.d/kde and runs as the user: otpd answers it",
        );
        otpd.end();
        is_a_fault(
            "kde",
            "as-the-user",
            "otpd does not answer, so every code is refused",
        );
        is_a_fault("kde", "otpd", "'/usr/lib/pam_otp/otpd --listen' as root");
    });
}

#[test]
fn where_only_root_asks_otpd_may_be_missing_and_not_dead() {
    with_otpd(|| {
        let _phone = Phone::enrolled("alice", &[]);
        common_auth("");
        fs::write(
            "/etc/pam.d/su",
            "@include common-auth\nauth required pam_otp.so\n",
        )
        .unwrap();
        is_no_fault("su", "otpd", "there is no /run/pam_otp/otpd.sock");
        // One that was killed leaves its socket, and su is refused.
        let mut otpd = Otpd::listening();
        tests::door::signal(otpd.pid(), libc::SIGKILL);
        while otpd.is_there() {
            std::thread::yield_now();
        }
        is_a_fault("su", "otpd", "nobody listens at /run/pam_otp/otpd.sock");
    });
}

#[test]
fn a_socket_that_others_cannot_use_is_a_fault_that_says_how_to_mend_it() {
    with_otpd(|| {
        let _phone = Phone::enrolled("alice", &[]);
        common_auth("");
        let otpd = Otpd::listening();
        for (path, closed, open, fix) in [
            (SOCKET, 0o660, 0o666, "a+rw"),
            ("/run/pam_otp", 0o711, 0o755, "go+rx"),
            ("/run", 0o700, 0o711, "go+x"),
        ] {
            mode(path, closed);
            let fix = format!(
                "{path} is closed to others than root, so nobody else can ask otpd -> chmod {fix} {path}"
            );
            is_a_fault("su", "otpd", &fix);
            mode(path, open);
            is_no_fault("su", "otpd", "answers");
        }
        chown(SOCKET, Some(1000), None).unwrap();
        is_a_fault("su", "otpd", "it does not belong to root");
        chown(SOCKET, Some(0), None).unwrap();
        // It answers, and cannot do what it is there for.
        fs::rename("/var/lib/pam_otp", "/var/lib/elsewhere").unwrap();
        is_a_fault("su", "otpd", "cannot tell how root stands");
        fs::rename("/var/lib/elsewhere", "/var/lib/pam_otp").unwrap();
        otpd.end();
        // A user's own.
        let _hers = Packets::listening(libc::SOCK_SEQPACKET, 5, || {
            // SAFETY: takes a number.
            assert_eq!(unsafe { libc::seteuid(1000) }, 0);
        });
        // SAFETY: takes a number.
        assert_eq!(unsafe { libc::seteuid(0) }, 0);
        is_a_fault(
            "su",
            "otpd",
            "uid 1000 listens at /run/pam_otp/otpd.sock, and not root",
        );
    });
}

#[test]
fn the_program_is_roots_and_has_no_rights_of_its_own() {
    with_otpd(|| {
        common_auth("");
        // A /usr/lib with nothing in it but that, for doctor alone: it needs no library from there.
        let usr_lib = "/usr/lib/pam_otp";
        place_for(usr_lib);
        is_a_fault(
            "su",
            "otpd-program",
            "is not there -> apt install --reinstall libpam-otp",
        );
        fs::copy(OTPD, PROGRAM).unwrap();
        for (bits, saying) in [
            (0o4755, "is set-user-ID or set-group-ID"),
            (0o2755, "is set-user-ID or set-group-ID"),
            (0o775, "does not belong to root alone"),
            (0o644, "cannot be run"),
        ] {
            mode(PROGRAM, bits);
            is_a_fault("su", "otpd-program", saying);
        }
        mode(PROGRAM, 0o755);
        assert_eq!(told("su", "otpd-program"), None);
        chown(PROGRAM, Some(1000), None).unwrap();
        is_a_fault("su", "otpd-program", "does not belong to root alone");
    });
}

/// An empty directory there, of this test's own, whatever the machine has.
fn place_for(path: &str) {
    let libs = "/usr/lib";
    fs::create_dir_all("/tmp/upper").unwrap();
    fs::create_dir_all("/tmp/work").unwrap();
    let options = format!("lowerdir={libs},upperdir=/tmp/upper,workdir=/tmp/work");
    let done = Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", &options, libs])
        .status()
        .unwrap();
    assert!(done.success());
    let _ = fs::remove_dir_all(path);
    fs::create_dir(path).unwrap();
    mode(path, 0o755);
}
