//! FILEFORMAT.md, read by the book: the files of alice, and what they say of her.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use otp::origin::Origin;
use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use super::person::{Code, Fate, List, Person, Shows};
use super::used::{Drift, Used};
use super::waits::{EACH, Known, Waits};

/// The secret of RFC 6238 appendix B, in base32.
pub const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// The secret of what counts, another one.
pub const TOKEN: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
/// The key under which codes are hashed.
pub const KEY: [u8; 32] = [42; 32];
pub const UID: u32 = 1000;
pub const STATE: &[u8; 8] = b"pamotpST";
pub const STORED: &[u8; 8] = b"pamotpSC";
pub const SENDS: &[u8; 8] = b"pamotpSE";
pub const MACHINE: &[u8; 8] = b"pamotpSM";
pub const BLOCK: usize = 4096;
pub const CAPACITY: usize = BLOCK - 56;

/// A slot, zeros and all.
pub fn slot(magic: &[u8; 8], version: u32, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut slot = magic.to_vec();
    slot.extend(version.to_le_bytes());
    slot.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    slot.extend(sequence.to_le_bytes());
    let checksum = Sha256::new().chain_update(&slot).chain_update(payload);
    slot.extend(checksum.finalize());
    slot.extend(payload);
    slot.resize(BLOCK, 0);
    slot
}

/// A record as it is made, with this payload or as much of it as there is room for.
pub fn record(magic: &[u8; 8], payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..CAPACITY).unwrap_or(payload);
    let mut record = slot(magic, 1, 1, payload);
    record.resize(2 * BLOCK, 0);
    record.extend(1_u64.to_le_bytes());
    record.resize(3 * BLOCK, 0);
    record
}

/// The sequence number and the payload of a record, unless something is wrong with it.
pub fn newest(magic: &[u8; 8], record: &[u8]) -> Option<(u64, Vec<u8>)> {
    let record = record.get(..3 * BLOCK)?;
    let mut whole = record
        .chunks(BLOCK)
        .take(2)
        .filter_map(|block| {
            let number = |at| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
            let sequence = u64::from_le_bytes(block[16..24].try_into().unwrap());
            let payload = block.get(56..)?.get(..number(12).try_into().ok()?)?;
            let (version, image) = (number(8), slot(magic, number(8), sequence, payload));
            (image[..56] == block[..56]).then(|| (sequence, version, payload.to_vec()))
        })
        .collect::<Vec<_>>();
    whole.sort_by_key(|(sequence, ..)| *sequence);
    let (sequence, version, payload) = whole.pop()?;
    let another = whole.pop().is_some_and(|(other, ..)| other == sequence);
    (!another && version == 1 && sequence < u64::MAX).then_some((sequence, payload))
}

/// What stands in a state record.
#[derive(Default)]
pub struct State {
    pub disabled: bool,
    pub waits: Waits,
    pub used: Vec<(u64, Used)>,
    pub recovered: Vec<(u64, u64)>,
    pub remembered: Vec<(Origin, u64)>,
    pub sent_wrong: u32,
}

impl State {
    /// Of a payload that makes sense and is hers.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let mut from = Cursor(payload);
        let mine = from.number(4)? == UID.into();
        let disabled = from.truth()?;
        let _enrolled = from.truth()?;
        let waits = Waits {
            failures: u32::try_from(from.number(4)?).ok()?,
            dry: from.moment()?,
            counted: from.moment()?,
            origins: from.list(2 * EACH, Cursor::known)?,
        };
        let _last = from.list(1, |from| {
            from.number(8)?;
            (1..=4).contains(&from.number(1)?).then_some(())?;
            from.origin()?;
            from.service()
        })?;
        let used = from.list(4, Cursor::used)?;
        let recovered = from.list(2, |from| Some((from.number(8)?, from.number(8)?)))?;
        let remembered = from.list(8, |from| Some((from.origin()?, from.number(8)?)))?;
        let sent_wrong = u32::try_from(from.number(4)?).ok()?;
        let trusted = waits.origins.iter().filter(|known| known.trusted).count();
        let each = trusted.max(waits.origins.len() - trusted) <= EACH;
        let once = once(&waits.origins, |known| known.origin)
            && once(&used, |(generation, _)| *generation)
            && once(&recovered, |(generation, _)| *generation)
            && once(&remembered, |(origin, _)| *origin);
        (mine && each && once && from.0.is_empty()).then_some(Self {
            disabled,
            waits,
            used,
            recovered,
            remembered,
            sent_wrong,
        })
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = UID.to_le_bytes().to_vec();
        out.extend([u8::from(self.disabled), 1]);
        out.extend(self.waits.failures.to_le_bytes());
        for moment in [self.waits.dry, self.waits.counted] {
            out.extend(moment_bytes(moment));
        }
        out.push(self.waits.origins.len().try_into().unwrap());
        for known in &self.waits.origins {
            out.extend(origin_bytes(known.origin));
            out.extend(known.failures.to_le_bytes());
            out.extend(moment_bytes(known.until));
            out.push(known.trusted.into());
        }
        out.push(0);
        out.push(self.used.len().try_into().unwrap());
        for (generation, used) in &self.used {
            out.extend(generation.to_le_bytes());
            out.extend([0; 8]);
            let Drift { last, kept, lean } = used.drift;
            out.extend(last.to_le_bytes());
            out.extend(kept.to_le_bytes());
            out.extend(lean.to_le_bytes());
            out.push(used.floor.is_some().into());
            out.extend(used.floor.iter().flat_map(|floor| floor.to_le_bytes()));
            out.push(used.runs.len().try_into().unwrap());
            for (first, last) in &used.runs {
                out.extend(last.to_le_bytes());
                out.extend(u32::try_from(last - first).unwrap().to_le_bytes());
            }
        }
        out.push(self.recovered.len().try_into().unwrap());
        for (generation, bits) in &self.recovered {
            out.extend(generation.to_le_bytes());
            out.extend(bits.to_le_bytes());
        }
        out.push(self.remembered.len().try_into().unwrap());
        for (origin, at) in &self.remembered {
            out.extend(origin_bytes(*origin));
            out.extend(at.to_le_bytes());
        }
        out.extend(self.sent_wrong.to_le_bytes());
        out
    }
}

