//! The shapes of the command line: verbs, flags, their help. Nothing here does anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Enrols users for one-time codes, issues codes and looks after both.
///
/// A one-time-code prompt can be answered from two sources. A time-based code is math: a phone and this machine share
/// a secret and a clock. An issued code is memory: drawn here, kept as a keyed hash, and handed over by a person. Each is
/// accepted once. Results go to standard output; questions, warnings and errors to standard error. Everything but demo,
/// policy and completions needs root. No secret is ever taken from the command line.
#[derive(Parser)]
#[command(
    name = "otpctl",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "A first code: otpctl enroll alice\nWhat it is all about, without root: otpctl demo totp"
)]
pub(crate) struct Cli {
    /// Print one JSON object on standard output and ask nothing
    #[arg(long, global = true, display_order = 100)]
    pub(crate) json: bool,

    /// Go by this policy file instead of /etc/security/otp.toml
    #[arg(long, global = true, value_name = "FILE", display_order = 101)]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Give a user an authenticator: shows its secret once, as a QR code and as a key to type
    ///
    /// Draws a secret, shows it once, and asks for a first code, to prove that the app has it. Until that code is right nothing is written: Ctrl-C leaves everything as it was. That code is used up; the next one logs her in. Recovery codes are printed once, and only their keyed hashes are kept. With --json, and where there is no terminal, nothing is asked and no code is needed.
    #[command(after_help = "Example: otpctl enroll alice")]
    Enroll(Enroll),

