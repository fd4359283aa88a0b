//! Enrolment at the first login, in reading order: the secret is drawn and shown, a first code proves that it has arrived,
//! then it is kept, and only then are the recovery codes shown. Until it is kept nothing is written, so that who gives up
//! or is killed leaves nothing behind.

use otp::confirm::{Confirmation, Judged, Proof};
use otp::enrollment::Authenticator;
use otp::passcode::{Passcode, RecoveryCode};
use otp::policy::Policy;
use otp::qr::Picture;
use otp::state::AuthenticatorState;
use otp::time::UnixTime;
use otp::uri;
use otp::user::Account;
use zeroize::Zeroizing;

use crate::account::{Settled, Why};
use crate::login::{Failure, Host, Machine};
use crate::options::AccountOptions;

/// How often a code may be wrong.
const TRIES: usize = 3;
/// Recovery codes that come with an authenticator.
pub(crate) const RECOVERY_CODES: u8 = 10;

const ASK_FIRST: &str = "Code the app shows now: ";
const ASK_ENTER: &str = "Press Enter when you have written them down: ";

/// A machine that enrols.
pub(crate) trait Registry: Machine {
    /// The clock.
    fn now(&self) -> UnixTime;
    /// A fresh authenticator for her.
    fn draw(&self, account: &Account, policy: &Policy) -> Result<Authenticator, Failure>;
    /// Makes it last, with recovery codes, if she still has none; the codes, once it does.
    fn keep(
        &self,
        account: &Account,
        authenticator: Authenticator,
        started: AuthenticatorState,
        policy: &Policy,
    ) -> Result<Option<Vec<RecoveryCode>>, Failure>;
}

/// Enrols somebody whom the auth hook let by because nothing is kept of her.
pub(crate) fn enroll(
    options: &AccountOptions,
    account: &Account,
    host: &mut impl Host,
    machine: &impl Registry,
) -> Result<Settled, Failure> {
    let policy = machine.policy(options.config.as_deref())?;
    if let Some(last) = policy
        .enroll
        .until
        .filter(|day| machine.now() >= day.ends())
    {
        host.say(&format!(
            "You need a one-time code, and the time to enrol for it ended on {last}. Ask the administrators of this machine to enrol you."
        ));
        return Ok(Settled::Refused(Why::Over(last)));
    }
    let authenticator = machine.draw(account, &policy)?;
    let fresh = AuthenticatorState::fresh(authenticator.generation);
    show(&authenticator, &fresh, host);
    let confirmation = Confirmation::new(&authenticator, &fresh);
    let Some(proof) = prove(confirmation, &policy, options, host, machine)? else {
        host.say("No code was right, so you are not enrolled and not logged in. Remove the entry from the app, then log in again.");
        return Ok(Settled::Refused(Why::GaveUp));
    };
    match machine.keep(account, authenticator, proof.state, &policy)? {
        Some(codes) => {
            hand_out(&codes, host)?;
            let recovery_codes = codes.len();
            Ok(Settled::Enrolled { recovery_codes })
        }
        None => {
            host.say("Another login has enrolled you meanwhile. Remove this entry from the app, then log in again with a code of the other.");
            Ok(Settled::Refused(Why::Overtaken))
        }
    }
}

/// The one showing of the secret: as a picture, as a key, as a URI. A line at a time, because hosts need not take long ones.
fn show(authenticator: &Authenticator, state: &AuthenticatorState, host: &mut impl Host) {
    host.say(
        "This account needs a one-time code from now on. Scan this with an authenticator app:",
    );
    let uri = uri::otpauth(authenticator, state);
    if let Some(picture) = Picture::of(&uri) {
        picture
            .to_utf8(false)
            .lines()
            .for_each(|line| host.say(line));
    }
    let key = grouped(&authenticator.secret.to_base32());
    host.say(&Zeroizing::new(format!(
        "or type the key   {}",
        key.as_str()
    )));
    host.say(&format!(
        "                  time-based, {}, {} digits, 30 s",
        authenticator.algorithm.name().to_ascii_uppercase(),
        authenticator.length.digits()
    ));
    host.say(&Zeroizing::new(format!(
        "or open           {}",
        uri.as_str()
    )));
}

/// A key in groups of four, as people type it.
fn grouped(key: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(key.len().saturating_mul(2)));
    for (index, letter) in key.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            out.push(' ');
        }
        out.push(letter);
    }
    out
}

/// Asks until a code is right, but not for ever. A conversation that breaks off is an error.
fn prove(
    mut confirmation: Confirmation<'_>,
    policy: &Policy,
    options: &AccountOptions,
    host: &mut impl Host,
    machine: &impl Registry,
) -> Result<Option<Proof>, Failure> {
    let prompt = options.prompt.as_deref().unwrap_or(ASK_FIRST);
    for _ in 0..TRIES {
        let typed = host.ask(prompt, true)?;
        let passcode = typed.and_then(|typed| Passcode::parse(&typed).ok());
        match confirmation.hear(passcode.as_ref(), machine.now(), policy) {
            Judged::Right(proof) => return Ok(Some(proof)),
            Judged::OtherTime(_) => {
                host.say("That code is right for another time: the clock of the phone or of this machine is wrong. Set the phone's to automatic.");
            }
            Judged::Wrong | Judged::NextToo => {
                host.say("That is no code of this key. Type what the entry just made shows now.");
            }
            Judged::NoCode => host.say("A code has 6 digits. Type what the app shows now."),
        }
    }
    Ok(None)
}

/// Shows the recovery codes and waits until they are seen.
fn hand_out(codes: &[RecoveryCode], host: &mut impl Host) -> Result<(), Failure> {
    host.say("You are enrolled. Recovery codes, each good once in the place of a code. Keep them where the phone is not:");
    for pair in codes.chunks(2) {
        let pair: Vec<_> = pair.iter().map(RecoveryCode::to_grouped).collect();
        let mut line = Zeroizing::new(String::with_capacity(64));
        for code in &pair {
            line.push_str("    ");
            line.push_str(code);
        }
        host.say(&line);
    }
    host.ask(ASK_ENTER, true).map(drop)
}
