//! Libraries in a folder, whose catalogue is a SQLite file.

pub(crate) mod position;
pub(crate) mod schema;
pub(crate) mod second_look;
