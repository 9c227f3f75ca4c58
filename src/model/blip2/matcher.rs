//! How well texts match pictures, by BLIP-2's own two heads (`Blip2ForImageTextRetrieval`): the contrastive one (ITC),
//! which reads the text without the picture, and the matching one (ITM), which looks at both together.

use super::config::{Blip2Config, Blip2Purpose};
use super::files;
use super::qformer::QFormer;
use super::tells_something;
use super::vision::VisionTransformer;
use crate::model::Pixels;
use crate::model::compute::layers::Linear;
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;
use crate::model::model_folder::{CONFIG, TOKENIZER};
use crate::model::normalize;
use crate::model::once::Once;
use crate::model::preprocess::{self, Preprocessing};
use crate::model::tokenizer::{Cutting, Tokenizer};
use crate::model::weight_files;
use crate::photo::picture::RgbPicture;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A BLIP-2 that compares pictures with texts. Its weights are mapped, and loaded when they are first used.
pub struct Matcher {
    config: Blip2Config,
    preprocessing: Preprocessing,
    tokenizer: Tokenizer,
    weights: Weights,
    parts: Once<MatcherParts>,
}

struct MatcherParts {
    vision: VisionTransformer,
    qformer: QFormer,
    picture: Linear,
    text: Linear,
    matching: Linear,
}

/// A text, as both heads read it.
pub struct ReadText {
    tokens: Vec<u32>,
    /// Unit vector of the contrastive head.
    vector: Vec<f32>,
}

impl ReadText {
    /// The text's ids in the model's vocabulary, with the start and end tokens.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The text's vector in the contrastive head's space, of unit length.
    #[must_use]
    pub fn vector(&self) -> &[f32] {
        &self.vector
    }
}

/// What the matching head says of a picture and a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchScore {
    /// Its logits that they do not and that they do belong together.
    pub logits: [f32; 2],
    /// The probability that they belong together: the softmax of the logits.
    pub probability: f32,
}

/// A picture, as the vision tower sees it: (1 + patches, hidden).
pub struct MatcherSight(Vec<f32>);

impl Matcher {
    /// Opens the model in `folder`.
    ///
    /// # Errors
    /// A file is missing, damaged or of another model, or the weights do not fit into memory.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let config = Blip2Config::read(&folder.join(CONFIG))?;
        let Blip2Purpose::Retrieval(_) = config.purpose else {
            anyhow::bail!(
                "{} describes a BLIP-2 that writes captions; those that compare photos with texts are \
                 Blip2ForImageTextRetrieval, such as Salesforce/blip2-itm-vit-g",
                folder.join(CONFIG).display()
            )
        };
        let preprocessing = Preprocessing::read(&preprocess::file_of(folder)?, config.vision.image_size)?;
        let weights = weight_files::map(folder, &files::files_of(folder)?)?;
        weight_files::check_memory(folder, weight_files::memory_needed(weights.len()), false)?;
        let how = Cutting { max_length: Some(config.qformer.max_position_embeddings), special_as_text: true };
        Ok(Self {
            tokenizer: Tokenizer::read(&folder.join(TOKENIZER), how)?,
            config,
            preprocessing,
            weights,
            parts: Once::default(),
        })
    }

    /// Edge in pixels of the square that the model sees.
    #[must_use]
    pub fn image_size(&self) -> u32 {
        self.preprocessing.crop
    }

    /// Resizes and normalises a picture.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<Pixels> {
        preprocess::prepare(picture, &self.preprocessing)
    }

    /// Reads a text. What is too long for the model loses its end.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn read(&self, text: &str) -> anyhow::Result<ReadText> {
        let (tokens, _) = self.tokenizer.encode(text, true)?;
        anyhow::ensure!(!tokens.is_empty(), "{} is damaged: a text has no tokens", self.tokenizer.name());
        let MatcherParts { qformer, text, .. } = self.parts()?;
        let states = qformer.read(&tokens)?;
        // The state of [CLS], the first token.
        let mut vector = text.forward(&states[..self.config.qformer.hidden_size], Activation::None);
        self.check(&vector)?;
        normalize(&mut vector);
        Ok(ReadText { tokens, vector })
    }

    /// Looks at prepared pixels; `None` if cancelled.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn look(&self, pixels: &Pixels, cancel: &AtomicBool) -> anyhow::Result<Option<MatcherSight>> {
        let size = self.config.vision.image_size;
        anyhow::ensure!(pixels.0.len() == 3 * size * size, "{} numbers are not a picture of {size}", pixels.0.len());
        let states = self.parts()?.vision.forward(&pixels.0, &|| !cancel.load(Ordering::Relaxed));
        states
            .map(|states| {
                self.check(&states)?;
                Ok(MatcherSight(states))
            })
            .transpose()
    }

    /// A picture's vectors in the contrastive head's space, (queries, projection), of unit length each.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn vectors(&self, picture: &MatcherSight) -> anyhow::Result<Vec<Vec<f32>>> {
        let MatcherParts { qformer, picture: projection, .. } = self.parts()?;
        let all = projection.forward(&qformer.forward(&picture.0), Activation::None);
        self.check(&all)?;
        let Blip2Purpose::Retrieval(size) = self.config.purpose else { return Ok(Vec::new()) };
        let mut vectors: Vec<Vec<f32>> = all.chunks_exact(size).map(<[f32]>::to_vec).collect();
        vectors.iter_mut().for_each(|vector| normalize(vector));
        Ok(vectors)
    }

    /// The contrastive head's score (ITC): the largest cosine of a text and one of the picture's vectors.
    #[must_use]
    pub fn contrast(vectors: &[Vec<f32>], text: &ReadText) -> f32 {
        vectors.iter().map(|vector| ops::dot(vector, &text.vector)).fold(f32::NEG_INFINITY, f32::max)
    }

    /// The matching head's score (ITM).
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn matching(&self, picture: &MatcherSight, text: &ReadText) -> anyhow::Result<MatchScore> {
        let MatcherParts { qformer, matching, .. } = self.parts()?;
        let logits = matching.forward(&qformer.compare(&picture.0, &text.tokens)?, Activation::None);
        self.check(&logits)?;
        let queries = (logits.len() / 2) as f32;
        let mean = |which: usize| logits.iter().skip(which).step_by(2).sum::<f32>() / queries;
        let logits = [mean(0), mean(1)];
        let probability = (1.0 / (1.0 + f64::from(logits[0] - logits[1]).exp())) as f32;
        Ok(MatchScore { logits, probability })
    }

    fn check(&self, numbers: &[f32]) -> anyhow::Result<()> {
        if tells_something(numbers) {
            return Ok(());
        }
        Err(self.weights.damaged("the model computes NaN, infinity or nothing but zeros"))
    }

    fn parts(&self) -> anyhow::Result<&MatcherParts> {
        self.parts.get(|| {
            let (weights, hidden) = (&self.weights, self.config.qformer.hidden_size);
            let Blip2Purpose::Retrieval(size) = self.config.purpose else { anyhow::bail!("no model for retrieval") };
            let linear = |name: &str, outputs| Linear::load(weights, name, hidden, outputs, true);
            Ok(MatcherParts {
                vision: VisionTransformer::load(weights, &self.config.vision)?,
                qformer: QFormer::load(weights, &self.config)?,
                picture: linear("vision_projection", size)?,
                text: linear("text_projection", size)?,
                matching: linear("itm_head", 2)?,
            })
        })
    }
}
