//! Why a file cannot be read as a picture.

use image::ImageError;
use std::error::Error;
use std::io;

/// The kinds of errors, which are counted separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file cannot be opened or read, or is not a regular file.
    Unreadable,
    /// The file has no bytes.
    Empty,
    /// The content is not in a known picture format.
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
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Unreadable,
        Self::Empty,
        Self::NotAPicture,
        Self::Truncated,
        Self::Damaged,
        Self::TooLarge,
        Self::Unsupported,
        Self::Changed,
        Self::Crashed,
    ];

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

/// Why a file cannot be read as a picture. The message does not contain the path, which the caller knows. It may quote
/// foreign bytes, so escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PhotoError {
    /// Its kind, for counting.
    pub kind: ErrorKind,
    /// What happened, for a person.
    pub message: String,
    /// The limit that it is over.
    pub limit: Option<Limit>,
}

/// The limits of [`DecodeLimits`](super::DecodeLimits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `max_pixels`.
    Pixels,
    /// `max_bytes`, or `max_alloc`.
    Memory,
}

impl PhotoError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), limit: None }
    }

    pub(super) fn over(limit: Limit, message: String) -> Self {
        Self { kind: ErrorKind::TooLarge, message, limit: Some(limit) }
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
            // The BMP and TIFF decoders report some of their own limits as decoding errors.
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
            // The bytes are in memory: only the start of a thread can fail.
            jpeg_decoder::Error::Io(io) => Self::new(ErrorKind::Unreadable, format!("decoding could not start: {io}")),
            _ => Self::new(ErrorKind::Damaged, error.to_string()),
        }
    }
}

/// The error and its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e| (*e).source())
}

/// Whether a decoder ran out of bytes. The decoders have no common error type for it.
fn tells_of_the_end(error: &(dyn Error + 'static)) -> bool {
    let text = error.to_string().to_lowercase();
    error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
        || ["unexpected end", "unexpected eof", "unexpectedeof", "failed to fill whole buffer"]
            .iter()
            .any(|part| text.contains(part))
}
