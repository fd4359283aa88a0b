//! Account lines with a scripted host on a scripted registry.

use super::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::net::IpAddr;
use std::path::Path;

use otp::enrollment::{Authenticator, Generation, Kind};
use otp::history::History;
use otp::hotp::{Algorithm, CodeLength};
use otp::judging::{Sight, Way};
use otp::origin::Origin;
use otp::passcode::{Passcode, RecoveryCode};
use otp::policy::{Parsed, Policy};
use otp::secret::Secret;
use otp::state::AuthenticatorState;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::{Account, UserName};
use otp::verify::Verdict;
use zeroize::Zeroizing;

use crate::login::{Machine, SecretText};
use crate::request::Told;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn account(name: &str) -> Account {
    Account {
        name: UserName::parse(name).unwrap(),
        uid: Some(1000),
    }
}

/// A host that answers from a script; `said` has what was shown and asked, in order.
struct Script {
    name: &'static str,
    answers: VecDeque<String>,
    mark: Option<Mark>,
    said: Vec<String>,
}

impl Script {
    fn after(found: Option<Found>, answers: &[&str]) -> Self {
        let account = account("alice");
        Self {
            name: "alice",
            answers: answers.iter().map(|answer| (*answer).to_owned()).collect(),
            mark: found.map(|found| Mark { account, found }),
            said: Vec::new(),
        }
    }
}

impl Host for Script {
    fn user(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(self.name.as_bytes().to_vec())
    }
    fn ask(&mut self, prompt: &str, _: bool) -> Result<Option<SecretText>, Failure> {
        self.said.push(format!("? {prompt}"));
        let answer = self.answers.pop_front().ok_or(Failure::NoConversation)?;
        Ok(Some(Zeroizing::new(answer.into_bytes())))
    }
    fn password(&self) -> Result<Option<SecretText>, Failure> {
        Ok(None)
    }
    fn hand_on(&mut self, _: &[u8]) -> Result<(), Failure> {
        panic!("no account line hands on a password")
    }
    fn delay_failure(&mut self) {}
    fn service(&self) -> String {
        "sshd".to_owned()
    }
    fn remote_address(&self) -> Option<IpAddr> {
        None
    }
    fn environment(&self, _: &CStr) -> Option<&[u8]> {
        panic!("no account line asks sshd")
    }
    fn tell(&mut self, _: &Told<'_>) {
        panic!("no account line asks for a code to be sent")
    }
    fn note(&self, _: &str) {}
    fn leave(&mut self, _: Option<Mark>) -> Result<(), Failure> {
        panic!("no account line leaves word")
    }
    fn left(&self) -> Option<Mark> {
        self.mark.clone()
    }
    fn say(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }
}

/// A registry of one person. `kept` has what was made to last.
struct Book {
    policy: &'static str,
    enrolled: Cell<bool>,
    kept: RefCell<Vec<AuthenticatorState>>,
    broken: Option<&'static str>,
}

impl Book {
    fn with(policy: &'static str) -> Self {
        Self {
            policy,
            enrolled: Cell::new(false),
            kept: RefCell::default(),
            broken: None,
        }
    }
    fn does(&self, what: &'static str) -> Result<(), Failure> {
        match self.broken {
            Some(part) if part == what => Err(Failure::Unavailable(part.to_owned())),
            _ => Ok(()),
        }
    }
}

impl Machine for Book {
    fn policy(&self, _: Option<&Path>) -> Result<Policy, Failure> {
        self.does("policy")
            .map(|()| Parsed::parse(self.policy).unwrap().policy)
    }
    fn account(&self, typed: &[u8]) -> Result<Option<Account>, Failure> {
        self.does("account")?;
        Ok(Some(account(std::str::from_utf8(typed).unwrap())))
    }
    fn is_member(&self, _: &Account, _: &[String]) -> Result<bool, Failure> {
        panic!("no account line asks for groups")
    }
    fn look(&self, _: &Account, _: Origin, _: &Policy) -> Result<Sight, Failure> {
        panic!("an account line looks at nobody")
    }
    fn judge(
        &self,
        _: &[u8],
        _: Option<&Account>,
        _: &Passcode,
        _: Way,
        _: &Policy,
    ) -> Result<(Verdict, History), Failure> {
        panic!("no account line judges a login")
    }
    fn real_uid(&self) -> u32 {
        0
    }
}

