//! Zero-shot classification (Radford et al. 2021): which of some labels, given as words, fits a photo best.

use crate::exit::Failure;
use crate::model::{Embed, zero_shot};
use crate::model_choice::Chosen;
use crate::terminal::progress::Progress;
use rayon::prelude::*;
use snapseek_index::{Classifier, Filter, Filters, LabelSet, Library};
use std::sync::Arc;

/// Photos judged between two progress reports.
const CHUNK: usize = 4_096;

/// The verdict on a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Its label, as a position in the set's labels; `None` if none of them fits.
    pub label: Option<usize>,
    /// The likeliest labels and backgrounds with their probabilities, best first. Positions count the labels first,
    /// then the backgrounds.
    pub ranked: Vec<(usize, f32)>,
}

/// Computes the classifier of a label set for a model.
///
/// # Errors
/// The user interrupted it (exit code 130), or the model's files are damaged.
pub fn classifier(set: &LabelSet, model: &dyn Embed, progress: &mut Progress<'_>) -> anyhow::Result<Classifier> {
    let labels: Vec<String> = set.labels.iter().chain(&set.background).map(|label| bare(label).to_owned()).collect();
    let own: Vec<&str> = set.templates.iter().map(String::as_str).collect();
    let templates = if own.is_empty() { model.templates() } else { own.as_slice() };
    let rows =
        zero_shot::classifier(model, &labels, templates, &mut |done, total| progress.step("prompts", done, total))?;
    let rows = rows.ok_or_else(Failure::interrupted)?;
    Ok(Classifier { scale: model.logit_scale()?, rows })
}

/// A label without its article, because the templates contain one.
fn bare(label: &str) -> &str {
    let cut = |article: &str| {
        let (head, rest) = label.split_at_checked(article.len())?;
        head.eq_ignore_ascii_case(article).then_some(rest.trim_start()).filter(|rest| !rest.is_empty())
    };
    ["a ", "an ", "the "].into_iter().find_map(cut).unwrap_or(label)
}

/// The classifier of a saved label set for the library's model: the stored one, otherwise a new one, which is then
/// stored.
///
/// # Errors
/// As [`classifier`]; or the catalogue cannot be written.
pub fn kept_classifier(
    set: &LabelSet,
    library: &Library,
    model: &dyn Embed,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Classifier> {
    let texts = model.text_fingerprint();
    if let Some(kept) = library.classifier(set, texts, model.identity().dim)? {
        return Ok(kept);
    }
    let made = classifier(set, model, progress)?;
    library.save_classifier(set, texts, &made)?;
    Ok(made)
}

/// Prepares the label sets that a query uses, so that the index can answer it. `model` is called only if one of them
/// has no classifier for the library's model yet.
///
/// # Errors
/// A label set does not exist, the user interrupted it (exit code 130), the model fails, or the catalogue cannot be
/// written.
pub fn prepare(
    filters: &Filters,
    library: &Library,
    model: &dyn Fn() -> anyhow::Result<Arc<Chosen>>,
    progress: &mut Progress<'_>,
) -> anyhow::Result<()> {
    for clause in &filters.clauses {
        let Filter::Label { set, .. } = &clause.filter else { continue };
        let set = library.label_set(set)?;
        let Some(record) = library.model()? else { continue };
        if library.classifier(&set, &record.fingerprint, record.dim)?.is_none() {
            kept_classifier(&set, library, model()?.model.as_ref(), progress)?;
        }
    }
    Ok(())
}

/// Judges photos by their embeddings, in order; each verdict lists the `top` likeliest labels.
///
/// # Errors
/// The user interrupted it (exit code 130).
pub fn judge(
    embeddings: &[&[f32]],
    set: &LabelSet,
    classifier: &Classifier,
    top: usize,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Vec<Verdict>> {
    let one = |embedding: &&[f32]| {
        let probabilities = classifier.probabilities(embedding);
        let mut ranked: Vec<(usize, f32)> = probabilities.iter().copied().enumerate().collect();
        let likelier = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if top < ranked.len() {
            ranked.select_nth_unstable_by(top, likelier);
            ranked.truncate(top);
            // With a thousand labels the rest would take a gigabyte for 100,000 photos.
            ranked.shrink_to_fit();
        }
        ranked.sort_unstable_by(likelier);
        Verdict { label: set.choose(&probabilities), ranked }
    };
    let mut verdicts = Vec::with_capacity(embeddings.len());
    for chunk in embeddings.chunks(CHUNK) {
        if !progress.step("photos", verdicts.len(), embeddings.len()) {
            return Err(Failure::interrupted());
        }
        verdicts.par_extend(chunk.par_iter().map(one));
    }
    Ok(verdicts)
}

/// The number of photos with each label, and last the number of photos without one.
#[must_use]
pub fn distribution<'a>(verdicts: impl Iterator<Item = &'a Verdict>, labels: usize) -> Vec<usize> {
    let mut counts = vec![0; labels + 1];
    for verdict in verdicts {
        if let Some(count) = counts.get_mut(verdict.label.unwrap_or(labels)) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_left_to_the_templates() {
        let labels = ["a dog", "An Apple", "the sea", "a", "an", "apple", "another", "a  cat", "é", "a é"];
        assert_eq!(labels.map(bare), ["dog", "Apple", "sea", "a", "an", "apple", "another", "cat", "é", "é"]);
    }
}
