//! Users come over from other software and from backups, and go out again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use serde_json::Value;

use crate::world::{Machine, logged, on_a_machine};

const HEX: &str = "3132333435363738393031323334353637383930";
const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const PASSPHRASE: &str = "correct horse battery staple";

fn import(machine: &Machine, args: &[&str], content: &str) -> (i32, Value) {
    let args = [&["import", "--json"], args, &["-"]].concat();
    let said = machine.otpctl_with(&args, content);
    (said.exit, said.json())
}

fn authenticators(machine: &Machine, user: &str) -> Vec<Value> {
    let status = machine.json(&["status", user]);
    status["authenticators"].as_array().unwrap().clone()
}

fn is_enrolled(machine: &Machine, user: &str) -> bool {
    let said = machine.otpctl(&["status", user, "--json"]);
    said.json()["enrolled"] == true
}

fn verify(machine: &Machine, user: &str, code: &str) -> Value {
    machine
        .otpctl_with(&["verify", user, "--json"], code)
        .json()
}

#[test]
fn good_lines_go_in_and_bad_ones_are_named_by_number_and_never_by_text() {
    on_a_machine(|machine| {
        let log = machine.log();
        let file = format!(
            "# fleet\nHOTP/T30 alice - {HEX}\nHOTP nosuchuser - {HEX}\nHOTP bob 4711 {HEX}\nHOTP bob - 00\nHOTP/E/8 alice - {HEX}31 7\n"
        );
        let (exit, json) = import(machine, &["--format", "users.oath"], &file);
        assert_eq!(exit, 1);
        assert_eq!(
            (json["imported"].as_u64(), json["skipped"].as_u64()),
            (Some(1), Some(0))
        );
        let errors = json["errors"].as_array().unwrap();
        let mut lines: Vec<_> = errors
            .iter()
            .map(|error| error["line"].as_u64().unwrap())
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, [3, 4, 5]);
        let text = json.to_string();
        for word in [HEX, "nosuchuser", "4711"] {
            assert!(!text.contains(word), "{text}");
        }
        let known = authenticators(machine, "alice");
        let types: Vec<_> = known
            .iter()
            .map(|one| one["type"].as_str().unwrap())
            .collect();
        assert_eq!(types, ["totp", "hotp"]);
        assert!(!is_enrolled(machine, "bob"));
        let logged = logged(&log);
        assert!(
            logged
                .iter()
                .any(|line| line.contains("imported authenticators=2")
                    && line.ends_with("user=\"alice\"")),
            "{logged:?}"
        );
    });
}

#[test]
fn run_again_it_skips_who_is_enrolled_unless_told_to_replace() {
    on_a_machine(|machine| {
        let file = format!("HOTP alice - {HEX} 5 254676\n");
        assert_eq!(import(machine, &[], &file).0, 0);
        // RFC 4226 appendix D: the code of counter 5 is used in the file, that of 6 is used here.
        assert_eq!(verify(machine, "alice", "254676")["result"], "refused");
        assert_eq!(verify(machine, "alice", "287922")["result"], "accepted");
        let (exit, json) = import(machine, &[], &file);
        assert_eq!((exit, json["skipped"].as_u64()), (0, Some(1)));
        assert_eq!(json["skipped_users"][0], "alice");
        let said = machine.otpctl_with(&["import", "-"], &file).exits(0);
        assert!(said.out.contains("enrolled already: alice"), "{said:?}");
        let (exit, json) = import(machine, &["--replace"], &file);
        assert_eq!((exit, json["imported"].as_u64()), (0, Some(1)));
        assert_eq!(
            verify(machine, "alice", "287922")["result"],
            "refused",
            "used stays used"
        );
        assert_eq!(verify(machine, "alice", "162583")["result"], "accepted");
    });
}

#[test]
fn all_or_nothing_looks_at_everything_first_in_a_file_and_in_a_pipe() {
    on_a_machine(|machine| {
        let bad = format!("HOTP alice - {HEX}\nHOTP nosuchuser - {HEX}\n");
        let good = format!("HOTP alice - {HEX}\nHOTP bob - {HEX}\n");
        let args = ["--all-or-nothing"];
        let (exit, json) = import(machine, &args, &bad);
        assert_eq!((exit, json["imported"].as_u64()), (1, Some(0)));
        assert_eq!(json["errors"][0]["line"], 2);
        assert!(!is_enrolled(machine, "alice"));
        assert_eq!(import(machine, &args, &good).1["imported"], 2);
        machine.otpctl(&["remove", "alice", "--yes"]).exits(0);
        fs::write("/tmp/users.oath", good).unwrap();
        let json = machine.json(&["import", "--all-or-nothing", "/tmp/users.oath"]);
        assert_eq!(
            (json["imported"].as_u64(), json["skipped"].as_u64()),
            (Some(1), Some(1))
        );
    });
}

