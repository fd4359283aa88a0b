//! What a release needs to have in order beside its code: what it is made of, and what is said of it.

mod crates;
mod dependencies;
mod sbom;
