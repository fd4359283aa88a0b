//! The PAM module: its hooks, and nothing else. One login is told in [`login`], what it comes to in [`answer`],
//! and what is written of it in [`journal`]. The only unsafe code is in [`ffi`], and in the entry points that
//! `pam_hooks!` makes, which check their arguments and stop a panic at the boundary.
#![deny(unsafe_code)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "pam_otp needs panic = \"unwind\": a panic must end in a denial, not take the host with it"
);

mod account;
mod answer;
mod door;
mod ffi;
mod first_login;
mod host;
mod journal;
mod login;
mod machine;
mod mark;
mod options;
mod panics;
mod request;
mod stack;

use std::ffi::CStr;

use pam::constants::{PAM_SILENT, PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

use crate::account::Settled;
use crate::door::Machinery;
use crate::host::PamHost;
use crate::login::{Failure, Host, Outcome};
use crate::options::{AccountOptions, Options};

struct PamOtp;

/// The symbols libpam looks for, and all that the module exports.
mod entry {
    #![allow(
        missing_docs,
        reason = "the macro makes functions without documentation"
    )]

    use super::PamOtp;
    pam::pam_hooks!(PamOtp);
}

impl PamHooks for PamOtp {
    fn sm_authenticate(pamh: &mut PamHandle, args: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        let mut host = PamHost::new(pamh);
        let machine = Machinery::of(&host);
        let login = || match Options::parse(&args) {
            Ok(options) => login::login(&options, host.with_notes(options.debug), &machine),
            Err(bad) => {
                host.delay_failure();
                Outcome::Failed(Failure::Unavailable(bad.to_string()))
            }
        };
        let outcome = stack::wiped_after(|| panics::stopped(login));
        let outcome = outcome.unwrap_or_else(Outcome::Failed);
        // What came after otpd's own line, such as a fault of ours, is told nowhere else.
        let stands_in_the_log = machine.is_told() && matches!(outcome, Outcome::Judged(_));
        if !stands_in_the_log {
            journal::write(&outcome, &host);
        }
        answer::code(&outcome)
    }

    fn acct_mgmt(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        let mut host = PamHost::new(pamh);
        let silent = flags & PAM_SILENT != 0;
        let machine = Machinery::of(&host);
        let account = || match AccountOptions::parse(&args) {
            Ok(options) => account::settle(&options, silent, &mut host, &machine),
            Err(bad) => Settled::Failed(Failure::Unavailable(bad.to_string())),
        };
        let settled = stack::wiped_after(|| panics::stopped(account));
        let settled = settled.unwrap_or_else(Settled::Failed);
        journal::write_account(&settled, &host);
        answer::account_code(&settled)
    }

    /// There are no credentials to set; a stack that only has us must not fail for it.
    fn sm_setcred(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }
}
