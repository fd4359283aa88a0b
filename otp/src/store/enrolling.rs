//! What an enrolment makes of what was there: pure, so that every store does the same.

use super::{Enrolled, NewEnrollment, Place, TakenAway, fresh_recovery};
use crate::enrollment::{Authenticator, Enrollment, Generation, MAX_AUTHENTICATORS};
use crate::state::{AuthenticatorState, MAX_AUTHENTICATOR_STATES, State};

/// An enrolment that is to be made durable: first `before`, then `enrollment`, then `after`. A crash in between leaves the
/// old or the new one whole, and no used step of either forgotten.
pub(super) struct Plan {
    pub(super) came: Enrolled,
    pub(super) before: State,
    pub(super) enrollment: Enrollment,
    pub(super) after: State,
}

/// What becomes of a user's `old` enrolment and her `state`; why nothing does, if it does not.
pub(super) fn plan(
    old: Option<Enrollment>,
    state: &State,
    new: NewEnrollment,
) -> Result<Plan, Enrolled> {
    let is_first = old.is_none();
    let old = old.unwrap_or_default();
    let came = match &new.place {
        _ if is_first => Enrolled::New,
        Place::First => return Err(Enrolled::Already),
        Place::Beside => Enrolled::Added,
        Place::InsteadOf(_) => Enrolled::Replaced,
    };
    let mut kept = staying(&old, &new.place)?;
    for (authenticator, _) in &new.authenticators {
        if kept.iter().any(|known| known.name == authenticator.name) {
            return Err(Enrolled::NameTaken);
        }
        // What is used of each is kept apart, so a code would be good once at each.
        let is_same = |known: &Authenticator| known.secret.is_same(&authenticator.secret);
        if kept.iter().any(is_same) {
            return Err(Enrolled::SecretTaken);
        }
        kept.push(authenticator.clone());
    }
    if kept.len() > MAX_AUTHENTICATORS {
        return Err(Enrolled::TooMany);
    }
    let enrollment = Enrollment {
        authenticators: kept,
        recovery: new.recovery.clone().or_else(|| old.recovery.clone()),
    };
    let before = state_before(&old, state, &new, came);
    if before.authenticators.len() > MAX_AUTHENTICATOR_STATES {
        return Err(Enrolled::TooMany);
    }
    let mut after = before.clone();
    after.settle(&enrollment);
    Ok(Plan {
        came,
        before,
        enrollment,
        after,
    })
}

/// What would come of giving a user one more authenticator of this name, as far as can be told without its secret.
pub(super) fn foresee(old: Option<&Enrollment>, place: &Place, name: &str) -> Enrolled {
    let Some(old) = old else {
        return Enrolled::New;
    };
    let kept = match staying(old, place) {
        Ok(kept) => kept,
        Err(why) => return why,
    };
    match place {
        Place::First => Enrolled::Already,
        _ if kept.iter().any(|known| known.name == name) => Enrolled::NameTaken,
        _ if kept.len() >= MAX_AUTHENTICATORS => Enrolled::TooMany,
        Place::Beside => Enrolled::Added,
        Place::InsteadOf(_) => Enrolled::Replaced,
    }
}

/// What becomes of a user's enrolment without the authenticator of this name.
pub(super) fn without(
    old: &Enrollment,
    state: &State,
    name: &str,
) -> Result<(Enrollment, State), TakenAway> {
    let mut enrollment = old.clone();
    enrollment.authenticators.retain(|known| known.name != name);
    if enrollment.authenticators.len() == old.authenticators.len() {
        return Err(TakenAway::NoSuch);
    }
    if enrollment.authenticators.is_empty() {
        return Err(TakenAway::Last);
    }
    let mut after = state.clone();
    after.remembered.clear();
    after.settle(&enrollment);
    Ok((enrollment, after))
}

/// The authenticators that stay.
fn staying(old: &Enrollment, place: &Place) -> Result<Vec<Authenticator>, Enrolled> {
    let known = &old.authenticators;
    let goes = match place {
        Place::First | Place::Beside => return Ok(known.clone()),
        Place::InsteadOf(Some(name)) => Some(name),
        Place::InsteadOf(None) => match known.as_slice() {
            [] => None,
            [only] => Some(&only.name),
            _ => return Err(Enrolled::NoSuch),
        },
    };
    let stays = |one: &&Authenticator| goes.is_none_or(|name| one.name != *name);
    let kept: Vec<_> = known.iter().filter(stays).cloned().collect();
    if kept.len() == known.len() && !known.is_empty() {
        return Err(Enrolled::NoSuch);
    }
    Ok(kept)
}

/// The state with the entries of the new authenticators beside the old ones. A secret that is enrolled again for the same
/// kind of steps keeps those that are used, or its last code would be good twice.
fn state_before(old: &Enrollment, state: &State, new: &NewEnrollment, came: Enrolled) -> State {
    let mut before = state.clone();
    before.keep_only(old);
    if came != Enrolled::Added {
        before.throttle.failures = 0;
        before.remembered.clear();
    }
    for (authenticator, started) in &new.authenticators {
        let mut known = old.authenticators.iter();
        let same = known.find(|known| {
            known.kind == authenticator.kind && known.secret.is_same(&authenticator.secret)
        });
        let entry = same.and_then(|same| state.authenticator(same.generation));
        before.authenticators.push(match entry {
            Some(entry) => continued(entry, started, authenticator.generation),
            None => started.clone(),
        });
    }
    if let Some(list) = &new.recovery {
        before.recovery.push(fresh_recovery(list.generation));
    }
    before
}

/// What was used before and what is now, under the new generation.
fn continued(
    before: &AuthenticatorState,
    started: &AuthenticatorState,
    generation: Generation,
) -> AuthenticatorState {
    let mut entry = before.clone();
    entry.generation = generation;
    entry.used.add(&started.used);
    entry
}
