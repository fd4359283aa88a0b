//! What the host is told.

use otp::verify::Verdict;
use pam::constants::PamResultCode;

use crate::login::{Failure, Outcome};

/// The PAM code of an outcome. Exhaustive, so that a new outcome is a decision. Every refusal is the same one: why
/// is for the log, and the person at the prompt cannot tell the reasons apart.
pub(crate) const fn code(outcome: &Outcome) -> PamResultCode {
    match outcome {
        Outcome::Judged(Verdict::Accepted(_)) => PamResultCode::PAM_SUCCESS,
        Outcome::Judged(Verdict::Refused(_)) => PamResultCode::PAM_AUTH_ERR,
        Outcome::Exempt => PamResultCode::PAM_IGNORE,
        Outcome::Failed(Failure::Unavailable(_)) => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Outcome::Failed(Failure::NoConversation) => PamResultCode::PAM_CONV_ERR,
        Outcome::Failed(Failure::Fault(_)) => PamResultCode::PAM_SYSTEM_ERR,
        Outcome::Failed(Failure::Panic) => PamResultCode::PAM_ABORT,
    }
}
