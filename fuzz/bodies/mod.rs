//! What each fuzz target does with bytes that anybody may have made. A panic is a finding.
//!
//! `texts` and `line` have what people write, `records` what is on the disk, `asked` what is kept of codes that are sent, `logins` what happens at the prompt. The last two
//! compare the product with a `Person`, who is a user as the formats and the RFCs have her: of the code under test she knows
//! only the names of verdicts. A new kind of code, or a new field of a record, is told to `person` and `format`; what is
//! known of one authenticator and of failures, to `used` and `waits`.
//!
//! Those that read files keep a store of their own beneath `/run`, so they run as root.

mod asked;
mod door;
mod format;
mod house;
mod line;
mod logins;
mod person;
mod records;
mod texts;
mod used;
mod waits;

pub use asked::{contacts, machine, sends};
pub use door::door;
pub use line::line;
pub use logins::logins;
pub use records::{secrets, slots, state, stored};
pub use texts::{passcode, policy, user};

/// The clock of every trial that has no clock of its own.
const NOW: u64 = 1_800_000_015;
