//! What the host is told.

use otp::verify::Verdict;
use pam::constants::PamResultCode;

use crate::account::Settled;
use crate::login::{Failure, Outcome};

/// The PAM code of an outcome. Exhaustive, so that a new outcome is a decision. Every refusal is the same one: why
/// is for the log, and the person at the prompt cannot tell the reasons apart.
pub(crate) const fn code(outcome: &Outcome) -> PamResultCode {
    match outcome {
        Outcome::Judged(Verdict::Accepted(_)) => PamResultCode::PAM_SUCCESS,
        Outcome::Judged(Verdict::Refused(_)) => PamResultCode::PAM_AUTH_ERR,
        Outcome::Exempt(_) => PamResultCode::PAM_IGNORE,
        Outcome::Failed(failure) => of_failure(failure),
    }
}

/// The PAM code of an account line. It grants nothing.
pub(crate) const fn account_code(settled: &Settled) -> PamResultCode {
    match settled {
        Settled::NoConcern | Settled::Enrolled { .. } => PamResultCode::PAM_IGNORE,
        Settled::Refused(_) => PamResultCode::PAM_PERM_DENIED,
        Settled::Failed(failure) => of_failure(failure),
    }
}

const fn of_failure(failure: &Failure) -> PamResultCode {
    match failure {
        Failure::Unavailable(_) => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Failure::NoConversation => PamResultCode::PAM_CONV_ERR,
        Failure::Fault(_) => PamResultCode::PAM_SYSTEM_ERR,
        Failure::Panic => PamResultCode::PAM_ABORT,
    }
}
