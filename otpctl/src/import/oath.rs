//! `users.oath`, the UsersFile of liboath that pam_oath reads: a line a user, fields between blanks:
//! type, user, PIN, secret in hexadecimal digits, counter, last code, when.

use otp::enrollment::Kind;
use otp::hotp::{self, Algorithm, CodeLength};
use otp::passcode::{Digits, Passcode};
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;

use super::person::{Brought, Person, Why};
use super::text;

/// How far from its time a last code is looked for, in steps: pam_oath's window is what its PAM line says.
const REACH: i64 = 120;

/// Year, month, day, hour, minute, second, as a clock on the wall shows them.
pub(crate) type Civil = [u16; 6];

/// What a line says; nobody for a line that liboath passes over, too: empty, or a comment. `now` and `local` (this machine's
/// time zone) are for the last code, whose step is not in the file.
pub(crate) fn line(
    line: &[u8],
    now: UnixTime,
    local: &dyn Fn(Civil) -> Option<UnixTime>,
) -> Result<Option<Person>, Why> {
    let mut words = text::words(line);
    let Some(kind) = words.next().filter(|word| !word.starts_with(b"#")) else {
        return Ok(None);
    };
    let (kind, length) = kind_of(kind)
        .ok_or("its type is not HOTP, HOTP/E, HOTP/T30 or HOTP/T60 with 6 to 8 digits")?;
    let user = words.next().ok_or("it names no user")?;
    let user = std::str::from_utf8(user).map_err(|_| "its user is not UTF-8")?;
    let pin = words.next().ok_or("it has no field for the PIN")?;
    if pin != b"-" && pin != b"+" {
        return Err(
            "she has a PIN before the code, which is not carried over: set '-' and give her a password instead",
        );
    }
    let secret = text::hex(words.next().ok_or("it has no secret")?)?;
    let counter = match words.next() {
        Some(counter) => text::number(counter).ok_or("its counter is not a number")?,
        None => 0,
    };
    let last = words.next().map(last_code).transpose()?;
    let at = words.next().map(civil).transpose()?;
    let mut brought = Brought::totp(secret);
    brought.length = length;
    brought.last_used_at = at.and_then(local).filter(|at| *at <= now);
    match (kind, last) {
        (Kind::Hotp, None) => brought.count_from(counter),
        // With a last code the counter is the one that code was of.
        (Kind::Hotp, Some(last)) => {
            brought.count_from(after(&brought, counter, &last));
        }
        (Kind::Totp { period }, last) => {
            brought.kind = kind;
            if let Some(last) = last {
                mark(&mut brought, &last, now, period);
            }
        }
    }
    Ok(Some(Person::with(Some(user.to_owned()), brought)))
}

fn kind_of(word: &[u8]) -> Option<(Kind, CodeLength)> {
    let mut parts = word.split(|byte| *byte == b'/');
    let (hotp, moving, digits) = (parts.next()?, parts.next(), parts.next());
    if hotp != b"HOTP" || parts.next().is_some() {
        return None;
    }
    let kind = match moving {
        None | Some(b"E") => Kind::Hotp,
        Some(b"T30") => Kind::Totp {
            period: Period::THIRTY,
        },
        Some(b"T60") => Kind::Totp {
            period: Period::from_secs(60)?,
        },
        Some(_) => return None,
    };
    let length = match digits {
        None => CodeLength::SIX,
        Some(digits) => CodeLength::new(text::number(digits)?)?,
    };
    Some((kind, length))
}

fn last_code(word: &[u8]) -> Result<Digits, Why> {
    match Passcode::parse(word) {
        Ok(Passcode::Digits(digits)) => Ok(digits),
        _ => Err("its last code is not 6 to 8 digits"),
    }
}

/// `2009-12-07T23:23:49L`
fn civil(word: &[u8]) -> Result<Civil, Why> {
    const BAD: Why = "its time is not like 2009-12-07T23:23:49L";
    let word = word.strip_suffix(b"L").ok_or(BAD)?;
    let mut parts = word.split(|byte| b"-T:".contains(byte));
    let mut read = [0; 6];
    for place in &mut read {
        let number = parts.next().and_then(text::number);
        *place = number.and_then(|n| n.try_into().ok()).ok_or(BAD)?;
    }
    match parts.next() {
        None => Ok(read),
        Some(_) => Err(BAD),
    }
}

/// The counter after the one of the last code. A file that was edited may have a counter that is that of the next one: then it
/// is skipped, and the look-ahead finds the token again.
fn after(brought: &Brought, counter: u64, last: &Digits) -> u64 {
    let is_last = |counter: u64| {
        let code = hotp::code(&brought.secret, Algorithm::Sha1, brought.length, counter);
        code.matches(last)
    };
    let next = counter.saturating_add(1);
    if is_last(next) {
        next.saturating_add(1)
    } else {
        next
    }
}

