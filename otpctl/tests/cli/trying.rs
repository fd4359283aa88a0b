//! try: a change that takes itself back. Here by a process of its own, since there is no systemd; with a real sshd and
//! the module in tests/e2e.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use otp::origin::Origin;
use otp::policy::Policy;
use otp::service::Service;
use otp::state::LastLogin;
use otp::store::{FileStore, Store};
use otp::time::UnixTime;
use otp::user::{Account, UserName};
use otp::verify::{Changes, Method};

use crate::terminal::Session;
use crate::world::{Machine, Said, on_a_machine};

const SU: &str = "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n";
const SU_TRIED: &str = "auth sufficient pam_rootok.so\n@include common-auth\nauth required pam_otp.so\n@include common-account\n";
const PENDING: &str = "/var/lib/pam_otp/try/pending.json";

/// A machine with the module, somebody enrolled, and su as Debian has it.
fn set_up(machine: &Machine) {
    fs::write("/etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n").unwrap();
    fs::write(
        "/etc/pam.d/common-account",
        "account required pam_unix.so\n",
    )
    .unwrap();
    fs::write("/etc/pam.d/su", SU).unwrap();
    install_module();
    machine.otpctl(&["enroll", "alice"]).exits(0);
}

/// Puts something that is made for this machine where PAM looks for modules.
pub fn install_module() -> PathBuf {
    let mut entries = fs::read_dir("/usr/lib").unwrap().flatten();
    let security = entries
        .find_map(|entry| Some(entry.path().join("security")).filter(|path| path.is_dir()))
        .expect("libpam-modules are there");
    let none: Option<&str> = None;
    mount(
        Some("tmpfs"),
        &security,
        Some("tmpfs"),
        MsFlags::empty(),
        none,
    )
    .unwrap();
    fs::copy("/usr/bin/true", security.join("pam_otp.so")).unwrap();
    security
}

fn su() -> String {
    fs::read_to_string("/etc/pam.d/su").unwrap()
}

fn begin(machine: &Machine, time: &str) -> Said {
    machine
        .otpctl(&["try", "su", "--yes", "--timeout", time])
        .exits(0)
}

/// Waits until su's file has this text.
#[track_caller]
fn until_su_is(text: &str) {
    let started = Instant::now();
    while su() != text {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", su());
        sleep(Duration::from_millis(50));
    }
}

fn now() -> u64 {
    UnixTime::from(SystemTime::now()).as_secs()
}

/// What a login by this service leaves in alice's record: the module's own logins are tried in tests/e2e.
fn logged_in(service: &str, at: u64) {
    let store = FileStore::open(&Policy::default()).unwrap();
    let alice = Account {
        name: UserName::parse("alice").unwrap(),
        uid: Some(1000),
    };
    store
        .update(&alice, |record| {
            let mut state = record.state.clone();
            state.last = Some(LastLogin {
                at: UnixTime::from_secs(at),
                method: Method::Totp,
                origin: Origin::Local(1000),
                service: Service::parse(service),
            });
            let changes = Changes {
                state: Some(state),
                ..Changes::default()
            };
            ((), changes)
        })
        .unwrap();
}

#[test]
fn a_change_takes_itself_back_whole() {
    on_a_machine(|machine| {
        set_up(machine);
        fs::set_permissions("/etc/pam.d/su", fs::Permissions::from_mode(0o640)).unwrap();
        chown("/etc/pam.d/su", None, Some(0)).unwrap();
        let said = machine
            .otpctl(&["try", "su", "--yes", "--timeout", "6s", "--json"])
            .exits(0)
            .json();
        assert_eq!(said["state"], "pending");
        let diff = said["diff"].as_str().unwrap();
        assert_eq!(
            diff,
            "--- /etc/pam.d/su\n+++ /etc/pam.d/su\n@@ -1,3 +1,4 @@\n auth sufficient pam_rootok.so\n @include common-auth\n+auth required pam_otp.so\n @include common-account\n"
        );
        assert_eq!(su(), SU_TRIED);
        let rights = |found: fs::Metadata| (found.mode() & 0o7777, found.uid(), found.gid());
        assert_eq!(
            rights(fs::metadata("/etc/pam.d/su").unwrap()),
            (0o640, 0, 0)
        );
        until_su_is(SU);
        assert_eq!(
            rights(fs::metadata("/etc/pam.d/su").unwrap()),
            (0o640, 0, 0)
        );
        let files = fs::read_dir("/etc/pam.d").unwrap().count();
        assert_eq!(files, 3, "nothing is left beside them");
        let said = machine.otpctl(&["try"]).exits(0);
        assert!(said.out.contains("Taken back: su is as it was"), "{said:?}");
    });
}

