//! `status`: how a user stands, or the installation.

use otp::store::Store;

use super::{Context, list};
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::installation::Installation;
use crate::report::standing::Status;
use crate::{account, clock};

pub(super) fn run(context: Context<'_>, user: Option<&str>) -> Result<Ending, Failure> {
    let house = House::open(context.config)?;
    match user {
        Some(user) => of_user(context, &house, user),
        None => of_installation(context, &house),
    }
}

fn of_user(context: Context<'_>, house: &House, user: &str) -> Result<Ending, Failure> {
    let account = account::present_or_kept(user, &house.store)?;
    let record = house.store.read(&account)?;
    let status = Status::of(&record, clock::now(), &house.policy).with_gone(account.uid.is_none());
    context.report.answer(&status)?;
    Ok(Ending::Done)
}

fn of_installation(context: Context<'_>, house: &House) -> Result<Ending, Failure> {
    let mut installation = Installation {
        state_dir: house.policy.state_dir.display().to_string(),
        spool_dir: house.policy.spool_dir.display().to_string(),
        ..Installation::default()
    };
    let names = house.store.users()?;
    for (index, name) in names.iter().enumerate() {
        context.report.progress("reading user", index, names.len());
        match list::status_of(house, name) {
            Ok(status) => installation.count(&status),
            Err(_) => installation.damaged.push(name.to_string()),
        }
    }
    context.report.answer(&installation)?;
    Ok(if installation.damaged.is_empty() {
        Ending::Done
    } else {
        Ending::AtFault
    })
}
