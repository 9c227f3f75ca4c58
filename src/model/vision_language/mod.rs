//! Vision-language models: a vision tower, whose states become rows between a prompt's tokens, and a language model
//! that continues them. They describe pictures, and answer questions about them in conversations.
//!
//! [`VisionLanguage`] opens LLaVA 1.5, Idefics 2, Idefics 3 and SmolVLM, SmolVLM2 and Qwen3-VL in the Hugging Face
//! layout, or what [`super::quantize()`] made of one. A picture is seen once ([`VisionLanguage::encode`]); every text
//! after that needs only the language model.

mod config;
mod connector;
mod llama;
mod pictures;
mod qwen;
mod template;
mod tower;

pub use pictures::{PictureLayout, PicturePart, PreparedPicture};
pub use template::{ChatMessage, Speaker};

use super::compute::weights::Weights;
use super::generation::decoder::Decoder;
use super::generation::{GenerateOptions, Generated, OnText, Writer};
use super::model_folder::{CONFIG, MissingFile, TOKENIZER};
use super::once::Once;
use super::preprocess::{self, read_json};
use super::tokenizer::{Cutting, Tokenizer};
use super::weight_files;
use crate::photo::picture::RgbPicture;
use anyhow::Context;
use config::{ModelFamily, VisionLanguageConfig};
use connector::Connector;
use llama::{Llama, LlamaDecoder, LlamaRows, LlamaText, TokenPlace};
use pictures::PicturePlan;
use qwen::QwenTower;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use template::ChatTemplate;
use tower::{Patches, Tower, cut, spread_positions};

/// Must change whenever the computed numbers change although the files do not.
pub(super) const VERSION: &str = "vision-language 1";
/// An optional file, which older models lack.
const GENERATION: &str = "generation_config.json";

/// What a model sees in a picture: how it was cut (rows, columns), then the rows for the language model.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureFeatures {
    /// How the picture was cut.
    pub layout: PictureLayout,
    /// (tokens, width); for Qwen3-VL followed by the rows that are added after the decoder's first layers.
    pub rows: Vec<f32>,
}

/// Whether the folder's config.json describes a vision-language model that is read here.
pub(super) fn is_vision_language(folder: &Path) -> bool {
    #[derive(Deserialize)]
    struct ModelType {
        model_type: String,
    }
    read_json::<ModelType>(&folder.join(CONFIG)).is_ok_and(|of| config::is_vision_language(&of.model_type))
}

/// The names of the files that a model needs; the weights last.
///
/// # Errors
/// One is missing, or the list of shards is damaged.
pub(super) fn files_of(folder: &Path) -> anyhow::Result<Vec<String>> {
    let there = |name: &str| folder.join(name).is_file();
    let optional = [preprocess::PREPROCESSOR, preprocess::PROCESSOR, GENERATION].into_iter().chain(template::FILES);
    let mut files: Vec<String> = [CONFIG, TOKENIZER].map(str::to_owned).to_vec();
    files.extend(optional.filter(|name| there(name)).map(str::to_owned));
    preprocess::file_of(folder)?;
    if !template::FILES.iter().any(|name| there(name)) {
        return Err(MissingFile::new(folder, template::TEMPLATE_JSON).into());
    }
    files.extend(weight_files::weights_of(folder)?);
    match files.iter().find(|name| !there(name)) {
        None => Ok(files),
        Some(missing) => Err(MissingFile::new(folder, missing).into()),
    }
}

/// The names of the small files to download of a repository, whose config.json is in `folder` already. `has` tells what
/// the repository holds.
///
/// # Errors
/// The model is not supported, the repository lacks a file, or the server cannot be asked.
pub(super) fn wanted(folder: &Path, has: &dyn Fn(&str) -> anyhow::Result<bool>) -> anyhow::Result<Vec<String>> {
    VisionLanguageConfig::read(folder)?;
    let mut files: Vec<String> = [CONFIG, TOKENIZER].map(str::to_owned).to_vec();
    let mut add = |names: &[&str], what: &str| {
        let before = files.len();
        for name in names {
            files.extend(has(name)?.then(|| (*name).to_owned()));
        }
        anyhow::ensure!(files.len() > before, "the repository holds no {what}");
        anyhow::Ok(())
    };
    add(&[preprocess::PREPROCESSOR, preprocess::PROCESSOR], preprocess::PREPROCESSOR)?;
    add(&template::FILES, template::TEMPLATE_JSON)?;
    files.extend(has(GENERATION)?.then(|| GENERATION.to_owned()));
    Ok(files)
}

