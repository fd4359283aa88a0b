//! Where an import is read from: a file or standard input, line by line, no line longer than it may be.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::unreadable;
use crate::archive;
use crate::failure::Failure;
use crate::import::person::Why;

/// What is read twice and cannot be rewound is kept: so much at most, in bytes.
const MOST_KEPT: u64 = 256 * 1024 * 1024;

/// What an import is read from.
pub(super) struct Source {
    from: From,
    path: PathBuf,
}

enum From {
    File(BufReader<File>),
    Stdin(BufReader<io::Stdin>),
    /// Standard input, kept to be read twice.
    Kept(Cursor<Zeroizing<Vec<u8>>>),
}

impl Source {
    /// Opens a file, or standard input for `-`. `twice`: it will be rewound.
    pub(super) fn open(path: &Path, twice: bool) -> Result<Self, Failure> {
        let fail = |error| Failure::io("read", path, &error);
        let from = if path == Path::new("-") {
            From::Stdin(BufReader::new(io::stdin()))
        } else {
            // A pipe that nobody writes would hold us up, but a shell's is written.
            let mut options = OpenOptions::new();
            let opened = options
                .read(true)
                .custom_flags(OFlag::O_NOCTTY.bits())
                .open(path);
            From::File(BufReader::new(opened.map_err(fail)?))
        };
        let mut source = Self {
            from,
            path: path.to_path_buf(),
        };
        let is_kept = match &source.from {
            From::File(file) => !file.get_ref().metadata().map_err(fail)?.is_file(),
            From::Stdin(_) => true,
            From::Kept(_) => false,
        };
        if twice && is_kept {
            source.keep()?;
        }
        Ok(source)
    }

    fn keep(&mut self) -> Result<(), Failure> {
        let mut kept = Zeroizing::new(Vec::new());
        let mut from = self.reader().take(MOST_KEPT);
        from.read_to_end(&mut kept)
            .map_err(|error| unreadable(&error))?;
        if u64::try_from(kept.len()).is_ok_and(|length| length >= MOST_KEPT) {
            return Err(Failure::usage(
                "that is too much to be looked at before it is written: put it into a file",
            ));
        }
        self.from = From::Kept(Cursor::new(kept));
        Ok(())
    }

    pub(super) fn reader(&mut self) -> &mut dyn BufRead {
        match &mut self.from {
            From::File(from) => from,
            From::Stdin(from) => from,
            From::Kept(from) => from,
        }
    }

    /// How it begins; nothing is taken from it.
    pub(super) fn beginning(&mut self) -> Result<&[u8], Failure> {
        let path = self.path.clone();
        self.reader()
            .fill_buf()
            .map_err(|error| Failure::io("read", &path, &error))
    }

    pub(super) fn rewind(&mut self) -> Result<(), Failure> {
        let done = match &mut self.from {
            From::File(from) => from.rewind(),
            From::Kept(from) => from.rewind(),
            From::Stdin(_) => Ok(()),
        };
        done.map_err(|error| Failure::io("read", &self.path, &error))
    }
}

/// The lines of a file, each with its number. One buffer, wiped in the end.
pub(super) struct Lines<R> {
    from: R,
    number: usize,
    line: Zeroizing<Vec<u8>>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            number: 0,
            line: Zeroizing::new(Vec::with_capacity(archive::MAX_LINE)),
        }
    }

    /// The next line, or why it cannot be looked at.
    #[allow(clippy::type_complexity, reason = "a number, and a line or why not")]
    pub(super) fn next(&mut self) -> Result<Option<(usize, Result<&[u8], Why>)>, Failure> {
        self.line.clear();
        let most = u64::try_from(archive::MAX_LINE).unwrap_or(u64::MAX);
        let read = (&mut self.from)
            .take(most)
            .read_until(b'\n', &mut self.line);
        if read.map_err(|error| unreadable(&error))? == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() >= archive::MAX_LINE {
            self.skip_rest().map_err(|error| unreadable(&error))?;
            return Ok(Some((self.number, Err("it is longer than 128 KiB"))));
        }
        Ok(Some((self.number, Ok(&self.line))))
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let ready = self.from.fill_buf()?;
            let end = ready.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(ready.len(), |end| end.saturating_add(1));
            let is_over = end.is_some() || count == 0;
            self.from.consume(count);
            if is_over {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_named_and_the_next_one_is_read() {
        let text = format!("a\n{}\nb\r\n\nc", "x".repeat(archive::MAX_LINE * 2));
        let mut lines = Lines::new(text.as_bytes());
        let mut read = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            read.push((number, line.map(<[u8]>::to_vec)));
        }
        let numbers: Vec<_> = read.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        assert!(read[1].1.is_err());
        assert_eq!(read[2].1, Ok(b"b\r".to_vec()));
        assert_eq!(read[4].1, Ok(b"c".to_vec()));
    }
}
