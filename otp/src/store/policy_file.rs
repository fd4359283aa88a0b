//! Reading otp.toml: the same distrust as for the store, and then the parser.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Error;
use super::dir::{Dir, Privacy, insecure};
use crate::policy::{DEFAULT_PATH, Fault, MAX_POLICY, Parsed};

/// Why there is no policy to go by. Every login is denied then.
#[derive(Debug)]
pub enum PolicyError {
    /// The file could not be read, or is not safe.
    Unreadable(Error),
    /// What it says is at fault.
    Faults {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it.
        faults: Vec<Fault>,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Faults { path, faults } => {
                write!(f, "{}", path.display())?;
                for (index, fault) in faults.iter().enumerate() {
                    write!(f, "{} {fault}", if index == 0 { "" } else { ";" })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for PolicyError {}

/// Reads the policy. The default file may be absent, which means the defaults; one that was named may not.
pub fn load_policy(named: Option<&Path>) -> Result<Parsed, PolicyError> {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    let content = read(path).map_err(PolicyError::Unreadable)?;
    match content {
        None if named.is_none() => Ok(Parsed::defaults()),
        None => Err(PolicyError::Unreadable(Error::Missing {
            path: path.to_path_buf(),
        })),
        Some(content) => match std::str::from_utf8(&content) {
            Ok(text) => Parsed::parse(text),
            Err(error) => Err(vec![not_utf8(&content, error.valid_up_to())]),
        }
        .map_err(|faults| PolicyError::Faults {
            path: path.to_path_buf(),
            faults,
        }),
    }
}

fn not_utf8(content: &[u8], valid: usize) -> Fault {
    let before = content.iter().take(valid);
    let lines = before.filter(|byte| **byte == b'\n').count();
    Fault {
        line: lines.saturating_add(1),
        why: "it is not UTF-8".to_owned(),
    }
}

fn read(path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(name), Some(parent), true) = (name, path.parent(), path.is_absolute()) else {
        return Err(insecure(path, "a policy is named by its absolute path"));
    };
    match Dir::open(parent, Privacy::RootWrites) {
        Ok(dir) => dir.read(name, MAX_POLICY, Privacy::RootWrites),
        Err(Error::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
