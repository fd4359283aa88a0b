//! The one log line of a login. Nothing a stranger chose reaches it unescaped, and `user=` stands last, so that a
//! lax expression of fail2ban is never fed an address through a name.

use std::ffi::c_int;
use std::net::IpAddr;

use otp::verify::{Reason, Verdict};

use crate::host::PamHost;
use crate::login::{Failure, Host, Outcome};

/// A user name is never longer in the log, in bytes before escaping.
const LONGEST_NAME: usize = 256;
/// Neither is an error's text.
const LONGEST_TEXT: usize = 512;

/// Writes the line, if the outcome has one.
pub(crate) fn write(outcome: &Outcome, host: &PamHost<'_>) {
    let Some((priority, what)) = what(outcome) else {
        return;
    };
    let line = line(&what, host.remote_address(), &host.typed_name());
    host.log(priority, &line);
}

/// `accepted method=totp offset=-1 rhost=198.51.100.7 user="alice"`
fn line(what: &What, remote: Option<IpAddr>, user: &[u8]) -> String {
    let remote = remote.map_or_else(|| "-".to_owned(), |address| address.to_string());
    let user = quoted(user, LONGEST_NAME);
    let What { verdict, detail } = what;
    format!("{verdict} rhost={remote}{detail} user={user}")
}

/// What came of it, and what is told beside it.
struct What {
    verdict: String,
    detail: String,
}

fn what(outcome: &Outcome) -> Option<(c_int, What)> {
    let plain = |verdict: String| What {
        verdict,
        detail: String::new(),
    };
    let unavailable = |text: &str| What {
        verdict: "refused reason=unavailable".to_owned(),
        detail: format!(" what={}", quoted(text.as_bytes(), LONGEST_TEXT)),
    };
    Some(match outcome {
        Outcome::Exempt => return None,
        Outcome::Judged(Verdict::Accepted(acceptance)) => {
            let method = acceptance.method.name();
            let offset = acceptance.offset.map(|steps| format!(" offset={steps}"));
            let offset = offset.unwrap_or_default();
            (
                libc::LOG_INFO,
                plain(format!("accepted method={method}{offset}")),
            )
        }
        Outcome::Judged(Verdict::Refused(reason)) => {
            let detail = hint(*reason)
                .map(|hint| format!(" what={}", quoted(hint.as_bytes(), LONGEST_TEXT)));
            let offset = reason.offset().map(|steps| format!(" offset={steps}"));
            let what = What {
                verdict: format!(
                    "refused reason={}{}",
                    reason.name(),
                    offset.unwrap_or_default()
                ),
                detail: detail.unwrap_or_default(),
            };
            (libc::LOG_NOTICE, what)
        }
        Outcome::Failed(Failure::Unavailable(text)) => (libc::LOG_ERR, unavailable(text)),
        // Somebody closed the window or pressed Ctrl-C: nothing to mend.
        Outcome::Failed(Failure::NoConversation) => (
            libc::LOG_NOTICE,
            unavailable("the conversation was broken off"),
        ),
        Outcome::Failed(Failure::Fault(text)) => (libc::LOG_ERR, unavailable(text)),
        Outcome::Failed(Failure::Panic) => (
            libc::LOG_ERR,
            unavailable("an internal fault of pam_otp: please report it"),
        ),
    })
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
pub(crate) fn quoted(text: &[u8], longest: usize) -> String {
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
    use otp::verify::{Acceptance, Method};

    fn written(outcome: Outcome, remote: Option<&str>, user: &[u8]) -> Option<(c_int, String)> {
        let remote = remote.map(|address| address.parse().unwrap());
        what(&outcome).map(|(priority, what)| (priority, line(&what, remote, user)))
    }

    fn accepted(method: Method, offset: Option<i64>) -> Outcome {
        Outcome::Judged(Verdict::Accepted(Acceptance { method, offset }))
    }

    #[test]
    fn lines_are_as_documented() {
        let line = |outcome, remote| written(outcome, remote, b"alice").unwrap();
        assert_eq!(
            line(accepted(Method::Totp, Some(-1)), Some("198.51.100.7")),
            (
                libc::LOG_INFO,
                "accepted method=totp offset=-1 rhost=198.51.100.7 user=\"alice\"".to_owned()
            )
        );
        assert_eq!(
            line(accepted(Method::Issued, None), Some("2001:db8::7")).1,
            "accepted method=issued rhost=2001:db8::7 user=\"alice\""
        );
        assert_eq!(
            line(Outcome::Judged(Verdict::Refused(Reason::Used)), None),
            (
                libc::LOG_NOTICE,
                "refused reason=used rhost=- user=\"alice\"".to_owned()
            )
        );
        let unavailable = Failure::Unavailable("/x line 3: \"why\"\n".to_owned());
        assert_eq!(
            line(Outcome::Failed(unavailable), None),
            (
                libc::LOG_ERR,
                "refused reason=unavailable rhost=- what=\"/x line 3: \\x22why\\x22\\x0a\" user=\"alice\""
                    .to_owned()
            )
        );
        assert_eq!(written(Outcome::Exempt, None, b"alice"), None);
    }

    #[test]
    fn no_name_can_break_out_of_its_quotes_or_make_a_line_or_a_field() {
        let refused = || Outcome::Judged(Verdict::Refused(Reason::Mismatch));
        let user = |name: &[u8]| written(refused(), None, name).unwrap().1;
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
