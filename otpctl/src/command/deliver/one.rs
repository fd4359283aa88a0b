//! One code, handed over: by whom, what came of it, and the log line.

use otp::delivery::Channel;
use otp::policy::{Policy, Via};
use otp::store::load_policy;
use otp::store::queue::{Delivery, Entry, Queue, Reason};

use super::program::{self, Job, Leavings};
use super::{mail, smtp};
use crate::clock;
use crate::command::Context;
use crate::failure::{Ending, Failure};
use crate::journal;

/// Why a code was not handed over, and what else there is to say of it in the log: `key=value`, nothing of the code.
pub(super) struct Trouble {
    pub(super) reason: Reason,
    pub(super) rest: String,
}

impl Trouble {
    pub(super) fn new(reason: Reason, rest: impl Into<String>) -> Self {
        let rest = rest.into();
        Self { reason, rest }
    }
}

/// Hands over an entry that was taken. It is put down before this ends, and how it ends says what came of it: done, or no, or
/// that there was nothing.
pub(super) fn run(context: Context<'_>, name: &str) -> Result<Ending, Failure> {
    program::close_what_we_inherited();
    let policy = load_policy(context.config)?.policy;
    let queue = Queue::open(&policy)?;
    let claimed = match queue.claim(name) {
        Ok(Some(claimed)) => claimed,
        // Withdrawn.
        Ok(None) => return Ok(Ending::AtFault),
        Err(error) => {
            context.report.warning(&error.to_string());
            queue.discard(name)?;
            return Ok(Ending::No);
        }
    };
    let (result, rest) = match hand_over(&policy, &claimed.entry) {
        Ok(rest) => (Delivery::Sent, rest),
        Err(trouble) => (Delivery::Failed(trouble.reason), trouble.rest),
    };
    log(context, &claimed.entry, result, &rest);
    queue.finish(claimed, result, clock::now())?;
    Ok(match result {
        Delivery::Sent => Ending::Done,
        Delivery::Failed(_) => Ending::No,
    })
}

/// One line for what came of it.
pub(super) fn log(context: Context<'_>, entry: &Entry, result: Delivery, rest: &str) {
    let (what, reason) = match result {
        Delivery::Sent => ("sent", String::new()),
        Delivery::Failed(reason) => ("failed", format!("reason={} ", reason.name())),
    };
    let gap = if rest.is_empty() { "" } else { " " };
    let line = format!(
        "{reason}channel={} to={} id={}{gap}{rest}",
        entry.channel(),
        entry.address.masked(),
        entry.id
    );
    if let Err(error) = journal::delivery(what, &line, entry.user.as_str()) {
        let warning = format!("this could not be logged (/dev/log: {error}): {what} {line}");
        context.report.warning(&warning);
    }
}

/// Gives it to whom the policy names; what else there is to say of it.
fn hand_over(policy: &Policy, entry: &Entry) -> Result<String, Trouble> {
    if entry.expires_at <= clock::now() {
        return Err(Trouble::new(Reason::Expired, ""));
    }
    if !policy.channel_is_on(entry.channel()) {
        return Err(Trouble::new(Reason::Off, ""));
    }
    match (entry.channel(), policy.email.via) {
        (Channel::Sms, _) => by_command(policy, entry),
        (Channel::Email, Via::Smtp) => {
            let message = mail::message(policy, entry)?;
            smtp::send(&policy.smtp, &message, policy.delivery.timeout).map(|()| String::new())
        }
        (Channel::Email, _) => by_sendmail(policy, entry),
    }
}

/// `CONTACT\nCODE\n` on its standard input.
fn by_command(policy: &Policy, entry: &Entry) -> Result<String, Trouble> {
    let Some((path, args)) = policy.sms.command.split_first() else {
        return Err(Trouble::new(Reason::Off, ""));
    };
    let input = zeroize::Zeroizing::new(format!(
        "{}\n{}\n",
        entry.address.as_str(),
        entry.code.as_str()
    ));
    program::run(&Job {
        path: path.as_ref(),
        args: &args.iter().map(String::as_str).collect::<Vec<_>>(),
        input: input.as_bytes(),
        user: &policy.delivery.user,
        limit: policy.delivery.timeout,
        leavings: Leavings::Killed,
    })
}

/// The interface that every mail system has: recipients from the headers, and a dot on a line ends nothing.
fn by_sendmail(policy: &Policy, entry: &Entry) -> Result<String, Trouble> {
    let message = zeroize::Zeroizing::new(mail::message(policy, entry)?.formatted());
    // Unix programs read lines that end as theirs do.
    let message = mail::unix_lines(&message);
    program::run(&Job {
        path: &policy.email.sendmail,
        args: &["-i", "-t"],
        input: &message,
        user: &policy.delivery.user,
        limit: policy.delivery.timeout,
        leavings: Leavings::Left,
    })
}
