//! Where people arrive: their lines are put together, looked at, and written in batches; what came of each is kept to be told.
//! Of everybody who has passed, eight bytes stay.

mod newcomer;

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};

use otp::keyed::DigestKey;
use otp::store::{Enrolled, FileStore, Newcomer, Place, Store};
use otp::time::UnixTime;
use otp::user::UserName;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use super::super::{Context, host_name};
use crate::failure::Failure;
use crate::house::House;
use crate::import::person::{Person, Why};
use crate::report::fleet::{Fault, Imported};
use crate::{cli, clock, entropy, journal};

/// So many users wait for more lines of theirs. What is farther apart is named.
const WAITING: usize = 4096;

const NAMELESS: Why = "it does not say whose it is: --user USER";
const MANY: Why = "she has more than three authenticators";
const SEVERAL: Why = "she has several authenticators here, and which to replace is not said: 'otpctl remove' her first";

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
            issuer: host_name(),
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