#[test]
fn it_is_kept_after_a_login_by_the_service_and_after_nothing_else() {
    on_a_machine(|machine| {
        set_up(machine);
        begin(machine, "60s");
        let refused = || {
            let said = machine.otpctl(&["try", "--keep", "--json"]).exits(1).json();
            assert_eq!(said["error"], "unconfirmed");
        };
        refused();
        let code = machine.json(&["issue", "alice"]);
        let code = code["code"].as_str().unwrap();
        machine.otpctl_with(&["verify", "alice"], code).exits(0);
        refused();
        sleep(Duration::from_secs(2));
        for (service, at) in [
            ("sshd", now()),
            ("su-l", now()),
            ("su", now() - 10),
            ("su", now() + 3600),
        ] {
            logged_in(service, at);
            refused();
        }
        logged_in("su", now());
        let said = machine.otpctl(&["try"]).exits(0);
        assert!(said.out.contains("alice logged in by su"), "{said:?}");
        let said = machine.otpctl(&["try", "--keep", "--json"]).exits(0).json();
        assert_eq!(said["state"], "kept");
        assert_eq!(said["confirmed_by"]["user"], "alice");
        assert_eq!(su(), SU_TRIED);
        assert!(!Path::new(PENDING).exists());
        machine.otpctl(&["try", "--keep"]).exits(1);
        let again = machine.otpctl(&["try", "su", "--yes"]).exits(0);
        assert!(again.out.contains("asks for codes already"), "{again:?}");
    });
}

#[test]
fn a_login_of_a_clock_that_was_ahead_confirms_nothing_when_its_time_comes() {
    on_a_machine(|machine| {
        set_up(machine);
        logged_in("su", now() + 3);
        begin(machine, "60s");
        sleep(Duration::from_secs(5));
        machine.otpctl(&["try", "--keep"]).exits(1);
        logged_in("su", now());
        machine.otpctl(&["try", "--keep"]).exits(0);
    });
}

#[test]
fn killed_or_disconnected_it_is_taken_back_all_the_same() {
    on_a_machine(|machine| {
        set_up(machine);
        for signal in [Signal::SIGKILL, Signal::SIGHUP, Signal::SIGTERM] {
            let mut session = Session::start(machine, &["try", "su", "--timeout", "6s"], 100);
            session.until("[y/N] ");
            session.type_keys("y\r");
            session.until("at once.");
            assert_eq!(su(), SU_TRIED);
            session.signal(signal);
            sleep(Duration::from_secs(1));
            assert_eq!(su(), SU_TRIED, "{signal}: it goes on");
            drop(session);
            until_su_is(SU);
            while Path::new(PENDING).exists() {
                sleep(Duration::from_millis(50));
            }
        }
    });
}

/// The processes of this machine that watch over a trial.
fn watches() -> Vec<PathBuf> {
    let ours = fs::read_link("/proc/self/ns/mnt").unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut found: Vec<PathBuf> = processes.map(|entry| entry.path()).collect();
    found.retain(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let is_one = line.ends_with(b"try\0--watch\0");
        is_one && fs::read_link(process.join("ns/mnt")).is_ok_and(|theirs| theirs == ours)
    });
    found
}

