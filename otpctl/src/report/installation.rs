//! How the installation stands.

use serde::Serialize;

use super::standing::{Last, Status};
use super::{Answer, Page, Tint, words};

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
    pub(crate) state_dir: String,
    pub(crate) spool_dir: String,
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
        page.paragraph(if self.users == 0 && self.codes_pending == 0 {
            "Next: otpctl enroll USER"
        } else {
            "Next: otpctl list, otpctl status USER"
        });
    }
}