    /// Draw one-time codes that are kept here and handed over by a person
    ///
    /// The user need not be enrolled. A code is printed once, kept as a keyed hash, good once and until its time is over; she types it at the same prompt as the code of an app. Strangers' guesses do not spend it: five wrong answers of its length from one address end that address's tries, fifty in all end the code. Several users get theirs all or none. Who issued for whom and why is logged, the code never.
    #[command(
        after_help = "Example: otpctl issue alice --ttl 15m --reason \"lost phone, called from desk 4711\""
    )]
    Issue(Issue),

    /// Delete issued codes
    ///
    /// With a user alone all of hers go. A user who is gone from the passwd database is fine. A restored backup brings used codes back until they expire: --everyone is the remedy.
    #[command(
        after_help = "Example: otpctl revoke alice 3f9c02d1\nAfter a restored backup: otpctl revoke --everyone"
    )]
    Revoke(Revoke),

    /// Answer as a login would, and use the code up; reads it from standard input
    ///
    /// Judged by the same function and kept in the same records as at a login, with the local console as its origin: an accepted code is dead, a wrong one counts. The reason a person at a prompt is never told is told here.
    #[command(after_help = "Example: echo 492039 | otpctl verify alice")]
    Verify(User),

    /// Show how a user stands, or without a user the whole installation
    ///
    /// Never shows a secret. With a user: enrolment, last use, how far her phone's clock was off, failures and holds, issued codes with their expiry, recovery codes left. With --watch it is drawn anew until Ctrl-C or q; with --json, and where there is no terminal, that is one JSON object a line. What cannot be read meanwhile is said, and it goes on; nothing is locked in between.
    #[command(
        after_help = "Example: otpctl status alice\nWhile she tries: otpctl status alice --watch"
    )]
    Status(Status),

    /// Show every user with an authenticator or an issued code, one a line
    ///
    /// With --json one object a line. A record that cannot be read is named on standard error (with --json in its place), the others are shown all the same, and the exit code is 5.
    #[command(after_help = "Example: otpctl list --json")]
    List,

    /// Print figures for Prometheus, such as how many users are held, and no names
    ///
    /// Prometheus' text format, for the textfile collector of its node exporter. No user is named unless --per-user asks for it: names are many, and private. A record that cannot be read is counted, the others too, and the exit code is 5; with a faulty policy or an unreadable store the figures that are left say so.
    #[command(
        after_help = "Example: otpctl metrics --output /var/lib/prometheus/node-exporter/pam_otp.prom"
    )]
    Metrics(Metrics),

    /// End holds and forget failures
    ///
    /// After a hundred failures since the last accepted code, time-based codes are refused until this is run or a stored or recovery code is accepted.
    #[command(after_help = "Example: otpctl unlock alice")]
    Unlock(User),

    /// Refuse every code of a user; it exempts nobody
    ///
    /// Her secret, codes and failures stay as they are. With nullok on the PAM line she is refused too: it is for users of whom nothing is kept.
    #[command(after_help = "Example: otpctl disable alice")]
    Disable(User),

    /// Take codes of a disabled user again
    ///
    /// Holds and failures from before are as they were: see otpctl unlock.
    #[command(after_help = "Example: otpctl enable alice")]
    Enable(User),

    /// Delete everything kept of a user
    ///
    /// Secret, state, issued and recovery codes. Asks at a terminal, needs --yes elsewhere. Says whether she can still log in, by what the PAM lines of this machine do with users who are not enrolled.
    #[command(after_help = "Example: otpctl remove alice --yes")]
    Remove(Remove),

    /// Replace a user's recovery codes, without touching the secret
    ///
    /// Prints ten new ones, once. Those from before no longer work.
    #[command(after_help = "Example: otpctl recovery alice")]
    Recovery(User),

    /// Show an authenticator's QR code and key again, for a second device; this is logged
    ///
    /// Whoever sees it can log in as her. Recovery codes cannot be shown again: otpctl recovery makes new ones.
    #[command(after_help = "Example: otpctl show alice --qr alice.png")]
    Show(Show),

    /// Show how a user's code comes about now, and what the server would say to its neighbours
    ///
    /// Uses nothing up. Compare the time and the code with what the phone shows to see whose clock is off. The code shown is good: treat the screen as you would her phone.
    #[command(after_help = "Example: otpctl explain alice")]
    Explain(Explain),

    /// Show the two kinds of codes at work on a throw-away store; needs no root
    ///
    /// Runs on the real clock and touches nothing of this machine's installation.
    #[command(after_help = "Example: otpctl demo totp\n         otpctl demo stored")]
    Demo(Demo),

    /// Delete codes that are expired or used; a timer runs it
    ///
    /// Also clears away what crashes left half-made. Nothing depends on it: a spent code is refused, swept or not.
    #[command(after_help = "Example: otpctl sweep")]
    Sweep,

    /// Look for what would keep people out, or let them in too easily
    ///
    /// Reads the service's PAM lines with what they include and plays them through: a wrong code, no password, an unreadable store, a user who is not enrolled. Looks at sshd's settings, the module's file, the clock, owners and modes, room, records of nobody. Changes nothing; every finding comes with what mends it.
    #[command(after_help = "Example: otpctl doctor sshd")]
    Doctor(Doctor),

    /// Show the policy in force, or check a file before it is saved
    ///
    /// A policy with a fault refuses everybody's codes, so check before you save. Needs no root for what can be read without.
    #[command(after_help = "Example: otpctl policy --check otp.toml.new")]
    Policy(Policy),

    /// Print a completion script
    ///
    /// For bash, zsh or fish. The package installs them already.
    #[command(
        after_help = "Example: otpctl completions bash > /usr/share/bash-completion/completions/otpctl"
    )]
    Completions(Completions),
}

#[derive(Args)]
pub(crate) struct User {
    /// The user, as the passwd database knows her
    #[arg(value_name = "USER")]
    pub(crate) user: String,
}

#[derive(Args)]
pub(crate) struct Status {
    /// The user; without one, the installation
    #[arg(value_name = "USER")]
    pub(crate) user: Option<String>,

    /// Show it again every so many seconds, two unless said, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) watch: Option<u32>,
}

#[derive(Args)]
pub(crate) struct Metrics {
    /// Write to this file, all at once and readable by everybody, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Tell figures of every user too, by name
    #[arg(long)]
    pub(crate) per_user: bool,
}

