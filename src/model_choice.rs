//! Which model a command works with.

use crate::config::{DeviceChoice, Precision, Settings};
use crate::exit::Failure;
use crate::model::blip2::{self, Blip2Use, Matcher};
use crate::model::chat_model;
use crate::model::dual_encoder::TextModel;
use crate::model::hub::presets::{BLIP2_ITM, PRESETS, Preset, preset};
use crate::model::{self, Device, Embed, ModelSpec, Paired, StoreOptions, TowerBits};
use crate::terminal::console::Console;
use crate::terminal::progress::{Gauge, Unit};
use crate::terminal::sanitize;
use anyhow::Context;
use snapseek_index::{Error, Library, LibraryModel, ModelRecord, ModelRole, TextModelRecord};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Whether `auto` may offer to download CLIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// No: `auto` uses what is installed.
    None,
    /// Yes, after asking the user, if there is a terminal.
    Ask,
    /// Yes, without asking.
    Yes,
}

impl Offer {
    /// The offer for a command with a `--yes` flag: `Yes` if it is given, else `Ask`.
    #[must_use]
    pub fn unless(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::Ask }
    }
}

/// An opened model, and the name under which a library remembers it.
pub struct Chosen {
    /// The model.
    pub model: Box<dyn Embed>,
    /// The model as a library records it.
    pub record: ModelRecord,
}

/// Opens the model for a command that uses a library: the one the user asked for, else the library's own, else CLIP if
/// it is installed or the user agrees to the download, else the starter. From then on it answers through `library`.
///
/// # Errors
/// The model is missing or damaged, or it is none of those that have embedded the library's photos.
pub fn choose(
    library: Option<&Library>,
    settings: &Settings,
    console: &Console,
    offer: Offer,
) -> anyhow::Result<Chosen> {
    let remembered = library.map(Library::model).transpose()?.flatten();
    let spec = spec(&settings.model)?;
    // Before the model of the library is opened, which is not to blame.
    device(settings)?;
    let mut chosen = match (&spec, &remembered) {
        (ModelSpec::Auto, Some(record)) => open(&self::spec(&record.name)?, settings)
            .with_context(|| format!("this library was indexed with the model {}", record.name))?,
        (ModelSpec::Auto, None) => automatic(settings, console, offer)?,
        _ => open(&spec, settings)?,
    };
    if let (Some(record), Some(library)) = (&remembered, library)
        && !is(record, &chosen.record)
    {
        let known = library.models()?;
        match known.iter().find(|known| is(&known.record, &chosen.record)) {
            Some(known) => complete(known)?,
            None => {
                let error = Error::OtherModel { library: record.clone(), asked: chosen.record };
                return Err(
                    anyhow::Error::from(error).context(format!("the library {}", sanitize::path(&library.place())))
                );
            }
        }
    }
    if let (Some(_), Some(library)) = (remembered, library) {
        library.answer_with(Some(&chosen.record));
        return with_texts(chosen, library, settings);
    }
    if let Some(asked) = other_texts(settings) {
        chosen = read_by(chosen, open_texts(asked)?, asked)?;
    }
    Ok(chosen)
}

/// Lets the model that reads texts in place of `chosen` do so, if one is asked for or the library remembers one. One
/// that is asked for is remembered.
///
/// # Errors
/// The text model is missing, damaged or made for another model, or the catalogue fails.
fn with_texts(chosen: Chosen, library: &Library, settings: &Settings) -> anyhow::Result<Chosen> {
    if let Some(asked) = other_texts(settings) {
        let chosen = read_by(chosen, open_texts(asked)?, asked)?;
        remember_texts(&chosen, library, settings)?;
        return Ok(chosen);
    }
    let Some(known) = library.text_model(&chosen.record)? else { return Ok(chosen) };
    if settings.text_model.is_some() {
        set_texts(&chosen, library, None)?;
        return Ok(chosen);
    }
    let texts = open_texts(&known.name).with_context(|| {
        let (own, name) = (sanitize::text(&chosen.record.name), sanitize::text(&known.name));
        format!("{name} reads texts in place of {own} in this library (`--text-model own` ends that)")
    })?;
    read_by(chosen, texts, &known.name)
}

/// Has the library remember which model reads texts in place of `chosen`, if one is asked for.
///
/// # Errors
/// The catalogue fails.
pub fn remember_texts(chosen: &Chosen, library: &Library, settings: &Settings) -> anyhow::Result<()> {
    let Some(asked) = other_texts(settings) else { return Ok(()) };
    let fingerprint = chosen.model.text_fingerprint().to_owned();
    let record = TextModelRecord { name: name(&spec(asked)?), fingerprint };
    if library.text_model(&chosen.record)?.as_ref() == Some(&record) {
        return Ok(());
    }
    set_texts(chosen, library, Some(&record))
}

