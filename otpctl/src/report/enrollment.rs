//! An authenticator's one showing, and the recovery codes that come with it.

use otp::enrollment::{Authenticator, Kind};
use otp::qr::Picture;
use otp::state::AuthenticatorState;
use otp::store::Enrolled;
use otp::time::Period;
use otp::uri;
use serde::Serialize;
use zeroize::Zeroizing;

use super::words;
use super::{Answer, Page, Tint};
use crate::qr::Form;

/// What an app needs. Wiped on drop.
pub(crate) struct Setup {
    pub(crate) user: String,
    pub(crate) uri: Zeroizing<String>,
    secret: Zeroizing<String>,
    name: String,
    kind: &'static str,
    algorithm: &'static str,
    digits: usize,
    period: Option<u64>,
    counter: Option<u64>,
    words: String,
}

impl Setup {
    pub(crate) fn of(
        user: &str,
        authenticator: &Authenticator,
        state: &AuthenticatorState,
    ) -> Self {
        Self {
            user: user.to_owned(),
            uri: uri::otpauth(authenticator, state),
            secret: authenticator.secret.to_base32(),
            name: authenticator.name.clone(),
            kind: authenticator.kind.name(),
            algorithm: authenticator.algorithm.name(),
            digits: authenticator.length.digits(),
            period: authenticator.kind.period().map(Period::as_secs),
            counter: match authenticator.kind {
                Kind::Totp { .. } => None,
                Kind::Hotp => state.used.next_counter(),
            },
            words: words::authenticator(authenticator),
        }
    }

    fn object<'a>(&'a self, recovery_codes: Option<&'a [Zeroizing<String>]>) -> Object<'a> {
        Object {
            user: &self.user,
            uri: &self.uri,
            secret: &self.secret,
            name: &self.name,
            r#type: self.kind,
            algorithm: self.algorithm,
            digits: self.digits,
            period: self.period,
            counter: self.counter,
            recovery_codes: recovery_codes
                .map(|codes| codes.iter().map(|code| code.as_str()).collect()),
        }
    }
}

/// For scripts.
#[derive(Serialize)]
struct Object<'a> {
    user: &'a str,
    uri: &'a str,
    secret: &'a str,
    name: &'a str,
    r#type: &'static str,
    algorithm: &'static str,
    digits: usize,
    period: Option<u64>,
    counter: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<&'a str>>,
}

/// The QR code, the key and the URI.
pub(crate) struct Showing<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) picture: &'a Picture,
    pub(crate) form: &'a Form,
}

impl Serialize for Showing<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.setup.object(None).serialize(to)
    }
}

impl Answer for Showing<'_> {
    fn page(&self, page: &mut Page) {
        let is_drawn = self.picture(page);
        let lead = if is_drawn {
            "or type the key"
        } else {
            "type the key"
        };
        page.labelled_column(lead, Tint::Strong, &words::key(&self.setup.secret));
        page.labelled_column("", Tint::Plain, &self.setup.words);
        page.labelled_column("or open", Tint::Plain, &self.setup.uri);
        page.blank();
    }
}

impl Showing<'_> {
    /// Draws the code or says where it is; whether there is one.
    fn picture(&self, page: &mut Page) -> bool {
        let side = self.picture.side();
        let (needed, text) = match self.form {
            Form::None => return false,
            Form::Png(path) | Form::Svg(path) => {
                page.paragraph(&format!(
                    "Scan {} with an authenticator app",
                    words::printable(&path.display().to_string())
                ));
                page.paragraph("It holds the secret: remove it when it is scanned.");
                page.blank();
                return true;
            }
            Form::Utf8 => (side, self.picture.to_utf8(page.has_colour())),
            Form::Ascii => (
                side.saturating_mul(2),
                self.picture.to_ascii(page.has_colour()),
            ),
        };
        if needed > page.width() {
            page.paragraph(&format!(
                "The QR code needs {needed} columns, and there are {}: widen the terminal, or use --qr FILE.png",
                page.width()
            ));
            page.blank();
            return false;
        }
        page.line("Scan this with an authenticator app");
        page.blank();
        for line in text.lines() {
            page.line(line);
        }
        page.blank();
        true
    }
}

/// That somebody is enrolled now, and her recovery codes.
pub(crate) struct Welcome<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) came_of_it: Enrolled,
    pub(crate) recovery_codes: &'a [Zeroizing<String>],
    /// How far her phone's clock is off, where she proved that she has the secret.
    pub(crate) confirmed: Option<i64>,
}

impl Serialize for Welcome<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.setup.object(Some(self.recovery_codes)).serialize(to)
    }
}

impl Answer for Welcome<'_> {
    fn page(&self, page: &mut Page) {
        let user = words::printable(&self.setup.user);
        let drift = self
            .confirmed
            .and_then(|steps| words::drift(steps, self.setup.period?));
        let drift = drift.map_or_else(String::new, |drift| {
            format!(" Her phone's clock is {drift}, which is fine.")
        });
        let name = words::printable(&self.setup.name);
        page.paragraph(&match self.came_of_it {
            Enrolled::Replaced => {
                format!("{user} is enrolled anew; the old secret no longer works.{drift}")
            }
            Enrolled::Added => format!("{user} has {name} beside what she had.{drift}"),
            _ => format!("{user} is enrolled.{drift}"),
        });
        if self.confirmed.is_some() {
            page.paragraph(match self.setup.period {
                Some(_) => "The code just typed is used up; the next one logs her in.",
                None => "The codes just typed are used up; the next one logs her in.",
            });
        }
        page.blank();
        if !self.recovery_codes.is_empty() {
            recovery(page, self.recovery_codes);
        }
        page.paragraph(
            "Next: otpctl try sshd   (asks for codes at ssh logins, takes itself back unless you confirm)",
        );
    }
}

fn recovery(page: &mut Page, codes: &[Zeroizing<String>]) {
    page.paragraph("Recovery codes, each good once. Keep them where the phone is not.");
    let columns = if page.width() >= 50 { 2 } else { 1 };
    for line in codes.chunks(columns) {
        let mut shown = Zeroizing::new(String::with_capacity(80));
        for code in line {
            shown.push_str("    ");
            shown.push_str(code);
        }
        page.line(&shown);
    }
    page.blank();
}

/// A fresh list of recovery codes.
#[derive(Serialize)]
pub(crate) struct Recovery<'a> {
    pub(crate) user: &'a str,
    #[serde(serialize_with = "as_texts")]
    pub(crate) recovery_codes: &'a [Zeroizing<String>],
}

fn as_texts<S: serde::Serializer>(codes: &[Zeroizing<String>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(codes.iter().map(|code| code.as_str()))
}

impl Answer for Recovery<'_> {
    fn page(&self, page: &mut Page) {
        recovery(page, self.recovery_codes);
        let user = words::printable(self.user);
        page.paragraph(&format!(
            "The codes {user} had before no longer work. Her authenticator is as it was."
        ));
    }
}
