//! The documents say what is so: every command in them runs, and the set-up they teach is the one that doctor approves.

use std::fs;
use std::process::Command;

use crate::scripts::VERBS;
use crate::world::{Machine, on_a_machine};

const README: &str = include_str!("../../../README.md");
const GUIDE: &str = include_str!("../../../docs/guide/ssh.md");
const FIRST_LOGIN: &str = include_str!("../../../docs/guide/first-login.md");
const DOCUMENTS: [(&str, &str); 14] = [
    ("README.md", README),
    ("docs/guide/ssh.md", GUIDE),
    ("docs/guide/first-login.md", FIRST_LOGIN),
    (
        "from-google-authenticator.md",
        include_str!("../../../docs/guide/from-google-authenticator.md"),
    ),
    (
        "from-pam-oath.md",
        include_str!("../../../docs/guide/from-pam-oath.md"),
    ),
    ("backups.md", include_str!("../../../docs/guide/backups.md")),
    ("SECURITY.md", include_str!("../../../SECURITY.md")),
    (
        "README.Debian",
        include_str!("../../../debian/libpam-otp.README.Debian"),
    ),
    (
        "one-line.md",
        include_str!("../../../docs/guide/one-line.md"),
    ),
    (
        "fail2ban.md",
        include_str!("../../../docs/guide/fail2ban.md"),
    ),
    (
        "monitoring.md",
        include_str!("../../../docs/guide/monitoring.md"),
    ),
    ("pam_otp.8", include_str!("../../../docs/man/pam_otp.8")),
    ("otp.toml.5", include_str!("../../../docs/man/otp.toml.5")),
    ("otp.toml", include_str!("../../../etc/otp.toml")),
];

/// The commands in a text: what stands between quotes or backticks, or has a line of its own.
pub fn commands(text: &str) -> Vec<String> {
    let quoted = text
        .split(['`', '\n'])
        .flat_map(|part| part.split_once("otpctl ").map(|(before, _)| (before, part)));
    let mut found = Vec::new();
    for (before, part) in quoted {
        let lead = before.rsplit(['"', '|']).next().unwrap_or_default().trim();
        let is_command = ["", "#", "$", "sudo", ".Dl", "Example:"].contains(&lead)
            || ["Revoke:", "backup:", "device:", "devices:", "counts:"]
                .iter()
                .any(|end| lead.ends_with(end));
        if is_command {
            let command = &part[part.find("otpctl ").unwrap()..];
            let command = command.split("   ").next().unwrap();
            let is_quoted = before.ends_with('"');
            let end = command.find('"').filter(|_| is_quoted);
            found.push(command[..end.unwrap_or(command.len())].trim().to_owned());
        }
    }
    found
}

/// The files that commands in documents read.
pub fn stock() {
    fs::write("/etc/group", "root:x:0:\nadmins:x:1010:alice\n").unwrap();
    let policy = include_str!("../../../etc/otp.toml");
    fs::write("/etc/security/otp.toml", policy).unwrap();
    fs::write("otp.toml.new", policy).unwrap();
    fs::write("seed", "3132333435363738393031323334353637383930\n").unwrap();
    let tokens = "HOTP/T30/6 alice - 3132333435363738393031323334353637383930\n";
    fs::write("/etc/users.oath", tokens).unwrap();
    fs::write("passphrase", "correct horse battery staple\n").unwrap();
    fs::write("three-codes", "755224\n287082\n359152\n").unwrap();
    fs::create_dir_all("/var/lib/prometheus/node-exporter").unwrap();
}

/// Whether it is understood. What it answers (1, 3) does not matter here, nor that it would ask on a terminal.
pub fn is_understood(machine: &Machine, line: &str) -> bool {
    // What a command makes, it makes once.
    let _ = fs::remove_dir_all("/root");
    fs::create_dir("/root").unwrap();
    what_is_moved(machine, line);
    let command = machine.command(&[]);
    let place = std::path::Path::new(command.get_program());
    let path = format!("{}:/usr/bin:/bin", place.parent().unwrap().display());
    let line = line
        .replace("USER", "alice")
        .replace("FILE", "/etc/security/otp.toml");
    // It ends when it is told to.
    let line = if line.contains("--watch") {
        format!("timeout --preserve-status 1 {line}")
    } else if line.ends_with("otpctl deliver") {
        format!("timeout 1 {line}; test $? -eq 124")
    } else {
        line
    };
    let done = Command::new("sh")
        .args(["-c", &line])
        .env("PATH", path)
        .stdin(fs::File::open("passphrase").unwrap())
        .output();
    let done = done.unwrap();
    let asks = String::from_utf8_lossy(&done.stderr).contains("--yes");
    matches!(done.status.code(), Some(0 | 1 | 3)) || asks
}

