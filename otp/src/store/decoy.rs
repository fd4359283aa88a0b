//! The record of nobody: what a refusal is busy with where it has no record to read or nothing to write, so that it takes
//! as long as a wrong code does (docs/adr/0005-same-answer.md).
//!
//! It is made with the store, beside the directories of the users' records, and is as large as one of them. Nothing it holds
//! is secret and nothing ever changes in it. Whatever is wrong with it, the answer stays what it was.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use zeroize::Zeroizing;

use super::dir::{Access, Dir, Privacy};
use super::slots::{self, Format, Slots};
use super::{Error, LOCK_PATIENCE, codec, fresh_recovery, secrets};
use crate::enrollment::{Authenticator, Enrollment, Generation, Kind, RecoveryList};
use crate::hotp::{Algorithm, CodeLength};
use crate::keyed::Digest;
use crate::secret::{DRAWN_SECRET, Secret};
use crate::state::{AuthenticatorState, State};
use crate::time::{Period, UnixTime};
use crate::user::UserName;
use crate::verify::Record;

/// In the state tree, beside the directories of the users' records.
const SECRETS: &str = "nobody.toml";
const STATE: &str = "nobody.state";
/// What `otpctl enroll` prints unless told otherwise.
const RECOVERY_CODES: usize = 10;

/// Where the record of nobody is.
pub(super) struct Decoy<'a> {
    pub(super) root: &'a Dir,
    pub(super) format: Format,
}

impl Decoy<'_> {
    /// Makes it, or makes it anew where it is not as this version makes it.
    pub(super) fn make(&self) -> Result<(), Error> {
        let Some(enrollment) = enrollment() else {
            return Ok(());
        };
        let text = secrets::text(0, &enrollment);
        let image = self.image();
        for (name, content) in [(SECRETS, text.as_bytes()), (STATE, &image)] {
            let kept = self.root.read(name, content.len(), Privacy::RootOnly);
            if kept.ok().flatten().is_none_or(|kept| *kept != content) {
                self.root.write(name, content, true)?;
            }
        }
        Ok(())
    }

    /// Reads it under the lock of this name, lets `judge` be busy with it, and overwrites it. `None` where something is
    /// wrong with it.
    pub(super) fn hear(&self, name: &[u8], judge: impl FnOnce(Record)) -> Option<()> {
        let file = self.file()?;
        let turn = Turn::wait(&file, name)?;
        let slots = Slots::read(&file, self.format, &self.root.path_of(STATE)).ok()?;
        let (_, state) = codec::state_from(&slots.payload)?;
        let text = self
            .root
            .read(SECRETS, secrets::MAX_SECRETS, Privacy::RootOnly);
        let (_, enrollment) = secrets::parse(&text.ok()??, &self.root.path_of(SECRETS)).ok()?;
        judge(Record {
            enrollment: Some(enrollment),
            state,
            ..Record::none(UserName::parse("nobody").ok()?)
        });
        drop(turn);
        self.overwrite_in(&file)
    }

    /// Overwrites it with what it holds, durably: what a refusal costs that has changed nothing.
    pub(super) fn overwrite(&self) -> Option<()> {
        self.overwrite_in(&self.file()?)
    }

    /// Without a lock: everybody writes the same bytes.
    fn overwrite_in(&self, file: &File) -> Option<()> {
        slots::rewrite(file, &self.image()).ok()
    }

    fn file(&self) -> Option<File> {
        let file = self.root.file(STATE, Access::Write, Privacy::RootOnly);
        file.ok().flatten()
    }

    /// The whole state file.
    fn image(&self) -> Vec<u8> {
        let state = State {
            authenticators: vec![AuthenticatorState::fresh(GENERATION)],
            recovery: vec![fresh_recovery(GENERATION)],
            ..State::default()
        };
        slots::fresh(self.format, &codec::state_bytes(0, &state))
    }
}

const GENERATION: Generation = Generation::from_bits(0);

/// As most users have it. The secret opens nothing: what is judged of nobody is dropped.
fn enrollment() -> Option<Enrollment> {
    let secret = Zeroizing::new(vec![0; DRAWN_SECRET]);
    Some(Enrollment {
        authenticators: vec![Authenticator {
            name: "phone".to_owned(),
            generation: GENERATION,
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_bytes(secret).ok()?,
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "nobody".to_owned(),
            label: "nobody".to_owned(),
            enrolled_at: UnixTime::EPOCH,
        }],
        recovery: Some(RecoveryList {
            generation: GENERATION,
            digits: None,
            digests: vec![Digest::from_bytes([0; 32]); RECOVERY_CODES],
        }),
    })
}

/// A name's turn at the decoy. Answers to one name wait for each other as they do where there is a record, and answers to
/// different names do not: the lock is on one byte of the file, picked by the name. It ends when dropped.
struct Turn<'a> {
    file: &'a File,
    byte: i64,
}

