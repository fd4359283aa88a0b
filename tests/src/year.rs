//! A year of guessing, simulated on the throttle and `verify` as they are: an owner who logs in every day and mistypes
//! now and then, and somebody who has her password and never tires. What comes of it is in docs/guessing.md;
//! `cargo run --release -p tests --example guessing_year` makes its tables.
//!
//! All the attacker is ever told is "no", so whatever he plans is a list of guesses and moments made in advance, and his
//! chance is at most the sum over his guesses of the codes that are good at that moment: [`bound`].

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use otp::enrollment::{Authenticator, Enrollment, Generation, Kind, RecoveryList};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{CodeId, StoredCode};
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::secret::Secret;
use otp::state::{AuthenticatorState, RecoveryState};
use otp::throttle::Gate;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::UserName;
use otp::verify::{Attempt, Method, Record, Verdict, verify};
use rand::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

pub(crate) const DAY: u64 = 24 * 60 * 60;
pub(crate) const DAYS: u64 = 365;
pub(crate) const NEW_YEAR: UnixTime = UnixTime::from_secs(1_798_761_600);
/// Where the owner logs in from, but for one day in [`AWAY`].
pub(crate) const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const AWAY: u64 = 20;
/// One login in so many has one or two typos.
const TYPOS: u64 = 15;
/// Recovery codes of a list; a new one is printed when the last is used.
const RECOVERY_CODES: u64 = 10;

/// What a user types, and how many steps around now are good.
#[derive(Clone, Copy)]
pub struct Setting {
    pub window: u8,
    pub digits: u64,
}

impl Setting {
    /// What everybody has who sets nothing.
    pub const DEFAULT: Self = Self {
        window: 1,
        digits: 6,
    };

    fn policy(self) -> Policy {
        Policy {
            window: self.window,
            ..Policy::default()
        }
    }
}

/// Who guesses.
#[derive(Clone, Copy)]
pub struct Attacker {
    /// In the words of the table.
    pub who: &'static str,
    /// From so many addresses, which take turns.
    pub addresses: u32,
    pub plan: Plan,
}

/// When he guesses at time-based codes. Stored codes he always guesses at as often as he is heard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Whenever he is heard.
    Always,
    /// Only after the owner logged in and cleared the count, and when all codes are fresh again.
    AfterOwner,
    /// Only when the bucket is dry, and then all of it at once.
    Bursts,
    /// Whenever he is heard, from the owner's own address.
    BesideOwner,
}

/// The attackers of the table.
pub const ATTACKERS: [Attacker; 6] = [
    Attacker {
        who: "1 address, whenever heard",
        addresses: 1,
        plan: Plan::Always,
    },
    Attacker {
        who: "100 addresses, whenever heard",
        addresses: 100,
        plan: Plan::Always,
    },
    Attacker {
        who: "100,000 addresses, whenever heard",
        addresses: 100_000,
        plan: Plan::Always,
    },
    Attacker {
        who: "100,000 addresses, after her logins",
        addresses: 100_000,
        plan: Plan::AfterOwner,
    },
    Attacker {
        who: "100,000 addresses, all at once",
        addresses: 100_000,
        plan: Plan::Bursts,
    },
    Attacker {
        who: "from the owner's own address",
        addresses: 1,
        plan: Plan::BesideOwner,
    },
];

/// What came of one year.
#[derive(Clone, Copy, Default, Debug)]
pub struct Year {
    /// Guesses that were compared with a time-based code.
    pub guesses: u32,
    /// Guesses that were compared with a stored code.
    pub stored_guesses: u32,
    /// Whether one was right.
    pub broken_into: bool,
    /// How likely that was: from the codes that were good at each guess.
    pub chance: f64,
    /// Days on which she got in with her phone.
    pub by_phone: u32,
    /// Days on which it took a stored code.
    pub by_stored: u32,
    /// Days on which it took a recovery code.
    pub by_recovery: u32,
    /// Days on which nothing helped.
    pub shut_out: u32,
    /// Days on which her phone did not get her in where she always logs in.
    pub refused_at_home: u32,
}

