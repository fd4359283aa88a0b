//! What a local user brings into a login as another: su, sudo and the like take over her limits, her mask and her signals.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use tests::pam::{Login, Session, line};
use tests::processes::{in_a_child, start};
use tests::sandbox::{is_real_root, sandboxed};
use tests::syslog::Syslog;
use tests::users::{self, Phone};

fn limit_files_to(size: libc::rlim_t) {
    let limits = libc::rlimit {
        rlim_cur: size,
        rlim_max: size,
    };
    // SAFETY: the limits outlive the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limits) };
    assert_eq!(set, 0);
}

/// What alice's host answers where files may not be larger than this, and what becomes of a host that tries.
fn answer_where_files_end_at(size: libc::rlim_t, action: libc::sighandler_t, typed: &str) {
    in_a_child(|| {
        // SAFETY: takes numbers.
        unsafe { libc::signal(libc::SIGXFSZ, action) };
        limit_files_to(size);
        let report = Login::of("alice").typing(typed).authenticate();
        assert_eq!(report.answer, "PAM_AUTHINFO_UNAVAIL", "{typed} at {size}");
    });
}

/// A limit at which one slot of a record can be written and the other not made guesses that were never counted: counting
/// them against the stored code failed before the throttle was written, while a right code changes the state alone.
#[test]
fn where_files_may_not_be_written_whole_nothing_is_judged_and_nobody_is_killed() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        users::issue("alice", "482109", 600);
        let login = Login::of("alice").typing(&*phone.code());
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
        for size in [0, 1, 4096, 8192, 12_287] {
            for action in [libc::SIG_DFL, libc::SIG_IGN] {
                let guess = phone.wrong_code();
                for typed in [&guess, &phone.code_at(1), "482109"] {
                    answer_where_files_end_at(size, action, typed);
                }
            }
        }
        assert_eq!(users::state("alice").throttle.failures, 0);
        let login = Login::of("alice").typing("482109");
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

/// The same of descriptors: wherever a right code gets in, a wrong one is counted.
#[test]
fn with_few_descriptors_no_guess_goes_uncounted_where_a_code_gets_in() {
    sandboxed(|| {
        line("nodelay");
        users::move_in(40);
        for limit in 3..40_u32 {
            let name = format!("user{limit}");
            let phone = Phone::enrolled(&name, &[]);
            users::issue(&name, "482109", 600);
            let tried = |typed: &str| {
                in_a_child(|| {
                    let mut session = Session::start(&Login::of(name.as_str()).typing(typed));
                    few_descriptors(limit.into());
                    let answer = session.authenticate();
                    few_descriptors(1024);
                    session.end(answer);
                });
                users::state(&name)
            };
            let after_guess = tried(&phone.wrong_code());
            let after_code = tried(&phone.code());
            let let_in = after_code.last.is_some();
            let counted = after_guess.throttle.failures == 1;
            assert_eq!(let_in, counted, "{limit}");
        }
    });
}

fn few_descriptors(count: libc::rlim_t) {
    let limits = libc::rlimit {
        rlim_cur: count,
        rlim_max: 1024,
    };
    // SAFETY: the limits outlive the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) };
    assert_eq!(set, 0);
}

/// Root may read what has no mode at all, but the timer's `otpctl sweep` is root without that power: it failed until the
/// next boot.
#[test]
fn what_a_login_makes_has_its_mode_whatever_the_mask() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        fs::write("/etc/security/otp.toml", "on_read_only = \"totp\"\n").unwrap();
        in_a_child(|| {
            // SAFETY: takes a number.
            unsafe { libc::umask(0o777) };
            let login = Login::of("alice").typing(&*phone.code());
            assert_eq!(login.authenticate().answer, "PAM_AUTH_ERR", "too early");
        });
        for (made, mode) in [("", 0o755), ("/state", 0o700), ("/born", 0o600)] {
            let made = format!("/run/pam_otp{made}");
            let found = fs::metadata(&made).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode, "{made}");
        }
    });
}

/// Who runs su can stop it as she likes, in the middle of a login too. What she holds up then is denied, and the log says
/// which process to end.
#[test]
fn a_process_stopped_by_its_user_while_it_holds_a_lock_is_named() {
    sandboxed(|| {
        if !is_real_root() {
            return;
        }
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let su = start(|| {
            // SAFETY: takes numbers.
            assert_eq!(unsafe { libc::setresuid(1000, 0, 0) }, 0, "as su is");
            loop {
                Login::of("alice").typing("12345678").authenticate();
            }
        });
        in_a_child(|| {
            // SAFETY: takes numbers.
            assert_eq!(unsafe { libc::setresuid(1000, 1000, 1000) }, 0);
            stop_with_a_lock(su.pid());
        });
        // Only now: a log that nobody reads would stop it elsewhere.
        let syslog = Syslog::bind();
        let login = Login::of("alice").typing(&*phone.code());
        assert_eq!(login.authenticate().answer, "PAM_AUTHINFO_UNAVAIL");
        let log = format!("{:?}", syslog.take_any());
        assert!(log.contains(&format!("by process {}", su.pid())), "{log}");
        drop(su);
        let login = Login::of("alice").typing(&*phone.code());
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

/// As its user alone: stops a process and lets it go on, until it is stopped with a lock.
fn stop_with_a_lock(pid: u32) {
    let has_lock = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let mut locks = locks.lines();
        locks.any(|lock| lock.contains("FLOCK") && lock.contains(&format!(" {pid} ")))
    };
    let pid = libc::pid_t::try_from(pid).unwrap();
    let send = |signal| {
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    };
    for turn in 0..10_000 {
        send(libc::SIGSTOP);
        thread::sleep(Duration::from_millis(2));
        if has_lock() {
            return;
        }
        send(libc::SIGCONT);
        thread::sleep(Duration::from_micros(500 + turn % 700));
    }
    panic!("it was never stopped with a lock");
}
