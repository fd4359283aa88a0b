//! What may stand in the place of otpd's socket, and what may answer there: a denial that says what to do, in time.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::{Duration, Instant};

use otp::door::wire::{Answer, answer_bytes};
use otp::history::History;
use otp::judging::Sight;
use otp::verify::{Acceptance, Method, Reason, Verdict};
use tests::door::{Otpd, Packets, SOCKET, as_su_of, as_user, become_user, open_log};
use tests::pam::{Login, line};
use tests::processes::start;
use tests::syslog::Syslog;
use tests::users::{self, Phone};

use crate::with_otpd;

/// All waiting comes to an end by then.
const IN_TIME: Duration = Duration::from_secs(9);

fn accepted() -> Vec<u8> {
    let acceptance = Acceptance {
        method: Method::Totp,
        offset: Some(0),
    };
    answer_bytes(&Answer::of(
        Verdict::Accepted(acceptance),
        History::default(),
    ))
}

/// What alice's own program answers, and what it tells the log.
fn answer(log: &Syslog, expected: &str) -> String {
    let begun = Instant::now();
    as_user(1000, || {
        let report = Login::of("alice").typing("123456").authenticate();
        assert_eq!(report.answer, expected);
    });
    assert!(begun.elapsed() < IN_TIME);
    let lines: Vec<String> = log.take().into_iter().map(|line| line.text).collect();
    lines.join("\n")
}

fn denied(log: &Syslog, what: &str) {
    let told = answer(log, "PAM_AUTHINFO_UNAVAIL");
    assert!(told.starts_with("pam_otp(sshd:auth): refused reason=unavailable rhost=- what=\""));
    assert!(told.ends_with(" user=\"alice\""), "{told}");
    assert!(told.contains(what), "{told}: not {what}");
}

#[test]
fn a_place_that_is_not_roots_or_has_no_socket_is_a_denial_that_says_what_to_do() {
    with_otpd(|| {
        line("nodelay");
        let log = open_log();
        let _phone = Phone::enrolled("alice", &[]);
        let dir = "/run/pam_otp";
        let restart = "systemctl restart pam-otp-otpd.socket";
        denied(&log, restart);
        fs::create_dir(dir).unwrap();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        denied(&log, "there is no /run/pam_otp/otpd.sock");
        fs::write(SOCKET, "").unwrap();
        denied(&log, "it is not a socket");
        fs::remove_file(SOCKET).unwrap();
        symlink("/tmp/elsewhere", SOCKET).unwrap();
        denied(&log, "it is not a socket");
        let listening = Packets::listening(libc::SOCK_SEQPACKET, 5, || ());
        chown(SOCKET, Some(1001), None).unwrap();
        denied(&log, "it does not belong to root");
        chown(SOCKET, Some(0), None).unwrap();
        chown(dir, Some(1001), None).unwrap();
        denied(&log, "it belongs to uid 1001, not to root");
        chown(dir, Some(0), None).unwrap();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o757)).unwrap();
        denied(&log, "is not safe");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(SOCKET, fs::Permissions::from_mode(0o600)).unwrap();
        denied(&log, "Permission denied");
        fs::set_permissions(SOCKET, fs::Permissions::from_mode(0o666)).unwrap();
        drop(listening);
        denied(&log, "nobody listens");
        fs::remove_file(SOCKET).unwrap();
        let _stream = Packets::listening(libc::SOCK_STREAM, 5, || ());
        denied(&log, "cannot be asked");
        // su does not go on without it either: what is there and does not answer is no reason to open the store.
        as_su_of(1001, || {
            let report = Login::of("alice").typing("123456").authenticate();
            assert_eq!(report.answer, "PAM_AUTHINFO_UNAVAIL");
        });
    });
}

/// The directory is root's, and so is the name; who listens there is another matter.
#[test]
fn only_root_is_heard() {
    with_otpd(|| {
        line("nodelay");
        let log = open_log();
        let _phone = Phone::enrolled("alice", &[]);
        for (uid, expected) in [
            (0, "PAM_SUCCESS"),
            (1000, "PAM_AUTHINFO_UNAVAIL"),
            (1001, "PAM_AUTHINFO_UNAVAIL"),
        ] {
            let (mut ready, made) = tests::crowd::pipe();
            let _other = start(|| {
                let listening = Packets::listening(libc::SOCK_SEQPACKET, 5, || {
                    if uid != 0 {
                        become_user(uid);
                    }
                });
                std::io::Write::write_all(&mut &made, b".").unwrap();
                let asker = listening.accept();
                asker.receive(IN_TIME);
                asker.send(&accepted());
            });
            std::io::Read::read_exact(&mut ready, &mut [0]).unwrap();
            let told = answer(&log, expected);
            assert_eq!(
                told.contains(&format!("uid {uid} listens")),
                uid != 0,
                "{told}"
            );
        }
    });
}

