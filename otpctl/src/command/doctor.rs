//! doctor
use super::Context;
use crate::failure::{Ending, Failure};
use crate::report::health::{Check, Health};
pub(super) fn run(context: Context<'_>, service: &str) -> Result<Ending, Failure> {
    let health = Health { checks: vec![Check::good("x", service)] };
    context.report.answer(&health)?;
    Ok(Ending::Done)
}
