//! German umlauts, which people also write as two letters: `Köln` is found as `koln` and as `koeln`.

use tantivy::tokenizer::{Token, TokenFilter, TokenStream, Tokenizer};

/// After a word in lower case with umlauts, adds the same word with two letters for each, at the same position.
#[derive(Clone)]
pub(super) struct Umlauts;

/// A tokenizer with [`Umlauts`].
#[derive(Clone)]
pub(super) struct UmlautTokenizer<T>(T);

/// The words of a text with [`Umlauts`].
pub(super) struct UmlautStream<T> {
    words: T,
    /// The other spelling of the last word, until it is taken.
    other: Option<Token>,
    /// Whether the current word is that.
    is_other: bool,
}

impl TokenFilter for Umlauts {
    type Tokenizer<T: Tokenizer> = UmlautTokenizer<T>;

    fn transform<T: Tokenizer>(self, words: T) -> UmlautTokenizer<T> {
        UmlautTokenizer(words)
    }
}

impl<T: Tokenizer> Tokenizer for UmlautTokenizer<T> {
    type TokenStream<'a> = UmlautStream<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        UmlautStream { words: self.0.token_stream(text), other: None, is_other: false }
    }
}

impl<T: TokenStream> TokenStream for UmlautStream<T> {
    fn advance(&mut self) -> bool {
        if !self.is_other && self.other.is_some() {
            self.is_other = true;
            return true;
        }
        (self.is_other, self.other) = (false, None);
        if !self.words.advance() {
            return false;
        }
        let word = self.words.token();
        self.other = in_two_letters(&word.text).map(|text| Token { text, ..word.clone() });
        true
    }

    fn token(&self) -> &Token {
        self.other.as_ref().filter(|_| self.is_other).unwrap_or_else(|| self.words.token())
    }

    fn token_mut(&mut self) -> &mut Token {
        match &mut self.other {
            Some(other) if self.is_other => other,
            _ => self.words.token_mut(),
        }
    }
}

/// `koeln` for `köln`; `None` for a word without umlauts.
fn in_two_letters(word: &str) -> Option<String> {
    word.contains(['ä', 'ö', 'ü']).then(|| word.replace('ä', "ae").replace('ö', "oe").replace('ü', "ue"))
}
