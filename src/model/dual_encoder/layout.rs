//! Which files a dual encoder consists of: `transformers`' names, OpenCLIP's, or a folder of sentence-transformers.

use super::config::{EncoderConfig, Family, SUPPORTED};
use crate::model::model_folder::{CONFIG, INDEX, TOKENIZER, WEIGHTS, find, require, shards, weight_names};
use crate::model::preprocess::{self, Preprocessing, read_json};
use anyhow::Context;
use serde::Deserialize;
use std::path::{Path, PathBuf};

pub(super) const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";
/// Names the parts of a model of sentence-transformers.
pub(super) const MODULES: &str = "modules.json";
/// The files of which each says what a model is.
pub(in crate::model) const DESCRIPTIONS: [&str; 3] = [CONFIG, OPEN_CLIP_CONFIG, MODULES];
/// From which tokenizer.json can be made.
const VOCABULARY: [&str; 2] = ["vocab.json", "merges.txt"];
/// BERT's vocabulary, from which tokenizer.json can be made too.
const WORD_PIECES: &str = "vocab.txt";
/// How texts end, which token fills them, whether BERT's tokens are lower case.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const OPEN_CLIP_WEIGHTS: &str = "open_clip_model.safetensors";
/// Weights that are not read: reading a pickle can run any code.
const PICKLES: [&str; 4] =
    ["pytorch_model.bin", "open_clip_pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt"];

/// The files of a model, and what it is made of.
#[derive(Clone, Debug)]
pub(in crate::model) struct EncoderFiles {
    description: PathBuf,
    pub(super) preparation: Preparation,
    pub(super) tokenizer: TokenizerFiles,
    /// What else there is to know of the tokenizer, where it is needed.
    pub(super) tokenizer_config: Option<PathBuf>,
    index: Option<PathBuf>,
    pub(super) weights: Vec<PathBuf>,
    pub(super) config: EncoderConfig,
}

/// What says how pictures are prepared.
#[derive(Clone, Debug)]
pub(super) enum Preparation {
    /// The description of the model.
    Described(Preprocessing),
    /// A file of its own.
    File(PathBuf),
}

/// Where the tokenizer is.
#[derive(Clone, Debug)]
pub(super) enum TokenizerFiles {
    /// tokenizer.json
    Whole(PathBuf),
    /// vocab.json and merges.txt of CLIP.
    Clip([PathBuf; 2]),
    /// vocab.txt of BERT.
    WordPieces(PathBuf),
}

impl TokenizerFiles {
    pub(super) fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Whole(file) | Self::WordPieces(file) => std::slice::from_ref(file),
            Self::Clip(files) => files,
        }
    }
}

/// A part of a model of sentence-transformers.
#[derive(Deserialize)]
pub(super) struct Module {
    /// Its folder, within the model's; empty for that itself.
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// The parts that modules.json names.
pub(super) fn modules(path: &Path) -> anyhow::Result<Vec<Module>> {
    let modules: Vec<Module> = read_json(path)?;
    let is_plain = |module: &Module| !module.path.contains(['/', '\\']) && !module.path.starts_with('.');
    anyhow::ensure!(modules.iter().all(is_plain), "{} does not have the expected content", path.display());
    Ok(modules)
}

impl EncoderFiles {
    /// The files of the model in a folder.
    ///
    /// # Errors
    /// One is missing, is none of a supported model, or is not the file itself.
    pub(in crate::model) fn of(folder: &Path) -> anyhow::Result<Self> {
        let folder = &inner(folder)?;
        let description = described_by(&|name| Ok(find(folder, name).is_some()), &|name| require(folder, name))?;
        let path = require(folder, description)?;
        let config = EncoderConfig::read(&path)?;
        let names = match description {
            OPEN_CLIP_CONFIG => vec![OPEN_CLIP_WEIGHTS.to_owned()],
            _ => weight_names(folder)?,
        };
        names.first().map_or(Ok(()), |first| refuse_pickle(folder, first))?;
        let weights = names.iter().filter(|name| *name != INDEX).map(|name| require(folder, name));
        let weights = weights.collect::<anyhow::Result<_>>()?;
        let index = names.contains(&INDEX.to_owned()).then(|| folder.join(INDEX));
        let preparation = match &config.preprocessing {
            Some(preprocessing) => Preparation::Described(preprocessing.clone()),
            None => Preparation::File(preprocess::file_of(folder)?),
        };
        let tokenizer = tokenizer(folder)?;
        let tokenizer_config = match tokenizer {
            _ if config.text.padded => Some(require(folder, TOKENIZER_CONFIG)?),
            TokenizerFiles::WordPieces(_) => find(folder, TOKENIZER_CONFIG),
            _ => None,
        };
        Ok(Self { description: path, preparation, tokenizer, tokenizer_config, index, weights, config })
    }