#[test]
fn every_command_in_the_documents_is_one() {
    on_a_machine(|machine| {
        stock();
        let mut tried = 0;
        let helps = VERBS.map(|verb| (verb, machine.otpctl(&[verb, "--help"]).out));
        let texts = helps.iter().map(|(verb, help)| (*verb, help.as_str()));
        for (name, text) in DOCUMENTS.into_iter().chain(texts) {
            for command in commands(text) {
                // With one device, whatever the command before has made of her.
                machine.otpctl(&["remove", "alice", "--yes"]);
                machine.otpctl(&["enroll", "alice", "--json"]);
                assert!(is_understood(machine, &command), "{name}: {command}");
                tried += 1;
            }
        }
        assert!(tried > 40, "only {tried} commands were found");
    });
}

/// The files of others, and the archive that a command reads.
fn what_is_moved(machine: &Machine, command: &str) {
    fs::create_dir_all("/home/alice").unwrap();
    let google = "GEZDGNBVGY3TQOJQGEZDGNBVGY\n\" TOTP_AUTH\n";
    fs::write("/home/alice/.google_authenticator", google).unwrap();
    fs::write("/root/passphrase", "correct horse battery staple\n").unwrap();
    if command.contains("import") && command.contains("/root/otp.age") {
        let passphrase = ["--passphrase-file", "/root/passphrase"];
        let export = [&["export", "--output", "/root/otp.age"], &passphrase[..]];
        machine.otpctl(&export.concat()).exits(0);
    }
}

/// The block of code that follows these words.
fn block_after(words: &str) -> String {
    block_in(README, words)
}

