//! `remove`: everything kept of a user goes.

use std::path::Path;

use otp::store::Store;
use otp::user::Account;
use otp::verify::Record;

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::pam_stack;
use crate::report::shown::Done;
use crate::report::standing::Status;
use crate::report::words;
use crate::{account, cli, clock};

pub(super) fn run(context: Context<'_>, args: &cli::Remove) -> Result<Ending, Failure> {
    let house = House::open(context.config)?;
    let account = account::present_or_kept(&args.user, &house.store)?;
    let user = words::printable(account.name.as_str());
    if !house.store.users()?.contains(&account.name) {
        return Err(Failure::nothing_kept(&account.name));
    }
    context.agrees(
        args.yes,
        &format!("This deletes the secret, the state and the codes of {user}."),
    )?;
    if !house.store.remove(&account)? {
        return Err(Failure::nothing_kept(&account.name));
    }
    context.log("removed", "", account.name.as_str());
    let record = Record::none(account.name.clone());
    let status = Status::of(&record, clock::now(), &house.policy);
    let status = status.with_gone(account.uid.is_none());
    let said = format!("{user} is removed. {}", afterwards(&account, &user));
    let status = &status;
    context.report.answer(&Done { said, status })?;
    Ok(Ending::Done)
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
