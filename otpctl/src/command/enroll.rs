//! `enroll`: a secret is drawn, shown once, proved to have arrived, and only then kept.

use std::path::Path;

use otp::enrollment::{
    Authenticator, Generation, Kind as Moves, MAX_AUTHENTICATORS, MAX_NAME, RecoveryList, is_name,
};
use otp::hotp::{Algorithm, CodeLength};
use otp::keyed::DigestKey;
use otp::passcode::RecoveryCode;
use otp::secret::{Secret, Spelling};
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
use crate::journal::quoted;
use crate::qr::{self, Form, Saved};
use crate::report::enrollment::{Setup, Showing, Welcome};
use crate::terminal::{self, Echo, Terminal};
use crate::{account, choice, clock, entropy};

/// The longest issuer or label, in bytes: an app shows little more, and a QR code has to hold it.
const MAX_TEXT: usize = 128;

pub(super) fn run(context: Context<'_>, args: &cli::Enroll) -> Result<Ending, Failure> {
    check(args)?;
    let form = Form::parse(&args.qr.qr)?;
    let account = account::present(&args.user)?;
    let mut authenticator = described(args, &account)?;
    let house = House::make(context.config)?;
    authenticator.name = foreseen(&house, &account, args)?;

    if args.secret.is_some() {
        authenticator.secret = given_secret(context, args.secret_format)?;
    }
    let mut started = started(args, authenticator.generation);
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
    let log_line = log_line(args, &authenticator);
    let (came_of_it, recovery_codes) = keep(&house, &account, (authenticator, started), args)?;
    saved.keep();
    drop(terminal);
    context.log(word(came_of_it), &log_line, account.name.as_str());

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
    match args.kind {
        cli::Type::Totp if args.counter.is_some() => {
            return Err(Failure::usage(
                "--counter is for tokens that count: say --type hotp, or leave it out",
            ));
        }
        cli::Type::Hotp if args.period.is_some() => {
            return Err(Failure::usage(
                "--period is for codes that time moves on: leave it out with --type hotp",
            ));
        }
        _ => {}
    }
    if args.secret.as_deref().is_some_and(|given| given != "-") {
        // Not repeated here: it is in the shell's history already.
        return Err(Failure::usage(
            "--secret takes - alone, and reads the secret from standard input: what stands on a command line is seen by others",
        ));
    }
    match &args.name {
        Some(name) if !is_name(name) => Err(Failure::usage(format!(
            "--name {}: it takes 1 to {MAX_NAME} bytes of letters that can be seen; write it otherwise",
            quoted(name)
        ))),
        _ => Ok(()),
    }
}

