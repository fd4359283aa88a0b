//! A disk as the kernel and a power cut see it: what is there to be read, what would be left, and all that could be.
//!
//! Nothing is taken for granted that POSIX does not promise. A write is pending until its file is synced, each sector of it
//! for itself, in any order. A name made, renamed or unlinked is pending until its directory is synced, each for itself;
//! syncing a file does not make its name last. A rename is whole or not at all, and need not wait for the data of its file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use crate::record::Op;
use crate::tree::{ROOTS, Tree};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
/// The index of the directory `/`.
const ROOT: usize = 0;

/// Files and directories by number, as long as anything could still lead to them.
#[derive(Clone)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
}

#[derive(Clone)]
enum Node {
    File(Content),
    Dir(Names),
}

impl Node {
    fn sync(&mut self) {
        match self {
            Self::File(content) => {
                content.durable = content.now().clone();
                content.pending.clear();
            }
            Self::Dir(names) => {
                names.durable = names.now();
                names.pending.clear();
            }
        }
    }
}

/// A file: what is on the disk, and the whole of it after each write since.
#[derive(Clone, Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<Vec<u8>>,
}

/// A directory: what is on the disk, and what was done since.
#[derive(Clone, Default)]
struct Names {
    durable: BTreeMap<String, usize>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Add(String, usize),
    Drop(String),
    Rename(String, String, usize),
}

/// Something that a power cut may leave one way or another.
pub(crate) struct Choice {
    node: usize,
    part: Part,
    /// In how many ways; 0 is as if nothing since the last sync had happened.
    pub(crate) ways: usize,
    /// The way it is read now.
    pub(crate) latest: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Length,
    Sector(usize),
    Change(usize),
}

impl Choice {
    /// Whose choice it is: of one file or directory.
    pub(crate) const fn owner(&self) -> usize {
        self.node
    }
}

impl Disk {
    /// All of it durable.
    pub(crate) fn holding(tree: &Tree) -> Self {
        let mut disk = Self {
            nodes: vec![Node::Dir(Names::default())],
        };
        for root in ROOTS {
            disk.make_durable(root, None);
        }
        for (path, content) in tree.entries() {
            disk.make_durable(path, content);
        }
        disk
    }

