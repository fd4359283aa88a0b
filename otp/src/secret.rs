//! The shared secret: wiped when dropped, printed never by accident.

use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use rand::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The shortest secret taken, in bytes: 128 bits (RFC 4226 section 4, R6).
pub const MIN_SECRET: usize = 16;
/// The shortest secret that can be brought along from other software, in bytes: 80 bits, which is what it drew for years (ADR 10).
pub const MIN_BROUGHT: usize = 10;
/// The longest secret taken, in bytes: the block of SHA-512; more is hashed by HMAC anyway.
pub const MAX_SECRET: usize = 128;
/// The length of a secret we draw, in bytes: 160 bits (RFC 4226 section 4, R6).
pub const DRAWN_SECRET: usize = 20;

/// A secret shared with an authenticator. No `Debug`, no `Display`; wiped on drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// How a secret is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// RFC 4648 section 6, as apps show it.
    Base32,
    /// Two digits a byte, as vendors of tokens print it.
    Hex,
    /// Whichever it can be. What can be both is refused: a wrong guess would enrol a secret that nobody has.
    Either,
}

/// Why some text is no secret. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// Something other than the letters A to Z and the digits 2 to 7, or a length base32 cannot have.
    NotBase32,
    /// Something other than pairs of hexadecimal digits.
    NotHex,
    /// Neither base32 nor hexadecimal.
    Neither,
    /// It may be base32 as well as hexadecimal.
    Ambiguous,
    /// Fewer than 128 bits.
    TooShort,
    /// More than 1,024 bits.
    TooLong,
}

impl std::fmt::Display for BadSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotBase32 => {
                "the secret is not base32: it takes the letters A to Z and the digits 2 to 7"
            }
            Self::NotHex => {
                "the secret is not hexadecimal: it takes pairs of the digits 0 to 9 and the letters A to F"
            }
            Self::Neither => {
                "the secret is neither base32, which takes the letters A to Z and the digits 2 to 7, nor hexadecimal"
            }
            Self::Ambiguous => {
                "the secret may be base32 as well as hexadecimal: say which with --secret-format base32 or --secret-format hex"
            }
            Self::TooShort => {
                "the secret is too short: it takes at least 128 bits, which is 26 characters of base32 or 32 hexadecimal digits"
            }
            Self::TooLong => "the secret is too long: it takes at most 1024 bits",
        })
    }
}

impl std::error::Error for BadSecret {}

impl Secret {
    /// From its bytes, 16 to 128 of them.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadSecret> {
        Self::of_at_least(MIN_SECRET, bytes)
    }

    /// From the bytes of one that an authenticator has had from other software, 10 to 128 of them.
    pub fn brought(bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadSecret> {
        Self::of_at_least(MIN_BROUGHT, bytes)
    }

    fn of_at_least(least: usize, bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadSecret> {
        match bytes.len() {
            length if length < least => Err(BadSecret::TooShort),
            length if length > MAX_SECRET => Err(BadSecret::TooLong),
            _ => Ok(Self(bytes)),
        }
    }

    /// From base32 (RFC 4648 section 6) as people type it: any case, with spaces, hyphens or padding.
    pub fn from_base32(text: &str) -> Result<Self, BadSecret> {
        base32_bytes(text).and_then(Self::from_bytes)
    }

    /// The same for one that can be [brought](Self::brought) along: what a record has.
    pub fn brought_base32(text: &str) -> Result<Self, BadSecret> {
        base32_bytes(text).and_then(Self::brought)
    }

    /// Whether it has fewer bits than RFC 4226 asks for (section 4, R6).
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.len() < MIN_SECRET
    }

    /// From hexadecimal digits as people type them: any case, with spaces, hyphens or colons, after `hex:` or `0x` or not.
    pub fn from_hex(text: &str) -> Result<Self, BadSecret> {
        let digits = hex_digits(text).unwrap_or(text);
        if digits.len() > MAX_SECRET.saturating_mul(4) {
            return Err(BadSecret::TooLong);
        }
        let mut kept = Zeroizing::new(Vec::with_capacity(digits.len()));
        kept.extend(
            digits
                .bytes()
                .filter(|byte| !byte.is_ascii_whitespace() && !b"-:".contains(byte)),
        );
        let bytes = HEXLOWER_PERMISSIVE
            .decode(&kept)
            .map_err(|_| BadSecret::NotHex)?;
        Self::from_bytes(Zeroizing::new(bytes))
    }

    /// From text that is spelled so. What is [either](Spelling::Either) is hexadecimal if `hex:` or `0x` stands before
    /// it, or if it can be nothing else.
    pub fn from_text(text: &str, spelling: Spelling) -> Result<Self, BadSecret> {
        let (base32, hex) = match spelling {
            Spelling::Base32 => return Self::from_base32(text),
            Spelling::Hex => return Self::from_hex(text),
            Spelling::Either => (Self::from_base32(text), Self::from_hex(text)),
        };
        let is_both = |byte: u8| {
            !byte.is_ascii_alphanumeric() || byte.is_ascii_hexdigit() && !b"0189".contains(&byte)
        };
        match (base32, hex) {
            (_, hex) if hex_digits(text).is_some() => hex,
            (_, Ok(_)) if text.bytes().all(is_both) => Err(BadSecret::Ambiguous),
            (Err(BadSecret::NotBase32), Err(BadSecret::NotHex)) => Err(BadSecret::Neither),
            (Err(BadSecret::NotBase32), hex) => hex,
            (base32, _) => base32,
        }
    }

    /// Draws a fresh one, 160 bits.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new(vec![0; DRAWN_SECRET]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes, for the HMAC. Do not copy them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the same secret, in constant time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Base32 without padding, for the one showing at enrolment and the secret's own file.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }
}

