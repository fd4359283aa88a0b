//! Figures of the installation, in Prometheus' text exposition format (version 0.0.4) and as an object.

use serde::Serialize;
use std::fmt::{Display, Write};

use super::contacts::Known as Contact;
use super::installation::Sending;
use super::standing::Status;
use super::words::Stamp;
use super::{Answer, Page};

/// Figures of the installation.
#[derive(Serialize)]
pub(crate) struct Metrics {
    pub(crate) policy_fault: bool,
    store_readable: bool,
    pub(crate) store_writable: bool,
    /// What stopped the counting, and what helps; null where nothing did.
    pub(crate) fault: Option<String>,
    /// Null where the store could not be read.
    counts: Option<Counts>,
    /// Null where it could not be read.
    sending: Option<Sending>,
    /// Null where users are not to be named.
    users: Option<Vec<OfUser>>,
}

/// Sums over all users.
#[derive(Default, Serialize)]
struct Counts {
    enrolled: u64,
    disabled: u64,
    held: u64,
    locked: u64,
    totp: u64,
    hotp: u64,
    issued_codes: u64,
    recovery_codes_left: u64,
    reachable: u64,
    failures: u64,
    damaged: u64,
    last_login: Option<Stamp>,
}

/// Figures of a user; those of a damaged record are all null.
#[derive(Serialize)]
struct OfUser {
    user: String,
    damaged: bool,
    figures: Option<Figures>,
}

#[derive(Serialize)]
struct Figures {
    enrolled: bool,
    disabled: bool,
    held: bool,
    locked: bool,
    issued_codes: u64,
    recovery_codes_left: u64,
    reachable: bool,
    failures: u64,
    last_login: Option<Stamp>,
}

impl Metrics {
    /// Of an installation of which nothing is known yet but faults.
    pub(crate) fn new(per_user: bool) -> Self {
        Self {
            policy_fault: true,
            store_readable: false,
            store_writable: false,
            fault: None,
            counts: None,
            sending: None,
            users: per_user.then(Vec::new),
        }
    }

    /// The store could be opened, and counting begins.
    pub(crate) fn store_readable(&mut self) {
        self.store_readable = true;
        self.counts = Some(Counts::default());
    }

    /// Whether something could not be read.
    pub(crate) fn is_at_fault(&self) -> bool {
        let damaged = self.counts.as_ref().map(|counts| counts.damaged);
        self.policy_fault || self.fault.is_some() || damaged != Some(0)
    }

    /// Takes how the sending of codes stands.
    pub(crate) fn sending(&mut self, sending: Sending) {
        self.sending = Some(sending);
    }

    /// Counts one more user.
    pub(crate) fn count(&mut self, status: &Status) {
        let figures = Figures::of(status);
        if let Some(counts) = &mut self.counts {
            counts.add(status, &figures);
        }
        if let Some(users) = &mut self.users {
            users.push(OfUser {
                user: status.user.clone(),
                damaged: false,
                figures: Some(figures),
            });
        }
    }

    /// Counts one more user whose record cannot be read.
    pub(crate) fn count_damaged(&mut self, user: &str) {
        if let Some(counts) = &mut self.counts {
            counts.damaged = counts.damaged.saturating_add(1);
        }
        if let Some(users) = &mut self.users {
            users.push(OfUser {
                user: user.to_owned(),
                damaged: true,
                figures: None,
            });
        }
    }
}

impl Figures {
    fn of(status: &Status) -> Self {
        Self {
            enrolled: status.enrolled,
            disabled: status.disabled,
            held: status.throttled_until.is_some(),
            locked: status.locked,
            issued_codes: status.issued.len() as u64,
            recovery_codes_left: status.recovery_codes_left.unwrap_or(0) as u64,
            reachable: status.contacts.iter().any(Contact::is_confirmed),
            failures: status.failures.into(),
            last_login: status.last.as_ref().map(|last| last.at),
        }
    }
}

impl Counts {
    fn add(&mut self, status: &Status, of: &Figures) {
        let totp = status.authenticators_of("totp") as u64;
        let hotp = status.authenticators_of("hotp") as u64;
        for (sum, more) in [
            (&mut self.enrolled, of.enrolled.into()),
            (&mut self.disabled, of.disabled.into()),
            (&mut self.held, of.held.into()),
            (&mut self.locked, of.locked.into()),
            (&mut self.totp, totp),
            (&mut self.hotp, hotp),
            (&mut self.issued_codes, of.issued_codes),
            (&mut self.recovery_codes_left, of.recovery_codes_left),
            (&mut self.reachable, of.reachable.into()),
            (&mut self.failures, of.failures),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.last_login = self.last_login.max(of.last_login);
    }
}

impl Metrics {
    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        let mut text = Exposition::default();
        text.one(
            "policy_fault",
            "Whether the policy has a fault, so that every code is refused.",
            self.policy_fault,
        );
        // Where the store is stands in the policy.
        if !self.policy_fault {
            text.one(
                "store_readable",
                "Whether the store could be opened; if not, every code is refused.",
                self.store_readable,
            );
            text.one(
                "store_writable",
                "Whether records can be overwritten: not on a read-only file system.",
                self.store_writable,
            );
        }
        if let Some(counts) = &self.counts {
            counts.write(&mut text);
        }
        if let Some(sending) = &self.sending {
            write_sending(sending, &mut text);
        }
        if let Some(users) = self.users.as_ref().filter(|users| !users.is_empty()) {
            write_users(users, &mut text);
        }
        text.0
    }
}

