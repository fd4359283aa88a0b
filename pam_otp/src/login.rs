//! One login, in reading order: who, whether she is asked at all, what she answers, and what that comes to.
//!
//! Everything outside is behind two traits: the [`Host`] that runs us (its conversation, its items) and the
//! [`Machine`] we run on (policy, passwd, store, clock). Nothing is read of a user before she has answered, unless
//! `nullok` asks for it, and no lock is held while she types.

use std::net::IpAddr;
use std::path::Path;

use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::service::Service;
use otp::user::Account;
use otp::verify::{Reason, Verdict};
use zeroize::Zeroizing;

use crate::options::{FirstPass, Options};

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
    /// None of our business (`nullok`).
    Exempt,
    /// We do not know. A denial.
    Failed(Failure),
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
    /// Tells the log which way the login goes, where `debug` asks for it. Never a secret.
    fn note(&self, step: &str);
}

/// The way an answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// From where.
    pub(crate) origin: Origin,
    /// By which service, if its name can be kept.
    pub(crate) service: Option<Service>,
}

/// The machine a login is for.
pub(crate) trait Machine {
    /// The policy in force.
    fn policy(&self, config: Option<&Path>) -> Result<Policy, Failure>;
    /// The user as the passwd database spells her, if it knows her.
    fn account(&self, typed: &[u8]) -> Result<Option<Account>, Failure>;
    /// Whether anything is kept that she could answer with.
    fn can_answer(&self, account: &Account, policy: &Policy) -> Result<bool, Failure>;
    /// Judges the answer; back only when what forbids its reuse is durable. `typed` is the name as the host has it.
    fn judge(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        passcode: &Passcode,
        way: Way,
        policy: &Policy,
    ) -> Result<Verdict, Failure>;
    /// The real uid of the process we are in.
    fn real_uid(&self) -> u32;
}

/// One login.
pub(crate) fn login(options: &Options, host: &mut impl Host, machine: &impl Machine) -> Outcome {
    attempt(options, host, machine).unwrap_or_else(Outcome::Failed)
}

fn attempt(
    options: &Options,
    host: &mut impl Host,
    machine: &impl Machine,
) -> Result<Outcome, Failure> {
    if !options.nodelay {
        host.delay_failure();
    }
    let user = host.user()?;
    if options.nullok && is_exempt(&user, options, host, machine)? {
        pass_by(options, host)?;
        return Ok(Outcome::Exempt);
    }
    let Some(passcode) = answer(options, host)? else {
        return Ok(Outcome::Judged(Verdict::Refused(Reason::Malformed)));
    };
    let policy = machine.policy(options.config.as_deref())?;
    let account = machine.account(&user)?;
    let way = Way {
        origin: origin(&policy, host, machine),
        service: Service::parse(&host.service()),
    };
    host.note(&format!("an answer from {}", way.origin));
    machine
        .judge(&user, account.as_ref(), &passcode, way, &policy)
        .map(Outcome::Judged)
}

/// Whether the passwd database knows her and a store that is in order keeps nothing of her. Any doubt is an error.
fn is_exempt(
    user: &[u8],
    options: &Options,
    host: &impl Host,
    machine: &impl Machine,
) -> Result<bool, Failure> {
    let policy = machine.policy(options.config.as_deref())?;
    let Some(account) = machine.account(user)? else {
        host.note("nullok: the passwd database does not know the user, who is asked all the same");
        return Ok(false);
    };
    let exempt = !machine.can_answer(&account, &policy)?;
    host.note(if exempt {
        "nullok: nothing is kept of the user, who is let by"
    } else {
        "nullok: the user is enrolled or has a stored code"
    });
    Ok(exempt)
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

/// What she answers, or nothing if it is no passcode. One cut is one attempt: a tail that was a passcode and
/// turns out wrong is not asked for again.
fn answer(options: &Options, host: &mut impl Host) -> Result<Option<Passcode>, Failure> {
    let mut password = None;
    if options.first_pass != FirstPass::Prompt {
        password = host.password()?;
        if let Some(cut) = password
            .as_deref()
            .and_then(|whole| Cut::of(whole, options.tail))
        {
            host.note("the password typed before ends in a code");
            return cut.take(options, host).map(Some);
        }
        host.note("no password typed before that ends in a code");
        if options.first_pass == FirstPass::Use {
            return Ok(None);
        }
    }
    if options.forward_pass && password.is_none() {
        ask_for_both(options, host)
    } else {
        ask_for_code(options, host)
    }
}

fn ask_for_code(options: &Options, host: &mut impl Host) -> Result<Option<Passcode>, Failure> {
    let prompt = options.prompt.as_deref().unwrap_or(ASK_CODE);
    let typed = host.ask(prompt, options.echo)?;
    Ok(typed.and_then(|typed| Passcode::parse(&typed).ok()))
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
mod tests;
