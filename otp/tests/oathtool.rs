//! Our codes against those of an implementation we did not write: oathtool, over random secrets, times, digits,
//! periods and algorithms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::process::Command;

use otp::hotp::{self, Algorithm, CodeLength};
use otp::secret::Secret;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
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
