//! `resync`: an authenticator that ran away is brought back into step. Lets nobody in.

use std::path::Path;

use nix::unistd::getuid;
use otp::enrollment::{Authenticator, Kind};
use otp::origin::Origin;
use otp::passcode::{Digits, Passcode};
use otp::policy::Policy;
use otp::resync::{CODES, Claim, Resynced, resync};
use otp::store::Store;
use otp::verify::{Changes, Reason, Record};

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::journal::quoted;
use crate::report::resynced::{Came, InStep};
use crate::terminal::{self, Echo, Terminal};
use crate::{account, choice, cli, clock};

pub(super) fn run(context: Context<'_>, args: &cli::Named) -> Result<Ending, Failure> {
    let account = account::present(&args.user)?;
    let house = House::open(context.config)?;
    let name = args.which.name.as_deref();
    // Told before anybody types; it is looked for again under the lock.
    let record = house.store.read(&account)?;
    let kind = choice::authenticator(&record, name, "resync")?.kind;
    let codes = asked(context, kind)?;
    let came = house.store.update(&account, |record| {
        match choice::authenticator(record, name, "resync") {
            Ok(authenticator) => {
                let (came, changes) = judged(record, authenticator, codes.as_ref(), &house.policy);
                (Ok(came), changes)
            }
            Err(failure) => (Err(failure), Changes::default()),
        }
    })??;
    log(context, account.name.as_str(), &came);
    context.report.answer(&InStep::new(&account.name, &came))?;
    Ok(match came.resynced {
        Resynced::Done { .. } => Ending::Done,
        Resynced::Refused(_) => Ending::No,
    })
}

/// Three answers; `None` where one of them is no code of digits.
fn asked(context: Context<'_>, kind: Kind) -> Result<Option<[Digits; CODES]>, Failure> {
    let terminal = if context.report.asks() {
        Some(Terminal::take().map_err(|error| unreadable(&error))?)
    } else {
        None
    };
    let prompts = match kind {
        Kind::Totp { .. } => [
            "Code it shows now: ",
            "The next it shows: ",
            "And the next: ",
        ],
        Kind::Hotp => ["A code: ", "The one after it: ", "And the one after that: "],
    };
    let mut codes = Vec::with_capacity(CODES);
    for prompt in prompts {
        let typed = match &terminal {
            Some(terminal) => terminal.ask(prompt, Echo::Shown),
            None => terminal::read_line().map(Some),
        };
        let typed = typed
            .map_err(|error| unreadable(&error))?
            .ok_or_else(Failure::given_up)?;
        match Passcode::parse(&typed) {
            Ok(Passcode::Digits(digits)) => codes.push(digits),
            _ => return Ok(None),
        }
    }
    Ok(codes.try_into().ok())
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::io("read from", Path::new("standard input"), error)
}

fn judged(
    record: &Record,
    authenticator: &Authenticator,
    codes: Option<&[Digits; CODES]>,
    policy: &Policy,
) -> (Came, Changes) {
    let (resynced, changes) = match codes {
        None => (Resynced::Refused(Reason::Malformed), Changes::default()),
        Some(codes) => {
            let claim = Claim {
                authenticator,
                codes,
                origin: Origin::Local(getuid().as_raw()),
                now: clock::now(),
            };
            resync(record, &claim, policy)
        }
    };
    let state = changes.state.as_ref().unwrap_or(&record.state);
    let entry = state.authenticator(authenticator.generation);
    let came = Came {
        name: authenticator.name.clone(),
        kind: authenticator.kind,
        digits: authenticator.length.digits(),
        resynced,
        next: entry.and_then(|entry| entry.used.next_counter()),
        max_drift: policy.max_drift,
    };
    (came, changes)
}

fn log(context: Context<'_>, user: &str, came: &Came) {
    let name = quoted(&came.name);
    match came.resynced {
        Resynced::Done { offset } => {
            let rest = format!("type={} offset={offset} name={name}", came.kind.name());
            context.log("resynced", &rest, user);
        }
        Resynced::Refused(reason) => {
            let offset = reason.offset();
            let offset = offset.map_or_else(String::new, |offset| format!(" offset={offset}"));
            let rest = format!("reason={}{offset} name={name}", reason.name());
            context.log("resync-refused", &rest, user);
        }
    }
}
