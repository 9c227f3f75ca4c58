//! What BLIP-2 sees in photos, and the captions that it writes.

pub mod index_run;
pub mod look;
pub mod open;
pub mod run;
