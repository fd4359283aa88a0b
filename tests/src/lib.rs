//! The product from outside. Here is what the tests under `tests/` share:
//!
//! - [`sandbox`]: a root directory of the test's own, where root is root and nothing of the machine is touched,
//! - [`users`]: who lives in the sandbox, and what their phones show,
//! - [`pam`]: the built module loaded by the real libpam, with a scripted host,
//! - [`syslog`]: the log lines as `/dev/log` gets them,
//! - [`crowd`]: many at one instant,
//! - [`post`]: codes that are sent to them, and what waits to be,
//! - [`processes`]: a login in a process of its own, which may be killed,
//! - [`meddler`]: a program under strace, killed or failed at a system call of one's choice,
//! - [`door`]: otpd at its socket, and programs that are not root,
//! - [`elsewhen`]: logins at another time,
//! - [`year`] and [`sent`]: a year of guessing, simulated.

pub mod crowd;
pub mod door;
pub mod elsewhen;
pub mod meddler;
pub mod pam;
pub mod post;
pub mod processes;
pub mod sandbox;
pub mod sent;
pub mod syslog;
pub mod users;
pub mod year;
