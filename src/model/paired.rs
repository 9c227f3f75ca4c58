//! A model whose texts another one embeds: texts in German find photos that were embedded by CLIP.

use super::dual_encoder::TextModel;
use super::{Embed, Embedding, Identity, Label, Pixels, Tokens};
use crate::photo::picture::RgbPicture;
use std::path::Path;

/// Pictures by one model, texts by another.
pub struct Paired {
    pictures: Box<dyn Embed>,
    texts: TextModel,
}

impl Paired {
    /// Joins both.
    ///
    /// # Errors
    /// Their embeddings have different lengths.
    pub fn new(pictures: Box<dyn Embed>, texts: TextModel) -> anyhow::Result<Self> {
        let is_same = pictures.identity().dim == texts.identity().dim;
        anyhow::ensure!(is_same, "their embeddings have different lengths");
        Ok(Self { pictures, texts })
    }
}

impl Embed for Paired {
    /// That of the pictures.
    fn identity(&self) -> &Identity {
        self.pictures.identity()
    }

    fn text_fingerprint(&self) -> &str {
        &self.texts.identity().fingerprint
    }

    fn logit_scale(&self) -> anyhow::Result<f32> {
        self.pictures.logit_scale()
    }

    fn logit_bias(&self) -> anyhow::Result<Option<f32>> {
        self.pictures.logit_bias()
    }

    /// The label alone, because it may be in any language.
    fn templates(&self) -> &'static [&'static str] {
        &["{}"]
    }

    fn image_size(&self) -> u32 {
        self.pictures.image_size()
    }

    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<Pixels> {
        self.pictures.prepare(picture)
    }

    fn embed_pixels(&self, batch: &[Pixels]) -> anyhow::Result<Vec<Embedding>> {
        self.pictures.embed_pixels(batch)
    }

    fn embed_texts(&self, texts: &[String], template: Option<&str>) -> anyhow::Result<Vec<Vec<f32>>> {
        self.texts.embed_texts(texts, template)
    }

    fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        self.texts.tokens(text)
    }

    /// Tags are English nouns, which the pictures' own model knows best.
    fn has_labels(&self, cache: &Path) -> bool {
        self.pictures.has_labels(cache)
    }

    fn tags(&self, vector: &[f32]) -> anyhow::Result<Vec<Label>> {
        self.pictures.tags(vector)
    }

    fn load_labels(&self, cache: &Path, progress: &mut dyn FnMut(usize, usize) -> bool) -> anyhow::Result<()> {
        self.pictures.load_labels(cache, progress)
    }
}
