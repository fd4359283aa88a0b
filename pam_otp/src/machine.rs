//! The machine as it is, behind [`Machine`]: policy file, passwd database, file store, clock.

use std::path::Path;
use std::time::SystemTime;

use nix::unistd;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::store::{self, FileStore, Store};
use otp::time::UnixTime;
use otp::user::{Account, UserName};
use otp::verify::{self, Attempt, Reason, Record, Verdict};

use crate::login::{Failure, Machine, Way};

/// The machine this process runs on.
pub(crate) struct ThisMachine;

impl Machine for ThisMachine {
    fn policy(&self, config: Option<&Path>) -> Result<Policy, Failure> {
        store::load_policy(config)
            .map(|parsed| parsed.policy)
            .map_err(|error| Failure::Unavailable(error.to_string()))
    }

    fn account(&self, typed: &[u8]) -> Result<Option<Account>, Failure> {
        // What cannot be a name is nobody's, and is not put to NSS.
        let name = std::str::from_utf8(typed).ok();
        let Some(name) = name.and_then(|name| UserName::parse(name).ok()) else {
            return Ok(None);
        };
        let user = unistd::User::from_name(name.as_str())
            .map_err(|error| Failure::Unavailable(format!("cannot look up the user: {error}")))?;
        let Some(user) = user else {
            return Ok(None);
        };
        match UserName::parse(&user.name) {
            // A name the database spells in something else than UTF-8 would be read as another's.
            Ok(name) if !user.name.contains('\u{fffd}') => Ok(Some(Account {
                name,
                uid: Some(user.uid.as_raw()),
            })),
            _ => {
                let why = "the passwd database spells the user's name in a way no record can have";
                Err(Failure::Unavailable(why.to_owned()))
            }
        }
    }

    fn can_answer(&self, account: &Account, policy: &Policy) -> Result<bool, Failure> {
        let record = open(policy)?.read(account).map_err(unavailable)?;
        Ok(record.can_answer(now()))
    }

    fn judge(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        passcode: &Passcode,
        way: Way,
        policy: &Policy,
    ) -> Result<Verdict, Failure> {
        // A store that is not in order answers everybody alike, so it is opened for those nobody knows, too; and they take
        // as long to refuse.
        let store = open(policy)?;
        let judge = |record: &Record| {
            let now = now();
            let attempt = Attempt {
                passcode,
                origin: way.origin,
                now,
            };
            let outcome = verify::verify(record, &attempt, policy).by(way.service);
            (outcome.verdict, outcome.changes)
        };
        let Some(account) = account else {
            store.update_nobody(typed, judge);
            return Ok(Verdict::Refused(Reason::NotEnrolled));
        };
        store.update(account, judge).map_err(unavailable)
    }

    fn real_uid(&self) -> u32 {
        unistd::getuid().as_raw()
    }
}

fn open(policy: &Policy) -> Result<FileStore, Failure> {
    FileStore::open(policy).map_err(unavailable)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it is what map_err passes, and the error ends here"
)]
fn unavailable(error: store::Error) -> Failure {
    Failure::Unavailable(error.to_string())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the module's one look at the clock, taken once the record is locked"
)]
fn now() -> UnixTime {
    UnixTime::from(SystemTime::now())
}
