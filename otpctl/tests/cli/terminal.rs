//! What happens at a terminal: questions, giving up, nothing left behind.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use otp::hotp::{self, Algorithm, CodeLength};
use otp::secret::Secret;
use otp::time::{Period, TimeStep};
use otp::totp;

use crate::world::{Machine, on_a_machine};

/// A command at a terminal.
pub struct Session {
    screen: File,
    child: Child,
}

impl Session {
    pub fn start(machine: &Machine, args: &[&str], columns: u16) -> Self {
        Self::run(machine.command(args), columns)
    }

    pub fn run(mut command: Command, columns: u16) -> Self {
        let size = Winsize {
            ws_row: 80,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).unwrap();
        let end = || pty.slave.try_clone().unwrap();
        command
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        Self {
            screen: pty.master.into(),
            child: command.spawn().unwrap(),
        }
    }

    /// What is shown up to and with this text.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let started = Instant::now();
        while !String::from_utf8_lossy(&seen).contains(text) {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "no {text:?} in {}",
                String::from_utf8_lossy(&seen)
            );
            let Some(byte) = self.byte() else {
                panic!("ended before {text:?}: {}", String::from_utf8_lossy(&seen));
            };
            seen.extend(byte);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// The next byte; an empty one while nothing comes; `None` at the end.
    fn byte(&mut self) -> Option<Vec<u8>> {
        let mut ready = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::from(100_u16);
        if poll(&mut ready, timeout).unwrap() == 0 {
            return Some(Vec::new());
        }
        let mut byte = [0];
        match self.screen.read(&mut byte) {
            Ok(1) => Some(byte.to_vec()),
            _ => None,
        }
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    /// The rest of what is shown.
    pub fn end(&mut self) -> String {
        let mut seen = Vec::new();
        while let Some(byte) = self.byte() {
            seen.extend(byte);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// How the command ended, and whether the terminal shows what is typed again.
    pub fn exit(mut self) -> i32 {
        let exit = self.child.wait().unwrap().code().unwrap_or(-1);
        let flags = tcgetattr(&self.screen).map(|it| it.local_flags);
        if let Ok(flags) = flags {
            assert!(
                flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG),
                "left raw"
            );
        }
        exit
    }

    /// Waits until the command has stopped itself: what it says before that comes too early to go by.
    pub fn until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.child.id());
        let is_stopped = || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('T')
        };
        let begun = std::time::Instant::now();
        while !is_stopped() {
            assert!(begun.elapsed().as_secs() < 60, "it does not stop");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }
}

