//! Models that write about pictures, whichever they are: captions, answers, conversations, and how likely it is that a
//! picture shows something.

use super::blip2::{self, Blip2, GenerateRequest};
use super::generation::{GenerateOptions, Generated, OnText};
use super::vision_language::{
    self, ChatMessage, PictureFeatures, PictureLayout, PreparedPicture, Speaker, VisionLanguage, VisionLanguageSession,
};
use super::{Pixels, model_folder};
use crate::photo::picture::RgbPicture;
use anyhow::Context;
use std::path::Path;
use std::sync::atomic::AtomicBool;

pub use blip2::{Encoding, PromptTurn};

/// Bytes of keys and values that texts which are written together may take.
const MEMORY_AT_ONCE: usize = 1 << 30;
/// The most texts that are written together: the weights are read once for all of them.
pub const MOST_AT_ONCE: usize = 8;

/// How a caption is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptionStyle {
    /// A few words.
    Short,
    /// One sentence.
    #[default]
    Sentence,
    /// What there is to see, where, and how it looks.
    Detailed,
    /// Keywords.
    Tags,
}

impl CaptionStyle {
    /// What an instructed model is asked.
    #[must_use]
    pub fn instruction(self) -> &'static str {
        match self {
            Self::Short => "Write a caption of a few words for this photo.",
            Self::Sentence => "Describe this photo in one sentence.",
            Self::Detailed => {
                "Describe this photo in detail: what it shows, where it is, what happens and how it looks."
            }
            Self::Tags => "List what can be seen in this photo as keywords, separated by commas.",
        }
    }

    /// The most tokens that such a caption has.
    #[must_use]
    pub fn tokens(self) -> usize {
        match self {
            Self::Short => 20,
            Self::Sentence | Self::Tags => 50,
            Self::Detailed => 200,
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Sentence => "sentence",
            Self::Detailed => "detailed",
            Self::Tags => "tags",
        }
    }
}

/// What [`ChatModel::yes`] is asked to learn whether a photo shows something.
#[must_use]
pub fn does_it_show(text: &str) -> String {
    format!("Does this photo show {text}?")
}

/// What a model is to write.
#[derive(Clone, Copy, Debug)]
pub enum ChatPrompt<'a> {
    /// A caption.
    Caption {
        /// How; a model that follows no instructions writes only short ones.
        style: CaptionStyle,
        /// In place of the style's instruction. A model that follows none continues it.
        prompt: Option<&'a str>,
        /// What is known of the picture besides; empty for nothing.
        facts: &'a str,
    },
    /// The answer to a question after earlier turns.
    Question {
        /// The earlier ones.
        turns: &'a [PromptTurn],
        /// The question.
        question: &'a str,
    },
}

/// A text to write.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    /// What the model sees in the picture.
    pub encoding: &'a Encoding,
    /// What it is to write.
    pub prompt: ChatPrompt<'a>,
}

/// A picture as a model's input; made by [`ChatModel::prepare`] of the same model.
#[derive(Clone, Debug)]
pub enum ChatPicture {
    /// A square.
    Square(Pixels),
    /// A picture and perhaps its parts.
    Parts(PreparedPicture),
}

/// A model that writes about pictures. Every method may be called from many threads at once.
pub trait ChatModel: Send + Sync {
    /// Identifies the model: two models with equal fingerprints produce the same texts.
    fn fingerprint(&self) -> &str;

    /// The length that a picture's shortest edge should have at least, in pixels, to lose nothing.
    fn shortest_edge(&self) -> u32;

    /// Whether it does what it is asked, or only continues texts.
    fn follows_instructions(&self) -> bool;

    /// Resizes and normalises a picture.
    ///
    /// # Errors
    /// A picture without pixels, or of a shape that the model refuses.
    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<ChatPicture>;

