//! The text in photos: of single files, and of a whole library.

pub mod index_run;
pub mod picture;

use crate::config::Settings;
use crate::exit::Failure;
use crate::model::ocr::TextReader;
use crate::terminal::sanitize;

/// What reads text: the models that are built in or, for the lines, the one that the settings name.
///
/// # Errors
/// That model is missing or none (exit code 3).
pub fn open(settings: &Settings) -> anyhow::Result<TextReader> {
    let Some(file) = &settings.ocr else { return TextReader::built_in() };
    let problem = |error| format!("{} cannot read text: {error:#}", sanitize::path(file));
    TextReader::open(file).map_err(|error| Failure::missing(problem(error)))
}
