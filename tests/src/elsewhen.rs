//! Logins at another time: libfaketime shifts the clock of a whole pamtester from outside.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether the module lets the user in who types this, where the clock is as libfaketime is told: `+1d`, `-30`,
/// `@2038-01-19 03:14:08`. The service is `sshd`.
pub fn accepts_at(clock: &str, user: &str, typed: &str) -> bool {
    let mut child = Command::new("pamtester")
        .args(["sshd", user, "authenticate"])
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME", clock)
        .env("FAKETIME_DONT_RESET", "1")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pamtester is there");
    writeln!(child.stdin.take().unwrap(), "{typed}").unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);
    let accepted = said.contains("successfully authenticated");
    assert_eq!(accepted, done.status.success(), "{said}");
    assert!(accepted || said.contains("Authentication"), "{said}");
    accepted
}

fn libfaketime() -> PathBuf {
    let dirs = fs::read_dir("/usr/lib").unwrap().flatten();
    let places = dirs.map(|dir| dir.path().join("faketime/libfaketime.so.1"));
    places
        .into_iter()
        .find(|place| place.exists())
        .expect("libfaketime (faketime) is there")
}
