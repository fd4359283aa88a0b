//! The file of a user's contacts: TOML, so that an administrator can read it. FILEFORMAT.md has the keys.

use std::path::Path;

use data_encoding::HEXLOWER;

use super::Error;
use super::table::{Source, Table};
use crate::delivery::{Address, Channel, Contact, Contacts, MAX_CONFIRM_ATTEMPTS, Pending};
use crate::issued::CodeId;
use crate::keyed::Digest;
use crate::time::UnixTime;

/// The last version of the format that is known here.
const VERSION: u64 = 1;
/// A file of contacts is never longer, in bytes.
pub(super) const MAX_CONTACTS: usize = 4 * 1024;

/// The text of the file.
pub(super) fn text(uid: u32, contacts: &Contacts) -> String {
    let mut out = String::from(
        "# Written by otpctl, read where a code is asked for. FILEFORMAT.md in the documentation has the keys.\n",
    );
    out.push_str(&format!("format = {VERSION}\nuid = {uid}\n"));
    for contact in contacts.iter() {
        // An address has no character that a string of TOML spells otherwise.
        let (channel, address) = (contact.channel(), contact.address.as_str());
        out.push_str(&format!("\n[{channel}]\naddress = \"{address}\"\n"));
        if let Some(at) = contact.confirmed_at {
            out.push_str(&format!("confirmed_at = {}\n", at.as_secs()));
        }
        if let Some(pending) = &contact.pending {
            out.push_str(&format!(
                "\n[{channel}.pending]\nid = \"{}\"\ndigest = \"{}\"\nissued_at = {}\nexpires_at = {}\nattempts = {}\n",
                pending.id,
                HEXLOWER.encode(pending.digest.as_bytes()),
                pending.issued_at.as_secs(),
                pending.expires_at.as_secs(),
                pending.attempts,
            ));
        }
    }
    out
}

/// Reads what [`text`] wrote: the uid and the contacts.
pub(super) fn parse(content: &[u8], path: &Path) -> Result<(u32, Contacts), Error> {
    let source = Source { content, path };
    let document = source.document()?;
    let root = source.root(&document, VERSION)?;
    root.only(&["format", "uid", "sms", "email"])?;
    let uid = u32::try_from(root.number("uid")?).map_err(|_| root.wrong("uid"))?;
    let mut contacts = Contacts::NONE;
    for channel in Channel::ALL {
        if let Some(table) = root.table(channel.name())? {
            contacts.put(contact_from(channel, &table)?);
        }
    }
    Ok((uid, contacts))
}

fn contact_from(channel: Channel, table: &Table<'_>) -> Result<Contact, Error> {
    table.only(&["address", "confirmed_at", "pending"])?;
    let address = Address::parse(channel, table.text("address")?);
    let confirmed_at = match table.entries.get("confirmed_at") {
        None => None,
        Some(_) => Some(UnixTime::from_secs(table.number("confirmed_at")?)),
    };
    Ok(Contact {
        address: address.map_err(|_| table.wrong("address"))?,
        confirmed_at,
        pending: table.table("pending")?.map(pending_from).transpose()?,
    })
}

