//! Entries and outcomes as they stand in files: TOML of a few lines. What is wrong with one is told without its text.

use std::path::Path;

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::super::Error;
use super::super::dir::damaged;
use super::super::secrets::escape_to;
use super::{Delivery, Entry, MAX_ENTRY, Outcome, Purpose, Reason};
use crate::delivery::{Address, Channel};
use crate::issued::CodeId;
use crate::time::UnixTime;
use crate::user::UserName;

/// The last version of the format that is known here.
const VERSION: u64 = 1;

pub(super) fn entry(entry: &Entry) -> Zeroizing<String> {
    // Allocated once: growing would leave copies of the code behind.
    let mut out = Zeroizing::new(String::with_capacity(MAX_ENTRY));
    out.push_str("# A code on its way. FILEFORMAT.md in the documentation has the keys.\n");
    numbers_to(
        &mut out,
        &[
            ("format", VERSION),
            ("issued_at", entry.issued_at.as_secs()),
            ("expires_at", entry.expires_at.as_secs()),
        ],
    );
    texts_to(
        &mut out,
        &[
            ("user", entry.user.as_str()),
            ("id", &entry.id.to_string()),
            ("channel", entry.channel().name()),
            ("address", entry.address.as_str()),
            ("purpose", entry.purpose.name()),
            ("host", &entry.host),
            ("code", &entry.code),
        ],
    );
    out
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    let mut out =
        String::from("# What came of a code. FILEFORMAT.md in the documentation has the keys.\n");
    numbers_to(
        &mut out,
        &[
            ("format", VERSION),
            ("issued_at", outcome.issued_at.as_secs()),
            ("expires_at", outcome.expires_at.as_secs()),
            ("at", outcome.at.as_secs()),
        ],
    );
    let result = match outcome.result {
        Delivery::Sent => "sent",
        Delivery::Failed(reason) => reason.name(),
    };
    texts_to(
        &mut out,
        &[
            ("user", outcome.user.as_str()),
            ("id", &outcome.id.to_string()),
            ("channel", outcome.channel.name()),
            ("to", &outcome.to),
            ("result", result),
        ],
    );
    out
}

fn numbers_to(out: &mut String, numbers: &[(&str, u64)]) {
    for (key, value) in numbers {
        out.push_str(&format!("{key} = {value}\n"));
    }
}

fn texts_to(out: &mut String, texts: &[(&str, &str)]) {
    for (key, value) in texts {
        out.push_str(key);
        out.push_str(" = \"");
        escape_to(out, value);
        out.push_str("\"\n");
    }
}

pub(super) fn parse_entry(content: &[u8], path: &Path) -> Result<Entry, Error> {
    let keys = Keys::parse(content, path)?;
    let channel = keys.of("channel", Channel::parse)?;
    let digits = |text: &str| {
        let is_code = (6..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        is_code.then(|| Zeroizing::new(text.to_owned()))
    };
    let plain = |text: &str| (!text.contains(char::is_control)).then(|| text.to_owned());
    Ok(Entry {
        user: keys.of("user", |text| UserName::parse(text).ok())?,
        id: keys.of("id", CodeId::parse)?,
        address: keys.of("address", |text| Address::parse(channel, text).ok())?,
        code: keys.of("code", digits)?,
        purpose: keys.of("purpose", Purpose::parse)?,
        issued_at: keys.time("issued_at")?,
        expires_at: keys.time("expires_at")?,
        host: keys.of("host", plain)?,
    })
}

pub(super) fn parse_outcome(content: &[u8], path: &Path) -> Result<Outcome, Error> {
    let keys = Keys::parse(content, path)?;
    let result = |text: &str| match text {
        "sent" => Some(Delivery::Sent),
        _ => Reason::parse(text).map(Delivery::Failed),
    };
    let plain = |text: &str| (!text.contains(char::is_control)).then(|| text.to_owned());
    Ok(Outcome {
        user: keys.of("user", |text| UserName::parse(text).ok())?,
        id: keys.of("id", CodeId::parse)?,
        channel: keys.of("channel", Channel::parse)?,
        to: keys.of("to", plain)?,
        issued_at: keys.time("issued_at")?,
        expires_at: keys.time("expires_at")?,
        result: keys.of("result", result)?,
        at: keys.time("at")?,
    })
}

/// The keys of a file, all of them text or numbers. Unknown ones are left to later versions.
struct Keys<'a> {
    table: toml::Spanned<DeTable<'a>>,
    path: &'a Path,
}

impl<'a> Keys<'a> {
    fn parse(content: &'a [u8], path: &'a Path) -> Result<Self, Error> {
        let text = std::str::from_utf8(content).ok();
        // The parser's own words quote the line.
        let table = text.and_then(|text| DeTable::parse(text).ok());
        let table = table.ok_or_else(|| damaged(path, "it is no TOML"))?;
        let keys = Self { table, path };
        match keys.number("format")? {
            VERSION => Ok(keys),
            found => Err(Error::Newer {
                path: path.to_path_buf(),
                found: u32::try_from(found).unwrap_or(u32::MAX),
                known: 1,
            }),
        }
    }

    fn of<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let value = self.table.get_ref().get(key);
        let text = value.and_then(|value| value.get_ref().as_str());
        text.and_then(parse).ok_or_else(|| self.wrong(key))
    }

    fn number(&self, key: &str) -> Result<u64, Error> {
        let value = self.table.get_ref().get(key);
        let integer = value.and_then(|value| value.get_ref().as_integer());
        integer
            .and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok())
            .ok_or_else(|| self.wrong(key))
    }

    fn time(&self, key: &str) -> Result<UnixTime, Error> {
        self.number(key).map(UnixTime::from_secs)
    }

    fn wrong(&self, key: &str) -> Error {
        damaged(self.path, format!("{key} is missing or wrong"))
    }
}
