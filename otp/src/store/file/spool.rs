//! Stored codes in the spool: a directory a user, a file of two slots a code. Called with the user's lock held.

use nix::errno::Errno;

use super::super::dir::{Access, Dir, Privacy, damaged, io};
use super::super::slots::{self, Format, Slots};
use super::super::{Error, codec};
use super::same_uid;
use crate::issued::{CodeId, StoredCode};
use crate::time::UnixTime;
use crate::user::Account;

const STORED_FORMAT: Format = Format {
    magic: *b"pamotpSC",
    version: 1,
};

/// More names than this in one user's spool is no spool of ours.
const MAX_SPOOLED: usize = 1000;

pub(super) fn ids(dir: &Dir) -> Result<Vec<CodeId>, Error> {
    let names = dir.names()?;
    if names.len() > MAX_SPOOLED {
        return Err(damaged(
            &dir.path_of("."),
            "there are more files in it than codes can be: 'otpctl sweep'",
        ));
    }
    Ok(names
        .iter()
        .filter_map(|name| CodeId::parse(name))
        .collect())
}

pub(super) fn read_stored(dir: &Dir, id: CodeId, account: &Account) -> Result<StoredCode, Error> {
    let name = id.to_string();
    let path = dir.path_of(&name);
    let file = dir.file(&name, Access::Read, Privacy::RootOnly)?;
    let file = file.ok_or_else(|| Error::Missing { path: path.clone() })?;
    let slots = Slots::read(&file, STORED_FORMAT, &path)?;
    match codec::stored_from(&slots.payload) {
        Some((uid, code)) if code.id == id => same_uid(account, uid, &path).map(|()| code),
        _ => Err(damaged(
            &path,
            "its content makes no sense: 'otpctl revoke' the code",
        )),
    }
}

pub(super) fn overwrite_stored(dir: &Dir, uid: u32, code: &StoredCode) -> Result<(), Error> {
    let name = code.id.to_string();
    let path = dir.path_of(&name);
    let file = dir.file(&name, Access::Write, Privacy::RootOnly)?;
    let file = file.ok_or_else(|| Error::Missing { path: path.clone() })?;
    let mut slots = Slots::read(&file, STORED_FORMAT, &path)?;
    slots.write(&file, STORED_FORMAT, &codec::stored_bytes(uid, code), &path)
}

pub(super) fn write_new_stored(dir: &Dir, uid: u32, code: &StoredCode) -> Result<(), Error> {
    let content = slots::fresh(STORED_FORMAT, &codec::stored_bytes(uid, code));
    let name = code.id.to_string();
    if dir.write(&name, &content, false)? {
        return Ok(());
    }
    let errno = Errno::EEXIST;
    Err(io(&dir.path_of(&name), "make", errno))
}

/// Not synced: a code that a power cut brings back is as spent as it was, and a fleet is swept in seconds.
pub(super) fn delete_spent(dir: &Dir, codes: &[StoredCode], now: UnixTime) -> Result<u64, Error> {
    let mut deleted = 0_u64;
    for code in codes {
        if code.is_spent(now) {
            dir.unlink(&code.id.to_string())?;
            deleted = deleted.saturating_add(1);
        }
    }
    Ok(deleted)
}
