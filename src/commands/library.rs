//! `status`, `check`, `forget` and `library`.

use crate::cli::{CheckArgs, ForgetArgs, LibraryAction};
use crate::config::{PASSWORD_IN_SIGHT, Settings};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::listener::Step;
use crate::terminal::progress::Progress;
use crate::terminal::{sanitize, signals, text};
use serde_json::json;
use snapseek_index::{
    CheckReport, ENCODINGS_AT_MOST, EncodingCounts, LateCache, Library, LibraryModel, ModelRole, Remedy, WaitingCounts,
};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Maximum number of failures listed without `-v`.
const SHOWN: usize = 20;

pub(super) fn status(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let status = library.status()?;
    let text_model = status.model.as_ref().map(|model| library.text_model(model)).transpose()?.flatten();
    let failures = library.failures()?;
    let carried = library.carried_captions()?;
    let damaged = library.damaged_files()?;
    let unread = library.unread()?;
    let models = library.models()?;
    if settings.json {
        let of = |mut record: serde_json::Value, path: &Path| {
            output::put_path(&mut record, path);
            record
        };
        let failed = failures.iter().map(|f| of(json!({"kind": f.kind, "message": f.message}), &f.path));
        let failed: Vec<_> = failed.collect();
        let damaged: Vec<_> = damaged.iter().map(|file| of(json!({"remark": file.remark}), &file.path)).collect();
        let carried: Vec<_> =
            carried.iter().map(|caption| of(json!({"caption": caption.text}), &caption.path)).collect();
        let forgotten: Vec<_> = status.forgotten.iter().map(|path| of(json!({}), path)).collect();
        console.json(&json!({"schema": 1, "library": library.place().to_string_lossy(), "photos": status.photos,
            "files": status.files, "model": status.model.as_ref().map(|m| &m.name),
            "text_model": text_model.as_ref().map(|texts| &texts.name), "models": models, "bytes": status.bytes,
            "captioned": status.captions.captioned, "captioned_by_hand": status.captions.by_hand,
            "encodings": status.encodings, "read": status.texts.read, "with_text": status.texts.with_text,
            "conversations": status.chats, "awaiting_embedding": status.awaiting, "waiting": status.waiting,
            "carried": carried, "forgotten": forgotten, "lost_commits": status.lost_commits,
            "folders": status.roots.iter().map(|r| r.to_string_lossy()).collect::<Vec<_>>(),
            "unread": unread, "damaged": damaged, "failed": failures.len(), "failures": failed}))?;
        return Ok(Exit::Success);
    }
    let row =
        |name: &str, value: String| console.line(&format!("{} {value}", console.style("2", &format!("{name:<9}"))));
    row("library", format!("{} ({})", sanitize::path(&library.place()), text::size(status.bytes)))?;
    row(
        "model",
        status.model.map_or("none yet".into(), |m| format!("{} ({} dimensions)", sanitize::text(&m.name), m.dim)),
    )?;
    if let Some(texts) = &text_model {
        row("texts", format!("read by {} (`--text-model own` ends that)", sanitize::text(&texts.name)))?;
    }
    if models.len() > 1 {
        models.iter().try_for_each(|model| row("", standing(model)))?;
    }
    row("photos", format!("{} in {} files", status.photos, status.files))?;
    let captions = status.captions;
    if captions.captioned > 0 {
        let by_hand = if captions.by_hand > 0 { format!(" ({} by hand)", captions.by_hand) } else { String::new() };
        row("captioned", format!("{} of {} photos{by_hand}", captions.captioned, captions.photos))?;
    }
    if status.encodings.stored > 0 {
        let EncodingCounts { stored, bytes } = status.encodings;
        let photos = text::count(usize::try_from(stored)?, "photo");
        row(
            "seen",
            format!(
                "what captioners saw in {photos}: {} (at most {})",
                text::size(bytes),
                text::size(ENCODINGS_AT_MOST)
            ),
        )?;
    }
    if status.texts.read > 0 {
        row(
            "read",
            format!("{} of {} photos, {} with text", status.texts.read, status.photos, status.texts.with_text),
        )?;
    }
    if status.chats > 0 {
        row("chats", status.chats.to_string())?;
    }
    for root in library.named_roots()? {
        row("folder", super::root::shown(&root))?;
    }
    if !unread.is_empty() {
        let (files, kinds) = super::index::unread(&unread);
        let files = text::count(usize::try_from(files)?, "file");
        row("unread", format!("{files} of kinds that are not read: {kinds}"))?;
    }
    if status.awaiting > 0 {
        row("awaiting", awaiting(status.awaiting))?;
    }
    for (count, what, awaited) in [
        (status.waiting.captions, "caption", "a picture that is gone, until it returns"),
        (status.waiting.names, "name", "a cluster of the same photos (`snapseek cluster` makes clusters)"),
    ] {
        if count > 0 {
            row("waiting", format!("{} for {awaited}", text::count(usize::try_from(count)?, what)))?;
        }
    }
    if !status.forgotten.is_empty() {
        let paths = text::count(status.forgotten.len(), "path");
        row("forgotten", format!("{paths} left out until named to `snapseek index`"))?;
        for path in status.forgotten.iter().filter(|_| console.is_verbose()) {
            console.line(&format!("  {}", sanitize::path(path)))?;
        }
    }
    if status.lost_commits > 0 {
        row("lost", format!("the last {} of the changes; `snapseek check` says more", status.lost_commits))?;
    }
    let list = |name: &str, summary: String, lines: Vec<String>| -> anyhow::Result<()> {
        row(name, summary)?;
        let shown = if console.is_verbose() { lines.len() } else { SHOWN };
        for line in lines.iter().take(shown) {
            console.line(&format!("  {line}"))?;
        }
        if lines.len() > shown {
            console.line(&format!("  and {} more (-v lists them)", lines.len() - shown))?;
        }
        Ok(())
    };
    let said = |path: &Path, words: &[&str]| {
        let words: Vec<_> = words.iter().map(|words| sanitize::text(words)).collect();
        format!("{}: {}", sanitize::path(path), words.join(": "))
    };
    if !carried.is_empty() {
        let summary = format!("{} over to edited pictures", text::count(carried.len(), "caption"));
        list("carried", summary, carried.iter().map(|caption| said(&caption.path, &[&caption.text])).collect())?;
    }
    if !damaged.is_empty() {
        let summary = format!("{}, of which only a part can be seen", text::count(damaged.len(), "file"));
        list("damaged", summary, damaged.iter().map(|file| said(&file.path, &[&file.remark])).collect())?;
    }
    if !failures.is_empty() {
        let lines = failures.iter().map(|failure| said(&failure.path, &[&failure.kind, &failure.message])).collect();
        list("failed", failures.len().to_string(), lines)?;
    }
    Ok(Exit::Success)
}

