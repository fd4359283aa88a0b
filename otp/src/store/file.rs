//! The embedded default: local file systems, one file a user and kind. FILEFORMAT.md draws the trees.
//!
//! A user's state file is her lock: it is made at her first enrolment, code or contact and never replaced while she has anything.
//! Everything else of hers is read and written under it.

mod contacts;
mod counts;
mod held;
mod lock;
mod many;
mod requests;
mod spool;
mod verbs;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use zeroize::Zeroizing;

use super::decoy::Decoy;
use super::dir::{Dir, Privacy, Way, damaged, failed, io};
use super::fallback::Fallback;
use super::queue::Queue;
use super::slots::{Format, Slots};
use super::{Enrolled, Error, NewEnrollment, codec, enrolling, secrets};
use crate::enrollment::Enrollment;
use crate::issued::StoredCode;
use crate::keyed::{DigestKey, KEY_LENGTH};
use crate::policy::Policy;
use crate::time::UnixTime;
use crate::user::{Account, UserName};
use crate::verify::{Changes, Record};
use contacts::CONTACTS;
use counts::SENDS;
use held::Held;
use lock::Locked;
use spool::{ids, read_stored};

/// In the state tree: says that this is a store, so that an unmounted or wiped one is not taken for an empty one.
const MARKER: &str = "STORE";
/// The same in the spool, where every other name is a user's.
const SPOOL_MARKER: &str = ".store";
/// In the state tree: the key for stored and recovery codes.
const KEY: &str = "key";
const SECRETS: &str = "secrets";
const STATE: &str = "state";

pub(super) const STATE_FORMAT: Format = Format {
    magic: *b"pamotpST",
    version: 1,
};
/// The store on local file systems.
pub struct FileStore {
    root: Dir,
    secrets: Dir,
    state: Dir,
    spool: Dir,
    fallback: Fallback,
}

impl FileStore {
    /// Opens the store that is there: what a login does.
    pub fn open(policy: &Policy) -> Result<Self, Error> {
        whole_files(policy)?;
        // Both trees are beneath the same directories, as a rule.
        let mut way = Way::new();
        let root = way.open(&policy.state_dir, Privacy::RootOnly)?;
        let sub = |name| {
            let sub = root.sub(name, Privacy::RootOnly)?;
            sub.ok_or_else(|| Error::Missing {
                path: root.path_of(name),
            })
        };
        marked(&root, MARKER)?;
        let spool = way.open(&policy.spool_dir, Privacy::RootOnly)?;
        marked(&spool, SPOOL_MARKER)?;
        Ok(Self {
            secrets: sub(SECRETS)?,
            state: sub(STATE)?,
            spool,
            fallback: Fallback::open(policy)?,
            root,
        })
    }

    /// Opens the store, making what is missing of it (root, 0700) where the parent is safe. The marker comes last.
    pub fn open_or_create(policy: &Policy) -> Result<Self, Error> {
        whole_files(policy)?;
        let root = Dir::open_or_create(&policy.state_dir, Privacy::RootOnly)?;
        let store = Self {
            secrets: root.make_sub(SECRETS, Privacy::RootOnly)?,
            state: root.make_sub(STATE, Privacy::RootOnly)?,
            spool: Dir::open_or_create(&policy.spool_dir, Privacy::RootOnly)?,
            fallback: Fallback::open(policy)?,
            root,
        };
        Queue::make(&store.spool)?;
        for path in [&policy.state_dir, &policy.spool_dir] {
            Dir::sync_way(path)?;
        }
        for (dir, marker) in [(&store.spool, SPOOL_MARKER), (&store.root, MARKER)] {
            // A marker that is there may not last yet: whoever made it may have been killed.
            if dir.has_file(marker, Privacy::RootOnly)? {
                dir.sync()?;
            } else {
                dir.write(marker, b"", false)?;
            }
        }
        // Without it refusals differ in time, and in nothing else.
        let _ = store.decoy().make();
        Ok(store)
    }

