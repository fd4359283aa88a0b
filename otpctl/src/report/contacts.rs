//! Where codes can be sent to a user, and what became of one that was.

use otp::delivery::{Channel, Contact, Contacts, MAX_CONFIRM_ATTEMPTS};
use otp::policy::Policy;
use otp::request::Why;
use otp::standing::Reach;
use otp::store::Sent;
use otp::store::queue::{Delivery, Outcome};
use otp::time::UnixTime;
use otp::user::UserName;
use serde::Serialize;

use super::words::{self, Stamp};
use super::{Answer, Page, Tint};

/// A user's contacts, whole or masked.
#[derive(Serialize)]
pub(crate) struct Known {
    pub(super) channel: &'static str,
    address: String,
    confirmed_at: Option<Stamp>,
    pending: Option<Pending>,
    /// What became of the last code that went there, as long as it could be good.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

/// What delivery told of a code.
#[derive(Serialize)]
struct Last {
    result: &'static str,
    /// Why it was not handed over.
    reason: Option<&'static str>,
    at: Stamp,
}

/// A code that was sent to confirm a contact.
#[derive(Serialize)]
struct Pending {
    expires_at: Stamp,
    attempts: u8,
}

impl Known {
    /// All of them as root may see them.
    pub(crate) fn whole(contacts: &Contacts, now: UnixTime) -> Vec<Self> {
        let whole = |contact: &Contact| contact.address.as_str().to_owned();
        contacts
            .iter()
            .map(|one| Self::of(one, whole, now))
            .collect()
    }

    /// All of them as anybody may.
    pub(crate) fn masked(contacts: &Contacts, now: UnixTime) -> Vec<Self> {
        let masked = |contact: &Contact| contact.address.masked();
        contacts
            .iter()
            .map(|one| Self::of(one, masked, now))
            .collect()
    }

    fn of(contact: &Contact, shown: impl Fn(&Contact) -> String, now: UnixTime) -> Self {
        let pending = contact.pending.as_ref();
        let pending = pending.filter(|pending| now < pending.expires_at);
        Self {
            channel: contact.channel().name(),
            address: shown(contact),
            confirmed_at: contact.confirmed_at.map(Stamp),
            pending: pending.map(|pending| Pending {
                expires_at: Stamp(pending.expires_at),
                attempts: pending.attempts,
            }),
            last: None,
        }
    }

    /// One as it is told to the user herself.
    pub(super) fn told(reach: &Reach) -> Self {
        Self {
            channel: reach.channel.name(),
            address: reach.to.clone(),
            confirmed_at: reach.confirmed_at.map(Stamp),
            pending: None,
            last: None,
        }
    }

    /// Says what became of the last code that went there.
    pub(super) fn tell_last(&mut self, outcomes: &[Outcome]) {
        let mut all = outcomes.iter();
        let its = all.find(|outcome| outcome.channel.name() == self.channel);
        self.last = its.map(|outcome| {
            let (result, reason) = match outcome.result {
                Delivery::Sent => ("sent", None),
                Delivery::Failed(reason) => ("failed", Some(reason.name())),
            };
            let at = Stamp(outcome.at);
            Last { result, reason, at }
        });
    }

    /// Whether codes for logins go there.
    pub(crate) const fn is_confirmed(&self) -> bool {
        self.confirmed_at.is_some()
    }

    /// In a row, behind its channel.
    fn words(&self, now: UnixTime) -> String {
        let what = match (self.confirmed_at, &self.pending) {
            (Some(at), _) => format!("confirmed {}", words::moment(at.0, now)),
            (None, Some(pending)) => {
                let end = words::end(pending.expires_at.0, now);
                let tried = pending.attempts;
                format!(
                    "not confirmed; a code is good until {end}, {tried} of {MAX_CONFIRM_ATTEMPTS} attempts"
                )
            }
            (None, None) => "not confirmed, so no code goes there".to_owned(),
        };
        let address = words::printable(&self.address);
        let last = self.last.as_ref().map_or_else(String::new, |last| {
            let at = words::moment(last.at.0, now);
            match last.reason {
                Some(reason) => format!("; the last code could not be sent ({reason}), {at}"),
                None => format!("; the last code was handed over {at}"),
            }
        });
        format!("{address}, {what}{last}")
    }

