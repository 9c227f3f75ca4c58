//! Why a file gives no picture.

use image::ImageError;
use std::error::Error;
use std::io;

/// The kinds of trouble that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file cannot be opened or read, or is not a regular file.
    Unreadable,
    /// The file has no bytes.
    Empty,
    /// The content is of no picture format that we know of.
    NotAPicture,
    /// The content ends before the picture does.
    Truncated,
    /// The content breaks the rules of its format.
    Damaged,
    /// The file, the picture or the memory that it needs is over a limit.
    TooLarge,
    /// A picture, but of a format or variant that this build cannot decode.
    Unsupported,
    /// The file was written to while it was read.
    Changed,
    /// The decoder panicked.
    Crashed,
}

impl ErrorKind {
    /// The kind as it is stored and counted, in lower case with hyphens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Empty => "empty",
            Self::NotAPicture => "not-a-picture",
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
            Self::TooLarge => "too-large",
            Self::Unsupported => "unsupported",
            Self::Changed => "changed",
            Self::Crashed => "crashed",
        }
    }
}

/// Why a file gives no picture. The message names facts, not the path: the caller knows which file it was. It may quote
/// foreign bytes, so escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PhotoError {
    /// What to count it as.
    pub kind: ErrorKind,
    /// What happened, for a person.
    pub message: String,
}

impl PhotoError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn truncated() -> Self {
        Self::new(ErrorKind::Truncated, "the file ends before the picture does: it is only part of the original")
    }
}

impl From<ImageError> for PhotoError {
    fn from(error: ImageError) -> Self {
        let kind = match &error {
            ImageError::Limits(_) => ErrorKind::TooLarge,
            ImageError::Unsupported(_) => ErrorKind::Unsupported,
            // The BMP and TIFF decoders report some of their own limits as errors of decoding.
            _ if chain(&error).any(|e| e.to_string().contains("too large")) => ErrorKind::TooLarge,
            _ if chain(&error).any(tells_of_the_end) => return Self::truncated(),
            _ => ErrorKind::Damaged,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<jpeg_decoder::Error> for PhotoError {
    fn from(error: jpeg_decoder::Error) -> Self {
        match &error {
            jpeg_decoder::Error::Unsupported(_) => Self::new(ErrorKind::Unsupported, error.to_string()),
            jpeg_decoder::Error::Io(io) if io.kind() == io::ErrorKind::UnexpectedEof => Self::truncated(),
            // The bytes are in memory: what else can fail is the start of a thread.
            jpeg_decoder::Error::Io(io) => Self::new(ErrorKind::Unreadable, format!("decoding could not start: {io}")),
            _ => Self::new(ErrorKind::Damaged, error.to_string()),
        }
    }
}

/// The error and its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e| (*e).source())
}

/// Whether a decoder ran out of bytes. They agree on no type for it.
fn tells_of_the_end(error: &(dyn Error + 'static)) -> bool {
    let text = error.to_string().to_lowercase();
    error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
        || ["unexpected end", "unexpected eof", "unexpectedeof", "failed to fill whole buffer"]
            .iter()
            .any(|part| text.contains(part))
}
