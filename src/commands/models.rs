//! `models`: lists installed models with folder, size and licence; downloads and quantizes models; drops what one made
//! of the library.

use crate::cli::ModelsAction;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model::blip2::{self, Blip2Use};
use crate::model::chat_model;
use crate::model::hub::presets::{BLIP2_ITM, CHAT_PRESETS, HELPERS, PRESETS};
use crate::model::hub::quantized;
use crate::model::ocr::TextReader;
use crate::model::ocr::scripts::{self, SCRIPT_MODELS, ScriptModel};
use crate::model::{self, Bits, Manifest, ModelSpec, dual_encoder};
use crate::model_choice::{self, rounded};
use crate::reading;
use crate::terminal::console::Console;
use crate::terminal::progress::{Bar, Unit};
use crate::terminal::{sanitize, signals, text};
use anyhow::Context;
use serde_json::json;
use snapseek_index::{Library, LibraryModel, ModelRole};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

pub(super) fn run(action: &ModelsAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    match action {
        ModelsAction::List { available: false } => list(settings, console),
        ModelsAction::List { available: true } => available(settings, console),
        ModelsAction::Verify(args) => super::verify::run(args, settings, console),
        ModelsAction::Path { name } => {
            let folder = installed(name)?;
            console.bytes(&console.path_bytes(&folder))?;
            console.line("")?;
            Ok(Exit::Success)
        }
        ModelsAction::Drop { name, yes } => drop_from_library(name, *yes, settings, console),
        ModelsAction::Try(args) => super::try_models::run(args, settings, console),
        ModelsAction::Pull { name, yes } => pull(name, *yes, settings, console),
        ModelsAction::Quantize { name, bits } => {
            let bits = if bits == "8" { Bits::Eight } else { Bits::Four };
            quantize(name, bits, settings, console)
        }
    }
}

