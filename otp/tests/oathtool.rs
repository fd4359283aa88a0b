//! Our codes against those of an implementation we did not write: oathtool, over random secrets, times, digits,
//! periods and algorithms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

use std::process::Command;

use otp::confirm::{Confirmation, Judged};
use otp::enrollment::{Authenticator, Generation, Kind};
use otp::hotp::{self, Algorithm, CodeLength};
use otp::origin::Origin;
use otp::passcode::{Digits, Passcode};
use otp::policy::Policy;
use otp::resync::{Claim, Resynced, resync};
use otp::secret::Secret;
use otp::state::AuthenticatorState;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::UserName;
use otp::verify::Record;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use zeroize::Zeroizing;

/// Secrets tried; oathtool prints several codes of each.
const SECRETS: usize = 400;
const CODES_EACH: u64 = 10;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

fn oathtool(arguments: &[String]) -> Vec<String> {
    let run = Command::new("oathtool").args(arguments).output();
    let run = run.expect("this test needs oathtool: apt install oathtool");
    assert!(run.status.success(), "oathtool {arguments:?}: {run:?}");
    let printed = String::from_utf8(run.stdout).unwrap();
    printed.lines().map(str::to_owned).collect()
}

fn secret(rng: &mut SmallRng) -> (Secret, String) {
    let mut bytes = vec![0; rng.random_range(16..=128)];
    rng.fill(&mut bytes[..]);
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    (Secret::from_bytes(Zeroizing::new(bytes)).unwrap(), hex)
}

fn digits(rng: &mut SmallRng) -> (CodeLength, String) {
    let digits = rng.random_range(6..=8);
    (
        CodeLength::new(digits).unwrap(),
        format!("--digits={digits}"),
    )
}

#[test]
fn thousands_of_time_based_codes_are_those_of_oathtool() {
    let mut rng = SmallRng::seed_from_u64(6238);
    for _ in 0..SECRETS {
        let (secret, hex) = secret(&mut rng);
        let (length, length_argument) = digits(&mut rng);
        let period = Period::from_secs(rng.random_range(5..=300)).unwrap();
        let now = UnixTime::from_secs(rng.random_range(1..20_000_000_000));
        let algorithm = ALGORITHMS[rng.random_range(0..3)];
        let theirs = oathtool(&[
            format!("--totp={}", algorithm.name()),
            length_argument,
            format!("--time-step-size={}s", period.as_secs()),
            format!("--now=@{}", now.as_secs()),
            format!("--window={}", CODES_EACH - 1),
            hex,
        ]);
        let first = TimeStep::at(now, period).number();
        let ours: Vec<_> = (first..first + CODES_EACH)
            .map(|step| totp::code(&secret, algorithm, length, TimeStep::new(step)))
            .map(|code| code.expose().to_owned())
            .collect();
        assert_eq!(ours, theirs, "{} at {}", algorithm.name(), now.as_secs());
    }
}

#[test]
fn thousands_of_counter_based_codes_are_those_of_oathtool() {
    let mut rng = SmallRng::seed_from_u64(4226);
    for _ in 0..SECRETS {
        let (secret, hex) = secret(&mut rng);
        let (length, length_argument) = digits(&mut rng);
        let counter = rng.random_range(0..u64::MAX / 2);
        let theirs = oathtool(&[
            "--hotp".to_owned(),
            length_argument,
            format!("--counter={counter}"),
            format!("--window={}", CODES_EACH - 1),
            hex,
        ]);
        let ours: Vec<_> = (counter..counter + CODES_EACH)
            .map(|counter| hotp::code(&secret, Algorithm::Sha1, length, counter))
            .map(|code| code.expose().to_owned())
            .collect();
        assert_eq!(ours, theirs, "counter {counter}");
    }
}

#[test]
fn a_token_that_oathtool_plays_is_proved_and_brought_back_into_step() {
    let mut rng = SmallRng::seed_from_u64(7);
    for _ in 0..40 {
        let (secret, hex) = secret(&mut rng);
        let (length, length_argument) = digits(&mut rng);
        let next = rng.random_range(0..u64::MAX / 2);
        let shows = |counter: u64, count: u64| {
            let codes = oathtool(&[
                "--hotp".to_owned(),
                length_argument.clone(),
                format!("--counter={counter}"),
                format!("--window={}", count - 1),
                hex.clone(),
            ]);
            let parsed = codes.iter().map(|code| Passcode::parse(code.as_bytes()));
            parsed.collect::<Result<Vec<_>, _>>().unwrap()
        };
        let authenticator = token(secret, length);
        let mut state = AuthenticatorState::fresh(authenticator.generation);
        state.used.raise_to(next);
        let (away, policy) = (rng.random_range(1..900), Policy::default());

        let mut confirmation = Confirmation::new(&authenticator, &state);
        let first = shows(next + away, 2);
        let said = [0, 1].map(|n| confirmation.hear(Some(&first[n]), UnixTime::EPOCH, &policy));
        let Judged::Right(proof) = &said[1] else {
            panic!("{said:?}");
        };
        assert_eq!(proof.state.used.floor(), Some(next + away + 1));

        let mut record = Record::none(UserName::parse("alice").unwrap());
        record.state.authenticators.push(proof.state.clone());
        let idle = next + 2 * away + 50;
        let codes: Vec<_> = shows(idle, 3).into_iter().map(digits_of).collect();
        let claim = Claim {
            authenticator: &authenticator,
            codes: &codes.try_into().map_err(|_| "three").unwrap(),
            origin: Origin::Local(0),
            now: UnixTime::EPOCH,
        };
        let (came, changes) = resync(&record, &claim, &policy);
        assert!(matches!(came, Resynced::Done { .. }), "{came:?}");
        let after = changes.state.unwrap().authenticators[0].used.floor();
        assert_eq!(after, Some(idle + 2));
    }
}

fn token(secret: Secret, length: CodeLength) -> Authenticator {
    Authenticator {
        name: "token".to_owned(),
        generation: Generation::from_bits(1),
        kind: Kind::Hotp,
        secret,
        algorithm: Algorithm::Sha1,
        length,
        issuer: "host".to_owned(),
        label: "alice".to_owned(),
        enrolled_at: UnixTime::EPOCH,
    }
}

fn digits_of(passcode: Passcode) -> Digits {
    match passcode {
        Passcode::Digits(digits) => digits,
        Passcode::Recovery(_) => panic!("a code is digits"),
    }
}
