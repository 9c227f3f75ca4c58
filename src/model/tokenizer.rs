//! Hugging Face tokenizers, whose library panics on some damaged files.

use super::preprocess::read_json;
use crate::panics::contained;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer as Library;

/// The tokenizer of a model's folder.
pub(super) struct Tokenizer {
    library: Library,
    path: PathBuf,
}

/// How texts are cut into tokens.
#[derive(Clone, Copy, Default)]
pub(super) struct Cutting {
    /// Maximum number of tokens in a text; a longer text loses its end.
    pub(super) max_length: Option<usize>,
    /// Whether a text that looks like a control token (`</s>`) is treated like any other text.
    pub(super) special_as_text: bool,
}

impl Tokenizer {
    /// Reads a tokenizer.json.
    pub(super) fn read(path: &Path, how: Cutting) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&bytes, path, how)
    }

    /// CLIP's tokenizer from its vocabulary (vocab.json) and merges (merges.txt), where there is no tokenizer.json.
    /// Source: the fast tokenizer that `transformers` makes of them (CLIPConverter).
    pub(super) fn of_clip(vocabulary: &Path, merges: &Path, how: Cutting) -> anyhow::Result<Self> {
        const START: &str = "<|startoftext|>";
        const END: &str = "<|endoftext|>";
        let vocab: Map<String, Value> = read_json(vocabulary)?;
        let id = |token: &str| {
            vocab.get(token).cloned().with_context(|| format!("{} holds no {token}", vocabulary.display()))
        };
        let (start, end) = (id(START)?, id(END)?);
        let text = std::fs::read_to_string(merges).with_context(|| format!("{} cannot be read", merges.display()))?;
        let merges: Vec<&str> = text.lines().filter(|line| !line.starts_with("#version") && !line.is_empty()).collect();
        let words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
        let file = json!({
            "version": "1.0",
            "added_tokens": [added(&start, START), added(&end, END)],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ]},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": true},
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            ]},
            "post_processor": {"type": "RobertaProcessing", "sep": [END, &end], "cls": [START, &start],
                "trim_offsets": false, "add_prefix_space": false},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "unk_token": END, "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges},
        });
        Self::parse(&serde_json::to_vec(&file)?, vocabulary, how)
    }

    /// BERT's tokenizer from its vocabulary (vocab.txt, a token in each line), where there is no tokenizer.json.
    /// Source: the fast tokenizer that `transformers` makes of it (BertConverter).
    pub(super) fn of_word_pieces(vocabulary: &Path, lowercase: bool, how: Cutting) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(vocabulary);
        let text = text.with_context(|| format!("{} cannot be read", vocabulary.display()))?;
        let vocab: Map<String, Value> =
            text.lines().zip(0..).map(|(token, id)| (token.to_owned(), json!(id))).collect();
        let special = |token: &'static str| {
            let id = vocab.get(token).with_context(|| format!("{} holds no {token}", vocabulary.display()))?;
            anyhow::Ok((token, id.clone()))
        };
        let (unknown, start, end) = (special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        let optional = ["[PAD]", "[MASK]"].into_iter().filter_map(|token| special(token).ok());
        let specials = [&unknown, &start, &end].into_iter().cloned().chain(optional);
        let file = json!({
            "version": "1.0",
            "added_tokens": specials.map(|(token, id)| added(&id, token)).collect::<Vec<_>>(),
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": lowercase},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": end, "cls": start},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": unknown.0, "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocab},
        });
        Self::parse(&serde_json::to_vec(&file)?, vocabulary, how)
    }

    fn parse(bytes: &[u8], path: &Path, how: Cutting) -> anyhow::Result<Self> {
        let damaged = |why: &dyn std::fmt::Display| anyhow::anyhow!("{} is damaged: {why}", path.display());
        let read = || -> tokenizers::Result<Library> {
            let mut library = Library::from_bytes(bytes)?;
            let cut = |max_length| tokenizers::TruncationParams { max_length, ..Default::default() };
            library.with_padding(None).with_truncation(how.max_length.map(cut))?;
            library.set_encode_special_tokens(how.special_as_text);
            Ok(library)
        };
        let library = contained(read).map_err(|panic| damaged(&panic))?.map_err(|error| damaged(&error))?;
        Ok(Self { library, path: path.to_path_buf() })
    }

    /// The ids of a text's tokens, with `special` including those that tokenizer.json adds, and the tokens as the
    /// vocabulary spells them.
    pub(super) fn encode(&self, text: &str, special: bool) -> anyhow::Result<(Vec<u32>, Vec<String>)> {
        let encoded = contained(|| self.library.encode(text, special)).map_err(|panic| self.unable(&panic))?;
        let encoding = encoded.map_err(|error| self.unable(&error))?;
        Ok((encoding.get_ids().to_vec(), encoding.get_tokens().to_vec()))
    }

    /// The text of tokens, without control tokens.
    pub(super) fn decode(&self, tokens: &[u32]) -> anyhow::Result<String> {
        let decoded = contained(|| self.library.decode(tokens, true)).map_err(|panic| self.unable(&panic))?;
        decoded.map_err(|error| self.unable(&error))
    }

    /// The id of a token of the vocabulary.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.library.token_to_id(token)
    }

    /// A token as the vocabulary spells it.
    pub(super) fn spelling(&self, id: u32) -> Option<String> {
        self.library.id_to_token(id)
    }

    /// The control tokens, as the vocabulary spells them.
    pub(super) fn control_tokens(&self) -> Vec<String> {
        let added = self.library.get_added_tokens_decoder();
        added.into_values().filter(|token| token.special).map(|token| token.content).collect()
    }

    /// The file, for messages.
    pub(super) fn name(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    fn unable(&self, why: &dyn std::fmt::Display) -> anyhow::Error {
        anyhow::anyhow!("{} cannot process this text: {why}", self.path.display())
    }
}

/// A control token, as tokenizer.json lists it.
fn added(id: &Value, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_on_which_the_library_panics_is_an_error() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/blip2-random/tokenizer.json");
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        json["post_processor"]["special_tokens"] = serde_json::json!({});
        let dir = tempfile::tempdir().unwrap();
        let damaged = dir.path().join("tokenizer.json");
        std::fs::write(&damaged, json.to_string()).unwrap();
        let error = Tokenizer::read(&damaged, Cutting::default()).and_then(|t| t.encode("a cat", true)).unwrap_err();
        assert!(error.to_string().contains("tokenizer"), "{error}");
    }
}
