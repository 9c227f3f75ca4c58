//! `models verify`: files against published checksums, and what a model computes against published numbers.

use crate::cli::VerifyArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model::ocr::scripts::{SCRIPT_MODELS, ScriptModel};
use crate::model::published::PUBLISHED;
use crate::model::{self, ChecksumVerdict, FileVerdict};
use crate::model_choice::rounded;
use crate::stock::verify::{self, SelfTest};
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

pub(super) fn run(args: &VerifyArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let pictures = pictures(&args.picture)?;
    let names: Vec<String> = match &args.name {
        Some(name) => vec![name.clone()],
        None => {
            let cache = Settings::cache_dir()?;
            let reading = SCRIPT_MODELS.iter().filter(|model| model.file(&cache).is_file());
            let others = model::installed().into_iter().map(|model| model.name);
            others.chain(reading.map(|model| model.name.to_owned())).collect()
        }
    };
    let cancel = signals::cancel()?;
    let test = SelfTest { pictures, settings, console, cancel };
    let (mut is_sound, mut is_right) = (true, true);
    for name in &names {
        if name != "starter" {
            let Some(files) = verify::files(name, console, cancel)? else { return Ok(Exit::Interrupted) };
            files.iter().try_for_each(|file| tell(name, file, settings, console))?;
            is_sound &= files.iter().all(|file| file.verdict != ChecksumVerdict::Differs);
        }
        if !args.files_only && ScriptModel::named(name).is_none() {
            is_right &= test.run(name)?;
        }
        if cancel.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
    }
    if !is_sound {
        console.warn(
            "files that differ from what was downloaded are deleted and downloaded again by `snapseek models pull NAME`; \
             of others, delete the model's folder first",
        );
    }
    if !is_right {
        console.warn("a model does not compute what its published weights do: do not trust what it finds or writes");
    }
    Ok(if is_sound && is_right { Exit::Success } else { Exit::Partial })
}

/// Prints what was found of a file of a model.
fn tell(name: &str, found: &FileVerdict, settings: &Settings, console: &Console) -> anyhow::Result<()> {
    let FileVerdict { file, bytes, verdict } = found;
    let words = verify::words(*verdict);
    if settings.json {
        return console.json(&json!({"schema": 1, "model": name, "file": file, "bytes": bytes, "verdict": verdict}));
    }
    let (name, file) = (sanitize::text(name), sanitize::text(file));
    Ok(console.line(&format!("{name:<30}  {file:<30}  {:>8}  {words}", rounded(*bytes)))?)
}

/// The pictures that the user gives, by the names under which numbers are published.
fn pictures(given: &[PathBuf]) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let name = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default();
        let known = PUBLISHED.iter().find(|published| file == published.picture).map(|published| published.picture);
        known.map(|name| (name, path.clone())).ok_or_else(|| {
            let mut names: Vec<&str> = PUBLISHED.iter().map(|published| published.picture).collect();
            names.dedup();
            Failure::usage(format!(
                "no numbers are published of {}: of {} they are",
                sanitize::path(path),
                names.join(", ")
            ))
        })
    };
    given.iter().map(name).collect()
}
