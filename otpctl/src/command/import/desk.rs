//! Where people arrive: their lines are put together, looked at, and written in batches; what came of each is kept to be told.
//! Of everybody who has passed, eight bytes stay.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

use otp::enrollment::{
    Authenticator, Generation, Kind as Moves, MAX_AUTHENTICATORS, MAX_RECOVERY_CODES, RecoveryList,
};
use otp::hotp::CodeLength;
use otp::keyed::DigestKey;
use otp::passcode::Digits;
use otp::state::AuthenticatorState;
use otp::store::{Enrolled, FileStore, NewEnrollment, Newcomer, Place, Store};
use otp::time::{Period, TimeStep, UnixTime};
use otp::user::{Account, UserName};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use super::super::{Context, enroll};
use crate::failure::{Failure, Kind};
use crate::house::House;
use crate::import::person::{Brought, Person, Recovery, Why};
use crate::report::fleet::{Fault, Imported};
use crate::{account, cli, clock, entropy, journal};

/// So many users wait for more lines of theirs. What is farther apart is named.
const WAITING: usize = 4096;
/// The longest issuer or label that is kept, in bytes.
const MAX_TEXT: usize = 128;

const APART: Why = "other lines of hers stand far above: put the lines of one user together (sort)";
const NOBODY: Why = "the user it names is not in the passwd database";
const NAMELESS: Why = "it does not say whose it is: --user USER";
const SHORT: Why =
    "her secret has fewer than 128 bits (RFC 4226): --allow-short takes it all the same";
const MANY: Why = "she has more than three authenticators";
const TWICE: Why = "two of her authenticators have the same secret";
const SEVERAL: Why = "she has several authenticators here, and which to replace is not said: 'otpctl remove' her first";
const KEYLESS: &str = "recovery codes were made under another machine's key and are left out: 'otpctl recovery' makes new ones";
const KEPT: &str = "she has recovery codes here, and those stay";
const FAR: &str =
    "the clock of her device is farther off than max_drift allows: 'otpctl resync' or raise it";

pub(super) struct Desk<'a> {
    context: Context<'a>,
    house: &'a House,
    args: &'a cli::Import,
    writes: bool,
    rng: UnwrapErr<SysRng>,
    now: UnixTime,
    issuer: String,
    /// Restoring, under the archive's key.
    archived: Option<DigestKey>,
    key: Option<DigestKey>,
    waiting: VecDeque<Waiting>,
    /// Where a name waits, counted from the first that ever did.
    places: HashMap<String, usize>,
    passed: usize,
    hasher: RandomState,
    seen: HashSet<u64>,
    logs: bool,
    done: u64,
    tally: Imported,
}

/// Somebody who waits for more lines of hers.
struct Waiting {
    from: From,
    person: Person,
}

/// Where a line stands.
struct From {
    home: Option<String>,
    line: usize,
}

