//! Files of /etc, taken and put back whole: a login that reads one meets the old or the new.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

/// No file that is tried is larger, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Who owns a file, and who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rights {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Rights {
    /// Root's, for everybody to read.
    pub(super) const PUBLIC: Self = Self {
        uid: 0,
        gid: 0,
        mode: 0o644,
    };
    /// Root's alone.
    pub(super) const PRIVATE: Self = Self {
        uid: 0,
        gid: 0,
        mode: 0o600,
    };
}

/// A file's text and rights; `None` if there is none. A link, and anything else that is no file of root's, is an error.
pub(super) fn read(path: &Path) -> io::Result<Option<(String, Rights)>> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let refused = |why: &str| Err(io::Error::other(why.to_owned()));
    if !found.is_file() {
        return refused("it is a link, or no file");
    }
    if found.uid() != 0 || found.mode() & 0o022 != 0 {
        return refused("it does not belong to root alone");
    }
    if found.len() > MAX_FILE {
        return refused("it is too large");
    }
    let rights = Rights {
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o7777,
    };
    Ok(Some((fs::read_to_string(path)?, rights)))
}

/// Puts a text in the place of what is there, or takes the file away; lasting once this returns.
pub(super) fn put(path: &Path, text: Option<&str>, rights: Rights) -> io::Result<()> {
    match text {
        Some(text) => {
            let beside = beside(path);
            write_new(&beside, text, rights)?;
            fs::rename(&beside, path)?;
        }
        None => match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        },
    }
    sync_directory(path)
}

/// Clears away what a killed [`put`] left beside the file.
pub(super) fn clear(path: &Path) {
    // It is nobody's but ours, and means nothing to PAM or sshd.
    let _ = fs::remove_file(beside(path));
}

fn write_new(path: &Path, text: &str, rights: Rights) -> io::Result<()> {
    // What is there was left by somebody who was killed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    file.write_all(text.as_bytes())?;
    fchown(&file, Some(rights.uid), Some(rights.gid))?;
    file.set_permissions(Permissions::from_mode(rights.mode))?;
    file.sync_all()
}

/// Where the new text is written first. No name that PAM or sshd would read.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.otpctl-try"))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