fn set_texts(chosen: &Chosen, library: &Library, texts: Option<&TextModelRecord>) -> anyhow::Result<()> {
    match library.set_text_model(&chosen.record, texts) {
        // On a read-only disk it counts for this time only.
        Err(error) if error.is_read_only() => Ok(()),
        result => Ok(result?),
    }
}

/// What `--text-model` names to have texts read by the model that embeds the photos.
const OWN_TEXTS: &str = "own";

/// The text model that the user asks for, if it is another one than the model's own.
fn other_texts(settings: &Settings) -> Option<&str> {
    settings.text_model.as_deref().filter(|asked| *asked != OWN_TEXTS)
}

fn read_by(chosen: Chosen, texts: TextModel, asked: &str) -> anyhow::Result<Chosen> {
    let Chosen { model, record } = chosen;
    let paired = Paired::new(model, texts).map_err(|error| {
        let (asked, own) = (sanitize::text(asked), sanitize::text(&record.name));
        Failure::usage(format!("{asked} cannot read texts for {own}: {error}"))
    })?;
    Ok(Chosen { model: Box::new(paired), record })
}

/// Opens a model that embeds texts alone.
///
/// # Errors
/// It is missing (exit code 3), of another kind (exit code 2) or damaged.
fn open_texts(asked: &str) -> anyhow::Result<TextModel> {
    let spec = spec(asked)?;
    let other_kind = || {
        Failure::usage(format!(
            "{} embeds no texts for the pictures of another model: clip-multilingual does, and org/name or the folder of \
             one like it",
            sanitize::text(asked)
        ))
    };
    if matches!(spec, ModelSpec::Auto | ModelSpec::Starter) {
        return Err(other_kind());
    }
    let Some(folder) = model::locate(&spec)? else {
        return missing(&spec, ", and `--text-model own` needs none");
    };
    if !model::is_text_model(&folder) {
        return Err(other_kind());
    }
    model::open_texts(&folder, &Settings::cache_dir()?)
}

fn is(a: &ModelRecord, b: &ModelRecord) -> bool {
    a.fingerprint == b.fingerprint && a.dim == b.dim
}

/// Refuses a model that has not embedded the library's photos yet.
fn complete(known: &LibraryModel) -> anyhow::Result<()> {
    let LibraryModel { record, role, embedded, awaiting, .. } = known;
    if *role == ModelRole::Filling && *awaiting > 0 {
        let name = record.name.clone();
        return Err(Error::Incomplete { name, embedded: *embedded, photos: embedded + awaiting }.into());
    }
    Ok(())
}

/// Opens the library. If the user asked for one of its models by name, that one answers, also where it need not be
/// opened.
///
/// # Errors
/// The library cannot be opened, or the model has not embedded its photos yet.
pub fn library(settings: &Settings) -> anyhow::Result<Library> {
    let library = Library::open(&settings.library)?;
    let asked = spec(&settings.model).ok().filter(|spec| *spec != ModelSpec::Auto).map(|spec| name(&spec));
    if let (Some(asked), Some(current)) = (asked, library.model()?)
        && asked != current.name
        && let Some(known) = library.models()?.iter().find(|known| known.record.name == asked)
    {
        complete(known)?;
        library.answer_with(Some(&known.record));
    }
    Ok(library)
}

/// Opens a model that a library remembers.
///
/// # Errors
/// The model is missing or damaged, or another one than it was.
pub fn remembered(record: &ModelRecord, library: &Library, settings: &Settings) -> anyhow::Result<Chosen> {
    let chosen = open(&spec(&record.name)?, settings)?;
    anyhow::ensure!(is(&chosen.record, record), "its files are no longer those that it had");
    with_texts(chosen, library, &Settings { text_model: None, ..settings.clone() })
}

/// Opens exactly the model the user asked for; `auto` is the best known one that is installed, else the starter.
///
/// # Errors
/// The model is missing or damaged.
pub fn asked(settings: &Settings, console: &Console, offer: Offer) -> anyhow::Result<Chosen> {
    let chosen = match spec(&settings.model)? {
        ModelSpec::Auto => automatic(settings, console, offer)?,
        spec => open(&spec, settings)?,
    };
    match other_texts(settings) {
        Some(asked) => read_by(chosen, open_texts(asked)?, asked),
        None => Ok(chosen),
    }
}