impl Drop for Session {
    /// A test that fails leaves no command behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The code that an app shows whose clock is this many steps ahead.
fn code(screen: &str, steps: i64) -> String {
    let (_, rest) = screen.rsplit_once("secret=").unwrap();
    let secret = Secret::from_base32(rest.split('&').next().unwrap()).unwrap();
    let now = TimeStep::at(std::time::SystemTime::now().into(), Period::THIRTY);
    let step = now.offset(steps).unwrap();
    totp::code(&secret, Algorithm::Sha1, CodeLength::SIX, step)
        .expose()
        .to_owned()
}

/// The code of this counter, of the token whose secret is shown.
fn counted(screen: &str, counter: u64) -> String {
    let (_, rest) = screen.rsplit_once("secret=").unwrap();
    let secret = Secret::from_base32(rest.split('&').next().unwrap()).unwrap();
    let code = hotp::code(&secret, Algorithm::Sha1, CodeLength::SIX, counter);
    code.expose().to_owned()
}

#[test]
fn a_token_proves_itself_by_two_codes_in_a_row() {
    on_a_machine(|machine| {
        let args = ["enroll", "alice", "--type", "hotp", "--qr", "none"];
        let mut session = Session::start(machine, &args, 100);
        let asked = "Code the token shows now: ";
        let shown = session.until(asked);
        session.type_keys(&format!("{}\r", counted(&shown, 3)));
        session.until("And the one after it: ");
        // One that is no code of it at all: from the beginning.
        session.type_keys("000000\r");
        let told = session.until(asked);
        assert!(told.contains("That is no code of this secret"), "{told}");
        session.type_keys(&format!("{}\r", counted(&shown, 4)));
        session.until("And the one after it: ");
        assert!(!Path::new("/var/lib/pam_otp/secrets/alice").exists());
        session.type_keys(&format!("{}\r", counted(&shown, 5)));
        let rest = session.end();
        assert!(rest.contains("alice is enrolled."), "{rest}");
        assert!(rest.contains("The codes just typed are used up"), "{rest}");
        assert_eq!(session.exit(), 0);
        let verify = |counter| {
            let code = counted(&shown, counter);
            machine.otpctl_with(&["verify", "alice"], &code)
        };
        verify(5).exits(1);
        verify(6).exits(0);
    });
}

#[test]
fn three_codes_in_a_row_are_asked_for_and_shown_as_they_are_typed() {
    on_a_machine(|machine| {
        let made = machine.json(&["enroll", "alice", "--type", "hotp"]);
        let uri = made["uri"].as_str().unwrap();
        let mut session = Session::start(machine, &["resync", "alice"], 100);
        for (counter, prompt) in
            (70..).zip(["A code: ", "The one after it: ", "And the one after that: "])
        {
            session.until(prompt);
            session.type_keys(&format!("{}\r", counted(uri, counter)));
        }
        let rest = session.end();
        assert!(
            rest.contains(&counted(uri, 72)) && rest.contains("70 codes were skipped"),
            "{rest}"
        );
        assert_eq!(session.exit(), 0);
        let mut session = Session::start(machine, &["resync", "alice"], 100);
        session.until("A code: ");
        session.type_keys("\x03");
        assert!(session.end().contains("given up; nothing has changed"));
        assert_eq!(session.exit(), 1);
        let next = counted(uri, 73);
        machine.otpctl_with(&["verify", "alice"], &next).exits(0);
    });
}

const ASKED: &str = "Code the app shows now: ";

#[test]
fn a_first_code_proves_the_app_and_is_used_up() {
    on_a_machine(|machine| {
        let mut session = Session::start(machine, &["enroll", "alice"], 100);
        let shown = session.until(ASKED);
        assert!(
            !Path::new("/var/lib/pam_otp/secrets/alice").exists(),
            "nothing before the proof"
        );
        let right = code(&shown, 0);
        session.type_keys(&format!("{} {}\r", &right[..3], &right[3..]));
        let rest = session.end();
        assert!(
            rest.contains("alice is enrolled.") && rest.contains("Recovery codes"),
            "{rest}"
        );
        assert_eq!(session.exit(), 0);
        let again = machine
            .otpctl_with(&["verify", "alice", "--json"], &right)
            .exits(1);
        assert_eq!(again.json()["reason"], "used");
        let next = code(&shown, 1);
        machine.otpctl_with(&["verify", "alice"], &next).exits(0);
    });
}

#[test]
fn a_phone_that_is_off_is_told_how_far_and_never_the_right_code() {
    on_a_machine(|machine| {
        let mut session = Session::start(machine, &["enroll", "alice", "--qr", "none"], 100);
        let shown = session.until(ASKED);
        session.type_keys(&format!("{}\r", code(&shown, 20)));
        let told = session.until(ASKED);
        assert!(told.contains("about 10 minutes ahead"), "{told}");
        session.type_keys("12345\r");
        let told = session.until(ASKED);
        assert!(told.contains("6 digits"), "{told}");
        // A typo is rubbed out: the code is right all the same.
        let right = code(&shown, 0);
        session.type_keys(&format!("9\x7f{right}\r"));
        let rest = session.end();
        assert!(rest.contains("alice is enrolled."), "{rest}");
        assert_eq!(session.exit(), 0);
    });
}

#[test]
fn five_wrong_codes_leave_nothing() {
    on_a_machine(|machine| {
        let mut session = Session::start(machine, &["enroll", "alice", "--qr", "none"], 100);
        let shown = session.until(ASKED);
        let known: Vec<String> = (-121..=121).map(|steps| code(&shown, steps)).collect();
        let wrong = (0..1_000_000)
            .map(|n| format!("{n:06}"))
            .find(|n| !known.contains(n))
            .unwrap();
        for _ in 0..5 {
            session.type_keys(&format!("{wrong}\r"));
        }
        let rest = session.end();
        assert!(
            rest.contains("That is no code of this secret") && rest.contains("nothing has changed"),
            "{rest}"
        );
        assert!(!rest.contains(&code(&shown, 0)), "never the right code");
        assert_eq!(session.exit(), 1);
        assert_eq!(machine.json(&["status", "alice"])["enrolled"], false);
    });
}

#[test]
fn giving_up_leaves_nothing_behind() {
    on_a_machine(|machine| {
        for way in ["\x03", "\x04", "TERM", "HUP", "INT"] {
            let mut session =
                Session::start(machine, &["enroll", "alice", "--qr", "/run/a.png"], 100);
            session.until(ASKED);
            assert!(Path::new("/run/a.png").exists());
            match way {
                "TERM" => session.signal(Signal::SIGTERM),
                "HUP" => session.signal(Signal::SIGHUP),
                "INT" => session.signal(Signal::SIGINT),
                key => session.type_keys(key),
            }
            let rest = session.end();
            assert!(
                rest.contains("given up; nothing has changed"),
                "{way:?}: {rest}"
            );
            assert_eq!(session.exit(), 1, "{way:?}");
            assert!(!Path::new("/run/a.png").exists(), "{way:?}");
            let kept = fs::read_dir("/var/lib/pam_otp/secrets").unwrap().count();
            assert_eq!(kept, 0, "{way:?}");
        }
    });
}

#[test]
fn giving_up_a_replacement_keeps_the_old_secret() {
    on_a_machine(|machine| {
        let before = machine.json(&["enroll", "alice"]);
        let mut session = Session::start(machine, &["enroll", "alice", "--replace"], 100);
        session.until(ASKED);
        session.type_keys("\x03");
        session.end();
        assert_eq!(session.exit(), 1);
        assert_eq!(machine.json(&["show", "alice"])["secret"], before["secret"]);
        assert_eq!(
            machine.json(&["status", "alice"])["recovery_codes_left"],
            10
        );
    });
}

#[test]
fn a_code_is_asked_for_without_showing_it() {
    on_a_machine(|machine| {
        let issued = machine.json(&["issue", "alice"]);
        let code = issued["code"].as_str().unwrap();
        let mut session = Session::start(machine, &["verify", "alice"], 100);
        session.until("One-time code: ");
        session.type_keys(&format!("{code}\r"));
        let rest = session.end();
        assert!(rest.contains("accepted") && !rest.contains(code), "{rest}");
        assert_eq!(session.exit(), 0);
    });
}

#[test]
fn what_destroys_asks_first() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        for (answer, exit) in [("\r", 1), ("n\r", 1), ("\x03", 1), ("y\r", 0)] {
            let mut session = Session::start(machine, &["remove", "alice"], 100);
            session.until("[y/N] ");
            session.type_keys(answer);
            session.end();
            assert_eq!(session.exit(), exit, "{answer:?}");
        }
    });
}

#[test]
fn json_asks_nothing_at_a_terminal_either() {
    on_a_machine(|machine| {
        let mut session = Session::start(machine, &["enroll", "alice", "--json"], 100);
        let shown = session.end();
        assert!(shown.contains("\"recovery_codes\":["), "{shown}");
        assert_eq!(session.exit(), 0);
        let mut session = Session::start(machine, &["remove", "alice", "--json"], 100);
        assert!(session.end().contains("\"error\":\"usage\""));
        assert_eq!(session.exit(), 2);
    });
}

#[test]
fn no_color_is_respected() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let mut session = Session::start(machine, &["status", "alice"], 100);
        assert!(session.end().contains("\x1b["));
        session.exit();
        let mut plain = machine.command(&["status", "alice"]);
        plain.env("NO_COLOR", "1");
        let mut session = Session::run(plain, 100);
        assert!(!session.end().contains("\x1b["));
        session.exit();
    });
}
