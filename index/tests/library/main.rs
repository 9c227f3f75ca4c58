//! Tests of the crate's public interface, in one binary.

#![allow(clippy::unwrap_used)]

mod albums;
mod browse;
mod captions;
mod catalogue;
mod chats;
mod damage;
mod facets;
mod killed;
mod label_sets;
mod looks;
mod models;
mod own;
mod readings;
mod search;
mod segments;
mod support;
mod written;
