//! `sweep`: spent codes are deleted, those that nobody sent in time too, and what crashes left half-made.

use otp::store::Store;

use super::Context;
use crate::clock;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::shown::Swept;

pub(super) fn run(context: Context<'_>) -> Result<Ending, Failure> {
    let house = House::open(context.config)?;
    let names = house.store.users()?;
    let mut deleted = 0_u64;
    let mut ending = Ending::Done;
    for (index, name) in names.iter().enumerate() {
        context.report.progress("sweeping user", index, names.len());
        match house.store.sweep(name, clock::now()) {
            Ok(n) => deleted = deleted.saturating_add(n),
            Err(error) => {
                ending = Ending::AtFault;
                context.report.warning(&format!("{name}: {error}"));
            }
        }
    }
    house.store.clear_half_made(clock::now())?;
    house.store.sweep_queue(clock::now)?;
    context.report.answer(&Swept { deleted })?;
    Ok(ending)
}
