//! The machine as it is, behind [`Machine`], [`Registry`] and [`Post`]: policy file, passwd database, file store, clock. Whether
//! it is asked at all is decided in [`door`](crate::door).

use std::ffi::CString;
use std::path::Path;
use std::thread;
use std::time::{Instant, SystemTime};

use nix::unistd::{self, Gid, Group, User};
use otp::delivery::Channel;
use otp::enrollment::{Authenticator, Generation, Kind, RecoveryList};
use otp::history::History;
use otp::hotp::{Algorithm, CodeLength};
use otp::judging::{self, Sight, Way};
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::passcode::{Passcode, RecoveryCode};
use otp::passwd;
use otp::policy::Policy;
use otp::request::Why;
use otp::secret::Secret;
use otp::state::AuthenticatorState;
use otp::store::{self, Ask, Enrolled, FileStore, NewEnrollment, Place, Store};
use otp::store::{Requested, Sent, Whereabouts};
use otp::time::{Period, UnixTime};
use otp::user::Account;
use otp::verify::Verdict;
use rand::TryRng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use crate::door::Machinery;
use crate::first_login::{RECOVERY_CODES, Registry};
use crate::login::{Failure, Machine};
use crate::request::Post;

/// What an authenticator is called that was given no name.
const FIRST_NAME: &str = "app";
const NO_ENROLMENT: &str = "a program that does not run as root cannot enrol anybody: she enrols at a login by ssh, or with 'otpctl enroll'";

/// The machine this process runs on.
pub(crate) struct ThisMachine;

impl Machine for ThisMachine {
    fn policy(&self, config: Option<&Path>) -> Result<Policy, Failure> {
        store::load_policy(config)
            .map(|parsed| parsed.policy)
            .map_err(|error| Failure::Unavailable(error.to_string()))
    }

    fn account(&self, typed: &[u8]) -> Result<Option<Account>, Failure> {
        passwd::account(typed).map_err(|error| Failure::Unavailable(error.to_string()))
    }

    fn is_member(&self, account: &Account, groups: &[String]) -> Result<bool, Failure> {
        let own = groups_of(account)?;
        for name in groups {
            let failed = |why: String| {
                Failure::Unavailable(format!(
                    "a rule of the policy asks for the group {name:?}, and {why}"
                ))
            };
            let group = Group::from_name(name)
                .map_err(|error| failed(format!("it cannot be looked up: {error}")))?
                .ok_or_else(|| failed("the group database does not know it".to_owned()))?;
            if own.contains(&group.gid) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn look(&self, account: &Account, origin: Origin, policy: &Policy) -> Result<Sight, Failure> {
        judging::look(account, origin, policy, now).map_err(unavailable)
    }

    fn judge(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        passcode: &Passcode,
        way: Way,
        policy: &Policy,
    ) -> Result<(Verdict, History), Failure> {
        judging::judge(typed, account, passcode, way, policy, now).map_err(unavailable)
    }

    fn real_uid(&self) -> u32 {
        unistd::getuid().as_raw()
    }
}

/// Never by the door: who enrols is written down by the process that asked her, if that is root.
impl Registry for Machinery {
    fn now(&self) -> UnixTime {
        now()
    }

    fn draw(&self, account: &Account, policy: &Policy) -> Result<Authenticator, Failure> {
        if !unistd::geteuid().is_root() {
            return Err(Failure::Unavailable(NO_ENROLMENT.to_owned()));
        }
        let mut rng = random()?;
        Ok(Authenticator {
            name: FIRST_NAME.to_owned(),
            generation: Generation::draw(&mut rng),
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::draw(&mut rng),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: match policy.enroll.issuer.as_str() {
                "" => host_name(),
                issuer => issuer.to_owned(),
            },
            label: account.name.as_str().to_owned(),
            enrolled_at: now(),
        })
    }

    fn keep(
        &self,
        account: &Account,
        authenticator: Authenticator,
        started: AuthenticatorState,
        policy: &Policy,
    ) -> Result<Option<Vec<RecoveryCode>>, Failure> {
        let store = open(policy)?;
        let mut rng = random()?;
        let key = store
            .digest_key(|| DigestKey::draw(&mut rng))
            .map_err(unavailable)?;
        let (list, codes) = RecoveryList::draw(&mut rng, &key, &account.name, RECOVERY_CODES);
        let new = NewEnrollment {
            authenticators: vec![(authenticator, started)],
            recovery: Some(list),
            place: Place::First,
        };
        match store.enroll(account, new).map_err(unavailable)? {
            Enrolled::New => Ok(Some(codes)),
            _ => Ok(None),
        }
    }
}

/// Never by the door: whoever is not root's own program has no codes sent.
impl Post for Machinery {
    fn sends(&self) -> bool {
        // Whoever runs a set-user-ID program can stop it in the middle, with the locks of everybody who asks.
        unistd::geteuid().is_root() && unistd::getuid().is_root()
    }

    fn request(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        channel: Option<Channel>,
        origin: Origin,
        policy: &Policy,
    ) -> Result<Requested, Failure> {
        let store = open(policy)?;
        let Some(account) = account else {
            store.request_nobody(typed);
            return Ok(Requested::Refused(Why::NoContact));
        };
        let ask = Ask {
            channel,
            origin,
            host: host_name(),
        };
        let mut rng = random()?;
        let requested = store.request_code(account, &ask, policy, now, &mut rng);
        requested.map_err(unavailable)
    }

    fn whereabouts(
        &self,
        account: &Account,
        sent: &Sent,
        policy: &Policy,
    ) -> Result<Whereabouts, Failure> {
        let store = open(policy)?;
        store.whereabouts(account, sent).map_err(unavailable)
    }

    fn moment(&self) -> Instant {
        Instant::now()
    }

    fn wait_until(&self, moment: Instant) {
        thread::sleep(moment.saturating_duration_since(Instant::now()));
    }
}

/// The groups she is in, her own among them.
fn groups_of(account: &Account) -> Result<Vec<Gid>, Failure> {
    let failed =
        |why: &str| Failure::Unavailable(format!("the user's groups cannot be told: {why}"));
    let name = account.name.as_str();
    let user = User::from_name(name).map_err(|error| failed(error.desc()))?;
    let user = user.ok_or_else(|| failed("she is gone from the passwd database"))?;
    let name = CString::new(name).map_err(|_| failed("her name has a NUL in it"))?;
    unistd::getgrouplist(&name, user.gid).map_err(|error| failed(error.desc()))
}

/// The operating system's random numbers, asked once here, where a failure can still be told: what has answered once does
/// not cease to.
fn random() -> Result<UnwrapErr<SysRng>, Failure> {
    let none = |_| Failure::Unavailable("the system gives no random numbers".to_owned());
    SysRng.try_next_u64().map_err(none)?;
    Ok(UnwrapErr(SysRng))
}

/// As an app shows it, which splits it at a colon.
fn host_name() -> String {
    let name = unistd::gethostname().ok();
    let name = name.and_then(|name| name.into_string().ok());
    let odd = |letter: char| letter == ':' || letter.is_control();
    let plain = |name: &String| !name.is_empty() && !name.contains(odd);
    name.filter(plain).unwrap_or_else(|| "localhost".to_owned())
}

fn open(policy: &Policy) -> Result<FileStore, Failure> {
    FileStore::open(policy).map_err(unavailable)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it is what map_err passes, and the error ends here"
)]
fn unavailable(error: store::Error) -> Failure {
    Failure::Unavailable(error.to_string())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the module's one look at the clock, taken once the record is locked"
)]
fn now() -> UnixTime {
    UnixTime::from(SystemTime::now())
}