#[test]
fn what_watches_has_a_session_of_its_own_and_ends_with_the_trial() {
    on_a_machine(|machine| {
        set_up(machine);
        begin(machine, "60s");
        let watches_before = watches();
        let [process] = watches_before.as_slice() else {
            panic!("{watches_before:?}");
        };
        let stat = fs::read_to_string(process.join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let pid = process.file_name().unwrap().to_str().unwrap();
        assert_eq!(fields[3], pid, "it leads its session");
        assert_eq!(fields[4], "0", "it has no terminal");
        machine.otpctl(&["try", "--roll-back"]).exits(0);
        let started = Instant::now();
        while watches().iter().any(|process| is_alive(process)) {
            assert!(started.elapsed() < Duration::from_secs(10));
            sleep(Duration::from_millis(50));
        }
    });
}

/// Nobody may be there to take note of its end.
fn is_alive(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_boot_takes_it_back_at_once() {
    on_a_machine(|machine| {
        set_up(machine);
        begin(machine, "50m");
        let text = fs::read_to_string(PENDING).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let other = text.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
        assert_ne!(text, other);
        fs::write(PENDING, other).unwrap();
        until_su_is(SU);
    });
}

#[test]
fn what_was_edited_meanwhile_is_left_alone() {
    on_a_machine(|machine| {
        set_up(machine);
        begin(machine, "6s");
        let edited = format!("{SU_TRIED}# mine\n");
        fs::write("/etc/pam.d/su", &edited).unwrap();
        while Path::new(PENDING).exists() {
            sleep(Duration::from_millis(50));
        }
        assert_eq!(su(), edited);
        let said = machine.otpctl(&["try"]).exits(0);
        assert!(
            said.out.contains("/etc/pam.d/su was edited meanwhile"),
            "{said:?}"
        );
        assert_eq!(machine.json(&["try"])["left"][0], "/etc/pam.d/su");
    });
}

#[test]
fn one_at_a_time_and_back_by_hand() {
    on_a_machine(|machine| {
        set_up(machine);
        fs::write("/etc/pam.d/sudo", "@include common-auth\n").unwrap();
        let none = machine.otpctl(&["try"]).exits(0);
        assert!(none.out.contains("Nothing is being tried"), "{none:?}");
        begin(machine, "60s");
        for service in ["su", "sudo"] {
            let said = machine
                .otpctl(&["try", service, "--yes", "--json"])
                .exits(1);
            assert_eq!(said.json()["error"], "pending");
        }
        let said = machine.otpctl(&["try"]).exits(0);
        assert!(
            said.out.contains("su asks for codes until") && said.complaints().is_empty(),
            "{said:?}"
        );
        machine.otpctl(&["try", "--roll-back"]).exits(0);
        assert_eq!(su(), SU);
        machine.otpctl(&["try", "--roll-back"]).exits(1);
        machine.otpctl(&["try", "sudo", "--yes"]).exits(0);
        machine.otpctl(&["try", "--roll-back"]).exits(0);
    });
}

#[test]
fn at_a_terminal_enter_keeps_and_ctrl_c_takes_back() {
    on_a_machine(|machine| {
        set_up(machine);
        let mut session = Session::start(machine, &["try", "su"], 100);
        session.until("[y/N] ");
        assert_eq!(su(), SU, "nothing before the answer");
        session.type_keys("n\r");
        assert!(session.end().contains("given up"));
        assert_eq!(session.exit(), 1);

        let mut session = Session::start(machine, &["try", "su"], 100);
        session.until("[y/N] ");
        session.type_keys("y\r");
        session.until("at once.");
        session.type_keys("\r");
        session.until("not kept");
        session.type_keys("\x03");
        assert!(session.end().contains("Taken back"));
        assert_eq!(session.exit(), 1);
        assert_eq!(su(), SU);

        let mut session = Session::start(machine, &["try", "su"], 100);
        session.until("[y/N] ");
        session.type_keys("y\r");
        session.until("at once.");
        sleep(Duration::from_secs(2));
        logged_in("su", now());
        session.until("Press Enter");
        session.type_keys("\r");
        assert!(session.end().contains("Kept"));
        assert_eq!(session.exit(), 0);
        assert_eq!(su(), SU_TRIED);
    });
}

#[test]
fn its_time_over_the_terminal_says_so() {
    on_a_machine(|machine| {
        set_up(machine);
        let mut session = Session::start(machine, &["try", "su", "--timeout", "5s"], 100);
        session.until("[y/N] ");
        session.type_keys("y\r");
        let rest = session.end();
        assert!(rest.contains("Taken back: su is as it was"), "{rest}");
        assert_eq!(session.exit(), 1);
        assert_eq!(su(), SU);
    });
}

#[test]
fn what_is_not_understood_or_not_safe_is_not_tried() {
    on_a_machine(|machine| {
        let error = |args: &[&str], exit: i32| {
            let mut all = vec!["try"];
            all.extend(args);
            all.extend(["--yes", "--json"]);
            let said = machine.otpctl(&all).exits(exit);
            said.json()["error"].as_str().unwrap().to_owned()
        };
        set_up(machine);
        for service in ["../su", "common-auth", "other", ""] {
            assert_eq!(error(&[service], 2), "usage", "{service}");
        }
        assert_eq!(error(&["su", "--timeout", "1s"], 2), "usage");
        assert_eq!(error(&["su", "--key"], 2), "usage");
        assert_eq!(error(&["nowhere"], 1), "not-understood");
        fs::write("/etc/pam.d/sudo", "auth sufficient pam_unix.so\n").unwrap();
        assert_eq!(error(&["sudo"], 1), "not-understood");
        symlink("su", "/etc/pam.d/su-l").unwrap();
        assert_eq!(error(&["su-l"], 5), "io");
        // No sshd that says what it goes by.
        fs::write("/etc/pam.d/sshd", "@include common-auth\n").unwrap();
        assert_eq!(error(&["sshd"], 1), "not-understood");
        let asked = machine.otpctl(&["try", "su"]).exits(2);
        assert!(asked.err.contains("--yes"), "{asked:?}");
        for path in modules() {
            fs::remove_file(path).unwrap();
        }
        assert_eq!(error(&["su"], 5), "missing");
        machine.otpctl(&["remove", "alice", "--yes"]).exits(0);
        assert_eq!(error(&["su"], 3), "not-enrolled");
        assert_eq!(su(), SU);
    });
}

fn modules() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib").unwrap().flatten();
    let modules = entries.map(|entry| entry.path().join("security/pam_otp.so"));
    modules.filter(|path| path.exists()).collect()
}

#[test]
fn the_record_of_a_trial_is_roots_alone() {
    on_a_machine(|machine| {
        set_up(machine);
        begin(machine, "60s");
        let mode = |path: &str| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode("/var/lib/pam_otp/try"), 0o700);
        assert_eq!(mode(PENDING), 0o600);
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions("/var/lib/pam_otp/try", open).unwrap();
        let said = machine.otpctl(&["try", "--roll-back", "--json"]).exits(5);
        assert_eq!(said.json()["error"], "insecure");
        assert_eq!(su(), SU_TRIED);
        let closed = fs::Permissions::from_mode(0o700);
        fs::set_permissions("/var/lib/pam_otp/try", closed).unwrap();
        machine.otpctl(&["try", "--roll-back"]).exits(0);
        assert_eq!(su(), SU);
    });
}

/// It runs as the user: the trial would end, but until then no screen opens.
#[test]
fn a_screen_locker_is_not_tried_nor_what_one_asks_by() {
    on_a_machine(|machine| {
        set_up(machine);
        for (service, text) in [
            ("swaylock", "auth include login\n"),
            ("login", "@include common-auth\n"),
        ] {
            fs::write(format!("/etc/pam.d/{service}"), text).unwrap();
        }
        for service in ["swaylock", "login"] {
            let said = machine
                .otpctl(&["try", service, "--yes", "--timeout", "6s"])
                .exits(2);
            assert!(said.err.contains("swaylock asks by"), "{said:?}");
            assert!(!said.err.contains("pam_otp.so"), "{said:?}");
        }
        fs::remove_file("/etc/pam.d/swaylock").unwrap();
        let login = ["try", "login", "--yes", "--timeout", "6s"];
        machine.otpctl(&login).exits(0);
    });
}
