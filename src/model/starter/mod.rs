//! The starter: a model small enough to be part of the program, so that a copied binary works alone and offline.
//!
//! A picture is mapped to EfficientNet-Lite0 class probabilities, and these to a convex combination of the class names'
//! sentence embeddings (ConSE: Norouzi et al. 2014, arXiv 1312.5650); a text is mapped to the all-MiniLM-L6-v2 sentence
//! embedding of "a photo of ...". The mean of the class names' embeddings, which means only "a photo of", is subtracted
//! from both. `models/starter` describes how the weights were packed.

mod text;
mod vision;

use super::once::Once;
use super::{Embed, Embedding, Identity, Pixels, Tokens, fill, labels, normalize};
use crate::photo::picture::RgbPicture;
use crate::photo::resample::{self, ResampleFilter};
use anyhow::Context;
use half::f16;
use safetensors::SafeTensors;
use std::path::Path;
use text::MiniLm;
use vision::EfficientNet;

/// How many numbers an embedding has.
pub(super) const DIM: usize = 384;
/// Edge length in pixels of the square that the classifier sees.
const EDGE: u32 = 224;
/// Softens the class probabilities before they are combined.
const TEMPERATURE: f32 = 2.0;
/// How many of the likeliest classes are combined.
const TOP: usize = 50;
/// The template for queries.
const PROMPT: &str = "a photo of {}";
/// The templates for the labels of a classifier. With CLIP's seven, fewer fixture photos get the right label.
const TEMPLATES: [&str; 3] = ["a photo of {}", "a photo of a {}", "a photo of a kind of {}"];
/// The factor for cosines before a softmax over texts. The model does not define one: the right groups of the photos in
/// `fixtures/photos/groups.json` are most probable with 14 for their thirteen groups, and with 12 to 25 for coarser and
/// finer ones.
const SCALE: f32 = 16.0;
/// Part of the fingerprint: must change whenever the same weights give other embeddings.
const VERSION: &str = "starter 1";

#[repr(C, align(64))]
struct AlignedBytes<T: ?Sized>(T);

/// The packed weights, aligned so that they can be read in place.
static PACKED: &AlignedBytes<[u8]> = &AlignedBytes(*include_bytes!("../../../models/starter/starter.safetensors"));
static TOKENIZER: &[u8] = include_bytes!("../../../models/starter/tokenizer.json");

/// The size of the packed weights and the tokenizer in bytes.
pub(super) fn packed_bytes() -> u64 {
    (PACKED.0.len() + TOKENIZER.len()) as u64
}

/// The built-in model. Each half is loaded when it is first used.
pub struct Starter {
    identity: Identity,
    packed: Packed,
    text: Once<MiniLm>,
    vision: Once<EfficientNet>,
}

impl Starter {
    /// The model that is built into the program.
    ///
    /// # Errors
    /// The program file is damaged.
    pub fn built_in() -> anyhow::Result<Self> {
        let packed = Packed(SafeTensors::deserialize(&PACKED.0).context("the built-in model is damaged")?);
        // The class names' embeddings and the classifier depend on both halves of the model; the rest of the 44 MB need
        // not be read at every start.
        let mut hasher = blake3::Hasher::new();
        hasher.update(VERSION.as_bytes()).update(packed.bytes("labels.embeddings")?);
        hasher.update(packed.bytes("vision.classifier.bias")?);
        let identity = Identity { fingerprint: hasher.finalize().to_hex().to_string(), dim: DIM };
        Ok(Self { identity, packed, text: Once::default(), vision: Once::default() })
    }

    /// The network's input from two views of a picture, each of 224 x 224 RGB bytes: the whole picture, squashed, and
    /// its central square.
    #[must_use]
    pub fn pixels_of_views(squashed: &[u8], central: &[u8]) -> Pixels {
        Pixels(squashed.iter().chain(central).map(|&v| (f32::from(v) - 127.0) / 128.0).collect())
    }

    fn text(&self) -> anyhow::Result<&MiniLm> {
        self.text.get(|| MiniLm::load(&self.packed, TOKENIZER))
    }

    fn vision(&self) -> anyhow::Result<&EfficientNet> {
        self.vision.get(|| EfficientNet::load(&self.packed))
    }

