//! Who logged in by a service, with a code, after a moment. It is read from the records of the users, which are root's
//! alone and name the service: what a log says could have been written by anybody (ADR 11).

use otp::state::LastLogin;
use otp::store::Store;
use otp::time::UnixTime;

use crate::account;
use crate::command::Context;
use crate::failure::{Failure, Kind};
use crate::house::House;
use crate::report::trial::Acceptance;

/// More users than this are looked through only when somebody asks.
pub(super) const FEW: usize = 1000;

/// The latest acceptance by the service that is later than `since` and not in the future.
pub(super) fn accepted(
    context: Context<'_>,
    house: &House,
    service: &str,
    (since, now): (UnixTime, UnixTime),
) -> Result<Option<Acceptance>, Failure> {
    let mut latest: Option<Acceptance> = None;
    each_login(context, house, service, |user, login| {
        let counts = login.at > since && login.at <= now;
        if counts && latest.as_ref().is_none_or(|seen| seen.at.0 < login.at) {
            latest = Some(Acceptance::new(user, login));
        }
    })?;
    Ok(latest)
}

/// From when on an acceptance counts: after now, and after those a clock that was ahead has left.
pub(super) fn baseline(
    context: Context<'_>,
    house: &House,
    service: &str,
    now: UnixTime,
) -> Result<UnixTime, Failure> {
    let mut latest = now;
    each_login(context, house, service, |_, login| {
        latest = latest.max(login.at);
    })?;
    Ok(latest)
}

/// Whether somebody could answer the prompt at all.
pub(super) fn somebody_can_answer(house: &House, now: UnixTime) -> Result<(), Failure> {
    let can_answer = |name| {
        let record = account::kept(name).map(|account| house.store.read(&account));
        matches!(record, Ok(Ok(record)) if record.can_answer(now))
    };
    if house.store.users()?.iter().any(can_answer) {
        return Ok(());
    }
    Err(Failure::new(
        Kind::NotEnrolled,
        "nobody is enrolled, so nobody could log in to confirm: otpctl enroll USER",
    ))
}

/// The last login of everybody whose last was by this service. A record that cannot be read proves nothing.
fn each_login(
    context: Context<'_>,
    house: &House,
    service: &str,
    mut seen: impl FnMut(&str, LastLogin),
) -> Result<(), Failure> {
    let users = house.store.users()?;
    for (index, name) in users.iter().enumerate() {
        context
            .report
            .progress("looking at user", index, users.len());
        let record = account::kept(name).map(|account| house.store.read(&account));
        let last = match record {
            Ok(Ok(record)) => record.state.last,
            _ => None,
        };
        if let Some(login) =
            last.filter(|last| last.service.is_some_and(|by| by.as_str() == service))
        {
            seen(name.as_str(), login);
        }
    }
    Ok(())
}
