//! What the fuzz targets of the files of other software do with bytes that anybody may have made. A panic is a finding; so is
//! a person whom no record could hold.

#[path = "../otpctl/src/import/csv.rs"]
#[allow(dead_code, clippy::all)]
mod csv;
#[path = "../otpctl/src/import/google.rs"]
#[allow(dead_code, clippy::all)]
mod google;
#[path = "../otpctl/src/import/migration.rs"]
#[allow(dead_code, clippy::all)]
mod migration;
#[path = "../otpctl/src/import/oath.rs"]
#[allow(dead_code, clippy::all)]
mod oath;
#[path = "../otpctl/src/import/otpauth.rs"]
#[allow(dead_code, clippy::all)]
mod otpauth;
#[path = "../otpctl/src/import/person.rs"]
#[allow(dead_code, clippy::all)]
mod person;
#[path = "../otpctl/src/import/pskc.rs"]
#[allow(dead_code, clippy::all)]
mod pskc;
#[path = "../otpctl/src/import/text.rs"]
#[allow(dead_code, clippy::all)]
mod text;

use otp::state::MAX_INTERVALS;
use otp::time::UnixTime;
use person::{Person, Recovery};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_015);

/// A `.google_authenticator` file.
pub fn google(data: &[u8]) {
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    match google::file(data) {
        Ok(person) => {
            assert!(person.user.is_none());
            fits(&person);
        }
        Err((line, why)) => assert!((1..=lines).contains(&line) && !why.is_empty()),
    }
}

/// A line of users.oath.
pub fn oath(data: &[u8]) {
    let local = |[year, month, day, hour, ..]: oath::Civil| {
        let days = (u64::from(year) * 12 + u64::from(month)) * 31 + u64::from(day);
        Some(UnixTime::from_secs(days * 86_400 + u64::from(hour)))
    };
    if let Ok(Some(person)) = oath::line(data, NOW, &local) {
        assert!(person.user.is_some());
        fits(&person);
    }
}

/// A line of URIs, also of Google's export.
pub fn otpauth(data: &[u8]) {
    for person in otpauth::line(data).unwrap_or_default() {
        fits(&person);
    }
    for person in migration::data(data).unwrap_or_default() {
        fits(&person);
    }
}

/// A line of CSV.
pub fn csv(data: &[u8]) {
    let _ = csv::is_header(data);
    if let Ok(Some(person)) = csv::line(data) {
        assert!(person.user.as_ref().is_some_and(|user| !user.is_empty()));
        fits(&person);
    }
}

/// A PSKC document.
pub fn pskc(data: &[u8]) {
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    for (line, person) in pskc::document(data).unwrap_or_default() {
        assert!((1..=lines).contains(&line));
        if let Ok(person) = person {
            fits(&person);
        }
    }
}

/// Whether a record can hold what a file says of somebody.
fn fits(person: &Person) {
    assert_eq!(person.authenticators.len(), 1);
    for brought in &person.authenticators {
        assert!((10..=128).contains(&brought.secret.expose().len()));
        assert!(brought.used.runs().len() <= MAX_INTERVALS);
        assert!(brought.last_used_at.is_none_or(|at| at <= NOW));
    }
    if let Some(Recovery::Scratch(codes)) = &person.recovery {
        assert!((1..=64).contains(&codes.len()));
        assert!(codes.iter().all(|code| code.as_bytes().len() == 8));
    }
}
