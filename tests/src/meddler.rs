//! A program under strace: which system calls it makes, and what becomes of it when one of them kills it or fails. strace counts a
//! call by its name from the program's start, and so do we.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::door::Packets;

/// Where strace writes, inside the sandbox.
const TRACE: &str = "/tmp/trace";
/// A login waits 5 s for a lock at most; what takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program to run, what it reads, and nothing of the environment but PATH.
#[derive(Clone, Debug)]
pub struct Program {
    words: Vec<String>,
    input: String,
    question: Option<Vec<u8>>,
}

/// One system call of a program: the nth of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub nth: usize,
    /// The line strace has of it.
    pub line: String,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The program is killed as it makes it.
    Killed,
    /// It fails with this errno, once, and nothing is done.
    Failed(&'static str),
}

impl Call {
    /// Whether it is made as often in every run. Dice are rolled until they come to something.
    pub fn is_certain(&self) -> bool {
        self.name != "getrandom"
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub killed: bool,
    /// It was still at it after a long time.
    pub hung: bool,
    pub out: String,
    pub err: String,
    /// Whether the call was made, and met its fate.
    pub met: bool,
}

impl Program {
    pub fn new(words: &[&str]) -> Self {
        Self {
            words: words.iter().map(ToString::to_string).collect(),
            input: String::new(),
            question: None,
        }
    }

    /// With a connection on its standard input, at which uid 1000 has asked this. What is answered is what it puts out.
    pub fn asked(mut self, question: &[u8]) -> Self {
        self.question = Some(question.to_vec());
        self
    }

    /// With this on its standard input.
    pub fn reading(mut self, input: &str) -> Self {
        input.clone_into(&mut self.input);
        self
    }

    /// Runs it undisturbed.
    pub fn run(&self) -> Ended {
        self.end(&mut Command::new(&self.words[0]), &self.words[1..])
    }

    /// Runs it undisturbed, and tells every system call it makes.
    pub fn calls(&self) -> Vec<Call> {
        let ended = self.end(Command::new("strace").args(["-o", TRACE]), &self.words);
        assert!(!ended.hung && !ended.killed, "{ended:?}");
        let mut counts: HashMap<String, usize> = HashMap::new();
        let trace = fs::read(TRACE).unwrap();
        let trace = String::from_utf8_lossy(&trace);
        let call = |line: &str| {
            let (name, _) = line.split_once('(')?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !name.bytes().all(is_name) {
                return None;
            }
            let nth = counts.entry(name.to_owned()).or_default();
            *nth += 1;
            Some(Call {
                name: name.to_owned(),
                nth: *nth,
                line: line.to_owned(),
            })
        };
        trace.lines().filter_map(call).collect()
    }

    /// Runs it, and lets one of its calls meet this fate.
    pub fn meeting(&self, fate: Fate, call: &Call) -> Ended {
        let Call { name, nth, .. } = call;
        let what = match fate {
            Fate::Killed => "signal=KILL".to_owned(),
            Fate::Failed(errno) => format!("error={errno}"),
        };
        let inject = format!("inject={name}:{what}:when={nth}");
        let mut strace = Command::new("strace");
        strace.args(["-o", TRACE, "-e", &format!("trace={name}"), "-e", &inject]);
        let mut ended = self.end(&mut strace, &self.words);
        ended.met = match fate {
            Fate::Killed => ended.killed,
            Fate::Failed(_) => fs::read(TRACE)
                .is_ok_and(|trace| String::from_utf8_lossy(&trace).contains("(INJECTED)")),
        };
        ended
    }

    fn end(&self, command: &mut Command, words: &[String]) -> Ended {
        let (mut out, mut err) = (scratch(), scratch());
        let mut input = scratch();
        input.write_all(self.input.as_bytes()).unwrap();
        input.rewind().unwrap();
        let (stdin, asker) = match &self.question {
            Some(question) => {
                let (asker, asked) = Packets::pair_of(1000);
                assert!(asker.send(question));
                (Stdio::from(asked), Some(asker))
            }
            None => (Stdio::from(input), None),
        };
        let mut child = command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(stdin)
            .stdout(out.try_clone().unwrap())
            .stderr(err.try_clone().unwrap())
            .spawn()
            .expect("strace and the program are there");
        let started = Instant::now();
        let (status, hung) = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break (status, false);
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                break (child.wait().unwrap(), true);
            }
            thread::sleep(Duration::from_micros(500));
        };
        // The other end of the connection is open in there as long as the command is.
        command.stdin(Stdio::null());
        if let Some(answer) = asker.and_then(|asker| asker.receive(Duration::ZERO)) {
            out.write_all(&answer).unwrap();
        }
        Ended {
            code: status.code(),
            killed: !hung && status.signal() == Some(libc::SIGKILL),
            hung,
            out: content(&mut out),
            err: content(&mut err),
            met: false,
        }
    }
}

fn scratch() -> File {
    tempfile::tempfile_in("/tmp").unwrap()
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