impl<'a> Turn<'a> {
    /// Waits as for a user's lock. Whoever waited too long goes on without: nothing hangs on it.
    fn wait(file: &'a File, name: &[u8]) -> Option<Self> {
        let mut hash = DefaultHasher::new();
        hash.write(name);
        let byte = i64::try_from(hash.finish() >> 2).ok()?;
        let turn = Self { file, byte };
        let started = Instant::now();
        let mut pause = Duration::from_micros(200);
        while !turn.set(libc::F_WRLCK) && started.elapsed() < LOCK_PATIENCE {
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(Duration::from_millis(10));
        }
        Some(turn)
    }

    fn set(&self, kind: libc::c_int) -> bool {
        let lock = libc::flock {
            l_type: i16::try_from(kind).unwrap_or(0),
            l_whence: i16::try_from(libc::SEEK_SET).unwrap_or(0),
            l_start: self.byte,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(self.file, FcntlArg::F_OFD_SETLK(&lock)).is_ok()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.set(libc::F_UNLCK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::file::STATE_FORMAT;
    use std::fs;
    use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
    use std::path::PathBuf;

    /// A state tree with the record of nobody in it.
    struct House {
        temp: tempfile::TempDir,
        root: Dir,
    }

    impl House {
        fn new() -> Self {
            let temp = tempfile::Builder::new().tempdir_in("/run").unwrap();
            fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
            let root = Dir::open(temp.path(), Privacy::RootOnly).unwrap();
            let house = Self { temp, root };
            house.decoy().make().unwrap();
            house
        }

        fn decoy(&self) -> Decoy<'_> {
            Decoy {
                root: &self.root,
                format: STATE_FORMAT,
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.temp.path().join(name)
        }

        fn file(&self) -> File {
            let mut options = fs::OpenOptions::new();
            options.read(true).write(true);
            options.open(self.path(STATE)).unwrap()
        }
    }

    #[test]
    fn it_is_made_once_and_anew_where_it_is_not_as_it_should_be() {
        let house = House::new();
        let look = |name| {
            let inode = fs::metadata(house.path(name)).unwrap().ino();
            (inode, fs::read(house.path(name)).unwrap())
        };
        let before = [SECRETS, STATE].map(look);
        house.decoy().make().unwrap();
        assert_eq!([SECRETS, STATE].map(look), before, "left as it was");
        for name in [SECRETS, STATE] {
            fs::write(house.path(name), "damaged").unwrap();
        }
        house.decoy().make().unwrap();
        let after = [SECRETS, STATE].map(look).map(|(_, content)| content);
        assert_eq!(after, before.map(|(_, content)| content));
    }

    #[test]
    fn what_is_judged_of_nobody_is_as_large_as_what_is_judged_of_most() {
        let house = House::new();
        let mut heard = false;
        let done = house.decoy().hear(b"alice", |record| {
            let enrollment = record.enrollment.unwrap();
            assert_eq!(enrollment.authenticators.len(), 1);
            assert_eq!(enrollment.recovery.unwrap().digests.len(), 10);
            assert_eq!(record.state.authenticators.len(), 1);
            assert_eq!(record.state.recovery.len(), 1);
            heard = true;
        });
        assert!(heard && done.is_some());
    }

    #[test]
    fn hearing_and_overwriting_put_back_what_it_was_made_with() {
        let house = House::new();
        let made = fs::read(house.path(STATE)).unwrap();
        let meddle = |at| house.file().write_all_at(b"meddled", at).unwrap();
        let put_back = || fs::read(house.path(STATE)).unwrap() == made;
        meddle(8_192);
        assert!(!put_back());
        assert!(house.decoy().hear(b"alice", drop).is_some());
        assert!(put_back());
        meddle(60);
        assert!(house.decoy().hear(b"alice", drop).is_none(), "not whole");
        assert!(!put_back());
        assert!(house.decoy().overwrite().is_some());
        assert!(put_back());
        fs::remove_file(house.path(STATE)).unwrap();
        assert!(house.decoy().overwrite().is_none());
    }

    #[test]
    fn every_name_has_a_turn_and_waits_for_nobody_elses() {
        let house = House::new();
        let started = Instant::now();
        let files: Vec<File> = (0..64).map(|_| house.file()).collect();
        let names = (0..64_u8).zip(&files);
        let turns: Vec<_> = names
            .map(|(n, file)| Turn::wait(file, &[n]).unwrap())
            .collect();
        assert!(turns.iter().all(|turn| turn.byte >= 0));
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_second_answer_to_a_name_waits_until_the_turn_of_the_first_is_over() {
        let house = House::new();
        let (first, second) = (house.file(), house.file());
        let turn = Turn::wait(&first, b"alice").unwrap();
        let blocked = Turn {
            file: &second,
            byte: turn.byte,
        };
        assert!(!blocked.set(libc::F_WRLCK));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Turn::wait(&second, b"alice").map(drop));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!waiting.is_finished());
            drop(turn);
            assert!(waiting.join().unwrap().is_some());
        });
        assert!(blocked.set(libc::F_WRLCK), "the file of the first is open");
    }
}
