//! A store in memory, for the demonstrations: it is gone when they are over.

/// The store in memory.
#[derive(Default)]
pub struct MemoryStore {}
