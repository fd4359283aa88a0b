//! What would change, found without changing anything. What is not understood is refused with a sentence.

use std::fs;
use std::path::Path;

use otp::service::Service;

use super::disk::{self, Rights};
use super::pending::{Change, What};
use crate::cli;
use crate::failure::{Failure, Kind};
use crate::pam_stack::{self, First, MODULE, Refusal, Unreadable, Wish, place};
use crate::sshd::{self, Found};

/// The service for which sshd has to be told, too.
pub(super) const SSHD: &str = "sshd";
/// Where packages put what an administrator has not changed.
const VENDORS: &str = "/usr/lib/pam.d";

/// A PAM service's name, if it is one that can be tried.
pub(super) fn service(typed: &str) -> Result<Service, Failure> {
    let shown = typed.escape_debug();
    let parsed = Service::parse(typed).ok_or_else(|| {
        Failure::usage(format!(
            "{shown} is no service: name a file in /etc/pam.d, such as sshd"
        ))
    })?;
    if typed.starts_with("common-") || typed == "other" {
        return Err(Failure::usage(format!(
            "{shown} is part of every service, screen lockers among them: name one service, such as sshd; pam-auth-update --enable otp has all ask"
        )));
    }
    if let Some(locker) = pam_stack::locker_by(typed, &pam_stack::read) {
        return Err(Failure::usage(format!(
            "{locker} asks by /etc/pam.d/{shown} and runs as the user: a screen that stays locked shows nobody what is wrong, so this is not tried. Name another service, such as sshd; by hand, docs/guide/desktops.md"
        )));
    }
    Ok(parsed)
}

/// The changes that make a service ask for codes; none if it does.
pub(super) fn changes(
    args: &cli::Try,
    service: &str,
    config: Option<&Path>,
) -> Result<Vec<Change>, Failure> {
    if args.key && service != SSHD {
        return Err(Failure::usage(
            "--key is for sshd, which asks for the key: leave it out",
        ));
    }
    let mut changes = Vec::new();
    if service == SSHD {
        sshd_asks_pam()?;
        changes.extend(drop_in(args.key)?);
    }
    changes.extend(pam_file(args, service, config)?);
    Ok(changes)
}

/// Whether our line helps at all.
fn sshd_asks_pam() -> Result<(), Failure> {
    let refused = |why: String| Err(Failure::new(Kind::NotUnderstood, why));
    match sshd::in_force() {
        Found::NoSshd => refused("there is no sshd on this machine: name another service".into()),
        Found::Settings {
            read: Some(why), ..
        } => refused(format!(
            "sshd does not say what it goes by, so nothing is tried: {why}"
        )),
        Found::Settings { settings, .. } if !settings.use_pam => refused(
            "sshd does not ask PAM at all: write 'UsePAM yes' into /etc/ssh/sshd_config first"
                .into(),
        ),
        Found::Settings { .. } if !Path::new(sshd::DROP_INS).is_dir() => refused(format!(
            "there is no {}: make it, and write 'Include {}/*.conf' at the top of /etc/ssh/sshd_config",
            sshd::DROP_INS,
            sshd::DROP_INS
        )),
        Found::Settings { .. } => Ok(()),
    }
}

/// What the administrator should know of a change of sshd before she makes it.
pub(super) fn warning(service: &str) -> Option<&'static str> {
    let Found::Settings { settings, .. } = sshd::in_force() else {
        return None;
    };
    (service == SSHD && settings.root_asks_nothing).then_some(
        "root does not log in by ssh any more then, with a key neither: PermitRootLogin is not yes, and sshd refuses root's answers to any question",
    )
}

/// What sshd is to ask for.
pub(super) const fn methods(key: bool) -> &'static str {
    if key {
        "publickey,keyboard-interactive"
    } else {
        "keyboard-interactive"
    }
}

fn drop_in(key: bool) -> Result<Option<Change>, Failure> {
    let path = What::DropIn.path(SSHD);
    let found = disk::read(&path).map_err(|error| Failure::io("change", &path, &error))?;
    let after = format!(
        "KbdInteractiveAuthentication yes\nAuthenticationMethods {}\n",
        methods(key)
    );
    Ok(change(What::DropIn, found, after))
}

fn pam_file(
    args: &cli::Try,
    service: &str,
    config: Option<&Path>,
) -> Result<Option<Change>, Failure> {
    let path = What::Pam.path(service);
    let found = disk::read(&path).map_err(|error| Failure::io("change", &path, &error))?;
    let vendors = || fs::read_to_string(Path::new(VENDORS).join(service)).ok();
    let text = found.as_ref().map(|(text, _)| text.clone());
    let text = text.or_else(vendors).ok_or_else(|| {
        Failure::new(
            Kind::NotUnderstood,
            format!("there is no PAM service {service}: name a file in /etc/pam.d, such as sshd"),
        )
    })?;
    let line = line(args.nullok, config)?;
    let wish = Wish {
        line: &line,
        first: if args.key {
            First::Key
        } else {
            First::Password
        },
        nullok: args.nullok,
    };
    match place(service, &text, &pam_stack::read, wish) {
        Ok(after) => Ok(change(What::Pam, found, after)),
        Err(Refusal::Present { fits: true, .. }) => Ok(None),
        Err(refusal) => Err(Failure::new(Kind::NotUnderstood, told(service, &refusal))),
    }
}

fn change(what: What, found: Option<(String, Rights)>, after: String) -> Option<Change> {
    let rights = found.as_ref().map_or(Rights::PUBLIC, |(_, rights)| *rights);
    let before = found.map(|(text, _)| text);
    (before.as_ref() != Some(&after)).then_some(Change {
        what,
        before,
        after,
        rights,
    })
}

/// Our line, with what it takes to go by the same policy.
fn line(nullok: bool, config: Option<&Path>) -> Result<String, Failure> {
    let mut line = format!("auth required {MODULE}");
    if nullok {
        line.push_str(" nullok");
    }
    if let Some(config) = config {
        let shown = config.to_str().filter(|path| {
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"[]#\\".contains(&byte);
            path.bytes().all(is_plain)
        });
        let shown = shown.ok_or_else(|| {
            Failure::usage("a PAM line cannot name this policy file: give it a plain name")
        })?;
        line.push_str(&format!(" config={shown}"));
    }
    Ok(line)
}

fn told(service: &str, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Present { file, number, .. } => format!(
            "/etc/pam.d/{file} line {number} names {MODULE} already, and the stack does not do what is asked for: otpctl doctor {service} says why"
        ),
        Refusal::Unreadable(Unreadable::Missing(file)) => format!(
            "{service} includes {file}, which is not there: every login by it fails, so nothing is tried"
        ),
        Refusal::Unreadable(Unreadable::Circle(file)) => {
            format!("{file} includes itself: every login by {service} fails, so nothing is tried")
        }
        Refusal::NothingAsks => format!(
            "no auth line of {service} asks who somebody is, so a code would be all it takes: put '@include common-auth' there first"
        ),
        Refusal::NoPasswordFile => format!(
            "/etc/pam.d/{service} has no one line '@include common-auth' that a code could take the place of: put 'auth required {MODULE}' in by hand"
        ),
        Refusal::NoPlace => format!(
            "there is no place in /etc/pam.d/{service} where both password and code would be needed (a line before it ends the stack, or jumps): put 'auth required {MODULE}' in by hand, and see otpctl doctor {service}"
        ),
    }
}