/// Lets somebody of root's listen who does this with whoever asks.
fn beside(does: impl Fn(&Packets), check: impl FnOnce()) {
    let (mut ready, made) = tests::crowd::pipe();
    let other = start(|| {
        let listening = Packets::listening(libc::SOCK_SEQPACKET, 5, || ());
        std::io::Write::write_all(&mut &made, b".").unwrap();
        loop {
            does(&listening.accept());
        }
    });
    std::io::Read::read_exact(&mut ready, &mut [0]).unwrap();
    check();
    drop(other);
}

#[test]
fn what_is_no_answer_is_a_denial() {
    with_otpd(|| {
        line("nodelay");
        let log = open_log();
        let _phone = Phone::enrolled("alice", &[]);
        let good = accepted();
        let seen = answer_bytes(&Answer::Seen(Sight {
            can_answer: true,
            is_remembered: true,
            history: History::default(),
        }));
        let mut newer = good.clone();
        newer[8] = 2;
        for (said, what) in [
            (good[..good.len() - 1].to_vec(), "is not otpd"),
            ([&good[..], b"\0"].concat(), "is not otpd"),
            ([&good[..], &[0; 4000]].concat(), "is not otpd"),
            (b"yes".to_vec(), "is not otpd"),
            (newer, "speaks version 2 of the protocol, and not 1"),
            (seen, "answered what it was not asked"),
            (Vec::new(), "gave no answer"),
        ] {
            let says = |asker: &Packets| {
                asker.receive(IN_TIME);
                asker.send(&said);
            };
            beside(says, || denied(&log, what));
        }
        // Hung up on, before the question was heard and after.
        beside(|_| (), || denied(&log, "gave no answer"));
        beside(
            |asker| drop(asker.receive(IN_TIME)),
            || denied(&log, "gave no answer"),
        );
        // What is told without the question being heard is heard all the same.
        let busy = b"pamotpDA\x01\x05\x04";
        beside(
            |asker| assert!(asker.send(busy)),
            || denied(&log, "too many ask"),
        );
        let refused = answer_bytes(&Answer::of(
            Verdict::Refused(Reason::Used),
            History::default(),
        ));
        let says = |asker: &Packets| {
            asker.receive(IN_TIME);
            asker.send(&refused);
        };
        beside(says, || assert_eq!(answer(&log, "PAM_AUTH_ERR"), ""));
    });
}

#[test]
fn who_says_nothing_or_too_late_or_has_no_room_is_waited_for_and_not_for_good() {
    with_otpd(|| {
        line("nodelay");
        let log = open_log();
        let _phone = Phone::enrolled("alice", &[]);
        beside(
            |_| std::thread::sleep(Duration::from_secs(60)),
            || denied(&log, "in time"),
        );
        let late = |asker: &Packets| {
            asker.receive(IN_TIME);
            std::thread::sleep(Duration::from_secs(9));
            asker.send(&accepted());
        };
        beside(late, || denied(&log, "in time"));
        let begun = Instant::now();
        let _full = Packets::listening(libc::SOCK_SEQPACKET, 0, || ());
        let _first = Packets::connected().unwrap();
        denied(&log, "too many ask");
        assert!(begun.elapsed() > Duration::from_secs(2));
    });
}

#[test]
fn otpd_does_not_take_anothers_place_and_leaves_none_behind() {
    with_otpd(|| {
        users::store();
        let first = Otpd::listening();
        let second = || {
            std::process::Command::new(tests::sandbox::OTPD)
                .arg("--listen")
                .output()
                .unwrap()
        };
        let refused = second();
        assert!(!refused.status.success());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("another otpd answers there"), "{said}");
        let mode = fs::metadata(SOCKET).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o666);
        let mode = fs::metadata("/run/pam_otp").unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        first.end();
        assert!(!fs::exists(SOCKET).unwrap());
        // One that was killed leaves its socket, which is no reason not to begin.
        Otpd::listening().kill();
        assert!(fs::exists(SOCKET).unwrap());
        Otpd::listening().end();
        fs::write(SOCKET, "").unwrap();
        let said = String::from_utf8(second().stderr).unwrap();
        assert!(said.contains("something else than a socket"), "{said}");
        as_user(1000, || {
            let said = String::from_utf8(second().stderr).unwrap();
            assert!(said.contains("needs root"), "{said}");
        });
    });
}
