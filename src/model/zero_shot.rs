//! Classifiers from words alone: one row per label, the mean of its prompts' embeddings (Radford et al. 2021, section
//! 3.1.4).

use super::{Embed, normalize};

/// Labels whose prompts go through the text model together.
const BATCH: usize = 64;

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
    let mut rows = Vec::with_capacity(labels.len() * dim);
    for batch in labels.chunks(BATCH) {
        let mut means = vec![0.0_f32; batch.len() * dim];
        for template in templates {
            if !progress(done, total) {
                return Ok(None);
            }
            let prompts = model.embed_texts(batch, Some(template))?;
            for (mean, prompt) in means.chunks_exact_mut(dim).zip(prompts) {
                mean.iter_mut().zip(prompt).for_each(|(m, p)| *m += p);
            }
            done += batch.len();
        }
        means.chunks_exact_mut(dim).for_each(normalize);
        rows.extend(means);
    }
    anyhow::ensure!(rows.iter().all(|v| v.is_finite()), "the text model produces NaN or infinity");
    progress(total, total);
    Ok(Some(rows))
}