/// Marks the step of the last code as used: the latest one it can be of, near the present, where alone it could be good again,
/// and near its own time.
fn mark(brought: &mut Brought, last: &Digits, now: UnixTime, period: Period) {
    let times = [Some(now), brought.last_used_at];
    for time in times.into_iter().flatten() {
        let center = TimeStep::at(time, period);
        let found = (REACH.saturating_neg()..=REACH).rev().find_map(|ahead| {
            let step = center.offset(ahead)?;
            let code = totp::code(&brought.secret, Algorithm::Sha1, brought.length, step);
            code.matches(last).then_some(step)
        });
        if let Some(step) = found {
            brought.used.mark(step, step);
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a test may overflow and fail"
)]
mod tests {
    use super::*;
    use otp::hotp::code;
    use proptest::prelude::*;

    const HEX: &str = "3132333435363738393031323334353637383930";
    const NOW: UnixTime = UnixTime::from_secs(1_800_000_015);

    fn local([year, month, day, hour, minute, second]: Civil) -> Option<UnixTime> {
        let same_day = (year, month, day) == (2027, 1, 15);
        let secs = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
        same_day.then_some(UnixTime::from_secs(1_799_971_200 + secs))
    }

    fn read(text: &str) -> Result<Option<Person>, Why> {
        line(text.as_bytes(), NOW, &local)
    }

    fn brought(text: &str) -> Brought {
        read(text).unwrap().unwrap().authenticators.remove(0)
    }

    #[test]
    fn each_type_is_what_liboath_takes_it_for() {
        for (word, period, digits) in [
            ("HOTP", None, 6),
            ("HOTP/E", None, 6),
            ("HOTP/E/8", None, 8),
            ("HOTP/T30", Some(30), 6),
            ("HOTP/T30/7", Some(30), 7),
            ("HOTP/T60/8", Some(60), 8),
        ] {
            let read = brought(&format!("{word}\talice\t-\t{HEX}"));
            assert_eq!(
                read.kind.period(),
                period.and_then(Period::from_secs),
                "{word}"
            );
            assert_eq!(read.length.digits(), digits, "{word}");
            assert_eq!(read.secret.expose(), b"12345678901234567890");
            assert_eq!(read.used.floor(), None);
        }
        assert!(read("").unwrap().is_none() && read("  # HOTP a - 00").unwrap().is_none());
    }

    #[test]
    fn the_counter_of_a_last_code_is_used_and_one_without_is_not() {
        assert_eq!(
            brought(&format!("HOTP a - {HEX} 5")).used.next_counter(),
            Some(5)
        );
        // RFC 4226 appendix D: 254676 is of counter 5.
        let used = brought(&format!("HOTP a - {HEX} 5 254676 2027-01-15T07:59:00L"));
        assert_eq!(used.used.next_counter(), Some(6));
        assert_eq!(used.last_used_at, Some(UnixTime::from_secs(1_799_999_940)));
        let edited = brought(&format!("HOTP a - {HEX} 4 254676"));
        assert_eq!(edited.used.next_counter(), Some(6));
    }

    #[test]
    fn the_step_of_a_last_code_is_found_and_used() {
        let step = |secs: u64| TimeStep::new(secs / 30);
        let text = |step: TimeStep, time: &str| {
            let secret = text::hex(HEX.as_bytes()).unwrap();
            let code = code(&secret, Algorithm::Sha1, CodeLength::SIX, step.number());
            format!("HOTP/T30 a + {HEX} 0 {}{time}", code.expose())
        };
        let (recent, old) = (step(1_799_999_985), step(1_799_971_260));
        assert!(
            brought(&text(recent, ""))
                .used
                .is_dead(recent, step(NOW.as_secs()))
        );
        let read = brought(&text(old, " 2027-01-15T00:01:00L"));
        assert_eq!(read.used.runs(), [(old.number(), old.number())]);
    }

    #[test]
    fn what_is_not_taken_is_named_and_none_of_its_text() {
        for (text, word) in [
            (format!("HOTP a 1234 {HEX}"), "PIN"),
            ("HOTP a - 00".to_owned(), "80 bits"),
            ("HOTP a - 0x00".to_owned(), "hexadecimal"),
            ("HOTP a - 001".to_owned(), "hexadecimal"),
            (format!("HOTP a - {HEX} x"), "counter"),
            (format!("HOTP a - {HEX} 1 12"), "last code"),
            (format!("HOTP a - {HEX} 1 123456 yesterday"), "time"),
            (format!("HOTP/T45 a - {HEX}"), "type"),
            (format!("MOTP a - {HEX}"), "type"),
            ("HOTP".to_owned(), "user"),
            ("HOTP a".to_owned(), "PIN"),
            ("HOTP a -".to_owned(), "secret"),
        ] {
            let why = read(&text).err().unwrap();
            assert!(why.contains(word), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, at in 0..70_usize) {
            let mut text = format!("HOTP/T30 a - {HEX} 5 254676 2027-01-15T07:59:00L").into_bytes();
            let _ = text.splice(at.., bytes.clone());
            let _ = line(&text, NOW, &local);
            let _ = line(&bytes, UnixTime::EPOCH, &|_| None);
        }
    }
}