    /// Does for a name of which nothing is kept what judging an answer of an enrolled user takes. Nothing comes of it.
    pub fn update_nobody<T>(
        &self,
        name: &[u8],
        mut transition: impl FnMut(&Record) -> (T, Changes),
    ) {
        let heard = self.decoy().hear(name, |mut record| {
            record.key = self.key().ok();
            let _ = transition(&record);
        });
        // Where it cannot be read it may yet be written, and writing is most of it.
        if heard.is_none() {
            self.decoy().overwrite();
        }
    }

    /// The queue of codes to be handed over; `None` where otpctl has not made one.
    pub fn queue(&self) -> Result<Option<Queue>, Error> {
        Queue::within(&self.spool)
    }

    fn decoy(&self) -> Decoy<'_> {
        Decoy {
            root: &self.root,
            format: STATE_FORMAT,
        }
    }

    /// Clears away what crashes left half-made more than an hour before `now`. None of it is ever read.
    pub fn clear_half_made(&self, now: UnixTime) -> Result<(), Error> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        for dir in [&self.root, &self.secrets, &self.state] {
            dir.clear_half_made(now)?;
        }
        for name in [CONTACTS, SENDS] {
            if let Some(dir) = self.root.sub(name, Privacy::RootOnly)? {
                dir.clear_half_made(now)?;
            }
        }
        self.fallback.clear_half_made(now)?;
        for name in self.spool.names()? {
            if let Some(dir) = self.spool.sub(name, Privacy::RootOnly)? {
                dir.clear_half_made(now)?;
            }
        }
        Ok(())
    }

    fn enrollment(&self, account: &Account) -> Result<Option<Enrollment>, Error> {
        let name = account.name.file_name();
        let content = self
            .secrets
            .read(&name, secrets::MAX_SECRETS, Privacy::RootOnly)?;
        let Some(content) = content else {
            return Ok(None);
        };
        let path = self.secrets.path_of(&name);
        let (uid, enrollment) = secrets::parse(&content, &path)?;
        same_uid(account, uid, &path)?;
        Ok(Some(enrollment))
    }

    fn write_enrollment(&self, user: &UserName, uid: u32, new: &Enrollment) -> Result<(), Error> {
        let text = secrets::text(uid, new);
        self.secrets
            .write(&user.file_name(), text.as_bytes(), true)
            .map(|_| ())
    }

    fn stored_codes(&self, account: &Account) -> Result<Vec<StoredCode>, Error> {
        let Some(dir) = self.spooled(&account.name)? else {
            return Ok(Vec::new());
        };
        ids(&dir)?
            .into_iter()
            .map(|id| read_stored(&dir, id, account))
            .collect()
    }

    fn spooled(&self, user: &UserName) -> Result<Option<Dir>, Error> {
        self.spool.sub(user.file_name(), Privacy::RootOnly)
    }

    /// From here on a secret that is missing was removed, and not lost. A record that cannot be read says neither.
    fn unenroll(&self, locked: &Locked, name: &str) -> Result<(), Error> {
        let Ok(mut slots) = Slots::read(&locked.file, STATE_FORMAT, &locked.path) else {
            return Ok(());
        };
        if self.fallback.overtake(name, &mut slots).is_err() {
            return Ok(());
        }
        let Some((uid, mut state)) =
            codec::state_from(&slots.payload).filter(|(_, state)| state.enrolled)
        else {
            return Ok(());
        };
        state.enrolled = false;
        let bytes = codec::state_bytes(uid, &state);
        slots.write(&locked.file, STATE_FORMAT, &bytes, &locked.path)
    }

    /// Enrols a user, disabled from the first moment where that is asked for.
    fn enroll_as(
        &self,
        account: &Account,
        new: NewEnrollment,
        disabled: bool,
    ) -> Result<Enrolled, Error> {
        let mut held = self.hold(account, self.lock_or_create(account)?)?;
        let old = held.record.enrollment.take();
        let mut plan = match enrolling::plan(old, &held.record.state, new) {
            Ok(plan) => plan,
            Err(came) => return Ok(came),
        };
        plan.before.disabled |= disabled;
        plan.after.disabled |= disabled;
        // What the new secret may not accept is durable before the secret is; then the old entries go.
        held.write(plan.before)?;
        self.write_enrollment(&account.name, held.uid, &plan.enrollment)?;
        // The enrolment stands; entries of the old secret match nothing, and the next enrolment drops them.
        let _ = held.write(plan.after);
        Ok(plan.came)
    }

    fn key(&self) -> Result<DigestKey, Error> {
        let path = || self.root.path_of(KEY);
        let content = self.root.read(KEY, KEY_LENGTH, Privacy::RootOnly)?;
        let content = content.ok_or_else(|| {
            damaged(
                &path(),
                "it is missing, and without it no stored or recovery code can be checked: restore it, or issue new ones",
            )
        })?;
        let bytes = <[u8; KEY_LENGTH]>::try_from(content.as_slice())
            .map_err(|_| damaged(&path(), "it is not 32 bytes long"))?;
        Ok(DigestKey::from_bytes(Zeroizing::new(bytes)))
    }
}

