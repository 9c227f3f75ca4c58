//! Files of models against published checksums, and what a model computes against published numbers.

use super::installed;
use crate::captions::open;
use crate::config::{Precision, Settings};
use crate::model::chat_model::{CaptionStyle, ChatModel, ChatPrompt, WriteRequest};
use crate::model::generation::GenerateOptions;
use crate::model::hub::presets::chat_preset;
use crate::model::ocr::scripts::ScriptModel;
use crate::model::published::{self, ASTRONAUT, Expectation, PLAUSIBLE, PUBLISHED, PublishedOutcome};
use crate::model::{self, ChecksumVerdict, Embed, FileVerdict, Kind, Pixels};
use crate::model_choice::{self, Offer};
use crate::photo::picture::RgbPicture;
use crate::photo::{self, DecodeLimits};
use crate::terminal::console::Console;
use crate::terminal::progress::{Gauge, Unit};
use crate::terminal::sanitize;
use anyhow::Context;
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// The most tokens of a text that a model writes here.
const TOKENS: usize = 20;

/// What a verdict about a file says.
#[must_use]
pub fn words(verdict: ChecksumVerdict) -> &'static str {
    match verdict {
        ChecksumVerdict::Published => "as published",
        ChecksumVerdict::Downloaded => "as it was downloaded",
        ChecksumVerdict::Unknown => "no checksum is known",
        ChecksumVerdict::Differs => "NOT as published or downloaded",
    }
}

/// Compares the files of an installed model with the checksums that are known of them; `None` if cancelled.
///
/// # Errors
/// It is not installed or not complete, or a file cannot be read.
pub fn files(name: &str, console: &Console, cancel: &AtomicBool) -> anyhow::Result<Option<Vec<FileVerdict>>> {
    let place = installed(name)?;
    if let Some(model) = ScriptModel::named(name) {
        let is_it = model.is_undamaged(&Settings::cache_dir()?)?;
        let verdict = if is_it { ChecksumVerdict::Published } else { ChecksumVerdict::Differs };
        let file = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(Some(vec![FileVerdict { file, bytes: place.metadata()?.len(), verdict }]));
    }
    let mut gauge = Gauge::new(console, Unit::Bytes, cancel);
    let verdicts = model::check(&place, name, &mut |file, done, total| gauge.show(file, done, total));
    gauge.clear();
    verdicts
}

/// Compares what models compute with what is published.
pub struct SelfTest<'a> {
    /// Pictures by the names under which numbers are published.
    pub pictures: Vec<(&'static str, PathBuf)>,
    /// The settings.
    pub settings: &'a Settings,
    /// Where numbers go.
    pub console: &'a Console,
    /// Stops it.
    pub cancel: &'a AtomicBool,
}

