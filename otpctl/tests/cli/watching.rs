//! status --watch: drawn on a terminal, told in lines elsewhere, ended by whoever has seen enough.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::terminal::Session;
use crate::world::{Machine, on_a_machine};

const ENTERED: &str = "\x1b[?1049h";
const LEFT: &str = "\x1b[?1049l";
const DRAWN: &str = "Ctrl-C ends it";

/// At a terminal that is the command's own, so that Ctrl-C reaches it.
fn at_a_terminal(machine: &Machine, args: &[&str], columns: u16) -> Session {
    Session::run(with_terminal(machine, args), columns)
}

fn with_terminal(machine: &Machine, args: &[&str]) -> Command {
    let otpctl = machine.command(args);
    let mut command = Command::new("setsid");
    command.arg("-c").arg(otpctl.get_program()).args(args);
    command.env("TZ", "UTC").env_remove("NO_COLOR");
    command
}

/// What a terminal shows of it: without its escape sequences.
fn shown(drawn: &str) -> String {
    let mut parts = drawn.split("\x1b[");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic());
        text.push_str(&part[end.unwrap() + 1..]);
    }
    text
}

#[test]
fn a_terminal_is_drawn_on_and_left_as_it_was() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let mut session = at_a_terminal(machine, &["status", "alice", "--watch", "1"], 100);
        let first = session.until(DRAWN);
        assert!(first.starts_with(ENTERED), "{first:?}");
        assert!(shown(&first).contains("failures    none"), "{first:?}");
        assert!(first.contains("every 1 second"), "{first:?}");
        machine.otpctl_with(&["verify", "alice"], "000000").exits(1);
        let drawn = session.until("failures    1");
        let (_, again) = drawn.rsplit_once("\x1b[H").unwrap();
        assert!(!again.contains("\x1b[2J"), "nothing is blanked: {again:?}");
        let lines: Vec<&str> = again.lines().collect();
        let (_, whole) = lines.split_last().unwrap();
        assert!(
            whole.iter().all(|line| line.ends_with("\x1b[K")),
            "{again:?}"
        );
        session.type_keys("\x03");
        let rest = session.end();
        assert!(
            rest.ends_with(LEFT) && rest.contains("\x1b[?25h"),
            "{rest:?}"
        );
        assert_eq!(session.exit(), 0);
    });
}

#[test]
fn every_way_to_end_it_is_fine() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        for way in ["q", "\x04", "TERM", "HUP", "INT"] {
            let mut session = at_a_terminal(machine, &["status", "--watch", "3600"], 100);
            session.until(DRAWN);
            match way {
                "TERM" => session.signal(Signal::SIGTERM),
                "HUP" => session.signal(Signal::SIGHUP),
                "INT" => session.signal(Signal::SIGINT),
                key => session.type_keys(key),
            }
            assert!(session.end().ends_with(LEFT), "{way:?}");
            assert_eq!(session.exit(), 0, "{way:?}");
        }
    });
}

#[test]
fn stopped_it_gives_the_terminal_back_for_as_long() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let mut session = at_a_terminal(machine, &["status", "--watch", "3600"], 100);
        session.until(DRAWN);
        session.signal(Signal::SIGTSTP);
        session.until(LEFT);
        session.until_stopped();
        session.signal(Signal::SIGCONT);
        let drawn = session.until(DRAWN);
        assert!(drawn.contains(ENTERED), "{drawn:?}");
        session.type_keys("q");
        session.end();
        assert_eq!(session.exit(), 0);
    });
}

#[test]
fn colours_and_width_are_those_of_the_terminal() {
    on_a_machine(|machine| {
        let said = [
            "issue",
            "alice",
            "--reason",
            "a reason that is longer than the terminal is wide by far",
        ];
        machine.otpctl(&said).exits(0);
        let mut session = at_a_terminal(machine, &["status", "alice", "--watch"], 40);
        let drawn = session.until("ends it");
        assert!(drawn.contains("\x1b[1m"), "{drawn:?}");
        let longest = shown(&drawn).lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap() <= 40, "{drawn:?}");
        session.type_keys("q");
        session.end();
        assert_eq!(session.exit(), 0);

        let mut plain = with_terminal(machine, &["status", "alice", "--watch"]);
        plain.env("NO_COLOR", "1");
        let mut session = Session::run(plain, 100);
        let drawn = session.until(DRAWN);
        let has_colour = drawn.split("\x1b[").skip(1).any(|part| {
            let end = part
                .find(|letter: char| letter.is_ascii_alphabetic())
                .unwrap();
            part[end..].starts_with('m')
        });
        assert!(!has_colour, "{drawn:?}");
        session.type_keys("q");
        session.end();
        session.exit();
    });
}

#[test]
fn a_user_who_disappears_is_said_and_one_who_comes_back_is_shown() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let mut session = at_a_terminal(machine, &["status", "alice", "--watch", "1"], 100);
        session.until(DRAWN);
        machine.otpctl(&["remove", "alice", "--yes"]).exits(0);
        session.until("not enrolled");
        fs::write("/etc/passwd", passwd.replace("alice", "malice")).unwrap();
        session.until("there is no user alice");
        fs::write("/etc/passwd", passwd).unwrap();
        session.until("not enrolled");
        session.type_keys("q");
        session.end();
        assert_eq!(session.exit(), 0);
        machine
            .otpctl(&["status", "nobody-here", "--watch"])
            .exits(3);
    });
}

/// The next lines of the command, as objects.
fn objects(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    n: usize,
) -> Vec<serde_json::Value> {
    let lines = lines.take(n);
    lines
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect()
}

#[test]
fn without_a_terminal_it_is_an_object_a_line() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        for json in [&[][..], &["--json"]] {
            let mut command = machine.command(&["status", "alice", "--watch", "1"]);
            let mut child = command.args(json).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let started = Instant::now();
            let told = objects(&mut lines, 2);
            assert!(
                started.elapsed() >= Duration::from_millis(900),
                "an interval apart"
            );
            assert_eq!(told[1], machine.json(&["status", "alice"]));
            fs::rename("/var/lib/pam_otp", "/var/lib/away").unwrap();
            let told = objects(&mut lines, 2);
            assert_eq!(told[1]["error"], "missing", "{told:?}");
            assert_eq!(told[1]["user"], "alice", "{told:?}");
            fs::rename("/var/lib/away", "/var/lib/pam_otp").unwrap();
            let told = objects(&mut lines, 2);
            assert_eq!(told[1]["enrolled"], true, "{told:?}");
            kill(
                Pid::from_raw(child.id().try_into().unwrap()),
                Signal::SIGTERM,
            )
            .unwrap();
            assert!(child.wait().unwrap().success());
        }
    });
}

#[test]
fn between_two_looks_nothing_is_locked_or_open_and_a_reader_who_has_gone_ends_it() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let mut command = machine.command(&["status", "alice", "--watch", "3600", "--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        objects(&mut lines, 1);
        let record = File::open("/var/lib/pam_otp/state/alice").unwrap();
        let lock = Flock::lock(record, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno);
        lock.unwrap();
        let open = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        let open: Vec<_> = open
            .map(|fd| fs::read_link(fd.unwrap().path()).unwrap())
            .collect();
        assert!(
            open.iter().all(|path| !path.starts_with("/var")),
            "{open:?}"
        );
        drop(lines);
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "it goes on for nobody"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(child.wait().unwrap().success());
    });
}
