//! `recovery`: a new list of recovery codes in the place of the old one.

use otp::enrollment::RecoveryList;
use otp::keyed::DigestKey;
use otp::passcode::RecoveryCode;
use otp::store::Store;

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::enrollment::Recovery;
use crate::{account, entropy};

/// Codes of a new list.
const COUNT: u8 = 10;

pub(super) fn run(context: Context<'_>, user: &str) -> Result<Ending, Failure> {
    let account = account::present(user)?;
    let house = House::open(context.config)?;
    if house.store.read(&account)?.enrollment.is_none() {
        return Err(Failure::not_enrolled(&account.name));
    }
    let mut rng = entropy::system()?;
    let key = house.store.digest_key(|| DigestKey::draw(&mut rng))?;
    let (list, codes) = RecoveryList::draw(&mut rng, &key, &account.name, COUNT);
    let codes: Vec<_> = codes.iter().map(RecoveryCode::to_grouped).collect();
    if !house.store.replace_recovery(&account, list)? {
        return Err(Failure::not_enrolled(&account.name));
    }
    let rest = format!("recovery-codes={COUNT}");
    context.log("recovery-replaced", &rest, account.name.as_str());
    context.report.answer(&Recovery {
        user: account.name.as_str(),
        recovery_codes: &codes,
    })?;
    Ok(Ending::Done)
}