/// The most guesses a year that strangers together, or whoever stands beside the owner, can have.
pub fn most_guesses(policy: &Policy) -> u32 {
    policy.throttle.burst + policy.throttle.per_day * DAYS as u32
}

/// The most that a year of guessing can come to, as a probability.
pub fn bound(setting: Setting) -> f64 {
    let codes = f64::from(2 * u32::from(setting.window) + 1);
    f64::from(most_guesses(&setting.policy())) * codes / space(setting.digits)
}

pub(crate) fn space(digits: u64) -> f64 {
    10_f64.powi(digits as i32)
}

/// One year: the same `seed`, the same year.
pub fn simulate(setting: Setting, attacker: Attacker, seed: u64) -> Year {
    let mut world = World::new(setting, attacker, seed);
    world.log_in(world.now, HOME, 0);
    for day in 0..DAYS {
        let morning = NEW_YEAR.plus(Duration::from_secs(day * DAY + 7 * 60 * 60));
        let login = morning.plus(Duration::from_secs(world.dice.below(15 * 60 * 60)));
        world.guess_until(login);
        world.live_a_day(login);
        world.guess_until(NEW_YEAR.plus(Duration::from_secs((day + 1) * DAY)));
        if world.year.broken_into {
            break;
        }
    }
    world.year.chance = 1.0 - world.safe;
    world.year
}

/// The owner, the attacker, and the machine between them.
struct World {
    setting: Setting,
    attacker: Attacker,
    policy: Policy,
    record: Record,
    dice: Dice,
    now: UnixTime,
    owner_seen: UnixTime,
    guessed_at: UnixTime,
    turn: u32,
    travels: u32,
    recovery_used: u64,
    /// How likely it is that no guess was right so far.
    safe: f64,
    year: Year,
}

impl World {
    fn new(setting: Setting, attacker: Attacker, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut world = Self {
            setting,
            attacker,
            policy: setting.policy(),
            record: record(setting, &mut dice),
            dice,
            now: NEW_YEAR.minus(Duration::from_secs(60 * 60)),
            owner_seen: NEW_YEAR,
            guessed_at: UnixTime::EPOCH,
            turn: 0,
            travels: 0,
            recovery_used: 0,
            safe: 1.0,
            year: Year::default(),
        };
        world.print_recovery_codes();
        world
    }

    // The owner.

    /// One login by whatever means it takes, and what it took.
    fn live_a_day(&mut self, login: UnixTime) {
        let mistypes = self.dice.one_in(TYPOS);
        let typos = if mistypes { 1 + self.dice.below(2) } else { 0 };
        let from = if self.dice.one_in(AWAY) {
            self.travels += 1;
            Ipv4Addr::from_bits(0xc612_0000 + self.travels)
        } else {
            HOME
        };
        if self.log_in(login, from, typos) {
            self.year.by_phone += 1;
            return;
        }
        self.year.refused_at_home += u32::from(from == HOME);
        let origin = Origin::of_address(from.into());
        let code = self.issue();
        self.guess_at_stored();
        let recovery = format!("{:016}", self.recovery_used);
        if self.answer(&code, origin).is_some() {
            self.year.by_stored += 1;
        } else if self.answer(&recovery, origin) == Some(Method::Recovery) {
            self.year.by_recovery += 1;
            self.recovery_used += 1;
            if self.recovery_used % RECOVERY_CODES == 0 {
                self.print_recovery_codes();
            }
        } else {
            self.year.shut_out += 1;
        }
    }

    /// With her phone, after so many typos, 20 s each.
    fn log_in(&mut self, login: UnixTime, from: Ipv4Addr, typos: u64) -> bool {
        let origin = Origin::of_address(from.into());
        self.now = login;
        for _ in 0..typos {
            let typo = mistyped(&self.shown());
            self.answer(&typo, origin);
            self.now = self.now.plus(Duration::from_secs(20));
        }
        let code = self.shown();
        self.owner_seen = self.now;
        self.answer(&code, origin).is_some()
    }

