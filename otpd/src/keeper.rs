//! Stands at the door. It reads nothing that an asker says, so that nobody who asks is ever trusted with all the others:
//! whoever has something to say, and room, is given to a process of her own, with the connection as its standard input.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, recv, send};
use otp::door::MAX_QUESTION;
use otp::door::wire::{Answer, No, answer_bytes};

use crate::askers::{Asker, Askers, MOST_WAITING, TO_ANSWER};
use crate::peer::Peer;

/// Nobody has come for so long: under systemd we end, and are started again by whoever comes next.
const IDLE: Duration = Duration::from_secs(60);
/// How often time limits are looked at while somebody is there.
const BEAT: Duration = Duration::from_millis(250);
/// Let in to wait at one go, before those who are done are seen to again.
const AT_ONE_GO: usize = 64;

/// When to go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// When a minute has passed without anybody.
    NobodyComes,
    /// When told to (SIGTERM, SIGINT).
    Told,
}

/// Answers at this socket, by the policy that `config` names. Either way it ends when told to.
pub(crate) fn keep(
    listener: &UnixListener,
    until: Until,
    config: Option<&Path>,
) -> Result<(), String> {
    let mut keeper = Keeper::new(listener, config).map_err(|error| error.to_string())?;
    let mut last = Instant::now();
    while !keeper.is_told {
        if !keeper.askers.is_empty() {
            last = Instant::now();
        } else if until == Until::NobodyComes && last.elapsed() >= IDLE {
            return Ok(());
        }
        if let Err(error) = keeper.turn() {
            // No memory, or no descriptor: that passes. Where nobody starts us again there is to be a door then.
            let _ = writeln!(io::stderr(), "otpd: {error}; going on");
            std::thread::sleep(BEAT);
        }
    }
    keeper.see_out();
    Ok(())
}

struct Keeper<'a> {
    listener: &'a UnixListener,
    config: Option<&'a Path>,
    signals: SignalFd,
    askers: Askers<UnixStream, Child>,
    is_told: bool,
}

impl<'a> Keeper<'a> {
    fn new(listener: &'a UnixListener, config: Option<&'a Path>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // One for each who waits, and some of our own.
        let wanted = MOST_WAITING.saturating_add(64) as u64;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        if soft < wanted {
            setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)?;
        }
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
            signals.add(signal);
        }
        signals.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            listener,
            config,
            signals: SignalFd::with_flags(&signals, flags)?,
            askers: Askers::none(),
            is_told: false,
        })
    }

    /// Waits until something happens, and sees to it.
    fn turn(&mut self) -> io::Result<()> {
        let (somebody_comes, spoken) = self.wait()?;
        self.hear_signals();
        self.let_go();
        let mut index = 0_usize;
        self.askers.waiting.retain_mut(|asker| {
            let flags = spoken.get(index).copied().unwrap_or(PollFlags::empty());
            index = index.saturating_add(1);
            asker.has_asked |= flags.contains(PollFlags::POLLIN);
            // Whoever has hung up hears no answer, and her code is not to be used up.
            !flags.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)
        });
        self.askers.drop_silent();
        if somebody_comes {
            self.receive()?;
        }
        while let Some(asker) = self.askers.next() {
            self.let_in(asker);
        }
        Ok(())
    }

    /// Whether somebody stands before the door, and what those who wait have done.
    fn wait(&self) -> io::Result<(bool, Vec<PollFlags>)> {
        let has_room = self.askers.has_room();
        let listener = if has_room {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut all = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), listener),
        ];
        all.extend(self.askers.waiting.iter().map(|asker| {
            // Of one who has asked it only matters whether she is still there.
            let wanted = if asker.has_asked {
                PollFlags::empty()
            } else {
                PollFlags::POLLIN
            };
            PollFd::new(asker.with.as_fd(), wanted)
        }));
        let limit = if self.askers.is_empty() { IDLE } else { BEAT };
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        match poll(&mut all, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut flags = all.iter().skip(1);
        let flags = flags
            .by_ref()
            .map(|one| one.revents().unwrap_or(PollFlags::empty()));
        let mut flags = flags.collect::<Vec<_>>().into_iter();
        let somebody = flags
            .next()
            .is_some_and(|flags| flags.contains(PollFlags::POLLIN));
        Ok((somebody && has_room, flags.collect()))
    }

    fn hear_signals(&mut self) {
        let told = [Signal::SIGTERM as u32, Signal::SIGINT as u32];
        while let Ok(Some(signal)) = self.signals.read_signal() {
            self.is_told |= told.contains(&signal.ssi_signo);
        }
    }

    /// Parts from those who are answered, and ends what takes too long.
    fn let_go(&mut self) {
        self.askers.inside.retain_mut(|asker| {
            let child = &mut asker.with;
            if asker.since.elapsed() >= TO_ANSWER {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
            // Whoever started us may have it that children leave no word: gone is gone.
            matches!(child.try_wait(), Ok(None))
        });
    }

    /// Lets those before the door come and wait, or sends them away at once.
    fn receive(&mut self) -> io::Result<()> {
        for _ in 0..AT_ONE_GO {
            if !self.askers.has_room() {
                break;
            }
            match self.listener.accept() {
                Ok((socket, _)) => self.seat(socket),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => break,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    // No descriptor, no memory: others have to be done first.
                    _ => {
                        std::thread::sleep(Duration::from_millis(10));
                        break;
                    }
                },
            }
        }
        Ok(())
    }

    fn seat(&mut self, socket: UnixStream) {
        let Ok(peer) = Peer::of(&socket) else {
            return;
        };
        let host = peer.host();
        if self.askers.may_wait(host) {
            self.askers.waiting.push(Asker::now(host, socket));
        } else {
            send_away(&socket);
        }
    }

    /// Gives an asker to a process of her own.
    fn let_in(&mut self, asker: Asker<UnixStream>) {
        let mut command = Command::new("/proc/self/exe");
        command.arg("answer");
        if let Some(config) = self.config {
            command.arg("--config").arg(config);
        }
        let socket = OwnedFd::from(asker.with);
        let started = command
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .spawn();
        match started {
            Ok(child) => self.askers.inside.push(Asker::now(asker.host, child)),
            Err(error) => {
                let _ = writeln!(
                    io::stderr(),
                    "otpd: cannot start a process to answer: {error}"
                );
            }
        }
    }

    /// Waits for those inside. Those who wait are told by the end of their connection.
    fn see_out(mut self) {
        self.askers.waiting.clear();
        while !self.askers.inside.is_empty() {
            self.let_go();
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Says that there is no room. What she has asked is taken and dropped, so that she hears it.
fn send_away(socket: &UnixStream) {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let _ = send(
        socket.as_raw_fd(),
        &answer_bytes(&Answer::No(No::Busy)),
        flags,
    );
    let mut question = zeroize::Zeroizing::new([0; MAX_QUESTION]);
    let _ = recv(socket.as_raw_fd(), &mut *question, MsgFlags::MSG_DONTWAIT);
}
