//! Many at one instant: of those with the same code one is let in, and of those with codes of their own nobody is turned away.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use otp::policy::Policy;
use tests::crowd;
use tests::meddler::Program;
use tests::pam::{Login, Session, line};
use tests::sandbox::OTPCTL;
use tests::users::{self, Phone, issue, move_in, store, wipe};

use crate::{rounds, told, trial};

/// So many at once.
const CROWD: usize = 32;
const RECOVERY: &str = "7kq2-m4tx-9bnc-2xwd";

/// The kinds of codes.
const KINDS: usize = 4;

/// One fresh code for alice, of each kind in its turn.
fn fresh_code(round: usize) -> String {
    wipe();
    match round % KINDS {
        0 => Phone::enrolled("alice", &[]).code(),
        // Not the next one, but one that the look-ahead finds.
        1 => Phone::counting("alice", &[]).code_counted(2),
        2 => issued_by_otpctl("alice"),
        _ => {
            Phone::enrolled("alice", &[RECOVERY]);
            RECOVERY.to_owned()
        }
    }
}

fn issued_by_otpctl(user: &str) -> String {
    let issued = Program::new(&[OTPCTL, "issue", user, "--json"]).run();
    assert_eq!(issued.code, Some(0), "{}", issued.err);
    let json: serde_json::Value = serde_json::from_str(&issued.out).unwrap();
    json["code"].as_str().unwrap().to_owned()
}

/// A login that waits for the instant with everything ready that a host has ready.
fn logs_in(user: &str, code: &str, wait: &dyn Fn()) -> bool {
    let mut session = Session::start(&Login::of(user).typing(code));
    wait();
    let answer = session.authenticate();
    session.end(answer).answer == "PAM_SUCCESS"
}

