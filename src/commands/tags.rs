//! `tag` and `rate`: tags and stars of one's own, kept in the library.

use super::albums::named;
use super::{note_search, selection};
use crate::cli::{RateArgs, TagAction};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use serde_json::json;
use snapseek_index::{Library, OwnTag};
use std::ffi::OsString;

pub(super) fn tag(action: &TagAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    match action {
        TagAction::List { photos } if photos.is_empty() => list(&library, settings, console),
        TagAction::List { photos } => list_of(photos, &library, settings, console),
        TagAction::Add { tags, photos } => {
            let photos = named(photos, &library, settings, console)?;
            let tags = split(tags)?;
            let change = library.change_own_tags(&photos, &tags, &[]).map_err(Failure::refused)?;
            told(console, settings, &tags, ("added", "had it already"), change.added, photos.len() - change.added)?;
            if let Some(first) = tags.first() {
                note_search("keyword", first, console);
            }
            Ok(Exit::Success)
        }
        TagAction::Remove { tags, photos } => {
            let photos = named(photos, &library, settings, console)?;
            let tags = split(tags)?;
            let removed = library.change_own_tags(&photos, &[], &tags)?.removed;
            told(console, settings, &tags, ("removed", "did not have it"), removed, photos.len() - removed)?;
            Ok(if removed > 0 { Exit::Success } else { Exit::NothingFound })
        }
        TagAction::Rename { tag, new } => {
            let pictures = library.rename_own_tag(tag, new.trim()).map_err(Failure::refused)?;
            if pictures == 0 {
                return Err(Failure::nothing(format!("no photo has a tag {:?} of your own", sanitize::text(tag))));
            }
            if settings.json {
                console.json(&json!({"schema": 1, "tag": new.trim(), "renamed_from": tag, "photos": pictures}))?;
            }
            Ok(Exit::Success)
        }
    }
}

pub(super) fn rate(args: &RateArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let photos = named(&args.photos, &library, settings, console)?;
    let stars = args.stars.0;
    let changed = library.rate(&photos, stars).map_err(Failure::refused)?.len();
    let unchanged = photos.len() - changed;
    if settings.json {
        console.json(&json!({"schema": 1, "rating": stars, "rated": changed, "unchanged": unchanged}))?;
        return Ok(Exit::Success);
    }
    let what = stars.map_or("as their files say".to_owned(), output::facts::stars);
    let rest = if unchanged > 0 { format!(" ({unchanged} as before)") } else { String::new() };
    console.line(&format!("{}: {what}{rest}", text::count(changed, "photo")))?;
    Ok(Exit::Success)
}

/// The tags in a list that is separated by commas.
///
/// # Errors
/// There are none (exit code 2).
fn split(list: &str) -> anyhow::Result<Vec<String>> {
    let tags: Vec<String> = list.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect();
    if tags.is_empty() { Err(Failure::usage("no tag is named")) } else { Ok(tags) }
}

fn told(
    console: &Console,
    settings: &Settings,
    tags: &[String],
    (what, why): (&str, &str),
    done: usize,
    rest: usize,
) -> anyhow::Result<()> {
    if settings.json {
        return console.json(&json!({"schema": 1, "tags": tags, what: done, "unchanged": rest}));
    }
    let rest = if rest > 0 { format!(" ({rest} {why})") } else { String::new() };
    let names = console.style("1", &sanitize::text(&tags.join(", ")));
    Ok(console.line(&format!("{names}: {what}, {}{rest}", text::count(done, "photo")))?)
}

fn list(library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let tags = library.own_tags()?;
    for OwnTag { name, photos } in &tags {
        if settings.json {
            console.json(&json!({"schema": 1, "tag": name, "photos": photos}))?;
            continue;
        }
        let name = console.style("1", &text::pad(&sanitize::text(name), 24));
        console.line(&format!("{name}  {}", text::count(usize::try_from(*photos)?, "photo")))?;
    }
    if tags.is_empty() {
        console.note("you have given no tags yet; `snapseek tag add TAG PHOTO...` does");
    }
    Ok(if tags.is_empty() { Exit::NothingFound } else { Exit::Success })
}

fn list_of(photos: &[OsString], library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let photos = selection::photos_of(photos, library, settings, console)?;
    let mut found = false;
    for hit in library.searcher()?.photos(&photos)? {
        let Some(path) = hit.paths.first() else { continue };
        found = found || !hit.own_tags.is_empty();
        if settings.json {
            let mut record = json!({"schema": 1, "tags": hit.own_tags, "rating": hit.own_rating});
            output::put_path(&mut record, path);
            console.json(&record)?;
        } else if !hit.own_tags.is_empty() {
            let tags = console.style("1", &sanitize::text(&hit.own_tags.join(", ")));
            console.line(&format!("{}  {tags}", sanitize::path(path)))?;
        }
    }
    Ok(if found { Exit::Success } else { Exit::NothingFound })
}
