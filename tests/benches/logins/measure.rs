//! The stopwatch.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests::pam::Login;

use crate::LOGINS;
use crate::peers::{MODULES, code, service};
use crate::world::{World, user};

/// What the logins of one module took, in ascending order.
#[derive(Default)]
pub struct Latency {
    /// From pam_start to pam_end.
    pub wall: Vec<Duration>,
    /// Of it, on a processor.
    pub cpu: Vec<Duration>,
    /// Pages the kernel had to put in their place. Other work on the machine does not move them.
    pub faults: Vec<i64>,
}

/// What a login took.
struct Took {
    accepted: bool,
    wall: Duration,
    cpu: Duration,
    faults: i64,
}

/// What came of logins by several processes.
pub struct AtOnce {
    pub accepted: u32,
    pub took: Duration,
}

fn login(service: &str, index: u32) -> Took {
    let code = code(index);
    let (started, before) = (Instant::now(), usage());
    let report = Login::of(user(index))
        .at(service)
        .typing(code.as_str())
        .authenticate();
    let (wall, after) = (started.elapsed(), usage());
    Took {
        accepted: report.answer == "PAM_SUCCESS",
        wall,
        cpu: cpu(&after) - cpu(&before),
        faults: after.ru_minflt - before.ru_minflt,
    }
}

/// One at a time; the modules take turns, and change who is first.
pub fn one_by_one(trial: &str, modules: &[&str]) -> Vec<Latency> {
    let services: Vec<_> = modules
        .iter()
        .map(|module| service(trial, module))
        .collect();
    turns(&services)
}

/// The same for one module in several trials.
pub fn in_turns(trials: &[String], module: &str) -> Vec<Latency> {
    let services: Vec<_> = trials.iter().map(|trial| service(trial, module)).collect();
    turns(&services)
}

fn turns(services: &[String]) -> Vec<Latency> {
    let mut latencies: Vec<Latency> = services.iter().map(|_| Latency::default()).collect();
    for index in 0..LOGINS {
        for turn in 0..services.len() {
            let which = (turn + index as usize) % services.len();
            let took = login(&services[which], index);
            assert!(took.accepted, "{} refused a valid code", services[which]);
            latencies[which].wall.push(took.wall);
            latencies[which].cpu.push(took.cpu);
            latencies[which].faults.push(took.faults);
        }
    }
    for latency in &mut latencies {
        latency.wall.sort_unstable();
        latency.cpu.sort_unstable();
        latency.faults.sort_unstable();
    }
    latencies
}

/// Distinct users, valid codes, dealt out to processes that run at the same time.
pub fn all_at_once(trial: &str, module: &str, processes: u32) -> AtOnce {
    let service = service(trial, module);
    let started = Instant::now();
    let children: Vec<_> = (0..processes)
        .map(|process| {
            child(|| {
                let share = (0..LOGINS).filter(|index| index % processes == process);
                let accepted = share
                    .filter(|index| login(&service, *index).accepted)
                    .count();
                i32::try_from(accepted).unwrap()
            })
        })
        .collect();
    let accepted = children.into_iter().map(reap).sum();
    AtOnce {
        accepted,
        took: started.elapsed(),
    }
}

/// By how many KiB a login makes its host grow at most.
pub fn memory(trial: &str, module: &str) -> u32 {
    let service = service(trial, module);
    let grown = || {
        reap(child(|| {
            let before = peak();
            login(&service, LOGINS - 1);
            i32::try_from((peak() - before) / 16).unwrap()
        }))
    };
    let mut all: Vec<u32> = (0..5).map(|_| grown() * 16).collect();
    all.sort_unstable();
    all[2]
}

/// dlopen and dlclose, each module in its turn: the files of [`MODULES`].
pub fn loads(world: &World) -> Vec<Vec<Duration>> {
    let files = files(world);
    let mut loads = vec![Vec::new(); files.len()];
    for _ in 0..LOGINS {
        for (took, file) in loads.iter_mut().zip(&files) {
            let path = CString::new(file.as_os_str().as_bytes()).unwrap();
            let started = Instant::now();
            // SAFETY: a string, and a handle that is not used again.
            unsafe {
                let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
                assert!(!handle.is_null(), "{file:?}");
                libc::dlclose(handle);
            }
            took.push(started.elapsed());
        }
    }
    for took in &mut loads {
        took.sort_unstable();
    }
    loads
}

/// Where the modules' files are.
pub fn files(world: &World) -> Vec<PathBuf> {
    let file = |module: &&str| match *module {
        "pam_otp" => world.module.clone(),
        floor if floor.starts_with("floor") => world.floor.clone(),
        debian => security_dir().join(format!("{debian}.so")),
    };
    MODULES.iter().map(file).collect()
}

fn security_dir() -> PathBuf {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    ["/usr/lib", "/lib"]
        .map(|lib| PathBuf::from(lib).join(&triplet).join("security"))
        .into_iter()
        .find(|dir| dir.join("pam_oath.so").exists())
        .expect("libpam-oath is there")
}

fn usage() -> libc::rusage {
    // SAFETY: all zeroes are a value, and it is filled in.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    }
}

fn cpu(usage: &libc::rusage) -> Duration {
    let span = |time: libc::timeval| {
        let micros = time.tv_sec * 1_000_000 + time.tv_usec;
        Duration::from_micros(u64::try_from(micros).unwrap())
    };
    span(usage.ru_utime) + span(usage.ru_stime)
}

/// The most memory this process had so far, in KiB.
fn peak() -> i64 {
    usage().ru_maxrss
}

/// A process that does this, and exits with what it returns (at most 255).
fn child(work: impl FnOnce() -> i32) -> libc::pid_t {
    // SAFETY: this process has one thread, so that its copy may do anything.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        std::process::exit(work());
    }
    pid
}

fn reap(pid: libc::pid_t) -> u32 {
    let mut status = 0;
    // SAFETY: the child is ours, and the status has its place.
    let reaped = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert!(reaped == pid && libc::WIFEXITED(status), "a process died");
    u32::try_from(libc::WEXITSTATUS(status)).unwrap()
}
