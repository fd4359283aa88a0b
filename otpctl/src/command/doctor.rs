//! `doctor`: looks for what would keep people out, or let them in too easily. Changes nothing.

mod delivery;
mod lockers;
pub(super) mod machine;
mod otpd;
mod records;
mod sshd;
mod stack;

use otp::store::load_policy;

use self::otpd::Otpd;
use super::Context;
use crate::failure::{Ending, Failure};
use crate::pam_stack::{self, Line, Unreadable};
use crate::report::health::{Check, Health};
use crate::sshd::{Found, in_force};

pub(super) fn run(context: Context<'_>, service: &str) -> Result<Ending, Failure> {
    if service.is_empty() || service.contains('/') {
        let shown = service.escape_debug();
        return Err(Failure::usage(format!(
            "{shown} is no service: name a file in /etc/pam.d, such as sshd"
        )));
    }
    let sshd = service.starts_with("sshd").then(in_force);
    let mut checks = vec![machine::module()];
    let lines = pam_stack::auth_lines(service, &pam_stack::read);
    match &lines {
        Ok(lines) => {
            checks.extend(pam_checks(context, service, lines, sshd.as_ref()));
            checks.extend(door_checks(context, lines));
        }
        Err(unreadable) => checks.push(no_stack(service, unreadable)),
    }
    if let Some(sshd) = &sshd {
        checks.extend(sshd::checks(sshd, &records::people()));
    }
    checks.push(machine::clock());
    let lacks_nullok = lines.is_ok_and(|lines: Vec<Line>| stack::lacks_nullok(&lines));
    checks.extend(records::checks(context, lacks_nullok));
    let health = Health { checks };
    context.report.answer(&health)?;
    Ok(match health.faults() {
        0 => Ending::Done,
        _ => Ending::No,
    })
}

/// What there is to say of a service's lines.
fn pam_checks(
    context: Context<'_>,
    service: &str,
    lines: &[Line],
    sshd: Option<&Found>,
) -> Vec<Check> {
    let misplaced = pam_stack::misplaced(service, &pam_stack::read);
    let mut checks = stack::checks(service, lines, &misplaced, second_factor(sshd));
    let account = pam_stack::account_lines(service, &pam_stack::read).unwrap_or_default();
    checks.extend(stack::account(&account));
    checks.extend(machine::modules(lines));
    checks.extend(machine::modules(&account));
    let lines = [lines, &account].concat();
    let named = stack::policies(&lines, context.config);
    checks.extend(named.into_iter().filter_map(records::other_policy));
    checks
}

/// What there is to say of programs that are not root, and of what answers them. Without a policy there is enough to mend.
fn door_checks(context: Context<'_>, lines: &[Line]) -> Vec<Check> {
    let Ok(parsed) = load_policy(context.config) else {
        return Vec::new();
    };
    let otpd = Otpd::asked(&parsed.policy);
    let is_needed = lockers::need_otpd(lines, &pam_stack::read);
    let mut checks = lockers::checks(lines, &pam_stack::read, &otpd);
    checks.extend(otpd.checks(is_needed));
    checks
}

/// Whether sshd asks for something besides PAM's own questions.
fn second_factor(sshd: Option<&Found>) -> bool {
    matches!(sshd, Some(Found::Settings { settings, .. }) if settings.asks_for_more())
}

fn no_stack(service: &str, unreadable: &Unreadable) -> Check {
    match unreadable {
        Unreadable::Missing(file) if file == service => Check::fault(
            "pam-line",
            format!("there is no PAM service {service}"),
            "name a file in /etc/pam.d, such as: otpctl doctor sudo",
        ),
        Unreadable::Missing(file) => Check::fault(
            "pam-line",
            format!("{service} includes {file}, which is not there, so every login fails"),
            format!("take the line out of /etc/pam.d/{service}, or bring {file} back"),
        ),
        Unreadable::Circle(file) => Check::fault(
            "pam-line",
            format!("{file} includes itself, so every login fails"),
            format!("take the include out of /etc/pam.d/{file}"),
        ),
    }
}
