//! How often codes are sent: to a user, and by the machine. Pure state machines; FILEFORMAT.md has the records.

/// The most sends to a user that count in an hour, whatever a policy says.
pub const MAX_SENDS: usize = 30;
