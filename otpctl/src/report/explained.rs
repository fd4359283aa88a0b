//! How a code comes about.

use serde::Serialize;
use zeroize::Zeroizing;

use super::words;
use super::{Answer, Page, Tint};
use otp::time::UnixTime;

/// Every quantity on the way to a code.
#[derive(Serialize)]
pub(crate) struct Explained {
    pub(crate) user: String,
    #[serde(serialize_with = "as_text")]
    pub(crate) secret: Option<Zeroizing<String>>,
    pub(crate) unix_time: u64,
    pub(crate) step: u64,
    pub(crate) code: String,
    pub(crate) seconds_left: u64,
    pub(crate) checked: Vec<Checked>,
    #[serde(skip)]
    pub(crate) period: u64,
    #[serde(skip)]
    pub(crate) words: String,
}

/// A step the server checks, and what it would say to its code.
#[derive(Serialize)]
pub(crate) struct Checked {
    pub(crate) step: u64,
    pub(crate) offset: i64,
    pub(crate) code: String,
    pub(crate) verdict: &'static str,
}

fn as_text<S: serde::Serializer>(
    secret: &Option<Zeroizing<String>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|secret| secret.as_str()).serialize(to)
}

impl Answer for Explained {
    fn page(&self, page: &mut Page) {
        page.tinted_row(&words::printable(&self.user), Tint::Strong, &self.words);
        match &self.secret {
            Some(secret) => page.row("secret", &words::key(secret)),
            None => page.row("secret", "shared with her app (--show-secret shows it)"),
        }
        let at = words::moment(UnixTime::from_secs(self.unix_time), page.now());
        page.row(
            "unix time",
            &format!("{} s since 1970, which is {at}", self.unix_time),
        );
        page.row(
            "step",
            &format!("{} / {} = {}", self.unix_time, self.period, self.step),
        );
        let left = words::count(self.seconds_left, "second");
        let code = words::grouped(&self.code);
        page.row("code", &format!("{}   for {left} more", code.as_str()));
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
        let (offset, step) = (self.offset, self.step);
        page.line(&format!(
            "  {offset:+3}   step {step}   {}   {}",
            code.as_str(),
            verdict.as_str()
        ));
    }
}
