//! The text in photos: of single files, and of a whole library.

pub mod index_run;
pub mod picture;

use crate::config::Settings;
use crate::exit::Failure;
use crate::model::ocr::scripts::ScriptModel;
use crate::model::ocr::{self, TextReader};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use index_run::{TextOptions, TextSummary};
use snapseek_index::Library;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Under this name a library remembers whether the text in its photos is read.
const SETTING: &str = "text";

/// What reads text: the models that are built in or, for the lines, the one that the settings name: by the name of
/// a [`ScriptModel`] or by its file.
///
/// # Errors
/// That model is missing or none (exit code 3).
pub fn open(settings: &Settings) -> anyhow::Result<TextReader> {
    let Some(file) = &settings.ocr else { return TextReader::built_in() };
    let file = match file.to_str().and_then(ScriptModel::named) {
        None => file.clone(),
        Some(model) => {
            let pulled = model.file(&Settings::cache_dir()?);
            if !pulled.is_file() {
                return Err(not_installed(model));
            }
            pulled
        }
    };
    let problem = |error| format!("{} cannot read text: {error:#}", sanitize::path(&file));
    TextReader::open(&file).map_err(|error| Failure::missing(problem(error)))
}

/// Says that a model is not installed, and what to do.
pub(crate) fn not_installed(model: &ScriptModel) -> anyhow::Error {
    let name = model.name;
    Failure::missing(format!("{name} is not installed; `snapseek models pull {name}` downloads it"))
}

/// Whether the text in a library's photos is to be read: as was chosen for it, else as the config file says; `None` if
/// nobody has said so yet.
///
/// # Errors
/// The catalogue cannot be read.
pub fn is_wanted(library: &Library, settings: &Settings) -> anyhow::Result<Option<bool>> {
    Ok(library.setting(SETTING)?.map(|chosen| chosen == "yes").or(settings.text))
}

/// Remembers for a library whether the text in its photos is to be read.
///
/// # Errors
/// The catalogue cannot be written.
pub fn want(library: &Library, yes: bool) -> anyhow::Result<()> {
    Ok(library.set_setting(SETTING, if yes { "yes" } else { "no" })?)
}

/// Reads the text in the photos in `folders`, or all, that were not read yet; with `again`, also in those that another
/// reader has read.
///
/// # Errors
/// As for [`open`] and [`index_run::run`].
pub fn read(
    library: &Library,
    again: bool,
    folders: &[PathBuf],
    settings: &Settings,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<TextSummary> {
    let reader = open(settings)?;
    let options = TextOptions { reader: &reader, edge: ocr::EDGE, again, threads: settings.threads };
    index_run::run(library, options, folders, cancel, console)
}
