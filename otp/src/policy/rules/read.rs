//! Rules as they stand in the file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::keys::words;
use super::super::reader::Reader;
use super::{Demand, Network, Rule};

/// The key of the list of them.
pub(in super::super) const KEY: &str = "rule";

const NAMES: &str = "takes a list of names with at least one in it";
const SERVICES: &str = "takes a list of service names with at least one in it, such as [\"sshd\"]";
const NETWORKS: &str =
    "takes a list of networks with at least one in it, such as [\"192.0.2.0/24\"]";
const CODE: &str = "takes \"required\", \"optional\" or \"exempt\"";
const KNOWN: [&str; 5] = ["groups", "networks", "services", "users", "code"];

/// Takes what stands under the key `rule`, and notes what is wrong with it.
pub(in super::super) fn read(reader: &mut Reader<'_>, offset: usize, value: &DeValue<'_>) {
    let not_tables = "rule is a list of tables: write [[rule]]";
    let Some(list) = value.as_array() else {
        return reader.fault(offset, not_tables.to_owned());
    };
    for item in list {
        match item.get_ref() {
            DeValue::Table(table) => {
                if let Some(rule) = rule(reader, item.span().start, table) {
                    reader.parsed.policy.rules.push(rule);
                }
            }
            _ => reader.fault(item.span().start, not_tables.to_owned()),
        }
    }
}

fn rule(reader: &mut Reader<'_>, offset: usize, table: &DeTable<'_>) -> Option<Rule> {
    let mut rule = Rule {
        line: reader.line(offset),
        groups: Vec::new(),
        networks: Vec::new(),
        services: Vec::new(),
        users: Vec::new(),
        code: Demand::Required,
    };
    let mut is_right = true;
    let mut has_code = false;
    for (key, value) in table {
        let name: &str = key.get_ref();
        has_code |= name == "code";
        if let Err((at, why)) = take(&mut rule, name, key.span().start, value) {
            is_right = false;
            reader.fault(at, why);
        }
    }
    if !has_code {
        is_right = false;
        reader.fault(offset, format!("this rule has no code: code {CODE}"));
    }
    is_right.then_some(rule)
}

/// Takes one key of a rule, or says what is wrong and where.
fn take(
    rule: &mut Rule,
    key: &str,
    offset: usize,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), (usize, String)> {
    let plain = value.get_ref();
    let or = |right: &str| (offset, format!("{key} {right}"));
    match key {
        "groups" => rule.groups = names(plain).ok_or_else(|| or(NAMES))?,
        "users" => rule.users = names(plain).ok_or_else(|| or(NAMES))?,
        "services" => {
            let listed = words(plain).filter(|words| !words.is_empty());
            rule.services = listed.ok_or_else(|| or(SERVICES))?;
        }
        "networks" => rule.networks = networks(plain, offset)?,
        "code" => {
            let mut all = Demand::ALL.into_iter();
            let named = all.find(|demand| plain.as_str() == Some(demand.name()));
            rule.code = named.ok_or_else(|| or(CODE))?;
        }
        _ => {
            let known = KNOWN.join(", ");
            let why = format!("unknown key {key:?} in a rule, which has {known}");
            return Err((offset, why));
        }
    }
    Ok(())
}

/// Names of users or groups, which may have spaces in them.
fn names(value: &DeValue<'_>) -> Option<Vec<String>> {
    let item = |item: &Spanned<DeValue<'_>>| {
        let name = item.get_ref().as_str()?;
        let plain = !name.is_empty() && !name.chars().any(char::is_control);
        plain.then(|| name.to_owned())
    };
    let names: Option<Vec<String>> = value.as_array()?.iter().map(item).collect();
    names.filter(|names| !names.is_empty())
}

/// Each in the line where it stands.
fn networks(value: &DeValue<'_>, offset: usize) -> Result<Vec<Network>, (usize, String)> {
    let or = || (offset, format!("networks {NETWORKS}"));
    let list = value.as_array().filter(|list| !list.is_empty());
    let item = |item: &Spanned<DeValue<'_>>| {
        let text = item.get_ref().as_str().ok_or_else(or)?;
        Network::parse(text).map_err(|bad| (item.span().start, format!("network {text:?} {bad}")))
    };
    list.ok_or_else(or)?.iter().map(item).collect()
}
