//! Many users enrolled at once: what one enrolment flushes four times, a batch flushes three times (ADR 13).
//!
//! The order is that of one: what forbids the reuse of codes lasts before the secret has its name. Files are filled under
//! names that nobody reads, made to last together, and then named, so a power cut leaves none of them empty. Each user's
//! lock is held from before her state has its name, so nobody meets her half enrolled.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::super::{Enrolled, Error, Newcomer, Place, Store, codec, enrolling, secrets, slots};
use super::{FileStore, STATE_FORMAT, io};
use crate::state::State;
use crate::user::Account;

impl FileStore {
    /// So many are enrolled at once at most: each has a file open until the batch is done.
    pub const MANY: usize = 256;

    /// Enrols users of whom each stands in it once, in the order given; what came of each. When this returns all of it lasts.
    /// An error of one user is hers, and the others go on. Killed anywhere, each of them is enrolled whole or not at all, and
    /// it can be run again.
    pub fn enroll_many(
        &self,
        newcomers: Vec<Newcomer>,
    ) -> Result<Vec<Result<Enrolled, Error>>, Error> {
        let mut told = Vec::with_capacity(newcomers.len());
        let mut rest = newcomers;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(Self::MANY));
            told.extend(self.enroll_batch(rest)?);
            rest = later;
        }
        Ok(told)
    }

    /// Makes everything that was written to the store last: what a batch wrote after its enrolments stood.
    pub fn sync(&self) -> Result<(), Error> {
        self.state.sync_all()
    }

    fn enroll_batch(
        &self,
        newcomers: Vec<Newcomer>,
    ) -> Result<Vec<Result<Enrolled, Error>>, Error> {
        let mut came: Vec<_> = newcomers.into_iter().map(|one| self.begin(one)).collect();
        let done = self.finish(&mut came);
        for step in &came {
            if let Step::Begun(begun) = step {
                // What could not be given its name; sweep clears away what this leaves.
                let _ = self.state.unlink(&begun.files.half_state);
                let _ = self.secrets.unlink(&begun.files.half_secret);
            }
        }
        done?;
        let told = came.into_iter().map(|step| match step {
            Step::Told(told) => told,
            Step::Stood(_) => Ok(Enrolled::New),
            // Somebody else made her state first.
            Step::Begun(begun) => {
                let Begun { files, newcomer } = *begun;
                drop(files);
                self.alone(newcomer)
            }
        });
        Ok(told.collect())
    }

    /// One who is enrolled by herself: of whom something is kept.
    fn alone(&self, one: Newcomer) -> Result<Enrolled, Error> {
        self.enroll_as(&one.account, one.new, one.disabled)
    }

    fn begin(&self, one: Newcomer) -> Step {
        match self.fill(&one) {
            Ok(Filled::Already) => Step::Told(Ok(Enrolled::Already)),
            Ok(Filled::Known) => Step::Told(self.alone(one)),
            Ok(Filled::Refused(came)) => Step::Told(Ok(came)),
            Ok(Filled::New(files)) => Step::Begun(Box::new(Begun {
                files: *files,
                newcomer: one,
            })),
            Err(error) => Step::Told(Err(error)),
        }
    }

    /// Fills the two files of a user of whom nothing is kept, and locks her state.
    fn fill(&self, one: &Newcomer) -> Result<Filled, Error> {
        let account = &one.account;
        let name = account.name.file_name();
        if self.state.has(&name)? {
            let is_first = one.new.place == Place::First;
            let is_enrolled = is_first && self.read(account)?.enrollment.is_some();
            return Ok(if is_enrolled {
                Filled::Already
            } else {
                Filled::Known
            });
        }
        self.unheld(account)?;
        let mut plan = match enrolling::plan(None, &State::default(), one.new.clone()) {
            Ok(plan) => plan,
            Err(came) => return Ok(Filled::Refused(came)),
        };
        plan.before.disabled = one.disabled;
        plan.after.disabled = one.disabled;
        let uid = uid(account);
        let before = self.fallback.last(&name);
        let payload = codec::state_bytes(uid, &plan.before);
        let fresh = slots::fresh_after(before, STATE_FORMAT, &payload);
        let (half_state, file) = self.state.write_half(&name, &fresh)?;
        let text = secrets::text(uid, &plan.enrollment);
        let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io(&self.state.path_of(&name), "lock", errno));
        let filled = locked.and_then(|file| {
            let (half_secret, _) = self.secrets.write_half(&name, text.as_bytes())?;
            let after = codec::state_bytes(uid, &plan.after);
            Ok(Files {
                half_state: half_state.clone(),
                half_secret,
                file,
                before,
                after,
            })
        });
        if filled.is_err() {
            let _ = self.state.unlink(&half_state);
        }
        filled.map(|files| Filled::New(Box::new(files)))
    }

    /// Gives what lasts its name: first every state, then every secret.
    fn finish(&self, came: &mut [Step]) -> Result<(), Error> {
        if came.iter().any(|step| matches!(step, Step::Begun(_))) {
            self.state.sync_all()?;
            if !self.secrets.is_beside(&self.state)? {
                self.secrets.sync_all()?;
            }
        }
        let mut named = Vec::new();
        for (index, step) in came.iter_mut().enumerate() {
            let Step::Begun(begun) = &*step else {
                continue;
            };
            match self.state.put(&begun.files.half_state, &begun.name()) {
                Ok(true) => named.push(index),
                Ok(false) => {}
                Err(error) => self.drop_step(step, error),
            }
        }
        // Also where all were there before: whoever enrolled them may have been killed before their names lasted.
        self.state.sync()?;
        named.retain(|index| self.name_secret(came.get_mut(*index)));
        self.secrets.sync()?;
        // Now they stand. What says so must not last before that does, or a power cut leaves a secret that seems lost.
        for index in named {
            if let Some(step) = came.get_mut(index) {
                settle(step);
            }
        }
        Ok(())
    }

    /// Gives a secret its name; whether it has it.
    fn name_secret(&self, step: Option<&mut Step>) -> bool {
        let Some(step) = step else {
            return false;
        };
        let Step::Begun(begun) = &*step else {
            return false;
        };
        let path = self.secrets.path_of(begun.name());
        match self.secrets.put(&begun.files.half_secret, &begun.name()) {
            Ok(true) => return true,
            Ok(false) => self.drop_step(step, io(&path, "make", Errno::EEXIST)),
            Err(error) => self.drop_step(step, error),
        }
        false
    }

    /// Takes what is half-made away again.
    fn drop_step(&self, step: &mut Step, error: Error) {
        if let Step::Begun(begun) = &*step {
            let _ = self.state.unlink(&begun.files.half_state);
            let _ = self.secrets.unlink(&begun.files.half_secret);
        }
        *step = Step::Told(Err(error));
    }
}

