//! Where records are kept. `verify` decides, a store makes it last: success is told only after what
//! forbids the code's reuse is on stable storage.

mod codec;
mod contacts;
mod decoy;
mod dir;
mod enrolling;
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
pub use file::FileStore;
pub use memory::MemoryStore;
pub use policy_file::{PolicyError, load_policy};

use std::fmt;
use std::path::PathBuf;
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

/// What stops us from knowing. Every one is a denial at a login, and says what to do.
#[derive(Debug)]
pub enum Error {
    /// The operating system said no.
    Io {
        /// What it was about.
        path: PathBuf,
        /// What was being done, as in "cannot {doing}".
        doing: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// Something the installation brings is not there: an unmounted or wiped store is a denial.
    Missing {
        /// What is not there.
        path: PathBuf,
    },
    /// Somebody else than root could have written it, or it is not what it should be.
    Insecure {
        /// What it is about.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be understood.
    Damaged {
        /// What it is about.
        path: PathBuf,
        /// The line, where there are lines. Never its text.
        line: Option<usize>,
        /// What is wrong with it, without any of its content.
        why: String,
    },
    /// A later version of this software wrote it.
    Newer {
        /// What it is about.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The last format version known here.
        known: u32,
    },
    /// It was made for another uid under the same name.
    OtherUid {
        /// What it is about.
        path: PathBuf,
        /// The uid it was made for.
        recorded: u32,
        /// The uid the name has now.
        actual: u32,
    },
    /// Somebody holds the user's lock.
    Busy {
        /// What is locked.
        path: PathBuf,
        /// The process that holds it, if that can be seen from here.
        holder: Option<u32>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                path,
                doing,
                source,
            } => write!(f, "cannot {doing} {}: {source}", path.display()),
            Self::Missing { path } => write!(
                f,
                "{} is not there: is the file system mounted? A new store is made by 'otpctl enroll' or by installing libpam-otp again",
                path.display()
            ),
            Self::Insecure { path, why } => write!(
                f,
                "{} is not safe: {why}; see 'otpctl doctor'",
                path.display()
            ),
            Self::Damaged {
                path,
                line: Some(line),
                why,
            } => write!(
                f,
                "{} line {line}: {why}; mend it, or 'otpctl remove' the user and enrol again",
                path.display()
            ),
            Self::Damaged {
                path,
                line: None,
                why,
            } => write!(f, "{}: {why}", path.display()),
            Self::Newer { path, found, known } => write!(
                f,
                "{} has format {found}, and this version knows formats up to {known}: install the newer libpam-otp again",
                path.display()
            ),
            Self::OtherUid {
                path,
                recorded,
                actual,
            } => write!(
                f,
                "{} was made for uid {recorded}, but the name has uid {actual} now: 'otpctl remove' the old record, then enrol again",
                path.display()
            ),
            Self::Busy { path, holder } => {
                let (path, patience) = (path.display(), LOCK_PATIENCE.as_secs());
                match holder {
                    Some(pid) => write!(
                        f,
                        "{path} has been locked by process {pid} for {patience} seconds: try again, and if it stays so, end that process (kill -9 {pid})"
                    ),
                    None => write!(
                        f,
                        "{path} has been locked by another process for {patience} seconds: try again"
                    ),
                }
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The entry of a list of recovery codes nobody has used yet.
pub(crate) fn fresh_recovery(generation: Generation) -> crate::state::RecoveryState {
    crate::state::RecoveryState {
        generation,
        used: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn what_the_operating_system_said_is_the_source_and_there_is_no_other() {
        let path = PathBuf::from("x");
        let error = Error::Io {
            path: path.clone(),
            doing: "read",
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        let source = error.source().unwrap().to_string();
        assert_eq!(error.to_string(), format!("cannot read x: {source}"));
        assert!(Error::Missing { path }.source().is_none());
    }
}
