//! The query language.
//!
//! ```text
//! a dog on the grass            words: one text
//! "red pyramid"  -"red pyramid" words that must be side by side, or must not
//! castle -night                 a sign joined to a word, picture, phrase or filter applies to that one only
//! @a.jpg + in winter - people   a sign between spaces applies to all that follows, up to the next such sign
//! 2*sunset  0.5*@"b 1.jpg"      weights; quotes for names with spaces
//! cluster:"our ""buildings"""   a quote within quotes is written twice
//! path:2019 tag:dog ext:jpg,png camera:canon taken:2019-06..2019-09 wider:2000 taller:1000 size:>2M
//! keyword:beach person:anna place:lisbon near:lisbon,20km around:@a.jpg,2h is:portrait iso:>800   and more ([`FILTERS`])
//! label:pets=dog label:pets     photos that get this label of a saved set, or any of its labels
//! caption:dog caption:"red car" has:caption   whole words of the caption, in this order; any caption at all
//! \-word  \@word  \path:x       a plain word
//! ```
//! A word with a colon is a filter if two or more letters come before the colon and something other than `//` after it:
//! `http://x`, `12:30` and `C:\x` are words, and `pth:x` is an error that lists the filters.

mod values;

pub use values::{COLORS, FILTERS};

use super::filters::{Clause, Filters, Phrase};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// The most bytes that a query may have.
const LONGEST: usize = 16 * 1024;
/// The most texts and pictures that a query may have, and also the most phrases and the most filters: each costs time.
const MOST_PARTS: usize = 64;

/// A parsed query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Texts and pictures, added up with their weights.
    pub parts: Vec<QueryPart>,
    /// Phrases that a photo's text must contain, or must not.
    pub phrases: Vec<Phrase>,
    /// Conditions that photos must satisfy.
    pub filters: Filters,
}

/// A text or a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryPart {
    /// What it is.
    pub kind: PartKind,
    /// How much it counts; negative if it is subtracted, never zero.
    pub weight: f32,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Words for the model.
    Text(String),
    /// A picture file.
    Image(PathBuf),
}

/// A query that cannot be parsed. It displays as the reason, the query around the error, and a caret below the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Which character it is about, counted from one.
    pub column: usize,
    line: String,
    caret: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (column {})", self.message, self.column)?;
        if self.line.is_empty() {
            return Ok(());
        }
        write!(f, "\n  {}\n  {}^", self.line, " ".repeat(self.caret))
    }
}

impl std::error::Error for ParseError {}

/// Parses a query.
///
/// # Errors
/// Says what is wrong and at which column. No text makes it panic.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > LONGEST {
        let message = format!("the query has {} bytes; {LONGEST} are allowed", text.len());
        return Err(ParseError { message, column: 1, line: String::new(), caret: 0 });
    }
    let mut parser = Parser::new(text);
    parser.all().map_err(|(message, at)| error(message, &parser.chars, at))?;
    Ok(parser.query)
}

/// The filters of a query, each as it is written there, in its order; none if it cannot be parsed.
#[must_use]
pub fn filters_of(text: &str) -> Vec<String> {
    let mut parser = Parser::new(text);
    if text.len() > LONGEST || parser.all().is_err() {
        return Vec::new();
    }
    let written = |range: &Range<usize>| parser.chars.get(range.clone()).unwrap_or_default().iter().collect();
    parser.clauses.iter().map(written).collect()
}

/// A query without those of its filters that stand at these positions, counted from zero; the text itself if it cannot be
/// parsed.
#[must_use]
pub fn without(text: &str, filters: &[usize]) -> String {
    let mut parser = Parser::new(text);
    if text.len() > LONGEST || parser.all().is_err() || filters.is_empty() {
        return text.to_owned();
    }
    let gone: Vec<Range<usize>> = filters.iter().filter_map(|at| parser.clauses.get(*at).cloned()).collect();
    let chars = parser.chars.iter().enumerate();
    // What follows a filter is a space.
    let stays = |at: &usize| !gone.iter().any(|range| (range.start..=range.end).contains(at));
    let rest: String = chars.filter(|(at, _)| stays(at)).map(|(_, c)| *c).collect();
    rest.trim().to_owned()
}

/// A value as it is written in a query: in quotes if it would not be read as one value without.
#[must_use]
pub fn quoted(value: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && c != '"' && c != '=';
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('"', "\"\""))
}

/// Characters shown on each side of the error.
const AROUND: usize = 36;

