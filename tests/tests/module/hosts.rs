//! Hosts of every kind: long-lived, many-threaded, chrooted, with nothing open, with little stack, with signals as they like. A
//! login goes on in each of them as anywhere, and leaves it as it was.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use tests::pam::{Login, Session, line, stack};
use tests::processes::in_a_child;
use tests::sandbox::{Extras, sandboxed, sandboxed_with};
use tests::users::{self, Phone};

const LOADS: usize = 10_000;
/// musl's default for threads is twice this.
const LITTLE_STACK: usize = 64 * 1024;

fn lets_in(code: &str) -> bool {
    Login::of("alice").typing(code).authenticate().answer == "PAM_SUCCESS"
}

/// A login with a fresh code, one with the same code, and one by somebody unknown.
fn works(phone: &Phone) {
    let code = phone.code();
    assert!(lets_in(&code));
    assert!(!lets_in(&code));
    let unknown = Login::of("mallory").typing("123456").authenticate();
    assert_eq!(unknown.answer, "PAM_AUTH_ERR");
}

/// Does it in a host of its own, where a login works after it.
fn in_a_host_that(does: impl FnOnce()) {
    line("nodelay");
    let phone = Phone::enrolled("alice", &[]);
    in_a_child(|| {
        does();
        works(&phone);
    });
}

#[test]
fn ten_thousand_loads_leave_nothing_behind() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let wrong = phone.wrong_code();
        let turn = |n: usize| match n % 4 {
            0 => drop(lets_in(&wrong)),
            1 => drop(lets_in("12345678")),
            2 => drop(Login::of("bob").typing("").authenticate()),
            _ => drop(Login::of("mallory").typing("123456").authenticate()),
        };
        (0..200).for_each(turn);
        let before = (signals(), memory(), threads());
        (0..LOADS).for_each(turn);
        let after = (signals(), memory(), threads());
        assert_eq!(before.0, after.0, "signal handlers");
        let grown = after.1.saturating_sub(before.1);
        assert!(grown < 64, "{grown} pages more after {LOADS} loads");
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains("pam_otp"), "it is unmapped");
        assert_eq!(before.2, after.2, "threads");
    });
}

/// libpam unloads us then, and calls whatever we asked it to call in the end.
#[test]
fn a_host_that_turns_to_a_service_without_us_outlives_its_handle() {
    sandboxed(|| {
        line("nodelay");
        stack("others", &["auth required pam_permit.so"]);
        let phone = Phone::enrolled("alice", &[]);
        in_a_child(|| {
            let mut session = Session::start(&Login::of("alice").typing(&*phone.code()));
            assert_eq!(session.authenticate(), 0);
            session.turn_to("others");
            assert_eq!(session.authenticate(), 0);
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            assert!(!maps.contains("pam_otp"), "it is unmapped");
            session.end(0);
        });
    });
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// What is done about each signal.
fn signals() -> Vec<usize> {
    (1..=64)
        .map(|signal| {
            // SAFETY: all zeroes are a value, which is filled in; nothing is set.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &raw mut action);
                action.sa_sigaction
            }
        })
        .collect()
}

/// Pages of memory that are ours alone: resident and not shared.
fn memory() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let mut pages = pages
        .split(' ')
        .skip(1)
        .map(|n| n.parse::<usize>().unwrap());
    pages.next().unwrap() - pages.next().unwrap()
}

#[test]
fn threads_log_their_users_in_side_by_side() {
    sandboxed(|| {
        line("nodelay");
        let names: Vec<_> = (0..8).map(|n| format!("user{n}")).collect();
        users::move_in(8);
        let phones: Vec<_> = names
            .iter()
            .map(|name| Phone::enrolled(name, &[]))
            .collect();
        for offset in [-1, 0, 1] {
            let codes: Vec<_> = phones.iter().map(|phone| phone.code_at(offset)).collect();
            thread::scope(|scope| {
                for (name, code) in names.iter().zip(&codes) {
                    scope.spawn(move || {
                        let login = Login::of(name.as_str()).typing(code.as_str());
                        assert_eq!(login.authenticate().answer, "PAM_SUCCESS", "{name}");
                    });
                }
            });
        }
    });
}

#[test]
fn a_thread_with_little_stack_is_enough() {
    sandboxed(|| {
        in_a_host_that(|| {
            // A thread that runs out of stack takes the process with it.
            let little = thread::Builder::new().stack_size(LITTLE_STACK);
            let login = || Login::of("alice").typing("123456").authenticate().answer;
            assert_eq!(little.spawn(login).unwrap().join().unwrap(), "PAM_AUTH_ERR");
        });
    });
}

#[test]
fn a_host_in_a_chroot_works() {
    sandboxed(|| {
        in_a_host_that(|| {
            run("mkdir /jail; mount --rbind / /jail");
            std::os::unix::fs::chroot("/jail").unwrap();
            std::env::set_current_dir("/").unwrap();
        });
    });
}

#[test]
fn a_host_whose_directory_is_gone_works() {
    sandboxed(|| {
        in_a_host_that(|| {
            fs::create_dir("/gone").unwrap();
            std::env::set_current_dir("/gone").unwrap();
            fs::remove_dir("/gone").unwrap();
        });
    });
}

