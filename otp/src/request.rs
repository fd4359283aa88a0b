//! Whether a code is sent to a user who asks for one, and which. Pure: what is known of her goes in, and what has to be kept
//! before anything is sent comes out. [`sends`](crate::sends) counts; [`verify`](mod@crate::verify) is who accepts the code.

use std::time::Duration;

use rand::CryptoRng;

use crate::delivery::{Address, Channel, Contact, Contacts};
use crate::issued::{CodeId, Fate, MAX_LIVE, StoredCode};
use crate::keyed::DigestKey;
use crate::origin::Origin;
use crate::passcode::Digits;
use crate::policy::Policy;
use crate::sends::{MachineLog, SendLog, Wait};
use crate::time::UnixTime;
use crate::verify::Record;

/// What is known where a code is asked for, as read under the locks of the user and of the machine's count.
pub struct Known<'a> {
    /// Her record.
    pub record: &'a Record,
    /// Her contacts.
    pub contacts: &'a Contacts,
    /// What was sent to her lately.
    pub sends: SendLog,
    /// What was sent to everybody lately.
    pub machine: MachineLog,
    /// The machine's key.
    pub key: &'a DigestKey,
}

/// What is asked for.
pub struct Request<'a> {
    /// By which channel; `None`: by the first that reaches her.
    pub channel: Option<Channel>,
    /// Where whoever asks is; `None`: it is an administrator.
    pub origin: Option<Origin>,
    /// The clock, read after the locks were taken.
    pub now: UnixTime,
    /// How many digits the code has, 6 to 10.
    pub length: u8,
    /// How long it lives.
    pub ttl: Duration,
    /// Why it is sent, as [`StoredCode::reason`].
    pub reason: &'a str,
}

/// What comes of it.
pub enum Decision {
    /// A code is sent, once all of this is durable, in the order of its fields.
    Send(Box<Sending>),
    /// None is, and nothing changes but that the counts are to be kept as `settle` left them.
    Refused(Why),
}

/// A code to be sent.
pub struct Sending {
    /// What is noted of the user's sends.
    pub sends: SendLog,
    /// What is noted of the machine's.
    pub machine: MachineLog,
    /// What is kept of the code.
    pub code: StoredCode,
    /// Whether nothing of it was kept before; if not, it takes the place of the one with its id.
    pub is_new: bool,
    /// The code.
    pub digits: Digits,
    /// Where it goes.
    pub address: Address,
}

/// Why no code is sent. None of it is told to a person who has not shown who she is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The policy sends none by that channel.
    NoChannel,
    /// She has no confirmed contact there.
    NoContact,
    /// She is disabled.
    Disabled,
    /// Too many wrong answers at codes that were sent: they are off until another code is accepted, or she is unlocked.
    Locked,
    /// Whoever asks guesses too much from where he is; until then.
    Held {
        /// When that ends.
        until: UnixTime,
    },
    /// A code went by that channel only just.
    TooSoon {
        /// When another one may.
        until: UnixTime,
    },
    /// The code was sent as often as one may be, or guessed at as often.
    SendsSpent {
        /// When its time is over, and another one may be drawn.
        until: UnixTime,
    },
    /// As many codes went to her as may in an hour.
    HourSpent {
        /// When another one may.
        until: UnixTime,
    },
    /// The machine has sent as many codes as it may in an hour.
    MachineSpent {
        /// When another one may be.
        until: UnixTime,
    },
    /// She has as many live codes as anybody can have.
    TooManyCodes,
    /// As many codes wait to be delivered as may.
    QueueFull,
}

impl Why {
    /// The lower-case name used in logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoChannel => "no-channel",
            Self::NoContact => "no-contact",
            Self::Disabled => "disabled",
            Self::Locked => "locked",
            Self::Held { .. } => "held",
            Self::TooSoon { .. } => "too-soon",
            Self::SendsSpent { .. } => "sends-spent",
            Self::HourSpent { .. } => "hour-spent",
            Self::MachineSpent { .. } => "machine-spent",
            Self::TooManyCodes => "too-many-codes",
            Self::QueueFull => "queue-full",
        }
    }

    /// When to try again, where that is known.
    #[must_use]
    pub const fn until(self) -> Option<UnixTime> {
        match self {
            Self::Held { until }
            | Self::TooSoon { until }
            | Self::SendsSpent { until }
            | Self::HourSpent { until }
            | Self::MachineSpent { until } => Some(until),
            Self::NoChannel
            | Self::NoContact
            | Self::Disabled
            | Self::Locked
            | Self::TooManyCodes
            | Self::QueueFull => None,
        }
    }
}

/// Decides. `known.sends` and `known.machine` are left as of `request.now`.
pub fn request(
    known: &mut Known<'_>,
    request: &Request<'_>,
    policy: &Policy,
    rng: &mut impl CryptoRng,
) -> Decision {
    known.sends.settle(request.now);
    known.machine.settle(request.now);
    match decide(known, request, policy) {
        Ok((contact, before)) => {
            let channel = contact.channel();
            let address = contact.address.clone();
            let is_new = before.is_none();
            let digits = Digits::draw(rng, request.length.into());
            let code = drawn(known, request, channel, before, &digits, rng);
            let mut sends = known.sends.clone();
            let mut machine = known.machine.clone();
            sends.note(channel, request.now);
            machine.note(request.now);
            Decision::Send(Box::new(Sending {
                sends,
                machine,
                code,
                is_new,
                digits,
                address,
            }))
        }
        Err(why) => Decision::Refused(why),
    }
}