    fn shown(&self) -> String {
        let phone = self.phone();
        let step = TimeStep::at(self.now, Period::THIRTY);
        let code = totp::code(&phone.secret, phone.algorithm, phone.length, step);
        code.expose().to_owned()
    }

    fn phone(&self) -> &Authenticator {
        let enrollment = self.record.enrollment.as_ref().unwrap();
        &enrollment.authenticators[0]
    }

    /// The desk issues a code of eight digits for ten minutes.
    fn issue(&mut self) -> String {
        let code = format!("{:08}", self.dice.below(100_000_000));
        let id = CodeId::from_bytes((self.dice.next() as u32).to_le_bytes());
        let Ok(Passcode::Digits(digits)) = Passcode::parse(code.as_bytes()) else {
            unreachable!("eight digits");
        };
        self.record.issued = vec![StoredCode::fresh(
            id,
            8,
            key().stored(&self.record.user, id, &digits),
            self.now,
            Duration::from_secs(600),
        )];
        code
    }

    fn print_recovery_codes(&mut self) {
        let generation = Generation::from_bits(1_000 + self.recovery_used);
        let codes = self.recovery_used..self.recovery_used + RECOVERY_CODES;
        let digests = codes.map(|n| {
            let Ok(Passcode::Recovery(code)) = Passcode::parse(format!("{n:016}").as_bytes())
            else {
                unreachable!("sixteen characters");
            };
            key().recovery(&self.record.user, generation, &code)
        });
        let list = RecoveryList {
            generation,
            digests: digests.collect(),
            digits: None,
        };
        self.record.enrollment.as_mut().unwrap().recovery = Some(list);
        self.record.state.recovery = vec![RecoveryState {
            generation,
            used: 0,
        }];
    }

    // The attacker.

    /// Every guess his plan has until then.
    fn guess_until(&mut self, end: UnixTime) {
        while let Some((origin, at)) = self.next_chance(end) {
            self.now = at;
            self.guess(origin);
            if self.year.broken_into {
                return;
            }
        }
        self.now = self.now.max(end);
    }

    /// From where he is heard next, and when, if that is before `end`.
    fn next_chance(&self, end: UnixTime) -> Option<(Origin, UnixTime)> {
        let mut throttle = self.record.state.throttle.clone();
        let mut from = self.now;
        match self.attacker.plan {
            Plan::AfterOwner => {
                let fresh = self.owner_seen.plus(Duration::from_secs(91));
                let over = self.owner_seen.plus(Duration::from_secs(60 * 60));
                from = from.max(fresh);
                if from >= over {
                    return None;
                }
            }
            // Once begun, all of it in the same second.
            Plan::Bursts if from != self.guessed_at => {
                from = from.max(throttle.dry_at.unwrap_or(from));
            }
            Plan::Bursts | Plan::Always | Plan::BesideOwner => {}
        }
        throttle.settle(from, &self.policy.throttle);
        let heard = |n: u32| {
            let origin = self.address(n);
            match throttle.gate(&origin, from, &self.policy.throttle) {
                Gate::Open => Some((origin, from)),
                Gate::Held(until) => Some((origin, until)),
                Gate::Locked => None,
            }
        };
        // No more than eight strangers are remembered, so of ten in turn one is as fresh as any.
        let turns = 0..self.attacker.addresses.min(10);
        let next = turns.filter_map(heard).min_by_key(|(_, at)| *at)?;
        (next.1 < end).then_some(next)
    }

    fn address(&self, further: u32) -> Origin {
        if self.attacker.plan == Plan::BesideOwner {
            return Origin::of_address(HOME.into());
        }
        let n = (self.turn + further) % self.attacker.addresses;
        Origin::of_address(Ipv4Addr::from_bits(0x0a00_0000 + n).into())
    }

