//! A user as the RFCs, DESIGN and FILEFORMAT.md have her, in the plainest terms: what an answer of hers should come to. The
//! policy is the default one, and nothing was forgotten at a boot.

use hmac::{Hmac, KeyInit, Mac};
use otp::origin::Origin;
use otp::verify::{Acceptance, Method, Reason, Verdict};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::used::{AHEAD, Used, near};
use super::waits::{DRIP, LOCK, Waits};

/// Codes that are looked at for another time.
const OTHERS: u64 = 40;
pub const DAY: u64 = 86_400;
/// Places that are remembered.
const PLACES: usize = 8;
/// Wrong answers after which a stored code hears no more: from one origin, from all.
const TRIES_THERE: u32 = 5;
const TRIES: u32 = 50;
/// And one that was sent.
const TRIES_SENT: u32 = 10;
/// Of several reasons the first one here is told. The first five are those of codes that were right once.
const GRAVEST: [Reason; 7] = [
    Reason::Used,
    Reason::Withdrawn,
    Reason::Expired,
    Reason::ClockBehind,
    Reason::TooEarly,
    Reason::Locked,
    Reason::Throttled,
];

#[derive(Clone, Default)]
pub struct Person {
    pub disabled: bool,
    pub authenticators: Vec<Shows>,
    /// By generation.
    pub used: Vec<(u64, Used)>,
    pub recovery: Option<List>,
    /// Generation and a bit a code.
    pub recovered: Vec<(u64, u64)>,
    pub codes: Vec<Code>,
    pub waits: Waits,
    /// Wrong answers at codes that were sent, since she was let in last.
    pub sent_wrong: u32,
    /// Seconds for which a place is remembered, if any is.
    pub remembers: Option<u64>,
    /// Where she was let in and when.
    pub remembered: Vec<(Origin, u64)>,
}

/// What shows codes.
#[derive(Clone)]
pub struct Shows {
    pub generation: u64,
    pub secret: Vec<u8>,
    pub hash: String,
    pub digits: usize,
    /// Of what shows a code by time.
    pub period: Option<u64>,
    pub enrolled: u64,
}

/// Recovery codes.
#[derive(Clone)]
pub struct List {
    pub generation: u64,
    pub digests: Vec<[u8; 32]>,
    /// They are of other software and so long.
    pub digits: Option<usize>,
}

/// A stored code.
#[derive(Clone)]
pub struct Code {
    pub id: [u8; 4],
    pub digits: usize,
    pub digest: [u8; 32],
    pub issued: u64,
    pub expires: u64,
    pub fate: Fate,
    /// By a channel.
    pub was_sent: bool,
    pub tries: Vec<(Origin, u32)>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Fate {
    Live,
    Used,
    Expired,
    Withdrawn,
}

/// What became of one answer.
#[derive(Default)]
pub struct Heard {
    accepted: Option<Acceptance>,
    pub reasons: Vec<Reason>,
    /// It was compared with codes of an authenticator, or of other software, and was none.
    pub guessed: bool,
    /// It was such a code and is dead.
    pub dead: bool,
    missed: Vec<usize>,
}

impl Heard {
    pub fn accept(&mut self, method: Method, offset: Option<i64>) {
        self.accepted.get_or_insert(Acceptance { method, offset });
    }
}

impl Person {
    /// What must come of this answer, from there, at this time; and what it does to her.
    pub fn expect(&mut self, typed: &str, from: Origin, now: u64) -> Verdict {
        if self.disabled {
            return Verdict::Refused(Reason::Disabled);
        }
        let drip = self.drip();
        self.waits.pass(now.into(), drip);
        for code in &mut self.codes {
            if code.fate == Fate::Live && now >= code.ends() {
                code.fate = Fate::Expired;
            }
        }
        let mut heard = Heard::default();
        if typed.len() <= 10 {
            let shut = self.waits.shut(from, now.into(), drip);
            self.authenticated(&mut heard, typed, shut, now);
            self.scratch(&mut heard, typed, shut);
            self.stored(&mut heard, typed, from, now);
        } else if self.recovery.as_ref().is_some_and(|l| l.digits.is_none()) {
            self.recovery_code(&mut heard, b"recovery", typed);
        }
        self.close(&heard, typed, from, now, drip)
    }

