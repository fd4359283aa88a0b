//! The file store on a real file system: what it makes, what it keeps through, and what it refuses to touch.
//! Runs as root of a small world of its own (tests/as-root).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use otp::enrollment::{Authenticator, Generation, Kind, RecoveryList};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{CodeId, Fate, StoredCode};
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::{OnReadOnly, Policy};
use otp::secret::Secret;
use otp::state::AuthenticatorState;
use otp::store::{
    Enrolled, Error, FileStore, Issue, NewEnrollment, Place, Store, TakenAway, load_policy,
};
use otp::throttle::OriginRecord;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::{Account, UserName};
use otp::verify::{Attempt, Changes, Reason, Record, Verdict, verify};
use zeroize::Zeroizing;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_015);
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A store in a directory of its own.
struct House {
    dir: tempfile::TempDir,
    policy: Policy,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::Builder::new().tempdir_in("/run").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let policy = Policy {
            state_dir: dir.path().join("lib/pam_otp"),
            spool_dir: dir.path().join("spool/pam_otp"),
            run_dir: dir.path().join("run/pam_otp"),
            ..Policy::default()
        };
        FileStore::open_or_create(&policy).unwrap();
        Self { dir, policy }
    }

    fn store(&self) -> FileStore {
        FileStore::open(&self.policy).unwrap()
    }

    fn state(&self, file: &str) -> PathBuf {
        self.policy.state_dir.join(file)
    }

    fn enroll(&self, user: &str) {
        assert_eq!(self.enroll_again(user), Enrolled::New);
    }

    fn enroll_again(&self, user: &str) -> Enrolled {
        let new = new_enrollment(1, false);
        self.store().enroll(&account(user), new).unwrap()
    }

    fn issue(&self, user: &str, code: &str) -> CodeId {
        let codes = vec![self.stored(user, code)];
        let id = codes[0].id;
        assert_eq!(
            self.store().issue(&account(user), codes, NOW).unwrap(),
            Issue::Kept
        );
        id
    }

    fn stored(&self, user: &str, code: &str) -> StoredCode {
        let id = CodeId::from_bytes(code.as_bytes()[..4].try_into().unwrap());
        let Ok(Passcode::Digits(digits)) = Passcode::parse(code.as_bytes()) else {
            panic!("stored codes are digits");
        };
        let key = self.store().digest_key(key).unwrap();
        StoredCode {
            reason: "lost phone".to_owned(),
            ..StoredCode::fresh(
                id,
                u8::try_from(code.len()).unwrap(),
                key.stored(&account(user).name, id, &digits),
                NOW,
                Duration::from_secs(600),
            )
        }
    }

    fn answer(&self, user: &str, typed: &str) -> Result<Verdict, Error> {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        self.store().update(&account(user), |record| {
            let attempt = Attempt {
                passcode: &passcode,
                origin: Origin::Local(0),
                now: NOW,
            };
            let outcome = verify(record, &attempt, &self.policy);
            (outcome.verdict, outcome.changes)
        })
    }

    fn accepts(&self, user: &str, typed: &str) -> bool {
        matches!(self.answer(user, typed), Ok(Verdict::Accepted(_)))
    }

    /// What stops a login of `user`.
    fn trouble(&self, user: &str) -> String {
        let opened = FileStore::open(&self.policy).map(|_| ());
        match opened.and_then(|()| self.answer(user, &code(0)).map(|_| ())) {
            Ok(()) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

fn key() -> DigestKey {
    DigestKey::from_bytes(Zeroizing::new([7; 32]))
}

fn account(user: &str) -> Account {
    Account {
        name: UserName::parse(user).unwrap(),
        uid: Some(1000),
    }
}

fn new_enrollment(generation: u64, replace: bool) -> NewEnrollment {
    let authenticator = Authenticator {
        name: "phone".to_owned(),
        generation: Generation::from_bits(generation),
        kind: Kind::Totp {
            period: Period::THIRTY,
        },
        secret: Secret::from_base32(SECRET).unwrap(),
        algorithm: Algorithm::Sha1,
        length: CodeLength::SIX,
        issuer: "host".to_owned(),
        label: "alice".to_owned(),
        enrolled_at: NOW,
    };
    let mut new = NewEnrollment::of(authenticator);
    if replace {
        new.place = Place::InsteadOf(None);
    }
    new
}

fn code(offset: i64) -> String {
    let step = TimeStep::at(NOW, Period::THIRTY).offset(offset).unwrap();
    let secret = Secret::from_base32(SECRET).unwrap();
    let code = totp::code(&secret, Algorithm::Sha1, CodeLength::SIX, step);
    code.expose().to_owned()
}

fn everything_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let below = if path.is_dir() {
                everything_below(&path)
            } else {
                Vec::new()
            };
            below.into_iter().chain([path])
        })
        .collect()
}

#[test]
fn everything_made_is_roots_alone() {
    let house = House::new();
    house.enroll("alice");
    house.issue("CORP\\bob smith", "48210937");
    for path in everything_below(&house.dir.path().join("lib/pam_otp"))
        .into_iter()
        .chain(everything_below(&house.dir.path().join("spool/pam_otp")))
    {
        let found = fs::symlink_metadata(&path).unwrap();
        let mode = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, mode), "{path:?}");
    }
    assert!(house.state("state/CORP%5Cbob%20smith").exists());
}

#[test]
fn a_code_is_accepted_once_and_stays_used_for_the_next_process() {
    let house = House::new();
    house.enroll("alice");
    assert!(house.accepts("alice", &code(0)));
    assert!(!house.accepts("alice", &code(0)));
    assert!(house.accepts("alice", &code(1)));
    assert!(!house.accepts("bob", &code(0)));
}

