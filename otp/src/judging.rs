//! One answer, judged by the store there is: what the module does where it may, and `otpd` does for those who may not.

use crate::history::History;
use crate::origin::Origin;
use crate::passcode::Passcode;
use crate::policy::Policy;
use crate::service::Service;
use crate::store::{Error, FileStore, Store};
use crate::time::UnixTime;
use crate::user::Account;
use crate::verify::{Attempt, Changes, Reason, Record, Verdict, verify};

/// The way an answer came.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// From where.
    pub origin: Origin,
    /// By which service, if its name can be kept.
    pub service: Option<Service>,
}

/// A look at what is kept of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// There is something she could answer with.
    pub can_answer: bool,
    /// A code of hers was accepted from there, not long ago.
    pub is_remembered: bool,
    /// What she may be told.
    pub history: History,
}

/// What is kept of a user, as seen from an origin.
pub fn look(
    account: &Account,
    origin: Origin,
    policy: &Policy,
    clock: impl Fn() -> UnixTime,
) -> Result<Sight, Error> {
    let record = FileStore::open(policy)?.read(account)?;
    let now = clock();
    Ok(Sight {
        can_answer: record.can_answer(now),
        is_remembered: record.is_remembered(&origin, now, policy),
        history: History::of(&record, &Changes::default()),
    })
}

/// Judges the answer of a user, who is nobody's where the passwd database does not know her; back only when what forbids
/// its reuse is durable. `typed` is the name as it was typed. The clock is read once her record is locked.
pub fn judge(
    typed: &[u8],
    account: Option<&Account>,
    passcode: &Passcode,
    way: Way,
    policy: &Policy,
    clock: impl Fn() -> UnixTime,
) -> Result<(Verdict, History), Error> {
    // A store that is not in order answers everybody alike, so it is opened for those nobody knows, too; and they take
    // as long to refuse.
    let store = FileStore::open(policy)?;
    let judge = |record: &Record| {
        let attempt = Attempt {
            passcode,
            origin: way.origin,
            now: clock(),
        };
        let outcome = verify(record, &attempt, policy).by(way.service);
        let history = History::of(record, &outcome.changes);
        ((outcome.verdict, history), outcome.changes)
    };
    let Some(account) = account else {
        store.update_nobody(typed, judge);
        return Ok((Verdict::Refused(Reason::NotEnrolled), History::default()));
    };
    store.update(account, judge)
}