fn pending_from(table: Table<'_>) -> Result<Pending, Error> {
    table.only(&["id", "digest", "issued_at", "expires_at", "attempts"])?;
    let digest = HEXLOWER.decode(table.text("digest")?.as_bytes()).ok();
    let digest = digest.and_then(|bytes| bytes.try_into().ok());
    let attempts = u8::try_from(table.number("attempts")?).ok();
    let attempts = attempts.filter(|attempts| *attempts < MAX_CONFIRM_ATTEMPTS);
    Ok(Pending {
        id: CodeId::parse(table.text("id")?).ok_or_else(|| table.wrong("id"))?,
        digest: Digest::from_bytes(digest.ok_or_else(|| table.wrong("digest"))?),
        issued_at: UnixTime::from_secs(table.number("issued_at")?),
        expires_at: UnixTime::from_secs(table.number("expires_at")?),
        attempts: attempts.ok_or_else(|| table.wrong("attempts"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> Contacts {
        let mut contacts = Contacts::NONE;
        for (channel, address) in [
            (Channel::Email, "alice!{}^~$&*#@example.org"),
            (Channel::Sms, "+4917012344711"),
        ] {
            contacts.put(Contact {
                address: Address::parse(channel, address).unwrap(),
                confirmed_at: Some(UnixTime::from_secs(1_800_000_000)),
                pending: Some(Pending {
                    id: CodeId::from_bytes([1, 2, 3, 0xff]),
                    digest: Digest::from_bytes([0xab; 32]),
                    issued_at: UnixTime::from_secs(1_800_000_100),
                    expires_at: UnixTime::from_secs(1_800_000_700),
                    attempts: 4,
                }),
            });
        }
        contacts
    }

    fn why(text: &str) -> String {
        let error = parse(text.as_bytes(), Path::new("contacts/alice")).err();
        let why = error.map(|error| error.to_string()).unwrap_or_default();
        why.split(';').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_is_written_reads_back_and_fits() {
        let mut contacts = full();
        for _ in 0..4 {
            let written = text(1000, &contacts);
            assert!(written.len() <= MAX_CONTACTS);
            let (uid, read) = parse(written.as_bytes(), Path::new("x")).unwrap();
            assert_eq!((uid, &read), (1000, &contacts));
            if let Some(contact) = contacts.on_mut(Channel::Sms) {
                contact.confirmed_at = None;
                contact.pending = None;
            } else {
                contacts.take(Channel::Email);
            }
            if contacts
                .on(Channel::Email)
                .is_some_and(|one| one.pending.is_none())
            {
                contacts.take(Channel::Sms);
            } else if let Some(contact) = contacts.on_mut(Channel::Email) {
                contact.pending = None;
            }
        }
        assert!(contacts.is_empty());
    }

    #[test]
    fn the_longest_there_is_fits() {
        let mut contacts = full();
        let domain = ["b".repeat(63), "c".repeat(63), "d".repeat(60)].join(".");
        let longest = format!("{}@{domain}", "a".repeat(64));
        assert_eq!(longest.len(), 253);
        contacts.on_mut(Channel::Email).unwrap().address =
            Address::parse(Channel::Email, &longest).unwrap();
        assert!(text(u32::MAX, &contacts).len() <= MAX_CONTACTS);
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_key_and_never_quoted() {
        let text = text(1000, &full());
        for (from, to, told) in [
            (
                "+4917012344711",
                "4917012344711",
                "line 6: address is missing or wrong",
            ),
            ("[sms]", "[fax]", "line 5: there is an unknown key"),
            ("uid = 1000", "uid = -1", "line 3: uid is missing or wrong"),
            (
                "format = 1",
                "format = 0",
                "line 2: format is missing or wrong",
            ),
            ("id = \"ff", "id = \"FF", "line 10: id is missing or wrong"),
            (
                "attempts = 4",
                "attempts = 5",
                "line 14: attempts is missing or wrong",
            ),
            (
                "digest = \"ab",
                "digest = \"",
                "line 11: digest is missing or wrong",
            ),
            (
                "confirmed_at = 1",
                "confirmed_at = -1",
                "line 7: confirmed_at is missing or wrong",
            ),
            ("issued_at = 1", "issued = 1", "there is an unknown key"),
            ("[sms]", "[sms", "it is not TOML"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let why = why(&changed);
            assert!(why.contains(told), "{from}: {why}");
            assert!(!why.contains("49170"), "{why}");
        }
        let newer = parse(b"format = 2\nfuture = true\n", Path::new("x"));
        assert!(matches!(
            newer,
            Err(Error::Newer {
                found: 2,
                known: 1,
                ..
            })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&content, Path::new("x"));
        }
    }
}
