//! Dual encoders: a text tower and a vision tower that embed into one space (CLIP,
//! OpenCLIP, MobileCLIP, SigLIP, Chinese-CLIP), on candle. Every
//! size comes from the configuration; what differs between families (names of tensors, activations, pooling,
//! preprocessing, tokens) is data.

mod attention_mask;
mod bert;
mod config;
mod cost;
mod eight_bits;
mod fastvit;
mod layout;
mod prefix_tree;
mod tags;
mod tensors;
mod text_input;
mod text_model;
mod tower;

use super::compute::awake::awake;
use super::compute::weights::Weights;
use super::hub::fingerprint;
use super::once::Once;
use super::preprocess::{self, Preprocessing};
use super::{Device, Embed, Embedding, Identity, Label, Pixels, Tokens, fill, is_unit, labels};
use crate::photo::picture::RgbPicture;
use anyhow::Context;
use bert::BertTower;
use candle_core::Tensor;
use config::{EncoderConfig, TextConfig, TextLayers, VisionLayers};
use eight_bits::EightBits;
use fastvit::FastVit;
use layout::Preparation;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tensors::ProjectionName;
use text_input::{Cleaning, TextInput};
use tower::{EncodePictures, EncodeTexts, EncoderLayer, Projection, TextTower, VisionTower};

pub use config::Family;
pub use cost::seconds_per_photo;
pub use eight_bits::TowerBits;
pub(super) use layout::{DESCRIPTIONS, EncoderFiles, wanted};
pub use text_model::TextModel;
pub(super) use text_model::{TextFiles, is_text_model, wanted_of_texts};

/// Part of the fingerprint: must change whenever the same files give other embeddings.
const VERSION: &str = "clip 1";

/// A dual encoder. Each tower is loaded when it is first used: a text query never touches the vision tower.
pub struct DualEncoder {
    identity: Identity,
    files: EncoderFiles,
    preprocessing: Preprocessing,
    text_input: Once<TextInput>,
    weights: Arc<Weights>,
    device: candle_core::Device,
    bits: TowerBits,
    cache: Option<PathBuf>,
    text: Once<Box<dyn EncodeTexts>>,
    vision: Once<Box<dyn EncodePictures>>,
    /// The embeddings of the names that can be tags, (names, dim), once loaded.
    labels: OnceLock<Vec<f32>>,
}

impl DualEncoder {
    /// Opens the model in `folder`. The hash of its weights and its towers in 8 bits are kept below `cache`, if that is
    /// given. Both precisions are the same model: their embeddings of a picture or a text differ by less than what a JPEG
    /// costs (docs/figures.md).
    ///
    /// # Errors
    /// A file is missing, damaged or of another model, or the device does not exist.
    pub fn open(folder: &Path, device: Device, bits: TowerBits, cache: Option<&Path>) -> anyhow::Result<Self> {
        let files = EncoderFiles::of(folder)?;
        let device = match device {
            Device::Cpu => candle_core::Device::Cpu,
            Device::Cuda => candle_core::Device::new_cuda(0)
                .context("no CUDA device (the program must be built with --features cuda)")?,
            Device::Metal => candle_core::Device::new_metal(0)
                .context("no Metal device (the program must be built with --features metal)")?,
        };
        let config = &files.config;
        anyhow::ensure!(
            device.is_cpu() || !matches!(config.vision.layers, VisionLayers::FastVit),
            "MobileCLIP runs on the processor only: use --device cpu"
        );
        let preprocessing = match &files.preparation {
            Preparation::Described(preprocessing) => preprocessing.clone(),
            Preparation::File(file) => Preprocessing::read(file, config.vision.image_size)?,
        };
        let fingerprint = fingerprint::of_files(VERSION, &files.paths(), cache)?;
        let identity = Identity { fingerprint, dim: config.dim };
        Ok(Self {
            identity,
            preprocessing,
            weights: Arc::new(Weights::map_shards(&files.weights, &device)?),
            files,
            text_input: Once::default(),
            // On a GPU, candle multiplies.
            bits: if device.is_cpu() { bits } else { TowerBits::Full },
            cache: cache.map(Path::to_path_buf),
            device,
            text: Once::default(),
            vision: Once::default(),
            labels: OnceLock::new(),
        })
    }

