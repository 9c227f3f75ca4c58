//! Models: what is installed, what can be downloaded, and what is being done with one.

use super::state::State;
use crate::captions::open::ChosenBy;
use crate::model::Bits;
use crate::model::hub::presets::{CHAT_PRESETS, PRESETS};
use crate::model_choice::rounded;
use crate::stock::list::{OfferedModel, StockItem, StockKind};
use crate::terminal::text::{count, display_path, size};
use snapseek_index::ModelRole;
use std::path::PathBuf;

/// What is done with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelWork {
    /// Download it.
    Pull(String),
    /// Compare its files with what was published, and what it computes.
    Verify(String),
    /// Make a smaller form of it.
    Quantize(String, Bits),
}

impl ModelWork {
    /// What is being done, in words.
    #[must_use]
    pub fn says(&self) -> String {
        match self {
            Self::Pull(name) => format!("downloading {name}"),
            Self::Verify(name) => format!("verifying {name}"),
            Self::Quantize(name, _) => format!("quantizing {name}"),
        }
    }
}

/// What one of the library's models has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedModel {
    /// Its name.
    pub name: String,
    /// What it is in the library.
    pub role: ModelRole,
    /// Photos that it has embedded.
    pub embedded: u64,
    /// Photos that it has not embedded yet.
    pub awaiting: u64,
    /// Bytes that this takes.
    pub bytes: u64,
}

/// The model that writes captions and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedCaptioner {
    /// Its name; foreign text.
    pub name: String,
    /// Its folder; `None` if it is not installed.
    pub folder: Option<PathBuf>,
    /// Who chose it.
    pub by: ChosenBy,
}

/// What decides which model writes captions and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionerRule {
    /// The model that the library remembers.
    pub remembered: Option<String>,
    /// Whether that counts more than what the command line or the config name, because it was chosen later.
    pub is_newer: bool,
}

/// Which models there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelStock {
    /// Those that are installed.
    pub installed: Vec<StockItem>,
    /// Those that can be downloaded.
    pub offered: Vec<OfferedModel>,
    /// Those that have embedded photos of the library.
    pub used: Vec<UsedModel>,
    /// The one that writes captions and answers.
    pub captioner: Option<UsedCaptioner>,
}

/// How far work on a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelJob {
    /// Its generation.
    pub generation: u64,
    /// What is done.
    pub work: ModelWork,
    /// What of it is done now (foreign text), and how much of how much.
    pub at: Option<(String, u64, u64)>,
    /// It was cancelled.
    pub is_cancelled: bool,
}

/// Models, and the work on them.
#[derive(Clone, Debug, Default)]
pub struct ModelState {
    /// Which there are; `None` before it is known.
    pub stock: Option<ModelStock>,
    /// The position of the selected row.
    pub at: usize,
    /// What is being done.
    pub job: Option<ModelJob>,
    /// What was said about the last work; the flag is set for a problem.
    pub log: Vec<(bool, String)>,
}

/// A row of the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ModelRow<'a> {
    /// A heading.
    Heading(&'static str),
    /// An installed model.
    Installed(&'a StockItem),
    /// One that can be downloaded.
    Offered(&'a OfferedModel),
}

impl ModelRow<'_> {
    /// The name of the model, if it is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Heading(_) => None,
            Self::Installed(item) => Some(&item.name),
            Self::Offered(model) => Some(model.name),
        }
    }
}

impl ModelState {
    /// The rows of the list.
    #[must_use]
    pub fn rows(&self) -> Vec<ModelRow<'_>> {
        let Some(stock) = &self.stock else { return Vec::new() };
        let mut rows = vec![ModelRow::Heading("Installed")];
        rows.extend(stock.installed.iter().map(ModelRow::Installed));
        if !stock.offered.is_empty() {
            rows.push(ModelRow::Heading("To download"));
            rows.extend(stock.offered.iter().map(ModelRow::Offered));
        }
        rows
    }

    /// The selected row.
    #[must_use]
    pub fn row(&self) -> Option<ModelRow<'_>> {
        self.rows().get(self.at).copied()
    }

    /// Moves the selection by this many models, over headings.
    pub fn step(&mut self, by: isize) {
        let at = self.at.saturating_add_signed(by);
        self.at = self.settled(at, by >= 0);
    }

    /// The position of the model at or after a position, else before; the other way round unless `forward`.
    #[must_use]
    pub fn settled(&self, at: usize, forward: bool) -> usize {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let at = at.min(last);
        let is_model = |at: &usize| rows.get(*at).is_some_and(|row| row.name().is_some());
        let (after, before) = ((at..=last).find(is_model), (0..=at).rev().find(is_model));
        if forward { after.or(before) } else { before.or(after) }.unwrap_or(0)
    }

    /// The model that writes captions and answers, if it is this one.
    #[must_use]
    pub fn writes(&self, item: &StockItem) -> Option<&UsedCaptioner> {
        let used = self.stock.as_ref()?.captioner.as_ref()?;
        (item.is_captioner() && item.place.is_some() && used.folder == item.place).then_some(used)
    }

    /// What a model is in the library.
    #[must_use]
    pub fn used(&self, name: &str) -> Option<&UsedModel> {
        self.stock.as_ref()?.used.iter().find(|used| used.name == name)
    }
}

