//! How the installation stands.

use std::time::Duration;

use serde::Serialize;

use super::standing::{Last, Status};
use super::words::Stamp;
use super::{Answer, Page, Tint, words};

/// Whoever waits so long for a code has given up.
const LATE: Duration = Duration::from_secs(60);

/// How the installation stands.
#[derive(Default, Serialize)]
pub(crate) struct Installation {
    /// Users with an authenticator or recovery codes.
    pub(crate) users: usize,
    pub(crate) disabled: usize,
    pub(crate) held: usize,
    pub(crate) locked: usize,
    /// Issued codes that are still good.
    pub(crate) codes_pending: usize,
    /// Users whose records cannot be read.
    pub(crate) damaged: Vec<String>,
    pub(crate) last_login: Option<Last>,
    /// Users to whom codes can be sent.
    pub(crate) reachable: usize,
    pub(crate) sending: Sending,
    pub(crate) state_dir: String,
    pub(crate) spool_dir: String,
}

/// How the sending of codes stands.
#[derive(Default, Serialize)]
pub(crate) struct Sending {
    /// Whether the policy sends codes by any channel.
    pub(crate) on: bool,
    /// Codes that nobody has begun to hand over.
    pub(crate) waiting: usize,
    /// When the oldest of them was drawn.
    pub(crate) oldest_at: Option<Stamp>,
    /// Codes that could not be handed over, of those whose time is not over.
    pub(crate) failed: usize,
    pub(crate) sent_in_last_hour: u64,
}

impl Sending {
    fn page(&self, page: &mut Page) {
        let is_quiet = self.waiting == 0 && self.failed == 0 && self.sent_in_last_hour == 0;
        if !self.on && is_quiet {
            return;
        }
        let sent = words::count(self.sent_in_last_hour, "code");
        let mut text = format!("{sent} in the last hour, {} waiting", self.waiting);
        if let Some(oldest) = self.oldest_at {
            let since = words::moment(oldest.0, page.now());
            text.push_str(&format!(" (the oldest since {since})"));
        }
        if self.failed > 0 {
            text.push_str(&format!(
                ", {} could not be handed over: journalctl -t otpctl",
                self.failed
            ));
        }
        let is_late = |oldest: Stamp| page.now().since(oldest.0) >= LATE;
        let tint = if self.failed > 0 || self.oldest_at.is_some_and(is_late) {
            Tint::Warning
        } else {
            Tint::Plain
        };
        page.tinted_row("sent", tint, &text);
    }
}

impl Installation {
    /// Counts one more user.
    pub(crate) fn count(&mut self, status: &Status) {
        let add = |to: &mut usize, n: usize| *to = to.saturating_add(n);
        add(&mut self.users, usize::from(status.enrolled));
        add(&mut self.disabled, usize::from(status.disabled));
        add(&mut self.locked, usize::from(status.locked));
        add(
            &mut self.held,
            usize::from(status.throttled_until.is_some()),
        );
        add(&mut self.codes_pending, status.issued.len());
        let mut contacts = status.contacts.iter();
        let is_reached = contacts.any(|contact| contact.is_confirmed());
        add(&mut self.reachable, usize::from(is_reached));
        let is_later = |last: &Last| {
            self.last_login
                .as_ref()
                .is_none_or(|known| known.at < last.at)
        };
        if let Some(last) = status.last.as_ref().filter(|last| is_later(last)) {
            self.last_login = Some(last.clone());
        }
    }
}

impl Answer for Installation {
    fn page(&self, page: &mut Page) {
        let mut users = format!("{} enrolled", self.users);
        for (n, word) in [
            (self.held, "held"),
            (self.locked, "locked"),
            (self.disabled, "disabled"),
            (self.reachable, "reached by sent codes"),
        ] {
            if n > 0 {
                users.push_str(&format!(", {n} {word}"));
            }
        }
        page.row("users", &users);
        page.row(
            "codes",
            &format!("{} issued and still good", self.codes_pending),
        );
        self.sending.page(page);
        match &self.last_login {
            Some(last) => {
                let at = words::moment(last.at.0, page.now());
                let user = words::printable(&last.user);
                page.row(
                    "last login",
                    &format!("{at}, {user} from {}", words::origin(&last.origin)),
                );
            }
            None => page.row("last login", "none yet"),
        }
        let trees = format!("{}, {}", self.state_dir, self.spool_dir);
        page.row("store", &words::printable(&trees));
        if !self.damaged.is_empty() {
            let names: Vec<String> = self
                .damaged
                .iter()
                .map(|name| words::printable(name))
                .collect();
            page.tinted_row("damaged", Tint::Bad, &names.join(", "));
        }
        page.paragraph(
            if self.users == 0 && self.codes_pending == 0 && self.reachable == 0 {
                "Next: otpctl enroll USER"
            } else {
                "Next: otpctl list, otpctl status USER"
            },
        );
    }
}
