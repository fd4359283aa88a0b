//! What a built program does to the disk, from strace.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::tree::ROOTS;

/// Where strace writes in the sandbox.
const TRACE: &str = "/tmp/trace";
/// What a killed process may have written of more: the kernel looks for a signal between pages.
const PAGE: usize = 4096;
/// What the model understands.
const KNOWN: &str = "openat,open,creat,write,pwrite64,ftruncate,fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,lseek";
/// What it does not: one of these on the store's trees is a fault of the trial.
const UNKNOWN: &str = "writev,pwritev,pwritev2,truncate,fallocate,sync_file_range,link,linkat,symlink,symlinkat,mknod,mknodat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,sendfile,copy_file_range,splice,dup,dup2,dup3,io_uring_setup,sync,msync";

/// One thing that was done. Paths are whole.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open {
        path: String,
        create: bool,
        truncate: bool,
    },
    Write {
        path: String,
        at: usize,
        data: Vec<u8>,
    },
    /// Durable at once, and nothing else of its file with it.
    WriteThrough {
        path: String,
        at: usize,
        data: Vec<u8>,
    },
    Resize {
        path: String,
        length: usize,
    },
    /// Of a file, or of a directory's names.
    Sync {
        path: String,
    },
    /// Of everything there is.
    SyncAll,
    MakeDir {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// Of a file, or of an empty directory.
    Unlink {
        path: String,
    },
    /// Here the program said what came of it.
    Told,
}

impl Op {
    /// For messages.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Open { path, .. } => format!("open {path}"),
            Self::Write { path, at, data } | Self::WriteThrough { path, at, data } => {
                format!("write {path} {at}..{}", at + data.len())
            }
            Self::Resize { path, length } => format!("resize {path} to {length}"),
            Self::Sync { path } => format!("sync {path}"),
            Self::SyncAll => "sync everything".to_owned(),
            Self::MakeDir { path } => format!("mkdir {path}"),
            Self::Rename { from, to } => format!("rename {from} to {to}"),
            Self::Unlink { path } => format!("unlink {path}"),
            Self::Told => "telling".to_owned(),
        }
    }
}

