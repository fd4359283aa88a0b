//! A program that hands a code over: run without a shell, with nothing of ours, as an account that may do nothing, for a
//! limited time, and not outlived by what it started.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, User};
use otp::store::queue::Reason;

use super::one::Trouble;

/// All that a program finds in its environment.
const ENVIRONMENT: [(&str, &str); 2] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LANG", "C.UTF-8"),
];
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// So many processes the account may have.
const MOST_PROCESSES: u64 = 512;
/// How long processes are killed that make more of themselves.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is to be run.
pub(super) struct Job<'a> {
    pub(super) path: &'a Path,
    pub(super) args: &'a [&'a str],
    pub(super) input: &'a [u8],
    /// The account it runs as.
    pub(super) user: &'a str,
    pub(super) limit: Duration,
    pub(super) leavings: Leavings,
}

/// What becomes of processes that a program leaves behind when it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leavings {
    /// They are killed, wherever they hide.
    Killed,
    /// They go on: mail systems deliver in the background.
    Left,
}

/// Closes what whoever started us left open: it would be the program's, too. Before this process opens anything.
pub(super) fn close_what_we_inherited() {
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let open: Vec<i32> = listed
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        let _ = nix::unistd::close(number);
    }
}

/// Runs it; what else there is to say of it. This process runs one such job and no other child.
pub(super) fn run(job: &Job<'_>) -> Result<String, Trouble> {
    let user = account(job.user)?;
    examine(job.path)?;
    // Its memory holds a code. All of this is inherited, and this process starts nothing else. One byte is too little for any
    // core, and unlike none at all the kernel heeds it where cores go to a program, too.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
    if job.leavings == Leavings::Killed {
        // Where the kernel does not have the first, what is left to kill is the group.
        let _ = prctl::set_child_subreaper(true);
        let _ = prctl::set_no_new_privs();
        let _ = setrlimit(Resource::RLIMIT_NPROC, MOST_PROCESSES, MOST_PROCESSES);
    }
    let mut process = Command::new(job.path)
        .args(job.args)
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Without supplementary groups: std drops them with the uid.
        .gid(user.gid.as_raw())
        .uid(user.uid.as_raw())
        .process_group(0)
        .spawn()
        .map_err(|error| Trouble::new(Reason::Missing, os_error(&error)))?;
    if let Some(mut input) = process.stdin.take() {
        // It fits a pipe, so this does not wait. Whether it was read, its status says.
        let _ = input.write_all(job.input);
    }
    let ended = wait(&mut process, job.limit)?;
    let left = match job.leavings {
        Leavings::Killed => kill_the_rest(),
        Leavings::Left => 0,
    };
    let rest = if left > 0 {
        format!("killed={left}")
    } else {
        String::new()
    };
    judge(ended, rest)
}

fn judge(ended: Option<ExitStatus>, rest: String) -> Result<String, Trouble> {
    let also = |what: String| {
        let gap = if rest.is_empty() { "" } else { " " };
        format!("{what}{gap}{rest}")
    };
    match ended {
        None => Err(Trouble::new(Reason::Timeout, rest)),
        Some(status) if status.success() => Ok(rest),
        Some(status) => {
            let code = status.code().map(|code| format!("status={code}"));
            let signal = status.signal().map(|signal| format!("signal={signal}"));
            let what = code.or(signal).unwrap_or_default();
            Err(Trouble::new(Reason::Status, also(what)))
        }
    }
}

fn account(name: &str) -> Result<User, Trouble> {
    let user = User::from_name(name).ok().flatten();
    user.filter(|user| !user.uid.is_root())
        .ok_or_else(|| Trouble::new(Reason::Setup, "at=delivery.user"))
}

/// Whoever can change the program reads every code.
fn examine(path: &Path) -> Result<(), Trouble> {
    let about =
        fs::metadata(path).map_err(|error| Trouble::new(Reason::Missing, os_error(&error)))?;
    if about.uid() == 0 && about.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Trouble::new(Reason::Setup, "at=program-writable"))
}

/// Waits until it has ended, and kills it and its group when its time is over: then there is no status.
fn wait(process: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, Trouble> {
    let fail = |error: std::io::Error| Trouble::new(Reason::Interrupted, os_error(&error));
    let started = Instant::now();
    let group = Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX));
    let mut in_time = true;
    // Its number is nobody else's until we have taken leave of it.
    while !has_ended(group) {
        if started.elapsed() >= limit {
            in_time = false;
            break;
        }
        sleep(LOOK);
    }
    if !in_time {
        let _ = killpg(group, Signal::SIGKILL);
    }
    let status = process.wait().map_err(fail)?;
    Ok(Some(status).filter(|_| in_time))
}

fn has_ended(process: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(
        waitid(Id::Pid(process), flags),
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
    )
}

/// Kills everything that descends from here; how many there were. Whose parent ends becomes our child, so none is lost.
fn kill_the_rest() -> usize {
    let started = Instant::now();
    let mut killed = 0_usize;
    while started.elapsed() < PATIENCE {
        for process in stopped_descendants() {
            let _ = kill(process, Signal::SIGKILL);
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                // None is left.
                Err(Errno::ECHILD) => return killed,
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(WaitStatus::Signaled(..)) => killed = killed.saturating_add(1),
                // It had ended by itself.
                Ok(_) => {}
            }
        }
    }
    killed
}

/// Our children, and theirs, as the kernel tells us. Each is stopped before it is asked for its own, so that it makes no more.
fn stopped_descendants() -> Vec<Pid> {
    let mut found = children(Pid::this());
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        let _ = kill(process, Signal::SIGSTOP);
        found.extend(children(process));
        next = next.saturating_add(1);
    }
    found
}

/// The children of every thread of a process.
fn children(of: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{of}/task"))
        .into_iter()
        .flatten();
    let listed =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let mut all = Vec::new();
    for numbers in listed {
        let numbers = numbers.split_whitespace();
        all.extend(numbers.filter_map(|number| number.parse().ok().map(Pid::from_raw)));
    }
    all
}

fn os_error(error: &std::io::Error) -> String {
    let number = error.raw_os_error().unwrap_or_default();
    format!("errno={number}")
}
