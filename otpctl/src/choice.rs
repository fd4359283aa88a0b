//! Which of a user's authenticators is meant.

use otp::enrollment::Authenticator;
use otp::user::UserName;
use otp::verify::Record;

use crate::failure::{Failure, Kind};
use crate::journal::quoted;

/// The authenticator of this name, or without one the only one she has. `verb` is what it is wanted for.
pub(crate) fn authenticator<'a>(
    record: &'a Record,
    name: Option<&str>,
    verb: &str,
) -> Result<&'a Authenticator, Failure> {
    let enrollment = record.enrollment.as_ref();
    let known = enrollment.map_or(&[][..], |enrollment| &enrollment.authenticators);
    match (name, known) {
        (_, []) => Err(Failure::not_enrolled(&record.user)),
        (None, [only]) => Ok(only),
        (None, _) => Err(several(&record.user, known, verb)),
        (Some(name), _) => {
            let named = known.iter().find(|one| one.name == name);
            named.ok_or_else(|| no_such(&record.user, name, known))
        }
    }
}

/// She has several, and none was named.
pub(crate) fn several(user: &UserName, known: &[Authenticator], verb: &str) -> Failure {
    let first = known.first().map_or("NAME", |one| &one.name);
    Failure::usage(format!(
        "{user} has {}: say which, as in otpctl {verb} {user} --name {}",
        names(known),
        quoted(first)
    ))
}

/// She has none of that name.
pub(crate) fn no_such(user: &UserName, name: &str, known: &[Authenticator]) -> Failure {
    Failure::new(
        Kind::UnknownAuthenticator,
        format!(
            "{user} has no authenticator {}, and nothing has changed: she has {}",
            quoted(name),
            names(known)
        ),
    )
}

/// `the authenticators "app" and "token"`.
fn names(known: &[Authenticator]) -> String {
    let names: Vec<String> = known.iter().map(|one| quoted(&one.name)).collect();
    match names.split_last() {
        Some((only, [])) => format!("the authenticator {only}"),
        Some((last, others)) => format!("the authenticators {} and {last}", others.join(", ")),
        None => "others by now".to_owned(),
    }
}
