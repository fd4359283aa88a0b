//! Asks at the door, from within whatever process has to know: no child, no signal, nothing left open, and an end to all
//! waiting. Only root's answers are heard.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv, send, socket,
};

use super::wire::{self, Answer, Asker, No, Question, Unread};
use super::{MAX_ANSWER, SOCKET};
use crate::store::{self, Dir, Privacy};

/// How long the door may take to let us in, where many stand before it.
const TO_CONNECT: Duration = Duration::from_secs(3);
/// How long all of it may take: a user's lock is waited for five seconds.
const TO_ANSWER: Duration = Duration::from_secs(8);
/// The longest pause between two knocks.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// A door that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    path: PathBuf,
}

/// Why nothing was answered. A denial; its text says what to do.
#[derive(Debug)]
pub enum NoAnswer {
    /// The socket is not as it should be.
    Unsafe(store::Error),
    /// There is no socket.
    NotThere(PathBuf),
    /// There is one, and nobody behind it.
    NobodyListens(PathBuf),
    /// Somebody else than root listens.
    Stranger(PathBuf, u32),
    /// Too many ask at once.
    Busy(PathBuf),
    /// It took too long.
    Slow(PathBuf),
    /// It was closed without an answer.
    Closed(PathBuf),
    /// It speaks another version: this one.
    OtherVersion(PathBuf, u8),
    /// What it says makes no sense here.
    Nonsense(PathBuf),
    /// The operating system said no.
    Io(PathBuf, io::Error),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restart =
            "'systemctl restart pam-otp-otpd.socket', or 'otpd --listen' where there is no systemd";
        match self {
            Self::Unsafe(error) => error.fmt(f),
            Self::NotThere(path) => write!(
                f,
                "there is no {}, by which otpd checks codes for programs that do not run as root: {restart}",
                path.display()
            ),
            Self::NobodyListens(path) => {
                write!(f, "nobody listens at {}: {restart}", path.display())
            }
            Self::Stranger(path, uid) => write!(
                f,
                "uid {uid} listens at {}, and not root: {restart}",
                path.display()
            ),
            Self::Busy(path) => write!(f, "too many ask at {} at once: try again", path.display()),
            Self::Slow(path) => write!(
                f,
                "otpd did not answer at {} in time: try again",
                path.display()
            ),
            Self::Closed(path) => write!(
                f,
                "otpd gave no answer at {}: its own log may say why ('journalctl -t otpd')",
                path.display()
            ),
            Self::OtherVersion(path, version) => write!(
                f,
                "what answers at {} speaks version {version} of the protocol, and not {}: {restart}",
                path.display(),
                wire::VERSION
            ),
            Self::Nonsense(path) => write!(
                f,
                "what answers at {} is not otpd: {restart}",
                path.display()
            ),
            Self::Io(path, source) => {
                write!(f, "otpd cannot be asked at {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for NoAnswer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsafe(error) => Some(error),
            Self::Io(_, source) => Some(source),
            _ => None,
        }
    }
}

impl Door {
    /// Where the door of this directory is, whether it is there or not.
    #[must_use]
    pub fn path(run_dir: &Path) -> PathBuf {
        run_dir.join(SOCKET)
    }

    /// The door in this directory, if there is one. Directory and socket must be root's.
    pub fn find(run_dir: &Path) -> Result<Option<Self>, NoAnswer> {
        let dir = match Dir::open(run_dir, Privacy::RootWrites) {
            Err(store::Error::Missing { .. }) => return Ok(None),
            opened => opened.map_err(NoAnswer::Unsafe)?,
        };
        let is_there = dir.has_socket(SOCKET).map_err(NoAnswer::Unsafe)?;
        let path = Self::path(run_dir);
        Ok(is_there.then_some(Self { path }))
    }

    /// Asks, and waits for the answer. Where there is none, a code that was asked about may be used all the same.
    pub fn ask(&self, asker: &Asker, question: &Question) -> Result<Answer, NoAnswer> {
        let started = Instant::now();
        let socket = self.knock(started)?;
        let question = wire::question_bytes(asker, question);
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        match retried(|| send(socket.as_raw_fd(), &question, flags)) {
            // Whoever turned us away may have said so first.
            Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
            Err(errno) => return Err(self.io(errno)),
        }
        let bytes = self.hear(&socket, started)?;
        match wire::answer_from(&bytes) {
            Ok(Answer::No(No::Busy)) => Err(NoAnswer::Busy(self.path.clone())),
            Ok(answer) => Ok(answer),
            Err(Unread::Version(version)) => {
                Err(NoAnswer::OtherVersion(self.path.clone(), version))
            }
            Err(Unread::Nonsense) => Err(NoAnswer::Nonsense(self.path.clone())),
        }
    }

    /// Connects to root, who may have many before us.
    fn knock(&self, started: Instant) -> Result<OwnedFd, NoAnswer> {
        let io = |errno| self.io(errno);
        let address = UnixAddr::new(&self.path).map_err(io)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(io)?;
        let mut pause = Duration::from_millis(1);
        loop {
            match connect(socket.as_raw_fd(), &address) {
                Ok(()) => break,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if started.elapsed() < TO_CONNECT => {
                    std::thread::sleep(pause);
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
                Err(Errno::EAGAIN) => return Err(NoAnswer::Busy(self.path.clone())),
                Err(Errno::ECONNREFUSED | Errno::ENOENT) => {
                    return Err(NoAnswer::NobodyListens(self.path.clone()));
                }
                Err(errno) => return Err(self.io(errno)),
            }
        }
        let peer = getsockopt(&socket, PeerCredentials).map_err(io)?;
        match peer.uid() {
            0 => Ok(socket),
            uid => Err(NoAnswer::Stranger(self.path.clone(), uid)),
        }
    }

    /// The one packet that is answered.
    fn hear(&self, socket: &OwnedFd, started: Instant) -> Result<Vec<u8>, NoAnswer> {
        self.wait(socket, started)?;
        let mut answer = vec![0; MAX_ANSWER.saturating_add(1)];
        let mut take = || retried(|| recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT));
        // That our question was never read is told before what was said to us.
        let taken = match take() {
            Err(Errno::ECONNRESET) => take(),
            taken => taken,
        };
        match taken {
            Ok(0) | Err(Errno::ECONNRESET) => Err(NoAnswer::Closed(self.path.clone())),
            Ok(length) => {
                answer.truncate(length);
                Ok(answer)
            }
            Err(errno) => Err(self.io(errno)),
        }
    }

    fn wait(&self, socket: &OwnedFd, started: Instant) -> Result<(), NoAnswer> {
        loop {
            let left = TO_ANSWER.saturating_sub(started.elapsed());
            let mut sockets = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(&mut sockets, timeout) {
                Ok(0) if left.is_zero() => return Err(NoAnswer::Slow(self.path.clone())),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(self.io(errno)),
            }
        }
    }

    fn io(&self, errno: Errno) -> NoAnswer {
        NoAnswer::Io(self.path.clone(), errno.into())
    }
}

/// Does it again where a signal of the host's came between.
fn retried<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}
