//! Many guesses at one instant are as many tries as one after another, and a guess has counted before anybody knows
//! what came of it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixDatagram;

use tests::crowd::at_once;
use tests::pam::{Login, PAM_CONV_ERR, Reply, line};
use tests::processes::{Child, start, wait_until};
use tests::sandbox::sandboxed;
use tests::users::{Phone, account, issue, state, store};

use otp::store::Store;

const SESSIONS: usize = 200;

/// One guess of `user`'s code, from the n-th of so many addresses.
fn guess(user: &str, code: &str, n: usize, addresses: usize) -> &'static str {
    let host = n % addresses;
    let address = format!("198.51.{}.{}", host / 200, host % 200);
    let login = Login::of(user).from(&address);
    login.typing(code).authenticate().answer
}

/// Two hundred guesses at alice's code at one instant, and at bob's one after another. Neither may be let in.
fn side_by_side(code: &str, addresses: usize) {
    let let_in = at_once(SESSIONS, |n| {
        guess("alice", code, n, addresses) == "PAM_SUCCESS"
    });
    assert_eq!(let_in, 0);
    for n in 0..SESSIONS {
        assert_eq!(guess("bob", code, n, addresses), "PAM_AUTH_ERR");
    }
}

/// Collects the log in a process of its own, so that guesses that were compared are known by more than what they left in
/// the record.
struct Log(#[allow(dead_code, reason = "it ends when dropped")] Child);

impl Log {
    fn kept() -> Self {
        let socket = UnixDatagram::bind("/dev/log").unwrap();
        Self(start(|| {
            let mut file = File::create("/tmp/log").unwrap();
            let mut line = [0; 4096];
            while let Ok(length) = socket.recv(&mut line) {
                file.write_all(&line[..length]).unwrap();
                file.write_all(b"\n").unwrap();
            }
        }))
    }

    /// The guesses at this user's codes that were compared and wrong; `all` lines have to be there.
    fn compared(&self, user: &str, all: usize) -> usize {
        let lines = || fs::read_to_string("/tmp/log").unwrap();
        wait_until(|| lines().lines().count() >= all);
        let user = format!("user=\"{user}\"");
        let lines = lines();
        let hers = lines.lines().filter(|line| line.ends_with(&user));
        hers.filter(|line| line.contains("reason=mismatch")).count()
    }
}

/// Tries counted against the stored code of a user who has one.
fn tries(user: &str) -> u32 {
    let record = store().read(&account(user)).unwrap();
    record.issued[0].attempts()
}

#[test]
fn two_hundred_sessions_at_once_from_one_address_have_three_tries() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let _same = Phone::enrolled("bob", &[]);
        let log = Log::kept();
        side_by_side(&phone.wrong_code(), 1);
        let compared = |user| log.compared(user, 2 * SESSIONS);
        assert_eq!((compared("alice"), compared("bob")), (3, 3));
        let failures = |user| state(user).throttle.failures;
        assert_eq!((failures("alice"), failures("bob")), (3, 3));
    });
}

#[test]
fn two_hundred_sessions_at_once_from_two_hundred_addresses_have_nine_tries() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let _same = Phone::enrolled("bob", &[]);
        let log = Log::kept();
        side_by_side(&phone.wrong_code(), SESSIONS);
        let compared = |user| log.compared(user, 2 * SESSIONS);
        assert_eq!((compared("alice"), compared("bob")), (9, 9));
        let failures = |user| state(user).throttle.failures;
        assert_eq!((failures("alice"), failures("bob")), (9, 9));
    });
}

#[test]
fn two_hundred_sessions_at_once_have_no_more_tries_at_a_stored_code() {
    sandboxed(|| {
        line("nodelay");
        for (addresses, expected) in [(1, 5), (SESSIONS, 50)] {
            issue("alice", "48210937", 600);
            issue("bob", "48210937", 600);
            side_by_side("12345678", addresses);
            assert_eq!((tries("alice"), tries("bob")), (expected, expected));
            for user in ["alice", "bob"] {
                store()
                    .revoke(&account(user), tests::users::now(), |_| true)
                    .unwrap();
            }
        }
    });
}

#[test]
fn of_two_hundred_sessions_at_once_one_of_which_is_the_owners_only_hers_is_let_in() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        assert_eq!(guess("alice", &phone.code(), 0, 1), "PAM_SUCCESS");
        let (right, wrong) = (phone.code_at(1), phone.wrong_code());
        let let_in = at_once(SESSIONS, |n| {
            let code = if n == 0 { &right } else { &wrong };
            guess("alice", code, n, SESSIONS) == "PAM_SUCCESS"
        });
        assert_eq!(let_in, 1);
    });
}

#[test]
fn a_guess_whose_host_is_killed_before_it_has_the_answer_has_counted() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let wrong = phone.wrong_code();
        // The module logs once the verdict is durable and before it tells it. A log that nobody reads holds it there.
        let log = UnixDatagram::bind("/dev/log").unwrap();
        fill(&log);
        for n in 1..=3 {
            let host = start(|| {
                guess("alice", &wrong, 0, 1);
            });
            wait_until(|| state("alice").throttle.failures == n);
            host.kill();
            assert!(host.was_killed(), "it waits for the log");
        }
        std::fs::remove_file("/dev/log").unwrap();
        assert_eq!(state("alice").throttle.failures, 3);
        assert_eq!(
            guess("alice", &phone.code(), 0, 1),
            "PAM_AUTH_ERR",
            "that address is held"
        );
    });
}

/// Sends to it until the next one would wait.
fn fill(log: &UnixDatagram) {
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender
        .send_to(b"<0>", log.local_addr().unwrap().as_pathname().unwrap())
        .is_ok()
    {}
}

#[test]
fn a_host_that_is_killed_as_soon_as_it_has_the_answer_has_spent_a_try() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let wrong = phone.wrong_code();
        for _ in 0..10 {
            let host = start(|| {
                guess("alice", &wrong, 0, 1);
                // SAFETY: the process ends here.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            });
            assert!(host.was_killed());
        }
        assert_eq!(state("alice").throttle.failures, 3);
    });
}

#[test]
fn who_disappears_before_answering_has_not_tried() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        for _ in 0..10 {
            let gone = Login::of("alice").typing(Reply::Error(PAM_CONV_ERR));
            assert_eq!(gone.authenticate().answer, "PAM_CONV_ERR");
            let killed = start(|| {
                Login::of("alice").typing(Reply::Killed).authenticate();
            });
            assert!(killed.was_killed());
        }
        assert_eq!(state("alice").throttle.failures, 0);
        assert_eq!(guess("alice", &phone.code(), 0, 1), "PAM_SUCCESS");
    });
}