#[test]
fn signals_may_be_as_the_host_likes() {
    sandboxed(|| {
        line("nodelay");
        users::move_in(4);
        for (n, (signal, action)) in [
            (libc::SIGPIPE, libc::SIG_IGN),
            (libc::SIGPIPE, libc::SIG_DFL),
            (libc::SIGCHLD, libc::SIG_IGN),
            (libc::SIGALRM, libc::SIG_DFL),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("user{n}");
            let phone = Phone::enrolled(&name, &[]);
            in_a_child(|| {
                // SAFETY: takes numbers.
                unsafe { libc::signal(signal, action) };
                let before = signals();
                let login = Login::of(name.as_str()).typing(&*phone.code());
                assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
                assert_eq!(signals(), before);
            });
        }
    });
}

#[test]
fn a_mask_of_any_kind_opens_and_locks_nothing() {
    sandboxed(|| {
        in_a_host_that(|| {
            for mask in [0, 0o777] {
                // SAFETY: takes a number.
                unsafe { libc::umask(mask) };
                assert!(!lets_in("123456"));
            }
            // SAFETY: takes a number.
            let mask = unsafe { libc::umask(0) };
            assert_eq!(mask, 0o777, "it is as the host set it");
        });
    });
}

#[test]
fn a_host_with_few_descriptors_is_denied_or_served_and_keeps_all_it_has() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let code = phone.code();
        in_a_child(|| {
            let mut answers = Vec::new();
            for limit in 3..40 {
                let mut session = Session::start(&Login::of("alice").typing(&*code));
                descriptors_up_to(limit);
                let answer = session.authenticate();
                descriptors_up_to(1024);
                answers.push(session.end(answer).answer);
            }
            let accepted = answers.iter().filter(|answer| **answer == "PAM_SUCCESS");
            assert_eq!(accepted.count(), 1, "{answers:?}");
            assert_eq!(answers.last(), Some(&"PAM_AUTH_ERR"), "used by now");
            assert!(!answers.contains(&"PAM_IGNORE"));
        });
    });
}

fn descriptors_up_to(limit: libc::rlim_t) {
    let limits = libc::rlimit {
        rlim_cur: limit,
        rlim_max: 1024,
    };
    // SAFETY: the limits outlive the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) };
    assert_eq!(set, 0);
}

fn run(command: &str) {
    let done = Command::new("sh").args(["-euc", command]).status();
    assert!(done.unwrap().success(), "{command}");
}

/// A login as a program of its own.
fn with_login() -> Vec<std::path::PathBuf> {
    vec![env!("CARGO_BIN_EXE_login").into()]
}

#[test]
fn nothing_is_written_to_descriptors_that_the_host_has_closed() {
    let extras = Extras {
        programs: Some(with_login),
        ..Extras::default()
    };
    sandboxed_with(extras, || {
        line("nodelay debug");
        let phone = Phone::enrolled("alice", &[]);
        let code = phone.code();
        run(&format!(
            "strace -f -e trace=openat,write,pwrite64,dup,dup2,dup3 -o /tmp/trace /built/login alice {code} <&- >&- 2>&- || true"
        ));
        let trace = fs::read_to_string("/tmp/trace").unwrap();
        let opened = |line: &&str| line.contains("O_RDWR") && line.contains("\"alice\"");
        let state = trace.lines().find(opened).expect("the state is opened");
        let descriptor: u32 = state.rsplit("= ").next().unwrap().parse().unwrap();
        assert!(descriptor > 2, "{state}");
        let low = |line: &&str| {
            [
                "write(0,",
                "write(1,",
                "write(2,",
                "pwrite64(0,",
                "pwrite64(1,",
                "pwrite64(2,",
            ]
            .iter()
            .any(|call| line.contains(call))
        };
        // The program's own answer, which goes nowhere.
        let written: Vec<_> = trace
            .lines()
            .filter(low)
            .filter(|line| !line.contains("PAM_SUCCESS"))
            .collect();
        assert!(written.is_empty(), "{written:?}");
        assert!(!lets_in(&code), "it was accepted");
    });
}

#[test]
fn valgrind_finds_nothing() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &["0123456789abcdef"]);
        users::issue("alice", "48210937", 600);
        let code = phone.code();
        for (typed, accepted) in [
            (code.as_str(), true),
            (code.as_str(), false),
            ("48210937", true),
            ("0123456789abcdef", true),
            ("no code at all", false),
        ] {
            let (found, said) = under_valgrind(typed);
            assert!(!found, "{typed}: {said}");
            let let_in = said.contains("successfully authenticated");
            assert_eq!(let_in, accepted, "{typed}: {said}");
        }
    });
}

/// Whether valgrind found fault with a login, and all that was said.
fn under_valgrind(typed: &str) -> (bool, String) {
    assert!(Path::new("/usr/bin/valgrind").exists(), "valgrind is there");
    let mut child = Command::new("valgrind")
        .args([
            "--quiet",
            "--error-exitcode=99",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite",
            "pamtester",
            "sshd",
            "alice",
            "authenticate",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{typed}").unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    (done.status.code() == Some(99), said.into_owned())
}
