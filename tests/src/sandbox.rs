//! A root directory of the test's own, so that the same tests run as root and as an ordinary user and touch neither
//! the machine's `/etc/pam.d` nor its `/var`. Each test runs in a process of its own in there.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The module, as its path is inside.
pub const MODULE: &str = "/built/pam_otp.so";
/// The command, where a test has brought it.
pub const OTPCTL: &str = "/built/otpctl";

/// Set inside.
const INSIDE: &str = "PAM_OTP_TEST_SANDBOX";
/// A login waits 5 s for a lock at most; a test that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a test prints on a line that starts with this is shown even if it passes.
pub const TOLD: &str = "trial: ";

/// Runs a test in a sandbox: `#[test] fn name() { sandboxed(|| …) }`.
pub fn sandboxed<F: FnOnce()>(test: F) {
    sandboxed_with(Vec::new, PATIENCE, test);
}

/// The same with more programs in `/built`, asked for outside only, and with other patience.
pub fn sandboxed_with<F: FnOnce()>(
    programs: impl FnOnce() -> Vec<PathBuf>,
    patience: Duration,
    test: F,
) {
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    let name = name_of::<F>();
    let root = tempfile::tempdir().expect("a directory to mount the sandbox on");
    let run = unshared()
        .args([
            "timeout",
            &patience.as_secs().to_string(),
            "sh",
            "-euc",
            include_str!("sandbox.sh"),
            "sandbox",
        ])
        .args([root.path(), &env::current_exe().unwrap(), module()])
        .arg(&name)
        .args(programs())
        .env(INSIDE, "1")
        .output()
        .expect("unshare, timeout and sh are there");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    for told in out.lines().filter_map(|line| line.split_once(TOLD)) {
        // Past the harness, which keeps what passing tests print to itself.
        let _ = writeln!(std::io::stderr(), "{}", told.1);
    }
    let passed = run.status.success() && out.contains("1 passed");
    assert!(passed, "in the sandbox, {}:\n{out}\n{err}", run.status);
}

/// The test's name as libtest has it: that of the function whose closure this is, without the crate.
fn name_of<F>() -> String {
    let closure = std::any::type_name::<F>();
    let function = closure.strip_suffix("::{{closure}}");
    let (_, name) = function
        .and_then(|path| path.split_once("::"))
        .expect("sandboxed() is called with a closure by the test itself");
    name.to_owned()
}

/// `unshare` with a mount namespace: as we are if we are root, else as the root of a new user namespace.
fn unshared() -> Command {
    let mut command = Command::new("unshare");
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        command.args(["--mount", "--propagation", "private"]);
    } else {
        command.args(["--user", "--map-root-user", "--mount"]);
    }
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works = WORKS.get_or_init(|| {
        let args: Vec<_> = command.get_args().collect();
        let tried = Command::new("unshare").args(args).arg("true").output();
        tried.is_ok_and(|tried| tried.status.success())
    });
    assert!(
        works,
        "these tests need namespaces of their own: run them as root, or let users have namespaces \
         (sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000, and where there is AppArmor \
         kernel.apparmor_restrict_unprivileged_userns=0)"
    );
    command
}

/// The module under test: `PAM_OTP_MODULE`, or the one cargo builds now, in the tests' own profile.
pub fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| match env::var_os("PAM_OTP_MODULE") {
        Some(path) => std::path::absolute(path).unwrap(),
        None => build_module(is_release()),
    })
}

/// The module as it ships.
pub fn release_module() -> PathBuf {
    env::var_os("PAM_OTP_MODULE").map_or_else(|| build_module(true), PathBuf::from)
}

/// The command, built now in the tests' own profile. Inside it is [`OTPCTL`].
pub fn otpctl() -> &'static Path {
    static OTPCTL: OnceLock<PathBuf> = OnceLock::new();
    OTPCTL.get_or_init(|| build("otpctl", "otpctl", is_release()))
}

fn build_module(release: bool) -> PathBuf {
    build("pam_otp", "libpam_otp.so", release)
}

fn build(package: &str, file: &str, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "dev" };
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--package",
            package,
            "--profile",
            profile,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "cargo cannot build {package}");
    let dir = if release { "release" } else { "debug" };
    target().join(dir).join(file)
}

/// The tests are at `target/PROFILE/deps/NAME`.
fn target() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_path_buf()
}

fn is_release() -> bool {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    profile.ends_with("release")
}
