//! status, list, explain, policy.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::terminal::Session;
use crate::world::on_a_machine;

#[test]
fn status_has_the_keys_scripts_rely_on() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        machine
            .otpctl(&["issue", "alice", "--reason", "why"])
            .exits(0);
        let status = machine.json(&["status", "alice"]);
        for key in [
            "user",
            "enrolled",
            "disabled",
            "authenticators",
            "failures",
            "throttled_until",
            "locked",
            "sent_locked",
            "issued",
            "recovery_codes_left",
        ] {
            assert!(status.get(key).is_some(), "{key}: {status}");
        }
        for key in [
            "name",
            "type",
            "algorithm",
            "digits",
            "period",
            "drift",
            "last_used_at",
            "last_origin",
        ] {
            assert!(
                status["authenticators"][0].get(key).is_some(),
                "{key}: {status}"
            );
        }
        for key in ["id", "expires_at", "attempts", "sends", "reason"] {
            assert!(status["issued"][0].get(key).is_some(), "{key}: {status}");
        }
        assert_eq!(machine.json(&["list"]), status);
        let whole = machine.json(&["status"]);
        assert_eq!(
            (whole["users"].as_u64(), whole["codes_pending"].as_u64()),
            (Some(1), Some(1))
        );
    });
}

#[test]
fn one_damaged_record_is_named_and_hides_nobody() {
    on_a_machine(|machine| {
        for user in ["alice", "bob", "carol@corp.example"] {
            machine.otpctl(&["enroll", user]).exits(0);
        }
        fs::write(
            "/var/lib/pam_otp/secrets/bob",
            "version = \"secret-looking\"",
        )
        .unwrap();
        let list = machine.otpctl(&["list"]).exits(5);
        assert_eq!(list.out.lines().count(), 2, "{list:?}");
        assert!(
            list.err.contains("error: bob: ") && !list.err.contains("secret-looking"),
            "{list:?}"
        );
        let json = machine.otpctl(&["list", "--json"]).exits(5);
        let lines: Vec<serde_json::Value> = json
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (lines[1]["user"].as_str(), lines[1]["error"].as_str()),
            (Some("bob"), Some("damaged"))
        );
        let whole = machine.otpctl(&["status", "--json"]).exits(5).json();
        assert_eq!(
            (whole["users"].as_u64(), whole["damaged"][0].as_str()),
            (Some(2), Some("bob"))
        );
        machine.otpctl(&["status", "alice"]).exits(0);
        machine.otpctl(&["status", "bob"]).exits(5);
    });
}

#[test]
fn a_store_that_others_could_write_is_refused_by_name() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions("/var/lib/pam_otp", open).unwrap();
        let said = machine.otpctl(&["status", "alice"]).exits(5);
        assert!(said.err.contains("/var/lib/pam_otp"), "{said:?}");
        assert_eq!(machine.json(&["status", "alice"])["error"], "insecure");
    });
}

#[test]
fn explain_uses_nothing_up_and_hides_the_secret() {
    on_a_machine(|machine| {
        let made = machine.json(&["enroll", "alice"]);
        let explained = machine.json(&["explain", "alice"]);
        assert!(explained["secret"].is_null());
        let (time, step) = (
            explained["unix_time"].as_u64().unwrap(),
            explained["step"].as_u64().unwrap(),
        );
        assert_eq!(step, time / 30);
        assert_eq!(explained["seconds_left"].as_u64().unwrap(), 30 - time % 30);
        let checked = explained["checked"].as_array().unwrap();
        let offsets: Vec<i64> = checked
            .iter()
            .map(|step| step["offset"].as_i64().unwrap())
            .collect();
        assert_eq!(offsets, [-1, 0, 1]);
        assert!(
            checked.iter().all(|step| step["verdict"] == "accepted"),
            "{explained}"
        );
        assert_eq!(checked[1]["code"], explained["code"]);
        let shown = machine
            .otpctl(&["explain", "alice", "--show-secret", "--json"])
            .exits(0);
        assert_eq!(shown.json()["secret"], made["secret"]);

        let code = checked[2]["code"].as_str().unwrap();
        machine.otpctl_with(&["verify", "alice"], code).exits(0);
        let after = machine.json(&["explain", "alice"]);
        assert_eq!(after["checked"][0]["verdict"], "used", "{after}");
        machine.otpctl(&["explain", "bob"]).exits(3);
    });
}

