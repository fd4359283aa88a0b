//! `.google_authenticator`, the file of google-authenticator-libpam: a base32 secret, options behind a double quote, scratch
//! codes of eight digits.

use otp::drift::Drift;
use otp::enrollment::{Kind, MAX_RECOVERY_CODES};
use otp::passcode::{Digits, Passcode};
use otp::time::{Period, TimeStep};

use super::person::{Brought, Person, Recovery, Why};
use super::text;

/// The module itself takes at most 64 KiB, in bytes.
pub(crate) const MAX_FILE: usize = 64 * 1024;
/// Used steps looked at; the module keeps those of its window, which is 100 at most.
const MAX_USED: usize = 1000;

/// What is fixed for everybody here.
pub(crate) const WINDOW: Why =
    "WINDOW_SIZE is the machine's to say here: window and look_ahead in otp.toml";
/// The same.
pub(crate) const RATE: Why =
    "RATE_LIMIT is not needed here: guesses are bounded for everybody (throttle in otp.toml)";
/// She could use a code twice.
pub(crate) const REUSE: Why = "DISALLOW_REUSE was off: here every code is good once";
/// She was let in without a code.
pub(crate) const DISABLED: Why =
    "OTP_DISABLED is not taken over: who needs no code is said in otp.toml";
/// What no version known here has.
pub(crate) const UNKNOWN: Why = "an option that is not known here was left out";

/// What a file says; the line it goes wrong on, and why.
pub(crate) fn file(content: &[u8]) -> Result<Person, (usize, Why)> {
    if content.len() > MAX_FILE {
        return Err((1, "the file is larger than 64 KiB"));
    }
    let mut lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let secret = text::base32(lines.next().unwrap_or_default()).map_err(|why| (1, why))?;
    let mut read = Read::default();
    for (line, number) in lines.zip(2..) {
        read.line(line).map_err(|why| (number, why))?;
    }
    read.person(Brought::totp(secret)).map_err(|why| (1, why))
}

/// What was read of the lines below the secret.
#[derive(Default)]
struct Read {
    by_time: bool,
    counter: Option<u64>,
    period: Option<Period>,
    skew: i64,
    used: Option<Vec<u64>>,
    scratch: Vec<Digits>,
    notes: Vec<Why>,
}

impl Read {
    fn line(&mut self, line: &[u8]) -> Result<(), Why> {
        match line {
            [] => Ok(()),
            [b'"', rest @ ..] => self.option(rest),
            code if code.len() == 8 && code.iter().all(u8::is_ascii_digit) => {
                match Passcode::parse(code) {
                    Ok(Passcode::Digits(digits)) if self.scratch.len() < MAX_RECOVERY_CODES => {
                        self.scratch.push(digits);
                        Ok(())
                    }
                    _ => Err("there are more than 64 scratch codes"),
                }
            }
            _ => Err("it is neither an option nor a scratch code of eight digits"),
        }
    }

    fn option(&mut self, line: &[u8]) -> Result<(), Why> {
        let mut words = text::words(line);
        let name = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(text::number);
        match name {
            b"TOTP_AUTH" => self.by_time = true,
            b"HOTP_COUNTER" => {
                self.counter = Some(number().ok_or("HOTP_COUNTER is not a number")?);
            }
            b"STEP_SIZE" => {
                let period = number().and_then(Period::from_secs);
                self.period = Some(period.ok_or("STEP_SIZE is not 5 to 300 seconds")?);
            }
            b"TIME_SKEW" => {
                let skew = words.next().and_then(text::signed);
                self.skew = skew.ok_or("TIME_SKEW is not a number")?;
            }
            b"DISALLOW_REUSE" => {
                let used: Option<Vec<u64>> = words.take(MAX_USED).map(text::number).collect();
                self.used = Some(used.ok_or("DISALLOW_REUSE names something that is no step")?);
            }
            b"WINDOW_SIZE" => self.note(WINDOW),
            b"RATE_LIMIT" => self.note(RATE),
            b"OTP_DISABLED" => self.note(DISABLED),
            // Its own bookkeeping, good for some hours.
            b"RESETTING_TIME_SKEW" => {}
            other if is_last_login(other) => {}
            _ => self.note(UNKNOWN),
        }
        Ok(())
    }

