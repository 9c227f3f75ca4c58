//! `index` and `reindex`.

use crate::captions::index_run::{self, CaptionSummary};
use crate::captions::open;
use crate::captions::run::CaptionWriter;
use crate::captions::wish::CaptionWish;
use crate::cli::{IndexArgs, ReindexArgs};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::indexing::fill::{self, Done};
use crate::indexing::models;
use crate::indexing::run::IndexOptions;
use crate::model::generation::GenerateOptions;
use crate::model_choice::Offer;
use crate::photo::{self, DecodeLimits};
use crate::reading;
use crate::reading::index_run::TextSummary;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals, text};
use snapseek_index::Library;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

pub(super) fn index(args: &IndexArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let folders = fill::roots(&args.folders)?;
    let library =
        if folders.is_empty() { Library::open(&settings.library)? } else { Library::create(&settings.library)? };
    let mut writer = library.lock()?;
    let named = folders.clone();
    let folders = if folders.is_empty() { library.roots()? } else { folders };
    if folders.is_empty() {
        return Err(Failure::usage("the library has no folder yet: name one, as in `snapseek index ~/Pictures`"));
    }
    let open = models::of_library(&mut writer, &library, settings, console, Offer::unless(args.yes))?;
    models::tell(&open, &library, console)?;
    let memory = args.max_memory.saturating_mul(1 << 20);
    photo::allow_memory(memory);
    let options = IndexOptions {
        prune: args.prune,
        hidden: args.hidden,
        excludes: if args.no_default_excludes { settings.exclude.clone() } else { settings.excludes() },
        retry: args.retry,
        videos: args.video || settings.video,
        limits: DecodeLimits {
            max_pixels: args.max_megapixels.saturating_mul(1_000_000),
            max_alloc: memory,
            ..DecodeLimits::default()
        },
        ..IndexOptions::new(settings.threads)
    };
    let mut done = fill::fill(&library, &mut writer, &open, &folders, &options, signals::cancel()?, console)?;
    // Captioning takes long and needs neither the write lock nor the embedding models.
    drop((writer, open));
    if !settings.json {
        report(&done, &library, settings, console)?;
    }
    let later = || -> anyhow::Result<()> {
        if !done.summary.interrupted && wants_text(args, &library, settings, console)? {
            done.texts = Some(texts(&library, args.reread, &named, settings, console)?);
        }
        if args.captions && !is_interrupted(&done) {
            done.captions = Some(captions(&library, &args.wish(), args.recaption, &named, settings, console)?);
        }
        Ok(())
    };
    let outcome = { later }();
    if settings.json {
        report(&done, &library, settings, console)?;
    }
    outcome.map(|()| exit(&done))
}

