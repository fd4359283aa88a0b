//! No answer tells one reason from another.
