//! Disks that are full or cannot be written, in memory and, for root, on real file systems in a file.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tests::pam::{Login, Report, line};
use tests::sandbox::{Extras, OTPCTL, is_real_root, sandboxed, sandboxed_with, with_otpctl};
use tests::syslog::Syslog;
use tests::users::{Phone, issue, state, store};

const STORE: &str = "/var/lib/pam_otp";
const SPOOL: &str = "/var/spool/pam_otp";
const RUN: &str = "/run";
const RECOVERY: &str = "0123456789abcdef";
const STORED: &str = "48210937";

fn login(code: &str) -> Report {
    Login::of("alice").typing(code).authenticate()
}

fn accepted(code: &str) -> bool {
    login(code).answer == "PAM_SUCCESS"
}

/// The answer, and the last thing said in the log.
fn said(log: &Syslog, code: &str) -> (&'static str, String) {
    log.take();
    let answer = login(code).answer;
    let line = log.take().pop();
    (answer, line.map(|line| line.text).unwrap_or_default())
}

fn run(command: &str) {
    let done = Command::new("sh").args(["-euc", command]).output().unwrap();
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command}: {err}");
}

/// Mounts something for the store, with the spool on it.
fn mounted(mount: &str) {
    run(&format!(
        "mkdir -p {STORE} {SPOOL}; {mount} {STORE}; mkdir {STORE}/spool; mount --bind {STORE}/spool {SPOOL}; chmod 700 {STORE} {SPOOL}"
    ));
    store();
}

/// Fills the file system of a directory to the last byte.
fn fill(dir: &str) {
    let mut most = 1 << 20;
    for n in 0.. {
        let mut file = match File::create(Path::new(dir).join(format!("filler{n}"))) {
            Ok(file) => file,
            Err(_) => return,
        };
        while most > 0 {
            let written = file
                .write_all(&vec![1; most])
                .and_then(|()| file.sync_all());
            if written.is_err() {
                most /= 2;
            }
        }
        if n > 20 {
            return;
        }
        most = 4096;
    }
}

fn make_room() {
    run(&format!("rm {STORE}/filler*; sync -f {STORE}"));
}

/// Enrolled, with a recovery code and a stored one.
fn alice() -> Phone {
    let phone = Phone::enrolled("alice", &[RECOVERY]);
    issue("alice", STORED, 600);
    phone
}

fn make_read_only() {
    for dir in [STORE, SPOOL] {
        run(&format!(
            "mountpoint -q {dir} || mount --bind {dir} {dir}; mount -o remount,bind,ro {dir}"
        ));
    }
}

fn make_writable() {
    for dir in [STORE, SPOOL] {
        run(&format!("mount -o remount,bind,rw {dir}"));
    }
}

