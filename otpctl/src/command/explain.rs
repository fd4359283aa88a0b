//! `explain`: how a code comes about, and what the server would say. Uses nothing up.

use nix::unistd::getuid;
use otp::drift;
use otp::enrollment::Authenticator;
use otp::origin::Origin;
use otp::passcode::Passcode;
use otp::policy::Policy;
use otp::store::Store;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::verify::{Attempt, Reason, Record, Verdict, verify};

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::explained::{Checked, Explained};
use crate::report::words;
use crate::{account, cli, clock};

pub(super) fn run(context: Context<'_>, args: &cli::Explain) -> Result<Ending, Failure> {
    let account = account::present(&args.user)?;
    let house = House::open(context.config)?;
    let record = house.store.read(&account)?;
    let enrollment = record.enrollment.as_ref();
    let known = enrollment.map_or(&[][..], |enrollment| &enrollment.authenticators);
    let mut timed = known
        .iter()
        .filter_map(|one| Some((one, one.kind.period()?)));
    let (authenticator, period) = timed
        .next()
        .ok_or_else(|| Failure::not_enrolled(&account.name))?;
    if args.show_secret {
        context.log("secret-shown", "", account.name.as_str());
    }
    let mut explained = explained(&record, authenticator, period, clock::now(), &house.policy);
    explained.secret = args.show_secret.then(|| authenticator.secret.to_base32());
    context.report.answer(&explained)?;
    Ok(Ending::Done)
}

/// Every quantity, without the secret.
fn explained(
    record: &Record,
    of: &Authenticator,
    period: Period,
    now: UnixTime,
    policy: &Policy,
) -> Explained {
    let step = TimeStep::at(now, period);
    let ends = step.offset(1).map(|next| next.starts(period));
    Explained {
        user: record.user.to_string(),
        secret: None,
        unix_time: now.as_secs(),
        step: step.number(),
        code: code(of, step),
        seconds_left: ends.map_or(0, |ends| ends.since(now).as_secs()),
        checked: checked(record, of, period, now, policy),
        period: period.as_secs(),
        words: words::authenticator(of),
    }
}

/// Each step the server looks at, and what it would say to its code.
pub(super) fn checked(
    record: &Record,
    of: &Authenticator,
    period: Period,
    now: UnixTime,
    policy: &Policy,
) -> Vec<Checked> {
    let center = TimeStep::at(now, period);
    let entry = record.state.authenticator(of.generation);
    let learned = entry.map_or(0, |entry| entry.drift.learned(policy.max_drift));
    let look = |offset| {
        let step = center.offset(offset)?;
        let code = code(of, step);
        let verdict = asked(record, &code, now, policy);
        Some(Checked {
            step: step.number(),
            offset,
            code,
            verdict,
        })
    };
    drift::offsets(policy.window, learned)
        .filter_map(look)
        .collect()
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