/// The authenticator that was asked for, with a fresh secret.
fn described(args: &cli::Enroll, account: &Account) -> Result<Authenticator, Failure> {
    let mut rng = entropy::system()?;
    let issuer = match &args.issuer {
        Some(issuer) => issuer.clone(),
        None => super::host_name(),
    };
    let label = args.label.as_deref().unwrap_or(account.name.as_str());
    check_text("--issuer", &issuer)?;
    check_text("--label", label)?;
    let length = CodeLength::new(args.digits.into()).unwrap_or(CodeLength::SIX);
    let period = args.period.and_then(|secs| Period::from_secs(secs.into()));
    Ok(Authenticator {
        name: String::new(),
        generation: Generation::draw(&mut rng),
        kind: match args.kind {
            cli::Type::Totp => Moves::Totp {
                period: period.unwrap_or(Period::THIRTY),
            },
            cli::Type::Hotp => Moves::Hotp,
        },
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

/// A token that counts stands where it is said to stand: every counter before is dead.
fn started(args: &cli::Enroll, generation: Generation) -> AuthenticatorState {
    let mut state = AuthenticatorState::fresh(generation);
    if let Some(last) = args.counter.and_then(|next| next.checked_sub(1)) {
        state.used.raise_to(last);
    }
    state
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

/// What the new authenticator is called, unless there is no place for it. Told before anything is shown; the store looks
/// again when it commits.
fn foreseen(house: &House, account: &Account, args: &cli::Enroll) -> Result<String, Failure> {
    let enrollment = house.store.read(account)?.enrollment;
    let known = enrollment
        .as_ref()
        .map_or(&[][..], |enrollment| &enrollment.authenticators);
    let name = named(args, known);
    let came = place(args).foresee(enrollment.as_ref(), &name);
    no_place(came, &account.name, args, &name, known)?;
    Ok(name)
}

fn place(args: &cli::Enroll) -> Place {
    match args {
        cli::Enroll { replace: true, .. } => Place::InsteadOf(args.name.clone()),
        cli::Enroll { add: true, .. } => Place::Beside,
        _ => Place::First,
    }
}

/// The name that was said; else that of the one it replaces, where it is of the same kind; else the usual.
fn named(args: &cli::Enroll, known: &[Authenticator]) -> String {
    let (usual, kind) = match args.kind {
        cli::Type::Totp => ("app", "totp"),
        cli::Type::Hotp => ("token", "hotp"),
    };
    let replaced = match known {
        [only] if args.replace && only.kind.name() == kind => Some(&only.name),
        _ => None,
    };
    let said = args.name.as_ref().or(replaced);
    said.map_or_else(|| usual.to_owned(), Clone::clone)
}

/// Why there is no place for an authenticator, where there is none.
fn no_place(
    came: Enrolled,
    user: &UserName,
    args: &cli::Enroll,
    name: &str,
    known: &[Authenticator],
) -> Result<(), Failure> {
    let shown = quoted(name);
    let (kind, why) = match came {
        Enrolled::New | Enrolled::Replaced | Enrolled::Added => return Ok(()),
        Enrolled::Already => (
            Kind::AlreadyEnrolled,
            format!(
                "{user} is enrolled already and nothing has changed: 'otpctl enroll {user} --add --name NAME' for a second device with a secret of its own, 'otpctl show {user}' for one with the same, 'otpctl enroll {user} --replace' for a new secret"
            ),
        ),
        Enrolled::NameTaken => (
            Kind::AlreadyEnrolled,
            format!(
                "{user} has an authenticator {shown} already and nothing has changed: give this one another --name, or let it take that one's place with --replace"
            ),
        ),
        Enrolled::SecretTaken => (
            Kind::AlreadyEnrolled,
            format!(
                "{user} has an authenticator with this very secret and nothing has changed: twice there, its codes would be good twice; 'otpctl show {user}' puts it on a second device"
            ),
        ),
        Enrolled::TooMany => (
            Kind::TooMany,
            format!(
                "{user} has {MAX_AUTHENTICATORS} authenticators, which is the most, and nothing has changed: 'otpctl remove {user} --name NAME' takes one away"
            ),
        ),
        Enrolled::NoSuch if args.name.is_some() => return Err(choice::no_such(user, name, known)),
        Enrolled::NoSuch => {
            let verb = "enroll --replace";
            return Err(choice::several(user, known, verb));
        }
    };
    Err(Failure::new(kind, why))
}

fn given_secret(context: Context<'_>, format: cli::Format) -> Result<Secret, Failure> {
    let (prompt, spelling) = match format {
        cli::Format::Auto => ("Secret (base32 or hex): ", Spelling::Either),
        cli::Format::Base32 => ("Secret (base32): ", Spelling::Base32),
        cli::Format::Hex => ("Secret (hex): ", Spelling::Hex),
    };
    let typed = terminal::ask_or_read(context.report.asks(), prompt, Echo::Hidden)
        .map_err(|error| Failure::io("read from", Path::new("standard input"), &error))?
        .ok_or_else(Failure::given_up)?;
    let text = std::str::from_utf8(&typed).unwrap_or("?");
    Secret::from_text(text, spelling).map_err(|bad| Failure::usage(bad.to_string()))
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
    let (list, codes) = match recovery_codes(args) {
        0 => (None, Vec::new()),
        count => {
            let mut rng = entropy::system()?;
            let key = house.store.digest_key(|| DigestKey::draw(&mut rng))?;
            let (list, codes) = RecoveryList::draw(&mut rng, &key, &account.name, count);
            let codes = codes.iter().map(RecoveryCode::to_grouped).collect();
            (Some(list), codes)
        }
    };
    let name = authenticator.0.name.clone();
    let new = NewEnrollment {
        authenticators: vec![authenticator],
        recovery: list,
        place: place(args),
    };
    let came_of_it = house.store.enroll(account, new)?;
    // Somebody else may have changed what there is since it was foreseen.
    no_place(came_of_it, &account.name, args, &name, &[])?;
    Ok((came_of_it, codes))
}

/// With a second device those she has stay.
fn recovery_codes(args: &cli::Enroll) -> u8 {
    args.recovery_codes.unwrap_or(if args.add { 0 } else { 10 })
}

const fn word(came_of_it: Enrolled) -> &'static str {
    match came_of_it {
        Enrolled::Replaced => "enrolled-anew",
        Enrolled::Added => "authenticator-added",
        _ => "enrolled",
    }
}

fn log_line(args: &cli::Enroll, authenticator: &Authenticator) -> String {
    format!(
        "type={} recovery-codes={} name={}",
        authenticator.kind.name(),
        recovery_codes(args),
        quoted(&authenticator.name)
    )
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
