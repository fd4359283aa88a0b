//! Codes that are sent: whether anybody hands them over, and whether what the policy names can be used so. Nothing is said
//! where the policy sends none.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::User;
use otp::delivery::Channel;
use otp::policy::{Policy, Via};
use otp::store::queue::Queue;
use otp::time::UnixTime;

use crate::clock;
use crate::command::r#try::host;
use crate::report::health::Check;
use crate::report::words;

/// What waits longer than this, in seconds, waits for nobody.
const LONG: u64 = 15;
const PATHS: [&str; 2] = ["otpctl-deliver.path", "otpctl-settle.path"];

pub(super) fn checks(policy: &Policy) -> Vec<Check> {
    if !policy.delivers() {
        return Vec::new();
    }
    let mut checks = vec![deliverer(policy)];
    if policy.channel_is_on(Channel::Sms) || policy.email.via == Via::Sendmail {
        checks.extend(account(policy));
    }
    if let Some(path) = policy.sms.command.first() {
        checks.push(program("sms-command", "sms.command", Path::new(path)));
    }
    match policy.email.via {
        Via::Off => {}
        Via::Sendmail => {
            checks.push(program(
                "sendmail",
                "email.sendmail",
                &policy.email.sendmail,
            ));
        }
        Via::Smtp => {
            let smtp = &policy.smtp;
            let password = smtp.password_file.as_deref();
            let password = password.map(|path| file("smtp.password_file", path, 0o077, "0600"));
            let authorities = smtp.ca_file.as_deref();
            let authorities = authorities.map(|path| file("smtp.ca_file", path, 0o022, "0644"));
            checks.extend(password.into_iter().chain(authorities).flatten());
        }
    }
    checks
}

/// Whether somebody hands over what waits.
fn deliverer(policy: &Policy) -> Check {
    let queue = match Queue::open(policy) {
        Ok(queue) => queue,
        Err(error) => {
            return Check::fault(
                "delivery",
                error.to_string(),
                "otpctl contact USER, or apt install --reinstall libpam-otp, makes the queue where it is missing",
            );
        }
    };
    let now = clock::now();
    let (waiting, oldest) = match queue.waiting() {
        Ok(waiting) => waiting,
        Err(error) => {
            return Check::fault(
                "delivery",
                error.to_string(),
                "mend what is named, then run otpctl doctor again",
            );
        }
    };
    if let Some(since) = oldest.filter(|since| now.since(*since).as_secs() > LONG) {
        return undelivered(waiting, since, now);
    }
    if host::has_systemd() {
        let mut paths = PATHS.iter();
        return match paths.find(|unit| !host::systemctl(&["is-active", "--quiet", unit])) {
            Some(unit) => Check::fault(
                "delivery",
                format!("{unit} is off, so no code that is asked for is sent"),
                format!("systemctl enable --now {unit}"),
            ),
            None => Check::good("delivery", "systemd starts it when a code waits"),
        };
    }
    match queue.is_attended() {
        Ok(true) => Check::good("delivery", "otpctl deliver is running"),
        _ => Check::fault(
            "delivery",
            "no otpctl deliver is running, so no code that is asked for is sent",
            "have the machine's init start otpctl deliver, and start it again when it ends",
        ),
    }
}

fn undelivered(waiting: usize, since: UnixTime, now: UnixTime) -> Check {
    Check::fault(
        "delivery",
        format!(
            "{} to be sent, the oldest for {}: nobody delivers",
            words::count(waiting as u64, "code"),
            words::span(now.since(since))
        ),
        "systemctl status otpctl-deliver.path otpctl-deliver.service says why; by hand: otpctl deliver --once",
    )
}

/// The account that programs run as.
fn account(policy: &Policy) -> Option<Check> {
    let name = &policy.delivery.user;
    let why = match User::from_name(name).ok().flatten() {
        Some(user) if user.uid.is_root() => "is root, who could do anything",
        Some(_) => return None,
        None => "is not in the passwd database",
    };
    Some(Check::fault(
        "delivery-user",
        format!("delivery.user {name} {why}, so no program is run"),
        "name an account that may do nothing else, such as nobody, in delivery.user",
    ))
}

/// A program that gets codes: there, root's, and changed by nobody else.
fn program(check: &'static str, key: &str, path: &Path) -> Check {
    let shown = path.display();
    let about = fs::metadata(path);
    let runs = about
        .as_ref()
        .is_ok_and(|it| it.is_file() && it.mode() & 0o111 != 0);
    if !runs {
        return Check::fault(
            check,
            format!("{key} names {shown}, which is no program, so nothing is sent by it"),
            format!("install it there with mode 0755, or name another in {key}"),
        );
    }
    let is_roots = about.is_ok_and(|it| it.uid() == 0 && it.mode() & 0o022 == 0);
    if !is_roots {
        return Check::fault(
            check,
            format!("{shown} can be changed by others than root, so it is not run"),
            format!("chown root:root {shown}; chmod go-w {shown}"),
        );
    }
    Check::good(check, shown.to_string())
}

/// What is wrong with a file of the server.
fn file(key: &str, path: &Path, forbidden: u32, mode: &str) -> Option<Check> {
    let shown = path.display();
    let why = match fs::metadata(path) {
        Err(_) => "is not there",
        Ok(about) if !about.is_file() => "is no file",
        Ok(about) if about.uid() != 0 => "does not belong to root",
        Ok(about) if about.mode() & forbidden != 0 => "is open to others than root",
        Ok(_) => return None,
    };
    Some(Check::fault(
        "smtp",
        format!("{key}: {shown} {why}, so no e-mail is sent"),
        format!("chown root:root {shown}; chmod {mode} {shown}"),
    ))
}
