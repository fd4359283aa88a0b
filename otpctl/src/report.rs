//! Everything the tool prints.
//!
//! How it talks to people, written down once:
//! - Results go to standard output; questions, hints, warnings and errors to standard error.
//! - Short and calm. Labels are lower case, in a column of their own. A code stands first on its line.
//! - A refusal or an error is one sentence that names the thing, then the way out. The next step comes last.
//! - Colour only on a terminal without NO_COLOR, and never the only sign: every mark has a word beside it.
//! - Long text is wrapped at the terminal's width. What a user could have named is printed with its control
//!   characters escaped.
//! - Times are local and told as people tell them ("today 13:58"). With `--json` they are RFC 3339 in UTC,
//!   everything is one object on one line, and nothing else is on standard output.

pub(crate) mod codes;
pub(crate) mod contacts;
pub(crate) mod delivered;
mod device;
pub(crate) mod enrollment;
pub(crate) mod explained;
pub(crate) mod fleet;
pub(crate) mod health;
pub(crate) mod installation;
pub(crate) mod metrics;
mod page;
pub(crate) mod resynced;
pub(crate) mod rules;
pub(crate) mod shown;
pub(crate) mod standing;
pub(crate) mod steps;
pub(crate) mod trial;
pub(crate) mod words;

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use serde::Serialize;
use zeroize::Zeroizing;

pub(crate) use page::{Page, Tint};

use crate::failure::{Failure, Kind};
use words::Stamp;

/// Narrower than this nothing can be told.
const NARROWEST: usize = 20;
/// Width where nobody looks.
const UNBOUNDED: usize = 100_000;
/// Below this many users nobody needs to be told that it goes on.
const MANY: usize = 1000;

/// What a command has to say: an object for scripts, a page for people.
pub(crate) trait Answer: Serialize {
    fn page(&self, page: &mut Page);
}

/// Where everything is printed.
pub(crate) struct Report {
    json: bool,
    progress: Cell<bool>,
}

impl Report {
    pub(crate) const fn new(json: bool) -> Self {
        Self {
            json,
            progress: Cell::new(false),
        }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody can be asked.
    pub(crate) fn asks(&self) -> bool {
        !self.json && crate::terminal::is_there()
    }

    /// Whether a person sees what goes to standard output.
    pub(crate) fn is_seen(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Whether it is a screen that a person sees, which can be drawn on.
    pub(crate) fn is_drawn_on(&self) -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        self.is_seen() && !is_dumb
    }

    /// Prints an answer.
    pub(crate) fn answer(&self, answer: &impl Answer) -> Result<(), Failure> {
        self.clear_progress();
        let text = if self.json {
            let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
            serde_json::to_writer(&mut *text, answer).map_err(|error| unprintable(&error))?;
            text.push(b'\n');
            text
        } else {
            let mut page = Page::new(has_colour(&io::stdout()), width(&io::stdout()));
            answer.page(&mut page);
            page.into_bytes()
        };
        to_stdout(&text)
    }

    /// Draws a page over the one that stands on the screen, in one write, so that nothing flickers.
    pub(crate) fn draw(&self, write: impl FnOnce(&mut Page)) -> Result<(), Failure> {
        let mut page = Page::new(has_colour(&io::stdout()), width(&io::stdout()));
        write(&mut page);
        let size = terminal_size::terminal_size_of(io::stdout());
        let rows = size.map_or(usize::MAX, |(_, height)| usize::from(height.0));
        to_stdout(&page::screenful(&page.into_bytes(), rows))
    }

    /// Prints bytes as they are: a completion script.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        to_stdout(bytes)
    }

    /// A word to the person at the terminal, on standard error.
    pub(crate) fn hint(&self, text: &str) {
        if !self.json {
            self.to_stderr("", Tint::Plain, text);
        }
    }

    /// Something that does not stop us and should be known.
    pub(crate) fn warning(&self, text: &str) {
        self.to_stderr("warning: ", Tint::Warning, text);
    }

