//! Enrols users for one-time codes, issues codes and looks after both: what an administrator types.
//! Wiring and the exit code; the verbs are in [`command`], everything printed is in [`report`].
#![forbid(unsafe_code)]

mod account;
mod age;
mod archive;
mod choice;
mod cli;
mod clock;
mod command;
mod confirm;
mod entropy;
mod failure;
mod house;
mod import;
mod journal;
mod pam_stack;
mod passphrase;
mod qr;
mod report;
mod sshd;
mod terminal;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::report::Report;

fn main() -> ExitCode {
    // No core dump, and nobody looks into our memory. Where the kernel does not have it, we go on without.
    let _ = nix::sys::prctl::set_dumpable(false);
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    // A policy is read from its directory, so that has to be known.
    cli.config = cli
        .config
        .map(|path| std::path::absolute(&path).unwrap_or(path));
    let report = Report::new(cli.json);
    let exit = match command::run(&cli, &report) {
        Ok(ending) => ending.exit(),
        Err(failure) => report.failure(&failure),
    };
    ExitCode::from(exit)
}

/// Help and version go out as they are. A usage error is one sentence, like every other.
fn not_understood(error: &clap::Error) -> ExitCode {
    let is_wanted = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if is_wanted || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Nobody is left to tell where this cannot be printed.
        let _ = error.print();
        return ExitCode::from(if is_wanted { 0 } else { 2 });
    }
    let report = Report::new(std::env::args_os().any(|arg| arg == "--json"));
    ExitCode::from(report.failure(&Failure::usage(sentence(&error.to_string()))))
}

/// The first paragraph of what clap says, on one line, and where to look.
fn sentence(said: &str) -> String {
    let first = said.split("\n\n").next().unwrap_or(said);
    let words: Vec<&str> = first.split_whitespace().collect();
    let text = words.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let verbs = Cli::command();
    let verb = std::env::args_os().find_map(|arg| verbs.find_subcommand(arg));
    let verb = verb.map_or_else(String::new, |verb| format!(" {}", verb.get_name()));
    format!("{text}; see otpctl{verb} --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example() {
        for verb in Cli::command().get_subcommands() {
            let after = verb.get_after_help().map(ToString::to_string);
            assert!(
                after.is_some_and(|text| text.contains("otpctl ")),
                "{}",
                verb.get_name()
            );
        }
    }
}
