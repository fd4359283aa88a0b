//! `enroll`: a secret is drawn, shown once, proved to have arrived, and only then kept.

use std::path::Path;

use nix::unistd::gethostname;
use otp::enrollment::{Authenticator, Generation, Kind as Moves, RecoveryList};
use otp::hotp::{Algorithm, CodeLength};
use otp::keyed::DigestKey;
use otp::passcode::RecoveryCode;
use otp::secret::Secret;
use otp::state::AuthenticatorState;
use otp::store::{Enrolled, NewEnrollment, Place, Store};
use otp::time::Period;
use otp::user::{Account, UserName};
use zeroize::Zeroizing;

use super::Context;
use crate::cli;
use crate::confirm;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::qr::{self, Form, Saved};
use crate::report::enrollment::{Setup, Showing, Welcome};
use crate::terminal::{self, Echo, Terminal};
use crate::{account, clock, entropy};

/// The longest issuer or label, in bytes: an app shows little more, and a QR code has to hold it.
const MAX_TEXT: usize = 128;
/// What an authenticator is called that was given no name.
const FIRST_NAME: &str = "app";

pub(super) fn run(context: Context<'_>, args: &cli::Enroll) -> Result<Ending, Failure> {
    check(args)?;
    let form = Form::parse(&args.qr.qr)?;
    let account = account::present(&args.user)?;
    let mut authenticator = described(args, &account)?;
    let house = House::make(context.config)?;
    refuse_second(&house, &account, args.replace)?;

    if args.secret.is_some() {
        authenticator.secret = given_secret(context)?;
    }
    let mut started = AuthenticatorState::fresh(authenticator.generation);
    let setup = Setup::of(account.name.as_str(), &authenticator, &started);
    let picture = qr::picture(&setup.uri)?;
    let showing = Showing {
        setup: &setup,
        picture: &picture,
        form: &form,
    };

    let confirms = context.report.asks() && context.report.is_seen() && !args.no_confirm;
    // While somebody is asked, Ctrl-C is an answer: taken before there is a file to take away again.
    let terminal = if confirms {
        Some(take_terminal()?)
    } else {
        None
    };
    let saved = Saved::new(&picture, &form)?;
    let confirmed = match &terminal {
        Some(terminal) => {
            context.report.answer(&showing)?;
            Some(confirm::first_code(
                context.report,
                terminal,
                &authenticator,
                &started,
                &house.policy,
            )?)
        }
        None => None,
    };
    if let Some(proof) = &confirmed {
        started = proof.state.clone();
    }
    let (came_of_it, recovery_codes) = keep(&house, &account, (authenticator, started), args)?;
    saved.keep();
    drop(terminal);
    log(context, &account, came_of_it, args.recovery_codes);

    if confirmed.is_none() && !context.report.is_json() {
        context.report.answer(&showing)?;
    }
    context.report.answer(&Welcome {
        setup: &setup,
        came_of_it,
        recovery_codes: &recovery_codes,
        confirmed: confirmed.map(|proof| proof.offset),
    })?;
    Ok(Ending::Done)
}

/// What the shapes of the command line cannot say.
fn check(args: &cli::Enroll) -> Result<(), Failure> {
    if args.kind == cli::Type::Hotp {
        return Err(Failure::usage(
            "--type hotp comes with a later version; leave it out for time-based codes",
        ));
    }
    if args.secret.as_deref().is_some_and(|given| given != "-") {
        // Not repeated here: it is in the shell's history already.
        return Err(Failure::usage(
            "--secret takes - alone, and reads the secret from standard input: what stands on a command line is seen by others",
        ));
    }
    Ok(())
}

/// The authenticator that was asked for, with a fresh secret.
fn described(args: &cli::Enroll, account: &Account) -> Result<Authenticator, Failure> {
    let mut rng = entropy::system()?;
    let issuer = match &args.issuer {
        Some(issuer) => issuer.clone(),
        None => host_name(),
    };
    let label = args.label.as_deref().unwrap_or(account.name.as_str());
    check_text("--issuer", &issuer)?;
    check_text("--label", label)?;
    let length = CodeLength::new(args.digits.into()).unwrap_or(CodeLength::SIX);
    let period = Period::from_secs(args.period.into()).unwrap_or(Period::THIRTY);
    Ok(Authenticator {
        name: FIRST_NAME.to_owned(),
        generation: Generation::draw(&mut rng),
        kind: Moves::Totp { period },
        secret: Secret::draw(&mut rng),
        algorithm: match args.algorithm {
            cli::Hash::Sha1 => Algorithm::Sha1,
            cli::Hash::Sha256 => Algorithm::Sha256,
            cli::Hash::Sha512 => Algorithm::Sha512,
        },
        length,
        issuer,
        label: label.to_owned(),
        enrolled_at: clock::now(),
    })
}

