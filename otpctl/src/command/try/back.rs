//! Taking a change back: each file that is still the one that was written, and no other.

use super::disk;
use super::host;
use super::pending::{Change, Ended, Pending, What};
use crate::clock;
use crate::command::Context;
use crate::failure::Failure;
use crate::pam_stack::MODULE;

/// Takes everything back that nobody edited meanwhile. Call it with the right to end a trial. May be done again after
/// a kill: what is taken back already is left alone.
pub(super) fn take_back(context: Context<'_>, pending: &Pending) -> Result<Ended, Failure> {
    let mut left = Vec::new();
    let of = |what| {
        pending
            .changes
            .iter()
            .find(move |change| change.what == what)
    };
    if let Some(change) = of(What::Pam) {
        left.extend(put_back(&pending.service, change)?);
    }
    // The line without the drop-in locks ssh: one goes only if the other does.
    if let Some(change) = of(What::DropIn) {
        if still_asks(&pending.service)? && of(What::Pam).is_some() {
            left.push(shown(&pending.service, change));
        } else {
            left.extend(put_back(&pending.service, change)?);
        }
        if let Err(why) = host::reload_sshd() {
            context.report.warning(&why);
        }
    }
    let ended = Ended {
        service: pending.service.clone(),
        kept: false,
        at: clock::now().as_secs(),
        left,
        since: pending.since,
    };
    ended.save()?;
    let rest = format!("service={} left={}", pending.service, ended.left.len());
    context.log("taken back", &rest, "root");
    Ok(ended)
}

/// Puts a file back; its name if it is another's work by now.
fn put_back(service: &str, change: &Change) -> Result<Option<String>, Failure> {
    let path = change.what.path(service);
    disk::clear(&path);
    let now = match disk::read(&path) {
        Ok(found) => found.map(|(text, _)| text),
        // A link, or another's: not what was written.
        Err(_) => return Ok(Some(shown(service, change))),
    };
    if now == change.before {
        return Ok(None);
    }
    if now.as_ref() != Some(&change.after) {
        return Ok(Some(shown(service, change)));
    }
    disk::put(&path, change.before.as_deref(), change.rights)
        .map_err(|error| Failure::io("put back", &path, &error))?;
    Ok(None)
}

/// Whether the service's own file names our module.
fn still_asks(service: &str) -> Result<bool, Failure> {
    let path = What::Pam.path(service);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|error| Failure::io("read", &path, &error))?,
    };
    let names = |line: &str| line.split('#').next().is_some_and(|it| it.contains(MODULE));
    Ok(text.lines().any(names))
}

fn shown(service: &str, change: &Change) -> String {
    change.what.path(service).display().to_string()
}
