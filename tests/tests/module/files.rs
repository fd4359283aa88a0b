//! Files that are not what they should be, in every place a login reads: refused at once and by name, with and without
//! `nullok`, and nobody else's trouble. The store's own tests have the same on its errors; here the module answers.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};

use tests::pam::{Login, line};
use tests::sandbox::sandboxed;
use tests::syslog::Syslog;
use tests::users::{Phone, issue};

/// Every login here answers well before this; a lock is waited for longer.
const AT_ONCE: Duration = Duration::from_secs(2);
/// A recovery code nobody has: judged wherever there is a store, and it counts nowhere.
const NOBODYS: &str = "0000-0000-0000-0000";

type Put = fn(&Path, &Path);

/// What is put where a file was, which is kept beside it under another name.
const FILES: &[(&str, Put)] = &[
    ("a link", |aside, path| symlink(aside, path).unwrap()),
    ("a link to nothing", |_, path| {
        symlink("/nowhere", path).unwrap()
    }),
    ("a link to itself", |_, path| symlink(path, path).unwrap()),
    ("a second name", |aside, path| {
        fs::hard_link(aside, path).unwrap()
    }),
    ("a directory", |_, path| fs::create_dir(path).unwrap()),
    ("a pipe", |_, path| pipe(path)),
    ("a socket", |_, path| {
        drop(UnixListener::bind(path).unwrap())
    }),
    ("the device null", |_, path| bind("/dev/null", path)),
    ("the device zero", |_, path| bind("/dev/zero", path)),
    ("a readable copy", |aside, path| copy(aside, path, 0o666)),
];

/// What is put where a directory was.
const DIRECTORIES: &[(&str, Put)] = &[
    ("a link", |aside, path| symlink(aside, path).unwrap()),
    ("a link to itself", |_, path| symlink(path, path).unwrap()),
    ("a file", |_, path| drop(File::create(path).unwrap())),
    ("a pipe", |_, path| pipe(path)),
    ("a socket", |_, path| {
        drop(UnixListener::bind(path).unwrap())
    }),
    ("the device zero", |_, path| bind("/dev/zero", path)),
    ("a directory others write", |_, path| {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }),
];

