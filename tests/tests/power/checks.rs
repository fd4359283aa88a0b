//! Whether a store that a power cut left keeps what was promised. By the code that reads it at every login, in this process;
//! and, of a sample, by the built module and command.

use std::time::Duration;

use otp::enrollment::{Authenticator, Enrollment, Generation, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{CodeId, StoredCode};
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::secret::Secret;
use otp::store::{Enrolled, FileStore, Issue, NewEnrollment, Place, Store};
use otp::time::{Period, UnixTime};
use otp::user::Account;
use otp::verify::{Attempt, Changes, Reason, Record, Verdict, verify};
use tests::users;
use zeroize::Zeroizing;

use crate::acts::{Act, USER, shown};
use crate::claims::{Claims, Enrolment};

/// By how much the clock has moved on when a fresh code is tried: nothing that was used before reaches so far.
const LATER: Duration = Duration::from_secs(120);
/// As the policy has it: a time-based code has six, a recovery code is longer.
const STORED_DIGITS: usize = 8;
/// A secret nobody has had yet.
const OTHER_SECRET: &str = "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U";
const OTHER_CODE: &str = "9081726354";

/// What does not hold, in words.
type Broken = String;

/// Someone with a store in front of him.
struct Examiner<'a> {
    store: FileStore,
    account: Account,
    policy: Policy,
    claims: &'a Claims,
    now: UnixTime,
}

/// Checks the store that is in the sandbox: what was told, and if asked, everything that comes next. Changes it.
pub(crate) fn check(claims: &Claims, now: UnixTime, next: bool) -> Result<(), Broken> {
    let policy = Policy::default();
    let store = match FileStore::open(&policy) {
        Ok(store) => store,
        Err(error) if claims.made => return Err(format!("it does not open: {error}")),
        Err(_) => FileStore::open_or_create(&policy)
            .map_err(|error| format!("it cannot be made again: {error}"))?,
    };
    let examiner = Examiner {
        store,
        account: users::account(USER),
        policy,
        claims,
        now,
    };
    examiner.what_was_told()?;
    if next {
        examiner.what_comes_next()?;
    }
    Ok(())
}

