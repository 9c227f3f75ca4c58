//! Opens the model for captions and answers: which one, and in which form.

use crate::config::{DeviceChoice, Precision, Settings};
use crate::exit::{Failure, explain};
use crate::model::blip2::{self, Blip2Use};
use crate::model::chat_model::{self, ChatModel};
use crate::model::hub::presets::{CHAT_PRESETS, ChatPreset};
use crate::model::hub::quantized;
use crate::model::{self, Bits, Manifest, ModelSpec};
use crate::model_choice::{self, rounded};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use snapseek_index::Library;
use std::path::{Path, PathBuf};

/// What a library calls its choice.
const SETTING: &str = "captioner";

/// An opened model for captions and answers.
pub struct NamedChatModel {
    /// The model.
    pub model: Box<dyn ChatModel>,
    /// Its name for the user.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Others that are installed, if it was chosen from several without being named.
    pub others: Vec<String>,
}

/// Which model writes captions and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionerChoice {
    /// Its name.
    pub name: String,
    /// Who chose it.
    pub by: ChosenBy,
}

/// Who chose a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// The settings name it.
    Settings,
    /// The library remembers it.
    Library,
    /// Nobody: it is the first of those that are installed.
    Nobody,
}

/// Opens the model that the settings name, else the one that the library remembers, else one that is installed; in the
/// form that the settings name. The library remembers one that was named, or chosen from several.
///
/// # Errors
/// The model is missing (exit code 3), writes nothing, is damaged, or does not fit into memory.
pub fn open(settings: &Settings, library: Option<&Library>, console: &Console) -> anyhow::Result<NamedChatModel> {
    let Some(CaptionerChoice { name, by }) = which(settings, library)? else { return Err(none()) };
    let opened = named(&name, settings, console);
    match by {
        ChosenBy::Settings => {
            let opened = opened?;
            if library.map(remembered).transpose()?.flatten().as_ref() != Some(&opened.name) {
                remember(&opened.name, library)?;
            }
            Ok(opened)
        }
        ChosenBy::Library => opened.map_err(|error| {
            let known = sanitize::text(&name);
            error.context(format!(
                "{known} writes this library's captions and answers (`--captioner NAME` chooses another)"
            ))
        }),
        ChosenBy::Nobody => {
            let mut opened = opened?;
            let others = installed(&Settings::cache_dir()?)?.into_iter().filter(|other| *other != name);
            opened.others = others.collect();
            if !opened.others.is_empty() {
                let remembers = if library.is_some() { "; the library remembers the choice" } else { "" };
                console.note(format_args!(
                    "using {} for captions and answers ({} installed too: `--captioner NAME` chooses another{remembers})",
                    sanitize::text(&name),
                    opened.others_are()
                ));
                remember(&opened.name, library)?;
            }
            Ok(opened)
        }
    }
}

impl NamedChatModel {
    /// "a and b are", of those that were not chosen.
    #[must_use]
    pub fn others_are(&self) -> String {
        let others: Vec<String> = self.others.iter().map(|name| sanitize::text(name)).collect();
        if others.len() == 1 { format!("{} is", others[0]) } else { format!("{} are", others.join(", ")) }
    }
}

/// Which model [`open`] opens; `None` if none is installed.
///
/// # Errors
/// The catalogue cannot be read, or the home directory is unknown.
pub fn which(settings: &Settings, library: Option<&Library>) -> anyhow::Result<Option<CaptionerChoice>> {
    if let Some(asked) = &settings.captioner {
        return Ok(Some(CaptionerChoice { name: asked.clone(), by: ChosenBy::Settings }));
    }
    if let Some(name) = library.map(remembered).transpose()?.flatten() {
        return Ok(Some(CaptionerChoice { name, by: ChosenBy::Library }));
    }
    let first = installed(&Settings::cache_dir()?)?.into_iter().next();
    Ok(first.map(|name| CaptionerChoice { name, by: ChosenBy::Nobody }))
}

/// The model that a library remembers.
///
/// # Errors
/// The catalogue cannot be read.
pub fn remembered(library: &Library) -> anyhow::Result<Option<String>> {
    Ok(library.setting(SETTING)?)
}

/// Makes a library remember a model, or none.
///
/// # Errors
/// The catalogue cannot be written.
pub fn choose_for(library: &Library, name: Option<&str>) -> anyhow::Result<()> {
    match name {
        Some(name) => library.set_setting(SETTING, name)?,
        None => library.clear_setting(SETTING)?,
    }
    Ok(())
}