/// What one of several models is to the library, how many photos it has embedded, and the space that this takes.
fn standing(model: &LibraryModel) -> String {
    let LibraryModel { record, role, embedded, awaiting, bytes } = model;
    let name = sanitize::text(&record.name);
    let role = match role {
        ModelRole::Current => "answers".to_owned(),
        ModelRole::Filling => format!("not done yet: `snapseek reindex --model {name}` continues"),
        ModelRole::Kept => format!("answers with `--model {name}`, until `snapseek models drop {name}`"),
    };
    let photos = text::count(usize::try_from(embedded + awaiting).unwrap_or(usize::MAX), "photo");
    format!("{name}: {embedded} of {photos}, {}; {role}", text::size(*bytes))
}

/// How many photos no search by meaning finds yet, and what helps.
pub(super) fn awaiting(photos: u64) -> String {
    let who = if photos == 1 { "1 photo awaits".to_owned() } else { format!("{photos} photos await") };
    format!("{who} embedding, and no search by meaning finds them; `snapseek index` embeds them")
}

pub(super) fn library(action: &LibraryAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    match action {
        LibraryAction::Create => made(&Library::create(&settings.library)?, settings, console),
        LibraryAction::Upgrade => made(&Library::open(&settings.library)?, settings, console),
        LibraryAction::Info => told(&Library::open(&settings.library)?, settings, console),
        LibraryAction::Copy { from, to } => copy(from, to, settings, console),
        LibraryAction::Compact { discard_orphans, yes } => compact(*discard_orphans, *yes, settings, console),
    }
}

