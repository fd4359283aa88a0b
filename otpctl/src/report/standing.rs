//! How a user stands.

use otp::enrollment::{Authenticator, Kind};
use otp::issued::{MAX_ATTEMPTS, StoredCode};
use otp::policy::Policy;
use otp::state::State;
use otp::time::{Period, UnixTime};
use otp::verify::{Method, Record};
use serde::Serialize;

use super::words::{self, Stamp};
use super::{Answer, Page, Tint};

/// How a user stands. Never a secret.
#[derive(Serialize)]
pub(crate) struct Status {
    pub(crate) user: String,
    pub(crate) enrolled: bool,
    pub(crate) disabled: bool,
    authenticators: Vec<Standing>,
    pub(crate) failures: u32,
    pub(crate) throttled_until: Option<Stamp>,
    pub(crate) locked: bool,
    pub(crate) issued: Vec<Pending>,
    pub(super) recovery_codes_left: Option<usize>,
    #[serde(skip)]
    recovery_codes: usize,
    #[serde(skip)]
    pub(crate) last: Option<Last>,
    #[serde(skip)]
    gone: bool,
}

/// The last accepted code.
#[derive(Clone, Serialize)]
pub(crate) struct Last {
    pub(crate) at: Stamp,
    method: &'static str,
    pub(super) origin: String,
    pub(super) user: String,
}

/// How an authenticator stands.
#[derive(Serialize)]
struct Standing {
    name: String,
    r#type: &'static str,
    algorithm: &'static str,
    digits: usize,
    period: Option<u64>,
    drift: Option<i32>,
    last_used_at: Option<Stamp>,
    last_origin: Option<String>,
    #[serde(skip)]
    words: String,
    #[serde(skip)]
    enrolled_at: UnixTime,
}

/// An issued code that is still good.
#[derive(Serialize)]
pub(crate) struct Pending {
    id: String,
    expires_at: Stamp,
    attempts: u32,
    sends: u32,
    reason: String,
}

impl Status {
    /// Of a record as of now.
    pub(crate) fn of(record: &Record, now: UnixTime, policy: &Policy) -> Self {
        let bounds = record.throttle_policy(policy);
        let mut throttle = record.state.throttle.clone();
        throttle.settle(now, &bounds);
        let enrollment = record.enrollment.as_ref();
        let list = enrollment.and_then(|enrollment| enrollment.recovery.as_ref());
        let used = list.and_then(|list| record.state.recovery(list.generation));
        let left = list.map(|list| {
            let is_left = |index: &usize| used.is_none_or(|used| !used.is_used(*index));
            (0..list.digests.len()).filter(is_left).count()
        });
        let authenticators = enrollment.map_or(&[][..], |known| &known.authenticators);
        let live = record.issued.iter().filter(|code| code.is_live(now));
        let mut issued: Vec<Pending> = live.map(Pending::of).collect();
        issued.sort_by_key(|code| code.expires_at);
        Self {
            user: record.user.to_string(),
            enrolled: enrollment.is_some(),
            disabled: record.state.disabled,
            authenticators: authenticators
                .iter()
                .map(|authenticator| Standing::of(authenticator, &record.state))
                .collect(),
            failures: throttle.failures,
            throttled_until: throttle.held_until(now, &bounds).map(Stamp),
            locked: throttle.failures >= policy.throttle.lock_after,
            issued,
            recovery_codes_left: left,
            recovery_codes: list.map_or(0, |list| list.digests.len()),
            last: record.state.last.map(|last| Last {
                at: Stamp(last.at),
                method: last.method.name(),
                origin: last.origin.to_string(),
                user: record.user.to_string(),
            }),
            gone: false,
        }
    }

    /// Says that the passwd database no longer has her.
    pub(crate) const fn with_gone(mut self, gone: bool) -> Self {
        self.gone = gone;
        self
    }

    /// How many authenticators of this type she has.
    pub(super) fn authenticators_of(&self, kind: &str) -> usize {
        let all = self.authenticators.iter();
        all.filter(|authenticator| authenticator.r#type == kind)
            .count()
    }

    /// One word, for `list`.
    fn word(&self, now: UnixTime) -> (&'static str, Tint) {
        let held = self.throttled_until.is_some_and(|until| now < until.0);
        match self {
            Self { gone: true, .. } => ("gone", Tint::Warning),
            Self { disabled: true, .. } => ("disabled", Tint::Warning),
            Self { locked: true, .. } => ("locked", Tint::Bad),
            _ if held => ("held", Tint::Warning),
            Self { enrolled: true, .. } => ("enrolled", Tint::Plain),
            _ => ("codes only", Tint::Plain),
        }
    }

    fn failures(&self, page: &Page) -> (Tint, String) {
        let count = match (self.failures, &self.last) {
            (0, _) => "none".to_owned(),
            (n, Some(_)) => format!("{n} since then"),
            (n, None) => n.to_string(),
        };
        if self.locked {
            let text = format!(
                "{count}; locked until 'otpctl unlock {}'",
                words::printable(&self.user)
            );
            return (Tint::Bad, text);
        }
        match self.throttled_until {
            Some(until) => {
                let end = words::end(until.0, page.now());
                let way = "issued and recovery codes still work";
                (Tint::Warning, format!("{count}; held until {end} ({way})"))
            }
            None => (Tint::Plain, format!("{count}; not held")),
        }
    }
}

impl Standing {
    fn of(authenticator: &Authenticator, state: &State) -> Self {
        let entry = state.authenticator(authenticator.generation);
        let used_at = entry.and_then(|entry| entry.last_used_at);
        // The record keeps where the last code of any kind came from: it is this one's if their times agree.
        let last = state
            .last
            .filter(|last| last.method == method(authenticator.kind) && Some(last.at) == used_at);
        Self {
            name: authenticator.name.clone(),
            r#type: authenticator.kind.name(),
            algorithm: authenticator.algorithm.name(),
            digits: authenticator.length.digits(),
            period: authenticator.kind.period().map(Period::as_secs),
            drift: used_at.and_then(|_| entry.map(|entry| entry.drift.last)),
            last_used_at: used_at.map(Stamp),
            last_origin: last.map(|last| last.origin.to_string()),
            words: words::authenticator(authenticator),
            enrolled_at: authenticator.enrolled_at,
        }
    }