    fn make_durable(&mut self, path: &str, content: Option<&[u8]>) {
        let mut at = ROOT;
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            if let Some(known) = self.names(at).durable.get(name) {
                at = *known;
                continue;
            }
            let node = match content {
                Some(bytes) if names.peek().is_none() => Node::File(Content {
                    durable: bytes.to_vec(),
                    pending: Vec::new(),
                }),
                _ => Node::Dir(Names::default()),
            };
            let made = self.add(node);
            self.names_mut(at).durable.insert(name.to_owned(), made);
            at = made;
        }
    }

    /// Does what a process did.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Open {
                path,
                create,
                truncate,
            } => self.open(path, *create, *truncate),
            Op::Write { path, at, data } => self.change(path, |content| put(content, *at, data)),
            Op::WriteThrough { path, at, data } => {
                self.change(path, |content| put(content, *at, data));
                self.make_last(path, *at, data);
            }
            Op::Resize { path, length } => self.change(path, |content| content.resize(*length, 0)),
            Op::Sync { path } => self.sync(path),
            Op::SyncAll => self.nodes.iter_mut().for_each(Node::sync),
            Op::MakeDir { path } => {
                let made = self.add(Node::Dir(Names::default()));
                let (dir, name) = self.parent(path);
                self.names_mut(dir).pending.push(Change::Add(name, made));
            }
            Op::Rename { from, to } => {
                let node = self.find(from).expect("what is renamed is there");
                let ((dir, from), (other, to)) = (self.parent(from), self.parent(to));
                assert_eq!(dir, other, "the model knows renames within one directory");
                let change = Change::Rename(from, to, node);
                self.names_mut(dir).pending.push(change);
            }
            Op::Unlink { path } => {
                let (dir, name) = self.parent(path);
                self.names_mut(dir).pending.push(Change::Drop(name));
            }
            Op::Told => {}
        }
    }

    fn open(&mut self, path: &str, create: bool, truncate: bool) {
        if self.find(path).is_some() {
            if truncate {
                self.change(path, Vec::clear);
            }
        } else if create {
            let made = self.add(Node::File(Content::default()));
            let (dir, name) = self.parent(path);
            self.names_mut(dir).pending.push(Change::Add(name, made));
        }
    }

    /// Nothing happens to a file without a name: no power cut brings it back.
    fn change(&mut self, path: &str, how: impl FnOnce(&mut Vec<u8>)) {
        let Some(node) = self.find(path) else { return };
        let Node::File(content) = &mut self.nodes[node] else {
            panic!("{path} is a directory")
        };
        let mut now = content.now().clone();
        how(&mut now);
        content.pending.push(now);
    }

    /// What else is pending stays so, and none of it holds anything else there.
    fn make_last(&mut self, path: &str, at: usize, data: &[u8]) {
        let Some(node) = self.find(path) else { return };
        if let Node::File(content) = &mut self.nodes[node] {
            put(&mut content.durable, at, data);
            for version in &mut content.pending {
                put(version, at, data);
            }
        }
    }

    fn sync(&mut self, path: &str) {
        if let Some(node) = self.find(path) {
            self.nodes[node].sync();
        }
    }

    /// What every process reads now.
    pub(crate) fn visible(&self) -> Tree {
        let latest: Vec<usize> = self.choices().iter().map(|choice| choice.latest).collect();
        self.left(&latest)
    }

    /// Everything a power cut now may leave one way or another.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for node in self.reachable() {
            match &self.nodes[node] {
                Node::File(content) => content.choices(node, &mut choices),
                Node::Dir(names) => choices.extend((0..names.pending.len()).map(|index| Choice {
                    node,
                    part: Part::Change(index),
                    ways: 2,
                    latest: 1,
                })),
            }
        }
        choices
    }

    /// What is left where each choice has gone this way.
    pub(crate) fn left(&self, ways: &[usize]) -> Tree {
        let choices = self.choices();
        let went: BTreeMap<(usize, Part), usize> = choices
            .iter()
            .zip(ways)
            .map(|(choice, way)| ((choice.node, choice.part), *way))
            .collect();
        let mut tree = Tree::default();
        self.gather(ROOT, "", &went, &mut tree);
        tree
    }

    fn gather(
        &self,
        node: usize,
        path: &str,
        went: &BTreeMap<(usize, Part), usize>,
        tree: &mut Tree,
    ) {
        let way = |part| went.get(&(node, part)).copied().unwrap_or(0);
        match &self.nodes[node] {
            Node::File(content) => tree.put(path, Some(content.left(way))),
            Node::Dir(names) => {
                tree.put(path, None);
                for (name, child) in names.left(|index| way(Part::Change(index)) == 1) {
                    self.gather(child, &format!("{path}/{name}"), went, tree);
                }
            }
        }
    }

    fn reachable(&self) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut next = vec![ROOT];
        while let Some(node) = next.pop() {
            if seen.insert(node) {
                if let Node::Dir(names) = &self.nodes[node] {
                    next.extend(names.durable.values());
                    next.extend(names.pending.iter().filter_map(|change| match change {
                        Change::Add(_, node) | Change::Rename(_, _, node) => Some(*node),
                        Change::Drop(_) => None,
                    }));
                }
            }
        }
        seen
    }

    fn find(&self, path: &str) -> Option<usize> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(ROOT, |at, name| match &self.nodes[at] {
            Node::Dir(names) => names.now().get(name).copied(),
            Node::File(_) => None,
        })
    }

    fn parent(&self, path: &str) -> (usize, String) {
        let path = Path::new(path);
        let dir = path.parent().and_then(Path::to_str).expect("a path");
        let name = path.file_name().and_then(|name| name.to_str());
        let dir = self.find(dir).expect("the directory is there");
        (dir, name.expect("a name").to_owned())
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn names(&self, node: usize) -> &Names {
        match &self.nodes[node] {
            Node::Dir(names) => names,
            Node::File(_) => panic!("a file where a directory was"),
        }
    }

    fn names_mut(&mut self, node: usize) -> &mut Names {
        match &mut self.nodes[node] {
            Node::Dir(names) => names,
            Node::File(_) => panic!("a file where a directory was"),
        }
    }
}

