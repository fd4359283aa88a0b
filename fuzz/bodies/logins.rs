//! Logins, one after the other, from many places, by a clock that goes where it likes: every verdict is the reference's, and
//! what must hold in the long run holds without it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use otp::enrollment::{Authenticator, Enrollment, Generation, Kind, RecoveryList};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{self, CodeId, StoredCode};
use otp::keyed::{Digest, DigestKey};
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::secret::Secret;
use otp::state::{AuthenticatorState, MAX_INTERVALS, RecoveryState, State};
use otp::time::{Period, UnixTime};
use otp::verify::{Attempt, Method, Reason, Record, Verdict, verify};

use super::NOW;
use super::format::{KEY, SECRET};
use super::house::alice;
use super::person::{Code, Fate, Person, Shows, Used, digest};
use super::waits::{BURST, DRIP, LOCK};

/// Two stored codes: one as long as nothing else, one as long as the time-based ones.
const ISSUED: [&str; 2] = ["48210937", "305918"];
const RECOVERY: [&str; 2] = ["0123456789abcdef", "zyxwvtsrqpnmkjhg"];
/// More than are remembered.
const PLACES: u8 = 20;

/// As many answers are enough to be locked out, let in and locked out again.
const ANSWERS: u32 = 600;

/// Each login is three bytes long: what and from where, and a number for it.
pub fn logins(data: &[u8]) {
    let mut model = Model::new();
    for op in data.chunks_exact(3).take(400) {
        if model.is_full() || model.answers > ANSWERS {
            return;
        }
        model.step(op[0], i64::from(i16::from_le_bytes([op[1], op[2]])));
    }
}

struct Model {
    record: Record,
    policy: Policy,
    person: Person,
    now: u64,
    answers: u32,
    /// Codes that were accepted: nothing here is ever taken out.
    spent: BTreeSet<String>,
    /// When time-based codes were guessed at since the clock last went back or somebody unlocked her.
    guesses: Vec<u64>,
    since_acceptance: u32,
    /// Wrong answers that were compared with each stored code, by place.
    tries: [[u32; PLACES as usize]; 2],
    /// They were seen expired.
    over: bool,
}

impl Model {
    fn new() -> Self {
        Self {
            record: record(),
            policy: Policy::default(),
            person: person(),
            now: NOW,
            answers: 0,
            spent: BTreeSet::new(),
            guesses: Vec::new(),
            since_acceptance: 0,
            tries: Default::default(),
            over: false,
        }
    }

    /// From then on used steps are merged, and steps between them die that nobody used.
    fn is_full(&self) -> bool {
        self.person.used[0].1.runs.len() >= MAX_INTERVALS
    }

    fn step(&mut self, what: u8, by: i64) {
        let place = what / 11 % PLACES;
        match what % 11 {
            0 => self.pass(by),
            1 => self.pass(by * 3600),
            2 | 3 => self.totp(place, by.rem_euclid(7) - 3),
            4 => self.answer(place, ISSUED[0]),
            5 => self.answer(place, ISSUED[1]),
            6 => self.answer(place, RECOVERY[usize::from(by % 2 == 0)]),
            7 => self.answer(place, &format!("{:06}", by.rem_euclid(1_000_000))),
            8 => self.answer(place, &format!("{:08}", by.rem_euclid(100_000_000))),
            9 => self.siege(by),
            _ if by < 0 => self.unlock(),
            _ => self.disabled(place),
        }
    }

    fn pass(&mut self, secs: i64) {
        // Enough of a past and a future for every offset.
        let now = self.now.saturating_add_signed(secs);
        let now = now.clamp(1_000_000, 1 << 40);
        if now < self.now {
            self.guesses.clear();
        }
        self.now = now;
    }

    fn totp(&mut self, place: u8, offset: i64) {
        let step = (self.now / 30).checked_add_signed(offset).unwrap();
        let typed = self.person.authenticators[0].code(step);
        self.answer(place, &typed);
    }

    /// Guesses from everywhere, each as soon as there may be room for it.
    fn siege(&mut self, by: i64) {
        for turn in 0..by.rem_euclid(128) {
            self.pass(DRIP.try_into().unwrap());
            let place = u8::try_from(turn.rem_euclid(PLACES.into())).unwrap();
            self.answer(place, if by % 2 == 0 { "000000" } else { "00000000" });
        }
    }

    fn unlock(&mut self) {
        self.record.state.throttle.clear();
        self.person.waits.unlock();
        self.guesses.clear();
        self.since_acceptance = 0;
    }

    fn disabled(&mut self, place: u8) {
        (self.record.state.disabled, self.person.disabled) = (true, true);
        self.totp(place, 0);
        (self.record.state.disabled, self.person.disabled) = (false, false);
    }

