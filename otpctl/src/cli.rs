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
    /// Draws a secret, shows it once, and asks for a first code, to prove that the app has it; of a token that counts, for two in a row. Until that is right nothing is written: Ctrl-C leaves everything as it was. What was typed is used up; the next code logs her in. Recovery codes are printed once, and only their keyed hashes are kept. With --json, and where there is no terminal, nothing is asked and no code is needed.
    ///
    /// A user has up to three authenticators, each with a name: --add puts one beside those she has, --replace takes one's place. A code of any of them is accepted, each once.
    ///
    /// A secret that exists already, of a YubiKey's OATH slot or a token bought with its seed, is read from standard input as base32 or as hexadecimal digits. What can only be one of them is taken for it; what can be both is refused until --secret-format says which.
    #[command(
        after_help = "Example: otpctl enroll alice\nA second device: otpctl enroll alice --add --name tablet\nA token that counts: otpctl enroll bob --type hotp --secret - < seed"
    )]
    Enroll(Enroll),

    /// Draw one-time codes that are kept here and handed over by a person
    ///
    /// The user need not be enrolled. A code is printed once, kept as a keyed hash, good once and until its time is over; she types it at the same prompt as the code of an app. Strangers' guesses do not spend it: five wrong answers of its length from one address end that address's tries, fifty in all end the code. Several users get theirs all or none. Who issued for whom and why is logged, the code never.
    ///
    /// With --send the code is not printed but sent to her confirmed contact (otpctl contact), so whoever issues it does not know it. A newer one takes the place of the older by the same channel, and what was guessed at it counts on. The limits of sending hold here too; what they refuse says when to try again.
    #[command(
        after_help = "Example: otpctl issue alice --ttl 15m --reason \"lost phone, called from desk 4711\"\nTo her telephone: otpctl issue alice --send sms"
    )]
    Issue(Issue),

    /// Show where codes can be sent to a user, or change it
    ///
    /// A user has at most one address of e-mail and one telephone number, and need not be enrolled. Setting one sends a code there and asks for it: codes for logins go to confirmed contacts alone. With --no-confirm, with --json and where there is no terminal nothing is asked, and --confirm takes the code later; five wrong ones end it. With --confirmed nothing is sent, because you vouch that it is hers. A new contact takes the place of the older one on its channel at once: codes that went there are withdrawn, and until the new one is confirmed none is sent to either. Every change is logged, with the address masked.
    ///
    /// Whoever reads what is sent there can answer for her. Contacts are shown whole to root here, and masked everywhere else.
    #[command(
        after_help = "Example: otpctl contact alice --sms +4917012345678\nThe code she was sent: otpctl contact alice --confirm sms\nShe stands beside you: otpctl contact alice --email alice@example.org --confirmed"
    )]
    Contact(Contact),

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
    /// Never shows a secret. With a user: enrolment, last use, how far her phone's clock was off, failures and holds, contacts (masked), issued and sent codes with their expiry, recovery codes left. Without one: how many users and codes there are, and what waits to be sent. With --watch it is drawn anew until Ctrl-C or q; with --json, and where there is no terminal, that is one JSON object a line. What cannot be read meanwhile is said, and it goes on; nothing is locked in between. Without root it shows how you stand yourself, as otpd(8) tells it.
    #[command(
        after_help = "Example: otpctl status alice\nWhile she tries: otpctl status alice --watch"
    )]
    Status(Status),

    /// Show every user with an authenticator, an issued code or a contact, one a line
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

    /// Bring an authenticator back into step by three codes in a row; reads them from standard input, one a line
    ///
    /// For a token that was pressed idly more often than the policy looks ahead, and for a clock that runs wrong. Type three codes in the order in which it shows them, none left out. A token is looked for a thousand codes ahead; a clock that is off by no more than the policy's max_drift is known from then on, and one that is further off is told by how much. It lets nobody in: the three codes are used up, no hold is ended and no failure forgotten, and a wrong answer counts as at a login.
    #[command(
        after_help = "Example: otpctl resync alice --name token\nBy a script: otpctl resync alice --name token < three-codes"
    )]
    Resync(Named),

    /// Ask a user for a code again wherever she comes from
    ///
    /// Ends the time that addresses are remembered for, where the policy remembers them. Her authenticators and codes stay as they are.
    #[command(after_help = "Example: otpctl forget alice")]
    Forget(User),

    /// Refuse every code of a user; it exempts nobody
    ///
    /// Her secret, codes, contacts and failures stay as they are; nothing is sent to her meanwhile, and what waits to be sent is withdrawn. With nullok on the PAM line she is refused too: it is for users of whom nothing is kept.
    #[command(after_help = "Example: otpctl disable alice")]
    Disable(User),

    /// Take codes of a disabled user again
    ///
    /// Holds and failures from before are as they were: see otpctl unlock.
    #[command(after_help = "Example: otpctl enable alice")]
    Enable(User),

    /// Delete everything kept of a user, or one of her authenticators
    ///
    /// Secrets, state, issued and recovery codes, contacts; with --name one of several authenticators alone, and the rest stays. Asks at a terminal, needs --yes elsewhere. Says whether she can still log in, by what the PAM lines of this machine do with users who are not enrolled.
    #[command(
        after_help = "Example: otpctl remove alice --yes\nOne of her devices: otpctl remove alice --name tablet --yes"
    )]
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

    /// Take over users from other software, or from a backup
    ///
    /// Reads .google_authenticator files, users.oath of pam_oath, otpauth:// URIs (also the export of Google's app), CSV with the header user,uri, plain PSKC (RFC 6030) and archives of otpctl export. Used codes, counters, the drift of clocks and scratch codes come along where the file has them. Each user comes whole or not at all; who is enrolled already is skipped. A line that cannot be taken is named by its number, never by its text, and the others go in; the exit code is then 1. Killed, it can be run again.
    #[command(
        after_help = "Example: otpctl import --format users.oath /etc/users.oath\nOne user: otpctl import --user alice /home/alice/.google_authenticator\nAll users: otpctl import --homes"
    )]
    Import(Import),

    /// Write all enrolled users to a file, for a backup or for other software
    ///
    /// An archive holds everything but issued codes and failures, encrypted with a passphrase; otpctl import restores it, and age -d opens it. CSV and otpauth URIs hold the secrets in plain text, and neither used codes nor recovery codes. The file is made new, for root alone. This is logged.
    #[command(
        after_help = "Example: otpctl export --output /root/otp.age --passphrase-file /root/passphrase"
    )]
    Export(Export),

    /// Show how a user's code comes about now, and what the server would say to its neighbours
    ///
    /// Uses nothing up. Compare the time and the code with what the phone shows to see whose clock is off. The code shown is good: treat the screen as you would her phone.
    #[command(after_help = "Example: otpctl explain alice")]
    Explain(Explain),

    /// Show the two kinds of codes at work on a throw-away store; needs no root
    ///
    /// Runs on the real clock and touches nothing of this machine's installation; of the codes that the second one sends, you see what would be sent.
    #[command(after_help = "Example: otpctl demo totp\n         otpctl demo stored")]
    Demo(Demo),

    /// Hand over the codes that people asked for, by e-mail and SMS; a unit runs it
    ///
    /// Takes what waits in the queue, hands each code to what the policy names (a sendmail program, an SMTP server, a command for SMS), and keeps what came of it for the next answer at the prompt. Each is handed over by a process of its own with a time limit, up to four at once for each channel, so that a slow gateway keeps nobody else waiting. Reads the policy and the queue alone, no secret.
    ///
    /// Where systemd runs the machine, otpctl-deliver.path starts it when something waits, and otpctl-settle.path tells the store of what failed. Elsewhere run it without an option: it stays, looks every second, and does both. What was sent and what was not is logged, with the address masked and never the code. A code that cannot be handed over is withdrawn.
    #[command(after_help = "Example: otpctl deliver\nWhat waits now: otpctl deliver --once")]
    Deliver(Deliver),

    /// Delete codes that are expired or used; a timer runs it
    ///
    /// Also clears away what crashes left half-made. Nothing depends on it: a spent code is refused, swept or not.
    #[command(after_help = "Example: otpctl sweep")]
    Sweep,

    /// Look for what would keep people out, or let them in too easily
    ///
    /// Reads the service's PAM lines with what they include and plays them through: a wrong code, no password, an unreadable store, a user who is not enrolled. Asks sshd for the settings in force, for each user where Match blocks make a difference. Looks at the files of the modules, the clock, owners and modes, room, records of nobody. Knows what locked people out elsewhere. Changes nothing; every finding comes with what mends it.
    #[command(after_help = "Example: otpctl doctor sshd")]
    Doctor(Doctor),

    /// Have a service ask for codes, and take that back unless a login proves it
    ///
    /// Shows the change to /etc/pam.d/SERVICE (and to sshd's settings) as a difference, asks, and makes it. Then log in from another window, with a code, and press Enter, or run otpctl try --keep. Without such a login nothing is kept: after two minutes everything is as before, also if this terminal, the connection or the machine is gone by then. A file that somebody edited meanwhile is left alone. A login counts if the service accepted a code after the change; it is read from the records of the users, not from a log. Without SERVICE: what is being tried.
    #[command(
        after_help = "Example: otpctl try sshd\nA key and a code: otpctl try sshd --key\nFrom another window: otpctl try --keep\nAt once as before: otpctl try --roll-back"
    )]
    Try(Try),

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
pub(crate) struct Named {
    /// The user, as the passwd database knows her
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Args)]
pub(crate) struct Which {
    /// Which of her authenticators; where she has one alone it need not be said
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
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
pub(crate) struct Deliver {
    /// Hand over what waits, then end
    #[arg(long, conflicts_with = "settle")]
    pub(crate) once: bool,

