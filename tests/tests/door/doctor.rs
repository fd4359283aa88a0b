//! `otpctl doctor`, where lines of ours are read by programs that are not root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;
use tests::door::{Otpd, Packets, SOCKET};
use tests::sandbox::OTPCTL;
use tests::users::Phone;

use crate::with_otpd;

/// Whether the check of this name is good, and what it says; nothing where there is none.
fn told(service: &str, name: &str) -> Option<(bool, String)> {
    let said = Command::new(OTPCTL)
        .args(["doctor", service, "--json"])
        .output();
    let health: Value = serde_json::from_slice(&said.unwrap().stdout).unwrap();
    let mut checks = health["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["name"] == name)?;
    let text = format!("{} -> {}", check["detail"], check["fix"]);
    Some((check["ok"] == true, text))
}

fn is(service: &str, name: &str, good: bool, saying: &str) {
    let (ok, text) = told(service, name).unwrap_or_else(|| panic!("{service}: no {name}"));
    assert_eq!(ok, good, "{service} {name}: {text}");
    assert!(text.contains(saying), "{service} {name}: {text}");
}

const PASSWORD: &str = "auth required pam_unix.so\n";

#[test]
fn lines_of_lockers_and_of_every_service_are_in_order_where_otpd_answers_and_faults_where_not() {
    with_otpd(|| {
        let _phone = Phone::enrolled("alice", &[]);
        let all = format!("{PASSWORD}auth required pam_otp.so nullok\n");
        fs::write("/etc/pam.d/common-auth", &all).unwrap();
        fs::write("/etc/pam.d/sshd", "@include common-auth\n").unwrap();
        fs::write("/etc/pam.d/i3lock", all.replace(" nullok", "")).unwrap();
        assert_eq!(told("sshd", "otpd"), None, "nobody has to answer");
        is("sshd", "common", false, "because no otpd answers them");
        is("i3lock", "as-the-user", false, "no otpd answers it");
        let otpd = Otpd::listening();
        is(
            "sshd",
            "otpd",
            true,
            "otpd answers at /run/pam_otp/otpd.sock",
        );
        is("sshd", "common", true, "pam-auth-update --disable otp");
        assert_eq!(told("i3lock", "as-the-user"), None);
        otpd.end();

        let _otpd = Otpd::listening();
        let named = all.replace("nullok", "nullok config=/etc/security/otp.toml");
        fs::write("/etc/pam.d/common-auth", &named).unwrap();
        fs::write("/etc/pam.d/i3lock", &named).unwrap();
        is("sshd", "common", false, "names a policy");
        is("i3lock", "as-the-user", false, "names a policy");
    });
}

#[test]
fn a_socket_that_is_there_and_does_not_do_is_a_fault() {
    with_otpd(|| {
        fs::write(
            "/etc/pam.d/sshd",
            format!("{PASSWORD}auth required pam_otp.so\n"),
        )
        .unwrap();
        let _phone = Phone::enrolled("alice", &[]);
        let otpd = Otpd::listening();
        let mode = |mode| fs::set_permissions(SOCKET, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o600);
        is("sshd", "otpd", false, "has mode 0600");
        mode(0o666);
        is("sshd", "otpd", true, "answers");
        otpd.kill();
        is("sshd", "otpd", false, "nobody listens");
        is("sshd", "otpd", false, "otpd --listen");
        let listening = Packets::listening(libc::SOCK_STREAM, 1, || ());
        is("sshd", "otpd", false, "cannot be asked");
        drop(listening);
        fs::remove_file(SOCKET).unwrap();
        fs::write(SOCKET, "").unwrap();
        is("sshd", "otpd", false, "it is not a socket");
        fs::set_permissions("/run/pam_otp", fs::Permissions::from_mode(0o777)).unwrap();
        is("sshd", "otpd", false, "is not safe");
    });
}
