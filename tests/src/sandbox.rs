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
/// What answers programs that are not root, where a test has brought it.
pub const OTPD: &str = "/built/otpd";
/// A directory on the disk that `target/` is on, for tests that ask for it: the rest of the sandbox is memory, where making
/// things durable costs nothing.
pub const DISK: &str = "/disk";

/// Set inside.
const INSIDE: &str = "PAM_OTP_TEST_SANDBOX";
/// A login waits 5 s for a lock at most; a test that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a test prints on a line that starts with this is shown even if it passes.
pub const TOLD: &str = "trial: ";

/// What some tests find inside besides.
#[derive(Default)]
pub struct Extras {
    /// More programs in `/built`, asked for outside only.
    pub programs: Option<fn() -> Vec<PathBuf>>,
    /// [`DISK`], and the module as it ships.
    pub disk: bool,
    /// How long the test may take, where it is not [`PATIENCE`].
    pub patience: Option<Duration>,
}

/// Runs a test in a sandbox: `#[test] fn name() { sandboxed(|| …) }`.
pub fn sandboxed<F: FnOnce()>(test: F) {
    sandboxed_with(Extras::default(), test);
}

/// Runs a test in a sandbox that has more than others. What it prints is shown by `--show-output`.
pub fn sandboxed_with<F: FnOnce()>(extras: Extras, test: F) {
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    let root = tempfile::tempdir().expect("a directory to mount the sandbox on");
    let disk = extras.disk.then(|| tempfile::tempdir_in(target()).unwrap());
    let module = if extras.disk {
        release_module()
    } else {
        module().to_path_buf()
    };
    let mut run = unshared();
    if let Some(disk) = &disk {
        run.env("DISK", disk.path());
    }
    let patience = extras.patience.unwrap_or(PATIENCE);
    let run = run
        .args([
            "timeout",
            &patience.as_secs().to_string(),
            "sh",
            "-euc",
            include_str!("sandbox.sh"),
            "sandbox",
        ])
        .args([root.path(), &env::current_exe().unwrap(), &module])
        .arg(name_of::<F>())
        .args(extras.programs.map_or_else(Vec::new, |programs| programs()))
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
    print!("{out}");
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

/// [`OTPCTL`] for [`Extras::programs`].
pub fn with_otpctl() -> Vec<PathBuf> {
    vec![otpctl().to_path_buf()]
}

/// The command, built now in the tests' own profile. Inside it is [`OTPCTL`].
pub fn otpctl() -> &'static Path {
    static OTPCTL: OnceLock<PathBuf> = OnceLock::new();
    OTPCTL.get_or_init(|| build("otpctl", "otpctl", is_release()))
}

/// otpd, built now in the tests' own profile. Inside it is [`OTPD`].
pub fn otpd() -> &'static Path {
    static OTPD: OnceLock<PathBuf> = OnceLock::new();
    OTPD.get_or_init(|| build("otpd", "otpd", is_release()))
}

/// otpd as it ships.
pub fn release_otpd() -> PathBuf {
    build("otpd", "otpd", true)
}

fn build_module(release: bool) -> PathBuf {
    build("pam_otp", "libpam_otp.so", release)
}

fn build(package: &str, file: &str, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "dev" };
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--locked",
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

/// Whether we may do what root of the machine may, such as mounting a file system from a file.
pub fn is_real_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_root = map.split_whitespace().eq(["0", "0", "4294967295"]);
    let is_ci = env::var_os("CI").is_some();
    assert!(
        is_root || !is_ci,
        "CI leaves nothing out, so it runs as root"
    );
    is_root
}