    /// Hand nothing over; withdraw the codes that could not be, then end
    #[arg(long)]
    pub(crate) settle: bool,

    /// Hand over this one, which was taken
    #[arg(long, hide = true, value_name = "NAME", conflicts_with_all = ["once", "settle"])]
    pub(crate) taken: Option<String>,
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

    /// Seconds a code of a time-based authenticator is shown [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(5..=300))]
    pub(crate) period: Option<u16>,

    /// The counter of a counter-based token's next code [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) counter: Option<u64>,

    /// What this authenticator is called [default: app, or token where it counts]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Put it beside those she has; her recovery codes stay unless --recovery-codes asks for new ones
    #[arg(long, conflicts_with = "replace")]
    pub(crate) add: bool,

    /// Who the code is for, as the app shows it [default: this machine's name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) issuer: Option<String>,

    /// Whose account it is, as the app shows it [default: the user]
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// Take a secret that exists already, from standard input, instead of drawing one
    #[arg(long, value_name = "-")]
    pub(crate) secret: Option<String>,

    /// How that secret is spelled; hex: or 0x before it says hex as well
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Auto, requires = "secret")]
    pub(crate) secret_format: Format,

    /// How many recovery codes come with it; with 0 those she has stay [default: 10, and 0 with --add]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=64))]
    pub(crate) recovery_codes: Option<u8>,

    #[command(flatten)]
    pub(crate) qr: Qr,

    /// Do not ask for a first code
    #[arg(long)]
    pub(crate) no_confirm: bool,

    /// Take the place of the authenticator of that name, or of the only one that is there
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
pub(crate) enum Format {
    /// Whichever it can be; what can be both is refused
    Auto,
    /// Letters A to Z, digits 2 to 7
    Base32,
    /// Hexadecimal digits
    Hex,
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

