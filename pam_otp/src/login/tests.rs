//! Logins with a scripted host on a scripted machine. What libpam makes of them is tested from outside.

use otp::user::UserName;

use super::scripted::{Script, Site, forwarding, outcome, plain, trying};
use super::*;

#[test]
fn she_is_asked_before_anything_is_read_of_her() {
    for broken in ["policy", "account", "judge"] {
        let site = Site {
            broken: Some(broken),
            ..Site::default()
        };
        let mut host = Script::answering(&["123456"]);
        assert_eq!(outcome(&plain(), &mut host, &site), format!("no {broken}"));
        assert_eq!(host.said, ["late", "asked \"One-time code: \""]);
    }
}

#[test]
fn the_right_code_is_accepted_and_judged_where_it_came_from() {
    let from = |service, remote| {
        let (site, mut host) = (Site::default(), Script::answering(&["123 456"]));
        host.service = service;
        host.remote = remote;
        assert_eq!(outcome(&plain(), &mut host, &site), "accepted");
        site.done().pop().unwrap()
    };
    assert_eq!(
        from("sshd", Some("198.51.100.7")),
        "123456 from 198.51.100.7 by sshd"
    );
    assert_eq!(from("sshd", None), "123456 from local:1000 by sshd");
    assert_eq!(
        from("sudo", Some("198.51.100.7")),
        "123456 from local:1000 by sudo"
    );
}

#[test]
fn a_stranger_is_asked_and_judged_like_anybody() {
    for name in [&b"bob"[..], b"", b"\xff\xfe", b"../alice"] {
        let (site, mut host) = (Site::default(), Script::answering(&["123456"]));
        host.name = name.to_vec();
        assert_eq!(outcome(&plain(), &mut host, &site), "not-enrolled");
        assert_eq!(host.said, ["late", "asked \"One-time code: \""]);
        assert_eq!(site.done()[..3], ["policy", "account", "judge"]);
    }
}

#[test]
fn what_is_no_passcode_is_refused_without_a_look_at_anybody() {
    let incorrect = "\u{8}\n\r\u{7f}INCORRECT";
    for typed in [
        "",
        "12345",
        "12345678901",
        "correct horse",
        incorrect,
        "１２３４５６",
    ] {
        let (site, mut host) = (Site::default(), Script::answering(&[typed]));
        assert_eq!(
            outcome(&plain(), &mut host, &site),
            "malformed",
            "{typed:?}"
        );
        assert_eq!(site.done(), ["policy"]);
        assert_eq!(host.said.len(), 2, "the same delay, the same prompt");
    }
    let (site, mut host) = (Site::default(), Script::answering(&[]));
    host.answers.push_back(None);
    assert_eq!(outcome(&plain(), &mut host, &site), "malformed");
}

#[test]
fn a_broken_conversation_is_its_own_failure() {
    let (site, mut host) = (Site::default(), Script::answering(&[]));
    assert_eq!(outcome(&plain(), &mut host, &site), "no conversation");
}

#[test]
fn nullok_lets_by_only_those_a_sound_machine_knows_and_a_sound_store_does_not() {
    let nullok = Options {
        nullok: true,
        nodelay: true,
        ..plain()
    };
    let run = |site: Site| {
        let mut host = Script::answering(&["123456"]);
        (outcome(&nullok, &mut host, &site), host.said.len())
    };
    let site = |knows_alice, enrolled, broken| Site {
        knows_alice,
        enrolled,
        broken,
        ..Site::default()
    };
    assert_eq!(run(site(true, false, None)), ("exempt".to_owned(), 0));
    assert_eq!(run(site(true, true, None)), ("accepted".to_owned(), 1));
    assert_eq!(
        run(site(false, false, None)),
        ("not-enrolled".to_owned(), 1)
    );
    for broken in ["policy", "account", "look"] {
        let denied = (format!("no {broken}"), 0);
        assert_eq!(run(site(true, false, Some(broken))), denied);
    }
}

