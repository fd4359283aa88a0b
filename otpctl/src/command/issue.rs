//! `issue`: codes drawn here, kept as keyed hashes, and handed over by a person; with `--send` by delivery.

mod send;

use std::time::Duration;

use otp::issued::{CodeId, MAX_LIVE, MAX_REASON, StoredCode};
use otp::keyed::DigestKey;
use otp::passcode::Digits;
use otp::policy::{IssuedPolicy, format_duration, parse_duration};
use otp::store::{Issue, Store};
use otp::time::UnixTime;
use otp::user::Account;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::Context;
use crate::cli;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::journal::quoted;
use crate::report::codes::{Handed, HandedAll};
use crate::report::words::Stamp;
use crate::{account, clock, entropy};

/// What was asked for, checked.
struct Order<'a> {
    accounts: Vec<Account>,
    ttl: Duration,
    digits: u8,
    count: u8,
    reason: &'a str,
}

/// Codes kept for a user, with what is shown of each.
struct Kept {
    account: Account,
    ids: Vec<CodeId>,
    handed: Vec<Handed>,
}

pub(super) fn run(context: Context<'_>, args: &cli::Issue) -> Result<Ending, Failure> {
    check_reason(&args.reason)?;
    if let Some(channel) = args.send {
        return send::run(context, args, channel.into());
    }
    let accounts = accounts(&args.users)?;
    let house = House::make(context.config)?;
    let order = Order {
        accounts,
        ttl: ttl(args.ttl.as_deref(), &house.policy.issued)?,
        digits: args.digits.unwrap_or(house.policy.issued.digits),
        count: args.count,
        reason: &args.reason,
    };
    let lengths = lengths_before(&house.store, &order)?;
    let kept = issue_all(&house.store, &order)?;
    for kept in &kept {
        log(context, kept, &order);
    }
    warn_of_length(context, &order, &lengths);

    let codes: Vec<Handed> = kept.into_iter().flat_map(|kept| kept.handed).collect();
    match codes.as_slice() {
        [code] => context.report.answer(code)?,
        _ => context.report.answer(&HandedAll { codes })?,
    }
    Ok(Ending::Done)
}

fn check_reason(reason: &str) -> Result<(), Failure> {
    if reason.len() > MAX_REASON {
        return Err(Failure::usage(format!(
            "--reason is longer than {MAX_REASON} bytes: make it shorter"
        )));
    }
    if reason.chars().any(char::is_control) {
        return Err(Failure::usage(
            "--reason has a control character in it: write it on one line",
        ));
    }
    Ok(())
}

/// All of them, each once.
fn accounts(users: &[String]) -> Result<Vec<Account>, Failure> {
    let mut accounts: Vec<Account> = Vec::with_capacity(users.len());
    for user in users {
        let account = account::present(user)?;
        if accounts.contains(&account) {
            let name = &account.name;
            return Err(Failure::usage(format!(
                "{name} is named twice: name each user once, and use --count for more codes"
            )));
        }
        accounts.push(account);
    }
    Ok(accounts)
}

fn ttl(told: Option<&str>, policy: &IssuedPolicy) -> Result<Duration, Failure> {
    let Some(told) = told else {
        return Ok(policy.ttl);
    };
    let max = format_duration(policy.max_ttl);
    let ttl = parse_duration(told).ok_or_else(|| {
        let shown = told.escape_debug();
        Failure::usage(format!(
            "--ttl {shown}: it takes a time above zero, such as 90s, 15m or 2h, up to {max}"
        ))
    })?;
    if ttl > policy.max_ttl {
        return Err(Failure::usage(format!(
            "--ttl {told}: it takes at most {max} (issued.max_ttl in otp.toml)"
        )));
    }
    Ok(ttl)
}

/// The lengths of each user's authenticators. Reads every record before anything is written: all or none.
fn lengths_before(store: &impl Store, order: &Order<'_>) -> Result<Vec<Vec<usize>>, Failure> {
    let now = clock::now();
    let lengths = |account: &Account| {
        let record = store.read(account)?;
        let live = record
            .issued
            .iter()
            .filter(|code| code.is_live(now))
            .count();
        if live.saturating_add(order.count.into()) > MAX_LIVE {
            return Err(too_many(account, live));
        }
        let enrollment = record.enrollment.unwrap_or_default();
        let authenticators = enrollment.authenticators.iter();
        Ok(authenticators.map(|known| known.length.digits()).collect())
    };
    order.accounts.iter().map(lengths).collect()
}

fn too_many(account: &Account, live: usize) -> Failure {
    let name = &account.name;
    Failure::new(
        Kind::TooMany,
        format!("{name} has {live} live codes, and {MAX_LIVE} is the most: otpctl revoke {name}"),
    )
}

