//! Comma-separated values (RFC 4180), for spreadsheets.

use crate::terminal::console::Console;
use crate::terminal::sanitize;
use std::borrow::Cow;
use std::path::Path;

/// A field: a text, or a path with its exact bytes (on a terminal, both are escaped).
pub enum Field<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A path.
    Path(&'a Path),
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
        Field::Text(text) if console.terminal => sanitize::text(text).into_bytes(),
        Field::Text(text) => text.as_bytes().to_vec(),
        Field::Path(path) => console.path_bytes(path),
    });
    let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(bytes)?;
    Ok(console.bytes(&writer.into_inner()?)?)
}