#[test]
fn enrolling_twice_changes_nothing_unless_it_is_to_replace() {
    let house = House::new();
    house.enroll("alice");
    let before = fs::read(house.state("secrets/alice")).unwrap();
    assert_eq!(house.enroll_again("alice"), Enrolled::Already);
    assert_eq!(fs::read(house.state("secrets/alice")).unwrap(), before);
    let replaced = house
        .store()
        .enroll(&account("alice"), new_enrollment(2, true));
    assert_eq!(replaced.unwrap(), Enrolled::Replaced);
    assert_ne!(fs::read(house.state("secrets/alice")).unwrap(), before);
    let record = house.store().read(&account("alice")).unwrap();
    assert_eq!(record.state.authenticators.len(), 1);
}

#[test]
fn the_confirming_code_is_used() {
    let house = House::new();
    let step = TimeStep::at(NOW, Period::THIRTY);
    let mut new = new_enrollment(1, false);
    new.authenticators[0].1.used.mark(step, step);
    let enrolled = house.store().enroll(&account("alice"), new).unwrap();
    assert_eq!(enrolled, Enrolled::New);
    assert!(!house.accepts("alice", &code(0)));
    assert!(house.accepts("alice", &code(1)));
}

#[test]
fn recovery_codes_survive_a_new_secret_and_a_new_list_ends_the_old() {
    let house = House::new();
    house.enroll("alice");
    house.store().digest_key(key).unwrap();
    let typed = ["7kq2-m4tx-9bnc-2xwd", "0000-1111-2222-3333"];
    let list = |generation, code: &str| {
        let Ok(Passcode::Recovery(code)) = Passcode::parse(code.as_bytes()) else {
            panic!("no recovery code");
        };
        let generation = Generation::from_bits(generation);
        RecoveryList {
            generation,
            digits: None,
            digests: vec![key().recovery(&account("alice").name, generation, &code)],
        }
    };
    let store = house.store();
    let replace = |list| store.replace_recovery(&account("alice"), list).unwrap();
    assert!(replace(list(5, typed[0])));
    let replaced = store.enroll(&account("alice"), new_enrollment(2, true));
    assert_eq!(replaced.unwrap(), Enrolled::Replaced);
    assert!(house.accepts("alice", typed[0]));
    assert!(!house.accepts("alice", typed[0]));
    assert!(replace(list(6, typed[1])));
    assert!(!house.accepts("alice", typed[0]));
    assert!(house.accepts("alice", typed[1]));
    assert!(
        !store
            .replace_recovery(&account("bob"), list(7, typed[0]))
            .unwrap()
    );
}

#[test]
fn a_stored_code_is_kept_accepted_once_revoked_and_swept() {
    let house = House::new();
    house.issue("guest", "48210937");
    assert!(house.accepts("guest", "48210937"));
    assert!(!house.accepts("guest", "48210937"));
    let live = house.issue("guest", "22220937");
    let store = house.store();
    let revoked = store.revoke(&account("guest"), NOW, |_| true).unwrap();
    assert_eq!(revoked, [live], "a used code is not among them");
    assert!(!house.accepts("guest", "22220937"));
    house.issue("guest", "33330937");
    let guest = UserName::parse("guest").unwrap();
    assert_eq!(store.sweep(&guest, NOW).unwrap(), 0);
    let later = NOW.plus(Duration::from_secs(600));
    assert_eq!(store.sweep(&guest, later).unwrap(), 1);
}

#[test]
fn at_most_twenty_live_codes_and_all_or_none() {
    let house = House::new();
    let codes = |from: u32, to: u32| {
        let stored = |n| house.stored("guest", &format!("{n:04}0000"));
        (from..to).map(stored).collect::<Vec<_>>()
    };
    let store = house.store();
    let issue = |codes| store.issue(&account("guest"), codes, NOW).unwrap();
    assert_eq!(issue(codes(0, 15)), Issue::Kept);
    assert_eq!(issue(codes(15, 21)), Issue::TooMany { live: 15 });
    assert_eq!(store.read(&account("guest")).unwrap().issued.len(), 15);
    assert_eq!(issue(codes(15, 20)), Issue::Kept);
    // A collision of names in the middle takes back what came before it.
    let mut clash = codes(30, 32);
    clash.push(house.stored("guest", "00000000"));
    let later = NOW.plus(Duration::from_secs(599));
    store
        .revoke(&account("guest"), NOW, |id| {
            id != house.stored("guest", "00000000").id
        })
        .unwrap();
    assert!(store.issue(&account("guest"), clash, later).is_err());
    assert_eq!(store.read(&account("guest")).unwrap().issued.len(), 1);
}

#[test]
fn removing_leaves_nothing_even_of_what_is_damaged() {
    let house = House::new();
    house.enroll("alice");
    let id = house.issue("alice", "48210937");
    fs::write(house.state("secrets/alice"), "no toml").unwrap();
    fs::write(house.state("state/alice"), "no record").unwrap();
    let spooled = house.policy.spool_dir.join("alice").join(id.to_string());
    fs::write(spooled, "no record").unwrap();
    let half_made = house.policy.spool_dir.join("alice/.new-3f9c02d1.4711.0");
    fs::write(half_made, "what a crash left").unwrap();
    assert!(house.answer("alice", &code(0)).is_err());
    let store = house.store();
    assert_eq!(store.users().unwrap(), [account("alice").name]);
    assert!(store.remove(&account("alice")).unwrap());
    assert!(!store.remove(&account("alice")).unwrap());
    assert_eq!(store.users().unwrap(), []);
    house.enroll("alice");
    assert!(house.accepts("alice", &code(0)));
}