fn automatic(settings: &Settings, console: &Console, offer: Offer) -> anyhow::Result<Chosen> {
    let mut known: Vec<&Preset> = PRESETS.iter().collect();
    known.sort_by(|a, b| b.recall.unwrap_or(0.0).total_cmp(&a.recall.unwrap_or(0.0)));
    for preset in known {
        let spec = spec(preset.name)?;
        if model::locate(&spec)?.is_some() {
            return open(&spec, settings);
        }
    }
    let wanted = match offer {
        _ if settings.offline => None,
        Offer::None => None,
        Offer::Ask => offered(console),
        Offer::Yes => Some(&PRESETS[0]),
    };
    if let Some(preset) = wanted {
        let spec = spec(preset.name)?;
        pull(&spec, settings, console, &mut |_| true, &AtomicBool::new(false))
            .with_context(|| format!("{} cannot be downloaded; `--model starter` needs no network", preset.name))?;
        return open(&spec, settings);
    }
    console.note(
        "using the built-in starter model; `snapseek models list --available` names larger ones, which find far more",
    );
    open(&ModelSpec::Starter, settings)
}

/// The models that a first run offers.
const OFFERED: [&str; 2] = ["clip", "siglip2-b32-256"];

/// Which model a first run uses, and what a better one would cost, each in a line for a person.
#[must_use]
pub fn outlook(settings: &Settings) -> [String; 2] {
    let is_there =
        |preset: &&Preset| spec(preset.name).is_ok_and(|spec| model::locate(&spec).is_ok_and(|at| at.is_some()));
    let named = |name: &str| format!("Model: {}, which `model` in the config or --model names.", sanitize::text(name));
    let installed =
        PRESETS.iter().filter(is_there).max_by(|a, b| a.recall.unwrap_or(0.0).total_cmp(&b.recall.unwrap_or(0.0)));
    let uses = match (settings.model.as_str(), installed) {
        ("auto", Some(preset)) => format!("Model: {}, the best one that is installed.", preset.name),
        ("auto", None) => "Model: the starter, built in: it works at once, and knows a thousand things.".into(),
        (name, _) => named(name),
    };
    let clip = OFFERED.first().and_then(|name| preset(name));
    let better = match clip.filter(|_| settings.model == "auto" && installed.is_none()) {
        Some(Preset { name, bytes, licence, .. }) => format!(
            "Better: {name} ({}, {licence}, downloaded once: `snapseek models pull {name}`) knows scenes, actions, colours.",
            rounded(*bytes)
        ),
        None => "Others: `snapseek models list --available`; a library can change its model at any time.".into(),
    };
    [uses, better]
}

/// Asks which model to download; `None` for none.
fn offered(console: &Console) -> Option<&'static Preset> {
    let presets: Vec<&Preset> = OFFERED.iter().filter_map(|name| preset(name)).collect();
    let mut question = String::from("No model for photos is installed. Download one, once?\n");
    for (n, Preset { name, bytes, licence, recall, .. }) in presets.iter().enumerate() {
        let found = recall.map_or(String::new(), |recall| format!(", finds {recall:.0} of 100 in Immich's comparison"));
        question.push_str(&format!("  {}  {name} ({}, {licence}{found})\n", n + 1, rounded(*bytes)));
    }
    question.push_str("  Enter: none, the built-in starter, which knows a thousand things\n[1/2/N] ");
    match console.ask(&question)?.as_str() {
        "1" | "y" | "yes" => presets.first().copied(),
        "2" => presets.get(1).copied(),
        _ => None,
    }
}

/// Bytes of a model, in whole megabytes or tenths of gigabytes.
#[must_use]
pub fn rounded(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{:.0} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} GB", bytes as f64 / 1e9)
    }
}

/// Downloads a model with a progress bar and returns its folder. `agree` is called with the number of bytes to
/// download; if it returns false, or `cancel` is set, the result is `None`.
///
/// # Errors
/// There is no network, no such model or not enough disk space, or a file does not match its checksum.
pub fn pull(
    spec: &ModelSpec,
    settings: &Settings,
    console: &Console,
    agree: &mut dyn FnMut(u64) -> bool,
    cancel: &AtomicBool,
) -> anyhow::Result<Option<PathBuf>> {
    let mut gauge = Gauge::new(console, Unit::Bytes, cancel);
    let mut last = String::new();
    model::pull(spec, &store(settings), agree, &mut |file, done, total| {
        // Before the user was asked, there is nothing to show.
        if file.is_empty() {
            return !gauge.is_cancelled();
        }
        if !gauge.is_shown() && last != file {
            last = file.to_owned();
            console.note(format_args!("downloading {file} ({} MB)", total / 1_000_000));
        }
        gauge.show(file, done, total)
    })
}

/// The device that the user chose.
///
/// # Errors
/// The program was built without it (exit code 2).
fn device(settings: &Settings) -> anyhow::Result<Device> {
    let (device, built) = match settings.device {
        DeviceChoice::Cpu => (Device::Cpu, true),
        DeviceChoice::Cuda => (Device::Cuda, cfg!(feature = "cuda")),
        DeviceChoice::Metal => (Device::Metal, cfg!(feature = "metal")),
    };
    if !built {
        let feature = format!("{device:?}").to_lowercase();
        return Err(Failure::usage(format!("this program was built without --features {feature}: use --device cpu")));
    }
    Ok(device)
}

