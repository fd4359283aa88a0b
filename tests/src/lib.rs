//! The product from outside. Here is what the tests under `tests/` share:
//!
//! - [`sandbox`]: a root directory of the test's own, where root is root and nothing of the machine is touched,
//! - [`pam`]: the built module loaded by the real libpam, with a scripted host,
//! - [`syslog`]: the log lines as `/dev/log` gets them,
//! - [`users`]: who lives in the sandbox, and what their phones show,
//! - [`crowd`]: many at one instant,
//! - [`meddler`]: a program under strace, killed or failed at a system call of one's choice.

pub mod crowd;
pub mod meddler;
pub mod pam;
pub mod sandbox;
pub mod syslog;
pub mod users;
