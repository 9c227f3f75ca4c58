//! What BLIP-2 sees in photos, and the captions that it writes.

pub mod look;
pub mod run;