#[test]
fn the_code_is_the_tail_of_the_password_typed_before() {
    for (first_pass, password, expected, asked) in [
        (FirstPass::Use, "hunter2 123456", "accepted", 0),
        (FirstPass::Use, "123456", "accepted", 0),
        (FirstPass::Use, "hunter2999999", "mismatch", 0),
        (FirstPass::Use, "hunter2", "malformed", 0),
        (FirstPass::Use, "", "malformed", 0),
        (FirstPass::Use, "hunter 12 456", "malformed", 0),
        (FirstPass::Try, "hunter2123456", "accepted", 0),
        // One cut is one attempt: no second chance at the prompt.
        (FirstPass::Try, "hunter2999999", "mismatch", 0),
        (FirstPass::Try, "hunter", "accepted", 1),
    ] {
        let (site, host) = (Site::default(), Script::answering(&["123456"]));
        let mut host = host.with_password(password);
        let outcome = outcome(&trying(first_pass), &mut host, &site);
        assert_eq!(
            (outcome.as_str(), host.said.len()),
            (expected, asked),
            "{password}"
        );
        assert_eq!(
            host.password.as_deref(),
            Some(password),
            "it is nobody's to change"
        );
    }
}

#[test]
fn with_no_password_typed_before_try_asks_and_use_refuses() {
    let (site, mut host) = (Site::default(), Script::answering(&["123456"]));
    assert_eq!(
        outcome(&trying(FirstPass::Try), &mut host, &site),
        "accepted"
    );
    let mut host = Script::answering(&["123456"]);
    assert_eq!(
        outcome(&trying(FirstPass::Use), &mut host, &site),
        "malformed"
    );
    assert!(host.said.is_empty());
}

#[test]
fn forward_pass_alone_asks_once_for_both_and_hands_on_the_password() {
    let run = |typed: &'static str| {
        let (site, mut host) = (Site::default(), Script::answering(&[typed]));
        let outcome = outcome(&forwarding(), &mut host, &site);
        assert_eq!(host.said[0], "asked \"Password & one-time code: \"");
        (outcome, host.said.get(1).cloned().unwrap_or_default())
    };
    let told = |outcome: &str, said: &str| (outcome.to_owned(), said.to_owned());
    assert_eq!(
        run("hunter2123456"),
        told("accepted", "handed on \"hunter2\"")
    );
    assert_eq!(
        run("hunter2999999"),
        told("mismatch", "handed on \"hunter2\"")
    );
    assert_eq!(run("123456"), told("accepted", "handed on \"\""));
    assert_eq!(run("hunter"), told("malformed", "handed on \"hunter\""));
}

#[test]
fn forward_pass_cuts_the_password_typed_before() {
    let options = Options {
        first_pass: FirstPass::Use,
        ..forwarding()
    };
    let (site, host) = (Site::default(), Script::answering(&[]));
    let mut host = host.with_password("hunter2123456");
    assert_eq!(outcome(&options, &mut host, &site), "accepted");
    assert_eq!(host.password.as_deref(), Some("hunter2"));
}

#[test]
fn a_password_that_is_there_already_is_not_asked_for_again() {
    let options = Options {
        first_pass: FirstPass::Try,
        ..forwarding()
    };
    let (site, host) = (Site::default(), Script::answering(&["123456"]));
    let mut host = host.with_password("hunter");
    assert_eq!(outcome(&options, &mut host, &site), "accepted");
    assert_eq!(host.said, ["asked \"One-time code: \""]);
    assert_eq!(host.password.as_deref(), Some("hunter"));
}

#[test]
fn an_unenrolled_user_under_nullok_hands_on_the_whole() {
    let site = Site {
        enrolled: false,
        ..Site::default()
    };
    let nullok = |first_pass| Options {
        nullok: true,
        first_pass,
        ..forwarding()
    };
    let mut host = Script::answering(&["hunter2123456"]);
    assert_eq!(
        outcome(&nullok(FirstPass::Prompt), &mut host, &site),
        "exempt"
    );
    assert_eq!(
        host.said,
        ["asked \"Password: \"", "handed on \"hunter2123456\""]
    );
    let mut host = Script::answering(&[]).with_password("hunter2123456");
    assert_eq!(outcome(&nullok(FirstPass::Try), &mut host, &site), "exempt");
    assert!(host.said.is_empty());
    let mut host = Script::answering(&["hunter2"]);
    assert_eq!(outcome(&nullok(FirstPass::Use), &mut host, &site), "exempt");
    assert!(host.said.is_empty());
}

