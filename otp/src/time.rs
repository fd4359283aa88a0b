//! Points in time as values. Nothing here reads a clock: the edge does, and passes the answer in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whole seconds since 1970-01-01T00:00:00Z, 64 bits wide, so that 2038 and 2106 are ordinary days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The epoch itself; also what a clock that stands before it is taken for.
    pub const EPOCH: Self = Self(0);

    /// From seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// This much later, stopping at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// This much earlier, stopping at the epoch.
    #[must_use]
    pub const fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }

    /// How long after `earlier` this is; nothing if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for UnixTime {
    /// A clock before 1970 counts as 1970.
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        )
    }
}

/// How long a time step lasts: 5 to 300 seconds (RFC 6238 section 4.1 calls it X and defaults to 30).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u16);

impl Period {
    /// The default of RFC 6238.
    pub const THIRTY: Self = Self(30);

    /// Seconds, 5 to 300; anything else is no period.
    #[must_use]
    pub fn from_secs(secs: u64) -> Option<Self> {
        match u16::try_from(secs) {
            Ok(secs @ 5..=300) => Some(Self(secs)),
            _ => None,
        }
    }

    /// The length in seconds.
    #[must_use]
    pub fn as_secs(self) -> u64 {
        u64::from(self.0)
    }
}

/// A time step: T of RFC 6238 section 4.2, with T0 = 0. 64 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeStep(u64);

impl TimeStep {
    /// The step with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The step that is current at `time`.
    #[must_use]
    pub fn at(time: UnixTime, period: Period) -> Self {
        Self(time.0.checked_div(period.as_secs()).unwrap_or(0))
    }

    /// The step's number, the moving factor of the HOTP beneath.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The moment the step begins.
    #[must_use]
    pub fn starts(self, period: Period) -> UnixTime {
        UnixTime(self.0.saturating_mul(period.as_secs()))
    }

    /// The step `offset` steps away, if there is one.
    #[must_use]
    pub fn offset(self, offset: i64) -> Option<Self> {
        self.0.checked_add_signed(offset).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_begins_when_its_period_does() {
        let step = TimeStep::at(UnixTime::from_secs(89), Period::THIRTY);
        assert_eq!(step.number(), 2);
        assert_eq!(step.starts(Period::THIRTY), UnixTime::from_secs(60));
        assert_eq!(
            TimeStep::at(UnixTime::from_secs(90), Period::THIRTY).number(),
            3
        );
    }

    #[test]
    fn times_after_2106_are_ordinary() {
        let late = UnixTime::from_secs(20_000_000_000);
        assert_eq!(TimeStep::at(late, Period::THIRTY).number(), 666_666_666);
    }

    #[test]
    fn there_is_no_step_before_the_first() {
        assert_eq!(TimeStep::new(0).offset(-1), None);
        assert_eq!(TimeStep::new(u64::MAX).offset(1), None);
    }

    #[test]
    fn a_period_has_bounds() {
        assert!(Period::from_secs(4).is_none());
        assert!(Period::from_secs(5).is_some());
        assert!(Period::from_secs(300).is_some());
        assert!(Period::from_secs(301).is_none());
        assert!(Period::from_secs(65_536 + 30).is_none());
    }
}
