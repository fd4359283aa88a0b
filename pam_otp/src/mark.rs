//! What the auth hook leaves on the handle for the account hook, which alone is called only once the whole of `auth` has
//! passed. Nothing in it is secret.

use otp::history::History;
use otp::user::Account;

/// Word of one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Who was seen, as the passwd database has her.
    pub(crate) account: Account,
    /// What of her.
    pub(crate) found: Found,
}

/// What the auth hook found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing is kept of her, and she was let by because of it.
    NotEnrolled,
    /// A code of hers was accepted, or her address is remembered.
    Known(History),
}