#[test]
fn the_tail_is_as_long_as_the_line_says() {
    let options = Options {
        tail: 8,
        ..trying(FirstPass::Use)
    };
    let (site, host) = (Site::default(), Script::answering(&[]));
    let mut host = host.with_password("hunter12345678");
    assert_eq!(outcome(&options, &mut host, &site), "mismatch");
    assert!(site.done().pop().unwrap().starts_with("12345678 "));
}

#[test]
fn a_recovery_code_is_taken_at_the_prompt_alone() {
    let code = "7kq2-m4tx-9bnc-2xwd";
    let (site, mut host) = (Site::default(), Script::answering(&[code]));
    assert_eq!(outcome(&plain(), &mut host, &site), "accepted");
    let mut host = Script::answering(&[]).with_password(code);
    let options = Options {
        tail: 10,
        ..trying(FirstPass::Use)
    };
    assert_eq!(outcome(&options, &mut host, &site), "malformed");
}

#[test]
fn the_prompt_is_the_administrators_and_a_password_is_never_shown() {
    let options = Options {
        prompt: Some("Code? ".to_owned()),
        echo: true,
        ..trying(FirstPass::Prompt)
    };
    let (site, mut host) = (Site::default(), Script::answering(&["123456"]));
    assert_eq!(outcome(&options, &mut host, &site), "accepted");
    assert_eq!(host.said, ["asked \"Code? \" (shown)"]);
    let both = Options {
        forward_pass: true,
        ..options
    };
    let mut host = Script::answering(&["hunter2123456"]);
    assert_eq!(outcome(&both, &mut host, &site), "accepted");
    assert_eq!(host.said[0], "asked \"Code? \"");
}

const RULES: &str = r#"
[[rule]]
groups = ["admins"]
code = "required"

[[rule]]
groups = ["staff"]
services = ["sshd"]
networks = ["192.0.2.0/24"]
code = "exempt"

[[rule]]
services = ["su"]
code = "optional"

[[rule]]
services = ["sudo"]
code = "required"
"#;

#[test]
fn the_first_rule_that_matches_decides_and_where_none_does_the_line() {
    let run = |service, remote, nullok, enrolled| {
        let site = Site {
            policy: RULES,
            enrolled,
            ..Site::default()
        };
        let mut host = Script::answering(&["123456"]);
        (host.service, host.remote) = (service, remote);
        let options = Options { nullok, ..plain() };
        let outcome = outcome(&options, &mut host, &site);
        let asked = host.said.iter().filter(|said| said.starts_with("asked"));
        (outcome, asked.count())
    };
    let told = |outcome: &str, asked| (outcome.to_owned(), asked);
    for nullok in [false, true] {
        for enrolled in [false, true] {
            let inside = run("sshd", Some("192.0.2.9"), nullok, enrolled);
            assert_eq!(inside, told("rule 2", 0));
        }
        assert_eq!(run("su", None, nullok, false), told("exempt", 0));
        assert_eq!(run("su", None, nullok, true), told("accepted", 1));
        assert_eq!(run("sudo", None, nullok, false), told("not-enrolled", 1));
        assert_eq!(run("sudo", None, nullok, true), told("accepted", 1));
    }
    let outside = |nullok| run("sshd", Some("203.0.113.9"), nullok, false);
    assert_eq!(outside(false), told("not-enrolled", 1));
    assert_eq!(outside(true), told("exempt", 0));
}

#[test]
fn rules_are_about_users_the_passwd_database_knows_and_any_doubt_is_a_denial() {
    let site = |knows_alice, broken| Site {
        policy: RULES,
        knows_alice,
        broken,
        ..Site::default()
    };
    let run = |site: &Site| {
        let mut host = Script::answering(&["123456"]);
        host.remote = Some("192.0.2.9");
        (outcome(&plain(), &mut host, site), host.said.len())
    };
    assert_eq!(run(&site(false, None)), ("not-enrolled".to_owned(), 2));
    for broken in ["account", "is_member"] {
        let denied = (format!("no {broken}"), 1);
        assert_eq!(run(&site(true, Some(broken))), denied);
    }
}

const REMEMBER: &str = "remember = \"12h\"";

