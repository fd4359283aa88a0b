//! The log line of a login, sent through libpam. How it reads is told in [`otp::journal`].

use std::ffi::c_int;

use otp::journal::{Entry, Severity};

use crate::account::{Settled, Why};
use crate::host::PamHost;
use crate::login::{Exempt, Failure, Host, Outcome};
use crate::request::Told;

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

fn send(entry: Option<Entry>, host: &PamHost<'_>) {
    if let Some(entry) = entry {
        let line = entry.line(host.remote_address(), &host.typed_name());
        host.log(c_int::from(entry.severity.number()), &line);
    }
}

fn what(outcome: &Outcome) -> Option<Entry> {
    let let_by = |verdict| Some(Entry::plain(Severity::Info, verdict));
    match outcome {
        Outcome::Exempt(Exempt::NotEnrolled) => None,
        Outcome::Exempt(Exempt::Rule(number)) => let_by(format!("exempted rule={number}")),
        Outcome::Exempt(Exempt::Remembered) => let_by("remembered".to_owned()),
        Outcome::Judged(verdict) => Some(Entry::of(*verdict)),
        Outcome::Failed(failure) => Some(what_of_failure(failure)),
    }
}

fn what_of_account(settled: &Settled) -> Option<Entry> {
    let refused = |text: &str| {
        let verdict = "refused reason=not-enrolled";
        Entry::explained(Severity::Notice, verdict, text)
    };
    Some(match settled {
        Settled::NoConcern => return None,
        Settled::Enrolled { recovery_codes } => {
            let verdict = format!("enrolled type=totp recovery-codes={recovery_codes}");
            Entry::plain(Severity::Notice, verdict)
        }
        Settled::Refused(Why::GaveUp) => refused("she did not prove that her app has the key"),
        Settled::Refused(Why::Over(last)) => {
            refused(&format!("the last day to enrol at a login was {last}"))
        }
        Settled::Refused(Why::Overtaken) => refused("another login has enrolled her meanwhile"),
        Settled::Failed(failure) => what_of_failure(failure),
    })
}

fn what_of_request(told: &Told<'_>) -> Entry {
    match told {
        Told::Sent(channel) => Entry::plain(Severity::Info, format!("requested channel={channel}")),
        Told::Refused(why) => not_requested(why.name()),
        Told::Enough => not_requested("enough"),
        Told::Failed(failure) => what_failed("not requested", failure),
    }
}

fn not_requested(reason: &str) -> Entry {
    Entry::plain(Severity::Notice, format!("not requested reason={reason}"))
}

fn what_of_failure(failure: &Failure) -> Entry {
    what_failed("refused", failure)
}

/// What was not done, and what keeps us from knowing whether it should be.
fn what_failed(not_done: &str, failure: &Failure) -> Entry {
    let unavailable = |severity, text: &str| {
        let verdict = format!("{not_done} reason=unavailable");
        Entry::explained(severity, &verdict, text)
    };
    match failure {
        Failure::Unavailable(text) => unavailable(Severity::Error, text),
        // Somebody closed the window or pressed Ctrl-C: nothing to mend.
        Failure::NoConversation => unavailable(Severity::Notice, "the conversation was broken off"),
        Failure::Fault(text) => unavailable(Severity::Error, text),
        Failure::Panic => unavailable(
            Severity::Error,
            "an internal fault of pam_otp: please report it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otp::delivery::Channel;
    use otp::request::Why;

    fn written(outcome: Outcome) -> Option<(u8, String)> {
        let remote = "192.0.2.9".parse().ok();
        what(&outcome).map(|entry| (entry.severity.number(), entry.line(remote, b"alice")))
    }

    #[test]
    fn who_is_let_by_is_told_of_but_for_those_of_whom_nothing_is_kept() {
        let told = |text: &str| Some((6, format!("{text} rhost=192.0.2.9 user=\"alice\"")));
        let exempt = |why| written(Outcome::Exempt(why));
        assert_eq!(exempt(Exempt::NotEnrolled), None);
        assert_eq!(exempt(Exempt::Rule(2)), told("exempted rule=2"));
        assert_eq!(exempt(Exempt::Remembered), told("remembered"));
    }

    #[test]
    fn what_failed_is_told_and_matters_where_it_can_be_mended() {
        let failed = |failure| written(Outcome::Failed(failure)).unwrap();
        let line = |text: &str| {
            format!("refused reason=unavailable rhost=192.0.2.9 what=\"{text}\" user=\"alice\"")
        };
        let unavailable = Failure::Unavailable("/x line 3: why".to_owned());
        assert_eq!(failed(unavailable), (3, line("/x line 3: why")));
        let gone = line("the conversation was broken off");
        assert_eq!(failed(Failure::NoConversation), (5, gone));
        assert_eq!(failed(Failure::Fault("odd")), (3, line("odd")));
        let panic = line("an internal fault of pam_otp: please report it");
        assert_eq!(failed(Failure::Panic), (3, panic));
    }

    #[test]
    fn lines_of_requests_are_as_documented() {
        let line = |told: Told<'_>| {
            let entry = what_of_request(&told);
            let remote = "198.51.100.7".parse().ok();
            (entry.severity.number(), entry.line(remote, b"alice"))
        };
        let told = |text: &str| format!("{text} rhost=198.51.100.7 user=\"alice\"");
        assert_eq!(
            line(Told::Sent(Channel::Sms)),
            (6, told("requested channel=sms"))
        );
        assert_eq!(
            line(Told::Refused(Why::NoContact)),
            (5, told("not requested reason=no-contact"))
        );
        assert_eq!(line(Told::Enough), (5, told("not requested reason=enough")));
        let failure = Failure::Unavailable("x: why".to_owned());
        let text =
            "not requested reason=unavailable rhost=198.51.100.7 what=\"x: why\" user=\"alice\"";
        assert_eq!(line(Told::Failed(&failure)), (3, text.to_owned()));
    }
}