#[test]
fn the_policy_says_where_each_value_comes_from() {
    on_a_machine(|machine| {
        let policy = machine.json(&["policy"]);
        assert_eq!(
            policy["values"]["window"],
            serde_json::json!({"value": 1, "from": "default"})
        );
        fs::write(
            "/etc/security/otp.toml",
            "window = 2\n[issued]\nttl = \"5m\"\n",
        )
        .unwrap();
        let policy = machine.json(&["policy"]);
        assert_eq!(
            policy["values"]["window"],
            serde_json::json!({"value": 2, "from": "otp.toml line 1"})
        );
        assert_eq!(
            policy["values"]["issued.ttl"],
            serde_json::json!({"value": "5m", "from": "otp.toml line 3"})
        );
        assert_eq!(policy["errors"], serde_json::json!([]));
    });
}

#[test]
fn a_faulty_policy_is_named_by_line_and_denies() {
    on_a_machine(|machine| {
        fs::write("/tmp/draft", "window = 1\nwindoww = 2\n[issued]\nttl = 5\n").unwrap();
        let checked = machine
            .otpctl(&["policy", "--check", "/tmp/draft"])
            .exits(1);
        assert!(
            checked.out.contains("line 2") && checked.out.contains("line 4"),
            "{checked:?}"
        );
        let json = machine
            .otpctl(&["policy", "--check", "/tmp/draft", "--json"])
            .exits(1)
            .json();
        let lines: Vec<u64> = json["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["line"].as_u64().unwrap())
            .collect();
        assert_eq!(lines, [2, 4]);
        fs::copy("/tmp/draft", "/etc/security/otp.toml").unwrap();
        let denied = machine.otpctl(&["enroll", "alice"]).exits(5);
        assert!(
            denied.err.contains("/etc/security/otp.toml") && denied.err.contains("line 2"),
            "{denied:?}"
        );
        machine.otpctl(&["policy"]).exits(5);
        machine.otpctl(&["policy", "--check", "/tmp"]).exits(5);
        machine
            .otpctl(&["policy", "--config", "/no/such/file"])
            .exits(5);
        machine.otpctl(&["status", "--config", "/tmp"]).exits(5);
    });
}

#[test]
fn it_is_never_dumped() {
    on_a_machine(|machine| {
        let program = machine.command(&[]).get_program().to_owned();
        let traced = Command::new("strace")
            .args(["-e", "trace=prctl", "-o", "/tmp/trace"])
            .arg(program)
            .arg("--version")
            .output()
            .unwrap();
        assert!(traced.status.success());
        let trace = std::fs::read_to_string("/tmp/trace").unwrap();
        assert!(
            trace.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0"),
            "{trace}"
        );
    });
}

/// Whether a core is written of a program that reads what is typed when it is aborted. Cores may be of any size.
fn is_dumped(program: &str, args: &[&str]) -> bool {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -c unlimited && exec \"$@\"", "sh", program])
        .args(args)
        .current_dir("/tmp")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let name = program.rsplit('/').next().unwrap();
    let waits = format!("({name}) S ");
    let stat = format!("/proc/{}/stat", child.id());
    // Nothing that it does before takes so long that it sleeps.
    while !fs::read_to_string(&stat).unwrap().contains(&waits) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGABRT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{status}");
    status.core_dumped()
}

#[test]
fn no_core_is_written_of_it_where_one_is_written_of_others() {
    on_a_machine(|machine| {
        let otpctl = machine.command(&[]).get_program().to_owned();
        let otpctl = otpctl.to_str().unwrap();
        assert!(is_dumped("cat", &[]), "this machine writes cores");
        machine.otpctl(&["enroll", "alice"]).exits(0);
        assert!(!is_dumped(otpctl, &["verify", "alice"]));
    });
}

