//! Issued codes: handed out once, taken back, and what came of an answer.

use otp::time::UnixTime;
use otp::verify::{Acceptance, Reason, Verdict};
use serde::Serialize;
use zeroize::Zeroizing;

use super::words::{self, Stamp};
use super::{Answer, Page, Tint};

/// A code that was issued: its only showing.
#[derive(Serialize)]
pub(crate) struct Handed {
    pub(crate) user: String,
    pub(crate) id: String,
    #[serde(serialize_with = "as_text")]
    pub(crate) code: Zeroizing<String>,
    pub(crate) expires_at: Stamp,
    /// By which channel it was sent: not this one.
    pub(crate) channel: Option<&'static str>,
    pub(crate) sent_to: Option<String>,
}

fn as_text<S: serde::Serializer>(code: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(code)
}

impl Answer for Handed {
    fn page(&self, page: &mut Page) {
        let code = words::grouped(&self.code);
        let shown = page.painted(Tint::Strong, &code);
        page.line(&format!(
            "{}   good once, {}",
            shown.as_str(),
            until(self.expires_at.0, page.now())
        ));
        let user = words::printable(&self.user);
        let id = &self.id;
        page.paragraph(&format!(
            "She types it at the same prompt. Revoke: otpctl revoke {user} {id}"
        ));
    }
}

fn until(end: UnixTime, now: UnixTime) -> String {
    format!(
        "until {} ({})",
        words::end(end, now),
        words::span(end.since(now))
    )
}

/// A code that was sent, and is not shown.
#[derive(Serialize)]
pub(crate) struct SentOff {
    pub(crate) user: String,
    pub(crate) id: String,
    /// Null.
    pub(crate) code: (),
    pub(crate) expires_at: Stamp,
    pub(crate) channel: &'static str,
    /// Where it went, masked.
    pub(crate) sent_to: String,
}

impl Answer for SentOff {
    fn page(&self, page: &mut Page) {
        let (to, channel) = (words::printable(&self.sent_to), self.channel);
        let until = until(self.expires_at.0, page.now());
        page.paragraph(&format!("sent to {to} by {channel}   good once, {until}"));
        let user = words::printable(&self.user);
        let id = &self.id;
        page.paragraph(&format!(
            "She types it at the same prompt. Whether it was handed over: otpctl status {user}. Revoke: otpctl revoke {user} {id}"
        ));
    }
}

/// Several codes that were issued.
#[derive(Serialize)]
pub(crate) struct HandedAll {
    pub(crate) codes: Vec<Handed>,
}

impl Answer for HandedAll {
    fn page(&self, page: &mut Page) {
        let names = self
            .codes
            .iter()
            .map(|code| words::columns(&words::printable(&code.user)));
        let column = names.max().unwrap_or(0);
        for code in &self.codes {
            let user = words::printable(&code.user);
            let gap = " ".repeat(column.saturating_sub(words::columns(&user)));
            let grouped = words::grouped(&code.code);
            let shown = page.painted(Tint::Strong, &grouped);
            let line = Zeroizing::new(format!("{user}{gap}   {}   {}", shown.as_str(), code.id));
            page.line(&line);
        }
        if let Some(first) = self.codes.first() {
            let until = until(first.expires_at.0, page.now());
            page.paragraph(&format!(
                "Each good once, {until}. Revoke: otpctl revoke USER ID"
            ));
        }
    }
}

/// Codes that are good no longer.
#[derive(Serialize)]
pub(crate) struct Revoked {
    /// `None`: everyone's.
    pub(crate) user: Option<String>,
    pub(crate) revoked: Vec<String>,
}

impl Answer for Revoked {
    fn page(&self, page: &mut Page) {
        let whose = self
            .user
            .as_deref()
            .map_or_else(|| "everyone".to_owned(), words::printable);
        match self.revoked.as_slice() {
            [] => page.paragraph(&format!("There was no issued code to revoke for {whose}.")),
            [id] => page.paragraph(&format!("revoked {id} of {whose}")),
            ids if self.user.is_none() => {
                page.paragraph(&format!(
                    "revoked {}",
                    words::count(ids.len() as u64, "code")
                ));
            }
            ids => page.paragraph(&format!("revoked {} of {whose}", ids.join(", "))),
        }
    }
}

