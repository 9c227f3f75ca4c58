//! `index` and `reindex`.

use super::caption::CAPTION_TOKENS;
use crate::cli::IndexArgs;
use crate::config::Settings;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::model::blip2 as generate;
use crate::models::{self, Chosen, Offer};
use crate::photo::DecodeLimits;
use crate::pipeline::captions::Captions;
use crate::pipeline::{self, Options, Summary};
use crate::understand::clusters;
use crate::{describe, matching, sanitize, signals};
use anyhow::Context;
use snapseek_index::{Library, Writer};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(super) fn index(args: &IndexArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let folders = roots(&args.folders)?;
    let library =
        if folders.is_empty() { Library::open(&settings.library)? } else { Library::create(&settings.library)? };
    let mut writer = library.lock()?;
    let folders = if folders.is_empty() { library.roots()? } else { folders };
    if folders.is_empty() {
        return Err(Failure::usage("which folder? For example: snapseek index ~/Pictures"));
    }
    let chosen = models::choose(Some(&library), settings, console, Offer::unless(args.yes))?;
    writer.set_model(&chosen.record)?;
    let options = Options {
        threads: settings.threads,
        prune: args.prune,
        hidden: args.hidden,
        keep_hidden: false,
        retry: args.retry,
        limits: DecodeLimits { max_pixels: args.max_megapixels.saturating_mul(1_000_000), ..DecodeLimits::default() },
    };
    let done = fill(&library, &mut writer, &chosen, &folders, &options, console)?;
    let Some(mut done) = done else { return Ok(Exit::Interrupted) };
    // Captions take long: neither the right to write nor the model is needed for them.
    drop((writer, chosen));
    if !args.captions || done.summary.interrupted {
        done.report(&library, settings, console)?;
        return Ok(done.exit());
    }
    if !settings.json {
        done.report(&library, settings, console)?;
    }
    let captioned = captions(&library, args.recaption, settings, console);
    done.captions = captioned.as_ref().ok().copied();
    if settings.json {
        done.report(&library, settings, console)?;
    }
    captioned.map(|captions| if captions.interrupted { Exit::Interrupted } else { done.exit() })
}

/// Captions the photos that wait for it.
fn captions(library: &Library, anew: bool, settings: &Settings, console: &Console) -> anyhow::Result<Captions> {
    let describer = describe::open(settings, console)?;
    let started = Instant::now();
    let options = generate::Options::greedy(CAPTION_TOKENS);
    let done = pipeline::captions::run(library, &describer, &options, anew, signals::cancel()?, console)?;
    if !settings.json {
        let seconds = started.elapsed().as_secs_f64();
        let rate = if done.captioned > 0 && seconds > 0.0 {
            format!(", {:.2} photos a second", done.captioned as f64 / seconds)
        } else {
            String::new()
        };
        let failed = if done.failed > 0 { format!(", {} failed", done.failed) } else { String::new() };
        console.line(&format!("{} captioned{failed} in {seconds:.1} s{rate}", done.captioned))?;
        if done.interrupted {
            console.note("interrupted: what is done is kept, and the next run goes on from here");
        }
    }
    Ok(done)
}

pub(super) fn reindex(yes: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let mut writer = library.lock()?;
    let chosen = models::asked(settings, console, Offer::unless(yes))?;
    writer.switch_model(&chosen.record)?;
    let folders = library.roots()?;
    // What was let in before stays in.
    let options = Options {
        threads: settings.threads,
        prune: false,
        hidden: false,
        keep_hidden: true,
        retry: false,
        limits: DecodeLimits { max_pixels: u64::MAX, ..DecodeLimits::default() },
    };
    let done = fill(&library, &mut writer, &chosen, &folders, &options, console)?;
    let Some(done) = done else { return Ok(Exit::Interrupted) };
    done.report(&library, settings, console)?;
    Ok(done.exit())
}

/// What a run has done.
struct Done {
    summary: Summary,
    seconds: f64,
    captions: Option<Captions>,
}