    /// Send it to her confirmed contact instead of printing it; one user, one code
    #[arg(long, value_enum, value_name = "CHANNEL", conflicts_with = "count")]
    pub(crate) send: Option<Channel>,
}

/// A way by which codes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Channel {
    /// To her mailbox
    Email,
    /// To her telephone
    Sms,
}

#[derive(Args)]
pub(crate) struct Contact {
    /// The user, as the passwd database knows her
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    /// Send her codes to this address of e-mail
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,

    /// Send her codes to this telephone number, spelled as in +4917012345678
    #[arg(long, value_name = "NUMBER")]
    pub(crate) sms: Option<String>,

    /// Confirm a contact by the code that was sent there, which is read from standard input
    #[arg(long, value_enum, value_name = "CHANNEL", conflicts_with_all = ["email", "sms", "remove"])]
    pub(crate) confirm: Option<Channel>,

    /// Take a contact away
    #[arg(long, value_enum, value_name = "CHANNEL", conflicts_with_all = ["email", "sms"])]
    pub(crate) remove: Option<Channel>,

    /// Take it as confirmed and send nothing: you vouch for it
    #[arg(long, conflicts_with_all = ["confirm", "remove", "no_confirm"])]
    pub(crate) confirmed: bool,

    /// Do not ask for the code that is sent
    #[arg(long, conflicts_with_all = ["confirm", "remove"])]
    pub(crate) no_confirm: bool,

