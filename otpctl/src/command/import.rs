//! `import`: users of other software, or of a backup, are taken over. What a file says is understood in `crate::import`; who is
//! taken, and what is told of it, is decided at the [`desk`].

mod desk;
mod homes;
mod source;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use jiff::civil;
use jiff::tz::TimeZone;
use otp::time::UnixTime;
use zeroize::Zeroizing;

use super::Context;
use crate::cli::{self, Incoming};
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::import::{csv, google, oath, otpauth, pskc};
use crate::{age, archive, clock, passphrase};
use desk::Desk;
use source::{Lines, Source};

pub(super) fn run(context: Context<'_>, args: &cli::Import) -> Result<Ending, Failure> {
    let mut work = Work::new(context, args)?;
    let house = House::make(context.config)?;
    if args.all_or_nothing {
        let mut desk = Desk::new(context, &house, args, false)?;
        work.read(&mut desk)?;
        if desk.has_faults()? {
            context.report.answer(&desk.nothing())?;
            return Ok(Ending::No);
        }
        work.rewind()?;
    }
    let mut desk = Desk::new(context, &house, args, true)?;
    let read = work.read(&mut desk);
    // What was read before that is in, and told.
    let imported = desk.close()?;
    read?;
    context.report.answer(&imported)?;
    if imported.imported > 0 {
        context
            .report
            .hint("What was imported stays in the old place too, secrets and all: delete it there. Next: otpctl doctor");
    }
    Ok(if imported.errors_total > 0 {
        Ending::No
    } else {
        Ending::Done
    })
}

/// What is to be read, and how.
enum Work<'a> {
    Homes,
    File {
        source: Source,
        format: Incoming,
        passphrase: Option<Zeroizing<Vec<u8>>>,
        user: Option<&'a str>,
    },
}

impl<'a> Work<'a> {
    fn new(context: Context<'_>, args: &'a cli::Import) -> Result<Self, Failure> {
        let Some(path) = &args.file else {
            return match args.format {
                None | Some(Incoming::GoogleAuthenticator) => Ok(Self::Homes),
                Some(_) => Err(Failure::usage(
                    "--homes reads .google_authenticator files: leave --format out",
                )),
            };
        };
        let mut source = Source::open(path, args.all_or_nothing)?;
        let format = match args.format {
            Some(format) => format,
            None => guess(source.beginning()?).ok_or_else(|| {
                Failure::usage(format!(
                    "{} does not look like any format that is known here: say which it is with --format",
                    path.display()
                ))
            })?,
        };
        let passphrase = match format {
            Incoming::Archive => Some(passphrase_of(context, args, path)?),
            Incoming::GoogleAuthenticator if args.user.is_none() => {
                return Err(Failure::usage(
                    "a .google_authenticator file does not say whose it is: --user USER, or --homes for everybody",
                ));
            }
            _ => None,
        };
        Ok(Self::File {
            source,
            format,
            passphrase,
            user: args.user.as_deref(),
        })
    }

    fn rewind(&mut self) -> Result<(), Failure> {
        match self {
            Self::Homes => Ok(()),
            Self::File { source, .. } => source.rewind(),
        }
    }

    /// Reads everything there is, and brings it to the desk.
    fn read(&mut self, desk: &mut Desk<'_>) -> Result<(), Failure> {
        match self {
            Self::Homes => homes::read(desk),
            Self::File {
                source,
                format,
                passphrase,
                user,
            } => {
                let from = source.reader();
                match (*format, passphrase) {
                    (Incoming::GoogleAuthenticator, _) => google_file(from, desk, *user),
                    (Incoming::Pskc, _) => pskc_file(from, desk),
                    (Incoming::Archive, Some(passphrase)) => archive_file(from, desk, passphrase),
                    _ => line_by_line(from, desk, *format),
                }
            }
        }
    }
}

fn passphrase_of(
    context: Context<'_>,
    args: &cli::Import,
    path: &Path,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let file = args.passphrase.passphrase_file.as_deref();
    if file.is_none() && path == Path::new("-") {
        return Err(Failure::usage(
            "the archive comes from standard input, so the passphrase cannot: --passphrase-file FILE",
        ));
    }
    passphrase::known(context.report, file)
}

/// What a file is, by how it begins.
fn guess(beginning: &[u8]) -> Option<Incoming> {
    let mut lines = beginning.split(|byte| *byte == b'\n');
    let lines = lines.by_ref().map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let (first, second) = (lines.next()?, lines.next());
    let is_option = |line: &[u8]| line.starts_with(b"\" ");
    Some(if beginning.starts_with(b"age-encryption.org/") {
        Incoming::Archive
    } else if otpauth::strip(first, b"otpauth").is_some() {
        Incoming::Otpauth
    } else if csv::is_header(first) {
        Incoming::Csv
    } else if first.starts_with(b"<") || first.starts_with(b"\xef\xbb\xbf<") {
        Incoming::Pskc
    } else if first.starts_with(b"HOTP") {
        Incoming::UsersOath
    } else if second.is_some_and(is_option) {
        Incoming::GoogleAuthenticator
    } else {
        return None;
    })
}

