//! Names as they are typed, made accounts as the passwd database spells them.

use nix::errno::Errno;
use nix::unistd;
use otp::store::{Error, Store};
use otp::user::{Account, UserName};

use crate::failure::{Failure, Kind};

/// The account of a user who must be in the passwd database.
pub(crate) fn present(typed: &str) -> Result<Account, Failure> {
    look_up(typed)?.ok_or_else(|| unknown(typed))
}

/// The account of a user who is in the passwd database, or of whom something is kept all the same.
pub(crate) fn present_or_kept(typed: &str, store: &impl Store) -> Result<Account, Failure> {
    if let Some(account) = look_up(typed)? {
        return Ok(account);
    }
    let name = UserName::parse(typed).map_err(|bad| Failure::usage(bad.to_string()))?;
    if store.users()?.contains(&name) {
        return Ok(Account { name, uid: None });
    }
    Err(unknown(typed))
}

/// The account of a user of whom something is kept, in the passwd database or not.
pub(crate) fn kept(name: &UserName) -> Result<Account, Failure> {
    let known = look_up(name.as_str())?.filter(|account| account.name == *name);
    Ok(known.unwrap_or_else(|| gone(name)))
}

/// The account of a name whose uid does not matter: its records are to be deleted.
pub(crate) fn gone(name: &UserName) -> Account {
    Account {
        name: name.clone(),
        uid: None,
    }
}

/// Does something to the records of an account, where they are another uid's too: deleting is always fine.
pub(crate) fn whoever_it_was<T>(
    account: &Account,
    doing: impl Fn(&Account) -> Result<T, Error>,
) -> Result<T, Error> {
    match doing(account) {
        Err(Error::OtherUid { .. }) => doing(&gone(&account.name)),
        other => other,
    }
}

/// The account the passwd database has under this name, in its spelling.
fn look_up(typed: &str) -> Result<Option<Account>, Failure> {
    UserName::parse(typed).map_err(|bad| Failure::usage(bad.to_string()))?;
    match unistd::User::from_name(typed) {
        Ok(None) | Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Ok(Some(user)) => {
            let name = UserName::parse(&user.name).map_err(|bad| {
                Failure::new(
                    Kind::UnknownUser,
                    format!("{}: {bad}", user.name.escape_debug()),
                )
            })?;
            let uid = Some(user.uid.as_raw());
            Ok(Some(Account { name, uid }))
        }
        Err(errno) => Err(Failure::new(
            Kind::Io,
            format!(
                "cannot ask the passwd database for {typed}: {}",
                errno.desc()
            ),
        )),
    }
}

fn unknown(typed: &str) -> Failure {
    Failure::new(
        Kind::UnknownUser,
        format!(
            "there is no user {typed}: see 'getent passwd', or 'otpctl list' for those enrolled"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_present_and_a_made_up_name_is_not() {
        let root = present("root").unwrap();
        assert_eq!((root.name.as_str(), root.uid), ("root", Some(0)));
        let nobody = present("no-such-user-here").unwrap_err();
        assert_eq!(nobody.kind, Kind::UnknownUser);
    }

    #[test]
    fn a_name_with_a_control_character_is_a_usage_error() {
        assert_eq!(present("a\nb").unwrap_err().kind, Kind::Usage);
        assert_eq!(present("").unwrap_err().kind, Kind::Usage);
    }
}
