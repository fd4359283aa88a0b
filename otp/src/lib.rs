//! One-time codes: what a code is and when it is accepted.
//!
//! Two kinds of codes answer one prompt. A TOTP is math: a shared [`secret`] and the [`time`] give the same
//! digits on both sides ([`hotp`], [`totp`]); [`confirm`] is how an app proves that it has the secret. A stored code is memory: drawn, kept as a keyed hash ([`keyed`],
//! [`issued`]), compared, expired. [`verify`] is the only place that accepts either. It is pure: what is known of a user
//! ([`enrollment`], [`state`]), what was typed ([`passcode`]), where it came from ([`origin`]) and the clock go in; a
//! verdict comes out, and what must be kept. A [`store`] makes that durable before anyone is told. The [`policy`] is what
//! the administrator decided, who is asked at all among it. Whether a stored code is sent to somebody who asks for one, and
//! where, is decided by [`request`] ([`delivery`], [`sends`]).
//!
//! Around that is what several programs do alike: [`judging`] an answer with the store at hand, asking otpd at its [`door`], how
//! a user stands ([`standing`]), the line for the log ([`journal`]).
//!
//! Nothing here reads the wall clock, draws a random number or prints by itself: side effects are arguments. What touches the machine
//! says so by its name: [`store`], the client of the [`door`], [`passwd`], [`syslog`].
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test may overflow and fail"
    )
)]

mod bytes;
pub mod calendar;
pub mod confirm;
pub mod delivery;
#[cfg(test)]
mod dice;
pub mod door;
pub mod drift;
pub mod enrollment;
pub mod history;
pub mod hotp;
pub mod issued;
pub mod journal;
pub mod judging;
pub mod keyed;
pub mod origin;
pub mod passcode;
pub mod passwd;
pub mod policy;
pub mod qr;
pub mod request;
pub mod resync;
pub mod secret;
pub mod sends;
pub mod service;
pub mod standing;
pub mod state;
pub mod store;
pub mod syslog;
pub mod throttle;
pub mod time;
pub mod totp;
pub mod uri;
pub mod user;
pub mod verify;