    /// Numbers in an embedding, and the family.
    pub(in crate::model) fn describe(&self) -> (usize, Family) {
        (self.config.dim, self.config.family)
    }

    /// All of them, the weights last.
    pub(in crate::model) fn paths(&self) -> Vec<&Path> {
        let preprocessor = match &self.preparation {
            Preparation::Described(_) => None,
            Preparation::File(file) => Some(file),
        };
        let parts = [&self.description]
            .into_iter()
            .chain(preprocessor)
            .chain(self.tokenizer.paths())
            .chain(&self.tokenizer_config);
        parts.chain(&self.index).chain(&self.weights).map(PathBuf::as_path).collect()
    }
}

/// Which file says what a model is. Some repositories hold the same model twice, or in config.json only its picture
/// tower, for another library.
fn described_by(
    has: &dyn Fn(&str) -> anyhow::Result<bool>,
    small: &dyn Fn(&str) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<&'static str> {
    let has_open_clip = has(OPEN_CLIP_CONFIG)?;
    if !has_open_clip {
        return Ok(CONFIG);
    }
    let of_transformers =
        has(CONFIG)? && EncoderConfig::read(&small(CONFIG)?).is_ok() && (has(WEIGHTS)? || has(INDEX)?);
    Ok(if of_transformers { CONFIG } else { OPEN_CLIP_CONFIG })
}

/// The folder of sentence-transformers' CLIP within a folder, or the folder itself, if it has a description of its own.
fn inner(folder: &Path) -> anyhow::Result<PathBuf> {
    let described = [CONFIG, OPEN_CLIP_CONFIG].iter().any(|name| folder.join(name).is_file());
    let Some(modules) = find(folder, MODULES).filter(|_| !described) else { return Ok(folder.to_path_buf()) };
    let name = modules.display();
    let list = self::modules(&modules)?;
    let Some((first, others)) = list.split_first().filter(|(first, _)| first.kind.ends_with("CLIPModel")) else {
        anyhow::bail!("{name} describes a model that embeds texts alone, which is not supported; {SUPPORTED}");
    };
    // Embeddings are unit vectors anyway.
    if let Some(other) = others.iter().find(|other| !other.kind.ends_with("Normalize")) {
        anyhow::bail!("{name}: a module of the type {:?} is not supported", other.kind);
    }
    Ok(if first.path.is_empty() { folder.to_path_buf() } else { folder.join(&first.path) })
}

/// The tokenizer in a folder.
pub(super) fn tokenizer(folder: &Path) -> anyhow::Result<TokenizerFiles> {
    let own = VOCABULARY.map(|name| folder.join(name));
    if !folder.join(TOKENIZER).is_file() && own.iter().all(|file| file.is_file()) {
        return Ok(TokenizerFiles::Clip(own));
    }
    match (find(folder, TOKENIZER), VOCABULARY.map(|name| find(folder, name))) {
        (None, [Some(vocabulary), Some(merges)]) => Ok(TokenizerFiles::Clip([vocabulary, merges])),
        (None, _) if find(folder, WORD_PIECES).is_some() => {
            Ok(TokenizerFiles::WordPieces(require(folder, WORD_PIECES)?))
        }
        _ => Ok(TokenizerFiles::Whole(require(folder, TOKENIZER)?)),
    }
}

/// Says why a folder whose weights are a pickle is no use.
fn refuse_pickle(folder: &Path, wanted: &str) -> anyhow::Result<()> {
    let pickle = PICKLES.iter().find(|name| folder.join(name).is_file()).filter(|_| !folder.join(wanted).is_file());
    match pickle {
        Some(pickle) => Err(pickled(&folder.display().to_string(), pickle)),
        None => Ok(()),
    }
}

/// The error about weights that are only there as a pickle.
fn pickled(place: &str, pickle: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "{place} holds its weights only as {pickle}, a pickle, which can run any code when it is read: snapseek reads \
         safetensors alone; --model ORG/NAME@REVISION takes a revision that has them"
    )
}