    /// Whether she is let in from there without an answer.
    pub fn is_known(&self, from: Origin, now: u64) -> bool {
        let mut waits = self.waits.clone();
        waits.pass(now.into(), self.drip());
        let shut = waits.shut(from, now.into(), self.drip());
        let span = self.remembers.unwrap_or(0);
        let lately =
            |(origin, at): &(Origin, u64)| *origin == from && (*at..at + span).contains(&now);
        !self.disabled && shut.is_none() && self.remembered.iter().any(lately)
    }

    /// Seconds in which the account's bucket leaks one failure: as much longer as more than three codes are right now.
    pub fn drip(&self) -> i128 {
        let right = |shows: &Shows| match shows.period {
            Some(_) => near(self.used_of(shows).learned()).count() as u64,
            None => AHEAD + 1,
        };
        let right: u64 = self.authenticators.iter().map(right).sum();
        DRIP * i128::from(right.max(3)) / 3
    }

    pub fn used_of(&self, shows: &Shows) -> &Used {
        let mut all = self.used.iter();
        let of = |(generation, _): &&(u64, Used)| *generation == shows.generation;
        &all.find(of).expect("a known secret").1
    }

    fn authenticated(&mut self, heard: &mut Heard, typed: &str, shut: Option<Reason>, now: u64) {
        let alike = self.authenticators.iter();
        for shows in alike.filter(|shows| shows.digits == typed.len()) {
            if let Some(reason) = shut {
                heard.reasons.push(reason);
                continue;
            }
            let of = |(generation, _): &&mut (u64, Used)| *generation == shows.generation;
            let (_, used) = self.used.iter_mut().find(of).expect("a known secret");
            match shows.period {
                Some(period) => used.by_time(heard, shows, typed, now, period),
                None => used.by_counter(heard, shows, typed),
            }
        }
    }

    /// A recovery code of other software.
    fn scratch(&mut self, heard: &mut Heard, typed: &str, shut: Option<Reason>) {
        if self.recovery.as_ref().and_then(|list| list.digits) != Some(typed.len()) {
            return;
        }
        match shut {
            Some(reason) => heard.reasons.push(reason),
            None => heard.guessed |= !self.recovery_code(heard, b"scratch", typed),
        }
    }

    fn stored(&mut self, heard: &mut Heard, typed: &str, from: Origin, now: u64) {
        for (index, code) in self.codes.iter_mut().enumerate() {
            if code.digits != typed.len() {
                continue;
            }
            let right = code.digest == digest(b"stored", &code.id, typed);
            let there = code.tries.iter().find(|(origin, _)| *origin == from);
            let most = if code.was_sent { TRIES_SENT } else { TRIES };
            let hears = there.is_none_or(|(_, tries)| *tries < TRIES_THERE)
                && code.tries.iter().map(|(_, n)| u64::from(*n)).sum::<u64>() < most.into();
            match code.fate {
                Fate::Used if right => heard.reasons.push(Reason::Used),
                Fate::Expired if right => heard.reasons.push(Reason::Expired),
                Fate::Withdrawn if right => heard.reasons.push(Reason::Withdrawn),
                Fate::Live if code.issued > now => {
                    heard.reasons.extend(right.then_some(Reason::ClockBehind));
                }
                Fate::Live if code.was_sent && self.sent_wrong >= LOCK => {
                    heard.reasons.push(Reason::Locked);
                }
                Fate::Live if !hears => heard.reasons.push(Reason::Throttled),
                Fate::Live if right => {
                    code.fate = Fate::Used;
                    heard.accept(Method::Issued, None);
                }
                Fate::Live => heard.missed.push(index),
                Fate::Used | Fate::Expired | Fate::Withdrawn => {}
            }
        }
    }

    /// Whether there is such a code.
    fn recovery_code(&mut self, heard: &mut Heard, purpose: &[u8], typed: &str) -> bool {
        let list = self.recovery.as_ref().expect("a list");
        let this = digest(purpose, &list.generation.to_le_bytes(), typed);
        let Some(index) = list.digests.iter().rposition(|kept| *kept == this) else {
            return false;
        };
        let of = |(generation, _): &&mut (u64, u64)| *generation == list.generation;
        let (_, used) = self.recovered.iter_mut().find(of).expect("a known list");
        if *used >> index & 1 == 1 {
            heard.dead = true;
            heard.reasons.push(Reason::Used);
        } else {
            *used |= 1 << index;
            heard.accept(Method::Recovery, None);
        }
        true
    }

