//! `revoke`: issued codes, good no longer.

use otp::issued::CodeId;
use otp::store::Store;
use otp::user::Account;

use super::Context;
use crate::cli;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::report::codes::Revoked;
use crate::{account, clock};

/// So much of an id names a code where no other of the user's begins alike.
const SHORTEST_ID: usize = 4;
/// Characters of an id.
const ID_LENGTH: usize = 8;

pub(super) fn run(context: Context<'_>, args: &cli::Revoke) -> Result<Ending, Failure> {
    let house = House::open(context.config)?;
    let Some(user) = &args.user else {
        return everyone(context, &house, args.yes);
    };
    let account = account::present_or_kept(user, &house.store)?;
    let ids = match &args.id {
        None => of_user(&house, &account, |_| true)?,
        Some(typed) => vec![one(&house, &account, typed)?],
    };
    log(context, &account, &ids);
    answer(context, Some(account.name.to_string()), &ids)
}

fn everyone(context: Context<'_>, house: &House, yes: bool) -> Result<Ending, Failure> {
    context.agrees(yes, "This revokes every issued code of every user.")?;
    let names = house.store.users()?;
    let mut revoked = Vec::new();
    let mut ending = Ending::Done;
    for (index, name) in names.iter().enumerate() {
        context
            .report
            .progress("revoking of user", index, names.len());
        let account = account::gone(name);
        match of_user(house, &account, |_| true) {
            Ok(ids) => {
                log(context, &account, &ids);
                revoked.extend(ids);
            }
            Err(failure) => {
                ending = Ending::AtFault;
                let text = format!("{name}: {}", failure.message);
                context.report.warning(&text);
            }
        }
    }
    answer(context, None, &revoked)?;
    Ok(ending)
}

/// The one code that an id, or the beginning of one, names.
fn one(house: &House, account: &Account, typed: &str) -> Result<CodeId, Failure> {
    let is_id = (SHORTEST_ID..=ID_LENGTH).contains(&typed.len())
        && typed
            .chars()
            .all(|letter| matches!(letter, '0'..='9' | 'a'..='f'));
    if !is_id {
        let shown = typed.escape_debug();
        let name = &account.name;
        return Err(Failure::usage(format!(
            "{shown} is no id of a code: it takes 4 to 8 of 0-9 and a-f, as 'otpctl status {name}' shows them"
        )));
    }
    let now = clock::now();
    let record = account::whoever_it_was(account, |account| house.store.read(account))?;
    let live = record.issued.iter().filter(|code| code.is_live(now));
    let meant: Vec<CodeId> = live
        .map(|code| code.id)
        .filter(|id| id.to_string().starts_with(typed))
        .collect();
    let [id] = meant.as_slice() else {
        return Err(not_one(account, typed, meant.len()));
    };
    let revoked = of_user(house, account, |candidate| candidate == *id)?;
    revoked
        .first()
        .copied()
        .ok_or_else(|| not_one(account, typed, 0))
}

fn not_one(account: &Account, typed: &str, found: usize) -> Failure {
    let name = &account.name;
    if found > 1 {
        return Failure::usage(format!(
            "{found} codes of {name} begin with {typed}: type more of the id ('otpctl status {name}' has it)"
        ));
    }
    Failure::new(
        Kind::UnknownCode,
        format!("{name} has no live code {typed}: 'otpctl status {name}' shows those there are"),
    )
}

fn of_user(
    house: &House,
    account: &Account,
    which: impl Fn(CodeId) -> bool,
) -> Result<Vec<CodeId>, Failure> {
    Ok(house.store.revoke(account, clock::now(), which)?)
}

fn log(context: Context<'_>, account: &Account, ids: &[CodeId]) {
    if !ids.is_empty() {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let rest = format!("id={}", ids.join(","));
        context.log("revoked", &rest, account.name.as_str());
    }
}

fn answer(context: Context<'_>, user: Option<String>, ids: &[CodeId]) -> Result<Ending, Failure> {
    let revoked = ids.iter().map(ToString::to_string).collect();
    context.report.answer(&Revoked { user, revoked })?;
    Ok(Ending::Done)
}
