//! How a user stands.

use otp::delivery::Channel;
use otp::issued::{MAX_ATTEMPTS, StoredCode};
use otp::policy::Policy;
use otp::store::queue::Outcome;
use otp::time::UnixTime;
use otp::verify::Record;
use serde::Serialize;

use super::contacts::Known as Contact;
use super::device::Standing;
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
    /// Where codes can be sent to her, masked.
    pub(crate) contacts: Vec<Contact>,
    remembered: Vec<Known>,
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

/// An address from where no code is asked for.
#[derive(Serialize)]
struct Known {
    origin: String,
    until: Stamp,
}

/// An issued code that is still good.
#[derive(Serialize)]
pub(crate) struct Pending {
    id: String,
    expires_at: Stamp,
    attempts: u32,
    sends: u32,
    /// By which channel it was sent, if by any.
    channel: Option<&'static str>,
    reason: String,
    #[serde(skip)]
    sends_at_most: u32,
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
        let mut issued: Vec<Pending> = live.map(|code| Pending::of(code, policy)).collect();
        issued.sort_by_key(|code| code.expires_at);
        Self {
            user: record.user.to_string(),
            enrolled: enrollment.is_some(),
            disabled: record.state.disabled,
            authenticators: authenticators
                .iter()
                .map(|authenticator| Standing::of(authenticator, &record.state, policy))
                .collect(),
            failures: throttle.failures,
            throttled_until: throttle.held_until(now, &bounds).map(Stamp),
            locked: throttle.failures >= policy.throttle.lock_after,
            issued,
            recovery_codes_left: left,
            contacts: Contact::masked(&record.contacts, now),
            remembered: remembered(record, now, policy),
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

    /// Says what became of the last code by each channel.
    pub(crate) fn with_outcomes(mut self, outcomes: &[Outcome]) -> Self {
        for contact in &mut self.contacts {
            contact.tell_last(outcomes);
        }
        self
    }

    /// Whether anything is kept of her that is worth a line.
    pub(crate) fn is_somebody(&self) -> bool {
        self.enrolled || !self.issued.is_empty() || !self.contacts.is_empty()
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
            _ if self.contacts.iter().any(Contact::is_confirmed) => ("sent codes", Tint::Plain),
            _ if !self.issued.is_empty() => ("codes only", Tint::Plain),
            _ => ("no code", Tint::Warning),
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

/// The addresses from where she is not asked now.
fn remembered(record: &Record, now: UnixTime, policy: &Policy) -> Vec<Known> {
    let Some(span) = policy.remember else {
        return Vec::new();
    };
    let known = record.state.remembered.iter();
    known
        .filter(|known| known.at <= now && now < known.at.plus(span))
        .map(|known| Known {
            origin: known.origin.to_string(),
            until: Stamp(known.at.plus(span)),
        })
        .collect()
}

impl Pending {
    fn of(code: &StoredCode, policy: &Policy) -> Self {
        Self {
            id: code.id.to_string(),
            expires_at: Stamp(code.expires_at),
            attempts: code.attempts(),
            sends: code.sends,
            channel: code.channel.map(Channel::name),
            reason: code.reason.clone(),
            sends_at_most: policy.delivery.sends_per_code,
        }
    }

    fn words(&self, now: UnixTime) -> String {
        let end = words::end(self.expires_at.0, now);
        let reason = match self.reason.as_str() {
            "" => String::new(),
            reason => format!(", \"{}\"", words::printable(reason)),
        };
        let sent = self.channel.map_or_else(String::new, |channel| {
            let (sends, most) = (self.sends, self.sends_at_most);
            format!(" by {channel}, sent {sends} of {most} times")
        });
        let (id, tried) = (&self.id, self.attempts);
        format!("{id} until {end}{sent}, {tried} of {MAX_ATTEMPTS} attempts{reason}")
    }
}

impl Answer for Status {
    fn page(&self, page: &mut Page) {
        let user = words::printable(&self.user);
        match self.authenticators.as_slice() {
            [only] => {
                let day = words::day(only.enrolled_at);
                let what = format!("enrolled {day}, {}", only.words);
                page.tinted_row(&user, Tint::Strong, &what);
                if let Some(place) = only.place_words() {
                    let label = if only.period.is_some() {
                        "clock"
                    } else {
                        "token"
                    };
                    page.row(label, &place);
                }
            }
            [] if self.enrolled => page.tinted_row(&user, Tint::Strong, "recovery codes only"),
            [] => page.tinted_row(&user, Tint::Strong, "not enrolled"),
            several => {
                let count = words::count(several.len() as u64, "authenticator");
                page.tinted_row(&user, Tint::Strong, &format!("enrolled with {count}"));
                for (index, one) in several.iter().enumerate() {
                    let label = if index == 0 { "codes from" } else { "" };
                    page.row(label, &one.line(page.now()));
                }
            }
        }
        self.page_of_use(page);
        if self.recovery_codes_left.is_some() {
            let left = self.recovery_codes_left.unwrap_or(0);
            page.row(
                "recovery",
                &format!("{left} of {} left", self.recovery_codes),
            );
        }
        for (index, known) in self.remembered.iter().enumerate() {
            let end = words::end(known.until.0, page.now());
            let label = if index == 0 { "remembered" } else { "" };
            page.row(
                label,
                &format!("{} until {end}", words::origin(&known.origin)),
            );
        }
        Contact::rows(&self.contacts, page);
        for (index, code) in self.issued.iter().enumerate() {
            page.row(
                if index == 0 { "issued" } else { "" },
                &code.words(page.now()),
            );
        }
        if !self.enrolled && !self.contacts.iter().any(Contact::is_confirmed) {
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
            let drift = match self.authenticators.as_slice() {
                [only] => only.drift_words(),
                _ => None,
            };
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
        if self.status.authenticators.len() > 1 {
            more.push(words::count(
                self.status.authenticators.len() as u64,
                "authenticator",
            ));
        }
        if self.status.failures > 0 {
            more.push(words::count(self.status.failures, "failure"));
        }
        if self.status.enrolled {
            let confirmed = self.status.contacts.iter().filter(|one| one.is_confirmed());
            more.extend(confirmed.map(|one| one.channel.to_owned()));
        }
        if !self.status.issued.is_empty() {
            more.push(words::count(self.status.issued.len() as u64, "issued code"));
        }
        let more = more.join(", ");
        let line = format!("{user}{gap}  {}  {last:<26}  {more}", word.as_str());
        page.line(line.trim_end());
    }
}