    /// Looks at a picture; `None` if cancelled.
    ///
    /// # Errors
    /// The model's files are damaged, or the picture was prepared for another model.
    fn look(&self, picture: &ChatPicture, cancel: &AtomicBool) -> anyhow::Result<Option<Encoding>>;

    /// Whether an encoding can be one of this model.
    fn fits(&self, encoding: &Encoding) -> bool;

    /// How many texts of at most so many new tokens about these pictures can be written together.
    fn at_once(&self, encodings: &[&Encoding], new_tokens: usize) -> usize;

    /// Maximum number of tokens in a conversation and its next answer.
    fn context(&self) -> usize;

    /// How many tokens a request takes of the context before its answer.
    ///
    /// # Errors
    /// The model's files are damaged.
    fn length(&self, request: &WriteRequest) -> anyhow::Result<usize>;

    /// Writes a text for each request, all of them together. `on_text` receives the position of a request and what is
    /// added to its text.
    ///
    /// # Errors
    /// The model's files are damaged, or a prompt leaves no room for an answer.
    fn write(
        &self,
        requests: &[WriteRequest],
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<Generated>>;

    /// For each picture, the probability of "yes" among the answers yes and no to a question; `None` if cancelled.
    ///
    /// # Errors
    /// As [`ChatModel::write`]; or the model has no words for yes and no.
    fn yes(&self, encodings: &[&Encoding], question: &str, cancel: &AtomicBool) -> anyhow::Result<Option<Vec<f32>>>;

    /// A conversation about a picture, of which the model remembers what it has read.
    ///
    /// # Errors
    /// The model's files are damaged, or the encoding is of another model.
    fn converse<'m>(&'m self, encoding: &Encoding) -> anyhow::Result<Box<dyn Conversation + 'm>>;
}

/// A conversation about one picture.
pub trait Conversation {
    /// Answers a question after turns, which usually begin as the last ones did.
    ///
    /// # Errors
    /// As [`ChatModel::write`].
    fn answer(
        &mut self,
        turns: &[PromptTurn],
        question: &str,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated>;
}

/// Whether a folder holds a model that writes about pictures, by its config.json alone.
#[must_use]
pub fn is_chat_model(folder: &Path) -> bool {
    vision_language::is_vision_language(folder) || blip2::is_blip2(folder)
}

/// Whether such a model is one that follows instructions, by its config.json alone.
#[must_use]
pub fn is_instructed(folder: &Path) -> bool {
    vision_language::is_vision_language(folder)
}

/// Opens the model in `folder`. The hash of its weights is cached below `cache`, if given. Without `tiles`, a model
/// that looks at parts of a picture too looks at the whole alone.
///
/// # Errors
/// A file is missing, damaged or of another kind of model, or the weights do not fit into memory.
pub fn open(folder: &Path, cache: Option<&Path>, tiles: bool) -> anyhow::Result<Box<dyn ChatModel>> {
    model_folder::require(folder, model_folder::CONFIG)?;
    Ok(if is_instructed(folder) {
        let model = VisionLanguage::open(folder, cache)?;
        Box::new(if tiles { model } else { model.without_parts() })
    } else {
        Box::new(Blip2::open(folder, cache)?)
    })
}

/// The words that stand for an answer.
const YES: [&str; 4] = ["yes", "Yes", " yes", " Yes"];
const NO: [&str; 4] = ["no", "No", " no", " No"];

/// The probability of yes among yes and no, by the scores of the next token. `token` gives the token that a word begins
/// with; one that both begin with tells nothing.
fn yes_among(scores: &[f32], token: &dyn Fn(&str) -> anyhow::Result<Option<u32>>) -> anyhow::Result<Option<f32>> {
    let tokens = |words: [&str; 4]| {
        let found = words.into_iter().map(token).collect::<anyhow::Result<Vec<_>>>()?;
        let mut found: Vec<u32> = found.into_iter().flatten().collect();
        found.sort_unstable();
        found.dedup();
        anyhow::Ok(found)
    };
    let (yes, no) = (tokens(YES)?, tokens(NO)?);
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |own: &[u32], other: &[u32]| {
        let scores = own.iter().filter(|id| !other.contains(id)).filter_map(|id| scores.get(*id as usize));
        scores.map(|score| f64::from(score - largest).exp()).sum::<f64>()
    };
    let (yes, no) = (weight(&yes, &no), weight(&no, &yes));
    Ok((yes + no > 0.0).then(|| (yes / (yes + no)) as f32))
}

impl ChatModel for Blip2 {
    fn fingerprint(&self) -> &str {
        self.fingerprint()
    }

