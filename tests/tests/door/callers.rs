//! The module as a guest where it asks at the door, and otpd where callers do not behave.

use std::fs;
use std::time::{Duration, Instant};

use otp::door::wire::{Asker, Question, question_bytes};
use otp::origin::Origin;
use otp::passcode::Passcode;
use tests::door::{Otpd, Packets, SOCKET, as_user, become_user, open_log, signal};
use tests::pam::{Login, Session, line};
use tests::processes::{start, wait_until};
use tests::users::{self, Phone};

use crate::with_otpd;

const BUSY: &[u8] = b"pamotpDA\x01\x05\x04";
const NOT_UNDERSTOOD: &[u8] = b"pamotpDA\x01\x05\x03";
const SOON: Duration = Duration::from_secs(4);

fn question(user: &str, typed: &str) -> Vec<u8> {
    let asker = Asker {
        user: user.into(),
        service: None,
        remote: None,
        origin: Origin::Local(0),
    };
    let passcode = Passcode::parse(typed.as_bytes()).unwrap();
    question_bytes(&asker, &Question::Judge(passcode)).to_vec()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn nothing_is_left_open_whatever_is_answered_and_the_module_goes_when_it_is_done() {
    with_otpd(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let otpd = Otpd::listening();
        let (code, wrong) = (phone.code(), phone.wrong_code());
        let log_in = |user: &str, typed: &str, expected: i32| {
            let mut session = Session::start(&Login::of(user).typing(typed));
            let before = descriptors();
            assert_eq!(session.authenticate(), expected, "{user}");
            assert_eq!(descriptors(), before, "{user}");
            session.end(0);
        };
        let maps = || fs::read_to_string("/proc/self/maps").unwrap();
        as_user(1000, || {
            // libc's own, to the log and the passwd database.
            log_in("alice", &wrong, 7);
            log_in("alice", &code, 0);
            log_in("alice", &code, 7);
            log_in("bob", "123456", 9);
            log_in("nosuch", "123456", 9);
            assert!(!maps().contains("pam_otp.so"));
        });
        otpd.end();
        as_user(1000, || {
            log_in("alice", &code, 9);
            log_in("alice", &code, 9);
        });
    });
}

extern "C" fn nothing(_: libc::c_int) {}

#[test]
fn it_needs_no_signal_to_be_in_any_state_and_makes_no_child() {
    with_otpd(|| {
        line("nodelay");
        let codes = [
            "7kq2-m4tx-9bnc-2xwd",
            "7kq2-m4tx-9bnc-2xwe",
            "7kq2-m4tx-9bnc-2xwf",
        ];
        let _phone = Phone::enrolled("alice", &codes);
        let otpd = Otpd::listening();
        let handler: extern "C" fn(libc::c_int) = nothing;
        let states = [libc::SIG_DFL, libc::SIG_IGN, handler as libc::sighandler_t];
        for (state, code) in states.into_iter().zip(codes) {
            as_user(1000, || {
                for signal in [libc::SIGCHLD, libc::SIGPIPE] {
                    // SAFETY: takes numbers.
                    unsafe { libc::signal(signal, state) };
                }
                let login = Login::of("alice").typing(code);
                assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
                // SAFETY: asks for any child.
                let waited = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
                assert_eq!(waited, -1, "there is no child");
            });
        }
        // Whoever hangs up on it kills no host.
        drop(otpd);
        let _rude = start(|| {
            let listening = Packets::listening(libc::SOCK_SEQPACKET, 5, || ());
            loop {
                drop(listening.accept());
            }
        });
        wait_until(|| fs::exists(SOCKET).unwrap());
        for _ in 0..50 {
            as_user(1000, || {
                // SAFETY: takes numbers.
                unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
                let login = Login::of("alice").typing("123456");
                assert_eq!(login.authenticate().answer, "PAM_AUTHINFO_UNAVAIL");
            });
        }
    });
}

#[test]
fn signals_of_the_hosts_do_not_break_it_off() {
    with_otpd(|| {
        line("nodelay");
        let _phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        let otpd = Otpd::listening();
        // So that it has to wait.
        signal(otpd.pid(), libc::SIGSTOP);
        let _going = start(|| {
            std::thread::sleep(Duration::from_millis(300));
            signal(otpd.pid(), libc::SIGCONT);
        });
        as_user(1000, || {
            let handler: extern "C" fn(libc::c_int) = nothing;
            // SAFETY: the action and the interval outlive the calls; without SA_RESTART every call is interrupted.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as libc::sighandler_t;
                libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
                let every = libc::timeval {
                    tv_sec: 0,
                    tv_usec: 700,
                };
                let timer = libc::itimerval {
                    it_interval: every,
                    it_value: every,
                };
                libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
            }
            let login = Login::of("alice").typing("7kq2-m4tx-9bnc-2xwd");
            assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
        });
    });
}

#[test]
fn what_is_no_question_is_answered_so_and_told() {
    with_otpd(|| {
        let _phone = Phone::enrolled("alice", &[]);
        let _otpd = Otpd::listening();
        let log = open_log();
        let good = question("alice", "123456");
        let mut newer = good.clone();
        newer[8] = 9;
        for (asked, what) in [
            (
                good[..20].to_vec(),
                "uid 1000 asks what cannot be understood",
            ),
            (
                [&good[..], &[0; 3000]].concat(),
                "uid 1000 asks what cannot be understood",
            ),
            (newer, "uid 1000 asks in version 9 of the protocol"),
        ] {
            as_user(1000, || {
                let socket = Packets::connected().unwrap();
                assert!(socket.send(&asked));
                assert_eq!(socket.receive(SOON).unwrap(), NOT_UNDERSTOOD);
                assert_eq!(socket.receive(SOON).unwrap(), b"", "and closed");
            });
            let lines = log.take();
            let text = &lines[0].text;
            assert!(text.starts_with("pam_otp(-:auth): refused reason=unavailable rhost=- what="));
            assert!(text.contains(what) && text.ends_with("user=\"\""), "{text}");
        }
    });
}

