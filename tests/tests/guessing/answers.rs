//! No answer tells one reason from another: not by its code, not by a prompt or a delay, and not by the time it takes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, UNIX_EPOCH};

use otp::hotp::{Algorithm, CodeLength};
use otp::origin::Origin;
use otp::secret::Secret;
use otp::state::{State, UsedSteps};
use otp::store::Store;
use otp::throttle::OriginRecord;
use otp::time::{Period, TimeStep};
use otp::totp;
use otp::verify::{Changes, Record};
use tests::crowd::at_once;
use tests::pam::{Asked, ECHO_OFF, Login, PAM_CONV_ERR, Reply, Session, line};
use tests::sandbox::{DISK, Extras, sandboxed, sandboxed_with};
use tests::users::{Phone, account, now, state, state_file, store};
use zeroize::Zeroizing;

use crate::is_full;

/// Users of whom each is refused for a reason of her own, named after it. The passwd database does not know the first;
/// of the second nothing is kept.
const REFUSED: [&str; 6] = [
    "unknown",
    "unenrolled",
    "wrong",
    "throttled",
    "locked",
    "disabled",
];
const ADDRESS: &str = "198.51.100.7";
/// What stands in for a record: as of a user's secrets, and as of her state.
const NOBODYS: [&str; 2] = [
    "/var/lib/pam_otp/nobody.toml",
    "/var/lib/pam_otp/nobody.state",
];

/// A house in which they live; what to type to be refused.
fn house() -> String {
    let mut passwd = fs::read_to_string("/etc/passwd").unwrap();
    for (name, uid) in REFUSED.iter().zip(3_000..).skip(1) {
        writeln!(passwd, "{name}:x:{uid}:1000::/home:/bin/sh").unwrap();
    }
    fs::write("/etc/passwd", passwd).unwrap();
    // As otpctl enrols them: with ten recovery codes.
    let codes: Vec<String> = (0..10).map(|n| format!("{n:016}")).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let mut wrong = String::new();
    for name in &REFUSED[2..] {
        wrong = Phone::enrolled(name, &codes).wrong_code();
    }
    let origin = Origin::of_address(ADDRESS.parse().unwrap());
    change("throttled", |state| {
        state.throttle.origins.push(OriginRecord {
            origin,
            failures: 9,
            held_until: Some(now().plus(Duration::from_secs(60 * 60))),
            trusted: false,
        });
    });
    change("locked", |state| state.throttle.failures = 100);
    change("disabled", |state| state.disabled = true);
    wrong
}

fn change(user: &str, how: impl Fn(&mut State)) {
    let transition = |record: &Record| {
        let mut state = record.state.clone();
        how(&mut state);
        let changes = Changes {
            state: Some(state),
            ..Changes::default()
        };
        ((), changes)
    };
    store().update(&account(user), transition).unwrap();
}

/// A house whose store is on a real disk.
fn house_on_disk() -> String {
    let policy = format!("state_dir = \"{DISK}/lib\"\nspool_dir = \"{DISK}/spool\"\n");
    fs::write("/etc/security/otp.toml", policy).unwrap();
    house()
}

#[test]
fn every_refusal_has_the_same_prompt_the_same_delay_and_the_same_answer() {
    sandboxed(|| {
        let wrong = house();
        for arguments in ["", "echo prompt=Code:", "try_first_pass", "forward_pass"] {
            line(arguments);
            let report = |user: &str, typed: &str| {
                let login = Login::of(user).from(ADDRESS).typing(typed);
                let report = login.authenticate();
                (report.answer, report.asked, report.delay.map(rounded))
            };
            for typed in [&wrong, "12345678", "7kq2-m4tx-9bnc-2xwd", "nonsense", ""] {
                let expected = report("unknown", typed);
                assert_eq!(expected.0, "PAM_AUTH_ERR");
                assert_eq!(expected.1.len(), 1, "{arguments}: one prompt");
                for user in REFUSED {
                    assert_eq!(report(user, typed), expected, "{user}, {arguments}");
                }
            }
        }
        line("");
        let report = Login::of("unknown").typing(&*wrong).authenticate();
        let asked = Asked {
            style: ECHO_OFF,
            text: "One-time code: ".to_owned(),
        };
        assert_eq!(report.asked, [asked]);
    });
}