impl<'a> Desk<'a> {
    /// `writes`: else everything is looked at alone.
    pub(super) fn new(
        context: Context<'a>,
        house: &'a House,
        args: &'a cli::Import,
        writes: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            context,
            house,
            args,
            writes,
            rng: entropy::system()?,
            now: clock::now(),
            issuer: enroll::host_name(),
            archived: None,
            key: None,
            waiting: VecDeque::new(),
            places: HashMap::new(),
            passed: 0,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            logs: true,
            done: 0,
            tally: Imported::default(),
        })
    }

    /// Whether anything cannot be taken of all that has arrived.
    pub(super) fn has_faults(&mut self) -> Result<bool, Failure> {
        self.serve(usize::MAX)?;
        Ok(self.tally.errors_total > 0)
    }

    /// What is told where nothing was written.
    pub(super) fn nothing(self) -> Imported {
        Imported {
            held_back: true,
            imported: 0,
            skipped: 0,
            skipped_users: Vec::new(),
            ..self.tally
        }
    }

    /// What follows is a backup whose recovery codes were kept under this key, which becomes this machine's if it has none.
    pub(super) fn restore_under(&mut self, key: DigestKey) -> Result<(), Failure> {
        if self.writes {
            self.key = Some(self.house.store.digest_key(|| key.clone())?);
        }
        self.archived = Some(key);
        Ok(())
    }

    /// What a line says: somebody, nobody, or why it cannot be taken.
    pub(super) fn take(
        &mut self,
        line: usize,
        said: Option<Result<Person, Why>>,
    ) -> Result<(), Failure> {
        self.arrive(From { home: None, line }, said)
    }

    /// The same of what is in somebody's home.
    pub(super) fn take_of(
        &mut self,
        user: &str,
        said: Option<Result<Person, Why>>,
    ) -> Result<(), Failure> {
        let home = Some(user.to_owned());
        self.arrive(From { home, line: 1 }, said)
    }

    /// A line that cannot be taken.
    pub(super) fn fault(&mut self, line: usize, why: Why) {
        self.refuse(&From { home: None, line }, why.to_owned());
    }

    pub(super) fn fault_of(&mut self, user: &str, line: usize, why: Why) {
        let home = Some(user.to_owned());
        self.refuse(&From { home, line }, why.to_owned());
    }

    fn arrive(&mut self, from: From, said: Option<Result<Person, Why>>) -> Result<(), Failure> {
        let mut person = match said {
            None => return Ok(()),
            Some(Ok(person)) => person,
            Some(Err(why)) => {
                self.refuse(&from, why.to_owned());
                return Ok(());
            }
        };
        if self.args.user.is_some() {
            person.user.clone_from(&self.args.user);
        }
        let Some(user) = person.user.clone() else {
            self.refuse(&from, NAMELESS.to_owned());
            return Ok(());
        };
        let place = self.places.get(&user);
        let known = place.and_then(|place| place.checked_sub(self.passed));
        if let Some(waiting) = known.and_then(|at| self.waiting.get_mut(at)) {
            join(&mut waiting.person, person);
            return Ok(());
        }
        let place = self.passed.saturating_add(self.waiting.len());
        self.places.insert(user, place);
        self.waiting.push_back(Waiting { from, person });
        if self.waiting.len() >= WAITING {
            self.serve(WAITING / 2)?;
        }
        Ok(())
    }

    /// Serves everybody who waits, and tells what came of it all.
    pub(super) fn close(mut self) -> Result<Imported, Failure> {
        self.serve(usize::MAX)?;
        if self.writes {
            self.house.store.sync()?;
        }
        Ok(self.tally)
    }

    /// Serves the first so many.
    fn serve(&mut self, count: usize) -> Result<(), Failure> {
        let mut left = count.min(self.waiting.len());
        while left > 0 {
            let now = left.min(FileStore::MANY);
            left = left.saturating_sub(now);
            let mut served = Vec::with_capacity(now);
            for _ in 0..now {
                let Some(Waiting { from, person }) = self.waiting.pop_front() else {
                    break;
                };
                self.passed = self.passed.saturating_add(1);
                if let Some(user) = &person.user {
                    self.places.remove(user);
                }
                match self.newcomer(person)? {
                    Ok(newcomer) => served.push((from, newcomer)),
                    Err(why) => self.refuse(&from, why),
                }
            }
            self.enroll(served)?;
            self.context.report.going("importing user", self.done);
        }
        Ok(())
    }

    fn enroll(&mut self, served: Vec<(From, Newcomer)>) -> Result<(), Failure> {
        let (from, newcomers): (Vec<From>, Vec<Newcomer>) = served.into_iter().unzip();
        let who: Vec<(UserName, usize)> = newcomers
            .iter()
            .map(|one| (one.account.name.clone(), one.new.authenticators.len()))
            .collect();
        let came = if self.writes {
            self.house.store.enroll_many(newcomers)?
        } else {
            newcomers.iter().map(|one| self.foreseen(one)).collect()
        };
        for ((from, (user, count)), came) in from.iter().zip(who).zip(came) {
            self.done = self.done.saturating_add(1);
            match came {
                Ok(Enrolled::New | Enrolled::Replaced | Enrolled::Added) => {
                    self.tally.imported = self.tally.imported.saturating_add(1);
                    self.log(&user, count);
                }
                Ok(Enrolled::Already) => self.tally.skip(user.as_str()),
                Ok(Enrolled::NoSuch) => self.refuse(from, SEVERAL.to_owned()),
                Ok(_) => self.refuse(from, MANY.to_owned()),
                Err(error) => self.refuse(from, error.to_string()),
            }
        }
        Ok(())
    }

    /// What would come of it, where nothing is written.
    fn foreseen(&self, one: &Newcomer) -> Result<Enrolled, otp::store::Error> {
        let record = self.house.store.read(&one.account)?;
        let known = record
            .enrollment
            .map_or(0, |known| known.authenticators.len());
        Ok(match (known, &one.new.place) {
            (0, _) => Enrolled::New,
            (_, Place::First) => Enrolled::Already,
            (1, _) => Enrolled::Replaced,
            _ => Enrolled::NoSuch,
        })
    }

    /// The account and the enrolment of somebody, or why there is none.
    fn newcomer(&mut self, person: Person) -> Result<Result<Newcomer, String>, Failure> {
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

    fn note(&mut self, note: &str, user: &str) {
        if self.writes {
            self.tally.note(note, user);
        }
    }

    fn refuse(&mut self, from: &From, why: String) {
        let fault = Fault {
            user: from.home.clone(),
            line: u64::try_from(from.line).unwrap_or(u64::MAX),
            why,
        };
        self.context.report.fault(&fault.told());
        self.tally.fault(fault);
    }

    /// A log that takes nothing is not asked a hundred thousand times.
    fn log(&mut self, user: &UserName, authenticators: usize) {
        if !self.writes || !self.logs {
            return;
        }
        let rest = format!("authenticators={authenticators}");
        if journal::note("imported", &rest, user.as_str()).is_err() {
            self.logs = false;
            self.context.log("imported", &rest, user.as_str());
        }
    }
}

/// A further line of somebody who waits.
fn join(known: &mut Person, more: Person) {
    known.authenticators.extend(more.authenticators);
    known.disabled |= more.disabled;
    for note in more.notes {
        if !known.notes.contains(&note) {
            known.notes.push(note);
        }
    }
    known.recovery = known.recovery.take().or(more.recovery);
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
