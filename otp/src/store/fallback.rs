//! What is kept until the next boot, where the store cannot be overwritten (`on_read_only = "totp"`): a record a
//! user in memory (`/run`), of the same kind as her state and newer than it. Every mode reads it; the user's lock
//! is her state file's, as ever.
//!
//! A boot forgets it, so with this mode no code is accepted that could have been accepted before the boot.

use std::path::Path;
use std::time::Duration;

use nix::sys::stat::fstat;
use nix::time::{ClockId, clock_gettime};

use super::Error;
use super::dir::{Access, Dir, Privacy, io, is_absent};
use super::file::STATE_FORMAT;
use super::slots::{self, Slots};
use crate::policy::{OnReadOnly, Policy};
use crate::time::UnixTime;

/// Made at boot by systemd-tmpfiles, else at first use: its time is the earliest that memory goes back to.
const BORN: &str = "born";
const STATE: &str = "state";

/// The tree in memory.
pub(super) struct Fallback {
    /// `None`: nothing was ever kept here since the boot.
    state: Option<Dir>,
    /// Whether it stands in where the store cannot be overwritten.
    pub(super) stands_in: bool,
    /// If it does: when memory began.
    pub(super) booted: Option<UnixTime>,
}

impl Fallback {
    pub(super) fn open(policy: &Policy) -> Result<Self, Error> {
        match policy.on_read_only {
            OnReadOnly::Deny => Ok(Self {
                state: kept(&policy.run_dir)?,
                stands_in: false,
                booted: None,
            }),
            OnReadOnly::Totp => {
                let dir = Dir::open_or_create(&policy.run_dir, Privacy::RootWrites)?;
                Ok(Self {
                    state: Some(dir.make_sub(STATE, Privacy::RootOnly)?),
                    stands_in: true,
                    booted: Some(booted(&dir)?),
                })
            }
        }
    }

    /// Puts what is kept of a user here in the place of what was read in the store, if it is newer.
    pub(super) fn overtake(&self, name: &str, slots: &mut Slots) -> Result<(), Error> {
        let Some(dir) = &self.state else {
            return Ok(());
        };
        let Some(file) = dir.file(name, Access::Read, Privacy::RootOnly)? else {
            return Ok(());
        };
        let here = Slots::read(&file, STATE_FORMAT, &dir.path_of(name))?;
        if here.sequence() > slots.sequence() {
            slots.follow(here.sequence());
            slots.payload = here.payload;
        }
        Ok(())
    }

    /// The sequence number that a state file made now has to follow: what is kept here of one that is gone does not count.
    /// It is not deleted, because without the lock somebody may have made the file in the meantime, and this may be hers.
    pub(super) fn last(&self, name: &str) -> u64 {
        let here = self.state.as_ref().and_then(|dir| {
            let file = dir.file(name, Access::Read, Privacy::RootOnly).ok()??;
            Slots::read(&file, STATE_FORMAT, &dir.path_of(name)).ok()
        });
        here.map_or(0, |slots| slots.sequence())
    }

    /// Keeps a record that follows the one with this sequence number.
    pub(super) fn write(&self, name: &str, before: u64, payload: &[u8]) -> Result<(), Error> {
        let path = Path::new(STATE).join(name);
        let dir = self.state.as_ref().ok_or(Error::Missing { path })?;
        let path = dir.path_of(name);
        let Some(file) = dir.file(name, Access::Write, Privacy::RootOnly)? else {
            let content = slots::fresh_after(before, STATE_FORMAT, payload);
            return dir.write(name, &content, false).map(|_| ());
        };
        let mut slots = Slots::read(&file, STATE_FORMAT, &path)?;
        slots.follow(before);
        slots.write(&file, STATE_FORMAT, payload, &path)
    }

    /// Forgets a user.
    pub(super) fn forget(&self, name: &str) -> Result<(), Error> {
        self.state.as_ref().map_or(Ok(()), |dir| dir.unlink(name))
    }

    pub(super) fn clear_half_made(&self, now: i64) -> Result<(), Error> {
        let state = self.state.as_ref();
        state.map_or(Ok(()), |dir| dir.clear_half_made(now))
    }
}