    /// The verdict and what it costs.
    fn close(&mut self, heard: &Heard, typed: &str, from: Origin, now: u64, drip: i128) -> Verdict {
        if let Some(acceptance) = heard.accepted {
            self.waits.succeed(from);
            self.sent_wrong = 0;
            if self.remembers.is_some() && matches!(from, Origin::Address(_)) {
                self.remembered.retain(|(origin, _)| *origin != from);
                self.remembered.push((from, now));
                let more = self.remembered.len().saturating_sub(PLACES);
                self.remembered.drain(..more);
            }
            return Verdict::Accepted(acceptance);
        }
        let gravest = GRAVEST.iter().position(|r| heard.reasons.contains(r));
        let mut none = Reason::Mismatch;
        if heard.guessed && !heard.dead {
            self.waits.fail(from, now.into(), drip);
            none = self.other_time(typed, now).map_or(none, Reason::OtherTime);
        }
        if gravest.is_none_or(|at| at >= 5) {
            for index in &heard.missed {
                self.codes[*index].miss(from);
            }
            if heard.missed.iter().any(|index| self.codes[*index].was_sent) {
                self.sent_wrong = self.sent_wrong.saturating_add(1);
            }
        }
        Verdict::Refused(gravest.map_or(none, |at| GRAVEST[at]))
    }

    /// How far from now an answer is right that is not right now.
    fn other_time(&self, typed: &str, now: u64) -> Option<i64> {
        let share = OTHERS / self.authenticators.len() as u64;
        let alike = self.authenticators.iter();
        let mut alike = alike.filter(|shows| shows.digits == typed.len());
        alike.find_map(|shows| {
            let (here, away) = match shows.period {
                Some(period) => (now / period, share / 2),
                None => (self.used_of(shows).next()?, share - 1),
            };
            let away = i64::try_from(away).unwrap();
            let mut offsets = (0..=away).flat_map(|away| [away, -away]);
            offsets.find(|offset| {
                let at = here.checked_add_signed(*offset);
                let is_there = *offset >= 0 || shows.period.is_some();
                is_there && at.is_some_and(|at| shows.code(at) == typed)
            })
        })
    }
}

impl Code {
    /// The first second at which it is over, whatever its record says.
    fn ends(&self) -> u64 {
        self.expires.min(self.issued.saturating_add(DAY))
    }

    fn miss(&mut self, from: Origin) {
        match self.tries.iter_mut().find(|(origin, _)| *origin == from) {
            Some((_, tries)) => *tries += 1,
            None => self.tries.push((from, 1)),
        }
    }
}

impl Shows {
    /// RFC 4226 section 5.3, RFC 6238 section 1.2.
    pub fn code(&self, step: u64) -> String {
        let text = [&step.to_be_bytes()[..]];
        let tag = match &*self.hash {
            "sha1" => mac::<Hmac<Sha1>>(&self.secret, &text),
            "sha256" => mac::<Hmac<Sha256>>(&self.secret, &text),
            "sha512" => mac::<Hmac<Sha512>>(&self.secret, &text),
            other => panic!("{other} is no hash"),
        };
        let at = usize::from(tag[tag.len() - 1] & 15);
        let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        let digits = self.digits;
        format!("{:0digits$}", number % 10_u32.pow(digits as u32))
    }
}

/// FILEFORMAT.md, "Keyed digests": alice's, under the key of `format`.
pub fn digest(purpose: &[u8], of: &[u8], code: &str) -> [u8; 32] {
    let parts = [purpose, b"alice", of, code.as_bytes()];
    let lengths = parts.map(|part| u32::try_from(part.len()).unwrap().to_le_bytes());
    let with_lengths: Vec<&[u8]> = lengths
        .iter()
        .zip(parts)
        .flat_map(|(length, part)| [&length[..], part])
        .collect();
    let tag = mac::<Hmac<Sha256>>(&super::format::KEY, &with_lengths);
    tag.try_into().unwrap()
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
