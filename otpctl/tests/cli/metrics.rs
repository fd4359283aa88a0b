//! metrics: what Prometheus reads. Every text here goes through a parser that takes nothing the format does not.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use nix::mount::{MsFlags, mount};

use crate::world::{Machine, Said, make_read_only, on_a_machine};

type Labels = Vec<(String, String)>;

/// The figures of a text: by name and labels.
#[derive(Debug)]
struct Figures(BTreeMap<(String, Labels), f64>);

impl Figures {
    /// Takes a text apart: families one after another, each with HELP, TYPE and its samples, none twice.
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut figures = BTreeMap::new();
        let mut families: Vec<&str> = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let (name, words) = help
                .strip_prefix("# HELP ")
                .unwrap()
                .split_once(' ')
                .unwrap();
            assert!(name.starts_with("pam_otp_") && is_name(name), "{help}");
            assert!(!words.is_empty() && !words.contains('\\'), "{help}");
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
            assert_eq!(lines.next().unwrap(), format!("# TYPE {name} gauge"));
            let mut count = 0;
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (labels, value) = sample(line.strip_prefix(name).unwrap());
                let before = figures.insert((name.to_owned(), labels), value);
                assert!(before.is_none(), "twice: {line}");
                count += 1;
            }
            assert!(count > 0, "{name} has no sample");
        }
        Self(figures)
    }

    #[track_caller]
    fn get(&self, name: &str) -> f64 {
        self.labelled(name, &[])
            .unwrap_or_else(|| panic!("no {name}: {self:#?}"))
    }

    fn labelled(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let own = |(label, text): &(&str, &str)| ((*label).to_owned(), (*text).to_owned());
        let labels = labels.iter().map(own).collect();
        self.0.get(&(format!("pam_otp_{name}"), labels)).copied()
    }
}

fn is_name(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.starts_with(|letter: char| letter.is_ascii_alphabetic()) && text.chars().all(is_inner)
}

/// `{label="value",…} 1`, from the brace or the blank on.
fn sample(rest: &str) -> (Labels, f64) {
    let mut labels = Labels::new();
    let mut rest = rest;
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(is_name(label), "{label}");
            let (text, after) = quoted(after);
            labels.push((label.to_owned(), text));
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    rest = after.strip_prefix('}').unwrap();
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(value.bytes().all(|byte| byte.is_ascii_digit()), "{value:?}");
    (labels, value.parse().unwrap())
}

/// A label's text up to its closing quote, with its escapes undone, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (out, &text[at + 1..]),
            '\\' => out.push(match letters.next().unwrap().1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                other => panic!("\\{other} is no escape"),
            }),
            letter => out.push(letter),
        }
    }
    panic!("no end: {text}");
}

fn figures(machine: &Machine, args: &[&str], exit: i32) -> (Figures, Said) {
    let mut all = vec!["metrics"];
    all.extend(args);
    let said = machine.otpctl(&all).exits(exit);
    (Figures::parse(&said.out), said)
}

#[test]
fn every_figure_is_what_it_says() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        machine
            .otpctl(&["enroll", "bob", "--recovery-codes", "4"])
            .exits(0);
        machine.otpctl(&["disable", "bob"]).exits(0);
        machine.otpctl(&["issue", "alice", "daemon"]).exits(0);
        let (before, said) = figures(machine, &[], 0);
        assert!(said.err.is_empty(), "{said:?}");
        for (name, value) in [
            ("policy_fault", 0.0),
            ("store_readable", 1.0),
            ("store_writable", 1.0),
            ("users_enrolled", 2.0),
            ("users_disabled", 1.0),
            ("users_held", 0.0),
            ("users_locked", 0.0),
            ("issued_codes", 2.0),
            ("recovery_codes_left", 14.0),
            ("failures", 0.0),
            ("records_damaged", 0.0),
        ] {
            assert_eq!(before.get(name).to_bits(), f64::to_bits(value), "{name}");
        }
        assert_eq!(
            before.labelled("authenticators", &[("type", "totp")]),
            Some(2.0)
        );
        assert_eq!(
            before.labelled("authenticators", &[("type", "hotp")]),
            Some(0.0)
        );
        assert_eq!(before.labelled("last_login_timestamp_seconds", &[]), None);

        let code = machine.json(&["issue", "alice"])["code"]
            .as_str()
            .unwrap()
            .to_owned();
        machine.otpctl_with(&["verify", "alice"], &code).exits(0);
        for _ in 0..4 {
            machine.otpctl_with(&["verify", "alice"], "000000").exits(1);
        }
        let (after, _) = figures(machine, &[], 0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.unwrap().as_secs_f64() - after.get("last_login_timestamp_seconds");
        assert!((0.0..60.0).contains(&age), "{age}");
        assert_eq!((after.get("failures"), after.get("users_held")), (3.0, 1.0));
        assert_eq!(after.get("issued_codes"), 2.0);

        let json = machine.json(&["metrics"]);
        assert_eq!(json["counts"]["failures"], 3, "{json}");
        assert!(json["users"].is_null() && json["fault"].is_null(), "{json}");
    });
}

#[test]
fn a_lock_is_a_figure_of_its_own() {
    on_a_machine(|machine| {
        fs::write("/etc/security/otp.toml", "[throttle]\nlock_after = 3\n").unwrap();
        machine.otpctl(&["enroll", "alice"]).exits(0);
        for _ in 0..3 {
            machine.otpctl_with(&["verify", "alice"], "000000");
        }
        assert_eq!(machine.json(&["status", "alice"])["locked"], true);
        assert_eq!(figures(machine, &[], 0).0.get("users_locked"), 1.0);
    });
}

