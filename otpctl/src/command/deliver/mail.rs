//! The message: what a person reads who asked for a code, or did not.

use lettre::Message;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Mailboxes, MessageBuilder};
use nix::unistd::gethostname;
use otp::policy::Policy;
use otp::store::queue::{Entry, Purpose, Reason};
use rand::Rng;
use zeroize::Zeroizing;

use super::one::Trouble;
use crate::entropy;
use crate::report::words;

/// Columns of its text, so that it goes as it is (RFC 5322 section 2.1.1).
const WIDTH: usize = 72;

/// RFC 3834 section 5: no machine answers it.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message that brings a code (RFC 5322).
pub(super) fn message(policy: &Policy, entry: &Entry) -> Result<Message, Trouble> {
    let setup = |what: &str| Trouble::new(Reason::Setup, format!("at={what}"));
    let host = machine();
    let from = match policy.email.from.as_str() {
        "" => format!("root@{host}"),
        from => from.to_owned(),
    };
    let from: Mailbox = from.parse().map_err(|_| setup("email.from"))?;
    let to: Mailbox = entry
        .address
        .as_str()
        .parse()
        .map_err(|_| setup("address"))?;
    let id = entropy::system().map_err(|_| setup("entropy"))?.next_u64();
    let domain = from.email.domain().to_owned();
    builder(from, to)
        .subject(policy.email.subject.as_str())
        .date_now()
        .message_id(Some(format!("<{id:016x}.{}@{domain}>", entry.id)))
        .header(AutoSubmitted)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(text(entry).to_string())
        .map_err(|_| setup("message"))
}

fn builder(from: Mailbox, to: Mailbox) -> MessageBuilder {
    Message::builder()
        .from(from)
        .mailbox(lettre::message::header::To::from(Mailboxes::from(to)))
}

/// What it says. The code stands first, alone on its line.
fn text(entry: &Entry) -> Zeroizing<String> {
    let host = words::printable(&entry.host);
    let (what, not_you) = match entry.purpose {
        Purpose::Confirm => (
            format!("It shows {host} that codes sent to this address reach you."),
            "If nobody told you of it, do not pass it on: without it nothing is sent here again.",
        ),
        Purpose::Login => (
            format!("It logs you in at {host}, once. Type it at the prompt that asked for it."),
            "If you did not just ask for it, somebody else knows your password or has your key: tell the administrator of that machine. Nobody has a reason to ask you for this code.",
        ),
        Purpose::Issued => (
            format!("It logs you in at {host}, once. Type it where you are asked for a code."),
            "If you do not expect it, tell the administrator of that machine. Nobody has a reason to ask you for this code.",
        ),
    };
    let until = words::anywhere(entry.expires_at);
    let mut text = Zeroizing::new(format!("{}\n", entry.code.as_str()));
    for paragraph in [
        format!("{what} It is good until {until}."),
        not_you.to_owned(),
    ] {
        text.push('\n');
        for line in words::wrap(&paragraph, WIDTH, 0) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// The machine's name, as far as it may stand in an address.
fn machine() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    let is_plain = |name: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        !name.is_empty() && name.chars().all(plain)
    };
    name.filter(is_plain)
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Lines that end with a line feed alone.
pub(super) fn unix_lines(message: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut lines = Zeroizing::new(message.to_vec());
    lines.retain(|byte| *byte != b'\r');
    lines
}
