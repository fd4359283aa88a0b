//! The one place that reads the clock.

use std::time::SystemTime;

use otp::time::UnixTime;

/// Now.
#[allow(
    clippy::disallowed_methods,
    reason = "the edge: everything else gets the time as a value"
)]
pub(crate) fn now() -> UnixTime {
    SystemTime::now().into()
}
