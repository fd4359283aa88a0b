//! A good guest in somebody else's process.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::Command;

use tests::pam::{Login, Reply, Session, line};
use tests::sandbox::{MODULE, release_module, sandboxed};
use tests::users::{Phone, issue};

/// One login of each kind.
fn logins(phone: &Phone) {
    for (user, reply) in [
        ("alice", Reply::from(&*phone.wrong_code())),
        ("alice", Reply::from(&*phone.code_at(0))),
        ("bob", Reply::from("")),
        ("mallory", Reply::from("123456")),
        ("alice", Reply::NullArray),
    ] {
        Login::of(user).typing(reply).authenticate();
    }
}

#[test]
fn two_hundred_loads_leave_nothing_behind() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        logins(&phone);
        let before = (descriptors(), threads(), environment(), cwd());
        for _ in 0..40 {
            logins(&phone);
            assert_eq!(
                mappings(),
                0,
                "the module is unmapped when the host is done with it"
            );
        }
        assert_eq!((descriptors(), threads(), environment(), cwd()), before);
    });
}

#[test]
fn a_login_leaves_no_descriptor_while_the_host_goes_on() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        logins(&phone);
        let before = descriptors();
        let mut session = Session::start(&Login::of("alice").typing(&*phone.code_at(1)));
        assert_eq!(session.authenticate(), 0);
        assert_ne!(mappings(), 0, "it is still loaded");
        assert_eq!(descriptors(), before);
        session.end(0);
    });
}

#[test]
fn two_loads_in_one_process_work_side_by_side_and_one_after_the_other() {
    sandboxed(|| {
        fs::copy(MODULE, "/tmp/pam_otp.so").unwrap();
        line("");
        tests::pam::stack("sudo", &["auth required /tmp/pam_otp.so"]);
        let phone = Phone::enrolled("alice", &[]);
        issue("bob", "48210937", 600);
        for _ in 0..2 {
            let (alice, bob) = (Login::of("alice"), Login::of("bob").at("sudo"));
            let mut first = Session::start(&alice.typing(&*phone.wrong_code()));
            let mut second = Session::start(&bob.typing("99999999"));
            assert_eq!(first.authenticate(), 7);
            assert_eq!(second.authenticate(), 7);
            first.end(7);
            second.end(7);
            assert_eq!(mappings(), 0);
        }
        let login = Login::of("bob").at("sudo").typing("48210937");
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn loaded_and_unloaded_by_hand_it_is_gone() {
    sandboxed(|| {
        let module = CString::new(MODULE).unwrap();
        for _ in 0..3 {
            // SAFETY: the path is a string; the module has no constructors that need anything.
            let handle = unsafe { libc::dlopen(module.as_ptr(), libc::RTLD_NOW) };
            assert!(!handle.is_null());
            assert_ne!(mappings(), 0);
            // SAFETY: the handle is what dlopen gave.
            assert_eq!(unsafe { libc::dlclose(handle) }, 0);
            assert_eq!(mappings(), 0);
        }
    });
}

#[test]
fn handed_nonsense_by_the_host_it_aborts_the_login_and_nothing_else() {
    type Hook = unsafe extern "C" fn(*mut u8, i32, i32, *const *const i8) -> i32;
    sandboxed(|| {
        let module = CString::new(MODULE).unwrap();
        // SAFETY: as above.
        let handle = unsafe { libc::dlopen(module.as_ptr(), libc::RTLD_NOW) };
        for hook in [
            "authenticate",
            "setcred",
            "acct_mgmt",
            "open_session",
            "close_session",
            "chauthtok",
        ] {
            let name = CString::new(format!("pam_sm_{hook}")).unwrap();
            // SAFETY: the symbol is a hook of PAM, whose signature this is; a null handle is what is tried.
            let answer = unsafe {
                let symbol = libc::dlsym(handle, name.as_ptr());
                assert!(!symbol.is_null(), "{hook}");
                let hook: Hook = std::mem::transmute(symbol);
                hook(std::ptr::null_mut(), 0, 0, std::ptr::null())
            };
            assert_eq!(answer, 26, "PAM_ABORT");
        }
    });
}

#[test]
fn nothing_is_printed() {
    sandboxed(|| {
        let phone = Phone::enrolled("alice", &[]);
        let printed = printed_by(|| {
            for arguments in [
                "",
                "nullok debug",
                "nosuch",
                "forward_pass",
                "config=/nowhere",
            ] {
                line(arguments);
                logins(&phone);
            }
            fs::remove_dir_all("/var/lib/pam_otp/state").unwrap();
            logins(&phone);
        });
        assert_eq!(printed, "");
    });
}

/// What comes out of descriptors 1 and 2 meanwhile.
fn printed_by(doing: impl FnOnce()) -> String {
    let file = File::create("/tmp/printed").unwrap();
    // SAFETY: descriptors are plain numbers, and this process has one thread.
    unsafe {
        let (out, err) = (libc::dup(1), libc::dup(2));
        libc::dup2(file.as_raw_fd(), 1);
        libc::dup2(file.as_raw_fd(), 2);
        doing();
        libc::dup2(out, 1);
        libc::dup2(err, 2);
        libc::close(out);
        libc::close(err);
    }
    fs::read_to_string("/tmp/printed").unwrap()
}

fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("pam_otp")).count()
}

fn descriptors() -> Vec<(String, String)> {
    let target = |entry: fs::DirEntry| {
        let path = fs::read_link(entry.path()).ok()?;
        let name = entry.file_name().into_string().unwrap();
        Some((name, path.display().to_string()))
    };
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut open: Vec<_> = entries.filter_map(|entry| target(entry.unwrap())).collect();
    open.sort();
    open
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn environment() -> Vec<(String, String)> {
    std::env::vars().collect()
}

fn cwd() -> std::path::PathBuf {
    std::env::current_dir().unwrap()
}

#[test]
fn the_module_as_it_ships_exports_its_hooks_and_nothing_else() {
    let module = release_module();
    let nm = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(&module)
        .output()
        .expect("nm is there");
    let symbols = String::from_utf8(nm.stdout).unwrap();
    let mut names: Vec<&str> = symbols
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "pam_sm_acct_mgmt",
            "pam_sm_authenticate",
            "pam_sm_chauthtok",
            "pam_sm_close_session",
            "pam_sm_open_session",
            "pam_sm_setcred",
        ]
    );
}
