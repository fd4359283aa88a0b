//! What was typed: parsed once, so that two spellings of one code are one code.

use data_encoding::{Encoding, Specification};
use rand::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// The shortest passcode of digits there is.
pub const MIN_DIGITS: usize = 6;
/// The longest passcode of digits there is (stored codes go to ten).
pub const MAX_DIGITS: usize = 10;
/// Characters of a recovery code without its hyphens: 16 of 5 bits, so 80 bits.
pub const RECOVERY_LENGTH: usize = 16;
/// More than this was not typed by a person; nothing longer is looked at.
const MAX_TYPED: usize = 128;
/// The alphabet of recovery codes: digits and lower-case letters without i, l, o and u (Crockford's).
const RECOVERY_ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// An answer at the prompt, understood. Wiped on drop.
#[derive(Clone)]
pub enum Passcode {
    /// 6 to 10 ASCII digits: a TOTP, HOTP or stored code.
    Digits(Digits),
    /// A recovery code.
    Recovery(RecoveryCode),
}

/// An answer that is no passcode at all. Holds nothing of it, and counts nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// 6 to 10 ASCII digits. Wiped on drop, never printed by accident.
#[derive(Clone)]
pub struct Digits(Zeroizing<Vec<u8>>);

/// A recovery code in its one spelling: 16 characters, lower case, no hyphens. Wiped on drop.
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<Vec<u8>>);

impl Passcode {
    /// Understands what a person typed: spaces and hyphens are dropped; then 6 to 10 ASCII digits, or
    /// 16 characters of the recovery alphabet (any case; o, i and l are read as 0, 1 and 1).
    pub fn parse(typed: &[u8]) -> Result<Self, Malformed> {
        if typed.len() > MAX_TYPED {
            return Err(Malformed);
        }
        let mut kept = Zeroizing::new(Vec::with_capacity(typed.len()));
        kept.extend(
            typed
                .iter()
                .filter(|byte| !matches!(byte, b' ' | b'\t' | b'-')),
        );
        match kept.len() {
            MIN_DIGITS..=MAX_DIGITS if kept.iter().all(u8::is_ascii_digit) => {
                Ok(Self::Digits(Digits(kept)))
            }
            RECOVERY_LENGTH => RecoveryCode::normalize(kept).map(Self::Recovery),
            _ => Err(Malformed),
        }
    }
}

impl Digits {
    /// The digits as ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digits as text, for the one showing of a code that was just drawn.
    #[must_use]
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Draws `length` digits (6 to 10), each of the ten equally likely.
    pub fn draw(rng: &mut impl CryptoRng, length: usize) -> Self {
        let length = length.clamp(MIN_DIGITS, MAX_DIGITS);
        let mut digits = Zeroizing::new(Vec::with_capacity(length));
        let mut byte = [0];
        while digits.len() < length {
            rng.fill_bytes(&mut byte);
            // 250 is the largest multiple of ten a byte reaches: what lies above would favour 0 to 5.
            if let [drawn @ ..250] = byte {
                digits.push(b'0'.saturating_add(drawn % 10));
            }
        }
        byte.zeroize();
        Self(digits)
    }
}

impl RecoveryCode {
    /// Draws one: 80 bits (NIST SP 800-63B-4 section 3.1.2 asks for 64).
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bits = Zeroizing::new([0; 10]);
        rng.fill_bytes(&mut *bits);
        Self(Zeroizing::new(
            recovery_encoding()
                .map_or_else(Vec::new, |encoding| encoding.encode(&*bits).into_bytes()),
        ))
    }

    /// Its one spelling as ASCII, for the keyed hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Grouped for reading, `7kq2-m4tx-9bnc-2xwd`: for the one showing of a fresh code.
    #[must_use]
    pub fn to_grouped(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(RECOVERY_LENGTH.saturating_add(3)));
        for (index, group) in self.0.chunks(4).enumerate() {
            if index > 0 {
                text.push('-');
            }
            text.push_str(std::str::from_utf8(group).unwrap_or_default());
        }
        text
    }

    fn normalize(mut typed: Zeroizing<Vec<u8>>) -> Result<Self, Malformed> {
        for byte in typed.iter_mut() {
            *byte = match byte.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                other => other,
            };
        }
        let known = |byte: &u8| RECOVERY_ALPHABET.as_bytes().contains(byte);
        if typed.iter().all(known) {
            Ok(Self(typed))
        } else {
            Err(Malformed)
        }
    }
}