#[test]
fn nobody_is_named_unless_that_is_asked_for() {
    on_a_machine(|machine| {
        let hostile = r#"CORP\al "{x}=",ü"#;
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write(
            "/etc/passwd",
            format!("{passwd}{hostile}:x:1003:1003::/:/bin/sh\n"),
        )
        .unwrap();
        for user in ["alice", "bob", hostile] {
            machine.otpctl(&["enroll", user]).exits(0);
        }
        fs::write("/var/lib/pam_otp/secrets/bob", "damaged").unwrap();
        let (figures_alone, said) = figures(machine, &[], 5);
        assert_eq!(figures_alone.get("records_damaged"), 1.0);
        assert_eq!(figures_alone.get("users_enrolled"), 2.0);
        for name in ["alice", "bob", "CORP"] {
            assert!(
                !said.out.contains(name) && !said.err.contains(name),
                "{said:?}"
            );
        }
        let (named, _) = figures(machine, &["--per-user"], 5);
        for (user, damaged, enrolled) in [
            ("alice", 0.0, Some(1.0)),
            ("bob", 1.0, None),
            (hostile, 0.0, Some(1.0)),
        ] {
            let of = [("user", user)];
            assert_eq!(named.labelled("user_damaged", &of), Some(damaged), "{user}");
            assert_eq!(named.labelled("user_enrolled", &of), enrolled, "{user}");
        }
        let json = machine
            .otpctl(&["metrics", "--per-user", "--json"])
            .exits(5)
            .json();
        assert_eq!(json["users"].as_array().unwrap().len(), 3, "{json}");
    });
}

#[test]
fn what_is_wrong_as_a_whole_is_a_figure_and_not_a_zero() {
    on_a_machine(|machine| {
        let (missing, said) = figures(machine, &[], 5);
        assert_eq!(missing.get("store_readable"), 0.0);
        assert_eq!(missing.labelled("users_enrolled", &[]), None);
        assert!(said.err.contains("/var/lib/pam_otp"), "{said:?}");

        machine.otpctl(&["enroll", "alice"]).exits(0);
        fs::write("/etc/security/otp.toml", "windwo = 1\n").unwrap();
        let (faulty, said) = figures(machine, &[], 5);
        assert_eq!((faulty.0.len(), faulty.get("policy_fault")), (1, 1.0));
        assert!(said.err.contains("otp.toml"), "{said:?}");
        let json = machine.otpctl(&["metrics", "--json"]).exits(5).json();
        assert!(
            json["fault"].as_str().unwrap().contains("otp.toml"),
            "{json}"
        );

        fs::write("/etc/security/otp.toml", "").unwrap();
        make_read_only("/var/lib/pam_otp");
        assert_eq!(figures(machine, &[], 0).0.get("store_writable"), 0.0);
    });
}

#[test]
fn the_file_is_replaced_whole_and_readable_by_everybody() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        fs::create_dir("/tmp/collected").unwrap();
        let file = "/tmp/collected/pam_otp.prom";
        let args = ["metrics", "--output", file];
        let said = machine.otpctl(&args).exits(0);
        assert!(said.out.is_empty() && said.err.is_empty(), "{said:?}");
        let mut old = File::open(file).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();

        let strict = format!("umask 077; exec \"$@\" metrics --output {file}");
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", &strict, "sh"])
            .arg(machine.command(&[]).get_program());
        assert!(command.status().unwrap().success());
        let new = fs::metadata(file).unwrap();
        assert_eq!((new.mode() & 0o7777, new.uid()), (0o644, 0));
        assert_ne!(new.ino(), old.metadata().unwrap().ino(), "not written over");
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        Figures::parse(&text);
        Figures::parse(&fs::read_to_string(file).unwrap());
        assert_eq!(
            fs::read_dir("/tmp/collected").unwrap().count(),
            1,
            "nothing half-made"
        );

        // Damage and faults are written too: that is when they are wanted.
        fs::write("/var/lib/pam_otp/secrets/alice", "damaged").unwrap();
        machine.otpctl(&args).exits(5);
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(Figures::parse(&text).get("records_damaged"), 1.0);
    });
}

#[test]
fn a_full_disk_keeps_the_old_file_and_nothing_half_made() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        fs::create_dir("/tmp/full").unwrap();
        let tmpfs = Some("tmpfs");
        let (none, page) = (MsFlags::empty(), Some("size=4096"));
        mount(tmpfs, "/tmp/full", tmpfs, none, page).unwrap();
        let args = ["metrics", "--output", "/tmp/full/pam_otp.prom"];
        machine.otpctl(&args).exits(0);
        let said = machine.otpctl(&args).exits(5);
        assert!(said.err.contains("No space left"), "{said:?}");
        Figures::parse(&fs::read_to_string("/tmp/full/pam_otp.prom").unwrap());
        assert_eq!(fs::read_dir("/tmp/full").unwrap().count(), 1);
    });
}

#[test]
fn what_is_no_ordinary_file_is_not_replaced() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        fs::write("/tmp/kept", "kept").unwrap();
        symlink("/tmp/kept", "/tmp/link").unwrap();
        for (path, exit) in [
            ("/dev/null", 2),
            ("/tmp/link", 2),
            ("/tmp", 2),
            ("/nowhere/x", 5),
            ("/", 2),
        ] {
            let said = machine.otpctl(&["metrics", "--output", path]).exits(exit);
            assert!(said.err.contains("error: "), "{said:?}");
        }
        assert_eq!(fs::read_to_string("/tmp/kept").unwrap(), "kept");
        assert!(fs::symlink_metadata("/tmp/link").unwrap().is_symlink());
        assert_eq!(fs::read_dir("/tmp").unwrap().count(), 2);
    });
}
