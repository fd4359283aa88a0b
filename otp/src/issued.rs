//! Stored codes: drawn, kept as a keyed hash, compared, counted, expired. FILEFORMAT.md has the record.

use std::fmt;
use std::time::Duration;

use rand::CryptoRng;

use crate::delivery::Channel;
use crate::keyed::Digest;
use crate::origin::Origin;
use crate::time::UnixTime;

/// The most live codes a user can have, so that checking them is bounded.
pub const MAX_LIVE: usize = 20;
/// Wrong answers that end a code, from everywhere together.
pub const MAX_ATTEMPTS: u32 = 50;
/// Wrong answers that end a code that was sent: whoever has the password can ask for as many of these as are sent in an hour.
pub const MAX_SENT_ATTEMPTS: u32 = 10;
/// Wrong answers from one origin after which that origin is no longer heard about a code.
pub const MAX_ATTEMPTS_PER_ORIGIN: u32 = 5;
/// The longest reason kept with a code, in bytes.
pub const MAX_REASON: usize = 200;
/// The longest a stored code can live, whatever a policy says.
pub const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Names a stored code among its user's: 32 bits, shown as 8 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeId(u32);

impl CodeId {
    /// Draws one.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        Self(rng.next_u32())
    }

    /// The id that these 8 lower-case hexadecimal digits name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(u32::from_str_radix(text, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }

    /// For the keyed hash and the record.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// From a record.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }
}

impl fmt::Display for CodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What has become of a stored code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet: good until it expires.
    Live,
    /// Accepted once, never again.
    Used,
    /// Once seen expired, spent, whatever the clock says later.
    Expired,
    /// Its delivery failed or was called off: nobody has it, and it is not accepted. What was counted of it stays, and it may be
    /// sent on within its time.
    Withdrawn,
}

/// One stored code, without the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCode {
    /// Its name.
    pub id: CodeId,
    /// How many digits it has, 6 to 10: answers of another length do not count against it.
    pub length: u8,
    /// What is kept of it.
    pub digest: Digest,
    /// When it was issued. One issued in the future is refused.
    pub issued_at: UnixTime,
    /// The first second at which it is no longer good.
    pub expires_at: UnixTime,
    /// What has become of it.
    pub fate: Fate,
    /// How often it was sent to a contact.
    pub sends: u32,
    /// By which channel it was sent; `None`: by none.
    pub channel: Option<Channel>,
    /// Why it was issued, at most [`MAX_REASON`] bytes without control characters.
    pub reason: String,
    /// Wrong answers by origin; their sum is at most [`most_attempts`](Self::most_attempts).
    pub attempts: Vec<(Origin, u32)>,
}

/// Wrong answers that end a code that was sent by this channel, or by none.
#[must_use]
pub const fn most_attempts(channel: Option<Channel>) -> u32 {
    match channel {
        Some(_) => MAX_SENT_ATTEMPTS,
        None => MAX_ATTEMPTS,
    }
}

impl StoredCode {
    /// One that was drawn at a moment and lives so long, that nobody has tried yet and that was sent nowhere.
    #[must_use]
    pub fn fresh(
        id: CodeId,
        length: u8,
        digest: Digest,
        issued_at: UnixTime,
        ttl: Duration,
    ) -> Self {
        Self {
            id,
            length,
            digest,
            issued_at,
            expires_at: issued_at.plus(ttl),
            fate: Fate::Live,
            sends: 0,
            channel: None,
            reason: String::new(),
            attempts: Vec::new(),
        }
    }

    /// Wrong answers that end it, from everywhere together, however often it is sent.
    #[must_use]
    pub const fn most_attempts(&self) -> u32 {
        most_attempts(self.channel)
    }

    /// Wrong answers counted against it so far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
            .iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether it could be accepted at `now`: not used, not expired, not from the future, not guessed at too often.
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.fate == Fate::Live
            && self.issued_at <= now
            && now < self.latest_expiry()
            && self.attempts() < self.most_attempts()
    }

    /// Whether an answer from `origin` is still heard about it.
    #[must_use]
    pub fn hears(&self, origin: &Origin) -> bool {
        let from_there = self.attempts.iter().find(|(known, _)| known == origin);
        from_there.is_none_or(|(_, count)| *count < MAX_ATTEMPTS_PER_ORIGIN)
    }

    /// Counts a wrong answer from `origin`.
    pub fn count_attempt(&mut self, origin: Origin) {
        match self.attempts.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.attempts.push((origin, 1)),
        }
    }

    /// Its expiry, never further from its issue than any code may live: records are read, not believed.
    #[must_use]
    pub fn latest_expiry(&self) -> UnixTime {
        self.expires_at.min(self.issued_at.plus(LONGEST_TTL))
    }

    /// Whether it can be cleared away at `now`: it is used, or its time is over.
    #[must_use]
    pub fn is_spent(&self, now: UnixTime) -> bool {
        self.fate == Fate::Used || self.is_past(now)
    }

    /// Whether its time is over at `now`.
    #[must_use]
    pub fn is_past(&self, now: UnixTime) -> bool {
        self.fate == Fate::Expired || now >= self.latest_expiry()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_live_from_its_issue_until_its_expiry_and_not_in_that_second() {
        let at = UnixTime::from_secs;
        let mut code = StoredCode {
            id: CodeId::from_bytes([0, 1, 0xfe, 0xff]),
            length: 8,
            digest: Digest::from_bytes([0; 32]),
            issued_at: at(1_000),
            expires_at: at(1_600),
            fate: Fate::Live,
            sends: 0,
            channel: None,
            reason: String::new(),
            attempts: Vec::new(),
        };
        let live: Vec<bool> = [999, 1_000, 1_599, 1_600]
            .map(|secs| code.is_live(at(secs)))
            .into();
        assert_eq!(live, [false, true, true, false]);
        assert!(!code.is_past(at(1_599)) && code.is_past(at(1_600)));
        for (channel, most) in [(None, 50), (Some(Channel::Sms), 10)] {
            (code.channel, code.attempts) = (channel, Vec::new());
            assert_eq!(code.most_attempts(), most);
            for n in 0..most {
                assert!(code.is_live(at(1_000)), "{n} attempts");
                code.count_attempt(Origin::Local(n));
            }
            assert!(!code.is_live(at(1_000)));
        }
    }

    #[test]
    fn an_id_is_eight_hexadecimal_digits_in_lower_case() {
        let id = CodeId::from_bytes([0, 1, 0xfe, 0xff]);
        assert_eq!(id.to_string(), "fffe0100", "a number, little-endian");
        assert_eq!(CodeId::parse("fffe0100"), Some(id));
        for no in ["FFFE0100", "0001fef", "0001feff0", "0001fefg", ""] {
            assert_eq!(CodeId::parse(no), None, "{no}");
        }
    }
}
