//! From a parsed query to one unit vector: texts and pictures, added and subtracted.

use super::photo_file::{self, KnownPhoto};
use crate::exit::Failure;
use crate::model::{Embed, is_unit};
use crate::photo::{self, DecodeLimits};
use anyhow::Context;
use snapseek_index::Library;
use snapseek_index::query::{PartKind, QueryPart};
use std::path::Path;

/// The weighted sum of the parts' unit vectors, as a unit vector; `None` without parts.
///
/// # Errors
/// A picture cannot be read, the model fails, or the parts cancel each other out.
pub fn vector(
    parts: &[QueryPart],
    model: &dyn Embed,
    library: &Library,
    template: Option<&str>,
) -> anyhow::Result<Option<Vec<f32>>> {
    if parts.is_empty() {
        return Ok(None);
    }
    let mut sum = vec![0.0_f32; model.identity().dim];
    for part in parts {
        let embedding = match &part.kind {
            PartKind::Text(text) => model
                .embed_texts(std::slice::from_ref(text), template)?
                .pop()
                .context("the model returned no embedding")?,
            PartKind::Image(path) => picture(path, model, library)?.1,
        };
        for (total, value) in sum.iter_mut().zip(embedding) {
            *total += part.weight * value;
        }
    }
    let norm = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
    anyhow::ensure!(norm > 1e-4, "the parts of this query cancel each other out: nothing is left to search for");
    sum.iter_mut().for_each(|v| *v /= norm);
    Ok(Some(sum))
}

/// The embedding of a picture file, from the catalogue if the library has it, otherwise computed; and the photo's id if
/// the library has indexed this very file.
///
/// # Errors
/// The file cannot be read or decoded, or the model fails.
pub fn picture(path: &Path, model: &dyn Embed, library: &Library) -> anyhow::Result<(Option<i64>, Vec<f32>)> {
    photo_file::must_exist(path)?;
    match known(path, library)? {
        Some((KnownPhoto::Indexed(id), embedding)) => Ok((Some(id), embedding)),
        Some((KnownPhoto::SamePicture(_), embedding)) => Ok((None, embedding)),
        None => Ok((None, embed_file(path, model)?)),
    }
}

/// The photo and embedding of a picture file, if the library has both.
///
/// # Errors
/// The catalogue cannot be read.
pub fn known(path: &Path, library: &Library) -> anyhow::Result<Option<(KnownPhoto, Vec<f32>)>> {
    let Some(photo) = photo_file::find(path, library)? else { return Ok(None) };
    Ok(library.embedding(photo.id())?.map(|embedding| (photo, embedding)))
}

/// Decodes and embeds one file.
///
/// # Errors
/// The file cannot be read or decoded, or the model fails or produces NaN, infinity or a zero vector.
pub fn embed_file(path: &Path, model: &dyn Embed) -> anyhow::Result<Vec<f32>> {
    if path.is_dir() {
        return Err(Failure::usage(format!("{} is a folder, not a picture", crate::terminal::sanitize::path(path))));
    }
    let name = || format!("{} cannot be used", crate::terminal::sanitize::path(path));
    embed_bytes(&photo::read(path, &DecodeLimits::default()).with_context(name)?, path, model)
}

/// Decodes and embeds a picture; `path` names it in errors.
///
/// # Errors
/// As for [`embed_file`].
pub fn embed_bytes(bytes: &[u8], path: &Path, model: &dyn Embed) -> anyhow::Result<Vec<f32>> {
    let name = || format!("{} cannot be used", crate::terminal::sanitize::path(path));
    let photo = photo::decode(bytes, Some(2 * model.image_size()), &DecodeLimits::default()).with_context(name)?;
    let pixels = model.prepare(&photo.picture).with_context(name)?;
    drop(photo);
    let vector = model.embed_pixels(&[pixels])?.pop().context("the model returned no embedding")?.vector;
    anyhow::ensure!(is_unit(&vector), "{}: the model produces NaN, infinity or a zero vector for it", name());
    Ok(vector)
}
