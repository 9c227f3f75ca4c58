//! What the user of a terminal sees in addition to results: messages, progress, and foreign text made harmless.

pub mod abilities;
pub mod console;
pub mod graphics;
pub mod listener;
pub mod progress;
pub mod sanitize;
pub mod signals;
pub mod text;
