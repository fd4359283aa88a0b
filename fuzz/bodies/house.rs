//! A store on the disk in which alice is enrolled, and what it answers her.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use otp::delivery::{Channel, Contacts};
use otp::origin::Origin;
use otp::passcode::{Digits, Passcode};
use otp::policy::Policy;
use otp::sends::{MachineLog, SendLog};
use otp::store::{Confirmation, FileStore, Store};
use otp::time::UnixTime;
use otp::user::{Account, UserName};
use otp::verify::{Attempt, Verdict, verify};

use super::NOW;
use super::format::{KEY, UID};

/// It stands where its process is, so there is one at a time.
pub struct House {
    dir: PathBuf,
    policy: Policy,
}

impl House {
    pub fn new() -> Self {
        let dir = PathBuf::from(format!("/run/otp-fuzz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let policy = Policy {
            state_dir: dir.join("lib"),
            spool_dir: dir.join("spool"),
            run_dir: dir.join("run"),
            ..Policy::default()
        };
        let house = Self { dir, policy };
        house.make("", 0o755);
        drop(FileStore::open_or_create(&house.policy).unwrap());
        house.make("spool/alice", 0o700);
        house.make("run", 0o755);
        house.make("run/state", 0o700);
        house.write("lib/key", &KEY);
        house
    }

    pub fn make(&self, dir: &str, mode: u32) {
        let path = self.dir.join(dir);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn write(&self, file: &str, content: &[u8]) {
        let path = self.dir.join(file);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn can_be_read(&self) -> bool {
        let store = FileStore::open(&self.policy);
        store.is_ok_and(|store| store.read(&alice()).is_ok())
    }

    /// Whether there is anything she could answer with; `None` where something is wrong with the store.
    pub fn can_answer(&self) -> Option<bool> {
        let record = FileStore::open(&self.policy).ok()?.read(&alice()).ok()?;
        Some(record.can_answer(UnixTime::from_secs(NOW)))
    }

    /// Where codes can be sent to her.
    pub fn contacts(&self) -> Option<Contacts> {
        FileStore::open(&self.policy).ok()?.contacts(&alice()).ok()
    }

    /// What comes of the answer that is to confirm a contact.
    pub fn confirm(&self, channel: Channel, code: &Digits) -> Option<Confirmation> {
        let store = FileStore::open(&self.policy).ok()?;
        let now = UnixTime::from_secs(NOW);
        store.confirm_contact(&alice(), channel, code, || now).ok()
    }

    /// What was sent lately, to her and by the machine.
    pub fn counted(&self) -> Option<(SendLog, MachineLog)> {
        let store = FileStore::open(&self.policy).ok()?;
        store.counted(&alice()).ok()?
    }

    /// What a login comes to; `None` where something is wrong with the store.
    pub fn answer(&self, typed: &str, from: Origin) -> Option<Verdict> {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin: from,
            now: UnixTime::from_secs(NOW),
        };
        let store = FileStore::open(&self.policy).ok()?;
        let answer = store.update(&alice(), |record| {
            let _ = record.can_answer(attempt.now);
            let outcome = verify(record, &attempt, &self.policy);
            (outcome.verdict, outcome.changes)
        });
        answer.ok()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub fn alice() -> Account {
    Account {
        name: UserName::parse("alice").unwrap(),
        uid: Some(UID),
    }
}
