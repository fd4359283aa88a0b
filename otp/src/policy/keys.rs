//! The keys of otp.toml that are not rules: one row each.

mod delivery;

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::{OnReadOnly, Policy, Value, format_duration, parse_duration};
use crate::calendar::Day;
use crate::issued::LONGEST_TTL;
use crate::passcode::{MAX_DIGITS, MIN_DIGITS};

/// The longest issuer, in bytes: an app shows little more, and a QR code has to hold it.
const MAX_ISSUER: usize = 128;

/// A key of the file: how it is taken and how it is shown. One row a key, so that nothing is forgotten.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Takes a value, or says what would be right.
    pub(super) take: fn(&mut Policy, &DeValue<'_>) -> Result<(), &'static str>,
    pub(super) show: fn(&Policy) -> Value,
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(delivery::KEYS)
}

const KEYS: &[Key] = &[
    Key {
        name: "state_dir",
        take: |policy, value| put(&mut policy.state_dir, directory(value), DIRECTORY),
        show: |policy| path(&policy.state_dir),
    },
    Key {
        name: "spool_dir",
        take: |policy, value| put(&mut policy.spool_dir, directory(value), DIRECTORY),
        show: |policy| path(&policy.spool_dir),
    },
    Key {
        name: "run_dir",
        take: |policy, value| put(&mut policy.run_dir, directory(value), DIRECTORY),
        show: |policy| path(&policy.run_dir),
    },
    Key {
        name: "window",
        take: |policy, value| {
            put(
                &mut policy.window,
                number(value, 0, 10),
                "takes a number of steps from 0 to 10",
            )
        },
        show: |policy| Value::Number(policy.window.into()),
    },
    Key {
        name: "max_drift",
        take: |policy, value| {
            put(
                &mut policy.max_drift,
                number(value, 0, 20),
                "takes a number of steps from 0 to 20",
            )
        },
        show: |policy| Value::Number(policy.max_drift.into()),
    },
    Key {
        name: "look_ahead",
        take: |policy, value| {
            put(
                &mut policy.look_ahead,
                number(value, 0, 50),
                "takes a number of counters from 0 to 50",
            )
        },
        show: |policy| Value::Number(policy.look_ahead.into()),
    },
    Key {
        name: "remember",
        take: |policy, value| {
            let off = (value.as_str() == Some("off")).then_some(None);
            let within_a_month = |span: &Duration| *span <= Duration::from_secs(30 * 24 * 60 * 60);
            let span = duration(value).filter(within_a_month).map(Some);
            put(
                &mut policy.remember,
                off.or(span),
                "takes \"off\" or a duration up to \"30d\"",
            )
        },
        show: |policy| policy.remember.map_or(Value::Text("off".to_owned()), span),
    },
    Key {
        name: "on_read_only",
        take: |policy, value| {
            let mode = match value.as_str() {
                Some("deny") => Some(OnReadOnly::Deny),
                Some("totp") => Some(OnReadOnly::Totp),
                _ => None,
            };
            put(&mut policy.on_read_only, mode, "takes \"deny\" or \"totp\"")
        },
        show: |policy| {
            let word = match policy.on_read_only {
                OnReadOnly::Deny => "deny",
                OnReadOnly::Totp => "totp",
            };
            Value::Text(word.to_owned())
        },
    },
    Key {
        name: "remote_services",
        take: |policy, value| {
            put(
                &mut policy.remote_services,
                words(value),
                "takes a list of service names, such as [\"sshd\"]",
            )
        },
        show: |policy| Value::List(policy.remote_services.clone()),
    },
    Key {
        name: "throttle.free",
        take: |policy, value| put(&mut policy.throttle.free, number(value, 1, 10), ONE_TO_TEN),
        show: |policy| Value::Number(policy.throttle.free.into()),
    },
    Key {
        name: "throttle.first_hold",
        take: |policy, value| put(&mut policy.throttle.first_hold, duration(value), DURATION),
        show: |policy| span(policy.throttle.first_hold),
    },
    Key {
        name: "throttle.max_hold",
        take: |policy, value| {
            let within_a_week = |hold: &Duration| *hold <= Duration::from_secs(7 * 24 * 60 * 60);
            put(
                &mut policy.throttle.max_hold,
                duration(value).filter(within_a_week),
                "takes a duration up to \"7d\"",
            )
        },
        show: |policy| span(policy.throttle.max_hold),
    },
    Key {
        name: "throttle.per_day",
        take: |policy, value| {
            put(
                &mut policy.throttle.per_day,
                number(value, 1, 1000),
                THOUSAND,
            )
        },
        show: |policy| Value::Number(policy.throttle.per_day.into()),
    },
    Key {
        name: "throttle.burst",
        take: |policy, value| put(&mut policy.throttle.burst, number(value, 1, 1000), THOUSAND),
        show: |policy| Value::Number(policy.throttle.burst.into()),
    },
    Key {
        name: "throttle.reserved",
        take: |policy, value| {
            put(
                &mut policy.throttle.reserved,
                number(value, 0, 999),
                THOUSAND,
            )
        },
        show: |policy| Value::Number(policy.throttle.reserved.into()),
    },
    Key {
        name: "throttle.lock_after",
        take: |policy, value| {
            put(
                &mut policy.throttle.lock_after,
                number(value, 1, 100),
                "takes a number from 1 to 100 (NIST SP 800-63B-4 allows no more)",
            )
        },
        show: |policy| Value::Number(policy.throttle.lock_after.into()),
    },
    Key {
        name: "issued.digits",
        take: |policy, value| {
            let digits = number(value, MIN_DIGITS as u64, MAX_DIGITS as u64);
            put(
                &mut policy.issued.digits,
                digits,
                "takes a number of digits from 6 to 10",
            )
        },
        show: |policy| Value::Number(policy.issued.digits.into()),
    },
    Key {
        name: "issued.ttl",
        take: |policy, value| put(&mut policy.issued.ttl, ttl(value), TTL),
        show: |policy| span(policy.issued.ttl),
    },
    Key {
        name: "issued.max_ttl",
        take: |policy, value| put(&mut policy.issued.max_ttl, ttl(value), TTL),
        show: |policy| span(policy.issued.max_ttl),
    },
    Key {
        name: "enroll.until",
        take: |policy, value| {
            let never = (value.as_str() == Some("never")).then_some(None);
            let day = value.as_str().and_then(Day::parse).map(Some);
            put(
                &mut policy.enroll.until,
                never.or(day),
                "takes \"never\" or a day such as \"2026-12-31\"",
            )
        },
        show: |policy| {
            let until = policy.enroll.until;
            Value::Text(until.map_or("never".to_owned(), |day| day.to_string()))
        },
    },
    Key {
        name: "enroll.issuer",
        take: |policy, value| {
            let plain = |text: &&str| {
                text.len() <= MAX_ISSUER && !text.contains(|c: char| c == ':' || c.is_control())
            };
            put(
                &mut policy.enroll.issuer,
                value.as_str().filter(plain).map(str::to_owned),
                "takes a text of up to 128 bytes without a colon",
            )
        },
        show: |policy| Value::Text(policy.enroll.issuer.clone()),
    },
];

