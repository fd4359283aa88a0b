//! A login in a process of its own, which may not live to see its answer.

use std::thread;
use std::time::{Duration, Instant};

/// Starts a process that does this and ends; it may be killed before.
pub fn start(does: impl FnOnce()) -> Child {
    // SAFETY: this process has one thread, so the child may do whatever it could.
    match unsafe { libc::fork() } {
        0 => {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(does));
            // SAFETY: the child ends here, without the test harness's farewell.
            unsafe { libc::_exit(0) };
        }
        pid => {
            assert!(pid > 0, "fork");
            Child(pid)
        }
    }
}

/// Does this in a process of its own, which may change what it likes of itself, and fails as it does.
pub fn in_a_child(does: impl FnOnce()) {
    // SAFETY: as above.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(does));
        // SAFETY: the child ends here, without the test harness's farewell.
        unsafe { libc::_exit(done.is_err().into()) };
    }
    assert!(pid > 0, "fork");
    let status = Child(pid).wait();
    assert_eq!(status, 0, "what it said stands above");
}

/// A process that was started here. It does not outlive its test: what it holds open would be waited for.
pub struct Child(libc::pid_t);

impl Child {
    /// Its number, by which `/proc` has it.
    pub fn pid(&self) -> u32 {
        self.0.unsigned_abs()
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&self) {
        // SAFETY: the process is ours and has not been waited for.
        assert_eq!(unsafe { libc::kill(self.0, libc::SIGKILL) }, 0);
    }

    /// Waits for its end; whether it was killed.
    pub fn was_killed(mut self) -> bool {
        libc::WIFSIGNALED(self.wait())
    }

    fn wait(&mut self) -> libc::c_int {
        let mut status = 0;
        // SAFETY: the process is ours, and there is room for its status.
        unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        self.0 = 0;
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0 != 0 {
            self.kill();
            self.wait();
        }
    }
}

/// Waits until it holds, for ten seconds at most.
pub fn wait_until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never holds");
        thread::sleep(Duration::from_millis(5));
    }
}