/// As [`told`], of a library whose tables are now those of this release.
fn made(library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if !library.make_roles()? && library.place() != library.dir() {
        console.note("the roles snapseek_read and snapseek_write were not made: this user of the server may not");
    }
    told(library, settings, console)
}

/// Tells where a library is, and on what.
fn told(library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let (engine, status, left_out) = (library.engine()?, library.status()?, library.left_out()?);
    if settings.json {
        let left_out: Vec<_> =
            left_out.iter().map(|(work, path)| json!({"work": work, "path": path.to_string_lossy()})).collect();
        console.json(&json!({"schema": 1, "library": library.place().to_string_lossy(), "engine": engine,
            "caches": library.dir().to_string_lossy(), "photos": status.photos, "bytes": status.bytes, "left_out": left_out}))?;
        return Ok(Exit::Success);
    }
    console.line(&format!("library  {} ({})", sanitize::path(&library.place()), text::size(status.bytes)))?;
    console.line(&format!("engine   {}", sanitize::text(&engine)))?;
    console.line(&format!("caches   {}", sanitize::path(library.dir())))?;
    console.line(&format!("photos   {}", status.photos))?;
    for (work, path) in &left_out {
        let (path, work) = (sanitize::path(path), sanitize::text(work));
        console.line(&format!("left out {path} ({work}: it ended two processes; `snapseek worker --retry`)"))?;
    }
    Ok(Exit::Success)
}

fn copy(from: &Path, to: &Path, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    for place in [from, to] {
        if snapseek_index::shown(place) != *place {
            return Err(Failure::usage(format!(
                "{} {PASSWORD_IN_SIGHT}",
                sanitize::path(&snapseek_index::shown(place))
            )));
        }
    }
    let source = Library::open(from)?;
    let target = Library::create(to)?;
    let mut progress = Progress::new(console, signals::cancel()?);
    let size = |rows| usize::try_from(rows).unwrap_or(usize::MAX);
    let copied = source.copy_to(&target, &mut |done, total| progress.step("copying", size(done), size(total)))?;
    let Some(copied) = copied else { return Err(Failure::interrupted()) };
    target.share_caches_of(&source)?;
    if settings.json {
        console.json(&json!({"schema": 1, "rows": copied.rows, "there": copied.there}))?;
        return Ok(Exit::Success);
    }
    let there = if copied.there > 0 { format!("; {} were there already", copied.there) } else { String::new() };
    console.line(&format!("copied {} rows{there}; both libraries hold the same", copied.rows))?;
    Ok(Exit::Success)
}

fn compact(discard_orphans: bool, yes: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let mut writer = library.lock()?;
    let before = library.status()?;
    let mut discarded = WaitingCounts::default();
    if discard_orphans && before.waiting != discarded {
        let question = format!("Throw away {} that wait for their picture?", captions_and_names(before.waiting));
        if !yes && !console.confirm(&question) {
            return Err(Failure::usage("nothing was thrown away; --yes does it without asking"));
        }
        discarded = writer.discard_waiting()?;
    }
    writer.compact()?;
    let freed = before.bytes.saturating_sub(library.status()?.bytes);
    if settings.json {
        console.json(&json!({"schema": 1, "freed": freed, "discarded": discarded}))?;
    } else {
        if discard_orphans {
            console.line(&format!("threw away {}", captions_and_names(discarded)))?;
        }
        console.line(&format!("gave {} back to the disk", text::size(freed)))?;
    }
    Ok(Exit::Success)
}

