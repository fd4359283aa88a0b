//! What a login costs, side by side: pam_otp, pam_google_authenticator, pam_oath and pam_permit through one libpam, in
//! one run, taking turns. Quote the ratios: the machine's own speed is in all of them. `make bench` runs it.
//!
//! Runs as root of a small world of its own (tests/as-root), whose passwd file and `/etc/pam.d` are ours; what the modules
//! keep is on the disk that `target/` is on.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use otp::enrollment::{Authenticator, Generation, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::policy::Policy;
use otp::secret::Secret;
use otp::store::{FileStore, NewEnrollment, Store};
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::{Account, UserName};
use tests::pam::{Login, stack};
use tests::sandbox::release_module;
use zeroize::Zeroizing;

/// Logins of each module, one at a time.
const ONE_BY_ONE: u32 = 300;
/// Logins of each module, by so many processes at once.
const AT_ONCE: u32 = 300;
const PROCESSES: u32 = 8;
const FIRST_UID: u32 = 20_000;

const MODULES: [&str; 4] = [
    "pam_otp",
    "pam_google_authenticator",
    "pam_oath",
    "pam_permit",
];

fn main() {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(out.join("disk")).unwrap();
    let module = release_module();
    let disk = fs::canonicalize(out.join("disk")).unwrap();
    world(&disk, &module);
    let latencies = one_by_one();
    let at_once: Vec<_> = MODULES.iter().map(|module| all_at_once(module)).collect();
    let report = report(&latencies, &at_once, &module);
    fs::write(out.join("logins.md"), &report).unwrap();
    println!("{report}");
}

fn user(index: u32) -> String {
    format!("user{index:04}")
}

/// A secret for each user, the same for every module.
fn secret(index: u32) -> Secret {
    let bytes = index.to_be_bytes().repeat(5);
    Secret::from_bytes(Zeroizing::new(bytes)).unwrap()
}

fn code(index: u32) -> String {
    let step = TimeStep::at(now(), Period::THIRTY);
    let code = totp::code(&secret(index), Algorithm::Sha1, CodeLength::SIX, step);
    code.expose().to_owned()
}

#[allow(clippy::disallowed_methods, reason = "a benchmark's edge")]
fn now() -> UnixTime {
    UnixTime::from(SystemTime::now())
}

/// Everybody in passwd, everybody's secret with every module, and a service for each module.
fn world(disk: &Path, module: &Path) {
    let house = Path::new("/run/bench");
    fs::create_dir(house).unwrap();
    bind(disk, house);
    let kept = house.join(std::process::id().to_string());
    fs::create_dir(&kept).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o755)).unwrap();
    let users = ONE_BY_ONE + AT_ONCE;
    let passwd: String = (0..users).fold("root:x:0:0::/:/bin/sh\n".to_owned(), |mut all, index| {
        let uid = FIRST_UID + index;
        writeln!(all, "{}:x:{uid}:{uid}::/nowhere:/bin/sh", user(index)).unwrap();
        all
    });
    fs::write("/run/passwd", passwd).unwrap();
    bind(Path::new("/run/passwd"), Path::new("/etc/passwd"));
    fs::create_dir("/run/pam.d").unwrap();
    bind(Path::new("/run/pam.d"), Path::new("/etc/pam.d"));
    enrol_with_us(&kept, module, users);
    enrol_with_google(&kept, users);
    enrol_with_oath(&kept, users);
    stack("pam_permit", &["auth required pam_permit.so"]);
}

fn enrol_with_us(kept: &Path, module: &Path, users: u32) {
    let policy = Policy {
        state_dir: kept.join("state"),
        spool_dir: kept.join("spool"),
        ..Policy::default()
    };
    let store = FileStore::open_or_create(&policy).unwrap();
    for index in 0..users {
        let account = Account {
            name: UserName::parse(&user(index)).unwrap(),
            uid: Some(FIRST_UID + index),
        };
        let authenticator = Authenticator {
            name: "phone".to_owned(),
            generation: Generation::from_bits(index.into()),
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: secret(index),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "bench".to_owned(),
            label: user(index),
            enrolled_at: now(),
        };
        let new = NewEnrollment {
            authenticator,
            recovery: None,
            confirmed: None,
            replace: false,
        };
        let _ = store.enroll(&account, new).unwrap();
    }
    let config = kept.join("otp.toml");
    let text = format!(
        "state_dir = {:?}\nspool_dir = {:?}\n",
        policy.state_dir, policy.spool_dir
    );
    fs::write(&config, text).unwrap();
    let line = format!(
        "auth required {} config={}",
        module.display(),
        config.display()
    );
    stack("pam_otp", &[&line]);
}