const DIRECTORY: &str = "takes an absolute path without \"..\"";
const DURATION: &str = "takes a duration such as \"30s\", \"10m\", \"24h\" or \"1d\"";
const TTL: &str = "takes a duration from \"1s\" to \"24h\"";
const ONE_TO_TEN: &str = "takes a number from 1 to 10";
const THOUSAND: &str = "takes a number up to 1000";

fn put<T>(to: &mut T, value: Option<T>, right: &'static str) -> Result<(), &'static str> {
    *to = value.ok_or(right)?;
    Ok(())
}

fn number<T: TryFrom<u64>>(value: &DeValue<'_>, least: u64, most: u64) -> Option<T> {
    let integer = value.as_integer()?;
    let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    let number = Some(number).filter(|number| (least..=most).contains(number))?;
    T::try_from(number).ok()
}

fn directory(value: &DeValue<'_>) -> Option<PathBuf> {
    let path = Path::new(value.as_str()?);
    let plain = path.is_absolute()
        && path
            .components()
            .all(|part| !matches!(part, std::path::Component::ParentDir));
    plain.then(|| path.to_path_buf())
}

fn duration(value: &DeValue<'_>) -> Option<Duration> {
    parse_duration(value.as_str()?)
}

fn ttl(value: &DeValue<'_>) -> Option<Duration> {
    duration(value).filter(|ttl| *ttl <= LONGEST_TTL)
}

/// Names without spaces.
pub(super) fn words(value: &DeValue<'_>) -> Option<Vec<String>> {
    let item = |item: &Spanned<DeValue<'_>>| {
        let word = item.get_ref().as_str()?;
        let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic());
        plain.then(|| word.to_owned())
    };
    value.as_array()?.iter().map(item).collect()
}

fn path(path: &Path) -> Value {
    Value::Text(path.display().to_string())
}

fn span(span: Duration) -> Value {
    Value::Text(format_duration(span))
}
