//! `status --watch`: the same again and again, on a screen or as lines for scripts. Between two looks nothing is open,
//! so nothing is locked and every look goes by the policy as it stands.

use std::time::{Duration, Instant};

use super::Context;
use super::status::{Seen, look};
use crate::failure::{Ending, Failure};
use crate::report::{Answer, Page, Report, Tint, words};
use crate::screen::{Screen, Woken};

pub(super) fn run(
    context: Context<'_>,
    user: Option<&str>,
    every: Duration,
) -> Result<Ending, Failure> {
    // What was asked for wrongly is told as it is without --watch.
    let mut seen = once(context, user);
    if let Err(failure) = seen {
        return Err(failure);
    }
    let is_drawn = context.report.is_drawn_on();
    let screen = Screen::take(is_drawn).map_err(|error| terminal(&error))?;
    let lines = Report::new(true);
    loop {
        if is_drawn {
            draw(context, &seen, every)?;
        } else {
            tell(&lines, user, &seen)?;
        }
        let due = Instant::now().checked_add(every);
        loop {
            match screen.wait(due).map_err(|error| terminal(&error))? {
                Woken::Due => break,
                Woken::Resized => draw(context, &seen, every)?,
                Woken::Ended => return Ok(Ending::Done),
            }
        }
        seen = once(context, user);
    }
}

fn once(context: Context<'_>, user: Option<&str>) -> Result<Seen, Failure> {
    look(context.config, user, &|_, _| {})
}

/// What could not be read, such as a user who is gone, is told in its place; the next look may find it again.
fn draw(
    context: Context<'_>,
    seen: &Result<Seen, Failure>,
    every: Duration,
) -> Result<(), Failure> {
    context.report.draw(|page| {
        match seen {
            Ok(seen) => seen.page(page),
            Err(failure) => {
                let text = words::printable(&failure.message);
                page.labelled("error: ", Tint::Bad, &text);
            }
        }
        foot(page, every);
    })
}

fn foot(page: &mut Page, every: Duration) {
    let at = words::log_stamp(page.now());
    let text = format!("{at}, every {}; Ctrl-C ends it", words::span(every));
    page.blank();
    page.paragraph(&text);
}

fn tell(lines: &Report, user: Option<&str>, seen: &Result<Seen, Failure>) -> Result<(), Failure> {
    match (seen, user) {
        (Ok(seen), _) => lines.answer(seen),
        (Err(failure), Some(user)) => lines.failure_of(user, failure),
        (Err(failure), None) => {
            lines.failure(failure);
            Ok(())
        }
    }
}

fn terminal(why: &std::io::Error) -> Failure {
    Failure::io("use", std::path::Path::new("the terminal"), why)
}
