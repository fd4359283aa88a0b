//! Codes asked for by a scripted host of a scripted machine. That they arrive, and what bounds them, is tested from outside.

use std::rc::Rc;

use otp::issued::CodeId;
use otp::time::UnixTime;

use super::*;
use crate::login::scripted::{Script, Site, forwarding, outcome, plain, trying};
use crate::options::FirstPass;

const KEY: &str = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n";
const SMS: &str = "[sms]\ncommand = [\"/usr/bin/true\"]\n";
/// 22:13:20 UTC.
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn site() -> Site {
    Site {
        policy: SMS,
        ..Site::default()
    }
}

/// After a key.
fn typing(answers: &[&'static str]) -> Script {
    Script {
        ssh: Some(KEY),
        ..Script::answering(answers)
    }
}

fn sent() -> Requested {
    Requested::Sent(Sent {
        id: CodeId::parse("00003f9c").unwrap(),
        channel: Channel::Sms,
        to: "+49…4711".to_owned(),
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(600)),
    })
}

fn coming(all: impl IntoIterator<Item = Requested>, site: Site) -> Site {
    site.comes.borrow_mut().extend(all);
    site
}

/// How often a code was asked of the machine.
fn requests(site: &Site) -> usize {
    site.done().iter().filter(|done| *done == "request").count()
}

fn refused(why: Why) -> Requested {
    Requested::Refused(why)
}

#[test]
fn an_empty_answer_after_a_first_factor_asks_for_a_code_which_the_next_prompt_takes() {
    let site = coming([sent()], site());
    let mut host = typing(&["", "123456"]);
    assert_eq!(outcome(&plain(), &mut host, &site), "accepted");
    assert_eq!(
        host.said,
        [
            "late",
            "asked \"One-time code: \"",
            "told Sent(Sms)",
            "asked \"Code (if one could be sent): \"",
            "said \"A code is on its way to +49…4711. It is good until 22:23:20 UTC; another one can be asked for from 22:14:20 UTC.\"",
        ]
    );
    assert_eq!(
        site.done(),
        [
            "policy",
            "account",
            "request",
            "any for alice from local:1000",
            "until 400 ms",
            "whereabouts",
            "account",
            "judge",
            "123456 from local:1000 by sshd",
        ]
    );
}

#[test]
fn what_is_typed_names_the_channel() {
    for (typed, asked) in [
        ("", "any"),
        (" \t", "any"),
        ("sms", "sms"),
        ("SMS", "sms"),
        (" Email ", "email"),
    ] {
        let (site, mut host) = (site(), typing(&[typed, "123456"]));
        assert_eq!(outcome(&plain(), &mut host, &site), "accepted", "{typed:?}");
        assert_eq!(site.done()[3], format!("{asked} for alice from local:1000"));
    }
    for typed in [
        "smss",
        "mail",
        "e-mail",
        "s m s",
        "\u{8}\n\r\u{7f}INCORRECT",
    ] {
        let (site, mut host) = (site(), typing(&[typed]));
        assert_eq!(outcome(&plain(), &mut host, &site), "malformed");
        assert_eq!(site.done(), ["policy"], "{typed:?}");
    }
}

#[test]
fn nobody_asks_who_has_not_shown_by_something_else_who_she_is() {
    let asked = |options: &Options, service, ssh| {
        let (site, mut host) = (site(), Script::answering(&["", "123456"]));
        (host.service, host.ssh) = (service, ssh);
        let outcome = outcome(options, &mut host, &site);
        let expected = ["malformed", "accepted"][requests(&site)];
        assert_eq!(outcome, expected, "{service} {ssh:?}");
        requests(&site) == 1
    };
    for (info, is_known) in [
        (KEY, true),
        ("publickey", true),
        ("password\n", true),
        ("hostbased ssh-rsa AAAA\n", true),
        ("gssapi-with-mic alice@EXAMPLE.ORG\n", true),
        ("gssapi-keyex\n", true),
        ("keyboard-interactive/pam\npublickey ssh-rsa AAAA\n", true),
        ("", false),
        ("\n", false),
        ("keyboard-interactive\n", false),
        ("keyboard-interactive/pam publickey\n", false),
        ("publickeys ssh-rsa\n", false),
        (" publickey\n", false),
        ("none\n", false),
    ] {
        assert_eq!(asked(&plain(), "sshd", Some(info)), is_known, "{info:?}");
        assert_eq!(asked(&plain(), "sshd-session", Some(info)), is_known);
        assert!(!asked(&plain(), "login", Some(info)), "no sshd: {info:?}");
    }
    assert!(!asked(&plain(), "sshd", None));
    let vouched = Options {
        after_first_factor: true,
        ..plain()
    };
    for service in ["sshd", "login", "sudo"] {
        assert!(asked(&vouched, service, None), "{service}");
    }
}

#[test]
fn nobody_asks_where_none_are_sent() {
    for site in [
        Site::default(),
        Site {
            sends: false,
            ..site()
        },
        Site {
            broken: Some("policy"),
            ..site()
        },
    ] {
        let mut host = typing(&["", "123456"]);
        assert_eq!(outcome(&plain(), &mut host, &site), "malformed");
        assert_eq!((host.said.len(), requests(&site)), (2, 0));
    }
}

