//! Proof that an authenticator has the secret it is being enrolled with: a first code, and of a token that counts two in
//! a row. Nothing here accepts a login, and nothing that is shown here tells the right code.

use crate::enrollment::{Authenticator, Kind};
use crate::hotp;
use crate::passcode::{Digits, Passcode};
use crate::policy::Policy;
use crate::state::AuthenticatorState;
use crate::time::{Period, TimeStep, UnixTime};
use crate::totp;

/// How far off a phone's clock is looked for, in seconds.
const REACH: u64 = 60 * 60;
/// How many counters are looked at from where a token is said to stand.
pub const COUNTERS: u64 = 1000;

/// One enrolment while it is being proved.
pub struct Confirmation<'a> {
    authenticator: &'a Authenticator,
    started: &'a AuthenticatorState,
    /// Of a HOTP: the code before, which was one of the token's.
    before: Option<Digits>,
}

/// What a typed code says of the authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It has the secret.
    Right(Proof),
    /// Of a HOTP: it is one of the token's codes, or happens to look like one: among [`COUNTERS`] codes of six digits
    /// every thousandth guess does. The one after it proves the token (RFC 4226 section 7.4).
    NextToo,
    /// Right for another time, this many steps ahead of our clock.
    OtherTime(i64),
    /// No code of this secret.
    Wrong,
    /// Not as many digits as the authenticator shows.
    NoCode,
}

/// What is kept of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The state to enrol the authenticator with: the codes that proved it are used.
    pub state: AuthenticatorState,
    /// How many steps the code was ahead of our clock; of a HOTP, how many counters before the first code were skipped.
    pub offset: i64,
}

impl<'a> Confirmation<'a> {
    /// Of an authenticator that starts as `started`: of a HOTP that is the counter it stands at.
    #[must_use]
    pub const fn new(authenticator: &'a Authenticator, started: &'a AuthenticatorState) -> Self {
        Self {
            authenticator,
            started,
            before: None,
        }
    }

    /// Judges what was typed at `now`; `None` where that was no passcode at all.
    #[must_use]
    pub fn hear(&mut self, typed: Option<&Passcode>, now: UnixTime, policy: &Policy) -> Judged {
        let length = self.authenticator.length.digits();
        match (typed, self.authenticator.kind) {
            (Some(Passcode::Digits(digits)), _) if digits.as_bytes().len() != length => {
                Judged::NoCode
            }
            (Some(Passcode::Digits(digits)), Kind::Totp { period }) => {
                self.timed(digits, TimeStep::at(now, period), period, policy)
            }
            (Some(Passcode::Digits(digits)), Kind::Hotp) => self.counted(digits),
            _ => Judged::NoCode,
        }
    }

    fn timed(&self, digits: &Digits, now: TimeStep, period: Period, policy: &Policy) -> Judged {
        let Authenticator {
            secret, algorithm, ..
        } = self.authenticator;
        let reach = REACH.checked_div(period.as_secs()).unwrap_or(0);
        let reach = u32::try_from(reach).unwrap_or(0);
        let window = i64::from(policy.window);
        match totp::offset_of(secret, *algorithm, digits, now, reach) {
            Some(offset) if offset.saturating_abs() <= window => {
                let at = |offset| now.offset(offset).unwrap_or(now);
                let mut state = self.started.clone();
                let horizon = window.saturating_add(policy.max_drift.into());
                state.used.mark(at(offset), at(horizon));
                Judged::Right(Proof { state, offset })
            }
            Some(offset) => Judged::OtherTime(offset),
            None => Judged::Wrong,
        }
    }

    fn counted(&mut self, digits: &Digits) -> Judged {
        let before = self.before.take();
        if let Some(proof) = before.and_then(|before| self.in_a_row(&before, digits)) {
            return Judged::Right(proof);
        }
        // Not the one after it: it may be the first of two itself.
        if self.counters().any(|counter| self.shows(counter, digits)) {
            self.before = Some(digits.clone());
            return Judged::NextToo;
        }
        Judged::Wrong
    }

    /// The token stands where it shows these two one after the other; both are used then.
    fn in_a_row(&self, first: &Digits, second: &Digits) -> Option<Proof> {
        let mut pairs = self.counters().zip(self.counters().skip(1));
        let (at, last) = pairs
            .find(|(counter, next)| self.shows(*counter, first) && self.shows(*next, second))?;
        let mut state = self.started.clone();
        state.used.raise_to(last);
        let skipped = at.saturating_sub(self.started.used.next_counter()?);
        let offset = i64::try_from(skipped).ok()?;
        Some(Proof { state, offset })
    }

    /// The counters that are looked at.
    fn counters(&self) -> impl Iterator<Item = u64> + use<> {
        let next = self.started.used.next_counter();
        let range = next.map(|next| next..=next.saturating_add(COUNTERS));
        range.into_iter().flatten()
    }

