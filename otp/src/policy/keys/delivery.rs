//! The keys of codes that are sent: the tables `delivery`, `email`, `smtp` and `sms`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::{DIRECTORY, Key, directory, duration, number, path, put, span};
use crate::delivery::{Address, Channel};
use crate::policy::{Tls, Value, Via};
use crate::sends::MAX_SENDS;
use crate::user::UserName;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "delivery.ttl",
        take: |policy, value| {
            let ttl = between(value, 60, 10 * 60);
            put(
                &mut policy.delivery.ttl,
                ttl,
                "takes a duration from \"1m\" to \"10m\" (NIST SP 800-63B-4 allows no longer)",
            )
        },
        show: |policy| span(policy.delivery.ttl),
    },
    Key {
        name: "delivery.resend_after",
        take: |policy, value| {
            let wait = between(value, 30, 10 * 60);
            put(
                &mut policy.delivery.resend_after,
                wait,
                "takes a duration from \"30s\" to \"10m\"",
            )
        },
        show: |policy| span(policy.delivery.resend_after),
    },
    Key {
        name: "delivery.sends_per_code",
        take: |policy, value| {
            let sends = number(value, 1, 5);
            put(
                &mut policy.delivery.sends_per_code,
                sends,
                "takes a number from 1 to 5",
            )
        },
        show: |policy| Value::Number(policy.delivery.sends_per_code.into()),
    },
    Key {
        name: "delivery.per_hour",
        take: |policy, value| {
            let sends = number(value, 1, MAX_SENDS as u64);
            put(
                &mut policy.delivery.per_hour,
                sends,
                "takes a number from 1 to 30",
            )
        },
        show: |policy| Value::Number(policy.delivery.per_hour.into()),
    },
    Key {
        name: "delivery.machine_per_hour",
        take: |policy, value| {
            let sends = number(value, 1, 60_000);
            put(
                &mut policy.delivery.machine_per_hour,
                sends,
                "takes a number from 1 to 60000",
            )
        },
        show: |policy| Value::Number(policy.delivery.machine_per_hour.into()),
    },
    Key {
        name: "delivery.queue",
        take: |policy, value| {
            let entries = number(value, 1, 10_000);
            put(
                &mut policy.delivery.queue,
                entries,
                "takes a number from 1 to 10000",
            )
        },
        show: |policy| Value::Number(u64::try_from(policy.delivery.queue).unwrap_or(u64::MAX)),
    },
    Key {
        name: "delivery.user",
        take: |policy, value| {
            let user = value.as_str().and_then(|name| UserName::parse(name).ok());
            let user = user.map(|name| name.as_str().to_owned());
            put(
                &mut policy.delivery.user,
                user,
                "takes the name of an account",
            )
        },
        show: |policy| Value::Text(policy.delivery.user.clone()),
    },
    Key {
        name: "delivery.timeout",
        take: |policy, value| {
            let timeout = between(value, 1, 120);
            put(
                &mut policy.delivery.timeout,
                timeout,
                "takes a duration from \"1s\" to \"2m\"",
            )
        },
        show: |policy| span(policy.delivery.timeout),
    },
    Key {
        name: "email.via",
        take: |policy, value| {
            let mut all = Via::ALL.into_iter();
            let via = all.find(|via| value.as_str() == Some(via.name()));
            put(
                &mut policy.email.via,
                via,
                "takes \"off\", \"sendmail\" or \"smtp\"",
            )
        },
        show: |policy| Value::Text(policy.email.via.name().to_owned()),
    },
    Key {
        name: "email.from",
        take: |policy, value| {
            let is_one =
                |text: &&str| text.is_empty() || Address::parse(Channel::Email, text).is_ok();
            put(
                &mut policy.email.from,
                text(value, is_one),
                "takes an address such as \"otp@example.org\"",
            )
        },
        show: |policy| Value::Text(policy.email.from.clone()),
    },
    Key {
        name: "email.subject",
        take: |policy, value| {
            let is_one = |text: &&str| !text.trim().is_empty() && is_line(text);
            put(
                &mut policy.email.subject,
                text(value, is_one),
                "takes a text of up to 128 bytes in one line",
            )
        },
        show: |policy| Value::Text(policy.email.subject.clone()),
    },
    Key {
        name: "email.sendmail",
        take: |policy, value| put(&mut policy.email.sendmail, directory(value), DIRECTORY),
        show: |policy| path(&policy.email.sendmail),
    },
    Key {
        name: "smtp.host",
        take: |policy, value| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
            let is_one = |text: &&str| text.len() <= 253 && text.chars().all(plain);
            put(
                &mut policy.smtp.host,
                text(value, is_one),
                "takes the name or the address of a server",
            )
        },
        show: |policy| Value::Text(policy.smtp.host.clone()),
    },
    Key {
        name: "smtp.port",
        take: |policy, value| {
            put(
                &mut policy.smtp.port,
                number(value, 0, 65_535),
                "takes a port, or 0 for the usual one",
            )
        },
        show: |policy| Value::Number(policy.smtp.port.into()),
    },
    Key {
        name: "smtp.tls",
        take: |policy, value| {
            let mut all = Tls::ALL.into_iter();
            let tls = all.find(|tls| value.as_str() == Some(tls.name()));
            put(
                &mut policy.smtp.tls,
                tls,
                "takes \"starttls\", \"tls\" or \"none\"",
            )
        },
        show: |policy| Value::Text(policy.smtp.tls.name().to_owned()),
    },
    Key {
        name: "smtp.user",
        take: |policy, value| {
            put(
                &mut policy.smtp.user,
                text(value, |text| is_line(text)),
                "takes a text of up to 128 bytes in one line",
            )
        },
        show: |policy| Value::Text(policy.smtp.user.clone()),
    },
    Key {
        name: "smtp.password_file",
        take: |policy, value| put(&mut policy.smtp.password_file, file(value), DIRECTORY),
        show: |policy| shown(policy.smtp.password_file.as_deref()),
    },
    Key {
        name: "smtp.ca_file",
        take: |policy, value| put(&mut policy.smtp.ca_file, file(value), DIRECTORY),
        show: |policy| shown(policy.smtp.ca_file.as_deref()),
    },
    Key {
        name: "sms.command",
        take: |policy, value| {
            put(
                &mut policy.sms.command,
                command(value),
                "takes a list of a program's absolute path and its arguments, such as [\"/usr/local/sbin/sms\"]",
            )
        },
        show: |policy| Value::List(policy.sms.command.clone()),
    },
];

