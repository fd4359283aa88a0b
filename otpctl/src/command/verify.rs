//! `verify`: an answer judged as at a login, and used up. Its origin is the local console.

use std::path::Path;

use nix::unistd::getuid;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::store::Store;
use otp::user::Account;
use otp::verify::{Attempt, Outcome, Reason, Verdict, verify};

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::codes::Verified;
use crate::terminal::{self, Echo};
use crate::{account, clock};

pub(super) fn run(context: Context<'_>, user: &str) -> Result<Ending, Failure> {
    let account = account::present(user)?;
    let house = House::open(context.config)?;
    let typed = terminal::ask_or_read(context.report.asks(), "One-time code: ", Echo::Hidden)
        .map_err(|error| Failure::io("read from", Path::new("standard input"), &error))?
        .ok_or_else(Failure::given_up)?;
    let verdict = match Passcode::parse(&typed) {
        Ok(passcode) => judged(&house.store, &account, &passcode, &house.policy)?,
        Err(_) => Verdict::Refused(Reason::Malformed),
    };
    context
        .report
        .answer(&Verified::new(account.name.as_str(), verdict))?;
    Ok(match verdict {
        Verdict::Accepted(_) => Ending::Done,
        Verdict::Refused(_) => Ending::No,
    })
}

/// What a login would say. Durable before it is told.
pub(super) fn judged(
    store: &impl Store,
    account: &Account,
    passcode: &Passcode,
    policy: &Policy,
) -> Result<Verdict, Failure> {
    let verdict = store.update(account, |record| {
        let attempt = Attempt {
            passcode,
            origin: Origin::Local(getuid().as_raw()),
            now: clock::now(),
        };
        let Outcome { verdict, changes } = verify(record, &attempt, policy);
        (verdict, changes)
    })?;
    Ok(verdict)
}
