//! `try`: makes a service ask for codes, and takes that back by itself unless somebody logs in with one (ADR 11).
//! What would change is in [`plan`], what stands of it on the disk in [`pending`], who takes it back in [`guard`].

mod back;
mod diff;
mod disk;
mod evidence;
mod guard;
pub(super) mod host;
mod pending;
mod plan;
mod wait;

use std::time::Duration;

use otp::policy::parse_duration;
use otp::time::UnixTime;

use super::Context;
use super::doctor::machine;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::report::trial::{Proposal, State, Trial};
use crate::report::words::Stamp;
use crate::{cli, clock};
use pending::{Change, Ended, Held, Pending, What};

/// Nobody logs in faster.
const SHORTEST: Duration = Duration::from_secs(5);
/// Longer than this somebody else may be locked out meanwhile.
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) fn run(context: Context<'_>, args: &cli::Try) -> Result<Ending, Failure> {
    if args.watch {
        return guard::watch(context);
    }
    match &args.service {
        Some(service) => start(context, args, service),
        None if args.keep => keep(context),
        None if args.due => roll_back_due(context),
        None if args.roll_back => roll_back(context),
        None => show(context),
    }
}

/// Shows the change, asks, makes it, and waits for the login that proves it.
fn start(context: Context<'_>, args: &cli::Try, service: &str) -> Result<Ending, Failure> {
    let service = plan::service(service)?;
    let service = service.as_str();
    let time = time(args)?;
    let held = begin()?;
    let house = House::open(context.config)?;
    evidence::somebody_can_answer(&house, clock::now())?;
    let changes = plan::changes(args, service, context.config)?;
    if changes.is_empty() {
        let trial = Trial::new(Some(service.to_owned()), State::Unchanged);
        context.report.answer(&trial)?;
        return Ok(Ending::Done);
    }
    let module = machine::module();
    if !module.ok {
        let fix = module.fix.unwrap_or_default();
        return Err(Failure::new(
            Kind::Missing,
            format!("{}: {fix}", module.detail),
        ));
    }
    let diff = shown(service, &changes);
    if !context.report.is_json() {
        context.report.answer(&Proposal { diff: &diff })?;
    }
    if let Some(warning) = plan::warning(service) {
        context.report.warning(warning);
    }
    let span = crate::report::words::span(time);
    context.agrees(
        args.yes,
        &format!("Try this? It takes itself back after {span} unless you confirm it."),
    )?;
    let now = clock::now();
    let since = evidence::baseline(context, &house, service, now)?;
    let pending = Pending::new(service, context.config, (since, now), time, changes)?;
    in_force(context, &pending, args.key)?;
    drop(held);
    if context.report.asks() {
        return wait::wait(context, &house, &pending);
    }
    let mut trial = standing(&pending);
    trial.diff = Some(diff);
    context.report.answer(&trial)?;
    Ok(Ending::Done)
}

/// The right to begin a trial, if none is going on.
fn begin() -> Result<Held, Failure> {
    let held = pending::hold()?.ok_or_else(busy)?;
    let Some(other) = Pending::load()? else {
        return Ok(held);
    };
    Err(Failure::new(
        Kind::Pending,
        format!(
            "a change of {} is being tried already: otpctl try --keep, or otpctl try --roll-back",
            other.service
        ),
    ))
}

/// Makes the change, once somebody is there to take it back. The drop-in first: the line without it locks ssh.
fn in_force(context: Context<'_>, pending: &Pending, key: bool) -> Result<(), Failure> {
    pending.save()?;
    let done = guard::start().and_then(|()| {
        let mut order: Vec<&Change> = pending.changes.iter().collect();
        order.sort_by_key(|change| change.what == What::Pam);
        order.into_iter().try_for_each(|change| {
            let path = change.what.path(&pending.service);
            disk::put(&path, Some(&change.after), change.rights)
                .map_err(|error| Failure::io("write", &path, &error))?;
            match change.what {
                What::DropIn => sshd_goes_by_it(context, key),
                What::Pam => Ok(()),
            }
        })
    });
    if let Err(failure) = done {
        back::take_back(context, pending)?;
        return Err(failure);
    }
    context.log("tried", &format!("service={}", pending.service), "root");
    Ok(())
}

fn sshd_goes_by_it(context: Context<'_>, key: bool) -> Result<(), Failure> {
    let refused = |why| Failure::new(Kind::NotUnderstood, format!("{why}. Nothing has changed"));
    host::check_sshd(plan::methods(key)).map_err(refused)?;
    if !host::reload_sshd().map_err(refused)? {
        context
            .report
            .warning("no sshd is running, so none was told: it reads its files when it starts");
    }
    Ok(())
}