fn host_name() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The Key URI format splits issuer and label at a colon, and apps show both as they are.
fn check_text(flag: &str, text: &str) -> Result<(), Failure> {
    let wrong = if text.is_empty() {
        "it is empty"
    } else if text.contains(':') {
        "apps split it at the colon"
    } else if text.chars().any(char::is_control) {
        "it has a control character in it"
    } else if text.len() > MAX_TEXT {
        "it is longer than 128 bytes"
    } else {
        return Ok(());
    };
    let shown = text.escape_debug();
    Err(Failure::usage(format!(
        "{flag} \"{shown}\": {wrong}; write it otherwise"
    )))
}

/// Told before anything is shown; the store looks again when it commits.
fn refuse_second(house: &House, account: &Account, replace: bool) -> Result<(), Failure> {
    if !replace && house.store.read(account)?.enrollment.is_some() {
        return Err(already(&account.name));
    }
    Ok(())
}

fn already(user: &UserName) -> Failure {
    Failure::new(
        Kind::AlreadyEnrolled,
        format!(
            "{user} is enrolled already and nothing has changed: 'otpctl show {user}' for a second device, 'otpctl enroll {user} --replace' for a new secret"
        ),
    )
}

fn given_secret(context: Context<'_>) -> Result<Secret, Failure> {
    let typed = terminal::ask_or_read(context.report.asks(), "Secret (base32): ", Echo::Hidden)
        .map_err(|error| Failure::io("read from", Path::new("standard input"), &error))?
        .ok_or_else(Failure::given_up)?;
    let text = std::str::from_utf8(&typed).unwrap_or("?");
    Secret::from_base32(text).map_err(|bad| Failure::usage(bad.to_string()))
}

fn take_terminal() -> Result<Terminal, Failure> {
    Terminal::take().map_err(|error| Failure::io("ask at", Path::new("the terminal"), &error))
}

/// Makes it last. Until here nothing was written.
fn keep(
    house: &House,
    account: &Account,
    authenticator: (Authenticator, AuthenticatorState),
    args: &cli::Enroll,
) -> Result<(Enrolled, Vec<Zeroizing<String>>), Failure> {
    let (list, codes) = match args.recovery_codes {
        0 => (None, Vec::new()),
        count => {
            let mut rng = entropy::system()?;
            let key = house.store.digest_key(|| DigestKey::draw(&mut rng))?;
            let (list, codes) = RecoveryList::draw(&mut rng, &key, &account.name, count);
            (
                Some(list),
                codes.iter().map(RecoveryCode::to_grouped).collect(),
            )
        }
    };
    let new = NewEnrollment {
        authenticators: vec![authenticator],
        recovery: list,
        place: if args.replace {
            Place::InsteadOf(None)
        } else {
            Place::First
        },
    };
    match house.store.enroll(account, new)? {
        Enrolled::Already => Err(already(&account.name)),
        came_of_it => Ok((came_of_it, codes)),
    }
}

fn log(context: Context<'_>, account: &Account, came_of_it: Enrolled, recovery_codes: u8) {
    let what = match came_of_it {
        Enrolled::Replaced => "enrolled-anew",
        _ => "enrolled",
    };
    let rest = format!("type=totp recovery-codes={recovery_codes}");
    context.log(what, &rest, account.name.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_uri_or_the_screen_is_refused() {
        assert!(check_text("--label", "alice@corp.example").is_ok());
        assert!(check_text("--issuer", "Müller & Co").is_ok());
        for text in ["", "a:b", "a\nb", "a\x1b[2J", &"x".repeat(129)] {
            assert_eq!(check_text("--label", text).unwrap_err().kind, Kind::Usage);
        }
    }
}