/// What came of an answer.
#[derive(Serialize)]
pub(crate) struct Verified {
    user: String,
    result: &'static str,
    method: Option<&'static str>,
    reason: Option<&'static str>,
    offset: Option<i64>,
    #[serde(skip)]
    verdict: Verdict,
}

impl Verified {
    pub(crate) fn new(user: &str, verdict: Verdict) -> Self {
        let (result, method, reason, offset) = match verdict {
            Verdict::Accepted(Acceptance { method, offset }) => {
                ("accepted", Some(method.name()), None, offset)
            }
            Verdict::Refused(reason) => ("refused", None, Some(reason.name()), reason.offset()),
        };
        Self {
            user: user.to_owned(),
            result,
            method,
            reason,
            offset,
            verdict,
        }
    }
}

impl Answer for Verified {
    fn page(&self, page: &mut Page) {
        let user = words::printable(&self.user);
        match self.verdict {
            Verdict::Accepted(Acceptance { method, offset }) => {
                let steps = offset.filter(|steps| *steps != 0);
                let steps = steps.map_or_else(String::new, |steps| format!(", {steps:+} step off"));
                let text = format!("{} code of {user}{steps}; it is used up now", method.name());
                page.tinted_row("accepted", Tint::Good, &text);
            }
            Verdict::Refused(reason) => {
                let text = format!("{}: {}", reason.name(), why(reason, &user));
                page.tinted_row("refused", Tint::Bad, &text);
            }
        }
    }
}

/// A refusal in words, with the way out.
pub(crate) fn why(reason: Reason, user: &str) -> String {
    match reason {
        Reason::Malformed => {
            "a code is 6 to 10 digits, a recovery code 16 letters and digits".to_owned()
        }
        Reason::NotEnrolled => format!("otpctl enroll {user}, or otpctl issue {user}"),
        Reason::Mismatch => {
            format!("no code of hers; if it should be, compare clocks: otpctl explain {user}")
        }
        Reason::OtherTime(steps) => format!(
            "right for another time ({steps:+} steps): a clock is off; otpctl explain {user}, otpctl resync {user}"
        ),
        Reason::Throttled => format!("too many failures; otpctl status {user} says until when"),
        Reason::Locked => format!("too many failures; otpctl unlock {user}"),
        Reason::Expired => format!("its time is over; otpctl issue {user}"),
        Reason::Withdrawn => {
            format!("it could not be sent, or was called off; otpctl issue {user}")
        }
        Reason::Used => "it was accepted before; wait for the next one".to_owned(),
        Reason::Disabled => format!("otpctl enable {user}"),
        Reason::ReadOnly => {
            "the store cannot be written, so nothing but app codes works; make room or remount it"
                .to_owned()
        }
        Reason::TooEarly => {
            "it belongs to a time before this machine started; wait for the next one".to_owned()
        }
        Reason::ClockBehind => {
            "it is from before she was enrolled: the clock went back; otpctl doctor".to_owned()
        }
    }
}

/// A refusal in a few words, where there is no way out to name.
pub(crate) const fn in_short(reason: Reason) -> &'static str {
    match reason {
        Reason::Malformed => "no code at all",
        Reason::NotEnrolled => "nothing is kept of her",
        Reason::Mismatch => "no code of hers",
        Reason::OtherTime(_) => "right for another time",
        Reason::Throttled => "too many failures",
        Reason::Locked => "too many failures since the last success",
        Reason::Expired => "its time is over",
        Reason::Withdrawn => "it could not be sent, or was called off",
        Reason::Used => "it was accepted before",
        Reason::Disabled => "an administrator has disabled her",
        Reason::ReadOnly => "the store cannot be written, so nothing but app codes works",
        Reason::TooEarly => "it belongs to a time before this machine started",
        Reason::ClockBehind => "it is from before she was enrolled: the clock went back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otp::verify::Method;

    fn page(answer: &impl Answer) -> String {
        let mut page = Page::new(false, 80);
        answer.page(&mut page);
        String::from_utf8(page.into_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_verdict_is_told_with_the_way_out() {
        let accepted = Verdict::Accepted(Acceptance {
            method: Method::Totp,
            offset: Some(-1),
        });
        assert_eq!(
            page(&Verified::new("alice", accepted)),
            "accepted    totp code of alice, -1 step off; it is used up now\n"
        );
        assert_eq!(
            page(&Verified::new("alice", Verdict::Refused(Reason::Locked))),
            "refused     locked: too many failures; otpctl unlock alice\n"
        );
    }
}
