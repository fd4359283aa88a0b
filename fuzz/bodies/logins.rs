//! Logins, one after the other, from many places, by a clock that goes where it likes: every verdict is the reference's, and
//! what must hold in the long run holds without it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use otp::delivery::Channel;
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
use super::format::{KEY, SECRET, TOKEN};
use super::house::alice;
use super::person::{Code, Fate, List, Person, Shows, digest};
use super::used::{MOST_DRIFT, Used};
use super::waits::{BURST, DRIP, LOCK, LOOPBACK};

/// Two stored codes: one as long as nothing else, one as long as the time-based ones.
const ISSUED: [&str; 2] = ["48210937", "305918"];
const RECOVERY: [&str; 2] = ["0123456789abcdef", "zyxwvtsrqpnmkjhg"];
/// Those of other software.
const SCRATCH: [&str; 2] = ["70513348", "24068915"];
/// Seconds for which a place is remembered.
const REMEMBERED: u64 = 12 * 3600;
/// More than are remembered.
const PLACES: u8 = 20;

/// As many answers are enough to be locked out, let in and locked out again.
const ANSWERS: u32 = 600;

/// The first byte says what she has. Each login is three bytes long: what and from where, and a number for it.
pub fn logins(data: &[u8]) {
    let Some((has, ops)) = data.split_first() else {
        return;
    };
    let mut model = Model::new(*has);
    for op in ops.chunks_exact(3).take(400) {
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
    /// When codes of an authenticator were guessed at since the clock last went back or somebody unlocked her.
    guesses: Vec<u64>,
    since_acceptance: u32,
    /// Wrong answers that were compared with each stored code, by place.
    tries: [[u32; PLACES as usize]; 2],
    /// They were seen expired.
    over: bool,
    /// They were sent.
    are_sent: bool,
}

impl Model {
    fn new(has: u8) -> Self {
        let person = person(has);
        Self {
            record: record(&person),
            policy: Policy {
                remember: Some(Duration::from_secs(REMEMBERED)),
                ..Policy::default()
            },
            person,
            now: NOW,
            answers: 0,
            spent: BTreeSet::new(),
            guesses: Vec::new(),
            since_acceptance: 0,
            tries: Default::default(),
            over: false,
            are_sent: has & 8 > 0,
        }
    }

    /// From then on used steps are merged, and steps between them die that nobody used.
    fn is_full(&self) -> bool {
        let mut all = self.person.used.iter();
        all.any(|(_, used)| used.runs.len() >= MAX_INTERVALS)
    }

    fn step(&mut self, what: u8, by: i64) {
        let place = what / 11 % PLACES;
        match what % 11 {
            0 => self.pass(by),
            1 => self.pass(by * 3600),
            2 => self.shown(place, 0, by.rem_euclid(7) - 3),
            3 => self.shown(
                place,
                by.rem_euclid(3),
                by.div_euclid(3).rem_euclid(64) - 24,
            ),
            4 => self.answer(place, ISSUED[0]),
            5 => self.answer(place, ISSUED[1]),
            6 if by.rem_euclid(4) < 2 => self.answer(place, RECOVERY[usize::from(by % 2 == 0)]),
            6 => self.answer(place, SCRATCH[usize::from(by % 2 == 0)]),
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

    /// What one of her authenticators shows at another time, or after so many more.
    fn shown(&mut self, place: u8, which: i64, ahead: i64) {
        let which = usize::try_from(which).unwrap() % self.person.authenticators.len();
        let shows = &self.person.authenticators[which];
        let here = match shows.period {
            Some(period) => Some(self.now / period),
            None => self.person.used_of(shows).next(),
        };
        if let Some(at) = here.and_then(|here| here.checked_add_signed(ahead)) {
            let typed = shows.code(at);
            self.answer(place, &typed);
        }
    }

    /// Guesses from everywhere, each as soon as there is room for it where three codes are right.
    fn siege(&mut self, by: i64) {
        for turn in 0..by.rem_euclid(128) {
            self.pass(DRIP.try_into().unwrap());
            let place = u8::try_from(turn.rem_euclid(PLACES.into())).unwrap();
            self.answer(place, if by % 2 == 0 { "000000" } else { "00000000" });
        }
    }

    fn unlock(&mut self) {
        self.record.state.unlock();
        self.person.waits.unlock();
        self.person.sent_wrong = 0;
        self.guesses.clear();
        self.since_acceptance = 0;
    }

    fn disabled(&mut self, place: u8) {
        (self.record.state.disabled, self.person.disabled) = (true, true);
        self.shown(place, 0, 0);
        (self.record.state.disabled, self.person.disabled) = (false, false);
    }

    fn answer(&mut self, place: u8, typed: &str) {
        self.answers += 1;
        let before: Vec<Used> = self
            .person
            .used
            .iter()
            .map(|(_, used)| used.clone())
            .collect();
        let origin = self.called_from(place);
        let known = self.person.is_known(origin_of(place), self.now);
        let now = UnixTime::from_secs(self.now);
        assert_eq!(self.record.is_remembered(&origin, now, &self.policy), known);
        let meant = self.person.expect(typed, origin_of(place), self.now);
        self.over |= !self.person.disabled && self.now >= NOW + 3600;
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin,
            now,
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
            Verdict::Accepted(acceptance) => self.accepted(typed, acceptance.method, &before),
            Verdict::Refused(Reason::Mismatch | Reason::OtherTime(_)) => {
                self.mismatched(place, typed);
            }
            Verdict::Refused(_) => {}
        }
        for ((_, used), entry) in self
            .person
            .used
            .iter()
            .zip(&self.record.state.authenticators)
        {
            let kept = (entry.drift.last, entry.drift.kept, entry.drift.lean);
            assert_eq!(kept, (used.drift.last, used.drift.kept, used.drift.lean));
            assert_eq!(entry.used.floor(), used.floor);
        }
    }

    /// One of the addresses that stand for a place.
    fn called_from(&self, place: u8) -> Origin {
        let low = self.answers.to_be_bytes()[3];
        let v4 = Ipv4Addr::new(198, 51, 100, place);
        match (place, low % 3) {
            (0, _) => Origin::Local(0),
            (1, 0) => Origin::of_address(Ipv6Addr::LOCALHOST.into()),
            (1, 1) => Origin::of_address(Ipv4Addr::new(127, 0, low, 1).into()),
            (1, _) => Origin::of_address(Ipv4Addr::new(127, 9, 9, low).to_ipv6_mapped().into()),
            (2, _) => {
                Origin::of_address(Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 9, 9, 9, low.into()).into())
            }
            (_, 0) => Origin::of_address(v4.to_ipv6_mapped().into()),
            _ => Origin::of_address(v4.into()),
        }
    }

    /// Codes that are right at one moment: as clocks are that are right, and with as much drift as can be learned.
    fn breadth(&self) -> [i128; 2] {
        let mut breadth = [0, 0];
        for shows in &self.person.authenticators {
            let more = if shows.period.is_some() {
                [3, 6]
            } else {
                [6, 6]
            };
            breadth = [breadth[0] + more[0], breadth[1] + more[1]];
        }
        breadth
    }

    /// Nothing is good twice, and nothing is good where it should not be.
    fn accepted(&mut self, typed: &str, method: Method, before: &[Used]) {
        if matches!(method, Method::Totp | Method::Hotp) {
            assert!(self.since_acceptance < LOCK, "{typed}");
            if ISSUED.contains(&typed) {
                self.spent.insert(typed.to_owned());
            }
        } else {
            let is_new = self.spent.insert(typed.to_owned());
            assert!(is_new, "{typed} is accepted twice");
        }
        for (shows, before) in self.person.authenticators.iter().zip(before) {
            let used = self.person.used_of(shows);
            // Steps may share their digits; the same step is the same code.
            let code = if let Some(period) = shows.period {
                let new = used.runs.get(before.runs.len());
                let away = |step: u64| step.abs_diff(self.now / period);
                assert!(new.is_none_or(|(step, _)| away(*step) <= 1 + MOST_DRIFT as u64));
                new.map(|(step, _)| *step)
            } else {
                used.floor
                    .filter(|last| before.floor.is_none_or(|before| before < *last))
            };
            if let Some(code) = code {
                let code = format!("{} of {}", code, shows.generation);
                assert!(self.spent.insert(code), "{typed} is accepted twice");
            }
        }
        self.since_acceptance = 0;
    }

    /// Guesses are bounded over any time, and at any stored code.
    fn mismatched(&mut self, place: u8, typed: &str) {
        let list = self.person.recovery.as_ref().and_then(|list| list.digits);
        if typed.len() == ISSUED[1].len() || Some(typed.len()) == list {
            self.guesses.push(self.now);
            self.since_acceptance += 1;
            assert!(self.since_acceptance <= LOCK, "{LOCK} guesses");
            // Each is right for as many codes, so there are as many fewer of them.
            let [least, most] = self.breadth();
            for (before, since) in self.guesses.iter().enumerate() {
                let count = i128::try_from(self.guesses.len() - before).unwrap();
                let leaked = 3 * i128::from(self.now - since) / DRIP;
                let bounded = least * count <= most * BURST + leaked;
                assert!(bounded, "{count} guesses since {since}");
            }
        }
        for (code, tries) in ISSUED.iter().zip(&mut self.tries) {
            let issued = NOW <= self.now && !self.over;
            if code.len() == typed.len() && issued && !self.spent.contains(*code) {
                tries[usize::from(place)] += 1;
                assert!(tries[usize::from(place)] <= 5, "{code} from {place}");
                let most = if self.are_sent { 10 } else { 50 };
                assert!(tries.iter().sum::<u32>() <= most, "{code}");
            }
        }
    }
}

/// How a place is kept.
fn origin_of(place: u8) -> Origin {
    match place {
        0 => Origin::Local(0),
        1 => LOOPBACK,
        2 => Origin::Address(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 0))),
        place => Origin::Address(IpAddr::V4(Ipv4Addr::new(198, 51, 100, place))),
    }
}

