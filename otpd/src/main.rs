//! Checks one-time codes for programs that do not run as root. [`keeper`] stands at the door and lets askers in, each of
//! whom is answered by a process of her own ([`answer`]), which ends with the answer.
#![forbid(unsafe_code)]

mod answer;
mod askers;
mod keeper;
mod line;
mod listen;
mod peer;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use nix::sys::prctl;
use nix::unistd::geteuid;

use crate::words::{Task, Words};

fn main() -> ExitCode {
    // No core dump, and nobody looks into our memory. Where the kernel does not have it, we go on without.
    let _ = prctl::set_dumpable(false);
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match Words::parse(&words) {
        Ok(words) => run(&words),
        Err(why) => {
            complain(&why);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn run(words: &Words) -> Result<(), String> {
    match words.task {
        Task::Help => return say(words::HELP),
        Task::Version => return say(concat!("otpd ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => {}
    }
    if !geteuid().is_root() {
        return Err("needs root: the secrets are root's alone".to_owned());
    }
    let config = words.config.as_deref();
    match words.task {
        Task::Answer => answer::answer(config),
        Task::Listen => {
            let listening = listen::at_the_policys_place(config)?;
            keeper::keep(&listening.listener, keeper::Until::Told, config)
        }
        _ => {
            let listener = listen::handed_over()?;
            keeper::keep(&listener, keeper::Until::NobodyComes, config)
        }
    }
}

fn say(text: &str) -> Result<(), String> {
    let mut to = std::io::stdout().lock();
    to.write_all(text.as_bytes())
        .map_err(|error| error.to_string())
}

/// To whoever started us: a terminal, or the journal.
fn complain(why: &str) {
    // There is nobody left to tell that standard error takes nothing.
    let _ = writeln!(std::io::stderr().lock(), "otpd: {why}");
}
