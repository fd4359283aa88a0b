//! contact, issue --send, and what status, list, remove and disable make of codes that are sent. A gateway records them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::terminal::Session;
use crate::world::{Machine, Said, logged, on_a_machine};

const NUMBER: &str = "+4917012344711";
const MASKED: &str = "+49…4711";
const MAIL: &str = "alice@example.org";
const QUEUED: &str = "/var/spool/pam_otp/.queue/new";
const RECORD: &str = "/srv/record";
const GATEWAY: &str = "/srv/sms";

/// A machine that sends codes by both channels, within these limits.
fn on_a_machine_that_sends(limits: &str, test: impl FnOnce(&Machine)) {
    on_a_machine(|machine| {
        sends(limits, GATEWAY);
        test(machine);
    });
}

/// The same, where the gateway runs too: as daemon, which takes root outside. A user namespace of one user has nobody else.
fn on_a_machine_that_delivers(test: impl FnOnce(&Machine)) {
    if nix::unistd::geteuid().is_root() {
        on_a_machine_that_sends("", test);
    }
}

/// The gateway writes down what it is given.
fn sends(limits: &str, gateway: &str) {
    fs::create_dir_all(RECORD).unwrap();
    fs::set_permissions(RECORD, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(GATEWAY, format!("#!/bin/sh\ncat >{RECORD}/sms\n")).unwrap();
    fs::set_permissions(GATEWAY, fs::Permissions::from_mode(0o755)).unwrap();
    let policy = format!(
        "[delivery]\nuser = \"daemon\"\n{limits}\n[sms]\ncommand = [\"{gateway}\"]\n[email]\nvia = \"sendmail\"\n"
    );
    fs::write("/etc/security/otp.toml", policy).unwrap();
}

/// The number and the code that the gateway was given last.
fn recorded(machine: &Machine) -> (String, String) {
    let _ = fs::remove_file(format!("{RECORD}/sms"));
    machine.otpctl(&["deliver", "--once"]).exits(0);
    let record = fs::read_to_string(format!("{RECORD}/sms")).unwrap();
    let (number, code) = record.trim_end().split_once('\n').unwrap();
    (number.to_owned(), code.to_owned())
}

/// The code that waits to be sent.
fn waiting(user: &str, channel: &str) -> String {
    let entry = fs::read_to_string(format!("{QUEUED}/{user}.{channel}")).unwrap();
    let (_, code) = entry.split_once("code = \"").unwrap();
    code.split('"').next().unwrap().to_owned()
}

fn waits(user: &str, channel: &str) -> bool {
    PathBuf::from(format!("{QUEUED}/{user}.{channel}")).exists()
}

/// She has this contact, because somebody vouches for it.
fn vouched(machine: &Machine, user: &str) {
    let number = ["contact", user, "--sms", NUMBER, "--confirmed"];
    machine.otpctl(&number).exits(0);
}

fn verify(machine: &Machine, code: &str) -> Value {
    let said = machine.otpctl_with(&["verify", "alice", "--json"], &format!("{code}\n"));
    said.json()
}

fn confirms(machine: &Machine, channel: &str, code: &str) -> Said {
    let args = ["contact", "alice", "--confirm", channel, "--json"];
    machine.otpctl_with(&args, &format!("{code}\n"))
}

/// The same command at another time, in seconds from now.
fn later(machine: &Machine, seconds: u32, args: &[&str]) -> Said {
    later_with(machine, seconds, args, "")
}

fn later_with(machine: &Machine, seconds: u32, args: &[&str], input: &str) -> Said {
    fs::write("/srv/input", input).unwrap();
    let mut command = machine.command(args);
    command
        .env("LD_PRELOAD", library())
        .env("FAKETIME", format!("+{seconds}s"))
        .stdin(fs::File::open("/srv/input").unwrap());
    Said::from(command.output().unwrap())
}

fn library() -> PathBuf {
    let dirs = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut places = dirs.map(|dir| dir.path().join("faketime/libfaketime.so.1"));
    let found = places.find(|place| place.exists());
    found.expect("libfaketime (faketime) is there")
}

/// A wrong code of the same length.
fn other_than(code: &str) -> String {
    let number: u64 = code.parse().unwrap();
    format!("{:08}", (number + 1) % 100_000_000)
}

#[test]
fn a_contact_gets_codes_once_a_code_from_there_has_confirmed_it() {
    on_a_machine_that_delivers(|machine| {
        let log = machine.log();
        let set = ["contact", "alice", "--sms", NUMBER, "--json"];
        let said = machine.otpctl(&set).exits(0).json();
        let contact = &said["contacts"][0];
        assert_eq!(
            (&said["user"], &contact["channel"]),
            (&"alice".into(), &"sms".into())
        );
        assert_eq!(contact["address"], NUMBER);
        assert!(contact["confirmed_at"].is_null(), "{said}");
        assert_eq!(contact["pending"]["attempts"], 0);

        // Nothing for a login goes there yet.
        let early = machine
            .otpctl(&["issue", "alice", "--send", "sms", "--json"])
            .exits(3);
        assert_eq!(early.json()["error"], "no-contact");

        let (number, code) = recorded(machine);
        assert_eq!((number.as_str(), code.len()), (NUMBER, 8));
        let wrong = confirms(machine, "sms", &other_than(&code)).exits(1).json();
        assert_eq!(wrong["error"], "mismatch");
        assert!(
            wrong["message"].as_str().unwrap().contains("4 more tries"),
            "{wrong}"
        );
        let shown = machine.json(&["contact", "alice"]);
        assert_eq!(shown["contacts"][0]["pending"]["attempts"], 1);
        // A code that confirms lets nobody in.
        assert_eq!(verify(machine, &code)["result"], "refused");

        let right = confirms(machine, "sms", &code).exits(0).json();
        assert!(right["contacts"][0]["confirmed_at"].is_string(), "{right}");
        assert!(right["contacts"][0]["pending"].is_null(), "{right}");
        let lines = logged(&log);
        let ours = |what: &str| {
            let is_it =
                |line: &&String| line.contains(&format!("]: {what} channel=sms to={MASKED}"));
            lines.iter().find(is_it).cloned().unwrap_or_default()
        };
        assert!(
            ours("contact-set").ends_with(" confirmed=no by=uid:0 user=\"alice\""),
            "{lines:?}"
        );
        assert!(
            ours("contact-refused").contains(" reason=mismatch "),
            "{lines:?}"
        );
        assert!(
            ours("contact-confirmed").ends_with(" user=\"alice\""),
            "{lines:?}"
        );
        let whole = lines.join("\n");
        assert!(!whole.contains(NUMBER) && !whole.contains(&code), "{whole}");
    });
}

#[test]
fn five_wrong_codes_end_the_one_that_confirms() {
    on_a_machine_that_sends("", |machine| {
        machine
            .otpctl(&["contact", "alice", "--sms", NUMBER])
            .exits(0);
        let code = waiting("alice", "sms");
        // No answer at all is none.
        confirms(machine, "sms", "not a code").exits(1);
        for left in [
            "4 more tries",
            "3 more tries",
            "2 more tries",
            "1 more try",
            "good no longer",
        ] {
            let said = confirms(machine, "sms", &other_than(&code)).exits(1).json();
            assert!(said["message"].as_str().unwrap().contains(left), "{said}");
        }
        let said = confirms(machine, "sms", &code).exits(3).json();
        assert_eq!(said["error"], "nothing-sent");
        assert!(machine.json(&["contact", "alice"])["contacts"][0]["confirmed_at"].is_null());
    });
}

#[test]
fn a_late_answer_confirms_nothing_and_another_code_can_be_sent() {
    on_a_machine_that_sends("", |machine| {
        let set = ["contact", "alice", "--sms", NUMBER, "--json"];
        machine.otpctl(&set).exits(0);
        let soon = machine.otpctl(&set).exits(1).json();
        assert_eq!(soon["error"], "too-soon");
        assert!(soon["until"].as_str().unwrap().ends_with('Z'), "{soon}");

        let first = waiting("alice", "sms");
        later(machine, 61, &set).exits(0);
        let second = waiting("alice", "sms");
        // The older one is worth nothing, and would be right again only by chance.
        assert_ne!(first, second);
        let confirm = ["contact", "alice", "--confirm", "sms", "--json"];
        let late = later_with(machine, 800, &confirm, &second);
        assert_eq!(late.exits(1).json()["error"], "expired");
    });
}

#[test]
fn who_is_vouched_for_gets_codes_at_once() {
    on_a_machine_that_delivers(|machine| {
        let log = machine.log();
        let said = machine
            .otpctl(&["contact", "alice", "--sms", NUMBER, "--confirmed"])
            .exits(0);
        assert!(
            said.out.contains("can be sent to +49…4711 from now on"),
            "{said:?}"
        );
        assert!(!waits("alice", "sms"), "nothing is sent");
        let line = logged(&log).join("");
        assert!(
            line.contains(" confirmed=vouched ") && !line.contains(NUMBER),
            "{line}"
        );
        let again = machine
            .otpctl(&["contact", "alice", "--sms", NUMBER])
            .exits(0);
        assert!(again.out.contains("already"), "{again:?}");
        // It needs something to vouch for.
        machine
            .otpctl(&["contact", "alice", "--confirmed"])
            .exits(2);

        machine
            .otpctl(&["issue", "alice", "--send", "sms"])
            .exits(0);
        let (number, code) = recorded(machine);
        assert_eq!(number, NUMBER);
        assert_eq!(verify(machine, &code)["result"], "accepted");
    });
}

#[test]
fn a_code_that_is_sent_is_not_shown_and_says_where_it_went() {
    on_a_machine_that_sends("", |machine| {
        vouched(machine, "alice");
        let log = machine.log();
        let args = [
            "issue", "alice", "--send", "sms", "--reason", "no app", "--json",
        ];
        let said = machine.otpctl(&args).exits(0);
        let json = said.json();
        let code = waiting("alice", "sms");
        assert!(
            json["code"].is_null() && json["expires_at"].is_string(),
            "{json}"
        );
        assert_eq!(
            (&json["sent_to"], &json["channel"]),
            (&MASKED.into(), &"sms".into())
        );
        let lines = logged(&log).join("\n");
        let logged_as = format!("ttl=10m channel=sms to={MASKED} reason=\"no app\"");
        assert!(lines.contains(&logged_as), "{lines}");
        assert!(
            !said.out.contains(&code) && !lines.contains(&code),
            "{said:?}"
        );

        vouched(machine, "bob");
        let told = machine.otpctl(&["issue", "bob", "--send", "sms"]).exits(0);
        assert!(
            told.out
                .starts_with("sent to +49…4711 by sms   good once, until "),
            "{told:?}"
        );
        assert!(told.out.contains("otpctl revoke bob "), "{told:?}");
        assert!(!told.out.contains(&waiting("bob", "sms")), "{told:?}");

        // One that is read to her is as it was.
        let shown = machine.json(&["issue", "alice"]);
        assert_eq!(shown["code"].as_str().unwrap().len(), 8);
        assert!(
            shown["sent_to"].is_null() && shown["channel"].is_null(),
            "{shown}"
        );
    });
}

#[test]
fn a_newer_code_takes_the_place_of_the_older_and_status_counts() {
    on_a_machine_that_delivers(|machine| {
        vouched(machine, "alice");
        machine
            .otpctl(&["issue", "alice", "--send", "sms"])
            .exits(0);
        let (_, first) = recorded(machine);
        verify(machine, &other_than(&first));
        later(machine, 61, &["issue", "alice", "--send", "sms"]).exits(0);
        let second = waiting("alice", "sms");
        let status = later(machine, 62, &["status", "alice", "--json"])
            .exits(0)
            .json();
        let [code] = status["issued"].as_array().unwrap().as_slice() else {
            panic!("one code: {status}")
        };
        let counts = ["attempts", "sends", "channel"].map(|key| code[key].clone());
        assert_eq!(counts, [Value::from(1), 2.into(), "sms".into()], "{status}");
        let told = later(machine, 62, &["status", "alice"]).exits(0).out;
        assert!(
            told.contains("by sms, sent 2 of 3 times, 1 of 10 attempts"),
            "{told}"
        );
        assert!(told.contains(MASKED) && !told.contains(NUMBER), "{told}");
        assert_eq!(status["contacts"][0]["address"], MASKED);
        let verify = ["verify", "alice", "--json"];
        let old = later_with(machine, 62, &verify, &first).exits(1).json();
        assert_eq!(old["reason"], "mismatch");

        later(machine, 125, &["issue", "alice", "--send", "sms"]).exits(0);
        let spent = later(machine, 190, &["issue", "alice", "--send", "sms", "--json"]).exits(1);
        let spent = spent.json();
        assert_eq!(spent["error"], "sends-spent");
        assert!(spent["until"].is_string(), "{spent}");
        assert!(
            spent["message"].as_str().unwrap().contains("sent 3 times"),
            "{spent}"
        );
        assert_ne!(second, waiting("alice", "sms"));
    });
}

/// What refuses to send, as scripts read it.
fn refusal(machine: &Machine, args: &[&str], exit: i32) -> String {
    let said = machine
        .otpctl(&[args, &["--json"]].concat())
        .exits(exit)
        .json();
    said["error"].as_str().unwrap().to_owned()
}

#[test]
fn what_the_limits_refuse_says_when_to_try_again() {
    on_a_machine_that_sends("per_hour = 2", |machine| {
        vouched(machine, "alice");
        machine
            .otpctl(&["contact", "alice", "--email", MAIL, "--confirmed"])
            .exits(0);
        let by_sms = ["issue", "alice", "--send", "sms"];
        machine.otpctl(&by_sms).exits(0);
        let said = machine.otpctl(&by_sms).exits(1);
        let soon = said.err.lines().next().unwrap();
        assert!(
            soon.starts_with(
                "error: a code went to alice by sms only just: the next one can go from "
            ),
            "{said:?}"
        );
        machine
            .otpctl(&["issue", "alice", "--send", "email"])
            .exits(0);
        let spent = later(machine, 61, &["issue", "alice", "--send", "sms", "--json"]).exits(1);
        assert_eq!(spent.json()["error"], "hour-spent");
        assert!(spent.json()["until"].is_string());
        later(machine, 3605, &by_sms).exits(0);
    });
}

#[test]
fn guesses_at_a_sent_code_turn_sending_off_until_she_is_unlocked() {
    on_a_machine_that_sends("[throttle]\nlock_after = 2\n", |machine| {
        vouched(machine, "alice");
        let by_sms = ["issue", "alice", "--send", "sms"];
        machine.otpctl(&by_sms).exits(0);
        let code = waiting("alice", "sms");
        for (locked, reason) in [(false, "mismatch"), (false, "mismatch"), (true, "locked")] {
            assert_eq!(machine.json(&["status", "alice"])["sent_locked"], locked);
            assert_eq!(verify(machine, &other_than(&code))["reason"], reason);
        }
        assert_eq!(verify(machine, &code)["reason"], "locked");
        assert_eq!(refusal(machine, &by_sms, 1), "locked");
        let told = machine.otpctl(&["status", "alice"]).exits(0).out;
        let row = "sent codes  off after too many wrong answers, and none is sent, until another code is accepted or 'otpctl unlock alice'\n";
        assert!(told.contains(row), "{told}");
        assert!(machine.otpctl(&["list"]).exits(0).out.contains("locked"));
        let status = machine.json(&["unlock", "alice"]);
        assert_eq!(
            (&status["sent_locked"], &status["locked"]),
            (&false.into(), &false.into())
        );
        assert_eq!(verify(machine, &code)["result"], "accepted");
    });
}

#[test]
fn what_keeps_a_code_from_being_sent_is_named_with_the_way_out() {
    on_a_machine_that_sends("queue = 1", |machine| {
        assert_eq!(
            refusal(machine, &["issue", "alice", "--send", "sms"], 3),
            "no-contact"
        );
        assert_eq!(
            refusal(machine, &["contact", "alice", "--confirm", "sms"], 3),
            "no-contact"
        );
        assert_eq!(
            refusal(machine, &["contact", "alice", "--remove", "sms"], 3),
            "no-contact"
        );
        vouched(machine, "alice");
        vouched(machine, "bob");
        machine.otpctl(&["disable", "alice"]).exits(0);
        assert_eq!(
            refusal(machine, &["issue", "alice", "--send", "sms"], 1),
            "disabled"
        );
        machine.otpctl(&["enable", "alice"]).exits(0);
        machine
            .otpctl(&["issue", "alice", "--send", "sms"])
            .exits(0);
        assert_eq!(
            refusal(machine, &["issue", "bob", "--send", "sms"], 1),
            "queue-full"
        );
        assert_eq!(
            machine.json(&["status", "bob"])["issued"]
                .as_array()
                .unwrap()
                .len(),
            0
        );

        fs::write("/etc/security/otp.toml", "").unwrap();
        assert_eq!(
            refusal(machine, &["issue", "alice", "--send", "sms"], 1),
            "no-channel"
        );
        let said = machine
            .otpctl(&["contact", "alice", "--email", MAIL])
            .exits(1);
        assert!(said.err.contains("set email.via in otp.toml"), "{said:?}");
        // To vouch is fine before the channel is on, and says so.
        let said = machine
            .otpctl(&["contact", "alice", "--email", MAIL, "--confirmed"])
            .exits(0);
        assert!(
            said.complaints()[0].starts_with("warning: no codes are sent by email"),
            "{said:?}"
        );
    });
}

#[test]
fn what_is_asked_for_wrongly_changes_nothing_and_says_what_is_right() {
    on_a_machine_that_sends("", |machine| {
        vouched(machine, "alice");
        for (args, right) in [
            (["--sms", "0170 1234567"], "+4917012345678"),
            (["--sms", "+0491701234567"], "+4917012345678"),
            (["--email", "alice"], "alice@example.org"),
            (["--email", "a@example.org;sh"], "alice@example.org"),
            (["--email", "\x1b[2J@example.org"], "alice@example.org"),
            (["--confirm", "fax"], "--help"),
        ] {
            let said = machine
                .otpctl(&[&["contact", "alice"], &args[..]].concat())
                .exits(2);
            assert!(said.out.is_empty() && said.err.contains(right), "{said:?}");
            assert!(!said.err.contains('\x1b'), "{said:?}");
        }
        // Both are understood before either is set.
        let both = ["contact", "bob", "--sms", NUMBER, "--email", "bob"];
        machine.otpctl(&both).exits(2);
        assert!(!waits("bob", "sms"));
        for args in [
            vec!["issue", "alice", "bob", "--send", "sms"],
            vec!["issue", "alice", "--count", "2", "--send", "sms"],
            vec!["issue", "alice", "--ttl", "11m", "--send", "sms"],
            vec!["contact", "alice", "--remove", "sms", "--confirm", "sms"],
            vec![
                "contact",
                "alice",
                "--sms",
                NUMBER,
                "--confirmed",
                "--no-confirm",
            ],
        ] {
            machine.otpctl(&args).exits(2);
        }
        assert!(!waits("alice", "sms"));
        machine
            .otpctl(&["contact", "nobody-here", "--sms", NUMBER])
            .exits(3);
        machine.otpctl(&["contact", "nobody-here"]).exits(3);
    });
}

#[test]
fn another_contact_ends_what_went_to_the_one_before() {
    on_a_machine_that_delivers(|machine| {
        vouched(machine, "alice");
        machine
            .otpctl(&["issue", "alice", "--send", "sms"])
            .exits(0);
        let (_, code) = recorded(machine);
        let other = ["contact", "alice", "--sms", "+4917099999999"];
        let asks = machine.otpctl(&other).exits(2);
        assert!(
            asks.err.contains("takes the place of +49…4711") && asks.err.contains("--yes"),
            "{asks:?}"
        );
        assert_eq!(
            machine.json(&["contact", "alice"])["contacts"][0]["address"],
            NUMBER
        );
        let said = later(machine, 61, &[&other[..], &["--yes"]].concat()).exits(0);
        assert!(
            said.out
                .contains("until it is confirmed no other goes there"),
            "{said:?}"
        );
        assert_eq!(verify(machine, &code)["reason"], "withdrawn");
        assert_eq!(
            refusal(machine, &["issue", "alice", "--send", "sms"], 3),
            "no-contact"
        );
    });
}

#[test]
fn a_contact_that_is_removed_gets_nothing_more() {
    on_a_machine_that_sends("", |machine| {
        let log = machine.log();
        vouched(machine, "alice");
        machine
            .otpctl(&["issue", "alice", "--send", "sms"])
            .exits(0);
        let code = waiting("alice", "sms");
        let asks = machine
            .otpctl(&["contact", "alice", "--remove", "sms"])
            .exits(2);
        assert!(asks.err.contains("--yes"), "{asks:?}");
        let said = machine
            .otpctl(&["contact", "alice", "--remove", "sms", "--yes"])
            .exits(0);
        assert!(
            said.out.contains("no contact of alice any more"),
            "{said:?}"
        );
        assert!(!waits("alice", "sms"), "what waits is withdrawn");
        assert_eq!(verify(machine, &code)["reason"], "withdrawn");
        let lines = logged(&log).join("\n");
        let line = format!("contact-removed channel=sms to={MASKED} by=uid:0 user=\"alice\"");
        assert!(lines.contains(&line) && !lines.contains(NUMBER), "{lines}");
        assert_eq!(
            machine.json(&["contact", "alice"])["contacts"],
            Value::Array(Vec::new())
        );
        let none = machine.otpctl(&["contact", "alice"]).exits(0);
        assert!(
            none.out.contains("Next: otpctl contact alice --sms NUMBER"),
            "{none:?}"
        );
    });
}

#[test]
fn who_has_a_contact_alone_is_somebody() {
    on_a_machine_that_sends("", |machine| {
        vouched(machine, "alice");
        machine
            .otpctl(&["contact", "bob", "--sms", NUMBER])
            .exits(0);
        let listed = machine.otpctl(&["list"]).exits(0).out;
        let lines: Vec<&str> = listed.lines().collect();
        assert!(lines[0].starts_with("alice  sent codes"), "{listed}");
        assert!(lines[1].starts_with("bob    no code"), "{listed}");
        let installation = machine.json(&["status"]);
        assert_eq!(installation["reachable"], 1);

        // Nothing is sent to somebody who is disabled, nor what waits.
        machine
            .otpctl(&["issue", "alice", "--send", "sms"])
            .exits(0);
        let said = machine.otpctl(&["disable", "alice"]).exits(0);
        assert!(
            said.out.contains("and none is sent") && !waits("alice", "sms"),
            "{said:?}"
        );

        let said = machine.otpctl(&["remove", "bob", "--yes"]).exits(0);
        assert!(said.out.contains("Her contacts are gone too"), "{said:?}");
        assert!(!waits("bob", "sms"));
        assert_eq!(
            machine.json(&["contact", "bob"])["contacts"],
            Value::Array(Vec::new())
        );
        let said = machine.otpctl(&["remove", "alice", "--yes"]).exits(0);
        assert!(said.out.contains("Her contacts are gone too"), "{said:?}");
        machine.otpctl(&["remove", "alice", "--yes"]).exits(3);
    });
}

#[test]
fn what_waits_and_what_failed_is_seen_in_status_and_metrics() {
    on_a_machine_that_delivers(|machine| {
        vouched(machine, "alice");
        vouched(machine, "bob");
        machine
            .otpctl(&["issue", "alice", "--send", "sms"])
            .exits(0);
        let waiting = machine.json(&["status"])["sending"].clone();
        assert_eq!(
            (&waiting["waiting"], &waiting["sent_in_last_hour"]),
            (&1.into(), &1.into())
        );
        assert!(
            waiting["oldest_at"].is_string() && waiting["on"] == true,
            "{waiting}"
        );
        let late = later(machine, 61, &["status"]).exits(0).out;
        assert!(
            late.contains("1 code in the last hour, 1 waiting (the oldest since "),
            "{late}"
        );
        let figures = machine.otpctl(&["metrics"]).exits(0).out;
        for line in [
            "codes_waiting 1",
            "codes_sent_last_hour 1",
            "codes_undelivered 0",
            "users_reachable 2",
        ] {
            assert!(
                figures.contains(&format!("\npam_otp_{line}\n")),
                "{line}: {figures}"
            );
        }
        assert!(
            figures.contains("pam_otp_codes_waiting_oldest_timestamp_seconds "),
            "{figures}"
        );

        sends("", "/srv/missing");
        machine.otpctl(&["deliver", "--once"]).exits(0);
        machine.otpctl(&["deliver", "--settle"]).exits(0);
        let status = machine.json(&["status", "alice"]);
        let last = &status["contacts"][0]["last"];
        assert_eq!(
            (&last["result"], &last["reason"]),
            (&"failed".into(), &"missing".into()),
            "{status}"
        );
        assert_eq!(status["issued"], Value::Array(Vec::new()));
        let told = machine.otpctl(&["status", "alice"]).exits(0).out;
        assert!(
            told.contains("the last code could not be sent (missing)"),
            "{told}"
        );
        let told = machine.otpctl(&["status"]).exits(0).out;
        assert!(
            told.contains("0 waiting, 1 could not be handed over: journalctl -t otpctl"),
            "{told}"
        );
        let figures = machine.otpctl(&["metrics"]).exits(0).out;
        assert!(
            figures.contains("\npam_otp_codes_undelivered 1\n"),
            "{figures}"
        );
        assert!(figures.contains("\npam_otp_codes_waiting 0\n"), "{figures}");
        assert!(!figures.contains("oldest_timestamp"), "{figures}");
    });
}

#[test]
fn a_confirmation_that_could_not_be_sent_confirms_nothing() {
    on_a_machine_that_delivers(|machine| {
        sends("", "/srv/missing");
        machine
            .otpctl(&["contact", "alice", "--sms", NUMBER])
            .exits(0);
        let code = waiting("alice", "sms");
        machine.otpctl(&["deliver", "--once"]).exits(0);
        machine.otpctl(&["deliver", "--settle"]).exits(0);
        let said = confirms(machine, "sms", &code).exits(3).json();
        assert_eq!(said["error"], "nothing-sent");
        assert!(
            said["message"]
                .as_str()
                .unwrap()
                .contains("otpctl contact alice --sms"),
            "{said}"
        );
    });
}

const ASKED: &str = "Code that was sent to +49…4711 (Enter: what became of it): ";

#[test]
fn at_a_terminal_the_code_is_asked_for() {
    on_a_machine_that_delivers(|machine| {
        let mut session = Session::start(machine, &["contact", "alice", "--sms", NUMBER], 100);
        session.until(ASKED);
        session.type_keys("\r");
        let told = session.until(ASKED);
        assert!(told.contains("It waits to be handed over"), "{told}");
        let (_, code) = recorded(machine);
        session.type_keys("\r");
        let told = session.until(ASKED);
        assert!(told.contains("It was handed over"), "{told}");
        session.type_keys(&format!("{}\r", other_than(&code)));
        let told = session.until(ASKED);
        assert!(
            told.contains("that is not the code that was sent; 4 more tries"),
            "{told}"
        );
        session.type_keys(&format!("{code}\r"));
        let rest = session.end();
        assert!(rest.contains("+49…4711 is confirmed"), "{rest}");
        assert_eq!(session.exit(), 0);
        assert!(machine.json(&["contact", "alice"])["contacts"][0]["confirmed_at"].is_string());
    });
}

#[test]
fn giving_up_at_the_terminal_leaves_it_unconfirmed_and_five_wrong_codes_end_it() {
    on_a_machine_that_sends("", |machine| {
        let mut session = Session::start(machine, &["contact", "alice", "--sms", NUMBER], 100);
        session.until(ASKED);
        session.type_keys("\x03");
        let rest = session.end();
        assert!(
            rest.contains("otpctl contact alice") && rest.contains("--confirm sms"),
            "{rest}"
        );
        assert_eq!(session.exit(), 0);
        let code = waiting("alice", "sms");
        let mut session = Session::start(machine, &["contact", "alice", "--confirm", "sms"], 100);
        session.until("Code that was sent: ");
        session.type_keys(&format!("{code}\r"));
        assert!(session.end().contains("is confirmed"));
        assert_eq!(session.exit(), 0);

        let mut session = Session::start(machine, &["contact", "bob", "--sms", NUMBER], 100);
        let wrong = {
            session.until(ASKED);
            other_than(&waiting("bob", "sms"))
        };
        for _ in 0..4 {
            session.type_keys(&format!("{wrong}\r"));
            session.until(ASKED);
        }
        session.type_keys(&format!("{wrong}\r"));
        session.until("error: ");
        assert!(session.end().contains("it is good no longer"));
        assert_eq!(session.exit(), 1);
    });
}
