//! The product from outside. Here is what the tests under `tests/` share:
//!
//! - [`sandbox`]: a root directory of the test's own, where root is root and nothing of the machine is touched,
//! - [`pam`]: the built module loaded by the real libpam, with a scripted host,
//! - [`processes`]: logins in processes of their own,
//! - [`syslog`]: the log lines as `/dev/log` gets them,
//! - [`users`]: who lives in the sandbox, and what their phones show,
//! - [`year`]: a year of guessing, simulated.

pub mod elsewhen;
pub mod pam;
pub mod processes;
pub mod sandbox;
pub mod syslog;
pub mod users;
pub mod year;
