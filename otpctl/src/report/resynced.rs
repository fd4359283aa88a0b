//! What came of three codes in a row.

use otp::enrollment::Kind;
use otp::resync::Resynced;
use otp::time::Period;
use otp::user::UserName;
use otp::verify::Reason;
use serde::Serialize;

use super::{Answer, Page, Tint, codes, words};
use crate::journal::quoted;

/// What came of it, and of which authenticator.
pub(crate) struct Came {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) digits: usize,
    pub(crate) resynced: Resynced,
    /// The counter of its next code.
    pub(crate) next: Option<u64>,
    /// Of the policy, in steps.
    pub(crate) max_drift: u8,
}

/// The same, to be told.
#[derive(Serialize)]
pub(crate) struct InStep<'a> {
    user: String,
    name: &'a str,
    r#type: &'static str,
    result: &'static str,
    reason: Option<&'static str>,
    offset: Option<i64>,
    counter: Option<u64>,
    #[serde(skip)]
    came: &'a Came,
}

impl<'a> InStep<'a> {
    pub(crate) fn new(user: &UserName, came: &'a Came) -> Self {
        let (result, reason, offset) = match came.resynced {
            Resynced::Done { offset } => ("resynchronised", None, Some(offset)),
            Resynced::Refused(reason) => ("refused", Some(reason.name()), reason.offset()),
        };
        Self {
            user: user.to_string(),
            name: &came.name,
            r#type: came.kind.name(),
            result,
            reason,
            offset,
            counter: came.next.filter(|_| came.kind == Kind::Hotp),
            came,
        }
    }

    fn done(&self, offset: i64) -> String {
        let found = match self.came.kind.period() {
            Some(period) => match words::drift(offset, period.as_secs()) {
                Some(drift) => format!("its clock is {drift}, which is known now"),
                None => "its clock is right".to_owned(),
            },
            None => match offset {
                0 => "it was in step".to_owned(),
                skipped => format!("{} skipped", words::were(skipped, "code")),
            },
        };
        format!("{found}. The three codes are used up; the next one logs her in.")
    }

    fn refused(&self, reason: Reason, user: &str) -> String {
        let digits = self.came.digits;
        match reason {
            Reason::Malformed => {
                format!("it takes three codes of {digits} digits, one a line; nothing has changed")
            }
            Reason::Mismatch => format!(
                "no three codes of it in a row: none left out, in the order in which it showed them; otpctl explain {user} --name {} tells what it should show",
                quoted(self.name)
            ),
            Reason::OtherTime(steps) => {
                let period = self.came.kind.period().unwrap_or(Period::THIRTY);
                let drift = words::drift(steps, period.as_secs()).unwrap_or_default();
                let most = words::count(self.came.max_drift, "step");
                format!(
                    "its clock is {drift}, and max_drift in otp.toml allows {most}: set the clock that is wrong; otpctl doctor looks at this one's. Nothing has changed"
                )
            }
            Reason::Used => {
                "one of them was accepted before; wait for three fresh ones. Nothing has changed"
                    .to_owned()
            }
            other => codes::why(other, user),
        }
    }
}

impl Answer for InStep<'_> {
    fn page(&self, page: &mut Page) {
        let user = words::printable(&self.user);
        let of = format!("{} of {user}", words::printable(self.name));
        match self.came.resynced {
            Resynced::Done { offset } => {
                let text = format!("{of}: {}", self.done(offset));
                page.tinted_row("in step", Tint::Good, &text);
            }
            Resynced::Refused(reason) => {
                let why = self.refused(reason, &user);
                let text = format!("{of}: {}: {why}", reason.name());
                page.tinted_row("refused", Tint::Bad, &text);
            }
        }
    }
}
