//! The passphrase of an archive: from a file, asked for, or from standard input. Never from the command line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};
use crate::report::Report;
use crate::terminal::{self, Echo};

/// What is shorter protects nothing, in bytes.
const LEAST: usize = 10;
/// Nothing longer is read, in bytes.
const MOST: u64 = 1024;

/// The passphrase of an archive that is there.
pub(crate) fn known(report: &Report, file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match file {
        Some(file) => first_line(file),
        None => asked(report, "Passphrase of the archive: "),
    }
}

/// The passphrase of an archive that is made: asked for twice, and not too short.
pub(crate) fn new(report: &Report, file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let passphrase = match file {
        Some(file) => first_line(file)?,
        None => asked(report, "Passphrase for the archive: ")?,
    };
    if passphrase.len() < LEAST {
        return Err(Failure::usage(
            "the passphrase is shorter than 10 bytes: whoever has the archive has all secrets, so take several words",
        ));
    }
    if file.is_none() && report.asks() && *asked(report, "The same again: ")? != *passphrase {
        return Err(Failure::new(
            Kind::GivenUp,
            "the two are not the same; nothing was written",
        ));
    }
    Ok(passphrase)
}

fn asked(report: &Report, prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    terminal::ask_or_read(report.asks(), prompt, Echo::Hidden)
        .map_err(|error| Failure::io("read from", Path::new("standard input"), &error))?
        .ok_or_else(Failure::given_up)
}

fn first_line(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let fail = |error| Failure::io("read", path, &error);
    let mut line = Zeroizing::new(Vec::with_capacity(2048));
    let file = File::open(path).map_err(fail)?;
    BufReader::new(file.take(MOST))
        .read_until(b'\n', &mut line)
        .map_err(fail)?;
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(line)
}
