//! How one authenticator of a user stands.

use otp::standing::Device;
use otp::time::{Period, UnixTime};
use serde::Serialize;

use super::words::{self, Stamp};

/// How an authenticator stands.
#[derive(Serialize)]
pub(super) struct Standing {
    name: String,
    pub(super) r#type: &'static str,
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
    pub(super) fn of(device: &Device) -> Self {
        Self {
            name: device.name.clone(),
            r#type: device.kind.name(),
            algorithm: device.algorithm.name(),
            digits: device.length.digits(),
            period: device.kind.period().map(Period::as_secs),
            drift: device.drift,
            learned_drift: device.learned,
            counter: device.counter,
            last_used_at: device.last_used_at.map(Stamp),
            last_origin: device.last_origin.map(|origin| origin.to_string()),
            words: words::device(device.kind, device.algorithm, device.length),
            enrolled_at: device.enrolled_at,
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