/// The folder of an installed model; of one that reads lines of text, its file.
pub(super) fn installed(name: &str) -> anyhow::Result<PathBuf> {
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

fn pull(name: &str, yes: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if let Some(model) = ScriptModel::named(name) {
        return pull_script_model(model, yes, settings, console);
    }
    let spec = model_choice::spec(name)?;
    let Some((repo, _)) = model::repository(&spec) else {
        console.note(format_args!("{name} needs no download"));
        return Ok(Exit::Success);
    };
    if let Some(folder) = model::locate(&spec)? {
        let damaged = model::delete_damaged(&folder)?;
        if damaged.is_empty() {
            console.note(format_args!("{name} is installed in {} and undamaged", sanitize::path(&folder)));
            return Ok(Exit::Success);
        }
        console.warn(format_args!("{} of {name} was damaged and has been deleted", damaged.join(", ")));
    }
    if settings.offline {
        return Err(Failure::missing(format!("{name} is not installed, and it cannot be downloaded with --offline")));
    }
    let mut agree = |bytes: u64| {
        let what = format!("{repo} from Hugging Face ({}, licence: {})", rounded(bytes), model::licence(repo));
        if yes || !console.stderr_terminal {
            console.note(format_args!("downloading {what}"));
            return true;
        }
        console.confirm(&format!("Download {what}?"))
    };
    let Some(folder) = model_choice::pull(&spec, settings, console, &mut agree)? else { return Ok(Exit::NothingFound) };
    console.note(format_args!("{name} is installed in {}", sanitize::path(&folder)));
    if chat_model::is_instructed(&folder) || matches!(blip2::use_of(&folder), Ok(Blip2Use::Writes)) {
        console
            .note(format_args!("`snapseek models quantize {name}` makes a smaller form that is several times faster"));
    }
    Ok(Exit::Success)
}

/// Downloads a model that reads lines of text.
fn pull_script_model(model: &ScriptModel, yes: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let (name, cache) = (model.name, Settings::cache_dir()?);
    let file = model.file(&cache);
    if file.is_file() {
        if model.is_undamaged(&cache)? {
            console.note(format_args!("{name} is installed in {} and undamaged", sanitize::path(&file)));
            return Ok(Exit::Success);
        }
        std::fs::remove_file(&file)?;
        console.warn(format_args!("{name} was damaged and has been deleted"));
    }
    if settings.offline {
        return Err(Failure::missing(format!("{name} is not installed, and it cannot be downloaded with --offline")));
    }
    let what = format!("{name} from ModelScope (some 10 MB, licence: {})", scripts::LICENCE);
    if yes || !console.stderr_terminal {
        console.note(format_args!("downloading {what}"));
    } else if !console.confirm(&format!("Download {what}?")) {
        return Ok(Exit::NothingFound);
    }
    let mut bar = Bar::new(console, Unit::Bytes);
    let pulled = model.pull(&cache, &mut |done, total| bar.show(done, total, name));
    bar.clear();
    pulled.with_context(|| format!("{name} cannot be downloaded"))?;
    // That it is what was published does not say that it can be used here.
    TextReader::open(&file).with_context(|| format!("{name} is what was published, but cannot be used"))?;
    console.note(format_args!("{name} is installed; `--ocr {name}` (`ocr = \"{name}\"` in the config) reads with it"));
    Ok(Exit::Success)
}

/// Drops what a model made of the library's photos. The model itself stays installed.
fn drop_from_library(name: &str, yes: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let mut writer = library.lock()?;
    let models = library.models()?;
    // Not only as a name of a model: its folder may be gone.
    let full = model_choice::spec(name).map_or_else(|_| name.to_owned(), |spec| model_choice::name(&spec));
    let is_named = |known: &LibraryModel| {
        let LibraryModel { record, .. } = known;
        record.name == name || record.name == full || name.len() >= 8 && record.fingerprint.starts_with(name)
    };
    let named: Vec<&LibraryModel> = models.iter().filter(|known| is_named(known)).collect();
    let beside: Vec<&LibraryModel> = named.iter().copied().filter(|known| known.role != ModelRole::Current).collect();
    let shown = sanitize::text(name);
    let known = match (beside.as_slice(), named.first()) {
        ([one], _) => *one,
        ([], Some(_)) => {
            return Err(Failure::usage(format!(
                "{shown} is the model that answers: `snapseek reindex --model NAME` puts another one in its place"
            )));
        }
        ([], None) => {
            let others = models.iter().filter(|known| known.role != ModelRole::Current);
            let others: Vec<String> = others.map(|known| sanitize::text(&known.record.name)).collect();
            let have = if others.is_empty() { "none beside its own".to_owned() } else { others.join(", ") };
            return Err(Failure::nothing(format!("the library has no model {shown}; it has {have}")));
        }
        (several, _) => {
            let prints =
                several.iter().map(|known| sanitize::text(known.record.fingerprint.get(..12).unwrap_or_default()));
            let prints: Vec<String> = prints.collect();
            let prints = prints.join(", ");
            return Err(Failure::usage(format!("several models are called {shown}; name one as {prints}")));
        }
    };
    let photos = text::count(usize::try_from(known.embedded)?, "photo");
    let shown = sanitize::text(&known.record.name);
    if !yes && !console.confirm(&format!("Drop what {shown} made of {photos}?")) {
        return Err(Failure::usage("nothing was dropped; --yes does it without asking"));
    }
    writer.drop_model(&known.record)?;
    if settings.json {
        console.json(&json!({"schema": 1, "dropped": known.record.name, "embedded": known.embedded,
            "bytes": known.bytes}))?;
    } else {
        let size = text::size(known.bytes);
        console.line(&format!("dropped what {shown} made of {photos}, {size}"))?;
        console.note("`snapseek library compact` gives the space back to the disk");
    }
    Ok(Exit::Success)
}

fn quantize(name: &str, bits: Bits, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let source = installed(name)?;
    if !chat_model::is_chat_model(&source) {
        return Err(Failure::usage(format!(
            "{} describes no model that writes captions, or is damaged: only those can be quantized",
            sanitize::path(&source.join("config.json"))
        )));
    }
    let refused = match chat_model::is_instructed(&source) {
        true => None,
        false => match blip2::use_of(&source)? {
            Blip2Use::Writes => None,
            Blip2Use::WritesWithT5 => Some("its language model is T5"),
            Blip2Use::Matches => Some("it compares photos with texts"),
        },
    };
    if let Some(why) = refused {
        return Err(Failure::usage(format!(
            "{name} cannot be quantized: {why}, and of BLIP-2 only those with OPT can be"
        )));
    }
    if Manifest::read(&source)?.is_some() {
        return Err(Failure::usage(format!(
            "{} is already quantized: name the model that it was made from",
            sanitize::path(&source)
        )));
    }
    let cancel = signals::cancel()?;
    let name = model_choice::name(&model_choice::spec(name)?);
    let name = model::short_name(&name);
    let label = quantized::label(bits);
    let mut bar = Bar::new(console, Unit::Percent);
    let made = quantized::make(&Settings::cache_dir()?, name, &source, bits, &mut |done, total| {
        bar.show(done, total, "quantizing");
        !cancel.load(Ordering::Relaxed)
    });
    bar.clear();
    if made.is_err() && cancel.load(Ordering::Relaxed) {
        console.note("interrupted; the partial result was removed");
        return Ok(Exit::Interrupted);
    }
    let form = made?;
    let before = model::bytes_of(&source).unwrap_or(0);
    if settings.json {
        console.json(&json!({"schema": 1, "name": name, "precision": label, "path": form.dir.to_string_lossy(),
            "bytes": form.bytes, "bytes_before": before, "revision": form.manifest.revision}))?;
    } else {
        let place = sanitize::path(&form.dir);
        console.line(&format!(
            "{}: {} became {} in {place}",
            sanitize::text(name),
            rounded(before),
            rounded(form.bytes)
        ))?;
    }
    Ok(Exit::Success)
}

fn list(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let models = model::installed();
    let forms = quantized::forms(&Settings::cache_dir()?);
    for model in &models {
        let writes = matches!(model.kind, model::Kind::Blip2 | model::Kind::VisionLanguage);
        let precision = writes.then_some("full");
        show(
            &json!({"schema": 1, "name": model.name, "kind": model.kind, "for": purpose(model.kind), "precision": precision,
                "path": model.dir.as_ref().map(|d| d.to_string_lossy()), "bytes": model.bytes,
                "licence": model.licence, "revision": model.revision, "dim": model.dim}),
            (&model.name, model.bytes, &model.licence, model.dir.as_deref(), purpose(model.kind)),
            settings,
            console,
        )?;
    }
    for form in &forms {
        let (source, label) = (&form.manifest.source, quantized::label(form.manifest.bits));
        let of = models.iter().find(|model| model.name == *source);
        let is_instructed = chat_model::is_instructed(&form.dir);
        let kind = if is_instructed { model::Kind::VisionLanguage } else { model::Kind::Blip2 };
        let licence = of.map_or_else(|| model::licence(source).to_owned(), |model| model.licence.clone());
        show(
            &json!({"schema": 1, "name": source, "kind": kind, "for": purpose(kind), "precision": label,
                "path": form.dir.to_string_lossy(), "bytes": form.bytes, "licence": licence,
                "revision": form.manifest.revision, "dim": null}),
            (&format!("{source} ({label})"), form.bytes, &licence, Some(&form.dir), purpose(kind)),
            settings,
            console,
        )?;
    }
    let cache = Settings::cache_dir()?;
    for model in &SCRIPT_MODELS {
        let file = model.file(&cache);
        let Ok(bytes) = file.metadata().map(|meta| meta.len()) else { continue };
        show(
            &json!({"schema": 1, "name": model.name, "kind": "ocr", "for": TEXT, "precision": null, "path": file.to_string_lossy(),
                "bytes": bytes, "licence": scripts::LICENCE, "revision": null, "dim": null}),
            (model.name, bytes, scripts::LICENCE, Some(&file), TEXT),
            settings,
            console,
        )?;
    }
    if !settings.json {
        if !models.iter().any(|model| matches!(model.kind, model::Kind::Blip2 | model::Kind::VisionLanguage)) {
            let small = &CHAT_PRESETS[0];
            console.note(format_args!(
                "not installed: a model for captions and answers, such as {} ({}, {}, {}); `snapseek models pull {}` downloads it",
                small.name,
                small.repo,
                rounded(small.bytes),
                small.licence,
                small.name
            ));
        }
        console.note("`snapseek models list --available` lists models to download");
    }
    Ok(Exit::Success)
}

/// What a model that embeds photos is for, and one that reads lines of text.
const SEARCH: &str = "search";
const TEXT: &str = "text in photos";

/// What a model is for, in few words.
fn purpose(kind: model::Kind) -> &'static str {
    match kind {
        model::Kind::Starter | model::Kind::Encoder(_) => SEARCH,
        model::Kind::Blip2 => "short captions, answers",
        model::Kind::VisionLanguage => "captions, answers, chat",
        model::Kind::Matcher => "search --rerank",
        model::Kind::Texts => "queries in other languages",
    }
}