#[test]
fn a_damaged_code_denies_its_owner_until_it_is_revoked_and_nobody_else() {
    let house = House::new();
    house.enroll("alice");
    house.enroll("bob");
    let id = house.issue("alice", "48210937");
    let spooled = house.policy.spool_dir.join("alice").join(id.to_string());
    fs::write(spooled, vec![0; 12_288]).unwrap();
    assert!(
        house
            .trouble("alice")
            .contains("neither of its two slots is whole")
    );
    assert!(house.accepts("bob", &code(0)));
    let store = house.store();
    assert_eq!(
        store.revoke(&account("alice"), NOW, |_| true).unwrap(),
        [id]
    );
    assert!(house.accepts("alice", &code(0)));
}

#[test]
fn a_name_that_changed_its_uid_inherits_nothing() {
    let house = House::new();
    house.enroll("alice");
    let other = Account {
        uid: Some(1001),
        ..account("alice")
    };
    let error = house.store().read(&other).err().unwrap();
    assert!(matches!(
        error,
        Error::OtherUid {
            recorded: 1000,
            actual: 1001,
            ..
        }
    ));
    let error = house.store().enroll(&other, new_enrollment(2, true)).err();
    assert!(matches!(error, Some(Error::OtherUid { .. })));
}

#[test]
fn a_secret_restored_from_a_backup_is_refused_by_name() {
    let house = House::new();
    house.enroll("alice");
    let backup = fs::read(house.state("secrets/alice")).unwrap();
    let replaced = house
        .store()
        .enroll(&account("alice"), new_enrollment(2, true));
    assert_eq!(replaced.unwrap(), Enrolled::Replaced);
    fs::write(house.state("secrets/alice"), backup).unwrap();
    assert!(house.trouble("alice").contains("restored from a backup"));
    fs::remove_file(house.state("state/alice")).unwrap();
    assert!(house.trouble("alice").contains("it is missing, though"));
}

#[test]
fn a_wiped_or_unmounted_store_is_an_error_and_no_free_pass() {
    for gone in ["", "STORE", "secrets", "state"] {
        let house = House::new();
        house.enroll("alice");
        let path = house.state(gone);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        assert!(house.trouble("nobody").contains("is not there"), "{gone}");
    }
    for gone in ["", ".store"] {
        let house = House::new();
        let path = house.policy.spool_dir.join(gone);
        if gone.is_empty() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        assert!(house.trouble("nobody").contains("is not there"), "{gone}");
    }
}

#[test]
fn a_lost_secret_is_an_error_and_no_free_pass() {
    let house = House::new();
    house.enroll("alice");
    fs::remove_file(house.state("secrets/alice")).unwrap();
    let trouble = house.trouble("alice");
    assert!(
        trouble.contains("secrets/alice: it is missing"),
        "{trouble}"
    );
    assert!(house.store().remove(&account("alice")).unwrap());
    assert_eq!(house.trouble("alice"), "nothing");
    house.enroll("alice");
    assert!(house.accepts("alice", &code(0)));
}

/// Enrols alice, and puts her state back to the first write of the enrolment: what a kill before the last one leaves.
fn enrolled_and_killed() -> House {
    let house = House::new();
    house.issue("alice", "48210937");
    let before = fs::read(house.state("state/alice")).unwrap();
    house.enroll("alice");
    let mut state = fs::read(house.state("state/alice")).unwrap();
    state[..4096].copy_from_slice(&before[..4096]);
    fs::write(house.state("state/alice"), &state).unwrap();
    house
}

#[test]
fn a_login_notes_the_enrolment_that_a_crash_left_unnoted() {
    let house = enrolled_and_killed();
    assert!(house.accepts("alice", &code(0)));
    fs::remove_file(house.state("secrets/alice")).unwrap();
    assert!(house.trouble("alice").contains("it is missing"));
}

#[test]
fn a_first_enrolment_that_a_crash_cut_short_leaves_the_user_unenrolled() {
    let house = enrolled_and_killed();
    fs::remove_file(house.state("secrets/alice")).unwrap();
    assert_eq!(house.trouble("alice"), "nothing");
    house.enroll("alice");
    assert!(house.accepts("alice", &code(0)));
}

#[test]
fn a_lost_key_is_an_error_for_those_who_need_it() {
    let house = House::new();
    house.issue("guest", "48210937");
    house.enroll("alice");
    fs::remove_file(house.state("key")).unwrap();
    assert!(
        house
            .trouble("guest")
            .contains("without it no stored or recovery code")
    );
    assert!(house.accepts("alice", &code(0)));
}

/// Every kind of thing that an attacker or an accident could put in a record's place.
type Hostile<'a> = (&'static str, Box<dyn Fn() + 'a>);

fn hostile(path: &Path) -> Vec<Hostile<'_>> {
    let elsewhere = path.with_file_name("elsewhere");
    let content = fs::read(path).unwrap();
    fs::write(&elsewhere, &content).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    let made = elsewhere.clone();
    vec![
        (
            "it is a symbolic link",
            Box::new(move || symlink(&made, path).unwrap()),
        ),
        (
            "hard link",
            Box::new(move || fs::hard_link(&elsewhere, path).unwrap()),
        ),
        (
            "it is not a regular file",
            Box::new(move || fs::create_dir(path).unwrap()),
        ),
        (
            "it is not a regular file",
            Box::new(move || {
                nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            }),
        ),
        (
            "not a regular file",
            Box::new(move || {
                drop(std::os::unix::net::UnixListener::bind(path).unwrap());
            }),
        ),
        (
            "it is larger than|too short|neither of its two slots",
            Box::new(move || {
                let file = fs::File::create(path).unwrap();
                file.set_permissions(fs::Permissions::from_mode(0o600))
                    .unwrap();
                file.set_len(1 << 30).unwrap();
            }),
        ),
    ]
}

