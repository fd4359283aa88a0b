//! How a user stands.

use otp::delivery::Channel;
use otp::origin::Origin;
use otp::policy::Policy;
use otp::standing;
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
    /// Codes that were sent are off, and none is sent.
    pub(crate) sent_locked: bool,
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
    /// Told to the user herself, who cannot change it.
    #[serde(skip)]
    own: bool,
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
    /// `None` where it is not told.
    reason: Option<String>,
    #[serde(skip)]
    sends_at_most: u32,
    #[serde(skip)]
    attempts_at_most: u32,
}

impl Status {
    /// Of a record as of now.
    pub(crate) fn of(record: &Record, now: UnixTime, policy: &Policy) -> Self {
        let standing = standing::Standing::of(record, now, policy);
        Self {
            contacts: Contact::masked(&record.contacts, now),
            ..Self::new(record.user.as_str(), &standing, policy)
        }
    }

    /// Of what is told of a user.
    pub(crate) fn new(user: &str, standing: &standing::Standing, policy: &Policy) -> Self {
        Self {
            user: user.to_owned(),
            enrolled: standing.enrolled,
            disabled: standing.disabled,
            authenticators: standing.devices.iter().map(Standing::of).collect(),
            failures: standing.failures,
            throttled_until: standing.held_until.map(Stamp),
            locked: standing.locked,
            sent_locked: standing.sent_locked,
            issued: standing
                .issued
                .iter()
                .map(|code| Pending::of(code, policy))
                .collect(),
            recovery_codes_left: standing.recovery.map(|list| list.left),
            contacts: standing.contacts.iter().map(Contact::told).collect(),
            remembered: standing.remembered.iter().map(Known::of).collect(),
            recovery_codes: standing.recovery.map_or(0, |list| list.of),
            last: standing.last.map(|last| Last {
                at: Stamp(last.at),
                method: last.method.name(),
                origin: last.origin.to_string(),
                user: user.to_owned(),
            }),
            gone: false,
            own: false,
        }
    }

    /// Says that the passwd database no longer has her.
    pub(crate) const fn with_gone(mut self, gone: bool) -> Self {
        self.gone = gone;
        self
    }

    /// Says it to the user herself.
    pub(crate) const fn of_oneself(mut self) -> Self {
        self.own = true;
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
            Self {
                sent_locked: true,
                enrolled: false,
                ..
            } => ("locked", Tint::Bad),
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

impl Known {
    fn of(known: &(Origin, UnixTime)) -> Self {
        let (origin, until) = known;
        Self {
            origin: origin.to_string(),
            until: Stamp(*until),
        }
    }
}

impl Pending {
    fn of(code: &standing::Pending, policy: &Policy) -> Self {
        Self {
            id: code.id.to_string(),
            expires_at: Stamp(code.expires_at),
            attempts: code.attempts,
            sends: code.sends,
            channel: code.channel.map(Channel::name),
            reason: code.reason.clone(),
            sends_at_most: policy.delivery.sends_per_code,
            attempts_at_most: code.most_attempts(),
        }
    }

    fn words(&self, now: UnixTime) -> String {
        let end = words::end(self.expires_at.0, now);
        let reason = match self.reason.as_deref() {
            None | Some("") => String::new(),
            Some(reason) => format!(", \"{}\"", words::printable(reason)),
        };
        let sent = self.channel.map_or_else(String::new, |channel| {
            let (sends, most) = (self.sends, self.sends_at_most);
            format!(" by {channel}, sent {sends} of {most} times")
        });
        let (id, tried, most) = (&self.id, self.attempts, self.attempts_at_most);
        format!("{id} until {end}{sent}, {tried} of {most} attempts{reason}")
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
        let is_without = !self.enrolled && !self.contacts.iter().any(Contact::is_confirmed);
        if is_without && self.own {
            page.paragraph("Next: ask an administrator of this machine to enrol you");
        } else if is_without {
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
        if self.sent_locked {
            let text = format!(
                "off after too many wrong answers, and none is sent, until another code is accepted or 'otpctl unlock {}'",
                words::printable(&self.user)
            );
            page.tinted_row("sent codes", Tint::Bad, &text);
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
