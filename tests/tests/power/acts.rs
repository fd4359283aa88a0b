//! What is done to the store: by the built module in a host of its own, and by the built command.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use otp::hotp::{Algorithm, CodeLength};
use otp::secret::Secret;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use serde_json::Value;
use tests::sandbox::OTPCTL;
use tests::users;

use crate::record::{self, Recording};

/// Everything happens to her.
pub(crate) const USER: &str = "alice";

/// One run of a program.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A login with this code, which is let in or not as it comes.
    Login(String),
    /// A login with a code of nobody's, which is counted as a failure.
    Guess(String),
    /// A verb of the command, with this on its standard input.
    Ctl(&'static str, String),
}

impl Act {
    pub(crate) fn login(code: &str) -> Self {
        Self::Login(code.to_owned())
    }

    pub(crate) fn ctl(line: &'static str) -> Self {
        Self::Ctl(line, String::new())
    }

    /// The verb, where it is the command's.
    pub(crate) fn verb(&self) -> &str {
        match self {
            Self::Login(_) => "login",
            Self::Guess(_) => "guess",
            Self::Ctl(line, _) => line.split(' ').next().unwrap_or_default(),
        }
    }

    /// Does it to the store that is in the sandbox, watched.
    pub(crate) fn recorded(&self, now: UnixTime) -> Recording {
        let environment = clock(now);
        let environment: Vec<_> = environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let (program, input) = self.program();
        record::watch(&program, input, &environment)
    }

    /// Does it unwatched.
    pub(crate) fn done(&self, now: UnixTime) -> Recording {
        let (program, input) = self.program();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).envs(clock(now));
        record::run(command, input)
    }

    fn program(&self) -> (Vec<&str>, &str) {
        match self {
            Self::Login(code) | Self::Guess(code) => {
                (vec!["pamtester", "sshd", USER, "authenticate"], code)
            }
            Self::Ctl(line, input) => {
                let program = [OTPCTL, "--json"].into_iter();
                (program.chain(line.split(' ')).collect(), input)
            }
        }
    }
}

/// The clock stands still for the programs, so that every code is as good at the end of a trial as at its beginning.
fn clock(now: UnixTime) -> [(&'static str, String); 4] {
    [
        ("LD_PRELOAD", faketime().to_owned()),
        ("FAKETIME", now.as_secs().to_string()),
        ("FAKETIME_FMT", "%s".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

fn faketime() -> &'static str {
    static LIBRARY: OnceLock<String> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let libraries = fs::read_dir("/usr/lib").unwrap().flatten();
        let candidates = libraries.map(|dir| dir.path().join("faketime/libfaketime.so.1"));
        let mut found = candidates.filter(|path| path.exists());
        let found = found.next().expect("faketime is installed");
        found.to_str().unwrap().to_owned()
    })
}

/// The beginning of the present time step, which stays the present for the whole trial.
pub(crate) fn now() -> UnixTime {
    let now = users::now().as_secs();
    UnixTime::from_secs(now - now % 30)
}

/// The code that a phone with this secret shows, so many steps from a time.
pub(crate) fn shown(secret: &str, at: UnixTime, steps: i64) -> String {
    let secret = Secret::from_base32(secret).unwrap();
    let step = TimeStep::at(at, Period::THIRTY).offset(steps).unwrap();
    let code = totp::code(&secret, Algorithm::Sha1, CodeLength::SIX, step);
    code.expose().to_owned()
}

/// What the command said.
pub(crate) fn said(recording: &Recording) -> Value {
    serde_json::from_str(&recording.out)
        .unwrap_or_else(|_| panic!("no JSON: {}{}", recording.out, recording.err))
}

/// The texts of a list in it.
pub(crate) fn texts(said: &Value, key: &str) -> Vec<String> {
    let list = said[key].as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|each| each.as_str().unwrap().to_owned())
        .collect()
}
