//! Codes that are sent: nobody who delivers, and what the policy names and cannot be used.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{LINE, ON, faults, finds, set_up};
use crate::world::{Machine, on_a_machine};

fn policy(lines: &str) {
    fs::write("/etc/security/otp.toml", lines).unwrap();
    mode("/etc/security/otp.toml", 0o644);
}

fn mode(path: &str, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn file(path: &str, of_mode: u32) {
    fs::write(path, "").unwrap();
    mode(path, of_mode);
}

/// With somebody who delivers.
fn attended(machine: &Machine, test: impl FnOnce()) {
    let mut command = machine.command(&["deliver"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while faults(machine).contains(&"delivery".to_owned()) {
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    test();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nobody_who_delivers_is_a_fault_where_codes_are_sent() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        assert_eq!(faults(machine), [""; 0], "none is sent");
        file("/etc/sms", 0o755);
        policy("[delivery]\nuser = \"daemon\"\n[sms]\ncommand = [\"/etc/sms\"]\n");
        finds(machine, "delivery", "no otpctl deliver is running");
        attended(machine, || {
            assert_eq!(faults(machine), [""; 0]);
            // It is stopped and not dead, and what waits grows old.
            let queue = "/var/spool/pam_otp/.queue/new";
            let entry = "format = 1\nissued_at = 1000\nexpires_at = 99999999999\nuser = \"bob\"\nid = \"01020304\"\nchannel = \"sms\"\naddress = \"+4917012344711\"\npurpose = \"login\"\nhost = \"h\"\ncode = \"48210937\"\n";
            let pid = deliverer();
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
            fs::write(format!("{queue}/bob.sms"), entry).unwrap();
            mode(&format!("{queue}/bob.sms"), 0o600);
            finds(machine, "delivery", "1 code to be sent, the oldest for ");
        });
        fs::remove_dir_all("/var/spool/pam_otp/.queue").unwrap();
        finds(machine, "delivery", ".queue is not there");
    });
}

/// The one child of this test that delivers.
fn deliverer() -> nix::unistd::Pid {
    let own = std::process::id();
    let threads = fs::read_dir(format!("/proc/{own}/task")).unwrap();
    let mut children = threads.filter_map(|thread| {
        let listed = fs::read_to_string(thread.unwrap().path().join("children")).unwrap();
        listed.split_whitespace().next()?.parse().ok()
    });
    nix::unistd::Pid::from_raw(children.next().unwrap())
}

#[test]
fn programs_and_files_that_cannot_be_used_for_codes_are_named() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let with = |lines: &str| policy(&format!("[delivery]\nuser = \"daemon\"\n{lines}"));
        file("/etc/sms", 0o755);
        with("[sms]\ncommand = [\"/etc/sms\"]\n");
        attended(machine, || {
            for (user, saying) in [("root", "is root"), ("nobody-there", "not in the passwd")] {
                policy(&format!(
                    "[delivery]\nuser = \"{user}\"\n[sms]\ncommand = [\"/etc/sms\"]\n"
                ));
                finds(machine, "delivery-user", saying);
            }
            with("[sms]\ncommand = [\"/etc/none\"]\n");
            finds(machine, "sms-command", "/etc/none, which is no program");
            with("[sms]\ncommand = [\"/etc/sms\"]\n");
            mode("/etc/sms", 0o775);
            finds(machine, "sms-command", "can be changed by others");
            mode("/etc/sms", 0o644);
            finds(machine, "sms-command", "which is no program");
            mode("/etc/sms", 0o755);
            with("[email]\nvia = \"sendmail\"\nsendmail = \"/etc/none\"\n");
            finds(machine, "sendmail", "email.sendmail names /etc/none");
            let smtp = "[email]\nvia = \"smtp\"\n[smtp]\nhost = \"mail.example.org\"\nuser = \"otp\"\npassword_file = \"/etc/password\"\nca_file = \"/etc/ca\"\n";
            with(smtp);
            assert_eq!(faults(machine), ["smtp", "smtp"]);
            file("/etc/ca", 0o644);
            finds(
                machine,
                "smtp",
                "smtp.password_file: /etc/password is not there",
            );
            file("/etc/password", 0o640);
            finds(machine, "smtp", "/etc/password is open to others");
            mode("/etc/password", 0o600);
            assert_eq!(faults(machine), [""; 0]);
            mode("/etc/ca", 0o666);
            finds(machine, "smtp", "smtp.ca_file: /etc/ca is open to others");
            mode("/etc/ca", 0o644);
            if chown("/etc/password", Some(1), None).is_ok() {
                finds(machine, "smtp", "/etc/password does not belong to root");
            }
        });
    });
}
