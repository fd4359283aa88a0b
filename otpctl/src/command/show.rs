//! `show`: the QR code and the key again, for a second device. Logged.

use otp::state::AuthenticatorState;
use otp::store::Store;

use super::Context;
use crate::account;
use crate::cli;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::qr::{self, Form, Saved};
use crate::report::enrollment::{Setup, Showing};

pub(super) fn run(context: Context<'_>, args: &cli::Show) -> Result<Ending, Failure> {
    let form = Form::parse(&args.qr.qr)?;
    let account = account::present(&args.user)?;
    let house = House::open(context.config)?;
    let record = house.store.read(&account)?;
    let authenticator = record
        .enrollment
        .as_ref()
        .and_then(|enrollment| enrollment.authenticators.first())
        .ok_or_else(|| Failure::not_enrolled(&account.name))?;
    let entry = record
        .state
        .authenticator(authenticator.generation)
        .cloned();
    let entry = entry.unwrap_or_else(|| AuthenticatorState::fresh(authenticator.generation));
    let setup = Setup::of(account.name.as_str(), authenticator, &entry);
    let picture = qr::picture(&setup.uri)?;
    let saved = Saved::new(&picture, &form)?;
    // Logged before it is seen.
    context.log("secret-shown", "", account.name.as_str());
    context.report.answer(&Showing {
        setup: &setup,
        picture: &picture,
        form: &form,
    })?;
    saved.keep();
    Ok(Ending::Done)
}
