//! Updates a library: one indexing run, then caches, neutral scores and clusters.

use super::run::{self, IndexOptions, IndexSummary};
use crate::captions::index_run::CaptionSummary;
use crate::clusters;
use crate::config::Settings;
use crate::exit::Failure;
use crate::model_choice::Chosen;
use crate::search::matches;
use crate::terminal::console::Console;
use crate::terminal::listener::Step;
use crate::terminal::sanitize;
use anyhow::Context;
use snapseek_index::{Library, Writer};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The folders as canonical paths, without those inside another one.
///
/// # Errors
/// A folder does not exist (exit code 2), or cannot be accessed.
pub fn roots(folders: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = Vec::new();
    for folder in folders {
        // A folder that the user names must exist. One of the library's folders may be gone, for instance because a
        // disk is not mounted: the run reports that and keeps its records.
        let root = match folder.canonicalize() {
            Ok(root) => root,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::usage(format!("{} does not exist", sanitize::path(folder))));
            }
            Err(e) => return Err(e).with_context(|| sanitize::path(folder)),
        };
        roots.push(root);
    }
    roots.sort();
    roots.dedup_by(|later, earlier| later.starts_with(earlier));
    Ok(roots)
}

/// What a run has done.
#[derive(Debug)]
pub struct Done {
    /// What was done with the photos.
    pub summary: IndexSummary,
    /// How long that took.
    pub seconds: f64,
    /// What was done with captions, if they were requested.
    pub captions: Option<CaptionSummary>,
}

/// Updates the library from `folders`: photos, caches, scores of neutral prompts, clusters. `None` if it was cancelled
/// before indexing began. `writer` must already have the model.
///
/// # Errors
/// The catalogue cannot be written, or the model fails. What was written until then is kept.
pub fn fill(
    library: &Library,
    writer: &mut Writer<'_>,
    chosen: &Chosen,
    folders: &[PathBuf],
    options: &IndexOptions,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<Option<Done>> {
    let started = Instant::now();
    let cache = Settings::cache_dir()?;
    let interrupted = || cancel.load(Ordering::Relaxed);
    let mut steps = console.steps();
    let labels = chosen.model.load_labels(&cache, &mut |done, total| {
        if done == 0 {
            console.note(format_args!("preparing the {total} label prompts of this model (once)"));
        }
        steps.report(Step { what: "preparing label prompts (once)", done, total });
        !interrupted()
    });
    if labels.is_err() && interrupted() {
        console.note("interrupted before anything was indexed");
        return Ok(None);
    }
    labels?;
    steps.flush();
    let mut summary = run::run(library, writer, chosen.model.as_ref(), folders, options, cancel, console)?;
    writer.refresh_caches(&mut |what, done, total| {
        if done == 0 && total > 20_000 {
            console.note(format_args!("bringing the {what} up to date ({total})"));
        }
        let number = |n| usize::try_from(n).unwrap_or(usize::MAX);
        steps.report(Step { what, done: number(done), total: number(total) });
        !interrupted()
    })?;
    // After the vectors, which it reads.
    if summary.read > 0 || summary.removed > 0 {
        writer.refresh_stacks()?;
    }
    summary.interrupted = interrupted();
    if !summary.interrupted
        && (summary.embedded > 0 || library.neutral_scores()?.is_none())
        && let Some(scores) = matches::neutral_scores(library, chosen.model.as_ref())?
    {
        writer.set_neutral_scores(&scores)?;
    }
    if !summary.interrupted {
        clusters::adopt(library)?;
    }
    Ok(Some(Done { summary, seconds: started.elapsed().as_secs_f64(), captions: None }))
}
