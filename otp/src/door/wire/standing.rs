//! The bytes of how a user stands: the longest answer there is.

use super::{count_from, last_from, last_to, small};
use crate::bytes::{
    Reader, channel_code, channel_from, list_to, moment_to, origin_from, origin_to, time_to, u32_to,
};
use crate::delivery::Channel;
use crate::enrollment::{Kind, MAX_AUTHENTICATORS, MAX_NAME};
use crate::hotp::{Algorithm, CodeLength};
use crate::issued::{CodeId, MAX_LIVE};
use crate::standing::{Device, MAX_REACH, Pending, Reach, RecoveryLeft, Standing};
use crate::state::MAX_REMEMBERED;
use crate::time::Period;

pub(super) fn standing_to(out: &mut Vec<u8>, standing: &Standing) {
    let Standing {
        enrolled,
        disabled,
        locked,
        sent_locked,
        ..
    } = *standing;
    out.extend([enrolled, disabled, locked, sent_locked].map(u8::from));
    u32_to(out, standing.failures);
    moment_to(out, standing.held_until);
    list_to(out, &standing.devices, device_to);
    // A clock that went back can make more of them good again than there may be.
    let issued = standing.issued.get(..MAX_LIVE).unwrap_or(&standing.issued);
    list_to(out, issued, |out, code| {
        out.extend(code.id.to_bytes());
        time_to(out, code.expires_at);
        u32_to(out, code.attempts);
        u32_to(out, code.sends);
        list_to(out, code.channel.as_slice(), |out, channel| {
            out.push(channel_code(*channel));
        });
    });
    list_to(out, standing.recovery.as_slice(), |out, list| {
        out.extend([small(list.left), small(list.of)]);
    });
    list_to(out, &standing.contacts, |out, reach| {
        out.push(channel_code(reach.channel));
        list_to(out, reach.to.as_bytes(), |out, byte| out.push(*byte));
        moment_to(out, reach.confirmed_at);
    });
    list_to(out, &standing.remembered, |out, (origin, until)| {
        origin_to(out, *origin);
        time_to(out, *until);
    });
    last_to(out, standing.last);
}

pub(super) fn standing_from(from: &mut Reader<'_>) -> Option<Standing> {
    Some(Standing {
        enrolled: from.bool()?,
        disabled: from.bool()?,
        locked: from.bool()?,
        sent_locked: from.bool()?,
        failures: from.u32()?,
        held_until: from.moment()?,
        devices: from.list(MAX_AUTHENTICATORS, device_from)?,
        issued: from.list(MAX_LIVE, |from| {
            Some(Pending {
                id: CodeId::from_bytes(from.array()?),
                expires_at: from.time()?,
                attempts: from.u32()?,
                sends: from.u32()?,
                channel: from.list(1, |from| from.u8().and_then(channel_from))?.pop(),
                reason: None,
            })
        })?,
        recovery: from
            .list(1, |from| {
                let (left, of) = (count_from(from)?, count_from(from)?);
                (left <= of).then_some(RecoveryLeft { left, of })
            })?
            .pop(),
        contacts: from.list(Channel::ALL.len(), reach_from)?,
        remembered: from.list(MAX_REMEMBERED, |from| {
            Some((origin_from(from)?, from.time()?))
        })?,
        last: last_from(from)?,
    })
}

fn reach_from(from: &mut Reader<'_>) -> Option<Reach> {
    Some(Reach {
        channel: from.u8().and_then(channel_from)?,
        to: String::from_utf8(from.list(MAX_REACH, Reader::u8)?).ok()?,
        confirmed_at: from.moment()?,
    })
}

fn device_to(out: &mut Vec<u8>, device: &Device) {
    list_to(out, device.name.as_bytes(), |out, byte| out.push(*byte));
    let period = device.kind.period().map_or(0, Period::as_secs);
    out.extend(u16::try_from(period).unwrap_or(0).to_le_bytes());
    out.push(match device.algorithm {
        Algorithm::Sha1 => 1,
        Algorithm::Sha256 => 2,
        Algorithm::Sha512 => 3,
    });
    out.push(small(device.length.digits()));
    time_to(out, device.enrolled_at);
    list_to(out, device.drift.as_slice(), |out, steps| {
        out.extend(steps.to_le_bytes());
    });
    list_to(out, device.learned.as_slice(), |out, steps| {
        out.extend(steps.to_le_bytes());
    });
    list_to(out, device.counter.as_slice(), |out, next| {
        out.extend(next.to_le_bytes());
    });
    moment_to(out, device.last_used_at);
    list_to(out, device.last_origin.as_slice(), |out, origin| {
        origin_to(out, *origin);
    });
}

fn device_from(from: &mut Reader<'_>) -> Option<Device> {
    Some(Device {
        name: String::from_utf8(from.list(MAX_NAME, Reader::u8)?).ok()?,
        kind: match u16::from_le_bytes(from.array()?) {
            0 => Kind::Hotp,
            period => Kind::Totp {
                period: Period::from_secs(period.into())?,
            },
        },
        algorithm: match from.u8()? {
            1 => Algorithm::Sha1,
            2 => Algorithm::Sha256,
            3 => Algorithm::Sha512,
            _ => return None,
        },
        length: CodeLength::new(from.u8()?.into())?,
        enrolled_at: from.time()?,
        drift: from
            .list(1, |from| from.array().map(i32::from_le_bytes))?
            .pop(),
        learned: from.list(1, Reader::i64)?.pop(),
        counter: from.list(1, Reader::u64)?.pop(),
        last_used_at: from.moment()?,
        last_origin: from.list(1, origin_from)?.pop(),
    })
}