/// A vision-language model. Its weights are mapped; each part is loaded when it is first used.
pub struct VisionLanguage {
    fingerprint: String,
    /// Whether pictures are cut into parts.
    splits: bool,
    config: VisionLanguageConfig,
    plan: PicturePlan,
    template: ChatTemplate,
    tokenizer: Tokenizer,
    marks: PictureMarks,
    ends: Vec<u32>,
    banned: Vec<u32>,
    weights: Weights,
    eyes: Once<Eyes>,
    llama: Once<Llama>,
}

/// What sees.
enum Eyes {
    Tower(Box<(Tower, Connector)>),
    Qwen(Box<QwenTower>),
}

/// The control tokens around pictures, as the tokenizer spells them.
struct PictureMarks {
    image: String,
    /// Those of all control tokens: nothing that a person writes may look like one.
    special: Vec<String>,
}

impl VisionLanguage {
    /// Opens the model in `folder`. The hash of its weights is cached below `cache`, if given.
    ///
    /// # Errors
    /// A file is missing, damaged or of another model, or the weights do not fit into memory.
    pub fn open(folder: &Path, cache: Option<&Path>) -> anyhow::Result<Self> {
        let config = VisionLanguageConfig::read(folder)?;
        let plan = PicturePlan::read(folder, &config)?;
        let files = files_of(folder)?;
        let weights = weight_files::map(folder, &files)?;
        weight_files::check_memory(folder, weight_files::memory_needed(weights.len()), true)?;
        let generation = folder.join(GENERATION);
        let generation: Option<Value> = if generation.is_file() { Some(read_json(&generation)?) } else { None };
        let tokenizer = Tokenizer::read(&folder.join(TOKENIZER), Cutting::default())?;
        let image = tokenizer.spelling(config.image_token);
        let image = image.with_context(|| format!("{} has no token for pictures", tokenizer.name()))?;
        Ok(Self {
            fingerprint: weight_files::fingerprint(folder, &files, VERSION, cache)?,
            splits: plan.splits(),
            ends: config.end_tokens(folder, generation.as_ref())?,
            banned: banned_tokens(generation.as_ref()),
            template: ChatTemplate::read(folder)?,
            marks: PictureMarks { image, special: tokenizer.control_tokens() },
            tokenizer,
            config,
            plan,
            weights,
            eyes: Once::default(),
            llama: Once::default(),
        })
    }

    /// The same model, but it looks at pictures as a whole only: what it sees is not what it was trained to see, so it
    /// is another model to a library.
    #[must_use]
    pub fn without_parts(mut self) -> Self {
        if self.splits {
            self.splits = false;
            self.fingerprint += "+whole";
        }
        self
    }

    /// Identifies the model: two models with equal fingerprints produce the same texts.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The length that a picture's shortest edge should have at least, in pixels, to lose nothing.
    #[must_use]
    pub fn shortest_edge(&self) -> u32 {
        self.plan.shortest_edge()
    }

    /// Maximum number of tokens in a conversation, with its pictures.
    #[must_use]
    pub fn context(&self) -> usize {
        self.config.text.context
    }

    /// Bytes that a token takes in the cache of keys and values.
    #[must_use]
    pub fn bytes_of_token(&self) -> usize {
        let text = &self.config.text;
        2 * text.layers * text.key_value_heads * text.head * size_of::<f32>()
    }

    /// Resizes, cuts and normalises a picture, as the model's files order.
    ///
    /// # Errors
    /// A picture without pixels, or one whose shape the model refuses.
    pub fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<PreparedPicture> {
        self.plan.prepare(picture, self.splits)
    }

    /// The same, with or without cutting it into parts.
    ///
    /// # Errors
    /// As [`VisionLanguage::prepare`].
    pub fn prepare_as(&self, picture: &RgbPicture, splits: bool) -> anyhow::Result<PreparedPicture> {
        self.plan.prepare(picture, splits)
    }

