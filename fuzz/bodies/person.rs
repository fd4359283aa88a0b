//! A user as the RFCs, DESIGN and FILEFORMAT.md have her, in the plainest terms: what an answer of hers should come to. The
//! policy is the default one, and nothing was forgotten at a boot.

use hmac::{Hmac, KeyInit, Mac};
use otp::origin::Origin;
use otp::verify::{Acceptance, Method, Reason, Verdict};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::waits::Waits;

/// Steps on each side of now.
const WINDOW: u64 = 1;
const DAY: u64 = 86_400;
/// Wrong answers after which a stored code hears no more: from one origin, from all.
const TRIES_THERE: u32 = 5;
const TRIES: u32 = 50;
/// Of several reasons the first one here is told. The first four are those of codes that were right once.
const GRAVEST: [Reason; 6] = [
    Reason::Used,
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
    /// Generation and digests.
    pub recovery: Option<(u64, Vec<[u8; 32]>)>,
    /// Generation and a bit a code.
    pub recovered: Vec<(u64, u64)>,
    pub codes: Vec<Code>,
    pub waits: Waits,
}

/// What shows time-based codes.
#[derive(Clone)]
pub struct Shows {
    pub generation: u64,
    pub secret: Vec<u8>,
    pub hash: String,
    pub digits: usize,
    pub period: u64,
    pub enrolled: u64,
}

/// Steps whose codes are dead.
#[derive(Clone, Default)]
pub struct Used {
    pub floor: Option<u64>,
    /// First and last.
    pub runs: Vec<(u64, u64)>,
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
    pub tries: Vec<(Origin, u32)>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Fate {
    Live,
    Used,
    Expired,
}

/// What became of one answer.
#[derive(Default)]
struct Heard {
    accepted: Option<Acceptance>,
    reasons: Vec<Reason>,
    /// It was compared with a time-based code and was none.
    guessed: bool,
    /// It was a time-based code that is dead.
    dead: bool,
    missed: Vec<usize>,
}

impl Heard {
    fn accept(&mut self, method: Method, offset: Option<i64>) {
        self.accepted.get_or_insert(Acceptance { method, offset });
    }
}

impl Person {
    /// What must come of this answer, from there, at this time; and what it does to her.
    pub fn expect(&mut self, typed: &str, from: Origin, now: u64) -> Verdict {
        if self.disabled {
            return Verdict::Refused(Reason::Disabled);
        }
        self.waits.pass(now.into());
        for code in &mut self.codes {
            if code.fate == Fate::Live && now >= code.ends() {
                code.fate = Fate::Expired;
            }
        }
        let mut heard = Heard::default();
        if typed.len() <= 10 {
            self.time_based(&mut heard, typed, from, now);
            self.stored(&mut heard, typed, from, now);
        } else {
            self.recovery_code(&mut heard, typed);
        }
        self.close(&heard, from, now)
    }

    fn time_based(&mut self, heard: &mut Heard, typed: &str, from: Origin, now: u64) {
        let shut = self.waits.shut(from, now.into());
        for shows in &self.authenticators {
            if shows.digits != typed.len() {
                continue;
            }
            if let Some(reason) = shut {
                heard.reasons.push(reason);
                continue;
            }
            let step = now / shows.period;
            let first = step.saturating_sub(WINDOW);
            let mut right: Vec<u64> = (first..=step + WINDOW)
                .filter(|step| shows.code(*step) == typed)
                .collect();
            let found = !right.is_empty();
            right.retain(|step| *step >= shows.enrolled.saturating_sub(DAY) / shows.period);
            if right.is_empty() {
                heard.guessed = true;
                if found {
                    heard.dead = true;
                    heard.reasons.push(Reason::ClockBehind);
                }
                continue;
            }
            let of = |(generation, _): &&mut (u64, Used)| *generation == shows.generation;
            let (_, used) = self.used.iter_mut().find(of).expect("a known secret");
            right.retain(|step| !used.is_dead(*step, now / shows.period + WINDOW));
            if let Some(last) = right.last() {
                used.runs.push((*last, *last));
                let offset = i64::try_from(*last).unwrap() - i64::try_from(step).unwrap();
                heard.accept(Method::Totp, Some(offset));
            } else {
                heard.dead = true;
                heard.reasons.push(Reason::Used);
            }
        }
    }

    fn stored(&mut self, heard: &mut Heard, typed: &str, from: Origin, now: u64) {
        for (index, code) in self.codes.iter_mut().enumerate() {
            if code.digits != typed.len() {
                continue;
            }
            let right = code.digest == digest(b"stored", &code.id, typed);
            let there = code.tries.iter().find(|(origin, _)| *origin == from);
            let hears = there.is_none_or(|(_, tries)| *tries < TRIES_THERE)
                && code.tries.iter().map(|(_, n)| u64::from(*n)).sum::<u64>() < TRIES.into();
            match code.fate {
                Fate::Used if right => heard.reasons.push(Reason::Used),
                Fate::Expired if right => heard.reasons.push(Reason::Expired),
                Fate::Live if code.issued > now => {
                    heard.reasons.extend(right.then_some(Reason::ClockBehind));
                }
                Fate::Live if !hears => heard.reasons.push(Reason::Throttled),
                Fate::Live if right => {
                    code.fate = Fate::Used;
                    heard.accept(Method::Issued, None);
                }
                Fate::Live => heard.missed.push(index),
                Fate::Used | Fate::Expired => {}
            }
        }
    }

    fn recovery_code(&mut self, heard: &mut Heard, typed: &str) {
        let Some((list, digests)) = &self.recovery else {
            return;
        };
        let this = digest(b"recovery", &list.to_le_bytes(), typed);
        let Some(index) = digests.iter().rposition(|kept| *kept == this) else {
            return;
        };
        let of = |(generation, _): &&mut (u64, u64)| generation == list;
        let (_, used) = self.recovered.iter_mut().find(of).expect("a known list");
        if *used >> index & 1 == 1 {
            heard.reasons.push(Reason::Used);
        } else {
            *used |= 1 << index;
            heard.accept(Method::Recovery, None);
        }
    }

    /// The verdict and what it costs.
    fn close(&mut self, heard: &Heard, from: Origin, now: u64) -> Verdict {
        if let Some(acceptance) = heard.accepted {
            self.waits.succeed(from);
            return Verdict::Accepted(acceptance);
        }
        let gravest = GRAVEST.iter().position(|r| heard.reasons.contains(r));
        if heard.guessed && !heard.dead {
            self.waits.fail(from, now.into());
        }
        if gravest.is_none_or(|at| at >= 4) {
            for index in &heard.missed {
                self.codes[*index].miss(from);
            }
        }
        Verdict::Refused(gravest.map_or(Reason::Mismatch, |at| GRAVEST[at]))
    }
}

impl Used {
    fn is_dead(&self, step: u64, horizon: u64) -> bool {
        let by = |(first, last): &(u64, u64)| {
            let at_or_below_one_not_in_the_future =
                *first <= horizon && step <= *last.min(&horizon);
            (*first..=*last).contains(&step) || at_or_below_one_not_in_the_future
        };
        self.floor.is_some_and(|floor| step <= floor) || self.runs.iter().any(by)
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
