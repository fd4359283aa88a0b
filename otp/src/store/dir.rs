//! Directories opened once, and everything relative to them. Nothing here follows a link or blocks on what it
//! opens. Owner, type, mode and link count are checked on the open descriptor, or, where nothing is opened, by name in a
//! directory that was found safe. Here is what looks; [`change`] is what changes, [`way`] how one gets there.

mod change;
mod way;

pub(super) use way::Way;

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::fsync;
use zeroize::Zeroizing;

use super::Error;

const OPEN: OFlag = OFlag::O_NOFOLLOW
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY);
const DIRECTORY: OFlag = OPEN.union(OFlag::O_DIRECTORY);

/// Who else may touch a thing.
#[derive(Clone, Copy)]
pub(crate) enum Privacy {
    /// Others may read it, only root may write it: the policy, and the directories on the way.
    RootWrites,
    /// Nobody but root may even read it.
    RootOnly,
}

impl Privacy {
    const fn forbidden(self) -> u32 {
        match self {
            Self::RootWrites => 0o022,
            Self::RootOnly => 0o077,
        }
    }

    /// Of a directory that is made.
    const fn mode(self) -> Mode {
        match self {
            Self::RootWrites => Mode::S_IRWXU
                .union(Mode::S_IRGRP)
                .union(Mode::S_IXGRP)
                .union(Mode::S_IROTH)
                .union(Mode::S_IXOTH),
            Self::RootOnly => Mode::S_IRWXU,
        }
    }
}

/// What a file is opened for.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Read,
    Write,
}

