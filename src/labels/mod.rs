//! Zero-shot classification: photos sorted by labels that a person names.

pub mod classify;