impl Examiner<'_> {
    fn what_was_told(&self) -> Result<(), Broken> {
        let record = match self.store.read(&self.account) {
            Ok(record) => record,
            // She is refused until the removal is done again.
            Err(_) if self.claims.half_removed => return Ok(()),
            Err(error) => return Err(format!("her record cannot be read: {error}")),
        };
        let failures = record.state.throttle.failures;
        if failures < self.claims.failures {
            return Err(format!("{failures} failures, and more were told"));
        }
        let enrolment = self.in_force(&record)?;
        self.spent_codes()?;
        self.stored_codes()?;
        if let Some(enrolment) = &enrolment {
            self.fresh_codes(enrolment)?;
        }
        self.old_secrets(enrolment.as_ref())
    }

    /// Which of the enrolments that there may be is there.
    fn in_force(&self, record: &Record) -> Result<Option<Enrolment>, Broken> {
        let there = record.enrollment.as_ref();
        let fits = |known: &&Option<Enrolment>| match (known, there) {
            (None, None) => true,
            (Some(known), Some(there)) => {
                is_of(known, there) && self.has_list(known, there, record)
            }
            _ => false,
        };
        let known = self.claims.enrolments.iter().find(fits);
        let nothing_known = self.claims.enrolments.is_empty() && there.is_none();
        match known {
            Some(known) => Ok(known.clone()),
            None if nothing_known => Ok(None),
            None => Err("the enrolment in force is none of those there may be".to_owned()),
        }
    }

    /// Whether the recovery codes of an enrolment are those that its owner has: all of them.
    fn has_list(&self, known: &Enrolment, there: &Enrollment, record: &Record) -> bool {
        let Some(list) = &there.recovery else {
            return known.recovery.is_empty();
        };
        let Some(key) = &record.key else { return false };
        let digest = |code: &String| match passcode(code) {
            Passcode::Recovery(code) => key.recovery(&self.account.name, list.generation, &code),
            Passcode::Digits(_) => panic!("{code} is no recovery code"),
        };
        known
            .recovery
            .iter()
            .map(digest)
            .eq(list.digests.iter().copied())
    }

    fn spent_codes(&self) -> Result<(), Broken> {
        for code in &self.claims.spent {
            self.refused(code, self.now, "a code that let somebody in")?;
            self.known_as_used(code)?;
        }
        let perhaps = self.claims.perhaps_spent.iter();
        for code in perhaps.chain(&self.claims.perhaps_live) {
            let _ = self.answer(code, self.now)?;
            self.refused(
                code,
                self.now,
                "a code that may have been used, and then was tried",
            )?;
        }
        Ok(())
    }

    /// Refused for no other reason, or it would be good again where that reason is not. An old stored code may have been
    /// deleted, and with it what was known of it.
    fn known_as_used(&self, code: &str) -> Result<(), Broken> {
        let is_stored = code.len() == STORED_DIGITS;
        if is_stored || self.claims.renewed {
            return Ok(());
        }
        match self.answer(code, self.now)? {
            Verdict::Refused(Reason::Used) => Ok(()),
            other => Err(format!("a used code is not refused as used: {other:?}")),
        }
    }

    fn stored_codes(&self) -> Result<(), Broken> {
        for code in &self.claims.gone {
            self.refused(code, self.now, "a code that was revoked")?;
        }
        for code in &self.claims.live {
            self.accepted_once(code, self.now, "a code that was issued")?;
        }
        Ok(())
    }

    fn fresh_codes(&self, enrolment: &Enrolment) -> Result<(), Broken> {
        let later = self.now.plus(LATER);
        self.accepted_once(&shown(&enrolment.secret, later, 0), later, "a fresh code")?;
        let tried = |code: &String| {
            !self.claims.spent.contains(code) && !self.claims.perhaps_spent.contains(code)
        };
        match enrolment.recovery.iter().rfind(|code| tried(code)) {
            Some(code) => self.accepted_once(code, later, "a recovery code"),
            None => Ok(()),
        }
    }

    /// Exactly one enrolment is in force.
    fn old_secrets(&self, enrolment: Option<&Enrolment>) -> Result<(), Broken> {
        let later = self.now.plus(LATER * 2);
        let has = |code: &String| enrolment.is_some_and(|known| known.recovery.contains(code));
        for other in self.claims.enrolments.iter().flatten() {
            let codes = other.recovery.first().filter(|code| !has(code));
            let mut codes: Vec<String> = codes.into_iter().cloned().collect();
            if enrolment.is_none_or(|known| known.secret != other.secret) {
                codes.push(shown(&other.secret, later, 0));
            }
            for code in codes {
                self.refused(&code, later, "a code of an enrolment that is not in force")?;
            }
        }
        Ok(())
    }

    /// Every verb works again, and brings what it promises, without anything being cleaned by hand.
    fn what_comes_next(&self) -> Result<(), Broken> {
        let failed =
            |what: &str, error: otp::store::Error| format!("{what} does not work: {error}");
        if self.claims.half_removed {
            let removed = self.store.remove(&self.account);
            removed.map_err(|error| failed("removing again", error))?;
        }
        let key = self
            .store
            .digest_key(|| DigestKey::from_bytes(Zeroizing::new([42; 32])));
        let key = key.map_err(|error| failed("making the key", error))?;
        let issued = self
            .store
            .issue(&self.account, vec![self.another_code(&key)], self.now);
        let issued = issued.map_err(|error| failed("issuing again", error))?;
        assert_eq!(issued, Issue::Kept);
        self.accepted_once(OTHER_CODE, self.now, "a code issued afterwards")?;
        let replaced = self.store.enroll(&self.account, another_enrolment());
        let replaced = replaced.map_err(|error| failed("enrolling again", error))?;
        assert_ne!(replaced, Enrolled::Already);
        let later = self.now.plus(LATER * 3);
        self.accepted_once(
            &shown(OTHER_SECRET, later, 0),
            later,
            "a code of a new enrolment",
        )?;
        let revoked = self.store.revoke(&self.account, self.now, |_| true);
        revoked.map_err(|error| failed("revoking again", error))?;
        let removed = self.store.remove(&self.account);
        let removed = removed.map_err(|error| failed("removing", error))?;
        let left = self
            .store
            .users()
            .map_err(|error| failed("listing", error))?;
        if !removed || !left.is_empty() {
            return Err("something stays of her after her removal".to_owned());
        }
        Ok(())
    }

    fn another_code(&self, key: &DigestKey) -> StoredCode {
        let id = CodeId::from_bytes([9; 4]);
        let Passcode::Digits(digits) = passcode(OTHER_CODE) else {
            panic!("it is digits")
        };
        StoredCode::fresh(
            id,
            10,
            key.stored(&self.account.name, id, &digits),
            self.now,
            Duration::from_secs(600),
        )
    }

    fn accepted_once(&self, code: &str, now: UnixTime, what: &str) -> Result<(), Broken> {
        match self.answer(code, now)? {
            Verdict::Accepted(_) => self.refused(code, now, what),
            Verdict::Refused(reason) => Err(format!("{what} is refused: {}", reason.name())),
        }
    }

    fn refused(&self, code: &str, now: UnixTime, what: &str) -> Result<(), Broken> {
        match self.answer(code, now)? {
            Verdict::Accepted(_) => Err(format!("{what} is accepted again")),
            // It would hide what it should have been refused for.
            Verdict::Refused(Reason::Throttled | Reason::Locked) => {
                Err(format!("{what} is not even compared"))
            }
            Verdict::Refused(_) => Ok(()),
        }
    }

    /// As the module judges it. What is typed here makes nobody wait.
    fn answer(&self, code: &str, now: UnixTime) -> Result<Verdict, Broken> {
        let passcode = passcode(code);
        let attempt = Attempt {
            passcode: &passcode,
            origin: Origin::Local(0),
            now,
        };
        let judged = self.store.update(&self.account, |record| {
            let outcome = verify(record, &attempt, &self.policy);
            (outcome.verdict, outcome.changes)
        });
        let verdict = judged.map_err(|error| format!("no code can be judged: {error}"))?;
        if verdict == Verdict::Refused(Reason::Mismatch) {
            self.forget_failures()?;
        }
        Ok(verdict)
    }

    fn forget_failures(&self) -> Result<(), Broken> {
        let cleared = self.store.update(&self.account, |record| {
            let mut state = record.state.clone();
            state.throttle.clear();
            let changes = Changes {
                state: Some(state),
                ..Changes::default()
            };
            ((), changes)
        });
        cleared.map_err(|error| format!("no failure can be forgotten: {error}"))
    }
}

