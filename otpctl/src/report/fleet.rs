//! What came of taking many over, and of writing them out.

use serde::Serialize;

use super::{Answer, Page, Tint, words};

/// So many of each kind are named; what is more is counted.
pub(crate) const NAMED: usize = 10_000;
/// So many a person is told.
const TOLD: usize = 5;

/// What came of an import.
#[derive(Default, Serialize)]
pub(crate) struct Imported {
    /// Users who are enrolled now.
    pub(crate) imported: u64,
    /// Users who were enrolled before, and left as they are.
    pub(crate) skipped: u64,
    /// Who they are, as far as they are named.
    pub(crate) skipped_users: Vec<String>,
    /// What could not be taken, as far as it is named.
    pub(crate) errors: Vec<Fault>,
    /// How much could not be taken in all.
    pub(crate) errors_total: u64,
    /// What of users' settings has no counterpart here.
    pub(crate) notes: Vec<Note>,
    /// Nothing was written, because something could not be taken and all or nothing was asked for.
    #[serde(skip)]
    pub(crate) held_back: bool,
}

/// What could not be taken.
#[derive(Serialize)]
pub(crate) struct Fault {
    /// In whose home, where it is not one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// In the file.
    pub(crate) line: u64,
    pub(crate) why: String,
}

/// A setting that has no counterpart, and whose it was.
#[derive(Serialize)]
pub(crate) struct Note {
    pub(crate) note: String,
    pub(crate) users: Vec<String>,
    pub(crate) users_total: u64,
}

impl Imported {
    pub(crate) fn skip(&mut self, user: &str) {
        self.skipped = self.skipped.saturating_add(1);
        if self.skipped_users.len() < NAMED {
            self.skipped_users.push(user.to_owned());
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.errors_total = self.errors_total.saturating_add(1);
        if self.errors.len() < NAMED {
            self.errors.push(fault);
        }
    }

    pub(crate) fn note(&mut self, what: &str, user: &str) {
        let known = self.notes.iter().position(|known| known.note == what);
        let at = known.unwrap_or_else(|| {
            self.notes.push(Note {
                note: what.to_owned(),
                users: Vec::new(),
                users_total: 0,
            });
            self.notes.len().saturating_sub(1)
        });
        if let Some(note) = self.notes.get_mut(at) {
            note.users_total = note.users_total.saturating_add(1);
            if note.users.len() < NAMED {
                note.users.push(user.to_owned());
            }
        }
    }
}

impl Fault {
    /// As a person is told.
    pub(crate) fn told(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}, line {}: {}", self.line, self.why),
            None => format!("line {}: {}", self.line, self.why),
        }
    }
}

/// A few by name, and how many more.
fn some(users: &[String], total: u64) -> String {
    let named: Vec<String> = users
        .iter()
        .take(TOLD)
        .map(|user| words::printable(user))
        .collect();
    let more = total.saturating_sub(named.len().try_into().unwrap_or(0));
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

impl Answer for Imported {
    fn page(&self, page: &mut Page) {
        if self.held_back {
            page.paragraph(&format!(
                "Nothing was written: {}.",
                words::count(self.errors_total, "fault")
            ));
            return;
        }
        page.tinted_row("imported", Tint::Good, &words::count(self.imported, "user"));
        if self.skipped > 0 {
            let who = some(&self.skipped_users, self.skipped);
            page.row(
                "skipped",
                &format!("enrolled already: {who}. --replace takes the new one"),
            );
        }
        if self.errors_total > 0 {
            let count = words::count(self.errors_total, "fault");
            page.tinted_row(
                "left out",
                Tint::Bad,
                &format!("{count}, named above. Mend them and run it again"),
            );
        }
        for note in &self.notes {
            let who = some(&note.users, note.users_total);
            page.row("note", &format!("{} ({who})", note.note));
        }
    }
}

/// What came of an export.
#[derive(Serialize)]
pub(crate) struct Exported {
    pub(crate) exported: u64,
    pub(crate) format: String,
    pub(crate) output: String,
    /// Users whose records could not be read, or who are not in the passwd database.
    pub(crate) left_out: Vec<String>,
}

impl Answer for Exported {
    fn page(&self, page: &mut Page) {
        let output = words::printable(&self.output);
        let count = words::count(self.exported, "user");
        page.tinted_row("exported", Tint::Good, &format!("{count} to {output}"));
        if !self.left_out.is_empty() {
            let total = self.left_out.len().try_into().unwrap_or(u64::MAX);
            page.tinted_row(
                "left out",
                Tint::Bad,
                &format!("{}, named above", some(&self.left_out, total)),
            );
        }
        let next = if self.format == "archive" {
            "Try it: a backup nobody has restored is none. Next: otpctl import --all-or-nothing on another machine."
        } else {
            "It holds the secrets in plain text: whoever reads it can log in as any of them. It holds no used codes and no recovery codes."
        };
        page.paragraph(next);
    }
}
