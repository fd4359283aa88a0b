//! A file of TOML that only this software writes, read with suspicion: what is wrong with it is told by line and key, never
//! with its text.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Error;
use crate::enrollment::Generation;
use crate::hotp::CodeLength;

/// A generation as it is written: 16 hexadecimal digits.
pub(super) fn generation(text: &str) -> Option<Generation> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
    bits.map(Generation::from_bits)
}

/// The file, for saying where something is wrong.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) content: &'a [u8],
    pub(super) path: &'a Path,
}

impl<'a> Source<'a> {
    /// What stands in it.
    pub(super) fn document(&self) -> Result<Spanned<DeTable<'a>>, Error> {
        let text = std::str::from_utf8(self.content)
            .map_err(|error| self.damaged(error.valid_up_to(), "it is not UTF-8"))?;
        DeTable::parse(text).map_err(|error| {
            // The parser's own words quote the line.
            self.damaged(error.span().map_or(0, |span| span.start), "it is not TOML")
        })
    }

    /// The table of the whole document, of a format that is known here.
    pub(super) fn root<'b>(
        self,
        document: &'b Spanned<DeTable<'b>>,
        known: u64,
    ) -> Result<Table<'b>, Error>
    where
        'a: 'b,
    {
        let root = Table {
            source: self,
            start: 0,
            entries: document.get_ref(),
        };
        match root.number("format")? {
            0 => Err(root.wrong("format")),
            found if found <= known => Ok(root),
            found => Err(Error::Newer {
                path: self.path.to_path_buf(),
                found: u32::try_from(found).unwrap_or(u32::MAX),
                known: u32::try_from(known).unwrap_or(u32::MAX),
            }),
        }
    }

    pub(super) fn damaged(&self, offset: usize, why: &str) -> Error {
        let before = self.content.iter().take(offset);
        let line = before.filter(|byte| **byte == b'\n').count();
        Error::Damaged {
            path: self.path.to_path_buf(),
            line: Some(line.saturating_add(1)),
            why: why.to_owned(),
        }
    }
}

/// A table of the file, and where it begins.
pub(super) struct Table<'a> {
    pub(super) source: Source<'a>,
    pub(super) start: usize,
    pub(super) entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The error for a value that is missing or not what it should be: names the key, never the value.
    pub(super) fn wrong(&self, key: &str) -> Error {
        let value = self.entries.get(key);
        let at = value.map_or(self.start, |value| value.span().start);
        self.source
            .damaged(at, &format!("{key} is missing or wrong"))
    }

    pub(super) fn get(&self, key: &str) -> Result<&'a DeValue<'a>, Error> {
        let value = self.entries.get(key).ok_or_else(|| self.wrong(key))?;
        Ok(value.get_ref())
    }

    pub(super) fn text(&self, key: &str) -> Result<&'a str, Error> {
        self.get(key)?.as_str().ok_or_else(|| self.wrong(key))
    }

    pub(super) fn number(&self, key: &str) -> Result<u64, Error> {
        let integer = self.get(key)?.as_integer();
        integer
            .and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok())
            .ok_or_else(|| self.wrong(key))
    }

    pub(super) fn length(&self) -> Result<CodeLength, Error> {
        CodeLength::new(self.number("digits")?).ok_or_else(|| self.wrong("digits"))
    }

    pub(super) fn generation(&self) -> Result<Generation, Error> {
        generation(self.text("generation")?).ok_or_else(|| self.wrong("generation"))
    }

    pub(super) fn table(&self, key: &str) -> Result<Option<Table<'a>>, Error> {
        let Some(value) = self.entries.get(key) else {
            return Ok(None);
        };
        self.inner(value).map(Some).ok_or_else(|| self.wrong(key))
    }

    /// The error for a value that another table has too.
    pub(super) fn shared(&self, key: &str) -> Error {
        let start = self
            .entries
            .get(key)
            .map_or(self.start, |value| value.span().start);
        self.source
            .damaged(start, &format!("{key} is that of another authenticator"))
    }

    pub(super) fn tables(&self, key: &str) -> Result<Vec<Table<'a>>, Error> {
        let items = self.get(key)?.as_array();
        items
            .and_then(|items| items.iter().map(|item| self.inner(item)).collect())
            .ok_or_else(|| self.wrong(key))
    }

    fn inner(&self, value: &'a Spanned<DeValue<'a>>) -> Option<Table<'a>> {
        Some(Table {
            source: self.source,
            start: value.span().start,
            entries: value.get_ref().as_table()?,
        })
    }

    /// Every key there is must be one of these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Error> {
        let mut keys = self.entries.keys();
        match keys.find(|key| !known.contains(&key.get_ref().as_ref())) {
            Some(key) => Err(self
                .source
                .damaged(key.span().start, "there is an unknown key")),
            None => Ok(()),
        }
    }
}