fn captions_and_names(count: WaitingCounts) -> String {
    let of = |n, noun| text::count(usize::try_from(n).unwrap_or(usize::MAX), noun);
    format!("{} and {}", of(count.captions, "caption"), of(count.names, "name"))
}

pub(super) fn check(args: &CheckArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let found = library.check(args.full)?;
    let after = if args.repair && !found.findings.is_empty() {
        library.repair()?;
        Some(library.check(args.full)?)
    } else if args.repair && !found.late.is_empty() {
        let mut steps = console.steps();
        let number = |n| usize::try_from(n).unwrap_or(usize::MAX);
        library.lock()?.refresh_caches(&mut |what, done, total| {
            steps.report(Step { what, done: number(done), total: number(total) });
            true
        })?;
        Some(library.check(false)?)
    } else {
        None
    };
    let late = |report: &CheckReport| report.late.iter().map(late).collect::<Vec<_>>();
    // What was made while damage was repaired is told, too.
    let still = |name: &str| after.as_ref().is_none_or(|after| after.late.iter().any(|cache| cache.name == name));
    let made: Vec<&str> = found.late.iter().map(|cache| cache.name.as_str()).filter(|name| !still(name)).collect();
    if settings.json {
        let left = after.as_ref().map(sentences);
        console
            .json(&json!({"schema": 1, "findings": sentences(&found), "after_repair": left, "late": late(&found),
            "made": made, "awaiting_embedding": library.awaiting()?}))?;
    } else {
        for late in late(after.as_ref().unwrap_or(&found)) {
            console.line(&sanitize::text(&late))?;
        }
        made.iter().try_for_each(|name| console.line(&format!("made: the {}", sanitize::text(name))))?;
        for finding in sentences(&found) {
            console.line(&sanitize::text(&finding))?;
        }
        match &after {
            Some(after) if !after.findings.is_empty() => sentences(after)
                .iter()
                .try_for_each(|f| console.line(&format!("not repaired: {}", sanitize::text(f))))?,
            None if !found.findings.is_empty() => {
                console.note("`snapseek check --repair` rebuilds what can be rebuilt")
            }
            after => {
                let is_all = after.as_ref().unwrap_or(&found).late.is_empty() && library.awaiting()? == 0;
                console.line(match (found.findings.is_empty(), is_all) {
                    (true, true) => "everything is in order",
                    (true, false) => "nothing is damaged",
                    (false, true) => "repaired: everything is in order now",
                    (false, false) => "repaired: nothing is damaged any more",
                })?;
            }
        }
        match library.awaiting()? {
            0 => {}
            photos => console.line(&awaiting(photos))?,
        }
    }
    Ok(if after.unwrap_or(found).findings.is_empty() { Exit::Success } else { Exit::Failed })
}

/// What a cache lacks, as a sentence.
fn late(cache: &LateCache) -> String {
    let LateCache { name, is_missing, photos } = cache;
    let lacks = if *is_missing { "is missing".into() } else { format!("is {} behind", text::count(*photos, "photo")) };
    format!("the {name} {lacks}: searches take longer until `snapseek index` or `snapseek check --repair` makes it")
}

/// Each finding and its remedy as a sentence.
fn sentences(report: &CheckReport) -> Vec<String> {
    let remedy = |remedy| match remedy {
        Remedy::Rebuild => "`snapseek check --repair` rebuilds it",
        Remedy::DropAndIndex => "`snapseek check --repair` removes it, and the next `snapseek index` computes it again",
        Remedy::DropUntilNeeded => "`snapseek check --repair` removes it, and it is computed again when it is needed",
        Remedy::WriteAgain => "write it again, or restore the catalogue from a backup",
        Remedy::Restore => "read what is left of it, or restore the catalogue from a backup",
        Remedy::SaveAgain => "delete it and save it again",
        Remedy::Accept => {
            "restore the library from a backup, or let `snapseek check --repair` take it as it is and run `snapseek index`"
        }
        Remedy::Reindex => "`snapseek reindex` embeds every photo again",
        Remedy::TryAgain => "try again, and look at the disk if it stays",
        Remedy::NewLibrary => {
            "move the library's folder away and index again, or restore it from a backup; the photos themselves are \
             never touched"
        }
    };
    report.findings.iter().map(|finding| format!("{}; {}", finding.what, remedy(finding.remedy))).collect()
}