#[test]
fn a_second_question_on_one_connection_is_not_heard() {
    with_otpd(|| {
        let phone = Phone::enrolled("alice", &[]);
        let _otpd = Otpd::listening();
        as_user(1000, || {
            let socket = Packets::connected().unwrap();
            assert!(socket.send(&question("alice", &phone.wrong_code())));
            socket.send(&question("alice", &phone.wrong_code()));
            // That the second is unread may be told first.
            let first = socket.receive(SOON).unwrap();
            let answer = if first.is_empty() {
                socket.receive(SOON).unwrap()
            } else {
                first
            };
            assert_eq!(answer, b"pamotpDA\x01\x03");
            wait_until(|| socket.receive(SOON).unwrap().is_empty());
        });
        assert_eq!(users::state("alice").throttle.failures, 1);
    });
}

#[test]
fn who_says_nothing_costs_no_process_and_is_sent_away_and_keeps_out_nobody_but_herself() {
    with_otpd(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let otpd = Otpd::listening();
        let begun = Instant::now();
        let silent = start(|| {
            become_user(1001);
            let silent: Vec<Packets> = (0..8).map(|_| Packets::connected().unwrap()).collect();
            fs::write("/tmp/there", "").unwrap();
            let is_sent_away = |one: &Packets| one.receive(2 * SOON).unwrap().is_empty();
            assert!(silent.iter().all(is_sent_away));
            fs::write("/tmp/sent-away", "").unwrap();
            std::thread::sleep(Duration::from_secs(60));
        });
        wait_until(|| fs::exists("/tmp/there").unwrap());
        as_user(1001, || {
            let ninth = Packets::connected().unwrap();
            assert_eq!(ninth.receive(SOON).unwrap(), BUSY);
            let login = Login::of("bob").typing("123456").authenticate();
            assert_eq!(login.answer, "PAM_AUTHINFO_UNAVAIL");
        });
        assert!(otpd.inside().is_empty());
        as_user(1000, || {
            let login = Login::of("alice").typing(&*phone.code());
            assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
        });
        assert!(begun.elapsed() < SOON, "all that while they were there");
        wait_until(|| fs::exists("/tmp/sent-away").unwrap());
        as_user(1001, || {
            let again = Packets::connected().unwrap();
            assert!(again.send(&question("bob", "123456")));
            assert_eq!(again.receive(SOON).unwrap(), b"pamotpDA\x01\x03");
        });
        drop(silent);
    });
}

/// With a range of /etc/subuid anybody has 65536 uids. Who has connected and is gone cannot be asked whose they are.
#[test]
fn connections_that_were_left_to_another_take_the_room_of_one_whatever_uids_made_them() {
    with_otpd(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let otpd = Otpd::listening();
        signal(otpd.pid(), libc::SIGSTOP);
        let mut left: Vec<Packets> = (0..9).map(|_| Packets::unconnected()).collect();
        for (uid, socket) in (100_000..).zip(&left) {
            as_user(uid, || assert!(socket.connect()));
        }
        signal(otpd.pid(), libc::SIGCONT);
        let ninth = left.pop().unwrap();
        assert_eq!(ninth.receive(SOON).unwrap(), BUSY);
        as_user(1000, || {
            let login = Login::of("alice").typing(&*phone.code());
            assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
        });
    });
}

/// Nobody is left to be let in by it.
#[test]
fn the_code_of_one_who_has_hung_up_before_her_turn_is_not_used_up() {
    with_otpd(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        let otpd = Otpd::listening();
        signal(otpd.pid(), libc::SIGSTOP);
        as_user(1000, || {
            for typed in ["7kq2-m4tx-9bnc-2xwd", &phone.wrong_code()] {
                let socket = Packets::connected().unwrap();
                assert!(socket.send(&question("alice", typed)));
            }
        });
        signal(otpd.pid(), libc::SIGCONT);
        as_user(1000, || {
            let login = Login::of("alice").typing("7kq2-m4tx-9bnc-2xwd");
            assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
        });
        assert_eq!(users::state("alice").throttle.failures, 0);
    });
}

/// Whoever is killed, or goes away, once she has asked.
#[test]
fn who_does_not_wait_for_the_answer_holds_up_nothing() {
    with_otpd(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        let mut otpd = Otpd::listening();
        let wrong = question("alice", &phone.wrong_code());
        for _ in 0..50 {
            let gone = start(|| {
                become_user(1000);
                let socket = Packets::connected().unwrap();
                socket.send(&wrong);
                std::thread::sleep(Duration::from_secs(60));
            });
            std::thread::sleep(Duration::from_micros(700));
            gone.kill();
            assert!(gone.was_killed());
        }
        // Stopped, with an answer to take.
        let stopped = start(|| {
            become_user(1000);
            let socket = Packets::connected().unwrap();
            socket.send(&wrong);
            // SAFETY: stops this process.
            unsafe { libc::raise(libc::SIGSTOP) };
        });
        wait_until(|| otpd.inside().is_empty());
        as_user(1000, || {
            let login = Login::of("alice").typing("7kq2-m4tx-9bnc-2xwd");
            assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
        });
        drop(stopped);
        wait_until(|| otpd.inside().is_empty());
        assert!(otpd.is_there());
        otpd.end();
    });
}
