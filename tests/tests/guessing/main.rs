//! Guessing, through the module as libpam loads it and through a simulated year: how often anybody may guess, whom that
//! costs what, and that no answer tells one reason from another.
//!
//! `PAM_OTP_TRIALS=full` runs the long forms: thousands of years, and medians held to 10 %.

mod answers;
mod parallel;
mod sent;
mod strangers;
mod year;

/// Whether the long forms run.
fn is_full() -> bool {
    std::env::var("PAM_OTP_TRIALS").is_ok_and(|trials| trials == "full")
}
