//! A year of guessing at codes that are sent, simulated on `request` and `verify` as they are: an owner who asks for a code
//! every day, and somebody who has her password, so that codes are sent to her whenever he asks, too. What comes of it is in
//! docs/guessing.md; `cargo run --release -p tests --example guessing_year` makes its tables.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use otp::delivery::{Address, Channel, Contact, Contacts};
use otp::issued::{CodeId, StoredCode};
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::{Policy, Via};
use otp::request::{Decision, Known, Request, request};
use otp::sends::{MachineLog, SendLog};
use otp::time::UnixTime;
use otp::user::UserName;
use otp::verify::{Attempt, Record, Verdict, verify};

use crate::year::{DAY, DAYS, Dice, HOME, NEW_YEAR, key, space};

/// Wrong answers that a code hears that was sent, however often.
const HEARD: u32 = 10;

/// Who guesses, as soon as he is sent a code.
#[derive(Clone, Copy)]
pub struct Attacker {
    /// In the words of the table.
    pub who: &'static str,
    /// From so many addresses, which take turns.
    pub addresses: u32,
    /// He stops short of the lock, so that she notices nothing.
    pub hides: bool,
}

/// The attackers of the table.
pub const ATTACKERS: [Attacker; 4] = [
    Attacker {
        who: "1 address",
        addresses: 1,
        hides: false,
    },
    Attacker {
        who: "100 addresses",
        addresses: 100,
        hides: false,
    },
    Attacker {
        who: "100,000 addresses",
        addresses: 100_000,
        hides: false,
    },
    Attacker {
        who: "100,000 addresses, one answer short of the lock",
        addresses: 100_000,
        hides: true,
    },
];

/// What came of one year, or as many days of it as were asked for.
#[derive(Default)]
pub struct Year {
    /// Wrong answers of his that were compared with a sent code.
    pub answers: u32,
    /// How likely it was that one of them was right: each counts for every code it was compared with.
    pub chance: f64,
    /// Whether one was.
    pub broken_into: bool,
    /// Days on which a sent code let her in.
    pub by_sent: u32,
    /// Days on which it took one that was read to her.
    pub by_voice: u32,
    /// Days on which nothing helped.
    pub shut_out: u32,
}

/// The most that a year can come to beside an owner who logs in once a day: as many answers in each of the spans between
/// her logins as bring the lock, each right for one code a channel.
pub fn bound(digits: u8, channels: usize) -> f64 {
    let answers = f64::from(Policy::default().throttle.lock_after) * (DAYS + 1) as f64;
    answers * channels as f64 / space(digits.into())
}

/// However often she logs in: as many codes as are sent in an hour, each as often as it hears.
pub fn bound_of_sends(digits: u8) -> f64 {
    let codes = f64::from(Policy::default().delivery.per_hour) * 24.0 * DAYS as f64;
    codes * f64::from(HEARD) / space(digits.into())
}

/// So many days by so many channels.
pub fn simulate(attacker: Attacker, channels: usize, days: u64) -> Year {
    let mut world = World::new(attacker, channels);
    for day in 0..days {
        let midnight = NEW_YEAR.plus(Duration::from_secs(day * DAY));
        let login = 7 * 60 + world.dice.below(15 * 60);
        for minute in 0..24 * 60 {
            world.now = midnight.plus(Duration::from_secs(minute * 60));
            if minute == login {
                world.log_in();
            }
            world.guess();
        }
    }
    world.year.chance = 1.0 - world.safe;
    world.year
}

struct World {
    attacker: Attacker,
    channels: Vec<Channel>,
    policy: Policy,
    record: Record,
    contacts: Contacts,
    sends: SendLog,
    machine: MachineLog,
    dice: Dice,
    now: UnixTime,
    /// Addresses he has used.
    turn: u32,
    safe: f64,
    year: Year,
}

impl World {
    fn new(attacker: Attacker, channels: usize) -> Self {
        let mut contacts = Contacts::NONE;
        for (channel, text) in [
            (Channel::Sms, "+4917012344711"),
            (Channel::Email, "alice@example.org"),
        ] {
            contacts.put(Contact {
                address: Address::parse(channel, text).unwrap(),
                confirmed_at: Some(NEW_YEAR),
                pending: None,
            });
        }
        let mut policy = Policy::default();
        policy.sms.command = vec!["/bin/true".to_owned()];
        policy.email.via = Via::Sendmail;
        let mut record = Record::none(UserName::parse("alice").unwrap());
        record.key = Some(key());
        Self {
            attacker,
            channels: Channel::ALL.into_iter().take(channels).collect(),
            policy,
            record,
            contacts,
            sends: SendLog::default(),
            machine: MachineLog::default(),
            dice: Dice(1),
            now: NEW_YEAR,
            turn: 0,
            safe: 1.0,
            year: Year::default(),
        }
    }

    /// She asks for a code and types it; where none comes, or it is not taken, somebody reads her one.
    fn log_in(&mut self) {
        let home = Origin::of_address(HOME.into());
        let code = self.ask(self.channels[0], home);
        if code.is_some_and(|code| self.answer(&code, home)) {
            self.year.by_sent += 1;
            return;
        }
        let code = self.told();
        if self.answer(&code, home) {
            self.year.by_voice += 1;
        } else {
            self.year.shut_out += 1;
        }
    }

