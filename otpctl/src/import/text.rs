//! How secrets and numbers are spelled in the files of others.

use data_encoding::{BASE32_NOPAD, Encoding, HEXLOWER_PERMISSIVE};
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
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len().next_multiple_of(8)));
    let symbols = text.iter().filter(|byte| !b" -=".contains(byte));
    kept.extend(symbols.map(u8::to_ascii_uppercase));
    let whole = kept.len().saturating_mul(5).div_euclid(8);
    // Filled up to whole bytes, which the library wants; what that makes is cut off again.
    let filled = kept.len().next_multiple_of(8);
    kept.resize(filled, b'A');
    let mut bytes = decoded(&BASE32_NOPAD, &kept).ok_or(NOT_BASE32)?;
    bytes.truncate(whole);
    secret(bytes)
}

/// A secret in hexadecimal digits.
pub(crate) fn hex(text: &[u8]) -> Result<Secret, Why> {
    if text.len() > MAX_SECRET.saturating_mul(2) {
        return Err(long());
    }
    let bytes = decoded(&HEXLOWER_PERMISSIVE, text);
    secret(bytes.ok_or("its secret is not hexadecimal")?)
}

/// Decoded into memory that is wiped, also where it goes wrong half-way.
fn decoded(encoding: &Encoding, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = encoding.decode_len(text.len()).ok()?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    encoding.decode_mut(text, &mut bytes).ok()?;
    Some(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By RFC 4648 section 6, five bits a letter, written down as zeros and ones.
    fn by_bits(text: &str) -> Vec<u8> {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let of = |letter: char| letters.find(letter.to_ascii_uppercase());
        let bits: Vec<char> = text
            .chars()
            .filter_map(of)
            .flat_map(|value| format!("{value:05b}").chars().collect::<Vec<_>>())
            .collect();
        let byte = |bits: &[char]| u8::from_str_radix(&String::from_iter(bits), 2).unwrap();
        bits.chunks_exact(8).map(byte).collect()
    }

    proptest! {
        #[test]
        fn base32_is_read_as_apps_read_it(text in "[A-Za-z2-7 =-]{16,200}") {
            let bytes = by_bits(&text);
            let read = base32(text.as_bytes());
            if bytes.len() < 10 {
                prop_assert!(read.is_err());
            } else {
                let read = read.unwrap();
                prop_assert_eq!(read.expose(), &bytes);
            }
        }

        #[test]
        fn hexadecimal_is_two_digits_a_byte(bytes in proptest::collection::vec(any::<u8>(), 10..=128)) {
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for text in [text.clone(), text.to_uppercase()] {
                let read = hex(text.as_bytes()).unwrap();
                prop_assert_eq!(read.expose(), &bytes);
            }
            prop_assert!(hex(&text.as_bytes()[1..]).is_err());
        }
    }

    #[test]
    fn what_is_something_else_is_refused_wherever_it_stands() {
        for at in 0..20 {
            for wrong in [b'0', b'1', b'8', b'!', 0xc3] {
                let mut text = *b"GEZDGNBVGY3TQOJQGEZD";
                text[at] = wrong;
                assert_eq!(base32(&text).err(), Some(NOT_BASE32));
            }
            let mut text = *b"00112233445566778899";
            text[at] = b'g';
            assert!(hex(&text).is_err());
        }
        assert_eq!(base32(&[b'A'; 513]).err(), Some(long()));
        assert_eq!(base32(&[b'A'; 208]).err(), Some(long()));
        assert_eq!(hex(&[b'0'; 258]).err(), Some(long()));
    }
}