    fn shows(&self, counter: u64, digits: &Digits) -> bool {
        let one = self.authenticator;
        hotp::code(&one.secret, one.algorithm, one.length, counter).matches(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::Generation;
    use crate::hotp::{Algorithm, CodeLength};
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn authenticator(kind: Kind) -> Authenticator {
        Authenticator {
            name: "app".to_owned(),
            generation: Generation::from_bits(1),
            kind,
            secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "host".to_owned(),
            label: "alice".to_owned(),
            enrolled_at: NOW,
        }
    }

    fn phone() -> Authenticator {
        authenticator(Kind::Totp {
            period: Period::THIRTY,
        })
    }

    fn passcode(of: &Authenticator, factor: u64, length: CodeLength) -> Passcode {
        let code = hotp::code(&of.secret, of.algorithm, length, factor);
        Passcode::parse(code.expose().as_bytes()).unwrap()
    }

    /// What is said of the code that the app shows `steps` from now.
    fn judged(steps: i64, length: CodeLength) -> Judged {
        let known = phone();
        let step = TimeStep::at(NOW, Period::THIRTY).offset(steps).unwrap();
        let started = AuthenticatorState::fresh(known.generation);
        let typed = passcode(&known, step.number(), length);
        Confirmation::new(&known, &started).hear(Some(&typed), NOW, &Policy::default())
    }

    #[test]
    fn a_code_within_the_window_proves_it_and_is_used_with_its_own_step() {
        let center = TimeStep::at(NOW, Period::THIRTY);
        for steps in [-1, 0, 1] {
            let Judged::Right(proof) = judged(steps, CodeLength::SIX) else {
                panic!("{steps}");
            };
            let step = center.offset(steps).unwrap().number();
            assert_eq!(proof.offset, steps);
            assert_eq!(proof.state.used.runs(), [(step, step)]);
            assert_eq!(proof.state.generation, phone().generation);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_and_proves_nothing() {
        assert_eq!(judged(2, CodeLength::SIX), Judged::OtherTime(2));
        assert_eq!(judged(-120, CodeLength::SIX), Judged::OtherTime(-120));
        assert_eq!(judged(121, CodeLength::SIX), Judged::Wrong);
    }

    #[test]
    fn a_code_of_another_length_is_none() {
        assert_eq!(judged(0, CodeLength::new(8).unwrap()), Judged::NoCode);
        let known = phone();
        let started = AuthenticatorState::fresh(known.generation);
        let said = Confirmation::new(&known, &started).hear(None, NOW, &Policy::default());
        assert_eq!(said, Judged::NoCode);
    }

    /// What is said of the codes of these counters, one after the other, where the token is said to stand at `next`.
    fn counted(next: u64, counters: &[u64]) -> Vec<Judged> {
        let known = authenticator(Kind::Hotp);
        let mut started = AuthenticatorState::fresh(known.generation);
        if let Some(last) = next.checked_sub(1) {
            started.used.raise_to(last);
        }
        let mut confirmation = Confirmation::new(&known, &started);
        let typed = counters.iter().map(|counter| {
            let typed = passcode(&known, *counter, CodeLength::SIX);
            confirmation.hear(Some(&typed), NOW, &Policy::default())
        });
        typed.collect()
    }

    fn proved(said: &Judged) -> Option<(Option<u64>, i64)> {
        match said {
            Judged::Right(proof) => Some((proof.state.used.floor(), proof.offset)),
            _ => None,
        }
    }

    #[test]
    fn a_token_is_proved_by_two_codes_in_a_row_and_both_are_used() {
        for (next, first) in [(0, 0), (0, 3), (0, 999), (500, 500), (500, 1_400)] {
            let said = counted(next, &[first, first + 1]);
            assert_eq!(said[0], Judged::NextToo);
            let expected = (Some(first + 1), i64::try_from(first - next).unwrap());
            assert_eq!(proved(&said[1]), Some(expected), "{first} from {next}");
        }
    }

    #[test]
    fn codes_of_a_token_that_do_not_follow_one_another_prove_nothing() {
        for counters in [&[3, 3][..], &[3, 5], &[5, 4], &[0, 999]] {
            let said = counted(0, counters);
            assert_eq!(said, [Judged::NextToo, Judged::NextToo], "{counters:?}");
        }
        assert_eq!(proved(&counted(0, &[3, 5, 6])[2]), Some((Some(6), 5)));
    }

    #[test]
    fn a_token_is_looked_for_nowhere_else() {
        assert_eq!(counted(0, &[1_002]), [Judged::Wrong]);
        assert_eq!(counted(500, &[499]), [Judged::Wrong]);
        // What came before a wrong one does not count.
        let said = counted(0, &[7, 2_000, 8]);
        assert_eq!(said, [Judged::NextToo, Judged::Wrong, Judged::NextToo]);
    }

    #[test]
    fn a_token_at_the_end_of_its_counters_is_no_fault_of_ours() {
        let said = counted(u64::MAX - 1, &[u64::MAX - 1, u64::MAX]);
        assert_eq!(proved(&said[1]), Some((Some(u64::MAX), 0)));
    }
}
