//! Models that turn texts and pictures into unit vectors of one space.
//!
//! One trait, [`Embed`], and two implementations: [`dual_encoder`] (CLIP, OpenCLIP and SigLIP, read from a folder) and
//! [`mod@starter`] (built into the program). [`chat_model`] is the trait of models that write captions and answers:
//! [`blip2`] and [`vision_language`]. [`hub`] finds and downloads models. Nothing here knows about the catalogue or the
//! terminal.

pub mod blip2;
pub mod chat_model;
pub mod compute;
pub mod dual_encoder;
pub mod generation;
pub mod hub;
pub mod kept;
mod labels;
mod model_folder;
pub mod ocr;
mod once;
mod paired;
mod preprocess;
pub mod published;
mod quantize;
pub mod starter;
mod tokenizer;
pub mod vision_language;
mod weight_files;
pub mod zero_shot;

pub use dual_encoder::TowerBits;
pub use hub::download::pull;
pub use hub::spec::ModelSpec;
pub use hub::store::{
    ChecksumVerdict, FileVerdict, Installed, Kind, StoreOptions, bytes_of, check, defect, delete_damaged, installed,
    is_blip2, is_text_model, is_trained, licence, locate, repository, short_name,
};
pub use paired::Paired;
pub use quantize::{Bits, Manifest, quantize};
pub use starter::Starter;

use crate::photo::picture::RgbPicture;
use std::path::Path;

/// Identifies a model: two models with equal identities produce equal embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Hash over the weights, the configuration and the version of this program's preprocessing.
    pub fingerprint: String,
    /// Numbers in an embedding.
    pub dim: usize,
}

/// One picture as the input of a model; made by [`Embed::prepare`] of the same model.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels(pub Vec<f32>);

/// A label and how sure the model is of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// A noun from the label list.
    pub label: String,
    /// Probability, from 0 to 1.
    pub score: f32,
}

/// What a model computes from a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Unit vector of [`Identity::dim`] numbers.
    pub vector: Vec<f32>,
    /// The likeliest labels, best first; empty if the model's labels were not loaded.
    pub tags: Vec<Label>,
}

/// What a text model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Ids in the model's vocabulary, with the start and end tokens.
    pub ids: Vec<u32>,
    /// The same as the vocabulary writes them.
    pub tokens: Vec<String>,
}

/// A model that embeds texts and pictures into one space. Every method may be called from many threads at once.
pub trait Embed: Send + Sync {
    /// Identifies the model.
    fn identity(&self) -> &Identity;

    /// Identifies what embeds texts: two with equal ones give the same embeddings of the same texts.
    fn text_fingerprint(&self) -> &str {
        &self.identity().fingerprint
    }

    /// The positive factor for the cosine of a picture and a text before a softmax over texts; about 100 for CLIP.
    ///
    /// # Errors
    /// The model's files are damaged.
    fn logit_scale(&self) -> anyhow::Result<f32>;

    /// What is added to scale times cosine before a sigmoid, for a model that was trained to judge each pair of a
    /// picture and a text by itself (SigLIP); `None` if its probabilities are a softmax over texts.
    ///
    /// # Errors
    /// The model's files are damaged.
    fn logit_bias(&self) -> anyhow::Result<Option<f32>> {
        Ok(None)
    }

    /// Prompt templates, with `{}` where a label goes; the embedding of a label is the mean over all of them.
    fn templates(&self) -> &'static [&'static str];

    /// Edge in pixels of the square that the model sees. A picture whose shortest edge is twice that is large enough.
    fn image_size(&self) -> u32;

    /// Resizes, crops and normalises a picture.
    ///
    /// # Errors
    /// A picture without pixels.
    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<Pixels>;

    /// Embeds prepared pictures, in order. A picture for which sound weights give no unit vector keeps what they give.
    ///
    /// # Errors
    /// The model's files are damaged, or memory runs out on its device.
    fn embed_pixels(&self, batch: &[Pixels]) -> anyhow::Result<Vec<Embedding>>;

    /// Embeds texts, in order. `template` holds `{}` where the text goes; without one the model's own default is used.
    ///
    /// # Errors
    /// The template holds no `{}`, or the model's files are damaged.
    fn embed_texts(&self, texts: &[String], template: Option<&str>) -> anyhow::Result<Vec<Vec<f32>>>;

    /// What the text model reads when it is given `text` alone.
    ///
    /// # Errors
    /// The tokenizer's file is damaged.
    fn tokens(&self, text: &str) -> anyhow::Result<Tokens>;

    /// Takes up what tags need, if it was prepared before; whether tags come with embeddings from now on.
    fn has_labels(&self, _cache: &Path) -> bool {
        true
    }

    /// Prepares what tags need. This may take a while the first time; the result is then cached below `cache`.
    /// `progress` receives the number of prompts done and in all, and stops the work by returning false.
    ///
    /// # Errors
    /// The work was stopped, or the model's files are damaged.
    fn load_labels(&self, cache: &Path, progress: &mut dyn FnMut(usize, usize) -> bool) -> anyhow::Result<()>;

    /// The likeliest labels, best first, of an embedding that was made before the labels were loaded.
    ///
    /// # Errors
    /// The model's files are damaged.
    fn tags(&self, _vector: &[f32]) -> anyhow::Result<Vec<Label>> {
        Ok(Vec::new())
    }
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// An Apple GPU.
    Metal,
}

/// The model that is built into the program.
///
/// # Errors
/// Never, unless the program itself is damaged.
pub fn starter() -> anyhow::Result<Box<dyn Embed>> {
    Ok(Box::new(Starter::built_in()?))
}

/// Opens the dual encoder in `folder`. What takes long to compute, such as the hash of its weights, is kept below
/// `cache`.
///
/// # Errors
/// A file is missing, damaged or of another kind of model, or the device is not available.
pub fn open(folder: &Path, device: Device, bits: TowerBits, cache: &Path) -> anyhow::Result<Box<dyn Embed>> {
    Ok(Box::new(dual_encoder::DualEncoder::open(folder, device, bits, Some(cache))?))
}

/// Opens the model in `folder` that embeds texts for the pictures of another one. The hash of its weights is cached
/// below `cache`.
///
/// # Errors
/// A file is missing, damaged or of another kind of model.
pub fn open_texts(folder: &Path, cache: &Path) -> anyhow::Result<dual_encoder::TextModel> {
    dual_encoder::TextModel::open(folder, Some(cache))
}

/// Puts `text` into a prompt template.
fn fill(template: &str, text: &str) -> anyhow::Result<String> {
    anyhow::ensure!(template.contains("{}"), "the template {template:?} does not say with {{}} where the words go");
    Ok(template.replacen("{}", text, 1))
}

/// The dot products of all rows of `x` with all rows of `w`, each of `length` numbers, as (rows of x, rows of w). Uses
/// every thread of the current rayon pool; the result has the same bits on every processor and with any number of
/// threads.
#[must_use]
pub fn products(x: &[f32], w: &[f32], length: usize) -> Vec<f32> {
    if x.is_empty() || w.is_empty() { Vec::new() } else { compute::matrix::multiply_slices_alike(x, w, length) }
}

/// Whether a vector has unit length: not so if the model has produced NaN, infinity or zeros.
#[must_use]
pub fn is_unit(vector: &[f32]) -> bool {
    let length = vector.iter().map(|v| v * v).sum::<f32>();
    (length - 1.0).abs() <= 1e-3
}

/// Scales a vector to unit length; a zero vector stays unchanged.
pub fn normalize(vector: &mut [f32]) {
    let norm = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
    }
}
