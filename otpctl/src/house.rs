//! The policy and the store it names, opened for a command.

use std::path::Path;

use otp::policy::Policy;
use otp::store::{FileStore, load_policy};

use crate::failure::Failure;

/// What commands work on.
pub(crate) struct House {
    pub(crate) policy: Policy,
    pub(crate) store: FileStore,
}

impl House {
    /// The one that is there.
    pub(crate) fn open(config: Option<&Path>) -> Result<Self, Failure> {
        let policy = load_policy(config)?.policy;
        let store = FileStore::open(&policy)?;
        Ok(Self { policy, store })
    }

    /// The one that is there, with what is missing of it made.
    pub(crate) fn make(config: Option<&Path>) -> Result<Self, Failure> {
        let policy = load_policy(config)?.policy;
        let store = FileStore::open_or_create(&policy)?;
        Ok(Self { policy, store })
    }
}