/// Whether the text in photos is to be read: as the flags say, else as was chosen for the library or in the config
/// file. A person who was not asked yet is asked once there are photos.
fn wants_text(args: &IndexArgs, library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<bool> {
    /// Seconds that a photo takes on one thread, most of which hold no text.
    const EACH: f64 = 0.15;
    if args.text || args.no_text {
        reading::want(library, args.text)?;
        return Ok(args.text);
    }
    if let Some(wanted) = reading::is_wanted(library, settings)? {
        return Ok(wanted);
    }
    let photos = library.status()?.photos;
    if photos == 0 || settings.json || settings.quiet || args.yes || !console.terminal {
        return Ok(false);
    }
    let minutes = (photos as f64 * EACH / settings.threads as f64 / 60.0).ceil();
    let question = format!(
        "Read the text in the photos too, to find receipts, signs and screenshots by it? It takes about {}; Ctrl-C \
         interrupts it, and the next run goes on. [y/N] ",
        text::count(minutes as usize, "minute")
    );
    let Some(answer) = console.ask(&question) else { return Ok(false) };
    let yes = matches!(answer.as_str(), "y" | "yes");
    reading::want(library, yes)?;
    if !yes {
        console.note("`snapseek index --text` reads it later");
    }
    Ok(yes)
}

/// Reads the text in the photos in `folders`, or all, that were not read yet.
pub(super) fn texts(
    library: &Library,
    again: bool,
    folders: &[PathBuf],
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<TextSummary> {
    let started = Instant::now();
    let done = reading::read(library, again, folders, settings, signals::cancel()?, console)?;
    if !settings.json {
        let TextSummary { read, with_text, failed, interrupted } = done;
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let seconds = started.elapsed().as_secs_f64();
        console.line(&format!("{read} read for text, which {with_text} hold{failed} in {seconds:.1} s"))?;
        if interrupted {
            console.note("interrupted: what is done is kept, and the next run continues from there");
        }
    }
    Ok(done)
}

fn is_interrupted(done: &Done) -> bool {
    done.summary.interrupted
        || done.captions.is_some_and(|captions| captions.interrupted)
        || done.texts.is_some_and(|texts| texts.interrupted)
}

/// Captions the photos in `folders`, or all, that have no caption yet; with `recaption`, also those captioned by
/// another model.
pub(super) fn captions(
    library: &Library,
    wish: &CaptionWish,
    recaption: bool,
    folders: &[PathBuf],
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<CaptionSummary> {
    let chat_model = open::open(settings, Some(library), console)?;
    wish.check(&chat_model)?;
    let started = Instant::now();
    let options = GenerateOptions::greedy(wish.tokens(&chat_model));
    let writer = CaptionWriter { chat_model: &chat_model, options: &options, wish, cancel: signals::cancel()? };
    let done = index_run::run(library, &writer, recaption, folders, console)?;
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
            console.note("interrupted: what is done is kept, and the next run continues from there");
        }
    }
    Ok(done)
}

pub(super) fn reindex(args: &ReindexArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let mut writer = library.lock()?;
    let open = models::next(&mut writer, &library, settings, console, Offer::unless(args.yes))?;
    models::tell(&open, &library, console)?;
    let folders = library.roots()?;
    let options = IndexOptions::for_another_model(settings);
    let done = fill::fill(&library, &mut writer, &open, &folders, &options, signals::cancel()?, console)?;
    report(&done, &library, settings, console)?;
    Ok(exit(&done))
}

fn exit(done: &Done) -> Exit {
    if is_interrupted(done) {
        Exit::Interrupted
    } else if done.summary.failed > done.summary.failed_before
        || done.captions.is_some_and(|captions| captions.failed > 0)
        || done.texts.is_some_and(|texts| texts.failed > 0)
    {
        Exit::Partial
    } else {
        Exit::Success
    }
}

/// How many files there are of kinds that are not read, and the most frequent of their endings.
pub(super) fn unread(endings: &BTreeMap<String, u64>) -> (u64, String) {
    /// How many are named.
    const NAMED: usize = 5;
    let mut kinds: Vec<_> = endings.iter().collect();
    kinds.sort_by_key(|(_, files)| std::cmp::Reverse(*files));
    let mut named: Vec<String> =
        kinds.iter().take(NAMED).map(|(ending, files)| format!(".{} {files}", sanitize::text(ending))).collect();
    if kinds.len() > NAMED {
        named.push("...".to_owned());
    }
    (endings.values().sum(), named.join(", "))
}

pub(super) fn report(done: &Done, library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<()> {
    let Done { summary, seconds, captions, texts, .. } = done;
    if settings.json {
        let mut value = serde_json::to_value(summary)?;
        value["schema"] = 1.into();
        value["seconds"] = (*seconds).into();
        value["model"] = library.model()?.map(|model| model.name).into();
        if let Some(captions) = captions {
            value["captioned"] = captions.captioned.into();
            value["caption_failed"] = captions.failed.into();
        }
        if let Some(texts) = texts {
            value["read"] = texts.read.into();
            value["with_text"] = texts.with_text.into();
            value["read_failed"] = texts.failed.into();
        }
        value["interrupted"] = is_interrupted(done).into();
        return console.json(&value);
    }
    let helped = match summary.helped {
        0 => String::new(),
        helped => format!(" ({helped} by other machines)"),
    };
    let mut parts = vec![format!("{} embedded{helped}", summary.embedded), format!("{} unchanged", summary.unchanged)];
    for (n, word) in [(summary.moved, "moved"), (summary.copied, "copied"), (summary.removed, "removed")] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    if summary.refreshed > 0 {
        parts.push(format!("{} with other metadata", summary.refreshed));
    }
    if summary.skipped > 0 {
        parts.push(format!("{} skipped (pipes, sockets, devices or links to nothing)", summary.skipped));
    }
    if summary.failed > 0 && summary.failed == summary.failed_before {
        parts.push(format!("{} failed in an earlier run too (`snapseek status` lists them)", summary.failed));
    } else if summary.failed > 0 {
        let mut kinds: Vec<String> = summary.failures.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        if summary.failed_before > 0 {
            kinds.push(format!("{} of them in an earlier run too", summary.failed_before));
        }
        parts.push(format!("{} failed ({}; `snapseek status` lists them)", summary.failed, kinds.join(", ")));
    }
    if summary.incomplete > 0 {
        parts.push(format!("{} not embedded by every model (-v says why)", summary.incomplete));
    }
    if !summary.unread.is_empty() {
        let (files, kinds) = unread(&summary.unread);
        parts.push(format!("{files} of kinds that are not read ({kinds})"));
    }
    let rate = if summary.embedded > 0 && *seconds > 0.0 {
        format!(", {:.1} photos a second", summary.embedded as f64 / seconds)
    } else {
        String::new()
    };
    console.line(&format!("{} in {seconds:.1} s{rate}", parts.join(", ")))?;
    if library.status()?.files == 0 && summary.failed == 0 {
        console.note("no pictures found in these folders");
    }
    if summary.interrupted {
        console.note("interrupted: what is done is kept, and the next run continues from there");
    }
    fill::tell(done, library, console)
}
