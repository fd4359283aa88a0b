//! `show`: the QR code and the key again, for a second device. Logged.

use otp::store::Store;

use super::Context;
use crate::account;
use crate::cli;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::qr::{Form, Picture, Saved};
use crate::report::enrollment::{Setup, Showing};

pub(super) fn run(context: Context<'_>, args: &cli::Show) -> Result<Ending, Failure> {
    let form = Form::parse(&args.qr.qr)?;
    let account = account::present(&args.user)?;
    let house = House::open(context.config)?;
    let enrollment = house.store.read(&account)?.enrollment;
    let authenticator = enrollment
        .as_ref()
        .and_then(|enrollment| enrollment.authenticators.first())
        .ok_or_else(|| Failure::not_enrolled(&account.name))?;
    let setup = Setup::of(account.name.as_str(), authenticator);
    let picture = Picture::of(&setup.uri)?;
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
