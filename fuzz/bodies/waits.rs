//! How guessing is bounded, as DESIGN and FILEFORMAT.md have it: the waits of one user under the default policy.

use std::net::{IpAddr, Ipv4Addr};

use otp::origin::Origin;
use otp::verify::Reason;

/// Seconds in which the account's bucket leaks one failure, where three codes are right at one moment: eight a day.
pub const DRIP: i128 = 86_400 / 8;
/// Failures that the bucket holds, and how many of them are for those who were let in before.
pub const BURST: i128 = 12;
const RESERVED: i128 = 3;
/// Failures in a row with which holds begin, the first one's seconds, and the longest's.
const FREE: u32 = 3;
const FIRST: i128 = 30;
const LONGEST: i128 = 86_400;
/// Failures since the last acceptance after which no authenticator is heard (NIST SP 800-63B-4 section 3.2.2).
pub const LOCK: u32 = 100;
/// Origins remembered of each kind.
pub const EACH: usize = 8;

/// What is remembered of failures. Times are seconds.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    pub failures: u32,
    pub dry: Option<i128>,
    pub counted: Option<i128>,
    /// The one heard of last comes last.
    pub origins: Vec<Known>,
}

/// How the place is kept from which somebody on this machine calls, over the network or not.
pub const LOOPBACK: Origin = Origin::Address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1)));

/// One origin.
#[derive(Clone, Debug)]
pub struct Known {
    pub origin: Origin,
    pub failures: u32,
    pub until: Option<i128>,
    pub trusted: bool,
}

impl Waits {
    /// It is `now`. Where that is before the last failure, every wait is as much earlier. The bucket leaks a failure in
    /// `drip` seconds.
    pub fn pass(&mut self, now: i128, drip: i128) {
        let back = self.counted.map_or(0, |at| (at - now).max(0));
        self.counted = self.counted.map(|at| at.min(now));
        let read = |at: i128, longest| (at - back).min(now + longest);
        self.dry = self.dry.map(|at| read(at, drip * BURST));
        self.dry = self.dry.filter(|at| *at > now);
        for known in &mut self.origins {
            known.until = known.until.map(|at| read(at, LONGEST));
        }
        self.origins
            .retain(|known| known.trusted || known.until.is_none_or(|at| at + LONGEST > now));
    }

    /// Why nothing from there is compared with an authenticator's codes now, if so.
    pub fn shut(&self, from: Origin, now: i128, drip: i128) -> Option<Reason> {
        if self.failures >= LOCK {
            return Some(Reason::Locked);
        }
        let known = self.origins.iter().find(|known| known.origin == from);
        let share = match known {
            Some(known) if known.trusted => BURST,
            _ => BURST - RESERVED,
        };
        let own = known.and_then(|known| known.until).unwrap_or(0) > now;
        // Full to the brim is one failure less than the next one needs.
        let full = self.dry.is_some_and(|dry| dry - now > drip * (share - 1));
        (own || full).then_some(Reason::Throttled)
    }

    pub fn fail(&mut self, from: Origin, now: i128, drip: i128) {
        self.failures = self.failures.saturating_add(1);
        self.counted = Some(now);
        self.dry = Some(self.dry.map_or(now, |dry| dry.max(now)) + drip);
        let mut known = self.take(from);
        known.failures = known.failures.saturating_add(1);
        known.until = known.failures.checked_sub(FREE).map(|more| {
            let hold = (0..more.min(20)).fold(FIRST, |hold, _| hold * 4);
            now + hold.min(LONGEST)
        });
        self.remember(known);
    }

    pub fn succeed(&mut self, from: Origin) {
        self.failures = 0;
        let mut known = self.take(from);
        known.failures = 0;
        known.until = None;
        known.trusted = true;
        self.remember(known);
    }

    /// `otpctl unlock`.
    pub fn unlock(&mut self) {
        let trusted = self.origins.drain(..).filter(|known| known.trusted);
        let origins = trusted
            .map(|known| Known {
                failures: 0,
                until: None,
                ..known
            })
            .collect();
        *self = Self {
            origins,
            ..Self::default()
        };
    }

    fn take(&mut self, from: Origin) -> Known {
        match self.origins.iter().position(|known| known.origin == from) {
            Some(at) => self.origins.remove(at),
            None => Known {
                origin: from,
                failures: 0,
                until: None,
                trusted: false,
            },
        }
    }

    fn remember(&mut self, known: Known) {
        let alike = |other: &Known| other.trusted == known.trusted;
        if self.origins.iter().filter(|other| alike(other)).count() >= EACH {
            let oldest = self.origins.iter().position(alike).unwrap();
            self.origins.remove(oldest);
        }
        self.origins.push(known);
    }
}