impl Code {
    /// Of a payload that makes sense and is hers.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let mut from = Cursor(payload);
        let mine = from.number(4)? == UID.into();
        let code = Self {
            id: from.take(4)?.try_into().ok()?,
            digits: usize::try_from(from.number(1)?).ok()?,
            digest: from.take(32)?.try_into().ok()?,
            issued: from.number(8)?,
            expires: from.number(8)?,
            fate: match from.number(1)? {
                0 => Fate::Live,
                1 => Fate::Used,
                2 => Fate::Expired,
                3 => Fate::Withdrawn,
                _ => return None,
            },
            was_sent: {
                from.number(4)?;
                let channel = from.number(1)?;
                (channel <= 2).then_some(channel > 0)?
            },
            tries: from.list(50, |from| {
                Some((from.origin()?, u32::try_from(from.number(4)?).ok()?))
            })?,
        };
        let reason = from.list(200, |from| from.number(1)?.try_into().ok())?;
        let reason = String::from_utf8(reason).ok()?;
        let sense = (6..=10).contains(&code.digits)
            && once(&code.tries, |(origin, _)| *origin)
            && code.tries.iter().all(|(_, tries)| *tries > 0)
            && !reason.chars().any(char::is_control);
        (mine && sense && from.0.is_empty()).then_some(code)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = UID.to_le_bytes().to_vec();
        out.extend(self.id);
        out.push(self.digits.try_into().unwrap());
        out.extend(self.digest);
        out.extend(self.issued.to_le_bytes());
        out.extend(self.expires.to_le_bytes());
        out.push(match self.fate {
            Fate::Live => 0,
            Fate::Used => 1,
            Fate::Expired => 2,
            Fate::Withdrawn => 3,
        });
        out.extend([0; 4]);
        out.push(self.was_sent.into());
        out.push(self.tries.len().try_into().unwrap());
        for (origin, tries) in &self.tries {
            out.extend(origin_bytes(*origin));
            out.extend(tries.to_le_bytes());
        }
        out.push(0);
        out
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        format!("{:08x}", u32::from_le_bytes(self.id))
    }
}

/// Puts what a file of secrets says into `person`. Other keys than those that matter here are not looked at.
pub fn take_secrets(person: &mut Person, file: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(file).ok()?;
    let document = DeTable::parse(text).ok()?;
    let root = document.get_ref();
    (number(root, "format")? == 1 && number(root, "uid")? == UID.into()).then_some(())?;
    for item in root.get("authenticator")?.get_ref().as_array()?.iter() {
        let table = item.get_ref().as_table()?;
        person.authenticators.push(shows(table)?);
    }
    (1..=3)
        .contains(&person.authenticators.len())
        .then_some(())?;
    (once(&person.authenticators, |shows| shows.generation)
        && once(&person.authenticators, |shows| shows.secret.clone()))
    .then_some(())?;
    if let Some(table) = root.get("recovery") {
        let table = table.get_ref().as_table()?;
        let digests = table.get("digests")?.get_ref().as_array()?;
        let digests = digests
            .iter()
            .map(|hex| {
                let bytes = HEXLOWER.decode(hex.get_ref().as_str()?.as_bytes()).ok()?;
                bytes.try_into().ok()
            })
            .collect::<Option<Vec<_>>>()?;
        (digests.len() <= 64).then_some(())?;
        person.recovery = Some(List {
            generation: generation(table)?,
            digests,
            digits: match table.contains_key("digits") {
                true => Some(digits(table)?),
                false => None,
            },
        });
    }
    Some(())
}

