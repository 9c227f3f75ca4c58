//! The terminal UI.
//!
//! One [`state::State`], one pure [`update::update`] function (event in, [`event::Effect`]s out), and pure views
//! ([`view::draw`]). Everything that takes time runs in [`work`], which answers with messages that carry the request's
//! generation, so that an old answer never overwrites a newer one. [`run()`] connects them.
//!
//! - [`layout`]: where things are on the screen; shared by views and mouse
//! - [`gallery`], [`source`], [`complete`]: a list of photos, where it comes from, completion of queries
//! - [`action`], [`keymap`], [`overlay`], [`theme`]: what keys do, which keys, help and palette, colours
//! - [`browse`], [`filters`], `choices`, [`command`]: lists to browse, lists to choose from, commands with arguments
//! - [`zoom`], [`copies`], [`models`]: which part of a photo is seen, which copies are kept, which models there are
//! - `terminal`: takes the terminal over and gives it back

pub mod action;
pub mod browse;
pub mod burst;
mod choices;
pub mod command;
pub mod complete;
pub mod copies;
pub mod event;
pub mod filters;
pub mod gallery;
pub mod keymap;
pub mod layout;
pub mod models;
pub mod overlay;
pub mod place;
mod run;
pub mod source;
pub mod state;
mod terminal;
#[cfg(test)]
mod tests;
pub mod theme;
pub mod update;
pub mod view;
pub mod work;
pub mod zoom;

pub use run::{run, wanted};
