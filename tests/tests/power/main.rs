//! The power is lost at any moment: after any operation of a login or a verb of the command, with a process killed before
//! or not. What was told stays true, the next fresh code works, and nothing needs cleaning by hand.
//!
//! The operations are those of the built programs, watched by strace ([`record`]). A model of the disk ([`disk`]) says what
//! could be left of them, [`states`] which of that is tried, [`claims`] what was promised by then; and the code that reads
//! the store at every login, and the built programs themselves, say whether it holds ([`checks`]).
//!
//! A short form runs with the other tests; `PAM_OTP_TRIALS=full cargo test -p tests --test power` tries everything, and
//! `-- --show-output` says how much.

mod acts;
mod checks;
mod claims;
mod disk;
mod record;
mod scenes;
mod states;
mod tree;
mod trial;