impl SelfTest<'_> {
    /// Whether a model computes what is published of it, as far as its pictures are there.
    ///
    /// # Errors
    /// The model is damaged, or a picture cannot be read.
    pub fn run(&self, name: &str) -> anyhow::Result<bool> {
        let known: Vec<&PublishedOutcome> = PUBLISHED.iter().filter(|published| published.model == name).collect();
        let missing: Vec<&str> =
            known.iter().map(|known| known.picture).filter(|picture| self.source(picture).is_none()).collect();
        let kind = model::installed().into_iter().find(|model| model.name == name).map(|model| model.kind);
        let is_right = match kind {
            Some(Kind::Blip2) if !known.is_empty() => self.texts(name, &known)?,
            Some(Kind::Encoder(_) | Kind::Starter) if model::is_trained(name) => self.numbers(name, &known)?,
            Some(Kind::VisionLanguage) if chat_preset(name).is_some() => self.answers(name)?,
            _ => {
                self.console.detail(format_args!("{}: nothing is published to compare it with", sanitize::text(name)));
                true
            }
        };
        if let Some(picture) = missing.first() {
            self.console.note(format_args!(
                "{}: more is published of {}; `--picture {picture}` compares with that, if you have it",
                sanitize::text(name),
                missing.join(", ")
            ));
        }
        Ok(is_right)
    }

    /// The bytes of a picture, if it is there.
    fn source(&self, picture: &str) -> Option<anyhow::Result<Vec<u8>>> {
        if picture == ASTRONAUT.0 {
            return Some(Ok(ASTRONAUT.1.to_vec()));
        }
        let (_, path) = self.pictures.iter().find(|(name, _)| *name == picture)?;
        Some(std::fs::read(path).with_context(|| format!("{} cannot be read", sanitize::path(path))))
    }

    fn decode(bytes: &[u8]) -> anyhow::Result<RgbPicture> {
        Ok(photo::decode(bytes, None, &DecodeLimits::default())?.picture)
    }

    /// Of a model that embeds.
    fn numbers(&self, name: &str, known: &[&PublishedOutcome]) -> anyhow::Result<bool> {
        let own =
            Settings { model: name.to_owned(), text_model: None, precision: Precision::Full, ..self.settings.clone() };
        let chosen = model_choice::asked(&own, self.console, Offer::None)?;
        let model: &dyn Embed = chosen.model.as_ref();
        let prepared = |bytes: &[u8]| -> anyhow::Result<Pixels> { model.prepare(&Self::decode(bytes)?) };
        let (is_plausible, cosines) = published::plausible(model, prepared(ASTRONAUT.1)?)?;
        let words = if is_plausible { "plausible" } else { "NOT plausible" };
        let rows: Vec<_> = PLAUSIBLE.into_iter().zip(cosines).map(|(text, cosine)| (text, None, cosine)).collect();
        self.tell(name, ASTRONAUT.0, words, &rows)?;
        let mut is_right = is_plausible;
        for PublishedOutcome { picture, outcome, .. } in known {
            let Some(bytes) = self.source(picture) else { continue };
            let numbers = published::numbers(model, prepared(&bytes?)?, outcome)?;
            let (Some(texts), Some(numbers)) = (outcome.texts(), numbers) else { continue };
            let is_it = published::is_as_published(outcome, &numbers);
            let rows: Vec<_> =
                texts.iter().zip(numbers).map(|((text, published), got)| (*text, Some(*published), got)).collect();
            self.tell(name, picture, if is_it { "as published" } else { "NOT as published" }, &rows)?;
            is_right &= is_it;
        }
        Ok(is_right)
    }

    /// Of a model that answers questions, in the form that is used.
    fn answers(&self, name: &str) -> anyhow::Result<bool> {
        let chat_model = open::named(name, self.settings, self.console)?.model;
        let picture = Self::decode(ASTRONAUT.1)?;
        let Some((is_plausible, answers)) = published::plausible_answers(&*chat_model, &picture, self.cancel)? else {
            return Ok(true);
        };
        let rows: Vec<_> = PLAUSIBLE.into_iter().zip(answers).map(|(text, yes)| (text, None, yes)).collect();
        self.tell(name, ASTRONAUT.0, if is_plausible { "plausible" } else { "NOT plausible" }, &rows)?;
        Ok(is_plausible)
    }

    /// Of a BLIP-2, whose full form counts.
    fn texts(&self, name: &str, known: &[&PublishedOutcome]) -> anyhow::Result<bool> {
        let own = Settings { precision: Precision::Full, ..self.settings.clone() };
        let chat_model = open::named(name, &own, self.console)?.model;
        let mut is_right = true;
        for PublishedOutcome { picture, outcome, .. } in known {
            let (Some(bytes), Expectation::Text { prompt, text }) = (self.source(picture), outcome) else { continue };
            let Some(written) = self.write(&*chat_model, &bytes?, prompt)? else { return Ok(is_right) };
            let is_it = written == *text;
            is_right &= is_it;
            let words = if is_it { "as published" } else { "NOT as published" };
            if self.settings.json {
                self.console.json(&json!({"schema": 1, "model": name, "picture": picture, "prompt": prompt,
                    "published": text, "text": written, "verdict": words.to_lowercase()}))?;
            } else {
                let written = sanitize::text(&written);
                self.console.line(&format!("{:<30}  {picture:<30}  {words}: {written}", sanitize::text(name)))?;
                if !is_it {
                    self.console.line(&format!("{:<30}  {:<30}  published: {text}", "", ""))?;
                }
            }
        }
        Ok(is_right)
    }

    /// What a BLIP-2 writes about a picture; `None` if cancelled.
    fn write(&self, chat_model: &dyn ChatModel, bytes: &[u8], prompt: &str) -> anyhow::Result<Option<String>> {
        let seen = chat_model.look(&chat_model.prepare(&Self::decode(bytes)?)?, self.cancel)?;
        let Some(encoding) = seen else { return Ok(None) };
        let prompt = ChatPrompt::Caption { style: CaptionStyle::Short, prompt: Some(prompt), facts: "" };
        let request = WriteRequest { encoding: &encoding, prompt };
        let written = chat_model.write(&[request], &GenerateOptions::greedy(TOKENS), self.cancel, &mut |_, _| {})?;
        Ok(written.into_iter().next().map(|generated| generated.text))
    }

    /// Says what came of a picture: for each text the published number, if there is one, and the model's.
    fn tell(&self, name: &str, picture: &str, words: &str, rows: &[(&str, Option<f32>, f32)]) -> anyhow::Result<()> {
        if self.settings.json {
            let rows =
                rows.iter().map(|(text, published, got)| json!({"text": text, "published": published, "got": got}));
            return self.console.json(&json!({"schema": 1, "model": name, "picture": picture,
                "verdict": words.to_lowercase(), "texts": rows.collect::<Vec<_>>()}));
        }
        self.console.line(&format!("{:<30}  {picture:<30}  {words}", sanitize::text(name)))?;
        let is_shown = self.console.is_verbose() || words.starts_with("NOT");
        for (text, published, got) in rows.iter().filter(|_| is_shown) {
            let published = published.map_or(String::new(), |published| format!(", published {published:.4}"));
            self.console.line(&format!("{:<30}  {text:<30}  {got:.4}{published}", ""))?;
        }
        Ok(())
    }
}