/// What a program did and said.
pub(crate) struct Recording {
    pub(crate) ops: Vec<Op>,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Recording {
    /// Whether so many of its operations are enough to have been told.
    pub(crate) fn has_told(&self, done: usize) -> bool {
        self.ops[..done].iter().any(|op| matches!(op, Op::Told))
    }
}

/// Runs a program under strace, with this on its standard input and these in its environment.
pub(crate) fn watch(program: &[&str], input: &str, environment: &[(&str, &str)]) -> Recording {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-xx", "-s", "1000000", "-o", TRACE, "-e"]);
    strace.arg(format!("trace={KNOWN},{UNKNOWN}"));
    for (name, value) in environment {
        strace.arg("-E").arg(format!("{name}={value}"));
    }
    strace.args(program);
    let mut recording = run(strace, input);
    recording.ops = Trace::default().read(&fs::read_to_string(TRACE).unwrap());
    recording
}

/// Runs a program unwatched.
pub(crate) fn run(mut command: Command, input: &str) -> Recording {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Recording {
        ops: Vec::new(),
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A trace while it is read.
#[derive(Default)]
struct Trace {
    ops: Vec<Op>,
    /// Of each open descriptor of the store's trees: where the next `write` goes, and whether it is synced at once.
    open: BTreeMap<(String, String), (usize, bool)>,
}

/// One line: `PID CALL(ARGUMENTS) = RESULT`.
struct Call<'a> {
    process: &'a str,
    name: &'a str,
    arguments: Vec<&'a str>,
    result: &'a str,
}

impl Trace {
    fn read(mut self, text: &str) -> Vec<Op> {
        for line in text.lines() {
            if let Some(call) = Call::parse(line) {
                self.call(&call);
            }
        }
        // Its exit code says it too.
        if !self.ops.iter().any(|op| matches!(op, Op::Told)) {
            self.ops.push(Op::Told);
        }
        self.ops
    }

    fn call(&mut self, call: &Call<'_>) {
        match call.name {
            "openat" => self.open(call, &call.at(0, 1), call.arguments[2]),
            "write" | "pwrite64" => self.write(call),
            "ftruncate" => self.resize(call),
            "lseek" => {
                let (descriptor, _) = call.opened(0);
                let key = (call.process.to_owned(), descriptor.to_owned());
                if let Some((next, _)) = self.open.get_mut(&key) {
                    *next = call.result.parse().expect("an offset");
                }
            }
            "fsync" | "fdatasync" => {
                let path = call.descriptor(0);
                self.push(&path.clone(), Op::Sync { path });
            }
            "syncfs" => {
                let path = call.descriptor(0);
                self.push(&path, Op::SyncAll);
            }
            "mkdirat" => {
                let path = call.at(0, 1);
                self.push(&path.clone(), Op::MakeDir { path });
            }
            "unlinkat" => {
                let path = call.at(0, 1);
                self.push(&path.clone(), Op::Unlink { path });
            }
            "renameat" | "renameat2" => {
                let (from, to) = (call.at(0, 1), call.at(2, 3));
                self.push(&to.clone(), Op::Rename { from, to });
            }
            other => {
                let ours = call
                    .arguments
                    .iter()
                    .any(|argument| is_ours(&decode(argument)));
                let everything = ["sync", "io_uring_setup"].contains(&other);
                assert!(!ours && !everything, "teach the model what {other} does");
            }
        }
    }

    fn push(&mut self, path: &str, op: Op) {
        if is_ours(path) {
            self.ops.push(op);
        }
    }

    fn open(&mut self, call: &Call<'_>, path: &str, flags: &str) {
        if !is_ours(path) {
            return;
        }
        let has = |flag: &str| flags.split('|').any(|each| each == flag);
        assert!(!has("O_APPEND"), "teach the model what O_APPEND does");
        let descriptor = call.result.split('<').next().unwrap_or_default();
        let at_once = has("O_SYNC") || has("O_DSYNC");
        let key = (call.process.to_owned(), descriptor.to_owned());
        self.open.insert(key, (0, at_once));
        let (create, truncate) = (has("O_CREAT"), has("O_TRUNC"));
        if create || truncate {
            self.ops.push(Op::Open {
                path: path.to_owned(),
                create,
                truncate,
            });
        }
    }

    fn write(&mut self, call: &Call<'_>) {
        let (descriptor, path) = call.opened(0);
        let written: usize = call.result.parse().expect("a count");
        let data = bytes(call.arguments[1]);
        // What a host or a command says at last; prompts go to standard error.
        if descriptor == "1" || data.starts_with(b"pamtester: ") {
            self.ops.push(Op::Told);
        }
        if !is_ours(&path) {
            return;
        }
        let key = (call.process.to_owned(), descriptor.to_owned());
        let (next, at_once) = self.open.get_mut(&key).expect("it was opened");
        let at = match call.arguments.get(3) {
            Some(at) => at.parse().expect("an offset"),
            None => std::mem::replace(next, *next + written),
        };
        let at_once = *at_once;
        for (at, data) in pages(at, &data[..written]) {
            let path = path.clone();
            self.ops.push(if at_once {
                Op::WriteThrough { path, at, data }
            } else {
                Op::Write { path, at, data }
            });
        }
    }

    fn resize(&mut self, call: &Call<'_>) {
        let path = call.descriptor(0);
        let length = call.arguments[1].parse().expect("a length");
        self.push(&path.clone(), Op::Resize { path, length });
    }
}

impl<'a> Call<'a> {
    /// Nothing where it failed, or is no call.
    fn parse(line: &'a str) -> Option<Self> {
        assert!(!line.contains("<unfinished"), "one process at a time");
        let (process, call) = line.split_once(' ')?;
        let (name, rest) = call.trim_start().split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ")?;
        let arguments = arguments.trim_end().strip_suffix(')')?;
        (!result.starts_with('-')).then(|| Self {
            process,
            name,
            // Strings are in hexadecimal, so a comma parts two arguments.
            arguments: arguments.split(", ").collect(),
            result,
        })
    }

    /// A descriptor and what it leads to: `3<\x2f…>`.
    fn opened(&self, index: usize) -> (&'a str, String) {
        let argument = self.arguments[index];
        let (descriptor, _) = argument.split_once('<').unwrap_or((argument, ""));
        (descriptor, decode(argument))
    }

    fn descriptor(&self, index: usize) -> String {
        self.opened(index).1
    }

    /// The path that a directory's descriptor and a name make.
    fn at(&self, dir: usize, name: usize) -> String {
        let (dir, name) = (decode(self.arguments[dir]), decode(self.arguments[name]));
        if name.starts_with('/') {
            return name;
        }
        format!("{}/{name}", dir.trim_end_matches('/'))
    }
}

/// The text of `"\x2f…"` or `3<\x2f…>`; nothing of a number, and nothing of a file that has lost its name.
fn decode(argument: &str) -> String {
    if argument.ends_with("(deleted)") {
        return String::new();
    }
    String::from_utf8(bytes(argument)).unwrap_or_default()
}

fn bytes(argument: &str) -> Vec<u8> {
    assert!(!argument.ends_with("..."), "strace has cut a string");
    let mut parts = argument.split("\\x");
    parts.next();
    let byte = |part: &str| u8::from_str_radix(&part[..2], 16).expect("two digits");
    parts.map(byte).collect()
}

fn pages(at: usize, data: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut pieces = Vec::new();
    let (mut at, mut rest) = (at, data);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(PAGE - at % PAGE));
        pieces.push((at, piece.to_vec()));
        at += piece.len();
        rest = after;
    }
    pieces
}

/// The store's trees, and the way there.
fn is_ours(path: &str) -> bool {
    path.starts_with('/')
        && ROOTS.iter().any(|root| {
            path.starts_with(&format!("{root}/"))
                || format!("{root}/").starts_with(&format!("{}/", path.trim_end_matches('/')))
        })
}
