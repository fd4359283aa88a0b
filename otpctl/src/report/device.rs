//! How one authenticator of a user stands.

use otp::enrollment::{Authenticator, Kind};
use otp::policy::Policy;
use otp::state::State;
use otp::time::{Period, UnixTime};
use otp::verify::Method;
use serde::Serialize;

use super::words::{self, Stamp};

/// How an authenticator stands.
#[derive(Serialize)]
pub(super) struct Standing {
    name: String,
    r#type: &'static str,
    algorithm: &'static str,
    digits: usize,
    pub(super) period: Option<u64>,
    drift: Option<i32>,
    learned_drift: Option<i64>,
    counter: Option<u64>,
    last_used_at: Option<Stamp>,
    last_origin: Option<String>,
    #[serde(skip)]
    pub(super) words: String,
    #[serde(skip)]
    pub(super) enrolled_at: UnixTime,
}

impl Standing {
    pub(super) fn of(authenticator: &Authenticator, state: &State, policy: &Policy) -> Self {
        let entry = state.authenticator(authenticator.generation);
        let used_at = entry.and_then(|entry| entry.last_used_at);
        let timed = authenticator.kind.period();
        // The record keeps where the last code of any kind came from: it is this one's if their times agree.
        let last = state
            .last
            .filter(|last| last.method == method(authenticator.kind) && Some(last.at) == used_at);
        Self {
            name: authenticator.name.clone(),
            r#type: authenticator.kind.name(),
            algorithm: authenticator.algorithm.name(),
            digits: authenticator.length.digits(),
            period: timed.map(Period::as_secs),
            drift: timed.and(used_at).and(entry).map(|entry| entry.drift.last),
            learned_drift: timed
                .and(entry)
                .map(|entry| entry.drift.learned(policy.max_drift)),
            counter: match timed {
                Some(_) => None,
                None => entry.and_then(|entry| entry.used.next_counter()),
            },
            last_used_at: used_at.map(Stamp),
            last_origin: last.map(|last| last.origin.to_string()),
            words: words::authenticator(authenticator),
            enrolled_at: authenticator.enrolled_at,
        }
    }

    /// How far its clock was off at the last code.
    pub(super) fn drift_words(&self) -> Option<String> {
        let steps = self.drift.filter(|_| self.last_used_at.is_some())?;
        words::drift(steps.into(), self.period?)
    }

    /// Where its codes are looked for beside what is usual, or which comes next.
    pub(super) fn place_words(&self) -> Option<String> {
        let Some(period) = self.period else {
            return self.counter.map(|next| format!("next counter {next}"));
        };
        let drift = words::drift(self.learned_drift?, period)?;
        Some(format!("{drift}, which is learned"))
    }

    /// One of several, on a line of its own.
    pub(super) fn line(&self, now: UnixTime) -> String {
        let name = words::printable(&self.name);
        let day = words::day(self.enrolled_at);
        let used = match self.last_used_at {
            Some(at) => format!("last used {}", words::moment(at.0, now)),
            None => "never used".to_owned(),
        };
        let drift = self.drift_words();
        let drift = drift.map_or_else(String::new, |drift| format!(" (clock {drift})"));
        let place = self.place_words();
        let place = place.map_or_else(String::new, |place| format!("; {place}"));
        format!("{name}: {}, since {day}; {used}{drift}{place}", self.words)
    }
}

/// What an accepted code of such an authenticator is called.
const fn method(kind: Kind) -> Method {
    match kind {
        Kind::Totp { .. } => Method::Totp,
        Kind::Hotp => Method::Hotp,
    }
}