#[test]
fn no_path_and_no_value_reaches_the_terminal_as_a_command_to_it() {
    on_a_machine(|machine| {
        let named = |file: &str| format!("/tmp/\x1b[2J\u{9b}31m-{file}");
        let (policy, faulty, picture) = (named("good.toml"), named("bad.toml"), named("alice.png"));
        let trees = "state_dir = \"/var/lib/\\u001b[2J\\u009b31m\"\n";
        fs::write(&policy, trees).unwrap();
        fs::write(&faulty, "\"\\u001b[2J\\u009b31m\" = 1\n").unwrap();
        for (args, exit) in [
            (&["policy", "--check", &policy][..], 0),
            (&["policy", "--check", &faulty], 1),
            (&["policy", "--config", &policy], 0),
            (&["policy", "--config", &faulty], 5),
            (
                &["enroll", "alice", "--config", &policy, "--qr", &picture],
                0,
            ),
            (
                &["enroll", "alice", "--config", &policy, "--qr", &picture],
                2,
            ),
            (&["status", "--config", &policy], 0),
            (&["status", "alice", "--config", &faulty], 5),
            (&["doctor", "sshd", "--config", &policy], 1),
            (&["doctor", "sshd", "--config", &faulty], 1),
            (
                &["issue", "alice", "--config", &policy, "--reason", "\x1b[2J"],
                2,
            ),
            (&["verify", "al\x1b[2Jice"], 2),
            (&["\x1b[2J"], 2),
        ] {
            let said = machine.otpctl(args).exits(exit);
            let is_obeyed = |letter: char| letter.is_control() && letter != '\n';
            let all = format!("{}{}", said.out, said.err);
            assert!(!all.contains(is_obeyed), "{args:?}: {all:?}");
        }
    });
}

#[test]
fn the_rules_are_shown_and_a_draft_that_would_deny_is_named() {
    on_a_machine(|machine| {
        fs::write("/etc/group", "admins:x:100:alice\n").unwrap();
        let rules = "[[rule]]\ngroups = [\"admins\"]\ncode = \"required\"\n\n[[rule]]\nnetworks = [\"192.0.2.0/24\"]\nservices = [\"sshd\"]\ncode = \"exempt\"\n\n[[rule]]\ncode = \"optional\"\n";
        fs::write("/etc/security/otp.toml", rules).unwrap();
        let shown = machine.json(&["policy"]);
        assert_eq!(
            shown["rules"][1],
            serde_json::json!({"code": "exempt", "groups": null, "networks": ["192.0.2.0/24"], "services": ["sshd"], "users": null, "from": "otp.toml line 5"})
        );
        let page = machine.otpctl(&["policy"]).exits(0).out;
        for line in [
            "rule 1   required   groups [\"admins\"]   otp.toml line 1",
            "rule 2   exempt     networks [\"192.0.2.0/24\"], services [\"sshd\"]   otp.toml line 5",
            "rule 3   optional   everybody   otp.toml line 10",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
        }
        let draft = |text: &str| {
            fs::write("/tmp/draft", text).unwrap();
            let said = machine.otpctl(&["policy", "--check", "/tmp/draft"]);
            said.exits(1).out
        };
        assert!(
            draft("[[rule]]\ncode = \"exempt\"\ngroups = [\"admins\", \"staff\"]\n")
                .contains("the group database does not know \"staff\"")
        );
        assert!(
            draft(&format!(
                "{rules}[[rule]]\nusers = [\"bob\"]\ncode = \"exempt\"\n"
            ))
            .contains("line 10     a rule without a condition is for everybody: put it last")
        );
        machine
            .otpctl(&["policy", "--check", "/etc/security/otp.toml"])
            .exits(0);
    });
}

#[test]
fn a_policy_fits_a_terminal_and_is_spelled_as_in_its_file() {
    on_a_machine(|machine| {
        let networks = (0..9).map(|n| format!("\"192.0.2.{n}\""));
        let networks = networks.collect::<Vec<_>>().join(", ");
        let rule = format!(
            "[[rule]]\nnetworks = [{networks}]\nservices = [\"sshd\"]\ncode = \"exempt\"\n"
        );
        fs::write("/etc/security/otp.toml", rule).unwrap();
        let page = Session::start(machine, &["policy"], 80).end();
        let lines: Vec<&str> = page.lines().collect();
        for text in [
            "remote_services             [\"sshd\", \"sshd-session\", \"vsftpd\", \"proftpd\",",
            "                            \"dovecot\", \"xrdp-sesman\", \"cockpit\"]   default",
            "rule 1   exempt     networks [\"192.0.2.0\", \"192.0.2.1\", \"192.0.2.2\",",
        ] {
            assert!(lines.contains(&text), "{text}\n{page}");
        }
        let seen = page.replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
        let longest = seen.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{longest:?} {page}");
    });
}
