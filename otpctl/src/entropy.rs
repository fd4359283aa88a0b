//! The operating system's random numbers.

use rand::TryRng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use crate::failure::{Failure, Kind};

/// What secrets and codes are drawn from. Asked once here, where a failure can still be told in a sentence:
/// getrandom(2) waits until it is seeded, and what has answered once does not cease to.
pub(crate) fn system() -> Result<UnwrapErr<SysRng>, Failure> {
    SysRng.try_next_u64().map_err(|error| {
        Failure::new(
            Kind::Io,
            format!("the system gives no random numbers: {error}; nothing was drawn"),
        )
    })?;
    Ok(UnwrapErr(SysRng))
}
