//! Days as people write them, in UTC. Nothing here knows a time zone.

use std::fmt;
use std::time::Duration;

use crate::time::UnixTime;

const DAY: u64 = 24 * 60 * 60;
const FIRST_YEAR: u16 = 1970;
const LAST_YEAR: u16 = 9999;

/// A day of the Gregorian calendar from 1970 to 9999, in UTC: `full-date` of RFC 3339 section 5.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// From `2026-12-31`; nothing for what is no day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_plain = part.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        let day = Self {
            year,
            month: u8::try_from(month).ok()?,
            day: u8::try_from(day).ok()?,
        };
        let is_one = (FIRST_YEAR..=LAST_YEAR).contains(&year)
            && (1..=12).contains(&day.month)
            && (1..=days_of_month(year, day.month)).contains(&day.day);
        (is_one && parts.next().is_none()).then_some(day)
    }

    /// The day that `time` is in; the last there is for what comes after it.
    #[must_use]
    pub fn of(time: UnixTime) -> Self {
        let mut left = time.as_secs().checked_div(DAY).unwrap_or(0);
        for year in FIRST_YEAR..=LAST_YEAR {
            if let Some(after) = left.checked_sub(days_of_year(year)) {
                left = after;
                continue;
            }
            for month in 1..=12 {
                let days = days_of_month(year, month);
                match left.checked_sub(days.into()) {
                    Some(after) => left = after,
                    None => {
                        let day = u8::try_from(left).unwrap_or(days).saturating_add(1);
                        return Self { year, month, day };
                    }
                }
            }
        }
        Self {
            year: LAST_YEAR,
            month: 12,
            day: 31,
        }
    }

    /// The moment it is over.
    #[must_use]
    pub fn ends(self) -> UnixTime {
        let years = FIRST_YEAR..self.year;
        let months = 1..self.month;
        let before: u64 = years.map(days_of_year).sum::<u64>().saturating_add(
            months
                .map(|month| u64::from(days_of_month(self.year, month)))
                .sum(),
        );
        let days = before.saturating_add(self.day.into());
        UnixTime::EPOCH.plus(Duration::from_secs(days.saturating_mul(DAY)))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A moment to the minute: `2026-12-31 23:59 UTC`.
#[must_use]
pub fn minute(time: UnixTime) -> String {
    let into_day = time.as_secs().checked_rem(DAY).unwrap_or(0);
    let minutes = into_day / 60;
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{} {hour:02}:{minute:02} UTC", Day::of(time))
}

/// A moment of a day that is understood, to the second: `23:59:10 UTC`.
#[must_use]
pub fn second(time: UnixTime) -> String {
    let into_day = time.as_secs().checked_rem(DAY).unwrap_or(0);
    let minutes = into_day / 60;
    let (hour, minute, second) = (minutes / 60, minutes % 60, into_day % 60);
    format!("{hour:02}:{minute:02}:{second:02} UTC")
}

const fn is_leap(year: u16) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_year(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_of_month(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Seconds as `date -u` has them.
    #[test]
    fn days_begin_and_end_when_they_do() {
        for (text, ends) in [
            ("1970-01-01", 86_400),
            ("2000-02-29", 951_868_800),
            ("2026-12-31", 1_798_761_600),
            ("2100-02-28", 4_107_542_400),
            ("2106-02-07", 4_295_030_400),
            ("9999-12-31", 253_402_300_800),
        ] {
            let day = Day::parse(text).unwrap();
            assert_eq!(day.ends(), UnixTime::from_secs(ends), "{text}");
            assert_eq!(day.to_string(), text);
            assert_eq!(Day::of(UnixTime::from_secs(ends - 1)), day);
            assert_eq!(Day::of(UnixTime::from_secs(ends - 86_400)), day);
        }
        let late = UnixTime::from_secs(u64::MAX);
        assert_eq!(Day::of(late).to_string(), "9999-12-31");
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "",
            "2026",
            "2026-12",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-02-29",
            "2100-02-29",
            "2026-04-31",
            "2026-1-01",
            "26-01-01",
            "1969-12-31",
            "2026-12-31T00:00:00Z",
            "2026-12-31-",
            "+026-12-31",
            " 2026-12-31",
            "２026-12-31",
        ] {
            assert_eq!(Day::parse(text), None, "{text:?}");
        }
        assert!(Day::parse("2028-02-29").is_some());
    }

    #[test]
    fn a_minute_and_a_second_are_told_in_utc() {
        let time = UnixTime::from_secs(1_700_000_000);
        assert_eq!(minute(time), "2023-11-14 22:13 UTC");
        assert_eq!(second(time), "22:13:20 UTC");
        assert_eq!(second(UnixTime::from_secs(86_399)), "23:59:59 UTC");
    }

    proptest! {
        #[test]
        fn every_moment_is_in_the_day_that_ends_next(secs in 0_u64..253_402_300_800) {
            let day = Day::of(UnixTime::from_secs(secs));
            let ends = day.ends().as_secs();
            prop_assert!(secs < ends && ends - secs <= 86_400);
            prop_assert_eq!(Day::parse(&day.to_string()), Some(day));
        }
    }
}
