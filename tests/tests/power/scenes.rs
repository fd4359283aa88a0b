//! The scenes: who is there, what is done, and who is killed meanwhile.

use std::net::Ipv4Addr;
use std::time::Duration;

use otp::origin::Origin;
use otp::policy::Policy;
use otp::state::{State, UsedSteps};
use otp::store::{FileStore, Store};
use otp::throttle::{MAX_STRANGERS, MAX_TRUSTED, OriginRecord};
use otp::time::{Period, TimeStep, UnixTime};
use otp::verify::Changes;
use tests::pam::line;
use tests::sandbox::{Extras, sandboxed_with, with_otpctl};
use tests::users;

use crate::acts::{Act, USER, now, said, shown, texts};
use crate::claims::{Claims, Enrolment};
use crate::record::Recording;
use crate::tree::Tree;
use crate::trial::{Trial, is_full};

/// Seconds. The full form of the longest is far below it.
const PATIENCE: Duration = Duration::from_secs(3000);

/// A secret that is given, not drawn.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A machine with a store, and one user with a long history, so that her records fill several sectors.
struct Scene {
    now: UnixTime,
    phone: String,
    recovery: Vec<String>,
    stored: String,
}

impl Scene {
    fn set() -> Self {
        let now = now();
        line("nodelay");
        let enrolled = said(&must(&Act::ctl("enroll alice --recovery-codes 4"), now));
        let issued = said(&must(&Act::ctl("issue alice --ttl 1h --reason lost"), now));
        grow(now);
        Self {
            now,
            phone: enrolled["secret"].as_str().unwrap().to_owned(),
            recovery: texts(&enrolled, "recovery_codes"),
            stored: issued["code"].as_str().unwrap().to_owned(),
        }
    }

    /// The same after another trial.
    fn again() -> Self {
        Tree::default().materialise();
        Self::set()
    }

    fn claims(&self) -> Claims {
        Claims {
            made: true,
            enrolments: vec![Some(Enrolment {
                secret: self.phone.clone(),
                recovery: self.recovery.clone(),
            })],
            live: vec![self.stored.clone()],
            ..Claims::nothing()
        }
    }

    /// A login with the phone's code, so many steps from now.
    fn login(&self, steps: i64) -> Act {
        Act::Login(shown(&self.phone, self.now, steps))
    }

    fn wrong(&self) -> Act {
        let near: Vec<String> = (-10..10).map(|n| shown(&self.phone, self.now, n)).collect();
        let mut codes = (0..).map(|n| format!("{n:06}"));
        Act::Guess(codes.find(|code| !near.contains(code)).unwrap())
    }

    /// Everything that is done to her.
    fn acts(&self) -> Vec<Act> {
        let verbs = [
            "enroll alice --replace",
            "recovery alice",
            "issue alice",
            "revoke alice",
            "remove alice --yes",
        ];
        let logins = [
            self.login(0),
            self.login(1),
            self.wrong(),
            Act::login(&self.stored),
            Act::login(&self.recovery[0]),
        ];
        logins.into_iter().chain(verbs.map(Act::ctl)).collect()
    }

    fn try_out(&self, name: &str, acts: &[Act]) {
        Trial::new(name, self.now).run(&self.claims(), acts);
    }

    /// The same, and after each power cut a login that is cut off by another one.
    fn try_out_twice(&self, name: &str, acts: &[Act]) {
        Trial::new(name, self.now)
            .and_after_a_cut(self.login(1))
            .run(&self.claims(), acts);
    }
}

fn must(act: &Act, now: UnixTime) -> Recording {
    let done = act.done(now);
    assert_eq!(done.code, Some(0), "{}: {}", act.verb(), done.err);
    done
}

/// Gives her a history: origins, used steps, and a stored code that many have guessed at.
fn grow(now: UnixTime) {
    let store = FileStore::open(&Policy::default()).unwrap();
    let grown = |record: &otp::verify::Record| {
        let mut issued = record.issued.clone();
        issued[0].attempts = (0..40).map(|n| (origin(n), 1)).collect();
        issued[0].reason = "x".repeat(200);
        let changes = Changes {
            issued,
            state: Some(with_history(&record.state, now)),
            ..Changes::default()
        };
        ((), changes)
    };
    // Twice, so that both slots are full.
    for _ in 0..2 {
        store.update(&users::account(USER), grown).unwrap();
    }
}

fn with_history(state: &State, now: UnixTime) -> State {
    let mut state = state.clone();
    let known = 0..MAX_TRUSTED + MAX_STRANGERS;
    let record = |n| OriginRecord {
        origin: origin(n as u8),
        failures: 0,
        held_until: None,
        trusted: n >= MAX_STRANGERS,
    };
    state.throttle.origins = known.map(record).collect();
    let last = TimeStep::at(now.minus(Duration::from_secs(6000)), Period::THIRTY).number();
    let runs = (0..60).rev().map(|n| (last - n * 3, last - n * 3));
    let entry = &mut state.authenticators[0];
    entry.used = UsedSteps::from_parts(None, runs.collect()).unwrap();
    state
}

