//! Killed at every system call: a code is never good twice, the next one works, and a command leaves the old or the new state, whole.

use tests::meddler::{Call, Fate};
use tests::pam::line;

use crate::logins::{Alice, KINDS, calls_of_module, login};
use crate::verbs::VERBS;
use crate::{is_full, told, trial};

#[test]
fn a_login_killed_at_any_call_spends_its_code_at_most_once_and_no_other() {
    trial(|| {
        line("nodelay");
        let (mut cases, mut wrong) = (0, Vec::new());
        for kind in KINDS {
            for call in calls_of_module(&login(&Alice::with(kind).code)) {
                let alice = Alice::with(kind);
                let ended = login(&alice.code).meeting(Fate::Killed, &call);
                cases += 1;
                if !ended.killed {
                    wrong.push(format!("{kind}: not killed at {call:?}: {ended:?}"));
                }
                if let Err(why) = alice.is_well(ended.out.contains("PAM_SUCCESS")) {
                    wrong.push(format!("{kind}: killed at {}: {why}", call.line));
                }
            }
        }
        assert!(cases > 100, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
        told(&format!(
            "kill: a login killed at {cases} system calls: no code good twice, every next one good"
        ));
    });
}

#[test]
fn a_command_killed_at_any_call_leaves_the_old_or_the_new_state_whole() {
    trial(|| {
        line("nodelay");
        let mut cases = 0;
        for verb in VERBS {
            assert_eq!(verb.tried(|program| program.run()).code, Some(0));
            let calls = verb.calls(is_full());
            assert!(calls.len() > 3, "{calls:?}");
            for call in calls {
                println!("{} killed at {}", verb.name, call.line);
                let ended = verb.tried(|program| program.meeting(Fate::Killed, &call));
                assert!(ended.met || !call.is_certain(), "{call:?}: {ended:?}");
                cases += usize::from(ended.met);
            }
        }
        told(&format!(
            "kill: commands killed at {cases} system calls: old or new, whole"
        ));
    });
}

#[test]
fn success_is_told_only_when_everything_written_is_flushed() {
    trial(|| {
        line("nodelay");
        for kind in KINDS {
            let calls = calls_of_module(&login(&Alice::with(kind).code));
            let of = |call: &Call, name: &str| {
                let rest = call.line.strip_prefix(name)?.strip_prefix('(')?;
                rest.split([',', ')']).next().map(str::to_owned)
            };
            let mut slots = 0;
            for (at, call) in calls.iter().enumerate() {
                let Some(file) = of(call, "pwrite64").filter(|_| call.line.contains(", 4096, "))
                else {
                    continue;
                };
                slots += 1;
                let flush = calls[at..]
                    .iter()
                    .position(|call| of(call, "fdatasync").as_ref() == Some(&file));
                let close = calls[at..]
                    .iter()
                    .position(|call| of(call, "close").as_ref() == Some(&file));
                assert!(
                    flush.is_some_and(|flush| close.is_none_or(|close| flush < close)),
                    "{kind}: {} is not flushed",
                    call.line
                );
            }
            assert!(slots > 0, "{kind}: nothing is written");
        }
        told("kill: every slot a login writes is flushed before it answers");
    });
}