#[test]
fn every_refusal_overwrites_one_record_hers_or_nobodys() {
    sandboxed(|| {
        line("nodelay");
        let wrong = house();
        let records = || -> Vec<PathBuf> {
            let hers = REFUSED[2..].iter().map(|user| state_file(user));
            hers.chain([NOBODYS[1].into()]).collect()
        };
        for user in REFUSED {
            for record in records() {
                let record = File::options().write(true).open(record).unwrap();
                record.set_modified(UNIX_EPOCH).unwrap();
            }
            let login = Login::of(user).from(ADDRESS).typing(&*wrong);
            assert_eq!(login.authenticate().answer, "PAM_AUTH_ERR");
            let modified = |record: &PathBuf| record.metadata().unwrap().modified().unwrap();
            let mut written = records();
            written.retain(|record| modified(record) > UNIX_EPOCH);
            let expected = match user {
                "wrong" => state_file(user),
                _ => NOBODYS[1].into(),
            };
            assert_eq!(written, [expected], "{user}");
        }
    });
}

#[test]
fn the_codes_of_nobody_let_nobody_in() {
    sandboxed(|| {
        line("nodelay");
        house();
        let secret = Secret::from_bytes(Zeroizing::new(vec![0; 20])).unwrap();
        let text = fs::read_to_string(NOBODYS[0]).unwrap();
        assert!(text.contains(&*secret.to_base32()), "this is the secret");
        for offset in -1..=1 {
            let step = TimeStep::at(now(), Period::THIRTY).offset(offset).unwrap();
            let code = totp::code(&secret, Algorithm::Sha1, CodeLength::SIX, step);
            for user in ["unknown", "unenrolled", "nobody", "disabled"] {
                let login = Login::of(user).typing(code.expose());
                assert_eq!(login.authenticate().answer, "PAM_AUTH_ERR", "{user}");
            }
        }
    });
}

#[test]
fn whatever_is_wrong_with_the_record_of_nobody_changes_no_answer() {
    sandboxed(|| {
        line("nodelay");
        let wrong = house();
        let phone = Phone::enrolled("alice", &[]);
        let passwd = fs::read("/etc/passwd").unwrap();
        let damages: [fn(&str); 6] = [
            |path| fs::remove_file(path).unwrap(),
            |path| fs::write(path, "").unwrap(),
            |path| fs::write(path, [0xff; 100_000]).unwrap(),
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap(),
            |path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
            },
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
        ];
        for damage in damages {
            for path in NOBODYS {
                damage(path);
                for user in REFUSED {
                    change("wrong", |state| state.throttle = Default::default());
                    let login = Login::of(user).from(ADDRESS).typing(&*wrong);
                    assert_eq!(login.authenticate().answer, "PAM_AUTH_ERR", "{user}");
                }
                let right = Login::of("alice").typing(&*phone.code());
                assert_eq!(right.authenticate().answer, "PAM_SUCCESS");
                change("alice", |state| {
                    state.authenticators[0].used = UsedSteps::NONE;
                });
                assert_eq!(fs::read("/etc/passwd").unwrap(), passwd);
                // The next enrolment makes it anew, where its name is free.
                let _ = fs::remove_dir(path);
                store();
                let kept = size_of_private(path).is_some_and(|size| size > 1000);
                assert!(kept, "{path} is whole again");
            }
        }
    });
}

/// The size of a regular file of root's alone.
fn size_of_private(path: &str) -> Option<u64> {
    let about = fs::symlink_metadata(path).ok()?;
    let private = about.is_file() && about.permissions().mode() & 0o777 == 0o600;
    private.then_some(about.len())
}

