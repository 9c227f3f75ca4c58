//! What others have published that the real weights of a model compute, to compare an installed model with.
//!
//! None of these models could be had where snapseek was written. Pictures are decoded and resized a little differently
//! everywhere; the tolerances allow for that, and are far below what a wrong activation or a wrong crop changes.

use super::chat_model::{ChatModel, does_it_show};
use super::labels::softmax;
use super::{Embed, Pixels};
use crate::photo::picture::RgbPicture;
use anyhow::Context;
use std::sync::atomic::AtomicBool;

/// Eileen Collins, by NASA: the name and the bytes of the picture that comes with the program.
pub const ASTRONAUT: (&str, &[u8]) = ("astronaut.png", include_bytes!("../../models/self-test/astronaut.png"));

/// What a model computes of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expectation {
    /// The cosine of each text with the picture.
    Cosines(&'static [(&'static str, f32)]),
    /// The same times the model's scale.
    Logits(&'static [(&'static str, f32)]),
    /// The probability of each text, of all.
    Probabilities(&'static [(&'static str, f32)]),
    /// What it writes after a prompt, always taking the likeliest token.
    Text {
        /// What it continues.
        prompt: &'static str,
        /// What it writes.
        text: &'static str,
    },
}

impl Expectation {
    /// The texts and their numbers; `None` if it is a text.
    #[must_use]
    pub fn texts(&self) -> Option<&'static [(&'static str, f32)]> {
        match self {
            Self::Cosines(texts) | Self::Logits(texts) | Self::Probabilities(texts) => Some(texts),
            Self::Text { .. } => None,
        }
    }
}

/// A published outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedOutcome {
    /// The model's name on the command line.
    pub model: &'static str,
    /// The picture's file name.
    pub picture: &'static str,
    /// What comes of it.
    pub outcome: Expectation,
    /// Who published it.
    pub source: &'static str,
}

/// All that are known.
pub const PUBLISHED: [PublishedOutcome; 6] = [
    PublishedOutcome {
        model: "clip",
        picture: "CLIP.png",
        outcome: Expectation::Probabilities(&[
            ("a diagram", 0.992_793_7),
            ("a dog", 0.004_210_68),
            ("a cat", 0.002_995_72),
        ]),
        source: "github.com/openai/CLIP, README",
    },
    PublishedOutcome {
        model: "clip",
        picture: "000000039769.jpg",
        outcome: Expectation::Logits(&[("a photo of a cat", 24.570_1), ("a photo of a dog", 19.304_9)]),
        source: "github.com/huggingface/transformers, tests/models/clip; the picture is of COCO val2017",
    },
    PublishedOutcome {
        model: "clip",
        picture: "two_dogs_in_snow.jpg",
        outcome: Expectation::Cosines(&[
            ("Two dogs in the snow", 0.306_9),
            ("A cat on a table", 0.101_0),
            ("A picture of London at night", 0.108_6),
        ]),
        source: "github.com/huggingface/sentence-transformers, tests/test_image_embeddings.py",
    },
    PublishedOutcome {
        model: "blip2",
        picture: ASTRONAUT.0,
        outcome: Expectation::Text { prompt: "", text: "a woman in an orange space suit with a space helmet" },
        source: "several notebooks, greedy",
    },
    PublishedOutcome {
        model: "blip2",
        picture: "demo.jpg",
        outcome: Expectation::Text { prompt: "", text: "a woman sitting on the beach with a dog" },
        source: "github.com/huggingface/transformers, tests/models/blip_2, greedy",
    },
    PublishedOutcome {
        model: "blip2",
        picture: "demo.jpg",
        outcome: Expectation::Text {
            prompt: "Question: which city is this? Answer:",
            text: "it's not a city, it's a beach",
        },
        source: "github.com/huggingface/transformers, tests/models/blip_2, greedy",
    },
];

/// Of these texts, the first fits [`ASTRONAUT`]: to every model that was trained on photos, whatever its numbers are.
/// Of chat models with a short name, no texts are published that their full forms write by their own templates.
pub const PLAUSIBLE: [&str; 5] =
    ["an astronaut in a space suit", "a plate of food", "a car on a street", "a dog on a beach", "a house in a garden"];

/// How near numbers must be to published ones.
#[must_use]
pub fn tolerance(outcome: &Expectation) -> f32 {
    match outcome {
        Expectation::Logits(_) => 0.1,
        Expectation::Cosines(_) | Expectation::Probabilities(_) => 0.01,
        Expectation::Text { .. } => 0.0,
    }
}

/// What a model gives for the texts of an outcome, in their order; `None` if the outcome is a text.
///
/// # Errors
/// The model fails.
pub fn numbers(model: &dyn Embed, pixels: Pixels, outcome: &Expectation) -> anyhow::Result<Option<Vec<f32>>> {
    let Some(texts) = outcome.texts() else { return Ok(None) };
    let texts: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
    let mut numbers = cosines(model, pixels, &texts)?;
    if !matches!(outcome, Expectation::Cosines(_)) {
        let scale = model.logit_scale()?;
        numbers.iter_mut().for_each(|number| *number *= scale);
    }
    Ok(Some(if matches!(outcome, Expectation::Probabilities(_)) { softmax(&numbers) } else { numbers }))
}

/// Whether numbers are those of an outcome, within its tolerance.
#[must_use]
pub fn is_as_published(outcome: &Expectation, numbers: &[f32]) -> bool {
    let Some(texts) = outcome.texts() else { return false };
    let tolerance = tolerance(outcome);
    texts.len() == numbers.len()
        && texts.iter().zip(numbers).all(|((_, published), got)| (published - got).abs() <= tolerance)
}

/// Whether a model finds that the first of [`PLAUSIBLE`] fits [`ASTRONAUT`] best, and the cosines of all.
///
/// # Errors
/// The model fails.
pub fn plausible(model: &dyn Embed, pixels: Pixels) -> anyhow::Result<(bool, Vec<f32>)> {
    let cosines = cosines(model, pixels, &PLAUSIBLE)?;
    let is_first = cosines.iter().skip(1).all(|other| cosines.first().is_some_and(|first| first > other));
    Ok((is_first, cosines))
}

/// The same of a model that answers questions, with the probability that it says yes to each; `None` if cancelled.
///
/// # Errors
/// The model fails.
pub fn plausible_answers(
    model: &dyn ChatModel,
    picture: &RgbPicture,
    cancel: &AtomicBool,
) -> anyhow::Result<Option<(bool, Vec<f32>)>> {
    let Some(encoding) = model.look(&model.prepare(picture)?, cancel)? else { return Ok(None) };
    let mut answers = Vec::with_capacity(PLAUSIBLE.len());
    for text in PLAUSIBLE {
        let Some(yes) = model.yes(&[&encoding], &does_it_show(text), cancel)? else { return Ok(None) };
        answers.extend(yes);
    }
    let is_first = answers.iter().skip(1).all(|other| answers.first().is_some_and(|first| first > other));
    Ok(Some((is_first, answers)))
}

fn cosines(model: &dyn Embed, pixels: Pixels, texts: &[&str]) -> anyhow::Result<Vec<f32>> {
    let picture = model.embed_pixels(&[pixels])?.pop().context("the model returned no embedding")?.vector;
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let texts = model.embed_texts(&texts, None)?;
    Ok(texts.iter().map(|text| text.iter().zip(&picture).map(|(a, b)| a * b).sum()).collect())
}
