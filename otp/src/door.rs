//! The door: how a program that may not read the store asks `otpd`, which may. A socket of root's, one question, one
//! answer. [`wire`] has their bytes, [`client`] asks; what is answered is decided in the crate `otpd`, by the one
//! [`verify`](crate::verify) there is.

pub mod client;
pub mod wire;

use std::path::Path;

use crate::store::{Dir, Error, Privacy};

/// The name of the socket in the policy's `run_dir`.
pub const SOCKET: &str = "otpd.sock";
/// A question is never longer, in bytes.
pub const MAX_QUESTION: usize = 512;
/// Neither is an answer.
pub const MAX_ANSWER: usize = 2048;

/// Makes the directory of the socket where it is missing, for whoever listens there.
pub fn make_place(run_dir: &Path) -> Result<(), Error> {
    Dir::open_or_create(run_dir, Privacy::RootWrites).map(|_| ())
}
