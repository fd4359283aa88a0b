//! The stack a login has used, wiped: what is passed by value leaves copies there that nobody owns any more.

use crate::ffi;

/// More than a login uses, in bytes, and much less than the smallest thread's stack has.
const DEPTH: usize = 32 * 1024;

/// Runs it, and then overwrites the stack it ran on.
pub(crate) fn wiped_after<T>(does: impl FnOnce() -> T) -> T {
    let result = apart(does);
    wipe();
    result
}

/// In a frame of its own, so that nothing of it is in ours.
#[inline(never)]
fn apart<T>(does: impl FnOnce() -> T) -> T {
    does()
}

#[inline(never)]
fn wipe() {
    let mut below = [0; DEPTH];
    ffi::wipe(&mut below);
}
