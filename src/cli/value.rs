//! Parsers of argument values that several commands share.

pub(super) fn template(text: &str) -> Result<String, String> {
    if text.contains("{}") { Ok(text.to_owned()) } else { Err("must contain {} where the words go".into()) }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number of at least 1".into())
}

/// A number of at least 1, or `all`.
pub(super) fn how_many(text: &str) -> Result<usize, String> {
    if text == "all" { Ok(usize::MAX) } else { at_least_one(text).map_err(|error| format!("{error}, or all")) }
}

pub(super) fn finite(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|number: &f32| number.is_finite()).ok_or_else(|| "must be a number".into())
}

pub(super) fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".into()) } else { Ok(text.to_owned()) }
}

pub(super) fn cosine(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|c| (-1.0..=1.0).contains(c)).ok_or_else(|| "must be a number from -1 to 1".into())
}
