//! Where records are kept. `verify` decides, a store makes it last: success is told only after what
//! forbids the code's reuse is on stable storage.

mod codec;
mod contacts;
mod decoy;
mod dir;
mod enrolling;
mod error;
mod fallback;
mod file;
mod holder;
mod memory;
mod policy_file;
pub mod queue;
mod secrets;
mod slots;
mod table;

pub(crate) use dir::{Dir, Privacy};
pub use error::Error;
pub use file::FileStore;
pub use memory::MemoryStore;
pub use policy_file::{PolicyError, load_policy};

use std::time::Duration;

use crate::delivery::Channel;
use crate::enrollment::{Authenticator, Enrollment, Generation, RecoveryList};
use crate::issued::{CodeId, StoredCode};
use crate::keyed::DigestKey;
use crate::origin::Origin;
use crate::request::Why;
use crate::state::AuthenticatorState;
use crate::time::UnixTime;
use crate::user::{Account, UserName};
use crate::verify::{Changes, Record};

/// How long a user's lock is waited for.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A place where records are kept.
pub trait Store {
    /// What is kept of a user, as of now. For showing; to decide anything use [`update`](Self::update).
    fn read(&self, account: &Account) -> Result<Record, Error>;

    /// Reads the record, asks `transition` what becomes of it, and returns its answer once the changes are durable.
    /// A store may run `transition` more than once; it reads its clock inside, after the lock is held.
    /// Of a user of whom nothing is kept, nothing is kept afterwards.
    fn update<T>(
        &self,
        account: &Account,
        transition: impl FnMut(&Record) -> (T, Changes),
    ) -> Result<T, Error>;

    /// Enrols a user, or gives her further authenticators. What is replaced works until the new one is durable, and
    /// afterwards no longer.
    fn enroll(&self, account: &Account, new: NewEnrollment) -> Result<Enrolled, Error>;

    /// Takes one of a user's authenticators away, never her last.
    fn remove_authenticator(&self, account: &Account, name: &str) -> Result<TakenAway, Error>;

    /// Replaces the recovery codes of an enrolled user; `false` if she is not enrolled.
    fn replace_recovery(&self, account: &Account, list: RecoveryList) -> Result<bool, Error>;

    /// Keeps these codes, all or none. `live_at` tells which of the present ones still count.
    fn issue(
        &self,
        account: &Account,
        codes: Vec<StoredCode>,
        live_at: UnixTime,
    ) -> Result<Issue, Error>;

    /// Deletes stored codes that `which` picks, damaged ones too; the ids of those that were still good at `live_at`.
    fn revoke(
        &self,
        account: &Account,
        live_at: UnixTime,
        which: impl Fn(CodeId) -> bool,
    ) -> Result<Vec<CodeId>, Error>;

    /// Deletes everything kept of a user; `false` if there was nothing.
    fn remove(&self, account: &Account) -> Result<bool, Error>;

    /// Deletes stored codes that are spent at `now`; how many.
    fn sweep(&self, user: &UserName, now: UnixTime) -> Result<u64, Error>;

    /// Every user of whom something is kept, in no order.
    fn users(&self) -> Result<Vec<UserName>, Error>;

    /// The machine's key for stored and recovery codes, made by `draw` if this is its first use.
    fn digest_key(&self, draw: impl FnOnce() -> DigestKey) -> Result<DigestKey, Error>;
}

/// What enrolment brings.
#[derive(Clone)]
pub struct NewEnrollment {
    /// The authenticators, each with what is used of it already: the step of the code that proved the app has the secret,
    /// or what other software knew. One, but where a fleet is brought over.
    pub authenticators: Vec<(Authenticator, AuthenticatorState)>,
    /// Recovery codes that come with them; with `None` those she has stay.
    pub recovery: Option<RecoveryList>,
    /// What becomes of the authenticators that are there.
    pub place: Place,
}

impl NewEnrollment {
    /// A first authenticator of which nothing is used.
    #[must_use]
    pub fn of(authenticator: Authenticator) -> Self {
        let started = AuthenticatorState::fresh(authenticator.generation);
        Self {
            authenticators: vec![(authenticator, started)],
            recovery: None,
            place: Place::First,
        }
    }
}

