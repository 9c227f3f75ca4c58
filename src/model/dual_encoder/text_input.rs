//! From a text to the tokens that a family's text tower was trained on.

use super::config::{Family, TextConfig};
use super::layout::TokenizerFiles;
use crate::model::Tokens;
use crate::model::preprocess::read_json;
use crate::model::tokenizer::{Cutting, Tokenizer};
use anyhow::Context;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::Path;
use unicode_normalization::UnicodeNormalization;

/// A tokenizer, and what a family does before and after it.
pub(super) struct TextInput {
    tokenizer: Tokenizer,
    cleaning: Cleaning,
    /// How texts end and are filled, if they are.
    padding: Option<Padding>,
}

/// What is done to a text before its tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cleaning {
    /// Nothing.
    None,
    /// Lower case: so SigLIP was trained, but the published tokenizers of SigLIP 2 do not do it.
    LowerCase,
    /// What `open_clip` does.
    OpenClip,
}

impl Cleaning {
    /// What a family does.
    pub(super) fn of(family: Family) -> Self {
        match family {
            Family::Clip | Family::ChineseClip => Self::None,
            Family::Siglip => Self::LowerCase,
            Family::OpenClip | Family::MobileClip => Self::OpenClip,
        }
    }
}

/// All texts get one length. How they end is not left to tokenizer.json: the implementations do as
/// tokenizer_config.json says.
struct Padding {
    /// How many tokens each text has.
    length: usize,
    end: (u32, String),
    fill: (u32, String),
}

/// A token is written as itself, or with how it is found in texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialToken {
    Plain(String),
    Added { content: String },
}

#[derive(Deserialize)]
struct TokenizerConfigFile {
    pad_token: Option<SpecialToken>,
    eos_token: Option<SpecialToken>,
    do_lower_case: Option<bool>,
}

impl TextInput {
    /// The tokenizer in these files for texts of `config`; `about` is its tokenizer_config.json, if it has one.
    pub(super) fn open(
        files: &TokenizerFiles,
        about: Option<&Path>,
        config: &TextConfig,
        cleaning: Cleaning,
    ) -> anyhow::Result<Self> {
        let how = Cutting { max_length: Some(config.context), special_as_text: false };
        let about = about.map(|path| anyhow::Ok((path, read_json::<TokenizerConfigFile>(path)?))).transpose()?;
        let tokenizer = match files {
            TokenizerFiles::Whole(file) => Tokenizer::read(file, how)?,
            TokenizerFiles::Clip([vocabulary, merges]) => Tokenizer::of_clip(vocabulary, merges, how)?,
            TokenizerFiles::WordPieces(vocabulary) => {
                let lowercase = about.as_ref().and_then(|(_, file)| file.do_lower_case).unwrap_or(true);
                Tokenizer::of_word_pieces(vocabulary, lowercase, how)?
            }
        };
        let padding = match about {
            Some((path, file)) if config.padded => {
                let special = |name: &str, token: Option<SpecialToken>| {
                    let token = match token {
                        Some(SpecialToken::Plain(token) | SpecialToken::Added { content: token }) => token,
                        None => anyhow::bail!("{} names no {name}", path.display()),
                    };
                    let id = tokenizer.id(&token);
                    let id = id.with_context(|| format!("{} does not know the {name}", tokenizer.name()))?;
                    Ok((id, token))
                };
                let (end, fill) = (special("eos_token", file.eos_token)?, special("pad_token", file.pad_token)?);
                Some(Padding { length: config.context, end, fill })
            }
            _ => None,
        };
        Ok(Self { tokenizer, cleaning, padding })
    }

    pub(super) fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        let text: Cow<'_, str> = match self.cleaning {
            Cleaning::None => text.into(),
            Cleaning::LowerCase => text.to_lowercase().into(),
            Cleaning::OpenClip => cleaned(text).into(),
        };
        let (mut ids, mut tokens) = self.tokenizer.encode(&text, self.padding.is_none())?;
        if let Some(Padding { length, end, fill }) = &self.padding {
            ids.truncate(length - 1);
            tokens.truncate(length - 1);
            ids.push(end.0);
            tokens.push(end.1.clone());
            ids.resize(*length, fill.0);
            tokens.resize(*length, fill.1.clone());
        }
        anyhow::ensure!(!ids.is_empty(), "{} is damaged: a text has no tokens", self.tokenizer.name());
        Ok(Tokens { ids, tokens })
    }
}

/// What `open_clip` does before its tokenizer: ftfy, except that texts in a wrong encoding stay as they are, and HTML's
/// entities undone twice.
fn cleaned(text: &str) -> String {
    let mut text = text.to_owned();
    // Of texts without a "<", ftfy undoes all that is left to undo; each time makes them shorter.
    while !text.contains('<') {
        match html_escape::decode_html_entities(&text) {
            Cow::Owned(plain) if plain.len() < text.len() => text = plain,
            _ => break,
        }
    }
    let mut split = String::with_capacity(text.len());
    text.chars().for_each(|c| match c {
        '\u{fb05}' => split.push_str("\u{17f}t"),
        // Ligatures, and letters that are as wide as Chinese ones or half as wide.
        '\u{132}'
        | '\u{133}'
        | '\u{149}'
        | '\u{1c4}'..='\u{1cc}'
        | '\u{1f1}'..='\u{1f3}'
        | '\u{fb00}'..='\u{fb06}'
        | '\u{3000}'
        | '\u{ff01}'..='\u{ffef}' => split.extend(std::iter::once(c).nfkc()),
        c => split.push(c),
    });
    let plain: String = split
        .chars()
        .filter_map(|c| match c {
            '\u{2bc}' | '\u{2018}'..='\u{201b}' => Some('\''),
            '\u{201c}'..='\u{201f}' => Some('"'),
            '\0'..='\u{8}'
            | '\u{b}'
            | '\u{e}'..='\u{1f}'
            | '\u{7f}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}' => None,
            c => Some(c),
        })
        .collect();
    let once = html_escape::decode_html_entities(&plain);
    html_escape::decode_html_entities(&once).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_as_open_clip_does() {
        for (text, clean) in [
            ("two dogs &amp;amp; a &lt;b&gt;ball", "two dogs & a <b>ball"),
            ("<i> &amp;amp;amp;", "<i> &amp;"),
            ("\u{17f}traße \u{fb01}ne \u{2167}", "\u{17f}traße fine \u{2167}"),
            ("it\u{2019}s \u{201c}good\u{201d} \u{ff21}\u{3000}b", "it's \"good\" A b"),
            ("  caf\u{e9}\u{0}\u{feff} ", "café"),
        ] {
            assert_eq!(cleaned(text), clean);
        }
    }
}