/// The contact that a code goes to, and the code that it takes the place of.
fn decide<'a>(
    known: &Known<'a>,
    request: &Request<'_>,
    policy: &Policy,
) -> Result<(&'a Contact, Option<&'a StoredCode>), Why> {
    let contact = contact(known.contacts, request.channel, policy)?;
    let (record, now) = (known.record, request.now);
    if record.state.disabled {
        return Err(Why::Disabled);
    }
    if record.state.is_locked_for_sent(&policy.throttle) {
        return Err(Why::Locked);
    }
    if let Some(origin) = &request.origin {
        let mut throttle = record.state.throttle.clone();
        throttle.settle(now, &record.throttle_policy(policy));
        if let Some(until) = throttle.own_hold(origin, now) {
            return Err(Why::Held { until });
        }
    }
    let before = current(record, contact.channel(), now);
    if let Some(before) = before {
        may_go_on(before, request, policy)?;
    }
    let others = record
        .issued
        .iter()
        .filter(|code| code.is_live(now) && before.is_none_or(|before| before.id != code.id));
    if others.count() >= MAX_LIVE {
        return Err(Why::TooManyCodes);
    }
    let counted = (&known.sends, &known.machine);
    may_send(counted, contact.channel(), now, policy)?;
    Ok((contact, before))
}

fn contact<'a>(
    contacts: &'a Contacts,
    channel: Option<Channel>,
    policy: &Policy,
) -> Result<&'a Contact, Why> {
    let is_meant = |known: Channel| channel.is_none_or(|channel| channel == known);
    let is_on = |known: &Channel| is_meant(*known) && policy.channel_is_on(*known);
    let mut on = Channel::ALL.into_iter().filter(is_on).peekable();
    if on.peek().is_none() {
        return Err(Why::NoChannel);
    }
    let known = on.filter_map(|channel| contacts.on(channel));
    let mut confirmed = known.filter(|contact| contact.confirmed_at.is_some());
    confirmed.next().ok_or(Why::NoContact)
}

/// The code of this channel whose time is not over, if it can be sent on.
fn current(record: &Record, channel: Channel, now: UnixTime) -> Option<&StoredCode> {
    let is_one = |code: &&StoredCode| {
        let goes_on = matches!(code.fate, Fate::Live | Fate::Withdrawn);
        code.channel == Some(channel) && goes_on && !code.is_past(now)
    };
    let all = record.issued.iter().filter(is_one);
    all.max_by_key(|code| code.issued_at)
}

/// Whether a code may be sent on: not more often than the policy says, and not if nobody could answer with it.
fn may_go_on(before: &StoredCode, request: &Request<'_>, policy: &Policy) -> Result<(), Why> {
    // The clock went back behind it, so nobody knows when its time is over: it begins anew.
    if before.issued_at > request.now {
        return Ok(());
    }
    let heard = request.origin.is_none_or(|origin| before.hears(&origin));
    let spent = before.sends >= policy.delivery.sends_per_code
        || before.attempts() >= before.most_attempts()
        || !heard;
    let until = before.latest_expiry();
    if spent {
        Err(Why::SendsSpent { until })
    } else {
        Ok(())
    }
}

/// Whether another send is within the limits of the user and of the machine, whose logs were read as of `now`.
pub fn may_send(
    (sends, machine): (&SendLog, &MachineLog),
    channel: Channel,
    now: UnixTime,
    policy: &Policy,
) -> Result<(), Why> {
    let own = sends.ask(channel, now, &policy.delivery);
    own.map_err(|wait| match wait {
        Wait::TooSoon(until) => Why::TooSoon { until },
        Wait::Hour(until) => Why::HourSpent { until },
    })?;
    let all = machine.ask(&policy.delivery);
    all.map_err(|until| Why::MachineSpent { until })
}

/// What is kept of a code: drawn anew, in the place of `before` if there is one.
fn drawn(
    known: &Known<'_>,
    request: &Request<'_>,
    channel: Channel,
    before: Option<&StoredCode>,
    digits: &Digits,
    rng: &mut impl CryptoRng,
) -> StoredCode {
    let record = known.record;
    let id = before.map_or_else(|| free_id(record, rng), |before| before.id);
    // One from after now does not go on but begins anew.
    let goes_on = before.filter(|before| before.issued_at <= request.now);
    StoredCode {
        id,
        length: request.length,
        digest: known.key.stored(&record.user, id, digits),
        issued_at: request.now,
        expires_at: request.now.plus(request.ttl),
        fate: Fate::Live,
        sends: goes_on.map_or(1, |before| before.sends.saturating_add(1)),
        channel: Some(channel),
        reason: request.reason.to_owned(),
        attempts: goes_on.map_or_else(Vec::new, |before| before.attempts.clone()),
    }
}

/// An id that none of her codes has.
fn free_id(record: &Record, rng: &mut impl CryptoRng) -> CodeId {
    loop {
        let id = CodeId::draw(rng);
        if record.issued.iter().all(|code| code.id != id) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests;
