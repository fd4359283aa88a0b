//! What could not be handed over is withdrawn: the store hears of it, which whoever delivers may not open.

use otp::policy::Policy;
use otp::store::queue::Queue;
use otp::store::{Error, FileStore, load_policy};

use crate::command::Context;
use crate::failure::{Ending, Failure};
use crate::journal;
use crate::report::delivered::Settled;

pub(super) fn run(context: Context<'_>) -> Result<Ending, Failure> {
    let policy = load_policy(context.config)?.policy;
    let queue = Queue::open(&policy)?;
    let settled = apply(context, &policy, &queue)?;
    context.report.answer(&settled)?;
    Ok(Ending::Done)
}

/// Tells the store of every failure that it has not heard of. One that it cannot take in is let go: the code ends when its
/// time is over.
pub(super) fn apply(
    context: Context<'_>,
    policy: &Policy,
    queue: &Queue,
) -> Result<Settled, Failure> {
    let mut settled = Settled::default();
    let outcomes = queue.unsettled()?;
    if outcomes.is_empty() {
        return Ok(settled);
    }
    let store = FileStore::open(policy)?;
    for outcome in outcomes {
        let user = outcome.user.as_str();
        match store.settle(&outcome) {
            Ok(true) => {
                settled.withdrawn = settled.withdrawn.saturating_add(1);
                let rest = format!("channel={} id={}", outcome.channel, outcome.id);
                if let Err(error) = journal::delivery("withdrawn", &rest, user) {
                    let text = format!("this could not be logged (/dev/log: {error})");
                    context.report.warning(&text);
                }
            }
            Ok(false) => {}
            // Whoever holds her lock is done soon; it is told again.
            Err(error @ Error::Busy { .. }) => {
                context.report.warning(&format!("{user}: {error}"));
                continue;
            }
            Err(error) => context.report.warning(&format!("{user}: {error}")),
        }
        queue.settled(&outcome)?;
    }
    Ok(settled)
}
