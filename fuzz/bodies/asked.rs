//! What is kept of codes that are sent: where to, and how many went lately. Each of alice's files in the hands of anybody; what is
//! read of it is what FILEFORMAT.md says, or nothing is.

use data_encoding::HEXLOWER;
use otp::delivery::Channel;
use otp::passcode::{Digits, Passcode};
use otp::policy::DeliveryPolicy;
use otp::sends::Wait;
use otp::store::Confirmation;
use otp::time::UnixTime;
use toml::de::{DeTable, DeValue};

use super::NOW;
use super::format::{CAPACITY, Cursor, MACHINE, SENDS, STATE, UID, number, record, text};
use super::house::House;
use super::person::digest;
use super::records::plain_state;

/// The code that confirms a contact, where the scene has it so.
const CODE: &str = "48210937";
const HOUR: u64 = 3600;

/// Where alice is reached by one channel.
struct Reached {
    address: String,
    confirmed: Option<u64>,
    pending: Option<Pending>,
}

struct Pending {
    digest: [u8; 32],
    issued: u64,
    expires: u64,
    attempts: u64,
}

/// A file of contacts.
pub fn contacts(data: &[u8]) {
    let house = house();
    house.write("lib/contacts/alice", data);
    let Some(read) = house.contacts() else {
        // Strictness is for the file's own tests.
        return;
    };
    let meant = by_the_book(data).expect("what makes no sense is read");
    let Ok(Passcode::Digits(code)) = Passcode::parse(CODE.as_bytes()) else {
        panic!("it is a code");
    };
    for (channel, meant) in [Channel::Sms, Channel::Email].into_iter().zip(&meant) {
        let found = read.on(channel);
        assert_eq!(found.is_some(), meant.is_some(), "{channel}");
        let (Some(found), Some(meant)) = (found, meant) else {
            continue;
        };
        assert_eq!(found.address.as_str(), meant.address);
        assert_eq!(found.confirmed_at.map(UnixTime::as_secs), meant.confirmed);
        assert_eq!(found.pending.is_some(), meant.pending.is_some());
        assert_plain(&meant.address);
        confirm(&house, channel, meant, &code);
    }
    let confirmed = meant.iter().flatten().any(|one| one.confirmed.is_some());
    house.write("lib/contacts/alice", data);
    assert_eq!(house.can_answer(), Some(confirmed));
}

/// Answers until there is nothing to confirm.
fn confirm(house: &House, channel: Channel, meant: &Reached, code: &Digits) {
    let told = || house.confirm(channel, code).expect("it was read");
    let Some(pending) = &meant.pending else {
        return assert_eq!(told(), Confirmation::Nothing);
    };
    if NOW < pending.issued || pending.expires <= NOW {
        return assert_eq!(told(), Confirmation::Expired);
    }
    if pending.digest == digest(b"contact", meant.address.as_bytes(), CODE) {
        assert_eq!(told(), Confirmation::Confirmed);
    } else {
        for left in (0..5 - pending.attempts).rev() {
            let left = left.try_into().unwrap();
            assert_eq!(told(), Confirmation::Wrong { left });
        }
    }
    assert_eq!(told(), Confirmation::Nothing);
}

/// One word of a header, of a line and of an argument list.
fn assert_plain(address: &str) {
    let foul = |c: char| !c.is_ascii_graphic() || "\"'`\\,;:<>()[]|/%".contains(c);
    assert!(!address.contains(foul), "{address:?}");
    assert!(!address.starts_with('-'), "{address:?}");
}

