//! otp.toml: parsed, validated, and every value with where it came from. otp.toml(5) documents the keys.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::issued::LONGEST_TTL;
use crate::passcode::{MAX_DIGITS, MIN_DIGITS};

/// Where the policy stands unless told otherwise. An absent file means the defaults.
pub const DEFAULT_PATH: &str = "/etc/security/otp.toml";
/// A policy file is never longer, in bytes.
pub const MAX_POLICY: usize = 64 * 1024;

/// What the administrator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The tree of secrets and state.
    pub state_dir: PathBuf,
    /// The tree of stored codes.
    pub spool_dir: PathBuf,
    /// The tree of what is kept until the next boot.
    pub run_dir: PathBuf,
    /// Steps accepted on each side of now, 0 to 10.
    pub window: u8,
    /// Steps that a learned clock drift may come to, either way, 0 to 20.
    pub max_drift: u8,
    /// Counters that are looked at beyond the next one of a HOTP, 0 to 50 (RFC 4226 section 7.4 calls it s).
    pub look_ahead: u8,
    /// How long an address from which a code was accepted is asked for none; `None`: it always is.
    pub remember: Option<Duration>,
    /// What happens where state cannot be overwritten.
    pub on_read_only: OnReadOnly,
    /// Services whose PAM_RHOST, where it is an address, is the origin.
    pub remote_services: Vec<String>,
    /// How guessing is bounded.
    pub throttle: ThrottlePolicy,
    /// Stored codes.
    pub issued: IssuedPolicy,
}

/// What happens where state cannot be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReadOnly {
    /// Every code is refused.
    Deny,
    /// Time-based codes are accepted, and what forbids their reuse is kept until the next boot.
    Totp,
}

/// How guessing is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottlePolicy {
    /// Failures in a row from one origin before it is held.
    pub free: u32,
    /// The first hold of an origin; each further one is four times as long.
    pub first_hold: Duration,
    /// The longest hold of an origin.
    pub max_hold: Duration,
    /// Failures a day that the account's bucket leaks.
    pub per_day: u32,
    /// Failures the account's bucket holds.
    pub burst: u32,
    /// Of these, how many are kept for origins that succeeded before.
    pub reserved: u32,
    /// Failures since the last acceptance after which time-based codes are off.
    pub lock_after: u32,
    /// How many codes a guess is compared with, beside how many are usual: the bucket leaks that much slower.
    pub breadth: Breadth,
}

/// How many codes a guess at a user's authenticators is right for. Several authenticators, a learned drift and the
/// look-ahead of a HOTP each make a guess likelier to hit; the throttle makes up for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breadth {
    /// Codes that are right now.
    pub codes: u32,
    /// Codes that are right for a single time-based authenticator whose clock is right.
    pub usual: u32,
}

impl Breadth {
    /// A single time-based authenticator whose clock is right.
    pub const USUAL: Self = Self { codes: 1, usual: 1 };
}

/// Stored codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedPolicy {
    /// How many digits, unless told otherwise.
    pub digits: u8,
    /// How long they live, unless told otherwise.
    pub ttl: Duration,
    /// The longest they may be told to live.
    pub max_ttl: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/pam_otp"),
            spool_dir: PathBuf::from("/var/spool/pam_otp"),
            run_dir: PathBuf::from("/run/pam_otp"),
            window: 1,
            max_drift: 4,
            look_ahead: 5,
            remember: None,
            on_read_only: OnReadOnly::Deny,
            remote_services: [
                "sshd",
                "sshd-session",
                "vsftpd",
                "proftpd",
                "dovecot",
                "xrdp-sesman",
                "cockpit",
            ]
            .map(str::to_owned)
            .into(),
            throttle: ThrottlePolicy::default(),
            issued: IssuedPolicy::default(),
        }
    }
}

impl Default for ThrottlePolicy {
    fn default() -> Self {
        Self {
            free: 3,
            first_hold: Duration::from_secs(30),
            max_hold: Duration::from_secs(24 * 60 * 60),
            per_day: 8,
            burst: 12,
            reserved: 3,
            lock_after: 100,
            breadth: Breadth::USUAL,
        }
    }
}

impl Default for IssuedPolicy {
    fn default() -> Self {
        Self {
            digits: 8,
            ttl: Duration::from_secs(10 * 60),
            max_ttl: LONGEST_TTL,
        }
    }
}

