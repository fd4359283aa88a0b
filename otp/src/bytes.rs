//! The bytes that records and the door have in common, written and read. FILEFORMAT.md has them; all numbers are
//! little-endian. Lengths are bounded before anything is allocated, and reading never panics.

use std::net::IpAddr;

use crate::delivery::Channel;
use crate::origin::Origin;
use crate::service::{MAX_SERVICE, Service};
use crate::time::UnixTime;
use crate::verify::Method;

/// The name of a service, or none; damage if it is neither.
pub(crate) fn service_from(from: &mut Reader<'_>) -> Option<Option<Service>> {
    let name = String::from_utf8(from.list(MAX_SERVICE, Reader::u8)?).ok()?;
    if name.is_empty() {
        return Some(None);
    }
    Service::parse(&name).map(Some)
}

pub(crate) fn origin_to(out: &mut Vec<u8>, origin: Origin) {
    let (tag, bits) = match origin {
        Origin::Local(uid) => (0, u128::from(uid)),
        Origin::Address(IpAddr::V4(v4)) => (4, u128::from(v4.to_bits())),
        Origin::Address(IpAddr::V6(v6)) => (6, v6.to_bits()),
    };
    out.push(tag);
    out.extend(bits.to_le_bytes());
}

pub(crate) fn origin_from(from: &mut Reader<'_>) -> Option<Origin> {
    let tag = from.u8()?;
    let bits = u128::from_le_bytes(from.array()?);
    let small = u32::try_from(bits);
    Some(match tag {
        0 => Origin::Local(small.ok()?),
        4 => Origin::Address(IpAddr::V4(small.ok()?.into())),
        6 => Origin::Address(IpAddr::V6(bits.into())),
        _ => return None,
    })
}

pub(crate) const fn method_code(method: Method) -> u8 {
    match method {
        Method::Totp => 1,
        Method::Hotp => 2,
        Method::Issued => 3,
        Method::Recovery => 4,
    }
}

pub(crate) fn method_from(code: u8) -> Option<Method> {
    [Method::Totp, Method::Hotp, Method::Issued, Method::Recovery]
        .into_iter()
        .find(|method| method_code(*method) == code)
}

pub(crate) const fn channel_code(channel: Channel) -> u8 {
    match channel {
        Channel::Sms => 1,
        Channel::Email => 2,
    }
}

pub(crate) fn channel_from(code: u8) -> Option<Channel> {
    Channel::ALL
        .into_iter()
        .find(|channel| channel_code(*channel) == code)
}

pub(crate) fn u32_to(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

pub(crate) fn u64_to(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

pub(crate) fn time_to(out: &mut Vec<u8>, time: UnixTime) {
    u64_to(out, time.as_secs());
}

/// A time that may be absent: nothing is spelled as zero.
pub(crate) fn moment_to(out: &mut Vec<u8>, time: Option<UnixTime>) {
    time_to(out, time.unwrap_or(UnixTime::EPOCH));
}

/// A list is its length in one byte and its items; no list here is longer than 200.
pub(crate) fn list_to<T>(out: &mut Vec<u8>, items: &[T], mut item: impl FnMut(&mut Vec<u8>, &T)) {
    let kept = items.iter().take(usize::from(u8::MAX));
    out.push(u8::try_from(items.len()).unwrap_or(u8::MAX));
    for each in kept {
        item(out, each);
    }
}

/// Bytes not read yet.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// So many bytes as they stand.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn time(&mut self) -> Option<UnixTime> {
        self.u64().map(UnixTime::from_secs)
    }

    pub(crate) fn moment(&mut self) -> Option<Option<UnixTime>> {
        let time = self.time()?;
        Some(Some(time).filter(|time| *time != UnixTime::EPOCH))
    }

    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::from(self.u8()?);
        if count > most {
            return None;
        }
        (0..count).map(|_| item(self)).collect()
    }
}
