//! A machine for one test: a process of its own with a root directory of its own, so that the command finds its files
//! at their real places and no two tests meet. Needs no root: without it the test runs in a user namespace.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::mount::{MsFlags, mount};
use nix::unistd::{chdir, chroot, geteuid};

/// Says that we are inside already.
const INSIDE: &str = "OTPCTL_TEST_INSIDE";
const NOTHING: Option<&str> = None;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\ncarol@corp.example:x:1002:1002::/home/carol:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\n";

/// Runs a test on a machine of its own.
pub fn on_a_machine(test: impl FnOnce(&Machine)) {
    if std::env::var_os(INSIDE).is_some() {
        enter();
        return test(&Machine);
    }
    let name = std::thread::current()
        .name()
        .expect("a test has a name")
        .to_owned();
    let flags = if geteuid().is_root() { "-m" } else { "-Urm" };
    let done = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) is there");
    let said = String::from_utf8_lossy(&done.stderr);
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{printed}{said}");
    assert!(
        printed.contains("1 passed"),
        "{name} did not run: {printed}{said}"
    );
}

/// Makes a root directory of tmpfs and moves into it.
fn enter() {
    let root = Path::new("/tmp");
    let target = std::env::current_exe().unwrap();
    let target = target.ancestors().nth(3).unwrap().to_owned();
    // What lies beneath /tmp itself is kept in reach while the tmpfs covers it.
    let handle = fs::File::open(&target).unwrap();
    mount(
        Some("tmpfs"),
        root,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )
    .unwrap();
    for name in ["usr", "proc", "bin", "sbin", "lib", "lib64"] {
        bind(&Path::new("/").join(name), &root.join(name));
    }
    for name in [
        "dev",
        "etc/pam.d",
        "etc/security",
        "etc/ssh",
        "run",
        "tmp",
        "var/lib",
        "var/spool",
        "build",
    ] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    for name in ["null", "zero", "urandom", "full"] {
        bind(&Path::new("/dev").join(name), &root.join("dev").join(name));
    }
    // Terminals of its own.
    let pts = root.join("dev/pts");
    fs::create_dir(&pts).unwrap();
    let options = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(
        Some("devpts"),
        &pts,
        Some("devpts"),
        MsFlags::empty(),
        options,
    )
    .unwrap();
    symlink("pts/ptmx", root.join("dev/ptmx")).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&handle);
    bind(
        Path::new(&format!("/proc/self/fd/{fd}")),
        &root.join("build"),
    );
    fs::write(root.join("etc/passwd"), PASSWD).unwrap();
    fs::write(root.join("etc/nsswitch.conf"), "passwd: files\n").unwrap();
    fs::set_permissions(root.join("etc/security"), fs::Permissions::from_mode(0o755)).unwrap();
    chroot(root).unwrap();
    chdir("/").unwrap();
}

fn bind(from: &Path, to: &Path) {
    let Ok(kind) = from.symlink_metadata() else {
        return;
    };
    if kind.is_symlink() && !from.starts_with("/proc") {
        symlink(fs::read_link(from).unwrap(), to).unwrap();
        return;
    }
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
    } else {
        fs::write(to, "").unwrap();
    }
    mount(
        Some(from),
        to,
        NOTHING,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NOTHING,
    )
    .unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// Makes a directory one that can be read and not written.
pub fn make_read_only(path: &str) {
    let bind = MsFlags::MS_BIND;
    mount(Some(path), path, NOTHING, bind, NOTHING).unwrap();
    let read_only = bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NOTHING, path, NOTHING, read_only, NOTHING).unwrap();
}

/// The machine we are on.
pub struct Machine;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Machine {
    /// The command, ready to run.
    pub fn command(&self, args: &[&str]) -> Command {
        let exe = Path::new(env!("CARGO_BIN_EXE_otpctl"));
        let target = exe.parent().unwrap().file_name().unwrap();
        let mut command = Command::new(Path::new("/build").join(target).join("otpctl"));
        command.args(args).env("TZ", "UTC").env_remove("NO_COLOR");
        command
    }

    /// Runs it with nothing on standard input.
    pub fn otpctl(&self, args: &[&str]) -> Said {
        self.otpctl_with(args, "")
    }

    /// Runs it with this on standard input.
    pub fn otpctl_with(&self, args: &[&str], input: &str) -> Said {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read is fine.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Said::from(child.wait_with_output().unwrap())
    }

    /// Runs it and takes what it says as one JSON object.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut args = args.to_vec();
        args.push("--json");
        let said = self.otpctl(&args);
        said.json()
    }

    /// Listens to the system's log.
    pub fn log(&self) -> UnixDatagram {
        let socket = UnixDatagram::bind("/dev/log").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// Checks the exit code, with everything that was said when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.exit, code, "{self:#?}");
        self
    }

    /// The one JSON object on standard output.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.out.lines().count(), 1, "{self:#?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The lines of standard error that are not about the log, which most tests do not have.
    pub fn complaints(&self) -> Vec<&str> {
        let lines = self.err.lines();
        lines
            .filter(|line| !line.contains("could not be logged"))
            .collect()
    }
}

/// What was logged so far.
pub fn logged(socket: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 4096];
    std::iter::from_fn(|| {
        let read = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..read]).into_owned())
    })
    .collect()
}
