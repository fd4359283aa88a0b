//! The built module and the built command, tried hard: many at one instant, killed at every system call, and with every system
//! call failing once. A short form of each runs with the other tests; `PAM_OTP_TRIALS=full` runs all of it,
//! some twenty minutes on two cores.

mod door;
mod fault;
mod first_login;
mod kill;
mod logins;
mod race;
mod requests;
mod verbs;

use std::env;
use std::time::Duration;

use tests::sandbox::{self, Extras, TOLD, sandboxed_with};

/// Runs a trial in a sandbox that has the command and a login as a program.
fn trial<F: FnOnce()>(trial: F) {
    let programs = || {
        vec![
            sandbox::otpctl().to_path_buf(),
            sandbox::otpd().to_path_buf(),
            env!("CARGO_BIN_EXE_login").into(),
        ]
    };
    let extras = Extras {
        programs: Some(programs),
        patience: Some(Duration::from_secs(if is_full() { 7200 } else { 600 })),
        ..Extras::default()
    };
    sandboxed_with(extras, trial);
}

/// Whether all of it is asked for.
fn is_full() -> bool {
    env::var_os("PAM_OTP_TRIALS").is_some_and(|how| how == "full")
}

/// How often: of the short form, or of the long one.
fn rounds(short: usize, full: usize) -> usize {
    if is_full() { full } else { short }
}

/// Tells how much was tried.
fn told(what: &str) {
    println!("{TOLD}{what}");
}