/// The longest text, in bytes.
const MAX_TEXT: usize = 128;

fn between(value: &DeValue<'_>, least: u64, most: u64) -> Option<Duration> {
    duration(value).filter(|span| (least..=most).contains(&span.as_secs()))
}

fn text(value: &DeValue<'_>, is_one: impl Fn(&&str) -> bool) -> Option<String> {
    value.as_str().filter(is_one).map(str::to_owned)
}

fn is_line(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.contains(char::is_control)
}

/// An absolute path, or none where it is empty.
fn file(value: &DeValue<'_>) -> Option<Option<PathBuf>> {
    match value.as_str()? {
        "" => Some(None),
        _ => directory(value).map(Some),
    }
}

fn shown(file: Option<&Path>) -> Value {
    file.map_or_else(|| Value::Text(String::new()), path)
}

/// A program's absolute path and its arguments; an empty list is none.
fn command(value: &DeValue<'_>) -> Option<Vec<String>> {
    let items = value.as_array()?;
    if let Some(first) = items.first() {
        directory(first.get_ref())?;
    }
    let word = |item: &Spanned<DeValue<'_>>| {
        let word = item.get_ref().as_str()?;
        let plain = !word.is_empty() && !word.contains(char::is_control);
        plain.then(|| word.to_owned())
    };
    items.iter().map(word).collect()
}
