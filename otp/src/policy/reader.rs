//! Walks a parsed file and collects what it finds.

use toml::de::{DeTable, DeValue};

use super::keys::{self, Key};
use super::{Fault, Parsed, rules};

/// Understands the text of a policy file, or names every fault in it by line.
pub(super) fn read(text: &str) -> Result<Parsed, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        text,
        parsed: Parsed::defaults(),
        faults: Vec::new(),
    };
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        reader.fault(start, error.message().to_owned());
    }
    if reader.faults.is_empty() {
        reader.table("", table.get_ref());
    }
    if reader.faults.is_empty() {
        reader.check_together();
    }
    if reader.faults.is_empty() {
        Ok(reader.parsed)
    } else {
        Err(reader.faults)
    }
}

/// What is understood so far, and what is wrong.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) parsed: Parsed,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn fault(&mut self, offset: usize, why: String) {
        let line = self.line(offset);
        self.faults.push(Fault { line, why });
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_add(1)
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let inner = format!("{name}.");
            let is_table = keys::all().any(|key| key.name.starts_with(&inner));
            match (value.get_ref(), keys::all().find(|key| key.name == name)) {
                (DeValue::Table(table), None) if is_table => self.table(&inner, table),
                (value, None) if name == rules::KEY => {
                    rules::read(self, key.span().start, value);
                }
                (value, Some(known)) => self.value(known, key.span().start, value),
                (_, None) if is_table => {
                    self.fault(
                        key.span().start,
                        format!("{name} is a table: write [{name}]"),
                    );
                }
                _ => {
                    let why = format!("unknown key {name:?}{}", suggestion(&name));
                    self.fault(key.span().start, why);
                }
            }
        }
    }

    fn value(&mut self, key: &'static Key, offset: usize, value: &DeValue<'_>) {
        match (key.take)(&mut self.parsed.policy, value) {
            Ok(()) => {
                let line = self.line(offset);
                self.parsed.lines.push((key.name, line));
            }
            Err(right) => self.fault(offset, format!("{} {right}", key.name)),
        }
    }

    /// What is right by itself but not together.
    fn check_together(&mut self) {
        let policy = &self.parsed.policy;
        let wrong = [
            (
                policy.throttle.reserved >= policy.throttle.burst,
                "throttle.reserved",
                "throttle.reserved must be less than throttle.burst",
            ),
            (
                policy.throttle.first_hold > policy.throttle.max_hold,
                "throttle.first_hold",
                "throttle.first_hold must not be longer than throttle.max_hold",
            ),
            (
                policy.issued.ttl > policy.issued.max_ttl,
                "issued.ttl",
                "issued.ttl must not be longer than issued.max_ttl",
            ),
        ];
        for (is_wrong, key, why) in wrong.into_iter().chain(policy.delivery_together()) {
            if is_wrong {
                let set = self.parsed.lines.iter().find(|(name, _)| *name == key);
                let line = set.or(self.parsed.lines.first()).map_or(1, |set| set.1);
                let why = why.to_owned();
                self.faults.push(Fault { line, why });
            }
        }
        self.faults.extend(rules::check(&self.parsed.policy));
    }
}

/// The known key that shares the unknown one's last part, or its beginning: what was probably meant.
fn suggestion(unknown: &str) -> String {
    let last = unknown.rsplit('.').next().unwrap_or(unknown);
    let start: String = last.chars().take(4).collect();
    let names = keys::all().map(|key| key.name).chain([rules::KEY]);
    let meant = names.into_iter().find(|name| {
        let own = name.rsplit('.').next().unwrap_or(name);
        own == last || (start.len() == 4 && own.starts_with(&start))
    });
    meant.map_or_else(String::new, |name| format!(": did you mean {name}?"))
}
