//! What chat models see in photos, and the captions that they write.

pub mod facts;
pub mod index_run;
pub mod look;
pub mod open;
pub mod run;
pub mod verify;
pub mod wish;
