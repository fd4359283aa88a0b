//! A scripted host and a scripted machine, for the tests of logins.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use otp::delivery::Channel;
use otp::history::History;
use otp::judging::{Sight, Way};
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::{Parsed, Policy};
use otp::request::Why;
use otp::store::{Requested, Sent, Whereabouts};
use otp::user::{Account, UserName};
use otp::verify::{Acceptance, Method, Reason, Verdict};
use zeroize::Zeroizing;

use super::{Exempt, Failure, Host, Machine, Outcome, SecretText, login};
use crate::mark::Mark;
use crate::options::{FirstPass, Options};
use crate::request::{Post, Told};

/// A host that answers from a script. `said` holds what it was asked and told, in order.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) name: Vec<u8>,
    pub(crate) answers: VecDeque<Option<&'static str>>,
    pub(crate) password: Option<String>,
    pub(crate) service: &'static str,
    pub(crate) remote: Option<&'static str>,
    pub(crate) said: Vec<String>,
    pub(crate) mark: Option<Mark>,
    /// `SSH_AUTH_INFO_0` in the environment of PAM.
    pub(crate) ssh: Option<&'static str>,
    /// The site's clock, and how long each answer takes.
    pub(crate) clock: Rc<Cell<Duration>>,
    pub(crate) typing: Duration,
}

impl Script {
    pub(crate) fn answering(answers: &[&'static str]) -> Self {
        Self {
            name: b"alice".to_vec(),
            answers: answers.iter().map(|answer| Some(*answer)).collect(),
            service: "sshd",
            ..Self::default()
        }
    }

    pub(crate) fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }
}

impl Host for Script {
    fn user(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(self.name.clone())
    }
    fn ask(&mut self, prompt: &str, echo: bool) -> Result<Option<SecretText>, Failure> {
        let echo = if echo { " (shown)" } else { "" };
        self.said.push(format!("asked {prompt:?}{echo}"));
        self.clock.set(self.clock.get().saturating_add(self.typing));
        let answer = self.answers.pop_front().ok_or(Failure::NoConversation)?;
        Ok(answer.map(|text| Zeroizing::new(text.as_bytes().to_vec())))
    }
    fn password(&self) -> Result<Option<SecretText>, Failure> {
        let password = self.password.as_ref();
        Ok(password.map(|text| Zeroizing::new(text.as_bytes().to_vec())))
    }
    fn hand_on(&mut self, password: &[u8]) -> Result<(), Failure> {
        let password = String::from_utf8(password.to_vec()).unwrap();
        self.said.push(format!("handed on {password:?}"));
        self.password = Some(password);
        Ok(())
    }
    fn delay_failure(&mut self) {
        self.said.push("late".to_owned());
    }
    fn service(&self) -> String {
        self.service.to_owned()
    }
    fn remote_address(&self) -> Option<IpAddr> {
        self.remote.map(|address| address.parse().unwrap())
    }
    fn environment(&self, name: &CStr) -> Option<&[u8]> {
        let ssh = self.ssh.filter(|_| name == c"SSH_AUTH_INFO_0");
        ssh.map(str::as_bytes)
    }
    fn tell(&mut self, told: &Told<'_>) {
        self.said.push(format!("told {told:?}"));
    }
    fn note(&self, _: &str) {}
    fn leave(&mut self, mark: Option<Mark>) -> Result<(), Failure> {
        self.mark = mark;
        Ok(())
    }
    fn left(&self) -> Option<Mark> {
        self.mark.clone()
    }
    fn say(&mut self, text: &str) {
        self.said.push(format!("said {text:?}"));
    }
}

/// A machine that knows alice, whose code is 123456. `done` holds what it was asked for.
pub(crate) struct Site {
    pub(crate) knows_alice: bool,
    pub(crate) enrolled: bool,
    pub(crate) remembered: bool,
    pub(crate) policy: &'static str,
    pub(crate) broken: Option<&'static str>,
    pub(crate) done: RefCell<Vec<String>>,
    /// Whether it has codes sent, what comes of asking for one, in turn, and of those that were sent.
    pub(crate) sends: bool,
    pub(crate) comes: RefCell<VecDeque<Requested>>,
    pub(crate) whereabouts: Whereabouts,
    /// How long it has run, and how long the work for a request takes.
    pub(crate) clock: Rc<Cell<Duration>>,
    pub(crate) work: Duration,
    pub(crate) started: Instant,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            knows_alice: true,
            enrolled: true,
            remembered: false,
            policy: "",
            broken: None,
            done: RefCell::default(),
            sends: true,
            comes: RefCell::default(),
            whereabouts: Whereabouts::Waiting,
            clock: Rc::default(),
            work: Duration::ZERO,
            started: Instant::now(),
        }
    }
}

