//! What a backup holds, line by line: JSON, a header first, then a line a user. FILEFORMAT.md has the keys.

use data_encoding::HEXLOWER;
use otp::drift::Drift;
use otp::enrollment::{Authenticator, Generation, Kind, MAX_RECOVERY_CODES};
use otp::hotp::{Algorithm, CodeLength};
use otp::keyed::{Digest, DigestKey, KEY_LENGTH};
use otp::secret::Secret;
use otp::state::{AuthenticatorState, State, UsedSteps};
use otp::time::{Period, UnixTime};
use otp::verify::Record;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::import::person::{Brought, Person, Recovery, Why};

/// The last version known here.
const VERSION: u32 = 1;
const BAD: Why = "it is not as otpctl export writes it";
/// The fullest line is some 30 KB.
pub(crate) const MAX_LINE: usize = 128 * 1024;

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    pam_otp_archive: u32,
    made_at: u64,
    /// The machine's key for recovery codes, in hexadecimal digits.
    key: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    // Owned, because JSON may have escaped it.
    user: String,
    disabled: bool,
    #[serde(borrow)]
    authenticators: Vec<Saved<'a>>,
    #[serde(borrow)]
    recovery: Option<SavedList<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    name: String,
    r#type: &'a str,
    secret: &'a str,
    algorithm: &'a str,
    digits: u64,
    period: Option<u64>,
    issuer: String,
    label: String,
    enrolled_at: u64,
    last_used_at: Option<u64>,
    drift: (i32, i32, i8),
    floor: Option<u64>,
    used: Vec<(u64, u64)>,
}

#[derive(Serialize, Deserialize)]
struct SavedList<'a> {
    generation: &'a str,
    digits: Option<u64>,
    /// Those that are not used yet.
    #[serde(borrow)]
    digests: Vec<std::borrow::Cow<'a, str>>,
}

/// The first line.
pub(crate) fn header(made_at: UnixTime, key: &DigestKey) -> Option<Zeroizing<Vec<u8>>> {
    let key = Zeroizing::new(HEXLOWER.encode(key.expose()));
    line_of(&Header {
        pam_otp_archive: VERSION,
        made_at: made_at.as_secs(),
        key: &key,
    })
}

/// The line of an enrolled user.
pub(crate) fn line(record: &Record) -> Option<Zeroizing<Vec<u8>>> {
    let enrollment = record.enrollment.as_ref()?;
    let secrets: Vec<_> = enrollment
        .authenticators
        .iter()
        .map(|one| one.secret.to_base32())
        .collect();
    let authenticators = enrollment.authenticators.iter().zip(&secrets);
    let authenticators = authenticators.map(|(one, secret)| saved(one, secret, &record.state));
    let list = enrollment.recovery.as_ref();
    let generation = list.map(|list| format!("{:016x}", list.generation.bits()));
    let recovery = list
        .zip(generation.as_ref())
        .map(|(list, generation)| SavedList {
            generation,
            digits: list
                .digits
                .and_then(|length| length.digits().try_into().ok()),
            digests: unused(list.generation, &list.digests, &record.state),
        });
    line_of(&Line {
        user: record.user.as_str().to_owned(),
        disabled: record.state.disabled,
        authenticators: authenticators.collect(),
        recovery,
    })
}

fn line_of(content: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    serde_json::to_writer(&mut *out, content).ok()?;
    out.push(b'\n');
    Some(out)
}

fn saved<'a>(one: &'a Authenticator, secret: &'a str, state: &State) -> Saved<'a> {
    let entry = state.authenticator(one.generation).cloned();
    let entry = entry.unwrap_or_else(|| AuthenticatorState::fresh(one.generation));
    Saved {
        name: one.name.clone(),
        r#type: one.kind.name(),
        secret,
        algorithm: one.algorithm.name(),
        digits: one.length.digits().try_into().unwrap_or(0),
        period: one.kind.period().map(Period::as_secs),
        issuer: one.issuer.clone(),
        label: one.label.clone(),
        enrolled_at: one.enrolled_at.as_secs(),
        last_used_at: entry.last_used_at.map(UnixTime::as_secs),
        drift: (entry.drift.last, entry.drift.kept, entry.drift.lean),
        floor: entry.used.floor(),
        used: entry.used.runs().to_vec(),
    }
}

/// Used ones are left out, so that no restoring brings one back.
fn unused(
    list: Generation,
    digests: &[Digest],
    state: &State,
) -> Vec<std::borrow::Cow<'static, str>> {
    let entry = state.recovery(list);
    let all = digests.iter().enumerate();
    let unused = all.filter(|(index, _)| entry.is_some_and(|entry| !entry.is_used(*index)));
    unused
        .map(|(_, digest)| HEXLOWER.encode(digest.as_bytes()).into())
        .collect()
}

/// Reads the first line: the key under which the recovery codes are kept.
pub(crate) fn header_from(line: &[u8]) -> Result<DigestKey, Why> {
    let header: Header<'_> =
        serde_json::from_slice(line).map_err(|_| "what is in it is no archive of otpctl export")?;
    if header.pam_otp_archive != VERSION {
        return Err("a later version made it: install the newer libpam-otp");
    }
    let bytes: [u8; KEY_LENGTH] = bytes(header.key).ok_or(BAD)?;
    Ok(DigestKey::from_bytes(Zeroizing::new(bytes)))
}