/// What a file says; nothing if it makes no sense. Other keys are not looked at.
fn by_the_book(file: &[u8]) -> Option<[Option<Reached>; 2]> {
    let document = DeTable::parse(std::str::from_utf8(file).ok()?).ok()?;
    let root = document.get_ref();
    (number(root, "format")? == 1 && number(root, "uid")? == UID.into()).then_some(())?;
    let sms = |address: &str| {
        let digits = address.strip_prefix('+').unwrap_or_default();
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let email = |address: &str| address.matches('@').count() == 1 && address.len() <= 254;
    Some([reached(root, "sms", sms)?, reached(root, "email", email)?])
}

/// Nothing where it is wrong; nothing within where it is not there.
fn reached(
    root: &DeTable<'_>,
    channel: &str,
    is_one: impl Fn(&str) -> bool,
) -> Option<Option<Reached>> {
    let Some(table) = root.get(channel) else {
        return Some(None);
    };
    let table = table.get_ref().as_table()?;
    let address = text(table, "address").filter(|address| is_one(address))?;
    let pending = match table.get("pending").map(|value| value.get_ref()) {
        None => None,
        Some(DeValue::Table(table)) => Some(Pending {
            digest: {
                let hex = text(table, "digest")?.as_bytes();
                HEXLOWER.decode(hex).ok()?.try_into().ok()?
            },
            issued: number(table, "issued_at")?,
            expires: number(table, "expires_at")?,
            attempts: number(table, "attempts").filter(|n| *n < 5)?,
        }),
        Some(_) => return None,
    };
    let confirmed = match table.contains_key("confirmed_at") {
        true => Some(number(table, "confirmed_at")?),
        false => None,
    };
    Some(Some(Reached {
        address: address.to_owned(),
        confirmed,
        pending,
    }))
}

/// The payload of a user's sends.
pub fn sends(data: &[u8]) {
    let house = house();
    let payload = data.get(..CAPACITY).unwrap_or(data);
    house.write("lib/sends/alice", &record(SENDS, payload));
    house.write("lib/sends/.machine", &record(MACHINE, &[0; 130]));
    let meant = noted(payload);
    let Some((sends, _)) = house.counted() else {
        return assert!(meant.is_none(), "what makes sense is not read");
    };
    let meant = meant.expect("what makes no sense is read");
    let policy = DeliveryPolicy::default();
    // Where one was sent later, all were sent as much earlier, the last one now.
    let ahead = meant.last().map_or(0, |(_, last)| last.saturating_sub(NOW));
    let meant = meant.into_iter();
    let meant = meant.map(|(channel, at)| (channel, at.saturating_sub(ahead)));
    let lately: Vec<(u64, u64)> = meant.filter(|(_, at)| NOW - at < HOUR).collect();
    let mut settled = sends.clone();
    settled.settle(UnixTime::from_secs(NOW));
    for (channel, code) in [(Channel::Sms, 1), (Channel::Email, 2)] {
        let own = lately.iter().rfind(|(other, _)| *other == code);
        let soon = own.map(|(_, at)| at + 60).filter(|until| *until > NOW);
        let tenth = lately.len().checked_sub(10).map(|index| lately[index].1);
        let hour = tenth.map(|at| at + HOUR);
        let told = settled.ask(channel, UnixTime::from_secs(NOW), &policy);
        let meant = match (soon, hour) {
            (None, None) => Ok(()),
            (Some(soon), hour) if hour.is_none_or(|hour| hour < soon) => {
                Err(Wait::TooSoon(UnixTime::from_secs(soon)))
            }
            (_, hour) => Err(Wait::Hour(UnixTime::from_secs(hour.unwrap()))),
        };
        assert_eq!(told, meant, "{channel}");
    }
}

/// What a payload says: by which channel and when.
fn noted(payload: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut from = Cursor(payload);
    let mine = from.number(4)? == UID.into();
    let noted = from.list(32, |from| Some((from.number(1)?, from.number(8)?)))?;
    let sense = noted.iter().all(|(channel, _)| (1..=2).contains(channel))
        && noted.windows(2).all(|pair| pair[0].1 <= pair[1].1);
    (mine && sense && from.0.is_empty()).then_some(noted)
}

/// The payload of the machine's sends.
pub fn machine(data: &[u8]) {
    let house = house();
    let payload = data.get(..CAPACITY).unwrap_or(data);
    let mut own = UID.to_le_bytes().to_vec();
    own.push(0);
    house.write("lib/sends/alice", &record(SENDS, &own));
    house.write("lib/sends/.machine", &record(MACHINE, payload));
    let meant = minutes(payload);
    let Some((_, machine)) = house.counted() else {
        return assert!(meant.is_none(), "what makes sense is not read");
    };
    let (newest, mut counts) = meant.expect("what makes no sense is read");
    let now = NOW / 60;
    if newest > now {
        // A minute that is later than this one is this one, and each is a minute younger.
        let first = counts.remove(0);
        counts[0] = (counts[0] + first).min(u16::MAX.into());
    }
    let newest = newest.min(now);
    let counts = counts.into_iter().zip(0_u64..);
    let dated = counts.map(|(count, age)| (newest.checked_sub(age), count));
    let lately = dated.filter(|(minute, _)| minute.is_some_and(|minute| now - minute <= 60));
    let lately: Vec<(u64, u64)> = lately.map(|(minute, n)| (minute.unwrap(), n)).collect();
    let mut settled = machine.clone();
    settled.settle(UnixTime::from_secs(NOW));
    let sum: u64 = lately.iter().map(|(_, count)| count).sum();
    assert_eq!(machine.in_the_last_hour(UnixTime::from_secs(NOW)), sum);
    // It is over when so much is past that there are fewer than may be.
    let fewer = |until: &u64| {
        let still = lately.iter().filter(|(minute, _)| until - minute <= 60);
        still.map(|(_, count)| count).sum::<u64>() < 300
    };
    let until = (now..=now + 61).find(fewer).unwrap();
    let told = settled.ask(&DeliveryPolicy::default());
    let meant = match until {
        until if until == now => Ok(()),
        until => Err(UnixTime::from_secs(until * 60)),
    };
    assert_eq!(told, meant);
}

/// What a payload says: the newest minute, and how many in it and in those before.
fn minutes(payload: &[u8]) -> Option<(u64, Vec<u64>)> {
    let mut from = Cursor(payload);
    let newest = from.number(8)?;
    let counts = (0..61).map(|_| from.number(2)).collect::<Option<_>>()?;
    from.0.is_empty().then_some((newest, counts))
}

/// Alice, of whom nothing is kept but what is written.
fn house() -> House {
    let house = House::new();
    house.make("lib/contacts", 0o700);
    house.make("lib/sends", 0o700);
    house.write("lib/state/alice", &record(STATE, &plain_state()));
    house
}
