//! The command from outside: what it prints, where, and how it ends. Every test runs the real binary.
#![allow(missing_docs, reason = "tests say it in their names")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test that is wrong should fail loudly"
)]

mod codes;
mod contact;
mod delivering;
mod demo;
mod devices;
mod docs;
mod doctor;
mod enrolling;
mod fleet;
mod guides;
mod hostile;
mod looking;
mod manuals;
mod metrics;
mod picture;
mod scripts;
mod terminal;
mod trying;
mod watching;
mod world;
