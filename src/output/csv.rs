//! Comma-separated values (RFC 4180), for spreadsheets.

use crate::terminal::console::Console;
use crate::terminal::sanitize;
use std::borrow::Cow;
use std::path::Path;

/// A field: a text, or a path with its exact bytes (on a terminal, both are escaped), or a number of ours.
pub enum Field<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A path.
    Path(&'a Path),
    /// A number, which is written as it is.
    Number(String),
}

/// A field with a number.
pub fn number<'a>(number: impl std::fmt::Display) -> Field<'a> {
    Field::Number(number.to_string())
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Field<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a Path> for Field<'a> {
    fn from(path: &'a Path) -> Self {
        Self::Path(path)
    }
}

/// Writes one record to stdout.
///
/// # Errors
/// stdout is closed or full.
pub fn record(fields: &[Field<'_>], console: &Console) -> anyhow::Result<()> {
    let bytes = fields.iter().map(|field| match field {
        Field::Text(text) if console.terminal => defused(sanitize::text(text).into_bytes()),
        Field::Text(text) => defused(text.as_bytes().to_vec()),
        Field::Path(path) => defused(console.path_bytes(path)),
        Field::Number(number) => number.as_bytes().to_vec(),
    });
    let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(bytes)?;
    Ok(console.bytes(&writer.into_inner()?)?)
}

/// A cell that no spreadsheet takes for a formula. One that begins like a formula gets an apostrophe in front, and so
/// does one that looks as if it had got one, so that a program that takes the first away gets back what was there.
fn defused(mut cell: Vec<u8>) -> Vec<u8> {
    /// ASCII, and the full-width forms that some spreadsheets read as such.
    const FORMULA: [&str; 11] = ["=", "+", "-", "@", "\t", "\r", "\n", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}"];
    let apostrophes = cell.iter().take_while(|byte| **byte == b'\'').count();
    let rest = cell.get(apostrophes..).unwrap_or_default();
    if FORMULA.iter().any(|beginning| rest.starts_with(beginning.as_bytes())) {
        cell.insert(0, b'\'');
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text_and_come_back() {
        let cell = |text: &str| String::from_utf8(defused(text.into())).unwrap();
        for text in ["=1+1", "+49", "-0.12", "@SUM(A1)", "\t=1", "\r=1", "\u{ff1d}1", "'=1", "''-1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        for text in ["", "a=1", "1-2", "'a", "'", " x", "\\t=1"] {
            assert_eq!(cell(text), text);
        }
    }
}