    /// Runs the vision tower and what follows it; `None` if cancelled.
    ///
    /// # Errors
    /// The model's files are damaged, or the picture was prepared by another model.
    pub fn encode(&self, picture: &PreparedPicture, cancel: &AtomicBool) -> anyhow::Result<Option<PictureFeatures>> {
        let go_on = || !cancel.load(Ordering::Relaxed);
        let vision = &self.config.vision;
        let mut rows = Vec::new();
        for part in &picture.parts {
            anyhow::ensure!(
                part.pixels.len() == 3 * part.width * part.height
                    && part.width >= vision.patch
                    && part.height >= vision.patch,
                "the picture was prepared for another model"
            );
            let seen = match self.eyes()? {
                Eyes::Qwen(tower) => tower.forward(part, &go_on),
                Eyes::Tower(eyes) => {
                    let (tower, connector) = eyes.as_ref();
                    let (columns, rows) = (part.width / vision.patch, part.height / vision.patch);
                    anyhow::ensure!(
                        columns <= vision.side && rows <= vision.side,
                        "a picture larger than the model sees"
                    );
                    let positions = match self.config.family {
                        ModelFamily::Idefics2(_) => spread_positions(columns, rows, vision.side),
                        _ => (0..(columns * rows) as u32).collect(),
                    };
                    let pixels = cut(&part.pixels, (part.width, part.height), vision.patch);
                    let states = tower.forward(&Patches { pixels, positions }, &go_on);
                    states.map(|states| connector.forward(states, columns))
                }
            };
            match seen {
                Some(seen) => rows.extend(seen),
                None => return Ok(None),
            }
        }
        let features = PictureFeatures { layout: picture.layout, rows };
        if !self.fits(&features) || features.rows.iter().any(|number| !number.is_finite()) {
            return Err(self.weights.damaged("the model sees NaN or infinity in a picture"));
        }
        Ok(Some(features))
    }

    /// How many tokens of a prompt stand for a picture that was cut like this.
    #[must_use]
    pub fn picture_tokens(&self, layout: PictureLayout) -> usize {
        let vision = &self.config.vision;
        let parts = layout.rows as usize * layout.columns as usize + 1;
        match &self.config.family {
            ModelFamily::Llava { .. } => vision.side * vision.side,
            ModelFamily::Idefics2(perceiver) => parts * perceiver.latents,
            ModelFamily::Smol { scale } => parts * (vision.side / scale).pow(2),
            ModelFamily::Qwen { .. } => parts - 1,
        }
    }

    /// Whether features can be those of this model.
    #[must_use]
    pub fn fits(&self, features: &PictureFeatures) -> bool {
        let deep = match &self.config.family {
            ModelFamily::Qwen { deepstack, .. } => deepstack.len(),
            _ => 0,
        };
        let tokens = self.picture_tokens(features.layout);
        tokens > 0 && features.rows.len() == tokens * self.config.text.hidden * (1 + deep)
    }

    /// The prompt of a conversation by the model's own template, up to where its next answer begins.
    ///
    /// # Errors
    /// The template cannot be used.
    pub fn prompt(&self, messages: &[ChatMessage]) -> anyhow::Result<String> {
        let plain =
            |message: &ChatMessage| ChatMessage { text: self.marks.without_control(&message.text), ..message.clone() };
        self.template.prompt(&messages.iter().map(plain).collect::<Vec<_>>())
    }

    /// The tokens of a prompt; its pictures were cut like this.
    ///
    /// # Errors
    /// The tokenizer cannot read it, or it has another number of pictures.
    pub fn tokens(&self, prompt: &str, pictures: &[PictureLayout]) -> anyhow::Result<Vec<u32>> {
        let expanded = self.expanded(prompt, pictures)?;
        let (tokens, _) = self.tokenizer.encode(&expanded, true)?;
        let places = tokens.iter().filter(|token| **token == self.config.image_token).count();
        let wanted: usize = pictures.iter().map(|layout| self.picture_tokens(*layout)).sum();
        anyhow::ensure!(
            places == wanted,
            "{}: a prompt has {places} places for {wanted} tokens of pictures: the model's files do not belong together",
            self.tokenizer.name()
        );
        Ok(tokens)
    }

