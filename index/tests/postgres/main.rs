//! The tests of the crate's public interface on a library in PostgreSQL: those of `tests/library` that are not about
//! the files of a library in a folder. They need `SNAPSEEK_TEST_POSTGRES`, as `scripts/test.sh` sets it.

#![allow(clippy::unwrap_used)]

#[path = "../library/albums.rs"]
mod albums;
#[path = "../library/browse.rs"]
mod browse;
mod caches;
#[path = "../library/captions.rs"]
mod captions;
#[path = "../library/catalogue.rs"]
mod catalogue;
#[path = "../library/chats.rs"]
mod chats;
mod copy;
#[path = "../library/facets.rs"]
mod facets;
#[path = "../library/label_sets.rs"]
mod label_sets;
#[path = "../library/looks.rs"]
mod looks;
#[path = "../library/models.rs"]
mod models;
#[path = "../library/own.rs"]
mod own;
#[path = "../library/readings.rs"]
mod readings;
mod restarts;
#[path = "../library/search.rs"]
mod search;
mod sharing;
#[path = "../library/support.rs"]
mod support;
#[path = "../library/written.rs"]
mod written;
