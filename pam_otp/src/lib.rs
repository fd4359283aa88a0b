//! The PAM module: its hooks, and nothing else. One login is told in [`login`], what it comes to in [`answer`],
//! and what is written of it in [`journal`]. The only unsafe code is in [`ffi`], and in the entry points that
//! `pam_hooks!` makes, which check their arguments and stop a panic at the boundary.
#![deny(unsafe_code)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "pam_otp needs panic = \"unwind\": a panic must end in a denial, not take the host with it"
);

mod answer;
mod ffi;
mod host;
mod journal;
mod login;
mod machine;
mod options;
mod panics;
mod stack;

use std::ffi::CStr;

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

use crate::host::PamHost;
use crate::login::{Failure, Host, Outcome};
use crate::machine::ThisMachine;
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
        let login = || match Options::parse(&args) {
            Ok(options) => login::login(&options, host.with_notes(options.debug), &ThisMachine),
            Err(bad) => {
                host.delay_failure();
                Outcome::Failed(Failure::Unavailable(bad.to_string()))
            }
        };
        let outcome = stack::wiped_after(|| panics::stopped(login));
        journal::write(&outcome, &host);
        answer::code(&outcome)
    }

    /// Answers PAM_IGNORE. First-login enrolment will live here; until then its argument is an unknown one.
    fn acct_mgmt(pamh: &mut PamHandle, args: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        let outcome = panics::stopped(|| match AccountOptions::parse(&args) {
            Ok(AccountOptions) => Outcome::Exempt,
            Err(bad) => Outcome::Failed(Failure::Unavailable(bad.to_string())),
        });
        journal::write(&outcome, &PamHost::new(pamh));
        answer::code(&outcome)
    }

    /// There are no credentials to set; a stack that only has us must not fail for it.
    fn sm_setcred(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }
}
