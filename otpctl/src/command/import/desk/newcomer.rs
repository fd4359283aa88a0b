//! What is made of somebody who is brought: her account and her enrolment, or why there is none.

use std::hash::BuildHasher;

use otp::enrollment::{
    Authenticator, Generation, Kind as Moves, MAX_AUTHENTICATORS, MAX_RECOVERY_CODES, RecoveryList,
};
use otp::hotp::CodeLength;
use otp::keyed::DigestKey;
use otp::passcode::Digits;
use otp::state::AuthenticatorState;
use otp::store::{NewEnrollment, Newcomer, Place, Store};
use otp::time::{Period, TimeStep, UnixTime};
use otp::user::{Account, UserName};

use super::{Desk, MANY};
use crate::account;
use crate::failure::{Failure, Kind};
use crate::import::person::{Brought, Person, Recovery, Why};

/// The longest issuer or label that is kept, in bytes.
const MAX_TEXT: usize = 128;

const APART: Why = "other lines of hers stand far above: put the lines of one user together (sort)";
const NOBODY: Why = "the user it names is not in the passwd database";
const SHORT: Why =
    "her secret has fewer than 128 bits (RFC 4226): --allow-short takes it all the same";
const TWICE: Why = "two of her authenticators have the same secret";
const KEYLESS: &str = "recovery codes were made under another machine's key and are left out: 'otpctl recovery' makes new ones";
const KEPT: &str = "she has recovery codes here, and those stay";
const FAR: &str =
    "the clock of her device is farther off than max_drift allows: 'otpctl resync' or raise it";

impl Desk<'_> {
    /// The account and the enrolment of somebody, or why there is none.
    pub(super) fn newcomer(&mut self, person: Person) -> Result<Result<Newcomer, String>, Failure> {
        let account = match account::present(person.user.as_deref().unwrap_or_default()) {
            Ok(account) => account,
            // Not by her name: where the fields of a line are mixed up it may be the secret.
            Err(failure) if matches!(failure.kind, Kind::UnknownUser | Kind::Usage) => {
                return Ok(Err(NOBODY.to_owned()));
            }
            Err(failure) => return Err(failure),
        };
        if let Err(why) = self.look_at(&account, &person) {
            return Ok(Err(why.to_owned()));
        }
        let disabled = person.disabled;
        let user = account.name.as_str();
        for note in &person.notes {
            self.note(note, user);
        }
        let recovery = match person.recovery {
            Some(recovery) => self.recovery(&account, recovery)?,
            None => None,
        };
        let mut authenticators = Vec::with_capacity(person.authenticators.len());
        let mut names = Vec::new();
        for brought in person.authenticators {
            authenticators.push(self.authenticator(&account.name, brought, &mut names));
        }
        let place = if self.args.replace {
            Place::InsteadOf(None)
        } else {
            Place::First
        };
        let new = NewEnrollment {
            authenticators,
            recovery,
            place,
        };
        Ok(Ok(Newcomer {
            account,
            new,
            disabled,
        }))
    }

    /// What can be said of somebody before anything is made of it.
    fn look_at(&mut self, account: &Account, person: &Person) -> Result<(), Why> {
        let brought = &person.authenticators;
        if !self
            .seen
            .insert(self.hasher.hash_one(account.name.as_str()))
        {
            return Err(APART);
        }
        if brought.is_empty() || brought.len() > MAX_AUTHENTICATORS {
            return Err(MANY);
        }
        if !self.args.allow_short && brought.iter().any(|one| one.secret.is_short()) {
            // An archive has what was taken before.
            if self.archived.is_none() {
                return Err(SHORT);
            }
        }
        let mut rest = brought.as_slice();
        while let [one, others @ ..] = rest {
            if others.iter().any(|other| other.secret.is_same(&one.secret)) {
                return Err(TWICE);
            }
            rest = others;
        }
        Ok(())
    }

    fn authenticator(
        &mut self,
        user: &UserName,
        brought: Brought,
        names: &mut Vec<String>,
    ) -> (Authenticator, AuthenticatorState) {
        let generation = Generation::draw(&mut self.rng);
        let mut started = AuthenticatorState::fresh(generation);
        started.used = brought.used;
        started.drift = brought.drift;
        started.last_used_at = brought.last_used_at;
        let policy = &self.house.policy;
        if brought.drift.kept.unsigned_abs() > u32::from(policy.max_drift) {
            self.note(FAR, user.as_str());
        }
        if let (Moves::Totp { period }, true) = (brought.kind, self.archived.is_some()) {
            let last = last_step(
                self.now,
                period,
                u32::from(policy.window).saturating_add(policy.max_drift.into()),
            );
            started.used.mark(last, last);
        }
        let word = match brought.kind {
            Moves::Totp { .. } => "app",
            Moves::Hotp => "token",
        };
        let name = tidy(brought.name).unwrap_or_else(|| word.to_owned());
        let name = unlike(name, names);
        names.push(name.clone());
        let authenticator = Authenticator {
            name,
            generation,
            kind: brought.kind,
            secret: brought.secret,
            algorithm: brought.algorithm,
            length: brought.length,
            issuer: tidy(brought.issuer).unwrap_or_else(|| self.issuer.clone()),
            label: tidy(brought.label).unwrap_or_else(|| user.as_str().to_owned()),
            enrolled_at: brought.enrolled_at.unwrap_or(self.now),
        };
        (authenticator, started)
    }

    fn recovery(
        &mut self,
        account: &Account,
        recovery: Recovery,
    ) -> Result<Option<RecoveryList>, Failure> {
        match recovery {
            Recovery::Scratch(codes) => self.scratch(&account.name, &codes),
            Recovery::Digests { unused, .. } if unused.is_empty() => Ok(None),
            Recovery::Digests {
                generation,
                digits,
                unused,
            } => {
                let user = account.name.as_str();
                let same = match (&self.key, &self.archived) {
                    (Some(ours), Some(theirs)) => ours.expose() == theirs.expose(),
                    _ => !self.writes,
                };
                if !same {
                    self.note(KEYLESS, user);
                    return Ok(None);
                }
                if self.args.replace && self.has_recovery(account)? {
                    self.note(KEPT, user);
                    return Ok(None);
                }
                Ok(Some(RecoveryList {
                    generation,
                    digits,
                    digests: unused,
                }))
            }
        }
    }

    fn has_recovery(&self, account: &Account) -> Result<bool, Failure> {
        let record = self.house.store.read(account)?;
        Ok(record
            .enrollment
            .is_some_and(|known| known.recovery.is_some()))
    }

    fn scratch(
        &mut self,
        user: &UserName,
        codes: &[Digits],
    ) -> Result<Option<RecoveryList>, Failure> {
        if !self.writes {
            return Ok(None);
        }
        let key = match &self.key {
            Some(key) => key.clone(),
            None => {
                let rng = &mut self.rng;
                self.house.store.digest_key(|| DigestKey::draw(rng))?
            }
        };
        self.key = Some(key.clone());
        let generation = Generation::draw(&mut self.rng);
        let digests = codes.iter().take(MAX_RECOVERY_CODES);
        Ok(Some(RecoveryList {
            generation,
            digits: CodeLength::new(8),
            digests: digests
                .map(|code| key.scratch(user, generation, code))
                .collect(),
        }))
    }
}

