//! Where codes are sent: channels, addresses, and what is known of a user's. FILEFORMAT.md has the file.

use std::fmt;

use crate::issued::CodeId;
use crate::keyed::Digest;
use crate::time::UnixTime;

/// The longest e-mail address, in bytes (RFC 5321 section 4.5.3.1.3, without the angle brackets).
pub const MAX_EMAIL: usize = 254;
/// The longest part before its `@` (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// The longest label of a domain (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
/// Digits of a telephone number (ITU-T E.164: at most 15; fewer than seven reach nobody's telephone).
const NUMBER: std::ops::RangeInclusive<usize> = 7..=15;
/// Wrong answers that end the confirmation of a contact.
pub const MAX_CONFIRM_ATTEMPTS: u8 = 5;

/// A way by which a code reaches a person. In the order in which one is taken that nobody has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A text message to a telephone.
    Sms,
    /// An e-mail.
    Email,
}

impl Channel {
    /// All of them, in the order in which one is taken that nobody has named.
    pub const ALL: [Self; 2] = [Self::Sms, Self::Email];

    /// The lower-case word for it, in files, logs and at the prompt.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }

    /// The channel of this very name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An address on a channel: of e-mail `name@domain` as it stands unquoted in a header, of SMS a number as in E.164,
/// `+4917012345678`. Neither has a space, a quote or a control character in it, nor begins with a hyphen, so it is one word of
/// a header, of a line and of an argument list. `Debug` shows it masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    channel: Channel,
    text: String,
}

/// Why some text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAddress {
    /// No e-mail address that is taken here.
    Email,
    /// No telephone number as in E.164.
    Sms,
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email => "it takes an address such as alice@example.org, of letters, digits and .!?_+-=~#$&*^{} before the @, up to 254 bytes",
            Self::Sms => "it takes a number with its country's prefix and nothing between the digits, such as +4917012345678",
        })
    }
}

impl std::error::Error for BadAddress {}

impl Address {
    /// Takes an address of this channel as a person spells it.
    pub fn parse(channel: Channel, text: &str) -> Result<Self, BadAddress> {
        let (is_one, why) = match channel {
            Channel::Email => (is_email(text), BadAddress::Email),
            Channel::Sms => (is_number(text), BadAddress::Sms),
        };
        if !is_one {
            return Err(why);
        }
        Ok(Self {
            channel,
            text: text.to_owned(),
        })
    }

    /// Its channel.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// All of it: for the file and for whoever delivers, never for a log or a person at a prompt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What may be shown to somebody who knows it anyway, and tells nobody else: `+49…4711`, `a…@example.org`.
    #[must_use]
    pub fn masked(&self) -> String {
        match self.channel {
            Channel::Email => {
                let (local, domain) = self.text.split_once('@').unwrap_or_default();
                let first = local.chars().next().filter(|_| local.len() > 1);
                let first = first.map_or_else(String::new, String::from);
                format!("{first}…@{domain}")
            }
            Channel::Sms => {
                let (prefix, rest) = self.text.split_at_checked(3).unwrap_or_default();
                // At least three digits stay hidden.
                let shown = rest.len().saturating_sub(3).min(4);
                let tail = rest.get(rest.len().saturating_sub(shown)..);
                format!("{prefix}…{}", tail.unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.masked())
    }
}

/// A dot-atom (RFC 5322 section 3.2.3) at a domain. Of the characters that may stand in one, those are not taken that some
/// mail software reads as a command, a file or a route: `|`, `/`, `` ` ``, `'`, `!` at the beginning, and `%`.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let is_atom = |atom: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!?_+-=~#$&*^{}".contains(&byte);
        !atom.is_empty() && atom.bytes().all(plain)
    };
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let inside = !label.starts_with('-') && !label.ends_with('-');
        (1..=MAX_LABEL).contains(&label.len()) && inside && label.bytes().all(plain)
    };
    text.len() <= MAX_EMAIL
        && local.len() <= MAX_LOCAL
        && !local.starts_with(['-', '!'])
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

/// `+` and digits, of which the first is not 0.
fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        NUMBER.contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A user's address on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Where.
    pub address: Address,
    /// When she showed that what is sent there reaches her; codes for logins go nowhere else.
    pub confirmed_at: Option<UnixTime>,
    /// The code that was sent there to confirm it.
    pub pending: Option<Pending>,
}

impl Contact {
    /// Its channel.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.address.channel()
    }
}

/// A code that confirms a contact, without the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Names it for whoever delivers it.
    pub id: CodeId,
    /// What is kept of it.
    pub digest: Digest,
    /// When it was drawn.
    pub issued_at: UnixTime,
    /// The first second at which it is no longer good.
    pub expires_at: UnixTime,
    /// Wrong answers so far; it ends with [`MAX_CONFIRM_ATTEMPTS`].
    pub attempts: u8,
}

/// A user's contacts, at most one a channel, in the order of [`Channel::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts(Vec<Contact>);

