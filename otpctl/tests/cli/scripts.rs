//! What holds for every verb: help, version, usage errors, who may, where things are printed.

use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::{Said, on_a_machine};

pub const VERBS: [&str; 26] = [
    "enroll",
    "issue",
    "contact",
    "revoke",
    "verify",
    "status",
    "list",
    "metrics",
    "unlock",
    "resync",
    "forget",
    "disable",
    "enable",
    "remove",
    "recovery",
    "show",
    "import",
    "export",
    "explain",
    "deliver",
    "demo",
    "sweep",
    "doctor",
    "try",
    "policy",
    "completions",
];

#[test]
fn every_verb_helps_with_an_example() {
    on_a_machine(|machine| {
        for verb in VERBS {
            let help = machine.otpctl(&[verb, "--help"]).exits(0);
            let example = format!("otpctl {verb}");
            assert!(
                help.err.is_empty() && help.out.contains("Example: "),
                "{help:?}"
            );
            assert!(help.out.contains(&example), "{help:?}");
            assert!(
                help.out.contains("--json") && help.out.contains("--config"),
                "{help:?}"
            );
        }
        let version = machine.otpctl(&["--version"]).exits(0);
        assert_eq!(
            version.out,
            format!("otpctl {}\n", env!("CARGO_PKG_VERSION"))
        );
    });
}

#[test]
fn who_is_not_root_is_told_what_to_type() {
    on_a_machine(|machine| {
        let other = |args: &[&str]| {
            let mut command = machine.command(args);
            std::os::unix::process::CommandExt::uid(&mut command, 1000);
            command.output().map(Said::from)
        };
        // In a user namespace of one user there is nobody else to be.
        let Ok(said) = other(&["enroll", "alice", "--digits", "8"]) else {
            return;
        };
        let said = said.exits(4);
        assert_eq!(
            said.err,
            "error: needs root: sudo otpctl enroll alice --digits 8\n"
        );
        let json = other(&["doctor", "--json"]).unwrap().exits(4);
        assert_eq!(json.json()["error"], "not-permitted");
        other(&["demo", "totp"]).unwrap().exits(0);
        other(&["policy"]).unwrap().exits(0);
        other(&["completions", "zsh"]).unwrap().exits(0);
    });
}

#[test]
fn usage_errors_are_one_sentence_and_json_where_asked() {
    on_a_machine(|machine| {
        for args in [
            vec!["frobnicate"],
            vec!["enroll"],
            vec!["enroll", "alice", "--nope"],
            vec!["demo", "hotp"],
            vec!["try", "su", "--keep"],
        ] {
            let said = machine.otpctl(&args).exits(2);
            assert!(
                said.out.is_empty() && said.err.lines().count() == 1,
                "{said:?}"
            );
            assert!(said.err.contains("--help"), "{said:?}");
            assert_eq!(machine.json(&args)["error"], "usage");
        }
        let said = machine
            .otpctl(&["enroll", "alice", "--digits", "9"])
            .exits(2);
        assert!(said.err.ends_with("see otpctl enroll --help\n"), "{said:?}");
    });
}

#[test]
fn what_was_typed_commands_no_terminal() {
    on_a_machine(|machine| {
        let said = machine.otpctl(&["frob\x1b[2J"]).exits(2);
        assert!(!said.err.contains('\x1b'), "{said:?}");
        let said = machine
            .otpctl(&["issue", "alice", "--ttl", "\x1b[2J"])
            .exits(2);
        assert!(!said.err.contains('\x1b'), "{said:?}");
    });
}

#[test]
fn no_store_yet_is_said_with_the_way_out() {
    on_a_machine(|machine| {
        for args in [
            vec!["status"],
            vec!["list"],
            vec!["verify", "alice"],
            vec!["sweep"],
        ] {
            let said = machine.otpctl(&args).exits(5);
            assert!(
                said.err.contains("/var/lib/pam_otp is not there"),
                "{said:?}"
            );
        }
        assert_eq!(machine.json(&["list"])["error"], "missing");
    });
}

#[test]
fn a_full_device_and_a_closed_pipe_are_told_apart() {
    on_a_machine(|machine| {
        let to = |out: Stdio| {
            let mut command = machine.command(&["policy"]);
            Said::from(command.stdout(out).output().unwrap())
        };
        let full = to(File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
            .into());
        let full = full.exits(5);
        assert!(full.err.contains("could not be printed"), "{full:?}");
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        assert!(to(writer.into()).exits(0).err.is_empty());
    });
}

#[test]
fn off_a_terminal_there_is_no_colour_and_no_question() {
    on_a_machine(|machine| {
        let said = machine.otpctl(&["enroll", "alice"]).exits(0);
        assert!(
            !said.out.contains('\x1b') && said.complaints().is_empty(),
            "{said:?}"
        );
    });
}

#[test]
fn completions_know_the_verbs() {
    on_a_machine(|machine| {
        for shell in ["bash", "zsh", "fish"] {
            let script = machine.otpctl(&["completions", shell]).exits(0).out;
            assert!(VERBS.iter().all(|verb| script.contains(verb)), "{shell}");
        }
    });
}

#[test]
fn what_is_not_utf8_is_a_usage_error_and_no_panic() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::process::CommandExt;

    on_a_machine(|machine| {
        let odd = OsStr::from_bytes(b"ali\xffce");
        for words in [["status".as_ref(), odd], [odd, "status".as_ref()]] {
            let said = machine.command(&[]).args(words).output();
            let said = Said::from(said.unwrap()).exits(2);
            assert_eq!(said.err.lines().count(), 1, "{said:?}");
            assert!(said.err.contains("see otpctl status --help"), "{said:?}");
        }

        let mut other = machine.command(&["status", "--config"]);
        // In a user namespace of one user there is nobody else to be.
        let Ok(said) = other.arg(odd).uid(1000).output() else {
            return;
        };
        let said = Said::from(said).exits(4);
        assert_eq!(said.err, "error: needs root: sudo otpctl …\n");
    });
}

#[test]
fn a_log_that_takes_nothing_holds_nobody_up() {
    on_a_machine(|machine| {
        let log = machine.log();
        let full = UnixDatagram::unbound().unwrap();
        full.set_nonblocking(true).unwrap();
        while full.send_to(b"flood", "/dev/log").is_ok() {}
        let begun = Instant::now();
        let said = machine.otpctl(&["issue", "alice"]).exits(0);
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(said.out.contains("good once"), "{said:?}");
        assert!(said.err.contains("could not be logged"), "{said:?}");
        drop(log);
    });
}