fn origin(n: u8) -> Origin {
    Origin::of_address(Ipv4Addr::new(198, 51, 100, n).into())
}

/// Runs a trial in a sandbox that has the command.
fn trial<F: FnOnce()>(trial: F) {
    let extras = Extras {
        programs: Some(with_otpctl),
        patience: Some(PATIENCE),
        ..Extras::default()
    };
    sandboxed_with(extras, trial);
}

#[test]
fn a_login_survives_a_power_cut() {
    trial(|| {
        let scene = Scene::set();
        scene.try_out_twice("a login", &[scene.login(0)]);
    });
}

#[test]
fn a_failed_login_stays_counted() {
    trial(|| {
        let scene = Scene::set();
        scene.try_out_twice("a login that fails", &[scene.wrong()]);
    });
}

#[test]
fn a_stored_code_stays_used() {
    trial(|| {
        let scene = Scene::set();
        let act = Act::login(&scene.stored);
        scene.try_out_twice("a stored code", &[act]);
    });
}

#[test]
fn a_recovery_code_stays_used() {
    trial(|| {
        let scene = Scene::set();
        let act = Act::login(&scene.recovery[0]);
        scene.try_out_twice("a recovery code", &[act]);
    });
}

#[test]
fn a_login_after_a_kill_survives_a_power_cut() {
    trial(|| {
        let scene = Scene::set();
        let acts = [scene.login(0), scene.login(1)];
        scene.try_out("a login killed, a login", &acts);
    });
}

#[test]
fn a_login_after_two_kills_survives_a_power_cut() {
    trial(|| {
        let scene = Scene::set();
        let acts = [scene.login(-1), scene.login(0), scene.login(1)];
        scene.try_out("two logins killed, a login", &acts);
    });
}

#[test]
fn a_stored_code_after_a_kill_stays_used() {
    trial(|| {
        let scene = Scene::set();
        let acts = [Act::login(&scene.stored), scene.login(0)];
        scene.try_out("a stored code killed, a login", &acts);
        let scene = Scene::again();
        let acts = [scene.login(0), Act::login(&scene.stored)];
        scene.try_out("a login killed, a stored code", &acts);
    });
}

#[test]
fn a_failure_and_a_recovery_code_after_a_kill_stay() {
    trial(|| {
        let scene = Scene::set();
        let acts = [scene.wrong(), scene.wrong()];
        scene.try_out("a failure killed, a failure", &acts);
        let scene = Scene::again();
        let [first, second] = [0, 1].map(|n| Act::login(&scene.recovery[n]));
        scene.try_out("a recovery code killed, another", &[first, second]);
    });
}

#[test]
fn a_first_enrolment_is_whole_or_not_at_all() {
    trial(|| {
        line("nodelay");
        let act = Act::ctl("enroll alice");
        Trial::new("a first enrolment", now())
            .and_after_a_cut(Act::ctl("enroll alice --replace"))
            .run(&Claims::nothing(), &[act]);
    });
}

#[test]
fn whoever_is_imported_is_whole_or_not_at_all() {
    trial(|| {
        line("nodelay");
        let now = now();
        let uri = format!("otpauth://totp/alice?secret={SECRET}\n");
        let import = Act::Ctl("import -", uri);
        Trial::new("an import", now)
            .and_after_a_cut(import.clone())
            .run(&Claims::nothing(), std::slice::from_ref(&import));
        Tree::default().materialise();
        let login = Act::Login(shown(SECRET, now, 0));
        Trial::new("an import killed, a login", now)
            .run(&Claims::nothing(), &[import.clone(), login]);
        Tree::default().materialise();
        let acts = [import.clone(), import];
        Trial::new("an import killed, another", now).run(&Claims::nothing(), &acts);
    });
}

#[test]
fn an_enrolment_after_a_killed_one_lasts() {
    trial(|| {
        line("nodelay");
        let acts = ["enroll alice", "enroll alice --replace"].map(Act::ctl);
        Trial::new("a first enrolment killed, another", now()).run(&Claims::nothing(), &acts);
    });
}

#[test]
fn a_code_issued_after_a_killed_enrolment_lasts() {
    trial(|| {
        line("nodelay");
        let acts = ["issue alice", "issue alice"].map(Act::ctl);
        Trial::new("a first code killed, another", now()).run(&Claims::nothing(), &acts);
    });
}