fn shows(table: &DeTable<'_>) -> Option<Shows> {
    let shows = Shows {
        generation: generation(table)?,
        secret: {
            let typed = text(table, "secret")?.to_ascii_uppercase();
            let typed = typed.replace(|c: char| c.is_ascii_whitespace() || c == '-', "");
            let bytes = BASE32_NOPAD.decode(typed.trim_end_matches('=').as_bytes());
            bytes.ok()?
        },
        hash: text(table, "algorithm")?.to_owned(),
        digits: digits(table)?,
        period: match (text(table, "type")?, table.contains_key("period")) {
            ("totp", _) => Some(number(table, "period")?),
            ("hotp", false) => None,
            _ => return None,
        },
        enrolled: number(table, "enrolled_at")?,
    };
    let sense = (16..=128).contains(&shows.secret.len())
        && ["sha1", "sha256", "sha512"].contains(&&*shows.hash)
        && shows.period.is_none_or(|secs| (5..=300).contains(&secs));
    sense.then_some(shows)
}

/// As many as an authenticator may show.
fn digits(table: &DeTable<'_>) -> Option<usize> {
    let digits = number(table, "digits")?.try_into().ok()?;
    (6..=8).contains(&digits).then_some(digits)
}

pub fn text<'a>(table: &'a DeTable<'_>, key: &str) -> Option<&'a str> {
    table.get(key)?.get_ref().as_str()
}

pub fn number(table: &DeTable<'_>, key: &str) -> Option<u64> {
    let DeValue::Integer(integer) = table.get(key)?.get_ref() else {
        return None;
    };
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// 16 hexadecimal digits.
fn generation(table: &DeTable<'_>) -> Option<u64> {
    let text = text(table, "generation")?;
    let hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| hex)
}

fn once<T, K: PartialEq>(items: &[T], key: impl Fn(&T) -> K) -> bool {
    (1..items.len()).all(|at| items[..at].iter().all(|item| key(item) != key(&items[at])))
}

fn moment_bytes(moment: Option<i128>) -> [u8; 8] {
    u64::try_from(moment.unwrap_or(0)).unwrap().to_le_bytes()
}

fn origin_bytes(origin: Origin) -> Vec<u8> {
    let Origin::Local(uid) = origin else {
        panic!("{origin} is not of this scene");
    };
    let mut out = vec![0];
    out.extend(u128::from(uid).to_le_bytes());
    out
}

/// Bytes that were not read yet.
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(self.take(bytes)?);
        Some(u64::from_le_bytes(number))
    }

    /// The name of a service or nothing: the name of a file, in ASCII.
    fn service(&mut self) -> Option<()> {
        let name = self.list(32, |from| u8::try_from(from.number(1)?).ok())?;
        let plain = name
            .iter()
            .all(|byte| (b'!'..=b'~').contains(byte) && *byte != b'/');
        (plain && name.first() != Some(&b'.')).then_some(())
    }

    fn truth(&mut self) -> Option<bool> {
        let byte = self.number(1)?;
        (byte < 2).then_some(byte == 1)
    }

    fn moment(&mut self) -> Option<Option<i128>> {
        let at = self.number(8)?;
        Some((at != 0).then_some(at.into()))
    }

    fn origin(&mut self) -> Option<Origin> {
        let tag = self.number(1)?;
        let number = u128::from_le_bytes(self.take(16)?.try_into().ok()?);
        match tag {
            0 => Some(Origin::Local(number.try_into().ok()?)),
            4 => Some(Origin::Address(
                std::net::Ipv4Addr::from(u32::try_from(number).ok()?).into(),
            )),
            6 => Some(Origin::Address(std::net::Ipv6Addr::from(number).into())),
            _ => None,
        }
    }

    fn known(&mut self) -> Option<Known> {
        Some(Known {
            origin: self.origin()?,
            failures: self.number(4)?.try_into().ok()?,
            until: self.moment()?,
            trusted: self.truth()?,
        })
    }

    fn used(&mut self) -> Option<(u64, Used)> {
        let generation = self.number(8)?;
        self.number(8)?;
        let drift = Drift {
            last: i32::from_le_bytes(self.take(4)?.try_into().ok()?),
            kept: i32::from_le_bytes(self.take(4)?.try_into().ok()?),
            lean: i8::from_le_bytes(self.take(1)?.try_into().ok()?),
        };
        let floor = self.list(1, |from| from.number(8))?.pop();
        let runs = self.list(64, |from| {
            let last = from.number(8)?;
            Some((last.checked_sub(from.number(4)?)?, last))
        })?;
        let apart = |pair: &[(u64, u64)]| pair[0].1.saturating_add(1) < pair[1].0;
        let used = Used { floor, runs, drift };
        used.runs
            .windows(2)
            .all(apart)
            .then_some((generation, used))
    }

    pub fn list<T>(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::try_from(self.number(1)?).ok()?;
        (count <= most).then_some(())?;
        (0..count).map(|_| item(self)).collect()
    }
}
