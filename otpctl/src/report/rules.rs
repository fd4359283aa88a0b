//! The policy: values, where each comes from, and what is wrong with a file.

use otp::policy::{Fault, Parsed, Rule, Value};
use serde::Serialize;
use serde_json::Map;

use super::{Answer, Page, Tint, words};

/// A policy, or what is wrong with one.
#[derive(Serialize)]
pub(crate) struct Rules {
    values: Map<String, serde_json::Value>,
    rules: Vec<Deciding>,
    errors: Vec<Wrong>,
    #[serde(skip)]
    rows: Vec<(String, String, String)>,
    #[serde(skip)]
    file: String,
}

#[derive(Serialize)]
struct Wrong {
    line: usize,
    why: String,
}

/// A rule; a condition it does not have is null.
#[derive(Serialize)]
struct Deciding {
    code: &'static str,
    groups: Option<Vec<String>>,
    networks: Option<Vec<String>>,
    services: Option<Vec<String>>,
    users: Option<Vec<String>>,
    from: String,
}

#[derive(Serialize)]
struct Sourced<'a> {
    value: &'a serde_json::Value,
    from: &'a str,
}

impl Rules {
    /// The values in force, from a file of this name.
    pub(crate) fn in_force(parsed: &Parsed, path: &str, name: &str) -> Self {
        let mut rules = Self::faulty(&[], path);
        for setting in parsed.settings() {
            let from = setting.line.map_or_else(
                || "default".to_owned(),
                |line| format!("{name} line {line}"),
            );
            let value = json(&setting.value);
            let sourced = serde_json::json!(Sourced {
                value: &value,
                from: &from
            });
            rules.values.insert(setting.key.to_owned(), sourced);
            rules.rows.push((
                setting.key.to_owned(),
                words::printable(&shown(&setting.value)),
                words::printable(&from),
            ));
        }
        let deciding = |rule| Deciding::of(rule, name);
        rules.rules = parsed.policy.rules.iter().map(deciding).collect();
        rules
    }

    /// What is wrong with a file.
    pub(crate) fn faulty(faults: &[Fault], path: &str) -> Self {
        let wrong = |fault: &Fault| Wrong {
            line: fault.line,
            why: fault.why.clone(),
        };
        let mut errors: Vec<Wrong> = faults.iter().map(wrong).collect();
        errors.sort_by_key(|wrong| wrong.line);
        Self {
            values: Map::new(),
            rules: Vec::new(),
            errors,
            rows: Vec::new(),
            file: words::printable(path),
        }
    }
}

impl Deciding {
    fn of(rule: &Rule, name: &str) -> Self {
        let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
        let networks: Vec<String> = rule.networks.iter().map(ToString::to_string).collect();
        Self {
            code: rule.code.name(),
            groups: list(&rule.groups),
            networks: list(&networks),
            services: list(&rule.services),
            users: list(&rule.users),
            from: format!("{name} line {}", rule.line),
        }
    }

    /// `groups ["admins"], services ["sshd"]`
    fn conditions(&self) -> String {
        let all = [
            ("groups", &self.groups),
            ("networks", &self.networks),
            ("services", &self.services),
            ("users", &self.users),
        ];
        let told = all
            .iter()
            .filter_map(|(what, list)| Some(format!("{what} {}", listed(list.as_ref()?))));
        let told: Vec<String> = told.collect();
        match told.is_empty() {
            true => "everybody".to_owned(),
            false => told.join(", "),
        }
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Number(number) => (*number).into(),
        Value::List(words) => words.clone().into(),
    }
}

/// As otp.toml would have it.
fn shown(value: &Value) -> String {
    match value {
        Value::List(words) => listed(words),
        other => json(other).to_string(),
    }
}

fn listed(words: &[String]) -> String {
    let quoted = |word: &String| serde_json::Value::from(word.as_str()).to_string();
    let quoted: Vec<String> = words.iter().map(quoted).collect();
    format!("[{}]", quoted.join(", "))
}

impl Answer for Rules {
    fn page(&self, page: &mut Page) {
        for wrong in &self.errors {
            let line = format!("line {}", wrong.line);
            page.tinted_row(&line, Tint::Bad, &words::printable(&wrong.why));
        }
        match self.errors.len() as u64 {
            0 => {}
            n => {
                let faults = words::count(n, "fault");
                let file = &self.file;
                page.paragraph(&format!(
                    "{file}: {faults}. With such a file nobody logs in with a code."
                ));
                return;
            }
        }
        let widest = |pick: fn(&(String, String, String)) -> &String| {
            let widths = self.rows.iter().map(|row| words::columns(pick(row)));
            widths.filter(|width| *width <= 25).max().unwrap_or(0)
        };
        let (keys, values) = (widest(|row| &row.0), widest(|row| &row.1));
        for (key, value, from) in &self.rows {
            let label = format!("{key:<keys$}  ");
            sourced(page, &label, &format!("{value:<values$}"), from);
        }
        if self.rules.is_empty() {
            return;
        }
        page.paragraph("Who needs a code (the first rule that matches decides)");
        for (number, rule) in (1..).zip(&self.rules) {
            let label = format!("rule {number}   {:<8}  ", rule.code);
            let conditions = words::printable(&rule.conditions());
            sourced(page, &label, &conditions, &words::printable(&rule.from));
        }
    }
}

/// A row, and where it comes from in its last column; beside the label, wrapped, where a line has no room for it.
fn sourced(page: &mut Page, label: &str, text: &str, from: &str) {
    let room = page.width().saturating_sub(words::columns(label));
    let needed = words::columns(text).saturating_add(words::columns(from));
    if needed.saturating_add(4) > room {
        page.row(label, &format!("{}   {from}", text.trim_end()));
        return;
    }
    let from = page.painted(Tint::Faint, from);
    page.line(&format!("{label} {text}   {}", from.as_str()));
}
