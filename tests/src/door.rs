//! otpd at its socket in the sandbox, and programs that are not root.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
        let otpd = Self(child);
        // One that was killed may have left its socket.
        wait_until(|| Packets::connected().is_some());
        otpd
    }

    /// Under strace, which lets calls of its keeper fail as it is told, and ends with it.
    pub fn failing(injection: &str) -> Strace {
        let strace = Command::new("strace")
            .args(["-qq", "-o", "/tmp/trace", "-e", injection, OTPD, "--listen"])
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is there");
        let strace = Strace(Self(strace));
        wait_until(|| Packets::connected().is_some());
        strace
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

    /// Ends it in the middle of whatever it does; its socket stays.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        std::mem::forget(self);
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

/// A strace that has an otpd for its child.
pub struct Strace(Otpd);

impl Drop for Strace {
    fn drop(&mut self) {
        // What it traces would outlive it.
        for pid in self.0.inside() {
            signal(pid, libc::SIGKILL);
        }
        self.0.0.wait().unwrap();
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

/// A socket for packets at this path.
pub struct Packets(OwnedFd);

impl Packets {
    /// Listens at otpd's place, as whoever this process is. `become_before` is done between taking the place and listening.
    pub fn listening(
        kind: libc::c_int,
        backlog: libc::c_int,
        become_before: impl FnOnce(),
    ) -> Self {
        fs::create_dir_all("/run/pam_otp").unwrap();
        let _ = fs::remove_file(SOCKET);
        let socket = Self::new(kind);
        let (address, length) = address();
        // SAFETY: the address outlives the calls, and the descriptor is open.
        unsafe {
            let address = (&raw const address).cast();
            assert_eq!(libc::bind(socket.0.as_raw_fd(), address, length), 0);
            fs::set_permissions(SOCKET, fs::Permissions::from_mode(0o666)).unwrap();
            become_before();
            assert_eq!(libc::listen(socket.0.as_raw_fd(), backlog), 0);
        }
        socket
    }

    /// Connects to otpd; `None` where so many wait that there is no room.
    pub fn connected() -> Option<Self> {
        let socket = Self::unconnected();
        socket.connect().then_some(socket)
    }

    /// One that nobody has connected yet.
    pub fn unconnected() -> Self {
        Self::new(libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK)
    }

    /// Connects it to otpd, as whoever this process is; `false` where so many wait that there is no room.
    pub fn connect(&self) -> bool {
        let (address, length) = address();
        let address = (&raw const address).cast();
        // SAFETY: as above.
        unsafe { libc::connect(self.0.as_raw_fd(), address, length) == 0 }
    }

    /// Two that are connected; at the other end of the second one is this user.
    pub fn pair_of(uid: u32) -> (Self, OwnedFd) {
        let mut ends = [0; 2];
        // SAFETY: there is room for two descriptors, which are ours alone afterwards; the rest takes numbers. The kernel
        // notes who makes it.
        unsafe {
            assert_eq!(libc::seteuid(uid), 0);
            let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
            assert_eq!(
                libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()),
                0
            );
            assert_eq!(libc::seteuid(0), 0);
            (
                Self(OwnedFd::from_raw_fd(ends[0])),
                OwnedFd::from_raw_fd(ends[1]),
            )
        }
    }

    fn new(kind: libc::c_int) -> Self {
        // SAFETY: takes numbers; the descriptor is ours alone.
        unsafe {
            let socket = libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0);
            assert!(socket >= 0);
            Self(OwnedFd::from_raw_fd(socket))
        }
    }

    /// Waits for the next who connects.
    pub fn accept(&self) -> Self {
        // SAFETY: the descriptor is open; the new one is ours alone.
        unsafe {
            let null: *mut libc::c_void = std::ptr::null_mut();
            let socket = libc::accept4(
                self.0.as_raw_fd(),
                null.cast(),
                null.cast(),
                libc::SOCK_CLOEXEC,
            );
            assert!(socket >= 0);
            Self(OwnedFd::from_raw_fd(socket))
        }
    }

    pub fn send(&self, packet: &[u8]) -> bool {
        let length = packet.len();
        // SAFETY: the packet outlives the call.
        let sent = unsafe {
            libc::send(
                self.0.as_raw_fd(),
                packet.as_ptr().cast(),
                length,
                libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent) == Ok(length)
    }

    /// The next packet; empty at the end. Waits for it at most so long.
    pub fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut wanted = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let patience = libc::c_int::try_from(patience.as_millis()).unwrap();
        let mut packet = vec![0; 4096];
        // SAFETY: both outlive the calls, and there is room for as much as is said.
        let length = unsafe {
            if libc::poll(&raw mut wanted, 1, patience) != 1 {
                return None;
            }
            libc::recv(
                self.0.as_raw_fd(),
                packet.as_mut_ptr().cast(),
                packet.len(),
                0,
            )
        };
        packet.truncate(usize::try_from(length).unwrap_or(0));
        Some(packet)
    }
}

fn address() -> (libc::sockaddr_un, libc::socklen_t) {
    let mut address = libc::sockaddr_un {
        sun_family: libc::AF_UNIX.try_into().unwrap(),
        sun_path: [0; 108],
    };
    for (to, from) in address.sun_path.iter_mut().zip(SOCKET.bytes()) {
        *to = libc::c_char::try_from(from).unwrap();
    }
    (address, size_of::<libc::sockaddr_un>().try_into().unwrap())
}