    fn shortest_edge(&self) -> u32 {
        self.image_size()
    }

    fn follows_instructions(&self) -> bool {
        false
    }

    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<ChatPicture> {
        self.prepare(picture).map(ChatPicture::Square)
    }

    fn look(&self, picture: &ChatPicture, cancel: &AtomicBool) -> anyhow::Result<Option<Encoding>> {
        match picture {
            ChatPicture::Square(pixels) => self.encode(pixels, cancel),
            ChatPicture::Parts(_) => anyhow::bail!("the picture was prepared for another model"),
        }
    }

    fn fits(&self, encoding: &Encoding) -> bool {
        encoding.0.len() == self.encoding_size()
    }

    fn at_once(&self, _: &[&Encoding], _: usize) -> usize {
        MOST_AT_ONCE
    }

    fn context(&self) -> usize {
        self.context()
    }

    fn length(&self, request: &WriteRequest) -> anyhow::Result<usize> {
        Ok(self.tokens(&continued(&request.prompt))?.len())
    }

    fn write(
        &self,
        requests: &[WriteRequest],
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<Generated>> {
        let prompts: Vec<String> = requests.iter().map(|request| continued(&request.prompt)).collect();
        let requests: Vec<GenerateRequest> = requests
            .iter()
            .zip(&prompts)
            .map(|(request, prompt)| GenerateRequest { encoding: request.encoding, prompt })
            .collect();
        self.generate(&requests, options, cancel, on_text)
    }

    fn yes(&self, encodings: &[&Encoding], question: &str, cancel: &AtomicBool) -> anyhow::Result<Option<Vec<f32>>> {
        let prompt = blip2::question_prompt(&[], question);
        let token = |word: &str| self.first_token(word);
        let mut found = Vec::with_capacity(encodings.len());
        for encoding in encodings {
            if cancel.load(std::sync::atomic::Ordering::Relaxed) {
                return Ok(None);
            }
            let scores = self.next_scores(GenerateRequest { encoding, prompt: &prompt })?;
            found.push(yes_among(&scores, &token)?.context("the model has no words for yes and no")?);
        }
        Ok(Some(found))
    }

    fn converse<'m>(&'m self, encoding: &Encoding) -> anyhow::Result<Box<dyn Conversation + 'm>> {
        Ok(Box::new(blip2::Session::new(self, encoding)?))
    }
}

/// What BLIP-2 continues.
fn continued(prompt: &ChatPrompt) -> String {
    match prompt {
        ChatPrompt::Caption { prompt, .. } => prompt.unwrap_or_default().to_owned(),
        ChatPrompt::Question { turns, question } => blip2::question_prompt(turns, question),
    }
}

impl Conversation for blip2::Session<'_> {
    fn answer(
        &mut self,
        turns: &[PromptTurn],
        question: &str,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated> {
        self.answer(&blip2::question_prompt(turns, question), options, cancel, on_text)
    }
}

