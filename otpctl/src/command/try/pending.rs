//! A change that is being tried, as it stands in /var/lib/pam_otp/try: enough to take it back after a kill, a lost
//! connection or a boot. What is there is root's alone, and names no path: only the two files that `try` changes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::time::{ClockId, clock_gettime};
use otp::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::disk::{self, Rights};
use crate::failure::{Failure, Kind};

const DIRECTORY: &str = "/var/lib/pam_otp/try";
const PENDING: &str = "pending.json";
const LAST: &str = "last.json";
/// The kernel's name for this run of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Written into the file, so that a later version knows what it reads.
const VERSION: u8 = 1;

/// A change that is being tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    version: u8,
    pub(super) service: String,
    /// The policy that the line names, where it is not the usual one.
    pub(super) config: Option<PathBuf>,
    /// An acceptance counts if it is later than this, in seconds since the epoch.
    pub(super) since: u64,
    /// When it is taken back, by the clock: for showing.
    pub(super) until: u64,
    /// The same in milliseconds since the boot, which no setting of the clock moves.
    end: u64,
    boot: String,
    pub(super) changes: Vec<Change>,
}

/// A file that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) what: What,
    /// Its text before; `None` if there was no such file.
    pub(super) before: Option<String>,
    pub(super) after: String,
    pub(super) rights: Rights,
}

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// The service's, in /etc/pam.d.
    Pam,
    /// sshd's drop-in.
    DropIn,
}

impl What {
    pub(super) fn path(self, service: &str) -> PathBuf {
        match self {
            Self::Pam => Path::new("/etc/pam.d").join(service),
            Self::DropIn => Path::new(crate::sshd::DROP_INS).join("otp.conf"),
        }
    }
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) service: String,
    pub(crate) kept: bool,
    /// In seconds since the epoch.
    pub(crate) at: u64,
    /// Files that were edited meanwhile, and so left as they are.
    pub(crate) left: Vec<String>,
    /// When the trial began, so that who waits for its end knows it.
    pub(crate) since: u64,
}

impl Pending {
    /// A trial that ends after `time`. `since`: nothing accepted at or before it counts.
    pub(super) fn new(
        service: &str,
        config: Option<&Path>,
        (since, now): (UnixTime, UnixTime),
        time: Duration,
        changes: Vec<Change>,
    ) -> Result<Self, Failure> {
        let span = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            version: VERSION,
            service: service.to_owned(),
            config: config.map(Path::to_path_buf),
            since: since.as_secs(),
            until: now.plus(time).as_secs(),
            end: since_boot()?.saturating_add(span),
            boot: boot_id()?,
            changes,
        })
    }

    /// How long it still goes on: nothing once its time is over or the machine was started again.
    pub(super) fn left(&self) -> Result<Duration, Failure> {
        if boot_id()? != self.boot {
            return Ok(Duration::ZERO);
        }
        Ok(Duration::from_millis(
            self.end.saturating_sub(since_boot()?),
        ))
    }

    /// The one that is being tried, if any.
    pub(super) fn load() -> Result<Option<Self>, Failure> {
        let Some(found): Option<Self> = load(PENDING)? else {
            return Ok(None);
        };
        if found.version != VERSION || otp::service::Service::parse(&found.service).is_none() {
            return Err(damaged(&path(PENDING)));
        }
        Ok(Some(found))
    }

    pub(super) fn save(&self) -> Result<(), Failure> {
        save(PENDING, self)
    }
}

impl Ended {
    /// Ends the trial: from here on nobody takes it back.
    pub(super) fn save(&self) -> Result<(), Failure> {
        save(LAST, self)?;
        let path = path(PENDING);
        disk::put(&path, None, Rights::PRIVATE)
            .map_err(|error| Failure::io("delete", &path, &error))
    }

    /// How the last trial ended, if there was one.
    pub(super) fn load() -> Result<Option<Self>, Failure> {
        load(LAST)
    }
}

/// A file that is locked as long as this lives. Whoever is killed lets go.
pub(super) struct Held {
    _file: Flock<File>,
}

/// The right to begin or end a trial; `None` while somebody else has it.
pub(super) fn hold() -> Result<Option<Held>, Failure> {
    lock("lock")
}

/// The duty to watch over a trial; `None` while somebody else has it.
pub(super) fn hold_watch() -> Result<Option<Held>, Failure> {
    lock("watch")
}

fn lock(name: &str) -> Result<Option<Held>, Failure> {
    make_directory()?;
    let path = path(name);
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let file = opened.map_err(|error| Failure::io("open", &path, &error))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => Ok(Some(Held { _file: file })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(Failure::io("lock", &path, &io::Error::from(errno))),
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

fn make_directory() -> Result<(), Failure> {
    let path = Path::new(DIRECTORY);
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::io("make the directory", path, &error))?;
    audit()
}

/// What is taken back is written to /etc as it stands here, so nobody else may have written it.
fn audit() -> Result<(), Failure> {
    for path in [
        Path::new(DIRECTORY),
        Path::new("/var/lib/pam_otp"),
        Path::new("/var/lib"),
    ] {
        let found = path
            .symlink_metadata()
            .map_err(|error| Failure::io("look at", path, &error))?;
        if !found.is_dir() || found.uid() != 0 || found.mode() & 0o022 != 0 {
            let shown = path.display();
            return Err(Failure::new(
                Kind::Insecure,
                format!("{shown} is no directory of root's alone: mend it, then try again"),
            ));
        }
    }
    Ok(())
}

fn load<T: for<'a> Deserialize<'a>>(name: &str) -> Result<Option<T>, Failure> {
    match Path::new(DIRECTORY).symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        _ => audit()?,
    }
    let path = path(name);
    let found = disk::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
    let Some((text, _)) = found else {
        return Ok(None);
    };
    let parsed = serde_json::from_str(&text).map_err(|_| damaged(&path))?;
    Ok(Some(parsed))
}

fn save(name: &str, what: &impl Serialize) -> Result<(), Failure> {
    make_directory()?;
    let path = path(name);
    let text = serde_json::to_string_pretty(what).map_err(|_| damaged(&path))?;
    disk::put(&path, Some(&text), Rights::PRIVATE)
        .map_err(|error| Failure::io("write", &path, &error))
}

fn damaged(path: &Path) -> Failure {
    let shown = path.display();
    Failure::new(
        Kind::Damaged,
        format!(
            "{shown} is damaged, or of another version: it holds the files as they were before; put them back by hand, then delete it"
        ),
    )
}

fn boot_id() -> Result<String, Failure> {
    let path = Path::new(BOOT_ID);
    let text = std::fs::read_to_string(path);
    text.map(|id| id.trim().to_owned())
        .map_err(|error| Failure::io("read", path, &error))
}

/// Milliseconds since the boot, sleep included.
fn since_boot() -> Result<u64, Failure> {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_err(|errno| Failure::io("read", Path::new("the clock"), &io::Error::from(errno)))?;
    let millis = Duration::from(time).as_millis();
    Ok(u64::try_from(millis).unwrap_or(u64::MAX))
}
