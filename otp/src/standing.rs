//! How a user stands: what may be shown of a record, to an administrator and to the user herself. Never a secret, and
//! nothing that would help to guess one.

use std::time::Duration;

use crate::delivery::{Channel, Contact};
use crate::enrollment::{Authenticator, Kind};
use crate::hotp::{Algorithm, CodeLength};
use crate::issued::{self, CodeId, StoredCode};
use crate::origin::Origin;
use crate::policy::Policy;
use crate::state::{LastLogin, State};
use crate::time::UnixTime;
use crate::verify::{Method, Record};

/// How a user stands at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// She has an authenticator or recovery codes.
    pub enrolled: bool,
    /// An administrator has disabled her.
    pub disabled: bool,
    /// Too many failures: time-based codes are off.
    pub locked: bool,
    /// Too many wrong answers at codes that were sent: they are off, and none is sent.
    pub sent_locked: bool,
    /// Failures since the last acceptance.
    pub failures: u32,
    /// When the last of the holds in force ends.
    pub held_until: Option<UnixTime>,
    /// Her authenticators.
    pub devices: Vec<Device>,
    /// Her stored codes that are still good, the first to expire first.
    pub issued: Vec<Pending>,
    /// Her list of recovery codes.
    pub recovery: Option<RecoveryLeft>,
    /// Where codes can be sent to her.
    pub contacts: Vec<Reach>,
    /// Addresses from where she is not asked, and until when.
    pub remembered: Vec<(Origin, UnixTime)>,
    /// The last accepted code.
    pub last: Option<LastLogin>,
}

/// How one authenticator stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What its owner calls it.
    pub name: String,
    /// What its codes come from.
    pub kind: Kind,
    /// Under which hash.
    pub algorithm: Algorithm,
    /// How long its codes are.
    pub length: CodeLength,
    /// When it was enrolled.
    pub enrolled_at: UnixTime,
    /// Steps that its clock was ahead at the last code; `None` for a token, and before the first code.
    pub drift: Option<i32>,
    /// Steps that its clock is known to be ahead; `None` for a token.
    pub learned: Option<i64>,
    /// The next counter of a token.
    pub counter: Option<u64>,
    /// When a code of it was last accepted.
    pub last_used_at: Option<UnixTime>,
    /// From where, if that is still known.
    pub last_origin: Option<Origin>,
}

/// A stored code that is still good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its name.
    pub id: CodeId,
    /// When it expires.
    pub expires_at: UnixTime,
    /// Wrong answers counted against it.
    pub attempts: u32,
    /// How often it was sent.
    pub sends: u32,
    /// By which channel it was sent, if by any.
    pub channel: Option<Channel>,
    /// Why it was issued: a note among administrators, so `None` where it is told to the user herself.
    pub reason: Option<String>,
}

/// Where codes can be sent to a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// By which channel.
    pub channel: Channel,
    /// Where, masked, in at most [`MAX_REACH`] bytes.
    pub to: String,
    /// When it was confirmed; until then no code for a login goes there.
    pub confirmed_at: Option<UnixTime>,
}

/// The longest masked address, in bytes: of a longer one nothing is shown.
pub const MAX_REACH: usize = 200;

/// What is left of a list of recovery codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryLeft {
    /// Codes that are not used.
    pub left: usize,
    /// Codes it had.
    pub of: usize,
}

impl Standing {
    /// Of a record as of now.
    #[must_use]
    pub fn of(record: &Record, now: UnixTime, policy: &Policy) -> Self {
        let bounds = record.throttle_policy(policy);
        let mut throttle = record.state.throttle.clone();
        throttle.settle(now, &bounds);
        let enrollment = record.enrollment.as_ref();
        let devices = enrollment.map_or(&[][..], |known| &known.authenticators);
        let live = record.issued.iter().filter(|code| code.is_live(now));
        let mut issued: Vec<Pending> = live.map(Pending::of).collect();
        issued.sort_by_key(|code| code.expires_at);
        Self {
            enrolled: enrollment.is_some(),
            disabled: record.state.disabled,
            locked: throttle.failures >= policy.throttle.lock_after,
            sent_locked: record.state.is_locked_for_sent(&policy.throttle),
            failures: throttle.failures,
            held_until: throttle.held_until(now, &bounds),
            devices: devices
                .iter()
                .map(|device| Device::of(device, &record.state, policy))
                .collect(),
            issued,
            recovery: RecoveryLeft::of(record),
            contacts: record.contacts.iter().map(Reach::of).collect(),
            remembered: policy
                .remember
                .map_or_else(Vec::new, |span| remembered(record, now, span)),
            last: record.state.last,
        }
    }
}

impl Device {
    fn of(authenticator: &Authenticator, state: &State, policy: &Policy) -> Self {
        let entry = state.authenticator(authenticator.generation);
        let used_at = entry.and_then(|entry| entry.last_used_at);
        let timed = authenticator.kind.period();
        // The record keeps where the last code of any kind came from: it is this one's if their times agree.
        let last = state
            .last
            .filter(|last| last.method == method(authenticator.kind) && Some(last.at) == used_at);
        Self {
            name: authenticator.name.clone(),
            kind: authenticator.kind,
            algorithm: authenticator.algorithm,
            length: authenticator.length,
            enrolled_at: authenticator.enrolled_at,
            drift: timed.and(used_at).and(entry).map(|entry| entry.drift.last),
            learned: timed
                .and(entry)
                .map(|entry| entry.drift.learned(policy.max_drift)),
            counter: match timed {
                Some(_) => None,
                None => entry.and_then(|entry| entry.used.next_counter()),
            },
            last_used_at: used_at,
            last_origin: last.map(|last| last.origin),
        }
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
    /// Wrong answers that end it.
    #[must_use]
    pub const fn most_attempts(&self) -> u32 {
        issued::most_attempts(self.channel)
    }

    fn of(code: &StoredCode) -> Self {
        Self {
            id: code.id,
            expires_at: code.expires_at,
            attempts: code.attempts(),
            sends: code.sends,
            channel: code.channel,
            reason: Some(code.reason.clone()),
        }
    }
}

impl Reach {
    fn of(contact: &Contact) -> Self {
        let mut to = contact.address.masked();
        if to.len() > MAX_REACH {
            "…".clone_into(&mut to);
        }
        Self {
            channel: contact.channel(),
            to,
            confirmed_at: contact.confirmed_at,
        }
    }
}

impl RecoveryLeft {
    fn of(record: &Record) -> Option<Self> {
        let list = record.enrollment.as_ref()?.recovery.as_ref()?;
        let used = record.state.recovery(list.generation);
        let is_left = |index: &usize| used.is_none_or(|used| !used.is_used(*index));
        let of = list.digests.len();
        let left = (0..of).filter(is_left).count();
        Some(Self { left, of })
    }
}

/// The addresses from where she is not asked now.
fn remembered(record: &Record, now: UnixTime, span: Duration) -> Vec<(Origin, UnixTime)> {
    let known = record.state.remembered.iter();
    known
        .filter(|known| known.at <= now && now < known.at.plus(span))
        .map(|known| (known.origin, known.at.plus(span)))
        .collect()
}