#[test]
fn hostile_files_are_refused_by_name_at_once() {
    let house = House::new();
    house.enroll("alice");
    let id = house.issue("alice", "48210937");
    let spooled = house.policy.spool_dir.join("alice").join(id.to_string());
    for path in [
        house.state("secrets/alice"),
        house.state("state/alice"),
        house.state("key"),
        house.state("STORE"),
        house.policy.spool_dir.join(".store"),
        spooled,
    ] {
        let content = fs::read(&path).unwrap();
        for (why, place) in hostile(&path) {
            fs::remove_file(&path).unwrap();
            place();
            let started = Instant::now();
            let trouble = house.trouble("alice");
            let is_marker = path.ends_with("STORE") || path.ends_with(".store");
            let expected = why.split('|').any(|why| trouble.contains(why));
            assert!(
                expected || (is_marker && trouble == "nothing"),
                "{path:?}, {why}: {trouble}"
            );
            assert!(
                trouble.contains(path.to_str().unwrap()) || is_marker,
                "{trouble}"
            );
            assert!(
                started.elapsed() < Duration::from_secs(1),
                "{path:?}, {why}"
            );
            if path.is_dir() {
                fs::remove_dir(&path).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::remove_file(path.with_file_name("elsewhere")).unwrap();
    }
    // A marker that is merely too long was let pass once, with the code that asked.
    assert!(house.accepts("alice", &code(1)));
}

#[test]
fn what_others_own_or_may_touch_is_refused_by_name() {
    let house = House::new();
    house.enroll("alice");
    for (path, mode) in [
        (house.state("secrets/alice"), 0o640),
        (house.state("state/alice"), 0o602),
        (house.state("secrets"), 0o750),
        (house.state(""), 0o701),
        (house.policy.spool_dir.clone(), 0o770),
        (house.dir.path().join("lib"), 0o775),
        (house.dir.path().to_path_buf(), 0o1777),
    ] {
        let good = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let trouble = house.trouble("alice");
        assert!(trouble.contains("is not safe: its mode is"), "{trouble}");
        assert!(trouble.contains(&format!("{mode:04o}")), "{trouble}");
        fs::set_permissions(&path, good).unwrap();
        assert_eq!(house.trouble("alice"), "nothing");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_refused_by_name() {
    if chown("/run", Some(0), Some(1)).is_err() {
        // In a user namespace of one uid there is nobody else to own anything; as root this runs.
        assert!(
            fs::read_to_string("/proc/self/uid_map")
                .unwrap()
                .trim()
                .ends_with(" 1")
        );
        return;
    }
    let house = House::new();
    house.enroll("alice");
    for path in [
        house.state("secrets/alice"),
        house.state("state"),
        house.dir.path().into(),
    ] {
        chown(&path, Some(1000), None).unwrap();
        assert!(
            house
                .trouble("alice")
                .contains("it belongs to uid 1000, not to root")
        );
        chown(&path, Some(0), None).unwrap();
    }
}

#[test]
fn a_store_is_never_made_below_what_others_may_write() {
    let dir = tempfile::Builder::new().tempdir_in("/run").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let policy = Policy {
        state_dir: dir.path().join("state"),
        spool_dir: dir.path().join("spool"),
        ..Policy::default()
    };
    let error = FileStore::open_or_create(&policy).err().unwrap();
    assert!(matches!(error, Error::Insecure { .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_policy_others_may_write_is_refused() {
    let dir = tempfile::Builder::new().tempdir_in("/run").unwrap();
    let path = dir.path().join("otp.toml");
    fs::write(&path, "window = 2\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(load_policy(Some(&path)).unwrap().policy.window, 2);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let error = load_policy(Some(&path)).err().unwrap().to_string();
    assert!(error.contains("its mode is 0664"), "{error}");
    let error = load_policy(Some(&dir.path().join("none"))).err().unwrap();
    assert!(error.to_string().contains("is not there"), "{error}");
}

#[test]
fn every_fault_of_a_policy_is_told_with_its_file_and_line() {
    let dir = tempfile::Builder::new().tempdir_in("/run").unwrap();
    let path = dir.path().join("otp.toml");
    let load = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        load_policy(Some(&path)).map(|parsed| parsed.policy.window)
    };
    let why = |content: &[u8]| {
        let why = load(content).err().unwrap().to_string();
        let rest = why.strip_prefix(path.to_str().unwrap());
        rest.unwrap().to_owned()
    };
    assert_eq!(
        why(b"free = 1\nwindow = 11\n"),
        " line 1: unknown key \"free\": did you mean throttle.free?; line 2: window takes a number of steps from 0 to 10"
    );
    assert_eq!(
        why(b"window = 1\n# \xff\nwindow = 2\n"),
        " line 2: it is not UTF-8"
    );
    let long = |length: usize| [&b"window = 3\n#"[..], &vec![b'#'; length - 12]].concat();
    assert_eq!(load(&long(64 * 1024)).unwrap(), 3);
    let too_long = load(&long(64 * 1024 + 1)).err().unwrap().to_string();
    assert!(too_long.contains("larger than 65536 bytes"), "{too_long}");
    let relative = load_policy(Some(Path::new("otp.toml"))).err().unwrap();
    assert!(relative.to_string().contains("its absolute path"));
    let nowhere = load_policy(Some(&dir.path().join("no/otp.toml")));
    assert!(nowhere.err().unwrap().to_string().contains("is not there"));
}

/// Something mounted in this world until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn over(path: &Path, options: &[&str]) -> Self {
        let mut mount = Command::new("mount");
        mount.args(options).arg(path);
        assert!(mount.status().unwrap().success());
        Self(path.to_path_buf())
    }

    /// Both trees of a house, read-only.
    fn read_only(house: &House) -> Self {
        let dir = house.dir.path();
        let mounted = Self::over(dir, &["--bind", dir.to_str().unwrap()]);
        std::mem::forget(Self::over(dir, &["-o", "remount,ro,bind"]));
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let umount = Command::new("umount").arg(&self.0).status();
        assert!(umount.unwrap().success());
    }
}

/// A house whose store may stand in memory where it cannot be written, and what is kept there.
fn house_with_memory() -> (House, tempfile::TempDir) {
    let run = tempfile::Builder::new().tempdir_in("/run").unwrap();
    let mut house = House::new();
    house.policy.run_dir = run.path().join("pam_otp");
    house.policy.on_read_only = OnReadOnly::Totp;
    house.enroll("alice");
    house.issue("alice", "48210937");
    // Booted long ago, whatever this machine was.
    FileStore::open(&house.policy).unwrap();
    let born = fs::File::open(house.policy.run_dir.join("born")).unwrap();
    born.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1))
        .unwrap();
    (house, run)
}

#[test]
fn a_store_that_cannot_be_written_denies_unless_it_may_stand_in_memory() {
    let (mut house, _run) = house_with_memory();
    let read_only = Mounted::read_only(&house);
    assert!(house.accepts("alice", &code(0)));
    assert!(!house.accepts("alice", &code(0)), "kept in memory");
    let refused = Verdict::Refused(Reason::ReadOnly);
    assert_eq!(house.answer("alice", "48210937").unwrap(), refused);
    house.policy.on_read_only = OnReadOnly::Deny;
    let trouble = house.answer("alice", &code(1)).err().unwrap().to_string();
    assert!(trouble.contains("Read-only file system"), "{trouble}");
    drop(read_only);
    assert!(!house.accepts("alice", &code(0)), "every mode reads memory");
    assert!(house.accepts("alice", &code(1)));
}

#[test]
fn in_memory_is_kept_only_what_may_be_gone_after_the_next_boot() {
    let (house, _run) = house_with_memory();
    let _read_only = Mounted::read_only(&house);
    let keep = |until_boot: bool, spend: bool| {
        let kept = house.store().update(&account("alice"), |record| {
            let mut state = record.state.clone();
            state.throttle.failures = 7;
            let mut changes = Changes {
                state: Some(state),
                until_boot,
                ..Changes::default()
            };
            if spend {
                changes.issued = record.issued.clone();
                changes.issued[0].fate = Fate::Used;
            }
            ((), changes)
        });
        kept.map_err(|error| error.to_string())
    };
    for (until_boot, spend) in [(false, false), (true, true), (false, true)] {
        let why = keep(until_boot, spend).err().unwrap();
        assert!(why.contains("Read-only file system"), "{why}");
    }
    assert_eq!(keep(true, false), Ok(()));
    let state = house.store().read(&account("alice")).unwrap().state;
    assert_eq!(state.throttle.failures, 7);
}

#[test]
fn what_fails_otherwise_than_read_only_is_no_reason_to_stand_in_memory() {
    let (house, _run) = house_with_memory();
    let kept = house.store().update(&account("alice"), |record| {
        let mut state = record.state.clone();
        let stranger = |n| OriginRecord {
            origin: Origin::Local(n),
            failures: 1,
            held_until: None,
            trusted: false,
        };
        state.throttle.origins = (0..200).map(stranger).collect();
        let changes = Changes {
            state: Some(state),
            until_boot: true,
            ..Changes::default()
        };
        ((), changes)
    });
    let why = kept.err().unwrap().to_string();
    assert!(why.contains("there is too much to keep in it"), "{why}");
    assert!(house.accepts("alice", &code(0)));
}

#[test]
fn a_state_that_cannot_be_opened_for_writing_is_told_as_it_is() {
    let house = House::new();
    house.enroll("alice");
    let state = house.state("state/alice");
    fs::copy("/bin/sleep", &state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    // A program that runs may be read and not written, and that is another error than a read-only disk's.
    let mut program = Command::new(&state).arg("60").spawn().unwrap();
    let trouble = house.trouble("alice");
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(trouble.contains("cannot open"), "{trouble}");
    assert!(trouble.contains("Text file busy"), "{trouble}");
}

#[test]
fn the_default_policy_may_be_absent_and_is_read_where_it_is_there() {
    let security = Path::new("/etc/security");
    let _mounted = Mounted::over(security, &["-t", "tmpfs", "-o", "mode=755", "tmpfs"]);
    assert_eq!(load_policy(None).unwrap().policy, Policy::default());
    let path = security.join("otp.toml");
    fs::write(&path, "window = 2\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(load_policy(None).unwrap().policy.window, 2);
}

#[test]
fn a_lock_that_is_held_is_waited_for_and_then_told() {
    let house = House::new();
    house.enroll("alice");
    house.enroll("bob");
    let file = fs::File::open(house.state("state/alice")).unwrap();
    let locked = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let started = Instant::now();
    assert!(house.trouble("alice").contains(&format!(
        "locked by process {} for 5 seconds",
        std::process::id()
    )));
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert!(started.elapsed() < Duration::from_secs(7));
    assert!(house.accepts("bob", &code(0)));
    drop(locked);
    assert!(house.accepts("alice", &code(0)));
}

#[test]
fn thirty_two_at_one_instant_one_is_accepted() {
    for round in 0..20 {
        let house = House::new();
        house.enroll("alice");
        house.issue("alice", "48210937");
        for typed in [code(0), "48210937".to_owned()] {
            let barrier = Barrier::new(32);
            let accepted = std::thread::scope(|scope| {
                let attempt = || {
                    barrier.wait();
                    house.accepts("alice", &typed)
                };
                let threads: Vec<_> = (0..32).map(|_| scope.spawn(attempt)).collect();
                let answers = threads.into_iter().map(|thread| thread.join().unwrap());
                answers.filter(|accepted| *accepted).count()
            });
            assert_eq!(accepted, 1, "round {round}");
        }
    }
}

#[test]
fn first_enrolments_at_one_instant_leave_one_whole() {
    for _ in 0..20 {
        let house = House::new();
        let barrier = Barrier::new(8);
        let new = std::thread::scope(|scope| {
            let (house, barrier) = (&house, &barrier);
            let enroll = |generation| {
                move || {
                    barrier.wait();
                    let new = new_enrollment(generation, false);
                    house.store().enroll(&account("alice"), new).unwrap()
                }
            };
            let threads: Vec<_> = (1..=8).map(|n| scope.spawn(enroll(n))).collect();
            let came = threads.into_iter().map(|thread| thread.join().unwrap());
            came.filter(|came| *came == Enrolled::New).count()
        });
        assert_eq!(new, 1);
        assert!(house.accepts("alice", &code(0)));
        let halves = |path: &PathBuf| path.to_str().unwrap().contains(".new-");
        let left = everything_below(house.dir.path());
        assert!(!left.iter().any(halves), "{left:?}");
    }
}

#[test]
fn a_user_removed_while_another_waits_for_her_lock_is_gone() {
    let house = House::new();
    house.enroll("alice");
    let file = fs::File::open(house.state("state/alice")).unwrap();
    let locked = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| house.answer("alice", &code(0)));
        std::thread::sleep(Duration::from_millis(50));
        fs::remove_file(house.state("secrets/alice")).unwrap();
        fs::remove_file(house.state("state/alice")).unwrap();
        drop(locked);
        assert!(matches!(waiting.join().unwrap(), Ok(Verdict::Refused(_))));
    });
    assert!(!house.state("state/alice").exists());
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let house = House::new();
    house.enroll("alice");
    let before = fs::read(house.state("state/alice")).unwrap();
    let store = house.store();
    store
        .update(&account("alice"), |_| ((), Changes::default()))
        .unwrap();
    store
        .update(&account("nobody"), |_| ((), Changes::default()))
        .unwrap();
    assert_eq!(fs::read(house.state("state/alice")).unwrap(), before);
    assert!(!house.state("state/nobody").exists());
}

/// Damages what is told of the record of nobody, and tells whether that is put back.
struct Nobody {
    path: PathBuf,
    made: Vec<u8>,
}

impl Nobody {
    fn of(house: &House) -> Self {
        let path = house.state("nobody.state");
        let made = fs::read(&path).unwrap();
        Self { path, made }
    }

    /// Whether `act` overwrites it, though this was written into it.
    fn is_overwritten_by(&self, at: usize, act: impl FnOnce()) -> bool {
        let mut meddled = self.made.clone();
        meddled[at] ^= 1;
        fs::write(&self.path, &meddled).unwrap();
        act();
        let found = fs::read(&self.path).unwrap();
        assert!(found == self.made || found == meddled);
        found == self.made
    }
}

#[test]
fn a_refusal_that_changes_nothing_overwrites_the_record_of_nobody_and_others_do_not() {
    let house = House::new();
    house.enroll("alice");
    let nobody = Nobody::of(&house);
    let store = house.store();
    let none = |user: &str| store.update(&account(user), |_| ((), Changes::default()));
    let (note, payload) = (8_192, 60);
    assert!(nobody.is_overwritten_by(note, || none("alice").unwrap()));
    assert!(nobody.is_overwritten_by(note, || none("nobody").unwrap()));
    assert!(nobody.is_overwritten_by(payload, || none("nobody").unwrap()));
    let accept = || assert!(house.accepts("alice", &code(0)));
    assert!(!nobody.is_overwritten_by(note, accept));
    let id = house.issue("alice", "48210937");
    let accept = || assert!(house.accepts("alice", "48210937"));
    assert!(!nobody.is_overwritten_by(note, accept));
    let spend = || {
        let spent = store.update(&account("alice"), |record| {
            let mut issued = record.issued.clone();
            issued[0].sends = 3;
            assert_eq!(issued[0].id, id);
            let changes = Changes {
                issued,
                ..Changes::default()
            };
            ((), changes)
        });
        spent.unwrap();
    };
    assert!(!nobody.is_overwritten_by(note, spend));
    assert_eq!(store.read(&account("alice")).unwrap().issued[0].sends, 3);
}

#[test]
fn an_answer_for_nobody_is_judged_once() {
    let house = House::new();
    house.store().digest_key(key).unwrap();
    let mut judged = Vec::new();
    let mut judge = |record: &Record| {
        judged.push((record.enrollment.is_some(), record.key.is_some()));
        ((), Changes::default())
    };
    // Of whom passwd knows nothing, against the record of nobody; else against her own, which is empty.
    house.store().update_nobody(b"nobody", &mut judge);
    let answer = house.store().update(&account("nobody"), &mut judge);
    assert!(answer.is_ok());
    assert_eq!(judged, [(true, true), (false, false)]);
}

#[test]
fn half_made_files_are_cleared_away_everywhere_once_they_are_old() {
    let (house, _run) = house_with_memory();
    let places = [
        house.state(""),
        house.state("secrets"),
        house.state("state"),
        house.policy.spool_dir.join("alice"),
        house.policy.run_dir.join("state"),
    ];
    let half_made = places.map(|place| place.join(".new-alice.4711.0"));
    for path in &half_made {
        fs::write(path, "").unwrap();
    }
    let made = fs::metadata(&half_made[0]).unwrap().ctime();
    let made = UnixTime::from_secs(made.try_into().unwrap());
    house.store().clear_half_made(made).unwrap();
    assert!(half_made.iter().all(|path| path.exists()));
    let later = made.plus(Duration::from_secs(3700));
    house.store().clear_half_made(later).unwrap();
    assert!(half_made.iter().all(|path| !path.exists()));
    assert!(house.accepts("alice", "48210937"));
}

#[test]
fn whatever_is_left_of_a_user_alone_is_missing_the_rest_and_can_be_removed() {
    for (left, trouble) in [
        (
            "secrets/alice",
            "though the user has a secret, a stored code or a contact",
        ),
        (
            "spool",
            "though the user has a secret, a stored code or a contact",
        ),
        ("state/alice", "though the user was enrolled"),
    ] {
        let house = House::new();
        house.enroll("alice");
        house.issue("alice", "48210937");
        for file in ["secrets/alice", "state/alice"] {
            if file != left {
                fs::remove_file(house.state(file)).unwrap();
            }
        }
        let spooled = house.policy.spool_dir.join("alice");
        if left != "spool" {
            fs::remove_dir_all(&spooled).unwrap();
        }
        let found = house.trouble("alice");
        assert!(found.contains(trouble), "{left}: {found}");
        let store = house.store();
        assert_eq!(store.sweep(&account("alice").name, NOW).unwrap_or(0), 0);
        assert!(store.remove(&account("alice")).unwrap(), "{left}");
        assert!(!house.state("secrets/alice").exists(), "{left}");
        assert!(!house.state("state/alice").exists(), "{left}");
        assert!(!spooled.exists(), "{left}");
        assert_eq!(house.trouble("alice"), "nothing");
    }
}

#[test]
fn a_removal_that_fails_half_way_leaves_nobody_whose_secret_was_lost() {
    let house = House::new();
    house.enroll("alice");
    house.issue("alice", "48210937");
    let in_the_way = house.policy.spool_dir.join("alice/directory");
    fs::create_dir(&in_the_way).unwrap();
    assert!(house.store().remove(&account("alice")).is_err());
    assert!(!house.state("secrets/alice").exists());
    assert_eq!(house.trouble("alice"), "nothing", "she is not enrolled");
    fs::remove_dir(&in_the_way).unwrap();
    assert!(house.store().remove(&account("alice")).unwrap());
}

#[test]
fn a_recovery_list_restored_from_a_backup_is_refused_by_name() {
    let house = House::new();
    house.enroll("alice");
    house.store().digest_key(key).unwrap();
    let replace = |generation| {
        let list = RecoveryList {
            generation: Generation::from_bits(generation),
            digits: None,
            digests: Vec::new(),
        };
        assert!(
            house
                .store()
                .replace_recovery(&account("alice"), list)
                .unwrap()
        );
    };
    replace(5);
    let backup = fs::read(house.state("secrets/alice")).unwrap();
    replace(6);
    fs::write(house.state("secrets/alice"), backup).unwrap();
    assert!(house.trouble("alice").contains("restored from a backup"));
}

#[test]
fn a_stored_code_that_was_copied_under_another_name_makes_no_sense() {
    let house = House::new();
    let id = house.issue("guest", "48210937");
    let spooled = house.policy.spool_dir.join("guest");
    let (here, there) = (spooled.join(id.to_string()), spooled.join("00000007"));
    fs::copy(here, &there).unwrap();
    let trouble = house.trouble("guest");
    assert!(
        trouble.contains("00000007: its content makes no sense"),
        "{trouble}"
    );
    fs::remove_file(there).unwrap();
    assert!(house.accepts("guest", "48210937"));
    // It is used, and its time is not over.
    let guest = account("guest").name;
    assert_eq!(house.store().sweep(&guest, NOW).unwrap(), 1);
    assert_eq!(house.store().sweep(&guest, NOW).unwrap(), 0);
}

#[test]
fn a_spool_of_more_than_a_thousand_names_is_none_of_ours() {
    let house = House::new();
    house.issue("guest", "48210937");
    let spooled = house.policy.spool_dir.join("guest");
    let fill = |from: u32, to: u32| {
        for n in from..to {
            fs::write(spooled.join(format!("litter {n}")), "").unwrap();
        }
    };
    fill(0, 999);
    assert_eq!(house.trouble("guest"), "nothing");
    for more in [999, 1000] {
        fill(more, more + 1);
        let trouble = house.trouble("guest");
        assert!(trouble.contains("more files in it than codes"), "{trouble}");
    }
}

#[test]
fn a_secret_enrolled_again_keeps_its_used_steps() {
    let house = House::new();
    house.enroll("alice");
    assert!(house.accepts("alice", &code(0)));
    let again = house
        .store()
        .enroll(&account("alice"), new_enrollment(2, true));
    assert_eq!(again.unwrap(), Enrolled::Replaced);
    assert!(!house.accepts("alice", &code(0)));
}

#[test]
fn what_run_has_of_a_record_that_is_gone_does_not_count() {
    let mut house = House::new();
    house.policy.on_read_only = OnReadOnly::Totp;
    house.enroll("alice");
    let kept = house.policy.run_dir.join("state/alice");
    for _ in 0..3 {
        assert!(!house.accepts("alice", &code(5)));
    }
    fs::copy(house.state("state/alice"), &kept).unwrap();
    for file in ["state/alice", "secrets/alice"] {
        fs::remove_file(house.state(file)).unwrap();
    }
    house.enroll("alice");
    let record = house.store().read(&account("alice")).unwrap();
    assert_eq!(record.state.throttle.failures, 0);
    assert!(house.store().remove(&account("alice")).unwrap());
    assert!(!kept.exists());
}

#[test]
fn removing_during_a_first_enrolment_leaves_all_or_nothing() {
    for _ in 0..100 {
        let house = House::new();
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                let new = new_enrollment(1, false);
                let _ = house.store().enroll(&account("alice"), new);
            });
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..20 {
                    let _ = house.store().remove(&account("alice"));
                }
            });
        });
        assert!(house.answer("alice", &code(0)).is_ok());
    }
}