/// Lists the models that have a short name, with what they need and how good they are known to be.
fn available(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if !settings.json {
        let head = format!(
            "{:<16} {:>7} {:>6} {:>7} {:>7} {:>9}  {:<15} repository",
            "model", "size", "pixels", "numbers", "finds", "a photo", "licence"
        );
        console.line(&console.style("2", &head))?;
    }
    for preset in &PRESETS {
        let installed = model::locate(&model_choice::spec(preset.name)?)?.is_some();
        let seconds = dual_encoder::seconds_per_photo(preset)?;
        if settings.json {
            console.json(&json!({"schema": 1, "name": preset.name, "for": SEARCH, "repository": preset.repo,
                "revision": preset.revision, "licence": preset.licence, "bytes": preset.bytes,
                "pixels": preset.pixels, "dim": preset.dim, "recall": preset.recall, "seconds_per_photo": seconds,
                "installed": installed}))?;
        } else {
            let recall = preset.recall.map_or("-".to_owned(), |recall| format!("{recall:.1} %"));
            let seconds = format!("{seconds:.3} s");
            console.line(&format!(
                "{:<16} {:>7} {:>6} {:>7} {:>7} {:>9}  {:<15} {}{}",
                preset.name,
                rounded(preset.bytes),
                preset.pixels,
                preset.dim,
                recall,
                seconds,
                preset.licence,
                preset.repo,
                if installed { "  (installed)" } else { "" }
            ))?;
        }
    }
    if settings.json {
        return available_besides(console);
    }
    console.note(
        "besides, clip-multilingual reads texts in 50 languages for clip (`--text-model`), and blip2-itm ranks results \
         again (`search --rerank`); captions and answers (`--captioner`) are written by:",
    );
    for preset in &CHAT_PRESETS {
        let is_here = model::locate(&model_choice::spec(preset.name)?)?.is_some();
        console.note(format_args!(
            "{:<13} {:>7}  {:<11} {}: {}{}",
            preset.name,
            rounded(preset.bytes),
            preset.licence,
            preset.repo,
            preset.about,
            if is_here { "  (installed)" } else { "" }
        ));
    }
    for model in &SCRIPT_MODELS {
        console.note(format_args!("{:<13} reads text in photos (`--ocr {}`): {}", model.name, model.name, model.reads));
    }
    console.note(
        "finds: mean of recall@1, @5 and @10 on Crossmodal-3600 in English, published by Immich (docs.immich.app); a \
         photo: one thread of this processor, measured now with weights that mean nothing, without decoding",
    );
    Ok(Exit::Success)
}

