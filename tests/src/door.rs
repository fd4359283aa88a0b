//! otpd at its socket in the sandbox, and programs that are not root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::processes::{in_a_child, wait_until};
use crate::sandbox::OTPD;
use crate::syslog::Syslog;

/// Where it listens.
pub const SOCKET: &str = "/run/pam_otp/otpd.sock";

/// An otpd that listens, until this is dropped.
pub struct Otpd(Child);

impl Otpd {
    pub fn listening() -> Self {
        Self::listening_with(&[])
    }

    /// With more on its command line.
    pub fn listening_with(words: &[&str]) -> Self {
        let child = Command::new(OTPD)
            .arg("--listen")
            .args(words)
            .env_clear()
            .stdin(Stdio::null())
            .spawn()
            .expect("the test has brought otpd");
        let mut otpd = Self(child);
        wait_until(|| Path::new(SOCKET).exists());
        assert!(otpd.is_there());
        otpd
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn is_there(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Tells it to end, and waits until it has.
    pub fn end(mut self) {
        signal(self.pid(), libc::SIGTERM);
        assert!(self.0.wait().unwrap().success());
    }

    /// The processes that answer now.
    pub fn inside(&self) -> Vec<u32> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        children
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }
}

impl Drop for Otpd {
    fn drop(&mut self) {
        if self.is_there() {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
        let _ = fs::remove_file(SOCKET);
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(pid).unwrap();
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Makes this process a program of this user's, for good.
pub fn become_user(uid: u32) {
    become_all(uid, uid);
}

/// Makes this process a program of root's that this user runs, as su and sudo are.
pub fn become_su_of(uid: u32) {
    become_all(uid, 0);
}

fn become_all(real: u32, effective: u32) {
    // SAFETY: takes numbers, and no groups.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(real, effective, effective), 0);
        assert_eq!(libc::setresuid(real, effective, effective), 0);
    }
}

/// Does this as a program of this user's.
pub fn as_user(uid: u32, does: impl FnOnce()) {
    in_a_child(|| {
        become_user(uid);
        does();
    });
}

/// Does this as a program of root's that this user runs.
pub fn as_su_of(uid: u32, does: impl FnOnce()) {
    in_a_child(|| {
        become_su_of(uid);
        does();
    });
}

/// The sandbox's log, to which everybody may write.
pub fn open_log() -> Syslog {
    let log = Syslog::bind();
    fs::set_permissions("/dev/log", fs::Permissions::from_mode(0o666)).unwrap();
    log
}
