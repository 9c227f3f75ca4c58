//! `album`: named, ordered sets of photos.

use super::{note_search, selection};
use crate::cli::AlbumAction;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::photo::shrink;
use crate::search::row::Row;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use serde_json::json;
use snapseek_index::{Library, PhotoAlbum};
use std::ffi::OsString;

pub(super) fn run(action: &AlbumAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    match action {
        AlbumAction::List { name: None, .. } => list(&library, settings, console),
        AlbumAction::List { name: Some(name), paths0 } => show(&library, name, *paths0, settings, console),
        AlbumAction::Add { name, photos } => {
            let photos = named(photos, &library, settings, console)?;
            let added = library.add_to_album(name, &photos).map_err(Failure::refused)?;
            told(console, settings, name, "added", added, photos.len() - added, "already in it")?;
            note_search("album", name, console);
            Ok(Exit::Success)
        }
        AlbumAction::Remove { name, photos } => {
            let photos = named(photos, &library, settings, console)?;
            let removed = library.remove_from_album(name, &photos)?;
            told(console, settings, name, "removed", removed, photos.len() - removed, "not in it")?;
            Ok(if removed > 0 { Exit::Success } else { Exit::NothingFound })
        }
        AlbumAction::Rename { name, new } => {
            library.rename_album(name, new).map_err(Failure::refused)?;
            if settings.json {
                console.json(&json!({"schema": 1, "album": new, "renamed_from": name}))?;
            }
            Ok(Exit::Success)
        }
        AlbumAction::Delete { name } => {
            library.delete_album(name)?;
            if settings.json {
                console.json(&json!({"schema": 1, "deleted": name}))?;
            }
            Ok(Exit::Success)
        }
        AlbumAction::Export { name, copy_to, html } => {
            let rows = rows(&library, name)?;
            if let Some(folder) = copy_to {
                let mut complete = true;
                let copied = output::copy_numbered(rows.iter(), folder, &mut |path, error| {
                    complete = false;
                    console.warn(format_args!("{} is not copied: {error}", sanitize::path(path)));
                })?;
                let shown = sanitize::path(folder);
                console.note(format_args!("copied {} to {shown}", text::count(copied, "photo")));
                if !complete {
                    return Ok(Exit::Partial);
                }
            }
            if let Some(file) = html {
                output::contact_sheet(&rows, name, file, &shrink::file)?;
                console.note(format_args!("wrote {} to {}", text::count(rows.len(), "photo"), sanitize::path(file)));
            }
            Ok(Exit::Success)
        }
    }
}

/// The photos that are named.
///
/// # Errors
/// There are none (exit code 1), or as [`selection::photos_of`].
pub(super) fn named(
    photos: &[OsString],
    library: &Library,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Vec<i64>> {
    let photos = selection::photos_of(photos, library, settings, console)?;
    if photos.is_empty() { Err(Failure::nothing("no photo of the library is meant by this")) } else { Ok(photos) }
}

fn told(
    console: &Console,
    settings: &Settings,
    name: &str,
    what: &str,
    done: usize,
    rest: usize,
    why: &str,
) -> anyhow::Result<()> {
    if settings.json {
        return console.json(&json!({"schema": 1, "album": name, what: done, "unchanged": rest}));
    }
    let rest = if rest > 0 { format!(" ({rest} {why})") } else { String::new() };
    let name = console.style("1", &sanitize::text(name));
    Ok(console.line(&format!("{name}: {} {what}{rest}", text::count(done, "photo")))?)
}

fn list(library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let albums = library.albums()?;
    for PhotoAlbum { name, photos, pictures, written } in &albums {
        if settings.json {
            console.json(&json!({"schema": 1, "album": name, "photos": photos, "missing": pictures - photos,
                "changed": written}))?;
            continue;
        }
        let missing = if pictures > photos { format!(", {} missing", pictures - photos) } else { String::new() };
        let count = text::count(usize::try_from(*photos)?, "photo");
        let name = console.style("1", &text::pad(&sanitize::text(name), 24));
        console.line(&format!("{name}  {count}{missing}, changed {}", text::time(*written)))?;
    }
    if albums.is_empty() {
        console.note("there are no albums yet; `snapseek album add NAME PHOTO...` makes one");
    }
    Ok(if albums.is_empty() { Exit::NothingFound } else { Exit::Success })
}

fn show(library: &Library, name: &str, paths0: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let rows = rows(library, name)?;
    for (n, row) in rows.iter().enumerate() {
        if settings.json {
            let mut record = json!({"schema": 1, "album": name, "position": n + 1});
            output::put_path(&mut record, row.path());
            console.json(&record)?;
            continue;
        }
        console.bytes(&console.path_bytes(row.path()))?;
        console.bytes(if paths0 { b"\0" } else { b"\n" })?;
    }
    Ok(if rows.is_empty() { Exit::NothingFound } else { Exit::Success })
}

/// The photos of an album, in its order.
fn rows(library: &Library, name: &str) -> anyhow::Result<Vec<Row>> {
    let photos = library.album_photos(name)?;
    Ok(library.searcher()?.photos(&photos)?.into_iter().map(|hit| Row::new(hit, true)).collect())
}