    fn drift_words(&self) -> Option<String> {
        let steps = self.drift.filter(|_| self.last_used_at.is_some())?;
        words::drift(steps.into(), self.period?)
    }
}

/// What an accepted code of such an authenticator is called.
const fn method(kind: Kind) -> Method {
    match kind {
        Kind::Totp { .. } => Method::Totp,
        Kind::Hotp => Method::Hotp,
    }
}

impl Pending {
    fn of(code: &StoredCode) -> Self {
        Self {
            id: code.id.to_string(),
            expires_at: Stamp(code.expires_at),
            attempts: code.attempts(),
            sends: code.sends,
            reason: code.reason.clone(),
        }
    }

    fn words(&self, now: UnixTime) -> String {
        let end = words::end(self.expires_at.0, now);
        let reason = match self.reason.as_str() {
            "" => String::new(),
            reason => format!(", \"{}\"", words::printable(reason)),
        };
        let tried = self.attempts;
        format!(
            "{} until {end}, {tried} of {MAX_ATTEMPTS} attempts{reason}",
            self.id
        )
    }
}

impl Answer for Status {
    fn page(&self, page: &mut Page) {
        let user = words::printable(&self.user);
        let mut told = self.authenticators.iter();
        match told.next() {
            Some(first) => {
                let day = words::day(first.enrolled_at);
                let what = format!("enrolled {day}, {}", first.words);
                page.tinted_row(&user, Tint::Strong, &what);
            }
            None if self.enrolled => page.tinted_row(&user, Tint::Strong, "recovery codes only"),
            None => page.tinted_row(&user, Tint::Strong, "not enrolled"),
        }
        for other in told {
            let day = words::day(other.enrolled_at);
            page.row(
                "",
                &format!("{} {day}, {}", words::printable(&other.name), other.words),
            );
        }
        self.page_of_use(page);
        if self.recovery_codes_left.is_some() {
            let left = self.recovery_codes_left.unwrap_or(0);
            page.row(
                "recovery",
                &format!("{left} of {} left", self.recovery_codes),
            );
        }
        for (index, code) in self.issued.iter().enumerate() {
            page.row(
                if index == 0 { "issued" } else { "" },
                &code.words(page.now()),
            );
        }
        if !self.enrolled {
            page.paragraph(&format!("Next: otpctl enroll {user}"));
        }
    }
}

impl Status {
    fn page_of_use(&self, page: &mut Page) {
        if self.gone {
            let text = format!(
                "not in the passwd database any more; otpctl remove {}",
                words::printable(&self.user)
            );
            page.tinted_row("gone", Tint::Warning, &text);
        }
        if self.disabled {
            let text = format!(
                "every code is refused; otpctl enable {}",
                words::printable(&self.user)
            );
            page.tinted_row("disabled", Tint::Warning, &text);
        }
        if let Some(last) = &self.last {
            let drift = self.authenticators.iter().find_map(Standing::drift_words);
            let drift = drift.map_or_else(String::new, |drift| format!(" (clock {drift})"));
            let kind = match last.method {
                "totp" => String::new(),
                other => format!(", {other} code"),
            };
            let at = words::moment(last.at.0, page.now());
            page.row(
                "last used",
                &format!("{at} from {}{kind}{drift}", words::origin(&last.origin)),
            );
        } else if self.enrolled {
            page.row("last used", "never");
        }
        if self.enrolled || self.failures > 0 {
            let (tint, text) = self.failures(page);
            page.tinted_row("failures", tint, &text);
        }
    }
}

/// A user as one of many.
pub(crate) struct Listed<'a> {
    pub(crate) status: &'a Status,
    /// Columns of the longest name.
    pub(crate) column: usize,
}

impl Serialize for Listed<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.status.serialize(to)
    }
}

impl Answer for Listed<'_> {
    fn page(&self, page: &mut Page) {
        let user = words::printable(&self.status.user);
        let gap = " ".repeat(self.column.saturating_sub(words::columns(&user)));
        let (word, tint) = self.status.word(page.now());
        let word = page.painted(tint, &format!("{word:<10}"));
        let last = self.status.last.as_ref().map_or_else(
            || "never used".to_owned(),
            |last| format!("last used {}", words::moment(last.at.0, page.now())),
        );
        let mut more = Vec::new();
        if self.status.failures > 0 {
            more.push(words::count(self.status.failures, "failure"));
        }
        if !self.status.issued.is_empty() {
            more.push(words::count(self.status.issued.len() as u64, "issued code"));
        }
        let more = more.join(", ");
        let line = format!("{user}{gap}  {}  {last:<26}  {more}", word.as_str());
        page.line(line.trim_end());
    }
}