fn line_by_line(
    from: &mut dyn BufRead,
    desk: &mut Desk<'_>,
    format: Incoming,
) -> Result<(), Failure> {
    let mut lines = Lines::new(from);
    let now = clock::now();
    let mut is_first = true;
    while let Some((number, line)) = lines.next()? {
        let line = match line {
            Ok(line) => line,
            Err(why) => {
                desk.fault(number, why);
                continue;
            }
        };
        if std::mem::take(&mut is_first) && format == Incoming::Csv {
            if !csv::is_header(line) {
                return Err(Failure::usage(
                    "the first line is not the header user,uri; nothing was taken",
                ));
            }
            continue;
        }
        match format {
            Incoming::UsersOath => {
                desk.take(number, oath::line(line, now, &on_this_wall).transpose())?
            }
            Incoming::Csv => desk.take(number, csv::line(line).transpose())?,
            _ => match otpauth::line(line) {
                Ok(people) => {
                    for person in people {
                        desk.take(number, Some(Ok(person)))?;
                    }
                }
                Err(why) => desk.fault(number, why),
            },
        }
    }
    Ok(())
}

/// A local time, in this machine's zone: pam_oath writes those.
fn on_this_wall([year, month, day, hour, minute, second]: oath::Civil) -> Option<UnixTime> {
    let small = |part: u16| i8::try_from(part).ok();
    let time = civil::DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        0,
    );
    let zoned = time.ok()?.to_zoned(TimeZone::system()).ok()?;
    let secs = zoned.timestamp().as_second();
    u64::try_from(secs).ok().map(UnixTime::from_secs)
}

fn google_file(
    from: &mut dyn BufRead,
    desk: &mut Desk<'_>,
    user: Option<&str>,
) -> Result<(), Failure> {
    let content = whole(from, google::MAX_FILE)?;
    match google::file(&content) {
        Ok(mut person) => {
            person.user = user.map(str::to_owned);
            desk.take(1, Some(Ok(person)))
        }
        Err((line, why)) => {
            desk.fault(line, why);
            Ok(())
        }
    }
}

fn pskc_file(from: &mut dyn BufRead, desk: &mut Desk<'_>) -> Result<(), Failure> {
    let content = whole(from, pskc::MAX_FILE)?;
    let people = pskc::document(&content)
        .map_err(|why| Failure::usage(format!("the file is no PSKC document: {why}")))?;
    for (line, person) in people {
        desk.take(line, Some(person))?;
    }
    Ok(())
}

fn archive_file(
    from: &mut dyn BufRead,
    desk: &mut Desk<'_>,
    passphrase: &[u8],
) -> Result<(), Failure> {
    let reader = age::Reader::new(from, passphrase).map_err(|error| unreadable(&error))?;
    let mut lines = Lines::new(BufReader::new(reader));
    let mut has_header = false;
    while let Some((number, line)) = lines.next()? {
        let line = match line {
            Ok(line) => line,
            Err(why) => {
                desk.fault(number, why);
                continue;
            }
        };
        if has_header {
            desk.take(number, Some(archive::person_from(line)))?;
        } else {
            let key = archive::header_from(line).map_err(Failure::usage)?;
            desk.restore_under(key)?;
            has_header = true;
        }
    }
    if has_header {
        Ok(())
    } else {
        Err(Failure::usage("the archive is empty"))
    }
}

/// The whole of a small file.
fn whole(from: &mut dyn BufRead, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Zeroizing::new(Vec::new());
    from.take(limit)
        .read_to_end(&mut content)
        .map_err(|error| unreadable(&error))?;
    if content.len() > most {
        return Err(Failure::usage(format!(
            "the file is larger than {most} bytes"
        )));
    }
    Ok(content)
}

/// What stopped the reading of what is imported.
fn unreadable(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::InvalidData {
        return Failure::usage(format!("the archive cannot be read: {error}"));
    }
    Failure::io("read", Path::new("what is to be imported"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_beginning() {
        for (text, format) in [
            ("age-encryption.org/v1\n-> scrypt", Some(Incoming::Archive)),
            ("# mine\notpauth://totp/a", Some(Incoming::Otpauth)),
            ("otpauth-migration://offline?data=", Some(Incoming::Otpauth)),
            ("User,URI\r\nalice,", Some(Incoming::Csv)),
            ("<?xml version='1.0'?>", Some(Incoming::Pskc)),
            ("\n# users\nHOTP/T30\talice", Some(Incoming::UsersOath)),
            (
                "GEZDGNBVGY3TQOJQ\n\" TOTP_AUTH\n",
                Some(Incoming::GoogleAuthenticator),
            ),
            ("GEZDGNBVGY3TQOJQ\n12345678\n", None),
            ("", None),
        ] {
            assert_eq!(guess(text.as_bytes()), format, "{text}");
        }
    }

    #[test]
    fn a_time_on_the_wall_is_one_of_this_zone_or_none() {
        assert!(on_this_wall([2026, 11, 24, 10, 0, 0]).is_some());
        assert_eq!(on_this_wall([2026, 13, 24, 10, 0, 0]), None);
        assert_eq!(on_this_wall([60_000, 1, 1, 0, 0, 0]), None);
    }
}
