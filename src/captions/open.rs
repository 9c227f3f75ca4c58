//! Opens BLIP-2 for a command: which model, and in which form.

use crate::config::{DeviceChoice, Precision, Settings};
use crate::exit::{Failure, explain};
use crate::model::blip2::{self, Bits, Blip2, Blip2Use, Manifest};
use crate::model::hub::quantized;
use crate::model::{self, ModelSpec};
use crate::model_choice;
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use snapseek_index::Library;
use std::path::{Path, PathBuf};

/// Size of BLIP-2's download.
pub const BLIP2_SIZE: &str = "15.0 GB";

/// An opened BLIP-2.
pub struct NamedBlip2 {
    /// The model.
    pub model: Blip2,
    /// Its name for the user.
    pub name: String,
}

/// Opens the BLIP-2 that the settings name, in the form that they name.
///
/// # Errors
/// The model is missing (exit code 3), is not a BLIP-2, is damaged, or does not fit into memory.
pub fn open(settings: &Settings, console: &Console) -> anyhow::Result<NamedBlip2> {
    let cache = Settings::cache_dir()?;
    let asked = &settings.blip2;
    let (name, folder) = match model_choice::spec(asked) {
        Ok(ModelSpec::Auto | ModelSpec::Starter | ModelSpec::Clip) => {
            return Err(Failure::usage(format!(
                "{asked} cannot write captions: --blip2 takes blip2, org/name or a folder"
            )));
        }
        Ok(spec) => (model_choice::name(&spec), model::locate(&spec)?),
        // A quantized form may outlive the folder it was made from.
        Err(error) => {
            let name = std::path::absolute(asked)?.to_string_lossy().into_owned();
            if !quantized::forms(&cache).iter().any(|form| form.manifest.source == name) {
                return Err(error);
            }
            (name, None)
        }
    };
    if let Some(folder) = &folder
        && !model::is_blip2(folder)
    {
        return Err(Failure::usage(format!(
            "{} describes no BLIP-2, or is damaged",
            sanitize::path(&folder.join("config.json"))
        )));
    }
    match folder.as_deref().map(blip2::use_of).transpose()? {
        Some(Blip2Use::Matches) => {
            return Err(Failure::usage(format!(
                "{asked} compares photos with texts and writes none: `search --rerank` and `score --matcher` take it"
            )));
        }
        Some(Blip2Use::WritesWithT5) if !wanted(settings.precision).contains(&None) => {
            return Err(Failure::usage(format!("{asked} has no smaller forms, because its language model is T5")));
        }
        _ => {}
    }
    let name = model::short_name(&name).to_owned();
    let made_of = folder.as_deref().map(Manifest::read).transpose()?.flatten();
    let folder = match (&folder, made_of) {
        (Some(folder), Some(manifest)) => {
            let form = quantized::label(manifest.bits);
            if !wanted(settings.precision).contains(&Some(manifest.bits)) {
                return Err(Failure::usage(format!("{} holds only the {form} form", sanitize::path(folder))));
            }
            folder.clone()
        }
        _ => choose(&name, folder.as_deref(), settings, &cache)?,
    };
    console.detail(format_args!("{name} in {}", sanitize::path(&folder)));
    if settings.device != DeviceChoice::Cpu {
        console.note("captions and answers are computed on the CPU; --device applies to the other models");
    }
    Ok(NamedBlip2 { model: Blip2::open(&folder, Some(&cache))?, name })
}

/// The acceptable forms, best first; `None` is the model as it was published.
fn wanted(precision: Precision) -> &'static [Option<Bits>] {
    match precision {
        Precision::Auto => &[Some(Bits::Four), Some(Bits::Eight), None],
        Precision::Full => &[None],
        Precision::Q8 => &[Some(Bits::Eight)],
        Precision::Q4 => &[Some(Bits::Four)],
    }
}

/// The folder of the first form that exists.
fn choose(name: &str, folder: Option<&Path>, settings: &Settings, cache: &Path) -> anyhow::Result<PathBuf> {
    for form in wanted(settings.precision) {
        let found = match form {
            Some(bits) => quantized::find(cache, name, folder, *bits)?.map(|form| form.dir),
            None => folder.map(Path::to_path_buf),
        };
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(Failure::missing(match (folder, settings.precision) {
        (Some(_), Precision::Q4) => {
            format!("there is no q4 form of {name}; `snapseek models quantize {name}` makes one")
        }
        (Some(_), _) => format!("there is no q8 form of {name}; `snapseek models quantize {name} --bits 8` makes one"),
        (None, _) => {
            let size = if name == "blip2" { format!(" ({BLIP2_SIZE})") } else { String::new() };
            format!(
                "captions and questions need the model {name}, which is not installed: `snapseek models pull {name}` \
                 downloads it once{size}, and `snapseek models quantize {name}` then makes a form that needs less \
                 memory; --blip2 DIR uses the model in a folder"
            )
        }
    }))
}

/// The library, if there is one, for what it already knows about pictures.
#[must_use]
pub fn library(settings: &Settings, console: &Console) -> Option<Library> {
    match Library::open(&settings.library) {
        Ok(library) => Some(library),
        Err(snapseek_index::Error::NoLibrary { .. }) => None,
        Err(error) => {
            console.warn(format_args!("{}; nothing will be saved", explain(&error.into())));
            None
        }
    }
}