    /// Pixels, (3, size, size), that a reference implementation prepared instead of [`Embed::prepare`].
    #[must_use]
    pub fn pixels(values: Vec<f32>) -> Pixels {
        Pixels(values)
    }

    fn text_input(&self) -> anyhow::Result<&TextInput> {
        let EncoderFiles { tokenizer, tokenizer_config, config, .. } = &self.files;
        let open = || {
            let cleaning = Cleaning::of(config.family);
            TextInput::open(tokenizer, tokenizer_config.as_deref(), &config.text, cleaning)
        };
        self.text_input.get(open)
    }

    fn text(&self) -> anyhow::Result<&dyn EncodeTexts> {
        let EncoderConfig { family, text, dim, .. } = &self.files.config;
        let load = || -> anyhow::Result<Box<dyn EncodeTexts>> {
            let weights = &self.weights;
            Ok(match text.layers {
                TextLayers::Clip { .. } => {
                    let load =
                        |small: Option<&EightBits>| TextTower::load(Arc::clone(weights), small, *family, text, *dim);
                    Box::new(self.tower("texts", text.sizes.hidden, load, TextTower::layers)?)
                }
                TextLayers::Bert(naming) => {
                    let name = ProjectionName::Rows("text_projection.weight");
                    let projection = Projection::load(weights, &name, text.sizes.hidden, *dim)?;
                    Box::new(BertTower::load(Arc::clone(weights), naming, text, projection)?)
                }
            })
        };
        Ok(self.text.get(load)?.as_ref())
    }

    /// Loads a tower with the bits that are wanted; what it has in 8 bits is made if it is not kept.
    fn tower<T>(
        &self,
        name: &str,
        hidden: usize,
        load: impl Fn(Option<&EightBits>) -> anyhow::Result<T>,
        layers: fn(&T) -> &[EncoderLayer],
    ) -> anyhow::Result<T> {
        if !self.bits.are_eight(hidden) {
            return load(None);
        }
        let place = self.cache.as_ref().map(|cache| eight_bits::place(cache, &self.identity.fingerprint, name));
        if let Some(kept) = place.as_deref().and_then(EightBits::kept)
            && let Ok(tower) = load(Some(&kept))
        {
            return Ok(tower);
        }
        let made = EightBits::make(layers(&load(None)?), place.as_deref())?;
        load(Some(&made))
    }

    /// A single number among the weights, which some checkpoints keep as a list of one.
    fn number(&self, name: &str) -> anyhow::Result<f32> {
        let shape: &[usize] = if self.weights.place(name).is_some_and(|place| place.shape == [1]) { &[1] } else { &[] };
        Ok(self.weights.vector(name, shape)?.first().copied().unwrap_or_default())
    }

    /// Refuses weights that give anything but unit vectors.
    fn check(&self, rows: &[Vec<f32>]) -> anyhow::Result<()> {
        if rows.iter().all(|row| is_unit(row)) {
            return Ok(());
        }
        Err(self.weights.damaged("the model produces NaN, infinity or a zero vector"))
    }

    fn vision(&self) -> anyhow::Result<&dyn EncodePictures> {
        let EncoderConfig { family, vision, dim, .. } = &self.files.config;
        let load = || -> anyhow::Result<Box<dyn EncodePictures>> {
            Ok(match &vision.layers {
                VisionLayers::Vit(vit) => {
                    let load = |small: Option<&EightBits>| {
                        VisionTower::load(&self.weights, small, *family, vit, vision.image_size, *dim)
                    };
                    Box::new(self.tower("pictures", vit.sizes.hidden, load, VisionTower::layers)?)
                }
                VisionLayers::FastVit => Box::new(FastVit::load(&self.weights, *dim)?),
            })
        };
        Ok(self.vision.get(load)?.as_ref())
    }
}

