//! CLIP: any CLIPModel in the Hugging Face layout (config.json, model.safetensors, tokenizer.json and
//! preprocessor_config.json), on candle. Every size comes from the configuration.

mod config;
mod tags;
mod tower;

use super::compute::weights::Weights;
use super::hub::fingerprint;
use super::once::Once;
use super::preprocess::{self, Preprocessing};
use super::tokenizer::{Cutting, Tokenizer};
use super::{Device, Embed, Embedding, Identity, Pixels, Tokens, fill, is_unit, labels};
use crate::photo::picture::RgbPicture;
use anyhow::Context;
use candle_core::Tensor;
use config::ClipConfig;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tower::{TextTower, VisionTower};

/// Files that a CLIP model's folder must contain.
pub(super) const FILES: [&str; 4] = ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"];
/// Part of the fingerprint: must change whenever the same files give other embeddings.
const VERSION: &str = "clip 1";

/// How many numbers an embedding of the model in `folder` has; an error if its config.json is not that of a CLIP.
pub(super) fn dim(folder: &Path) -> anyhow::Result<usize> {
    Ok(ClipConfig::read(&folder.join("config.json"))?.projection_dim)
}

/// A CLIP model. Each tower is loaded when it is first used: a text query never touches the vision tower.
pub struct Clip {
    identity: Identity,
    config: ClipConfig,
    preprocessing: Preprocessing,
    tokenizer_file: PathBuf,
    tokenizer: Once<Tokenizer>,
    weights: Arc<Weights>,
    device: candle_core::Device,
    text: Once<TextTower>,
    vision: Once<VisionTower>,
    /// The embeddings of the names that can be tags, (names, dim), once loaded.
    labels: OnceLock<Vec<f32>>,
}

impl Clip {
    /// Opens the model in `folder`. The hash of its weights is cached below `cache`, if that is given.
    ///
    /// # Errors
    /// A file is missing, damaged or of another model, or the device does not exist.
    pub fn open(folder: &Path, device: Device, cache: Option<&Path>) -> anyhow::Result<Self> {
        for name in FILES {
            anyhow::ensure!(folder.join(name).is_file(), "the model folder {} holds no {name}", folder.display());
        }
        let device = match device {
            Device::Cpu => candle_core::Device::Cpu,
            Device::Cuda => candle_core::Device::new_cuda(0)
                .context("no CUDA device (the program must be built with --features cuda)")?,
            Device::Metal => candle_core::Device::new_metal(0)
                .context("no Metal device (the program must be built with --features metal)")?,
        };
        let config = ClipConfig::read(&folder.join("config.json"))?;
        let preprocessing = Preprocessing::read(&folder.join("preprocessor_config.json"), config.vision.image_size)?;
        let weights = folder.join("model.safetensors");
        let mut hasher = blake3::Hasher::new();
        hasher.update(VERSION.as_bytes());
        for name in FILES {
            hasher.update(fingerprint::of_file(&folder.join(name), cache)?.as_bytes());
        }
        let identity = Identity { fingerprint: hasher.finalize().to_hex().to_string(), dim: config.projection_dim };
        Ok(Self {
            identity,
            preprocessing,
            tokenizer_file: folder.join("tokenizer.json"),
            tokenizer: Once::default(),
            weights: Arc::new(Weights::map(&weights, &device)?),
            device,
            text: Once::default(),
            vision: Once::default(),
            labels: OnceLock::new(),
            config,
        })
    }

    /// Pixels, (3, size, size), that a reference implementation prepared instead of [`Embed::prepare`].
    #[must_use]
    pub fn pixels(values: Vec<f32>) -> Pixels {
        Pixels(values)
    }

    fn tokenizer(&self) -> anyhow::Result<&Tokenizer> {
        self.tokenizer.get(|| {
            let max_length = Some(self.config.text.max_position_embeddings);
            Tokenizer::read(&self.tokenizer_file, Cutting { max_length, special_as_text: false })
        })
    }

    fn text(&self) -> anyhow::Result<&TextTower> {
        self.text.get(|| TextTower::load(Arc::clone(&self.weights), &self.config.text, self.identity.dim))
    }

