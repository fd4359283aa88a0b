//! `show`: the QR code and the key again, for a second device. Logged.

use otp::enrollment::Kind;
use otp::state::AuthenticatorState;
use otp::store::Store;

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::journal::quoted;
use crate::qr::{self, Form, Saved};
use crate::report::enrollment::{Setup, Showing};
use crate::{account, choice, cli};

pub(super) fn run(context: Context<'_>, args: &cli::Show) -> Result<Ending, Failure> {
    let form = Form::parse(&args.qr.qr)?;
    let account = account::present(&args.user)?;
    let house = House::open(context.config)?;
    let record = house.store.read(&account)?;
    let authenticator = choice::authenticator(&record, args.which.name.as_deref(), "show")?;
    let entry = record
        .state
        .authenticator(authenticator.generation)
        .cloned();
    let entry = entry.unwrap_or_else(|| AuthenticatorState::fresh(authenticator.generation));
    let setup = Setup::of(account.name.as_str(), authenticator, &entry);
    let picture = qr::picture(&setup.uri)?;
    let saved = Saved::new(&picture, &form)?;
    // Logged before it is seen.
    let rest = format!("name={}", quoted(&authenticator.name));
    context.log("secret-shown", &rest, account.name.as_str());
    context.report.answer(&Showing {
        setup: &setup,
        picture: &picture,
        form: &form,
    })?;
    saved.keep();
    if authenticator.kind == Kind::Hotp {
        context.report.hint("It counts: on two devices each falls behind when the other is used. Better give the second a secret of its own (otpctl enroll --add).");
    }
    Ok(Ending::Done)
}
