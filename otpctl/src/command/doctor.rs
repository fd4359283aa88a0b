//! `doctor`: looks for what would keep people out, or let them in too easily. Changes nothing.

mod machine;
mod records;
mod sshd;
mod stack;

use std::fs;
use std::path::Path;

use super::Context;
use crate::failure::{Ending, Failure};
use crate::pam_stack::{self, Line, Unreadable};
use crate::report::health::{Check, Health};
use sshd::Sshd;

/// Where services have their files; the second is where packages put what an administrator has not changed.
const PAM_DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];

pub(super) fn run(context: Context<'_>, service: &str) -> Result<Ending, Failure> {
    if service.is_empty() || service.contains('/') {
        let shown = service.escape_debug();
        return Err(Failure::usage(format!(
            "{shown} is no service: name a file in /etc/pam.d, such as sshd"
        )));
    }
    let sshd = service.starts_with("sshd").then(sshd::in_force);
    let mut checks = vec![machine::module()];
    let lines = pam_stack::auth_lines(service, &pam_file);
    match &lines {
        Ok(lines) => checks.extend(stack::checks(service, lines, second_factor(sshd.as_ref()))),
        Err(unreadable) => checks.push(no_stack(service, unreadable)),
    }
    if let Some(sshd) = &sshd {
        checks.extend(sshd::checks(sshd));
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

fn pam_file(name: &str) -> Option<String> {
    let read = |directory: &str| fs::read_to_string(Path::new(directory).join(name)).ok();
    PAM_DIRECTORIES.into_iter().find_map(read)
}

/// Whether sshd asks for something besides PAM's own questions.
fn second_factor(sshd: Option<&sshd::Found>) -> bool {
    matches!(sshd, Some(sshd::Found::Settings(settings)) if Sshd::asks_for_more(settings))
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