    /// Do not ask before a confirmed contact goes
    #[arg(long)]
    pub(crate) yes: bool,
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

    /// Only the authenticator of this name, never her last one
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

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
    pub(crate) which: Which,

    #[command(flatten)]
    pub(crate) qr: Qr,
}

#[derive(Args)]
pub(crate) struct Import {
    /// The file; - for standard input
    #[arg(
        value_name = "FILE",
        required_unless_present = "homes",
        conflicts_with = "homes"
    )]
    pub(crate) file: Option<PathBuf>,

    /// What kind of file it is [default: as its beginning looks]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Incoming>,

    /// Read ~/.google_authenticator of every user that getent passwd lists
    #[arg(long)]
    pub(crate) homes: bool,

    /// Whose it is, where the file does not say or says it otherwise
    #[arg(long, value_name = "USER", conflicts_with = "homes")]
    pub(crate) user: Option<String>,

    /// Take the places of enrolments that are there
    #[arg(long)]
    pub(crate) replace: bool,

    /// Look at everything first, and write nothing if one line is at fault
    #[arg(long)]
    pub(crate) all_or_nothing: bool,

    /// Take secrets of 80 to 127 bits too, as google-authenticator once drew them
    #[arg(long)]
    pub(crate) allow_short: bool,

    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

#[derive(Args)]
pub(crate) struct Export {
    /// What is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Outgoing::Archive)]
    pub(crate) format: Outgoing,

    /// The file, which must not be there yet; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

#[derive(Args)]
pub(crate) struct Passphrase {
    /// The file whose first line is the passphrase of an archive [default: asked for, or the first line of standard input]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Incoming {
    /// .google_authenticator of google-authenticator-libpam
    GoogleAuthenticator,
    /// users.oath of pam_oath
    #[value(name = "users.oath")]
    UsersOath,
    /// otpauth:// URIs, one a line
    Otpauth,
    /// CSV with the header user,uri
    Csv,
    /// PSKC (RFC 6030) with plain values
    Pskc,
    /// What otpctl export wrote
    Archive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outgoing {
    /// Encrypted with a passphrase, everything in it
    Archive,
    /// CSV with the header user,uri
    Csv,
    /// otpauth:// URIs, one a line
    Otpauth,
}

#[derive(Args)]
pub(crate) struct Explain {
    /// The user, as the passwd database knows her
    #[arg(value_name = "USER")]
    pub(crate) user: String,

    #[command(flatten)]
    pub(crate) which: Which,

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
pub(crate) struct Try {
    /// The service, as its file in /etc/pam.d is called; without one, what is being tried
    #[arg(value_name = "SERVICE", conflicts_with_all = ["keep", "roll_back"])]
    pub(crate) service: Option<String>,

    /// After how many minutes it is taken back
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=60))]
    pub(crate) minutes: u8,

    /// The same as a time, such as 90s or 2m
    #[arg(long, value_name = "TIME", conflicts_with = "minutes")]
    pub(crate) timeout: Option<String>,

    /// Let users in who are not enrolled, without a code
    #[arg(long)]
    pub(crate) nullok: bool,

    /// For sshd: a key and a code, instead of a password and a code
    #[arg(long)]
    pub(crate) key: bool,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,

    /// Keep what is being tried; refused unless somebody logged in by it
    #[arg(long, conflicts_with = "roll_back")]
    pub(crate) keep: bool,

    /// Take back what is being tried, now
    #[arg(long)]
    pub(crate) roll_back: bool,

    /// Only if its time is over, or the machine was started again
    #[arg(long, hide = true, requires = "roll_back")]
    pub(crate) due: bool,

    /// Wait for the time to be over, and take it back then
    #[arg(long, hide = true, conflicts_with_all = ["service", "keep", "roll_back"])]
    pub(crate) watch: bool,
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
