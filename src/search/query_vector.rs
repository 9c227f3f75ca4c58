//! From a parsed query to one unit vector: texts and pictures, added and subtracted.

use crate::exit::Failure;
use crate::indexing::run;
use crate::model::Embed;
use crate::photo::{self, DecodeLimits};
use anyhow::Context;
use snapseek_index::Library;
use snapseek_index::query::{Part, PartKind};
use std::path::Path;

/// The weighted sum of the parts' unit vectors, as a unit vector; `None` without parts.
///
/// # Errors
/// A picture cannot be read, the model fails, or the parts cancel each other out.
pub fn vector(
    parts: &[Part],
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
            PartKind::Text(text) => {
                model.embed_texts(std::slice::from_ref(text), template)?.pop().context("the model gave no embedding")?
            }
            PartKind::Image(path) => picture(path, model, library)?.1,
        };
        for (total, value) in sum.iter_mut().zip(embedding) {
            *total += part.weight * value;
        }
    }
    let norm = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
    anyhow::ensure!(norm > 1e-4, "the parts of this query cancel each other out: nothing is left to look for");
    sum.iter_mut().for_each(|v| *v /= norm);
    Ok(Some(sum))
}

/// The embedding of a picture file: from the catalogue if the library holds it (with its id), else computed.
///
/// # Errors
/// The file cannot be read or decoded, or the model fails.
pub fn picture(path: &Path, model: &dyn Embed, library: &Library) -> anyhow::Result<(Option<i64>, Vec<f32>)> {
    if let Some((id, embedding)) = known(path, library)? {
        return Ok((Some(id), embedding));
    }
    if path.canonicalize().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
        return Err(Failure::usage(format!("{} is not there", crate::terminal::sanitize::path(path))));
    }
    Ok((None, embed_file(path, model)?))
}

/// The id and embedding of a picture file that the library holds as it is now.
///
/// # Errors
/// The catalogue cannot be read.
pub fn known(path: &Path, library: &Library) -> anyhow::Result<Option<(i64, Vec<f32>)>> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for candidate in path.canonicalize().iter().chain([&absolute]) {
        // A file that has changed since is another picture.
        if let Some(id) = library.photo_at(candidate)?
            && library.stamp_at(candidate)? == run::stamp_of(candidate).ok()
            && let Some(embedding) = library.embedding(id)?
        {
            return Ok(Some((id, embedding)));
        }
    }
    Ok(None)
}

/// Decodes and embeds one file.
///
/// # Errors
/// The file cannot be read or decoded, or the model fails or makes nothing of it.
pub fn embed_file(path: &Path, model: &dyn Embed) -> anyhow::Result<Vec<f32>> {
    let limits = DecodeLimits::default();
    let name = || format!("{} cannot be used", crate::terminal::sanitize::path(path));
    if path.is_dir() {
        return Err(Failure::usage(format!("{} is a folder, not a picture", crate::terminal::sanitize::path(path))));
    }
    let bytes = photo::read(path, &limits).with_context(name)?;
    let photo = photo::decode(&bytes, Some(2 * model.image_size()), &limits).with_context(name)?;
    let pixels = model.prepare(&photo.picture)?;
    let vector = model.embed_pixels(&[pixels])?.pop().context("the model gave no embedding")?.vector;
    anyhow::ensure!(vector.iter().all(|v| v.is_finite()), "{}: the model makes nothing of it", name());
    Ok(vector)
}
