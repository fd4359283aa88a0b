//! A store on the disk in which alice is enrolled, and what it answers her.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::store::{FileStore, Store};
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

    fn make(&self, dir: &str, mode: u32) {
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
