//! snapseek.
pub mod pixels;