/// The last step whose code could be good now. A backup does not know what was used since it was made, so all up to it are dead.
fn last_step(now: UnixTime, period: Period, ahead: u32) -> TimeStep {
    let step = TimeStep::at(now, period);
    step.offset(ahead.into()).unwrap_or(step)
}

/// Text that a screen and a URI can hold; nothing if that leaves none.
fn tidy(text: Option<String>) -> Option<String> {
    let text = text?;
    let mut kept = String::new();
    for letter in text.trim().chars() {
        let letter = if letter == ':' { ' ' } else { letter };
        let fits = kept.len().saturating_add(letter.len_utf8()) <= MAX_TEXT;
        if !letter.is_control() && fits {
            kept.push(letter);
        }
    }
    let kept = kept.trim().to_owned();
    (!kept.is_empty()).then_some(kept)
}

/// A name that is none of these.
fn unlike(name: String, names: &[String]) -> String {
    let others = (2..).map(|n| format!("{name} {n}"));
    let mut all = std::iter::once(name.clone()).chain(others);
    let free = all.find(|name| !names.contains(name));
    free.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_made_fit_for_a_screen_and_a_uri() {
        let tidied = |text: &str| tidy(Some(text.to_owned()));
        assert_eq!(tidied(" a:b\x1b[2J "), Some("a b[2J".to_owned()));
        assert_eq!(tidied("\n"), None);
        assert_eq!(tidied(&"ä".repeat(100)), Some("ä".repeat(64)));
    }

    #[test]
    fn no_two_authenticators_of_a_user_have_one_name() {
        let names = ["app".to_owned(), "app 2".to_owned()];
        assert_eq!(unlike("app".to_owned(), &names), "app 3");
        assert_eq!(unlike("token".to_owned(), &names), "token");
    }
}
