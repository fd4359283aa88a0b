//! What came of codes on their way.

use serde::Serialize;

use super::{Answer, Page, words};

/// How many codes were handed over.
#[derive(Default, Serialize)]
pub(crate) struct Delivered {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
}

impl Answer for Delivered {
    fn page(&self, page: &mut Page) {
        page.paragraph(&match (self.sent, self.failed) {
            (0, 0) => "Nothing waits to be sent.".to_owned(),
            (sent, 0) => format!("sent {}", words::count(sent, "code")),
            (sent, failed) => format!(
                "sent {}, and {failed} could not be: the system's log says why",
                words::count(sent, "code")
            ),
        });
    }
}

/// How many codes were withdrawn that reached nobody.
#[derive(Default, Serialize)]
pub(crate) struct Settled {
    pub(crate) withdrawn: u64,
}

impl Answer for Settled {
    fn page(&self, page: &mut Page) {
        page.paragraph(&match self.withdrawn {
            0 => "Nothing to withdraw.".to_owned(),
            n => format!("withdrew {}", words::count(n, "code")),
        });
    }
}
