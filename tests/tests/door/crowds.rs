//! Many at the door at once, and those who would keep it shut.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tests::crowd;
use tests::door::{Otpd, Packets, as_user, become_su_of, become_user, open_log, signal};
use tests::pam::{Login, line};
use tests::processes::{start, wait_until};
use tests::sandbox::TOLD;
use tests::users::{self, Phone};

use crate::with_otpd;

const CODES: [&str; 8] = [
    "7kq2-m4tx-9bnc-2xwd",
    "7kq2-m4tx-9bnc-2xwe",
    "7kq2-m4tx-9bnc-2xwf",
    "7kq2-m4tx-9bnc-2xwg",
    "7kq2-m4tx-9bnc-2xwh",
    "7kq2-m4tx-9bnc-2xwj",
    "7kq2-m4tx-9bnc-2xwk",
    "7kq2-m4tx-9bnc-2xwm",
];

fn lets_in(user: &str, typed: &str) -> bool {
    let login = Login::of(user).typing(typed);
    login.authenticate().answer == "PAM_SUCCESS"
}

#[test]
fn five_hundred_users_at_once_are_all_let_in() {
    with_otpd(|| {
        const COUNT: u32 = 500;
        line("nodelay");
        users::move_in(COUNT);
        let phone = Phone::with_secret("user0", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for n in 0..COUNT {
            Phone::enrolled(&format!("user{n}"), &[]);
        }
        let otpd = Otpd::listening();
        let code = phone.code();
        let begun = Instant::now();
        let let_in = crowd::processes(COUNT as usize, |n, wait| {
            become_user(2000 + u32::try_from(n).unwrap());
            wait();
            lets_in(&format!("user{n}"), &code)
        });
        println!(
            "{TOLD}door: {let_in} of {COUNT} users at once let in, {:?} with their own start",
            begun.elapsed()
        );
        assert_eq!(let_in, COUNT as usize);
        wait_until(|| otpd.inside().is_empty());
    });
}

/// One code, tried by its owner's programs, by su, by root's and at the desk.
#[test]
fn of_all_ways_in_at_one_instant_one_is_taken() {
    with_otpd(|| {
        line("nodelay");
        users::move_in(20);
        let _otpd = Otpd::listening();
        for round in 0..20 {
            let name = format!("user{round}");
            let phone = Phone::enrolled(&name, &[]);
            let code = phone.code();
            let let_in = crowd::processes(16, |n, wait| {
                match n % 4 {
                    0 => become_user(2000 + round),
                    1 => become_su_of(1001),
                    _ => {}
                }
                wait();
                if n % 4 == 3 {
                    return at_the_desk(&name, &code);
                }
                lets_in(&name, &code)
            });
            assert_eq!(let_in, 1, "{name}");
        }
    });
}

fn at_the_desk(user: &str, code: &str) -> bool {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(tests::sandbox::OTPCTL)
        .args(["verify", user])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{code}").unwrap();
    child.wait().unwrap().success()
}

/// As many as this machine will start, who ask, hang up and ask again, and who never ask.
#[test]
fn one_user_who_floods_it_keeps_out_nobody_else() {
    with_otpd(|| {
        line("nodelay");
        let _phone = Phone::enrolled("alice", &CODES);
        let mut otpd = Otpd::listening();
        let floods: Vec<_> = (0..4)
            .map(|n| {
                start(move || {
                    become_user(1001);
                    let mut held = Vec::new();
                    loop {
                        let Some(socket) = Packets::connected() else {
                            continue;
                        };
                        match n {
                            0 => drop(socket),
                            1 => drop(socket.send(b"pamotpDQ")),
                            _ => {
                                socket.send(b"noise");
                                held.push(socket);
                                if held.len() > 500 {
                                    held.clear();
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(500));
        let mut slowest = Duration::ZERO;
        for code in CODES {
            let begun = Instant::now();
            as_user(1000, || assert!(lets_in("alice", code)));
            slowest = slowest.max(begun.elapsed());
        }
        println!(
            "{TOLD}door: flooded by four processes of another user's, a login takes {slowest:?} at most"
        );
        drop(floods);
        wait_until(|| otpd.inside().is_empty());
        assert!(otpd.is_there());
    });
}

/// What passes, such as too little memory, ends nothing: where there is no systemd nobody would start it again.
#[test]
fn a_call_of_the_keepers_that_fails_costs_a_login_at_most() {
    with_otpd(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let mut denied = 0;
        for fails in [
            "accept4:error=EMFILE",
            "accept4:error=ECONNABORTED",
            "accept4:error=EINTR",
            "poll:error=ENOMEM",
            "poll:error=EINTR",
            "getsockopt:error=ENOBUFS",
            "clone3,clone,vfork:error=EAGAIN",
            "wait4,waitid,pidfd_open:error=ECHILD",
        ] {
            let otpd = Otpd::failing(&format!("inject={fails}:when=2"));
            // Refused for its code, which is otpd's answer, or for want of one.
            let log_in = || {
                let answers = crowd::processes(1, |_, wait| {
                    become_user(1000);
                    wait();
                    let login = Login::of("alice").typing(&*phone.wrong_code());
                    login.authenticate().answer == "PAM_AUTH_ERR"
                });
                answers == 1
            };
            let answers = [log_in(), log_in(), log_in(), log_in()];
            let failures = answers.iter().filter(|answered| !**answered).count();
            assert!(failures <= 1 && answers[3], "{fails}: {answers:?}");
            denied += failures;
            drop(otpd);
            let trace = fs::read_to_string("/tmp/trace").unwrap();
            assert!(trace.contains("(INJECTED)"), "{fails} was not met");
        }
        assert!(denied > 0, "nothing has failed");
    });
}

/// What SECURITY.md had to say of su before there was a door: whoever runs it stops it, with another's lock in its hands.
#[test]
fn a_su_that_its_user_stops_at_any_moment_holds_no_lock() {
    with_otpd(|| {
        line("nodelay");
        users::store();
        let phone = Phone::enrolled("alice", &[]);
        let _otpd = Otpd::listening();
        let log = open_log();
        let su = start(|| {
            become_su_of(1001);
            loop {
                Login::of("alice").typing("12345678").authenticate();
            }
        });
        for turn in 0..150_u64 {
            thread::sleep(Duration::from_micros(500 + turn * 37 % 5_000));
            signal(su.pid(), libc::SIGSTOP);
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let its = format!(" {} ", su.pid());
            assert!(!locks.lines().any(|lock| lock.contains(&its)), "{locks}");
            if turn % 10 == 0 {
                let begun = Instant::now();
                let login = Login::of("alice").typing(&*phone.wrong_code());
                assert_eq!(login.authenticate().answer, "PAM_AUTH_ERR", "{turn}");
                assert!(begun.elapsed() < Duration::from_secs(2));
            }
            log.take_any();
            signal(su.pid(), libc::SIGCONT);
        }
    });
}
