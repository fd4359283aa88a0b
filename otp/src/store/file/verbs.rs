//! What can be done with a store, each under the user's lock.

use super::super::dir::Privacy;
use super::super::{
    Enrolled, Error, Issue, NewEnrollment, Store, TakenAway, enrolling, fresh_recovery,
};
use super::contacts::CONTACTS;
use super::counts::SENDS;
use super::spool::{delete_spent, ids, read_stored, write_new_stored};
use super::{FileStore, KEY, cannot_overwrite};
use crate::enrollment::RecoveryList;
use crate::issued::{CodeId, MAX_LIVE, StoredCode};
use crate::keyed::DigestKey;
use crate::time::UnixTime;
use crate::user::{Account, UserName};
use crate::verify::{Changes, Record};

impl Store for FileStore {
    fn read(&self, account: &Account) -> Result<Record, Error> {
        match self.lock(&account.name)? {
            Some(locked) => {
                let mut held = self.hold(account, locked)?;
                held.record.contacts = self.contacts_of(account)?;
                Ok(held.record)
            }
            None if self.has_contacts(account)? => Err(self.without_state(account)),
            None => self.unheld(account),
        }
    }

    fn update<T>(
        &self,
        account: &Account,
        mut transition: impl FnMut(&Record) -> (T, Changes),
    ) -> Result<T, Error> {
        let Some(locked) = self.lock(&account.name)? else {
            let (answer, _) = transition(&self.unheld(account)?);
            // She was judged; what is left to do for nobody is the reading and the writing.
            let name = account.name.as_str().as_bytes();
            self.update_nobody(name, |_| ((), Changes::default()));
            return Ok(answer);
        };
        let mut held = self.hold(account, locked)?;
        let (answer, changes) = transition(&held.record);
        let changes_nothing = changes.state.is_none() && changes.issued.is_empty();
        let answer = match self.commit(&mut held, changes) {
            Ok(()) => answer,
            Err(why) if self.fallback.stands_in && cannot_overwrite(&why) => {
                held.record.until_boot = true;
                let (answer, changes) = transition(&held.record);
                self.commit_until_boot(&held, changes, why)?;
                answer
            }
            Err(error) => return Err(error),
        };
        drop(held);
        // Her lock is free again: whoever is held may come as often as he likes, and keeps nobody waiting.
        if changes_nothing {
            self.decoy().overwrite();
        }
        Ok(answer)
    }

    fn enroll(&self, account: &Account, new: NewEnrollment) -> Result<Enrolled, Error> {
        self.enroll_as(account, new, false)
    }

    fn remove_authenticator(&self, account: &Account, name: &str) -> Result<TakenAway, Error> {
        let Some(locked) = self.lock(&account.name)? else {
            return self.unheld(account).map(|_| TakenAway::NoSuch);
        };
        let mut held = self.hold(account, locked)?;
        let Some(old) = held.record.enrollment.take() else {
            return Ok(TakenAway::NoSuch);
        };
        let (enrollment, after) = match enrolling::without(&old, &held.record.state, name) {
            Ok(left) => left,
            Err(why) => return Ok(why),
        };
        self.write_enrollment(&account.name, held.uid, &enrollment)?;
        let _ = held.write(after);
        Ok(TakenAway::Gone)
    }

    fn replace_recovery(&self, account: &Account, list: RecoveryList) -> Result<bool, Error> {
        let Some(locked) = self.lock(&account.name)? else {
            return self.unheld(account).map(|_| false);
        };
        let mut held = self.hold(account, locked)?;
        let Some(mut enrollment) = held.record.enrollment.take() else {
            return Ok(false);
        };
        let mut state = held.record.state.clone();
        state.keep_only(&enrollment);
        state.recovery.push(fresh_recovery(list.generation));
        held.write(state.clone())?;
        enrollment.recovery = Some(list);
        self.write_enrollment(&account.name, held.uid, &enrollment)?;
        state.settle(&enrollment);
        // As in `enroll`: the new list stands, the old one's entry matches nothing.
        let _ = held.write(state);
        Ok(true)
    }