/// A directory that was found safe, and its path for error messages.
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory by its absolute path, checking every component on the way from the root.
    pub(crate) fn open(path: &Path, privacy: Privacy) -> Result<Self, Error> {
        Way::new().open(path, privacy)
    }

    /// The same, making what is missing: root's, as private as `privacy` asks, directories on the way 0700.
    pub(crate) fn open_or_create(path: &Path, privacy: Privacy) -> Result<Self, Error> {
        Way::creating().open(path, privacy)
    }

    /// Makes every directory on the way to `path` last: whoever made one may have been killed before it did. The way may
    /// lead through a file system that is never written and knows no sync.
    pub(super) fn sync_way(path: &Path) -> Result<(), Error> {
        for parent in path.ancestors().skip(1) {
            let dir = Self::open(parent, Privacy::RootWrites)?;
            match fsync(&dir.fd) {
                Ok(()) | Err(Errno::EINVAL | Errno::EROFS) => {}
                Err(errno) => return Err(io(parent, "sync", errno)),
            }
        }
        Ok(())
    }

    /// The directory of this name in here, if there is one.
    pub(super) fn sub(
        &self,
        name: impl AsRef<OsStr>,
        privacy: Privacy,
    ) -> Result<Option<Self>, Error> {
        self.open_sub(name.as_ref(), privacy, DIRECTORY | OFlag::O_RDONLY)
    }

    fn open_sub(
        &self,
        name: &OsStr,
        privacy: Privacy,
        flags: OFlag,
    ) -> Result<Option<Self>, Error> {
        let path = self.path_of(name);
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Self::audited(fd, path, privacy).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ELOOP | Errno::ENOTDIR) => Err(insecure(
                &path,
                "it is a link, or no directory; name the real directory",
            )),
            Err(errno) => Err(io(&path, "open", errno)),
        }
    }

    /// The directory of this name in here, made if there is none, and lasting once this returns: one that is there may
    /// have been made by somebody who was killed before it did.
    pub(super) fn make_sub(
        &self,
        name: impl AsRef<OsStr>,
        privacy: Privacy,
    ) -> Result<Self, Error> {
        let path = self.path_of(name.as_ref());
        let made = match mkdirat(&self.fd, name.as_ref(), privacy.mode()) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(io(&path, "make the directory", errno)),
        };
        self.sync()?;
        let Some(sub) = self.sub(name, privacy)? else {
            return Err(Error::Missing { path });
        };
        if made {
            unmask(&sub.fd, privacy.mode(), &path)?;
        }
        Ok(sub)
    }

    fn audited(fd: OwnedFd, path: PathBuf, privacy: Privacy) -> Result<Self, Error> {
        let stat = fstat(&fd).map_err(|errno| io(&path, "look at", errno))?;
        audit(&stat, &|| path.clone(), privacy)?;
        Ok(Self { fd, path })
    }

    /// The path of a name in here, for error messages.
    pub(super) fn path_of(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file in here if there is one: a regular file of root's with one name, as private as `privacy` asks.
    pub(super) fn file(
        &self,
        name: &str,
        access: Access,
        privacy: Privacy,
    ) -> Result<Option<File>, Error> {
        let opened = self.open_file(name, access, privacy)?;
        Ok(opened.map(|(file, _)| file))
    }

    fn open_file(
        &self,
        name: &str,
        access: Access,
        privacy: Privacy,
    ) -> Result<Option<(File, FileStat)>, Error> {
        let path = || self.path_of(name);
        let access = match access {
            Access::Read => OFlag::O_RDONLY,
            Access::Write => OFlag::O_RDWR,
        };
        let fd = match openat(&self.fd, name, OPEN | access, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP) => return Err(insecure(&path(), "it is a symbolic link")),
            Err(Errno::EISDIR | Errno::ENXIO | Errno::ENODEV) => {
                return Err(insecure(&path(), "it is not a regular file"));
            }
            Err(errno) => return Err(io(&path(), "open", errno)),
        };
        let stat = fstat(&fd).map_err(|errno| io(&path(), "look at", errno))?;
        audit_file(&stat, &path, privacy)?;
        Ok(Some((File::from(fd), stat)))
    }

    /// Whether there is a file that could be opened so. It is not: there is nothing in it.
    pub(super) fn has_file(&self, name: &str, privacy: Privacy) -> Result<bool, Error> {
        let path = || self.path_of(name);
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) if is(&stat, SFlag::S_IFLNK) => {
                Err(insecure(&path(), "it is a symbolic link"))
            }
            Ok(stat) => audit_file(&stat, &path, privacy).map(|()| true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(io(&path(), "look at", errno)),
        }
    }

    /// Whether there is a socket of root's. Others may write to it: that is how they ask.
    pub(crate) fn has_socket(&self, name: &str) -> Result<bool, Error> {
        let path = self.path_of(name);
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) if !is(&stat, SFlag::S_IFSOCK) => Err(insecure(&path, "it is not a socket")),
            Ok(stat) if stat.st_uid != 0 => Err(insecure(&path, "it does not belong to root")),
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(io(&path, "look at", errno)),
        }
    }

    /// Everything in a file of at most `limit` bytes, if there is one. The size is looked at before anything is read.
    pub(super) fn read(
        &self,
        name: &str,
        limit: usize,
        privacy: Privacy,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some((file, stat)) = self.open_file(name, Access::Read, privacy)? else {
            return Ok(None);
        };
        let path = || self.path_of(name);
        let too_large = || damaged(&path(), format!("it is larger than {limit} bytes"));
        let size = usize::try_from(stat.st_size).map_err(|_| too_large())?;
        if size > limit {
            return Err(too_large());
        }
        // Filled in place, so that no copy of a secret is left behind; the byte more tells whether it has grown since.
        let mut content = Zeroizing::new(vec![0; size.saturating_add(1)]);
        let read = read_from_start(&file, &mut content, size)
            .map_err(|source| failed(&path(), "read", source))?;
        if read > size {
            return Err(damaged(&path(), "it was being written: try again"));
        }
        content.truncate(read);
        Ok(Some(content))
    }

    /// Whether another directory is on the same file system.
    pub(super) fn is_beside(&self, other: &Self) -> Result<bool, Error> {
        let device = |dir: &Self| {
            let stat = fstat(&dir.fd).map_err(|errno| io(&dir.path, "look at", errno))?;
            Ok(stat.st_dev)
        };
        Ok(device(self)? == device(other)?)
    }

    /// Whether there is anything of this name in here, whatever it is.
    pub(super) fn has(&self, name: &str) -> Result<bool, Error> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(io(&self.path_of(name), "look at", errno)),
        }
    }

    /// The names in here, without those that start with a dot.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        self.all_names(|name| !name.starts_with('.'))
    }

    fn all_names(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let fail = |errno| io(&self.path, "list", errno);
        let flags = DIRECTORY | OFlag::O_RDONLY;
        let mut listing =
            nix::dir::Dir::openat(self.fd.as_fd(), ".", flags, Mode::empty()).map_err(fail)?;
        let mut names = Vec::new();
        for entry in listing.iter() {
            let entry = entry.map_err(fail)?;
            if let Ok(name) = entry.file_name().to_str() {
                if name != "." && name != ".." && wanted(name) {
                    names.push(name.to_owned());
                }
            }
        }
        Ok(names)
    }
}