/// What is said to an instructed model.
fn said(prompt: &ChatPrompt) -> Vec<ChatMessage> {
    let mut messages = Vec::new();
    let mut say = |speaker, text: String| messages.push(ChatMessage { speaker, pictures: 0, text });
    match prompt {
        ChatPrompt::Caption { style, prompt, facts } => {
            let wish = prompt.unwrap_or_else(|| style.instruction());
            say(Speaker::User, if facts.is_empty() { wish.to_owned() } else { format!("{facts} {wish}") });
        }
        ChatPrompt::Question { turns, question } => {
            for PromptTurn { question, answer } in *turns {
                say(Speaker::User, question.clone());
                say(Speaker::Assistant, answer.clone());
            }
            say(Speaker::User, (*question).to_owned());
        }
    }
    if let Some(first) = messages.first_mut() {
        first.pictures = 1;
    }
    messages
}

/// Features as they are kept: how the picture was cut, then the rows.
fn kept(features: PictureFeatures) -> Encoding {
    let PictureLayout { rows, columns } = features.layout;
    let mut numbers = vec![rows as f32, columns as f32];
    numbers.extend(features.rows);
    Encoding(numbers)
}

/// What was kept, if it can be features of a model.
fn unpacked(model: &VisionLanguage, encoding: &Encoding) -> anyhow::Result<PictureFeatures> {
    let other = "the encoding is from another model";
    let [rows, columns, numbers @ ..] = encoding.0.as_slice() else { anyhow::bail!(other) };
    let is_count = |number: f32| number.fract() == 0.0 && (0.0..=65_536.0).contains(&number);
    anyhow::ensure!(is_count(*rows) && is_count(*columns), other);
    let layout = PictureLayout { rows: *rows as u32, columns: *columns as u32 };
    let features = PictureFeatures { layout, rows: numbers.to_vec() };
    anyhow::ensure!(model.fits(&features), other);
    Ok(features)
}

impl VisionLanguage {
    /// The tokens of a request, and the picture's features.
    fn request(&self, request: &WriteRequest) -> anyhow::Result<(Vec<u32>, PictureFeatures)> {
        let features = unpacked(self, request.encoding)?;
        let tokens = self.tokens(&self.prompt(&said(&request.prompt))?, &[features.layout])?;
        Ok((tokens, features))
    }

    /// Calls `run` with the tokens and the picture of each request.
    fn with_requests<T>(
        &self,
        requests: impl Iterator<Item = anyhow::Result<(Vec<u32>, PictureFeatures)>>,
        run: impl FnOnce(&[(Vec<u32>, &[&PictureFeatures])]) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let (tokens, features): (Vec<_>, Vec<_>) = requests.collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
        let pictures: Vec<[&PictureFeatures; 1]> = features.iter().map(|features| [features]).collect();
        let prompts: Vec<_> = tokens.into_iter().zip(pictures.iter().map(<[_; 1]>::as_slice)).collect();
        run(&prompts)
    }
}

impl ChatModel for VisionLanguage {
    fn fingerprint(&self) -> &str {
        self.fingerprint()
    }

    fn shortest_edge(&self) -> u32 {
        self.shortest_edge()
    }

    fn follows_instructions(&self) -> bool {
        true
    }

    fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<ChatPicture> {
        self.prepare(picture).map(ChatPicture::Parts)
    }

    fn look(&self, picture: &ChatPicture, cancel: &AtomicBool) -> anyhow::Result<Option<Encoding>> {
        match picture {
            ChatPicture::Parts(parts) => Ok(self.encode(parts, cancel)?.map(kept)),
            ChatPicture::Square(_) => anyhow::bail!("the picture was prepared for another model"),
        }
    }

    fn fits(&self, encoding: &Encoding) -> bool {
        unpacked(self, encoding).is_ok()
    }

    fn at_once(&self, encodings: &[&Encoding], new_tokens: usize) -> usize {
        let tokens = |encoding: &&Encoding| unpacked(self, encoding).map_or(0, |f| self.picture_tokens(f.layout));
        let longest = encodings.iter().map(tokens).max().unwrap_or(0) + new_tokens + 100;
        (MEMORY_AT_ONCE / (longest * self.bytes_of_token()).max(1)).clamp(1, MOST_AT_ONCE)
    }

    fn context(&self) -> usize {
        self.context()
    }