/// Keeps what is being tried, if somebody logged in by it.
fn keep(context: Context<'_>) -> Result<Ending, Failure> {
    let pending = Pending::load()?.ok_or_else(nothing_tried)?;
    let house = House::open(pending.config.as_deref())?;
    let kept = keep_pending(context, &house, &pending)?;
    context.report.answer(&kept)?;
    Ok(Ending::Done)
}

/// Keeps this trial: refused without a login after the change, and once its time is over.
fn keep_pending(context: Context<'_>, house: &House, pending: &Pending) -> Result<Trial, Failure> {
    let since = UnixTime::from_secs(pending.since);
    let service = &pending.service;
    let seen = evidence::accepted(context, house, service, (since, clock::now()))?;
    let seen = seen.ok_or_else(|| {
        Failure::new(
            Kind::Unconfirmed,
            format!(
                "nobody has logged in by {service} with a code since the change, so it is not kept: log in from another window, then try again"
            ),
        )
    })?;
    let _held = pending::hold()?.ok_or_else(busy)?;
    if Pending::load()?.as_ref() != Some(pending) || pending.left()?.is_zero() {
        return Err(nothing_tried());
    }
    let ended = Ended {
        service: service.clone(),
        kept: true,
        at: clock::now().as_secs(),
        left: Vec::new(),
        since: pending.since,
    };
    ended.save()?;
    context.log("kept", &format!("service={service}"), &seen.user);
    let mut trial = Trial::new(Some(service.clone()), State::Kept);
    trial.confirmed_by = Some(seen);
    Ok(trial)
}

/// Takes back what is being tried, now.
fn roll_back(context: Context<'_>) -> Result<Ending, Failure> {
    let _held = pending::hold()?.ok_or_else(busy)?;
    let pending = Pending::load()?.ok_or_else(nothing_tried)?;
    let ended = back::take_back(context, &pending)?;
    context.report.answer(&over(ended))?;
    Ok(Ending::Done)
}

/// Takes back what should be by now; what the unit does first at a boot, before sshd starts.
fn roll_back_due(context: Context<'_>) -> Result<Ending, Failure> {
    let pending = Pending::load()?;
    let left = pending.as_ref().map(Pending::left).transpose()?;
    match left {
        Some(Duration::ZERO) => roll_back(context),
        _ => Ok(Ending::Done),
    }
}

/// What is being tried, or how the last trial ended.
fn show(context: Context<'_>) -> Result<Ending, Failure> {
    let trial = match (Pending::load()?, Ended::load()?) {
        (Some(pending), _) => {
            let mut trial = standing(&pending);
            let house = House::open(pending.config.as_deref())?;
            let since = UnixTime::from_secs(pending.since);
            trial.confirmed_by =
                evidence::accepted(context, &house, &pending.service, (since, clock::now()))?;
            if !guard::is_watched(Duration::ZERO)? {
                context.report.warning(
                    "nothing watches over it, so nothing takes it back: otpctl try --roll-back",
                );
            }
            trial
        }
        (None, Some(ended)) => over(ended),
        (None, None) => Trial::new(None, State::None),
    };
    context.report.answer(&trial)?;
    Ok(Ending::Done)
}

fn standing(pending: &Pending) -> Trial {
    let mut trial = Trial::new(Some(pending.service.clone()), State::Pending);
    trial.until = Some(Stamp(UnixTime::from_secs(pending.until)));
    trial
}

fn over(ended: Ended) -> Trial {
    let state = if ended.kept {
        State::Kept
    } else {
        State::TakenBack
    };
    let mut trial = Trial::new(Some(ended.service), state);
    trial.left = ended.left;
    trial
}

fn shown(service: &str, changes: &[Change]) -> String {
    let one = |change: &Change| {
        let path = change.what.path(service);
        diff::unified(
            &path.display().to_string(),
            change.before.as_deref(),
            Some(&change.after),
        )
    };
    changes.iter().map(one).collect()
}

fn time(args: &cli::Try) -> Result<Duration, Failure> {
    let time = match &args.timeout {
        Some(text) => parse_duration(text)
            .ok_or_else(|| Failure::usage("--timeout takes a time such as 90s or 2m"))?,
        None => Duration::from_secs(u64::from(args.minutes).saturating_mul(60)),
    };
    if (SHORTEST..=LONGEST).contains(&time) {
        return Ok(time);
    }
    Err(Failure::usage("a change is tried for 5s to 1h"))
}

fn busy() -> Failure {
    Failure::new(
        Kind::Busy,
        "another otpctl try is at work: wait a moment, then try again",
    )
}

fn nothing_tried() -> Failure {
    Failure::new(
        Kind::NothingTried,
        "nothing is being tried: its time was over, or it was kept or taken back; otpctl try says which",
    )
}
