//! Files of other software, understood: bytes in, people out, or why not. Pure, one file a format; no word of a line is
//! ever part of what is said of it, since it may be a secret.

pub(crate) mod csv;
pub(crate) mod google;
pub(crate) mod migration;
pub(crate) mod oath;
pub(crate) mod otpauth;
pub(crate) mod person;
pub(crate) mod pskc;
pub(crate) mod text;
