//! otp.toml: parsed, validated, and every value with where it came from. otp.toml(5) documents the keys. Here is what
//! a policy is; [`keys`] has a row for each key, [`rules`] who needs a code, [`reader`] reads both.

mod delivery;
mod duration;
mod keys;
mod network;
mod reader;
mod rules;

pub use delivery::{DeliveryPolicy, EmailPolicy, SmsPolicy, SmtpPolicy, Tls, Via};
pub use duration::{format_duration, parse_duration};
pub use network::{BadNetwork, Network};
pub use rules::{Demand, Rule, Visit};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::calendar::Day;
use crate::issued::LONGEST_TTL;
use keys::Key;

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
    /// Enrolment at the first login.
    pub enroll: EnrollPolicy,
    /// Codes that are sent.
    pub delivery: DeliveryPolicy,
    /// Codes by e-mail.
    pub email: EmailPolicy,
    /// The server that takes them, where one does.
    pub smtp: SmtpPolicy,
    /// Codes by SMS.
    pub sms: SmsPolicy,
    /// Who needs a code; the first that matches decides.
    pub rules: Vec<Rule>,
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

/// Enrolment at the first login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrollPolicy {
    /// The last day of it, in UTC; `None`: it does not end.
    pub until: Option<Day>,
    /// Who the code is for, as the app shows it; empty: the machine's name.
    pub issuer: String,
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
            enroll: EnrollPolicy::default(),
            delivery: DeliveryPolicy::default(),
            email: EmailPolicy::default(),
            smtp: SmtpPolicy::default(),
            sms: SmsPolicy::default(),
            rules: Vec::new(),
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
        keys::all().map(setting).collect()
    }

    /// Understands the text of a policy file, or names every fault in it by line.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        reader::read(text)
    }
}

#[cfg(test)]
mod tests;
