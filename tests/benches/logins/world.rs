//! The machine of the benchmark: everybody in a passwd database with constant-time look-up (libnss-db), a syslog that
//! somebody reads, `/etc/pam.d` our own. What the modules keep is on the disk that `target/` is on.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::sandbox::release_module;

/// Everybody has this uid, so that one record is as good as another.
pub const UID: u32 = 20_000;

pub struct World {
    /// Where the modules keep what they keep.
    pub kept: PathBuf,
    own: PathBuf,
    /// Our module.
    pub module: PathBuf,
    /// The physical limit.
    pub floor: PathBuf,
}

impl World {
    /// Accounts `user0` to `user<users>` and those who log in.
    pub fn new(disk: &Path, out: &Path, users: u32) -> Self {
        let floor = floor(out);
        let module = fs::canonicalize(release_module()).unwrap();
        // As deep as /var/lib/pam_otp, beneath it a directory a trial.
        let own = disk.join(std::process::id().to_string());
        directory(&own, 0o755);
        let kept = PathBuf::from("/bench");
        directory(&kept, 0o755);
        bind(&own, &kept);
        accounts(users);
        devices();
        fs::create_dir("/run/pam.d").unwrap();
        bind(Path::new("/run/pam.d"), Path::new("/etc/pam.d"));
        Self {
            kept,
            own,
            module,
            floor,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A million files; what a run that was broken off leaves is under target/.
        let _ = fs::remove_dir_all(&self.own);
    }
}

/// The name of somebody who logs in.
pub fn user(index: u32) -> String {
    format!("user{index:07}")
}

/// The name of somebody who is only there.
pub fn other(index: u32) -> String {
    format!("crowd{index:07}")
}

pub fn directory(path: &Path, mode: u32) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub fn bind(from: &Path, onto: &Path) {
    let mounted = Command::new("mount")
        .arg("--rbind")
        .args([from, onto])
        .status();
    assert!(mounted.unwrap().success(), "mount {from:?} on {onto:?}");
}

fn floor(out: &Path) -> PathBuf {
    let built = out.join("pam_floor.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/logins/floor.c");
    let compiled = Command::new("cc")
        .args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .args([&built, &source])
        .status();
    assert!(compiled.expect("cc is there").success(), "floor.c");
    fs::canonicalize(built).unwrap()
}

fn accounts(users: u32) {
    let makedb = Command::new("makedb")
        .args(["--quiet", "-o", "/run/passwd.db", "-"])
        .stdin(Stdio::piped())
        .spawn();
    let mut makedb = makedb.expect("makedb is there");
    let mut lines = std::io::BufWriter::new(makedb.stdin.take().unwrap());
    let names = (0..super::LOGINS).map(user).chain((0..users).map(other));
    for name in names {
        writeln!(lines, ".{name} {name}:x:{UID}:{UID}::/nowhere:/bin/sh").unwrap();
    }
    drop(lines);
    assert!(makedb.wait().unwrap().success(), "makedb");
    fs::create_dir("/run/misc").unwrap();
    fs::rename("/run/passwd.db", "/run/misc/passwd.db").unwrap();
    bind(Path::new("/run/misc"), Path::new("/var/lib/misc"));
    let mut passwd = String::new();
    writeln!(passwd, "root:x:0:0::/:/bin/sh").unwrap();
    for (name, text) in [
        ("passwd", passwd.as_str()),
        ("nsswitch.conf", "passwd: files db\n"),
    ] {
        let place = Path::new("/run").join(name);
        fs::write(&place, text).unwrap();
        bind(&place, &Path::new("/etc").join(name));
    }
}

/// A `/dev` with a syslog that somebody reads, as on any machine. Without it libc writes to the console, which is slow.
fn devices() {
    fs::create_dir("/run/dev").unwrap();
    for node in ["null", "zero", "random", "urandom", "tty"] {
        let place = Path::new("/run/dev").join(node);
        fs::write(&place, "").unwrap();
        bind(&Path::new("/dev").join(node), &place);
    }
    let socket = UnixDatagram::bind("/run/dev/log").unwrap();
    // SAFETY: this process has one thread, so that its copy may do anything.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        // SAFETY: takes numbers. The reader ends with the benchmark.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let mut line = [0; 2048];
        while socket.recv(&mut line).is_ok() {}
        std::process::exit(0);
    }
    bind(Path::new("/run/dev"), Path::new("/dev"));
}
