//! A code that goes to a user's contact, so that whoever issues it does not know it.

use std::time::Duration;

use otp::delivery::Channel;
use otp::policy::{Policy, format_duration};
use otp::request::Why;
use otp::store::{Order, Requested, Store};
use otp::user::Account;

use super::Context;
use crate::cli;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::journal::quoted;
use crate::report::codes::SentOff;
use crate::report::contacts;
use crate::report::words::Stamp;
use crate::{account, clock, entropy};

/// A code in a text message lives no longer (NIST SP 800-63B-4 section 4.2.1.2); one in a mailbox may.
const LONGEST_BY_SMS: Duration = Duration::from_secs(10 * 60);

pub(super) fn run(
    context: Context<'_>,
    args: &cli::Issue,
    channel: Channel,
) -> Result<Ending, Failure> {
    let [user] = args.users.as_slice() else {
        return Err(Failure::usage(
            "--send goes with one user: what was sent cannot be taken back if the next one fails",
        ));
    };
    let account = account::present(user)?;
    let house = House::make(context.config)?;
    let order = Order {
        channel,
        length: args.digits.unwrap_or(house.policy.issued.digits),
        ttl: ttl(args.ttl.as_deref(), channel, &house.policy)?,
        reason: args.reason.clone(),
        host: super::super::host_name(),
    };
    let is_like_hers = is_as_long_as_hers(&house, &account, order.length)?;
    let mut rng = entropy::system()?;
    let House { policy, store } = &house;
    let sent = match store.send_code(&account, &order, policy, clock::now, &mut rng)? {
        Requested::Sent(sent) => sent,
        Requested::Refused(why) => return Err(refused(why, &account, channel, policy)),
    };
    let (id, ttl, reason) = (sent.id, format_duration(order.ttl), quoted(&order.reason));
    let rest = format!(
        "id={id} ttl={ttl} channel={channel} to={} reason={reason}",
        sent.to
    );
    context.log("issued", &rest, account.name.as_str());
    if is_like_hers {
        super::warn_alike(context, order.length, account.name.as_str());
    }
    context.report.answer(&SentOff {
        user: account.name.to_string(),
        id: id.to_string(),
        code: (),
        expires_at: Stamp(sent.expires_at),
        channel: channel.name(),
        sent_to: sent.to,
    })?;
    Ok(Ending::Done)
}

/// How long it lives: what was told, or the policy's, within what the channel bears.
fn ttl(told: Option<&str>, channel: Channel, policy: &Policy) -> Result<Duration, Failure> {
    let ttl = super::ttl(told, &policy.issued)?;
    let longest = match channel {
        Channel::Sms => LONGEST_BY_SMS,
        Channel::Email => policy.issued.max_ttl,
    };
    match told {
        Some(told) if ttl > longest => Err(Failure::usage(format!(
            "--ttl {told}: a code in a text message lives at most {}",
            format_duration(longest)
        ))),
        _ => Ok(ttl.min(longest)),
    }
}

fn is_as_long_as_hers(house: &House, account: &Account, length: u8) -> Result<bool, Failure> {
    let enrollment = house.store.read(account)?.enrollment.unwrap_or_default();
    let mut all = enrollment.authenticators.iter();
    Ok(all.any(|known| known.length.digits() == usize::from(length)))
}

fn refused(why: Why, account: &Account, channel: Channel, policy: &Policy) -> Failure {
    let now = clock::now();
    Failure::new(
        Kind::NotSent(why),
        contacts::why(why, &account.name, channel, now, policy),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_message_lives_ten_minutes_and_a_mailbox_keeps_longer() {
        let mut policy = Policy::default();
        let hour = Some("1h");
        assert_eq!(
            ttl(hour, Channel::Sms, &policy).unwrap_err().kind,
            Kind::Usage
        );
        assert_eq!(
            ttl(hour, Channel::Email, &policy).unwrap(),
            Duration::from_secs(3600)
        );
        policy.issued.ttl = Duration::from_secs(3600);
        assert_eq!(ttl(None, Channel::Sms, &policy).unwrap(), LONGEST_BY_SMS);
        assert_eq!(
            ttl(None, Channel::Email, &policy).unwrap(),
            Duration::from_secs(3600)
        );
    }
}