/// Reads at least `size` bytes from the beginning of a file, and as many as fit if there are more; how many it read.
fn read_from_start(file: &File, buffer: &mut [u8], size: usize) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|_| filled < size) {
        match file.read_at(rest, u64::try_from(filled).unwrap_or(u64::MAX)) {
            Ok(0) => break,
            Ok(more) => filled = filled.saturating_add(more),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Gives what was made its mode back: the mask is our caller's, and may have taken away more than it should.
fn unmask(made: &OwnedFd, mode: Mode, path: &Path) -> Result<(), Error> {
    let stat = fstat(made).map_err(|errno| io(path, "look at", errno))?;
    if Mode::from_bits_truncate(stat.st_mode & 0o777) == mode {
        return Ok(());
    }
    fchmod(made, mode).map_err(|errno| io(path, "set the mode of", errno))
}

/// Whether there is nothing at an absolute path. Not to know is no.
pub(super) fn is_absent(path: &Path) -> bool {
    let looked = fstatat(nix::fcntl::AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW);
    matches!(looked, Err(Errno::ENOENT))
}

/// Whether what is open still has its name, or was unlinked since it was opened.
pub(super) fn still_named(file: &File, path: &Path) -> Result<bool, Error> {
    fstat(file)
        .map(|stat| stat.st_nlink > 0)
        .map_err(|errno| io(path, "look at", errno))
}

/// The path is asked for only where something is wrong: a login opens a dozen things that are as they should be.
fn audit_file(stat: &FileStat, path: &dyn Fn() -> PathBuf, privacy: Privacy) -> Result<(), Error> {
    if !is(stat, SFlag::S_IFREG) {
        return Err(insecure(&path(), "it is not a regular file"));
    }
    if stat.st_nlink > 1 {
        return Err(insecure(&path(), "it has more than one name (a hard link)"));
    }
    audit(stat, path, privacy)
}

fn audit(stat: &FileStat, path: &dyn Fn() -> PathBuf, privacy: Privacy) -> Result<(), Error> {
    if stat.st_uid != 0 {
        let why = format!("it belongs to uid {}, not to root", stat.st_uid);
        return Err(insecure(&path(), &why));
    }
    if stat.st_mode & privacy.forbidden() != 0 {
        let path = path();
        let why = format!(
            "its mode is {:04o}: 'chmod {} {}'",
            stat.st_mode & 0o7777,
            match privacy {
                Privacy::RootWrites => "go-w",
                Privacy::RootOnly => "go-rwx",
            },
            path.display()
        );
        return Err(insecure(&path, &why));
    }
    Ok(())
}

fn is(stat: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == kind
}

pub(super) fn io(path: &Path, doing: &'static str, errno: Errno) -> Error {
    failed(path, doing, errno.into())
}

pub(super) fn failed(path: &Path, doing: &'static str, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        doing,
        source,
    }
}

pub(super) fn insecure(path: &Path, why: &str) -> Error {
    Error::Insecure {
        path: path.to_path_buf(),
        why: why.to_owned(),
    }
}

pub(super) fn damaged(path: &Path, why: impl Into<String>) -> Error {
    Error::Damaged {
        path: path.to_path_buf(),
        line: None,
        why: why.into(),
    }
}

#[cfg(test)]
mod tests;
