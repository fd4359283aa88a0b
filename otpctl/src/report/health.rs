//! What the doctor found.

use serde::Serialize;

use super::{Answer, Page, Tint, words};

/// Everything that was looked at.
#[derive(Serialize)]
pub(crate) struct Health {
    pub(crate) checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// Whether nothing is wrong with it.
    pub(crate) ok: bool,
    pub(crate) detail: String,
    /// What mends it.
    pub(crate) fix: Option<String>,
}

impl Check {
    pub(crate) fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            ok: true,
            detail: detail.into(),
            fix: None,
        }
    }

    /// Something that is no fault and should be known.
    pub(crate) fn known(
        name: &'static str,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            fix: Some(fix.into()),
            ..Self::good(name, detail)
        }
    }

    pub(crate) fn fault(
        name: &'static str,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            ok: false,
            ..Self::known(name, detail, fix)
        }
    }
}

impl Health {
    pub(crate) fn faults(&self) -> usize {
        self.checks.iter().filter(|check| !check.ok).count()
    }
}

impl Answer for Health {
    fn page(&self, page: &mut Page) {
        for check in &self.checks {
            let (word, tint) = match check {
                Check { ok: false, .. } => ("fault", Tint::Bad),
                Check { fix: Some(_), .. } => ("note", Tint::Warning),
                Check { .. } => ("ok", Tint::Good),
            };
            let detail = words::printable(&check.detail);
            page.tinted_row(word, tint, &format!("{}: {detail}", check.name));
            if let Some(fix) = &check.fix {
                page.row("", &format!("-> {}", words::printable(fix)));
            }
        }
        page.blank();
        page.paragraph(&match self.faults() {
            0 => "Nothing wrong found.".to_owned(),
            1 => "1 fault. Mend it, then run otpctl doctor again.".to_owned(),
            n => format!("{n} faults. Mend the first, then run otpctl doctor again."),
        });
    }
}