#[test]
fn where_she_is_remembered_she_is_not_asked_and_in_doubt_she_is() {
    let site = |remembered, broken| Site {
        policy: REMEMBER,
        remembered,
        broken,
        ..Site::default()
    };
    let run = |site: &Site| {
        let mut host = Script::answering(&["123456"]);
        let outcome = outcome(&plain(), &mut host, site);
        (outcome, host.said.len() - 1, host.mark.is_some())
    };
    let told = |outcome: &str, asked, marked| (outcome.to_owned(), asked, marked);
    assert_eq!(run(&site(true, None)), told("remembered", 0, true));
    assert_eq!(run(&site(false, None)), told("accepted", 1, true));
    assert_eq!(run(&site(true, Some("look"))), told("accepted", 1, true));
    // Off, nobody looks.
    let off = Site {
        policy: "",
        ..site(true, None)
    };
    assert_eq!(run(&off), told("accepted", 1, true));
    assert_eq!(off.done()[..2], ["policy", "account"]);
    assert!(!off.done().contains(&"look".to_owned()));
}

#[test]
fn remembering_is_for_all_who_would_be_asked_a_rule_or_not() {
    let site = Site {
        policy: "remember = \"12h\"\n[[rule]]\ncode = \"required\"\n",
        remembered: true,
        ..Site::default()
    };
    let mut host = Script::answering(&[]);
    assert_eq!(outcome(&plain(), &mut host, &site), "remembered");
}

#[test]
fn who_typed_a_code_with_the_password_is_judged_though_she_is_remembered() {
    let site = || Site {
        policy: REMEMBER,
        remembered: true,
        ..Site::default()
    };
    let run = |first_pass, password: &str| {
        let mut host = Script::answering(&["123456"]).with_password(password);
        let outcome = outcome(&trying(first_pass), &mut host, &site());
        (outcome, host.said.len())
    };
    assert_eq!(
        run(FirstPass::Try, "hunter2999999"),
        ("mismatch".to_owned(), 0)
    );
    assert_eq!(run(FirstPass::Try, "hunter"), ("remembered".to_owned(), 0));
    assert_eq!(
        run(FirstPass::Use, "hunter2123456"),
        ("accepted".to_owned(), 0)
    );
    assert_eq!(run(FirstPass::Use, "hunter"), ("malformed".to_owned(), 0));
    let mut host = Script::answering(&["hunter2"]);
    assert_eq!(outcome(&forwarding(), &mut host, &site()), "remembered");
    assert_eq!(host.said, ["asked \"Password: \"", "handed on \"hunter2\""]);
}

#[test]
fn word_is_left_of_who_was_let_by_or_in_and_of_nobody_else() {
    let nullok = Options {
        nullok: true,
        ..plain()
    };
    let left = |options: &Options, site: Site, typed| {
        let mut host = Script::answering(&[typed]);
        // Of a login before on the same handle.
        let bob = UserName::parse("bob").unwrap();
        host.mark = Some(Mark {
            account: Account {
                name: bob,
                uid: Some(1001),
            },
            found: Found::NotEnrolled,
        });
        let _ = outcome(options, &mut host, &site);
        host.mark
            .map(|mark| (mark.account.name.to_string(), mark.found))
    };
    let site = |enrolled, policy| Site {
        enrolled,
        policy,
        ..Site::default()
    };
    let alice = |found| Some(("alice".to_owned(), found));
    let known = || alice(Found::Known(History::default().line()));
    assert_eq!(
        left(&nullok, site(false, ""), ""),
        alice(Found::NotEnrolled)
    );
    assert_eq!(left(&nullok, site(true, ""), "123456"), known());
    assert_eq!(left(&plain(), site(true, ""), "123456"), known());
    assert_eq!(left(&plain(), site(true, ""), "654321"), None);
    assert_eq!(left(&plain(), site(true, ""), "x"), None);
    assert_eq!(left(&plain(), site(false, ""), "123456"), None);
    let exempt = "[[rule]]\ncode = \"exempt\"\n";
    assert_eq!(left(&nullok, site(false, exempt), ""), None);
    let strangers = Site {
        knows_alice: false,
        ..site(false, "")
    };
    assert_eq!(left(&nullok, strangers, "123456"), None);
}