/// What is wrong with a repository that has no safetensors.
fn without_weights(has: &dyn Fn(&str) -> anyhow::Result<bool>) -> anyhow::Result<anyhow::Error> {
    for pickle in PICKLES {
        if has(pickle)? {
            return Ok(pickled("the repository", pickle));
        }
    }
    Ok(anyhow::anyhow!("the repository has no weights in safetensors"))
}

/// The names of the files of the tokenizer in a repository, of which `has` tells what there is.
pub(super) fn wanted_tokenizer(has: &dyn Fn(&str) -> anyhow::Result<bool>) -> anyhow::Result<Vec<&'static str>> {
    if !has(TOKENIZER)? {
        if has(VOCABULARY[0])? {
            return Ok(VOCABULARY.to_vec());
        }
        if has(WORD_PIECES)? {
            let config = has(TOKENIZER_CONFIG)?.then_some(TOKENIZER_CONFIG);
            return Ok([WORD_PIECES].into_iter().chain(config).collect());
        }
    }
    Ok(vec![TOKENIZER])
}

/// The names of the files to download of the model in a repository, of which `has` tells which there are and `small`
/// fetches one: first what says what the model is, so that nothing large is fetched of a model that is not supported.
///
/// # Errors
/// As [`EncoderFiles::of`], or the server cannot be asked.
pub(in crate::model) fn wanted(
    has: &dyn Fn(&str) -> anyhow::Result<bool>,
    small: &dyn Fn(&str) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<Vec<String>> {
    let mut prefix = String::new();
    if !has(CONFIG)? && !has(OPEN_CLIP_CONFIG)? && has(MODULES)? {
        let modules = small(MODULES)?;
        let folder = modules.parent().context("a file without a folder")?;
        let part = inner(folder)?;
        if let Some(part) = part.strip_prefix(folder).ok().and_then(Path::to_str).filter(|part| !part.is_empty()) {
            prefix = format!("{part}/");
        }
    }
    let within = |name: &str| format!("{prefix}{name}");
    let has = |name: &str| has(&within(name));
    let small = |name: &str| small(&within(name));
    let description = described_by(&has, &small)?;
    let config = EncoderConfig::read(&small(description)?)?;
    let mut files = vec![description.to_owned()];
    if config.preprocessing.is_none() {
        files.push(preprocess::wanted(&has, &small)?.to_owned());
    }
    let tokenizer = wanted_tokenizer(&has)?;
    if config.text.padded && !tokenizer.contains(&TOKENIZER_CONFIG) {
        anyhow::ensure!(has(TOKENIZER_CONFIG)?, "the repository holds no {TOKENIZER_CONFIG}");
        files.push(TOKENIZER_CONFIG.to_owned());
    }
    files.extend(tokenizer.into_iter().map(str::to_owned));
    let weights = if description == OPEN_CLIP_CONFIG { OPEN_CLIP_WEIGHTS } else { WEIGHTS };
    if has(weights)? {
        files.push(weights.to_owned());
    } else if description == CONFIG && has(INDEX)? {
        files.push(INDEX.to_owned());
        files.extend(shards(&small(INDEX)?)?);
    } else {
        return Err(without_weights(&has)?);
    }
    let modules = (!prefix.is_empty()).then(|| MODULES.to_owned());
    Ok(modules.into_iter().chain(files.iter().map(|name| within(name))).collect())
}
