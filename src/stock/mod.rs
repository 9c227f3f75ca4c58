//! Models at hand: what is installed and what can be, downloads, checks, smaller forms. Both front ends do it through this.

pub mod list;
mod pull;
mod quantize;
pub mod verify;

pub use pull::{Pulled, pull};
pub use quantize::{Quantized, quantize};

use crate::config::Settings;
use crate::exit::Failure;
use crate::model::ocr::scripts::ScriptModel;
use crate::model::{self, ModelSpec};
use crate::model_choice;
use crate::reading;
use std::path::PathBuf;

/// The folder of an installed model; of one that reads lines of text, its file.
///
/// # Errors
/// It is not installed or has no folder (exit code 3), or no model is called so.
pub fn installed(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(model) = ScriptModel::named(name) {
        let file = model.file(&Settings::cache_dir()?);
        return if file.is_file() { Ok(file) } else { Err(reading::not_installed(model)) };
    }
    let spec = model_choice::spec(name)?;
    if matches!(spec, ModelSpec::Starter | ModelSpec::Auto) {
        return Err(Failure::missing(format!(
            "{name} has no folder: starter is built in, and auto only chooses a model"
        )));
    }
    model::locate(&spec)?
        .ok_or_else(|| Failure::missing(format!("{name} is not installed; `snapseek models pull {name}` downloads it")))
}
