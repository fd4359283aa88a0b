//! One login, in reading order: who, whether she is asked at all, what she answers, and what that comes to.
//!
//! Everything outside is behind two traits: the [`Host`] that runs us (its conversation, its items) and the
//! [`Machine`] we run on (policy, passwd, store, clock). Nothing is read of a user before she has answered, unless
//! `nullok`, a rule of the policy or a remembered address asks for it, and no lock is held while she types.

use std::ffi::CStr;
use std::net::IpAddr;
use std::path::Path;

use otp::history::History;
use otp::judging::{Sight, Way};
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::{Demand, Policy, Visit};
use otp::service::Service;
use otp::user::Account;
use otp::verify::{Reason, Verdict};
use zeroize::Zeroizing;

use crate::mark::{Found, Mark};
use crate::options::{FirstPass, Options};
use crate::request::{Post, Talk, Told, Wish};

/// Nobody types more than this, in bytes; PAM_MAX_RESP_SIZE is 512.
const LONGEST_ANSWER: usize = 1024;

const ASK_CODE: &str = "One-time code: ";
const ASK_BOTH: &str = "Password & one-time code: ";
const ASK_PASSWORD: &str = "Password: ";

/// Bytes that are or hold a secret. Wiped on drop.
pub(crate) type SecretText = Zeroizing<Vec<u8>>;

/// What a login comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There was an answer, and this is the verdict.
    Judged(Verdict),
    /// She was asked for nothing.
    Exempt(Exempt),
    /// We do not know. A denial.
    Failed(Failure),
}

/// Why somebody is asked for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exempt {
    /// Nothing is kept of her, and the line or a rule lets those by.
    NotEnrolled,
    /// The policy's rule of this number says so.
    Rule(usize),
    /// A code of hers was accepted from where she is, not long ago.
    Remembered,
}

/// What keeps us from knowing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Policy, store or passwd database cannot be read, or are at fault; in words for the administrator.
    Unavailable(String),
    /// The host's conversation failed: nobody answered.
    NoConversation,
    /// libpam refused something it has no reason to.
    Fault(&'static str),
    /// Our own code panicked.
    Panic,
}

