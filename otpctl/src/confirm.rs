//! Asks for the codes that prove that the app has the secret. Never shows the right one.

use std::path::Path;

use otp::confirm::{Confirmation, Judged, Proof};
use otp::enrollment::{Authenticator, Kind as Moves};
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::state::AuthenticatorState;
use otp::time::Period;

use crate::clock;
use crate::failure::{Failure, Kind};
use crate::report::{Report, words};
use crate::terminal::{Echo, Terminal};

/// How often a code is asked for.
const TRIES: usize = 5;

/// Asks until the authenticator is proved.
pub(crate) fn first_code(
    report: &Report,
    terminal: &Terminal,
    authenticator: &Authenticator,
    started: &AuthenticatorState,
    policy: &Policy,
) -> Result<Proof, Failure> {
    let mut confirmation = Confirmation::new(authenticator, started);
    let now = match authenticator.kind {
        Moves::Totp { .. } => "Code the app shows now: ",
        Moves::Hotp => "Code the token shows now: ",
    };
    let mut prompt = now;
    for _ in 0..TRIES {
        let typed = terminal
            .ask(prompt, Echo::Shown)
            .map_err(|error| Failure::io("ask at", Path::new("the terminal"), &error))?
            .ok_or_else(given_up)?;
        let passcode = Passcode::parse(&typed).ok();
        prompt = now;
        match confirmation.hear(passcode.as_ref(), clock::now(), policy) {
            Judged::Right(proof) => return Ok(proof),
            Judged::NextToo => prompt = "And the one after it: ",
            Judged::OtherTime(steps) => report.hint(&other_time(steps, authenticator)),
            Judged::Wrong => report.hint(
                "That is no code of this secret. Is it the entry just scanned? Type what it shows now, or Ctrl-C to give up.",
            ),
            Judged::NoCode => report.hint(&format!(
                "A code of this app is {} digits. Type what it shows now, or Ctrl-C to give up.",
                authenticator.length.digits()
            )),
        }
    }
    Err(Failure::new(
        Kind::GivenUp,
        "no code was right, so nothing has changed: remove the entry from the app and enrol again",
    ))
}

fn given_up() -> Failure {
    Failure::new(
        Kind::GivenUp,
        "given up; nothing has changed. If the app has the entry already, remove it there",
    )
}

fn other_time(steps: i64, authenticator: &Authenticator) -> String {
    let period = authenticator.kind.period().unwrap_or(Period::THIRTY);
    let drift = words::drift(steps, period.as_secs()).unwrap_or_default();
    format!(
        "The secret has arrived, but the phone's clock is {drift} of this machine's. Set whichever is wrong, then type what the app shows now, or Ctrl-C to give up."
    )
}
