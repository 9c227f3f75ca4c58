//! Classifiers from words alone: one row a label, the mean of its prompts' embeddings (Radford et al. 2021, section 3.1.4).

use super::{Embed, normalize};

/// Labels whose prompts go through the text model together.
const BATCH: usize = 64;

/// A row for each label, (labels, dim), row by row, unit vectors: what `model` makes of it in each of the `templates`
/// (with `{}` where it goes), averaged. `progress` is told how many of how many prompts are done, and ends the work by
/// returning false; then there is no result.
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
    anyhow::ensure!(rows.iter().all(|v| v.is_finite()), "the text model gives numbers that are none");
    progress(total, total);
    Ok(Some(rows))
}
