//! How good the results are: the reference's numbers, and the figures in docs/figures.md.
//!
//! `cargo test --release --test quality -- --nocapture NAME` prints them, where NAME is a module below.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod blip2;
mod clusters;
mod duplicates;
mod eight_bits;
mod expected;
mod families;
mod levels;
mod matches;
mod reference;
mod scaled_decode;
mod shapes;
mod text;
mod vision_language;