pub(super) fn forget(args: &ForgetArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let paths = args.paths.iter().map(|path| named(path)).collect::<anyhow::Result<Vec<_>>>()?;
    if !args.yes && !may_forget(&paths, &library, console)? {
        console.note("nothing was removed");
        return Ok(Exit::NothingFound);
    }
    let mut writer = library.lock()?;
    let roots = library.roots()?.len();
    let (mut forgotten, mut failing) = (0, 0);
    for path in &paths {
        failing += library.failures()?.iter().filter(|failure| failure.path.starts_with(path)).count();
        forgotten += writer.forget(path)?;
    }
    writer.refresh_caches(&mut |_, _, _| true)?;
    writer.refresh_stacks()?;
    let roots = roots.saturating_sub(library.roots()?.len());
    let found = forgotten > 0 || roots > 0 || failing > 0;
    if settings.json {
        console.json(&json!({"schema": 1, "forgotten": forgotten, "folders": roots, "failures": failing}))?;
    } else if found {
        let files = text::count(usize::try_from(forgotten)?, "file");
        console.line(&format!("removed {files} from the library; the files themselves are untouched"))?;
        let mut left_out = Vec::new();
        for path in &paths {
            if writer.is_forgotten(path)? {
                left_out.push(text::display_path(path));
            }
        }
        if !left_out.is_empty() {
            let failing = if failing > 0 {
                format!(" ({} that could not be read)", text::count(failing, "file"))
            } else {
                String::new()
            };
            console.note(format_args!(
                "left out from now on{failing}, until named to `snapseek index`: {}",
                left_out.join(", ")
            ));
        }
    } else {
        console.note("the library contains none of these paths");
    }
    Ok(if found { Exit::Success } else { Exit::NothingFound })
}

/// Asks the user before every folder of the library is dropped, or several by one path: `/` is one slip of the finger.
///
/// # Errors
/// There is nobody to ask (exit code 2).
fn may_forget(paths: &[PathBuf], library: &Library, console: &Console) -> anyhow::Result<bool> {
    let roots = library.roots()?;
    let below = |path: &PathBuf| roots.iter().filter(|root| root.starts_with(path)).count();
    let everything = !roots.is_empty() && roots.iter().all(|root| paths.iter().any(|path| root.starts_with(path)));
    if !everything && paths.iter().all(|path| below(path) < 2) {
        return Ok(true);
    }
    let dropped = roots.iter().filter(|root| paths.iter().any(|path| root.starts_with(path))).count();
    let what = match everything {
        true => format!(
            "everything, {} in {},",
            text::count(usize::try_from(library.status()?.files)?, "file"),
            text::count(dropped, "folder")
        ),
        false => text::count(dropped, "indexed folder"),
    };
    if !console.stderr_terminal || !std::io::stdin().is_terminal() {
        let what = format!("this would remove {what} from the library");
        return Err(Failure::usage(format!("{what}: name less, or add --yes if that is what you want")));
    }
    Ok(console.confirm(&format!("Remove {what} from the library? The files themselves are not touched.")))
}

/// The path as the catalogue stores it: the folder is canonical, but a link to a photo keeps its own name.
fn named(path: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let named = match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) if !absolute.is_dir() => parent.canonicalize().map(|parent| parent.join(name)),
        _ => absolute.canonicalize(),
    };
    Ok(named.unwrap_or(absolute))
}
