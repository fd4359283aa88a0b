//! Logins that something happens to: one with each kind of code, as a process of its own, and what must hold afterwards.

use std::fs;
use std::path::Path;

use otp::policy::Policy;
use otp::time::TimeStep;
use tests::meddler::{Call, Program};
use tests::pam::Login;
use tests::sandbox::MODULE;
use tests::users::{Phone, issue, step, wipe};

/// A login as a process of its own, as its path is inside.
const LOGIN: &str = "/built/login";
const RECOVERY: &str = "7kq2-m4tx-9bnc-2xwd";
const STORED: &str = "48210937";

/// The kinds of codes.
pub const KINDS: [&str; 4] = ["totp", "hotp", "stored", "recovery"];

/// Alice, who has never logged in, with a code of one kind in her hand, and another for afterwards.
pub struct Alice {
    pub code: String,
    pub next: String,
    pub wrong: String,
    kept: Vec<String>,
}

impl Alice {
    pub fn with(kind: &str) -> Self {
        wipe();
        let phone = match kind {
            "hotp" => Phone::counting("alice", &[RECOVERY]),
            _ => Phone::enrolled("alice", &[RECOVERY]),
        };
        issue("alice", STORED, 600);
        // A token begins with counter 0.
        let now = match kind {
            "hotp" => TimeStep::new(0),
            _ => step(),
        };
        let code = match kind {
            "totp" | "hotp" => phone.code_of(now),
            "stored" => STORED.to_owned(),
            _ => RECOVERY.to_owned(),
        };
        Self {
            code,
            next: phone.code_of(now.offset(1).unwrap()),
            wrong: phone.wrong_code(),
            kept: names(),
        }
    }

    /// Whatever has happened to a login with her code: the code is accepted once at most, the next one is, and nothing lies about.
    pub fn is_well(&self, was_accepted: bool) -> Result<(), String> {
        let is_accepted = accepts(&self.code);
        if was_accepted && is_accepted {
            return Err("the code is accepted twice".to_owned());
        }
        if accepts(&self.code) {
            return Err("the code is accepted again and again".to_owned());
        }
        if !accepts(&self.next) {
            return Err("the next code is refused".to_owned());
        }
        match names() {
            names if names == self.kept => Ok(()),
            names => Err(format!("left behind: {names:?}")),
        }
    }
}

/// Everything there is in the store.
fn names() -> Vec<String> {
    let policy = Policy::default();
    let mut names = Vec::new();
    for tree in [policy.state_dir, policy.spool_dir] {
        gather(&tree, &mut names);
    }
    names.sort();
    names
}

fn gather(dir: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, names);
        }
        names.push(path.display().to_string());
    }
}

/// Whether a login of alice's with this code is let in, made in this process and undisturbed.
pub fn accepts(code: &str) -> bool {
    Login::of("alice").typing(code).authenticate().answer == "PAM_SUCCESS"
}

/// A login of alice's as a program.
pub fn login(code: &str) -> Program {
    Program::new(&[LOGIN, "alice", code])
}

/// The calls from the module's load to its answer.
pub fn calls_of_module(login: &Program) -> Vec<Call> {
    let calls = login.calls();
    let is_load = |call: &Call| call.name == "openat" && call.line.contains(MODULE);
    let from = calls.iter().position(is_load).expect("it is loaded");
    let is_answer = |call: &Call| call.line.starts_with("write(1, \"PAM_");
    let to = calls.iter().position(is_answer).expect("it answers");
    calls[from..to].to_vec()
}
