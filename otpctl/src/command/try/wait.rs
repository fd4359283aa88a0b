//! Waiting at a terminal for the login that proves the change, and for Enter.

use std::path::Path;
use std::time::Duration;

use otp::store::Store;
use otp::time::UnixTime;

use super::evidence::{self, FEW};
use super::pending::{self, Ended, Pending};
use super::{back, busy, keep_pending, over};
use crate::clock;
use crate::command::Context;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::report::trial::{State, Trial};
use crate::report::words;
use crate::terminal::{Pressed, Terminal};

/// How often we look whether somebody logged in.
const PACE: Duration = Duration::from_secs(1);

/// What ends the wait.
enum Wait {
    /// She pressed Enter.
    Keep,
    /// She gave up, or the time is over.
    TakeBack,
    /// Another window, or the watch, ended it.
    Over,
    /// Nobody is at the terminal any more: the watch goes on.
    Left,
}

pub(super) fn wait(
    context: Context<'_>,
    house: &House,
    pending: &Pending,
) -> Result<Ending, Failure> {
    // Before anything is said: what is typed ahead of it is dropped.
    let terminal = Terminal::take()
        .map_err(|error| Failure::io("read from", Path::new("the terminal"), &error))?;
    let end = words::end(UnixTime::from_secs(pending.until), clock::now());
    explain(context, &pending.service, &end);
    let mut told = false;
    loop {
        match next(context, house, pending, &terminal, &mut told)? {
            Wait::Keep => match keep_pending(context, house, pending) {
                Ok(trial) => return ended(context, &trial),
                Err(failure) if failure.kind == Kind::Unconfirmed => {
                    context.report.hint(&failure.message);
                }
                Err(failure) => return Err(failure),
            },
            Wait::TakeBack => {
                drop(terminal);
                return take_back(context, pending);
            }
            Wait::Over => {
                drop(terminal);
                return how_it_ended(context, pending);
            }
            Wait::Left => {
                return Err(Failure::new(
                    Kind::GivenUp,
                    format!(
                        "nobody is at the terminal: the change is taken back at {end}, unless 'otpctl try --keep' keeps it"
                    ),
                ));
            }
        }
    }
}

fn explain(context: Context<'_>, service: &str, end: &str) {
    let report = context.report;
    report.hint(&format!("{service} asks for codes now, and until {end}."));
    report.hint(
        "Log in by it from another window, with a code: a new connection, not one that is open already.",
    );
    report.hint("Enter keeps the change then; Ctrl-C takes it back at once.");
}

/// Waits for something to happen; says once that somebody logged in.
fn next(
    context: Context<'_>,
    house: &House,
    pending: &Pending,
    terminal: &Terminal,
    told: &mut bool,
) -> Result<Wait, Failure> {
    let looks = house.store.users()?.len() <= FEW;
    let since = UnixTime::from_secs(pending.since);
    loop {
        let pressed = terminal.pressed(PACE);
        match pressed
            .map_err(|error| Failure::io("read from", Path::new("the terminal"), &error))?
        {
            Pressed::Enter => return Ok(Wait::Keep),
            Pressed::GiveUp => return Ok(Wait::TakeBack),
            Pressed::Gone => return Ok(Wait::Left),
            Pressed::Nothing => {}
        }
        if Pending::load()?.as_ref() != Some(pending) {
            return Ok(Wait::Over);
        }
        if pending.left()?.is_zero() {
            return Ok(Wait::TakeBack);
        }
        if looks && !*told {
            let now = clock::now();
            let seen = evidence::accepted(context, house, &pending.service, (since, now))?;
            if let Some(seen) = seen {
                *told = true;
                let seen = seen.told(&pending.service, now);
                context
                    .report
                    .hint(&format!("{seen} Press Enter to keep the change."));
            }
        }
    }
}

fn take_back(context: Context<'_>, pending: &Pending) -> Result<Ending, Failure> {
    let Some(_held) = pending::hold()? else {
        // The watch is at it, or somebody keeps it in this moment.
        return Err(busy());
    };
    if Pending::load()?.as_ref() == Some(pending) {
        return ended(context, &over(back::take_back(context, pending)?));
    }
    how_it_ended(context, pending)
}

fn how_it_ended(context: Context<'_>, pending: &Pending) -> Result<Ending, Failure> {
    let last = Ended::load()?.filter(|last| last.since == pending.since);
    let trial = last.map_or_else(|| Trial::new(None, State::None), over);
    ended(context, &trial)
}

fn ended(context: Context<'_>, trial: &Trial) -> Result<Ending, Failure> {
    context.report.answer(trial)?;
    Ok(match trial.state {
        State::Kept => Ending::Done,
        _ => Ending::No,
    })
}