#[test]
fn on_a_read_only_file_system_the_refusals_stand() {
    sandboxed(|| {
        line("nodelay");
        let wrong = house();
        let tree = "/var/lib/pam_otp";
        for options in [["--bind", tree], ["-o", "remount,bind,ro"]] {
            let mounted = Command::new("mount").args(options).arg(tree).status();
            assert!(mounted.unwrap().success());
        }
        for user in ["unknown", "unenrolled"] {
            let login = Login::of(user).typing(&*wrong);
            assert_eq!(login.authenticate().answer, "PAM_AUTH_ERR", "{user}");
        }
    });
}

#[test]
fn two_hundred_sessions_at_once_at_one_name_are_all_refused_alike() {
    sandboxed(|| {
        line("nodelay");
        let wrong = house();
        for user in REFUSED {
            let refused = at_once(200, |_| {
                let login = Login::of(user).from(ADDRESS).typing(&*wrong);
                login.authenticate().answer == "PAM_AUTH_ERR"
            });
            assert_eq!(refused, 200, "{user}");
        }
    });
}

/// libpam spreads a delay of 2 s by half to either side.
fn rounded(microseconds: u32) -> bool {
    assert!((1_000_000..=3_000_000).contains(&microseconds));
    true
}

/// How long the module takes to refuse, loaded already, from the answer's request to libpam's return; it asks for no
/// delay here.
fn time(user: &str, wrong: &str) -> Duration {
    let mut session = Session::start(
        &Login::of(user)
            .from(ADDRESS)
            .typing(Reply::Error(PAM_CONV_ERR))
            .typing(wrong),
    );
    assert_eq!(session.authenticate(), PAM_CONV_ERR, "it is loaded now");
    let begun = Instant::now();
    let answer = session.authenticate();
    let took = begun.elapsed();
    assert_eq!(session.end(answer).answer, "PAM_AUTH_ERR", "{user}");
    took
}

/// The median time of each refusal, taking turns; and how far the slowest is above the fastest, in percent.
fn medians(wrong: &str, runs: usize) -> (String, f64) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); REFUSED.len()];
    for run in 0..runs {
        for turn in 0..REFUSED.len() {
            let index = (run + turn) % REFUSED.len();
            // Otherwise she would soon be held. Done before each, so that none has the benefit of it.
            change("wrong", |state| state.throttle = Default::default());
            times[index].push(time(REFUSED[index], wrong));
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    let fastest = medians.iter().copied().fold(f64::INFINITY, f64::min);
    let slowest = medians.iter().copied().fold(0.0, f64::max);
    let apart = (slowest / fastest - 1.0) * 100.0;
    let mut shown = String::new();
    for (name, median) in REFUSED.iter().zip(&medians) {
        write!(shown, "{name} {median:.0} µs, ").unwrap();
    }
    write!(shown, "{apart:.1} % apart over {runs} runs of each").unwrap();
    (shown, apart)
}

/// Measures until it is within the limit, three times at most: the machine does other things, too.
fn stay_within(limit: f64, wrong: &str, runs: usize) {
    let mut seen = String::new();
    for _ in 0..3 {
        let (shown, apart) = medians(wrong, runs);
        println!("{shown}");
        if apart <= limit {
            return;
        }
        writeln!(seen, "{shown}").unwrap();
    }
    panic!("more than {limit} % apart, three times:\n{seen}");
}

#[test]
fn every_refusal_takes_as_long_as_a_wrong_code() {
    let extras = Extras {
        disk: true,
        patience: Some(Duration::from_secs(600)),
        ..Extras::default()
    };
    sandboxed_with(extras, || {
        line("nodelay");
        let wrong = house_on_disk();
        if is_full() {
            // As long as her phone's codes, as long as a stored one, and a recovery code.
            for typed in [&*wrong, "12345678", "7kq2-m4tx-9bnc-2xwd"] {
                stay_within(10.0, typed, 1000);
            }
        } else {
            stay_within(30.0, &wrong, 200);
        }
        assert_eq!(state("throttled").throttle.origins[0].failures, 9);
        assert_eq!(state("locked").throttle.failures, 100);
    });
}