/// Tells her state that she is enrolled. That need not last: without it the next login looks again.
fn settle(step: &mut Step) {
    let was = std::mem::replace(step, Step::Told(Ok(Enrolled::New)));
    if let Step::Begun(begun) = was {
        let files = begun.files;
        let _ = slots::follow_up(&files.file, files.before, STATE_FORMAT, &files.after);
        *step = Step::Stood(files.file);
    }
}

/// How far a user of a batch has come.
enum Step {
    /// What came of her is known.
    Told(Result<Enrolled, Error>),
    /// Her files are filled.
    Begun(Box<Begun>),
    /// She is enrolled; her lock is held until the batch lasts.
    Stood(#[allow(dead_code, reason = "held, not read")] Flock<File>),
}

struct Begun {
    files: Files,
    newcomer: Newcomer,
}

struct Files {
    half_state: String,
    half_secret: String,
    /// Her state, locked.
    file: Flock<File>,
    /// The sequence number that her state follows.
    before: u64,
    /// The record of her state once the secret lasts.
    after: Vec<u8>,
}

impl Begun {
    fn name(&self) -> String {
        self.newcomer.account.name.file_name()
    }
}

/// What filling a user's files came to.
enum Filled {
    /// She is enrolled, and was not to be again.
    Already,
    /// Something is kept of her.
    Known,
    /// It cannot be.
    Refused(Enrolled),
    /// They are filled.
    New(Box<Files>),
}

fn uid(account: &Account) -> u32 {
    account.uid.unwrap_or(0)
}
