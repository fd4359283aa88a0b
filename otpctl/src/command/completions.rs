//! `completions`: a script for the shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Context;
use crate::cli::{self, Cli};
use crate::failure::{Ending, Failure};

pub(super) fn run(context: Context<'_>, shell: cli::Shell) -> Result<Ending, Failure> {
    let shell = match shell {
        cli::Shell::Bash => Shell::Bash,
        cli::Shell::Zsh => Shell::Zsh,
        cli::Shell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "otpctl", &mut script);
    context.report.raw(&script)?;
    Ok(Ending::Done)
}