    fn length(&self, request: &WriteRequest) -> anyhow::Result<usize> {
        Ok(self.request(request)?.0.len())
    }

    fn write(
        &self,
        requests: &[WriteRequest],
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<Generated>> {
        let requests = requests.iter().map(|request| self.request(request));
        self.with_requests(requests, |prompts| self.generate(prompts, options, cancel, on_text))
    }

    fn yes(&self, encodings: &[&Encoding], question: &str, cancel: &AtomicBool) -> anyhow::Result<Option<Vec<f32>>> {
        let question = format!("{question} Answer yes or no.");
        let token = |word: &str| self.first_token(word);
        let mut found = Vec::with_capacity(encodings.len());
        for some in encodings.chunks(self.at_once(encodings, 1)) {
            let prompt = ChatPrompt::Question { turns: &[], question: &question };
            let requests = some.iter().map(|encoding| self.request(&WriteRequest { encoding, prompt }));
            let scores = self.with_requests(requests, |prompts| self.next_scores(prompts, cancel))?;
            let Some(scores) = scores else { return Ok(None) };
            for scores in scores.chunks_exact(scores.len() / some.len()) {
                found.push(yes_among(scores, &token)?.context("the model has no words for yes and no")?);
            }
        }
        Ok(Some(found))
    }

    fn converse<'m>(&'m self, encoding: &Encoding) -> anyhow::Result<Box<dyn Conversation + 'm>> {
        let features = unpacked(self, encoding)?;
        let layout = features.layout;
        Ok(Box::new(InstructedChat { model: self, layout, session: VisionLanguageSession::new(self, vec![features])? }))
    }
}

/// A conversation with an instructed model.
struct InstructedChat<'m> {
    model: &'m VisionLanguage,
    layout: PictureLayout,
    session: VisionLanguageSession<'m>,
}

impl Conversation for InstructedChat<'_> {
    fn answer(
        &mut self,
        turns: &[PromptTurn],
        question: &str,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated> {
        let prompt = self.model.prompt(&said(&ChatPrompt::Question { turns, question }))?;
        let tokens = self.model.tokens(&prompt, &[self.layout])?;
        self.session.answer(&tokens, options, cancel, on_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_weighed_against_no_alone() {
        let token = |word: &str| {
            Ok(match word.trim() {
                "yes" => Some(1),
                "Yes" => Some(2),
                "no" => Some(3),
                _ => Some(4),
            })
        };
        let p = |scores: &[f32]| yes_among(scores, &token).unwrap().unwrap();
        assert!((p(&[9.0, 1.0, -50.0, 1.0, -50.0]) - 0.5).abs() < 1e-6);
        assert!(p(&[9.0, 1.0, 3.0, 1.0, 1.0]) > 0.7 && p(&[9.0, 1.0, 1.0, 1.0, 3.0]) < 0.3);
        // Both begin alike: nothing can be told.
        assert_eq!(yes_among(&[1.0; 5], &|_| Ok(Some(1))).unwrap(), None);
    }

    #[test]
    fn the_picture_comes_first_and_facts_before_the_wish() {
        let caption = ChatPrompt::Caption { style: CaptionStyle::Tags, prompt: None, facts: "Taken in Lisbon." };
        let messages = said(&caption);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].pictures, 1);
        assert!(messages[0].text.starts_with("Taken in Lisbon. List"), "{}", messages[0].text);
        let turns = [PromptTurn { question: "A?".into(), answer: "b".into() }];
        let messages = said(&ChatPrompt::Question { turns: &turns, question: "C?" });
        let speakers: Vec<(Speaker, usize, &str)> =
            messages.iter().map(|m| (m.speaker, m.pictures, m.text.as_str())).collect();
        let expected = [(Speaker::User, 1, "A?"), (Speaker::Assistant, 0, "b"), (Speaker::User, 0, "C?")];
        assert_eq!(speakers, expected);
    }
}
