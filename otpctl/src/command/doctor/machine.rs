//! The machine around us: the module's file, the clock, room on the file system.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::statfs::statfs;
use nix::sys::statvfs::{FsFlags, statvfs};
use otp::policy::OnReadOnly;

use crate::pam_stack::{self, Line, MODULE, Module};
use crate::report::health::Check;

/// Less room than this and the next enrolment may not find any, in bytes.
const LITTLE: u64 = 10 * 1024 * 1024;
/// Fewer free inodes than this, the same.
const FEW: u64 = 100;
/// By its path: root's own program, whatever the caller's PATH says.
const TIMEDATECTL: &str = "/usr/bin/timedatectl";
/// What tells an ELF file's machine: class, byte order and, at 18, the machine's number.
const ELF_HEADER: usize = 20;

/// The module's file: there, safe, and made for this machine.
pub(in crate::command) fn module() -> Check {
    let Some(path) = module_directories()
        .into_iter()
        .map(|dir| dir.join(MODULE))
        .find(|path| path.exists())
    else {
        return Check::fault(
            "module",
            format!(
                "{MODULE} is in no security directory, so a line that names it fails every login"
            ),
            "apt install libpam-otp",
        );
    };
    let shown = path.display();
    let safe =
        fs::metadata(&path).is_ok_and(|it| it.uid() == 0 && it.mode() & 0o022 == 0 && it.is_file());
    if !safe {
        return Check::fault(
            "module",
            format!("{shown} does not belong to root alone"),
            "apt install --reinstall libpam-otp",
        );
    }
    match (elf(&path), elf(Path::new("/proc/self/exe"))) {
        (Some(found), Some(own)) if found == own => Check::good("module", shown.to_string()),
        _ => Check::fault(
            "module",
            format!("{shown} is no module for this machine"),
            "apt install --reinstall libpam-otp",
        ),
    }
}

/// The modules that lines name and PAM does not find: each is a failure wherever it stands. Ours has its own check, unless
/// the line says where it is.
pub(super) fn modules(lines: &[Line]) -> Option<Check> {
    let directories = module_directories();
    let is_there = |module: &Module| {
        // A path of its own stays what it is.
        directories
            .iter()
            .any(|dir| dir.join(&module.path).exists())
    };
    let is_checked = |module: &Module| module.name != MODULE || module.path.starts_with('/');
    let missing = pam_stack::modules(lines)
        .into_iter()
        .find(|(_, module)| !module.may_lack && is_checked(module) && !is_there(module));
    let (line, module) = missing?;
    let (file, number, path) = (&line.file, line.number, &module.path);
    Some(Check::fault(
        "modules",
        format!(
            "/etc/pam.d/{file} line {number} names {path}, which is not there: that line fails every login"
        ),
        format!(
            "take the line out, or install what brings {path}; for ours the name alone will do: {MODULE}"
        ),
    ))
}

/// Where PAM looks: a directory for the machine's triplet, or the plain one.
fn module_directories() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in ["/usr/lib", "/lib"] {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path().join("security")));
        found.push(Path::new(root).join("security"));
    }
    found.retain(|path| path.is_dir());
    found.sort_unstable();
    found
}

/// Class, byte order and machine of an ELF file.
fn elf(path: &Path) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut header = [0; ELF_HEADER];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    let is_elf = header.starts_with(b"\x7fELF");
    let part = |range| header.get(range).map(<[u8]>::to_vec);
    is_elf.then(|| part(4..6).zip(part(18..20)))?
}

/// Whether the clock is kept right. Not to know is no fault.
pub(super) fn clock() -> Check {
    match synchronised() {
        Some(true) => Check::good("clock", "synchronised"),
        Some(false) => Check::fault(
            "clock",
            "not synchronised, and codes are good for half a minute",
            "timedatectl set-ntp true, or install chrony",
        ),
        None => Check::known(
            "clock",
            "nothing here says whether it is synchronised",
            "compare 'date' with a clock you trust: codes are good for half a minute",
        ),
    }
}

fn synchronised() -> Option<bool> {
    let asked = Command::new(TIMEDATECTL)
        .args(["show", "--property=NTPSynchronized", "--value"])
        .output();
    let said = asked.ok().filter(|output| output.status.success())?;
    match String::from_utf8_lossy(&said.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Whether two directories are on one file system.
pub(super) fn share_room(one: &Path, other: &Path) -> bool {
    let device = |path| fs::metadata(path).ok().map(|it| it.dev());
    device(one) == device(other)
}

/// Whether records beneath a directory can be overwritten, and whether there is room for new ones.
pub(super) fn room(directory: &Path, mode: OnReadOnly) -> Option<Check> {
    let shown = directory.display();
    let found = statvfs(directory).ok()?;
    let bytes = found
        .blocks_available()
        .saturating_mul(found.fragment_size());
    let few = found.files() > 0 && found.files_available() < FEW;
    let little = bytes < LITTLE || few;
    let stopped = match mode {
        OnReadOnly::Deny => "every code is refused",
        OnReadOnly::Totp => "app codes alone are accepted",
    };
    Some(if found.flags().contains(FsFlags::ST_RDONLY) {
        Check::fault(
            "room",
            format!("the file system of {shown} is read-only: {stopped}"),
            "find out why (dmesg), then mount -o remount,rw",
        )
    } else if little && copies_on_write(directory) {
        Check::fault(
            "room",
            format!(
                "the file system of {shown} is nearly full and copies on write: once it is full, {stopped}"
            ),
            "make room on it, or keep the store on one that overwrites in place (ext4, xfs)",
        )
    } else if little {
        Check::fault(
            "room",
            format!(
                "the file system of {shown} is nearly full: logins go on, enrolling and issuing fail"
            ),
            "make room on it",
        )
    } else {
        let mib = bytes.checked_div(1024 * 1024).unwrap_or(0);
        Check::good("room", format!("{mib} MiB free beneath {shown}"))
    })
}

/// Whether overwriting takes room there: btrfs, ZFS, bcachefs, NILFS, F2FS.
#[allow(
    clippy::useless_conversion,
    reason = "the number is 32 bits wide on other machines"
)]
fn copies_on_write(directory: &Path) -> bool {
    const MAGIC: [i64; 5] = [0x9123_683e, 0x2fc1_2fc1, 0xca45_1a4e, 0x3434, 0xf2f5_2010];
    statfs(directory).is_ok_and(|found| {
        let magic = i64::from(found.filesystem_type().0) & 0xffff_ffff;
        MAGIC.contains(&magic)
    })
}