#[test]
fn lines_of_one_user_come_together_or_not_at_all() {
    on_a_machine(|machine| {
        let four: String = (0..4)
            .map(|n| format!("HOTP alice - {HEX}{n}{n}\n"))
            .collect();
        let (exit, json) = import(machine, &[], &four);
        assert_eq!(exit, 1);
        assert!(
            json["errors"][0]["why"]
                .as_str()
                .unwrap()
                .contains("more than three")
        );
        assert!(!is_enrolled(machine, "alice"));
        let twice = format!("HOTP alice - {HEX}\nHOTP bob - {HEX}\nHOTP/T30 alice - {HEX}\n");
        let (_, json) = import(machine, &[], &twice);
        assert_eq!(json["imported"], 1);
        assert!(
            json["errors"][0]["why"]
                .as_str()
                .unwrap()
                .contains("same secret")
        );
        assert!(!is_enrolled(machine, "alice"));
    });
}

#[test]
fn secrets_of_80_bits_are_named_unless_they_are_asked_for_and_work() {
    on_a_machine(|machine| {
        let file = "HOTP alice - 31323334353637383930\n";
        let (exit, json) = import(machine, &[], file);
        assert_eq!(exit, 1);
        assert!(
            json["errors"][0]["why"]
                .as_str()
                .unwrap()
                .contains("--allow-short")
        );
        let (exit, _) = import(machine, &["--allow-short"], file);
        assert_eq!(exit, 0);
        let show = machine.json(&["show", "alice"]);
        assert_eq!(show["secret"], "GEZDGNBVGY3TQOJQ");
        let other = "HOTP bob - 313233343536373839\n";
        assert_eq!(import(machine, &["--allow-short"], other).0, 1);
    });
}

#[test]
fn uris_and_csv_are_known_by_their_beginning() {
    on_a_machine(|machine| {
        let uri = format!("otpauth://totp/Old:alice?secret={BASE32}&issuer=Old&digits=8&period=60");
        assert_eq!(import(machine, &[], &uri).1["imported"], 1);
        let known = &authenticators(machine, "alice")[0];
        assert_eq!(
            (known["digits"].as_u64(), known["period"].as_u64()),
            (Some(8), Some(60))
        );
        let csv = format!("user,uri\nbob,{uri}\n\"carol@corp.example\",\"{uri}\"\nbad\n");
        let (exit, json) = import(machine, &[], &csv);
        assert_eq!((exit, json["imported"].as_u64()), (1, Some(2)));
        assert_eq!(json["errors"][0]["line"], 4);
        let said = machine
            .otpctl_with(&["import", "--format", "csv", "-"], "name,code\n")
            .exits(2);
        assert!(said.err.contains("header"), "{said:?}");
        machine.otpctl_with(&["import", "-"], "what?\n").exits(2);
        // Whose it is can be said.
        machine.otpctl(&["remove", "bob", "--yes"]).exits(0);
        let other = format!("otpauth://totp/somebody%40web?secret={BASE32}");
        assert_eq!(import(machine, &[], &other).0, 1);
        assert_eq!(import(machine, &["--user", "bob"], &other).0, 0);
    });
}

/// A home of alice's or bob's with this file in it.
fn home(user: &str, uid: u32, content: &str) -> String {
    let home = format!("/home/{user}");
    fs::create_dir_all(&home).unwrap();
    let file = format!("{home}/.google_authenticator");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    // In a user namespace of one user there is nobody else to give it to.
    let _ = chown(&file, Some(uid), Some(uid));
    file
}