    fn answer(&mut self, place: u8, typed: &str) {
        self.answers += 1;
        let origin = origin(place);
        let meant = self.person.expect(typed, origin, self.now);
        self.over |= !self.person.disabled && self.now >= NOW + 3600;
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin,
            now: UnixTime::from_secs(self.now),
        };
        let outcome = verify(&self.record, &attempt, &self.policy);
        for changed in outcome.changes.issued {
            let same = |code: &&mut StoredCode| code.id == changed.id;
            let kept = self.record.issued.iter_mut().find(same);
            *kept.expect("a code of hers") = changed;
        }
        if let Some(state) = outcome.changes.state {
            self.record.state = state;
        }
        assert_eq!(outcome.verdict, meant, "{typed} from {origin}");
        match meant {
            Verdict::Accepted(acceptance) => self.accepted(typed, acceptance.method),
            Verdict::Refused(Reason::Mismatch) => self.mismatched(place, typed),
            Verdict::Refused(_) => {}
        }
    }

    /// Nothing is good twice, and nothing is good where it should not be.
    fn accepted(&mut self, typed: &str, method: Method) {
        let what = match method {
            // Steps may share their digits; the same step is the same code.
            Method::Totp => {
                let (step, _) = *self.person.used[0].1.runs.last().unwrap();
                assert!(step.abs_diff(self.now / 30) <= 1, "{typed}");
                assert!(self.since_acceptance < LOCK, "{typed}");
                if ISSUED.contains(&typed) {
                    self.spent.insert(typed.to_owned());
                }
                format!("step {step}")
            }
            _ => typed.to_owned(),
        };
        assert!(self.spent.insert(what), "{typed} is accepted twice");
        self.since_acceptance = 0;
    }

    /// Guesses are bounded over any time, and at any stored code.
    fn mismatched(&mut self, place: u8, typed: &str) {
        if typed.len() == ISSUED[1].len() {
            self.guesses.push(self.now);
            self.since_acceptance += 1;
            assert!(self.since_acceptance <= LOCK, "{LOCK} guesses");
            for (before, since) in self.guesses.iter().enumerate() {
                let count = i128::try_from(self.guesses.len() - before).unwrap();
                let leaked = i128::from(self.now - since) / DRIP;
                assert!(count <= BURST + leaked, "{count} guesses since {since}");
            }
        }
        for (code, tries) in ISSUED.iter().zip(&mut self.tries) {
            let issued = NOW <= self.now && !self.over;
            if code.len() == typed.len() && issued && !self.spent.contains(*code) {
                tries[usize::from(place)] += 1;
                assert!(tries[usize::from(place)] <= 5, "{code} from {place}");
                assert!(tries.iter().sum::<u32>() <= 50, "{code}");
            }
        }
    }
}

fn origin(place: u8) -> Origin {
    match place {
        0 => Origin::Local(0),
        place => Origin::of_address(Ipv4Addr::new(198, 51, 100, place).into()),
    }
}

fn person() -> Person {
    let list = RECOVERY.map(|code| digest(b"recovery", &8_u64.to_le_bytes(), code));
    Person {
        authenticators: vec![Shows {
            generation: 7,
            secret: data_encoding::BASE32.decode(SECRET.as_bytes()).unwrap(),
            hash: "sha1".to_owned(),
            digits: 6,
            period: 30,
            enrolled: NOW,
        }],
        used: vec![(7, Used::default())],
        recovery: Some((8, list.to_vec())),
        recovered: vec![(8, 0)],
        codes: ISSUED
            .map(|code| Code {
                id: id(code),
                digits: code.len(),
                digest: digest(b"stored", &id(code), code),
                issued: NOW,
                expires: NOW + 3600,
                fate: Fate::Live,
                tries: Vec::new(),
            })
            .to_vec(),
        ..Person::default()
    }
}

fn id(code: &str) -> [u8; 4] {
    code.as_bytes()[..4].try_into().unwrap()
}

/// The same as the product has it.
fn record() -> Record {
    let person = person();
    let (list, digests) = person.recovery.unwrap();
    let list = Generation::from_bits(list);
    let mut record = Record::none(alice().name);
    record.enrollment = Some(Enrollment {
        authenticators: vec![Authenticator {
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
            enrolled_at: UnixTime::from_secs(NOW),
        }],
        recovery: Some(RecoveryList {
            generation: list,
            digests: digests.into_iter().map(Digest::from_bytes).collect(),
        }),
    });
    record.state = State {
        authenticators: vec![AuthenticatorState::fresh(Generation::from_bits(7))],
        recovery: vec![RecoveryState {
            generation: list,
            used: 0,
        }],
        ..State::default()
    };
    let stored = |code: Code| StoredCode {
        id: CodeId::from_bytes(code.id),
        length: code.digits.try_into().unwrap(),
        digest: Digest::from_bytes(code.digest),
        issued_at: UnixTime::from_secs(code.issued),
        expires_at: UnixTime::from_secs(code.expires),
        fate: issued::Fate::Live,
        sends: 0,
        reason: String::new(),
        attempts: Vec::new(),
    };
    record.issued = person.codes.into_iter().map(stored).collect();
    record.key = Some(DigestKey::from_bytes(KEY.into()));
    record
}
