//! A store in memory, for demonstrations and tests: it is gone when they are over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Enrolled, Error, Issue, NewEnrollment, Store, TakenAway, enrolling, fresh_recovery};
use crate::delivery::Contacts;
use crate::enrollment::{Enrollment, RecoveryList};
use crate::issued::{CodeId, MAX_LIVE, StoredCode};
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
            contacts: Contacts::NONE,
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
        user.issued.retain(|code| !code.is_spent(now));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::{Authenticator, Generation, Kind, RecoveryList};
    use crate::hotp::{Algorithm, CodeLength};
    use crate::issued::Fate;
    use crate::keyed::{Digest, KEY_LENGTH};
    use crate::secret::Secret;
    use crate::store::Place;
    use crate::time::Period;
    use std::time::Duration;
    use zeroize::Zeroizing;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn account(name: &str) -> Account {
        Account {
            name: UserName::parse(name).unwrap(),
            uid: None,
        }
    }

    fn new(generation: u64, replace: bool) -> NewEnrollment {
        let mut new = NewEnrollment::of(Authenticator {
            name: "phone".to_owned(),
            generation: Generation::from_bits(generation),
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_bytes(Zeroizing::new(vec![7; 20])).unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: String::new(),
            label: String::new(),
            enrolled_at: NOW,
        });
        if replace {
            new.place = Place::InsteadOf(None);
        }
        new
    }

    fn list(generation: u64) -> RecoveryList {
        RecoveryList {
            generation: Generation::from_bits(generation),
            digits: None,
            digests: Vec::new(),
        }
    }

    fn codes(ids: std::ops::Range<u8>) -> Vec<StoredCode> {
        let code = |id| {
            StoredCode::fresh(
                CodeId::from_bytes([id, 0, 0, 0]),
                8,
                Digest::from_bytes([0; 32]),
                NOW,
                Duration::from_secs(u64::from(id) + 1),
            )
        };
        ids.map(code).collect()
    }

    #[test]
    fn an_enrolment_is_replaced_only_where_it_is_to_be() {
        let (store, alice) = (MemoryStore::default(), account("alice"));
        assert!(!store.replace_recovery(&alice, list(5)).unwrap());
        assert_eq!(store.enroll(&alice, new(1, false)).unwrap(), Enrolled::New);
        assert!(store.replace_recovery(&alice, list(5)).unwrap());
        let again = store.enroll(&alice, new(2, false)).unwrap();
        assert_eq!(again, Enrolled::Already);
        let again = store.enroll(&alice, new(2, true)).unwrap();
        assert_eq!(again, Enrolled::Replaced);
        let record = store.read(&alice).unwrap();
        let enrollment = record.enrollment.unwrap();
        assert_eq!(enrollment.authenticators[0].generation.bits(), 2);
        assert_eq!(enrollment.recovery.unwrap().generation.bits(), 5);
        assert_eq!(record.state.authenticators.len(), 1);
        assert!(store.users().unwrap().iter().eq([&alice.name]));
        assert!(store.remove(&alice).unwrap());
        assert!(!store.remove(&alice).unwrap());
        assert!(store.read(&alice).unwrap().enrollment.is_none());
    }

    #[test]
    fn codes_are_kept_changed_revoked_and_swept() {
        let (store, guest) = (MemoryStore::default(), account("guest"));
        let issue = |codes| store.issue(&guest, codes, NOW).unwrap();
        assert_eq!(issue(codes(0..20)), Issue::Kept);
        assert_eq!(issue(codes(20..21)), Issue::TooMany { live: 20 });
        let used = store.update(&guest, |record| {
            let mut issued = record.issued[19..].to_vec();
            issued[0].fate = Fate::Used;
            let changes = Changes {
                issued,
                state: Some(State {
                    disabled: true,
                    ..State::default()
                }),
                until_boot: false,
            };
            (record.issued.len(), changes)
        });
        assert_eq!(used.unwrap(), 20);
        let record = store.read(&guest).unwrap();
        let fates = record.issued.iter().filter(|code| code.fate == Fate::Used);
        assert_eq!(
            fates.map(|code| code.id).collect::<Vec<_>>(),
            [record.issued[19].id]
        );
        assert!(record.state.disabled);
        let later = NOW.plus(Duration::from_secs(3));
        assert_eq!(
            store.sweep(&guest.name, later).unwrap(),
            4,
            "0 to 2, and 19"
        );
        assert_eq!(store.sweep(&account("nobody").name, later).unwrap(), 0);
        let (three, four) = (record.issued[3].id, record.issued[4].id);
        let later = NOW.plus(Duration::from_secs(4));
        let revoked = store.revoke(&guest, later, |id| id == three || id == four);
        assert_eq!(revoked.unwrap(), [four], "the other is past");
        assert_eq!(store.read(&guest).unwrap().issued.len(), 14);
    }

    #[test]
    fn the_key_is_drawn_once() {
        let store = MemoryStore::default();
        let key = |byte| DigestKey::from_bytes(Zeroizing::new([byte; KEY_LENGTH]));
        for drawn in [1, 2] {
            let found = store.digest_key(|| key(drawn)).unwrap();
            assert_eq!(found.expose(), key(1).expose());
        }
    }
}
