//! The deliverer's side of the queue: entries are taken, worked on, and ended with an outcome.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::super::Error;
use super::super::dir::{Access, Privacy, io, still_named};
use super::{AGAIN, Delivery, Entry, Queue, Reason, again, read, text};
use crate::delivery::Channel;
use crate::time::UnixTime;

const LOCK: &str = "lock";

/// The right to take entries, which one process has at a time.
pub struct Turn {
    #[allow(dead_code, reason = "held, not read")]
    lock: Flock<File>,
}

/// An entry that is being handed over, locked.
pub struct Claimed {
    /// What is handed over.
    pub entry: Entry,
    name: String,
    #[allow(dead_code, reason = "held, not read")]
    lock: Flock<File>,
}

impl Queue {
    /// The right to take entries; `None` while another process has it.
    pub fn turn(&self) -> Result<Option<Turn>, Error> {
        let file = match self.root.file(LOCK, Access::Write, Privacy::RootOnly)? {
            Some(file) => file,
            None => {
                self.root.write(LOCK, b"", false)?;
                let file = self.root.file(LOCK, Access::Write, Privacy::RootOnly)?;
                let path = self.root.path_of(LOCK);
                file.ok_or(Error::Missing { path })?
            }
        };
        let lock = try_lock(file).map_err(|errno| io(&self.root.path_of(LOCK), "lock", errno))?;
        Ok(lock.map(|lock| Turn { lock }))
    }

    /// Whether a process has the right to take entries.
    pub fn is_attended(&self) -> Result<bool, Error> {
        let Some(file) = self.root.file(LOCK, Access::Read, Privacy::RootOnly)? else {
            return Ok(false);
        };
        let lock = try_lock(file).map_err(|errno| io(&self.root.path_of(LOCK), "lock", errno))?;
        Ok(lock.is_none())
    }

    /// The names of entries that nobody has taken yet.
    pub fn untaken(&self, _: &Turn, channel: Channel) -> Result<Vec<String>, Error> {
        let mut names = self.new.names()?;
        names.retain(|name| Self::channel_of(name) == Some(channel));
        Ok(names)
    }

    /// The channel of an entry, by its name.
    #[must_use]
    pub fn channel_of(name: &str) -> Option<Channel> {
        let (_, channel) = name.rsplit_once('.')?;
        Channel::parse(channel)
    }

    /// Wipes away what waits under a name that no entry has: nobody would ever take it.
    pub fn drop_strays(&self, _: &Turn) -> Result<(), Error> {
        for dir in [&self.new, &self.work] {
            for name in dir.names()? {
                if Self::channel_of(&name).is_none() {
                    dir.wipe(&name)?;
                }
            }
        }
        Ok(())
    }

    /// Whether nothing waits, and nobody works on anything.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.new.names()?.is_empty() && self.work.names()?.is_empty())
    }

    /// Takes an entry; `false` if it is gone, or an older one of its name is still being worked on.
    pub fn take(&self, _: &Turn, name: &str) -> Result<bool, Error> {
        if self.work.has(&again(name))? {
            return Ok(false);
        }
        self.new.move_to(name, &self.work, name)
    }

    /// The names of entries that were taken by somebody who was killed since, to be worked on once more. Those that were
    /// already are ended.
    pub fn left_over(&self, _: &Turn, now: UnixTime) -> Result<Vec<String>, Error> {
        let mut left = Vec::new();
        for name in self.work.names()? {
            if self.is_worked_on(&name)? {
                continue;
            }
            if name.starts_with(AGAIN) {
                match self.claim(&name) {
                    Ok(Some(claimed)) => {
                        self.finish(claimed, Delivery::Failed(Reason::Interrupted), now)?;
                    }
                    Ok(None) => {}
                    Err(_) => self.work.wipe(&name)?,
                }
            } else if self.work.move_to(&name, &self.work, &again(&name))? {
                left.push(again(&name));
            }
        }
        Ok(left)
    }

    fn is_worked_on(&self, name: &str) -> Result<bool, Error> {
        let Some(file) = self.work.file(name, Access::Write, Privacy::RootOnly)? else {
            return Ok(false);
        };
        let lock = try_lock(file).map_err(|errno| io(&self.work.path_of(name), "lock", errno))?;
        Ok(lock.is_none())
    }

    /// Begins to work on an entry that was taken; `None` if it is gone, or somebody else does. What cannot be understood
    /// is an error, and should be [dropped](Self::discard).
    pub fn claim(&self, name: &str) -> Result<Option<Claimed>, Error> {
        let path = self.work.path_of(name);
        let Some(file) = self.work.file(name, Access::Write, Privacy::RootOnly)? else {
            return Ok(None);
        };
        let lock = try_lock(file).map_err(|errno| io(&path, "lock", errno))?;
        let Some(lock) = lock else {
            return Ok(None);
        };
        if !still_named(&lock, &path)? {
            return Ok(None);
        }
        let entry = read(&self.work, name)?;
        let name = name.to_owned();
        Ok(entry.map(|entry| Claimed { entry, name, lock }))
    }

    /// Keeps what came of an entry until its code's time is over, and wipes the entry away. A failure is put down for the
    /// store to hear of. One that was withdrawn meanwhile has lost its name, which may be a newer one's by now: that one stays.
    pub fn finish(&self, claimed: Claimed, result: Delivery, now: UnixTime) -> Result<(), Error> {
        let Claimed { entry, name, lock } = claimed;
        let place = name.trim_start_matches(AGAIN);
        let was_withdrawn = !still_named(&lock, &self.work.path_of(&name))?;
        if was_withdrawn && self.is_followed(&entry, place)? {
            return Ok(());
        }
        let outcome = entry.outcome(result, now);
        let kept = text::outcome(&outcome);
        self.done.write(place, kept.as_bytes(), true)?;
        match result {
            Delivery::Sent => self.settle.unlink(place)?,
            Delivery::Failed(_) => {
                self.settle.write(place, b"", true)?;
            }
        }
        if !was_withdrawn {
            self.work.wipe(&name)?;
        }
        drop(lock);
        Ok(())
    }

    /// Whether a newer entry of this name was taken, or has its outcome already.
    fn is_followed(&self, entry: &Entry, place: &str) -> Result<bool, Error> {
        let kept = self.outcome(place).ok().flatten();
        let is_newer = kept.is_some_and(|kept| kept.issued_at > entry.issued_at);
        Ok(is_newer || self.work.has(place)?)
    }

    /// Wipes an entry away that cannot be understood.
    pub fn discard(&self, name: &str) -> Result<(), Error> {
        self.work.wipe(name)
    }
}

/// The lock, unless somebody has it.
fn try_lock(file: File) -> Result<Option<Flock<File>>, Errno> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EAGAIN)) => Ok(None),
        Err((_, errno)) => Err(errno),
    }
}