impl Content {
    fn now(&self) -> &Vec<u8> {
        self.pending.last().unwrap_or(&self.durable)
    }

    fn versions(&self) -> impl Iterator<Item = &Vec<u8>> {
        std::iter::once(&self.durable).chain(&self.pending)
    }

    /// Every length it had since it was last synced, each once.
    fn lengths(&self) -> Vec<usize> {
        distinct(self.versions().map(Vec::len))
    }

    /// Everything this sector held since, each once.
    fn sectors(&self, sector: usize) -> Vec<Vec<u8>> {
        distinct(
            self.versions()
                .map(|content| padded(content, range(sector))),
        )
    }

    fn choices(&self, node: usize, choices: &mut Vec<Choice>) {
        let mut choice = |part, ways: usize, latest| {
            if ways > 1 {
                choices.push(Choice {
                    node,
                    part,
                    ways,
                    latest,
                });
            }
        };
        if self.pending.is_empty() {
            return;
        }
        let lengths = self.lengths();
        let now = position(&lengths, &self.now().len());
        choice(Part::Length, lengths.len(), now);
        let longest = lengths.into_iter().max().unwrap_or(0);
        for sector in 0..longest.div_ceil(SECTOR) {
            let known = self.sectors(sector);
            let now = position(&known, &padded(self.now(), range(sector)));
            choice(Part::Sector(sector), known.len(), now);
        }
    }

    fn left(&self, way: impl Fn(Part) -> usize) -> Vec<u8> {
        if self.pending.is_empty() {
            return self.durable.clone();
        }
        let length = self.lengths()[way(Part::Length)];
        let mut content = Vec::with_capacity(length);
        for sector in 0..length.div_ceil(SECTOR) {
            content.extend(&self.sectors(sector)[way(Part::Sector(sector))]);
        }
        content.truncate(length);
        content
    }
}

impl Names {
    fn now(&self) -> BTreeMap<String, usize> {
        self.left(|_| true)
    }

    /// What is there where only some of the changes have come to the disk.
    fn left(&self, came: impl Fn(usize) -> bool) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        for (_, change) in self.pending.iter().enumerate().filter(|(n, _)| came(*n)) {
            match change {
                Change::Add(name, node) => drop(names.insert(name.clone(), *node)),
                Change::Drop(name) => drop(names.remove(name)),
                Change::Rename(from, to, node) => {
                    names.remove(from);
                    names.insert(to.clone(), *node);
                }
            }
        }
        names
    }
}

fn put(content: &mut Vec<u8>, at: usize, data: &[u8]) {
    let end = at + data.len();
    content.resize(content.len().max(end), 0);
    content[at..end].copy_from_slice(data);
}

const fn range(sector: usize) -> Range<usize> {
    sector * SECTOR..(sector + 1) * SECTOR
}

/// What is beyond the end reads as zeros.
fn padded(content: &[u8], range: Range<usize>) -> Vec<u8> {
    let end = range.end.min(content.len());
    let mut part = content.get(range.start..end).unwrap_or(&[]).to_vec();
    part.resize(range.len(), 0);
    part
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut known = Vec::new();
    for each in all {
        if !known.contains(&each) {
            known.push(each);
        }
    }
    known
}

