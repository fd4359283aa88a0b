//! Rules that decide, and rules that are refused.

use super::*;
use crate::policy::Parsed;

fn faults(text: &str) -> Vec<String> {
    let faults = Parsed::parse(text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

fn policy(text: &str) -> Policy {
    Parsed::parse(text).unwrap().policy
}

/// The rule that decides about a login by a member of these groups.
fn decides(
    policy: &Policy,
    user: &str,
    groups: &[&str],
    service: &str,
    from: &str,
) -> Option<(usize, Demand)> {
    let visit = Visit {
        user,
        service,
        address: from.parse().ok(),
    };
    let is_member = |named: &[String]| -> Result<bool, ()> {
        Ok(named.iter().any(|name| groups.contains(&name.as_str())))
    };
    let rule = policy.rule_for(&visit, is_member).unwrap();
    rule.map(|(number, rule)| (number, rule.code))
}

const HOUSE: &str = r#"
window = 2

[[rule]]
groups = ["admins", "domain admins"]
code = "required"

[[rule]]
networks = [
    "192.0.2.0/24",
    "2001:db8::/32",
    "198.51.100.7",
]
code = "exempt"

[[rule]]
services = ["sudo"]
users = ["CORP\\carol smith", "bob"]
code = "exempt"

[[rule]]
code = "optional"
"#;

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = policy(HOUSE);
    let lines: Vec<_> = policy.rules.iter().map(|rule| rule.line).collect();
    assert_eq!(lines, [4, 8, 16, 21]);
    let decides = |user, groups: &[&str], service, from| {
        decides(&policy, user, groups, service, from).unwrap()
    };
    let inside = "192.0.2.9";
    assert_eq!(
        decides("alice", &["admins"], "sshd", inside),
        (1, Demand::Required)
    );
    assert_eq!(
        decides("alice", &["domain admins", "x"], "su", ""),
        (1, Demand::Required)
    );
    assert_eq!(decides("alice", &[], "sshd", inside), (2, Demand::Exempt));
    assert_eq!(
        decides("alice", &[], "sshd", "2001:db8::7"),
        (2, Demand::Exempt)
    );
    assert_eq!(
        decides("alice", &[], "sshd", "198.51.100.7"),
        (2, Demand::Exempt)
    );
    assert_eq!(
        decides("alice", &[], "sshd", "198.51.100.8"),
        (4, Demand::Optional)
    );
    // The service must know the address, and a name is none.
    assert_eq!(decides("alice", &[], "su", inside), (4, Demand::Optional));
    assert_eq!(
        decides("alice", &[], "sshd", "inside.example"),
        (4, Demand::Optional)
    );
    assert_eq!(decides("bob", &[], "sudo", ""), (3, Demand::Exempt));
    assert_eq!(
        decides("CORP\\carol smith", &[], "sudo", ""),
        (3, Demand::Exempt)
    );
    assert_eq!(decides("bob", &[], "su", ""), (4, Demand::Optional));
    assert_eq!(decides("alice", &[], "sudo", ""), (4, Demand::Optional));
}

#[test]
fn without_a_rule_that_matches_nothing_is_decided() {
    let policy = policy("[[rule]]\nusers = [\"bob\"]\ncode = \"exempt\"\n");
    assert_eq!(decides(&policy, "alice", &[], "sshd", ""), None);
    assert_eq!(decides(&Policy::default(), "alice", &[], "sshd", ""), None);
}

#[test]
fn groups_are_asked_for_only_where_they_matter_and_their_failure_is_one_of_the_whole() {
    let text = "[[rule]]\nusers = [\"bob\"]\ngroups = [\"a\"]\ncode = \"exempt\"\n\
                [[rule]]\nusers = [\"carol\"]\ncode = \"exempt\"\n\
                [[rule]]\ngroups = [\"b\"]\ncode = \"exempt\"\n";
    let policy = policy(text);
    let asked = |user| {
        let mut asked = Vec::new();
        let visit = Visit {
            user,
            service: "sshd",
            address: None,
        };
        let failing = |groups: &[String]| -> Result<bool, ()> {
            asked.push(groups.to_vec());
            Err(())
        };
        let came = policy.rule_for(&visit, failing).map(|rule| rule.is_some());
        (came, asked.concat())
    };
    assert_eq!(asked("bob"), (Err(()), vec!["a".to_owned()]));
    assert_eq!(asked("carol"), (Ok(true), vec![]));
    assert_eq!(asked("alice"), (Err(()), vec!["b".to_owned()]));
}

#[test]
fn a_rule_that_is_wrong_by_itself_is_named_by_line() {
    for (text, fault) in [
        (
            "[[rule]]\ncode = \"exempt\"\ngroup = [\"a\"]\n",
            "line 3: unknown key \"group\" in a rule, which has groups, networks, services, users, code",
        ),
        (
            "\n[[rule]]\ncode = \"never\"\n",
            "line 3: code takes \"required\", \"optional\" or \"exempt\"",
        ),
        (
            "[[rule]]\ncode = true\n",
            "line 2: code takes \"required\", \"optional\" or \"exempt\"",
        ),
        (
            "\n\n[[rule]]\nusers = [\"a\"]\n",
            "line 3: this rule has no code: code takes \"required\", \"optional\" or \"exempt\"",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nnetworks = [\n  \"192.0.2.0/24\",\n  \"192.0.2.7/24\",\n]\n",
            "line 5: network \"192.0.2.7/24\" has bits behind its prefix: write 192.0.2.0/24, or the address alone",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nnetworks = [\"192.0.2.0/33\"]\n",
            "line 3: network \"192.0.2.0/33\" has a prefix that is longer than 32",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nnetworks = [\"office.example\"]\n",
            "line 3: network \"office.example\" is no network: write an address, or one with a prefix such as 192.0.2.0/24",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nnetworks = []\n",
            "line 3: networks takes a list of networks with at least one in it, such as [\"192.0.2.0/24\"]",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nnetworks = \"192.0.2.0/24\"\n",
            "line 3: networks takes a list of networks with at least one in it, such as [\"192.0.2.0/24\"]",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\ngroups = []\n",
            "line 3: groups takes a list of names with at least one in it",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nusers = [\"\"]\n",
            "line 3: users takes a list of names with at least one in it",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nusers = [\"a\\nb\"]\n",
            "line 3: users takes a list of names with at least one in it",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nservices = [\"s shd\"]\n",
            "line 3: services takes a list of service names with at least one in it, such as [\"sshd\"]",
        ),
        (
            "[[rule]]\ncode = \"exempt\"\nservices = []\n",
            "line 3: services takes a list of service names with at least one in it, such as [\"sshd\"]",
        ),
        (
            "[rule]\ncode = \"exempt\"\n",
            "line 1: rule is a list of tables: write [[rule]]",
        ),
        (
            "rule = [1]\n",
            "line 1: rule is a list of tables: write [[rule]]",
        ),
        (
            "[[rules]]\ncode = \"exempt\"\n",
            "line 1: unknown key \"rules\": did you mean rule?",
        ),
    ] {
        assert_eq!(faults(text), [fault], "{text}");
    }
}

#[test]
fn rules_that_are_wrong_together_are_named_by_line() {
    let rule = |conditions: &str| format!("[[rule]]\n{conditions}\ncode = \"exempt\"\n");
    let two = |first: &str, second: &str| faults(&(rule(first) + &rule(second)));
    let never = "line 4: this rule is never reached: the one in line 1 has all it matches";
    let same = "line 4: this rule has the conditions of the one in line 1: keep one of them";
    assert_eq!(
        two("", "users = [\"a\"]"),
        ["line 1: a rule without a condition is for everybody: put it last"]
    );
    assert_eq!(two("users = [\"a\"]", ""), [""; 0]);
    for (first, second, expected) in [
        ("users = [\"a\"]", "users = [\"a\"]", Some(same)),
        (
            "users = [\"a\", \"b\"]",
            "users = [\"b\", \"a\"]",
            Some(same),
        ),
        ("users = [\"a\", \"b\"]", "users = [\"b\"]", Some(never)),
        ("users = [\"b\"]", "users = [\"a\", \"b\"]", None),
        (
            "groups = [\"a\"]",
            "groups = [\"a\"]\nusers = [\"b\"]",
            Some(never),
        ),
        (
            "groups = [\"a\"]\nusers = [\"b\"]",
            "groups = [\"a\"]",
            None,
        ),
        ("groups = [\"a\"]", "users = [\"a\"]", None),
        (
            "services = [\"su\", \"sudo\"]",
            "services = [\"su\"]\ngroups = [\"a\"]",
            Some(never),
        ),
        (
            "networks = [\"192.0.2.0/24\"]",
            "networks = [\"192.0.2.7\"]",
            Some(never),
        ),
        (
            "networks = [\"192.0.2.7\"]",
            "networks = [\"192.0.2.0/24\"]",
            None,
        ),
        (
            "networks = [\"192.0.2.0/25\", \"192.0.2.128/25\"]",
            "networks = [\"192.0.2.0/24\"]",
            Some(same),
        ),
        (
            "networks = [\"192.0.2.0/24\"]",
            "networks = [\"192.0.2.0/25\", \"203.0.113.0/24\"]",
            None,
        ),
        ("networks = [\"0.0.0.0/0\"]", "networks = [\"::/0\"]", None),
        ("networks = [\"0.0.0.0/0\"]", "users = [\"a\"]", None),
    ] {
        assert_eq!(
            two(first, second),
            Vec::from_iter(expected),
            "{first} / {second}"
        );
    }
}

#[test]
fn networks_of_services_that_know_no_address_match_nothing_and_are_refused() {
    let why = "networks match only where the service is one of remote_services, and here none is";
    let rule =
        "[[rule]]\nnetworks = [\"192.0.2.0/24\"]\nservices = [\"sudo\"]\ncode = \"exempt\"\n";
    assert_eq!(faults(rule), [format!("line 1: {why}")]);
    assert_eq!(
        faults(&format!("remote_services = [\"sudo\"]\n{rule}")),
        [""; 0]
    );
    let any = "remote_services = []\n[[rule]]\nnetworks = [\"192.0.2.0/24\"]\ncode = \"exempt\"\n";
    assert_eq!(faults(any), [format!("line 2: {why}")]);
}
