//! The bytes of binary records (state, stored code, sends, sends of the machine), written and read. FILEFORMAT.md has them; all numbers are little-endian.
//! Lengths are bounded before anything is allocated, and bytes left over are damage.

use crate::bytes::{
    Reader, channel_code, channel_from, list_to, method_code, method_from, moment_to, origin_from,
    origin_to, service_from, time_to, u32_to, u64_to,
};
use crate::drift::Drift;
use crate::enrollment::Generation;
use crate::issued::{CodeId, Fate, MAX_ATTEMPTS, MAX_REASON, StoredCode};
use crate::keyed::Digest;
use crate::passcode::{MAX_DIGITS, MIN_DIGITS};
use crate::sends::{MAX_NOTED, MINUTES, MachineLog, Noted, SendLog};
use crate::service::Service;
use crate::state::{
    AuthenticatorState, LastLogin, MAX_AUTHENTICATOR_STATES, MAX_INTERVALS, MAX_RECOVERY_STATES,
    MAX_REMEMBERED, RecoveryState, Remembered, State, UsedSteps,
};
use crate::throttle::{MAX_STRANGERS, MAX_TRUSTED, OriginRecord, Throttle};

/// The state record of a user.
pub(super) fn state_bytes(uid: u32, state: &State) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    u32_to(&mut out, uid);
    out.push(state.disabled.into());
    out.push(state.enrolled.into());
    throttle_to(&mut out, &state.throttle);
    list_to(&mut out, state.last.as_slice(), |out, last| {
        time_to(out, last.at);
        out.push(method_code(last.method));
        origin_to(out, last.origin);
        let service = last.service.as_ref().map_or("", Service::as_str);
        list_to(out, service.as_bytes(), |out, byte| out.push(*byte));
    });
    list_to(&mut out, &state.authenticators, authenticator_to);
    list_to(&mut out, &state.recovery, |out, entry| {
        u64_to(out, entry.generation.bits());
        u64_to(out, entry.used);
    });
    list_to(&mut out, &state.remembered, |out, known| {
        origin_to(out, known.origin);
        time_to(out, known.at);
    });
    u32_to(&mut out, state.sent_failures);
    out
}

/// Reads what [`state_bytes`] wrote: the uid and the state.
pub(super) fn state_from(bytes: &[u8]) -> Option<(u32, State)> {
    let mut from = Reader(bytes);
    let uid = from.u32()?;
    let state = State {
        disabled: from.bool()?,
        enrolled: from.bool()?,
        throttle: throttle_from(&mut from)?,
        last: from.list(1, last_from)?.pop(),
        authenticators: from.list(MAX_AUTHENTICATOR_STATES, authenticator_from)?,
        recovery: from.list(MAX_RECOVERY_STATES, |from| {
            Some(RecoveryState {
                generation: Generation::from_bits(from.u64()?),
                used: from.u64()?,
            })
        })?,
        remembered: from.list(MAX_REMEMBERED, |from| {
            Some(Remembered {
                origin: origin_from(from)?,
                at: from.time()?,
            })
        })?,
        sent_failures: from.u32()?,
    };
    let once = is_once(&state.authenticators, |entry| entry.generation)
        && is_once(&state.recovery, |entry| entry.generation)
        && is_once(&state.remembered, |known| known.origin);
    (once && from.0.is_empty()).then_some((uid, state))
}

/// The record of a stored code.
pub(super) fn stored_bytes(uid: u32, code: &StoredCode) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    u32_to(&mut out, uid);
    out.extend(code.id.to_bytes());
    out.push(code.length);
    out.extend(code.digest.as_bytes());
    time_to(&mut out, code.issued_at);
    time_to(&mut out, code.expires_at);
    out.push(match code.fate {
        Fate::Live => 0,
        Fate::Used => 1,
        Fate::Expired => 2,
        Fate::Withdrawn => 3,
    });
    u32_to(&mut out, code.sends);
    out.push(code.channel.map_or(0, channel_code));
    list_to(&mut out, &code.attempts, |out, (origin, count)| {
        origin_to(out, *origin);
        u32_to(out, *count);
    });
    list_to(&mut out, code.reason.as_bytes(), |out, byte| {
        out.push(*byte);
    });
    out
}

/// Reads what [`stored_bytes`] wrote: the uid and the code.
pub(super) fn stored_from(bytes: &[u8]) -> Option<(u32, StoredCode)> {
    let mut from = Reader(bytes);
    let uid = from.u32()?;
    let code = StoredCode {
        id: CodeId::from_bytes(from.array()?),
        length: from.u8()?,
        digest: Digest::from_bytes(from.array()?),
        issued_at: from.time()?,
        expires_at: from.time()?,
        fate: match from.u8()? {
            0 => Fate::Live,
            1 => Fate::Used,
            2 => Fate::Expired,
            3 => Fate::Withdrawn,
            _ => return None,
        },
        sends: from.u32()?,
        channel: match from.u8()? {
            0 => None,
            code => Some(channel_from(code)?),
        },
        attempts: from.list(usize::try_from(MAX_ATTEMPTS).ok()?, |from| {
            Some((origin_from(from)?, from.u32()?))
        })?,
        reason: String::from_utf8(from.list(MAX_REASON, Reader::u8)?).ok()?,
    };
    let sense = (MIN_DIGITS..=MAX_DIGITS).contains(&code.length.into())
        && is_once(&code.attempts, |(origin, _)| *origin)
        && code.attempts.iter().all(|(_, count)| *count > 0)
        && !code.reason.chars().any(char::is_control);
    (sense && from.0.is_empty()).then_some((uid, code))
}