fn block_in(document: &str, words: &str) -> String {
    let (_, rest) = document.split_once(words).unwrap();
    let block = rest.split("```").nth(1).unwrap();
    let lines = block.lines().skip(1);
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn the_two_edits_for_ssh_as_they_stand_in_the_readme_are_healthy() {
    on_a_machine(|machine| {
        fs::write("/etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n").unwrap();
        let line = block_after("In `/etc/pam.d/sshd`, below `@include common-auth`:");
        fs::write("/etc/pam.d/sshd", format!("@include common-auth\n{line}")).unwrap();
        let main =
            "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nKbdInteractiveAuthentication no\n";
        fs::write("/etc/ssh/sshd_config", main).unwrap();
        machine.otpctl(&["enroll", "alice"]);
        assert_eq!(sshd_faults(machine), ["KbdInteractiveAuthentication"]);
        fs::create_dir("/etc/ssh/sshd_config.d").unwrap();
        let drop_in = block_after("in a new file `/etc/ssh/sshd_config.d/otp.conf`:");
        fs::write("/etc/ssh/sshd_config.d/otp.conf", drop_in).unwrap();
        assert_eq!(sshd_faults(machine), [""; 0]);
    });
}

#[test]
fn what_the_guide_to_first_logins_sets_up_is_healthy_and_its_policy_is_one() {
    on_a_machine(|machine| {
        fs::write("/etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n").unwrap();
        let part = |words| block_in(FIRST_LOGIN, words);
        let auth = part("below `@include common-auth`:");
        let account = part("below `@include common-account`:");
        assert!(account.starts_with("account required pam_otp.so enroll"));
        let stack = format!("@include common-auth\n{auth}account required pam_unix.so\n{account}");
        fs::write("/etc/pam.d/sshd", stack).unwrap();
        fs::create_dir("/etc/ssh/sshd_config.d").unwrap();
        fs::write(
            "/etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n",
        )
        .unwrap();
        let drop_in = part("In a new file `/etc/ssh/sshd_config.d/otp.conf`:");
        fs::write("/etc/ssh/sshd_config.d/otp.conf", drop_in).unwrap();
        fs::write("/etc/group", "root:x:0:\n").unwrap();
        fs::write(
            "/etc/security/otp.toml",
            part("in `/etc/security/otp.toml`:"),
        )
        .unwrap();
        machine.otpctl(&["enroll", "alice"]);
        machine
            .otpctl(&["policy", "--check", "/etc/security/otp.toml"])
            .exits(0);
        assert_eq!(machine.json(&["policy"])["rules"][0]["code"], "required");
        assert_eq!(sshd_faults(machine), [""; 0]);
    });
}

#[test]
fn the_rules_of_the_manual_are_rules() {
    on_a_machine(|machine| {
        let manual = include_str!("../../../docs/man/otp.toml.5");
        let (_, rest) = manual.split_once(".Bd -literal -offset indent\n").unwrap();
        let (rules, _) = rest.split_once(".Ed").unwrap();
        fs::write("/etc/group", "admins:x:50:\n").unwrap();
        fs::write("/tmp/rules", rules).unwrap();
        let shown = machine.otpctl(&["policy", "--check", "/tmp/rules", "--json"]);
        assert_eq!(shown.exits(0).json()["rules"].as_array().unwrap().len(), 3);
    });
}

/// What doctor finds wrong with ssh, apart from what this machine lacks.
fn sshd_faults(machine: &Machine) -> Vec<String> {
    let health = machine.json(&["doctor", "sshd"]);
    let checks = health["checks"].as_array().unwrap().clone();
    let faults = checks.iter().filter(|check| check["ok"] == false);
    let names = faults.map(|check| check["name"].as_str().unwrap().to_owned());
    names
        .filter(|name| !["module", "otpd-program", "clock"].contains(&name.as_str()))
        .collect()
}

/// What a difference in the guide leaves of a file: its lines that stay and those that come.
fn file_after(diff: &str, path: &str) -> String {
    let (_, rest) = diff.split_once(&format!("+++ {path}\n")).unwrap();
    let lines = rest
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("--- "));
    let kept = lines.filter_map(|line| line.strip_prefix([' ', '+']));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn both_ways_of_the_guide_are_healthy() {
    on_a_machine(|machine| {
        fs::write("/etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n").unwrap();
        fs::create_dir("/etc/ssh/sshd_config.d").unwrap();
        let main =
            "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nKbdInteractiveAuthentication no\n";
        fs::write("/etc/ssh/sshd_config", main).unwrap();
        machine.otpctl(&["enroll", "alice"]);
        let diffs: Vec<&str> = GUIDE
            .split("```diff\n")
            .skip(1)
            .map(|part| part.split("```").next().unwrap())
            .collect();
        assert_eq!(diffs.len(), 2);
        for diff in diffs {
            for path in ["/etc/pam.d/sshd", "/etc/ssh/sshd_config.d/otp.conf"] {
                fs::write(path, file_after(diff, path)).unwrap();
            }
            assert_eq!(sshd_faults(machine), [""; 0], "{diff}");
        }
    });
}

/// Where the tests stand that docs/faults.md names.
const TESTS: [(&str, &str); 7] = [
    ("doctor::pam", include_str!("doctor/pam.rs")),
    ("doctor::sshd", include_str!("doctor/sshd.rs")),
    ("doctor::machine", include_str!("doctor/machine.rs")),
    (
        "door::doctor",
        include_str!("../../../tests/tests/door/doctor.rs"),
    ),
    ("trying", include_str!("trying.rs")),
    ("terminal", include_str!("terminal.rs")),
    (
        "e2e",
        concat!(
            include_str!("../../../tests/e2e/cases/55-try.sh"),
            include_str!("../../../tests/e2e/cases/90-package.sh")
        ),
    ),
];

#[test]
fn every_fault_of_others_has_a_thread_and_a_test_of_its_own() {
    let text = include_str!("../../../docs/faults.md");
    let threads = text.lines().filter(|line| line.contains("](https://"));
    assert!(threads.count() >= 25);
    // The heads of the tables name no test.
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let mut seen = std::collections::BTreeSet::new();
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let name = cell.split('`').nth(1).unwrap();
        assert!(seen.insert(name), "{name} stands for two faults");
        let (place, test, begins) = match name.rsplit_once("::") {
            Some((place, test)) => (place, test, format!("#[test]\nfn {test}()")),
            None => ("e2e", name, format!("\n{name}() {{")),
        };
        let source = TESTS.iter().find(|(known, _)| *known == place).unwrap().1;
        assert!(source.contains(&begins), "{test} is no test of {place}");
    }
}
