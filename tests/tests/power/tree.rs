//! The trees of a store as values: read from the file system, and put there.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What the store's trees are made in. They are the machine's, and last.
pub(crate) const ROOTS: [&str; 2] = ["/var/lib", "/var/spool"];

/// Files with their content and directories without, by path, parents first.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tree(BTreeMap<String, Option<Vec<u8>>>);

impl Tree {
    /// What the sandbox holds now.
    pub(crate) fn read() -> Self {
        let mut tree = Self::default();
        for root in ROOTS {
            tree.read_dir(Path::new(root));
        }
        tree
    }

    fn read_dir(&mut self, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().expect("names are ASCII");
            if path.is_dir() {
                self.put(name, None);
                self.read_dir(&path);
            } else {
                self.put(name, Some(fs::read(&path).unwrap()));
            }
        }
    }

    /// Adds a file, or a directory; what is not below the roots is left out.
    pub(crate) fn put(&mut self, path: &str, content: Option<Vec<u8>>) {
        let below = |root: &&str| {
            let rest = path.strip_prefix(*root);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        if ROOTS.iter().any(below) {
            self.0.insert(path.to_owned(), content);
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let entries = self.0.iter();
        entries.map(|(path, content)| (path.as_str(), content.as_deref()))
    }

    /// Makes it what the sandbox holds: root's, directories 0700, files 0600.
    pub(crate) fn materialise(&self) {
        for root in ROOTS {
            clear(Path::new(root));
        }
        for (path, content) in self.entries() {
            match content {
                None => DirBuilder::new().mode(0o700).create(path).unwrap(),
                Some(content) => {
                    let mut options = OpenOptions::new();
                    options.write(true).create_new(true).mode(0o600);
                    options.open(path).unwrap().write_all(content).unwrap();
                }
            }
        }
    }

    /// For telling states apart.
    pub(crate) fn fingerprint(&self, with: impl Hash) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (self, with).hash(&mut hasher);
        hasher.finish()
    }

    /// For messages: every path, and how much of it is not zeros.
    pub(crate) fn outline(&self) -> String {
        let line = |(path, content): (&str, Option<&[u8]>)| match content {
            None => format!("    {path}/\n"),
            Some(bytes) => {
                let full = |sector: &&[u8]| sector.iter().any(|byte| *byte != 0);
                let sectors: Vec<usize> = bytes
                    .chunks(512)
                    .enumerate()
                    .filter(|(_, sector)| full(sector))
                    .map(|(index, _)| index)
                    .collect();
                format!("    {path}: {} bytes, not zero: {sectors:?}\n", bytes.len())
            }
        };
        self.entries().map(line).collect()
    }
}

fn clear(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}
