//! What stops us from knowing, in words that say what to do.

use std::fmt;
use std::path::PathBuf;

use super::LOCK_PATIENCE;

/// What stops us from knowing. Every one is a denial at a login, and says what to do.
#[derive(Debug)]
pub enum Error {
    /// The operating system said no.
    Io {
        /// What it was about.
        path: PathBuf,
        /// What was being done, as in "cannot {doing}".
        doing: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// Something the installation brings is not there: an unmounted or wiped store is a denial.
    Missing {
        /// What is not there.
        path: PathBuf,
    },
    /// Somebody else than root could have written it, or it is not what it should be.
    Insecure {
        /// What it is about.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be understood.
    Damaged {
        /// What it is about.
        path: PathBuf,
        /// The line, where there are lines. Never its text.
        line: Option<usize>,
        /// What is wrong with it, without any of its content.
        why: String,
    },
    /// A later version of this software wrote it.
    Newer {
        /// What it is about.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The last format version known here.
        known: u32,
    },
    /// It was made for another uid under the same name.
    OtherUid {
        /// What it is about.
        path: PathBuf,
        /// The uid it was made for.
        recorded: u32,
        /// The uid the name has now.
        actual: u32,
    },
    /// Somebody holds the user's lock.
    Busy {
        /// What is locked.
        path: PathBuf,
        /// The process that holds it, if that can be seen from here.
        holder: Option<u32>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                path,
                doing,
                source,
            } => write!(f, "cannot {doing} {}: {source}", path.display()),
            Self::Missing { path } => write!(
                f,
                "{} is not there: is the file system mounted? A new store is made by 'otpctl enroll' or by installing libpam-otp again",
                path.display()
            ),
            Self::Insecure { path, why } => write!(
                f,
                "{} is not safe: {why}; see 'otpctl doctor'",
                path.display()
            ),
            Self::Damaged {
                path,
                line: Some(line),
                why,
            } => write!(
                f,
                "{} line {line}: {why}; mend it, or 'otpctl remove' the user and enrol again",
                path.display()
            ),
            Self::Damaged {
                path,
                line: None,
                why,
            } => write!(f, "{}: {why}", path.display()),
            Self::Newer { path, found, known } => write!(
                f,
                "{} has format {found}, and this version knows formats up to {known}: install the newer libpam-otp again",
                path.display()
            ),
            Self::OtherUid {
                path,
                recorded,
                actual,
            } => write!(
                f,
                "{} was made for uid {recorded}, but the name has uid {actual} now: 'otpctl remove' the old record, then enrol again",
                path.display()
            ),
            Self::Busy { path, holder } => {
                let (path, patience) = (path.display(), LOCK_PATIENCE.as_secs());
                match holder {
                    Some(pid) => write!(
                        f,
                        "{path} has been locked by process {pid} for {patience} seconds: try again, and if it stays so, end that process (kill -9 {pid})"
                    ),
                    None => write!(
                        f,
                        "{path} has been locked by another process for {patience} seconds: try again"
                    ),
                }
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn what_the_operating_system_said_is_the_source_and_there_is_no_other() {
        let path = PathBuf::from("x");
        let error = Error::Io {
            path: path.clone(),
            doing: "read",
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        let source = error.source().unwrap().to_string();
        assert_eq!(error.to_string(), format!("cannot read x: {source}"));
        assert!(Error::Missing { path }.source().is_none());
    }
}
