//! The one log line of a login. Nothing a stranger chose reaches it unescaped, and `user=` stands last, so that a
//! lax expression of fail2ban is never fed an address through a name.

use std::ffi::c_int;
use std::net::IpAddr;

use otp::verify::{Reason, Verdict};

use crate::account::{Settled, Why};
use crate::host::PamHost;
use crate::login::{Exempt, Failure, Host, Outcome};
use crate::request::Told;

/// A user name is never longer in the log, in bytes before escaping.
const LONGEST_NAME: usize = 256;
/// Neither is an error's text.
const LONGEST_TEXT: usize = 512;

/// Writes the line of a login, if it has one.
pub(crate) fn write(outcome: &Outcome, host: &PamHost<'_>) {
    send(what(outcome), host);
}

/// Writes the line of an account line, if it has one.
pub(crate) fn write_account(settled: &Settled, host: &PamHost<'_>) {
    send(what_of_account(settled), host);
}

/// Writes the line of a request for a code.
pub(crate) fn write_request(told: &Told<'_>, host: &PamHost<'_>) {
    send(Some(what_of_request(told)), host);
}

fn send(line_of: Option<(c_int, What)>, host: &PamHost<'_>) {
    if let Some((priority, what)) = line_of {
        let line = line(&what, host.remote_address(), &host.typed_name());
        host.log(priority, &line);
    }
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

impl What {
    fn plain(verdict: String) -> Self {
        let detail = String::new();
        Self { verdict, detail }
    }

    fn explained(verdict: &str, text: &str) -> Self {
        Self {
            verdict: verdict.to_owned(),
            detail: format!(" what={}", quoted(text.as_bytes(), LONGEST_TEXT)),
        }
    }
}

fn what(outcome: &Outcome) -> Option<(c_int, What)> {
    Some(match outcome {
        Outcome::Exempt(Exempt::NotEnrolled) => return None,
        Outcome::Exempt(Exempt::Rule(number)) => {
            let verdict = format!("exempted rule={number}");
            (libc::LOG_INFO, What::plain(verdict))
        }
        Outcome::Exempt(Exempt::Remembered) => {
            (libc::LOG_INFO, What::plain("remembered".to_owned()))
        }
        Outcome::Judged(Verdict::Accepted(acceptance)) => {
            let method = acceptance.method.name();
            let offset = acceptance.offset.map(|steps| format!(" offset={steps}"));
            let offset = offset.unwrap_or_default();
            let verdict = format!("accepted method={method}{offset}");
            (libc::LOG_INFO, What::plain(verdict))
        }
        Outcome::Judged(Verdict::Refused(reason)) => {
            let offset = reason.offset().map(|steps| format!(" offset={steps}"));
            let offset = offset.unwrap_or_default();
            let verdict = format!("refused reason={}{offset}", reason.name());
            let what = match hint(*reason) {
                Some(hint) => What::explained(&verdict, hint),
                None => What::plain(verdict),
            };
            (libc::LOG_NOTICE, what)
        }
        Outcome::Failed(failure) => what_of_failure(failure),
    })
}

fn what_of_account(settled: &Settled) -> Option<(c_int, What)> {
    let refused = |text: &str| {
        let what = What::explained("refused reason=not-enrolled", text);
        (libc::LOG_NOTICE, what)
    };
    Some(match settled {
        Settled::NoConcern => return None,
        Settled::Enrolled { recovery_codes } => {
            let verdict = format!("enrolled type=totp recovery-codes={recovery_codes}");
            (libc::LOG_NOTICE, What::plain(verdict))
        }
        Settled::Refused(Why::GaveUp) => refused("she did not prove that her app has the key"),
        Settled::Refused(Why::Over(last)) => {
            refused(&format!("the last day to enrol at a login was {last}"))
        }
        Settled::Refused(Why::Overtaken) => refused("another login has enrolled her meanwhile"),
        Settled::Failed(failure) => what_of_failure(failure),
    })
}

fn what_of_request(told: &Told<'_>) -> (c_int, What) {
    let not_for = |reason: &str| {
        let verdict = format!("not requested reason={reason}");
        (libc::LOG_NOTICE, What::plain(verdict))
    };
    match told {
        Told::Sent(channel) => {
            let verdict = format!("requested channel={channel}");
            (libc::LOG_INFO, What::plain(verdict))
        }
        Told::Refused(why) => not_for(why.name()),
        Told::Enough => not_for("enough"),
        Told::Failed(failure) => why_unavailable("not requested", failure),
    }
}

fn what_of_failure(failure: &Failure) -> (c_int, What) {
    why_unavailable("refused", failure)
}

/// What was not done, and what keeps us from knowing whether it should be.
fn why_unavailable(not_done: &str, failure: &Failure) -> (c_int, What) {
    let unavailable = |text: &str| {
        let verdict = format!("{not_done} reason=unavailable");
        What::explained(&verdict, text)
    };
    match failure {
        Failure::Unavailable(text) => (libc::LOG_ERR, unavailable(text)),
        // Somebody closed the window or pressed Ctrl-C: nothing to mend.
        Failure::NoConversation => (
            libc::LOG_NOTICE,
            unavailable("the conversation was broken off"),
        ),
        Failure::Fault(text) => (libc::LOG_ERR, unavailable(text)),
        Failure::Panic => (
            libc::LOG_ERR,
            unavailable("an internal fault of pam_otp: please report it"),
        ),
    }
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
    use otp::delivery::Channel;
    use otp::request::Why;
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
        assert_eq!(
            written(Outcome::Exempt(Exempt::NotEnrolled), None, b"alice"),
            None
        );
        let exempted = |why| line(Outcome::Exempt(why), Some("192.0.2.9"));
        let told = |text: &str| {
            (
                libc::LOG_INFO,
                format!("{text} rhost=192.0.2.9 user=\"alice\""),
            )
        };
        assert_eq!(exempted(Exempt::Rule(2)), told("exempted rule=2"));
        assert_eq!(exempted(Exempt::Remembered), told("remembered"));
    }

    #[test]
    fn lines_of_requests_are_as_documented() {
        let line = |told: Told<'_>| {
            let (priority, what) = what_of_request(&told);
            (priority, line(&what, "198.51.100.7".parse().ok(), b"alice"))
        };
        let told = |text: &str| format!("{text} rhost=198.51.100.7 user=\"alice\"");
        assert_eq!(
            line(Told::Sent(Channel::Sms)),
            (libc::LOG_INFO, told("requested channel=sms"))
        );
        assert_eq!(
            line(Told::Refused(Why::NoContact)),
            (libc::LOG_NOTICE, told("not requested reason=no-contact"))
        );
        assert_eq!(
            line(Told::Enough),
            (libc::LOG_NOTICE, told("not requested reason=enough"))
        );
        let failure = Failure::Unavailable("x: why".to_owned());
        assert_eq!(
            line(Told::Failed(&failure)),
            (
                libc::LOG_ERR,
                "not requested reason=unavailable rhost=198.51.100.7 what=\"x: why\" user=\"alice\""
                    .to_owned()
            )
        );
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