/// A phone; by the bits a token, a watch that shows a code a minute, recovery codes of other software, stored codes that were
/// sent, and as many wrong answers at such that a few more turn them off.
fn person(has: u8) -> Person {
    let shows = |generation, secret: &str, hash: &str, period| Shows {
        generation,
        secret: data_encoding::BASE32.decode(secret.as_bytes()).unwrap(),
        hash: hash.to_owned(),
        digits: 6,
        period,
        enrolled: NOW,
    };
    let mut authenticators = vec![shows(7, SECRET, "sha1", Some(30))];
    if has & 1 > 0 {
        authenticators.push(shows(9, TOKEN, "sha1", None));
    }
    if has & 2 > 0 {
        authenticators.push(shows(11, TOKEN, "sha256", Some(60)));
    }
    let (purpose, codes, digits) = match has & 4 > 0 {
        true => (&b"scratch"[..], SCRATCH, Some(SCRATCH[0].len())),
        false => (&b"recovery"[..], RECOVERY, None),
    };
    let used = |shows: &Shows| (shows.generation, Used::default());
    Person {
        used: authenticators.iter().map(used).collect(),
        authenticators,
        recovery: Some(List {
            generation: 8,
            digests: codes
                .map(|code| digest(purpose, &8_u64.to_le_bytes(), code))
                .to_vec(),
            digits,
        }),
        recovered: vec![(8, 0)],
        codes: ISSUED.map(|code| stored(code, has & 8 > 0)).to_vec(),
        sent_wrong: if has & 16 > 0 { LOCK - 4 } else { 0 },
        remembers: Some(REMEMBERED),
        ..Person::default()
    }
}

