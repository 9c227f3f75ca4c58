//! `index` and `reindex`.

use crate::cli::IndexArgs;
use crate::config::Settings;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::models::{self, Chosen, Offer};
use crate::photo::DecodeLimits;
use crate::pipeline::{self, Options, Summary};
use crate::{matching, sanitize};
use anyhow::Context;
use snapseek_index::{Library, Writer};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
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
    fill(&library, &mut writer, &chosen, &folders, &options, settings, console)
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
    fill(&library, &mut writer, &chosen, &folders, &options, settings, console)
}

fn fill(
    library: &Library,
    writer: &mut Writer<'_>,
    chosen: &Chosen,
    folders: &[PathBuf],
    options: &Options,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    let cancel = interruptible()?;
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
        return Ok(Exit::Interrupted);
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
    report(
        &summary,
        library.status()?.files == 0 && summary.failed == 0,
        started.elapsed().as_secs_f64(),
        settings,
        console,
    )?;
    Ok(if summary.interrupted {
        Exit::Interrupted
    } else if summary.failed > 0 {
        Exit::Partial
    } else {
        Exit::Success
    })
}

fn report(
    summary: &Summary,
    library_is_empty: bool,
    seconds: f64,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<()> {
    if settings.json {
        let mut value = serde_json::to_value(summary)?;
        value["schema"] = 1.into();
        value["seconds"] = seconds.into();
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
    let rate = if summary.embedded > 0 && seconds > 0.0 {
        format!(", {:.1} photos a second", summary.embedded as f64 / seconds)
    } else {
        String::new()
    };
    console.line(&format!("{} in {seconds:.1} s{rate}", parts.join(", ")))?;
    if library_is_empty {
        console.note("there is no picture in there");
    }
    if summary.interrupted {
        console.note("interrupted: what is done is kept, and the next run goes on from here");
    }
    Ok(())
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

/// A flag that Ctrl-C, SIGTERM and SIGHUP set; a second signal ends the program at once.
fn interruptible() -> anyhow::Result<&'static AtomicBool> {
    static CANCEL: AtomicBool = AtomicBool::new(false);
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.set(()).is_ok() {
        ctrlc::set_handler(|| {
            if CANCEL.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
            }
        })?;
    }
    Ok(&CANCEL)
}