/// Opens the model of this name, in the form that the settings name.
///
/// # Errors
/// As [`open`].
pub fn named(asked: &str, settings: &Settings, console: &Console) -> anyhow::Result<NamedChatModel> {
    let (name, folder) = located(asked, settings)?;
    console.detail(format_args!("{name} in {}", sanitize::path(&folder)));
    if settings.device != DeviceChoice::Cpu {
        console.note("captions and answers are computed on the CPU; --device applies to the other models");
    }
    let model = chat_model::open(&folder, Some(&Settings::cache_dir()?), settings.tiles)?;
    Ok(NamedChatModel { model, name, folder, others: Vec::new() })
}

/// The name of this model, and the folder of the form that the settings name.
///
/// # Errors
/// The model is missing (exit code 3), or writes nothing.
pub fn located(asked: &str, settings: &Settings) -> anyhow::Result<(String, PathBuf)> {
    let cache = Settings::cache_dir()?;
    let (name, folder) = match model_choice::spec(asked) {
        Ok(ModelSpec::Auto | ModelSpec::Starter | ModelSpec::Clip) => {
            return Err(Failure::usage(format!(
                "{asked} cannot write captions: --captioner takes smolvlm, blip2, another name of `snapseek models list \
                 --available`, org/name or a folder"
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
    let mut has_forms = true;
    if let Some(folder) = &folder {
        if !chat_model::is_chat_model(folder) {
            return Err(Failure::usage(format!(
                "{} describes no model that writes captions (SmolVLM, LLaVA, Idefics 2, Qwen3-VL or BLIP-2), or is damaged",
                sanitize::path(&folder.join("config.json"))
            )));
        }
        if !chat_model::is_instructed(folder) {
            has_forms = check_blip2(asked, folder, settings)?;
        }
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
        (Some(folder), None) if !has_forms => folder.clone(),
        _ => choose(&name, folder.as_deref(), settings, &cache)?,
    };
    Ok((name, folder))
}

/// Whether a BLIP-2 that writes can have smaller forms.
///
/// # Errors
/// It does not write, or smaller forms are asked for and it has none (exit code 2).
fn check_blip2(asked: &str, folder: &Path, settings: &Settings) -> anyhow::Result<bool> {
    match blip2::use_of(folder)? {
        Blip2Use::Matches => Err(Failure::usage(format!(
            "{asked} compares photos with texts and writes none: `search --rerank` and `score --matcher` take it"
        ))),
        Blip2Use::WritesWithT5 if !wanted(settings.precision).contains(&None) => {
            Err(Failure::usage(format!("{asked} has no smaller forms, because its language model is T5")))
        }
        of => Ok(of == Blip2Use::Writes),
    }
}

fn remember(name: &str, library: Option<&Library>) -> anyhow::Result<()> {
    let Some(library) = library else { return Ok(()) };
    match library.set_setting(SETTING, name) {
        // On a read-only disk it counts for this time only.
        Err(error) if error.is_read_only() => Ok(()),
        result => Ok(result?),
    }
}

/// The names of the models for captions and answers that are installed, in any form, the preferred first: small ones
/// that follow instructions before large ones, BLIP-2 after them, then others.
fn installed(cache: &Path) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = model::installed()
        .into_iter()
        .filter(|model| matches!(model.kind, model::Kind::Blip2 | model::Kind::VisionLanguage))
        .map(|model| model.name)
        .collect();
    names.extend(quantized::forms(cache).into_iter().map(|form| form.manifest.source));
    let known = |name: &String| CHAT_PRESETS.iter().position(|preset| preset.name == name);
    names.sort_by_key(|name| (known(name).unwrap_or(CHAT_PRESETS.len()), name.clone()));
    names.dedup();
    Ok(names)
}

/// The error where no model for captions is installed.
fn none() -> anyhow::Error {
    let line = |ChatPreset { name, bytes, licence, about, .. }: &ChatPreset| {
        format!("\n  {name:<13} {:>7}, {licence}: {about}", rounded(*bytes))
    };
    let all: String = CHAT_PRESETS.iter().map(line).collect();
    Failure::missing(format!(
        "captions and questions need a model that is downloaded once; none is installed. `snapseek models pull smolvlm` \
         downloads a small one, and these are known:{all}\n`snapseek models quantize NAME` then makes a form that needs \
         less memory; --captioner DIR uses the model in a folder"
    ))
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
            let known = CHAT_PRESETS.iter().find(|preset| preset.name == name);
            let size = known.map_or(String::new(), |preset| format!(" ({})", rounded(preset.bytes)));
            format!(
                "captions and questions need the model {name}, which is not installed: `snapseek models pull {name}` \
                 downloads it once{size}, and `snapseek models quantize {name}` then makes a form that needs less \
                 memory; --captioner DIR uses the model in a folder"
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
