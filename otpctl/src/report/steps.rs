//! A demonstration, told step by step.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Answer, Page, Tint};

/// One step: what was done, what came of it, and the figures for scripts.
#[derive(Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) step: &'static str,
    #[serde(flatten)]
    pub(crate) figures: Map<String, Value>,
    #[serde(skip)]
    pub(crate) label: &'static str,
    #[serde(skip)]
    pub(crate) tint: Tint,
    #[serde(skip)]
    pub(crate) text: String,
}

impl Answer for Step {
    fn page(&self, page: &mut Page) {
        page.tinted_row(self.label, self.tint, &self.text);
    }
}

/// All of them, for scripts.
#[derive(Serialize)]
pub(crate) struct Steps<'a> {
    pub(crate) steps: &'a [Step],
}

impl Answer for Steps<'_> {
    fn page(&self, _: &mut Page) {}
}

/// What is said between the steps, to people alone.
#[derive(Serialize)]
pub(crate) struct Between<'a>(pub(crate) &'a str);

impl Answer for Between<'_> {
    fn page(&self, page: &mut Page) {
        for paragraph in self.0.split('\n') {
            page.paragraph(paragraph);
        }
    }
}