/// `otpctl verify`, which waits for its code.
fn verifies(user: &str, code: &str, wait: &dyn Fn()) -> bool {
    let mut otpctl = Command::new(OTPCTL)
        .args(["verify", user, "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait();
    let mut input = otpctl.stdin.take().unwrap();
    writeln!(input, "{code}").unwrap();
    drop(input);
    otpctl.wait().unwrap().success()
}

#[test]
fn of_32_processes_with_one_code_one_is_let_in() {
    trial(|| {
        line("nodelay");
        let rounds = rounds(30, 375) * KINDS;
        for round in 0..rounds {
            let code = fresh_code(round);
            let accepted = crowd::processes(CROWD, |_, wait| logs_in("alice", &code, wait));
            assert_eq!(accepted, 1, "round {round}");
        }
        told(&format!(
            "race: {rounds} codes (time, counter, stored, recovery), each from {CROWD} processes at once: each accepted once"
        ));
    });
}

#[test]
fn of_32_threads_with_one_code_one_is_let_in() {
    trial(|| {
        line("nodelay");
        let rounds = rounds(30, 375) * KINDS;
        for round in 0..rounds {
            let code = fresh_code(round);
            let accepted = crowd::threads(CROWD, |_, wait| logs_in("alice", &code, wait));
            assert_eq!(accepted, 1, "round {round}");
        }
        told(&format!(
            "race: {rounds} codes, each from {CROWD} threads of one process at once: each accepted once"
        ));
    });
}

#[test]
fn of_modules_and_commands_with_one_code_one_accepts() {
    trial(|| {
        line("nodelay");
        let rounds = rounds(10, 125) * KINDS;
        for round in 0..rounds {
            let code = fresh_code(round);
            let accepted = crowd::processes(CROWD, |n, wait| match n % 2 {
                0 => logs_in("alice", &code, wait),
                _ => verifies("alice", &code, wait),
            });
            assert_eq!(accepted, 1, "round {round}");
        }
        told(&format!(
            "race: {rounds} codes, each from {CROWD} processes at once, half of them otpctl: each accepted once"
        ));
    });
}

#[test]
fn of_eight_users_at_one_instant_nobody_is_turned_away() {
    trial(|| {
        line("nodelay");
        move_in(8);
        let rounds = rounds(60, 1000);
        for round in 0..rounds {
            wipe();
            let users: Vec<(String, String)> = (0..8).map(one_with_a_code).collect();
            let logs_in = |n: usize, wait: &dyn Fn()| logs_in(&users[n].0, &users[n].1, wait);
            let accepted = match round % 2 {
                0 => crowd::processes(8, logs_in),
                _ => crowd::threads(8, logs_in),
            };
            assert_eq!(accepted, 8, "round {round}");
        }
        told(&format!(
            "race: {} logins, eight users at once: all accepted",
            rounds * 8
        ));
    });
}

fn one_with_a_code(n: usize) -> (String, String) {
    let user = format!("user{n}");
    let code = match n % 2 {
        0 => Phone::enrolled(&user, &[]).code(),
        _ => {
            let code = format!("4821093{n}");
            issue(&user, &code, 600);
            code
        }
    };
    (user, code)
}

/// Nobody waits longer than this for somebody else's trouble.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn one_users_trouble_delays_and_denies_nobody_else() {
    trial(|| {
        line("nodelay");
        let mut slowest = Duration::ZERO;
        let troubles = troubles();
        for (what, trouble) in &troubles {
            wipe();
            let alice = Phone::enrolled("alice", &[]);
            issue("alice", "48210930", 600);
            let bob = Phone::enrolled("bob", &[]);
            issue("bob", "48210937", 600);
            let (hers, his) = (alice.code(), bob.code());
            let kept = trouble();
            let begun = Instant::now();
            // Alice tries all the while, and waits for her lock where it is held.
            let accepted = crowd::processes(4, |n, wait| match n {
                0 | 1 => logs_in("alice", &hers, wait),
                2 => on_time("bob", &his, wait),
                _ => on_time("bob", "48210937", wait),
            });
            assert_eq!(accepted, 2, "{what}: bob twice, and alice not at all");
            assert!(
                begun.elapsed() < Duration::from_secs(12),
                "{what}: alice hangs"
            );
            let begun = Instant::now();
            assert!(logs_in("bob", &bob.code_at(1), &|| ()), "{what}");
            slowest = slowest.max(begun.elapsed());
            drop(kept);
        }
        assert!(slowest < AT_ONCE, "{slowest:?}");
        told(&format!(
            "race: {} kinds of one user's trouble: three logins of another's beside each, alone at most {slowest:?}",
            troubles.len()
        ));
    });
}

fn on_time(user: &str, code: &str, wait: &dyn Fn()) -> bool {
    wait();
    let begun = Instant::now();
    logs_in(user, code, &|| ()) && begun.elapsed() < AT_ONCE
}

type Trouble = Box<dyn Fn() -> Option<File>>;

/// What can be wrong with alice, and the lock that is held for as long as what it returns.
fn troubles() -> Vec<(String, Trouble)> {
    let policy = Policy::default();
    let state = users::state_file("alice");
    let files = [
        ("state", state.clone()),
        ("secret", policy.state_dir.join("secrets/alice")),
        ("stored code", policy.spool_dir.join("alice/30030201")),
    ];
    let mut troubles: Vec<(String, Trouble)> = Vec::new();
    troubles.push((
        "her lock is held".to_owned(),
        Box::new(move || {
            let file = File::options().write(true).open(&state).unwrap();
            // SAFETY: the descriptor is open.
            assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
            Some(file)
        }),
    ));
    for (name, path) in files {
        for (what, put) in hostile() {
            let path = path.clone();
            let trouble = move || {
                fs::remove_file(&path).unwrap();
                put(&path);
                None
            };
            troubles.push((
                format!("{what} in the place of her {name}"),
                Box::new(trouble),
            ));
        }
    }
    troubles
}

type Put = fn(&Path);

fn hostile() -> [(&'static str, Put); 6] {
    [
        ("a fifo", |path| {
            let made = Command::new("mkfifo").arg("-m600").arg(path).status();
            assert!(made.unwrap().success());
        }),
        ("a link", |path| symlink("/dev/zero", path).unwrap()),
        ("a link to nowhere", |path| {
            symlink("/nowhere", path).unwrap()
        }),
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("noise", |path| private(path, &[0xa5; 12_288])),
        ("an empty file", |path| private(path, b"")),
    ]
}

fn private(path: &Path, content: &[u8]) {
    use std::os::unix::fs::OpenOptionsExt;
    let path: PathBuf = path.to_path_buf();
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.unwrap().write_all(content).unwrap();
}

#[test]
fn a_race_without_a_store_lets_nobody_in() {
    trial(|| {
        line("nodelay");
        store();
        wipe();
        let accepted = crowd::processes(CROWD, |_, wait| logs_in("alice", "123456", wait));
        assert_eq!(accepted, 0);
    });
}