    fn issue(
        &self,
        account: &Account,
        codes: Vec<StoredCode>,
        live_at: UnixTime,
    ) -> Result<Issue, Error> {
        let held = self.hold(account, self.lock_or_create(account)?)?;
        let present = held.record.issued.iter();
        let live = present.filter(|code| code.is_live(live_at)).count();
        if live.saturating_add(codes.len()) > MAX_LIVE {
            return Ok(Issue::TooMany { live });
        }
        let dir = self
            .spool
            .make_sub(account.name.file_name(), Privacy::RootOnly)?;
        delete_spent(&dir, &held.record.issued, live_at)?;
        for (index, code) in codes.iter().enumerate() {
            if let Err(error) = write_new_stored(&dir, held.uid, code) {
                for code in codes.iter().take(index) {
                    dir.unlink(&code.id.to_string())?;
                }
                dir.sync()?;
                return Err(error);
            }
        }
        Ok(Issue::Kept)
    }

    fn revoke(
        &self,
        account: &Account,
        live_at: UnixTime,
        which: impl Fn(CodeId) -> bool,
    ) -> Result<Vec<CodeId>, Error> {
        let Some(_locked) = self.lock(&account.name)? else {
            return self.unheld(account).map(|_| Vec::new());
        };
        let Some(dir) = self.spooled(&account.name)? else {
            return Ok(Vec::new());
        };
        let mut revoked = Vec::new();
        for id in ids(&dir)?.into_iter().filter(|id| which(*id)) {
            // What cannot be read might have been good, and goes all the same.
            let was_live =
                read_stored(&dir, id, account).map_or(true, |code| code.is_live(live_at));
            dir.unlink(&id.to_string())?;
            if was_live {
                revoked.push(id);
            }
        }
        dir.sync()?;
        if let Some(queue) = self.queue()?.filter(|_| !revoked.is_empty()) {
            queue.withdraw(&account.name, |id| revoked.contains(&id))?;
        }
        Ok(revoked)
    }

    fn remove(&self, account: &Account) -> Result<bool, Error> {
        let name = account.name.file_name();
        if !self.state.has(&name)?
            && !self.secrets.has(&name)?
            && !self.has_contacts(account)?
            && self.spooled(&account.name)?.is_none()
        {
            return Ok(false);
        }
        // Damaged content does not stop this. The lock is taken, and made where it is missing: a first enrolment may be
        // under way, and what it writes must not outlive its state.
        let locked = self.lock_or_create(account)?;
        self.unenroll(&locked, &name)?;
        self.secrets.unlink(&name)?;
        self.secrets.sync()?;
        self.forget_contacts(&name)?;
        let spooled = self.spooled(&account.name)?;
        if let Some(dir) = &spooled {
            dir.clear()?;
            self.spool.remove_sub(&name)?;
        }
        if let Some(queue) = self.queue()? {
            queue.forget(&account.name)?;
        }
        self.fallback.forget(&name)?;
        self.state.unlink(&name)?;
        self.state.sync()?;
        Ok(true)
    }

    fn sweep(&self, user: &UserName, now: UnixTime) -> Result<u64, Error> {
        let account = Account {
            name: user.clone(),
            uid: None,
        };
        let Some(_locked) = self.lock(user)? else {
            return Ok(0);
        };
        match self.spooled(user)? {
            Some(dir) => delete_spent(&dir, &self.stored_codes(&account)?, now),
            None => Ok(0),
        }
    }

    fn users(&self) -> Result<Vec<UserName>, Error> {
        let mut names = Vec::new();
        for dir in [&self.state, &self.secrets, &self.spool] {
            names.extend(dir.names()?);
        }
        for name in [CONTACTS, SENDS] {
            if let Some(dir) = self.root.sub(name, Privacy::RootOnly)? {
                names.extend(dir.names()?);
            }
        }
        names.sort_unstable();
        names.dedup();
        let user = |name: &String| UserName::from_file_name(name);
        Ok(names.iter().filter_map(user).collect())
    }

    fn digest_key(&self, draw: impl FnOnce() -> DigestKey) -> Result<DigestKey, Error> {
        // What is kept under a key must not outlive it, whoever made it and was killed.
        if self.root.has(KEY)? {
            self.root.sync()?;
        } else {
            self.root.write(KEY, draw().expose(), false)?;
        }
        self.key()
    }
}
