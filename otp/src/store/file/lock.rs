//! A user's lock: her state file, which is made at her first enrolment, code or contact.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::super::dir::{Access, Privacy, io, still_named};
use super::super::{Error, LOCK_PATIENCE, codec, holder, slots};
use super::{FileStore, STATE_FORMAT, is_read_only};
use crate::state::State;
use crate::user::{Account, UserName};

/// A user's state file, locked. Unlocked explicitly when dropped, because a forked child would keep the lock.
pub(super) struct Locked {
    pub(super) file: Flock<File>,
    pub(super) path: PathBuf,
    pub(super) writable: bool,
}

impl FileStore {
    /// Locks a user's state file, if she has one. Where nothing can be written it is locked all the same.
    pub(super) fn lock(&self, user: &UserName) -> Result<Option<Locked>, Error> {
        let name = user.file_name();
        let path = self.state.path_of(&name);
        let started = Instant::now();
        loop {
            let open = |access| self.state.file(&name, access, Privacy::RootOnly);
            let (file, writable) = match open(Access::Write) {
                Err(Error::Io { source, .. }) if is_read_only(&source) => {
                    (open(Access::Read)?, false)
                }
                opened => (opened?, true),
            };
            let Some(file) = file else {
                return Ok(None);
            };
            let file = wait_for(file, started, &path)?;
            // Removed while we waited: what is locked is nobody's any more.
            if still_named(&file, &path)? {
                return Ok(Some(Locked {
                    file,
                    path,
                    writable,
                }));
            }
        }
    }

    /// Locks a user's state file, making it first if she has none. Its name lasts: whoever made it may have been killed
    /// before it did.
    pub(super) fn lock_or_create(&self, account: &Account) -> Result<Locked, Error> {
        loop {
            if let Some(locked) = self.lock(&account.name)? {
                self.state.sync()?;
                return Ok(locked);
            }
            let name = account.name.file_name();
            let payload = codec::state_bytes(account.uid.unwrap_or(0), &State::default());
            let fresh = slots::fresh_after(self.fallback.last(&name), STATE_FORMAT, &payload);
            self.state.write(&name, &fresh, false)?;
        }
    }
}

/// Waits for a lock without blocking for good: `flock` knows no timeout.
pub(super) fn wait_for(file: File, started: Instant, path: &Path) -> Result<Flock<File>, Error> {
    let mut file = file;
    let mut pause = Duration::from_micros(200);
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((unlocked, Errno::EAGAIN | Errno::EINTR)) => file = unlocked,
            Err((_, errno)) => return Err(io(path, "lock", errno)),
        }
        if started.elapsed() >= LOCK_PATIENCE {
            return Err(Error::Busy {
                path: path.to_path_buf(),
                holder: holder::of(&file),
            });
        }
        std::thread::sleep(pause);
        pause = pause.saturating_mul(2).min(Duration::from_millis(10));
    }
}
