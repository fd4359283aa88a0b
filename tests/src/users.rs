//! Who lives in the sandbox (sandbox.sh has the passwd file), and what their phones show.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};

use otp::enrollment::{Authenticator, Generation, Kind, RecoveryList};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{CodeId, StoredCode};
use otp::keyed::DigestKey;
use otp::passcode::{Digits, Passcode, RecoveryCode};
use otp::policy::Policy;
use otp::secret::Secret;
use otp::state::State;
use otp::store::{Enrolled, FileStore, Issue, NewEnrollment, Store};
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::{Account, UserName};
use zeroize::Zeroizing;

/// The sandbox's policy: the default one, unless the test has written another.
pub fn policy() -> Policy {
    otp::store::load_policy(None).expect("a policy").policy
}

/// The store at its place in the sandbox, made now if it is not there.
pub fn store() -> FileStore {
    FileStore::open_or_create(&policy()).expect("a store")
}

/// A user of the sandbox's passwd file.
pub fn account(name: &str) -> Account {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("{name} does not live here"));
    let uid = line.split(':').nth(2).unwrap().parse().unwrap();
    Account {
        name: UserName::parse(name).unwrap(),
        uid: Some(uid),
    }
}

/// Lets `user0`, `user1` and so on move in.
pub fn move_in(count: u32) {
    let file = fs::File::options().append(true).open("/etc/passwd");
    let mut file = file.expect("the sandbox has one");
    for n in 0..count {
        let uid = uid_of_numbered(n);
        writeln!(file, "user{n}:x:{uid}:{uid}::/home/user{n}:/bin/sh").unwrap();
    }
}

const fn uid_of_numbered(n: u32) -> u32 {
    2000 + n
}

/// Takes away everything that is kept of anybody, and whatever else lies about there.
pub fn wipe() {
    let policy = Policy::default();
    for tree in [policy.state_dir, policy.spool_dir] {
        if let Err(error) = fs::remove_dir_all(&tree) {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{}", tree.display());
        }
    }
}

/// An enrolled user's phone.
pub struct Phone {
    authenticator: Authenticator,
}

impl Phone {
    /// Enrols a user, with recovery codes if there are any.
    pub fn enrolled(name: &str, recovery: &[&str]) -> Self {
        Self::with_secret(name, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").enroll(name, recovery)
    }

    /// Enrols this phone, with recovery codes if there are any.
    pub fn enroll(self, name: &str, recovery: &[&str]) -> Self {
        let (store, account) = (store(), account(name));
        let phone = self;
        let list = Generation::from_bits(8);
        let digests = recovery.iter().map(|code| {
            let code = recovery_code(code);
            key(&store).recovery(&account.name, list, &code)
        });
        let digests: Vec<_> = digests.collect();
        let mut new = NewEnrollment::of(phone.authenticator.clone());
        new.recovery = (!digests.is_empty()).then_some(RecoveryList {
            generation: list,
            digits: None,
            digests,
        });
        assert_eq!(store.enroll(&account, new).unwrap(), Enrolled::New);
        phone
    }

    /// Enrols a token that counts, beginning with counter 0, in the place of a phone.
    pub fn counting(name: &str, recovery: &[&str]) -> Self {
        let mut token = Self::with_secret(name, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        token.authenticator.kind = Kind::Hotp;
        token.enroll(name, recovery)
    }

    /// The code of a counter.
    pub fn code_counted(&self, counter: u64) -> String {
        self.code_of(TimeStep::new(counter))
    }

    /// A phone with this secret, whether or not anybody has enrolled it.
    pub fn with_secret(name: &str, secret: &str) -> Self {
        let authenticator = Authenticator {
            name: "phone".to_owned(),
            generation: Generation::from_bits(7),
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_base32(secret).unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "sandbox".to_owned(),
            label: name.to_owned(),
            enrolled_at: now(),
        };
        Self { authenticator }
    }

    /// The code it shows now. Waits for the next step where this one is nearly over, so that it stays the current
    /// one until it is used.
    pub fn code(&self) -> String {
        let into_step = || now().as_secs() % 30;
        while into_step() > 26 {
            thread::sleep(Duration::from_millis(200));
        }
        self.code_at(0)
    }

    /// The code it shows so many steps from now.
    pub fn code_at(&self, offset: i64) -> String {
        self.code_of(TimeStep::at(now(), Period::THIRTY).offset(offset).unwrap())
    }

    /// The code of a step.
    pub fn code_of(&self, step: TimeStep) -> String {
        let phone = &self.authenticator;
        let code = totp::code(&phone.secret, phone.algorithm, phone.length, step);
        code.expose().to_owned()
    }

    /// Six digits that it shows nowhere near now.
    pub fn wrong_code(&self) -> String {
        let near: Vec<String> = match self.authenticator.kind {
            Kind::Totp { .. } => (-20..20).map(|offset| self.code_at(offset)).collect(),
            Kind::Hotp => (0..60).map(|counter| self.code_counted(counter)).collect(),
        };
        let mut codes = (0..).map(|n| format!("{n:06}"));
        codes.find(|code| !near.contains(code)).unwrap()
    }
}

/// Issues a stored code that is good for so many seconds.
pub fn issue(name: &str, code: &str, ttl: u64) {
    let (store, account, now) = (store(), account(name), now());
    let last = code.as_bytes()[code.len() - 1];
    let id = CodeId::from_bytes([1, 2, 3, last]);
    let stored = StoredCode {
        reason: "for a test".to_owned(),
        ..StoredCode::fresh(
            id,
            code.len().try_into().unwrap(),
            key(&store).stored(&account.name, id, &digits(code)),
            now,
            Duration::from_secs(ttl),
        )
    };
    assert_eq!(
        store.issue(&account, vec![stored], now).unwrap(),
        Issue::Kept
    );
}

/// What a login has changed.
pub fn state(name: &str) -> State {
    store().read(&account(name)).unwrap().state
}

/// The file whose lock is the user's.
pub fn state_file(name: &str) -> PathBuf {
    policy()
        .state_dir
        .join("state")
        .join(account(name).name.file_name())
}

fn key(store: &FileStore) -> DigestKey {
    store
        .digest_key(|| DigestKey::from_bytes(Zeroizing::new([42; 32])))
        .unwrap()
}

fn digits(code: &str) -> Digits {
    match Passcode::parse(code.as_bytes()) {
        Ok(Passcode::Digits(digits)) => digits,
        _ => panic!("{code} is not digits"),
    }
}

fn recovery_code(code: &str) -> RecoveryCode {
    match Passcode::parse(code.as_bytes()) {
        Ok(Passcode::Recovery(code)) => code,
        _ => panic!("{code} is no recovery code"),
    }
}

/// The step it is.
pub fn step() -> TimeStep {
    TimeStep::at(now(), Period::THIRTY)
}

#[allow(clippy::disallowed_methods, reason = "a test's edge")]
pub fn now() -> UnixTime {
    UnixTime::from(SystemTime::now())
}

/// Removes everything of a user.
pub fn remove(name: &str) {
    assert!(store().remove(&account(name)).unwrap());
}
