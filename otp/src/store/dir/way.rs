//! The way to a directory, from the root: every component is opened and checked. What two ways share is opened and checked
//! once, and stays open between them.

use std::ffi::OsStr;
use std::path::{Component, Path};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::super::Error;
use super::{DIRECTORY, Dir, Privacy, io};

/// The directories that were passed to reach the last one opened, the root first.
pub(in super::super) struct Way {
    passed: Vec<Dir>,
    /// Whether what is missing is made.
    creates: bool,
}

impl Way {
    pub(in super::super) const fn new() -> Self {
        let passed = Vec::new();
        Self {
            passed,
            creates: false,
        }
    }

    /// One that makes what is missing: root's, as private as `privacy` asks, directories on the way 0700.
    pub(super) const fn creating() -> Self {
        let passed = Vec::new();
        Self {
            passed,
            creates: true,
        }
    }

    /// Opens a directory by its absolute path.
    pub(in super::super) fn open(&mut self, path: &Path, privacy: Privacy) -> Result<Dir, Error> {
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let names: Vec<&OsStr> = names.collect();
        let Some((last, parents)) = names.split_last() else {
            return root(OFlag::O_RDONLY);
        };
        if self.passed.is_empty() {
            self.passed.push(root(self.flags())?);
        }
        for (depth, name) in (1..).zip(parents) {
            let passed = self.passed.get(depth);
            if passed.is_none_or(|dir| dir.path.file_name() != Some(name)) {
                self.passed.truncate(depth);
                let privacies = (Privacy::RootWrites, Privacy::RootOnly);
                let next = self.step(path, name, privacies, self.flags())?;
                self.passed.push(next);
            }
        }
        self.passed.truncate(names.len());
        self.step(path, last, (privacy, privacy), OFlag::O_RDONLY)
    }

    /// What is only passed through need not be readable, and opens faster.
    const fn flags(&self) -> OFlag {
        if self.creates {
            OFlag::O_RDONLY
        } else {
            OFlag::O_PATH
        }
    }

    /// From the directory passed last into one in it. The second privacy is that of one that is made.
    fn step(
        &self,
        path: &Path,
        name: &OsStr,
        (asked, made): (Privacy, Privacy),
        flags: OFlag,
    ) -> Result<Dir, Error> {
        let missing = || Error::Missing {
            path: path.to_path_buf(),
        };
        let parent = self.passed.last().ok_or_else(missing)?;
        match parent.open_sub(name, asked, flags | DIRECTORY)? {
            Some(sub) => Ok(sub),
            None if self.creates => parent.make_sub(name, made),
            None => Err(missing()),
        }
    }
}

fn root(flags: OFlag) -> Result<Dir, Error> {
    let root = Path::new("/");
    let fd = nix::fcntl::open(root, flags | DIRECTORY, Mode::empty())
        .map_err(|errno| io(root, "open", errno))?;
    Dir::audited(fd, root.to_path_buf(), Privacy::RootWrites)
}