impl Embed for DualEncoder {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// exp(logit_scale), as in the reference; 100, where training ends, if the checkpoint has none.
    fn logit_scale(&self) -> anyhow::Result<f32> {
        if !self.weights.has("logit_scale") {
            return Ok(100.0);
        }
        let scale = self.number("logit_scale")?.exp();
        if !scale.is_finite() || scale <= 0.0 {
            return Err(self.weights.damaged("its logit_scale is out of range"));
        }
        Ok(scale)
    }

    fn logit_bias(&self) -> anyhow::Result<Option<f32>> {
        if self.files.config.family != Family::Siglip {
            return Ok(None);
        }
        let bias = self.number("logit_bias")?;
        if !bias.is_finite() {
            return Err(self.weights.damaged("its logit_bias is out of range"));
        }
        Ok(Some(bias))
    }

    fn templates(&self) -> &'static [&'static str] {
        &tags::PROMPTS
    }

    fn image_size(&self) -> u32 {
        self.preprocessing.shortest_edge()
    }

    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<Pixels> {
        preprocess::prepare(picture, &self.preprocessing)
    }

    fn embed_pixels(&self, batch: &[Pixels]) -> anyhow::Result<Vec<Embedding>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let size = self.files.config.vision.image_size;
        anyhow::ensure!(batch.iter().all(|p| p.0.len() == 3 * size * size), "pixels prepared for another model");
        let values = batch.iter().flat_map(|p| &p.0).copied().collect();
        let pixels = Tensor::from_vec(values, (batch.len(), 3, size, size), &self.device)?;
        let tower = self.vision()?;
        let rows = tower::unit_rows(&awake(|| tower.forward(&pixels))?)?;
        // It may be one picture's fault: that of no colour tells.
        if !rows.iter().all(|row| is_unit(row)) {
            let plain = Tensor::zeros((1, 3, size, size), candle_core::DType::F32, &self.device)?;
            self.check(&tower::unit_rows(&tower.forward(&plain)?)?)?;
        }
        rows.into_iter().map(|vector| Ok(Embedding { tags: self.tags(&vector)?, vector })).collect()
    }

    fn embed_texts(&self, texts: &[String], template: Option<&str>) -> anyhow::Result<Vec<Vec<f32>>> {
        // A first query waits for both files, so they are loaded in parallel.
        let (text_input, tower) = rayon::join(|| self.text_input().map(drop), || self.text());
        text_input?;
        let text_tower = tower?;
        let filled = |text: &String| template.map_or_else(|| Ok(text.clone()), |template| fill(template, text));
        let TextConfig { context, fill: filler, .. } = self.files.config.text;
        let ids = |text: &String| {
            let mut ids = self.tokens(&filled(text)?)?.ids;
            if let Some(filler) = filler {
                ids.resize(context, filler);
            }
            anyhow::Ok(ids)
        };
        let ids = texts.iter().map(ids).collect::<anyhow::Result<Vec<_>>>()?;
        let embeddings = awake(|| tower::embed_texts(text_tower, &ids))?;
        self.check(&embeddings)?;
        Ok(embeddings)
    }

    fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        self.text_input()?.tokens(text)
    }

    fn has_labels(&self, cache: &Path) -> bool {
        if self.labels.get().is_none()
            && let Some(kept) = tags::kept(self, cache)
        {
            let _ = self.labels.set(kept);
        }
        self.labels.get().is_some()
    }

    fn tags(&self, vector: &[f32]) -> anyhow::Result<Vec<Label>> {
        let Some(classifier) = self.labels.get() else { return Ok(Vec::new()) };
        Ok(labels::likeliest(&tags::logits(vector, classifier, self.logit_scale()?)))
    }

    fn load_labels(&self, cache: &Path, progress: &mut dyn FnMut(usize, usize) -> bool) -> anyhow::Result<()> {
        if !self.has_labels(cache) {
            let _ = self.labels.set(tags::make(self, cache, progress)?);
        }
        Ok(())
    }
}