fn write_sending(sending: &Sending, text: &mut Exposition) {
    text.one(
        "codes_sent_last_hour",
        "Codes that were sent within an hour, or tried to be.",
        sending.sent_in_last_hour,
    );
    text.one(
        "codes_waiting",
        "Codes that wait to be handed over.",
        sending.waiting as u64,
    );
    if let Some(oldest) = sending.oldest_at {
        text.one(
            "codes_waiting_oldest_timestamp_seconds",
            "When the oldest code was drawn that waits to be handed over, in Unix time.",
            oldest.0.as_secs(),
        );
    }
    text.one(
        "codes_undelivered",
        "Codes that could not be handed over, of those whose time is not over.",
        sending.failed as u64,
    );
}

impl Counts {
    fn write(&self, text: &mut Exposition) {
        for (name, help, value) in [
            (
                "users_enrolled",
                "Users with an authenticator or recovery codes.",
                self.enrolled,
            ),
            (
                "users_disabled",
                "Users whose every code is refused.",
                self.disabled,
            ),
            (
                "users_held",
                "Users whose codes are refused for a while, after failures.",
                self.held,
            ),
            (
                "users_locked",
                "Users whose authenticators are refused until they are unlocked.",
                self.locked,
            ),
            (
                "users_reachable",
                "Users with a confirmed contact, to whom codes can be sent.",
                self.reachable,
            ),
        ] {
            text.one(name, help, value);
        }
        text.family("authenticators", "Authenticators, by their type.");
        text.sample("authenticators", &[("type", "totp")], self.totp);
        text.sample("authenticators", &[("type", "hotp")], self.hotp);
        for (name, help, value) in [
            (
                "issued_codes",
                "Issued codes that are still good.",
                self.issued_codes,
            ),
            (
                "recovery_codes_left",
                "Recovery codes that are not used, of all users.",
                self.recovery_codes_left,
            ),
            (
                "failures",
                "Refused codes since the last accepted one of each user, of all users.",
                self.failures,
            ),
            (
                "records_damaged",
                "Users whose record cannot be read, so that their every code is refused.",
                self.damaged,
            ),
        ] {
            text.one(name, help, value);
        }
        if let Some(last) = self.last_login {
            text.one(
                "last_login_timestamp_seconds",
                "When the last code of anybody was accepted, in Unix time.",
                last.0.as_secs(),
            );
        }
    }
}

/// What is told of a user, what that is, and the figure, where she has it.
type Told = (&'static str, &'static str, fn(&Figures) -> Option<u64>);

const OF_USER: [Told; 9] = [
    (
        "user_enrolled",
        "Whether the user has an authenticator or recovery codes.",
        |of| Some(of.enrolled.into()),
    ),
    (
        "user_disabled",
        "Whether the user's every code is refused.",
        |of| Some(of.disabled.into()),
    ),
    (
        "user_held",
        "Whether the user's codes are refused for a while.",
        |of| Some(of.held.into()),
    ),
    (
        "user_locked",
        "Whether the user's authenticators are refused until she is unlocked.",
        |of| Some(of.locked.into()),
    ),
    (
        "user_issued_codes",
        "The user's issued codes that are still good.",
        |of| Some(of.issued_codes),
    ),
    (
        "user_recovery_codes_left",
        "The user's recovery codes that are not used.",
        |of| Some(of.recovery_codes_left),
    ),
    (
        "user_reachable",
        "Whether codes can be sent to the user.",
        |of| Some(of.reachable.into()),
    ),
    (
        "user_failures",
        "Refused codes since the user's last accepted one.",
        |of| Some(of.failures),
    ),
    (
        "user_last_login_timestamp_seconds",
        "When the user's last code was accepted, in Unix time.",
        |of| of.last_login.map(|at| at.0.as_secs()),
    ),
];

fn write_users(users: &[OfUser], text: &mut Exposition) {
    text.family("user_damaged", "Whether the user's record cannot be read.");
    for of in users {
        text.sample("user_damaged", &[("user", &of.user)], u64::from(of.damaged));
    }
    for (name, help, figure) in OF_USER {
        let told = users.iter().filter_map(|of| {
            let figure = of.figures.as_ref().and_then(figure)?;
            Some((of.user.as_str(), figure))
        });
        for (index, (user, figure)) in told.enumerate() {
            if index == 0 {
                text.family(name, help);
            }
            text.sample(name, &[("user", user)], figure);
        }
    }
}

/// The text being written. Every name begins with `pam_otp_`, and every figure is a gauge.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    /// A family of one figure.
    fn one(&mut self, name: &str, help: &str, value: impl Into<u64>) {
        self.family(name, help);
        self.sample(name, &[], value.into());
    }

    /// What the samples after it are. The help texts are ours, and have nothing to escape.
    fn family(&mut self, name: &str, help: &str) {
        self.push(&format_args!(
            "# HELP pam_otp_{name} {help}\n# TYPE pam_otp_{name} gauge\n"
        ));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.push(&format_args!("pam_otp_{name}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            self.push(&format_args!("{before}{label}=\"{}\"", escaped(text)));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.push(&format_args!("{end} {value}\n"));
    }

    fn push(&mut self, text: &impl Display) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "{text}");
    }
}

/// As a label's value is written: the three that would end it or the line are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

impl Answer for Metrics {
    fn page(&self, page: &mut Page) {
        for line in self.text().lines() {
            page.line(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_ends_before_its_text_does() {
        let mut text = Exposition::default();
        text.sample("x", &[("user", "a\\\"b\nc{d}")], 1);
        assert_eq!(text.0, "pam_otp_x{user=\"a\\\\\\\"b\\nc{d}\"} 1\n");
    }

    #[test]
    fn nothing_known_is_a_fault_and_no_zero() {
        let metrics = Metrics::new(false);
        assert!(metrics.is_at_fault());
        let text = metrics.text();
        assert!(text.contains("pam_otp_policy_fault 1\n"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
