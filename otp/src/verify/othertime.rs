//! Whether a refused answer is right for another time: a clock is off, or a token was pressed idly, and nobody guessed.
//! For the log and the administrator; nothing that is found here is accepted.

use zeroize::Zeroizing;

use crate::enrollment::{Authenticator, Kind};
use crate::hotp::{self, Algorithm, CodeLength};
use crate::passcode::Digits;
use crate::secret::{DRAWN_SECRET, Secret};
use crate::state::State;
use crate::time::{TimeStep, UnixTime};
use crate::totp;

/// So many codes are looked at in all: ten minutes to either side of a single authenticator's 30 s steps. The number is
/// the same for every user and every refusal, so that the time a refusal takes tells nothing.
const CODES: u32 = 40;

/// How many steps (of a HOTP: counters) ahead of the present the answer is right, if it is near.
pub(super) fn offset_of(
    authenticators: &[Authenticator],
    state: &State,
    typed: &Digits,
    now: UnixTime,
) -> Option<i64> {
    let Ok(length) = u64::try_from(typed.as_bytes().len()) else {
        return None;
    };
    let length = CodeLength::new(length)?;
    let Some(share) = CODES.checked_div(u32::try_from(authenticators.len()).unwrap_or(1)) else {
        let _ = of_nobody(typed, now);
        return None;
    };
    let mut found = None;
    for authenticator in authenticators {
        let offset = of_one(authenticator, state, typed, now, share);
        found = found.or(offset.filter(|_| authenticator.length == length));
    }
    found
}

fn of_one(
    authenticator: &Authenticator,
    state: &State,
    typed: &Digits,
    now: UnixTime,
    share: u32,
) -> Option<i64> {
    let Authenticator {
        secret, algorithm, ..
    } = authenticator;
    match authenticator.kind {
        Kind::Totp { period } => {
            let now = TimeStep::at(now, period);
            totp::offset_of(secret, *algorithm, typed, now, share / 2)
        }
        Kind::Hotp => {
            let entry = state.authenticator(authenticator.generation);
            let next = entry.and_then(|entry| entry.used.next_counter());
            let ahead = hotp::ahead_of(secret, *algorithm, typed, next.unwrap_or(0), share);
            // With no counter left there is no other time; that it was looked for is part of the time it takes.
            ahead.filter(|_| next.is_some())
        }
    }
}

/// The same work for a user who has no authenticator.
fn of_nobody(typed: &Digits, now: UnixTime) -> Option<i64> {
    let secret = Secret::from_bytes(Zeroizing::new(vec![0; DRAWN_SECRET])).ok()?;
    let now = TimeStep::at(now, crate::time::Period::THIRTY);
    totp::offset_of(&secret, Algorithm::Sha1, typed, now, CODES / 2)
}
