//! What each fuzz target does with bytes that anybody may have made. A panic is a finding.
//!
//! Those that read files keep a store of their own beneath `/run`, so they run as root.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use otp::enrollment::{Authenticator, Enrollment, Generation, Kind, RecoveryList};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{CodeId, Fate, StoredCode};
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::{Parsed, Policy};
use otp::secret::Secret;
use otp::state::{AuthenticatorState, RecoveryState, State};
use otp::store::{FileStore, NewEnrollment, Store};
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::uri;
use otp::user::{Account, UserName};
use otp::verify::{Attempt, Method, Record, Verdict, verify};
use sha2::{Digest, Sha256};

/// The secret of RFC 6238 appendix B, in base32.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const NOW: u64 = 1_800_000_015;
const STORED: &str = "48210937";
const RECOVERY: [&str; 2] = ["0123456789abcdef", "zyxwvtsrqpnmkjhg"];

/// The text of an otp.toml.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Parsed::parse(text) {
        Ok(parsed) => {
            assert!(parsed.policy.window <= 10);
            assert!(parsed.policy.state_dir.is_absolute());
            assert!(!parsed.settings().is_empty());
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            let lines = text.lines().count() + 1;
            assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
        }
    }
}

/// What somebody typed.
pub fn passcode(data: &[u8]) {
    let spaced: Vec<u8> = data.iter().flat_map(|byte| [*byte, b' ']).collect();
    match (Passcode::parse(data), Passcode::parse(&spaced)) {
        (Ok(Passcode::Digits(plain)), spaced) => {
            assert!((6..=10).contains(&plain.as_bytes().len()));
            assert!(plain.as_bytes().iter().all(u8::is_ascii_digit));
            // Two spellings of one code are one code; what is too long with its spaces is none.
            if let Ok(Passcode::Digits(spaced)) = spaced {
                assert_eq!(plain.as_bytes(), spaced.as_bytes());
            }
        }
        (Ok(Passcode::Recovery(_)), _) | (Err(_), Err(_)) => {}
        (Err(_), Ok(_)) => panic!("spaces make a code of what is none"),
    }
}

/// A user's name, the name of her file, and what is shown of her.
pub fn user(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(user) = UserName::from_file_name(text) {
        assert_eq!(user.file_name(), text);
    }
    let Ok(user) = UserName::parse(text) else {
        return;
    };
    let file = user.file_name();
    assert!(!file.is_empty() && file.len() <= 255 && !file.starts_with('.'));
    assert!(
        file.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    );
    assert_eq!(UserName::from_file_name(&file), Some(user));
    let mut authenticator = authenticator();
    authenticator.label = text.to_owned();
    let uri = uri::otpauth(
        &authenticator,
        &AuthenticatorState::fresh(authenticator.generation),
    );
    assert!(uri.starts_with("otpauth://totp/"));
    assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()));
}

/// A file of authenticators and recovery codes.
pub fn secrets(data: &[u8]) {
    let house = House::new();
    house.write("lib/secrets/alice", data);
    house.log_in();
}

/// The payload of a user's state.
pub fn state(data: &[u8]) {
    let house = House::new();
    house.write("lib/state/alice", &record(b"pamotpST", data));
    house.log_in();
}

/// The payload of a stored code.
pub fn stored(data: &[u8]) {
    let house = House::new();
    let id = data.get(4..8).unwrap_or(&[0; 4]);
    // The number in the record is little-endian, the name its hexadecimal digits.
    let id: String = id.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    house.write(&format!("spool/alice/{id}"), &record(b"pamotpSC", data));
    house.log_in();
}

/// A whole two-slot record with this payload (FILEFORMAT.md).
fn record(magic: &[u8; 8], payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..4040).unwrap_or(payload);
    let mut slot = magic.to_vec();
    slot.extend(1_u32.to_le_bytes());
    slot.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    slot.extend(1_u64.to_le_bytes());
    let checksum = Sha256::new().chain_update(&slot).chain_update(payload);
    slot.extend(checksum.finalize());
    slot.extend(payload);
    slot.resize(8192, 0);
    slot.extend(1_u64.to_le_bytes());
    slot.resize(12_288, 0);
    slot
}

