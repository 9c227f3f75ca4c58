//! Conversations about a photo.

pub mod conversation;