#[test]
fn only_what_is_typed_at_a_prompt_for_a_code_alone_asks_for_one() {
    let run = |options: Options, mut host: Script| {
        let site = site();
        host.ssh = Some(KEY);
        (outcome(&options, &mut host, &site), requests(&site))
    };
    let told = |outcome: &str, asked| (outcome.to_owned(), asked);
    let typing = |answers: &[&'static str]| Script::answering(answers);
    for password in ["", "sms", "hunter2"] {
        let host = typing(&["", "123456"]).with_password(password);
        assert_eq!(run(trying(FirstPass::Use), host), told("malformed", 0));
        let host = typing(&["", "123456"]).with_password(password);
        assert_eq!(run(trying(FirstPass::Try), host), told("accepted", 1));
    }
    // Password and code in one line: the password has not passed yet.
    for typed in ["", "sms"] {
        assert_eq!(
            run(forwarding(), typing(&[typed, "123456"])),
            told("malformed", 0)
        );
    }
    let mut host = typing(&[]);
    host.answers.push_back(None);
    assert_eq!(run(plain(), host), told("malformed", 0));
    let own = Options {
        prompt: Some("Code? ".to_owned()),
        echo: true,
        nodelay: true,
        ..plain()
    };
    let (site, mut host) = (site(), typing(&["", "", "123456"]));
    host.ssh = Some(KEY);
    assert_eq!(outcome(&own, &mut host, &site), "accepted");
    let asked = host.said.iter().filter(|said| said.starts_with("asked"));
    let again = "asked \"Code (if one could be sent): \" (shown)";
    assert_eq!(
        asked.collect::<Vec<_>>(),
        ["asked \"Code? \" (shown)", again, again]
    );
}

#[test]
fn everybody_is_answered_with_the_same_prompt_after_the_same_time() {
    let shown = |name: &[u8], site: Site| {
        let mut host = typing(&["", "999999"]);
        host.name = name.to_vec();
        let _ = outcome(&plain(), &mut host, &site);
        let mut done = site.done().into_iter();
        let waited = done.find(|done| done.starts_with("until")).unwrap();
        let prompts = host
            .said
            .into_iter()
            .filter(|said| said.starts_with("asked"));
        (waited, prompts.collect::<Vec<_>>())
    };
    let working = |ms, comes| {
        let site = Site {
            work: Duration::from_millis(ms),
            ..site()
        };
        coming(Some(comes), site)
    };
    let hers = shown(b"alice", working(30, sent()));
    assert_eq!(hers.0, "until 400 ms");
    let until = NOW;
    for why in [
        Why::NoChannel,
        Why::NoContact,
        Why::Disabled,
        Why::Locked,
        Why::Held { until },
        Why::TooSoon { until },
        Why::SendsSpent { until },
        Why::HourSpent { until },
        Why::MachineSpent { until },
        Why::TooManyCodes,
        Why::QueueFull,
    ] {
        assert_eq!(shown(b"alice", working(0, refused(why))), hers, "{why:?}");
    }
    assert_eq!(shown(b"mallory", working(390, sent())), hers);
    assert_eq!(shown(b"\xff", site()), hers);
    for broken in ["account", "request"] {
        let broken = Site {
            broken: Some(broken),
            ..site()
        };
        assert_eq!(shown(b"alice", broken), hers);
    }
    let slow = shown(b"alice", working(401, sent()));
    assert_eq!(slow, ("until 800 ms".to_owned(), hers.1));
}

#[test]
fn she_is_told_what_became_of_it_once_she_has_answered() {
    let told = |comes, whereabouts, broken| {
        let site = Site {
            whereabouts,
            broken,
            ..site()
        };
        let mut host = typing(&["", "123456"]);
        let outcome = outcome(&plain(), &mut host, &coming(Some(comes), site));
        assert_eq!(outcome, "accepted");
        let said = host.said.pop().unwrap();
        let said = said.strip_prefix("said \"").unwrap();
        said.strip_suffix('"').unwrap().to_owned()
    };
    let sent = |whereabouts, broken| told(sent(), whereabouts, broken);
    let elsewise = "A code of an app, a recovery code, or one from the administrators of this machine will do as well.";
    assert_eq!(
        sent(Whereabouts::HandedOver, None),
        "A code went to +49…4711. It is good until 22:23:20 UTC."
    );
    assert_eq!(
        sent(Whereabouts::Failed, None),
        format!(
            "No code could be sent to +49…4711. Another one can be asked for from 22:14:20 UTC. {elsewise}"
        )
    );
    let on_its_way = sent(Whereabouts::Waiting, None);
    assert!(on_its_way.starts_with("A code is on its way to +49…4711."));
    assert_eq!(sent(Whereabouts::Failed, Some("whereabouts")), on_its_way);
    let refused = |why| told(refused(why), Whereabouts::Waiting, None);
    let until = NOW;
    let none = format!("No code could be sent. {elsewise}");
    let later =
        format!("No code could be sent. One can be asked for from 22:13:20 UTC. {elsewise}");
    for why in [
        Why::NoChannel,
        Why::NoContact,
        Why::Disabled,
        Why::Locked,
        Why::TooManyCodes,
        Why::QueueFull,
    ] {
        assert_eq!(refused(why), none, "{why:?}");
    }
    for why in [
        Why::Held { until },
        Why::SendsSpent { until },
        Why::HourSpent { until },
        Why::MachineSpent { until },
    ] {
        assert_eq!(refused(why), later, "{why:?}");
    }
    assert_eq!(
        refused(Why::TooSoon { until }),
        "No other code was sent, because one was only just. Another one can be asked for from 22:13:20 UTC."
    );
    assert_eq!(
        told(
            Requested::Refused(Why::NoContact),
            Whereabouts::Waiting,
            Some("request")
        ),
        none
    );
}

#[test]
fn a_request_that_fails_is_logged_and_refuses_no_code() {
    for broken in ["request", "whereabouts"] {
        let site = Site {
            broken: Some(broken),
            ..site()
        };
        let mut host = typing(&["", "123456"]);
        let site = coming([sent()], site);
        assert_eq!(outcome(&plain(), &mut host, &site), "accepted", "{broken}");
        let failed = "told Failed(Unavailable(\"request\"))".to_owned();
        assert_eq!(host.said.contains(&failed), broken == "request");
    }
    // Where it is not known who she is nobody gets in.
    let site = Site {
        broken: Some("account"),
        ..site()
    };
    let mut host = typing(&["", "123456"]);
    assert_eq!(outcome(&plain(), &mut host, &site), "no account");
}

#[test]
fn a_code_is_asked_for_four_times_in_a_login_and_no_more() {
    let site = coming([sent(), sent(), sent(), sent(), sent()], site());
    let mut host = typing(&["", "sms", "", "", "", "123456"]);
    assert_eq!(outcome(&plain(), &mut host, &site), "malformed");
    assert_eq!(requests(&site), 4);
    assert_eq!(host.answers.len(), 1);
    let last = host.said.split_off(host.said.len() - 2);
    let no_more = "said \"No more codes are sent at this login: log in again, with the last one if it arrives.\"";
    assert_eq!(last, ["told Enough", no_more]);
    let site = coming([sent(), sent(), sent(), sent()], self::site());
    let mut host = typing(&["", "", "", "", "123456"]);
    assert_eq!(outcome(&plain(), &mut host, &site), "accepted");
}

#[test]
fn nobody_asks_later_than_a_minute_and_a_half_after_the_first_prompt() {
    let run = |typing_takes, answers: &[&'static str]| {
        let mut site = site();
        let mut host = typing(answers);
        host.typing = Duration::from_secs(typing_takes);
        site.clock = Rc::clone(&host.clock);
        let outcome = outcome(&plain(), &mut host, &site);
        (outcome, requests(&site))
    };
    let told = |outcome: &str, asked| (outcome.to_owned(), asked);
    assert_eq!(run(90, &["", "123456"]), told("accepted", 1));
    assert_eq!(run(91, &["", "123456"]), told("malformed", 0));
    assert_eq!(run(44, &["", "", "123456"]), told("accepted", 2));
    assert_eq!(run(46, &["", "", "123456"]), told("malformed", 1));
    // A code is judged however long it took.
    assert_eq!(run(90, &["", "999999"]), told("mismatch", 1));
}

#[test]
fn whatever_else_is_answered_ends_the_login() {
    for (typed, expected) in [
        ("12345", "malformed"),
        ("no", "malformed"),
        ("999999", "mismatch"),
        ("7kq2-m4tx-9bnc-2xwd", "accepted"),
    ] {
        let (site, mut host) = (site(), typing(&["", typed, "123456"]));
        assert_eq!(outcome(&plain(), &mut host, &site), expected);
        assert_eq!(host.answers.len(), 1, "{typed}");
    }
    let (site, mut host) = (site(), typing(&[""]));
    assert_eq!(outcome(&plain(), &mut host, &site), "no conversation");
    assert_eq!(requests(&site), 1);
    let mut host = typing(&[""]);
    host.answers.push_back(None);
    assert_eq!(outcome(&plain(), &mut host, &site), "malformed");
}

#[test]
fn who_is_asked_for_nothing_asks_for_nothing() {
    let site = Site {
        enrolled: false,
        ..site()
    };
    let nullok = Options {
        nullok: true,
        ..plain()
    };
    let mut host = typing(&["", "123456"]);
    assert_eq!(outcome(&nullok, &mut host, &site), "exempt");
    assert_eq!(requests(&site), 0);
    // A stranger is asked, and may ask back.
    host.name = b"mallory".to_vec();
    assert_eq!(outcome(&nullok, &mut host, &site), "not-enrolled");
    assert_eq!(requests(&site), 1);
}

#[test]
fn an_origin_is_known_to_the_machine_that_sends() {
    let (site, mut host) = (site(), typing(&["", "123456"]));
    host.remote = Some("198.51.100.7");
    assert_eq!(outcome(&plain(), &mut host, &site), "accepted");
    assert_eq!(site.done()[3], "any for alice from 198.51.100.7");
}