/// A store in which alice is enrolled, as the RFC has her secret.
struct House {
    dir: PathBuf,
    policy: Policy,
}

impl House {
    fn new() -> Self {
        let dir = PathBuf::from(format!("/run/otp-fuzz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let policy = Policy {
            state_dir: dir.join("lib"),
            spool_dir: dir.join("spool"),
            run_dir: dir.join("run"),
            ..Policy::default()
        };
        let new = NewEnrollment::of(authenticator());
        let store = FileStore::open_or_create(&policy).unwrap();
        let _ = store.enroll(&alice(), new).unwrap();
        store.digest_key(key).unwrap();
        fs::create_dir(dir.join("spool/alice")).unwrap();
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(dir.join("spool/alice"), private).unwrap();
        Self { dir, policy }
    }

    fn write(&self, file: &str, content: &[u8]) {
        let path = self.dir.join(file);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Whatever stands in the files: no code is good twice, and what is shown can be shown.
    fn log_in(&self) {
        let Ok(store) = FileStore::open(&self.policy) else {
            return;
        };
        if let Ok(record) = store.read(&alice()) {
            let _ = record.can_answer(UnixTime::from_secs(NOW));
        }
        for typed in [&*code(0), STORED, RECOVERY[0], "000000"] {
            let passcode = Passcode::parse(typed.as_bytes()).unwrap();
            let mut accepted = 0;
            for _ in 0..2 {
                let answer = store.update(&alice(), |record| {
                    let outcome = verify(record, &attempt(&passcode, NOW), &self.policy);
                    (outcome.verdict, outcome.changes)
                });
                accepted += usize::from(matches!(answer, Ok(Verdict::Accepted(_))));
            }
            assert!(accepted <= 1, "{typed} twice");
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn alice() -> Account {
    Account {
        name: UserName::parse("alice").unwrap(),
        uid: Some(1000),
    }
}

fn key() -> DigestKey {
    DigestKey::from_bytes([42; 32].into())
}

fn authenticator() -> Authenticator {
    Authenticator {
        name: "phone".to_owned(),
        generation: Generation::from_bits(7),
        kind: Kind::Totp {
            period: Period::THIRTY,
        },
        secret: Secret::from_base32(SECRET).unwrap(),
        algorithm: Algorithm::Sha1,
        length: CodeLength::SIX,
        issuer: "fuzz".to_owned(),
        label: "alice".to_owned(),
        enrolled_at: UnixTime::from_secs(0),
    }
}

fn attempt(passcode: &Passcode, now: u64) -> Attempt<'_> {
    Attempt {
        passcode,
        origin: Origin::Local(0),
        now: UnixTime::from_secs(now),
    }
}

fn code(offset: i64) -> String {
    code_at(NOW, offset)
}

fn code_at(now: u64, offset: i64) -> String {
    let step = TimeStep::at(UnixTime::from_secs(now), Period::THIRTY);
    let step = step.offset(offset).unwrap();
    let a = authenticator();
    let code = totp::code(&a.secret, a.algorithm, a.length, step);
    code.expose().to_owned()
}

/// Logins, one three bytes long, against a model that forgets nothing: what was accepted is never accepted again, what is
/// accepted was right and in its window, and whoever is fresh and whose clock never went back is let in.
pub fn logins(data: &[u8]) {
    let mut model = Model::new();
    for op in data.chunks_exact(3).take(400) {
        model.step(op[0], i64::from(i16::from_le_bytes([op[1], op[2]])));
    }
}

struct Model {
    record: Record,
    policy: Policy,
    now: u64,
    /// The clock only ever went forward, and nobody has failed.
    plain: bool,
    steps: BTreeSet<u64>,
    spent: BTreeSet<&'static str>,
}

impl Model {
    fn new() -> Self {
        let user = alice().name;
        let list = Generation::from_bits(8);
        let digest = |code: &str| match Passcode::parse(code.as_bytes()) {
            Ok(Passcode::Recovery(code)) => key().recovery(&alice().name, list, &code),
            _ => panic!("{code}"),
        };
        let id = CodeId::from_bytes([1, 2, 3, 4]);
        let Ok(Passcode::Digits(digits)) = Passcode::parse(STORED.as_bytes()) else {
            panic!("{STORED}");
        };
        let state = State {
            authenticators: vec![AuthenticatorState::fresh(Generation::from_bits(7))],
            recovery: vec![RecoveryState {
                generation: list,
                used: 0,
            }],
            ..State::default()
        };
        let mut record = Record::none(user.clone());
        record.enrollment = Some(Enrollment {
            authenticators: vec![authenticator()],
            recovery: Some(RecoveryList {
                digits: None,
                generation: list,
                digests: RECOVERY.map(digest).into(),
            }),
        });
        record.state = state;
        record.issued = vec![StoredCode {
            id,
            length: 8,
            digest: key().stored(&user, id, &digits),
            issued_at: UnixTime::from_secs(NOW),
            expires_at: UnixTime::from_secs(NOW + 3600),
            fate: Fate::Live,
            sends: 0,
            reason: String::new(),
            attempts: Vec::new(),
        }];
        record.key = Some(key());
        Self {
            record,
            // The model knows clocks that are right.
            policy: Policy {
                max_drift: 0,
                ..Policy::default()
            },
            now: NOW,
            plain: true,
            steps: BTreeSet::new(),
            spent: BTreeSet::new(),
        }
    }

    fn step(&mut self, what: u8, by: i64) {
        match what % 6 {
            0 => self.pass(by),
            1 => self.pass(by * 3600),
            2 => self.totp(by.rem_euclid(7) - 3),
            3 => self.known(STORED, Method::Issued),
            4 => self.known(RECOVERY[usize::from(by % 2 == 0)], Method::Recovery),
            _ => self.wrong(by),
        }
    }

    fn pass(&mut self, secs: i64) {
        self.plain &= secs >= 0;
        // Enough of a past and a future for every offset.
        self.now = self.now.saturating_add_signed(secs).clamp(1_000, 1 << 40);
    }

    fn answer(&mut self, typed: &str) -> Verdict {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let outcome = verify(&self.record, &attempt(&passcode, self.now), &self.policy);
        for changed in outcome.changes.issued {
            self.record.issued = vec![changed];
        }
        if let Some(state) = outcome.changes.state {
            self.record.state = state;
        }
        outcome.verdict
    }

    fn totp(&mut self, offset: i64) {
        let step = TimeStep::at(UnixTime::from_secs(self.now), Period::THIRTY);
        let Some(step) = step.offset(offset) else {
            return;
        };
        let typed = code_at(self.now, offset);
        // Two steps of a window may share their digits.
        let near = (-3..=3).filter(|other| code_at(self.now, *other) == typed);
        let alone = near.count() == 1;
        let fresh = self.steps.last().is_none_or(|last| *last < step.number());
        match self.answer(&typed) {
            Verdict::Accepted(acceptance) => {
                assert_eq!(acceptance.method, Method::Totp);
                if alone {
                    assert_eq!(acceptance.offset, Some(offset));
                    assert!(offset.abs() <= 1, "{offset} steps away");
                    assert!(self.steps.insert(step.number()), "accepted twice");
                } else {
                    self.plain = false;
                    self.steps.insert(step.number());
                }
            }
            Verdict::Refused(reason) => {
                let should = self.plain && alone && fresh && offset.abs() <= 1;
                assert!(!should, "a fresh code is refused: {reason:?}");
                self.plain &= offset.abs() <= 1;
            }
        }
    }

    fn known(&mut self, typed: &'static str, method: Method) {
        match self.answer(typed) {
            Verdict::Accepted(acceptance) => {
                assert_eq!(acceptance.method, method);
                assert!(self.spent.insert(typed), "accepted twice");
                assert!(method != Method::Issued || self.now < NOW + 3600, "expired");
            }
            Verdict::Refused(reason) => {
                let spent = self.spent.contains(typed);
                assert!(spent || method == Method::Issued, "{reason:?}");
                assert!(spent || !self.plain || self.now >= NOW + 3600, "{reason:?}");
            }
        }
    }

    fn wrong(&mut self, by: i64) {
        let typed = format!("{:06}", by.rem_euclid(1_000_000));
        let right = (-1..=1).any(|offset| code_at(self.now, offset) == typed);
        self.plain = false;
        if !right {
            assert!(
                matches!(self.answer(&typed), Verdict::Refused(_)),
                "{typed}"
            );
        }
    }
}
