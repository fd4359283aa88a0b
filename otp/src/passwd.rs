//! The passwd database, asked for the user that somebody typed. One place, because whose record is opened hangs on it.

use std::fmt;

use nix::errno::Errno;
use nix::unistd;

use crate::user::{Account, UserName};

/// Why it cannot be told who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTold {
    /// The database did not answer.
    Unanswered(Errno),
    /// It spells the name in something else than UTF-8, or as no record can have it.
    Unspellable,
}

impl fmt::Display for NotTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(errno) => write!(f, "cannot look up the user: {errno}"),
            Self::Unspellable => f.write_str(
                "the passwd database spells the user's name in a way no record can have",
            ),
        }
    }
}

impl std::error::Error for NotTold {}

/// The user as the passwd database spells her, if it knows her.
pub fn account(typed: &[u8]) -> Result<Option<Account>, NotTold> {
    // What cannot be a name is nobody's, and is not put to NSS.
    let name = std::str::from_utf8(typed).ok();
    let Some(name) = name.and_then(|name| UserName::parse(name).ok()) else {
        return Ok(None);
    };
    let user = unistd::User::from_name(name.as_str()).map_err(NotTold::Unanswered)?;
    let Some(user) = user else {
        return Ok(None);
    };
    match UserName::parse(&user.name) {
        // A name the database spells in something else than UTF-8 would be read as another's.
        Ok(name) if !user.name.contains('\u{fffd}') => Ok(Some(Account {
            name,
            uid: Some(user.uid.as_raw()),
        })),
        _ => Err(NotTold::Unspellable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_is_told_with_her_uid_and_nobody_else_is() {
        let root = account(b"root").unwrap().unwrap();
        assert_eq!((root.name.as_str(), root.uid), ("root", Some(0)));
        for nobody in [
            &b""[..],
            b"no such user",
            b"root\0",
            b"\xff",
            b"a\nb",
            &[b'a'; 300],
        ] {
            assert_eq!(account(nobody), Ok(None));
        }
    }
}
