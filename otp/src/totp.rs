//! TOTP, RFC 6238: HOTP whose counter is the time step.

use crate::hotp::{self, Algorithm, Code, CodeLength};
use crate::passcode::Digits;
use crate::secret::Secret;
use crate::time::TimeStep;

/// The code of one time step (RFC 6238 section 4.2).
#[must_use]
pub fn code(secret: &Secret, algorithm: Algorithm, length: CodeLength, step: TimeStep) -> Code {
    hotp::code(secret, algorithm, length, step.number())
}

/// How many steps away from `center` the typed code is right, the nearest first, at most `reach` away.
/// Diagnosis only ("the phone's clock is two minutes off"): what it finds is never an acceptance.
#[must_use]
pub fn offset_of(
    secret: &Secret,
    algorithm: Algorithm,
    typed: &Digits,
    center: TimeStep,
    reach: u32,
) -> Option<i64> {
    let length = CodeLength::new(u64::try_from(typed.as_bytes().len()).ok()?)?;
    (0..=i64::from(reach))
        .flat_map(|distance| [distance, distance.saturating_neg()])
        .find(|offset| {
            center
                .offset(*offset)
                .is_some_and(|step| code(secret, algorithm, length, step).matches(typed))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passcode::Passcode;
    use crate::time::{Period, UnixTime};
    use zeroize::Zeroizing;

    /// Appendix B takes a secret as long as the hash: the digits 1 to 9 and 0, over and over.
    fn secret(length: usize) -> Secret {
        let bytes = b"1234567890".iter().copied().cycle().take(length);
        Secret::from_bytes(Zeroizing::new(bytes.collect())).unwrap()
    }

    #[test]
    fn rfc_6238_appendix_b() {
        let table = [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ];
        let eight = CodeLength::new(8).unwrap();
        for (secs, sha1, sha256, sha512) in table {
            let step = TimeStep::at(UnixTime::from_secs(secs), Period::THIRTY);
            for (algorithm, length, expected) in [
                (Algorithm::Sha1, 20, sha1),
                (Algorithm::Sha256, 32, sha256),
                (Algorithm::Sha512, 64, sha512),
            ] {
                let code = code(&secret(length), algorithm, eight, step);
                assert_eq!(code.expose(), expected, "{} at {secs}", algorithm.name());
            }
        }
    }

    #[test]
    fn the_offset_of_a_code_for_another_time_is_found() {
        let now = TimeStep::new(1_000_000);
        let ahead = code(
            &secret(20),
            Algorithm::Sha1,
            CodeLength::SIX,
            TimeStep::new(1_000_007),
        );
        let Ok(Passcode::Digits(typed)) = Passcode::parse(ahead.expose().as_bytes()) else {
            panic!("a code is digits");
        };
        assert_eq!(
            offset_of(&secret(20), Algorithm::Sha1, &typed, now, 20),
            Some(7)
        );
        assert_eq!(
            offset_of(&secret(20), Algorithm::Sha1, &typed, now, 6),
            None
        );
    }
}
