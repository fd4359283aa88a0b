//! A first login that something happens to: she is enrolled with the key she was shown, or not at all, and can go on either way.

use std::path::Path;

use otp::store::Store;
use otp::time::TimeStep;
use tests::meddler::{Ended, Fate, Program};
use tests::pam::{Asked, Login, Reply, Session, line, stack};
use tests::sandbox::MODULE;
use tests::users::{Phone, account, step, store, wipe};

use crate::logins::{accepts, calls_of_module};
use crate::{told, trial};

fn first_login() -> Program {
    Program::new(&["/built/login", "alice"])
}

/// Nothing is kept of her, and her first login enrols her.
fn before() {
    wipe();
    store();
    stack(
        "sshd",
        &[
            &format!("auth required {MODULE} nullok nodelay"),
            "auth required pam_permit.so",
            &format!("account required {MODULE} enroll"),
            "account required pam_permit.so",
        ],
    );
}

fn proves(shown: &[Asked]) -> String {
    let mut lines = shown.iter().rev();
    let key = lines.find_map(|line| line.text.strip_prefix("or type the key   "));
    let key = key.unwrap().replace(' ', "");
    Phone::with_secret("alice", &key).code_at(0)
}

/// What must hold of her afterwards; whether she is enrolled.
fn is_well(ended: &Ended, began: TimeStep) -> Result<bool, String> {
    let is_told = ended.out.contains("PAM_SUCCESS");
    let record = store().read(&account("alice"));
    let record = record.map_err(|error| error.to_string())?;
    if record.enrollment.is_none() {
        if is_told {
            return Err("she was let in and is not enrolled".to_owned());
        }
        let secret = Path::new("/var/lib/pam_otp/secrets/alice");
        if secret.exists() {
            return Err("a secret is left".to_owned());
        }
        let login = Login::of("alice").typing(Reply::Worked(proves)).typing("");
        let mut session = Session::start(&login);
        if session.authenticate() != 0 || session.hook("account") != "PAM_SUCCESS" {
            return Err("her next login does not enrol her".to_owned());
        }
        return Ok(false);
    }
    let shown = ended.out.lines().find_map(|line| line.split_once(' '));
    let (key, code) = shown.ok_or("enrolled with a key that nobody saw")?;
    let phone = Phone::with_secret("alice", key);
    line("nodelay");
    if accepts(code) {
        return Err("the code that proved the key is accepted again".to_owned());
    }
    // The code was of the step it began in or of the one after that.
    let next = [2, 1].map(|later| phone.code_of(began.offset(later).unwrap()));
    if !next.iter().any(|code| accepts(code)) {
        return Err("the next code is refused".to_owned());
    }
    Ok(true)
}

#[test]
fn killed_at_any_call_she_is_enrolled_with_the_key_she_saw_or_not_at_all() {
    trial(|| {
        before();
        let calls = calls_of_module(&first_login());
        let (mut enrolled, mut not, mut wrong) = (0, 0, Vec::new());
        for call in calls.iter().filter(|call| call.is_certain()) {
            before();
            let began = step();
            let ended = first_login().meeting(Fate::Killed, call);
            if !ended.killed {
                wrong.push(format!("not killed at {call:?}: {ended:?}"));
            }
            match is_well(&ended, began) {
                Ok(true) => enrolled += 1,
                Ok(false) => not += 1,
                Err(why) => wrong.push(format!("killed at {}: {why}", call.line)),
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(enrolled > 3 && not > 50, "{enrolled} and {not}");
        told(&format!(
            "kill: a first login killed at {} system calls: enrolled {enrolled} times, {not} times not at all",
            enrolled + not
        ));
    });
}