fn kept(run_dir: &Path) -> Result<Option<Dir>, Error> {
    // As good as always, and one call instead of nine.
    if is_absent(&run_dir.join(STATE)) {
        return Ok(None);
    }
    match Dir::open(run_dir, Privacy::RootWrites) {
        Ok(dir) => dir.sub(STATE, Privacy::RootOnly),
        Err(Error::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn born(dir: &Dir) -> Result<UnixTime, Error> {
    loop {
        if let Some(file) = dir.file(BORN, Access::Read, Privacy::RootWrites)? {
            let stat = fstat(&file).map_err(|errno| io(&dir.path_of(BORN), "look at", errno))?;
            return Ok(UnixTime::from_secs(stat.st_mtime.try_into().unwrap_or(0)));
        }
        dir.write(BORN, b"", false)?;
    }
}

/// When memory began, by the clock as it is now: at the boot, or when `/run` was made anew, as in a container. A time
/// that is yet to come is that of a clock that was ahead, and says nothing.
fn booted(dir: &Dir) -> Result<UnixTime, Error> {
    let now = read(ClockId::CLOCK_REALTIME)?;
    let up = read(ClockId::CLOCK_BOOTTIME)?;
    let boot = now.minus(Duration::from_secs(up.as_secs()));
    let born = born(dir)?;
    Ok(if born <= now { boot.max(born) } else { boot })
}

fn read(clock: ClockId) -> Result<UnixTime, Error> {
    let time = clock_gettime(clock).map_err(|errno| io(Path::new("the clock"), "read", errno))?;
    Ok(UnixTime::from_secs(time.tv_sec().try_into().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, metadata, write};
    use std::time::SystemTime;

    fn policy(run: &tempfile::TempDir, on_read_only: OnReadOnly) -> Policy {
        Policy {
            run_dir: run.path().join("pam_otp"),
            on_read_only,
            ..Policy::default()
        }
    }

    fn run() -> tempfile::TempDir {
        tempfile::Builder::new().tempdir_in("/run").unwrap()
    }

    /// A record as read in the store, with this sequence number.
    fn stored(sequence: u64) -> Slots {
        let file = tempfile::tempfile().unwrap();
        let content = slots::fresh_after(sequence - 1, STATE_FORMAT, b"store");
        std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).unwrap();
        Slots::read(&file, STATE_FORMAT, Path::new("record")).unwrap()
    }

    /// What counts where the store has the record with this number, and its number.
    fn counts(fallback: &Fallback, name: &str, sequence: u64) -> (Vec<u8>, u64) {
        let mut slots = stored(sequence);
        fallback.overtake(name, &mut slots).unwrap();
        (slots.payload.clone(), slots.sequence())
    }

    #[test]
    fn of_two_records_the_newer_counts_and_of_the_same_age_the_store_s() {
        let run = run();
        let fallback = Fallback::open(&policy(&run, OnReadOnly::Totp)).unwrap();
        assert!(fallback.stands_in);
        assert_eq!(counts(&fallback, "alice", 4), (b"store".to_vec(), 4));
        fallback.write("alice", 4, b"here").unwrap();
        // Every mode reads what is here.
        let reader = Fallback::open(&policy(&run, OnReadOnly::Deny)).unwrap();
        assert!(!reader.stands_in && reader.booted.is_none());
        for fallback in [&fallback, &reader] {
            assert_eq!(counts(fallback, "alice", 3), (b"here".to_vec(), 5));
            assert_eq!(counts(fallback, "alice", 4), (b"here".to_vec(), 5));
            assert_eq!(counts(fallback, "alice", 5), (b"store".to_vec(), 5));
            assert_eq!(counts(fallback, "alice", 6), (b"store".to_vec(), 6));
            assert_eq!(counts(fallback, "bob", 4), (b"store".to_vec(), 4));
        }
        fallback.write("alice", 9, b"later").unwrap();
        assert_eq!(counts(&reader, "alice", 9), (b"later".to_vec(), 10));
        reader.forget("alice").unwrap();
        assert_eq!(counts(&fallback, "alice", 4), (b"store".to_vec(), 4));
    }

    #[test]
    fn where_nothing_was_kept_nothing_is_made() {
        let run = run();
        let reader = Fallback::open(&policy(&run, OnReadOnly::Deny)).unwrap();
        assert_eq!(counts(&reader, "alice", 4), (b"store".to_vec(), 4));
        let error = reader.write("alice", 4, b"here").err().unwrap();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        reader.forget("alice").unwrap();
        reader.clear_half_made(i64::MAX).unwrap();
        assert!(is_absent(&run.path().join("pam_otp")));
    }

    #[test]
    fn what_is_half_made_here_is_cleared_away_too() {
        let run = run();
        let fallback = Fallback::open(&policy(&run, OnReadOnly::Totp)).unwrap();
        let half_made = run.path().join("pam_otp/state/.new-alice.1.2");
        write(&half_made, "").unwrap();
        fallback.clear_half_made(i64::MAX).unwrap();
        assert!(is_absent(&half_made));
    }

    #[test]
    fn memory_began_at_the_boot_or_when_it_was_made_if_that_was_later_and_is_not_yet_to_come() {
        let run = run();
        let policy = policy(&run, OnReadOnly::Totp);
        let booted = || Fallback::open(&policy).unwrap().booted.unwrap();
        let made = booted();
        let born = run.path().join("pam_otp/born");
        let modified = metadata(&born).unwrap().modified().unwrap();
        assert_eq!(made, UnixTime::from(modified), "just now");
        let set = |time: SystemTime| File::open(&born).unwrap().set_modified(time).unwrap();
        set(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        let boot = booted();
        assert!(UnixTime::from_secs(1) < boot && boot < made, "{boot:?}");
        set(modified + Duration::from_secs(86_400));
        assert!(booted().since(boot) <= Duration::from_secs(1));
    }
}