/// The program that asks for a login.
pub(crate) trait Host {
    /// The name as typed, any bytes. May ask for it.
    fn user(&mut self) -> Result<Vec<u8>, Failure>;
    /// Asks, and waits. `None` where the host answers without an answer.
    fn ask(&mut self, prompt: &str, echo: bool) -> Result<Option<SecretText>, Failure>;
    /// The password that an earlier module asked for, if one did.
    fn password(&self) -> Result<Option<SecretText>, Failure>;
    /// Makes this the password for later modules.
    fn hand_on(&mut self, password: &[u8]) -> Result<(), Failure>;
    /// Asks that failures be answered late.
    fn delay_failure(&mut self);
    /// The service, as in the name of its file.
    fn service(&self) -> String;
    /// Where the user sits, if the host says so and it is an address.
    fn remote_address(&self) -> Option<IpAddr>;
    /// What it keeps under this name in the environment of PAM, for modules to see.
    fn environment(&self, name: &CStr) -> Option<&[u8]>;
    /// Tells the log what came of asking for a code.
    fn tell(&mut self, told: &Told<'_>);
    /// Tells the log which way the login goes, where `debug` asks for it. Never a secret.
    fn note(&self, step: &str);
    /// Leaves word for our account hook on the same handle, in the place of what was left before.
    fn leave(&mut self, mark: Option<Mark>) -> Result<(), Failure>;
    /// What was left.
    fn left(&self) -> Option<Mark>;
    /// Shows a line. Whether it is seen nobody knows: a host may do without.
    fn say(&mut self, text: &str);
}

/// The machine a login is for.
pub(crate) trait Machine {
    /// The policy in force.
    fn policy(&self, config: Option<&Path>) -> Result<Policy, Failure>;
    /// The user as the passwd database spells her, if it knows her.
    fn account(&self, typed: &[u8]) -> Result<Option<Account>, Failure>;
    /// Whether she is in one of these groups. A group that is not known is a failure.
    fn is_member(&self, account: &Account, groups: &[String]) -> Result<bool, Failure>;
    /// What is kept of her, as seen from an origin.
    fn look(&self, account: &Account, origin: Origin, policy: &Policy) -> Result<Sight, Failure>;
    /// Judges the answer; back only when what forbids its reuse is durable. `typed` is the name as the host has it.
    fn judge(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        passcode: &Passcode,
        way: Way,
        policy: &Policy,
    ) -> Result<(Verdict, History), Failure>;
    /// The real uid of the process we are in.
    fn real_uid(&self) -> u32;
}

/// One login.
pub(crate) fn login(options: &Options, host: &mut impl Host, machine: &impl Post) -> Outcome {
    attempt(options, host, machine).unwrap_or_else(Outcome::Failed)
}

fn attempt(
    options: &Options,
    host: &mut impl Host,
    machine: &impl Post,
) -> Result<Outcome, Failure> {
    host.leave(None)?;
    if !options.nodelay {
        host.delay_failure();
    }
    let user = host.user()?;
    let policy = match machine.policy(options.config.as_deref()) {
        Ok(policy) => policy,
        Err(failure) if options.nullok => return Err(failure),
        // Everybody is asked before it comes out that nobody gets in.
        Err(failure) => {
            return match answer(options, host)? {
                Answer::Code(_) => Err(failure),
                Answer::Wish(_) | Answer::Nothing => Ok(MALFORMED),
            };
        }
    };
    let origin = origin(&policy, host, machine);
    if let Some(exempt) = exemption(&user, origin, &policy, options, host, machine)? {
        pass_by(options, host)?;
        return Ok(Outcome::Exempt(exempt));
    }
    let talk = Talk {
        user: &user,
        origin,
        policy: &policy,
        options,
        began: machine.moment(),
    };
    let passcode = match answer(options, host)? {
        Answer::Code(passcode) => Some(passcode),
        Answer::Wish(wish) if talk.may_ask(host, machine) => {
            talk.until_answer(wish, host, machine)?
        }
        Answer::Wish(_) | Answer::Nothing => None,
    };
    let Some(passcode) = passcode else {
        return Ok(MALFORMED);
    };
    let account = machine.account(&user)?;
    let way = Way {
        origin,
        service: Service::parse(&host.service()),
    };
    host.note(&format!("an answer from {origin}"));
    let (verdict, history) = machine.judge(&user, account.as_ref(), &passcode, way, &policy)?;
    if let (Verdict::Accepted(_), Some(account)) = (verdict, account) {
        let found = Found::Known(history.line());
        // Without it she is told nothing, which is no reason to refuse a code that is used.
        let _ = host.leave(Some(Mark { account, found }));
    }
    Ok(Outcome::Judged(verdict))
}

const MALFORMED: Outcome = Outcome::Judged(Verdict::Refused(Reason::Malformed));

/// Whether a user whom the passwd database knows is asked for nothing: the first rule that matches decides, and where none
/// does the line. Any doubt is an error, but for the address: she is asked then.
fn exemption(
    user: &[u8],
    origin: Origin,
    policy: &Policy,
    options: &Options,
    host: &mut impl Host,
    machine: &impl Machine,
) -> Result<Option<Exempt>, Failure> {
    let remembers = policy.remember.is_some();
    if !options.nullok && policy.rules.is_empty() && !remembers {
        return Ok(None);
    }
    let Some(account) = machine.account(user)? else {
        host.note("the passwd database does not know the user, who is asked");
        return Ok(None);
    };
    let lax = match demand(&account, policy, host, machine)? {
        None => options.nullok,
        Some((_, Demand::Required)) => false,
        Some((_, Demand::Optional)) => true,
        Some((number, Demand::Exempt)) => return Ok(Some(Exempt::Rule(number))),
    };
    if !lax && !remembers {
        return Ok(None);
    }
    let sight = match machine.look(&account, origin, policy) {
        Ok(sight) => sight,
        Err(failure) if lax => return Err(failure),
        Err(_) => {
            host.note("what is remembered cannot be read, so the user is asked");
            return Ok(None);
        }
    };
    if lax && !sight.can_answer {
        host.note("nothing is kept of the user, who is let by");
        let found = Found::NotEnrolled;
        host.leave(Some(Mark { account, found }))?;
        return Ok(Some(Exempt::NotEnrolled));
    }
    if sight.is_remembered && is_about_to_prompt(options, host)? {
        let found = Found::Known(sight.history.line());
        let _ = host.leave(Some(Mark { account, found }));
        return Ok(Some(Exempt::Remembered));
    }
    host.note("the user is enrolled or has a stored code, or must have one");
    Ok(None)
}

/// What the first rule that matches says, and its number.
fn demand(
    account: &Account,
    policy: &Policy,
    host: &impl Host,
    machine: &impl Machine,
) -> Result<Option<(usize, Demand)>, Failure> {
    let visit = Visit {
        user: account.name.as_str(),
        service: &host.service(),
        address: host.remote_address(),
    };
    let rule = policy.rule_for(&visit, |groups| machine.is_member(account, groups))?;
    let decided = rule.map(|(number, rule)| (number, rule.code));
    if let Some((number, code)) = decided {
        host.note(&format!("rule {number} says {}", code.name()));
    }
    Ok(decided)
}

/// Whether she would be asked now. Whoever typed password and code as one has answered already, and she who has to type
/// them so cannot know that her address is remembered.
fn is_about_to_prompt(options: &Options, host: &impl Host) -> Result<bool, Failure> {
    Ok(match options.first_pass {
        FirstPass::Prompt => true,
        FirstPass::Use => false,
        FirstPass::Try => {
            let password = host.password()?;
            let cut = password
                .as_deref()
                .and_then(|whole| Cut::of(whole, options.tail));
            cut.is_none()
        }
    })
}

/// With nobody to ask for a code, the password that later modules count on is still asked for, and all of it handed on.
fn pass_by(options: &Options, host: &mut impl Host) -> Result<(), Failure> {
    let is_ours_to_ask = options.forward_pass && options.first_pass != FirstPass::Use;
    if is_ours_to_ask && host.password()?.is_none() {
        if let Some(password) = host.ask(ASK_PASSWORD, false)? {
            host.hand_on(&password)?;
        }
    }
    Ok(())
}

/// What she answers.
pub(crate) enum Answer {
    /// A passcode.
    Code(Passcode),
    /// A code is to be sent, if one can be.
    Wish(Wish),
    /// Neither.
    Nothing,
}

impl Answer {
    /// Understands what was typed at a prompt for a code.
    pub(crate) fn of(typed: Option<&[u8]>) -> Self {
        let Some(typed) = typed else {
            return Self::Nothing;
        };
        let wish = || Wish::parse(typed).map_or(Self::Nothing, Self::Wish);
        Passcode::parse(typed).map_or_else(|_| wish(), Self::Code)
    }
}

impl From<Option<Passcode>> for Answer {
    fn from(passcode: Option<Passcode>) -> Self {
        passcode.map_or(Self::Nothing, Self::Code)
    }
}

/// What she answers. One cut is one attempt: a tail that was a passcode and turns out wrong is not asked for again.
fn answer(options: &Options, host: &mut impl Host) -> Result<Answer, Failure> {
    let mut password = None;
    if options.first_pass != FirstPass::Prompt {
        password = host.password()?;
        if let Some(cut) = password
            .as_deref()
            .and_then(|whole| Cut::of(whole, options.tail))
        {
            host.note("the password typed before ends in a code");
            return cut.take(options, host).map(Answer::Code);
        }
        host.note("no password typed before that ends in a code");
        if options.first_pass == FirstPass::Use {
            return Ok(Answer::Nothing);
        }
    }
    if options.forward_pass && password.is_none() {
        ask_for_both(options, host).map(Answer::from)
    } else {
        ask_for_code(options, host)
    }
}

fn ask_for_code(options: &Options, host: &mut impl Host) -> Result<Answer, Failure> {
    let prompt = options.prompt.as_deref().unwrap_or(ASK_CODE);
    let typed = host.ask(prompt, options.echo)?;
    Ok(Answer::of(typed.as_deref().map(Vec::as_slice)))
}

/// Password and code in one line. It is never echoed: `echo` is about codes.
fn ask_for_both(options: &Options, host: &mut impl Host) -> Result<Option<Passcode>, Failure> {
    let prompt = options.prompt.as_deref().unwrap_or(ASK_BOTH);
    let Some(typed) = host.ask(prompt, false)? else {
        return Ok(None);
    };
    if let Some(cut) = Cut::of(&typed, options.tail) {
        return cut.take(options, host).map(Some);
    }
    if typed.len() <= LONGEST_ANSWER {
        host.hand_on(&typed)?;
    }
    Ok(None)
}

/// Password and code, typed as one and cut apart.
struct Cut<'a> {
    password: &'a [u8],
    passcode: Passcode,
}

impl<'a> Cut<'a> {
    /// Cuts off the last `digits` bytes, if they are digits.
    fn of(whole: &'a [u8], digits: usize) -> Option<Self> {
        let (password, tail) = whole.split_at_checked(whole.len().checked_sub(digits)?)?;
        let is_code = whole.len() <= LONGEST_ANSWER && tail.iter().all(u8::is_ascii_digit);
        let passcode = is_code.then(|| Passcode::parse(tail).ok())??;
        Some(Self { password, passcode })
    }

    /// The passcode; what stood before it goes on to later modules if they are to have it, whatever the verdict, so
    /// that their time tells nothing of it.
    fn take(self, options: &Options, host: &mut impl Host) -> Result<Passcode, Failure> {
        if options.forward_pass {
            host.hand_on(self.password)?;
        }
        Ok(self.passcode)
    }
}

/// The address the host names, where the policy lists it as one that knows; else the one who runs the host.
fn origin(policy: &Policy, host: &impl Host, machine: &impl Machine) -> Origin {
    let service = host.service();
    let is_remote = policy.remote_services.contains(&service);
    match host.remote_address().filter(|_| is_remote) {
        Some(address) => Origin::of_address(address),
        None => Origin::Local(machine.real_uid()),
    }
}

#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
