//! `explain`: how a code comes about, and what the server would say. Uses nothing up.

use nix::unistd::getuid;
use otp::drift;
use otp::enrollment::{Authenticator, Kind};
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::store::Store;
use otp::time::{TimeStep, UnixTime};
use otp::totp;
use otp::verify::{Attempt, Reason, Record, Verdict, verify};

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::journal::quoted;
use crate::report::explained::{Checked, Explained, Timed};
use crate::report::words;
use crate::{account, choice, cli, clock};

pub(super) fn run(context: Context<'_>, args: &cli::Explain) -> Result<Ending, Failure> {
    let account = account::present(&args.user)?;
    let house = House::open(context.config)?;
    let record = house.store.read(&account)?;
    let authenticator = choice::authenticator(&record, args.which.name.as_deref(), "explain")?;
    if args.show_secret {
        let rest = format!("name={}", quoted(&authenticator.name));
        context.log("secret-shown", &rest, account.name.as_str());
    }
    let mut explained = explained(&record, authenticator, clock::now(), &house.policy);
    explained.secret = args.show_secret.then(|| authenticator.secret.to_base32());
    context.report.answer(&explained)?;
    Ok(Ending::Done)
}

/// Every quantity, without the secret.
fn explained(record: &Record, of: &Authenticator, now: UnixTime, policy: &Policy) -> Explained {
    let counter = match of.kind {
        Kind::Totp { .. } => None,
        Kind::Hotp => next_counter(record, of),
    };
    let timed = of.kind.period().map(|period| {
        let step = TimeStep::at(now, period);
        let ends = step.offset(1).map(|next| next.starts(period));
        Timed {
            unix_time: now.as_secs(),
            period: period.as_secs(),
            step: step.number(),
            seconds_left: ends.map_or(0, |ends| ends.since(now).as_secs()),
        }
    });
    let factor = timed.as_ref().map(|timed| timed.step).or(counter);
    Explained {
        user: record.user.to_string(),
        name: of.name.clone(),
        secret: None,
        timed,
        counter,
        code: factor.map(|factor| code(of, TimeStep::new(factor))),
        checked: checked(record, of, now, policy),
        words: words::authenticator(of),
    }
}

/// Of a token: the counter of its next code.
fn next_counter(record: &Record, of: &Authenticator) -> Option<u64> {
    let entry = record.state.authenticator(of.generation);
    entry.and_then(|entry| entry.used.next_counter())
}

/// Each step or counter the server looks at, and what it would say to its code.
pub(super) fn checked(
    record: &Record,
    of: &Authenticator,
    now: UnixTime,
    policy: &Policy,
) -> Vec<Checked> {
    let entry = record.state.authenticator(of.generation);
    let learned = entry.map_or(0, |entry| entry.drift.learned(policy.max_drift));
    let look = |factor: u64, offset| {
        let code = code(of, TimeStep::new(factor));
        let verdict = asked(record, &code, now, policy);
        Checked {
            step: of.kind.period().map(|_| factor),
            counter: of.kind.period().is_none().then_some(factor),
            offset,
            code,
            verdict,
        }
    };
    match of.kind {
        Kind::Totp { period } => {
            let center = TimeStep::at(now, period);
            let steps = drift::offsets(policy.window, learned)
                .filter_map(|offset| Some((center.offset(offset)?, offset)));
            steps
                .map(|(step, offset)| look(step.number(), offset))
                .collect()
        }
        Kind::Hotp => {
            let next = next_counter(record, of);
            let counters = (0..=i64::from(policy.look_ahead))
                .filter_map(|ahead| Some((next?.checked_add_signed(ahead)?, ahead)));
            counters
                .map(|(counter, ahead)| look(counter, ahead))
                .collect()
        }
    }
}

pub(super) fn code(of: &Authenticator, step: TimeStep) -> String {
    totp::code(&of.secret, of.algorithm, of.length, step)
        .expose()
        .to_owned()
}

/// Asks the one place that accepts, and keeps nothing of it.
fn asked(record: &Record, code: &str, now: UnixTime, policy: &Policy) -> &'static str {
    let Ok(passcode) = Passcode::parse(code.as_bytes()) else {
        return Reason::Malformed.name();
    };
    let attempt = Attempt {
        passcode: &passcode,
        origin: Origin::Local(getuid().as_raw()),
        now,
    };
    match verify(record, &attempt, policy).verdict {
        Verdict::Accepted(_) => "accepted",
        Verdict::Refused(reason) => reason.name(),
    }
}
