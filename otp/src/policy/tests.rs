//! Files as administrators write them, right and wrong.

use super::*;
use proptest::prelude::*;
use std::path::Path;

fn faults(text: &str) -> Vec<String> {
    let faults = Parsed::parse(text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn both_words_of_on_read_only_are_understood_and_no_other() {
    for (word, mode) in [("deny", OnReadOnly::Deny), ("totp", OnReadOnly::Totp)] {
        let parsed = Parsed::parse(&format!("on_read_only = \"{word}\"")).unwrap();
        assert_eq!(parsed.policy.on_read_only, mode);
        let settings = parsed.settings();
        let shown = settings.iter().find(|one| one.key == "on_read_only");
        assert_eq!(shown.unwrap().value, Value::Text(word.to_owned()));
    }
    assert_eq!(
        faults("on_read_only = \"allow\""),
        ["line 1: on_read_only takes \"deny\" or \"totp\""]
    );
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(Parsed::parse("").unwrap().policy, Policy::default());
}

#[test]
fn the_file_that_is_shipped_names_every_key_with_its_default() {
    let shipped = include_str!("../../../etc/otp.toml");
    assert_eq!(Parsed::parse(shipped).unwrap().policy, Policy::default());
    let set: String = shipped
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let parsed = Parsed::parse(&set).unwrap();
    assert_eq!(parsed.policy, Policy::default());
    assert!(
        parsed
            .settings()
            .iter()
            .all(|setting| setting.line.is_some())
    );
}

#[test]
fn every_key_is_taken_and_its_line_is_told() {
    let text = "window = 2\nspool_dir = \"/srv/otp\"\n[throttle]\nfree = 5\nmax_hold = \"2d\"\n[issued]\nttl = \"15m\"\n";
    let parsed = Parsed::parse(text).unwrap();
    assert_eq!(parsed.policy.window, 2);
    assert_eq!(parsed.policy.spool_dir, Path::new("/srv/otp"));
    assert_eq!(parsed.policy.throttle.free, 5);
    assert_eq!(parsed.policy.issued.ttl, Duration::from_secs(900));
    let settings = parsed.settings();
    let line = |key: &str| settings.iter().find(|s| s.key == key).and_then(|s| s.line);
    assert_eq!(line("throttle.max_hold"), Some(5));
    assert_eq!(line("state_dir"), None);
}

#[test]
fn every_fault_is_named_by_line() {
    let text = "window = 11\nwindows = 1\nstate_dir = \"relative\"\n[throttle]\nfree = \"3\"\nburst = -1\n[other]\nx = 1\n";
    let mut found = faults(text);
    found.sort();
    assert_eq!(
        found,
        [
            "line 1: window takes a number of steps from 0 to 10",
            "line 2: unknown key \"windows\": did you mean window?",
            "line 3: state_dir takes an absolute path without \"..\"",
            "line 5: throttle.free takes a number from 1 to 10",
            "line 6: throttle.burst takes a number up to 1000",
            "line 7: unknown key \"other\"",
        ]
    );
}

#[test]
fn what_is_wrong_together_is_named() {
    assert_eq!(
        faults("[issued]\nmax_ttl = \"5m\"\n"),
        ["line 2: issued.ttl must not be longer than issued.max_ttl"]
    );
    assert_eq!(
        faults("[throttle]\nburst = 3\n"),
        ["line 2: throttle.reserved must be less than throttle.burst"]
    );
}

#[test]
fn what_of_delivery_is_wrong_together_is_named() {
    for (text, why) in [
        (
            "[email]\nvia = \"smtp\"\n",
            "line 2: email.via = \"smtp\" needs smtp.host",
        ),
        (
            "[smtp]\nhost = \"mail.example.org\"\ntls = \"none\"\n",
            "line 3: smtp.tls = \"none\" is for smtp.host = \"localhost\" alone: anybody on the way could read the codes",
        ),
        (
            "[smtp]\nuser = \"otp\"\n",
            "line 2: smtp.user needs smtp.password_file",
        ),
        (
            "[smtp]\npassword_file = \"/etc/otp.password\"\n",
            "line 2: smtp.password_file needs smtp.user",
        ),
    ] {
        assert_eq!(faults(text), [why], "{text}");
    }
    for host in ["localhost", "127.0.0.9", "::1"] {
        let text = format!("[email]\nvia = \"smtp\"\n[smtp]\nhost = \"{host}\"\ntls = \"none\"\n");
        assert_eq!(faults(&text), [""; 0], "{text}");
    }
    let text = "[smtp]\nuser = \"otp\"\npassword_file = \"/etc/otp.password\"\n";
    assert_eq!(faults(text), [""; 0]);
}

#[test]
fn a_channel_is_on_where_somebody_takes_what_is_sent() {
    use crate::delivery::Channel;
    let on = |text: &str| {
        let policy = Parsed::parse(text).unwrap().policy;
        let on = [Channel::Sms, Channel::Email].map(|channel| policy.channel_is_on(channel));
        assert_eq!(policy.delivers(), on.contains(&true));
        on
    };
    assert_eq!(on(""), [false, false]);
    assert_eq!(on("[email]\nvia = \"sendmail\""), [false, true]);
    assert_eq!(on("[sms]\ncommand = [\"/bin/sms\"]"), [true, false]);
    let port = |tls: &str, port: u16| {
        let text = format!("[smtp]\nhost = \"localhost\"\ntls = \"{tls}\"\nport = {port}");
        Parsed::parse(&text).unwrap().policy.smtp.port()
    };
    let usual = ["starttls", "tls", "none"].map(|tls| port(tls, 0));
    assert_eq!(usual, [587, 465, 25]);
    assert_eq!(port("tls", 2465), 2465);
}

#[test]
fn a_fault_of_two_values_is_told_where_the_wrong_one_is_set() {
    let text = "window = 1\n[throttle]\nmax_hold = \"1m\"\nfirst_hold = \"61s\"\n";
    assert_eq!(
        faults(text),
        ["line 4: throttle.first_hold must not be longer than throttle.max_hold"]
    );
    let twice = "[throttle]\nfirst_hold = \"1h\"\nmax_hold = \"1m\"\n";
    assert_eq!(faults(twice).len(), 1);
    for equal in [
        "[throttle]\nmax_hold = \"1m\"\nfirst_hold = \"1m\"\n",
        "[issued]\nttl = \"5m\"\nmax_ttl = \"5m\"\n",
    ] {
        assert_eq!(faults(equal), [""; 0], "{equal}");
    }
    let longer = "[issued]\nttl = \"6m\"\nmax_ttl = \"5m\"\n";
    assert_eq!(
        faults(longer),
        ["line 2: issued.ttl must not be longer than issued.max_ttl"]
    );
}

#[test]
fn every_bound_is_where_the_fault_says_it_is() {
    for (key, within, beyond) in [
        ("window", &["0", "10"][..], &["11", "-1"][..]),
        ("throttle.free", &["1", "10"], &["0", "11"]),
        (
            "throttle.max_hold",
            &["\"7d\"", "\"30s\""],
            &["\"8d\"", "\"604801s\""],
        ),
        ("throttle.per_day", &["1", "1000"], &["0", "1001"]),
        ("throttle.burst", &["4", "1000"], &["0", "1001"]),
        ("throttle.reserved", &["0", "11"], &["12", "1000"]),
        ("throttle.lock_after", &["1", "100"], &["0", "101"]),
        ("issued.digits", &["6", "10"], &["5", "11"]),
        (
            "issued.ttl",
            &["\"1s\"", "\"24h\""],
            &["\"86401s\"", "\"0s\""],
        ),
        (
            "state_dir",
            &["\"/srv/a..b\""],
            &["\"/srv/../b\"", "\"srv\"", "1"],
        ),
        (
            "remote_services",
            &["[]", "[\"sshd\"]"],
            &["[\"\"]", "[\"a b\"]", "\"sshd\"", "[1]"],
        ),
        (
            "delivery.ttl",
            &["\"1m\"", "\"10m\""],
            &["\"59s\"", "\"601s\"", "600"],
        ),
        (
            "delivery.resend_after",
            &["\"30s\"", "\"10m\""],
            &["\"29s\"", "\"601s\""],
        ),
        ("delivery.sends_per_code", &["1", "5"], &["0", "6"]),
        ("delivery.per_hour", &["1", "30"], &["0", "31"]),
        (
            "delivery.machine_per_hour",
            &["1", "60000"],
            &["0", "60001"],
        ),
        ("delivery.queue", &["1", "10000"], &["0", "10001"]),
        (
            "delivery.user",
            &["\"nobody\"", "\"_otp\""],
            &["\"\"", "\"a\\nb\"", "65534"],
        ),
        (
            "delivery.timeout",
            &["\"1s\"", "\"2m\""],
            &["\"0s\"", "\"121s\""],
        ),
        (
            "email.via",
            &["\"off\"", "\"sendmail\""],
            &["\"\"", "\"mail\"", "true"],
        ),
        (
            "email.from",
            &["\"\"", "\"otp@example.org\""],
            &["\"otp\"", "\"A <otp@example.org>\"", "1"],
        ),
        (
            "email.subject",
            &["\"Ihr Code für heute\""],
            &["\"\"", "\" \"", "\"a\\r\\nBcc: b@example.org\""],
        ),
        (
            "email.sendmail",
            &["\"/usr/bin/msmtp\""],
            &["\"sendmail\"", "\"/usr/../sendmail\""],
        ),
        (
            "smtp.host",
            &["\"\"", "\"mail.example.org\"", "\"2001:db8::1\""],
            &["\"a b\"", "\"mail/x\"", "\"ä\""],
        ),
        ("smtp.port", &["0", "65535"], &["-1", "65536"]),
        (
            "smtp.tls",
            &["\"starttls\"", "\"tls\"", "\"none\""],
            &["\"\"", "\"ssl\""],
        ),
        (
            "smtp.ca_file",
            &["\"\"", "\"/etc/ca.pem\""],
            &["\"ca.pem\""],
        ),
        (
            "sms.command",
            &[
                "[]",
                "[\"/bin/sms\"]",
                "[\"/bin/sms\", \"--from=The office\"]",
            ],
            &[
                "[\"sms\"]",
                "\"/bin/sms\"",
                "[\"/bin/sms\", \"\"]",
                "[\"/bin/sms\", \"a\\nb\"]",
            ],
        ),
    ] {
        for value in within {
            let text = format!("{key} = {value}");
            assert_eq!(faults(&text), [""; 0], "{text}");
        }
        for value in beyond {
            let text = format!("{key} = {value}");
            assert_eq!(faults(&text).len(), 1, "{text}");
        }
    }
}

#[test]
fn what_was_probably_meant_is_named_and_nothing_else_is() {
    for (key, meant) in [
        ("free", ": did you mean throttle.free?"),
        ("wind", ": did you mean window?"),
        ("throttle.lock", ": did you mean throttle.lock_after?"),
        ("state_path", ": did you mean state_dir?"),
        ("win", ""),
        ("x", ""),
    ] {
        let found = faults(&format!("{key} = 1"));
        assert_eq!(found, [format!("line 1: unknown key {key:?}{meant}")]);
    }
    assert_eq!(
        faults("\nthrottle = 3"),
        ["line 2: throttle is a table: write [throttle]"]
    );
}

#[test]
fn broken_toml_is_named_by_line() {
    assert!(faults("window = 1\nwindow = 2\n")[0].starts_with("line 2:"));
    assert!(faults("\n\n= 3\n")[0].starts_with("line 3:"));
}

#[test]
fn durations_are_read_and_spelled() {
    for (text, secs) in [("1s", 1), ("10m", 600), ("24h", 86_400), ("7d", 604_800)] {
        assert_eq!(parse_duration(text), Some(Duration::from_secs(secs)));
        assert_eq!(format_duration(Duration::from_secs(secs)), text);
    }
    for (secs, text) in [(0, "0s"), (59, "59s"), (61, "61s"), (90 * 60, "90m")] {
        assert_eq!(format_duration(Duration::from_secs(secs)), text);
    }
    for text in [
        "",
        "0",
        "0s",
        "10",
        "m",
        "-5m",
        "+5m",
        "5 m",
        "1.5h",
        "99999999999999999999s",
    ] {
        assert_eq!(parse_duration(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Parsed::parse(&text);
    }
}
