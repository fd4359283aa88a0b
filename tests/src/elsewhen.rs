//! Logins at another time: libfaketime shifts the clock of a whole pamtester from outside.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether the module lets the user in who types this, where the clock is as libfaketime is told: `+1d`, `-30`,
/// `@2038-01-19 03:14:08`. The service is `sshd`.
pub fn accepts_at(clock: &str, user: &str, typed: &str) -> bool {
    let said = said_at(clock, &["sshd", user, "authenticate"], typed);
    let accepted = said.contains("successfully authenticated");
    assert!(accepted || said.contains("Authentication"), "{said}");
    accepted
}

/// What is asked of a user who comes from an address, where the clock is as libfaketime is told.
pub fn prompts_at(clock: &str, user: &str, rhost: &str) -> String {
    let rhost = format!("rhost={rhost}");
    let said = said_at(clock, &["-I", &rhost, "sshd", user, "authenticate"], "");
    let (prompts, _) = said.split_once("pamtester: ").expect("it says what came");
    prompts.to_owned()
}

/// Whether the module lets the user in who types these lines one after another, as [`accepts_at`].
pub fn accepts_all_at(clock: &str, user: &str, typed: &[&str]) -> bool {
    accepts_at(clock, user, &typed.join("\n"))
}

/// What pamtester says with these arguments.
fn said_at(clock: &str, arguments: &[&str], typed: &str) -> String {
    let mut child = Command::new("pamtester")
        .args(arguments)
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME", clock)
        .env("FAKETIME_DONT_RESET", "1")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pamtester is there");
    // Where nothing is asked it may be gone before it reads.
    let _ = writeln!(child.stdin.take().unwrap(), "{typed}");
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    let accepted = said.contains("successfully authenticated");
    assert_eq!(accepted, done.status.success(), "{said}");
    said.into_owned()
}

fn libfaketime() -> PathBuf {
    let dirs = fs::read_dir("/usr/lib").unwrap().flatten();
    let places = dirs.map(|dir| dir.path().join("faketime/libfaketime.so.1"));
    places
        .into_iter()
        .find(|place| place.exists())
        .expect("libfaketime (faketime) is there")
}
