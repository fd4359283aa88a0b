//! Who takes the change back when the terminal, the connection or the machine is gone: a systemd unit that outlives all
//! three, or a process of its own where there is no systemd.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::unistd::setsid;

use super::back;
use super::host;
use super::pending::{self, Held, Pending};
use crate::command::Context;
use crate::failure::{Ending, Failure, Kind};

/// Ships with the package; started here, and at every boot while a change is pending.
const UNIT: &str = "otpctl-try.service";
/// How often the watch looks.
const PACE: Duration = Duration::from_millis(250);
/// A disk that took nothing is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long the watch may take to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has somebody watch over the trial that was saved; an error if nobody does.
pub(super) fn start() -> Result<(), Failure> {
    if host::has_systemd() && host::systemctl(&["start", UNIT]) && is_watched(PATIENCE)? {
        return Ok(());
    }
    let own = Path::new("this program");
    let program = std::env::current_exe().map_err(|error| Failure::io("find", own, &error))?;
    let started = Command::new(program)
        .args(["try", "--watch"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn();
    started.map_err(|error| Failure::io("start", own, &error))?;
    if is_watched(PATIENCE)? {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Busy,
        "nothing could be started that would take the change back, so nothing has changed",
    ))
}

/// Whether somebody watches, or begins to in this time.
pub(super) fn is_watched(patience: Duration) -> Result<bool, Failure> {
    let mut waited = Duration::ZERO;
    while pending::hold_watch()?.is_some() {
        if waited >= patience {
            return Ok(false);
        }
        thread::sleep(PACE);
        waited = waited.saturating_add(PACE);
    }
    Ok(true)
}

/// Waits for the time to be over and takes the change back, unless it was kept. What the unit and the process run.
pub(super) fn watch(context: Context<'_>) -> Result<Ending, Failure> {
    // Away from the terminal and its signals. A unit leads a session already.
    let _ = setsid();
    let mut watching: Option<Held> = None;
    while let Some(pending) = Pending::load()? {
        watching = match watching {
            None => pending::hold_watch()?,
            held => held,
        };
        let is_due = pending.left()?.is_zero();
        match is_due.then(|| end(context, &pending)) {
            Some(Err(failure)) => {
                context.report.failure(&failure);
                thread::sleep(AFTER_FAILURE);
            }
            _ => thread::sleep(PACE),
        }
    }
    drop(watching);
    Ok(Ending::Done)
}

/// Ends this trial, unless somebody else does.
fn end(context: Context<'_>, pending: &Pending) -> Result<(), Failure> {
    let Some(_held) = pending::hold()? else {
        return Ok(());
    };
    if Pending::load()?.as_ref() == Some(pending) {
        back::take_back(context, pending)?;
    }
    Ok(())
}
