//! A user's record read whole under her lock, and changes of it made to last.

use nix::errno::Errno;

use super::super::dir::{Privacy, damaged, io};
use super::super::slots::Slots;
use super::super::{Error, codec};
use super::lock::Locked;
use super::spool::overwrite_stored;
use super::{FileStore, STATE_FORMAT, same_uid};
use crate::delivery::Contacts;
use crate::enrollment::Enrollment;
use crate::state::State;
use crate::user::Account;
use crate::verify::{Changes, Record};

/// A user's record as read under her lock, with what overwriting it needs.
pub(super) struct Held {
    pub(super) locked: Locked,
    pub(super) uid: u32,
    pub(super) slots: Slots,
    pub(super) record: Record,
}

impl FileStore {
    /// Reads everything of a user under her lock.
    pub(super) fn hold(&self, account: &Account, locked: Locked) -> Result<Held, Error> {
        let mut slots = Slots::read(&locked.file, STATE_FORMAT, &locked.path)?;
        self.fallback
            .overtake(&account.name.file_name(), &mut slots)?;
        let (uid, state) = codec::state_from(&slots.payload)
            .ok_or_else(|| damaged(&locked.path, "its content makes no sense"))?;
        same_uid(account, uid, &locked.path)?;
        let enrollment = self.enrollment(account)?;
        match &enrollment {
            Some(enrollment) => {
                known_to(&state, enrollment, &locked.path)?;
                if !state.is_settled(enrollment) {
                    // Whoever wrote the secret may have been killed before its name lasted.
                    self.secrets.sync()?;
                }
            }
            None if state.enrolled => {
                return Err(damaged(
                    &self.secrets.path_of(account.name.file_name()),
                    "it is missing, though the user was enrolled: restore it, or 'otpctl remove' her, then enrol again",
                ));
            }
            None => {}
        }
        let issued = self.stored_codes(account)?;
        let keyed = !issued.is_empty()
            || enrollment
                .as_ref()
                .is_some_and(|enrollment| enrollment.recovery.is_some());
        let record = Record {
            user: account.name.clone(),
            enrollment,
            state,
            issued,
            contacts: Contacts::NONE,
            key: if keyed { Some(self.key()?) } else { None },
            until_boot: false,
            booted: self.fallback.booted,
        };
        Ok(Held {
            locked,
            uid,
            slots,
            record,
        })
    }

    /// The record of a user who has no state file: nothing, unless there is something that should have one.
    pub(super) fn unheld(&self, account: &Account) -> Result<Record, Error> {
        let name = account.name.file_name();
        let spooled = match self.spool.sub(&name, Privacy::RootOnly)? {
            Some(dir) => !dir.names()?.is_empty(),
            None => false,
        };
        if spooled || self.secrets.has(&name)? {
            return Err(self.without_state(account));
        }
        Ok(Record::none(account.name.clone()))
    }

    /// The error of a user who has something that should have a state, and has none.
    pub(super) fn without_state(&self, account: &Account) -> Error {
        damaged(
            &self.state.path_of(account.name.file_name()),
            "it is missing, though the user has a secret, a stored code or a contact: 'otpctl remove' her, then enrol again",
        )
    }

    /// Makes changes last: stored codes first, so that a crash in between spends a code and never doubles it.
    pub(super) fn commit(&self, held: &mut Held, changes: Changes) -> Result<(), Error> {
        if !changes.issued.is_empty() {
            let user = &held.record.user;
            let path = self.spool.path_of(user.file_name());
            let dir = self.spooled(user)?.ok_or(Error::Missing { path })?;
            for code in &changes.issued {
                overwrite_stored(&dir, held.uid, code)?;
            }
        }
        match changes.state {
            Some(mut state) => {
                if let Some(enrollment) = &held.record.enrollment {
                    state.settle(enrollment);
                }
                held.write(state)
            }
            None => Ok(()),
        }
    }

    /// Keeps changes until the next boot, if that is enough for them; `why` the store could not be written, if not.
    pub(super) fn commit_until_boot(
        &self,
        held: &Held,
        changes: Changes,
        why: Error,
    ) -> Result<(), Error> {
        if !changes.until_boot || !changes.issued.is_empty() {
            return Err(why);
        }
        let Some(state) = changes.state else {
            return Ok(());
        };
        let bytes = codec::state_bytes(held.uid, &state);
        let name = held.record.user.file_name();
        self.fallback.write(&name, held.slots.sequence(), &bytes)
    }
}

impl Held {
    pub(super) fn write(&mut self, state: State) -> Result<(), Error> {
        let bytes = codec::state_bytes(self.uid, &state);
        let Locked {
            file,
            path,
            writable,
        } = &self.locked;
        if !writable {
            return Err(io(path, "write", Errno::EROFS));
        }
        self.slots.write(file, STATE_FORMAT, &bytes, path)?;
        self.record.state = state;
        Ok(())
    }
}

/// A secret or a list of recovery codes whose used ones are not known would be an open replay: it was restored
/// from a backup, or copied from elsewhere.
fn known_to(state: &State, enrollment: &Enrollment, path: &std::path::Path) -> Result<(), Error> {
    let mut secrets = enrollment.authenticators.iter();
    let secrets = secrets.all(|each| state.authenticator(each.generation).is_some());
    let recovery = enrollment.recovery.as_ref();
    let recovery = recovery.is_none_or(|list| state.recovery(list.generation).is_some());
    if secrets && recovery {
        return Ok(());
    }
    Err(damaged(
        path,
        "it knows nothing of the secret or the recovery codes (restored from a backup?): 'otpctl remove' the user, then enrol again",
    ))
}
