//! What is said of a change that is tried.

use otp::state::LastLogin;
use otp::time::UnixTime;
use serde::Serialize;

use super::words::{self, Stamp};
use super::{Answer, Page, Tint};

/// A login that proves the service takes codes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Acceptance {
    pub(crate) user: String,
    pub(crate) at: Stamp,
    pub(crate) origin: String,
}

impl Acceptance {
    pub(crate) fn new(user: &str, login: LastLogin) -> Self {
        Self {
            user: user.to_owned(),
            at: Stamp(login.at),
            origin: login.origin.to_string(),
        }
    }

    /// "alice logged in by sshd from 198.51.100.7, today 14:33"
    pub(crate) fn told(&self, service: &str, now: UnixTime) -> String {
        let user = words::printable(&self.user);
        let origin = words::origin(&self.origin);
        let at = words::moment(self.at.0, now);
        format!("{user} logged in by {service} from {origin} with a code, {at}.")
    }
}

/// What a change would be.
#[derive(Serialize)]
pub(crate) struct Proposal<'a> {
    pub(crate) diff: &'a str,
}

impl Answer for Proposal<'_> {
    fn page(&self, page: &mut Page) {
        for line in self.diff.lines() {
            let tint = match line.as_bytes() {
                [b'+', ..] => Tint::Good,
                [b'-', ..] => Tint::Bad,
                _ => Tint::Plain,
            };
            let line = page.painted(tint, &words::printable(line));
            page.line(&line);
        }
    }
}

/// How a trial stands.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// The service asks for codes as it should; nothing was to be changed.
    Unchanged,
    /// In force, and taken back at its time.
    Pending,
    Kept,
    TakenBack,
    /// Nothing is being tried, and nothing was.
    None,
}

/// A trial, or the last one.
#[derive(Serialize)]
pub(crate) struct Trial {
    pub(crate) service: Option<String>,
    pub(crate) state: State,
    /// When it is taken back.
    pub(crate) until: Option<Stamp>,
    pub(crate) confirmed_by: Option<Acceptance>,
    pub(crate) diff: Option<String>,
    /// Files that were edited meanwhile and left alone.
    pub(crate) left: Vec<String>,
}

impl Trial {
    /// One of which nothing but its state is to be told.
    pub(crate) const fn new(service: Option<String>, state: State) -> Self {
        Self {
            service,
            state,
            until: None,
            confirmed_by: None,
            diff: None,
            left: Vec::new(),
        }
    }

    fn pending(&self, page: &mut Page, service: &str) {
        let end = self.until.map(|until| words::end(until.0, page.now()));
        let end = end.unwrap_or_default();
        page.paragraph(&format!(
            "{service} asks for codes until {end}; then everything is as before."
        ));
        match &self.confirmed_by {
            Some(seen) => {
                page.paragraph(&seen.told(service, page.now()));
                page.paragraph("Next: otpctl try --keep");
            }
            None => page.paragraph(&format!(
                "Next: log in by {service} from another window, with a code, then: otpctl try --keep"
            )),
        }
    }
}

impl Answer for Trial {
    fn page(&self, page: &mut Page) {
        let service = words::printable(self.service.as_deref().unwrap_or_default());
        match self.state {
            State::None => page.paragraph("Nothing is being tried: otpctl try SERVICE"),
            State::Unchanged => {
                page.paragraph(&format!(
                    "{service} asks for codes already. Nothing has changed."
                ));
            }
            State::Pending => self.pending(page, &service),
            State::Kept => page.paragraph(&format!("Kept: {service} asks for codes from now on.")),
            State::TakenBack => {
                page.paragraph(&format!(
                    "Taken back: {service} is as it was before the trial."
                ));
            }
        }
        for file in &self.left {
            let file = words::printable(file);
            page.paragraph(&format!(
                "{file} was edited meanwhile, or the PAM line still needs it, so it stays as it is: look at it."
            ));
        }
    }
}
