//! The shared secret: wiped when dropped, printed never by accident.

use data_encoding::BASE32_NOPAD;
use rand::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The shortest secret taken, in bytes: 128 bits (RFC 4226 section 4, R6).
pub const MIN_SECRET: usize = 16;
/// The longest secret taken, in bytes: the block of SHA-512; more is hashed by HMAC anyway.
pub const MAX_SECRET: usize = 128;
/// The length of a secret we draw, in bytes: 160 bits (RFC 4226 section 4, R6).
pub const DRAWN_SECRET: usize = 20;

/// A secret shared with an authenticator. No `Debug`, no `Display`; wiped on drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why some text is no secret. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// Something other than the letters A to Z and the digits 2 to 7, or a length base32 cannot have.
    NotBase32,
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
            Self::TooShort => {
                "the secret is too short: it takes at least 128 bits, which is 26 characters of base32"
            }
            Self::TooLong => "the secret is too long: it takes at most 1024 bits",
        })
    }
}

impl std::error::Error for BadSecret {}

impl Secret {
    /// From its bytes, 16 to 128 of them.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadSecret> {
        match bytes.len() {
            ..MIN_SECRET => Err(BadSecret::TooShort),
            MIN_SECRET..=MAX_SECRET => Ok(Self(bytes)),
            _ => Err(BadSecret::TooLong),
        }
    }

    /// From base32 (RFC 4648 section 6) as people type it: any case, with spaces, hyphens or padding.
    pub fn from_base32(text: &str) -> Result<Self, BadSecret> {
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
        Self::from_bytes(Zeroizing::new(bytes))
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
}
