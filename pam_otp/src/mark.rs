//! What the auth hook leaves on the handle for the account hook, which alone is called only once the whole of `auth` has
//! passed. Nothing in it is secret. It is kept as numbers, which need nobody to give them back: libpam may have unloaded us
//! by the time it gives up the handle, and would call into nothing.

use otp::user::{Account, UserName};

/// Word of one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Who was seen, as the passwd database has her.
    pub(crate) account: Account,
    /// What of her.
    pub(crate) found: Found,
}

/// What the auth hook found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing is kept of her, and she was let by because of it.
    NotEnrolled,
    /// A code of hers was accepted, or her address is remembered. What she may be told.
    Known(String),
}

/// Bytes of a number.
const WIDTH: usize = size_of::<usize>();
/// No mark is longer, in bytes: a name has 256 at most, and a notice is one line.
const LONGEST: usize = 1024;

impl Mark {
    /// As numbers: how many bytes there are, then the bytes.
    pub(crate) fn to_words(&self) -> Vec<usize> {
        let Account { name, uid } = &self.account;
        let uid = uid.map_or_else(String::new, |uid| uid.to_string());
        let (found, notice) = match &self.found {
            Found::NotEnrolled => ("new", ""),
            Found::Known(notice) => ("known", notice.as_str()),
        };
        // No name has a line's end in it.
        let text = format!("{found}\n{uid}\n{name}\n{notice}");
        let word = |chunk: &[u8]| {
            let mut word = [0; WIDTH];
            word.iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            usize::from_ne_bytes(word)
        };
        let mut words = vec![text.len()];
        words.extend(text.as_bytes().chunks(WIDTH).map(word));
        words
    }

    /// What [`to_words`](Self::to_words) made, a number at a time.
    pub(crate) fn from_words(mut word: impl FnMut(usize) -> Option<usize>) -> Option<Self> {
        let length = word(0).filter(|length| *length <= LONGEST)?;
        let mut bytes = Vec::with_capacity(length.next_multiple_of(WIDTH));
        for index in 1..=length.div_ceil(WIDTH) {
            bytes.extend(word(index)?.to_ne_bytes());
        }
        bytes.truncate(length);
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(4, '\n');
        let (found, uid, name) = (parts.next()?, parts.next()?, parts.next()?);
        let found = match (found, parts.next()?) {
            ("new", "") => Found::NotEnrolled,
            ("known", notice) => Found::Known(notice.to_owned()),
            _ => return None,
        };
        let uid = match uid {
            "" => None,
            uid => Some(uid.parse().ok()?),
        };
        let name = UserName::parse(name).ok()?;
        let account = Account { name, uid };
        Some(Self { account, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str, uid: Option<u32>, found: Found) -> Mark {
        let name = UserName::parse(name).unwrap();
        let account = Account { name, uid };
        Mark { account, found }
    }

    fn read(words: &[usize]) -> Option<Mark> {
        Mark::from_words(|index| words.get(index).copied())
    }

    #[test]
    fn what_is_left_is_what_is_found() {
        let long = "ä".repeat(37);
        for name in ["a", "alice", "DOMAIN\\alice", &long] {
            for uid in [None, Some(0), Some(u32::MAX)] {
                let notice = "Last code: never.".to_owned();
                for found in [Found::NotEnrolled, Found::Known(notice)] {
                    let mark = mark(name, uid, found);
                    assert_eq!(read(&mark.to_words()), Some(mark));
                }
            }
        }
    }

    #[test]
    fn half_of_it_is_nothing() {
        let words = mark("alice", Some(1000), Found::NotEnrolled).to_words();
        for count in 0..words.len() {
            assert_eq!(read(&words[..count]), None, "{count}");
        }
        for length in [0, 1, words[0] - 9, LONGEST + 1, usize::MAX] {
            let mut words = words.clone();
            words[0] = length;
            assert_eq!(read(&words), None, "{length}");
        }
    }
}
