//! What is installed, and what can be.

use super::pull::is_quantizable;
use crate::model::hub::presets::{CHAT_PRESETS, HELPERS, PRESETS};
use crate::model::hub::quantized;
use crate::model::ocr::scripts::{self, SCRIPT_MODELS};
use crate::model::{self, Kind, Manifest, chat_model};
use crate::model_choice;
use std::path::{Path, PathBuf};

/// What a model at hand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockKind {
    /// What models from Hugging Face are for.
    Model(Kind),
    /// It reads lines of text.
    Text,
}

impl StockKind {
    /// In few words.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Model(Kind::Starter | Kind::Encoder(_)) => "search",
            Self::Model(Kind::Blip2) => "short captions, answers",
            Self::Model(Kind::VisionLanguage) => "captions, answers, chat",
            Self::Model(Kind::Matcher) => "search --rerank",
            Self::Model(Kind::Texts) => "queries in other languages",
            Self::Text => "text in photos",
        }
    }
}

/// An installed model, or a smaller form of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockItem {
    /// Its name on the command line.
    pub name: String,
    /// What it is for.
    pub kind: StockKind,
    /// In which form, of models that write: `full`, `q8`, `q4`.
    pub precision: Option<&'static str>,
    /// Its folder or file; `None` if it is built in.
    pub place: Option<PathBuf>,
    /// Size of its files.
    pub bytes: u64,
    /// Licence of the weights, as far as known.
    pub licence: String,
    /// Commit of its repository.
    pub revision: Option<String>,
    /// Numbers in an embedding, if it embeds.
    pub dim: Option<usize>,
    /// A smaller form of it can be made.
    pub is_quantizable: bool,
}

impl StockItem {
    /// Whether it writes captions and answers.
    #[must_use]
    pub fn is_captioner(&self) -> bool {
        matches!(self.kind, StockKind::Model(Kind::Blip2 | Kind::VisionLanguage))
    }
}

/// Everything that is installed: models, their smaller forms, what reads text.
#[must_use]
pub fn installed(cache: &Path) -> Vec<StockItem> {
    let models = model::installed();
    let whole = models.iter().map(|model| StockItem {
        name: model.name.clone(),
        kind: StockKind::Model(model.kind),
        precision: matches!(model.kind, Kind::Blip2 | Kind::VisionLanguage).then_some("full"),
        place: model.dir.clone(),
        bytes: model.bytes,
        licence: model.licence.clone(),
        revision: model.revision.clone(),
        dim: model.dim,
        is_quantizable: model.dir.as_deref().is_some_and(is_quantizable),
    });
    let forms = quantized::forms(cache).into_iter().map(|form| {
        let source = form.manifest.source;
        let of = models.iter().find(|model| model.name == source);
        let licence = of.map_or_else(|| model::licence(&source).to_owned(), |model| model.licence.clone());
        let kind = if chat_model::is_instructed(&form.dir) { Kind::VisionLanguage } else { Kind::Blip2 };
        StockItem {
            name: source,
            kind: StockKind::Model(kind),
            precision: Some(quantized::label(form.manifest.bits)),
            place: Some(form.dir),
            bytes: form.bytes,
            licence,
            revision: form.manifest.revision,
            dim: None,
            is_quantizable: false,
        }
    });
    let readers = SCRIPT_MODELS.iter().filter_map(|model| {
        let file = model.file(cache);
        Some(StockItem {
            name: model.name.to_owned(),
            kind: StockKind::Text,
            precision: None,
            bytes: file.metadata().ok()?.len(),
            place: Some(file),
            licence: scripts::LICENCE.to_owned(),
            revision: None,
            dim: None,
            is_quantizable: false,
        })
    });
    whole.chain(forms).chain(readers).collect()
}

/// A model that writes, in a folder of the user's own.
#[must_use]
pub fn captioner_in(folder: &Path, name: &str) -> StockItem {
    let kind = if chat_model::is_instructed(folder) { Kind::VisionLanguage } else { Kind::Blip2 };
    let made_of = Manifest::read(folder).ok().flatten();
    StockItem {
        name: name.to_owned(),
        kind: StockKind::Model(kind),
        precision: Some(made_of.map_or("full", |manifest| quantized::label(manifest.bits))),
        place: Some(folder.to_path_buf()),
        bytes: model::bytes_of(folder).unwrap_or(0),
        licence: model::licence(name).to_owned(),
        revision: None,
        dim: None,
        is_quantizable: is_quantizable(folder),
    }
}

/// A model that has a short name, and is not installed.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedModel {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where it comes from.
    pub from: &'static str,
    /// Size of the download in bytes, as far as known.
    pub bytes: Option<u64>,
    /// Licence of the weights.
    pub licence: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// What it is good for, or what it reads.
    pub about: &'static str,
    /// How much it finds, in percent: see [`crate::model::hub::presets::Preset::recall`].
    pub recall: Option<f32>,
}

/// The models that can be downloaded by a short name, those that search first.
///
/// # Errors
/// No home directory is known.
pub fn offered(cache: &Path) -> anyhow::Result<Vec<OfferedModel>> {
    let encoders = PRESETS.iter().map(|preset| OfferedModel {
        name: preset.name,
        from: preset.repo,
        bytes: Some(preset.bytes),
        licence: preset.licence,
        purpose: "search",
        about: "",
        recall: preset.recall,
    });
    let captioners = CHAT_PRESETS.iter().map(|preset| OfferedModel {
        name: preset.name,
        from: preset.repo,
        bytes: Some(preset.bytes),
        licence: preset.licence,
        purpose: "captions, answers",
        about: preset.about,
        recall: None,
    });
    let helpers = HELPERS.iter().zip(["search --rerank", "queries"]).map(|((name, repo), purpose)| OfferedModel {
        name,
        from: repo,
        bytes: None,
        licence: model::licence(repo),
        purpose,
        about: if *name == "clip-multilingual" { "reads queries in 50 languages for clip (--text-model)" } else { "" },
        recall: None,
    });
    let readers = SCRIPT_MODELS.iter().map(|model| OfferedModel {
        name: model.name,
        from: "ModelScope",
        bytes: None,
        licence: scripts::LICENCE,
        purpose: "text in photos",
        about: model.reads,
        recall: None,
    });
    let mut offered = Vec::new();
    for model in encoders.chain(captioners).chain(helpers) {
        if model::locate(&model_choice::spec(model.name)?)?.is_none() {
            offered.push(model);
        }
    }
    let is_absent = |model: &OfferedModel| {
        let known = SCRIPT_MODELS.iter().find(|known| known.name == model.name);
        known.is_some_and(|known| !known.file(cache).is_file())
    };
    offered.extend(readers.filter(is_absent));
    Ok(offered)
}
