//! Text towers for the embeddings of another model's pictures: sentence-transformers' multilingual ones (Reimers and
//! Gurevych 2020, arXiv 2004.09813), a DistilBERT whose states are averaged and projected.

use super::bert::BertTower;
use super::config::{self, BertNaming, TextConfig, TextPooling};
use super::layout::{self, Module, TokenizerFiles};
use super::tensors::ProjectionName;
use super::text_input::{Cleaning, TextInput};
use super::tower::{self, Projection};
use crate::model::compute::weights::Weights;
use crate::model::hub::fingerprint;
use crate::model::model_folder::{CONFIG, INDEX, WEIGHTS, check_is_no_pointer, find, require, weight_names};
use crate::model::once::Once;
use crate::model::preprocess::read_json;
use crate::model::{Identity, Tokens, fill, is_unit};
use anyhow::Context;
use candle_core::{Device, Tensor};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Part of the fingerprint: must change whenever the same files give other embeddings.
const VERSION: &str = "text 1";
/// How long texts are, in tokens.
const LENGTH: &str = "sentence_bert_config.json";
/// The projection's weights where there are no safetensors.
const ARCHIVE: &str = "pytorch_model.bin";
const PROJECTION: &str = "linear.weight";

/// The files of a text model, and what it is made of.
#[derive(Clone, Debug)]
pub(in crate::model) struct TextFiles {
    /// All that say something, in a fixed order.
    descriptions: Vec<PathBuf>,
    tokenizer: TokenizerFiles,
    weights: Vec<PathBuf>,
    /// The file of the projection, of (numbers of an embedding, hidden).
    projection: PathBuf,
    config: TextConfig,
    dim: usize,
    cleaning: Cleaning,
}

#[derive(Deserialize)]
struct PoolingFile {
    pooling_mode: Option<String>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
struct DenseFile {
    in_features: usize,
    out_features: usize,
    #[serde(default)]
    bias: bool,
    activation_function: Option<String>,
}

#[derive(Default, Deserialize)]
struct LengthFile {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

impl TextFiles {
    /// The files of the text model in a folder.
    ///
    /// # Errors
    /// One is missing, is none of a supported model, or is not the file itself.
    pub(in crate::model) fn of(folder: &Path) -> anyhow::Result<Self> {
        let modules = require(folder, layout::MODULES)?;
        let [transformer, pooling, dense] = parts(&modules)?;
        let within = |module: &Module, name: &str| require(&folder.join(&module.path), name);
        let (description, pooling) = (within(&transformer, CONFIG)?, within(&pooling, CONFIG)?);
        let dense_config = within(&dense, CONFIG)?;
        let length = find(&folder.join(&transformer.path), LENGTH);
        let limits: LengthFile = length.as_deref().map(read_json).transpose()?.unwrap_or_default();
        let mut config = config::read_distilbert(&description, limits.max_seq_length)?;
        config.pooling = read_pooling(&pooling)?;
        let dim = read_dense(&dense_config, config.sizes.hidden)?;
        let inside = folder.join(&transformer.path);
        let names = weight_names(&inside)?;
        let weights = names.iter().filter(|name| *name != INDEX).map(|name| require(&inside, name));
        let dense_folder = folder.join(&dense.path);
        let archive = dense_folder.join(ARCHIVE);
        let has_archive = archive.is_file() && !dense_folder.join(WEIGHTS).is_file();
        let projection = if has_archive { archive } else { require(&dense_folder, WEIGHTS)? };
        check_is_no_pointer(&projection)?;
        Ok(Self {
            tokenizer: layout::tokenizer(&inside)?,
            weights: weights.collect::<anyhow::Result<_>>()?,
            descriptions: [modules, description, pooling, dense_config].into_iter().chain(length).collect(),
            projection,
            config,
            dim,
            cleaning: if limits.do_lower_case { Cleaning::LowerCase } else { Cleaning::None },
        })
    }

    /// Numbers in an embedding.
    pub(in crate::model) fn dim(&self) -> usize {
        self.dim
    }