impl Site {
    pub(crate) fn does(&self, what: &'static str) -> Result<(), Failure> {
        self.done.borrow_mut().push(what.to_owned());
        match self.broken {
            Some(part) if part == what => Err(Failure::Unavailable(part.to_owned())),
            _ => Ok(()),
        }
    }
    pub(crate) fn done(&self) -> Vec<String> {
        self.done.borrow().clone()
    }
}

impl Machine for Site {
    fn policy(&self, _: Option<&Path>) -> Result<Policy, Failure> {
        self.does("policy")
            .map(|()| Parsed::parse(self.policy).unwrap().policy)
    }
    fn account(&self, typed: &[u8]) -> Result<Option<Account>, Failure> {
        self.does("account")?;
        let known = typed == b"alice" && self.knows_alice;
        Ok(known.then(|| Account {
            name: UserName::parse("alice").unwrap(),
            uid: Some(1000),
        }))
    }
    fn is_member(&self, _: &Account, groups: &[String]) -> Result<bool, Failure> {
        self.does("is_member")?;
        Ok(groups.iter().any(|group| group == "staff"))
    }
    fn look(&self, _: &Account, _: Origin, _: &Policy) -> Result<Sight, Failure> {
        self.does("look").map(|()| Sight {
            can_answer: self.enrolled,
            is_remembered: self.remembered,
            history: History::default(),
        })
    }
    fn judge(
        &self,
        _: &[u8],
        account: Option<&Account>,
        passcode: &Passcode,
        way: Way,
        _: &Policy,
    ) -> Result<(Verdict, History), Failure> {
        self.does("judge")?;
        let code = match passcode {
            Passcode::Digits(digits) => digits.expose().to_owned(),
            Passcode::Recovery(_) => "recovery".to_owned(),
        };
        let (origin, service) = (way.origin, way.service.unwrap());
        self.done
            .borrow_mut()
            .push(format!("{code} from {origin} by {service}"));
        let verdict = match account {
            None => Verdict::Refused(Reason::NotEnrolled),
            Some(_) if !self.enrolled => Verdict::Refused(Reason::NotEnrolled),
            Some(_) if code == "123456" || code == "recovery" => ACCEPTED,
            Some(_) => Verdict::Refused(Reason::Mismatch),
        };
        Ok((verdict, History::default()))
    }
    fn real_uid(&self) -> u32 {
        1000
    }
}

impl Post for Site {
    fn sends(&self) -> bool {
        self.sends
    }
    fn request(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        channel: Option<Channel>,
        origin: Origin,
        _: &Policy,
    ) -> Result<Requested, Failure> {
        self.clock.set(self.clock.get().saturating_add(self.work));
        self.does("request")?;
        let channel = channel.map_or("any", Channel::name);
        let typed = String::from_utf8_lossy(typed);
        self.done
            .borrow_mut()
            .push(format!("{channel} for {typed} from {origin}"));
        let comes = self.comes.borrow_mut().pop_front();
        let comes = comes.filter(|_| account.is_some());
        Ok(comes.unwrap_or(Requested::Refused(Why::NoContact)))
    }
    fn whereabouts(&self, _: &Account, _: &Sent, _: &Policy) -> Result<Whereabouts, Failure> {
        self.does("whereabouts").map(|()| self.whereabouts)
    }
    fn moment(&self) -> Instant {
        self.started.checked_add(self.clock.get()).unwrap()
    }
    fn wait_until(&self, moment: Instant) {
        let until = moment.duration_since(self.started);
        assert!(until >= self.clock.get());
        self.clock.set(until);
        let told = format!("until {} ms", until.as_millis());
        self.done.borrow_mut().push(told);
    }
}

const ACCEPTED: Verdict = Verdict::Accepted(Acceptance {
    method: Method::Totp,
    offset: Some(0),
});

pub(crate) fn plain() -> Options {
    Options::default()
}

pub(crate) fn forwarding() -> Options {
    Options {
        forward_pass: true,
        nodelay: true,
        ..plain()
    }
}

pub(crate) fn trying(first_pass: FirstPass) -> Options {
    Options {
        first_pass,
        nodelay: true,
        ..plain()
    }
}

/// The outcome in one word or two.
pub(crate) fn outcome(options: &Options, host: &mut Script, site: &Site) -> String {
    match login(options, host, site) {
        Outcome::Judged(Verdict::Accepted(_)) => "accepted".to_owned(),
        Outcome::Judged(Verdict::Refused(reason)) => reason.name().to_owned(),
        Outcome::Exempt(Exempt::NotEnrolled) => "exempt".to_owned(),
        Outcome::Exempt(Exempt::Rule(number)) => format!("rule {number}"),
        Outcome::Exempt(Exempt::Remembered) => "remembered".to_owned(),
        Outcome::Failed(Failure::Unavailable(part)) => format!("no {part}"),
        Outcome::Failed(Failure::NoConversation) => "no conversation".to_owned(),
        Outcome::Failed(Failure::Fault(_) | Failure::Panic) => "fault".to_owned(),
    }
}
