//! The files of a BLIP-2 model's folder, and what it is for.

use super::config::{self, Blip2Purpose};
use crate::model::model_folder::{CONFIG, MissingFile, TOKENIZER};
use crate::model::preprocess::{self, read_json};
use crate::model::weight_files;
use serde::Deserialize;
use std::path::Path;

/// An optional file, which older models lack.
pub(in crate::model) const GENERATION: &str = "generation_config.json";

/// Whether the folder's config.json describes a BLIP-2.
pub(in crate::model) fn is_blip2(folder: &Path) -> bool {
    #[derive(Deserialize)]
    struct ConfigKind {
        model_type: String,
    }
    read_json::<ConfigKind>(&folder.join(CONFIG)).is_ok_and(|kind| config::is_blip2(&kind.model_type))
}

/// What a BLIP-2 can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blip2Use {
    /// Captions and answers, with OPT.
    Writes,
    /// Captions and answers, with T5.
    WritesWithT5,
    /// Comparing photos with texts.
    Matches,
}

/// What the BLIP-2 in a folder is for, by its config.json alone.
///
/// # Errors
/// It is not supported, or no BLIP-2.
pub fn use_of(folder: &Path) -> anyhow::Result<Blip2Use> {
    Ok(match config::Blip2Config::read(&folder.join(CONFIG))?.purpose {
        Blip2Purpose::Opt(_) => Blip2Use::Writes,
        Blip2Purpose::T5(_) => Blip2Use::WritesWithT5,
        Blip2Purpose::Retrieval(_) => Blip2Use::Matches,
    })
}

/// The names of the files that a model needs; the weights last.
///
/// # Errors
/// One is missing, or the list of shards is damaged.
pub(in crate::model) fn files_of(folder: &Path) -> anyhow::Result<Vec<String>> {
    let there = |name: &str| folder.join(name).is_file();
    let is_new = !there(preprocess::PREPROCESSOR) && there(preprocess::PROCESSOR);
    let small = [CONFIG, if is_new { preprocess::PROCESSOR } else { preprocess::PREPROCESSOR }, TOKENIZER];
    let mut files: Vec<String> = small.map(str::to_owned).to_vec();
    files.extend(there(GENERATION).then(|| GENERATION.to_owned()));
    files.extend(weight_files::weights_of(folder)?);
    match files.iter().find(|name| !there(name)) {
        None => Ok(files),
        Some(missing) => Err(MissingFile::new(folder, missing).into()),
    }
}
