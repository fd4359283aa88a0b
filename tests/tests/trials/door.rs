//! The process of otpd's that answers one asker, killed and failed at every system call from its first look at her: as a
//! login by the module itself, a code is never good twice, the next one works, and nobody is let in who should not be.

use otp::door::wire::{Answer, Asker, Question, answer_from, question_bytes};
use otp::origin::Origin;
use otp::passcode::Passcode;
use tests::meddler::{Call, Ended, Fate, Program};
use tests::pam::line;
use tests::sandbox::{OTPD, is_real_root};
use tests::syslog::Syslog;

use crate::fault::{errnos, is_about_memory, is_about_the_log, says_what_failed};
use crate::logins::{Alice, KINDS};
use crate::{told, trial};

/// alice asks about herself.
fn asking(code: &str) -> Program {
    let asker = Asker {
        user: b"alice".to_vec(),
        service: None,
        remote: None,
        origin: Origin::Local(1000),
    };
    let passcode = Passcode::parse(code.as_bytes()).unwrap();
    let question = question_bytes(&asker, &Question::Judge(passcode));
    Program::new(&[OTPD, "answer"]).asked(&question)
}

/// The calls from its look at who asks to its end.
fn calls(program: &Program) -> Vec<Call> {
    let calls = program.calls();
    let is_look = |call: &Call| {
        call.line
            .starts_with("getsockopt(0, SOL_SOCKET, SO_PEERCRED")
    };
    let from = calls.iter().position(is_look).expect("it looks who asks");
    calls[from..].to_vec()
}

fn answer(ended: &Ended) -> Option<Answer> {
    answer_from(ended.out.as_bytes()).ok()
}

fn is_accepted(ended: &Ended) -> bool {
    matches!(answer(ended), Some(Answer::Accepted(..)))
}

#[test]
fn otpd_killed_at_any_call_spends_a_code_at_most_once_and_no_other() {
    trial(|| {
        if !is_real_root() {
            return;
        }
        line("nodelay");
        let (mut cases, mut wrong) = (0, Vec::new());
        for kind in KINDS {
            let undisturbed = asking(&Alice::with(kind).code).run();
            assert!(is_accepted(&undisturbed), "{undisturbed:?}");
            for call in calls(&asking(&Alice::with(kind).code)) {
                let alice = Alice::with(kind);
                let ended = asking(&alice.code).meeting(Fate::Killed, &call);
                cases += 1;
                if !ended.killed {
                    wrong.push(format!("{kind}: not killed at {call:?}: {ended:?}"));
                }
                if let Err(why) = alice.is_well(is_accepted(&ended)) {
                    wrong.push(format!("{kind}: killed at {}: {why}", call.line));
                }
            }
        }
        assert!(cases > 100, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
        told(&format!(
            "door: otpd killed at {cases} system calls: no code good twice, every next one good"
        ));
    });
}

#[test]
fn a_call_of_otpds_that_fails_spends_a_code_at_most_once_and_is_told() {
    trial(|| {
        if !is_real_root() {
            return;
        }
        line("nodelay");
        let log = Syslog::bind();
        let (mut cases, mut wrong) = (0, Vec::new());
        for (turn, kind) in KINDS.into_iter().enumerate() {
            for (at, call) in calls(&asking(&Alice::with(kind).code)).iter().enumerate() {
                for errno in errnos(turn + at) {
                    cases += 1;
                    let alice = Alice::with(kind);
                    log.take_any();
                    let ended = asking(&alice.code).meeting(Fate::Failed(errno), call);
                    let lines = log.take_any();
                    let explained = is_explained(call, &ended, &lines);
                    if let Err(why) = explained.and_then(|()| alice.is_well(is_accepted(&ended))) {
                        wrong.push(format!("{kind}: {errno} at {}: {why}", call.line));
                    }
                }
            }
        }
        assert!(cases > 100, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
        told(&format!(
            "door: otpd with {cases} failing system calls: no code good twice, every next one good, every denial explained"
        ));
    });
}

/// Where there is an answer, its reason stands in the log; where there is none, the module's line says that, and otpd what it
/// could not do.
fn is_explained(call: &Call, ended: &Ended, lines: &[String]) -> Result<(), String> {
    if ended.hung || !ended.met {
        return Err(format!("it hangs, or the call was not made: {ended:?}"));
    }
    if is_about_memory(call) || call.name == "exit_group" {
        return Ok(());
    }
    let is_told = match answer(ended) {
        Some(Answer::Accepted(..)) => true,
        Some(Answer::No(_)) => says_what_failed(lines) || is_about_the_log(call),
        Some(_) => false,
        None => ended.err.starts_with("otpd: cannot answer: "),
    };
    if is_told {
        Ok(())
    } else {
        Err(format!("{ended:?}: the log does not say why: {lines:?}"))
    }
}

#[test]
fn a_call_of_otpds_that_fails_lets_no_wrong_code_in() {
    trial(|| {
        if !is_real_root() {
            return;
        }
        line("nodelay");
        let log = Syslog::bind();
        let mut cases = 0;
        for (at, call) in calls(&asking(&Alice::with("totp").wrong))
            .iter()
            .enumerate()
        {
            for errno in errnos(at) {
                cases += 1;
                let alice = Alice::with("totp");
                log.take_any();
                let ended = asking(&alice.wrong).meeting(Fate::Failed(errno), call);
                assert!(
                    !is_accepted(&ended) && !ended.hung,
                    "{errno} at {call:?}: {ended:?}"
                );
                alice.is_well(false).unwrap();
            }
        }
        assert!(cases > 50, "{cases}");
        told(&format!(
            "door: a wrong code with {cases} failing system calls of otpd's: refused"
        ));
    });
}

#[test]
fn otpd_tells_success_only_when_everything_written_is_flushed() {
    trial(|| {
        if !is_real_root() {
            return;
        }
        for kind in KINDS {
            let calls = calls(&asking(&Alice::with(kind).code));
            let at = |name: &str| {
                let calls = calls.iter().enumerate();
                let calls = calls.filter(|(_, call)| call.line.starts_with(name));
                calls.map(|(at, _)| at).collect::<Vec<_>>()
            };
            let (flushed, told) = (at("fdatasync("), at("sendto(0, \"pamotpDA"));
            let slots = calls
                .iter()
                .filter(|call| call.name == "pwrite64" && call.line.contains(", 4096, "));
            assert_eq!(told.len(), 1, "{kind}");
            assert!(slots.count() > 0 && !flushed.is_empty(), "{kind}");
            assert!(flushed.iter().all(|at| *at < told[0]), "{kind}");
            assert!(at("pwrite64(").iter().all(|at| *at < told[0]), "{kind}");
        }
    });
}