/// One of many who are enrolled at once ([`FileStore::enroll_many`]).
pub struct Newcomer {
    /// Who.
    pub account: Account,
    /// With what.
    pub new: NewEnrollment,
    /// Every code of hers is refused from the first moment.
    pub disabled: bool,
}

/// What becomes of the authenticators that a user has when she is given new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// She must have none.
    First,
    /// They stay.
    Beside,
    /// The one of this name goes; with `None` the only one there is. Nothing to replace is fine where she has none.
    InsteadOf(Option<String>),
}

impl Place {
    /// What would come of giving a user one more authenticator of this name, as far as can be told without its secret.
    pub fn foresee(&self, old: Option<&Enrollment>, name: &str) -> Enrolled {
        enrolling::foresee(old, self, name)
    }
}

/// What came of an enrolment. Where it is neither of the first three, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Enrolled {
    /// There was none before.
    New,
    /// It took another's place.
    Replaced,
    /// It stands beside what was there.
    Added,
    /// There is one already, and it was not to be replaced.
    Already,
    /// She has one of that name.
    NameTaken,
    /// She has one of that very secret: with what is used kept apart, its codes would be good twice.
    SecretTaken,
    /// There would be more than [`MAX_AUTHENTICATORS`](crate::enrollment::MAX_AUTHENTICATORS).
    TooMany,
    /// There is no authenticator of the name to replace, or several and no name was said.
    NoSuch,
}

/// What came of taking an authenticator away. Where it is not the first, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum TakenAway {
    /// It is gone.
    Gone,
    /// She has none of that name.
    NoSuch,
    /// It is the only one she has.
    Last,
}

/// What came of issuing codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Issue {
    /// They are kept.
    Kept,
    /// There would be more than [`MAX_LIVE`](crate::issued::MAX_LIVE) live ones. Nothing has changed.
    TooMany {
        /// How many are live now.
        live: usize,
    },
}

/// A code asked for at a prompt.
#[derive(Clone, Debug)]
pub struct Ask {
    /// By which channel; `None`: by the first that reaches her.
    pub channel: Option<Channel>,
    /// From where.
    pub origin: Origin,
    /// The name of this machine, as the message tells it.
    pub host: String,
}

/// A code that an administrator has sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// By which channel.
    pub channel: Channel,
    /// How many digits it has, 6 to 10.
    pub length: u8,
    /// How long it lives.
    pub ttl: Duration,
    /// Why, at most [`MAX_REASON`](crate::issued::MAX_REASON) bytes without control characters.
    pub reason: String,
    /// The name of this machine, as the message tells it.
    pub host: String,
}

/// What came of asking for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Requested {
    /// It is on its way.
    Sent(Sent),
    /// None is. Nothing has changed; where the queue was full, the limits count it all the same.
    Refused(Why),
}

/// A code on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its name.
    pub id: CodeId,
    /// By which channel.
    pub channel: Channel,
    /// Where to, masked.
    pub to: String,
    /// When it was drawn.
    pub issued_at: UnixTime,
    /// The first second at which it is no longer good.
    pub expires_at: UnixTime,
}

/// What became of a code that was on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Whereabouts {
    /// Whoever takes such codes has taken it.
    HandedOver,
    /// It could not be sent.
    Failed,
    /// It is not known yet.
    Waiting,
}

/// What came of giving a user a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Introduced {
    /// She has it, and a code that confirms it is on its way there.
    Sent(Sent),
    /// She has it, and it is confirmed. Nothing has changed.
    Already,
    /// No code can be sent there. Nothing has changed; where the queue was full, the limits count it all the same.
    Refused(Why),
}

/// What came of an answer that is to confirm a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Confirmation {
    /// It was right, and codes for logins can be sent there.
    Confirmed,
    /// It was not.
    Wrong {
        /// How many more answers are heard; after the last the code is gone.
        left: u8,
    },
    /// The time of the code is over.
    Expired,
    /// There is nothing to confirm.
    Nothing,
}

/// The entry of a list of recovery codes nobody has used yet.
pub(crate) fn fresh_recovery(generation: Generation) -> crate::state::RecoveryState {
    crate::state::RecoveryState {
        generation,
        used: 0,
    }
}
