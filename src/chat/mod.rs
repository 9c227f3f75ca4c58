//! Chats about a photo.

pub mod export;
pub mod session;
