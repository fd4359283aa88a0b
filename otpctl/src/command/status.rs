//! `status`: how a user stands, or the installation.

use std::path::Path;
use std::time::Duration;

use nix::unistd::{User, geteuid};
use otp::delivery::Channel;
use otp::door::client::{Door, NoAnswer};
use otp::door::wire::{Answer as Told, Asker, Question};
use otp::origin::Origin;
use otp::passwd;
use otp::store::queue::Delivery;
use otp::store::{Store, load_policy};
use serde::Serialize;

use super::{Context, list, watch};
use crate::cli;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::report::installation::{Installation, Sending};
use crate::report::standing::Status;
use crate::report::words::Stamp;
use crate::report::{Answer, Page};
use crate::{account, clock};

pub(super) fn run(context: Context<'_>, args: &cli::Status) -> Result<Ending, Failure> {
    let user = args.user.as_deref();
    if let Some(seconds) = args.watch {
        return watch::run(context, user, Duration::from_secs(seconds.into()));
    }
    let seen = look(context.config, user, &|done, of| {
        context.report.progress("reading user", done, of);
    })?;
    context.report.answer(&seen)?;
    Ok(seen.ending())
}

/// What was asked for.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Seen {
    User(Box<Status>),
    Installation(Box<Installation>),
}

/// Looks once, and keeps nothing open. `progress` hears how many users of how many were read.
pub(super) fn look(
    config: Option<&Path>,
    user: Option<&str>,
    progress: &dyn Fn(usize, usize),
) -> Result<Seen, Failure> {
    if !geteuid().is_root() {
        return of_oneself().map(|status| Seen::User(Box::new(status)));
    }
    let house = House::open(config)?;
    match user {
        Some(user) => of_user(&house, user).map(|status| Seen::User(Box::new(status))),
        None => of_installation(&house, progress).map(|all| Seen::Installation(Box::new(all))),
    }
}

/// Whether this is about whoever runs us.
pub(super) fn is_about_oneself(args: &cli::Status) -> bool {
    let Some(user) = &args.user else {
        return true;
    };
    let account = passwd::account(user.as_bytes());
    account.is_ok_and(|account| account.and_then(|it| it.uid) == Some(geteuid().as_raw()))
}

/// How whoever runs us stands. The store is root's alone, so otpd is asked.
fn of_oneself() -> Result<Status, Failure> {
    let uid = geteuid();
    let user = match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => {
            return Err(Failure::new(
                Kind::UnknownUser,
                format!("uid {uid} has no name here"),
            ));
        }
    };
    let policy = load_policy(None)?.policy;
    let Some(door) = Door::find(&policy.run_dir)? else {
        let missing = NoAnswer::NotThere(Door::path(&policy.run_dir));
        let text = format!("needs root ('sudo otpctl status {user}') or otpd: {missing}");
        return Err(Failure::new(Kind::NotPermitted, text));
    };
    let asker = Asker {
        user: user.clone().into_bytes(),
        service: None,
        remote: None,
        origin: Origin::Local(uid.as_raw()),
    };
    match door.ask(&asker, &Question::Status)? {
        Told::Stands(standing) => Ok(Status::new(&user, &standing, &policy).of_oneself()),
        _ => Err(Failure::new(
            Kind::Io,
            "otpd cannot tell: its own line in the log says why; ask an administrator of this machine",
        )),
    }
}

fn of_user(house: &House, user: &str) -> Result<Status, Failure> {
    let account = account::present_or_kept(user, &house.store)?;
    let record = house.store.read(&account)?;
    let status = Status::of(&record, clock::now(), &house.policy);
    let status = status.with_gone(account.uid.is_none());
    let Some(queue) = house.store.queue()? else {
        return Ok(status);
    };
    let told = Channel::ALL.map(|channel| queue.outcome_of(&account.name, channel));
    let told: Result<Vec<_>, _> = told.into_iter().collect();
    let told: Vec<_> = told?.into_iter().flatten().collect();
    Ok(status.with_outcomes(&told))
}

/// How the sending of codes stands.
pub(super) fn sending(house: &House) -> Result<Sending, Failure> {
    let mut sending = Sending {
        on: house.policy.delivers(),
        sent_in_last_hour: house.store.sent_lately(clock::now())?,
        ..Sending::default()
    };
    if let Some(queue) = house.store.queue()? {
        let (waiting, oldest) = queue.waiting()?;
        sending.waiting = waiting;
        sending.oldest_at = oldest.map(Stamp);
        let outcomes = queue.outcomes()?.into_iter();
        let failed = outcomes.filter(|outcome| outcome.result != Delivery::Sent);
        sending.failed = failed.count();
    }
    Ok(sending)
}

fn of_installation(
    house: &House,
    progress: &dyn Fn(usize, usize),
) -> Result<Installation, Failure> {
    let mut installation = Installation {
        state_dir: house.policy.state_dir.display().to_string(),
        spool_dir: house.policy.spool_dir.display().to_string(),
        sending: sending(house)?,
        ..Installation::default()
    };
    let names = house.store.users()?;
    for (index, name) in names.iter().enumerate() {
        progress(index, names.len());
        match list::status_of(house, name) {
            Ok(status) => installation.count(&status),
            Err(_) => installation.damaged.push(name.to_string()),
        }
    }
    Ok(installation)
}

impl Seen {
    fn ending(&self) -> Ending {
        match self {
            Self::Installation(seen) if !seen.damaged.is_empty() => Ending::AtFault,
            _ => Ending::Done,
        }
    }
}

impl Answer for Seen {
    fn page(&self, page: &mut Page) {
        match self {
            Self::User(status) => status.page(page),
            Self::Installation(installation) => installation.page(page),
        }
    }
}