impl Registry for Book {
    fn now(&self) -> UnixTime {
        NOW
    }
    fn draw(&self, account: &Account, _: &Policy) -> Result<Authenticator, Failure> {
        self.does("draw")?;
        Ok(Authenticator {
            name: "app".to_owned(),
            generation: Generation::from_bits(1),
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_base32(KEY).unwrap(),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "host".to_owned(),
            label: account.name.to_string(),
            enrolled_at: NOW,
        })
    }
    fn keep(
        &self,
        _: &Account,
        _: Authenticator,
        started: AuthenticatorState,
        _: &Policy,
    ) -> Result<Option<Vec<RecoveryCode>>, Failure> {
        self.does("keep")?;
        if self.enrolled.replace(true) {
            return Ok(None);
        }
        self.kept.borrow_mut().push(started);
        let Ok(Passcode::Recovery(code)) = Passcode::parse(b"7kq2-m4tx-9bnc-2xwd") else {
            panic!("a recovery code");
        };
        Ok(Some(vec![code]))
    }
}

const ENROLL: AccountOptions = AccountOptions {
    enroll: true,
    notice: true,
    config: None,
    prompt: None,
};

/// The code the app shows, so many steps from now.
fn code(steps: i64) -> String {
    let secret = Secret::from_base32(KEY).unwrap();
    let step = TimeStep::at(NOW, Period::THIRTY).offset(steps).unwrap();
    let code = totp::code(&secret, Algorithm::Sha1, CodeLength::SIX, step);
    code.expose().to_owned()
}

fn outcome(host: &mut Script, book: &Book) -> String {
    match settle(&ENROLL, false, host, book) {
        Settled::NoConcern => "nothing".to_owned(),
        Settled::Enrolled { recovery_codes } => format!("enrolled with {recovery_codes}"),
        Settled::Refused(Why::GaveUp) => "gave up".to_owned(),
        Settled::Refused(Why::Over(day)) => format!("over since {day}"),
        Settled::Refused(Why::Overtaken) => "overtaken".to_owned(),
        Settled::Failed(Failure::Unavailable(part)) => format!("no {part}"),
        Settled::Failed(Failure::NoConversation) => "no conversation".to_owned(),
        Settled::Failed(Failure::Fault(_) | Failure::Panic) => "fault".to_owned(),
    }
}

#[test]
fn who_was_let_by_enrols_and_the_recovery_codes_come_after_it_is_kept() {
    let (book, mut host) = (
        Book::with(""),
        Script::after(Some(Found::NotEnrolled), &[&code(1), ""]),
    );
    assert_eq!(outcome(&mut host, &book), "enrolled with 1");
    let said = host.said.join("\n");
    assert!(said.contains("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"));
    assert!(said.contains("otpauth://totp/host:alice?secret=GEZDGNBV"));
    assert!(said.contains('▀') && !said.contains('\x1b'), "{said}");
    let shown = host.said.iter().position(|line| line.contains("7kq2-m4tx"));
    let asked = host.said.iter().position(|line| line.contains("? Code"));
    assert!(shown > asked && host.said.last().unwrap().starts_with("? Press Enter"));
    let step = TimeStep::at(NOW, Period::THIRTY).offset(1).unwrap();
    assert!(book.kept.borrow()[0].used.is_dead(step, step), "it is used");
}

#[test]
fn nothing_is_done_where_nobody_was_let_by_for_it() {
    for found in [None, Some(Found::Known(History::default().line()))] {
        let (book, mut host) = (Book::with(""), Script::after(found.clone(), &[]));
        assert_eq!(outcome(&mut host, &book), "nothing");
        assert_eq!(host.said.len(), usize::from(found.is_some()));
    }
    let (book, mut host) = (Book::with(""), Script::after(Some(Found::NotEnrolled), &[]));
    let settled = settle(&AccountOptions::default(), false, &mut host, &book);
    assert!(matches!(settled, Settled::NoConcern) && host.said.is_empty());
}