fn error(message: String, chars: &[char], at: usize) -> ParseError {
    let at = at.min(chars.len());
    let (from, to) = (at.saturating_sub(AROUND), (at + AROUND).min(chars.len()));
    let shown = |c: &char| if c.is_control() { '\u{fffd}' } else { *c };
    let line = chars.get(from..to).unwrap_or_default().iter().map(shown).collect();
    ParseError { message, column: at + 1, line, caret: at - from }
}

/// A message and the character it is about.
type Wrong = (String, usize);

struct Parser {
    chars: Vec<char>,
    at: usize,
    query: Query,
    /// The last sign between spaces, as 1 or -1; 1 before there is one.
    sign: f32,
    /// The text that plain words are added to.
    run: Option<usize>,
    /// Which characters each filter is.
    clauses: Vec<Range<usize>>,
}

impl Parser {
    fn new(text: &str) -> Self {
        let (chars, query) = (text.chars().collect(), Query::default());
        Self { chars, at: 0, query, sign: 1.0, run: None, clauses: Vec::new() }
    }

    fn all(&mut self) -> Result<(), Wrong> {
        let mut open_sign = None;
        loop {
            while self.peek().is_some_and(char::is_whitespace) {
                self.at += 1;
            }
            let Some(first) = self.peek() else { break };
            let start = self.at;
            let sign = match first {
                '+' => Some(1.0),
                '-' => Some(-1.0),
                _ => None,
            };
            self.at += usize::from(sign.is_some());
            if let (Some(sign), true) = (sign, self.peek().is_none_or(char::is_whitespace)) {
                if open_sign.is_some() {
                    return Err(("there is one sign too many: write something between the two".into(), start));
                }
                (self.sign, self.run, open_sign) = (sign, None, Some(start));
                continue;
            }
            self.item(sign, open_sign.is_some())?;
            if self.query.filters.clauses.len() > self.clauses.len() {
                self.clauses.push(start..self.at);
            }
            open_sign = None;
        }
        if let Some(start) = open_sign {
            return Err(("nothing follows this sign".into(), start));
        }
        if self.query == Query::default() {
            return Err(("the query is empty".into(), 0));
        }
        Ok(())
    }