/// Checks the store that is in the sandbox with the built programs: the last thing that was done is done again, and a fresh
/// code lets her in, once.
pub(crate) fn check_by_programs(claims: &Claims, last: &Act, now: UnixTime) -> Result<(), Broken> {
    let later = now.plus(LATER);
    let done = |act: &Act, at| act.done(at);
    if claims.half_removed {
        let _ = done(&Act::ctl("remove alice --yes"), now);
    }
    if let Act::Ctl(..) = last {
        let again = done(last, now);
        // A removal that was done is told so; an enrolment too.
        let is_over = matches!(again.code, Some(1 | 3));
        if again.code != Some(0) && !is_over {
            return Err(format!(
                "'{}' again: {}{}",
                last.verb(),
                again.out,
                again.err
            ));
        }
    }
    for code in &claims.spent {
        if done(&Act::login(code), now).code == Some(0) {
            return Err("the module lets a used code in".to_owned());
        }
    }
    let anew = Act::ctl("enroll alice --replace");
    let enrolled = done(&anew, now);
    if enrolled.code != Some(0) {
        return Err(format!("enrolling anew: {}", enrolled.err));
    }
    let said = crate::acts::said(&enrolled);
    let fresh = Act::login(&shown(said["secret"].as_str().unwrap(), later, 0));
    let answers = [done(&fresh, later).code, done(&fresh, later).code];
    if answers[0] != Some(0) || answers[1] == Some(0) {
        return Err(format!("the module answers a fresh code with {answers:?}"));
    }
    Ok(())
}

fn is_of(known: &Enrolment, there: &Enrollment) -> bool {
    let secret = Secret::from_base32(&known.secret).unwrap();
    matches!(there.authenticators.as_slice(), [one] if one.secret.is_same(&secret))
}

fn another_enrolment() -> NewEnrollment {
    let authenticator = Authenticator {
        name: "another".to_owned(),
        generation: Generation::from_bits(99),
        kind: Kind::Totp {
            period: Period::THIRTY,
        },
        secret: Secret::from_base32(OTHER_SECRET).unwrap(),
        algorithm: Algorithm::Sha1,
        length: CodeLength::SIX,
        issuer: "trial".to_owned(),
        label: USER.to_owned(),
        enrolled_at: UnixTime::EPOCH,
    };
    NewEnrollment {
        place: Place::InsteadOf(None),
        ..NewEnrollment::of(authenticator)
    }
}

fn passcode(code: &str) -> Passcode {
    Passcode::parse(code.as_bytes()).expect("it is a passcode")
}
