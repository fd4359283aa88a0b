//! A code asked for, and typed, in one login that something happens to at any of its system calls: no code is good twice, none waits
//! that nobody counted, and the next request works.

use otp::delivery::Channel;
use otp::store::Store;
use tests::elsewhen::{accepts_all_at, accepts_at};
use tests::meddler::{Call, Ended, Fate, Program};
use tests::pam::line;
use tests::post::{self, contact, send};
use tests::syslog::Syslog;
use tests::users::{account, store, wipe};

use crate::fault::{ended_in_order, errnos, is_about_memory, is_about_the_log};
use crate::logins::{accepts, calls_of_module, login};
use crate::verbs::changes;
use crate::{is_full, told, trial};

/// Alice, who has a telephone, and nothing else.
fn house() {
    wipe();
    send("");
    store();
    contact("alice", Channel::Sms);
}

fn asks() -> Program {
    login("ask")
}

/// The calls of a request and of the login it belongs to: in the short form those alone that change something, or are a lock.
fn calls() -> Vec<Call> {
    house();
    let mut calls = calls_of_module(&asks());
    assert!(calls.len() > 200, "{}", calls.len());
    calls.retain(|call| is_full() || changes(call));
    calls
}

fn code() -> Option<String> {
    post::code("alice", Channel::Sms)
}

/// Whatever has happened to a login in which she asked for a code and typed it.
fn is_well(ended: &Ended) -> Result<(), String> {
    let was_accepted = ended.out.contains("PAM_SUCCESS");
    let first = code();
    let kept = store().read(&account("alice")).unwrap().issued;
    if first.is_some() && kept.iter().all(|code| code.sends != 1) {
        return Err(format!("a code waits that is not kept: {kept:?}"));
    }
    if let Some(first) = &first {
        let is_accepted = accepts(first);
        if was_accepted && is_accepted {
            return Err("the code is accepted twice".to_owned());
        }
        if accepts(first) {
            return Err("the code is accepted again and again".to_owned());
        }
    }
    if accepts_all_at("+61", "alice", &["", "12345"]) {
        return Err("somebody gets in without a code".to_owned());
    }
    let second = code();
    let Some(second) = second.filter(|second| Some(second) != first.as_ref()) else {
        return Err("the next request has nothing sent".to_owned());
    };
    if first.is_some_and(|first| accepts_at("+62", "alice", &first)) {
        return Err("the code before is accepted, too".to_owned());
    }
    if !accepts_at("+62", "alice", &second) {
        return Err("the next code is refused".to_owned());
    }
    match accepts_at("+62", "alice", &second) {
        true => Err("the next code is accepted twice".to_owned()),
        false => Ok(()),
    }
}

#[test]
fn a_request_killed_at_any_call_has_no_code_good_twice_and_the_next_one_works() {
    trial(|| {
        line("nodelay after_first_factor");
        let (mut cases, mut wrong) = (0, Vec::new());
        for call in calls() {
            house();
            let ended = asks().meeting(Fate::Killed, &call);
            cases += 1;
            if !ended.killed {
                wrong.push(format!("not killed at {call:?}: {ended:?}"));
            }
            if let Err(why) = is_well(&ended) {
                wrong.push(format!("killed at {}: {why}", call.line));
            }
        }
        assert!(cases > 20, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
        told(&format!(
            "kill: a request killed at {cases} system calls: no code good twice, every next one sent and good"
        ));
    });
}

#[test]
fn a_request_with_a_call_that_fails_has_no_code_good_twice_and_is_told() {
    trial(|| {
        line("nodelay after_first_factor");
        let log = Syslog::bind();
        let (mut cases, mut wrong) = (0, Vec::new());
        // In the short form every second one: each is a request and three logins at other times.
        let step = if is_full() { 1 } else { 2 };
        for (at, call) in calls().iter().enumerate().step_by(step) {
            for errno in errnos(at) {
                house();
                log.take_any();
                let ended = asks().meeting(Fate::Failed(errno), call);
                let lines = log.take_any();
                cases += 1;
                let mut came = ended_in_order(call, &ended);
                let is_silent_by_right = is_about_memory(call) || is_about_the_log(call);
                let explained = lines.iter().any(|line| line.contains("reason=unavailable"));
                if ended.out != "PAM_SUCCESS\n" && !is_silent_by_right && !explained {
                    came = came.and(Err(format!("{}: not explained: {lines:?}", ended.out)));
                }
                if let Err(why) = came.and_then(|()| is_well(&ended)) {
                    wrong.push(format!("{errno} at {}: {why}", call.line));
                }
                log.take_any();
            }
        }
        assert!(cases > 10, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
        told(&format!(
            "fault: a request with {cases} failing system calls: no code good twice, every next one sent and good, every denial explained"
        ));
    });
}
