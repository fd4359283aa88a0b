//! A code asked for at the prompt, in reading order: who may ask, what is answered, and when it is enough.
//!
//! Everybody who may ask is answered alike and after the same time: with another prompt. What became of it she is told once
//! she has answered that one, because delivery takes its time and is no business of ours.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use otp::calendar;
use otp::delivery::Channel;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::request::Why;
use otp::store::{Requested, Sent, Whereabouts};
use otp::user::Account;

use crate::login::{Answer, Failure, Host, Machine};
use crate::options::Options;
use crate::stack;

/// How often a code is asked for in one login.
const MOST_ROUNDS: u8 = 4;
/// From the first prompt on: nobody asks for a code later than this. sshd ends a login after 120 s.
const LATEST: Duration = Duration::from_secs(90);
/// How long the answer to a request takes, or a multiple of it where the machine is slow.
const ANSWER_TIME: Duration = Duration::from_millis(400);

const ASK_SENT: &str = "Code (if one could be sent): ";
const ELSEWISE: &str = "A code of an app, a recovery code, or one from the administrators of this machine will do as well.";
const NO_MORE: &str =
    "No more codes are sent at this login: log in again, with the last one if it arrives.";

/// What sshd says of the methods that have passed; see `expose_authinfo` there.
const SSH_METHODS: &CStr = c"SSH_AUTH_INFO_0";

/// A wish for a code, by any channel or by this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish(Option<Channel>);

impl Wish {
    /// An empty answer, or the name of a channel.
    pub(crate) fn parse(typed: &[u8]) -> Option<Self> {
        let word = typed.trim_ascii();
        if word.is_empty() {
            return Some(Self(None));
        }
        let is_meant = |channel: &Channel| word.eq_ignore_ascii_case(channel.name().as_bytes());
        Channel::ALL
            .into_iter()
            .find(is_meant)
            .map(|channel| Self(Some(channel)))
    }
}

/// What the log is told.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    /// A code is on its way.
    Sent(Channel),
    /// None is, because of the user, the limits or the policy.
    Refused(Why),
    /// None is, because it was asked for too often or too late in one login.
    Enough,
    /// None is, because we do not know.
    Failed(&'a Failure),
}

/// A machine that sends codes, and has a clock that does not jump.
pub(crate) trait Post: Machine {
    /// Whether this process has codes sent at all.
    fn sends(&self) -> bool;
    /// Has a code sent. Back only when it is on its way, or none is. `typed` is the name as the host has it.
    fn request(
        &self,
        typed: &[u8],
        account: Option<&Account>,
        channel: Option<Channel>,
        origin: Origin,
        policy: &Policy,
    ) -> Result<Requested, Failure>;
    /// What became of a code that was on its way.
    fn whereabouts(
        &self,
        account: &Account,
        sent: &Sent,
        policy: &Policy,
    ) -> Result<Whereabouts, Failure>;
    /// This moment.
    fn moment(&self) -> Instant;
    /// Sleeps until then.
    fn wait_until(&self, moment: Instant);
}

/// One login in which a code is asked for.
pub(crate) struct Talk<'a> {
    /// The name as the host has it.
    pub(crate) user: &'a [u8],
    /// From where.
    pub(crate) origin: Origin,
    /// The policy in force.
    pub(crate) policy: &'a Policy,
    /// The arguments of the line.
    pub(crate) options: &'a Options,
    /// When the first prompt went out.
    pub(crate) began: Instant,
}

/// A request, and what came of it.
struct Round {
    account: Option<Account>,
    came: Option<Requested>,
}

