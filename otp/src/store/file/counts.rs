//! What was sent lately: a record a user, read and written under her lock, and one of the machine, which is a lock of its own.
//! It is taken after the user's and held until what it counts is in the queue.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::Flock;

use super::super::dir::{Access, Dir, Privacy, damaged};
use super::super::slots::{self, Format, Slots};
use super::super::{Error, codec};
use super::lock::wait_for;
use super::{FileStore, same_uid};
use crate::sends::{MachineLog, SendLog};
use crate::time::UnixTime;
use crate::user::Account;

pub(super) const SENDS: &str = "sends";
/// The machine's record: a name that no user's file has.
const MACHINE: &str = ".machine";

const SENDS_FORMAT: Format = Format {
    magic: *b"pamotpSE",
    version: 1,
};
const MACHINE_FORMAT: Format = Format {
    magic: *b"pamotpSM",
    version: 1,
};

/// Both records, the machine's locked.
pub(super) struct Counts {
    pub(super) sends: SendLog,
    pub(super) machine: MachineLog,
    uid: u32,
    own: Kept<File>,
    shared: Kept<Flock<File>>,
}

/// A record and its file.
struct Kept<F> {
    file: F,
    path: PathBuf,
    slots: Slots,
}

impl FileStore {
    /// Makes the records of a user and of the machine where they are missing. They last once this returns.
    pub(super) fn make_counts(&self, account: &Account) -> Result<(), Error> {
        let dir = self.root.make_sub(SENDS, Privacy::RootOnly)?;
        let own = codec::sends_bytes(account.uid.unwrap_or(0), &SendLog::default());
        let machine = codec::machine_bytes(&MachineLog::default());
        for (name, format, payload) in [
            (account.name.file_name().as_str(), SENDS_FORMAT, own),
            (MACHINE, MACHINE_FORMAT, machine),
        ] {
            if !dir.has_file(name, Privacy::RootOnly)? {
                dir.write(name, &slots::fresh(format, &payload), false)?;
            }
        }
        dir.sync()
    }

    /// How many codes this machine has sent in the hour before `now`. For showing; it waits for no lock.
    pub fn sent_lately(&self, now: UnixTime) -> Result<u64, Error> {
        let Some(dir) = self.root.sub(SENDS, Privacy::RootOnly)? else {
            return Ok(0);
        };
        let Some(file) = dir.file(MACHINE, Access::Read, Privacy::RootOnly)? else {
            return Ok(0);
        };
        let path = dir.path_of(MACHINE);
        let slots = Slots::read(&file, MACHINE_FORMAT, &path)?;
        let log = codec::machine_from(&slots.payload).ok_or_else(|| no_sense_of_machine(&path))?;
        Ok(log.in_the_last_hour(now))
    }

    /// What was sent lately to a user, and by the machine, for showing. Nothing where she has no contact.
    pub fn counted(&self, account: &Account) -> Result<Option<(SendLog, MachineLog)>, Error> {
        let dir = self.root.sub(SENDS, Privacy::RootOnly)?;
        let known = dir.map_or(Ok(false), |dir| dir.has(&account.name.file_name()))?;
        if !known {
            return Ok(None);
        }
        let _locked = self.lock(&account.name)?;
        let Counts { sends, machine, .. } = self.counts_for(account, Access::Read)?;
        Ok(Some((sends, machine)))
    }

    /// The lock of the machine's record, which is held by whoever puts something into the queue; `None` where nobody can,
    /// because there is none.
    pub(super) fn lock_sending(&self) -> Result<Option<Flock<File>>, Error> {
        let Some(dir) = self.root.sub(SENDS, Privacy::RootOnly)? else {
            return Ok(None);
        };
        let file = dir.file(MACHINE, Access::Write, Privacy::RootOnly)?;
        file.map(|file| wait_for(file, Instant::now(), &dir.path_of(MACHINE)))
            .transpose()
    }

    /// Reads both records, to be written, waiting for the lock of the machine's.
    pub(super) fn counts(&self, account: &Account) -> Result<Counts, Error> {
        self.counts_for(account, Access::Write)
    }

    fn counts_for(&self, account: &Account, access: Access) -> Result<Counts, Error> {
        let path = self.root.path_of(SENDS);
        let dir = self.root.sub(SENDS, Privacy::RootOnly)?;
        let dir = dir.ok_or(Error::Missing { path })?;
        let file = opened(&dir, MACHINE, access)?;
        let path = dir.path_of(MACHINE);
        let file = wait_for(file, Instant::now(), &path)?;
        let slots = Slots::read(&file, MACHINE_FORMAT, &path)?;
        let shared = Kept { file, path, slots };
        let name = account.name.file_name();
        let (file, path) = (opened(&dir, &name, access)?, dir.path_of(&name));
        let slots = Slots::read(&file, SENDS_FORMAT, &path)?;
        let own = Kept { file, path, slots };
        let nonsense = |path| damaged(path, "its content makes no sense: 'otpctl remove' the user");
        let (uid, sends) =
            codec::sends_from(&own.slots.payload).ok_or_else(|| nonsense(&own.path))?;
        same_uid(account, uid, &own.path)?;
        let machine = codec::machine_from(&shared.slots.payload)
            .ok_or_else(|| no_sense_of_machine(&shared.path))?;
        Ok(Counts {
            sends,
            machine,
            uid,
            own,
            shared,
        })
    }
}

impl Counts {
    /// Makes these last in the place of what was read.
    pub(super) fn keep(&mut self, sends: &SendLog, machine: &MachineLog) -> Result<(), Error> {
        let Self {
            uid, own, shared, ..
        } = self;
        let bytes = codec::sends_bytes(*uid, sends);
        own.slots
            .write(&own.file, SENDS_FORMAT, &bytes, &own.path)?;
        let bytes = codec::machine_bytes(machine);
        let path = &shared.path;
        shared
            .slots
            .write(&shared.file, MACHINE_FORMAT, &bytes, path)
    }

    /// Whether the clock went back behind what was counted, so that what is read of it now has to be kept.
    pub(super) fn is_ahead(&self, now: UnixTime) -> bool {
        self.sends.is_ahead(now) || self.machine.is_ahead(now)
    }
}

fn no_sense_of_machine(path: &Path) -> Error {
    damaged(
        path,
        "its content makes no sense: delete it, and set a contact again",
    )
}

fn opened(dir: &Dir, name: &str, access: Access) -> Result<File, Error> {
    let file = dir.file(name, access, Privacy::RootOnly)?;
    file.ok_or_else(|| {
        damaged(
            &dir.path_of(name),
            "it is missing, so nobody knows how much was sent: set the user's contact again",
        )
    })
}