    /// Reads one item; `glued` is the sign right before it, if any.
    fn item(&mut self, glued: Option<f32>, behind_sign: bool) -> Result<(), Wrong> {
        let start = self.at;
        let sign = glued.unwrap_or(self.sign);
        let weight = self.weight()?;
        let factor = sign * weight.unwrap_or(1.0);
        match self.peek() {
            Some('"') => {
                if weight.is_some() {
                    return Err((
                        "a phrase in quotes takes no weight: photos must have it, or must not have it".into(),
                        start,
                    ));
                }
                let opened = self.at;
                let text = self.quoted()?;
                if !text.chars().any(char::is_alphanumeric) {
                    return Err(("there is no word between these quotes".into(), opened));
                }
                room(self.query.phrases.len(), "phrases in quotes", start)?;
                self.query.phrases.push(Phrase { text, exclude: sign < 0.0 });
                Ok(())
            }
            Some('@') => {
                self.at += 1;
                let name = self.value()?;
                if name.is_empty() {
                    return Err(("which picture? Write @file.jpg or @\"a file.jpg\"".into(), start));
                }
                self.part(PartKind::Image(PathBuf::from(name)), factor, start)
            }
            Some('\\') => {
                self.at += 1;
                let rest = self.bare();
                self.word(if rest.is_empty() { "\\".into() } else { rest }, glued, weight, start)
            }
            _ => {
                if let Some(name) = self.filter_name() {
                    return self.filter(&name, glued, weight, behind_sign, start);
                }
                let word = self.bare();
                self.word(word, glued, weight, start)
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Everything up to the next space.
    fn bare(&mut self) -> String {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let word: String = rest.iter().take_while(|c| !c.is_whitespace()).collect();
        self.at += word.chars().count();
        word
    }

    /// The text between this quote and the next; two quotes side by side are one within the text.
    fn quoted(&mut self) -> Result<String, Wrong> {
        let mut text = String::new();
        let mut at = self.at + 1;
        loop {
            let one = match (self.chars.get(at), self.chars.get(at + 1)) {
                (None, _) => return Err(("this quote is never closed".into(), self.at)),
                (Some('"'), Some('"')) => {
                    at += 1;
                    '"'
                }
                (Some('"'), _) => break,
                (Some(c), _) => *c,
            };
            text.push(one);
            at += 1;
        }
        self.at = at + 1;
        Ok(text)
    }

    fn value(&mut self) -> Result<String, Wrong> {
        if self.peek() == Some('"') { self.quoted() } else { Ok(self.bare()) }
    }

    /// `pets=dog`, with quotes around either side or both.
    fn label(&mut self) -> Result<String, Wrong> {
        let mut value = if self.peek() == Some('"') {
            self.quoted()?
        } else {
            let rest = self.chars.get(self.at..).unwrap_or_default();
            let set: String = rest.iter().take_while(|c| !c.is_whitespace() && **c != '=').collect();
            self.at += set.chars().count();
            set
        };
        if self.peek() == Some('=') {
            self.at += 1;
            value.push('=');
            value.push_str(&self.value()?);
        }
        Ok(value)
    }

    /// The number of a weight such as `2*`, if there is one here.
    fn weight(&mut self) -> Result<Option<f32>, Wrong> {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let digits: String = rest.iter().take_while(|c| c.is_ascii_digit() || **c == '.').collect();
        let length = digits.chars().count();
        if length == 0 || rest.get(length) != Some(&'*') {
            return Ok(None);
        }
        let start = self.at;
        let Some(weight) = digits.parse::<f32>().ok().filter(|w| *w > 0.0 && *w <= 1000.0) else {
            return Err(("a weight is a number above 0, up to 1000".into(), start));
        };
        self.at += length + 1;
        if self.peek().is_none_or(char::is_whitespace) {
            return Err(("nothing follows this weight; write it without a space, as in 2*sunset".into(), start));
        }
        Ok(Some(weight))
    }

    fn part(&mut self, kind: PartKind, weight: f32, start: usize) -> Result<(), Wrong> {
        if self.query.parts.len() >= MOST_PARTS {
            return Err((format!("a query has at most {MOST_PARTS} texts and pictures"), start));
        }
        self.query.parts.push(QueryPart { kind, weight });
        Ok(())
    }

    /// Adds a word: as a text of its own if it has its own sign or weight, otherwise to the current text.
    fn word(&mut self, word: String, glued: Option<f32>, weight: Option<f32>, start: usize) -> Result<(), Wrong> {
        if glued.is_some() || weight.is_some() {
            let factor = glued.unwrap_or(self.sign) * weight.unwrap_or(1.0);
            return self.part(PartKind::Text(word), factor, start);
        }
        if let Some(QueryPart { kind: PartKind::Text(text), .. }) = self.run.and_then(|n| self.query.parts.get_mut(n)) {
            text.push(' ');
            text.push_str(&word);
            return Ok(());
        }
        self.part(PartKind::Text(word), self.sign, start)?;
        self.run = Some(self.query.parts.len() - 1);
        Ok(())
    }

    /// The name of a filter, if there is one here; nothing is consumed.
    fn filter_name(&self) -> Option<String> {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let name: String = rest.iter().take_while(|c| c.is_ascii_alphabetic()).collect();
        let behind = rest.get(name.len()..).unwrap_or_default();
        let ends = behind.get(1).is_none_or(|c| c.is_whitespace());
        let is_filter = behind.first() == Some(&':')
            && name.len() > 1
            && !behind.get(1..).unwrap_or_default().starts_with(&['/', '/'])
            && (!ends || values::is_filter(&name.to_ascii_lowercase()));
        is_filter.then_some(name)
    }

    fn filter(
        &mut self,
        name: &str,
        glued: Option<f32>,
        weight: Option<f32>,
        behind_sign: bool,
        start: usize,
    ) -> Result<(), Wrong> {
        if weight.is_some() {
            return Err(("a filter takes no weight".into(), start));
        }
        if behind_sign && glued.is_none() {
            return Err((format!("write the sign right before the filter, as in -{name}:…"), start));
        }
        self.at += name.len() + 1;
        let at = self.at;
        let value = if name.eq_ignore_ascii_case("label") { self.label()? } else { self.value()? };
        let filter = values::filter(&name.to_ascii_lowercase(), &value).map_err(|problem| match problem {
            values::Problem::Name => {
                let known = values::FILTERS.map(|(name, _)| format!("{name}:")).join(" ");
                (format!("there is no filter {name}: (there are {known}); for a plain word write \\{name}:"), start)
            }
            values::Problem::Value(message) => (message, at),
        })?;
        room(self.query.filters.clauses.len(), "filters", start)?;
        self.query.filters.clauses.push(Clause { filter, exclude: glued.is_some_and(|sign| sign < 0.0) });
        Ok(())
    }
}

/// Refuses one more of `what` if the query already has the most it may have.
fn room(count: usize, what: &str, start: usize) -> Result<(), Wrong> {
    if count < MOST_PARTS { Ok(()) } else { Err((format!("a query has at most {MOST_PARTS} {what}"), start)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