/// Brings the library up to date; `None` if it was interrupted before it began.
fn fill(
    library: &Library,
    writer: &mut Writer<'_>,
    chosen: &Chosen,
    folders: &[PathBuf],
    options: &Options,
    console: &Console,
) -> anyhow::Result<Option<Done>> {
    let cancel = signals::cancel()?;
    let started = Instant::now();
    let cache = Settings::cache_dir()?;
    let interrupted = || cancel.load(Ordering::Relaxed);
    let labels = chosen.model.load_labels(&cache, &mut |done, total| {
        if done == 0 {
            console.note(format_args!("preparing the {total} label prompts of this model (once)"));
        }
        !interrupted()
    });
    if labels.is_err() && interrupted() {
        console.note("interrupted before anything was indexed");
        return Ok(None);
    }
    labels?;
    let mut summary = pipeline::run(library, writer, chosen.model.as_ref(), folders, options, cancel, console)?;
    writer.refresh_caches(&mut |what, done, total| {
        if done == 0 && total > 20_000 {
            console.note(format_args!("bringing the {what} up to date ({total})"));
        }
        !interrupted()
    })?;
    summary.interrupted = interrupted();
    if !summary.interrupted
        && (summary.embedded > 0 || library.neutral_scores()?.is_none())
        && let Some(scores) = matching::neutral_scores(library, chosen.model.as_ref())?
    {
        writer.set_neutral_scores(&scores)?;
    }
    if !summary.interrupted {
        clusters::adopt(library)?;
    }
    Ok(Some(Done { summary, seconds: started.elapsed().as_secs_f64(), captions: None }))
}

impl Done {
    fn exit(&self) -> Exit {
        if self.summary.interrupted {
            Exit::Interrupted
        } else if self.summary.failed > 0 || self.captions.is_some_and(|captions| captions.failed > 0) {
            Exit::Partial
        } else {
            Exit::Success
        }
    }

    fn report(&self, library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<()> {
        let Self { summary, seconds, captions } = self;
        if settings.json {
            let mut value = serde_json::to_value(summary)?;
            value["schema"] = 1.into();
            value["seconds"] = (*seconds).into();
            if let Some(captions) = captions {
                value["captioned"] = captions.captioned.into();
                value["caption_failed"] = captions.failed.into();
                value["interrupted"] = (summary.interrupted || captions.interrupted).into();
            }
            return console.json(&value);
        }
        let mut parts = vec![format!("{} embedded", summary.embedded), format!("{} unchanged", summary.unchanged)];
        for (n, word) in [(summary.moved, "moved"), (summary.copied, "copied"), (summary.removed, "removed")] {
            if n > 0 {
                parts.push(format!("{n} {word}"));
            }
        }
        if summary.failed > 0 {
            let kinds: Vec<String> = summary.failures.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
            parts.push(format!("{} failed ({}; `snapseek status` lists them)", summary.failed, kinds.join(", ")));
        }
        let rate = if summary.embedded > 0 && *seconds > 0.0 {
            format!(", {:.1} photos a second", summary.embedded as f64 / seconds)
        } else {
            String::new()
        };
        console.line(&format!("{} in {seconds:.1} s{rate}", parts.join(", ")))?;
        if library.status()?.files == 0 && summary.failed == 0 {
            console.note("there is no picture in there");
        }
        if summary.interrupted {
            console.note("interrupted: what is done is kept, and the next run goes on from here");
        }
        Ok(())
    }
}

/// Canonical folders, without those that lie below another.
fn roots(folders: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = Vec::new();
    for folder in folders {
        // A folder that is gone may be a disk that is not mounted: the run says so and keeps its records.
        let root = match folder.canonicalize() {
            Ok(root) => root,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::usage(format!("{} is not there", sanitize::path(folder))));
            }
            Err(e) => return Err(e).with_context(|| sanitize::path(folder)),
        };
        roots.push(root);
    }
    roots.sort();
    roots.dedup_by(|later, earlier| later.starts_with(earlier));
    Ok(roots)
}
