//! A store in memory, for demonstrations and tests: it is gone when they are over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Enrolled, Error, Issue, NewEnrollment, Store, TakenAway, enrolling, fresh_recovery};
use crate::enrollment::{Enrollment, RecoveryList};
use crate::issued::{CodeId, Fate, MAX_LIVE, StoredCode};
use crate::keyed::DigestKey;
use crate::state::State;
use crate::time::UnixTime;
use crate::user::{Account, UserName};
use crate::verify::{Changes, Record};

/// The store in memory.
#[derive(Default)]
pub struct MemoryStore(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    users: BTreeMap<UserName, User>,
    key: Option<DigestKey>,
}

#[derive(Clone, Default)]
struct User {
    enrollment: Option<Enrollment>,
    state: State,
    issued: Vec<StoredCode>,
}

impl MemoryStore {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn record(&self, user: &UserName) -> Record {
        let known = self.users.get(user).cloned().unwrap_or_default();
        Record {
            user: user.clone(),
            enrollment: known.enrollment,
            state: known.state,
            issued: known.issued,
            key: self.key.clone(),
            until_boot: false,
            booted: None,
        }
    }

    fn user(&mut self, account: &Account) -> &mut User {
        self.users.entry(account.name.clone()).or_default()
    }
}

impl Store for MemoryStore {
    fn read(&self, account: &Account) -> Result<Record, Error> {
        Ok(self.kept().record(&account.name))
    }

    fn update<T>(
        &self,
        account: &Account,
        mut transition: impl FnMut(&Record) -> (T, Changes),
    ) -> Result<T, Error> {
        let mut kept = self.kept();
        let (answer, changes) = transition(&kept.record(&account.name));
        if let Some(user) = kept.users.get_mut(&account.name) {
            for changed in changes.issued {
                let mut codes = user.issued.iter_mut();
                if let Some(code) = codes.find(|code| code.id == changed.id) {
                    *code = changed;
                }
            }
            if let Some(state) = changes.state {
                user.state = state;
            }
        }
        Ok(answer)
    }

    fn enroll(&self, account: &Account, new: NewEnrollment) -> Result<Enrolled, Error> {
        let mut kept = self.kept();
        let user = kept.user(account);
        let plan = match enrolling::plan(user.enrollment.clone(), &user.state, new) {
            Ok(plan) => plan,
            Err(came) => return Ok(came),
        };
        user.state = plan.after;
        user.enrollment = Some(plan.enrollment);
        Ok(plan.came)
    }

    fn remove_authenticator(&self, account: &Account, name: &str) -> Result<TakenAway, Error> {
        let mut kept = self.kept();
        let user = kept.user(account);
        let Some(old) = &user.enrollment else {
            return Ok(TakenAway::NoSuch);
        };
        match enrolling::without(old, &user.state, name) {
            Ok((enrollment, after)) => {
                user.state = after;
                user.enrollment = Some(enrollment);
                Ok(TakenAway::Gone)
            }
            Err(why) => Ok(why),
        }
    }

    fn replace_recovery(&self, account: &Account, list: RecoveryList) -> Result<bool, Error> {
        let mut kept = self.kept();
        let user = kept.user(account);
        let Some(enrollment) = &mut user.enrollment else {
            return Ok(false);
        };
        user.state.recovery.push(fresh_recovery(list.generation));
        enrollment.recovery = Some(list);
        user.state.keep_only(enrollment);
        Ok(true)
    }

    fn issue(
        &self,
        account: &Account,
        codes: Vec<StoredCode>,
        live_at: UnixTime,
    ) -> Result<Issue, Error> {
        let mut kept = self.kept();
        let user = kept.user(account);
        let live = user.issued.iter().filter(|code| code.is_live(live_at));
        let live = live.count();
        if live.saturating_add(codes.len()) > MAX_LIVE {
            return Ok(Issue::TooMany { live });
        }
        user.issued.extend(codes);
        Ok(Issue::Kept)
    }

    fn revoke(
        &self,
        account: &Account,
        live_at: UnixTime,
        which: impl Fn(CodeId) -> bool,
    ) -> Result<Vec<CodeId>, Error> {
        let mut kept = self.kept();
        let user = kept.user(account);
        let (gone, stay) = user.issued.drain(..).partition(|code| which(code.id));
        user.issued = stay;
        let gone: Vec<StoredCode> = gone;
        let live = gone.iter().filter(|code| code.is_live(live_at));
        Ok(live.map(|code| code.id).collect())
    }

    fn remove(&self, account: &Account) -> Result<bool, Error> {
        Ok(self.kept().users.remove(&account.name).is_some())
    }

    fn sweep(&self, user: &UserName, now: UnixTime) -> Result<u64, Error> {
        let mut kept = self.kept();
        let Some(user) = kept.users.get_mut(user) else {
            return Ok(0);
        };
        let before = user.issued.len();
        user.issued
            .retain(|code| code.fate == Fate::Live && !code.is_past(now));
        let deleted = before.saturating_sub(user.issued.len());
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
    }

    fn users(&self) -> Result<Vec<UserName>, Error> {
        Ok(self.kept().users.keys().cloned().collect())
    }

    fn digest_key(&self, draw: impl FnOnce() -> DigestKey) -> Result<DigestKey, Error> {
        Ok(self.kept().key.get_or_insert_with(draw).clone())
    }
}
