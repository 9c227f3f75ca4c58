//! `root`: where the folders of the library are on this machine.

use crate::cli::RootAction;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::indexing::fill;
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use serde_json::{Value, json};
use snapseek_index::{Library, Root};
use std::path::Path;

pub(super) fn run(action: &RootAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    match action {
        RootAction::List => list(&library, settings, console),
        RootAction::Map { name, folder } => {
            let root = find(&library, name)?;
            let here = fill::roots(std::slice::from_ref(folder))?.into_iter().find(|here| here.is_dir());
            let no_folder = || Failure::usage(format!("{} is no folder", sanitize::path(folder)));
            set(&library, &root, Some(&here.ok_or_else(no_folder)?), settings, console)
        }
        RootAction::Unmap { name } => set(&library, &find(&library, name)?, None, settings, console),
    }
}

fn list(library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let roots = library.named_roots()?;
    for root in &roots {
        let is_there = root.here.is_dir();
        if settings.json {
            let mut record = record(root, &root.here);
            record["there"] = is_there.into();
            console.json(&record)?;
            continue;
        }
        let name = console.style("1", &text::pad(&sanitize::text(&root.name), 16));
        let mut line = format!("{name}  {}", shown(root));
        if !is_there {
            line += ", not found on this machine";
        }
        console.line(&line)?;
    }
    if roots.is_empty() {
        console.note("the library has no folders yet; `snapseek index FOLDER` adds one");
    }
    Ok(if roots.is_empty() { Exit::NothingFound } else { Exit::Success })
}

fn set(
    library: &Library,
    root: &Root,
    here: Option<&Path>,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    library.map_root(root, here).map_err(Failure::refused)?;
    let here = here.unwrap_or(&root.stored);
    if settings.json {
        console.json(&record(root, here))?;
    } else {
        let stored = sanitize::path(&root.stored);
        console.note(format_args!("{stored} of the library is {} on this machine", sanitize::path(here)));
    }
    Ok(Exit::Success)
}

/// Where a root is, and its path in the library if that is another one.
pub(super) fn shown(root: &Root) -> String {
    let here = sanitize::path(&root.here);
    if root.here == root.stored { here } else { format!("{here} (in the library {})", sanitize::path(&root.stored)) }
}

/// A root that is at this path.
fn record(root: &Root, here: &Path) -> Value {
    let mut record = json!({"schema": 1, "name": root.name, "stored": root.stored.to_string_lossy()});
    output::put_path(&mut record, here);
    record
}

/// The root of this name, or at this path of the catalogue or of this machine.
///
/// # Errors
/// There is none (exit code 2).
fn find(library: &Library, name: &str) -> anyhow::Result<Root> {
    let roots = library.named_roots()?;
    let path = Path::new(name);
    let is_asked = |root: &&Root| root.name == name || root.stored == path || root.here == path;
    match roots.iter().find(is_asked) {
        Some(root) => Ok(root.clone()),
        None => {
            let known: Vec<String> = roots.iter().map(|root| sanitize::text(&root.name)).collect();
            let known =
                if known.is_empty() { "it has none yet".into() } else { format!("it has {}", known.join(", ")) };
            Err(Failure::usage(format!("the library has no folder {}; {known}", sanitize::text(name))))
        }
    }
}
