//! `list`: everybody of whom something is kept, one a line. Holds no more in memory than the names.

use otp::store::Store;
use otp::user::UserName;

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::standing::{Listed, Status};
use crate::report::words;
use crate::{account, clock};

pub(super) fn run(context: Context<'_>) -> Result<Ending, Failure> {
    let house = House::open(context.config)?;
    let names = house.store.users()?;
    let widths = names
        .iter()
        .map(|name| words::columns(&words::printable(name.as_str())));
    let column = widths.max().unwrap_or(0);
    let mut ending = Ending::Done;
    let mut listed = 0_usize;
    for (index, name) in names.iter().enumerate() {
        if !context.report.is_seen() {
            context.report.progress("reading user", index, names.len());
        }
        match status_of(&house, name) {
            Ok(status) if status.is_somebody() => {
                listed = listed.saturating_add(1);
                let status = &status;
                context.report.answer(&Listed { status, column })?;
            }
            Ok(_) => {}
            Err(failure) => {
                ending = Ending::AtFault;
                context.report.failure_of(name.as_str(), &failure)?;
            }
        }
    }
    if listed == 0 && ending == Ending::Done {
        context
            .report
            .hint("Nobody is enrolled, has a contact, or a code that is pending. Next: otpctl enroll USER");
    }
    Ok(ending)
}

/// How a user of whom something is kept stands.
pub(super) fn status_of(house: &House, name: &UserName) -> Result<Status, Failure> {
    let account = account::kept(name)?;
    let record = house.store.read(&account)?;
    let status = Status::of(&record, clock::now(), &house.policy);
    Ok(status.with_gone(account.uid.is_none()))
}