/// How the towers of a model that embeds are multiplied.
fn bits(precision: Precision) -> TowerBits {
    match precision {
        Precision::Auto => TowerBits::Fastest,
        Precision::Full => TowerBits::Full,
        Precision::Q8 | Precision::Q4 => TowerBits::Eight,
    }
}

fn open(spec: &ModelSpec, settings: &Settings) -> anyhow::Result<Chosen> {
    let device = device(settings)?;
    let model = match spec {
        ModelSpec::Starter => model::starter()?,
        _ => {
            let Some(folder) = model::locate(spec)? else {
                return missing(spec, ", and `--model starter` needs no download");
            };
            if model::is_blip2(&folder) {
                let (does, options) = match blip2::use_of(&folder) {
                    Ok(Blip2Use::Matches) => ("compares photos with texts", "`search --rerank` and `score --matcher`"),
                    _ => ("captions photos and answers questions", "--captioner"),
                };
                return Err(Failure::usage(format!(
                    "{} {does} but makes no embeddings: pass it to {options}, and another model to --model",
                    name(spec)
                )));
            }
            if chat_model::is_instructed(&folder) {
                return Err(Failure::usage(format!(
                    "{} captions photos and answers questions but makes no embeddings: pass it to --captioner, and another \
                     model to --model",
                    name(spec)
                )));
            }
            if model::is_text_model(&folder) {
                return Err(Failure::usage(format!(
                    "{} embeds texts alone: pass it to --text-model, and the model of the photos to --model",
                    sanitize::text(&name(spec))
                )));
            }
            model::open(&folder, device, bits(settings.precision), &Settings::cache_dir()?)?
        }
    };
    let identity = model.identity();
    let record = ModelRecord { name: name(spec), fingerprint: identity.fingerprint.clone(), dim: identity.dim };
    Ok(Chosen { model, record })
}

/// Says why a model cannot be opened whose folder is not complete or not there, and with which words the advice ends.
fn missing<T>(spec: &ModelSpec, after: &str) -> anyhow::Result<T> {
    let name = short_name(spec);
    let advice = format!("`snapseek models pull {name}` downloads");
    Err(Failure::missing(match model::defect(spec)? {
        Some((defect, true)) => format!("the model {name} is not complete: {defect:#}; {advice} what is missing"),
        Some((defect, false)) => format!("the model {name} cannot be used: {defect:#}"),
        None => format!("the model {name} is not installed; {advice} it{after}"),
    }))
}

/// Opens the BLIP-2 that compares photos with texts; `blip2` stands for `blip2-itm`.
///
/// # Errors
/// The model is missing (exit code 3), is of another kind (exit code 2), is damaged, or does not fit into memory.
pub fn matcher(asked: &str, console: &Console) -> anyhow::Result<Matcher> {
    let spec = spec(if asked == "blip2" { BLIP2_ITM.0 } else { asked })?;
    let is_of_another_kind = || {
        Failure::usage(format!(
            "{asked} does not compare photos with texts, or its config.json is damaged: blip2-itm does, and org/name or \
             the folder of another Blip2ForImageTextRetrieval"
        ))
    };
    if matches!(spec, ModelSpec::Auto | ModelSpec::Starter) {
        return Err(is_of_another_kind());
    }
    let Some(folder) = model::locate(&spec)? else {
        return missing(&spec, " once");
    };
    if !model::is_blip2(&folder) || blip2::use_of(&folder)? != Blip2Use::Matches {
        return Err(is_of_another_kind());
    }
    console.detail(format_args!("{asked} in {}", sanitize::path(&folder)));
    Matcher::open(&folder)
}

/// Parses a model's name as the user wrote it.
///
/// # Errors
/// It is neither a known name, a Hugging Face name nor a folder.
pub fn spec(name: &str) -> anyhow::Result<ModelSpec> {
    name.parse().map_err(|e: String| Failure::missing(e))
}

/// A model's name, as libraries and chats remember it.
#[must_use]
pub fn name(spec: &ModelSpec) -> String {
    match spec {
        ModelSpec::Auto => "auto".into(),
        ModelSpec::Starter => "starter".into(),
        ModelSpec::Clip => "clip".into(),
        ModelSpec::Blip2 => "blip2".into(),
        ModelSpec::Repo(repo) => repo.clone(),
        ModelSpec::Dir(folder) => folder.canonicalize().unwrap_or_else(|_| folder.clone()).to_string_lossy().into(),
    }
}

/// A model's name, as short as the user may write it.
fn short_name(spec: &ModelSpec) -> String {
    model::short_name(&name(spec)).to_owned()
}

/// How the model store is accessed.
#[must_use]
pub fn store(settings: &Settings) -> StoreOptions {
    StoreOptions { offline: settings.offline }
}