    /// One guess at her phone's codes, never the same twice in a thousand.
    fn guess(&mut self, origin: Origin) {
        self.turn += 1;
        self.guessed_at = self.now;
        self.safe *= 1.0 - f64::from(self.good_codes()) / space(self.setting.digits);
        let number = u64::from(self.turn) * 7_919 % 10_u64.pow(self.setting.digits as u32);
        let digits = self.setting.digits as usize;
        let before = self.record.state.throttle.failures;
        let answer = self.answer(&format!("{number:0digits$}"), origin);
        self.year.broken_into |= answer.is_some();
        let counted = answer.is_some() || self.record.state.throttle.failures == before + 1;
        // A guess at a code that is dead by now is free, and worth nothing.
        self.year.guesses += u32::from(counted);
    }

    /// How many codes would let him in now.
    fn good_codes(&self) -> u32 {
        let window = i64::from(self.setting.window);
        let now = TimeStep::at(self.now, Period::THIRTY);
        let horizon = now.offset(window).unwrap();
        let used = &self.record.state.authenticators[0].used;
        let steps = (-window..=window).map(|offset| now.offset(offset).unwrap());
        let good = steps.filter(|step| !used.is_dead(*step, horizon)).count();
        good as u32
    }

    /// As many guesses at the stored code as are heard, before its owner has typed it.
    fn guess_at_stored(&mut self) {
        for n in 0..100 {
            let before = self.record.issued[0].attempts();
            let guess = format!("{:08}", self.dice.below(100_000_000));
            let origin = self.address(n / 5);
            self.year.broken_into |= self.answer(&guess, origin).is_some();
            let heard = self.record.issued[0].attempts() > before;
            self.year.stored_guesses += u32::from(heard);
            if heard {
                self.safe *= 1.0 - 1.0 / space(8);
            }
        }
    }

    // The machine.

    /// What the module does with an answer; the method if it is accepted.
    fn answer(&mut self, typed: &str, origin: Origin) -> Option<Method> {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin,
            now: self.now,
        };
        let outcome = verify(&self.record, &attempt, &self.policy);
        for changed in outcome.changes.issued {
            self.record.issued = vec![changed];
        }
        if let Some(state) = outcome.changes.state {
            self.record.state = state;
        }
        match outcome.verdict {
            Verdict::Accepted(acceptance) => Some(acceptance.method),
            Verdict::Refused(_) => None,
        }
    }
}

pub(crate) fn key() -> DigestKey {
    DigestKey::from_bytes(Zeroizing::new([7; 32]))
}

/// An enrolled user, with a secret of her own in each year.
fn record(setting: Setting, dice: &mut Dice) -> Record {
    let generation = Generation::from_bits(1);
    let mut record = Record::none(UserName::parse("alice").unwrap());
    record.key = Some(key());
    let secret = (0..20).map(|_| dice.next() as u8).collect();
    record.enrollment = Some(Enrollment {
        authenticators: vec![Authenticator {
            name: "phone".to_owned(),
            generation,
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_bytes(Zeroizing::new(secret)).unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::new(setting.digits).unwrap(),
            issuer: "host".to_owned(),
            label: "alice".to_owned(),
            enrolled_at: NEW_YEAR,
        }],
        recovery: None,
    });
    record.state.authenticators = vec![AuthenticatorState::fresh(generation)];
    record
}

/// Her code with one digit wrong.
fn mistyped(code: &str) -> String {
    let (first, rest) = code.split_at(1);
    let digit: u8 = first.parse().unwrap();
    format!("{}{rest}", (digit + 1) % 10)
}

/// Sebastiano Vigna's splitmix64: the same from the same seed, everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl TryRng for Dice {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill_with(|| self.next() as u8);
        Ok(())
    }
}

/// It is none; what has to be drawn by one here is to be the same in every year.
impl TryCryptoRng for Dice {}