    /// A prompt in which each picture's mark is replaced by as many as the picture has tokens, with what stands between
    /// them.
    fn expanded(&self, prompt: &str, pictures: &[PictureLayout]) -> anyhow::Result<String> {
        const FAKE: &str = "<fake_token_around_image>";
        let image = &self.marks.image;
        let mut parts = prompt.split(image.as_str());
        let mut out = parts.next().unwrap_or_default().to_owned();
        let mut layouts = pictures.iter();
        for text in parts {
            let layout = *layouts.next().context("the prompt has more pictures than were given")?;
            let tokens = self.picture_tokens(layout);
            match &self.config.family {
                ModelFamily::Llava { .. } | ModelFamily::Qwen { .. } => out += &image.repeat(tokens),
                ModelFamily::Idefics2(perceiver) => {
                    for _ in 0..tokens / perceiver.latents {
                        out += &format!("{FAKE}{}{FAKE}", image.repeat(perceiver.latents));
                    }
                }
                ModelFamily::Smol { .. } => {
                    let tile = image.repeat(tokens / (layout.rows as usize * layout.columns as usize + 1));
                    for row in 1..=layout.rows {
                        for column in 1..=layout.columns {
                            out += &format!("{FAKE}<row_{row}_col_{column}>{tile}");
                        }
                        out += "\n";
                    }
                    let gap = if layout.rows > 0 { "\n" } else { "" };
                    out += &format!("{gap}{FAKE}<global-img>{tile}{FAKE}");
                }
            }
            out += text;
        }
        anyhow::ensure!(layouts.next().is_none(), "the prompt has fewer pictures than were given");
        // Where pictures follow each other, one mark between them is enough.
        Ok(match self.config.family {
            ModelFamily::Idefics2(_) => out.replace(&format!("{FAKE}{FAKE}"), FAKE),
            _ => out,
        })
    }