#[test]
fn every_home_is_read_and_what_is_no_file_of_the_users_own_is_not() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    on_a_machine(|machine| {
        let text = format!(
            "{BASE32}\n\" WINDOW_SIZE 17\n\" TOTP_AUTH\n\" DISALLOW_REUSE\n11111111\n22222222\n"
        );
        home("alice", 1000, &text);
        let bobs = home("bob", 1001, &text);
        let json = machine.json(&["import", "--homes"]);
        assert_eq!(
            (json["imported"].as_u64(), json["errors_total"].as_u64()),
            (Some(2), Some(0)),
            "{json}"
        );
        let note = &json["notes"][0];
        assert!(note["note"].as_str().unwrap().contains("WINDOW_SIZE"));
        assert_eq!(note["users_total"], 2);
        assert_eq!(machine.json(&["status", "alice"])["recovery_codes_left"], 2);
        assert_eq!(verify(machine, "alice", "11111111")["method"], "recovery");
        assert_eq!(verify(machine, "alice", "11111111")["reason"], "used");
        for user in ["alice", "bob"] {
            machine.otpctl(&["remove", user, "--yes"]).exits(0);
        }

        // bob's is now a link to alice's, then alice's own under a second name, then root's, then a pipe.
        let why = |machine: &Machine| {
            let json = machine.json(&["import", "--homes", "--all-or-nothing"]);
            assert_eq!(json["errors"][0]["user"], "bob", "{json}");
            assert!(!is_enrolled(machine, "bob"));
            json["errors"][0]["why"].as_str().unwrap().to_owned()
        };
        fs::remove_file(&bobs).unwrap();
        symlink("/home/alice/.google_authenticator", &bobs).unwrap();
        assert!(why(machine).contains("a link"));
        fs::remove_file(&bobs).unwrap();
        fs::hard_link("/home/alice/.google_authenticator", &bobs).unwrap();
        let json = machine.json(&["import", "--homes", "--all-or-nothing"]);
        assert_eq!(json["errors_total"], 2, "{json}");
        fs::remove_file(&bobs).unwrap();
        home("bob", 0, &text);
        assert!(why(machine).contains("not hers"));
        fs::remove_file(&bobs).unwrap();
        nix::unistd::mkfifo(
            bobs.as_str(),
            nix::sys::stat::Mode::from_bits_truncate(0o600),
        )
        .unwrap();
        assert!(why(machine).contains("regular"));
        fs::remove_file(&bobs).unwrap();
        home("bob", 1001, "HUSHHUSH\n\" TOTP_AUTH\nhush\n");
        assert!(!why(machine).to_lowercase().contains("hush"));
    });
}

#[test]
fn a_single_file_of_google_authenticator_needs_to_be_told_whose_it_is() {
    on_a_machine(|machine| {
        let text = format!("{BASE32}\n\" HOTP_COUNTER 6\n");
        let said = machine.otpctl_with(&["import", "-"], &text).exits(2);
        assert!(said.err.contains("--user"), "{said:?}");
        assert_eq!(import(machine, &["--user", "alice"], &text).0, 0);
        assert_eq!(verify(machine, "alice", "254676")["result"], "refused");
        assert_eq!(verify(machine, "alice", "287922")["result"], "accepted");
    });
}

#[test]
fn what_is_exported_reads_back_and_stands_in_a_file_for_root_alone() {
    on_a_machine(|machine| {
        import(
            machine,
            &[],
            &format!("HOTP alice - {HEX} 41\nHOTP/T60/8 alice + {HEX}31\nHOTP bob - {HEX}32\n"),
        );
        let log = machine.log();
        for format in ["csv", "otpauth"] {
            let file = format!("/tmp/fleet.{format}");
            let json = machine.json(&["export", "--format", format, "--output", &file]);
            assert_eq!(json["exported"], 2);
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
                0o600
            );
            let said = machine
                .otpctl(&["export", "--format", format, "--output", &file])
                .exits(2);
            assert!(said.err.contains("already"), "{said:?}");
        }
        assert!(
            logged(&log)
                .iter()
                .any(|line| line.contains("exported format=csv"))
        );
        let before = authenticators(machine, "alice");
        for user in ["alice", "bob"] {
            machine.otpctl(&["remove", user, "--yes"]).exits(0);
        }
        assert_eq!(machine.json(&["import", "/tmp/fleet.csv"])["imported"], 2);
        assert_eq!(authenticators(machine, "alice").len(), before.len());
        let shown = machine
            .otpctl(&["export", "--format", "otpauth", "--output", "-"])
            .exits(0);
        assert!(shown.out.contains("counter=41"), "{shown:?}");
        assert_eq!(shown.out, fs::read_to_string("/tmp/fleet.otpauth").unwrap());
        machine
            .otpctl(&["export", "--output", "-", "--json"])
            .exits(2);
    });
}

