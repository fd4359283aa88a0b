//! How often codes are sent: to a user, and by the machine. Pure state machines; FILEFORMAT.md has the records.
//!
//! A send is noted before it is made. No limit is got around by a clock that goes back: what was sent after "now" is read as
//! sent now, and all before it by as much earlier, so nobody waits longer than the span either.

use std::time::Duration;

use crate::delivery::Channel;
use crate::policy::DeliveryPolicy;
use crate::time::UnixTime;

/// The most sends to a user in an hour, whatever a policy says.
pub const MAX_SENDS: usize = 30;
/// Sends kept of a user.
pub const MAX_NOTED: usize = 32;
/// Minutes kept of a machine: an hour, and the one that has begun.
pub const MINUTES: usize = 61;
/// What the limits are counted over.
const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: u64 = 60;

/// A code that was sent, or was about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// By which way.
    pub channel: Channel,
    /// When.
    pub at: UnixTime,
}

/// What was sent to a user lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendLog {
    /// The sends, the most recent last, at most [`MAX_NOTED`].
    noted: Vec<Noted>,
}

/// Why nothing is sent to a user now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A code was sent by that channel only just; until when.
    TooSoon(UnixTime),
    /// As many as may be in an hour were sent; until when.
    Hour(UnixTime),
}

impl SendLog {
    /// From a record: at most [`MAX_NOTED`], none before the one that precedes it.
    #[must_use]
    pub fn from_parts(noted: Vec<Noted>) -> Option<Self> {
        let ordered = noted.is_sorted_by_key(|one| one.at);
        (ordered && noted.len() <= MAX_NOTED).then_some(Self { noted })
    }

    /// The sends, for a record.
    #[must_use]
    pub fn noted(&self) -> &[Noted] {
        &self.noted
    }

    /// Reads the times as of `now`, and forgets what is more than an hour past. What comes of it has to be kept where it is
    /// another: a clock that went back would else hold everything up until it is where it was.
    pub fn settle(&mut self, now: UnixTime) {
        let last = self.noted.last().map_or(now, |last| last.at);
        let ahead = last.since(now);
        for one in &mut self.noted {
            one.at = one.at.minus(ahead);
        }
        self.noted.retain(|one| now < one.at.plus(HOUR));
    }

    /// Whether something was sent after `now`: the clock went back.
    #[must_use]
    pub fn is_ahead(&self, now: UnixTime) -> bool {
        self.noted.last().is_some_and(|last| last.at > now)
    }

    /// Whether a code may be sent by `channel` now. Call [`settle`](Self::settle) first.
    pub fn ask(
        &self,
        channel: Channel,
        now: UnixTime,
        policy: &DeliveryPolicy,
    ) -> Result<(), Wait> {
        let same = self.noted.iter().rfind(|one| one.channel == channel);
        let soon = same.map(|one| one.at.plus(policy.resend_after));
        let soon = soon.filter(|until| now < *until);
        let most = usize::try_from(policy.per_hour).unwrap_or(usize::MAX);
        // Room comes when the first of the last so many is an hour past.
        let first = self.noted.len().checked_sub(most);
        let first = first.and_then(|index| self.noted.get(index));
        let hour = first.map(|one| one.at.plus(HOUR));
        match (soon, hour.filter(|until| now < *until)) {
            (Some(soon), Some(hour)) if hour < soon => Err(Wait::TooSoon(soon)),
            (_, Some(hour)) => Err(Wait::Hour(hour)),
            (Some(soon), None) => Err(Wait::TooSoon(soon)),
            (None, None) => Ok(()),
        }
    }

    /// Notes that a code is about to be sent.
    pub fn note(&mut self, channel: Channel, now: UnixTime) {
        self.settle(now);
        if self.noted.len() >= MAX_NOTED {
            self.noted.remove(0);
        }
        self.noted.push(Noted { channel, at: now });
    }
}

/// How many codes a machine has sent, by the minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineLog {
    /// The newest minute, counted from the epoch.
    newest: u64,
    /// How many in it, in the one before, and so on.
    counts: [u16; MINUTES],
}

impl Default for MachineLog {
    fn default() -> Self {
        Self {
            newest: 0,
            counts: [0; MINUTES],
        }
    }
}

impl MachineLog {
    /// From a record.
    #[must_use]
    pub const fn from_parts(newest: u64, counts: [u16; MINUTES]) -> Self {
        Self { newest, counts }
    }

    /// The newest minute, counted from the epoch, for a record.
    #[must_use]
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// How many in the newest minute, in the one before and so on, for a record.
    #[must_use]
    pub const fn counts(&self) -> &[u16; MINUTES] {
        &self.counts
    }

    /// Reads the minutes as of `now`, as [`SendLog::settle`] does. Where the clock went back, each count is taken for a
    /// minute younger than it was: how much of the minute that ended last had passed is not known.
    pub fn settle(&mut self, now: UnixTime) {
        let minute = minute(now);
        let kept = self.counts;
        self.counts = [0; MINUTES];
        if self.newest > minute {
            for (age, count) in kept.into_iter().enumerate() {
                if let Some(to) = self.counts.get_mut(age.saturating_sub(1)) {
                    *to = to.saturating_add(count);
                }
            }
        } else {
            let past = minute.saturating_sub(self.newest);
            let past = usize::try_from(past).map_or(MINUTES, |past| past.min(MINUTES));
            for (to, from) in self.counts.iter_mut().skip(past).zip(kept) {
                *to = from;
            }
        }
        self.newest = minute;
    }

    /// Whether something was counted after `now`: the clock went back.
    #[must_use]
    pub fn is_ahead(&self, now: UnixTime) -> bool {
        self.newest > minute(now)
    }

    /// Whether a code may be sent now; if not, until when none may. Call [`settle`](Self::settle) first.
    pub fn ask(&self, policy: &DeliveryPolicy) -> Result<(), UnixTime> {
        let most = u64::from(policy.machine_per_hour);
        let mut sum = 0_u64;
        for (age, count) in (0..).zip(self.counts) {
            sum = sum.saturating_add(count.into());
            if sum >= most {
                // Room comes when this minute is no longer counted.
                let over = self.newest.saturating_sub(age);
                let over = over.saturating_add(MINUTES as u64);
                return Err(UnixTime::from_secs(over.saturating_mul(MINUTE)));
            }
        }
        Ok(())
    }

    /// Counts a code that is about to be sent.
    pub fn note(&mut self, now: UnixTime) {
        self.settle(now);
        if let Some(count) = self.counts.first_mut() {
            *count = count.saturating_add(1);
        }
    }

    /// How many codes were sent in the last hour, for showing.
    #[must_use]
    pub fn in_the_last_hour(&self, now: UnixTime) -> u64 {
        let mut settled = self.clone();
        settled.settle(now);
        settled.counts.into_iter().map(u64::from).sum()
    }
}

fn minute(now: UnixTime) -> u64 {
    now.as_secs().checked_div(MINUTE).unwrap_or(0)
}

#[cfg(test)]
mod tests;