fn another(name: &str, secret: &str, place: Place) -> NewEnrollment {
    let generation = name.bytes().map(u64::from).sum();
    let mut new = new_enrollment(generation, false);
    let (authenticator, started) = &mut new.authenticators[0];
    authenticator.name = name.to_owned();
    authenticator.secret = Secret::from_base32(secret).unwrap();
    *started = AuthenticatorState::fresh(authenticator.generation);
    new.place = place;
    new
}

const TABLET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const TOKEN: &str = "KRSXG5DTEBUW4IDBEB2G623FNYQGCYLB";
const FOURTH: &str = "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U";

#[test]
fn a_second_authenticator_leaves_the_first_as_it_was() {
    let house = House::new();
    house.enroll("alice");
    assert!(house.accepts("alice", &code(0)));
    let enroll = |new| house.store().enroll(&account("alice"), new).unwrap();
    let tablet = || another("tablet", TABLET, Place::Beside);
    assert_eq!(enroll(tablet()), Enrolled::Added);
    assert!(!house.accepts("alice", &code(0)), "it stays used");
    assert_eq!(enroll(tablet()), Enrolled::NameTaken);
    for secret in [SECRET, TABLET] {
        let twice = another("token", secret, Place::Beside);
        assert_eq!(enroll(twice), Enrolled::SecretTaken);
    }
    assert_eq!(
        enroll(another("token", TOKEN, Place::Beside)),
        Enrolled::Added
    );
    assert_eq!(
        enroll(another("fourth", FOURTH, Place::Beside)),
        Enrolled::TooMany
    );
    let of = |name: &str| Place::InsteadOf(Some(name.to_owned()));
    assert_eq!(
        enroll(another("clock", TOKEN, of("watch"))),
        Enrolled::NoSuch
    );
    assert_eq!(
        enroll(another("clock", TOKEN, Place::InsteadOf(None))),
        Enrolled::NoSuch
    );
    assert_eq!(
        enroll(another("clock", TOKEN, of("token"))),
        Enrolled::Replaced
    );
    let record = house.store().read(&account("alice")).unwrap();
    let known = record.enrollment.unwrap().authenticators;
    let names: Vec<_> = known.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["phone", "tablet", "clock"]);
    assert_eq!(record.state.authenticators.len(), 3);
    assert!(house.accepts("alice", &code(1)), "the phone works on");
}

