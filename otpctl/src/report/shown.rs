//! Answers of a line or two.

use serde::Serialize;

use super::standing::Status;
use super::{Answer, Page, words};

/// How many codes were swept.
#[derive(Serialize)]
pub(crate) struct Swept {
    pub(crate) deleted: u64,
}

impl Answer for Swept {
    fn page(&self, page: &mut Page) {
        page.paragraph(&match self.deleted {
            0 => "Nothing to sweep.".to_owned(),
            n => format!("swept {}", words::count(n, "spent code")),
        });
    }
}

/// That something was done to a user, and how she stands now.
pub(crate) struct Done<'a> {
    pub(crate) said: String,
    pub(crate) status: &'a Status,
}

impl Serialize for Done<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.status.serialize(to)
    }
}

impl Answer for Done<'_> {
    fn page(&self, page: &mut Page) {
        page.paragraph(&self.said);
    }
}
