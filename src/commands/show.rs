//! `show`: everything that is known about a photo, and who says it.

use crate::cli::ShowPhotoArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::facts::{PhotoStatements, cluster, facts, lines, merged, said};
use crate::output::put_path;
use crate::photo::Statement;
use crate::search::photo_file;
use crate::search::row::taken;
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use serde_json::{Value, json};
use snapseek_index::{Hit, Library};
use std::path::{Path, PathBuf};

pub(super) fn show(args: &ShowPhotoArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library).ok();
    let mut exit = Exit::Success;
    for (n, path) in args.photos.iter().enumerate() {
        let hit = library.as_ref().map(|library| photo_file::known(path, library)).transpose()?.flatten();
        let there = path.try_exists().unwrap_or(true);
        if !there && hit.is_none() {
            return Err(Failure::usage(format!("{} does not exist", sanitize::path(path))));
        }
        let here = path.canonicalize().unwrap_or_else(|_| path.clone());
        let said = match said(&here, library.as_ref()) {
            Ok(said) => said,
            Err(error) => {
                if there {
                    exit = Exit::Partial;
                    console.warn(format_args!("{}: {error}", sanitize::path(path)));
                }
                PhotoStatements::default()
            }
        };
        if settings.json {
            console.json(&record(path, hit.as_ref(), &said.said, library.as_ref())?)?;
            continue;
        }
        if n > 0 {
            console.line("")?;
        }
        for line in lines((path, &here), hit.as_ref(), &said, library.as_ref())? {
            console.line(&line)?;
        }
    }
    Ok(exit)
}

fn record(
    path: &Path,
    hit: Option<&Hit>,
    said: &[(PathBuf, Statement)],
    library: Option<&Library>,
) -> anyhow::Result<Value> {
    let mut statements = Vec::new();
    for (file, statement) in said {
        let mut value = json!({"source": statement.source.as_str(), "says": facts(&statement.metadata)?});
        put_path(&mut value, file);
        statements.push(value);
    }
    let mut value = json!({
        "schema": 1, "indexed": hit.is_some(), "facts": merged(said, hit)?, "statements": statements,
    });
    put_path(&mut value, path);
    if let Some(hit) = hit {
        let when = taken(hit);
        value["format"] = hit.facts.format.as_str().into();
        value["width"] = hit.facts.width.into();
        value["height"] = hit.facts.height.into();
        value["bytes"] = hit.size.into();
        value["remark"] = hit.facts.remark.clone().into();
        value["taken"] = when.moment.into();
        value["taken_from"] = when.from.into();
        value["place"] = hit.facts.metadata.place.clone().into();
        value["caption"] = hit.caption.clone().into();
        value["text"] = hit.text.clone().into();
        value["tags"] = hit.tags.iter().map(|tag| tag.label.as_str()).collect::<Vec<_>>().into();
        value["cluster"] = cluster(hit, library)?.into();
        value["albums"] = library.map_or(Ok(Vec::new()), |library| library.albums_of(hit.id))?.into();
        value["own_tags"] = hit.own_tags.clone().into();
        value["own_rating"] = hit.own_rating.into();
        value["stack"] = hit.stack.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().into();
        value["files"] = hit.paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().into();
    }
    Ok(value)
}