fn enrol_with_google(kept: &Path, users: u32) {
    let dir = kept.join("google");
    fs::create_dir(&dir).unwrap();
    for index in 0..users {
        let path = dir.join(user(index));
        let secret = secret(index).to_base32();
        let options = "\" TOTP_AUTH\n\" DISALLOW_REUSE\n\" WINDOW_SIZE 3\n";
        fs::write(&path, format!("{}\n{options}", *secret)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    }
    let line = format!(
        "auth required pam_google_authenticator.so user=root secret={}/${{USER}}",
        dir.display()
    );
    stack("pam_google_authenticator", &[&line]);
}

fn enrol_with_oath(kept: &Path, users: u32) {
    let path = kept.join("users.oath");
    let line = |index| {
        let hex: String = secret(index)
            .expose()
            .iter()
            .fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
        format!("HOTP/T30/6 {} - {hex}\n", user(index))
    };
    fs::write(&path, (0..users).map(line).collect::<String>()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let line = format!(
        "auth required pam_oath.so usersfile={} window=1 digits=6",
        path.display()
    );
    stack("pam_oath", &[&line]);
}

fn bind(from: &Path, onto: &Path) {
    let mounted = Command::new("mount")
        .arg("--bind")
        .args([from, onto])
        .status();
    assert!(mounted.unwrap().success(), "mount --bind {from:?} {onto:?}");
}

/// pam_start, authenticate, pam_end.
fn login(module: &str, index: u32) -> (bool, Duration) {
    let code = code(index);
    let started = Instant::now();
    let report = Login::of(user(index))
        .at(module)
        .typing(code.as_str())
        .authenticate();
    (report.answer == "PAM_SUCCESS", started.elapsed())
}

/// The modules take turns, and change who is first.
fn one_by_one() -> Vec<Vec<Duration>> {
    let mut latencies = vec![Vec::new(); MODULES.len()];
    for index in 0..ONE_BY_ONE {
        for turn in 0..MODULES.len() {
            let which = (turn + index as usize) % MODULES.len();
            let (accepted, took) = login(MODULES[which], index);
            assert!(
                accepted,
                "{} refused a valid code, one at a time",
                MODULES[which]
            );
            latencies[which].push(took);
        }
    }
    for latencies in &mut latencies {
        latencies.sort_unstable();
    }
    latencies
}

struct AtOnce {
    accepted: u32,
    took: Duration,
}

/// Distinct users, valid codes, dealt out to processes that run at the same time.
fn all_at_once(module: &str) -> AtOnce {
    let started = Instant::now();
    let children: Vec<libc::pid_t> = (0..PROCESSES)
        .map(|process| fork(module, process))
        .collect();
    let accepted = children.into_iter().map(reap).sum();
    AtOnce {
        accepted,
        took: started.elapsed(),
    }
}

/// A process that logs its share of the users in, and exits with how many were accepted (at most 255).
fn fork(module: &str, process: u32) -> libc::pid_t {
    // SAFETY: this process has one thread, so that its copy may do anything.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let share = (ONE_BY_ONE..ONE_BY_ONE + AT_ONCE).filter(|index| index % PROCESSES == process);
        let accepted = share.filter(|index| login(module, *index).0).count();
        std::process::exit(i32::try_from(accepted).unwrap());
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

fn report(latencies: &[Vec<Duration>], at_once: &[AtOnce], module: &Path) -> String {
    let percentile = |sorted: &[Duration], percent: usize| {
        sorted[sorted.len() * percent / 100].as_secs_f64() * 1e3
    };
    let above = |which: usize| percentile(&latencies[which], 50) - percentile(&latencies[3], 50);
    let mut out = format!(
        "{ONE_BY_ONE} users, one login at a time, the modules taking turns; then {AT_ONCE} others by {PROCESSES} processes.\n\
         Milliseconds from pam_start to pam_end. Module: {} KB.\n\n\
         | module | p50 | p10 to p90 | p50 above pam_permit | accepted at once | per second |\n|---|---|---|---|---|---|\n",
        fs::metadata(module).unwrap().len() / 1000
    );
    for (which, name) in MODULES.iter().enumerate() {
        let AtOnce { accepted, took } = &at_once[which];
        let sorted = &latencies[which];
        writeln!(
            out,
            "| {name} | {:.2} | {:.2} to {:.2} | {:.2} | {accepted} of {AT_ONCE} | {:.0} |",
            percentile(sorted, 50),
            percentile(sorted, 10),
            percentile(sorted, 90),
            above(which),
            f64::from(AT_ONCE) / took.as_secs_f64(),
        )
        .unwrap();
    }
    let rate =
        |which: usize| f64::from(at_once[which].accepted) / at_once[which].took.as_secs_f64();
    writeln!(
        out,
        "\nCost above pam_permit: {:.2} of pam_google_authenticator's (goal 0.20), {:.2} of pam_oath's (goal 0.50). \
         Accepted a second, at once: {:.1} times pam_google_authenticator's (goal 4).",
        above(0) / above(1),
        above(0) / above(2),
        rate(0) / rate(1),
    )
    .unwrap();
    out
}
