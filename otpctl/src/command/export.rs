//! `export`: all enrolled users to a new file, for a backup or for other software. Logged before anything is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use otp::enrollment::Authenticator;
use otp::keyed::DigestKey;
use otp::state::AuthenticatorState;
use otp::store::Store;
use otp::uri;
use otp::user::UserName;
use otp::verify::Record;
use zeroize::Zeroizing;

use super::Context;
use crate::account;
use crate::cli::{self, Outgoing};
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::import::csv;
use crate::report::fleet::Exported;
use crate::{age, archive, clock, entropy, passphrase};

pub(super) fn run(context: Context<'_>, args: &cli::Export) -> Result<Ending, Failure> {
    let to_stdout = args.output == Path::new("-");
    if to_stdout && context.report.is_json() {
        return Err(Failure::usage(
            "--output - and --json both want standard output: name a file",
        ));
    }
    let house = House::open(context.config)?;
    let names = house.store.users()?;
    let key = key(&house)?;
    let form = match args.format {
        Outgoing::Archive => {
            let file = args.passphrase.passphrase_file.as_deref();
            Form::Archive(passphrase::new(context.report, file)?)
        }
        Outgoing::Csv => Form::Csv,
        Outgoing::Otpauth => Form::Otpauth,
    };
    let target = Target::new(&args.output)?;
    let word = form.word();
    context.log("exported", &format!("format={word}"), "*");
    let mut tally = Exported {
        exported: 0,
        format: word.to_owned(),
        output: args.output.display().to_string(),
        left_out: Vec::new(),
    };
    let mut writer = form.writer(target)?;
    writer.begin(&key)?;
    for (index, name) in names.iter().enumerate() {
        if !to_stdout {
            context.report.progress("writing user", index, names.len());
        }
        match one(&house, name) {
            Ok(Some(record)) => {
                writer.write(&record)?;
                tally.exported = tally.exported.saturating_add(1);
            }
            Ok(None) => {}
            Err(failure) => {
                context
                    .report
                    .warning(&format!("{name}: {}", failure.message));
                tally.left_out.push(name.as_str().to_owned());
            }
        }
    }
    writer.finish()?;
    if !to_stdout {
        context.report.answer(&tally)?;
    }
    Ok(if tally.left_out.is_empty() {
        Ending::Done
    } else {
        Ending::AtFault
    })
}

/// The key under which recovery codes are kept.
fn key(house: &House) -> Result<DigestKey, Failure> {
    let mut rng = entropy::system()?;
    Ok(house.store.digest_key(|| DigestKey::draw(&mut rng))?)
}

/// The record of a user who is enrolled.
fn one(house: &House, name: &UserName) -> Result<Option<Record>, Failure> {
    let account = account::kept(name)?;
    let record = house.store.read(&account)?;
    if record.enrollment.is_none() {
        return Ok(None);
    }
    if account.uid.is_none() {
        return Err(Failure::new(
            Kind::UnknownUser,
            format!(
                "she is not in the passwd database, so she is left out: 'otpctl remove {name}'"
            ),
        ));
    }
    Ok(Some(record))
}

/// What is written, and how.
enum Form {
    Archive(Zeroizing<Vec<u8>>),
    Csv,
    Otpauth,
}

impl Form {
    const fn word(&self) -> &'static str {
        match self {
            Self::Archive(_) => "archive",
            Self::Csv => "csv",
            Self::Otpauth => "otpauth",
        }
    }

    fn writer(self, target: Target) -> Result<Writer, Failure> {
        let path = target.path.clone();
        let to = match self {
            Self::Archive(passphrase) => {
                let mut rng = entropy::system()?;
                let to = age::Writer::new(target, &passphrase, &mut rng);
                To::Archive(to.map_err(|error| Failure::io("write", &path, &error))?)
            }
            Self::Csv => To::Csv(target),
            Self::Otpauth => To::Otpauth(target),
        };
        Ok(Writer { to, path })
    }
}

