//! The one log line of a login, whoever writes it. Nothing a stranger chose reaches it unescaped, and `user=` stands
//! last, so that a lax expression of fail2ban is never fed an address through a name.

use std::net::IpAddr;

use crate::verify::{Reason, Verdict};

/// A user name is never longer in the log, in bytes before escaping.
const LONGEST_NAME: usize = 256;
/// Neither is an error's text.
const LONGEST_TEXT: usize = 512;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something is to be mended.
    Error,
    /// Somebody did not get in, or something was changed.
    Notice,
    /// Somebody got in.
    Info,
}

impl Severity {
    /// As in `<syslog.h>`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Notice => 5,
            Self::Info => 6,
        }
    }
}

/// What is told of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How much it matters.
    pub severity: Severity,
    verdict: String,
    detail: String,
}

impl Entry {
    /// What came of it, and nothing else. It is our own text.
    #[must_use]
    pub fn plain(severity: Severity, verdict: String) -> Self {
        Self {
            severity,
            verdict,
            detail: String::new(),
        }
    }

    /// What came of it, and what the administrator should know beside, in words.
    #[must_use]
    pub fn explained(severity: Severity, verdict: &str, text: &str) -> Self {
        Self {
            severity,
            verdict: verdict.to_owned(),
            detail: format!(" what={}", quoted(text.as_bytes(), LONGEST_TEXT)),
        }
    }

    /// That nothing could be judged; `severity` is that of the reason.
    #[must_use]
    pub fn unavailable(severity: Severity, text: &str) -> Self {
        Self::explained(severity, "refused reason=unavailable", text)
    }

    /// Of an answer that was judged.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accepted(acceptance) => {
                let method = acceptance.method.name();
                let offset = offset(acceptance.offset);
                Self::plain(Severity::Info, format!("accepted method={method}{offset}"))
            }
            Verdict::Refused(reason) => {
                let offset = offset(reason.offset());
                let verdict = format!("refused reason={}{offset}", reason.name());
                match hint(reason) {
                    Some(hint) => Self::explained(Severity::Notice, &verdict, hint),
                    None => Self::plain(Severity::Notice, verdict),
                }
            }
        }
    }

    /// `accepted method=totp offset=-1 rhost=198.51.100.7 user="alice"`
    #[must_use]
    pub fn line(&self, remote: Option<IpAddr>, user: &[u8]) -> String {
        let remote = remote.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let user = quoted(user, LONGEST_NAME);
        let Self {
            verdict, detail, ..
        } = self;
        format!("{verdict} rhost={remote}{detail} user={user}")
    }
}

fn offset(steps: Option<i64>) -> String {
    steps.map_or_else(String::new, |steps| format!(" offset={steps}"))
}

/// What the administrator should know beyond the reason's name.
const fn hint(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::ReadOnly => {
            Some("the store cannot be written, so nothing but time-based codes works")
        }
        Reason::OtherTime(_) => {
            Some("it is right for another time: a clock is off, or a token was pressed idly")
        }
        Reason::TooEarly => Some("it could have been accepted before the last boot"),
        Reason::ClockBehind => {
            Some("the clock went back: it stands before the enrolment or the issue")
        }
        _ => None,
    }
}

/// In quotes, at most `longest` bytes of it, `\...` for the rest. Printable ASCII stands for itself but for quotes,
/// the backslash and `=`, so that the text holds no field of its own; every other byte is `\xNN`.
#[must_use]
pub fn quoted(text: &[u8], longest: usize) -> String {
    let mut out = String::from("\"");
    for byte in text.iter().take(longest) {
        match byte {
            b'"' | b'\\' | b'=' => out.push_str(&format!("\\x{byte:02x}")),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push_str(if text.len() > longest {
        "\\...\""
    } else {
        "\""
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Acceptance, Method};

    fn refused(reason: Reason, user: &[u8]) -> String {
        Entry::of(Verdict::Refused(reason)).line(None, user)
    }

    #[test]
    fn lines_are_as_documented() {
        let accepted = |method, offset| Entry::of(Verdict::Accepted(Acceptance { method, offset }));
        let line = |entry: Entry, remote: &str| {
            let remote = remote.parse().ok();
            (entry.severity.number(), entry.line(remote, b"alice"))
        };
        assert_eq!(
            line(accepted(Method::Totp, Some(-1)), "198.51.100.7"),
            (
                6,
                "accepted method=totp offset=-1 rhost=198.51.100.7 user=\"alice\"".to_owned()
            )
        );
        assert_eq!(
            line(accepted(Method::Issued, None), "2001:db8::7").1,
            "accepted method=issued rhost=2001:db8::7 user=\"alice\""
        );
        assert_eq!(
            line(Entry::of(Verdict::Refused(Reason::Used)), "-"),
            (5, "refused reason=used rhost=- user=\"alice\"".to_owned())
        );
        let text = "/x line 3: \"why\"\n";
        assert_eq!(
            line(Entry::unavailable(Severity::Error, text), "-"),
            (
                3,
                "refused reason=unavailable rhost=- what=\"/x line 3: \\x22why\\x22\\x0a\" user=\"alice\""
                    .to_owned()
            )
        );
    }

    #[test]
    fn no_name_can_break_out_of_its_quotes_or_make_a_line_or_a_field() {
        let user = |name: &[u8]| refused(Reason::Mismatch, name);
        let hostile = b"x\" rhost=203.0.113.9\n\x1b[2J%s%n\\";
        assert_eq!(
            user(hostile),
            r#"refused reason=mismatch rhost=- user="x\x22 rhost\x3d203.0.113.9\x0a\x1b[2J%s%n\x5c""#
        );
        assert!(user("müller\u{202e}".as_bytes()).ends_with(r#"user="m\xc3\xbcller\xe2\x80\xae""#));
        assert!(user(b"\xff\x7f").ends_with(r#"user="\xff\x7f""#));
        let long = user(&[b'a'; 10_000_000]);
        assert!(long.len() < 400 && long.ends_with("a\\...\""), "{long}");
    }
}
