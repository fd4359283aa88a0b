//! What is on the disk: every file of alice's, in the hands of anybody. The others are as they should be. Whatever stands
//! there, each answer is the one that FILEFORMAT.md implies; where a file makes no sense, there is none.

use otp::origin::Origin;
use otp::verify::Verdict;

use super::NOW;
use super::format::{
    self, BLOCK, CAPACITY, SECRET, STATE, STORED, State, TOKEN, newest, record, slot,
};
use super::house::House;
use super::person::{Code, Fate, Person, digest};
use super::used::{Drift, Used};

const HERE: Origin = Origin::Local(0);
const ISSUED: &str = "48210937";
const RECOVERY: [&str; 2] = ["0123456789abcdef", "zyxwvtsrqpnmkjhg"];
/// A code of other software, where the list is of such.
const SCRATCH: &str = "70513348";
const STEP: u64 = NOW / 30;

/// A file of authenticators and recovery codes.
pub fn secrets(data: &[u8]) {
    let mut scene = Scene::new();
    scene.secrets = data.to_vec();
    let house = House::new();
    scene.write(&house);
    // Strictness is for the files' own tests. What is taken must be taken for what it is.
    let can_be_read = house.can_be_read();
    let person = scene.person();
    assert!(can_be_read || data != secrets_text().as_bytes());
    assert!(
        !can_be_read || person.is_some(),
        "what makes no sense is read"
    );
    scene.trial(&house, &person.filter(|_| can_be_read));
}

/// The payload of a user's state.
pub fn state(data: &[u8]) {
    let mut scene = Scene::new();
    scene.state = record(STATE, data);
    scene.trial(&House::new(), &scene.person());
}

/// The payload of a stored code.
pub fn stored(data: &[u8]) {
    let mut scene = Scene::new();
    let payload = data.get(..CAPACITY).unwrap_or(data);
    let id = payload.get(4..8).unwrap_or(&[0; 4]);
    scene.issued_name = format!("{:08x}", u32::from_le_bytes(id.try_into().unwrap()));
    scene.issued = record(STORED, payload);
    scene.trial(&House::new(), &scene.person());
}

/// Records whose slots and notes are at odds. The first byte says which: her state alone, her state and what was kept of it until
/// the next boot, a stored code.
pub fn slots(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut scene = Scene::new();
    match bytes.next() % 3 {
        0 => scene.state = bytes.record(Kind::State),
        1 => {
            scene.state = bytes.record(Kind::State);
            scene.fallback = Some(bytes.record(Kind::State));
        }
        _ => scene.issued = bytes.record(Kind::Stored),
    }
    scene.trial(&House::new(), &scene.person());
}

/// The files of alice: an authenticator whose code of the step before is used, a token that nobody has used, two recovery codes of
/// which one is, a stored code.
struct Scene {
    secrets: Vec<u8>,
    state: Vec<u8>,
    fallback: Option<Vec<u8>>,
    issued: Vec<u8>,
    issued_name: String,
}

impl Scene {
    fn new() -> Self {
        Self {
            secrets: secrets_text().into_bytes(),
            state: record(STATE, &state_with(0b10, 0).bytes()),
            fallback: None,
            issued: record(STORED, &issued(Fate::Live, 0).bytes()),
            issued_name: issued(Fate::Live, 0).name(),
        }
    }

    /// Everything as it is at first.
    fn write(&self, house: &House) {
        house.write("lib/secrets/alice", &self.secrets);
        house.write("lib/state/alice", &self.state);
        house.write(&format!("spool/alice/{}", self.issued_name), &self.issued);
        if let Some(fallback) = &self.fallback {
            house.write("run/state/alice", fallback);
        }
    }

    /// What the files say of her, if they make sense.
    fn person(&self) -> Option<Person> {
        let (sequence, mut payload) = newest(STATE, &self.state)?;
        if let Some(fallback) = &self.fallback {
            let (later, kept) = newest(STATE, fallback)?;
            if later > sequence {
                payload = kept;
            }
        }
        let state = State::read(&payload)?;
        let (_, payload) = newest(STORED, &self.issued)?;
        let code = Code::read(&payload).filter(|code| code.name() == self.issued_name)?;
        let mut person = Person {
            disabled: state.disabled,
            used: state.used,
            recovered: state.recovered,
            waits: state.waits,
            sent_wrong: state.sent_wrong,
            codes: vec![code],
            ..Person::default()
        };
        format::take_secrets(&mut person, &self.secrets)?;
        // A secret of which it is not known what was used of it is as good as used.
        let known = |generation| person.used.iter().any(|(known, _)| *known == generation);
        let secrets = person.authenticators.iter().all(|a| known(a.generation));
        let list = person.recovery.as_ref().is_none_or(|list| {
            let mut lists = person.recovered.iter();
            lists.any(|(known, _)| *known == list.generation)
        });
        (secrets && list).then_some(person)
    }

