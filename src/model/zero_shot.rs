//! Classifiers from words alone: one row per label, the mean of its prompts' embeddings (Radford et al. 2021, section
//! 3.1.4).

use super::{Embed, normalize};

/// Labels whose prompts go through the text model together: many, because each pass reads all weights.
const BATCH: usize = 256;

/// One unit vector per label, (labels, dim), row by row: the mean of the embeddings of the label in each of the
/// `templates` (with `{}` where it goes). `progress` receives the number of prompts done and in all, and stops the work
/// by returning false; then the result is `None`.
///
/// # Errors
/// A template holds no `{}`, or the model's files are damaged.
pub fn classifier(
    model: &dyn Embed,
    labels: &[String],
    templates: &[&str],
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> anyhow::Result<Option<Vec<f32>>> {
    let dim = model.identity().dim;
    let (mut done, total) = (0, labels.len() * templates.len());
    // By length, because prompts of the same length go through the model in one pass.
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|n| labels[*n].chars().count());
    let mut rows = vec![0.0; labels.len() * dim];
    for batch in order.chunks(BATCH) {
        let words: Vec<String> = batch.iter().map(|n| labels[*n].clone()).collect();
        let mut means = vec![0.0_f32; batch.len() * dim];
        for template in templates {
            if !progress(done, total) {
                return Ok(None);
            }
            let prompts = model.embed_texts(&words, Some(template))?;
            for (mean, prompt) in means.chunks_exact_mut(dim).zip(prompts) {
                mean.iter_mut().zip(prompt).for_each(|(m, p)| *m += p);
            }
            done += batch.len();
        }
        means.chunks_exact_mut(dim).for_each(normalize);
        for (n, mean) in batch.iter().zip(means.chunks_exact(dim)) {
            rows[n * dim..][..dim].copy_from_slice(mean);
        }
    }
    anyhow::ensure!(rows.iter().all(|v| v.is_finite()), "the text model produces NaN or infinity");
    progress(total, total);
    Ok(Some(rows))
}