impl Talk<'_> {
    /// Whether a code can be asked for: somebody sends them, and whoever asks has shown by something else who she is.
    pub(crate) fn may_ask(&self, host: &impl Host, machine: &impl Post) -> bool {
        self.policy.delivers()
            && machine.sends()
            && (self.options.after_first_factor || sshd_vouches(host))
    }

    /// Has codes sent for as long as she asks for them, and is back with the one she answers, if it is one.
    pub(crate) fn until_answer(
        &self,
        mut wish: Wish,
        host: &mut impl Host,
        machine: &impl Post,
    ) -> Result<Option<Passcode>, Failure> {
        for _ in 0..MOST_ROUNDS {
            if machine.moment().duration_since(self.began) > LATEST {
                break;
            }
            let round = self.round(wish, host, machine);
            let typed = host.ask(ASK_SENT, self.options.echo)?;
            host.say(&self.tidings(&round, machine));
            match Answer::of(typed.as_deref().map(Vec::as_slice)) {
                Answer::Code(passcode) => return Ok(Some(passcode)),
                Answer::Wish(next) => wish = next,
                Answer::Nothing => return Ok(None),
            }
        }
        host.tell(&Told::Enough);
        host.say(NO_MORE);
        Ok(None)
    }

    /// Answers one request: after the same time, whatever comes of it. That something is at fault is no reason to refuse a code
    /// that she may have from elsewhere.
    fn round(&self, wish: Wish, host: &mut impl Host, machine: &impl Post) -> Round {
        let came_in = machine.moment();
        let mut account = None;
        let requested = machine.account(self.user).and_then(|known| {
            account = known;
            let account = account.as_ref();
            // While she waits for the code and types it nothing of it is left here.
            stack::wiped_after(|| {
                machine.request(self.user, account, wish.0, self.origin, self.policy)
            })
        });
        host.tell(&match &requested {
            Ok(Requested::Sent(sent)) => Told::Sent(sent.channel),
            Ok(Requested::Refused(why)) => Told::Refused(*why),
            Err(failure) => Told::Failed(failure),
        });
        let came = requested.ok();
        machine.wait_until(answered_at(came_in, machine.moment()));
        Round { account, came }
    }

    /// What she is told of a request, once she has answered the next prompt.
    fn tidings(&self, round: &Round, machine: &impl Post) -> String {
        let sent = match &round.came {
            Some(Requested::Sent(sent)) => sent,
            Some(Requested::Refused(why)) => return refusal(*why),
            None => return format!("No code could be sent. {ELSEWISE}"),
        };
        let account = round.account.as_ref();
        let whereabouts = account.map(|account| machine.whereabouts(account, sent, self.policy));
        let Sent { to, .. } = sent;
        let next = sent.issued_at.plus(self.policy.delivery.resend_after);
        let (next, over) = (calendar::second(next), calendar::second(sent.expires_at));
        match whereabouts {
            Some(Ok(Whereabouts::HandedOver)) => {
                format!("A code went to {to}. It is good until {over}.")
            }
            Some(Ok(Whereabouts::Failed)) => format!(
                "No code could be sent to {to}. Another one can be asked for from {next}. {ELSEWISE}"
            ),
            Some(Ok(Whereabouts::Waiting) | Err(_)) | None => format!(
                "A code is on its way to {to}. It is good until {over}; another one can be asked for from {next}."
            ),
        }
    }
}

/// Why she gets none, as far as it helps her.
fn refusal(why: Why) -> String {
    let until = why.until().map(calendar::second);
    match (why, until) {
        (Why::TooSoon { .. }, Some(until)) => format!(
            "No other code was sent, because one was only just. Another one can be asked for from {until}."
        ),
        (_, Some(until)) => {
            format!("No code could be sent. One can be asked for from {until}. {ELSEWISE}")
        }
        (_, None) => format!("No code could be sent. {ELSEWISE}"),
    }
}

/// When a request is answered that came in then: not at once, and where the work for it took long, not when that was done.
fn answered_at(came_in: Instant, now: Instant) -> Instant {
    let mut at = came_in;
    while let Some(next) = at.checked_add(ANSWER_TIME) {
        at = next;
        if at >= now {
            break;
        }
    }
    at
}

/// Whether sshd has taken something else of hers before it came to us: a key, a password, her machine's word or a ticket. It
/// keeps a line of each in the environment of PAM, where no client puts anything.
fn sshd_vouches(host: &impl Host) -> bool {
    let proves = |line: &[u8]| {
        let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        [&b"publickey"[..], b"password", b"hostbased"].contains(&method)
            || method.starts_with(b"gssapi")
    };
    let is_sshd = ["sshd", "sshd-session"].contains(&host.service().as_str());
    let methods = host.environment(SSH_METHODS).filter(|_| is_sshd);
    methods.is_some_and(|methods| methods.split(|byte| *byte == b'\n').any(proves))
}

#[cfg(test)]
mod tests;