    /// Every code there is, each twice from these files on.
    fn trial(&self, house: &House, person: &Option<Person>) {
        for typed in codes(person.as_ref()) {
            self.write(house);
            let mut person = person.clone();
            for turn in 0..2 {
                let answer = house.answer(&typed, HERE);
                let meant = person.as_mut().map(|p| p.expect(&typed, HERE, NOW));
                if turn == 1 && self.is_at_its_end() {
                    // One more change, and there is no number for the next.
                    assert!(!matches!(answer, Some(Verdict::Accepted(_))), "{typed}");
                } else {
                    assert_eq!(answer, meant, "{typed}, time {turn}");
                }
            }
        }
    }

    /// Whether a record has room for one change only.
    fn is_at_its_end(&self) -> bool {
        let state = [Some(&self.state), self.fallback.as_ref()];
        let states = state.into_iter().flatten().map(|file| (STATE, file));
        let mut files = states.chain([(STORED, &self.issued)]);
        files.any(|(magic, file)| newest(magic, file).is_some_and(|(n, _)| n == u64::MAX - 1))
    }
}

/// What somebody could type: what is right, was right or will be, by the scene as it was made and by the files as they are.
fn codes(person: Option<&Person>) -> Vec<String> {
    let mut own = Person::default();
    format::take_secrets(&mut own, secrets_text().as_bytes()).unwrap();
    let code = |step| own.authenticators[0].code(step);
    let mut codes = vec![code(STEP), ISSUED.to_owned(), RECOVERY[0].to_owned()];
    // Where there is no answer, there is none to these.
    let Some(person) = person else {
        return codes;
    };
    codes.extend([RECOVERY[1], "000000"].map(str::to_owned));
    let list = person.recovery.as_ref().and_then(|list| list.digits);
    codes.extend(list.map(|_| SCRATCH.to_owned()));
    codes.extend((STEP - 2..=STEP + 2).map(code));
    for shows in &person.authenticators {
        let used = person.used_of(shows);
        let last = used.floor.unwrap_or(0);
        let at: Vec<u64> = match shows.period {
            // Around our clock, and around one that is off by what is learned.
            Some(period) => (-2..=2)
                .flat_map(|near| [near, near + used.learned()])
                .map(|offset| (NOW / period).saturating_add_signed(offset))
                .collect(),
            // One of the first, the last used, the next, the two at the end of what is looked at, and one for later.
            None => [3, last]
                .into_iter()
                .chain([1, 6, 7, 12].map(|n| last.saturating_add(n)))
                .collect(),
        };
        codes.extend(at.into_iter().map(|at| shows.code(at)));
    }
    codes.sort();
    codes.dedup();
    codes
}

/// The first lines as `otpctl enroll` has them.
fn secrets_text() -> String {
    let digests = RECOVERY.map(|code| {
        let digest = digest(b"recovery", &8_u64.to_le_bytes(), code);
        data_encoding::HEXLOWER.encode(&digest)
    });
    format!(
        "format = 1\nuid = 1000\n\n[[authenticator]]\nname = \"phone\"\ntype = \"totp\"\nsecret = \"{SECRET}\"\n\
         algorithm = \"sha1\"\nissuer = \"fuzz\"\nlabel = \"alice\"\ngeneration = \"0000000000000007\"\ndigits = 6\n\
         period = 30\nenrolled_at = 1800000000\n\n\
         [[authenticator]]\nname = \"token\"\ntype = \"hotp\"\nsecret = \"{TOKEN}\"\nalgorithm = \"sha1\"\nissuer = \"fuzz\"\n\
         label = \"alice\"\ngeneration = \"0000000000000009\"\ndigits = 6\nenrolled_at = 1800000000\n\n[recovery]\ngeneration = \"0000000000000008\"\ndigests = [\n  \"{}\",\n  \"{}\",\n]\n",
        digests[0], digests[1],
    )
}