    /// A row each.
    pub(crate) fn rows(all: &[Self], page: &mut Page) {
        for known in all {
            let failed = known
                .last
                .as_ref()
                .is_some_and(|last| last.reason.is_some());
            let tint = if known.is_confirmed() && !failed {
                Tint::Plain
            } else {
                Tint::Warning
            };
            page.tinted_row(known.channel, tint, &known.words(page.now()));
        }
    }
}

/// A user's contacts, and what was done to them.
#[derive(Serialize)]
pub(crate) struct ContactsOf {
    pub(crate) user: String,
    pub(crate) contacts: Vec<Known>,
    /// What was done, a sentence each.
    #[serde(skip)]
    pub(crate) said: Vec<String>,
}

impl Answer for ContactsOf {
    fn page(&self, page: &mut Page) {
        let user = words::printable(&self.user);
        for said in &self.said {
            page.paragraph(said);
        }
        if !self.said.is_empty() {
            return;
        }
        if self.contacts.is_empty() {
            page.paragraph(&format!(
                "No code can be sent to {user}. Next: otpctl contact {user} --sms NUMBER, or --email ADDRESS"
            ));
            return;
        }
        page.tinted_row(&user, Tint::Strong, "codes can be sent to");
        Known::rows(&self.contacts, page);
        let open = self.contacts.iter().find(|known| !known.is_confirmed());
        if let Some(open) = open {
            page.paragraph(&next(&user, open));
        }
    }
}

/// What confirms a contact that is not.
fn next(user: &str, open: &Known) -> String {
    let channel = open.channel;
    if open.pending.is_some() {
        return format!("Next: otpctl contact {user} --confirm {channel}");
    }
    let address = words::printable(&open.address);
    format!("Next: otpctl contact {user} --{channel} {address}   (sends another code)")
}

/// That a code is on its way to confirm a contact, and what is to be done with it.
pub(crate) fn on_its_way(user: &str, sent: &Sent, now: UnixTime) -> String {
    let (to, channel, end) = (&sent.to, sent.channel, words::end(sent.expires_at, now));
    let user = words::printable(user);
    format!(
        "A code is on its way to {to}, good until {end}; until it is confirmed no other goes there. Next: otpctl contact {user} --confirm {channel}"
    )
}

/// Why no code is sent, with when or how one would be.
pub(crate) fn why(
    why: Why,
    user: &UserName,
    channel: Channel,
    now: UnixTime,
    policy: &Policy,
) -> String {
    let again = |until| format!("the next one can go from {} on", words::end(until, now));
    match why {
        Why::NoChannel => {
            let key = match channel {
                Channel::Sms => "sms.command",
                Channel::Email => "email.via",
            };
            format!("no codes are sent by {channel}: set {key} in otp.toml, see otp.toml(5)")
        }
        Why::NoContact => format!(
            "{user} has no confirmed {channel} contact: 'otpctl contact {user}' shows what there is"
        ),
        Why::Disabled => {
            format!("{user} is disabled, so nothing is sent to her: otpctl enable {user}")
        }
        Why::Locked => format!(
            "too many wrong answers at codes that were sent to {user}, so they are off: 'otpctl unlock {user}', or read her one: 'otpctl issue {user}'"
        ),
        Why::Held { until } => format!("too many wrong codes: {}", again(until)),
        Why::TooSoon { until } => {
            format!(
                "a code went to {user} by {channel} only just: {}",
                again(until)
            )
        }
        Why::SendsSpent { until } => format!(
            "her code was sent {} times, or guessed at too often: {}; one you read to her goes by 'otpctl issue {user}'",
            policy.delivery.sends_per_code,
            again(until)
        ),
        Why::HourSpent { until } => format!(
            "{user} was sent {} codes within an hour, and no more may be: {}",
            policy.delivery.per_hour,
            again(until)
        ),
        Why::MachineSpent { until } => format!(
            "this machine sent {} codes within an hour, and no more may be: {}",
            policy.delivery.machine_per_hour,
            again(until)
        ),
        Why::TooManyCodes => {
            format!("{user} has as many live codes as anybody can have: otpctl revoke {user}")
        }
        Why::QueueFull => format!(
            "{} codes wait to be sent, and no more may: is 'otpctl deliver' running? otpctl status",
            policy.delivery.queue
        ),
    }
}
