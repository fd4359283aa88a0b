//! Proof that the app has the secret: a first code. Never shows the right one.

use std::path::Path;

use otp::enrollment::Authenticator;
use otp::passcode::{Digits, Passcode};
use otp::policy::Policy;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;

use crate::clock;
use crate::failure::{Failure, Kind};
use crate::report::{Report, words};
use crate::terminal::{Echo, Terminal};

/// How often a code is asked for.
const TRIES: usize = 5;
/// How far off a phone's clock is looked for, in seconds.
const REACH: u64 = 60 * 60;

/// The code that proved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) step: TimeStep,
    /// The last step that is not in the future, when it was typed.
    pub(crate) horizon: TimeStep,
    /// Steps the phone is ahead.
    pub(crate) offset: i64,
}

/// What a typed code says of the app.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Right(Confirmed),
    /// Right for another time, this many steps away.
    OtherTime(i64),
    Wrong,
    /// Not as many digits as the app shows.
    NoCode,
}

/// Asks until a code is right.
pub(crate) fn first_code(
    report: &Report,
    terminal: &Terminal,
    authenticator: &Authenticator,
    policy: &Policy,
) -> Result<Confirmed, Failure> {
    let period = authenticator.kind.period().unwrap_or(Period::THIRTY);
    for _ in 0..TRIES {
        let typed = terminal
            .ask("Code the app shows now: ", Echo::Shown)
            .map_err(|error| Failure::io("ask at", Path::new("the terminal"), &error))?
            .ok_or_else(given_up)?;
        let passcode = Passcode::parse(&typed).ok();
        match judge(passcode.as_ref(), authenticator, clock::now(), policy.window) {
            Judged::Right(confirmed) => return Ok(confirmed),
            Judged::OtherTime(steps) => report.hint(&other_time(steps, period)),
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

fn judge(
    passcode: Option<&Passcode>,
    authenticator: &Authenticator,
    now: UnixTime,
    window: u8,
) -> Judged {
    let period = authenticator.kind.period().unwrap_or(Period::THIRTY);
    let Some(Passcode::Digits(digits)) = passcode else {
        return Judged::NoCode;
    };
    if digits.as_bytes().len() != authenticator.length.digits() {
        return Judged::NoCode;
    }
    let center = TimeStep::at(now, period);
    match offset(authenticator, digits, center, period) {
        Some(offset) if offset.unsigned_abs() <= u64::from(window) => {
            let at = |offset| center.offset(offset).unwrap_or(center);
            Judged::Right(Confirmed {
                step: at(offset),
                horizon: at(window.into()),
                offset,
            })
        }
        Some(offset) => Judged::OtherTime(offset),
        None => Judged::Wrong,
    }
}

fn offset(
    authenticator: &Authenticator,
    digits: &Digits,
    center: TimeStep,
    period: Period,
) -> Option<i64> {
    let reach = REACH.checked_div(period.as_secs()).unwrap_or(0);
    let reach = u32::try_from(reach).unwrap_or(0);
    totp::offset_of(
        &authenticator.secret,
        authenticator.algorithm,
        digits,
        center,
        reach,
    )
}

fn other_time(steps: i64, period: Period) -> String {
    let drift = words::drift(steps, period.as_secs()).unwrap_or_default();
    format!(
        "The secret has arrived, but the phone's clock is {drift} of this machine's. Set whichever is wrong, then type what the app shows now, or Ctrl-C to give up."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use otp::enrollment::{Generation, Kind as Moves};
    use otp::hotp::{Algorithm, CodeLength};
    use otp::secret::Secret;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn authenticator() -> Authenticator {
        Authenticator {
            name: "app".to_owned(),
            generation: Generation::from_bits(1),
            kind: Moves::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "host".to_owned(),
            label: "alice".to_owned(),
            enrolled_at: NOW,
        }
    }

    /// What is said of the code that the app shows `steps` from now.
    fn judged(steps: i64, length: CodeLength) -> Judged {
        let known = authenticator();
        let step = TimeStep::at(NOW, Period::THIRTY).offset(steps).unwrap();
        let code = totp::code(&known.secret, known.algorithm, length, step);
        let passcode = Passcode::parse(code.expose().as_bytes()).unwrap();
        judge(Some(&passcode), &known, NOW, 1)
    }

    #[test]
    fn a_code_within_the_window_proves_it_and_is_used_with_its_own_step() {
        let center = TimeStep::at(NOW, Period::THIRTY);
        for steps in [-1, 0, 1] {
            let expected = Confirmed {
                step: center.offset(steps).unwrap(),
                horizon: center.offset(1).unwrap(),
                offset: steps,
            };
            assert_eq!(judged(steps, CodeLength::SIX), Judged::Right(expected));
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_and_accepts_nothing() {
        assert_eq!(judged(2, CodeLength::SIX), Judged::OtherTime(2));
        assert_eq!(judged(-120, CodeLength::SIX), Judged::OtherTime(-120));
        assert_eq!(judged(121, CodeLength::SIX), Judged::Wrong);
        assert!(other_time(-120, Period::THIRTY).contains("about 60 minutes behind"));
    }

    #[test]
    fn a_code_of_another_length_is_none() {
        assert_eq!(judged(0, CodeLength::new(8).unwrap()), Judged::NoCode);
        assert_eq!(judge(None, &authenticator(), NOW, 1), Judged::NoCode);
    }
}