/// `on_read_only = "totp"`, on a machine that has been up for a while.
fn totp_goes_on() {
    fs::write("/etc/security/otp.toml", "on_read_only = \"totp\"\n").unwrap();
    run("mkdir -p /run/pam_otp; touch -d '-10 min' /run/pam_otp/born");
    let uptime = || fs::read_to_string("/proc/uptime").unwrap();
    while uptime().split('.').next().unwrap().parse::<u32>().unwrap() < 90 {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// Logins with each kind of code work, and each once.
fn everything_works_once(phone: &Phone) {
    let code = phone.code();
    for code in [code.as_str(), STORED, RECOVERY] {
        assert!(accepted(code), "{code}");
        assert!(!accepted(code), "{code} again");
    }
    assert!(!accepted(&phone.wrong_code()));
    assert_eq!(state("alice").throttle.failures, 1);
    assert!(accepted(&phone.code_at(1)));
}

/// TOTP works once, the other kinds are refused and say why.
fn app_codes_alone_work_once(phone: &Phone, log: &Syslog) {
    let code = phone.code();
    assert!(accepted(&code));
    assert!(!accepted(&code));
    assert!(
        Path::new("/run/pam_otp/state/alice").exists(),
        "kept in memory"
    );
    for code in [STORED, RECOVERY] {
        let (answer, said) = said(log, code);
        assert_eq!(answer, "PAM_AUTH_ERR");
        assert!(said.contains("reason=unavailable"), "{said}");
        assert!(said.contains("cannot be written"), "{said}");
    }
    assert!(!accepted(&phone.wrong_code()));
    assert_eq!(state("alice").throttle.failures, 1, "a failure is counted");
    assert!(accepted(&phone.code_at(1)));
    assert!(!accepted(&phone.code_at(1)));
}

#[test]
fn a_full_disk_stops_no_login_and_no_code_is_good_twice() {
    sandboxed(|| {
        line("nodelay");
        mounted("mount -t tmpfs -o size=1m,mode=700 tmpfs");
        let phone = alice();
        fill(STORE);
        everything_works_once(&phone);
    });
}

#[test]
fn a_read_only_store_is_a_denial_that_says_so_and_exempts_nobody() {
    sandboxed(|| {
        line("nodelay nullok");
        let log = Syslog::bind();
        store();
        let phone = alice();
        make_read_only();
        for code in [phone.code().as_str(), STORED, RECOVERY, &phone.wrong_code()] {
            let (answer, said) = said(&log, code);
            assert_eq!(answer, "PAM_AUTHINFO_UNAVAIL");
            assert!(said.contains("Read-only file system"), "{said}");
        }
        make_writable();
        everything_works_once(&phone);
    });
}

#[test]
fn with_totp_a_read_only_store_goes_on_with_app_codes_and_forgets_none() {
    sandboxed(|| {
        line("nodelay");
        let log = Syslog::bind();
        store();
        let phone = alice();
        totp_goes_on();
        assert!(accepted(&phone.code_at(-1)), "before");
        make_read_only();
        app_codes_alone_work_once(&phone, &log);
        make_writable();
        for offset in [-1, 0, 1] {
            assert!(
                !accepted(&phone.code_at(offset)),
                "{offset}, writable again"
            );
        }
        // Every mode reads it.
        fs::remove_file("/etc/security/otp.toml").unwrap();
        assert!(!accepted(&phone.code_at(1)));
        assert!(accepted(STORED) && accepted(RECOVERY));
    });
}

#[test]
fn with_totp_a_reboot_reopens_nothing() {
    sandboxed(|| {
        line("nodelay");
        let log = Syslog::bind();
        store();
        let phone = Phone::enrolled("alice", &[]);
        totp_goes_on();
        make_read_only();
        let used = [phone.code_at(0), phone.code_at(1)];
        assert!(accepted(&used[0]) && accepted(&used[1]));
        run(&format!("mount -t tmpfs -o mode=755 tmpfs {RUN}"));
        for code in &used {
            let (answer, said) = said(&log, code);
            assert_eq!(answer, "PAM_AUTH_ERR");
            assert!(said.contains("reason=too-early"), "{said}");
        }
        assert_eq!(state("alice").throttle.failures, 0, "that is no failure");
        // With a drift of four steps that could have been learned, seven steps later there is nothing left that could
        // have been accepted before the boot.
        run("touch -d '-210 sec' /run/pam_otp/born");
        assert!(!accepted(&phone.code_at(-2)));
        assert!(accepted(&phone.code()));
    });
}

/// `otpctl issue` finds no record of the user and stands still before it makes one; meanwhile somebody else makes it, and a
/// code is used that only /run has.
#[test]
fn what_run_has_of_a_record_outlives_whoever_finds_none() {
    let extras = Extras {
        programs: Some(with_otpctl),
        ..Extras::default()
    };
    sandboxed_with(extras, || {
        line("nodelay");
        // The machine's key is there, so that the first thing to be made is the record.
        issue("bob", STORED, 600);
        totp_goes_on();
        let trace = "trace=openat,unlinkat,renameat2";
        let calls = "inject=unlinkat,renameat2:delay_enter=5000000:when=1";
        let mut issue = Command::new("strace")
            .args(["-o", "/tmp/trace", "-e", trace, "-e", calls])
            .args([OTPCTL, "issue", "alice", "--json"])
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(2));
        let phone = Phone::enrolled("alice", &[]);
        make_read_only();
        let code = phone.code();
        assert!(accepted(&code));
        assert!(Path::new("/run/pam_otp/state/alice").exists());
        issue.wait().unwrap();
        assert!(!accepted(&code), "again");
    });
}

/// `su` has the umask of whoever starts it. Root without the capability to pass by modes would be kept out.
#[test]
fn what_is_made_in_run_has_its_mode_whatever_the_umask() {
    let extras = Extras {
        programs: Some(|| vec![env!("CARGO_BIN_EXE_login").into()]),
        ..Extras::default()
    };
    sandboxed_with(extras, || {
        line("nodelay");
        store();
        let phone = Phone::enrolled("alice", &[]);
        totp_goes_on();
        make_read_only();
        let code = phone.wrong_code();
        run(&format!("umask 777; /built/login alice {code} >/dev/null"));
        for (made, mode) in [("state", 0o700), ("state/alice", 0o600)] {
            let made = fs::metadata(Path::new("/run/pam_otp").join(made)).unwrap();
            assert_eq!(made.permissions().mode() & 0o7777, mode);
        }
    });
}

#[test]
fn a_holder_of_guesses_cannot_shake_them_off_by_filling_the_disk() {
    sandboxed(|| {
        line("nodelay");
        store();
        let phone = Phone::enrolled("alice", &[]);
        totp_goes_on();
        make_read_only();
        for _ in 0..3 {
            assert!(!accepted(&phone.wrong_code()));
        }
        assert!(!accepted(&phone.code()), "held");
        make_writable();
        assert!(!accepted(&phone.code()), "still held");
        assert_eq!(state("alice").throttle.failures, 3);
    });
}

/// A file system of this kind in a file of so many MiB, mounted for the store.
fn on_a_disk_of(kind: &str, size: u32) {
    run("cd /dev; mknod loop-control c 10 237; for n in $(seq 0 63); do mknod loop$n b 7 $n; done");
    run(&format!(
        "truncate -s {size}M /tmp/disk; mkfs.{kind} -q /tmp/disk >/dev/null"
    ));
    mounted(&format!("mount -t {kind} -o loop /tmp/disk"));
}

#[test]
fn a_full_ext4_stops_no_login() {
    sandboxed(|| {
        if !is_real_root() {
            return;
        }
        line("nodelay");
        on_a_disk_of("ext4", 16);
        let phone = alice();
        fill(STORE);
        everything_works_once(&phone);
    });
}

#[test]
fn a_full_disk_that_copies_on_write_denies_and_says_so() {
    sandboxed(|| {
        if !is_real_root() {
            return;
        }
        line("nodelay");
        let log = Syslog::bind();
        on_a_disk_of("btrfs", 128);
        let phone = alice();
        fill(STORE);
        for code in [phone.code().as_str(), STORED] {
            let (answer, said) = said(&log, code);
            assert_eq!(answer, "PAM_AUTHINFO_UNAVAIL", "{said}");
            assert!(said.contains("No space left on device"), "{said}");
        }
        make_room();
        assert!(accepted(&phone.code_at(1)));
    });
}

#[test]
fn with_totp_a_full_disk_that_copies_on_write_goes_on_with_app_codes() {
    sandboxed(|| {
        if !is_real_root() {
            return;
        }
        line("nodelay");
        let log = Syslog::bind();
        on_a_disk_of("btrfs", 128);
        let phone = alice();
        totp_goes_on();
        fill(STORE);
        app_codes_alone_work_once(&phone, &log);
        make_room();
        assert!(!accepted(&phone.code_at(1)));
        assert!(accepted(STORED) && accepted(RECOVERY));
    });
}