    /// Continues prompts, all of them together: the weights are read once for all. `on_text` receives what is added to
    /// the text of the prompt with this position.
    ///
    /// # Errors
    /// The model's files are damaged, or a prompt leaves no room for an answer.
    pub fn generate(
        &self,
        prompts: &[(Vec<u32>, &[&PictureFeatures])],
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<Generated>> {
        let texts = prompts.iter().map(|(tokens, pictures)| self.text(tokens, pictures, 0));
        let texts = texts.collect::<anyhow::Result<Vec<_>>>()?;
        let made = self.writer().complete(&mut LlamaDecoder::new(self.llama()?), texts, options, cancel, on_text)?;
        Ok(made.into_iter().map(|(made, _)| made).collect())
    }

    /// The next-token scores after each of some prompts, (prompts, vocabulary); `None` if cancelled.
    ///
    /// # Errors
    /// As [`VisionLanguage::generate`].
    pub fn next_scores(
        &self,
        prompts: &[(Vec<u32>, &[&PictureFeatures])],
        cancel: &AtomicBool,
    ) -> anyhow::Result<Option<Vec<f32>>> {
        let mut decoder = LlamaDecoder::new(self.llama()?);
        let texts = prompts.iter().map(|(tokens, pictures)| self.text(tokens, pictures, 0));
        let mut texts = texts.collect::<anyhow::Result<Vec<_>>>()?;
        for text in &texts {
            decoder.room(text)?;
        }
        decoder.next_scores(&mut texts.iter_mut().collect::<Vec<_>>(), &|| !cancel.load(Ordering::Relaxed))
    }

    /// The token that a text begins with, if it is read alone.
    ///
    /// # Errors
    /// The tokenizer cannot read it.
    pub fn first_token(&self, text: &str) -> anyhow::Result<Option<u32>> {
        Ok(self.tokenizer.encode(text, false)?.0.first().copied())
    }

    /// A text that begins with a prompt's tokens, of which the first `read` are known.
    fn text(&self, tokens: &[u32], pictures: &[&PictureFeatures], read: usize) -> anyhow::Result<LlamaText> {
        let llama = self.llama()?;
        let hidden = llama.hidden_size();
        let (places, next) = self.places(tokens, pictures);
        let embedded = llama.embed(&tokens[read..]);
        let mut states = embedded.with_context(|| format!("{} and {}", self.tokenizer.name(), self.weights.name()))?;
        // The numbers of each picture: its rows, and then one layer's after another's.
        let mut rows = Vec::new();
        let mut layers = 0;
        for picture in pictures {
            anyhow::ensure!(self.fits(picture), "the picture was seen by another model");
            let count = self.picture_tokens(picture.layout) * hidden;
            let mut parts = picture.rows.chunks_exact(count);
            let own = parts.next().context("a picture without rows")?;
            let deep: Vec<&[f32]> = parts.collect();
            layers = layers.max(deep.len());
            rows.extend((0..count / hidden).map(|row| (own, deep.clone(), row * hidden)));
        }
        let mut deep = vec![vec![0.0; states.len()]; layers];
        let before = tokens[..read].iter().filter(|token| **token == self.config.image_token).count();
        let mut rows = rows.into_iter().skip(before);
        for (n, _) in tokens[read..].iter().enumerate().filter(|(_, token)| **token == self.config.image_token) {
            let (own, of_layers, at) = rows.next().context("the prompt has more places than the pictures have rows")?;
            states[n * hidden..][..hidden].copy_from_slice(&own[at..at + hidden]);
            for (deep, layer) in deep.iter_mut().zip(of_layers) {
                deep[n * hidden..][..hidden].copy_from_slice(&layer[at..at + hidden]);
            }
        }
        anyhow::ensure!(rows.next().is_none(), "the prompt has fewer places than the pictures have rows");
        let unread = LlamaRows { states, places: places[read..].to_vec(), deep };
        Ok(LlamaText { read: Default::default(), unread, next })
    }

    /// Where the tokens of a prompt are, and where the next one is. In Qwen's pictures, tokens have a row and a column;
    /// the text goes on after the largest of them.
    fn places(&self, tokens: &[u32], pictures: &[&PictureFeatures]) -> (Vec<TokenPlace>, u32) {
        let is_grid = matches!(self.config.family, ModelFamily::Qwen { .. });
        let mut places = Vec::with_capacity(tokens.len());
        let (mut next, mut pictures) = (0, pictures.iter());
        let mut at = 0;
        while at < tokens.len() {
            let grid = if is_grid && tokens[at] == self.config.image_token { pictures.next() } else { None };
            match grid.map(|picture| picture.layout) {
                Some(PictureLayout { rows, columns }) => {
                    let all = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
                    places.extend(all.map(|(row, column)| [next, next + row, next + column]));
                    at += (rows * columns) as usize;
                    next += rows.max(columns);
                }
                None => {
                    places.push([next; 3]);
                    (at, next) = (at + 1, next + 1);
                }
            }
        }
        (places, next)
    }

    /// What writes with this model.
    fn writer(&self) -> Writer<'_> {
        Writer { weights: &self.weights, tokenizer: &self.tokenizer, ends: &self.ends, banned: &self.banned }
    }

    fn eyes(&self) -> anyhow::Result<&Eyes> {
        let (config, weights) = (&self.config, &self.weights);
        let prefix = |names: &[&'static str], part: &str| {
            let found = names.iter().copied().find(|name| weights.has(&format!("{name}{part}")));
            found.unwrap_or_else(|| names.first().copied().unwrap_or_default())
        };
        let width = config.text.hidden;
        let (hidden, layers) = (config.vision.hidden, config.vision.layers);
        self.eyes.get(|| {
            let (tower, connector) = match &config.family {
                ModelFamily::Llava { layer, activation } => {
                    let tower = prefix(
                        &[
                            "vision_tower.vision_model.",
                            "vision_tower.",
                            "model.vision_tower.vision_model.",
                            "model.vision_tower.",
                        ],
                        "embeddings.class_embedding",
                    );
                    let projector =
                        prefix(&["multi_modal_projector.", "model.multi_modal_projector."], "linear_1.weight");
                    (
                        Tower::load(weights, &config.vision, tower, *layer, true)?,
                        Connector::projector(weights, projector, (hidden, width), *activation)?,
                    )
                }
                ModelFamily::Idefics2(perceiver) => (
                    Tower::load(weights, &config.vision, "model.vision_model.", layers, false)?,
                    Connector::perceiver(
                        weights,
                        "model.connector.",
                        (hidden, config.text.intermediate, width),
                        *perceiver,
                    )?,
                ),
                ModelFamily::Smol { scale } => (
                    Tower::load(weights, &config.vision, "model.vision_model.", layers, false)?,
                    Connector::shuffle(weights, "model.connector.modality_projection.proj", (hidden, width), *scale)?,
                ),
                ModelFamily::Qwen { deepstack, merge, frames } => {
                    let prefix = prefix(&["model.visual.", "visual."], "pos_embed.weight");
                    let sizes = (deepstack.as_slice(), *merge, *frames);
                    let tower = QwenTower::load(weights, &config.vision, prefix, width, sizes)?;
                    return Ok(Eyes::Qwen(Box::new(tower)));
                }
            };
            Ok(Eyes::Tower(Box::new((tower, connector))))
        })
    }

