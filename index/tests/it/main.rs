//! Tests of the library from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod catalogue;
mod damage;
mod search;
mod support;