/// How much a model finds, as far as it is known.
#[must_use]
pub fn recall(name: &str) -> Option<f32> {
    PRESETS.iter().find(|preset| preset.name == name)?.recall
}

impl State {
    /// What this model, which writes, is in the library.
    fn captioner_says(&self, item: &StockItem, key: &str) -> String {
        let used = self.models.stock.as_ref().and_then(|stock| stock.captioner.as_ref());
        match (self.models.writes(item), used) {
            (Some(used), _) => match used.by {
                ChosenBy::Library => "writes captions and answers in this library".into(),
                ChosenBy::Settings => "writes captions and answers, as the command line or the config say".into(),
                ChosenBy::Nobody => {
                    format!("writes captions and answers, as no other was chosen; {key} makes the library remember it")
                }
            },
            (None, Some(used)) if used.name == item.name => {
                let form = self.models.stock.iter().flat_map(|stock| &stock.installed);
                let form = form.filter(|other| self.models.writes(other).is_some()).find_map(|other| other.precision);
                format!("its {} form writes captions and answers", form.unwrap_or("other"))
            }
            (None, Some(used)) => {
                let gone = if used.folder.is_none() { ", which is not installed" } else { "" };
                format!("{key} lets it write captions and answers here, in place of {}{gone}", used.name)
            }
            (None, None) => format!("{key} lets it write captions and answers in this library"),
        }
    }

    /// What is known about the selected model, line by line; may hold foreign text.
    #[must_use]
    pub fn model_says(&self) -> Vec<String> {
        let keys = &self.options.keymap;
        let key = |name: &str| keys.keys_of(name).split(' ').next().unwrap_or_default().to_owned();
        let finds = |recall: f32| format!("finds {recall:.1} of 100 (Crossmodal-3600 in English, published by Immich)");
        match self.models.row() {
            None | Some(ModelRow::Heading(_)) => Vec::new(),
            Some(ModelRow::Installed(item)) => {
                let place = item.place.as_deref().map_or("built into the program".to_owned(), display_path);
                let mut lines =
                    vec![format!("{}, {}, {}", item.kind.purpose(), rounded(item.bytes), item.licence), place];
                lines.extend(recall(&item.name).map(finds));
                if let Some(used) = self.models.used(&item.name) {
                    let embedded = count(usize::try_from(used.embedded).unwrap_or(usize::MAX), "photo");
                    lines.push(match used.role {
                        ModelRole::Current => format!("answers in this library: {embedded}"),
                        ModelRole::Filling => format!(
                            "will answer in this library: {embedded} embedded, {} to go; {} goes on",
                            used.awaiting,
                            key("use-model")
                        ),
                        ModelRole::Kept => {
                            format!("kept beside: {embedded}, {}; {} drops that", size(used.bytes), key("drop-model"))
                        }
                    });
                } else if item.dim.is_some()
                    && matches!(item.kind, StockKind::Model(_))
                    && item.kind.purpose() == "search"
                {
                    lines.push(format!(
                        "{} embeds the library's photos by it, and then it answers; until then the other one does",
                        key("use-model")
                    ));
                }
                if item.is_captioner() {
                    lines.push(self.captioner_says(item, &key("use-model")));
                }
                if item.is_quantizable {
                    lines
                        .push(format!("{} makes a smaller form, which is several times faster", key("quantize-model")));
                }
                lines
            }
            Some(ModelRow::Offered(model)) => {
                let bytes = model.bytes.map_or("size not known before".to_owned(), rounded);
                let mut lines = vec![format!("{}, {bytes}, {}", model.purpose, model.licence), model.from.to_owned()];
                lines.extend(Some(model.about.to_owned()).filter(|about| !about.is_empty()));
                lines.extend(model.recall.map(finds));
                let is_best = CHAT_PRESETS.first().is_some_and(|best| best.name == model.name);
                if is_best {
                    lines.push("the one to begin with for captions and chat".into());
                }
                lines.push(format!("{} downloads it once; nothing else leaves this machine", key("pull-model")));
                lines
            }
        }
    }
}