/// The record of what was sent to a user lately.
pub(super) fn sends_bytes(uid: u32, sends: &SendLog) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    u32_to(&mut out, uid);
    list_to(&mut out, sends.noted(), |out, one| {
        out.push(channel_code(one.channel));
        time_to(out, one.at);
    });
    out
}

/// Reads what [`sends_bytes`] wrote: the uid and the sends.
pub(super) fn sends_from(bytes: &[u8]) -> Option<(u32, SendLog)> {
    let mut from = Reader(bytes);
    let uid = from.u32()?;
    let noted = from.list(MAX_NOTED, |from| {
        Some(Noted {
            channel: channel_from(from.u8()?)?,
            at: from.time()?,
        })
    })?;
    let sends = SendLog::from_parts(noted)?;
    from.0.is_empty().then_some((uid, sends))
}

/// The record of what the machine sent lately.
pub(super) fn machine_bytes(machine: &MachineLog) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    u64_to(&mut out, machine.newest());
    for count in machine.counts() {
        out.extend(count.to_le_bytes());
    }
    out
}

/// Reads what [`machine_bytes`] wrote.
pub(super) fn machine_from(bytes: &[u8]) -> Option<MachineLog> {
    let mut from = Reader(bytes);
    let newest = from.u64()?;
    let mut counts = [0; MINUTES];
    for count in &mut counts {
        *count = u16::from_le_bytes(from.array()?);
    }
    from.0
        .is_empty()
        .then_some(MachineLog::from_parts(newest, counts))
}

/// Whether each of these is there once. Of two entries for one thing the second would be forgotten, and what it forbids allowed.
fn is_once<T, K: PartialEq>(items: &[T], key: impl Fn(&T) -> K) -> bool {
    let mut seen = Vec::with_capacity(items.len());
    items.iter().all(|item| {
        let key = key(item);
        let new = !seen.contains(&key);
        seen.push(key);
        new
    })
}

fn throttle_to(out: &mut Vec<u8>, throttle: &Throttle) {
    u32_to(out, throttle.failures);
    moment_to(out, throttle.dry_at);
    moment_to(out, throttle.counted_at);
    list_to(out, &throttle.origins, |out, record| {
        origin_to(out, record.origin);
        u32_to(out, record.failures);
        moment_to(out, record.held_until);
        out.push(record.trusted.into());
    });
}

fn throttle_from(from: &mut Reader<'_>) -> Option<Throttle> {
    let throttle = Throttle {
        failures: from.u32()?,
        dry_at: from.moment()?,
        counted_at: from.moment()?,
        origins: from.list(MAX_TRUSTED + MAX_STRANGERS, |from| {
            Some(OriginRecord {
                origin: origin_from(from)?,
                failures: from.u32()?,
                held_until: from.moment()?,
                trusted: from.bool()?,
            })
        })?,
    };
    let trusted = throttle.origins.iter().filter(|record| record.trusted);
    let trusted = trusted.count();
    let strangers = throttle.origins.len().saturating_sub(trusted);
    // With more of one kind than it keeps, the next failure would make a record that nobody can read.
    let fits = trusted <= MAX_TRUSTED && strangers <= MAX_STRANGERS;
    (fits && is_once(&throttle.origins, |record| record.origin)).then_some(throttle)
}

fn last_from(from: &mut Reader<'_>) -> Option<LastLogin> {
    Some(LastLogin {
        at: from.time()?,
        method: method_from(from.u8()?)?,
        origin: origin_from(from)?,
        service: service_from(from)?,
    })
}

fn authenticator_to(out: &mut Vec<u8>, entry: &AuthenticatorState) {
    u64_to(out, entry.generation.bits());
    moment_to(out, entry.last_used_at);
    out.extend(entry.drift.last.to_le_bytes());
    out.extend(entry.drift.kept.to_le_bytes());
    out.extend(entry.drift.lean.to_le_bytes());
    list_to(out, entry.used.floor().as_slice(), |out, floor| {
        u64_to(out, *floor);
    });
    list_to(out, entry.used.runs(), |out, (first, last)| {
        // A run of four billion steps is four thousand years; what is longer loses its far past.
        let count = u32::try_from(last.saturating_sub(*first)).unwrap_or(u32::MAX);
        u64_to(out, *last);
        u32_to(out, count);
    });
}

fn authenticator_from(from: &mut Reader<'_>) -> Option<AuthenticatorState> {
    Some(AuthenticatorState {
        generation: Generation::from_bits(from.u64()?),
        last_used_at: from.moment()?,
        drift: Drift {
            last: i32::from_le_bytes(from.array()?),
            kept: i32::from_le_bytes(from.array()?),
            lean: i8::from_le_bytes(from.array()?),
        },
        used: {
            let floor = from.list(1, Reader::u64)?.pop();
            let runs = from.list(MAX_INTERVALS, |from| {
                let last = from.u64()?;
                Some((last.checked_sub(from.u32()?.into())?, last))
            })?;
            UsedSteps::from_parts(floor, runs)?
        },
    })
}

#[cfg(test)]
mod tests;
