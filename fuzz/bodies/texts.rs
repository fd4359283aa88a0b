//! What an administrator wrote, what somebody typed, what a user is called.

use otp::enrollment::{Authenticator, Generation, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::passcode::Passcode;
use otp::policy::Parsed;
use otp::secret::Secret;
use otp::state::AuthenticatorState;
use otp::time::{Period, UnixTime};
use otp::uri;
use otp::user::UserName;

use super::format::SECRET;

/// The text of an otp.toml.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Parsed::parse(text) {
        Ok(parsed) => {
            assert!(parsed.policy.window <= 10);
            assert!(parsed.policy.state_dir.is_absolute());
            assert!(!parsed.settings().is_empty());
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            let lines = text.lines().count() + 1;
            assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
        }
    }
}

/// What somebody typed.
pub fn passcode(data: &[u8]) {
    let spaced: Vec<u8> = data.iter().flat_map(|byte| [*byte, b' ']).collect();
    match (Passcode::parse(data), Passcode::parse(&spaced)) {
        (Ok(Passcode::Digits(plain)), spaced) => {
            assert!((6..=10).contains(&plain.as_bytes().len()));
            assert!(plain.as_bytes().iter().all(u8::is_ascii_digit));
            // Two spellings of one code are one code; what is too long with its spaces is none.
            if let Ok(Passcode::Digits(spaced)) = spaced {
                assert_eq!(plain.as_bytes(), spaced.as_bytes());
            }
        }
        (Ok(Passcode::Recovery(_)), _) | (Err(_), Err(_)) => {}
        (Err(_), Ok(_)) => panic!("spaces make a code of what is none"),
    }
}

/// A user's name, the name of her file, and what is shown of her.
pub fn user(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(user) = UserName::from_file_name(text) {
        assert_eq!(user.file_name(), text);
    }
    let Ok(user) = UserName::parse(text) else {
        return;
    };
    let file = user.file_name();
    assert!(!file.is_empty() && file.len() <= 255 && !file.starts_with('.'));
    assert!(
        file.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    );
    assert_eq!(UserName::from_file_name(&file), Some(user));
    let authenticator = authenticator(text);
    let state = AuthenticatorState::fresh(authenticator.generation);
    let uri = uri::otpauth(&authenticator, &state);
    assert!(uri.starts_with("otpauth://totp/"));
    assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()));
}

fn authenticator(label: &str) -> Authenticator {
    Authenticator {
        name: "phone".to_owned(),
        generation: Generation::from_bits(7),
        kind: Kind::Totp {
            period: Period::THIRTY,
        },
        secret: Secret::from_base32(SECRET).unwrap(),
        algorithm: Algorithm::Sha1,
        length: CodeLength::SIX,
        issuer: "fuzz".to_owned(),
        label: label.to_owned(),
        enrolled_at: UnixTime::from_secs(0),
    }
}
