//! `models`: what is installed, where, how large, under which licence.

use crate::cli::ModelsAction;
use crate::config::Settings;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::model::{self, ModelSpec};
use crate::models::CLIP_SIZE;
use crate::{models, sanitize};
use serde_json::json;

pub(super) fn run(action: &ModelsAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    match action {
        ModelsAction::List => list(settings, console),
        ModelsAction::Path { name } => {
            let spec = models::spec(name)?;
            if matches!(spec, ModelSpec::Starter | ModelSpec::Auto) {
                return Err(Failure::missing(format!(
                    "{name} has no folder: it is built into the program, or a choice"
                )));
            }
            let folder = model::locate(&spec)?.ok_or_else(|| {
                Failure::missing(format!("{name} is not installed; `snapseek models pull {name}` downloads it"))
            })?;
            console.bytes(&console.path_bytes(&folder))?;
            console.line("")?;
            Ok(Exit::Success)
        }
        ModelsAction::Pull { name, yes } => {
            let spec = models::spec(name)?;
            if matches!(spec, ModelSpec::Starter | ModelSpec::Auto) {
                console.note(format_args!("{name} needs no download"));
                return Ok(Exit::Success);
            }
            if let Some(folder) = model::locate(&spec)? {
                let damaged = model::verify(&folder)?;
                if damaged.is_empty() {
                    console.note(format_args!("{name} is installed in {}, undamaged", sanitize::path(&folder)));
                    return Ok(Exit::Success);
                }
                console.warn(format_args!("{} of {name} is damaged and deleted", damaged.join(", ")));
            }
            if settings.offline {
                return Err(Failure::missing(format!("{name} is not installed, and --offline forbids the download")));
            }
            let size = match spec {
                ModelSpec::Clip => format!(" ({CLIP_SIZE}, licence MIT)"),
                _ => String::new(),
            };
            if !yes && console.stderr_terminal && !console.confirm(&format!("Download {name}{size} from Hugging Face?"))
            {
                return Ok(Exit::NothingFound);
            }
            let folder = models::pull(&spec, settings, console)?;
            console.note(format_args!("{name} is installed in {}", sanitize::path(&folder)));
            Ok(Exit::Success)
        }
    }
}

fn list(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    for model in model::installed() {
        if settings.json {
            console.json(
                &json!({"schema": 1, "name": model.name, "path": model.dir.as_ref().map(|d| d.to_string_lossy()),
                "bytes": model.bytes, "licence": model.licence, "revision": model.revision, "dim": model.dim}),
            )?;
            continue;
        }
        let place = model.dir.as_deref().map_or("built in".to_owned(), sanitize::path);
        let (name, licence) = (sanitize::text(&model.name), sanitize::text(&model.licence));
        let megabytes = model.bytes as f64 / 1e6;
        console
            .line(&format!("{}  {megabytes:.0} MB  {licence}  {place}", console.style("1", &format!("{name:<30}"))))?;
    }
    if !settings.json && model::locate(&ModelSpec::Clip)?.is_none() {
        console.note(format_args!(
            "not installed: clip (openai/clip-vit-base-patch32, {CLIP_SIZE}, MIT); `snapseek models pull clip` gets it"
        ));
    }
    Ok(Exit::Success)
}