fn pipe(path: &Path) {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is a string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

fn bind(from: &str, path: &Path) {
    File::create(path).unwrap();
    let (from, path) = (CString::new(from), CString::new(path.to_str().unwrap()));
    let (from, path) = (from.unwrap(), path.unwrap());
    let flags = libc::MS_BIND;
    // SAFETY: both are strings; a bind mount looks at nothing else.
    let bound = unsafe {
        libc::mount(
            from.as_ptr(),
            path.as_ptr(),
            ptr::null(),
            flags,
            ptr::null(),
        )
    };
    assert_eq!(bound, 0);
}

fn copy(from: &Path, to: &Path, mode: u32) {
    fs::copy(from, to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(mode)).unwrap();
}

/// Takes away what was put.
fn clear(path: &Path) {
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is a string. Fails where nothing is mounted.
    unsafe { libc::umount2(name.as_ptr(), libc::MNT_DETACH) };
    if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// Puts each of these in a place, and logs in meanwhile.
fn try_each(place: &str, things: &[(&str, Put)], hers_alone: bool, syslog: &Syslog) {
    let path = Path::new(place);
    let aside = path.with_extension("aside");
    for (thing, put) in things {
        fs::rename(path, &aside).unwrap();
        put(&aside, path);
        for arguments in ["nodelay", "nodelay nullok"] {
            let what = format!("{thing} at {place}, {arguments}");
            line(arguments);
            let started = Instant::now();
            let report = Login::of("alice").typing(NOBODYS).authenticate();
            assert!(started.elapsed() < AT_ONCE, "{what}");
            assert_eq!(report.answer, "PAM_AUTHINFO_UNAVAIL", "{what}");
            let log = format!("{:?}", syslog.take());
            assert!(
                log.contains("reason=unavailable") && log.contains(place),
                "{what}: {log}"
            );
            if hers_alone {
                let report = Login::of("bob").typing(NOBODYS).authenticate();
                assert_eq!(report.answer, "PAM_AUTH_ERR", "bob, with {what}");
                let log = format!("{:?}", syslog.take());
                assert!(log.contains("reason=mismatch"), "bob, with {what}: {log}");
            }
        }
        clear(path);
        fs::rename(&aside, path).unwrap();
    }
}

#[test]
fn hostile_files_wherever_a_login_reads_are_refused_by_name_at_once() {
    sandboxed(|| {
        let syslog = Syslog::bind();
        let phone = Phone::enrolled("alice", &[]);
        Phone::enrolled("bob", &[]);
        issue("alice", "48210937", 600);
        fs::write("/etc/security/otp.toml", "").unwrap();
        let lib = "/var/lib/pam_otp";
        for (place, hers_alone) in [
            ("/etc/security/otp.toml".to_owned(), false),
            (format!("{lib}/STORE"), false),
            (format!("{lib}/key"), true),
            (format!("{lib}/secrets/alice"), true),
            (format!("{lib}/state/alice"), true),
            ("/var/spool/pam_otp/alice/37030201".to_owned(), true),
        ] {
            try_each(&place, FILES, hers_alone, &syslog);
        }
        for (place, hers_alone) in [
            ("/etc/security", false),
            ("/var/lib", false),
            (lib, false),
            ("/var/lib/pam_otp/secrets", false),
            ("/var/lib/pam_otp/state", false),
            ("/var/spool", false),
            ("/var/spool/pam_otp", false),
            ("/var/spool/pam_otp/alice", true),
        ] {
            try_each(place, DIRECTORIES, hers_alone, &syslog);
        }
        line("nodelay");
        let login = Login::of("alice").typing(&*phone.code());
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

/// A small generator of numbers (xorshift), so that a failure comes again.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 16).unwrap()
}

/// Random bytes, or the file's own with some of them changed, or cut short.
fn spoilt(whole: &[u8], seed: &mut u64) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match next(seed) % 4 {
        0 => bytes.iter_mut().for_each(|byte| *byte = next(seed) as u8),
        1 => bytes.truncate(next(seed) % whole.len()),
        _ => {
            for _ in 0..=next(seed) % 8 {
                let at = next(seed) % whole.len();
                bytes[at] = next(seed) as u8;
            }
        }
    }
    bytes
}

#[test]
fn spoilt_files_never_let_a_wrong_code_in_or_anybody_by_and_never_panic() {
    sandboxed(|| {
        line("nodelay nullok");
        Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd"]);
        issue("alice", "48210937", 600);
        let lib = "/var/lib/pam_otp";
        let mut seed = 20_261_124;
        for place in [
            format!("{lib}/key"),
            format!("{lib}/secrets/alice"),
            format!("{lib}/state/alice"),
            "/var/spool/pam_otp/alice/37030201".to_owned(),
        ] {
            let whole = fs::read(&place).unwrap();
            for turn in 0..500 {
                fs::write(&place, spoilt(&whole, &mut seed)).unwrap();
                let answer = Login::of("alice").typing(NOBODYS).authenticate().answer;
                let denied = ["PAM_AUTH_ERR", "PAM_AUTHINFO_UNAVAIL"].contains(&answer);
                assert!(denied, "{answer} at {place}, turn {turn}");
            }
            fs::write(&place, &whole).unwrap();
        }
        let login = Login::of("alice").typing("48210937");
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn a_gigabyte_or_somebody_elses_file_is_refused_at_once() {
    sandboxed(|| {
        line("nodelay nullok");
        Phone::enrolled("alice", &[]);
        issue("alice", "48210937", 600);
        let lib = "/var/lib/pam_otp";
        for place in [
            format!("{lib}/key"),
            format!("{lib}/secrets/alice"),
            format!("{lib}/state/alice"),
            "/var/spool/pam_otp/alice/37030201".to_owned(),
        ] {
            let whole = fs::read(&place).unwrap();
            let file = File::options().write(true).open(&place).unwrap();
            // All of it a hole.
            file.set_len(0).unwrap();
            file.set_len(1 << 30).unwrap();
            let answer = || {
                let started = Instant::now();
                let report = Login::of("alice").typing(NOBODYS).authenticate();
                assert!(started.elapsed() < AT_ONCE, "{place}");
                report.answer
            };
            assert_eq!(answer(), "PAM_AUTHINFO_UNAVAIL", "{place}");
            fs::write(&place, &whole).unwrap();
            if std::os::unix::fs::chown(&place, Some(1), None).is_ok() {
                assert_eq!(answer(), "PAM_AUTHINFO_UNAVAIL", "{place}");
                std::os::unix::fs::chown(&place, Some(0), None).unwrap();
            }
        }
    });
}