    /// Refuses weights that give anything but unit vectors.
    fn check(&self, rows: &[Vec<f32>]) -> anyhow::Result<()> {
        if rows.iter().all(|row| is_unit(row)) {
            return Ok(());
        }
        Err(self.weights.damaged("the model produces NaN, infinity or a zero vector"))
    }

    fn vision(&self) -> anyhow::Result<&VisionTower> {
        self.vision.get(|| VisionTower::load(&self.weights, &self.config.vision, self.identity.dim))
    }
}

impl Embed for Clip {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// exp(logit_scale), as in the reference; 100, where training ends, if the checkpoint has none.
    fn logit_scale(&self) -> anyhow::Result<f32> {
        if !self.weights.has("logit_scale") {
            return Ok(100.0);
        }
        let scale = self.weights.tensor("logit_scale", &[])?.to_scalar::<f32>()?.exp();
        if !scale.is_finite() || scale <= 0.0 {
            return Err(self.weights.damaged("its logit_scale is out of range"));
        }
        Ok(scale)
    }

    fn templates(&self) -> &'static [&'static str] {
        &tags::PROMPTS
    }

    fn image_size(&self) -> u32 {
        self.preprocessing.shortest_edge.unwrap_or(self.preprocessing.crop)
    }

    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<Pixels> {
        preprocess::prepare(picture, &self.preprocessing)
    }

    fn embed_pixels(&self, batch: &[Pixels]) -> anyhow::Result<Vec<Embedding>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let size = self.config.vision.image_size;
        anyhow::ensure!(batch.iter().all(|p| p.0.len() == 3 * size * size), "pixels prepared for another model");
        let values = batch.iter().flat_map(|p| &p.0).copied().collect();
        let pixels = Tensor::from_vec(values, (batch.len(), 3, size, size), &self.device)?;
        let rows = tower::unit_rows(&self.vision()?.forward(&pixels)?)?;
        // It may be one picture's fault: that of no colour tells.
        if !rows.iter().all(|row| is_unit(row)) {
            let plain = Tensor::zeros((1, 3, size, size), candle_core::DType::F32, &self.device)?;
            self.check(&tower::unit_rows(&self.vision()?.forward(&plain)?)?)?;
        }
        let scale = self.logit_scale()?;
        let embed = |vector: Vec<f32>| {
            let tags = self.labels.get().map_or_else(Vec::new, |l| labels::likeliest(&tags::logits(&vector, l, scale)));
            Embedding { vector, tags }
        };
        Ok(rows.into_iter().map(embed).collect())
    }

    fn embed_texts(&self, texts: &[String], template: Option<&str>) -> anyhow::Result<Vec<Vec<f32>>> {
        // A first query waits for both files, so they are loaded in parallel.
        let (tokenizer, tower) = rayon::join(|| self.tokenizer().map(drop), || self.text());
        tokenizer?;
        let text_tower = tower?;
        let text = |text: &String| template.map_or_else(|| Ok(text.clone()), |template| fill(template, text));
        let ids = texts.iter().map(|t| Ok(self.tokens(&text(t)?)?.ids)).collect::<anyhow::Result<Vec<_>>>()?;
        // Texts of the same length form a batch, without padding.
        let mut lengths = BTreeMap::<usize, Vec<usize>>::new();
        for (n, ids) in ids.iter().enumerate() {
            lengths.entry(ids.len()).or_default().push(n);
        }
        let mut embeddings = vec![Vec::new(); texts.len()];
        for group in lengths.into_values() {
            let batch: Vec<&[u32]> = group.iter().map(|n| ids[*n].as_slice()).collect();
            let rows = tower::unit_rows(&text_tower.forward(&batch)?)?;
            self.check(&rows)?;
            for (n, embedding) in group.iter().zip(rows) {
                embeddings[*n] = embedding;
            }
        }
        Ok(embeddings)
    }

    fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        let (ids, tokens) = self.tokenizer()?.encode(text)?;
        anyhow::ensure!(!ids.is_empty(), "{} is damaged: a text has no tokens", self.tokenizer_file.display());
        Ok(Tokens { ids, tokens })
    }

    fn load_labels(&self, cache: &Path, progress: &mut dyn FnMut(usize, usize) -> bool) -> anyhow::Result<()> {
        if self.labels.get().is_none() {
            let _ = self.labels.set(tags::load(self, cache, progress)?);
        }
        Ok(())
    }
}