impl Contacts {
    /// None.
    pub const NONE: Self = Self(Vec::new());

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.0.iter()
    }

    /// The one on this channel.
    #[must_use]
    pub fn on(&self, channel: Channel) -> Option<&Contact> {
        self.0.iter().find(|contact| contact.channel() == channel)
    }

    /// The one on this channel, to be changed.
    pub fn on_mut(&mut self, channel: Channel) -> Option<&mut Contact> {
        let mut all = self.0.iter_mut();
        all.find(|contact| contact.channel() == channel)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether codes for logins can be sent anywhere.
    #[must_use]
    pub fn any_confirmed(&self) -> bool {
        self.0.iter().any(|contact| contact.confirmed_at.is_some())
    }

    /// Puts one in the place of what is on its channel.
    pub fn put(&mut self, contact: Contact) {
        self.take(contact.channel());
        self.0.push(contact);
        self.0.sort_by_key(Contact::channel);
    }

    /// Takes the one on this channel out.
    pub fn take(&mut self, channel: Channel) -> Option<Contact> {
        let known = |contact: &Contact| contact.channel() == channel;
        let index = self.0.iter().position(known)?;
        Some(self.0.remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(channel: Channel, text: &str) -> String {
        Address::parse(channel, text).unwrap().masked()
    }

    #[test]
    fn an_address_is_one_plain_word() {
        let long = format!("{}@example.org", "a".repeat(64));
        for yes in [
            "alice@example.org",
            "a.b-c_d+tag@mail.example.co",
            "root@localhost",
            long.as_str(),
        ] {
            assert!(Address::parse(Channel::Email, yes).is_ok(), "{yes}");
        }
        let longer = format!("a{long}");
        let longest = format!("a@{}", ["a".repeat(63).as_str(); 4].join("."));
        for no in [
            "",
            "alice",
            "@example.org",
            "alice@",
            "a@b@c",
            "-oQ@example.org",
            "|sh@example.org",
            "!a@example.org",
            "/etc/passwd@example.org",
            "a b@example.org",
            "\"a\"@example.org",
            "a,b@example.org",
            "a:b@example.org",
            "<a@example.org>",
            "a\\@example.org",
            "a@example.org\n",
            "a@exa\rmple.org",
            "ä@example.org",
            ".a@example.org",
            "a..b@example.org",
            "a@-example.org",
            "a@example-.org",
            "a@example..org",
            "a@[127.0.0.1]",
            longer.as_str(),
            longest.as_str(),
        ] {
            let parsed = Address::parse(Channel::Email, no);
            assert_eq!(parsed, Err(BadAddress::Email), "{no:?}");
        }
    }

    #[test]
    fn a_number_is_a_plus_and_seven_to_fifteen_digits() {
        for yes in ["+4917012345678", "+4912345", "+123456789012345"] {
            assert!(Address::parse(Channel::Sms, yes).is_ok(), "{yes}");
        }
        for no in [
            "",
            "+",
            "4917012345678",
            "+491234",
            "+1234567890123456",
            "+0491701234567",
            "+49 170 1234567",
            "+49-170-1234567",
            "++491701234567",
            "+49170123456٣",
        ] {
            let parsed = Address::parse(Channel::Sms, no);
            assert_eq!(parsed, Err(BadAddress::Sms), "{no:?}");
        }
    }

    #[test]
    fn what_is_shown_of_an_address_is_known_only_to_who_knows_it() {
        assert_eq!(masked(Channel::Sms, "+4917012344711"), "+49…4711");
        assert_eq!(masked(Channel::Sms, "+49123456"), "+49…456");
        assert_eq!(masked(Channel::Sms, "+4912345"), "+49…45");
        assert_eq!(
            masked(Channel::Email, "alice@example.org"),
            "a…@example.org"
        );
        assert_eq!(masked(Channel::Email, "a@example.org"), "…@example.org");
        let address = Address::parse(Channel::Sms, "+4917012344711").unwrap();
        assert_eq!(format!("{address:?}"), "Address(+49…4711)");
    }

    #[test]
    fn a_channel_has_one_name() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(channel.name()), Some(channel));
            assert_eq!(channel.to_string(), channel.name());
        }
        for no in ["SMS", " sms", "mail", ""] {
            assert_eq!(Channel::parse(no), None, "{no:?}");
        }
    }

    #[test]
    fn there_is_one_contact_a_channel_and_sms_comes_first() {
        let contact = |channel, text| Contact {
            address: Address::parse(channel, text).unwrap(),
            confirmed_at: None,
            pending: None,
        };
        let mut contacts = Contacts::NONE;
        assert!(contacts.is_empty() && contacts.on(Channel::Sms).is_none());
        contacts.put(contact(Channel::Email, "a@example.org"));
        contacts.put(contact(Channel::Sms, "+4917012344711"));
        contacts.put(contact(Channel::Email, "b@example.org"));
        assert!(!contacts.any_confirmed());
        contacts.on_mut(Channel::Email).unwrap().confirmed_at = Some(UnixTime::from_secs(1));
        assert!(contacts.any_confirmed());
        let all: Vec<_> = contacts.iter().map(|one| one.address.as_str()).collect();
        assert_eq!(all, ["+4917012344711", "b@example.org"]);
        assert_eq!(contacts.take(Channel::Sms).unwrap().channel(), Channel::Sms);
        assert!(contacts.take(Channel::Sms).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_a_word_and_no_option(text in "[ -~]{0,20}@?[ -~]{0,20}") {
            for channel in Channel::ALL {
                if let Ok(address) = Address::parse(channel, &text) {
                    prop_assert_eq!(address.as_str(), text.as_str());
                    prop_assert!(!text.starts_with('-'));
                    prop_assert!(!text.contains([' ', '"', '\'', '\\', ',', ';', '<', '>', '(', ')', ':', '|', '/', '%', '`']));
                    prop_assert!(!address.masked().contains(text.as_str()));
                }
            }
        }
    }
}