#[test]
fn an_archive_brings_everything_back_and_no_used_code() {
    on_a_machine(|machine| {
        fs::write("/tmp/pass", format!("{PASSPHRASE}\n")).unwrap();
        let codes =
            machine.json(&["enroll", "alice", "--recovery-codes", "3"])["recovery_codes"].clone();
        let code = |n: usize| codes[n].as_str().unwrap();
        import(machine, &[], &format!("HOTP bob - {HEX}\n"));
        assert_eq!(verify(machine, "bob", "755224")["result"], "accepted");
        assert_eq!(verify(machine, "alice", code(0))["result"], "accepted");
        machine.otpctl(&["disable", "bob"]).exits(0);
        let export = [
            "export",
            "--output",
            "/tmp/fleet.age",
            "--passphrase-file",
            "/tmp/pass",
        ];
        machine.otpctl(&export).exits(0);
        let file = fs::read("/tmp/fleet.age").unwrap();
        assert!(file.starts_with(b"age-encryption.org/v1\n-> scrypt "));

        // The code shown now might have been used after the backup was made.
        let secret = machine.json(&["show", "alice"])["secret"].clone();
        let now = machine.json(&["explain", "alice"])["code"].clone();
        for user in ["alice", "bob"] {
            machine.otpctl(&["remove", user, "--yes"]).exits(0);
        }
        let wrong = machine
            .otpctl_with(&["import", "/tmp/fleet.age"], "wrong\n")
            .exits(2);
        assert!(wrong.err.contains("passphrase"), "{wrong:?}");
        let said = machine.otpctl_with(
            &["import", "/tmp/fleet.age", "--json"],
            &format!("{PASSPHRASE}\n"),
        );
        assert_eq!(said.exits(0).json()["imported"], 2);
        assert_eq!(machine.json(&["show", "alice"])["secret"], secret);
        assert_eq!(
            verify(machine, "alice", now.as_str().unwrap())["reason"],
            "used"
        );
        assert_eq!(verify(machine, "alice", code(0))["result"], "refused");
        assert_eq!(machine.json(&["status", "alice"])["recovery_codes_left"], 2);
        assert_eq!(verify(machine, "alice", code(1))["result"], "accepted");
        assert_eq!(machine.json(&["status", "bob"])["disabled"], true);
        machine.otpctl(&["enable", "bob"]).exits(0);
        assert_eq!(verify(machine, "bob", "755224")["result"], "refused");
        assert_eq!(verify(machine, "bob", "287082")["result"], "accepted");

        // Over what is there: what was used since stays used.
        let import = [
            "import",
            "--replace",
            "--passphrase-file",
            "/tmp/pass",
            "/tmp/fleet.age",
        ];
        machine.otpctl(&import).exits(0);
        machine.otpctl(&["enable", "bob"]).exits(0);
        assert_eq!(verify(machine, "bob", "287082")["result"], "refused");
        assert_eq!(verify(machine, "alice", code(1))["result"], "refused");
        assert_eq!(verify(machine, "alice", code(2))["result"], "accepted");
    });
}

#[test]
fn an_archive_of_another_machine_leaves_recovery_codes_out_and_says_so() {
    on_a_machine(|machine| {
        fs::write("/tmp/pass", PASSPHRASE).unwrap();
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let export = [
            "export",
            "--output",
            "/tmp/fleet.age",
            "--passphrase-file",
            "/tmp/pass",
        ];
        machine.otpctl(&export).exits(0);
        machine.otpctl(&["remove", "alice", "--yes"]).exits(0);
        fs::remove_file("/var/lib/pam_otp/key").unwrap();
        machine.otpctl(&["issue", "bob"]).exits(0);
        let json = machine.json(&["import", "--passphrase-file", "/tmp/pass", "/tmp/fleet.age"]);
        assert!(
            json["notes"][0]["note"]
                .as_str()
                .unwrap()
                .contains("another machine's key")
        );
        assert!(machine.json(&["status", "alice"])["recovery_codes_left"].is_null());
        // Cut short it is no archive, and all or nothing takes nothing of it.
        let file = fs::read("/tmp/fleet.age").unwrap();
        fs::write("/tmp/cut.age", &file[..file.len() - 1]).unwrap();
        let cut = ["import", "--passphrase-file", "/tmp/pass", "/tmp/cut.age"];
        machine.otpctl(&cut).exits(2);
        let short = machine
            .otpctl_with(&["export", "--output", "/tmp/x"], "short\n")
            .exits(2);
        assert!(short.err.contains("shorter"), "{short:?}");
        assert!(!fs::exists("/tmp/x").unwrap());
    });
}
