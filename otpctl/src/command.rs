//! The verbs, one file each, and who may use them.

mod completions;
mod contact;
mod deliver;
mod demo;
mod doctor;
mod enroll;
mod explain;
mod export;
mod import;
mod issue;
mod list;
mod metrics;
mod policy;
mod recovery;
mod remove;
mod resync;
mod revoke;
mod show;
mod status;
mod sweep;
mod switch;
mod r#try;
mod verify;
mod watch;

use std::path::Path;

use nix::unistd::{geteuid, gethostname};

use crate::cli::{Cli, Verb};
use crate::failure::{Ending, Failure, Kind};
use crate::journal;
use crate::report::{Report, words};

/// What every verb gets besides its own arguments.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) config: Option<&'a Path>,
    pub(crate) report: &'a Report,
}

/// Does what was asked.
pub(crate) fn run(cli: &Cli, report: &Report) -> Result<Ending, Failure> {
    if needs_root(cli) && !geteuid().is_root() {
        return Err(Failure::new(
            Kind::NotPermitted,
            format!("needs root: sudo {}", again()),
        ));
    }
    let context = Context {
        config: cli.config.as_deref(),
        report,
    };
    match &cli.verb {
        Verb::Enroll(args) => enroll::run(context, args),
        Verb::Issue(args) => issue::run(context, args),
        Verb::Contact(args) => contact::run(context, args),
        Verb::Revoke(args) => revoke::run(context, args),
        Verb::Verify(args) => verify::run(context, &args.user),
        Verb::Status(args) => status::run(context, args),
        Verb::List => list::run(context),
        Verb::Metrics(args) => metrics::run(context, args),
        Verb::Unlock(args) => switch::run(context, &args.user, switch::Switch::Unlock),
        Verb::Resync(args) => resync::run(context, args),
        Verb::Forget(args) => switch::run(context, &args.user, switch::Switch::Forget),
        Verb::Disable(args) => switch::run(context, &args.user, switch::Switch::Disable),
        Verb::Enable(args) => switch::run(context, &args.user, switch::Switch::Enable),
        Verb::Remove(args) => remove::run(context, args),
        Verb::Recovery(args) => recovery::run(context, &args.user),
        Verb::Show(args) => show::run(context, args),
        Verb::Import(args) => import::run(context, args),
        Verb::Export(args) => export::run(context, args),
        Verb::Explain(args) => explain::run(context, args),
        Verb::Demo(args) => demo::run(context, args.model),
        Verb::Deliver(args) => deliver::run(context, args),
        Verb::Sweep => sweep::run(context),
        Verb::Doctor(args) => doctor::run(context, &args.service),
        Verb::Try(args) => r#try::run(context, args),
        Verb::Policy(args) => policy::run(context, args),
        Verb::Completions(args) => completions::run(context, args.shell),
    }
}

/// The demonstrations touch nothing, the policy is there for everybody to read, and how one stands oneself otpd tells, which
/// has its own policy.
fn needs_root(cli: &Cli) -> bool {
    match &cli.verb {
        Verb::Demo(_) | Verb::Policy(_) | Verb::Completions(_) => false,
        Verb::Status(args) => cli.config.is_some() || !status::is_about_oneself(args),
        _ => true,
    }
}

/// The command as it was typed, to copy; without its arguments where a shell would read them otherwise.
fn again() -> String {
    let is_plain = |arg: &String| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./@=+,:".contains(letter);
        arg.chars().all(plain) && !arg.is_empty()
    };
    let args = std::env::args_os().skip(1);
    let args: Result<Vec<String>, _> = args.map(std::ffi::OsString::into_string).collect();
    match args {
        Ok(args) if args.iter().all(is_plain) => format!("otpctl {}", args.join(" ")),
        _ => "otpctl …".to_owned(),
    }
}

/// This machine's name, as it is told to people.
fn host_name() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

impl Context<'_> {
    /// Logs what was done to a user; that it could not be logged is worth a warning, not an undoing.
    fn log(self, what: &str, rest: &str, user: &str) {
        if let Err(error) = journal::note(what, rest, user) {
            let why = words::os_error(&error);
            self.report
                .warning(&format!("this could not be logged (/dev/log: {why})"));
        }
    }

    /// Asks before something is destroyed: at a terminal; elsewhere `--yes` must have said it.
    fn agrees(self, yes: bool, question: &str) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !self.report.asks() {
            return Err(Failure::usage(format!(
                "{question} Where nobody can be asked, that takes --yes"
            )));
        }
        match crate::terminal::agrees(question) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(Kind::GivenUp, "given up; nothing has changed")),
            Err(error) => Err(Failure::io("read from", Path::new("the terminal"), &error)),
        }
    }
}
