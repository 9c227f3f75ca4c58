//! `models`: lists installed models with folder, size and licence; downloads and quantizes models; drops what one made
//! of the library.

use crate::cli::ModelsAction;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model::hub::presets::{BLIP2_ITM, CHAT_PRESETS, HELPERS, PRESETS};
use crate::model::hub::quantized;
use crate::model::ocr::scripts::{self, SCRIPT_MODELS};
use crate::model::{self, Bits, Kind, ModelSpec, dual_encoder};
use crate::model_choice::{self, rounded};
use crate::stock::list::{StockItem, StockKind};
use crate::stock::{self, Pulled, Quantized, installed};
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals, text};
use serde_json::json;
use snapseek_index::{Library, LibraryModel, ModelRole};
use std::sync::atomic::AtomicBool;

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

fn pull(name: &str, yes: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    // Whoever presses Ctrl-C here ends the program; what has come is kept.
    let never = AtomicBool::new(false);
    Ok(match stock::pull(name, yes, settings, console, &never)? {
        Pulled::Installed => Exit::Success,
        Pulled::Declined | Pulled::Cancelled => Exit::NothingFound,
    })
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
    let Some(made) = stock::quantize(name, bits, console, signals::cancel()?)? else {
        console.note("interrupted; the partial result was removed");
        return Ok(Exit::Interrupted);
    };
    let Quantized { name, form, before } = made;
    if settings.json {
        console.json(&json!({"schema": 1, "name": name, "precision": quantized::label(bits),
            "path": form.dir.to_string_lossy(), "bytes": form.bytes, "bytes_before": before,
            "revision": form.manifest.revision}))?;
    } else {
        let place = sanitize::path(&form.dir);
        console.line(&format!(
            "{}: {} became {} in {place}",
            sanitize::text(&name),
            rounded(before),
            rounded(form.bytes)
        ))?;
    }
    Ok(Exit::Success)
}

fn list(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let items = stock::list::installed(&Settings::cache_dir()?);
    for item in &items {
        show(item, settings, console)?;
    }
    if !settings.json {
        let writes = |item: &StockItem| matches!(item.kind, StockKind::Model(Kind::Blip2 | Kind::VisionLanguage));
        let is_whole = |item: &StockItem| item.precision == Some("full");
        if !items.iter().any(|item| writes(item) && is_whole(item)) {
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
            console.json(&json!({"schema": 1, "name": preset.name, "for": StockKind::Model(Kind::Starter).purpose(), "repository": preset.repo,
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
        let kind = if spec == ModelSpec::Blip2 { Kind::Blip2 } else { Kind::VisionLanguage };
        console.json(&json!({"schema": 1, "name": preset.name, "for": StockKind::Model(kind).purpose(), "repository": preset.repo,
            "revision": preset.revision, "licence": preset.licence, "bytes": preset.bytes, "about": preset.about,
            "installed": is_here(&spec)?}))?;
    }
    for (name, repo) in HELPERS {
        let spec = model_choice::spec(name)?;
        let revision = model::repository(&spec).map(|(_, revision)| revision);
        let kind = if name == BLIP2_ITM.0 { Kind::Matcher } else { Kind::Texts };
        console
            .json(&json!({"schema": 1, "name": name, "for": StockKind::Model(kind).purpose(), "repository": repo, "revision": revision,
            "licence": model::licence(repo), "bytes": null, "installed": is_here(&spec)?}))?;
    }
    let cache = Settings::cache_dir()?;
    for model in &SCRIPT_MODELS {
        console.json(&json!({"schema": 1, "name": model.name, "for": StockKind::Text.purpose(), "repository": null, "revision": null,
            "licence": scripts::LICENCE, "bytes": null, "about": model.reads, "installed": model.file(&cache).is_file()}))?;
    }
    Ok(Exit::Success)
}

/// Prints one model, as JSON or as a line with name, size, licence, what it is for, and folder.
fn show(item: &StockItem, settings: &Settings, console: &Console) -> anyhow::Result<()> {
    let purpose = item.kind.purpose();
    if settings.json {
        let kind = match item.kind {
            StockKind::Model(kind) => json!(kind),
            StockKind::Text => json!("ocr"),
        };
        return console.json(&json!({"schema": 1, "name": item.name, "kind": kind, "for": purpose,
            "precision": item.precision, "path": item.place.as_ref().map(|place| place.to_string_lossy()),
            "bytes": item.bytes, "licence": item.licence, "revision": item.revision, "dim": item.dim}));
    }
    let place = item.place.as_deref().map_or("built in".to_owned(), sanitize::path);
    let form = item.precision.filter(|form| *form != "full").map_or(String::new(), |form| format!(" ({form})"));
    let name = console.style("1", &format!("{:<30}", sanitize::text(&format!("{}{form}", item.name))));
    let (size, licence) = (rounded(item.bytes), sanitize::text(&item.licence));
    Ok(console.line(&format!("{name}  {size:>8}  {licence}  {purpose}  {place}"))?)
}