/// Of the five steps around now those are used whose bits are set, the earliest first. The other bits: a phone that is
/// two steps ahead, one that was ahead twice in a row, a token of which five codes are used. With so many failures.
fn state_with(bits: u8, failures: u8) -> State {
    let runs = (0..5_u8).filter(|bit| bits >> bit & 1 == 1);
    let runs = runs.map(|bit| STEP - 2 + u64::from(bit));
    let mut used = Used::default();
    for step in runs {
        match used.runs.last_mut() {
            Some((_, last)) if *last + 1 == step => *last = step,
            _ => used.runs.push((step, step)),
        }
    }
    let bit = |bit: u8, number| if bits >> bit & 1 == 1 { number } else { 0 };
    used.drift = Drift {
        kept: bit(5, 2).into(),
        lean: bit(6, 2),
        ..Drift::default()
    };
    let token = Used {
        floor: (bit(7, 1) == 1).then_some(4),
        ..Used::default()
    };
    State {
        waits: super::waits::Waits {
            failures: failures.into(),
            ..Default::default()
        },
        // The last one is for a secret that is not there.
        used: vec![(7, used), (9, token), (10, Used::default())],
        recovered: vec![(8, 0b10)],
        ..State::default()
    }
}

/// The payload of a state of somebody of whom nothing is known, and no enrolment was seen.
pub fn plain_state() -> Vec<u8> {
    let mut bytes = State::default().bytes();
    bytes[5] = 0;
    bytes
}

fn issued(fate: Fate, tries: u8) -> Code {
    let id = [1, 2, 3, 4];
    Code {
        id,
        digits: ISSUED.len(),
        digest: digest(b"stored", &id, ISSUED),
        issued: NOW - 60,
        expires: NOW + 540,
        fate,
        was_sent: false,
        tries: (1..=tries).take(1).map(|_| (HERE, tries.into())).collect(),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    State,
    Stored,
}

/// Bytes that stand for choices; zeros when they are over.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn record(&mut self, kind: Kind) -> Vec<u8> {
        let mut record = self.slot(kind);
        record.extend(self.slot(kind));
        record.extend(self.number().to_le_bytes());
        record.resize(3 * BLOCK, 0);
        match self.next() {
            1 => record.truncate(3 * BLOCK - 1),
            2 => record.truncate(usize::from(self.next()) * 48),
            3 => record.resize(3 * BLOCK + usize::from(self.next()), 1),
            _ => {}
        }
        record
    }

    /// The smallest and the greatest, and any.
    fn number(&mut self) -> u64 {
        match self.next() % 3 {
            0 => self.next().into(),
            1 => u64::MAX - u64::from(self.next()),
            _ => u64::from_le_bytes([(); 8].map(|()| self.next())),
        }
    }

    fn slot(&mut self, kind: Kind) -> Vec<u8> {
        let (how, sequence) = (self.next() % 12, self.number());
        let magic = match kind {
            Kind::State => STATE,
            Kind::Stored => STORED,
        };
        let payload = self.payload(kind);
        let mut image = slot(magic, 1, sequence, &payload);
        match how {
            0 => image.fill(0),
            1 => image[usize::from(self.next()) % 56] ^= self.next(),
            2 => image = slot(magic, self.next().into(), sequence, &payload),
            3 => image = slot(b"pamotpXX", 1, sequence, &payload),
            // A length that lies, and one with a checksum for it.
            4 => image[12..16].copy_from_slice(&[(); 4].map(|()| self.next())),
            5 => {
                let mut longer = payload;
                longer.resize(usize::from(self.next()) * 16 % CAPACITY, self.next());
                image = slot(magic, 1, sequence, &longer);
            }
            // A later number without a checksum for it.
            6 => image[16..24].copy_from_slice(&self.number().to_le_bytes()),
            // Torn: of these sectors it is another one.
            7 => {
                let sectors = self.next();
                let other = slot(magic, 1, self.number(), &self.payload(kind));
                for at in (0..8).filter(|at| sectors >> at & 1 == 1) {
                    let range = at * 512..(at + 1) * 512;
                    image[range.clone()].copy_from_slice(&other[range]);
                }
            }
            _ => {}
        }
        image
    }

    fn payload(&mut self, kind: Kind) -> Vec<u8> {
        let (first, second) = (self.next(), self.next());
        match kind {
            Kind::State => state_with(first, second).bytes(),
            Kind::Stored => {
                let fates = [Fate::Live, Fate::Used, Fate::Expired, Fate::Withdrawn];
                issued(fates[usize::from(first % 4)], second).bytes()
            }
        }
    }
}