    /// The sum of the likeliest classes' sentence embeddings, weighted by their probabilities, at unit length.
    fn combine(&self, logits: &[f32]) -> anyhow::Result<Vec<f32>> {
        let softened: Vec<f32> = logits.iter().map(|l| l / TEMPERATURE).collect();
        let mut classes: Vec<_> = labels::softmax(&softened).into_iter().enumerate().collect();
        classes.sort_by(|a, b| b.1.total_cmp(&a.1));
        let embeddings = self.packed.f16("labels.embeddings")?;
        let mut vector = vec![0.0; DIM];
        for (class, probability) in classes.into_iter().take(TOP) {
            let embedding = embeddings.get(class * DIM..(class + 1) * DIM).context("a class without a name")?;
            for (total, value) in vector.iter_mut().zip(embedding) {
                *total += probability * value.to_f32();
            }
        }
        normalize(&mut vector);
        Ok(vector)
    }
}

impl Embed for Starter {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn logit_scale(&self) -> anyhow::Result<f32> {
        Ok(SCALE)
    }

    fn templates(&self) -> &'static [&'static str] {
        &TEMPLATES
    }

    fn image_size(&self) -> u32 {
        EDGE
    }

    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<Pixels> {
        let (width, height) = picture.full;
        let side = width.min(height);
        let offset = |length: u32| f64::from((length - side) / 2);
        let square = (offset(width), offset(height), side.into(), side.into());
        let squashed =
            resample::rgb(picture, (0.0, 0.0, width.into(), height.into()), EDGE, EDGE, ResampleFilter::Bicubic)?;
        let central = resample::rgb(picture, square, EDGE, EDGE, ResampleFilter::Bicubic)?;
        Ok(Self::pixels_of_views(&squashed, &central))
    }

    fn embed_pixels(&self, batch: &[Pixels]) -> anyhow::Result<Vec<Embedding>> {
        let vision = self.vision()?;
        let embed = |pixels: &Pixels| {
            let logits = vision.logits(&pixels.0)?;
            Ok(Embedding { vector: self.combine(&logits)?, tags: labels::likeliest(&logits) })
        };
        batch.iter().map(embed).collect()
    }

    fn embed_texts(&self, texts: &[String], template: Option<&str>) -> anyhow::Result<Vec<Vec<f32>>> {
        let mean = self.packed.f32("labels.mean")?;
        let filled = texts.iter().map(|text| fill(template.unwrap_or(PROMPT), text));
        let mut vectors = self.text()?.sentences(&filled.collect::<anyhow::Result<Vec<_>>>()?)?;
        for vector in &mut vectors {
            vector.iter_mut().zip(mean).for_each(|(v, m)| *v -= m);
            normalize(vector);
        }
        Ok(vectors)
    }

    fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        self.text()?.tokens(text)
    }

    fn load_labels(&self, _cache: &Path, _progress: &mut dyn FnMut(usize, usize) -> bool) -> anyhow::Result<()> {
        Ok(()) // the classifier names its classes itself
    }
}

/// The packed weights, read in place.
struct Packed(SafeTensors<'static>);

impl Packed {
    fn bytes(&self, name: &str) -> anyhow::Result<&'static [u8]> {
        Ok(self.0.tensor(name).with_context(|| format!("the built-in weight {name}"))?.data())
    }

    fn f32(&self, name: &str) -> anyhow::Result<&'static [f32]> {
        bytemuck::try_cast_slice(self.bytes(name)?).map_err(|e| anyhow::anyhow!("the built-in weight {name}: {e}"))
    }

    fn f16(&self, name: &str) -> anyhow::Result<&'static [f16]> {
        bytemuck::try_cast_slice(self.bytes(name)?).map_err(|e| anyhow::anyhow!("the built-in weight {name}: {e}"))
    }

    fn i8(&self, name: &str) -> anyhow::Result<&'static [i8]> {
        bytemuck::try_cast_slice(self.bytes(name)?).map_err(|e| anyhow::anyhow!("the built-in weight {name}: {e}"))
    }

    fn shape(&self, name: &str) -> anyhow::Result<Vec<usize>> {
        Ok(self.0.tensor(name).with_context(|| format!("the built-in weight {name}"))?.shape().to_vec())
    }
}
