//! The door: the built module in programs that do not run as root, and otpd, which answers them.

mod callers;
mod crowds;
mod doctor;
mod logins;
mod sockets;
mod status;

use tests::sandbox::{self, Extras, is_real_root, sandboxed_with};

/// Runs a test in a sandbox that has otpd and otpctl, where there are other users than root to be.
fn with_otpd<F: FnOnce()>(test: F) {
    let programs = || {
        vec![
            sandbox::otpd().to_path_buf(),
            sandbox::otpctl().to_path_buf(),
        ]
    };
    let extras = Extras {
        programs: Some(programs),
        ..Extras::default()
    };
    if is_real_root() {
        sandboxed_with(extras, test);
    }
}
