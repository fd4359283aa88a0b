//! A screen that is drawn on until somebody ends it, and left as it was found: Ctrl-C, `q`, a signal and a reader who
//! has gone are ends like any other. Stopped (Ctrl-Z), it gives the terminal back for as long.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use nix::unistd;

/// The second page of the terminal, without cursor; a line that is too long is cut, not wrapped into the next.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Why a wait was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// It is time.
    Due,
    /// What was drawn has to be drawn anew.
    Resized,
    /// Nobody wants to see more.
    Ended,
}

/// Standard output, watched by somebody until this is dropped.
pub(crate) struct Screen {
    /// How the keyboard was, where there is one.
    before: Option<Termios>,
    is_drawn: bool,
    mask: SigSet,
    signals: SignalFd,
}

impl Screen {
    /// Takes signals and, where it `is_drawn` on, the terminal.
    pub(crate) fn take(is_drawn: bool) -> io::Result<Self> {
        let mut heard = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            heard.add(signal);
        }
        if is_drawn {
            heard.add(Signal::SIGWINCH);
            heard.add(Signal::SIGTSTP);
        }
        let has_keys = is_drawn && io::stdin().is_terminal();
        let screen = Self {
            before: if has_keys {
                Some(termios::tcgetattr(io::stdin())?)
            } else {
                None
            },
            is_drawn,
            signals: SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            mask: heard.thread_swap_mask(SigmaskHow::SIG_BLOCK)?,
        };
        screen.enter()?;
        Ok(screen)
    }

    /// Waits, at most until it is due; with `None` until somebody ends it.
    pub(crate) fn wait(&self, due: Option<Instant>) -> io::Result<Woken> {
        loop {
            let timeout = due.map_or(PollTimeout::NONE, |due| {
                let left = due.saturating_duration_since(Instant::now());
                // Rounded up, so that it is due when it is over.
                let left = left.saturating_add(std::time::Duration::from_millis(1));
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            match self.woken(timeout)? {
                None if due.is_some_and(|due| due <= Instant::now()) => return Ok(Woken::Due),
                None => {}
                Some(woken) => return Ok(woken),
            }
        }
    }

    /// What happens first, if anything does that matters.
    fn woken(&self, timeout: PollTimeout) -> io::Result<Option<Woken>> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut ready = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            // Nothing is asked of it, so it tells one thing: that nobody reads any more.
            PollFd::new(stdout.as_fd(), PollFlags::empty()),
        ];
        if self.before.is_some() {
            ready.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut ready, timeout) {
            Err(Errno::EINTR) | Ok(0) => return Ok(None),
            other => other?,
        };
        let mut happened = ready.iter().map(|it| it.any() == Some(true));
        let mut next = || happened.next() == Some(true);
        let (has_signal, is_gone, has_key) = (next(), next(), next());
        if is_gone {
            return Ok(Some(Woken::Ended));
        }
        if has_signal {
            return self.signalled();
        }
        Ok(if has_key && is_end(stdin.as_fd()) {
            Some(Woken::Ended)
        } else {
            None
        })
    }

    fn signalled(&self) -> io::Result<Option<Woken>> {
        let Some(taken) = self.signals.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(taken.ssi_signo).unwrap_or(0);
        match Signal::try_from(number) {
            Ok(Signal::SIGWINCH) => Ok(Some(Woken::Resized)),
            Ok(Signal::SIGTSTP) => {
                self.leave()?;
                raise(Signal::SIGSTOP)?;
                self.enter()?;
                Ok(Some(Woken::Resized))
            }
            _ => Ok(Some(Woken::Ended)),
        }
    }

    fn enter(&self) -> io::Result<()> {
        if let Some(before) = &self.before {
            let mut quiet = before.clone();
            quiet
                .local_flags
                .remove(LocalFlags::ICANON | LocalFlags::ECHO);
            termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &quiet)?;
        }
        if self.is_drawn { show(ENTER) } else { Ok(()) }
    }

    fn leave(&self) -> io::Result<()> {
        if self.is_drawn {
            show(LEAVE)?;
        }
        if let Some(before) = &self.before {
            termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, before)?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.leave();
        let _ = self.mask.thread_set_mask();
    }
}

/// Whether the key that waits ends it: `q`, Ctrl-D, or a terminal that is gone.
fn is_end(stdin: BorrowedFd<'_>) -> bool {
    let mut key = [0];
    match unistd::read(stdin, &mut key) {
        Err(Errno::EINTR | Errno::EAGAIN) => false,
        Ok(1) => matches!(key, [b'q' | 0x04]),
        _ => true,
    }
}

fn show(bytes: &[u8]) -> io::Result<()> {
    let mut to = io::stdout().lock();
    to.write_all(bytes)?;
    to.flush()
}