#[derive(Args)]
pub(crate) struct Enroll {
    /// The user, as the passwd database knows her
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    /// What moves the codes on
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t = Type::Totp)]
    pub(crate) kind: Type,

    /// The hash; some apps know sha1 alone
    #[arg(long, value_enum, default_value_t = Hash::Sha1)]
    pub(crate) algorithm: Hash,

    /// Digits of a code
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(6..=8))]
    pub(crate) digits: u8,

    /// Seconds a code is shown
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(5..=300))]
    pub(crate) period: u16,

    /// Who the code is for, as the app shows it [default: this machine's name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) issuer: Option<String>,

    /// Whose account it is, as the app shows it [default: the user]
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// Take a secret that exists already, as base32 from standard input, instead of drawing one
    #[arg(long, value_name = "-")]
    pub(crate) secret: Option<String>,

    /// How many recovery codes come with it; with 0 those she has stay [default: 10]
    #[arg(long, value_name = "N", default_value_t = 10, hide_default_value = true, value_parser = clap::value_parser!(u8).range(0..=64))]
    pub(crate) recovery_codes: u8,

    #[command(flatten)]
    pub(crate) qr: Qr,

    /// Do not ask for a first code
    #[arg(long)]
    pub(crate) no_confirm: bool,

    /// Take the place of an enrolment that is there
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Args)]
pub(crate) struct Qr {
    /// How the QR code is drawn: utf8, ascii, none, or a new file that ends in .png or .svg
    #[arg(long, value_name = "HOW", default_value = "utf8")]
    pub(crate) qr: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    /// Time (RFC 6238)
    Totp,
    /// A counter (RFC 4226)
    Hotp,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Args)]
pub(crate) struct Issue {
    /// For whom; all of them or none
    #[arg(value_name = "USER", required = true)]
    pub(crate) users: Vec<String>,

    /// How long a code is good, such as 90s, 15m or 2h [default: the policy's issued.ttl]
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: Option<String>,

    /// Digits of a code [default: the policy's issued.digits]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(6..=10))]
    pub(crate) digits: Option<u8>,

    /// How many codes each user gets
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) count: u8,

    /// Why, for status and the log
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
}

#[derive(Args)]
pub(crate) struct Revoke {
    /// Whose codes
    #[arg(value_name = "USER", required_unless_present = "everyone")]
    pub(crate) user: Option<String>,

    /// Which code, as status names it; its first four characters do where no other has them
    #[arg(value_name = "ID", conflicts_with = "all")]
    pub(crate) id: Option<String>,

    /// All codes of the user, as without an ID
    #[arg(long)]
    pub(crate) all: bool,

    /// All codes of all users
    #[arg(long, conflicts_with_all = ["user", "id", "all"])]
    pub(crate) everyone: bool,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct Remove {
    /// The user; one who is gone from the passwd database is fine
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The user, as the passwd database knows her
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    #[command(flatten)]
    pub(crate) qr: Qr,
}

#[derive(Args)]
pub(crate) struct Explain {
    /// The user, as the passwd database knows her
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    /// Show the secret too; this is logged
    #[arg(long)]
    pub(crate) show_secret: bool,
}

#[derive(Args)]
pub(crate) struct Demo {
    #[command(subcommand)]
    pub(crate) model: Model,
}

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum Model {
    /// A code that secret and clock give on both sides
    #[command(after_help = "Example: otpctl demo totp")]
    Totp,
    /// A code that is drawn, kept as a keyed hash, and expires
    #[command(after_help = "Example: otpctl demo stored")]
    Stored,
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// The service, as its file in /etc/pam.d is called
    #[arg(value_name = "SERVICE", default_value = "sshd")]
    pub(crate) service: String,
}

#[derive(Args)]
pub(crate) struct Policy {
    /// Check this file and name every fault by its line
    #[arg(long, value_name = "FILE")]
    pub(crate) check: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}