    fn llama(&self) -> anyhow::Result<&Llama> {
        self.llama.get(|| {
            let places = [
                ("model.text_model.", "lm_head.weight"),
                ("language_model.model.", "language_model.lm_head.weight"),
                ("model.language_model.", "lm_head.weight"),
            ];
            let is_here = |(prefix, _): &&(&str, &str)| self.weights.has(&format!("{prefix}embed_tokens.weight"));
            let (prefix, head) = places.iter().find(is_here).unwrap_or(&places[0]);
            Llama::load(&self.weights, &self.config.text, prefix, head)
        })
    }
}

impl PictureMarks {
    /// A text in which nothing is a control token: a blank parts what would be one.
    fn without_control(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for token in &self.special {
            if let Some((first, rest)) = token.char_indices().nth(1).map(|(at, _)| token.split_at(at))
                && text.contains(token.as_str())
            {
                text = text.replace(token.as_str(), &format!("{first} {rest}"));
            }
        }
        text
    }
}

/// The tokens that generation_config.json rules out.
fn banned_tokens(generation: Option<&Value>) -> Vec<u32> {
    let lists = generation.and_then(|file| file["bad_words_ids"].as_array()).map_or(&[][..], Vec::as_slice);
    let single = |list: &Value| match list.as_array().map(Vec::as_slice) {
        Some([one]) => one.as_u64().and_then(|id| u32::try_from(id).ok()),
        _ => None,
    };
    lists.iter().filter_map(single).collect()
}

/// A conversation about pictures, of which the model remembers what it has read.
pub struct VisionLanguageSession<'m> {
    model: &'m VisionLanguage,
    pictures: Vec<PictureFeatures>,
    decoder: LlamaDecoder<'m>,
    text: LlamaText,
    /// The tokens that are in the cache.
    read: Vec<u32>,
}

impl<'m> VisionLanguageSession<'m> {
    /// A conversation about some pictures.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn new(model: &'m VisionLanguage, pictures: Vec<PictureFeatures>) -> anyhow::Result<Self> {
        let decoder = LlamaDecoder::new(model.llama()?);
        Ok(Self { model, pictures, decoder, text: LlamaText::default(), read: Vec::new() })
    }

    /// Continues a prompt, which usually begins as the last one did: what is known of it is not read again.
    ///
    /// # Errors
    /// As [`VisionLanguage::generate`].
    pub fn answer(
        &mut self,
        tokens: &[u32],
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated> {
        // At least one token must run, to get its scores.
        let most = tokens.len().saturating_sub(1);
        // After an error, nothing is known.
        let read = std::mem::take(&mut self.read);
        let known = read.iter().zip(&tokens[..most]).take_while(|(a, b)| a == b).count();
        let pictures: Vec<&PictureFeatures> = self.pictures.iter().collect();
        let mut text = self.model.text(tokens, &pictures, known)?;
        text.read = std::mem::take(&mut self.text.read);
        text.read.truncate(known);
        self.decoder.keep([&text]);
        let mut on_text = |_: usize, text: &str| on_text(text);
        let made = self.model.writer().complete(&mut self.decoder, vec![text], options, cancel, &mut on_text)?.pop();
        let (made, text) = made.context("no text was generated")?;
        self.text = text.unwrap_or_default();
        self.read = tokens.to_vec();
        if options.num_beams == 1 {
            self.read.extend(&made.tokens);
        }
        // After a beam search, only the prompt is known to be in the cache; of a cancelled one, less.
        let length = self.read.len().min(self.text.read.len());
        self.text.read.truncate(length);
        self.read.truncate(length);
        Ok(made)
    }
}