/// Whether this process may write each of our files from end to end. Whoever starts su or sudo sets their limits: one that
/// strikes in the middle would kill the host, or let a guess fail before it is counted.
fn whole_files(policy: &Policy) -> Result<(), Error> {
    let (size, _) = getrlimit(Resource::RLIMIT_FSIZE)
        .map_err(|errno| io(&policy.state_dir, "write to", errno))?;
    if size >= secrets::MAX_SECRETS as u64 {
        return Ok(());
    }
    let why = "this process may not write files of 16 KiB (ulimit -f), so nothing is judged";
    let why = std::io::Error::other(why);
    Err(failed(&policy.state_dir, "write to", why))
}

fn is_read_only(source: &std::io::Error) -> bool {
    source.raw_os_error() == Some(Errno::EROFS as i32)
}

/// A file system that is read-only, or full where overwriting takes room (copy-on-write).
fn cannot_overwrite(error: &Error) -> bool {
    let Error::Io { source, .. } = error else {
        return false;
    };
    let no_room = [Errno::ENOSPC, Errno::EDQUOT].map(|errno| errno as i32);
    let is_full = source
        .raw_os_error()
        .is_some_and(|raw| no_room.contains(&raw));
    is_read_only(source) || is_full
}

/// Whether the marker is where it should be.
fn marked(dir: &Dir, marker: &str) -> Result<(), Error> {
    if dir.has_file(marker, Privacy::RootOnly)? {
        return Ok(());
    }
    Err(Error::Missing {
        path: dir.path_of(marker),
    })
}

fn same_uid(account: &Account, recorded: u32, path: &std::path::Path) -> Result<(), Error> {
    match account.uid {
        Some(actual) if actual != recorded => Err(Error::OtherUid {
            path: path.to_path_buf(),
            recorded,
            actual,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn read_only_and_full_are_what_memory_may_stand_in_for_and_nothing_else_is() {
        let error = |errno| io(Path::new("record"), "write", errno);
        for errno in [Errno::EROFS, Errno::ENOSPC, Errno::EDQUOT] {
            assert!(cannot_overwrite(&error(errno)), "{errno}");
            let source = std::io::Error::from(errno);
            assert_eq!(is_read_only(&source), errno == Errno::EROFS);
        }
        for errno in [Errno::EIO, Errno::EACCES, Errno::EINTR] {
            assert!(!cannot_overwrite(&error(errno)), "{errno}");
        }
        assert!(!cannot_overwrite(&damaged(Path::new("record"), "torn")));
    }
}
