//! The machine as it is for the process we are in: what may not read the store, and what is run by somebody who is not
//! root, asks `otpd` ([`otp::door`]); root's own programs read and write it themselves, as [`ThisMachine`].
//!
//! A set-user-ID program such as su is root's, but whoever runs it can stop it at any moment, with another user's lock in
//! its hands. So it goes by the door, too, where there is one.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::Path;

use nix::unistd;
use otp::door::client::{Door, NoAnswer};
use otp::door::wire::{Answer, Asker, No, Question};
use otp::history::History;
use otp::judging::{Sight, Way};
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::service::Service;
use otp::user::Account;
use otp::verify::{Reason, Verdict};

use crate::login::{Failure, Host, Machine};
use crate::machine::ThisMachine;

const OWN_POLICY: &str = "a program that does not run as root asks otpd, which has a policy of its own: take the config argument out of the line, and give the file to otpd --config";

/// The machine, by the way that is open to this process.
pub(crate) struct Machinery {
    service: Option<Service>,
    remote: Option<IpAddr>,
    /// otpd has judged, and so it has written the log line.
    is_told: Cell<bool>,
    /// Another policy is named than otpd's.
    has_config: Cell<bool>,
}

impl Machinery {
    /// For one hook of a host.
    pub(crate) fn of(host: &impl Host) -> Self {
        Self {
            service: Service::parse(&host.service()),
            remote: host.remote_address(),
            is_told: Cell::new(false),
            has_config: Cell::new(false),
        }
    }

    /// Whether what came of it stands in the log already.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told.get()
    }

    /// The door to go by, if it is not for us to open the store.
    fn door(&self, policy: &Policy) -> Result<Option<Door>, Failure> {
        let is_root = unistd::geteuid().is_root();
        if is_root && (unistd::getuid().is_root() || self.has_config.get()) {
            return Ok(None);
        }
        let unavailable = |error: NoAnswer| Failure::Unavailable(error.to_string());
        match Door::find(&policy.run_dir).map_err(unavailable)? {
            None if !is_root => {
                let path = Door::path(&policy.run_dir);
                Err(unavailable(NoAnswer::NotThere(path)))
            }
            door => Ok(door),
        }
    }

    fn ask(
        &self,
        door: &Door,
        user: &[u8],
        origin: Origin,
        question: &Question,
    ) -> Result<Answer, Failure> {
        let asker = Asker {
            user: user.to_vec(),
            service: self.service,
            remote: self.remote,
            origin,
        };
        let answer = door.ask(&asker, question);
        let answer = answer.map_err(|error| Failure::Unavailable(error.to_string()))?;
        match answer {
            Answer::No(no) => Err(Failure::Unavailable(why(no).to_owned())),
            answer => Ok(answer),
        }
    }
}

/// What otpd has told the log at greater length.
const fn why(no: No) -> &'static str {
    match no {
        No::Unavailable => "otpd cannot tell: its own line in the log says why",
        No::NotPermitted => "otpd answers others than root about themselves alone",
        No::NotUnderstood => "otpd does not understand the question: restart it",
        No::Busy => "otpd is busy: try again",
    }
}

/// An answer to another question.
fn beside_the_point() -> Failure {
    Failure::Unavailable("otpd answered what it was not asked: restart it".to_owned())
}

impl Machine for Machinery {
    fn policy(&self, config: Option<&Path>) -> Result<Policy, Failure> {
        self.has_config.set(config.is_some());
        if config.is_some() && !unistd::geteuid().is_root() {
            return Err(Failure::Unavailable(OWN_POLICY.to_owned()));
        }
        ThisMachine.policy(config)
    }

    fn account(&self, typed: &[u8]) -> Result<Option<Account>, Failure> {
        ThisMachine.account(typed)
    }

    fn is_member(&self, account: &Account, groups: &[String]) -> Result<bool, Failure> {
        ThisMachine.is_member(account, groups)
    }

    fn look(&self, account: &Account, origin: Origin, policy: &Policy) -> Result<Sight, Failure> {
        let Some(door) = self.door(policy)? else {
            return ThisMachine.look(account, origin, policy);
        };
        let user = account.name.as_str().as_bytes();
        match self.ask(&door, user, origin, &Question::Look)? {
            Answer::Seen(sight) => Ok(sight),
            _ => Err(beside_the_point()),
        }
    }

    fn judge(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        passcode: &Passcode,
        way: Way,
        policy: &Policy,
    ) -> Result<(Verdict, History), Failure> {
        let Some(door) = self.door(policy)? else {
            return ThisMachine.judge(typed, account, passcode, way, policy);
        };
        let question = Question::Judge(passcode.clone());
        let (verdict, history) = match self.ask(&door, typed, way.origin, &question)? {
            Answer::Accepted(acceptance, history) => (Verdict::Accepted(acceptance), history),
            // Which reason it was is between otpd and the log.
            Answer::Refused => (Verdict::Refused(Reason::Mismatch), History::default()),
            _ => return Err(beside_the_point()),
        };
        self.is_told.set(true);
        Ok((verdict, history))
    }

    fn real_uid(&self) -> u32 {
        ThisMachine.real_uid()
    }
}