/// So many years of one attacker, added up.
pub struct Years {
    pub years: u32,
    pub most_guesses: u32,
    pub most_stored_guesses: u32,
    pub chance: f64,
    pub broken_into: u32,
    pub refused_at_home: u32,
    pub most_by_recovery: u32,
    pub shut_out: u32,
}

/// The first `years` years of an attacker, on as many threads as there are processors.
pub fn years(setting: Setting, attacker: Attacker, years: u32) -> Years {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let share = |first: u32| {
        let mine = (first..years).step_by(threads as usize);
        let each = move |year: u32| simulate(setting, attacker, u64::from(year) + 1);
        std::thread::spawn(move || mine.map(each).collect::<Vec<_>>())
    };
    let running: Vec<_> = (0..threads).map(share).collect();
    let mut of: Vec<Vec<Year>> = Vec::new();
    for thread in running {
        of.push(thread.join().unwrap());
    }
    let all = || of.iter().flatten();
    let most = |of: fn(&Year) -> u32| all().map(of).max().unwrap_or(0);
    // In the order of the years: a sum of fractions depends on it.
    let in_order = (0..years as usize).map(|n| of[n % threads as usize][n / threads as usize]);
    Years {
        years,
        most_guesses: most(|year| year.guesses),
        most_stored_guesses: most(|year| year.stored_guesses),
        chance: in_order.map(|year| year.chance).sum::<f64>() / f64::from(years),
        broken_into: all().map(|year| u32::from(year.broken_into)).sum(),
        refused_at_home: all().map(|year| year.refused_at_home).sum(),
        most_by_recovery: most(|year| year.by_recovery),
        shut_out: all().map(|year| year.shut_out).sum(),
    }
}

/// What cannot be passed, by window and digits.
pub fn bounds_table() -> String {
    let mut table = String::from(
        "| window | codes good at once | 6 digits | 7 digits | 8 digits |\n|---|---|---|---|---|\n",
    );
    for window in 0..=2 {
        let of = |digits| format!("{:.4} %", bound(Setting { window, digits }) * 100.0);
        let codes = 2 * window + 1;
        let (six, seven, eight) = (of(6), of(7), of(8));
        writeln!(table, "| {window} | {codes} | {six} | {seven} | {eight} |").unwrap();
    }
    table
}

/// So many years of every attacker at the default policy.
pub fn attackers(count: u32) -> Vec<(Attacker, Years)> {
    let each = |attacker| (attacker, years(Setting::DEFAULT, attacker, count));
    ATTACKERS.map(each).into()
}

/// The same as a table.
pub fn attackers_table(all: &[(Attacker, Years)]) -> String {
    let mut table = String::from(
        "| attacker | guesses at her phone's codes, worst year | at her stored codes | chance a year | years broken into | \
         days her phone was refused at home | recovery codes she used, worst year | days shut out |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (attacker, years) in all {
        writeln!(table, "| {} | {}", attacker.who, row(years)).unwrap();
    }
    table
}

/// So many years of a hundred thousand addresses at other settings.
pub fn settings_table(count: u32) -> String {
    let mut table = String::from(
        "| window, digits | guesses, worst year | at her stored codes | chance a year | years broken into | \
         days her phone was refused at home | recovery codes she used, worst year | days shut out |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for window in 0..=2 {
        for digits in 6..=8 {
            let all = years(Setting { window, digits }, ATTACKERS[2], count);
            writeln!(table, "| {window}, {digits} | {}", row(&all)).unwrap();
        }
    }
    table
}

fn row(all: &Years) -> String {
    format!(
        "{} | {} | {:.4} % | {} of {} | {} | {} | {} |",
        all.most_guesses,
        all.most_stored_guesses,
        all.chance * 100.0,
        all.broken_into,
        all.years,
        all.refused_at_home,
        all.most_by_recovery,
        all.shut_out
    )
}