/// Issues to everybody. What was issued before something fails is taken back.
fn issue_all(store: &impl Store, order: &Order<'_>) -> Result<Vec<Kept>, Failure> {
    let mut rng = entropy::system()?;
    let key = store.digest_key(|| DigestKey::draw(&mut rng))?;
    let mut done: Vec<Kept> = Vec::with_capacity(order.accounts.len());
    for account in &order.accounts {
        match issue_to(store, &mut rng, &key, account, order) {
            Ok(kept) => done.push(kept),
            Err(failure) => return Err(taken_back(store, &done, failure)),
        }
    }
    Ok(done)
}

fn issue_to(
    store: &impl Store,
    rng: &mut impl CryptoRng,
    key: &DigestKey,
    account: &Account,
    order: &Order<'_>,
) -> Result<Kept, Failure> {
    let now = clock::now();
    let drawn: Vec<(StoredCode, Digits)> = (0..order.count)
        .map(|_| draw(rng, key, account, order, now))
        .collect();
    let codes = drawn.iter().map(|(stored, _)| stored.clone()).collect();
    if let Issue::TooMany { live } = store.issue(account, codes, now)? {
        return Err(too_many(account, live));
    }
    let handed = drawn.iter().map(|(stored, code)| Handed {
        user: account.name.to_string(),
        id: stored.id.to_string(),
        code: Zeroizing::new(code.expose().to_owned()),
        expires_at: Stamp(stored.expires_at),
        channel: None,
        sent_to: None,
    });
    Ok(Kept {
        account: account.clone(),
        ids: drawn.iter().map(|(stored, _)| stored.id).collect(),
        handed: handed.collect(),
    })
}

fn draw(
    rng: &mut impl CryptoRng,
    key: &DigestKey,
    account: &Account,
    order: &Order<'_>,
    now: UnixTime,
) -> (StoredCode, Digits) {
    let id = CodeId::draw(rng);
    let code = Digits::draw(rng, order.digits.into());
    let stored = StoredCode {
        reason: order.reason.to_owned(),
        ..StoredCode::fresh(
            id,
            order.digits,
            key.stored(&account.name, id, &code),
            now,
            order.ttl,
        )
    };
    (stored, code)
}

/// The failure, with what could not be taken back named in it.
fn taken_back(store: &impl Store, done: &[Kept], failure: Failure) -> Failure {
    let stays = |kept: &&Kept| {
        let ours = |id| kept.ids.contains(&id);
        store.revoke(&kept.account, clock::now(), ours).is_err()
    };
    let left: Vec<&str> = done
        .iter()
        .filter(stays)
        .map(|kept| kept.account.name.as_str())
        .collect();
    if left.is_empty() {
        return failure;
    }
    let message = format!(
        "{}; codes nobody has seen stay with {}: otpctl revoke USER",
        failure.message,
        left.join(", ")
    );
    Failure::new(failure.kind, message)
}

fn log(context: Context<'_>, kept: &Kept, order: &Order<'_>) {
    let ids: Vec<String> = kept.ids.iter().map(ToString::to_string).collect();
    let (ttl, reason) = (format_duration(order.ttl), quoted(order.reason));
    let rest = format!("id={} ttl={ttl} reason={reason}", ids.join(","));
    context.log("issued", &rest, kept.account.name.as_str());
}

fn warn_of_length(context: Context<'_>, order: &Order<'_>, lengths: &[Vec<usize>]) {
    let digits = usize::from(order.digits);
    let alike = |(account, lengths): (&Account, &Vec<usize>)| {
        lengths.contains(&digits).then(|| account.name.to_string())
    };
    let alike: Vec<String> = order
        .accounts
        .iter()
        .zip(lengths)
        .filter_map(alike)
        .collect();
    if !alike.is_empty() {
        warn_alike(context, order.digits, &alike.join(", "));
    }
}

fn warn_alike(context: Context<'_>, digits: u8, users: &str) {
    context.report.warning(&format!(
        "{digits} digits are what the authenticator of {users} shows too, so wrong answers count against both; 8 digits keep them apart"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_bounded_and_never_zero() {
        let policy = IssuedPolicy {
            digits: 8,
            ttl: Duration::from_secs(600),
            max_ttl: Duration::from_secs(3600),
        };
        assert_eq!(ttl(None, &policy).unwrap(), Duration::from_secs(600));
        assert_eq!(
            ttl(Some("60m"), &policy).unwrap(),
            Duration::from_secs(3600)
        );
        for told in ["0", "0s", "61m", "", "ten", "-5m"] {
            assert_eq!(
                ttl(Some(told), &policy).unwrap_err().kind,
                Kind::Usage,
                "{told}"
            );
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert!(check_reason("lost phone, called from desk 4711").is_ok());
        assert!(check_reason("a\nb").is_err());
        assert!(check_reason(&"x".repeat(201)).is_err());
    }
}
