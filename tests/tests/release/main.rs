//! What a release needs to have in order beside its code: what it is made of.

mod crates;
mod sbom;
