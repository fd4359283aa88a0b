//! Who logs in: a name that cannot leave its directory, and the uid it was enrolled for.

use std::fmt;

/// The longest user name taken, in bytes (LOGIN_NAME_MAX of Linux).
pub(crate) const MAX_NAME: usize = 256;
/// The longest file name made of one; leaves room for the prefix of a temporary file below NAME_MAX.
const MAX_FILE_NAME: usize = 224;

/// A user name as the passwd database spells it: not empty, no control character, and short
/// enough for a file name. LDAP and Active Directory names with `@`, `\` and spaces are fine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// Why some text is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUserName {
    /// No text at all.
    Empty,
    /// A control character, which no passwd database holds.
    ControlCharacter,
    /// Longer than a login name or a file name can be.
    TooLong,
}

impl fmt::Display for BadUserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the user name is empty",
            Self::ControlCharacter => "the user name has a control character in it",
            Self::TooLong => "the user name is too long",
        })
    }
}

impl std::error::Error for BadUserName {}

impl UserName {
    /// Takes a name as the passwd database gave it.
    pub fn parse(name: &str) -> Result<Self, BadUserName> {
        if name.is_empty() {
            return Err(BadUserName::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(BadUserName::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(BadUserName::ControlCharacter);
        }
        let parsed = Self(name.to_owned());
        if parsed.file_name().len() > MAX_FILE_NAME {
            return Err(BadUserName::TooLong);
        }
        Ok(parsed)
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that belongs to this user: ASCII letters, digits, `_`, `-`, `@` and a dot that is not
    /// the first stand for themselves, every other byte for `%` and two hexadecimal digits. So it never
    /// holds a slash, never starts with a dot, and no two names share one.
    #[must_use]
    pub fn file_name(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for (index, byte) in self.0.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'@' => {
                    out.push(char::from(byte));
                }
                b'.' if index > 0 => out.push('.'),
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    }

    /// The user a file belongs to; nothing for a name that [`file_name`](Self::file_name) never makes.
    #[must_use]
    pub fn from_file_name(file: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(file.len());
        let mut rest = file.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let pair = [rest.next()?, rest.next()?];
                let hex = std::str::from_utf8(&pair).ok()?;
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
            } else {
                bytes.push(byte);
            }
        }
        let name = Self::parse(&String::from_utf8(bytes).ok()?).ok()?;
        (name.file_name() == file).then_some(name)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user as the passwd database knows her, or used to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The canonical name.
    pub name: UserName,
    /// Her uid; `None` for one who is gone from the passwd database, whose records may only be removed.
    pub uid: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_would_leave_the_directory_stay_in_it() {
        let file = |name: &str| UserName::parse(name).unwrap().file_name();
        assert_eq!(file("alice"), "alice");
        assert_eq!(file(".."), "%2E.");
        assert_eq!(file("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
        assert_eq!(file("CORP\\alice smith"), "CORP%5Calice%20smith");
        assert_eq!(file("alice@corp.example"), "alice@corp.example");
        assert_eq!(file("%2E"), "%252E");
    }

    #[test]
    fn what_no_passwd_database_holds_is_refused() {
        assert_eq!(UserName::parse(""), Err(BadUserName::Empty));
        assert_eq!(UserName::parse("a\nb"), Err(BadUserName::ControlCharacter));
        assert_eq!(UserName::parse("a\0"), Err(BadUserName::ControlCharacter));
        assert_eq!(UserName::parse(&"a".repeat(257)), Err(BadUserName::TooLong));
        assert_eq!(UserName::parse(&" ".repeat(100)), Err(BadUserName::TooLong));
    }

    #[test]
    fn a_name_has_a_longest_length_in_bytes_and_so_has_its_file() {
        let parse = |length: usize| UserName::parse(&"a".repeat(length));
        assert_eq!(parse(224).map(|name| name.file_name().len()), Ok(224));
        for length in [225, 226, 256] {
            assert_eq!(parse(length), Err(BadUserName::TooLong), "{length}");
        }
        // What is too long for any name is not looked at.
        let why = |length: usize| UserName::parse(&"\n".repeat(length)).err();
        assert_eq!(why(256), Some(BadUserName::ControlCharacter));
        assert_eq!(why(257), Some(BadUserName::TooLong));
        assert_eq!(why(300), Some(BadUserName::TooLong));
    }

    #[test]
    fn a_name_and_what_is_wrong_with_one_are_told_in_words() {
        assert_eq!(UserName::parse("alice").unwrap().to_string(), "alice");
        for (why, words) in [
            (BadUserName::Empty, "the user name is empty"),
            (
                BadUserName::ControlCharacter,
                "the user name has a control character in it",
            ),
            (BadUserName::TooLong, "the user name is too long"),
        ] {
            assert_eq!(why.to_string(), words);
        }
    }

    #[test]
    fn a_foreign_file_name_is_nobody() {
        for file in ["", ".hidden", "%2e", "a%2", "a/b", "%61lice", ".tmp-abc"] {
            assert_eq!(UserName::from_file_name(file), None, "{file}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_a_file_of_its_own(name in "\\PC{1,40}") {
            if let Ok(name) = UserName::parse(&name) {
                let file = name.file_name();
                prop_assert!(!file.contains('/') && !file.starts_with('.') && file.is_ascii());
                prop_assert_eq!(UserName::from_file_name(&file), Some(name));
            }
        }
    }
}
