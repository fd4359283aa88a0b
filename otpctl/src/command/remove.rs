//! `remove`: everything kept of a user goes, or one of her authenticators.

use std::path::Path;

use otp::store::{Store, TakenAway};
use otp::user::{Account, UserName};
use otp::verify::Record;

use super::Context;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::journal::quoted;
use crate::pam_stack;
use crate::report::shown::Done;
use crate::report::standing::Status;
use crate::report::words;
use crate::{account, choice, cli, clock};

pub(super) fn run(context: Context<'_>, args: &cli::Remove) -> Result<Ending, Failure> {
    let house = House::open(context.config)?;
    let account = account::present_or_kept(&args.user, &house.store)?;
    let user = words::printable(account.name.as_str());
    if !house.store.users()?.contains(&account.name) {
        return Err(Failure::nothing_kept(&account.name));
    }
    if let Some(name) = &args.name {
        return one(context, &house, &account, name, args.yes);
    }
    context.agrees(
        args.yes,
        &format!("This deletes the secret, the state, the codes and the contacts of {user}."),
    )?;
    // Where they cannot be read they go all the same, and nobody knows.
    let kept = account::whoever_it_was(&account, |account| house.store.contacts(account));
    let reached = kept.is_ok_and(|contacts| !contacts.is_empty());
    if !house.store.remove(&account)? {
        return Err(Failure::nothing_kept(&account.name));
    }
    context.log("removed", "", account.name.as_str());
    let record = Record::none(account.name.clone());
    let status = Status::of(&record, clock::now(), &house.policy);
    let status = status.with_gone(account.uid.is_none());
    let contacts = if reached {
        " Her contacts are gone too, so no code is sent to her."
    } else {
        ""
    };
    let said = format!(
        "{user} is removed.{contacts} {}",
        afterwards(&account, &user)
    );
    let status = &status;
    context.report.answer(&Done { said, status })?;
    Ok(Ending::Done)
}

/// One authenticator of several goes; all else stays.
fn one(
    context: Context<'_>,
    house: &House,
    account: &Account,
    name: &str,
    yes: bool,
) -> Result<Ending, Failure> {
    let user = words::printable(account.name.as_str());
    let shown = quoted(name);
    let known = house.store.read(account)?.enrollment.unwrap_or_default();
    let known = &known.authenticators;
    match known.as_slice() {
        [] => return Err(Failure::not_enrolled(&account.name)),
        [only] if only.name == name => return Err(last(&account.name, name)),
        several if several.iter().all(|one| one.name != name) => {
            return Err(choice::no_such(&account.name, name, known));
        }
        _ => {}
    }
    context.agrees(
        yes,
        &format!("This takes the authenticator {shown} from {user}."),
    )?;
    match house.store.remove_authenticator(account, name)? {
        TakenAway::Gone => {}
        TakenAway::NoSuch => return Err(choice::no_such(&account.name, name, &[])),
        TakenAway::Last => return Err(last(&account.name, name)),
    }
    let rest = format!("name={shown}");
    context.log("authenticator-removed", &rest, account.name.as_str());
    let record = house.store.read(account)?;
    let status = Status::of(&record, clock::now(), &house.policy);
    let status = &status.with_gone(account.uid.is_none());
    let said = format!(
        "{shown} is removed: its codes are refused from now on. The rest of {user} is as it was."
    );
    context.report.answer(&Done { said, status })?;
    Ok(Ending::Done)
}

fn last(user: &UserName, name: &str) -> Failure {
    Failure::new(
        Kind::LastAuthenticator,
        format!(
            "{} is the only authenticator {user} has, and nothing has changed: 'otpctl remove {user}' takes everything of hers",
            quoted(name)
        ),
    )
}

/// Whether she can still log in.
fn afterwards(account: &Account, user: &str) -> String {
    if account.uid.is_none() {
        return "She is not in the passwd database either, so nobody logs in as her.".to_owned();
    }
    let lines = pam_stack::services_with_module(Path::new("/etc/pam.d"));
    let named = |nullok: bool| {
        let services = lines.iter().filter(|line| line.nullok == nullok);
        let names: Vec<String> = services
            .map(|line| words::printable(&line.service))
            .collect();
        names.join(", ")
    };
    match (named(false), named(true)) {
        (strict, lax) if strict.is_empty() && lax.is_empty() => {
            "No PAM service asks for a code, so nothing changes at her logins.".to_owned()
        }
        (strict, lax) if strict.is_empty() => {
            format!("She still logs in, without a code: the PAM line of {lax} has nullok.")
        }
        (strict, lax) if lax.is_empty() => {
            format!(
                "She cannot log in by {strict} any more: the PAM line there has no nullok. Next: otpctl enroll {user}"
            )
        }
        (strict, lax) => format!(
            "She cannot log in by {strict} any more, and still by {lax}, without a code (nullok). Next: otpctl enroll {user}"
        ),
    }
}
