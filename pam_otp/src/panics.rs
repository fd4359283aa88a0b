//! A panic is a denial that prints nothing.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::login::Failure;

/// Runs a hook. If it panics, nothing is printed to the host's standard error and it has failed.
pub(crate) fn stopped<T>(hook: impl FnOnce() -> T) -> Result<T, Failure> {
    silence();
    panic::catch_unwind(AssertUnwindSafe(hook)).map_err(|payload| {
        // Dropping a payload can panic again; the few bytes are the lesser evil.
        std::mem::forget(payload);
        Failure::Panic
    })
}

/// Sets a hook that prints nothing. The standard library is linked into the module, so this is the hook of our own
/// code, not the host's. It is set once and never taken back: threads that save and restore it leak messages.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(|_| {})));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const INSIDE: &str = "PAM_OTP_TEST_PANICS";

    #[test]
    fn a_panic_prints_nothing_and_is_a_failure() {
        if std::env::var_os(INSIDE).is_some() {
            for _ in 0..2 {
                let outcome = stopped(|| panic!("in the middle of a login"));
                assert!(matches!(outcome, Err(Failure::Panic)));
            }
            return;
        }
        let name = "panics::tests::a_panic_prints_nothing_and_is_a_failure";
        let itself = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&itself.stderr);
        assert_eq!(printed, "");
        assert!(itself.status.success());
        let report = String::from_utf8_lossy(&itself.stdout);
        assert!(report.contains("1 passed"), "{report}");
        assert!(!report.contains("panicked"), "{report}");
    }
}