fn stored(code: &str, was_sent: bool) -> Code {
    let id = code.as_bytes()[..4].try_into().unwrap();
    Code {
        id,
        digits: code.len(),
        digest: digest(b"stored", &id, code),
        issued: NOW,
        expires: NOW + 3600,
        fate: Fate::Live,
        was_sent,
        tries: Vec::new(),
    }
}

/// The same as the product has it.
fn record(person: &Person) -> Record {
    let list = person.recovery.clone().unwrap();
    let length = |digits: usize| CodeLength::new(digits as u64).unwrap();
    let mut record = Record::none(alice().name);
    record.enrollment = Some(Enrollment {
        authenticators: person.authenticators.iter().map(authenticator).collect(),
        recovery: Some(RecoveryList {
            generation: Generation::from_bits(list.generation),
            digests: list.digests.into_iter().map(Digest::from_bytes).collect(),
            digits: list.digits.map(length),
        }),
    });
    let fresh = |shows: &Shows| AuthenticatorState::fresh(Generation::from_bits(shows.generation));
    record.state = State {
        authenticators: person.authenticators.iter().map(fresh).collect(),
        recovery: vec![RecoveryState {
            generation: Generation::from_bits(list.generation),
            used: 0,
        }],
        sent_failures: person.sent_wrong,
        ..State::default()
    };
    let stored = |code: &Code| StoredCode {
        id: CodeId::from_bytes(code.id),
        length: code.digits.try_into().unwrap(),
        digest: Digest::from_bytes(code.digest),
        issued_at: UnixTime::from_secs(code.issued),
        expires_at: UnixTime::from_secs(code.expires),
        fate: issued::Fate::Live,
        sends: code.was_sent.into(),
        channel: code.was_sent.then_some(Channel::Sms),
        reason: String::new(),
        attempts: Vec::new(),
    };
    record.issued = person.codes.iter().map(stored).collect();
    record.key = Some(DigestKey::from_bytes(KEY.into()));
    record
}

fn authenticator(shows: &Shows) -> Authenticator {
    let period = |secs| Period::from_secs(secs).unwrap();
    Authenticator {
        name: shows.generation.to_string(),
        generation: Generation::from_bits(shows.generation),
        kind: shows.period.map_or(Kind::Hotp, |secs| Kind::Totp {
            period: period(secs),
        }),
        secret: Secret::from_base32(&data_encoding::BASE32.encode(&shows.secret)).unwrap(),
        algorithm: Algorithm::from_name(&shows.hash).unwrap(),
        length: CodeLength::SIX,
        issuer: "fuzz".to_owned(),
        label: "alice".to_owned(),
        enrolled_at: UnixTime::from_secs(NOW),
    }
}
