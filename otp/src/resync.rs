//! Resynchronisation: three codes in a row tell where an authenticator stands that ran away from us (RFC 4226 section 7.4,
//! RFC 6238 section 6). Pure, like [`verify`](crate::verify), and it accepts nothing: no login comes of it.
//!
//! It only ever takes codes away. The three must be alive, and are dead afterwards like all before them; where a clock is
//! off by more than the policy lets a login be, nothing is learned, so that no code of another time comes into reach.

use crate::drift::Drift;
use crate::enrollment::{Authenticator, Kind};
use crate::hotp;
use crate::origin::Origin;
use crate::passcode::Digits;
use crate::policy::Policy;
use crate::state::AuthenticatorState;
use crate::throttle::Gate;
use crate::time::{Period, TimeStep, UnixTime};
use crate::verify::{Changes, Reason, Record};

/// How many steps to either side of now, or counters beyond the next one, are looked at.
pub const REACH: i64 = 1000;
/// How many codes in a row are asked for.
pub const CODES: usize = 3;

/// What is typed to bring an authenticator back into step.
pub struct Claim<'a> {
    /// The authenticator, one of the record's.
    pub authenticator: &'a Authenticator,
    /// The codes, in the order in which it showed them.
    pub codes: &'a [Digits; CODES],
    /// Where they came from.
    pub origin: Origin,
    /// The clock, read after the record was locked.
    pub now: UnixTime,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Resynced {
    /// The authenticator is in step once the changes are durable.
    Done {
        /// How many steps its clock is ahead of ours (behind: negative); of a HOTP, how many counters were skipped.
        offset: i64,
    },
    /// It is not, and nothing but a failure may be kept of it. [`Reason::OtherTime`] has how far its clock is off, which
    /// is more than the policy allows.
    Refused(Reason),
}

/// Judges three codes.
pub fn resync(record: &Record, claim: &Claim<'_>, policy: &Policy) -> (Resynced, Changes) {
    let refused = |reason| (Resynced::Refused(reason), Changes::default());
    let length = claim.authenticator.length.digits();
    if record.state.disabled {
        return refused(Reason::Disabled);
    }
    if record.until_boot {
        return refused(Reason::ReadOnly);
    }
    if claim
        .codes
        .iter()
        .any(|code| code.as_bytes().len() != length)
    {
        return refused(Reason::Malformed);
    }
    let bounds = record.throttle_policy(policy);
    let mut state = record.state.clone();
    state.throttle.settle(claim.now, &bounds);
    match state.throttle.gate(&claim.origin, claim.now, &bounds) {
        Gate::Open => {}
        Gate::Held(_) => return refused(Reason::Throttled),
        Gate::Locked => return refused(Reason::Locked),
    }
    let mut entries = state.authenticators.iter_mut();
    // As at a login: a secret that the state does not know is none to go by.
    let generation = claim.authenticator.generation;
    let Some(entry) = entries.find(|entry| entry.generation == generation) else {
        return refused(Reason::Used);
    };
    let found = match claim.authenticator.kind {
        Kind::Totp { period } => timed(claim, entry, period, policy),
        Kind::Hotp => counted(claim, entry),
    };
    let resynced = match found {
        Ok(offset) => Resynced::Done { offset },
        Err(reason) => {
            if reason != Reason::Mismatch {
                return refused(reason);
            }
            state.throttle.fail(claim.origin, claim.now, &bounds);
            Resynced::Refused(reason)
        }
    };
    let changes = Changes {
        state: Some(state).filter(|state| *state != record.state),
        ..Changes::default()
    };
    (resynced, changes)
}

/// Where the clock of a TOTP stands: what its last code is ahead of ours.
fn timed(
    claim: &Claim<'_>,
    entry: &mut AuthenticatorState,
    period: Period,
    policy: &Policy,
) -> Result<i64, Reason> {
    let now = TimeStep::at(claim.now, period);
    let nearest_first = (0..=REACH).flat_map(|away| [away, away.saturating_neg()]);
    let mut rows = nearest_first.filter_map(|offset| Some((offset, row_to(now, offset)?)));
    let row = rows.find(|(_, steps)| claim.shows(steps.map(TimeStep::number)));
    let (offset, steps) = row.ok_or(Reason::Mismatch)?;
    let most = policy.max_drift.max(policy.window);
    if offset.unsigned_abs() > u64::from(most) {
        return Err(Reason::OtherTime(offset));
    }
    // The last step that is not in the future, for a login just the same.
    let ahead = i64::from(policy.window).saturating_add(policy.max_drift.into());
    let horizon = now.offset(ahead).unwrap_or(now);
    if steps.iter().any(|step| entry.used.is_dead(*step, horizon)) {
        return Err(Reason::Used);
    }
    for step in steps {
        entry.used.mark(step, horizon);
    }
    entry.drift = Drift::measured(offset);
    Ok(offset)
}

/// The three steps that end so far from now.
fn row_to(now: TimeStep, offset: i64) -> Option<[TimeStep; CODES]> {
    let last = now.offset(offset)?;
    Some([last.offset(-2)?, last.offset(-1)?, last])
}

/// Where the counter of a HOTP stands: how many counters were skipped before the first code.
fn counted(claim: &Claim<'_>, entry: &mut AuthenticatorState) -> Result<i64, Reason> {
    let next = entry.used.next_counter().ok_or(Reason::Used)?;
    // Beginning with those that are used in part, to tell them from a wrong one.
    let counters = next.saturating_sub(CODES as u64)..=next.saturating_add(REACH.unsigned_abs());
    let mut rows = counters.filter_map(|first| {
        let second = first.checked_add(1)?;
        Some([first, second, second.checked_add(1)?])
    });
    let row = rows.find(|row| claim.shows(*row));
    let [first, _, last] = row.ok_or(Reason::Mismatch)?;
    if first < next {
        return Err(Reason::Used);
    }
    entry.used.raise_to(last);
    Ok(i64::try_from(first.saturating_sub(next)).unwrap_or(i64::MAX))
}

impl Claim<'_> {
    /// Whether these are its codes for these factors.
    fn shows(&self, factors: [u64; CODES]) -> bool {
        let one = self.authenticator;
        let code = |factor| hotp::code(&one.secret, one.algorithm, one.length, factor);
        let mut pairs = factors.iter().zip(self.codes);
        pairs.all(|(factor, typed)| code(*factor).matches(typed))
    }
}