fn position<T: PartialEq>(known: &[T], one: &T) -> usize {
    known
        .iter()
        .position(|each| each == one)
        .expect("it is one of them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states::states;

    const DIR: &str = "/var/lib/store";
    const FILE: &str = "/var/lib/store/file";

    /// A disk with a file of two sectors.
    fn disk() -> Disk {
        let mut tree = Tree::default();
        tree.put(DIR, None);
        tree.put(FILE, Some(vec![1; 2 * SECTOR]));
        Disk::holding(&tree)
    }

    fn path(name: &str) -> String {
        format!("{DIR}/{name}")
    }

    fn write(at: usize, data: &[u8]) -> Op {
        let (path, data) = (FILE.to_owned(), data.to_vec());
        Op::Write { path, at, data }
    }

    fn made(name: &str) -> [Op; 2] {
        let (create, truncate, at, data) = (true, false, 0, vec![7; 10]);
        let open = path(name);
        let write = open.clone();
        [
            Op::Open {
                path: open,
                create,
                truncate,
            },
            Op::Write {
                path: write,
                at,
                data,
            },
        ]
    }

    fn after(ops: &[Op]) -> Vec<Tree> {
        let mut disk = disk();
        ops.iter().for_each(|op| disk.apply(op));
        states(&disk, 1000, 1)
    }

    fn contents(trees: &[Tree], path: &str) -> BTreeSet<Option<Vec<u8>>> {
        let of = |tree: &Tree| {
            let mut entries = tree.entries();
            let found = entries.find(|(known, _)| *known == path);
            found.and_then(|(_, content)| content.map(<[u8]>::to_vec))
        };
        trees.iter().map(of).collect()
    }

    #[test]
    fn a_write_may_be_dropped_kept_or_torn_until_its_file_is_synced() {
        let mut ops = vec![write(0, &[2; 2 * SECTOR])];
        assert_eq!(contents(&after(&ops), FILE).len(), 4);
        ops.push(Op::Sync {
            path: FILE.to_owned(),
        });
        let whole = BTreeSet::from([Some(vec![2; 2 * SECTOR])]);
        assert_eq!(contents(&after(&ops), FILE), whole);
    }

    #[test]
    fn all_lasts_when_the_file_system_is_synced() {
        let mut ops = made("new").to_vec();
        ops.push(Op::SyncAll);
        let trees = after(&ops);
        assert_eq!(trees.len(), 1);
    }

    #[test]
    fn a_write_that_is_durable_at_once_takes_no_other_with_it() {
        let (path, at, data) = (FILE.to_owned(), SECTOR, vec![3; SECTOR]);
        let ops = [write(0, &[2; SECTOR]), Op::WriteThrough { path, at, data }];
        let kept = |first: u8| Some([[first; SECTOR], [3; SECTOR]].concat());
        let both = BTreeSet::from([kept(1), kept(2)]);
        assert_eq!(contents(&after(&ops), FILE), both);
    }

    #[test]
    fn a_file_lasts_when_it_and_its_directory_are_synced() {
        let mut ops = made("new").to_vec();
        ops.push(Op::Sync { path: path("new") });
        let gone_or_whole = BTreeSet::from([None, Some(vec![7; 10])]);
        assert_eq!(contents(&after(&ops), &path("new")), gone_or_whole);
        ops.push(Op::Sync {
            path: DIR.to_owned(),
        });
        let whole = BTreeSet::from([Some(vec![7; 10])]);
        assert_eq!(contents(&after(&ops), &path("new")), whole);
    }

    #[test]
    fn a_rename_may_come_to_the_disk_before_the_data_of_its_file() {
        let mut ops = made("new").to_vec();
        ops.push(Op::Rename {
            from: path("new"),
            to: FILE.to_owned(),
        });
        let left = after(&ops);
        let found = contents(&left, FILE);
        for content in [vec![1; 2 * SECTOR], Vec::new(), vec![0; 10], vec![7; 10]] {
            assert!(found.contains(&Some(content)));
        }
        let names = left.iter().map(|tree| tree.entries().count());
        assert_eq!(
            names.max(),
            Some(3),
            "the rename is lost, the new name is not"
        );
    }

    #[test]
    fn an_unlinked_file_comes_back_until_its_directory_is_synced() {
        let mut ops = vec![Op::Unlink {
            path: FILE.to_owned(),
        }];
        assert_eq!(contents(&after(&ops), FILE).len(), 2);
        ops.push(Op::Sync {
            path: DIR.to_owned(),
        });
        assert_eq!(contents(&after(&ops), FILE), BTreeSet::from([None]));
    }
}
