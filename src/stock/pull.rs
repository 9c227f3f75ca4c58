//! Downloads of models.

use crate::config::Settings;
use crate::exit::Failure;
use crate::model;
use crate::model::blip2::{self, Blip2Use};
use crate::model::chat_model;
use crate::model::ocr::TextReader;
use crate::model::ocr::scripts::{self, ScriptModel};
use crate::model_choice::{self, rounded};
use crate::terminal::console::Console;
use crate::terminal::progress::{Gauge, Unit};
use crate::terminal::sanitize;
use anyhow::Context;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What came of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// The model is installed.
    Installed,
    /// The user did not want it.
    Declined,
    /// It was cancelled; what has come is kept, and the next download goes on from there.
    Cancelled,
}

/// Downloads a model, unless it is installed and undamaged; what is damaged is deleted first. Without `yes`, the user is
/// asked, where there is one. The console says what was done.
///
/// # Errors
/// No model is called so, `--offline` is set, or the download fails.
pub fn pull(
    name: &str,
    yes: bool,
    settings: &Settings,
    console: &Console,
    cancel: &AtomicBool,
) -> anyhow::Result<Pulled> {
    if let Some(model) = ScriptModel::named(name) {
        return script_model(model, yes, settings, console, cancel);
    }
    let spec = model_choice::spec(name)?;
    let Some((repo, _)) = model::repository(&spec) else {
        console.note(format_args!("{name} needs no download"));
        return Ok(Pulled::Installed);
    };
    if let Some(folder) = model::locate(&spec)? {
        let damaged = model::delete_damaged(&folder)?;
        if damaged.is_empty() {
            console.note(format_args!("{name} is installed in {} and undamaged", sanitize::path(&folder)));
            return Ok(Pulled::Installed);
        }
        console.warn(format_args!("{} of {name} was damaged and has been deleted", damaged.join(", ")));
    }
    refuse_offline(name, settings)?;
    let mut agree = |bytes: u64| {
        let what = format!("{repo} from Hugging Face ({}, licence: {})", rounded(bytes), model::licence(repo));
        if yes || !console.stderr_terminal {
            console.note(format_args!("downloading {what}"));
            return true;
        }
        console.confirm(&format!("Download {what}?"))
    };
    let Some(folder) = model_choice::pull(&spec, settings, console, &mut agree, cancel)? else {
        return Ok(if cancel.load(Ordering::Relaxed) { Pulled::Cancelled } else { Pulled::Declined });
    };
    console.note(format_args!("{name} is installed in {}", sanitize::path(&folder)));
    if is_quantizable(&folder) {
        console
            .note(format_args!("`snapseek models quantize {name}` makes a smaller form that is several times faster"));
    }
    Ok(Pulled::Installed)
}

/// Whether a smaller form of the model in a folder can be made.
pub(super) fn is_quantizable(folder: &Path) -> bool {
    chat_model::is_instructed(folder) || matches!(blip2::use_of(folder), Ok(Blip2Use::Writes))
}

fn refuse_offline(name: &str, settings: &Settings) -> anyhow::Result<()> {
    if settings.offline {
        return Err(Failure::missing(format!("{name} is not installed, and it cannot be downloaded with --offline")));
    }
    Ok(())
}

/// Downloads a model that reads lines of text.
fn script_model(
    model: &ScriptModel,
    yes: bool,
    settings: &Settings,
    console: &Console,
    cancel: &AtomicBool,
) -> anyhow::Result<Pulled> {
    let (name, cache) = (model.name, Settings::cache_dir()?);
    let file = model.file(&cache);
    if file.is_file() {
        if model.is_undamaged(&cache)? {
            console.note(format_args!("{name} is installed in {} and undamaged", sanitize::path(&file)));
            return Ok(Pulled::Installed);
        }
        std::fs::remove_file(&file)?;
        console.warn(format_args!("{name} was damaged and has been deleted"));
    }
    refuse_offline(name, settings)?;
    let what = format!("{name} from ModelScope (some 10 MB, licence: {})", scripts::LICENCE);
    if yes || !console.stderr_terminal {
        console.note(format_args!("downloading {what}"));
    } else if !console.confirm(&format!("Download {what}?")) {
        return Ok(Pulled::Declined);
    }
    let mut gauge = Gauge::new(console, Unit::Bytes, cancel);
    let pulled = model.pull(&cache, &mut |done, total| gauge.show(name, done, total));
    gauge.clear();
    if pulled.is_err() && cancel.load(Ordering::Relaxed) {
        return Ok(Pulled::Cancelled);
    }
    pulled.with_context(|| format!("{name} cannot be downloaded"))?;
    // That it is what was published does not say that it can be used here.
    TextReader::open(&file).with_context(|| format!("{name} is what was published, but cannot be used"))?;
    console.note(format_args!("{name} is installed; `--ocr {name}` (`ocr = \"{name}\"` in the config) reads with it"));
    Ok(Pulled::Installed)
}
