//! By which service somebody logged in: a PAM service's name, short enough for a record of fixed size.

use std::fmt;

/// The longest name kept, in bytes.
pub const MAX_SERVICE: usize = 32;

/// The name of a PAM service, which is the name of its file: 1 to [`MAX_SERVICE`] bytes of printable ASCII without a
/// slash, not starting with a dot.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service {
    /// The name, then zeros.
    bytes: [u8; MAX_SERVICE],
    length: u8,
}

impl Service {
    /// Takes the name; `None` for one that no record keeps.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let is_fit = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        let is_name = !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_fit);
        let mut bytes = [0; MAX_SERVICE];
        bytes
            .get_mut(..name.len())
            .filter(|_| is_name)?
            .copy_from_slice(name.as_bytes());
        let length = u8::try_from(name.len()).ok()?;
        Some(Self { bytes, length })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.length));
        name.and_then(|name| std::str::from_utf8(name).ok())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.as_str())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_is_kept_as_it_is() {
        for name in ["sshd", "gdm-password", "su", &"x".repeat(MAX_SERVICE)] {
            assert_eq!(Service::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_is_no_file_of_pam_is_not_kept() {
        let long = "x".repeat(MAX_SERVICE + 1);
        for name in ["", "../sshd", ".sshd", "a b", "a\nb", "é", &long] {
            assert_eq!(Service::parse(name), None, "{name}");
        }
    }
}