#[test]
fn a_login_with_a_secret_whose_enrolment_was_killed_survives_a_power_cut() {
    trial(|| {
        line("nodelay");
        let now = now();
        let enroll = Act::Ctl(
            "enroll alice --recovery-codes 0 --secret -",
            SECRET.to_owned(),
        );
        let acts = [enroll, Act::Login(shown(SECRET, now, 0))];
        Trial::new("a first enrolment killed, a login", now).run(&Claims::nothing(), &acts);
    });
}

#[test]
fn a_secret_enrolled_again_is_no_second_chance_for_its_codes() {
    trial(|| {
        let scene = Scene::set();
        let enroll = Act::Ctl(
            "enroll alice --replace --recovery-codes 0 --secret -",
            scene.phone.clone(),
        );
        let acts = [enroll, scene.login(0)];
        scene.try_out("the same secret enrolled again killed, a login", &acts);
    });
}

#[test]
fn recovery_codes_do_not_outlive_the_key_of_a_killed_command() {
    trial(|| {
        line("nodelay");
        let now = now();
        let without_key = "enroll alice --recovery-codes 0 --secret -";
        must(&Act::Ctl(without_key, SECRET.to_owned()), now);
        let claims = Claims {
            made: true,
            enrolments: vec![Some(Enrolment {
                secret: SECRET.to_owned(),
                recovery: Vec::new(),
            })],
            ..Claims::nothing()
        };
        let acts = ["issue alice", "recovery alice"].map(Act::ctl);
        Trial::new("a first code killed, recovery", now).run(&claims, &acts);
    });
}

#[test]
fn a_replaced_secret_after_a_killed_replacement_is_one_of_them() {
    trial(|| {
        let scene = Scene::set();
        let replace = Act::ctl("enroll alice --replace");
        scene.try_out(
            "enroll --replace killed, a login",
            &[replace.clone(), scene.login(0)],
        );
        let scene = Scene::again();
        let acts = [Act::ctl("recovery alice"), replace.clone()];
        scene.try_out("recovery killed, enroll --replace", &acts);
        let scene = Scene::again();
        let acts = [Act::ctl("remove alice --yes"), replace];
        scene.try_out("remove killed, enroll", &acts);
    });
}

#[test]
fn an_issued_code_lasts_whatever_was_killed_before() {
    trial(|| {
        for before in ["issue alice", "revoke alice", "remove alice --yes"] {
            let scene = Scene::again();
            let name = format!("{before} killed, issue");
            scene.try_out(&name, &[Act::ctl(before), Act::ctl("issue alice")]);
        }
    });
}

#[test]
fn a_replaced_secret_is_the_old_or_the_new_one() {
    trial(|| {
        let scene = Scene::set();
        let act = Act::ctl("enroll alice --replace");
        scene.try_out_twice("enroll --replace", &[act]);
    });
}

#[test]
fn replaced_recovery_codes_are_the_old_or_the_new_ones() {
    trial(|| {
        let scene = Scene::set();
        scene.try_out_twice("recovery", &[Act::ctl("recovery alice")]);
    });
}

#[test]
fn an_issued_code_lasts_once_it_was_shown() {
    trial(|| {
        let scene = Scene::set();
        scene.try_out_twice("issue", &[Act::ctl("issue alice")]);
    });
}

#[test]
fn a_revoked_code_stays_gone() {
    trial(|| {
        let scene = Scene::set();
        scene.try_out_twice("revoke", &[Act::ctl("revoke alice")]);
        let scene = Scene::again();
        scene.try_out(
            "revoke killed, revoke",
            &[Act::ctl("revoke alice"), Act::ctl("revoke alice")],
        );
    });
}

#[test]
fn a_removed_user_stays_removed() {
    trial(|| {
        let scene = Scene::set();
        let remove = Act::ctl("remove alice --yes");
        Trial::new("remove", scene.now)
            .and_after_a_cut(remove.clone())
            .run(&scene.claims(), std::slice::from_ref(&remove));
        let scene = Scene::again();
        scene.try_out("remove killed, remove", &[remove.clone(), remove.clone()]);
        // She is enrolled still, or no longer; never one whose secret was lost.
        let scene = Scene::again();
        let acts = [remove, Act::ctl("revoke alice")];
        scene.try_out("remove killed, revoke", &acts);
    });
}

/// Of the long form alone.
#[test]
fn everything_after_everything_killed_keeps_its_word() {
    if !is_full() {
        return println!("tried with PAM_OTP_TRIALS=full");
    }
    trial(|| {
        let kinds = Scene::again().acts().len();
        for (first, second) in (0..kinds).flat_map(|n| (0..kinds).map(move |m| (n, m))) {
            let scene = Scene::again();
            let [first, second] = [first, second].map(|n| scene.acts()[n].clone());
            let name = format!("{} killed, {}", first.verb(), second.verb());
            scene.try_out(&name, &[first, second]);
        }
    });
}
