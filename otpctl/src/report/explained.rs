//! How a code comes about.

use serde::Serialize;
use zeroize::Zeroizing;

use super::words;
use super::{Answer, Page, Tint};
use otp::time::UnixTime;

/// Every quantity on the way to a code.
pub(crate) struct Explained {
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) secret: Option<Zeroizing<String>>,
    /// Where time moves the codes on.
    pub(crate) timed: Option<Timed>,
    /// Where a counter does: that of the next code.
    pub(crate) counter: Option<u64>,
    /// None is left at the end of all counters.
    pub(crate) code: Option<String>,
    pub(crate) checked: Vec<Checked>,
    pub(crate) words: String,
}

/// How time comes to a step.
pub(crate) struct Timed {
    pub(crate) unix_time: u64,
    pub(crate) period: u64,
    pub(crate) step: u64,
    pub(crate) seconds_left: u64,
}

/// For scripts.
#[derive(Serialize)]
struct Object<'a> {
    user: &'a str,
    name: &'a str,
    secret: Option<&'a str>,
    unix_time: Option<u64>,
    step: Option<u64>,
    counter: Option<u64>,
    code: Option<&'a str>,
    seconds_left: Option<u64>,
    checked: &'a [Checked],
}

/// A step or counter the server checks, and what it would say to its code.
#[derive(Serialize)]
pub(crate) struct Checked {
    pub(crate) step: Option<u64>,
    pub(crate) counter: Option<u64>,
    pub(crate) offset: i64,
    pub(crate) code: String,
    pub(crate) verdict: &'static str,
}

impl Serialize for Explained {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let timed = self.timed.as_ref();
        let object = Object {
            user: &self.user,
            name: &self.name,
            secret: self.secret.as_ref().map(|secret| secret.as_str()),
            unix_time: timed.map(|timed| timed.unix_time),
            step: timed.map(|timed| timed.step),
            counter: self.counter,
            code: self.code.as_deref(),
            seconds_left: timed.map(|timed| timed.seconds_left),
            checked: &self.checked,
        };
        object.serialize(to)
    }
}

impl Answer for Explained {
    fn page(&self, page: &mut Page) {
        page.tinted_row(&words::printable(&self.user), Tint::Strong, &self.words);
        match &self.secret {
            Some(secret) => page.row("secret", &words::key(secret)),
            None => {
                let with = if self.timed.is_some() { "app" } else { "token" };
                let text = format!("shared with her {with} (--show-secret shows it)");
                page.row("secret", &text);
            }
        }
        let code = words::grouped(self.code.as_deref().unwrap_or_default());
        let code = code.as_str();
        match (&self.timed, self.counter) {
            (Some(timed), _) => {
                let Timed {
                    unix_time,
                    period,
                    step,
                    ..
                } = timed;
                let at = words::moment(UnixTime::from_secs(*unix_time), page.now());
                let seconds = format!("{unix_time} s since 1970, which is {at}");
                page.row("unix time", &seconds);
                page.row("step", &format!("{unix_time} / {period} = {step}"));
                let left = words::count(timed.seconds_left, "second");
                page.row("code", &format!("{code}   for {left} more"));
            }
            (None, Some(counter)) => {
                page.row("counter", &format!("{counter}, the first that is not used"));
                page.row("code", &format!("{code}   until it or a later one is used"));
            }
            (None, None) => page.row("counter", "at its end: there are no codes left"),
        }
        page.blank();
        page.line("What the server checks, and would say now");
        for checked in &self.checked {
            checked.line(page);
        }
    }
}

impl Checked {
    pub(crate) fn line(&self, page: &mut Page) {
        let tint = if self.verdict == "accepted" {
            Tint::Good
        } else {
            Tint::Warning
        };
        let verdict = page.painted(tint, self.verdict);
        let code = words::grouped(&self.code);
        let offset = self.offset;
        let what = match (self.step, self.counter) {
            (Some(step), _) => format!("step {step}"),
            (None, counter) => format!("counter {}", counter.unwrap_or_default()),
        };
        page.line(&format!(
            "  {offset:+3}   {what}   {}   {}",
            code.as_str(),
            verdict.as_str()
        ));
    }
}
