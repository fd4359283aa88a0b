//! What changes a directory: files put in place whole, moved, unlinked and wiped, and what makes that last.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, syncfs, unlinkat};

use super::{Access, Dir, OPEN, Privacy, failed, io, still_named, unmask};
use crate::store::Error;

/// What starts with this is half-made: nobody reads it, and `sweep` clears it away.
pub(super) const HALF_MADE: &str = ".new-";
/// So much of a file is wiped at most, in bytes: what is wiped is small.
const WIPED: usize = 64 * 1024;
/// Tells the half-made files of one process apart.
pub(super) static TURN: AtomicU32 = AtomicU32::new(0);

impl Dir {
    /// Puts a whole file in place, durably: temporary file, fsync, rename, fsync of the directory. Killed anywhere,
    /// there is the old file or the new one, whole. Without `replace`, `false` if there is one already.
    pub(in super::super) fn write(
        &self,
        name: &str,
        content: &[u8],
        replace: bool,
    ) -> Result<bool, Error> {
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
    pub(in super::super) fn write_half(
        &self,
        name: &str,
        content: &[u8],
    ) -> Result<(String, File), Error> {
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
    pub(in super::super) fn put(&self, half_made: &str, name: &str) -> Result<bool, Error> {
        let placed = self.place(half_made, name, false);
        placed.map_err(|source| failed(&self.path_of(name), "write", source))
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
    pub(in super::super) fn unlink(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(io(&self.path_of(name), "delete", errno)),
        }
    }

    /// Moves a file of this name into another directory of the same file system, or gives it another name in here. `false`
    /// if there is none, or something has the new name. Lasting after both are [synced](Self::sync).
    pub(in super::super) fn move_to(
        &self,
        name: &str,
        to: &Self,
        new_name: &str,
    ) -> Result<bool, Error> {
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(&self.fd, name, &to.fd, new_name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST | Errno::ENOENT) => Ok(false),
            Err(errno) => Err(io(&self.path_of(name), "move", errno)),
        }
    }

    /// Unlinks a file and overwrites its content, which somebody who reads the disk could find otherwise; nothing happens
    /// if there is none. Lasting when this returns.
    pub(in super::super) fn wipe(&self, name: &str) -> Result<(), Error> {
        let file = self.file(name, Access::Write, Privacy::RootOnly)?;
        self.unlink(name)?;
        if let Some(file) = file {
            self.wipe_nameless(&file, name)?;
        }
        self.sync()
    }

    /// Overwrites the content of a file that has lost its name. Nothing happens to one that has one.
    pub(in super::super) fn wipe_nameless(&self, file: &File, name: &str) -> Result<(), Error> {
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
    pub(in super::super) fn remove_sub(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => self.sync(),
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(io(&self.path_of(name), "delete", errno)),
        }
    }

    /// Unlinks every file in here, the half-made ones too, which would keep the directory from being removed.
    pub(in super::super) fn clear(&self) -> Result<(), Error> {
        for name in self.all_names(|_| true)? {
            self.unlink(&name)?;
        }
        self.sync()
    }

    /// Clears away what a crash left half-made more than an hour ago. It may hold a secret or a code, so it is wiped.
    pub(in super::super) fn clear_half_made(&self, now: i64) -> Result<(), Error> {
        for name in self.all_names(|name| name.starts_with(HALF_MADE))? {
            let stat = fstatat(&self.fd, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
            let is_left = stat.is_ok_and(|stat| stat.st_ctime.saturating_add(3600) < now);
            // What is not as we make it is not opened, and goes as it is.
            if is_left && self.wipe(&name).is_err() {
                self.unlink(&name)?;
            }
        }
        Ok(())
    }

    /// Makes what was made, renamed or unlinked in here last.
    pub(in super::super) fn sync(&self) -> Result<(), Error> {
        fsync(&self.fd).map_err(|errno| io(&self.path, "sync", errno))
    }

    /// Makes everything that was written on the file system of this directory last.
    pub(in super::super) fn sync_all(&self) -> Result<(), Error> {
        syncfs(&self.fd).map_err(|errno| io(&self.path, "sync", errno))
    }
}

fn fill(mut file: File, content: &[u8]) -> std::io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
}
