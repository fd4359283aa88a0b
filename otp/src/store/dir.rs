//! Directories opened once, and everything relative to them. Nothing here follows a link or blocks on what it
//! opens. Owner, type, mode and link count are checked on the open descriptor, or, where nothing is opened, by name in a
//! directory that was found safe.

mod way;

pub(super) use way::Way;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, syncfs, unlinkat};
use zeroize::Zeroizing;

use super::Error;

const OPEN: OFlag = OFlag::O_NOFOLLOW
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY);
const DIRECTORY: OFlag = OPEN.union(OFlag::O_DIRECTORY);
/// What starts with this is half-made: nobody reads it, and `sweep` clears it away.
const HALF_MADE: &str = ".new-";
/// So much of a file is wiped at most, in bytes: what is wiped is small.
const WIPED: usize = 64 * 1024;
/// Tells the half-made files of one process apart.
static TURN: AtomicU32 = AtomicU32::new(0);

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

    /// Puts a whole file in place, durably: temporary file, fsync, rename, fsync of the directory. Killed anywhere,
    /// there is the old file or the new one, whole. Without `replace`, `false` if there is one already.
    pub(super) fn write(&self, name: &str, content: &[u8], replace: bool) -> Result<bool, Error> {
        let path = self.path_of(name);
        let (half_made, file) = self.half_made(name)?;
        let made = fill(file, content).and_then(|()| self.place(&half_made, name, replace));
        match made {
            Ok(placed) => {
                if !placed {
                    self.unlink(&half_made)?;
                }
                self.sync().map(|()| placed)
            }
            Err(source) => {
                // What went wrong first is what is told; sweep clears away what this leaves.
                let _ = self.unlink(&half_made);
                Err(failed(&path, "write", source))
            }
        }
    }

    /// A whole file under a name that nobody reads, not flushed: one of many, for [`sync_all`](Self::sync_all) and then
    /// [`put`](Self::put).
    pub(super) fn write_half(&self, name: &str, content: &[u8]) -> Result<(String, File), Error> {
        let (half_made, mut file) = self.half_made(name)?;
        match file.write_all(content) {
            Ok(()) => Ok((half_made, file)),
            Err(source) => {
                // What went wrong first is what is told; sweep clears away what this leaves.
                let _ = self.unlink(&half_made);
                Err(failed(&self.path_of(name), "write", source))
            }
        }
    }

    /// Gives what is half-made its name, unless something has it. Lasting after [`sync`](Self::sync).
    pub(super) fn put(&self, half_made: &str, name: &str) -> Result<bool, Error> {
        let placed = self.place(half_made, name, false);
        placed.map_err(|source| failed(&self.path_of(name), "write", source))
    }

    /// Whether another directory is on the same file system.
    pub(super) fn is_beside(&self, other: &Self) -> Result<bool, Error> {
        let device = |dir: &Self| {
            let stat = fstat(&dir.fd).map_err(|errno| io(&dir.path, "look at", errno))?;
            Ok(stat.st_dev)
        };
        Ok(device(self)? == device(other)?)
    }

    /// Makes everything that was written on the file system of this directory last.
    pub(super) fn sync_all(&self) -> Result<(), Error> {
        syncfs(&self.fd).map_err(|errno| io(&self.path, "sync", errno))
    }

    /// A new file that nobody else is filling, whatever a crash left behind.
    fn half_made(&self, name: &str) -> Result<(String, File), Error> {
        let flags = OPEN | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        loop {
            let turn = TURN.fetch_add(1, Ordering::Relaxed);
            let half_made = format!("{HALF_MADE}{name}.{}.{turn}", std::process::id());
            match openat(&self.fd, half_made.as_str(), flags, mode) {
                Ok(fd) => {
                    unmask(&fd, mode, &self.path_of(name))?;
                    return Ok((half_made, File::from(fd)));
                }
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(io(&self.path_of(name), "make", errno)),
            }
        }
    }

    fn place(&self, from: &str, to: &str, replace: bool) -> std::io::Result<bool> {
        let flags = if replace {
            RenameFlags::empty()
        } else {
            RenameFlags::RENAME_NOREPLACE
        };
        match renameat2(&self.fd, from, &self.fd, to, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Unlinks a file; nothing happens if there is none. Lasting after [`sync`](Self::sync).
    pub(super) fn unlink(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(io(&self.path_of(name), "delete", errno)),
        }
    }

    /// Moves a file of this name into another directory of the same file system, or gives it another name in here. `false`
    /// if there is none, or something has the new name. Lasting after both are [synced](Self::sync).
    pub(super) fn move_to(&self, name: &str, to: &Self, new_name: &str) -> Result<bool, Error> {
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(&self.fd, name, &to.fd, new_name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST | Errno::ENOENT) => Ok(false),
            Err(errno) => Err(io(&self.path_of(name), "move", errno)),
        }
    }

    /// Unlinks a file and overwrites its content, which somebody who reads the disk could find otherwise; nothing happens
    /// if there is none. Lasting when this returns.
    pub(super) fn wipe(&self, name: &str) -> Result<(), Error> {
        let file = self.file(name, Access::Write, Privacy::RootOnly)?;
        self.unlink(name)?;
        if let Some(file) = file {
            self.wipe_nameless(&file, name)?;
        }
        self.sync()
    }

    /// Overwrites the content of a file that has lost its name. Nothing happens to one that has one.
    pub(super) fn wipe_nameless(&self, file: &File, name: &str) -> Result<(), Error> {
        let path = self.path_of(name);
        if still_named(file, &path)? {
            return Ok(());
        }
        let overwrite = || {
            let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            file.write_all_at(&vec![0; size.min(WIPED)], 0)?;
            file.sync_data()
        };
        overwrite().map_err(|source| failed(&path, "wipe", source))
    }

    /// Removes an empty directory; nothing happens if there is none.
    pub(super) fn remove_sub(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => self.sync(),
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(io(&self.path_of(name), "delete", errno)),
        }
    }

    /// Makes what was made, renamed or unlinked in here last.
    pub(super) fn sync(&self) -> Result<(), Error> {
        fsync(&self.fd).map_err(|errno| io(&self.path, "sync", errno))
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

    /// Unlinks every file in here, the half-made ones too, which would keep the directory from being removed.
    pub(super) fn clear(&self) -> Result<(), Error> {
        for name in self.all_names(|_| true)? {
            self.unlink(&name)?;
        }
        self.sync()
    }

    /// Clears away what a crash left half-made more than an hour ago.
    pub(super) fn clear_half_made(&self, now: i64) -> Result<(), Error> {
        for name in self.all_names(|name| name.starts_with(HALF_MADE))? {
            let stat = fstatat(&self.fd, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| stat.st_ctime.saturating_add(3600) < now) {
                self.unlink(&name)?;
            }
        }
        Ok(())
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

fn fill(mut file: File, content: &[u8]) -> std::io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
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
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    /// A directory that is root's alone, in the world that tests/as-root makes.
    fn place() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::Builder::new().tempdir_in("/run").unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let dir = Dir::open(temp.path(), Privacy::RootOnly).unwrap();
        (temp, dir)
    }

    fn all_in(temp: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(temp.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_and_not_beyond() {
        let (_temp, dir) = place();
        let read = |name| dir.read(name, 10, Privacy::RootOnly);
        for length in [0, 1, 9, 10] {
            let content = vec![7; length];
            assert!(dir.write("file", &content, true).unwrap());
            assert_eq!(*read("file").unwrap().unwrap(), content, "{length}");
        }
        dir.write("file", &[7; 11], true).unwrap();
        let error = read("file").err().unwrap().to_string();
        assert!(error.contains("larger than 10 bytes"), "{error}");
        assert!(read("none").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_not_tried_for_ever() {
        let (temp, _dir) = place();
        let no_file = File::open(temp.path()).unwrap();
        let error = read_from_start(&no_file, &mut [0; 3], 2).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(Errno::EISDIR as i32));
    }

    #[test]
    fn a_file_is_put_in_place_whole_and_taken_from_nobody() {
        let (temp, dir) = place();
        assert!(dir.write("file", b"one", false).unwrap());
        assert!(!dir.write("file", b"two", false).unwrap());
        assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"one");
        assert!(dir.write("file", b"three", true).unwrap());
        let made = fs::metadata(temp.path().join("file")).unwrap();
        assert_eq!((made.len(), made.mode() & 0o7777), (5, 0o600));
        assert_eq!(all_in(&temp), ["file"], "nothing half-made is left");
        fs::create_dir(temp.path().join("taken")).unwrap();
        assert!(dir.write("taken", b"four", true).is_err());
        assert_eq!(all_in(&temp), ["file", "taken"]);
    }

    #[test]
    fn a_half_made_file_of_another_process_is_not_filled() {
        let (temp, dir) = place();
        let turn = TURN.load(Ordering::Relaxed);
        let process = std::process::id();
        // Other tests take turns too, so a few names are taken.
        for turn in turn..turn + 200 {
            let name = format!("{HALF_MADE}file.{process}.{turn}");
            fs::write(temp.path().join(name), "theirs").unwrap();
        }
        assert!(dir.write("file", b"ours", false).unwrap());
        assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"ours");
        let left = all_in(&temp);
        assert_eq!(left.len(), 201);
        let half_made = left.iter().filter(|name| name.starts_with(HALF_MADE));
        for name in half_made {
            assert_eq!(fs::read(temp.path().join(name)).unwrap(), b"theirs");
        }
    }

    #[test]
    fn half_made_files_go_after_an_hour_and_nothing_else_does() {
        let (temp, dir) = place();
        let half_made = temp.path().join(".new-alice.1.2");
        for name in [".new-alice.1.2", ".other", "alice"] {
            fs::write(temp.path().join(name), "").unwrap();
        }
        let made = fs::metadata(&half_made).unwrap().ctime();
        dir.clear_half_made(made + 3600).unwrap();
        assert!(half_made.exists());
        assert_eq!(dir.names().unwrap(), ["alice"]);
        dir.clear_half_made(made + 3601).unwrap();
        assert_eq!(all_in(&temp), [".other", "alice"]);
        dir.clear().unwrap();
        assert_eq!(all_in(&temp), [""; 0]);
    }

    #[test]
    fn what_is_there_is_there_and_what_is_not_is_no_error() {
        let (temp, dir) = place();
        assert!(!dir.has("file").unwrap());
        assert!(!dir.has_file("file", Privacy::RootOnly).unwrap());
        assert!(is_absent(&temp.path().join("file")));
        dir.unlink("file").unwrap();
        dir.remove_sub("sub").unwrap();
        dir.write("file", b"", false).unwrap();
        assert!(dir.has("file").unwrap());
        assert!(dir.has_file("file", Privacy::RootOnly).unwrap());
        assert!(!is_absent(&temp.path().join("file")));
        let file = dir.file("file", Access::Read, Privacy::RootOnly);
        let file = file.unwrap().unwrap();
        let path = dir.path_of("file");
        assert_eq!(path, temp.path().join("file"));
        assert!(still_named(&file, &path).unwrap());
        dir.unlink("file").unwrap();
        assert!(!still_named(&file, &path).unwrap());
        dir.make_sub("sub", Privacy::RootOnly).unwrap();
        assert!(dir.sub("sub", Privacy::RootOnly).unwrap().is_some());
        dir.remove_sub("sub").unwrap();
        assert!(dir.sub("sub", Privacy::RootOnly).unwrap().is_none());
    }

    #[test]
    fn no_link_is_followed_to_a_directory_or_through_one() {
        let (temp, dir) = place();
        dir.make_sub("real", Privacy::RootOnly).unwrap();
        let real = dir.sub("real", Privacy::RootOnly).unwrap().unwrap();
        real.make_sub("below", Privacy::RootOnly).unwrap();
        symlink("real", temp.path().join("link")).unwrap();
        dir.write("file", b"", false).unwrap();
        let why = |opened: Result<(), Error>| opened.err().unwrap().to_string();
        let open = |name: &str| {
            let path = temp.path().join(name);
            let read = Dir::open(&path, Privacy::RootOnly).map(drop);
            let made = Dir::open_or_create(&path, Privacy::RootOnly).map(drop);
            (why(read), why(made))
        };
        for name in ["link", "link/below", "file", "file/below"] {
            let (read, made) = open(name);
            assert!(read.contains("a link, or no directory"), "{name}: {read}");
            assert!(made.contains("a link, or no directory"), "{name}: {made}");
        }
        let sub = dir.sub("link", Privacy::RootOnly).map(drop);
        assert!(why(sub).contains("a link, or no directory"));
        let error = why(dir.has_file("link", Privacy::RootOnly).map(drop));
        assert!(error.contains("it is a symbolic link"), "{error}");
    }

    #[test]
    fn a_way_is_made_private_and_its_end_as_private_as_asked() {
        let (temp, _dir) = place();
        let mode = |name: &str| {
            let made = fs::metadata(temp.path().join(name)).unwrap();
            made.permissions().mode() & 0o7777
        };
        Dir::open_or_create(&temp.path().join("a/b"), Privacy::RootWrites).unwrap();
        Dir::open_or_create(&temp.path().join("c/d"), Privacy::RootOnly).unwrap();
        fs::create_dir(temp.path().join("plain")).unwrap();
        let readable = 0o755 & mode("plain"); // less what the umask takes
        assert_eq!(["a", "c", "c/d"].map(mode), [0o700; 3]);
        assert_eq!(mode("a/b"), readable);
        let missing = Dir::open(&temp.path().join("none"), Privacy::RootOnly);
        assert!(matches!(missing.err(), Some(Error::Missing { .. })));
    }
}
