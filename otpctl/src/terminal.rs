//! Asking a person at a terminal, and reading what a script pipes in.
//!
//! While a [`Terminal`] is taken, keys come one by one and Ctrl-C is a key like any other, so that giving up is an
//! answer we see: what has to be cleaned up is, and the terminal is left as it was found.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use nix::unistd;
use zeroize::Zeroizing;

/// Nothing longer is read, in bytes.
const MAX_LINE: usize = 4096;

/// What happened at the terminal while we waited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressed {
    Enter,
    /// Ctrl-C, Ctrl-D.
    GiveUp,
    /// The terminal is closed, or we are told to end.
    Gone,
    Nothing,
}

/// Whether what is typed is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    Shown,
    Hidden,
}

/// Whether there is somebody to ask: questions go to standard error, answers come from standard input.
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The first line a script pipes in, without its end; wiped on drop.
pub(crate) fn read_line() -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    while line.len() < MAX_LINE {
        match read_byte(io::stdin().as_fd())? {
            None | Some(b'\n') => break,
            Some(byte) => line.push(byte),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// A line from whoever is at standard input: asked for at a terminal, read from a pipe. `None` for one who gives up.
pub(crate) fn ask_or_read(
    asks: bool,
    prompt: &str,
    echo: Echo,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    if asks && is_there() {
        Terminal::take()?.ask(prompt, echo)
    } else {
        read_line().map(Some)
    }
}

/// Whether the person at the terminal says yes. Anything else is no.
pub(crate) fn agrees(question: &str) -> io::Result<bool> {
    let answer = Terminal::take()?.ask(&format!("{question} [y/N] "), Echo::Shown)?;
    let said = answer.as_deref().map_or(&[][..], |line| line.as_slice());
    Ok([&b"y"[..], b"yes"].contains(&said.to_ascii_lowercase().as_slice()))
}

/// The terminal, taken over until this is dropped.
pub(crate) struct Terminal {
    before: Termios,
    mask: SigSet,
    signals: SignalFd,
}

impl Terminal {
    pub(crate) fn take() -> io::Result<Self> {
        let mut ends = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            ends.add(signal);
        }
        let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC)?;
        let before = termios::tcgetattr(io::stdin())?;
        let mask = ends.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let taken = Self {
            before,
            mask,
            signals,
        };
        let mut raw = taken.before.clone();
        raw.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &raw)?;
        Ok(taken)
    }

    /// What the person types, up to Enter. `None` if she gives up: Ctrl-C, Ctrl-D, a closed terminal.
    pub(crate) fn ask(&self, prompt: &str, echo: Echo) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        show(prompt.as_bytes())?;
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
        let answer = loop {
            match self.key()? {
                None | Some(0x03) => break None,
                Some(0x04) if line.is_empty() => break None,
                Some(b'\r' | b'\n') => break Some(line),
                Some(0x08 | 0x7f) => rub_out(&mut line, echo)?,
                Some(0x15) => {
                    while !line.is_empty() {
                        rub_out(&mut line, echo)?;
                    }
                }
                Some(byte @ 0x20..) if line.len() < MAX_LINE => {
                    line.push(byte);
                    if echo == Echo::Shown {
                        show(&[byte])?;
                    }
                }
                Some(_) => {}
            }
        };
        show(b"\n")?;
        Ok(answer)
    }

    /// What happens at the terminal in this time. Keys that mean nothing are passed over.
    pub(crate) fn pressed(&self, patience: Duration) -> io::Result<Pressed> {
        let stdin = io::stdin();
        let mut ready = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut ready, timeout) {
            Err(Errno::EINTR) | Ok(0) => return Ok(Pressed::Nothing),
            other => other?,
        };
        if ready.last().and_then(PollFd::any) == Some(true) {
            let taken = self.signals.read_signal()?.map(|it| it.ssi_signo);
            let is_interrupt =
                taken.and_then(|it| i32::try_from(it).ok()) == Some(Signal::SIGINT as i32);
            return Ok(if is_interrupt {
                Pressed::GiveUp
            } else {
                Pressed::Gone
            });
        }
        match read_byte(stdin.as_fd()) {
            Ok(None) | Err(Errno::EIO) => Ok(Pressed::Gone),
            Ok(Some(0x03 | 0x04)) => Ok(Pressed::GiveUp),
            Ok(Some(b'\r' | b'\n')) => Ok(Pressed::Enter),
            Ok(Some(_)) => Ok(Pressed::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The next key; `None` if there will be none.
    fn key(&self) -> io::Result<Option<u8>> {
        let stdin = io::stdin();
        let mut ready = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => return self.key(),
            other => other?,
        };
        if ready.last().and_then(PollFd::any) == Some(true) {
            // Taken, so that it does not strike us once it is unblocked: giving up is the answer to it.
            self.signals.read_signal()?;
            return Ok(None);
        }
        match read_byte(stdin.as_fd()) {
            // A terminal that is gone is an end like any other. From a pipe it would be a line cut short.
            Err(Errno::EIO) => Ok(None),
            other => Ok(other?),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
        let _ = self.mask.thread_set_mask();
    }
}

/// Takes back the last character.
fn rub_out(line: &mut Vec<u8>, echo: Echo) -> io::Result<()> {
    let is_inner = |byte: &u8| byte & 0xc0 == 0x80;
    while line.last().is_some_and(is_inner) {
        line.pop();
    }
    match (line.pop(), echo) {
        (Some(_), Echo::Shown) => show(b"\x08 \x08"),
        _ => Ok(()),
    }
}

fn show(bytes: &[u8]) -> io::Result<()> {
    let mut to = io::stderr().lock();
    to.write_all(bytes)?;
    to.flush()
}

/// One byte, past every buffer: what is secret stays in one place.
fn read_byte(from: BorrowedFd<'_>) -> nix::Result<Option<u8>> {
    let mut byte = Zeroizing::new([0]);
    loop {
        match unistd::read(from, &mut *byte) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(byte.first().copied()),
            Err(errno) => return Err(errno),
        }
    }
}