#[test]
fn who_gives_up_is_refused_and_nothing_is_kept() {
    let found = || Some(Found::NotEnrolled);
    for (answers, expected, asked) in [
        (&["000000", "", "hunter2"][..], "gave up", 3),
        (&["000000", "000001"], "no conversation", 3),
        (&[], "no conversation", 1),
    ] {
        let (book, mut host) = (Book::with(""), Script::after(found(), answers));
        assert_eq!(outcome(&mut host, &book), expected);
        let prompts = host.said.iter().filter(|line| line.starts_with('?'));
        assert_eq!(prompts.count(), asked);
        assert!(book.kept.borrow().is_empty());
    }
    let late = code(5);
    let (book, mut host) = (
        Book::with(""),
        Script::after(found(), &[&late, "000000", &code(0), ""]),
    );
    assert_eq!(outcome(&mut host, &book), "enrolled with 1");
    let said = host.said.join("\n");
    assert!(said.contains("the clock of the phone") && said.contains("no code of this key"));
}

#[test]
fn who_does_not_see_the_recovery_codes_is_enrolled_and_refused() {
    let (book, mut host) = (
        Book::with(""),
        Script::after(Some(Found::NotEnrolled), &[&code(0)]),
    );
    assert_eq!(outcome(&mut host, &book), "no conversation");
    assert_eq!(book.kept.borrow().len(), 1);
}

#[test]
fn of_two_first_logins_one_enrols() {
    let (book, found) = (Book::with(""), || Some(Found::NotEnrolled));
    let mut first = Script::after(found(), &[&code(0), ""]);
    assert_eq!(outcome(&mut first, &book), "enrolled with 1");
    let mut second = Script::after(found(), &[&code(0), ""]);
    assert_eq!(outcome(&mut second, &book), "overtaken");
    assert!(second.said.last().unwrap().contains("log in again"));
    assert_eq!(book.kept.borrow().len(), 1);
}

#[test]
fn after_the_last_day_whoever_is_not_enrolled_is_refused_and_told_whom_to_ask() {
    // It is 2023-11-14.
    let run = |policy| {
        let mut host = Script::after(Some(Found::NotEnrolled), &[&code(0), ""]);
        let outcome = outcome(&mut host, &Book::with(policy));
        (outcome, host.said.join("\n"))
    };
    let (refused, said) = run("enroll.until = \"2023-11-13\"");
    assert_eq!(refused, "over since 2023-11-13");
    assert!(said.contains("Ask the administrators") && !said.contains('?'));
    assert_eq!(run("enroll.until = \"2023-11-14\"").0, "enrolled with 1");
}

#[test]
fn any_doubt_is_a_denial() {
    for broken in ["policy", "account", "draw", "keep"] {
        let mut host = Script::after(Some(Found::NotEnrolled), &[&code(0), ""]);
        let mut book = Book::with("");
        book.broken = Some(broken);
        assert_eq!(outcome(&mut host, &book), format!("no {broken}"));
        assert!(!host.said.join("\n").contains("7kq2"));
    }
    let mut host = Script::after(Some(Found::NotEnrolled), &[&code(0), ""]);
    host.name = "bob";
    let came = outcome(&mut host, &Book::with(""));
    assert_eq!(came, "no the user is another one than the auth line saw");
    let mut host = Script::after(Some(Found::NotEnrolled), &[&code(0), ""]);
    let settled = settle(&ENROLL, true, &mut host, &Book::with(""));
    assert!(matches!(settled, Settled::Failed(Failure::NoConversation)) && host.said.is_empty());
}

#[test]
fn the_notice_is_one_line_for_her_alone_and_none_where_the_host_wants_silence() {
    let known = || Some(Found::Known(History::default().line()));
    let mut host = Script::after(known(), &[]);
    assert_eq!(outcome(&mut host, &Book::with("")), "nothing");
    assert_eq!(host.said, [History::default().line()]);
    let mut host = Script::after(known(), &[]);
    assert!(matches!(
        settle(&ENROLL, true, &mut host, &Book::with("")),
        Settled::NoConcern
    ));
    assert!(host.said.is_empty());
    let mut host = Script::after(known(), &[]);
    host.name = "bob";
    assert_eq!(outcome(&mut host, &Book::with("")), "nothing");
    assert!(host.said.is_empty());
}