    fn note(&mut self, note: Why) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn person(mut self, mut brought: Brought) -> Result<Person, Why> {
        match self.counter {
            // A counter goes before time, as in the module; at nought it is switched off there.
            Some(next @ 1..) => brought.count_from(next),
            _ if !self.by_time => {
                return Err(
                    "it has neither TOTP_AUTH nor HOTP_COUNTER, so no code is asked for by it",
                );
            }
            _ => {
                let period = self.period.unwrap_or(Period::THIRTY);
                brought.kind = Kind::Totp { period };
                brought.drift = Drift::measured(self.skew);
                match self.used.take() {
                    None => self.note(REUSE),
                    Some(used) => {
                        // The steps are numbered as the phone counts them, and so are ours.
                        for step in used.into_iter().map(TimeStep::new) {
                            brought.used.mark(step, step);
                        }
                    }
                }
            }
        }
        let mut person = Person::with(None, brought);
        if !self.scratch.is_empty() {
            person.recovery = Some(Recovery::Scratch(self.scratch));
        }
        person.notes = self.notes;
        Ok(person)
    }
}

/// `LAST0` and so on: from where somebody came, for the grace period.
fn is_last_login(name: &[u8]) -> bool {
    let number = name.strip_prefix(b"LAST");
    number.is_some_and(|number| text::number(number).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Made by google-authenticator 20191231; the secret is RFC 4226's.
    const FILE: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 17\n\" DISALLOW_REUSE 60000000 60000002\n\" TOTP_AUTH\n\" TIME_SKEW -2\n47688655\n35855685\n";

    fn why(text: &str) -> Option<(usize, Why)> {
        file(text.as_bytes()).err()
    }

    #[test]
    fn everything_in_a_file_is_taken_or_named() {
        let person = file(FILE.as_bytes()).unwrap();
        let brought = &person.authenticators[0];
        assert_eq!(brought.secret.expose(), b"1234567890123456");
        assert_eq!(brought.kind.period(), Some(Period::THIRTY));
        assert_eq!(brought.drift.learned(4), -2);
        assert_eq!(
            brought.used.runs(),
            [(60_000_000, 60_000_000), (60_000_002, 60_000_002)]
        );
        assert_eq!(person.notes, [RATE, WINDOW]);
        let Some(Recovery::Scratch(codes)) = &person.recovery else {
            panic!("no scratch codes");
        };
        let codes: Vec<_> = codes.iter().map(Digits::expose).collect();
        assert_eq!(codes, ["47688655", "35855685"]);
    }

    #[test]
    fn a_counter_goes_before_time_and_names_the_next_code() {
        let text =
            "GEZDGNBVGY3TQOJQ\n\" TOTP_AUTH\n\" HOTP_COUNTER 7\n\" LAST0 10.0.0.1 1700000000\n";
        let person = file(text.as_bytes()).unwrap();
        let brought = &person.authenticators[0];
        assert_eq!(brought.kind, Kind::Hotp);
        assert_eq!(brought.used.next_counter(), Some(7));
        assert!(brought.secret.is_short() && person.notes.is_empty());
        let off = "GEZDGNBVGY3TQOJQ\n\" HOTP_COUNTER 0\n";
        assert_eq!(why(off).unwrap().0, 1);
    }

    #[test]
    fn other_settings_are_named_and_what_makes_no_sense_is_by_its_line() {
        let text = "GEZDGNBVGY3TQOJQ\n\" TOTP_AUTH\n\" STEP_SIZE 60\n\" FUTURE_THING 1\n";
        let person = file(text.as_bytes()).unwrap();
        assert_eq!(
            person.authenticators[0].kind.period(),
            Period::from_secs(60)
        );
        assert_eq!(person.notes, [UNKNOWN, REUSE]);
        assert_eq!(why("GEZDGNBVGY3TQOJ1\n"), Some((1, text::NOT_BASE32)));
        for (line, text) in [
            (2, "GEZDGNBVGY3TQOJQ\nGEZDGNBVGY3TQOJQ\n"),
            (3, "GEZDGNBVGY3TQOJQ\n\" TOTP_AUTH\n\" STEP_SIZE 1\n"),
            (2, "GEZDGNBVGY3TQOJQ\n\" HOTP_COUNTER x\n"),
            (2, "GEZDGNBVGY3TQOJQ\n\" DISALLOW_REUSE 1 -2\n"),
            (1, "GEZDGNBVGY3TQOJQ\n"),
            (1, ""),
        ] {
            assert_eq!(why(text).map(|(line, _)| line), Some(line), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0..FILE.len(), bytes: Vec<u8>) {
            let mut text = FILE.as_bytes().to_vec();
            let _ = text.splice(at.., bytes);
            let _ = file(&text);
        }
    }
}