    /// He has sent what can be sent, and guesses as often as he is heard.
    fn guess(&mut self) {
        let most = self.policy.throttle.lock_after - u32::from(self.attacker.hides);
        if self.record.state.sent_failures >= most {
            return;
        }
        let from = self.address(0);
        let mut is_sent = false;
        for channel in self.channels.clone() {
            is_sent |= self.ask(channel, from).is_some();
        }
        if !is_sent {
            return;
        }
        // As many addresses as a code hears, and one that is not heard.
        for further in 0..=HEARD {
            let from = self.address(further);
            while self.record.state.sent_failures < most {
                let heard = self.compared();
                let guess = format!("{:08}", self.dice.below(100_000_000));
                self.year.broken_into |= self.answer(&guess, from);
                let compared = self.compared() - heard;
                if compared == 0 {
                    break;
                }
                self.year.answers += 1;
                self.safe *= 1.0 - f64::from(compared) / space(8);
            }
        }
        self.turn = self.turn.wrapping_add(HEARD + 1);
        let now = self.now;
        self.record.issued.retain(|code| !code.is_spent(now));
    }

    /// Wrong answers at the codes there are, one for each code it was compared with.
    fn compared(&self) -> u32 {
        self.record.issued.iter().map(StoredCode::attempts).sum()
    }

    fn address(&self, further: u32) -> Origin {
        let n = self.turn.wrapping_add(further) % self.attacker.addresses;
        Origin::of_address(Ipv4Addr::from_bits(0x0a00_0000 + n).into())
    }

    /// The code that is sent, if one is.
    fn ask(&mut self, channel: Channel, origin: Origin) -> Option<String> {
        let key = key();
        let mut known = Known {
            record: &self.record,
            contacts: &self.contacts,
            sends: self.sends.clone(),
            machine: self.machine.clone(),
            key: &key,
        };
        let asked = Request {
            channel: Some(channel),
            origin: Some(origin),
            now: self.now,
            length: self.policy.issued.digits,
            ttl: self.policy.delivery.ttl,
            reason: "",
        };
        let Decision::Send(sending) = request(&mut known, &asked, &self.policy, &mut self.dice)
        else {
            return None;
        };
        (self.sends, self.machine) = (sending.sends, sending.machine);
        self.record.issued.retain(|code| code.id != sending.code.id);
        self.record.issued.push(sending.code);
        Some(sending.digits.expose().to_owned())
    }

    /// A code that is read to her.
    fn told(&mut self) -> String {
        let code = format!("{:08}", self.dice.below(100_000_000));
        let id = CodeId::from_bytes((self.dice.next() as u32).to_le_bytes());
        let Ok(Passcode::Digits(digits)) = Passcode::parse(code.as_bytes()) else {
            unreachable!("eight digits");
        };
        self.record.issued.push(StoredCode::fresh(
            id,
            8,
            key().stored(&self.record.user, id, &digits),
            self.now,
            Duration::from_secs(600),
        ));
        code
    }

    /// Whether it lets whoever types it in.
    fn answer(&mut self, typed: &str, origin: Origin) -> bool {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin,
            now: self.now,
        };
        let outcome = verify(&self.record, &attempt, &self.policy);
        for changed in outcome.changes.issued {
            self.record.issued.retain(|code| code.id != changed.id);
            self.record.issued.push(changed);
        }
        if let Some(state) = outcome.changes.state {
            self.record.state = state;
        }
        matches!(outcome.verdict, Verdict::Accepted(_))
    }
}

/// What cannot be passed, by digits.
pub fn bounds_table() -> String {
    let mut table = String::from(
        "| `issued.digits` | owner logs in daily, one channel | both channels | however often she logs in |\n|---|---|---|---|\n",
    );
    for digits in 6..=8 {
        let of = |chance: f64| format!("{:.4} %", chance * 100.0);
        let (one, both) = (of(bound(digits, 1)), of(bound(digits, 2)));
        let any = of(bound_of_sends(digits));
        writeln!(table, "| {digits} | {one} | {both} | {any} |").unwrap();
    }
    table
}

/// So many days of every attacker, by one channel and by both.
pub fn every(days: u64) -> Vec<(Attacker, usize, Year)> {
    let all = ATTACKERS.map(|attacker| [1, 2].map(|channels| (attacker, channels)));
    let running = all.as_flattened().iter().map(|&(attacker, channels)| {
        std::thread::spawn(move || (attacker, channels, simulate(attacker, channels, days)))
    });
    let running: Vec<_> = running.collect();
    running.into_iter().map(|one| one.join().unwrap()).collect()
}

/// The same as a table.
pub fn year_table(all: &[(Attacker, usize, Year)]) -> String {
    let mut table = String::from(
        "| attacker | channels | wrong answers | chance a year | days a sent code let her in | days it took one by voice | days shut out |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (attacker, channels, year) in all {
        let Year {
            answers,
            chance,
            by_sent,
            by_voice,
            shut_out,
            ..
        } = year;
        let (who, chance) = (attacker.who, chance * 100.0);
        writeln!(
            table,
            "| {who} | {channels} | {answers} | {chance:.4} % | {by_sent} | {by_voice} | {shut_out} |"
        )
        .unwrap();
    }
    table
}
