//! Which model a command works with.

use crate::config::{DeviceChoice, Settings};
use crate::exit::Failure;
use crate::model::{self, Device, Embed, ModelSpec, StoreOptions};
use crate::terminal::console::Console;
use crate::terminal::progress::{Bar, Unit};
use anyhow::Context;
use snapseek_index::{Library, ModelRecord};
use std::path::PathBuf;

/// The size of CLIP's download.
pub const CLIP_SIZE: &str = "605 MB";

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
/// it is installed or the user agrees to the download, else the starter.
///
/// # Errors
/// The model is missing or damaged, or it is not the one that made the library's embeddings.
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
    let chosen = match (&spec, &remembered) {
        (ModelSpec::Auto, Some(record)) => open(&self::spec(&record.name)?, settings)
            .with_context(|| format!("this library was indexed with the model {}", record.name))?,
        (ModelSpec::Auto, None) => automatic(settings, console, offer)?,
        _ => open(&spec, settings)?,
    };
    if let (Some(record), Some(library)) = (remembered, library)
        && (record.fingerprint != chosen.record.fingerprint || record.dim != chosen.record.dim)
    {
        let error = snapseek_index::Error::OtherModel { library: record, asked: chosen.record };
        return Err(anyhow::Error::from(error)
            .context(format!("the library {}", crate::terminal::sanitize::path(library.dir()))));
    }
    Ok(chosen)
}

/// Opens exactly the model the user asked for; `auto` is CLIP if installed, else the starter.
///
/// # Errors
/// The model is missing or damaged.
pub fn asked(settings: &Settings, console: &Console, offer: Offer) -> anyhow::Result<Chosen> {
    match spec(&settings.model)? {
        ModelSpec::Auto => automatic(settings, console, offer),
        spec => open(&spec, settings),
    }
}

fn automatic(settings: &Settings, console: &Console, offer: Offer) -> anyhow::Result<Chosen> {
    if model::locate(&ModelSpec::Clip)?.is_some() {
        return open(&ModelSpec::Clip, settings);
    }
    let question = format!("CLIP (openai/clip-vit-base-patch32, MIT, {CLIP_SIZE}) is not installed. Download it once?");
    let agreed = match offer {
        Offer::None => false,
        Offer::Ask => !settings.offline && console.confirm(&question),
        Offer::Yes => !settings.offline,
    };
    if agreed {
        pull(&ModelSpec::Clip, settings, console, &mut |_| true)
            .context("CLIP cannot be downloaded; `--model starter` needs no network")?;
        return open(&ModelSpec::Clip, settings);
    }
    console.note("using the built-in starter model; `snapseek models pull clip` downloads the larger CLIP");
    open(&ModelSpec::Starter, settings)
}

/// Downloads a model with a progress bar and returns its folder. `agree` is called with the number of bytes to
/// download; if it returns false, the result is `None`.
///
/// # Errors
/// There is no network, no such model or not enough disk space, or a file does not match its checksum.
pub fn pull(
    spec: &ModelSpec,
    settings: &Settings,
    console: &Console,
    agree: &mut dyn FnMut(u64) -> bool,
) -> anyhow::Result<Option<PathBuf>> {
    let bar = Bar::new(console, Unit::Bytes);
    let mut last = String::new();
    model::pull(spec, &store(settings), agree, &mut |file, done, total| {
        if !bar.is_shown() && last != file {
            last = file.to_owned();
            console.note(format_args!("downloading {file} ({} MB)", total / 1_000_000));
        }
        bar.show(done, total, &crate::terminal::sanitize::text(file));
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

fn open(spec: &ModelSpec, settings: &Settings) -> anyhow::Result<Chosen> {
    let device = device(settings)?;
    let model = match spec {
        ModelSpec::Starter => model::starter()?,
        _ => {
            let folder = model::locate(spec)?.ok_or_else(|| {
                Failure::missing(format!(
                    "the model {0} is not installed; `snapseek models pull {0}` downloads it, and `--model starter` \
                     needs no download",
                    name(spec)
                ))
            })?;
            if model::is_blip2(&folder) {
                return Err(Failure::usage(format!(
                    "{} captions photos and answers questions but makes no embeddings: pass it to --blip2, and another \
                     model to --model",
                    name(spec)
                )));
            }
            model::open(&folder, device, &Settings::cache_dir()?)?
        }
    };
    let identity = model.identity();
    let record = ModelRecord { name: name(spec), fingerprint: identity.fingerprint.clone(), dim: identity.dim };
    Ok(Chosen { model, record })
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

/// How the model store is accessed.
#[must_use]
pub fn store(settings: &Settings) -> StoreOptions {
    StoreOptions { offline: settings.offline }
}
