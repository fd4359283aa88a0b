//! How secrets and numbers are spelled in the files of others.

use otp::secret::{BadSecret, MAX_SECRET, Secret};
use zeroize::Zeroizing;

use super::person::Why;

/// What is no base32 at all.
pub(crate) const NOT_BASE32: Why = "its secret is not base32";

/// A secret in base32 as apps read it: any case, with spaces, hyphens or padding; bits that make no byte are dropped.
pub(crate) fn base32(text: &[u8]) -> Result<Secret, Why> {
    if text.len() > MAX_SECRET.saturating_mul(4) {
        return Err(long());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET.saturating_mul(4)));
    let (mut held, mut bits) = (0_u16, 0_u8);
    for byte in text {
        let value = match byte.to_ascii_uppercase() {
            b' ' | b'-' | b'=' => continue,
            letter @ b'A'..=b'Z' => letter.wrapping_sub(b'A'),
            digit @ b'2'..=b'7' => digit.wrapping_sub(b'2').wrapping_add(26),
            _ => return Err(NOT_BASE32),
        };
        held = (held << 5) | u16::from(value);
        bits = bits.wrapping_add(5);
        if bits >= 8 {
            bits = bits.wrapping_sub(8);
            let [_, byte] = (held >> bits).to_be_bytes();
            bytes.push(byte);
            held &= !(u16::MAX << bits);
        }
    }
    secret(bytes)
}

/// A secret in hexadecimal digits.
pub(crate) fn hex(text: &[u8]) -> Result<Secret, Why> {
    const NOT_HEX: Why = "its secret is not hexadecimal";
    if text.len() > MAX_SECRET.saturating_mul(2) {
        return Err(long());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET));
    for pair in text.chunks(2) {
        let [high, low] = pair else {
            return Err(NOT_HEX);
        };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return Err(NOT_HEX);
        };
        bytes.push(u8::try_from((high << 4) | low).unwrap_or(0));
    }
    secret(bytes)
}

/// A secret of these bytes, which may be short.
pub(crate) fn secret(bytes: Zeroizing<Vec<u8>>) -> Result<Secret, Why> {
    Secret::brought(bytes).map_err(|bad| match bad {
        BadSecret::TooLong => long(),
        _ => "its secret has fewer than 80 bits, which is too few to be one",
    })
}

const fn long() -> Why {
    "its secret is longer than 1024 bits"
}

/// A decimal number of at most 20 digits, nothing else around it.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// The same with a sign, if it has one.
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    let value = i64::try_from(number(digits)?).ok()?;
    value.checked_mul(sign)
}

/// Words between spaces and tabs.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}