fn recovery_encoding() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification.symbols.push_str(RECOVERY_ALPHABET);
    specification.encoding().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::seeded;
    use proptest::prelude::*;

    fn digits(typed: &str) -> Option<String> {
        match Passcode::parse(typed.as_bytes()) {
            Ok(Passcode::Digits(digits)) => Some(digits.expose().to_owned()),
            _ => None,
        }
    }

    fn recovery(typed: &str) -> Option<Vec<u8>> {
        match Passcode::parse(typed.as_bytes()) {
            Ok(Passcode::Recovery(code)) => Some(code.as_bytes().to_vec()),
            _ => None,
        }
    }

    #[test]
    fn two_spellings_of_one_code_are_one_code() {
        for typed in ["492039", "492 039", " 492-039 ", "4 9 2 0 3 9", "\t492039"] {
            assert_eq!(digits(typed).as_deref(), Some("492039"), "{typed:?}");
        }
        let tidy = recovery("7kq2m4tx9bnc2xwd");
        assert!(tidy.is_some());
        assert_eq!(recovery("7KQ2-M4TX-9BNC-2XWD"), tidy);
        assert_eq!(
            recovery("o0o0-1li1-9bnc-2xwd"),
            recovery("0000-1111-9bnc-2xwd")
        );
    }

    #[test]
    fn what_is_too_long_is_malformed_whatever_it_is_made_of() {
        let padded = |length: usize| [b"492039".to_vec(), vec![b' '; length - 6]].concat();
        assert!(Passcode::parse(&padded(MAX_TYPED)).is_ok());
        assert!(Passcode::parse(&padded(MAX_TYPED + 1)).is_err());
        assert!(Passcode::parse(&padded(MAX_TYPED - 1)).is_ok());
    }

    #[test]
    fn anything_else_is_malformed() {
        let wide = "４９２０３９";
        let sshd = "\u{8}\n\r\u{7f}INCORRECT";
        for typed in [
            "",
            " ",
            "12345",
            "12345678901",
            "49203a",
            "492039\n",
            wide,
            sshd,
        ] {
            assert!(Passcode::parse(typed.as_bytes()).is_err(), "{typed:?}");
        }
        assert!(Passcode::parse(&[b'1'; 10_000_000]).is_err());
        assert!(
            Passcode::parse(b"7kq2m4tx9bnc2xwu").is_err(),
            "no u in the alphabet"
        );
        assert!(Passcode::parse(&[0xff, 0xfe, b'1', b'2', b'3', b'4', b'5', b'6']).is_err());
    }

    #[test]
    fn drawn_codes_have_their_shape_and_parse_back() {
        let mut rng = seeded();
        for length in MIN_DIGITS..=MAX_DIGITS {
            let code = Digits::draw(&mut rng, length);
            assert_eq!(digits(code.expose()).map(|code| code.len()), Some(length));
        }
        let code = RecoveryCode::draw(&mut rng);
        let grouped = code.to_grouped();
        assert_eq!(grouped.len(), 19);
        assert_eq!(recovery(&grouped).as_deref(), Some(code.as_bytes()));
    }

    #[test]
    fn every_digit_is_as_likely_as_the_next() {
        let mut rng = seeded();
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            for digit in Digits::draw(&mut rng, 10).as_bytes() {
                seen[usize::from(digit - b'0')] += 1;
            }
        }
        // 100,000 draws: 10,000 each, with a standard deviation of 95.
        assert!(seen.iter().all(|n| n.abs_diff(10_000) < 500), "{seen:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Passcode::parse(&bytes);
        }
    }
}
