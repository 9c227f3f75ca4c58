//! Updates a library: one indexing run, then caches, neutral scores and clusters.

use super::run::{self, IndexOptions, IndexSummary};
use crate::captions::index_run::CaptionSummary;
use crate::clusters;
use crate::config::Settings;
use crate::exit::Failure;
use crate::model_choice::Chosen;
use crate::reading::index_run::TextSummary;
use crate::search::matches;
use crate::terminal::console::Console;
use crate::terminal::listener::Step;
use crate::terminal::{sanitize, text};
use anyhow::Context;
use snapseek_index::{Library, ModelRole, Tag, Writer};
use std::path::{Path, PathBuf};
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
        if root.metadata().is_ok_and(|meta| !meta.is_dir() && !meta.is_file()) {
            return Err(Failure::usage(format!("{} is neither a folder nor a file", sanitize::path(folder))));
        }
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
    /// What was done with text, if it was to be read.
    pub texts: Option<TextSummary>,
    /// The name of the model that answered before, if another one took its place.
    pub replaced: Option<String>,
}

/// Updates the library from `folders`: photos, tags, caches, scores of neutral prompts, clusters. `writer` must already have
/// the models, of which the first is indispensable. A model that is being filled becomes the current one once nothing is
/// left that it could embed now.
///
/// # Errors
/// The catalogue cannot be written, or the model fails. What was written until then is kept.
pub fn fill(
    library: &Library,
    writer: &mut Writer<'_>,
    models: &[Chosen],
    folders: &[PathBuf],
    options: &IndexOptions,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<Done> {
    let started = Instant::now();
    let cache = Settings::cache_dir()?;
    let interrupted = || cancel.load(Ordering::Relaxed);
    let mut steps = console.steps();
    // Photos come first: what tags need takes a while, once, and only then are they a matter of dot products.
    let mut awaited = Vec::new();
    for chosen in models {
        let before = library.awaits_tags(&chosen.record)?;
        let now = before || !chosen.model.has_labels(&cache);
        if now && !before {
            writer.await_tags(&chosen.record, true)?;
        }
        awaited.push((before, now));
    }
    let mut summary = run::run(library, writer, models, folders, options, cancel, console)?;
    for ((at, chosen), (before, now)) in models.iter().enumerate().zip(awaited) {
        if interrupted() || !now || summary.broken.contains(&at) {
            continue;
        }
        let is_due = before || summary.made.get(at).is_some_and(|made| *made > 0);
        let mut progress = |done, total| {
            if done == 0 {
                let name = sanitize::text(&chosen.record.name);
                let whose = if models.len() > 1 { name } else { "this model".into() };
                console.note(format_args!("preparing the {total} label prompts of {whose} for tags (once)"));
            }
            steps.report(Step { what: "preparing label prompts (once)", done, total });
            !interrupted()
        };
        if !is_due || tag(library, writer, chosen, &cache, &mut progress, &interrupted)? {
            writer.await_tags(&chosen.record, false)?;
        }
    }
    steps.flush();
    let mut report = |what, done, total| {
        if done == 0 && total > 20_000 {
            console.note(format_args!("bringing the {what} up to date ({total})"));
        }
        let number = |n| usize::try_from(n).unwrap_or(usize::MAX);
        steps.report(Step { what, done: number(done), total: number(total) });
        !interrupted()
    };
    // With a cache, so that the new model answers as fast as the former one.
    let mut replaced = None;
    if is_next_ready(library, models, &summary)? && writer.refresh_next(&mut report)? && !interrupted() {
        replaced = writer.switch_model()?.map(|former| former.name);
    }
    writer.refresh_caches(&mut report)?;
    // After the vectors, which it reads.
    if summary.read > 0 || summary.removed > 0 || replaced.is_some() {
        writer.refresh_stacks()?;
    }
    summary.interrupted = interrupted();
    if !summary.interrupted {
        refresh_neutral_scores(library, models, &summary)?;
        clusters::adopt(library)?;
    }
    Ok(Done { summary, seconds: started.elapsed().as_secs_f64(), captions: None, texts: None, replaced })
}

/// Gives the photos that a model has embedded without tags their tags; whether all have got them.
fn tag(
    library: &Library,
    writer: &mut Writer<'_>,
    chosen: &Chosen,
    cache: &Path,
    progress: &mut dyn FnMut(usize, usize) -> bool,
    interrupted: &dyn Fn() -> bool,
) -> anyhow::Result<bool> {
    /// Photos of one transaction.
    const BATCH: usize = 1024;
    let mut after = 0;
    loop {
        let photos = library.untagged(&chosen.record, after, BATCH)?;
        let Some((last, _)) = photos.last() else { return Ok(true) };
        after = *last;
        // Prepared only if there is a photo without tags.
        if let Err(error) = chosen.model.load_labels(cache, progress) {
            return if interrupted() { Ok(false) } else { Err(error) };
        }
        let mut tagged = Vec::new();
        for (photo, vector) in photos {
            let tags = chosen.model.tags(&vector)?;
            tagged.push((photo, tags.into_iter().map(|tag| Tag { label: tag.label, score: tag.score }).collect()));
        }
        writer.tag(&chosen.record, &tagged)?;
        if interrupted() {
            return Ok(false);
        }
    }
}

/// Whether a model that is being filled has embedded every photo that it could: what cannot be read now does not hold
/// it up, but photos in folders that are not there do, because they will be again.
fn is_next_ready(library: &Library, models: &[Chosen], summary: &IndexSummary) -> anyhow::Result<bool> {
    let known = library.models()?;
    let Some(next) = known.iter().find(|known| known.role == ModelRole::Filling) else { return Ok(false) };
    let at = models.iter().position(|open| open.record.fingerprint == next.record.fingerprint);
    let is_open = at.is_some_and(|at| !summary.broken.contains(&at));
    Ok(is_open && !summary.interrupted && (next.awaiting == 0 || summary.saw_all))
}

/// Scores the neutral prompts of the models that have embedded something, and of a current one that has no scores.
fn refresh_neutral_scores(library: &Library, models: &[Chosen], summary: &IndexSummary) -> anyhow::Result<()> {
    let current = library.model()?;
    for known in library.models()?.iter().filter(|known| known.role != ModelRole::Filling) {
        let open = models.iter().enumerate().find(|(_, open)| open.record.fingerprint == known.record.fingerprint);
        let Some((at, chosen)) = open.filter(|(at, _)| !summary.broken.contains(at)) else { continue };
        let own = library.reopen()?;
        own.answer_with(Some(&known.record));
        let is_due = summary.made.get(at).is_some_and(|made| *made > 0)
            || current.as_ref() == Some(&known.record) && own.neutral_scores()?.is_none();
        if is_due && let Some(scores) = matches::neutral_scores(&own, chosen.model.as_ref())? {
            library.set_neutral_scores(&known.record, &scores)?;
        }
    }
    Ok(())
}

/// Says how it stands with the models after a run: which one took the place of another, or how far it is.
///
/// # Errors
/// The catalogue cannot be read.
pub fn tell(done: &Done, library: &Library, console: &Console) -> anyhow::Result<()> {
    let known = library.models()?;
    let Some(current) = known.iter().find(|known| known.role == ModelRole::Current) else { return Ok(()) };
    let name = sanitize::text(&current.record.name);
    let photos = |n: u64| text::count(usize::try_from(n).unwrap_or(usize::MAX), "photo");
    if let Some(former) = &done.replaced {
        let kept = known.iter().find(|known| known.role == ModelRole::Kept && known.record.name == *former);
        let former = sanitize::text(former);
        let bytes = text::size(kept.map_or(0, |kept| kept.bytes));
        console.note(format_args!(
            "{name} answers from now on; {former} is kept (`search --model {former}` asks it) until `snapseek models drop \
             {former}` frees {bytes}"
        ));
        if current.awaiting > 0 {
            console.note(format_args!(
                "{} could not be read now; only {former} finds what it has of them",
                photos(current.awaiting)
            ));
        }
    }
    let Some(next) = known.iter().find(|known| known.role == ModelRole::Filling) else { return Ok(()) };
    let next_name = sanitize::text(&next.record.name);
    let far = format!("{} of {}", next.embedded, photos(next.embedded + next.awaiting));
    let wait = match next.awaiting {
        0 => "",
        _ if done.summary.interrupted => "",
        _ => ", and the rest cannot be found or was not looked for",
    };
    console.note(format_args!(
        "{next_name} has embedded {far}{wait}; {name} answers until `snapseek reindex --model {next_name}` has done the rest"
    ));
    Ok(())
}
