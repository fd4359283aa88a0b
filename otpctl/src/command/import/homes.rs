//! `--homes`: the `.google_authenticator` of every user, read as root in directories that are theirs. No link is followed, nothing but
//! a regular file of the user's own is read, and none of its text is ever told.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use zeroize::Zeroizing;

use super::desk::Desk;
use crate::failure::{Failure, Kind};
use crate::import::google;
use crate::import::person::Why;

const NAME: &str = ".google_authenticator";
/// Lists what the passwd database lists, wherever that is kept.
const GETENT: &str = "/usr/bin/getent";

/// Reads the file of everybody who has one.
pub(super) fn read(desk: &mut Desk<'_>) -> Result<(), Failure> {
    let fail = |error| Failure::io("run", Path::new(GETENT), &error);
    let mut child = Command::new(GETENT)
        .arg("passwd")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(fail)?;
    let read = child.stdout.take().map_or(Ok(()), |out| {
        BufReader::new(out).split(b'\n').try_for_each(|line| {
            let line = line.map_err(fail)?;
            one(desk, &line)
        })
    });
    ended(&mut child, read)
}

fn ended(child: &mut Child, read: Result<(), Failure>) -> Result<(), Failure> {
    if read.is_err() {
        let _ = child.kill();
    }
    let status = child.wait();
    read?;
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::new(
            Kind::Io,
            "getent passwd did not list everybody: run it by hand to see why, then import again",
        )),
    }
}

/// A line of passwd(5).
fn one(desk: &mut Desk<'_>, line: &[u8]) -> Result<(), Failure> {
    let Ok(line) = std::str::from_utf8(line) else {
        return Ok(());
    };
    let mut fields = line.split(':');
    let (user, uid, home) = (fields.next(), fields.nth(1), fields.nth(2));
    let uid = uid.and_then(|uid| uid.parse().ok());
    let (Some(user), Some(uid), Some(home)) = (user, uid, home) else {
        return Ok(());
    };
    match content(Path::new(home), uid) {
        Ok(None) => Ok(()),
        Ok(Some(content)) => match google::file(&content) {
            Ok(mut person) => {
                person.user = Some(user.to_owned());
                desk.take_of(user, Some(Ok(person)))
            }
            Err((line, why)) => {
                desk.fault_of(user, line, why);
                Ok(())
            }
        },
        Err(why) => {
            desk.fault_of(user, 1, why);
            Ok(())
        }
    }
}

/// What is in the file of a user, if she has one.
fn content(home: &Path, uid: u32) -> Result<Option<Zeroizing<Vec<u8>>>, Why> {
    let quiet = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    // The way to a home is root's to say: it is in the passwd database.
    let home = match open(
        home,
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    ) {
        Ok(home) => home,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        Err(_) => return Err("her home directory cannot be opened"),
    };
    match openat(&home, NAME, OFlag::O_NOFOLLOW | quiet, Mode::empty()) {
        Ok(file) => hers(file, uid).map(Some),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ELOOP) => Err(
            "her .google_authenticator is a link, which is not followed: import that file with --user",
        ),
        Err(_) => Err("her .google_authenticator cannot be opened"),
    }
}

fn hers(file: OwnedFd, uid: u32) -> Result<Zeroizing<Vec<u8>>, Why> {
    let stat = fstat(&file).map_err(|_| "her .google_authenticator cannot be looked at")?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err("her .google_authenticator is not a regular file");
    }
    if stat.st_uid != uid || stat.st_nlink > 1 {
        return Err(
            "her .google_authenticator is not hers alone: it has another owner or a second name",
        );
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(
            "others can write her .google_authenticator: have a look at it, then import it with --user",
        );
    }
    let limit = u64::try_from(google::MAX_FILE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    File::from(file)
        .take(limit)
        .read_to_end(&mut content)
        .map_err(|_| "her .google_authenticator cannot be read")?;
    Ok(content)
}
