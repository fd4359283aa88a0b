//! Faults of the machine, the store and its people, and those that cannot happen here (docs/faults.md).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::{LINE, ON, faults, finds, notes, set_up, told};
use crate::world::{Machine, make_read_only, on_a_machine};

const NONE: Option<&str> = None;

/// A code of hers is accepted.
fn is_let_in(machine: &Machine, user: &str) {
    let issued = machine.json(&["issue", user]);
    let code = issued["code"].as_str().unwrap();
    machine.otpctl_with(&["verify", user], code).exits(0);
}

#[test]
fn a_clock_that_nobody_keeps() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let program = Path::new("/usr/bin/timedatectl");
        if !program.exists() {
            assert!(told(machine, "sshd", "clock").contains("compare 'date'"));
            return;
        }
        let says = |answer: &str| {
            let text = format!("#!/bin/sh\necho {answer}\n");
            fs::write("/tmp/timedatectl", text).unwrap();
            let runs = fs::Permissions::from_mode(0o755);
            fs::set_permissions("/tmp/timedatectl", runs).unwrap();
        };
        says("no");
        let bind = MsFlags::MS_BIND;
        mount(Some("/tmp/timedatectl"), program, NONE, bind, NONE).unwrap();
        assert!(told(machine, "sshd", "clock").contains("not synchronised"));
        says("yes");
        assert_eq!(told(machine, "sshd", "clock"), "");
    });
}

#[test]
fn a_full_disk_refuses_nobody() {
    on_a_machine(|machine| {
        fs::create_dir_all("/var/lib/pam_otp").unwrap();
        fs::set_permissions("/var/lib/pam_otp", fs::Permissions::from_mode(0o700)).unwrap();
        let small = Some("size=256k,mode=0700");
        let (none, tmpfs) = (MsFlags::empty(), Some("tmpfs"));
        mount(tmpfs, "/var/lib/pam_otp", tmpfs, none, small).unwrap();
        set_up(machine, LINE, ON);
        let issued = machine.json(&["issue", "alice"]);
        // As much as there is.
        let mut filler = fs::File::create("/var/lib/pam_otp/filler").unwrap();
        while std::io::Write::write_all(&mut filler, &[0; 512]).is_ok() {}
        finds(machine, "room", "nearly full: logins go on");
        let code = issued["code"].as_str().unwrap();
        machine.otpctl_with(&["verify", "alice"], code).exits(0);
    });
}

#[test]
fn a_disk_that_cannot_be_written() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        make_read_only("/var/lib/pam_otp");
        finds(machine, "room", "read-only: every code is refused");
    });
}

#[test]
fn a_record_of_no_bytes() {
    on_a_machine(|machine| {
        for file in ["secrets/alice", "state/alice"] {
            set_up(machine, LINE, ON);
            fs::write(Path::new("/var/lib/pam_otp").join(file), "").unwrap();
            finds(machine, "records", "alice cannot be read");
            // It is one user's alone.
            machine.otpctl(&["enroll", "bob"]);
            is_let_in(machine, "bob");
            machine.otpctl(&["remove", "alice", "--yes"]).exits(0);
        }
    });
}

#[test]
fn a_record_that_is_read_only_where_a_code_is_sent() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let vouch = ["contact", "alice", "--sms", "+4917012344711", "--confirmed"];
        machine.otpctl(&vouch).exits(0);
        assert_eq!(faults(machine), [""; 0]);
        for file in ["sends/alice", "contacts/alice"] {
            let file = Path::new("/var/lib/pam_otp").join(file);
            let whole = fs::read(&file).unwrap();
            fs::write(&file, "").unwrap();
            finds(machine, "records", "alice cannot be read");
            fs::write(&file, whole).unwrap();
        }
        assert_eq!(faults(machine), [""; 0]);
    });
}

#[test]
fn records_that_others_could_write_or_read() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let secret = "/var/lib/pam_otp/secrets/alice";
        fs::set_permissions(secret, fs::Permissions::from_mode(0o644)).unwrap();
        finds(machine, "records", "alice cannot be read");
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(faults(machine), [""; 0]);
    });
}

#[test]
fn what_a_crash_left_half_made_matters_to_nobody() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        for file in ["secrets/alice~", "secrets/.tmp-alice", "state/.alice.new"] {
            let path = Path::new("/var/lib/pam_otp").join(file);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        is_let_in(machine, "alice");
        machine.otpctl(&["sweep"]).exits(0);
        is_let_in(machine, "alice");
    });
}

#[test]
fn a_home_that_is_not_there_matters_to_nobody() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        assert!(!Path::new("/home").exists());
        assert_eq!(faults(machine), [""; 0]);
        is_let_in(machine, "alice");
    });
}

#[test]
fn a_home_that_cannot_be_written_matters_to_nobody() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        fs::create_dir_all("/home/alice").unwrap();
        make_read_only("/home");
        assert_eq!(faults(machine), [""; 0]);
        is_let_in(machine, "alice");
        assert_eq!(fs::read_dir("/home/alice").unwrap().count(), 0);
    });
}

#[test]
fn root_and_others_who_have_nothing_to_answer_with() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        notes(machine, "locked-out", "not enrolled, so refused: root, bob");
        set_up(
            machine,
            "@include common-auth\nauth required pam_otp.so nullok\n",
            ON,
        );
        assert_eq!(told(machine, "sshd", "locked-out"), "");
    });
}

#[test]
fn a_user_who_is_another_one_now() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write("/etc/passwd", passwd.replace(":1000:1000:", ":1007:1007:")).unwrap();
        notes(machine, "orphans", "another uid now");
    });
}

#[test]
fn a_store_that_was_lost() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        fs::remove_file("/var/lib/pam_otp/STORE").unwrap();
        finds(machine, "store", "/var/lib/pam_otp/STORE");
    });
}

#[test]
fn people_are_those_whom_nss_lists() {
    on_a_machine(|machine| {
        set_up(machine, LINE, ON);
        let health = machine.otpctl(&["doctor"]);
        assert!(health.out.contains("bob, carol@corp.example"), "{health:?}");
        // Files are asked for nobody any more: she is in no directory, whatever the file says.
        fs::write("/etc/nsswitch.conf", "passwd: systemd\n").unwrap();
        let health = machine.otpctl(&["doctor"]);
        assert!(!health.out.contains("carol@corp.example"), "{health:?}");
    });
}