/// Something wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A value in force, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, with its table: `throttle.free`.
    pub key: &'static str,
    /// The value.
    pub value: Value,
    /// The line of the file that sets it; `None` for the default.
    pub line: Option<usize>,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A path, a duration such as `10m`, or a word.
    Text(String),
    /// A number.
    Number(u64),
    /// A list of words.
    List(Vec<String>),
}

/// A policy and where its values come from.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The policy.
    pub policy: Policy,
    lines: Vec<(&'static str, usize)>,
}

impl Parsed {
    /// The defaults, as where there is no file.
    #[must_use]
    pub fn defaults() -> Self {
        Self {
            policy: Policy::default(),
            lines: Vec::new(),
        }
    }

    /// Every key, its value in force, and the line that sets it.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let setting = |key: &Key| Setting {
            key: key.name,
            value: (key.show)(&self.policy),
            line: self
                .lines
                .iter()
                .find(|(name, _)| *name == key.name)
                .map(|(_, line)| *line),
        };
        KEYS.iter().map(setting).collect()
    }

    /// Understands the text of a policy file, or names every fault in it by line.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            text,
            parsed: Self::defaults(),
            faults: Vec::new(),
        };
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            reader.fault(start, error.message().to_owned());
        }
        if reader.faults.is_empty() {
            reader.table("", table.get_ref());
        }
        if reader.faults.is_empty() {
            reader.check_together();
        }
        if reader.faults.is_empty() {
            Ok(reader.parsed)
        } else {
            Err(reader.faults)
        }
    }
}

/// A key of the file: how it is taken and how it is shown. One row a key, so that nothing is forgotten.
struct Key {
    name: &'static str,
    /// Takes a value, or says what would be right.
    take: fn(&mut Policy, &DeValue<'_>) -> Result<(), &'static str>,
    show: fn(&Policy) -> Value,
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

fn words(value: &DeValue<'_>) -> Option<Vec<String>> {
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

/// A duration as otp.toml and the command line spell it: a whole number above zero and a unit, `s`, `m`, `h` or `d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = plain.then(|| digits.parse().ok())??;
    let total = count.checked_mul(seconds).filter(|total| *total > 0)?;
    Some(Duration::from_secs(total))
}

/// The shortest spelling [`parse_duration`] reads back.
#[must_use]
pub fn format_duration(span: Duration) -> String {
    let secs = span.as_secs();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];
    for (size, unit) in units {
        // A day is spelled 24h, as people say it of codes.
        let whole = secs.checked_rem(size) == Some(0) && secs > 0;
        if whole && !(unit == "d" && secs == size) {
            return format!("{}{unit}", secs.checked_div(size).unwrap_or(0));
        }
    }
    format!("{secs}s")
}

/// Walks the parsed file and collects what it finds.
struct Reader<'a> {
    text: &'a str,
    parsed: Parsed,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, offset: usize, why: String) {
        let line = self.line(offset);
        self.faults.push(Fault { line, why });
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_add(1)
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let inner = format!("{name}.");
            let is_table = KEYS.iter().any(|key| key.name.starts_with(&inner));
            match (value.get_ref(), KEYS.iter().find(|key| key.name == name)) {
                (DeValue::Table(table), None) if is_table => self.table(&inner, table),
                (value, Some(known)) => self.value(known, key.span().start, value),
                (_, None) if is_table => {
                    self.fault(
                        key.span().start,
                        format!("{name} is a table: write [{name}]"),
                    );
                }
                _ => {
                    let why = format!("unknown key {name:?}{}", suggestion(&name));
                    self.fault(key.span().start, why);
                }
            }
        }
    }

    fn value(&mut self, key: &'static Key, offset: usize, value: &DeValue<'_>) {
        match (key.take)(&mut self.parsed.policy, value) {
            Ok(()) => {
                let line = self.line(offset);
                self.parsed.lines.push((key.name, line));
            }
            Err(right) => self.fault(offset, format!("{} {right}", key.name)),
        }
    }

    /// What is right by itself but not together.
    fn check_together(&mut self) {
        let policy = &self.parsed.policy;
        let wrong = [
            (
                policy.throttle.reserved >= policy.throttle.burst,
                "throttle.reserved",
                "throttle.reserved must be less than throttle.burst",
            ),
            (
                policy.throttle.first_hold > policy.throttle.max_hold,
                "throttle.first_hold",
                "throttle.first_hold must not be longer than throttle.max_hold",
            ),
            (
                policy.issued.ttl > policy.issued.max_ttl,
                "issued.ttl",
                "issued.ttl must not be longer than issued.max_ttl",
            ),
        ];
        for (is_wrong, key, why) in wrong {
            if is_wrong {
                let set = self.parsed.lines.iter().find(|(name, _)| *name == key);
                let line = set.or(self.parsed.lines.first()).map_or(1, |set| set.1);
                let why = why.to_owned();
                self.faults.push(Fault { line, why });
            }
        }
    }
}