    /// What stopped us; the exit code that says so.
    pub(crate) fn failure(&self, failure: &Failure) -> u8 {
        self.clear_progress();
        if self.json {
            let said = Said {
                user: None,
                error: failure.kind.word(),
                message: &failure.message,
                until: failure.kind.until().map(Stamp),
            };
            // Where standard output takes nothing, the exit code has to do.
            let _ = self.answer(&said);
        } else {
            self.to_stderr("error: ", Tint::Bad, &failure.message);
        }
        failure.kind.exit()
    }

    /// What is wrong with one of many; the others go on.
    pub(crate) fn failure_of(&self, user: &str, failure: &Failure) -> Result<(), Failure> {
        if self.json {
            return self.answer(&Said {
                user: Some(user),
                error: failure.kind.word(),
                message: &failure.message,
                until: failure.kind.until().map(Stamp),
            });
        }
        let text = format!("{user}: {}", failure.message);
        self.to_stderr("error: ", Tint::Bad, &text);
        Ok(())
    }

    /// What is wrong with one of many, where an answer with all of them follows.
    pub(crate) fn fault(&self, text: &str) {
        if !self.json {
            self.to_stderr("error: ", Tint::Bad, text);
        }
    }

    /// How far work has come of which nobody knows how much it is, on a terminal.
    pub(crate) fn going(&self, doing: &str, done: u64) {
        if self.json || done < MANY as u64 || !io::stderr().is_terminal() {
            return;
        }
        self.progress.set(true);
        let mut to = io::stderr().lock();
        let _ = write!(to, "\r{doing} {done}\x1b[K").and_then(|()| to.flush());
    }

    /// How far long work has come, on a terminal.
    pub(crate) fn progress(&self, doing: &str, done: usize, of: usize) {
        let is_due = of >= MANY && done % 64 == 0;
        if !is_due || self.json || !io::stderr().is_terminal() {
            return;
        }
        self.progress.set(true);
        let mut to = io::stderr().lock();
        let _ = write!(to, "\r{doing} {done} of {of}\x1b[K").and_then(|()| to.flush());
    }

    fn clear_progress(&self) {
        if self.progress.replace(false) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn to_stderr(&self, label: &str, tint: Tint, text: &str) {
        self.clear_progress();
        let mut page = Page::new(has_colour(&io::stderr()), width(&io::stderr()));
        // It may repeat what somebody typed or named.
        page.labelled(label, tint, &words::printable(text));
        // There is nobody left to tell that standard error takes nothing.
        let _ = io::stderr().lock().write_all(&page.into_bytes());
    }
}

/// A failure, for scripts.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    error: &'static str,
    message: &'a str,
    /// From when on it is worth another try.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Stamp>,
}

impl Answer for Said<'_> {
    fn page(&self, page: &mut Page) {
        page.line(self.message);
    }
}

/// A reader that has seen enough (`otpctl list | head`) is no fault.
fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut to = io::stdout().lock();
    match to.write_all(bytes).and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unprintable(&error)),
        _ => Ok(()),
    }
}

fn unprintable(why: &impl std::fmt::Display) -> Failure {
    Failure::new(
        Kind::Io,
        format!("what was done could not be printed: {why}; see 'otpctl status' for what stands"),
    )
}

/// Colour only on a terminal that has it and was not told otherwise (no-color.org).
fn has_colour(to: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    to.is_terminal() && !refused && !is_dumb
}

/// Columns to write in: the terminal's. What goes elsewhere is not wrapped.
fn width(to: &(impl IsTerminal + AsFd)) -> usize {
    let asked = terminal_size::terminal_size_of(to).map(|(width, _)| usize::from(width.0));
    match asked.filter(|_| to.is_terminal()) {
        Some(width) if width >= NARROWEST => width,
        Some(_) => NARROWEST,
        None => UNBOUNDED,
    }
}