    /// All of them, the weights last.
    pub(in crate::model) fn paths(&self) -> Vec<&Path> {
        let tokenizer = self.tokenizer.paths().iter();
        let parts = self.descriptions.iter().chain(tokenizer).chain([&self.projection]).chain(&self.weights);
        parts.map(PathBuf::as_path).collect()
    }
}

/// Whether a folder describes a text model for another model's pictures, complete or not.
pub(in crate::model) fn is_text_model(folder: &Path) -> bool {
    find(folder, layout::MODULES).is_some_and(|modules| parts(&modules).is_ok())
}

/// The names of the files to download of the text model in a repository; `None` if it holds another model. `has` tells
/// which files there are, and `small` fetches one.
///
/// # Errors
/// It is not supported, or the server cannot be asked.
pub(in crate::model) fn wanted_of_texts(
    has: &dyn Fn(&str) -> anyhow::Result<bool>,
    small: &dyn Fn(&str) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<Option<Vec<String>>> {
    if !has(layout::MODULES)? {
        return Ok(None);
    }
    let modules = small(layout::MODULES)?;
    let Ok([transformer, pooling, dense]) = parts(&modules) else { return Ok(None) };
    let within = |module: &Module, name: &str| {
        if module.path.is_empty() { name.into() } else { format!("{}/{name}", module.path) }
    };
    let config = within(&transformer, CONFIG);
    let (pooling, dense_config) = (within(&pooling, CONFIG), within(&dense, CONFIG));
    let hidden = config::read_distilbert(&small(&config)?, None)?.sizes.hidden;
    read_pooling(&small(&pooling)?)?;
    read_dense(&small(&dense_config)?, hidden)?;
    let mut files = vec![layout::MODULES.to_owned(), config, pooling, dense_config];
    let length = within(&transformer, LENGTH);
    if has(&length)? {
        files.push(length);
    }
    files.extend(
        layout::wanted_tokenizer(&|name| has(&within(&transformer, name)))?
            .iter()
            .map(|name| within(&transformer, name)),
    );
    let (weights, archive) = (within(&dense, WEIGHTS), within(&dense, ARCHIVE));
    files.push(if !has(&weights)? && has(&archive)? { archive } else { weights });
    files.push(within(&transformer, WEIGHTS));
    Ok(Some(files))
}

/// The modules of a text model: its transformer, how states are pooled, and the projection.
fn parts(modules: &Path) -> anyhow::Result<[Module; 3]> {
    let name = modules.display();
    let list = layout::modules(modules)?;
    let is = |module: &Module, kind: &str| module.kind.ends_with(&format!(".{kind}"));
    // Embeddings become unit vectors anyway.
    let list: Vec<Module> = list.into_iter().filter(|module| !is(module, "Normalize")).collect();
    let found = <[Module; 3]>::try_from(list).ok().filter(|[transformer, pooling, dense]| {
        is(transformer, "Transformer") && is(pooling, "Pooling") && is(dense, "Dense")
    });
    found.with_context(|| {
        format!(
            "{name} describes no text model for a CLIP's pictures: a transformer, a pooling and a projection are \
             expected, as in sentence-transformers/clip-ViT-B-32-multilingual-v1"
        )
    })
}

fn read_pooling(path: &Path) -> anyhow::Result<TextPooling> {
    let name = path.display();
    let file: PoolingFile = read_json(path)?;
    let others = file.pooling_mode_max_tokens
        || file.pooling_mode_mean_sqrt_len_tokens
        || file.pooling_mode_weightedmean_tokens
        || file.pooling_mode_lasttoken;
    match (file.pooling_mode.as_deref(), file.pooling_mode_mean_tokens, file.pooling_mode_cls_token) {
        (Some("mean"), ..) | (None, true, false) if !others => Ok(TextPooling::Mean),
        (Some("cls"), ..) | (None, false, true) if !others => Ok(TextPooling::First),
        _ => anyhow::bail!("{name}: only the mean of all states, or the first one, is supported as a pooling"),
    }
}

/// How many numbers the projection gives.
fn read_dense(path: &Path, hidden: usize) -> anyhow::Result<usize> {
    let name = path.display();
    let file: DenseFile = read_json(path)?;
    anyhow::ensure!(file.in_features == hidden, "{name}: {} numbers go in, but there are {hidden}", file.in_features);
    anyhow::ensure!(!file.bias, "{name}: a projection with a bias is not supported");
    let activation = file.activation_function.as_deref().unwrap_or("Identity");
    anyhow::ensure!(activation.ends_with("Identity"), "{name}: activation_function = {activation:?} is not supported");
    config::check_size(&name.to_string(), file.out_features)
}

/// A model that embeds texts for the pictures of another one.
pub struct TextModel {
    identity: Identity,
    files: TextFiles,
    input: Once<TextInput>,
    tower: Once<BertTower>,
}

impl TextModel {
    /// Opens the model in `folder`. The hash of its weights is cached below `cache`, if that is given.
    ///
    /// # Errors
    /// A file is missing, damaged or of another model.
    pub fn open(folder: &Path, cache: Option<&Path>) -> anyhow::Result<Self> {
        let files = TextFiles::of(folder)?;
        let fingerprint = fingerprint::of_files(VERSION, &files.paths(), cache)?;
        let identity = Identity { fingerprint, dim: files.dim };
        Ok(Self { identity, files, input: Once::default(), tower: Once::default() })
    }

    /// Identifies the model, and says how many numbers its embeddings have.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Embeds texts, in order, as unit vectors; `template` holds `{}` where the text goes.
    ///
    /// # Errors
    /// The template holds no `{}`, or the model's files are damaged.
    pub fn embed_texts(&self, texts: &[String], template: Option<&str>) -> anyhow::Result<Vec<Vec<f32>>> {
        let (input, tower) = rayon::join(|| self.input(), || self.tower.get(|| self.load()));
        let (input, tower) = (input?, tower?);
        let text = |text: &String| template.map_or_else(|| Ok(text.clone()), |template| fill(template, text));
        let ids = texts.iter().map(|t| Ok(input.tokens(&text(t)?)?.ids)).collect::<anyhow::Result<Vec<_>>>()?;
        let rows = tower::embed_texts(tower, &ids)?;
        let is_sound = rows.iter().all(|row| is_unit(row));
        anyhow::ensure!(is_sound, "{}", tower.damaged("the model produces NaN, infinity or a zero vector"));
        Ok(rows)
    }

    /// What the model reads when it is given `text` alone.
    ///
    /// # Errors
    /// The tokenizer's file is damaged.
    pub fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        self.input()?.tokens(text)
    }

    fn input(&self) -> anyhow::Result<&TextInput> {
        let TextFiles { tokenizer, config, cleaning, .. } = &self.files;
        self.input.get(|| TextInput::open(tokenizer, None, config, *cleaning))
    }

    fn load(&self) -> anyhow::Result<BertTower> {
        let TextFiles { config, weights, projection, dim, .. } = &self.files;
        let hidden = config.sizes.hidden;
        let projection = if projection.ends_with(ARCHIVE) {
            Projection::new(of_archive(projection, [*dim, hidden])?)
        } else {
            let weights = Weights::map_shards(std::slice::from_ref(projection), &Device::Cpu)?;
            Projection::load(&weights, &ProjectionName::Rows(PROJECTION), hidden, *dim)?
                .context("a projection without weights")?
        };
        let weights = Arc::new(Weights::map_shards(weights, &Device::Cpu)?);
        BertTower::load(weights, BertNaming::DistilBert, config, Some(projection))
    }
}

/// The projection's matrix in an archive of PyTorch. Its pickle is not read: a projection is the archive's only tensor,
/// and so the numbers of the only storage that has its size.
fn of_archive(path: &Path, [dim, hidden]: [usize; 2]) -> anyhow::Result<Tensor> {
    let name = path.display();
    let size = 4 * dim * hidden;
    let other = || format!("{name} is damaged, or no archive of PyTorch with a projection of {dim} x {hidden} numbers");
    let file = File::open(path).with_context(|| format!("{name} cannot be opened"))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).with_context(other)?;
    let mut found = None;
    for n in 0..archive.len() {
        let entry = archive.by_index_raw(n).with_context(other)?;
        if entry.size() == size as u64 && entry.compression() == zip::CompressionMethod::Stored {
            anyhow::ensure!(found.is_none(), "{name} holds more than one tensor of the projection's size");
            found = Some(n);
        }
    }
    let mut bytes = vec![0; size];
    archive
        .by_index(found.with_context(other)?)
        .and_then(|mut entry| Ok(entry.read_exact(&mut bytes)?))
        .with_context(other)?;
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Ok(Tensor::from_vec(numbers, (dim, hidden), &Device::Cpu)?)
}