/// Reads the line of a user.
pub(crate) fn person_from(line: &[u8]) -> Result<Person, Why> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|_| BAD)?;
    let authenticators = line.authenticators.into_iter().map(brought);
    let recovery = line.recovery.map(list_from).transpose()?;
    Ok(Person {
        user: Some(line.user),
        authenticators: authenticators.collect::<Result<_, _>>()?,
        recovery,
        disabled: line.disabled,
        notes: Vec::new(),
    })
}

fn brought(saved: Saved<'_>) -> Result<Brought, Why> {
    let secret = Secret::brought_base32(saved.secret).map_err(|_| BAD)?;
    let mut brought = Brought::totp(secret);
    let (last, kept, lean) = saved.drift;
    brought.kind = match (saved.r#type, saved.period) {
        ("totp", Some(period)) => Kind::Totp {
            period: Period::from_secs(period).ok_or(BAD)?,
        },
        ("hotp", None) => Kind::Hotp,
        _ => return Err(BAD),
    };
    brought.name = Some(saved.name);
    brought.algorithm = Algorithm::from_name(saved.algorithm).ok_or(BAD)?;
    brought.length = CodeLength::new(saved.digits).ok_or(BAD)?;
    brought.issuer = Some(saved.issuer);
    brought.label = Some(saved.label);
    brought.used = UsedSteps::from_parts(saved.floor, saved.used).ok_or(BAD)?;
    brought.drift = Drift { last, kept, lean };
    brought.last_used_at = saved.last_used_at.map(UnixTime::from_secs);
    brought.enrolled_at = Some(UnixTime::from_secs(saved.enrolled_at));
    Ok(brought)
}

fn list_from(saved: SavedList<'_>) -> Result<Recovery, Why> {
    let bits = u64::from_str_radix(saved.generation, 16).map_err(|_| BAD)?;
    let digests = saved
        .digests
        .iter()
        .map(|hex| bytes(hex).map(Digest::from_bytes));
    let unused: Option<Vec<Digest>> = digests.collect();
    let digits = match saved.digits {
        None => None,
        Some(digits) => Some(CodeLength::new(digits).ok_or(BAD)?),
    };
    Ok(Recovery::Digests {
        generation: Generation::from_bits(bits),
        digits,
        unused: unused
            .filter(|unused| unused.len() <= MAX_RECOVERY_CODES)
            .ok_or(BAD)?,
    })
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use otp::enrollment::{Enrollment, RecoveryList};
    use otp::state::RecoveryState;
    use otp::user::UserName;
    use proptest::prelude::*;

    fn record() -> Record {
        let generation = Generation::from_bits(7);
        let mut record = Record::none(UserName::parse("älice \"x\"").unwrap());
        let mut entry = AuthenticatorState::fresh(generation);
        entry.used.raise_to(41);
        entry.drift = Drift {
            last: -3,
            kept: -2,
            lean: -1,
        };
        entry.last_used_at = Some(UnixTime::from_secs(9));
        record.state.authenticators.push(entry);
        record.state.recovery.push(RecoveryState {
            generation,
            used: 0b10,
        });
        record.state.disabled = true;
        record.enrollment = Some(Enrollment {
            authenticators: vec![Authenticator {
                name: "token".to_owned(),
                generation,
                kind: Kind::Hotp,
                secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
                algorithm: Algorithm::Sha512,
                length: CodeLength::new(8).unwrap(),
                issuer: "a".to_owned(),
                label: "b".to_owned(),
                enrolled_at: UnixTime::from_secs(8),
            }],
            recovery: Some(RecoveryList {
                generation,
                digests: [1, 2, 3].map(|byte| Digest::from_bytes([byte; 32])).into(),
                digits: CodeLength::new(8),
            }),
        });
        record
    }

    #[test]
    fn what_is_saved_reads_back_and_used_recovery_codes_are_left_out() {
        let person = person_from(&line(&record()).unwrap()).unwrap();
        assert_eq!(person.user.as_deref(), Some("älice \"x\""));
        assert!(person.disabled);
        let token = &person.authenticators[0];
        assert_eq!((token.kind, token.used.floor()), (Kind::Hotp, Some(41)));
        assert_eq!(
            (token.drift.last, token.drift.kept, token.drift.lean),
            (-3, -2, -1)
        );
        assert_eq!(token.last_used_at, Some(UnixTime::from_secs(9)));
        let Some(Recovery::Digests {
            generation,
            digits,
            unused,
        }) = person.recovery
        else {
            panic!("no list");
        };
        assert_eq!((generation.bits(), digits), (7, CodeLength::new(8)));
        let first: Vec<_> = unused.iter().map(|digest| digest.as_bytes()[0]).collect();
        assert_eq!(first, [1, 3]);
        let key = DigestKey::from_bytes(Zeroizing::new([5; 32]));
        let read = header_from(&header(UnixTime::EPOCH, &key).unwrap()).unwrap();
        assert_eq!(read.expose(), &[5; 32]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0..400_usize, byte: u8) {
            let mut text = line(&record()).unwrap().to_vec();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            let _ = person_from(&text);
            let _ = header_from(&text);
        }
    }
}
