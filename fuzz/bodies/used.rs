//! The codes of one authenticator: which are right, which are dead, and how far its clock is off.

use otp::verify::{Method, Reason};

use super::person::{DAY, Heard, Shows};

/// Steps on each side of now.
const WINDOW: i64 = 1;
/// Steps that a clock may be learned to be off, either way.
pub const MOST_DRIFT: i64 = 4;
/// Counters that are looked at beyond the next one.
pub const AHEAD: u64 = 5;

/// Steps or counters whose codes are dead, and how far a clock is off.
#[derive(Clone, Default)]
pub struct Used {
    pub floor: Option<u64>,
    /// First and last.
    pub runs: Vec<(u64, u64)>,
    pub drift: Drift,
}

/// In steps, ahead of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    pub last: i32,
    /// What is learned of it.
    pub kept: i32,
    /// Codes in a row to one side of that.
    pub lean: i8,
}

/// Where codes are looked for: around our clock, and around one that is off by as much as is learned.
pub fn near(learned: i64) -> impl Iterator<Item = i64> {
    let around = move |offset: &i64| offset.abs() <= WINDOW || (offset - learned).abs() <= WINDOW;
    (-WINDOW - MOST_DRIFT..=WINDOW + MOST_DRIFT).filter(around)
}

impl Used {
    /// RFC 6238 sections 5.2 and 6.
    pub fn by_time(
        &mut self,
        heard: &mut Heard,
        shows: &Shows,
        typed: &str,
        now: u64,
        period: u64,
    ) {
        let step = now / period;
        let offsets = near(self.learned());
        let steps = offsets.filter_map(|offset| Some((offset, step.checked_add_signed(offset)?)));
        let mut right: Vec<(i64, u64)> = steps
            .filter(|(_, step)| shows.code(*step) == typed)
            .collect();
        let found = !right.is_empty();
        right.retain(|(_, step)| *step >= shows.enrolled.saturating_sub(DAY) / period);
        if right.is_empty() {
            heard.guessed = true;
            if found {
                heard.dead = true;
                heard.reasons.push(Reason::ClockBehind);
            }
            return;
        }
        let horizon = step.saturating_add_signed(WINDOW + MOST_DRIFT);
        right.retain(|(_, step)| !self.is_dead(*step, horizon));
        if let Some((offset, step)) = right.last() {
            self.runs.push((*step, *step));
            self.learn(*offset);
            heard.accept(Method::Totp, Some(*offset));
        } else {
            heard.dead = true;
            heard.reasons.push(Reason::Used);
        }
    }

    /// RFC 4226 section 7.4.
    pub fn by_counter(&mut self, heard: &mut Heard, shows: &Shows, typed: &str) {
        let is_right = |counter: &u64| shows.code(*counter) == typed;
        let was = self.floor.is_some_and(|last| is_right(&last));
        let there = self.next().map(|next| (next, next.saturating_add(AHEAD)));
        let right = there.and_then(|(next, last)| Some((next, (next..=last).rfind(is_right)?)));
        if let Some((next, counter)) = right {
            self.floor = Some(counter);
            heard.accept(Method::Hotp, i64::try_from(counter - next).ok());
        } else if was {
            heard.dead = true;
            heard.reasons.push(Reason::Used);
        } else {
            heard.guessed = true;
        }
    }

    /// The next counter, if there is one.
    pub fn next(&self) -> Option<u64> {
        self.floor.map_or(Some(0), |last| last.checked_add(1))
    }

    pub fn learned(&self) -> i64 {
        i64::from(self.drift.kept).clamp(-MOST_DRIFT, MOST_DRIFT)
    }

    /// Three codes in a row to one side of what is learned move it a step.
    fn learn(&mut self, offset: i64) {
        let learned = self.learned();
        let side = (offset - learned).signum();
        let lean = i64::from(self.drift.lean);
        let lean: i64 = match side {
            1 => 1 + lean.max(0),
            -1 => -1 + lean.min(0),
            _ => 0,
        };
        let moved = lean.abs() >= 3;
        let kept = learned + if moved { side } else { 0 };
        self.drift = Drift {
            last: offset.try_into().unwrap(),
            kept: kept.clamp(-MOST_DRIFT, MOST_DRIFT).try_into().unwrap(),
            lean: if moved { 0 } else { lean.try_into().unwrap() },
        };
    }

    fn is_dead(&self, step: u64, horizon: u64) -> bool {
        let by = |(first, last): &(u64, u64)| {
            let at_or_below_one_not_in_the_future =
                *first <= horizon && step <= *last.min(&horizon);
            (*first..=*last).contains(&step) || at_or_below_one_not_in_the_future
        };
        self.floor.is_some_and(|floor| step <= floor) || self.runs.iter().any(by)
    }
}
