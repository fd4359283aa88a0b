//! How far an authenticator's clock is off, learned from the codes it was accepted with (RFC 6238 section 6).
//!
//! What is learned moves one step at a time, after several codes in a row that were off to the same side, because a
//! single one is as likely a slow typist. It is bounded both ways by the policy, and it never takes the steps around our
//! own clock away: whoever sets a clock right is not locked out.

/// So many codes in a row that are off to one side move what is learned by a step.
const IN_A_ROW: i8 = 3;

/// What is known of one authenticator's clock, in steps; ahead of ours is positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Of the last accepted code.
    pub last: i32,
    /// Learned: where codes are looked for beside the present. Read it with [`learned`](Self::learned).
    pub kept: i32,
    /// How many codes in a row were ahead of what is learned, or (negative) behind it.
    pub lean: i8,
}

impl Drift {
    /// Nothing is known yet.
    pub const NONE: Self = Self {
        last: 0,
        kept: 0,
        lean: 0,
    };

    /// A clock that was measured to be `offset` steps ahead (behind: negative).
    #[must_use]
    pub fn measured(offset: i64) -> Self {
        let steps = bounded(offset);
        Self {
            last: steps,
            kept: steps,
            lean: 0,
        }
    }

    /// The learned drift, at most `most` steps either way.
    #[must_use]
    pub fn learned(&self, most: u8) -> i64 {
        within(self.kept.into(), most)
    }

    /// Learns from a code that was accepted `offset` steps ahead of our clock.
    pub fn learn(&mut self, offset: i64, most: u8) {
        let learned = self.learned(most);
        let side = bounded(offset.saturating_sub(learned).signum());
        self.last = bounded(offset);
        self.kept = bounded(learned);
        self.lean = match side {
            0 => 0,
            1.. => self.lean.max(0).saturating_add(1),
            _ => self.lean.min(0).saturating_sub(1),
        };
        if self.lean.unsigned_abs() >= IN_A_ROW.unsigned_abs() {
            self.lean = 0;
            self.kept = bounded(within(learned.saturating_add(side.into()), most));
        }
    }
}

/// The offsets from the present at which codes are looked for: `window` steps on each side of it and of what is learned,
/// ascending, each once.
pub fn offsets(window: u8, learned: i64) -> impl Iterator<Item = i64> {
    let window = i64::from(window);
    let least = learned.min(0).saturating_sub(window);
    let most = learned.max(0).saturating_add(window);
    let near = move |offset: &i64, center: i64| {
        let away = offset.saturating_sub(center);
        away.saturating_abs() <= window
    };
    (least..=most).filter(move |offset| near(offset, 0) || near(offset, learned))
}

fn within(steps: i64, most: u8) -> i64 {
    let most = i64::from(most);
    steps.clamp(most.saturating_neg(), most)
}

fn bounded(steps: i64) -> i32 {
    i32::try_from(steps).unwrap_or(if steps < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(codes: &[i64], most: u8) -> Drift {
        let mut drift = Drift::NONE;
        for offset in codes {
            drift.learn(*offset, most);
        }
        drift
    }

    #[test]
    fn three_codes_in_a_row_to_one_side_move_it_a_step() {
        assert_eq!(after(&[1, 1], 4).learned(4), 0);
        assert_eq!(after(&[1, 1, 1], 4).learned(4), 1);
        assert_eq!(after(&[-1, -1, -1], 4).learned(4), -1);
        assert_eq!(after(&[1, 1, 0, 1, 1, -1, 1], 4).learned(4), 0);
        assert_eq!(after(&[1, 1, 1, 2, 2, 2], 4).learned(4), 2);
        assert_eq!(after(&[1, 1, 1, 0, 0, 0], 4).learned(4), 0, "and back");
        assert_eq!(after(&[1, 1, 1, 0], 4).last, 0);
    }

    #[test]
    fn it_is_bounded_both_ways_whatever_a_record_says() {
        let far: Vec<i64> = (0..40).map(|n| n / 3 + 1).collect();
        assert_eq!(after(&far, 4).learned(4), 4);
        let far: Vec<i64> = far.iter().map(|n| -n).collect();
        assert_eq!(after(&far, 4).learned(4), -4);
        for kept in [i32::MIN, i32::MAX] {
            let mut drift = Drift {
                kept,
                last: kept,
                lean: i8::MIN,
            };
            assert_eq!(drift.learned(4).abs(), 4);
            drift.learn(0, 4);
            assert!(drift.learned(4).abs() <= 4);
        }
        assert_eq!(Drift::measured(i64::MAX).learned(4), 4);
        assert_eq!(after(&[1, 1, 1, 1, 1, 1], 0).learned(0), 0);
    }

    #[test]
    fn the_present_is_always_looked_at_and_nothing_twice() {
        let at = |window, learned| offsets(window, learned).collect::<Vec<_>>();
        assert_eq!(at(1, 0), [-1, 0, 1]);
        assert_eq!(at(1, 1), [-1, 0, 1, 2]);
        assert_eq!(at(1, -4), [-5, -4, -3, -1, 0, 1]);
        assert_eq!(at(0, 3), [0, 3]);
        assert_eq!(at(0, 0), [0]);
    }
}