enum To {
    Archive(age::Writer<Target>),
    Csv(Target),
    Otpauth(Target),
}

struct Writer {
    to: To,
    path: PathBuf,
}

impl Writer {
    fn begin(&mut self, key: &DigestKey) -> Result<(), Failure> {
        let done = match &mut self.to {
            To::Archive(to) => archive::header(clock::now(), key)
                .map_or_else(unwritable, |line| to.write_all(&line)),
            To::Csv(to) => writeln!(to, "{}", csv::HEADER),
            To::Otpauth(_) => Ok(()),
        };
        done.map_err(|error| self.failed(&error))
    }

    fn write(&mut self, record: &Record) -> Result<(), Failure> {
        let done = match &mut self.to {
            To::Archive(to) => {
                archive::line(record).map_or_else(unwritable, |line| to.write_all(&line))
            }
            To::Csv(to) => uris(record).iter().try_for_each(|uri| {
                let user = csv::field(record.user.as_str());
                writeln!(to, "{user},{}", csv::field(uri))
            }),
            To::Otpauth(to) => uris(record)
                .iter()
                .try_for_each(|uri| writeln!(to, "{}", uri.as_str())),
        };
        done.map_err(|error| self.failed(&error))
    }

    fn finish(self) -> Result<(), Failure> {
        let path = self.path;
        let done = match self.to {
            To::Archive(to) => to.finish().and_then(Target::keep),
            To::Csv(to) | To::Otpauth(to) => to.keep(),
        };
        done.map_err(|error| Failure::io("write", &path, &error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::io("write", &self.path, error)
    }
}

fn unwritable() -> io::Result<()> {
    Err(io::Error::other("a record cannot be spelled"))
}

/// A URI for each of a user's authenticators.
fn uris(record: &Record) -> Vec<Zeroizing<String>> {
    let enrollment = record.enrollment.iter();
    let all = enrollment.flat_map(|enrollment| &enrollment.authenticators);
    let uri = |one: &Authenticator| {
        let generation = one.generation;
        let entry = record.state.authenticator(generation).cloned();
        let entry = entry.unwrap_or_else(|| AuthenticatorState::fresh(generation));
        uri::otpauth(one, &entry)
    };
    all.map(uri).collect()
}

/// Where it is written: a new file that only its owner reads, or standard output. A file that is not kept is taken away
/// again.
struct Target {
    to: Option<BufWriter<Sink>>,
    path: PathBuf,
}

enum Sink {
    File(File),
    Stdout(io::Stdout),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(to) => to.write(bytes),
            Self::Stdout(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(to) => to.flush(),
            Self::Stdout(to) => to.flush(),
        }
    }
}

impl Target {
    fn new(path: &Path) -> Result<Self, Failure> {
        let sink = if path == Path::new("-") {
            Sink::Stdout(io::stdout())
        } else {
            Sink::File(new_file(path)?)
        };
        Ok(Self {
            to: Some(BufWriter::new(sink)),
            path: path.to_path_buf(),
        })
    }

    /// Makes it last.
    fn keep(mut self) -> io::Result<()> {
        let Some(mut to) = self.to.take() else {
            return Ok(());
        };
        let done = to.flush().and_then(|()| match to.get_ref() {
            Sink::File(file) => file.sync_all(),
            Sink::Stdout(_) => Ok(()),
        });
        if done.is_err() {
            self.to = Some(to);
        }
        done
    }

    fn sink(&mut self) -> io::Result<&mut BufWriter<Sink>> {
        self.to
            .as_mut()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink()?.flush()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(Sink::File(_)) = self.to.take().as_ref().map(BufWriter::get_ref) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn new_file(path: &Path) -> Result<File, Failure> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::usage(format!(
            "{} is there already, and what is in it stays: name a new file",
            path.display()
        )),
        _ => Failure::io("make", path, &error),
    })
}
