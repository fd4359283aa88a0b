//! Every system call fails once: nothing wrong is accepted, nothing twice, nobody is let by, nothing hangs, and the log says what failed.

use tests::meddler::{Call, Ended, Fate};
use tests::pam::line;
use tests::syslog::Syslog;

use crate::logins::{Alice, KINDS, calls_of_module, login};
use crate::verbs::VERBS;
use crate::{is_full, told, trial};

const ERRNOS: [&str; 7] = [
    "EIO", "ENOSPC", "EACCES", "EINTR", "EMFILE", "ENOMEM", "EROFS",
];

/// What a call fails with: in the short form one of them, each in its turn.
pub fn errnos(turn: usize) -> Vec<&'static str> {
    match is_full() {
        true => ERRNOS.to_vec(),
        false => vec![ERRNOS[turn % ERRNOS.len()]],
    }
}

/// Memory: what cannot have it may abort, which denies.
pub fn is_about_memory(call: &Call) -> bool {
    ["brk", "mmap", "munmap", "mprotect", "madvise", "mremap"].contains(&&*call.name)
}

/// The way of the line to the log, and of libpam's own to the kernel's audit.
pub fn is_about_the_log(call: &Call) -> bool {
    match call.name.as_str() {
        "socket" => call.line.contains("SOCK_DGRAM"),
        "connect" => call.line.contains("/dev/log"),
        name => name == "sendto",
    }
}

/// What a denial must leave in the log: that it could not be known, or libpam's word that it cannot load the module
/// or, with our answer in hand, cannot tell the kernel's audit of it.
pub fn says_what_failed(lines: &[String]) -> bool {
    let says = |line: &String| {
        let words = [
            "refused reason=unavailable",
            "PAM unable to dlopen",
            "PAM audit_",
        ];
        words.iter().any(|words| line.contains(words))
    };
    lines.iter().any(says)
}

pub fn ended_in_order(call: &Call, ended: &Ended) -> Result<(), String> {
    if ended.hung {
        return Err("it hangs".to_owned());
    }
    if !ended.met {
        return Err(format!("the call was not made: {ended:?}"));
    }
    if !ended.out.starts_with("PAM_") && !is_about_memory(call) {
        return Err(format!("it does not answer: {ended:?}"));
    }
    Ok(())
}

fn a_right_code(kind: &str, call: &Call, errno: &'static str, log: &Syslog) -> Result<(), String> {
    let alice = Alice::with(kind);
    log.take_any();
    let ended = login(&alice.code).meeting(Fate::Failed(errno), call);
    let lines = log.take_any();
    ended_in_order(call, &ended)?;
    let is_accepted = ended.out == "PAM_SUCCESS\n";
    let is_silent_by_right = is_about_memory(call) || is_about_the_log(call);
    if !is_accepted && !is_silent_by_right && !says_what_failed(&lines) {
        return Err(format!(
            "{}: the log does not say why: {lines:?}",
            ended.out
        ));
    }
    alice.is_well(is_accepted)
}

#[test]
fn a_call_that_fails_spends_a_code_at_most_once_and_is_told() {
    trial(|| {
        line("nodelay");
        let log = Syslog::bind();
        let (mut cases, mut wrong) = (0, Vec::new());
        for (turn, kind) in KINDS.into_iter().enumerate() {
            let calls = calls_of_module(&login(&Alice::with(kind).code));
            for (at, call) in calls.iter().enumerate() {
                for errno in errnos(turn + at) {
                    cases += 1;
                    if let Err(why) = a_right_code(kind, call, errno, &log) {
                        wrong.push(format!("{kind}: {errno} at {}: {why}", call.line));
                    }
                }
            }
        }
        assert!(cases > 100, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
        told(&format!(
            "fault: a login with {cases} failing system calls: no code good twice, every next one good, every denial explained"
        ));
    });
}

#[test]
fn a_call_that_fails_lets_nobody_by_and_no_wrong_code_in() {
    trial(|| {
        line("nodelay nullok");
        let log = Syslog::bind();
        let (mut cases, mut wrong) = (0, Vec::new());
        let calls = calls_of_module(&login(&Alice::with("totp").wrong));
        for (at, call) in calls.iter().enumerate() {
            for errno in errnos(at) {
                cases += 1;
                let alice = Alice::with("totp");
                // Or the queue fills, and the next line waits for good.
                log.take_any();
                let ended = login(&alice.wrong).meeting(Fate::Failed(errno), call);
                let mut come_of_it = ended_in_order(call, &ended);
                if ["PAM_SUCCESS\n", "PAM_IGNORE\n"].contains(&&*ended.out) {
                    come_of_it = Err(ended.out);
                }
                if let Err(why) = come_of_it.and_then(|()| alice.is_well(false)) {
                    wrong.push(format!("{errno} at {}: {why}", call.line));
                }
            }
        }
        assert!(cases > 100, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
        told(&format!(
            "fault: a wrong code under nullok with {cases} failing system calls: refused, and never passed by"
        ));
    });
}

#[test]
fn a_command_with_a_call_that_fails_leaves_the_old_or_the_new_state_and_says_so() {
    trial(|| {
        line("nodelay");
        let mut cases = 0;
        for verb in VERBS {
            let calls = verb.calls(is_full());
            // Until here it is the loader and the language's own start that fail, before a line of ours.
            let begins = calls.iter().position(|call| call.name == "sigaltstack");
            for (at, call) in calls.iter().enumerate() {
                for errno in errnos(at) {
                    println!("{}: {errno} at {}", verb.name, call.line);
                    let ended = verb.tried(|program| program.meeting(Fate::Failed(errno), call));
                    assert!(ended.met || !call.is_certain(), "{ended:?}");
                    let explained = ended.code == Some(0)
                        || begins.is_some_and(|begins| at <= begins)
                        || is_about_memory(call)
                        || ended.out.contains("\"message\"")
                        || ended.err.contains(": ");
                    assert!(explained, "{ended:?}");
                    cases += usize::from(ended.met);
                }
            }
        }
        told(&format!(
            "fault: commands with {cases} failing system calls: old or new, whole"
        ));
    });
}

#[test]
fn a_secret_whose_end_cannot_be_read_is_not_enrolled_short_of_it() {
    trial(|| {
        line("nodelay");
        let enroll = VERBS.into_iter().next().unwrap();
        let calls = enroll.calls(true);
        let mut letters = calls
            .iter()
            .filter(|call| call.line.starts_with("read(0, \""));
        // What is left is a whole secret in base32, and long enough.
        let call = letters.nth(29).unwrap();
        let ended = enroll.tried(|program| program.meeting(Fate::Failed("EIO"), call));
        assert!(ended.met && ended.code == Some(5), "{ended:?}");
    });
}