/// The known key that shares the unknown one's last part, or its beginning: what was probably meant.
fn suggestion(unknown: &str) -> String {
    let last = unknown.rsplit('.').next().unwrap_or(unknown);
    let start: String = last.chars().take(4).collect();
    let meant = KEYS.iter().find(|key| {
        let own = key.name.rsplit('.').next().unwrap_or(key.name);
        own == last || (start.len() == 4 && own.starts_with(&start))
    });
    meant.map_or_else(String::new, |key| format!(": did you mean {}?", key.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = Parsed::parse(text).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_words_of_on_read_only_are_understood_and_no_other() {
        for (word, mode) in [("deny", OnReadOnly::Deny), ("totp", OnReadOnly::Totp)] {
            let parsed = Parsed::parse(&format!("on_read_only = \"{word}\"")).unwrap();
            assert_eq!(parsed.policy.on_read_only, mode);
            let settings = parsed.settings();
            let shown = settings.iter().find(|one| one.key == "on_read_only");
            assert_eq!(shown.unwrap().value, Value::Text(word.to_owned()));
        }
        assert_eq!(
            faults("on_read_only = \"allow\""),
            ["line 1: on_read_only takes \"deny\" or \"totp\""]
        );
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(Parsed::parse("").unwrap().policy, Policy::default());
    }

    #[test]
    fn the_file_that_is_shipped_names_every_key_with_its_default() {
        let shipped = include_str!("../../etc/otp.toml");
        assert_eq!(Parsed::parse(shipped).unwrap().policy, Policy::default());
        let set: String = shipped
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => rest,
                _ => line,
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let parsed = Parsed::parse(&set).unwrap();
        assert_eq!(parsed.policy, Policy::default());
        assert!(
            parsed
                .settings()
                .iter()
                .all(|setting| setting.line.is_some())
        );
    }

    #[test]
    fn every_key_is_taken_and_its_line_is_told() {
        let text = "window = 2\nspool_dir = \"/srv/otp\"\n[throttle]\nfree = 5\nmax_hold = \"2d\"\n[issued]\nttl = \"15m\"\n";
        let parsed = Parsed::parse(text).unwrap();
        assert_eq!(parsed.policy.window, 2);
        assert_eq!(parsed.policy.spool_dir, Path::new("/srv/otp"));
        assert_eq!(parsed.policy.throttle.free, 5);
        assert_eq!(parsed.policy.issued.ttl, Duration::from_secs(900));
        let settings = parsed.settings();
        let line = |key: &str| settings.iter().find(|s| s.key == key).and_then(|s| s.line);
        assert_eq!(line("throttle.max_hold"), Some(5));
        assert_eq!(line("state_dir"), None);
    }

    #[test]
    fn every_fault_is_named_by_line() {
        let text = "window = 11\nwindows = 1\nstate_dir = \"relative\"\n[throttle]\nfree = \"3\"\nburst = -1\n[other]\nx = 1\n";
        let mut found = faults(text);
        found.sort();
        assert_eq!(
            found,
            [
                "line 1: window takes a number of steps from 0 to 10",
                "line 2: unknown key \"windows\": did you mean window?",
                "line 3: state_dir takes an absolute path without \"..\"",
                "line 5: throttle.free takes a number from 1 to 10",
                "line 6: throttle.burst takes a number up to 1000",
                "line 7: unknown key \"other\"",
            ]
        );
    }

    #[test]
    fn what_is_wrong_together_is_named() {
        assert_eq!(
            faults("[issued]\nmax_ttl = \"5m\"\n"),
            ["line 2: issued.ttl must not be longer than issued.max_ttl"]
        );
        assert_eq!(
            faults("[throttle]\nburst = 3\n"),
            ["line 2: throttle.reserved must be less than throttle.burst"]
        );
    }

    #[test]
    fn a_fault_of_two_values_is_told_where_the_wrong_one_is_set() {
        let text = "window = 1\n[throttle]\nmax_hold = \"1m\"\nfirst_hold = \"61s\"\n";
        assert_eq!(
            faults(text),
            ["line 4: throttle.first_hold must not be longer than throttle.max_hold"]
        );
        let twice = "[throttle]\nfirst_hold = \"1h\"\nmax_hold = \"1m\"\n";
        assert_eq!(faults(twice).len(), 1);
        for equal in [
            "[throttle]\nmax_hold = \"1m\"\nfirst_hold = \"1m\"\n",
            "[issued]\nttl = \"5m\"\nmax_ttl = \"5m\"\n",
        ] {
            assert_eq!(faults(equal), [""; 0], "{equal}");
        }
        let longer = "[issued]\nttl = \"6m\"\nmax_ttl = \"5m\"\n";
        assert_eq!(
            faults(longer),
            ["line 2: issued.ttl must not be longer than issued.max_ttl"]
        );
    }

    #[test]
    fn every_bound_is_where_the_fault_says_it_is() {
        for (key, within, beyond) in [
            ("window", &["0", "10"][..], &["11", "-1"][..]),
            ("throttle.free", &["1", "10"], &["0", "11"]),
            (
                "throttle.max_hold",
                &["\"7d\"", "\"30s\""],
                &["\"8d\"", "\"604801s\""],
            ),
            ("throttle.per_day", &["1", "1000"], &["0", "1001"]),
            ("throttle.burst", &["4", "1000"], &["0", "1001"]),
            ("throttle.reserved", &["0", "11"], &["12", "1000"]),
            ("throttle.lock_after", &["1", "100"], &["0", "101"]),
            ("issued.digits", &["6", "10"], &["5", "11"]),
            (
                "issued.ttl",
                &["\"1s\"", "\"24h\""],
                &["\"86401s\"", "\"0s\""],
            ),
            (
                "state_dir",
                &["\"/srv/a..b\""],
                &["\"/srv/../b\"", "\"srv\"", "1"],
            ),
            (
                "remote_services",
                &["[]", "[\"sshd\"]"],
                &["[\"\"]", "[\"a b\"]", "\"sshd\"", "[1]"],
            ),
        ] {
            for value in within {
                let text = format!("{key} = {value}");
                assert_eq!(faults(&text), [""; 0], "{text}");
            }
            for value in beyond {
                let text = format!("{key} = {value}");
                assert_eq!(faults(&text).len(), 1, "{text}");
            }
        }
    }

    #[test]
    fn what_was_probably_meant_is_named_and_nothing_else_is() {
        for (key, meant) in [
            ("free", ": did you mean throttle.free?"),
            ("wind", ": did you mean window?"),
            ("throttle.lock", ": did you mean throttle.lock_after?"),
            ("state_path", ": did you mean state_dir?"),
            ("win", ""),
            ("x", ""),
        ] {
            let found = faults(&format!("{key} = 1"));
            assert_eq!(found, [format!("line 1: unknown key {key:?}{meant}")]);
        }
        assert_eq!(
            faults("\nthrottle = 3"),
            ["line 2: throttle is a table: write [throttle]"]
        );
    }

    #[test]
    fn broken_toml_is_named_by_line() {
        assert!(faults("window = 1\nwindow = 2\n")[0].starts_with("line 2:"));
        assert!(faults("\n\n= 3\n")[0].starts_with("line 3:"));
    }

    #[test]
    fn durations_are_read_and_spelled() {
        for (text, secs) in [("1s", 1), ("10m", 600), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(secs)));
            assert_eq!(format_duration(Duration::from_secs(secs)), text);
        }
        for (secs, text) in [(0, "0s"), (59, "59s"), (61, "61s"), (90 * 60, "90m")] {
            assert_eq!(format_duration(Duration::from_secs(secs)), text);
        }
        for text in [
            "",
            "0",
            "0s",
            "10",
            "m",
            "-5m",
            "+5m",
            "5 m",
            "1.5h",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = Parsed::parse(&text);
        }
    }
}
