//! Our line where programs ask by it that run as a user: what every service includes, and screen lockers.

use crate::command::doctor::otpd::Otpd;
use crate::command::doctor::stack::{bare, ours};
use crate::pam_stack::{Line, MODULE, Module, is_of_the_profile, locker_by, one_field_by};
use crate::report::health::Check;

/// Whether `file` has our line for everybody.
fn is_common(file: &str) -> bool {
    file.starts_with("common-")
}

/// Whether somebody asks by our line who is not root, so that otpd has to answer.
pub(super) fn need_otpd(lines: &[Line], read: &dyn Fn(&str) -> Option<String>) -> bool {
    let mut files = ours(lines).into_iter().map(|(line, _)| &line.file);
    files.any(|file| is_common(file) || locker_by(file, read).is_some())
}

/// All there is to say of such lines.
pub(super) fn checks(
    lines: &[Line],
    read: &dyn Fn(&str) -> Option<String>,
    otpd: &Otpd,
) -> Vec<Check> {
    let Some((line, module)) = ours(lines).into_iter().next() else {
        return Vec::new();
    };
    let told = if is_common(&line.file) {
        Some(in_every_service(line, read, otpd))
    } else {
        locker_by(&line.file, read).map(|locker| as_the_user(locker, line, module, otpd))
    };
    told.into_iter()
        .chain(one_field(line, module, read))
        .collect()
}

/// Our line in a file that other services include.
fn in_every_service(line: &Line, read: &dyn Fn(&str) -> Option<String>, otpd: &Otpd) -> Check {
    let at = format!("/etc/pam.d/{} line {}", line.file, line.number);
    if !otpd.answers() {
        let why = "screen lockers, which run as the user and cannot read what is root's, never unlock again";
        return Check::fault(
            "common",
            format!("{at} is part of every service, and otpd does not answer: {why}"),
            otpd.fix(),
        );
    }
    if is_of_the_profile(line, read) {
        let detail = format!("{at}: every service asks, by the profile of pam-auth-update");
        return Check::good("common", detail);
    }
    Check::fault(
        "common",
        format!(
            "{at} is part of every service, and stays when the package goes: it was put there by hand"
        ),
        "put the line into the files of the services that are to ask for a code, such as sshd; or have all ask: pam-auth-update --enable otp",
    )
}

/// Our line where a service asks that runs as the one who is asked.
fn as_the_user(locker: &str, line: &Line, module: &Module, otpd: &Otpd) -> Check {
    let name = "as-the-user";
    let file = &line.file;
    let asks = format!("{locker} asks by /etc/pam.d/{file} and runs as the user");
    let has_policy = module
        .arguments
        .iter()
        .any(|word| bare(word).starts_with("config="));
    if has_policy {
        return Check::fault(
            name,
            format!(
                "{asks}, who can name no policy: every code is refused and the screen stays locked"
            ),
            format!("take config= out of /etc/pam.d/{file} line {}", line.number),
        );
    }
    if otpd.answers() {
        return Check::good(name, format!("{asks}: otpd answers it"));
    }
    Check::fault(
        name,
        format!(
            "{asks}, and otpd does not answer, so every code is refused and the screen stays locked"
        ),
        otpd.fix(),
    )
}

/// A locker with one field, where our line asks a question of its own.
fn one_field(line: &Line, module: &Module, read: &dyn Fn(&str) -> Option<String>) -> Option<Check> {
    let takes_it_apart = module.arguments.iter().any(|word| word == "forward_pass");
    let locker = one_field_by(&line.file, read).filter(|_| !takes_it_apart)?;
    // Where it is not installed, it asks nothing.
    read(locker)?;
    let (file, number) = (&line.file, line.number);
    Some(Check::fault(
        "one-field",
        format!(
            "{locker} asks by /etc/pam.d/{file} line {number} and answers every question with the same words, so password and code never both fit"
        ),
        format!(
            "give /etc/pam.d/{locker} these two lines alone: 'auth required {MODULE} forward_pass nullok' and 'auth required pam_unix.so use_first_pass', and type the code behind the password"
        ),
    ))
}