#[test]
fn what_is_foreseen_of_an_enrolment_is_what_comes_of_it() {
    let places = || {
        let named = ["phone", "tablet", "watch"].map(|name| Place::InsteadOf(Some(name.into())));
        let others = [Place::First, Place::Beside, Place::InsteadOf(None)];
        named.into_iter().chain(others)
    };
    let devices = [("phone", SECRET), ("tablet", TABLET), ("token", TOKEN)];
    for count in 0..=devices.len() {
        for place in places() {
            for name in ["phone", "tablet", "clock"] {
                let house = House::new();
                for (name, secret) in devices.iter().take(count) {
                    let new = another(name, secret, Place::Beside);
                    let _ = house.store().enroll(&account("alice"), new).unwrap();
                }
                let before = house.store().read(&account("alice")).unwrap();
                let foreseen = place.foresee(before.enrollment.as_ref(), name);
                let new = another(name, FOURTH, place.clone());
                let came = house.store().enroll(&account("alice"), new).unwrap();
                assert_eq!(foreseen, came, "{name} {place:?} with {count}");
            }
        }
    }
}

#[test]
fn authenticators_go_one_by_one_and_never_the_last() {
    let house = House::new();
    house.enroll("alice");
    let store = house.store();
    let new = another("tablet", TABLET, Place::Beside);
    assert_eq!(
        store.enroll(&account("alice"), new).unwrap(),
        Enrolled::Added
    );
    let take = |name| store.remove_authenticator(&account("alice"), name).unwrap();
    assert_eq!(take("watch"), TakenAway::NoSuch);
    assert_eq!(take("phone"), TakenAway::Gone);
    assert!(!house.accepts("alice", &code(0)));
    assert_eq!(take("tablet"), TakenAway::Last);
    let nobody = store.remove_authenticator(&account("nobody"), "phone");
    assert_eq!(nobody.unwrap(), TakenAway::NoSuch);
}

#[test]
fn the_same_secret_with_another_period_is_not_locked_out_by_its_old_steps() {
    let house = House::new();
    house.enroll("alice");
    assert!(house.accepts("alice", &code(0)));
    let mut new = another("phone", SECRET, Place::InsteadOf(None));
    let minute = Period::from_secs(60).unwrap();
    new.authenticators[0].0.kind = Kind::Totp { period: minute };
    assert_eq!(
        house.store().enroll(&account("alice"), new).unwrap(),
        Enrolled::Replaced
    );
    let secret = Secret::from_base32(SECRET).unwrap();
    let step = TimeStep::at(NOW, minute);
    let shown = totp::code(&secret, Algorithm::Sha1, CodeLength::SIX, step);
    assert!(house.accepts("alice", shown.expose()));
}
