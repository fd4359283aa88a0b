//! Many users enrolled at once: each whole, each bound as if she had been enrolled alone. Runs as root of a small world of
//! its own (tests/as-root).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use otp::enrollment::{Authenticator, Generation, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::policy::Policy;
use otp::secret::Secret;
use otp::store::{Enrolled, Error, FileStore, NewEnrollment, Newcomer, Place, Store};
use otp::time::{Period, TimeStep, UnixTime};
use otp::user::{Account, UserName};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn house() -> (tempfile::TempDir, Policy) {
    let dir = tempfile::Builder::new().tempdir_in("/run").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let policy = Policy {
        state_dir: dir.path().join("lib"),
        spool_dir: dir.path().join("spool"),
        run_dir: dir.path().join("run"),
        ..Policy::default()
    };
    (dir, policy)
}

fn account(name: &str) -> Account {
    Account {
        name: UserName::parse(name).unwrap(),
        uid: Some(1000),
    }
}

fn newcomer(name: &str, generation: u64) -> Newcomer {
    let mut new = NewEnrollment::of(Authenticator {
        name: "app".to_owned(),
        generation: Generation::from_bits(generation),
        kind: Kind::Totp {
            period: Period::THIRTY,
        },
        secret: Secret::from_base32(SECRET).unwrap(),
        algorithm: Algorithm::Sha1,
        length: CodeLength::SIX,
        issuer: "here".to_owned(),
        label: name.to_owned(),
        enrolled_at: UnixTime::from_secs(1_800_000_000),
    });
    new.authenticators[0]
        .1
        .used
        .mark(TimeStep::new(60_000_000), TimeStep::new(60_000_001));
    Newcomer {
        account: account(name),
        new,
        disabled: false,
    }
}

fn files(policy: &Policy, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(policy.state_dir.join(dir)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn each_of_many_is_enrolled_with_what_she_has_used_and_nothing_half_made_stays() {
    let (_dir, policy) = house();
    let store = FileStore::open_or_create(&policy).unwrap();
    let count = FileStore::MANY * 2 + 3;
    let many = (0..count).map(|n| newcomer(&format!("user{n}"), n as u64));
    let came = store.enroll_many(many.collect()).unwrap();
    assert_eq!(came.len(), count);
    assert!(came.iter().all(|came| matches!(came, Ok(Enrolled::New))));
    for dir in ["secrets", "state"] {
        let names = files(&policy, dir);
        assert_eq!(names.len(), count, "{dir}");
        assert!(names.iter().all(|name| name.starts_with("user")));
    }
    for n in [0, 1, count - 1] {
        let record = store.read(&account(&format!("user{n}"))).unwrap();
        let enrollment = record.enrollment.unwrap();
        assert!(record.state.is_settled(&enrollment), "user{n}");
        let entry = record.state.authenticator(Generation::from_bits(n as u64));
        assert_eq!(entry.unwrap().used.runs(), [(60_000_000, 60_000_000)]);
    }
}

#[test]
fn whoever_is_there_is_left_as_she_is_or_replaced_and_the_others_go_on() {
    let (_dir, policy) = house();
    let store = FileStore::open_or_create(&policy).unwrap();
    let one = newcomer("alice", 1);
    assert_eq!(store.enroll(&one.account, one.new).unwrap(), Enrolled::New);
    fs::write(policy.state_dir.join("state/carol"), "torn").unwrap();
    let carol = policy.state_dir.join("state/carol");
    fs::set_permissions(carol, fs::Permissions::from_mode(0o600)).unwrap();
    let batch = ["alice", "bob", "carol", "dora"].map(|name| newcomer(name, 2));
    let came = store.enroll_many(batch.into()).unwrap();
    assert!(matches!(
        came.as_slice(),
        [
            Ok(Enrolled::Already),
            Ok(Enrolled::New),
            Err(Error::Damaged { .. }),
            Ok(Enrolled::New)
        ]
    ));
    let generation = |user: &str| {
        let record = store.read(&account(user)).unwrap();
        record.enrollment.unwrap().authenticators[0]
            .generation
            .bits()
    };
    assert_eq!(generation("alice"), 1);
    let mut again = newcomer("alice", 3);
    again.new.place = Place::InsteadOf(None);
    let came = store.enroll_many(vec![again]).unwrap();
    assert!(matches!(came.as_slice(), [Ok(Enrolled::Replaced)]));
    assert_eq!(generation("alice"), 3);
    let state = store.read(&account("alice")).unwrap().state;
    let used = &state.authenticators[0].used;
    assert_eq!(
        used.runs(),
        [(60_000_000, 60_000_000)],
        "nothing is forgotten"
    );
}

#[test]
fn who_comes_disabled_is_so_from_the_first_moment() {
    let (_dir, policy) = house();
    let store = FileStore::open_or_create(&policy).unwrap();
    let mut batch = vec![newcomer("alice", 1), newcomer("bob", 2)];
    batch[0].disabled = true;
    let _ = store.enroll_many(batch).unwrap();
    let disabled = |user: &str| store.read(&account(user)).unwrap().state.disabled;
    assert!(disabled("alice") && !disabled("bob"));
    let mut again = newcomer("bob", 3);
    again.new.place = Place::InsteadOf(None);
    again.disabled = true;
    let _ = store.enroll_many(vec![again]).unwrap();
    assert!(disabled("bob"));
}

#[test]
fn what_a_killed_batch_left_half_made_is_in_nobodys_way() {
    let (_dir, policy) = house();
    let store = FileStore::open_or_create(&policy).unwrap();
    // Named, but without its secret: killed between the two.
    let _ = store.enroll_many(vec![newcomer("alice", 1)]).unwrap();
    let secret = policy.state_dir.join("secrets/alice");
    let state = policy.state_dir.join("state/alice");
    let mut record = fs::read(&state).unwrap();
    record[4096..8192].fill(0);
    fs::write(&state, record).unwrap();
    fs::remove_file(secret).unwrap();
    assert!(store.read(&account("alice")).unwrap().enrollment.is_none());
    let came = store.enroll_many(vec![newcomer("alice", 2)]).unwrap();
    assert!(matches!(came.as_slice(), [Ok(Enrolled::New)]));
    let record = store.read(&account("alice")).unwrap();
    assert!(record.state.is_settled(&record.enrollment.unwrap()));
}