/// What stands after a word that says that it is hexadecimal.
fn hex_digits(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let after = |lead: &str| {
        let start = text.get(..lead.len())?;
        let rest = text.get(lead.len()..)?;
        start.eq_ignore_ascii_case(lead).then_some(rest)
    };
    after("hex:").or_else(|| after("0x"))
}

fn base32_bytes(text: &str) -> Result<Zeroizing<Vec<u8>>, BadSecret> {
    if text.len() > MAX_SECRET.saturating_mul(4) {
        return Err(BadSecret::TooLong);
    }
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
    kept.extend(
        text.bytes()
            .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-')
            .map(|byte| byte.to_ascii_uppercase()),
    );
    while kept.last() == Some(&b'=') {
        kept.pop();
    }
    let bytes = BASE32_NOPAD
        .decode(&kept)
        .map_err(|_| BadSecret::NotBase32)?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_read_as_people_type_it() {
        let tidy = Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let typed = Secret::from_base32("gezd gnbv-gy3t qojq gezd gnbv gy3t qojq==").unwrap();
        assert_eq!(tidy.expose(), b"12345678901234567890");
        assert_eq!(typed.expose(), tidy.expose());
        assert_eq!(*typed.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn what_is_no_secret_is_refused_by_kind() {
        let why = |text: &str| Secret::from_base32(text).err();
        assert_eq!(why("GEZDGNBVGY3TQOJ1"), Some(BadSecret::NotBase32));
        assert_eq!(why("JBSWY3DPEHPK3PXP"), Some(BadSecret::TooShort));
        assert_eq!(why(""), Some(BadSecret::TooShort));
        assert_eq!(why(&"A".repeat(208)), Some(BadSecret::TooLong));
        assert_eq!(why(&"A".repeat(10_000_000)), Some(BadSecret::TooLong));
    }

    #[test]
    fn a_secret_has_16_to_128_bytes_and_its_text_at_most_512() {
        let of = |length: usize| Secret::from_bytes(Zeroizing::new(vec![7; length])).err();
        assert_eq!((of(15), of(16)), (Some(BadSecret::TooShort), None));
        assert_eq!((of(128), of(129)), (None, Some(BadSecret::TooLong)));
        let padded = |length: usize| {
            let text = format!("{:length$}", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
            Secret::from_base32(&text).err()
        };
        assert_eq!(padded(512), None);
        assert_eq!(padded(513), Some(BadSecret::TooLong));
        assert_eq!(padded(600), Some(BadSecret::TooLong));
    }

    #[test]
    fn what_is_brought_along_has_10_bytes_at_least_and_is_known_to_be_short() {
        let of = |length: usize| Secret::brought(Zeroizing::new(vec![7; length]));
        let short = |length: usize| of(length).map(|secret| secret.is_short()).ok();
        assert_eq!(of(9).err(), Some(BadSecret::TooShort));
        assert_eq!(
            [10, 15, 16, 128].map(short),
            [true, true, false, false].map(Some)
        );
        assert_eq!(of(129).err(), Some(BadSecret::TooLong));
        assert!(Secret::brought_base32("JBSWY3DPEHPK3PXP").is_ok());
        assert!(Secret::brought_base32("JBSWY3DPEHPK3PX1").is_err());
    }

    #[test]
    fn a_secret_is_the_same_as_itself_alone() {
        let secret = |byte| Secret::from_bytes(Zeroizing::new(vec![byte; 20])).unwrap();
        assert!(secret(1).is_same(&secret(1)));
        assert!(!secret(1).is_same(&secret(2)));
        let longer = Secret::from_bytes(Zeroizing::new(vec![1; 21])).unwrap();
        assert!(!secret(1).is_same(&longer));
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_told_in_words() {
        for (why, words) in [
            (
                BadSecret::NotBase32,
                "the letters A to Z and the digits 2 to 7",
            ),
            (BadSecret::TooShort, "at least 128 bits"),
            (BadSecret::TooLong, "at most 1024 bits"),
        ] {
            assert!(why.to_string().contains(words), "{why}");
        }
    }

    /// RFC 4226's secret, as vendors print it.
    const HEX: &str = "3132333435363738393031323334353637383930";

    fn spelled(text: &str, spelling: Spelling) -> Result<String, BadSecret> {
        Secret::from_text(text, spelling).map(|secret| secret.to_base32().to_string())
    }

    #[test]
    fn hexadecimal_is_read_as_people_type_it() {
        let expected = Ok("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned());
        for text in [
            HEX.to_owned(),
            format!("hex:{HEX}"),
            format!(" HEX: {HEX}\r"),
            format!("0x{HEX}"),
            "31:32:33:34:35:36:37:38:39:30 31-32 33 34 35 36 37 38 39 30".to_owned(),
        ] {
            assert_eq!(spelled(&text, Spelling::Hex), expected, "{text}");
            assert_eq!(spelled(&text, Spelling::Either), expected, "{text}");
        }
        assert_eq!(spelled(&HEX[1..], Spelling::Hex), Err(BadSecret::NotHex));
        assert_eq!(spelled(&HEX[..30], Spelling::Hex), Err(BadSecret::TooShort));
        let long = "00".repeat(MAX_SECRET + 1);
        assert_eq!(spelled(&long, Spelling::Hex), Err(BadSecret::TooLong));
    }

    #[test]
    fn what_may_be_base32_as_well_as_hexadecimal_is_not_guessed_at() {
        for both in [
            "2345672345672345672345672345672A",
            "abcd efab cdef abcd efab cdef abcd efab",
        ] {
            let why = spelled(both, Spelling::Either);
            assert_eq!(why, Err(BadSecret::Ambiguous), "{both}");
            let [base32, hex] = [Spelling::Base32, Spelling::Hex].map(|how| spelled(both, how));
            assert_ne!(base32.unwrap(), hex.unwrap());
            assert!(spelled(&format!("hex:{both}"), Spelling::Either).is_ok());
        }
        // Too short for hexadecimal, so there is nothing to guess.
        let short = "ABCDEF234567ABCDEF234567AA";
        assert!(spelled(short, Spelling::Either).is_ok());
        let app = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(spelled(app, Spelling::Either), Ok(app.to_owned()));
        assert_eq!(spelled("what?", Spelling::Either), Err(BadSecret::Neither));
        assert_eq!(spelled("0123", Spelling::Either), Err(BadSecret::TooShort));
        assert_eq!(spelled("0x123", Spelling::Either), Err(BadSecret::NotHex));
        assert_eq!(spelled("hex:", Spelling::Base32), Err(BadSecret::NotBase32));
    }
}