/// Lists the models that embed no photos, as JSON: those that write, compare, read queries, and read text in photos.
fn available_besides(console: &Console) -> anyhow::Result<Exit> {
    let is_here = |spec: &ModelSpec| anyhow::Ok(model::locate(spec)?.is_some());
    for preset in &CHAT_PRESETS {
        let spec = model_choice::spec(preset.name)?;
        let kind = if spec == ModelSpec::Blip2 { model::Kind::Blip2 } else { model::Kind::VisionLanguage };
        console.json(&json!({"schema": 1, "name": preset.name, "for": purpose(kind), "repository": preset.repo,
            "revision": preset.revision, "licence": preset.licence, "bytes": preset.bytes, "about": preset.about,
            "installed": is_here(&spec)?}))?;
    }
    for (name, repo) in HELPERS {
        let spec = model_choice::spec(name)?;
        let revision = model::repository(&spec).map(|(_, revision)| revision);
        let kind = if name == BLIP2_ITM.0 { model::Kind::Matcher } else { model::Kind::Texts };
        console
            .json(&json!({"schema": 1, "name": name, "for": purpose(kind), "repository": repo, "revision": revision,
            "licence": model::licence(repo), "bytes": null, "installed": is_here(&spec)?}))?;
    }
    let cache = Settings::cache_dir()?;
    for model in &SCRIPT_MODELS {
        console.json(&json!({"schema": 1, "name": model.name, "for": TEXT, "repository": null, "revision": null,
            "licence": scripts::LICENCE, "bytes": null, "about": model.reads, "installed": model.file(&cache).is_file()}))?;
    }
    Ok(Exit::Success)
}

/// Prints one model, as JSON or as a line with name, size, licence, what it is for, and folder.
fn show(
    record: &serde_json::Value,
    (name, bytes, licence, place, purpose): (&str, u64, &str, Option<&Path>, &str),
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<()> {
    if settings.json {
        return console.json(record);
    }
    let place = place.map_or("built in".to_owned(), sanitize::path);
    let name = console.style("1", &format!("{:<30}", sanitize::text(name)));
    Ok(console.line(&format!("{name}  {:>8}  {}  {purpose}  {place}", rounded(bytes), sanitize::text(licence)))?)
}
