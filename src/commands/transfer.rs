//! `export` and `import`.

use crate::cli::{ExportArgs, ImportArgs};
use crate::clusters;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use crate::transfer::{self, Exported};
use anyhow::Context;
use serde_json::json;
use snapseek_index::{Imported, Library};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

pub(super) fn export(args: &ExportArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let whole =
        args.xmp.as_ref().map_or(Ok(Exit::Success), |to| sidecars(&library, to, args.force, settings, console))?;
    let Some(file) = &args.file else { return Ok(whole) };
    let written = records(&library, file, args.force, settings, console)?;
    Ok(if written == Exit::Success { whole } else { written })
}

/// Writes what people wrote on photos as XMP files into a folder.
fn sidecars(
    library: &Library,
    folder: &Path,
    force: bool,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    let mut failed = 0_usize;
    let counts = output::sidecars::of_library(library, folder, force, &mut |file, why| {
        failed += 1;
        console.warn(format_args!("{}: {why}", sanitize::path(file)));
    })?;
    if settings.json {
        let (written, unchanged) = (counts.written, counts.unchanged);
        console.json(&json!({"schema": 1, "sidecars": written, "unchanged": unchanged, "failed": failed}))?;
    } else {
        console.line(&output::sidecars::told(counts, folder))?;
    }
    Ok(if failed > 0 { Exit::Partial } else { Exit::Success })
}

/// Writes everything that people and models wrote to a file.
fn records(
    library: &Library,
    file: &Path,
    force: bool,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    if file == Path::new("-") {
        let mut lines = Vec::new();
        let exported = transfer::write(library, &mut lines)?;
        console.bytes(&lines)?;
        return Ok(whole(exported, console));
    }
    let shown = sanitize::path(file);
    if !force && file.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{shown} already exists; --force replaces it")));
    }
    // Renamed into place when it is complete, so that a full disk costs no older backup.
    let exported = write(library, file)?;
    if settings.json {
        console.json(&json!({"schema": 1, "records": exported.records, "damaged": exported.damaged}))?;
    } else {
        console.line(&format!("wrote {} to {shown}", text::count(usize::try_from(exported.records)?, "record")))?;
    }
    Ok(whole(exported, console))
}

/// The exit code of an export, and a warning if something of it is damaged.
fn whole(exported: Exported, console: &Console) -> Exit {
    if exported.damaged == 0 {
        return Exit::Success;
    }
    console.warn(format_args!(
        "damaged records: {}; what cannot be read of them is missing. `snapseek check --full` names them, and an older \
         export may hold them whole.",
        exported.damaged
    ));
    Exit::Partial
}

fn write(library: &Library, file: &Path) -> anyhow::Result<Exported> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable by its owner only, as tempfile creates files: captions are private.
    let failed = |error| output::unwritten(file, error);
    let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut out = BufWriter::new(&mut draft);
    let exported = transfer::write(library, &mut out).map_err(|error| match error.downcast::<std::io::Error>() {
        Ok(error) => failed(error),
        Err(error) => error,
    })?;
    out.flush().map_err(failed)?;
    drop(out);
    draft.as_file().sync_all().map_err(failed)?;
    draft.persist(file).map_err(|error| failed(error.error))?;
    Ok(exported)
}

pub(super) fn import(args: &ImportArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let (shown, records) = if args.file == Path::new("-") {
        ("stdin".into(), transfer::read(std::io::stdin().lock()))
    } else {
        let shown = sanitize::path(&args.file);
        let file = std::fs::File::open(&args.file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::usage(format!("{shown} does not exist")),
            _ => anyhow::Error::from(error).context(format!("{shown} cannot be read")),
        })?;
        (shown, transfer::read(BufReader::new(file)))
    };
    let records = records.with_context(|| format!("{shown} is not imported, and nothing has changed"))?;
    let library = Library::create(&settings.library)?;
    let mut writer = library.lock()?;
    let done = writer.import(&records).with_context(|| format!("{shown} is not imported, and nothing has changed"))?;
    writer.refresh_caches(&mut |_, _, _| true)?;
    drop(writer);
    clusters::restore_names(&library)?;
    report(&done, &library, settings, console)?;
    Ok(Exit::Success)
}

fn report(done: &Imported, library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<()> {
    let waiting = library.waiting()?;
    if settings.json {
        let mut record = serde_json::to_value(done)?;
        record["schema"] = 1.into();
        record["waiting"] = json!(waiting);
        return console.json(&record);
    }
    let kinds = [
        (done.captions, "caption"),
        (done.texts, "text"),
        (done.chats, "chat"),
        (done.names, "cluster name"),
        (done.albums, "album"),
        (done.tags, "tagged photo"),
        (done.ratings, "rating"),
        (done.searches, "saved search"),
        (done.label_sets, "label set"),
        (done.forgotten, "forgotten path"),
    ];
    for (merged, what) in kinds {
        let total = merged.added + merged.updated + merged.unchanged;
        if total > 0 {
            let ending = match what {
                _ if total == 1 => "",
                "saved search" => "es",
                _ => "s",
            };
            console.line(&format!(
                "{total} {what}{ending}: {} added, {} replaced by newer ones, {} as they were",
                merged.added, merged.updated, merged.unchanged
            ))?;
        }
    }
    if waiting.captions > 0 {
        let captions = text::count(usize::try_from(waiting.captions)?, "caption");
        let verb = if waiting.captions == 1 { "waits" } else { "wait" };
        console.note(format_args!("{captions} {verb} for a picture that is not in the library yet"));
    }
    Ok(())
}
