//! `tui`: the terminal UI.

use crate::cli::TuiArgs;
use crate::config::{ColorChoice, Settings, ThemeName};
use crate::exit::{Exit, Failure};
use crate::indexing::fill;
use crate::model_choice;
use crate::terminal::console::{self, Console};
use crate::terminal::sanitize;
use crate::tui;
use crate::tui::event::{Beginning, Ending};
use crate::tui::keymap::Keymap;
use crate::tui::place::Place;
use crate::tui::state::TuiOptions;
use crate::tui::theme::UserColors;
use snapseek_index::Library;
use snapseek_index::query::quoted;
use std::path::{Path, PathBuf};

/// The file that distinguishes a library from a folder of photos.
const CATALOGUE: &str = "catalogue.sqlite";

pub(super) fn tui(args: &TuiArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let keymap = Keymap::new(&settings.tui.keys)?;
    let mut settings = settings.clone();
    let mut beginning = Beginning { query: args.query.clone(), ..Beginning::default() };
    match &args.place {
        Some(place) if place.join(CATALOGUE).is_file() => settings.library.clone_from(place),
        Some(folder) => beginning = with_folder(folder, &args.query, &settings)?,
        None => {
            // Report a library that cannot be opened before taking over the screen.
            match Library::open(&settings.library) {
                Ok(_) => {}
                Err(snapseek_index::Error::NoLibrary { .. }) => beginning.place = Place::Index,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let colors = settings.color == ColorChoice::Always || settings.color == ColorChoice::Auto && !console::is_dumb();
    let options = TuiOptions {
        pick: args.pick,
        theme: if colors { args.theme.unwrap_or(settings.tui.theme) } else { ThemeName::None },
        watch: args.watch || settings.tui.watch,
        keymap,
        own_colors: UserColors::new(&settings.tui.colors)?,
        models: model_choice::outlook(&settings),
        ..TuiOptions::default()
    };
    let pictures = args.pictures.unwrap_or(settings.tui.pictures);
    match tui::run(&settings, options, beginning, pictures)? {
        Ending::Left if args.pick => Ok(Exit::NothingFound),
        Ending::Left => Ok(Exit::Success),
        Ending::Terminated => Ok(Exit::Interrupted),
        Ending::Picked(paths) => {
            for path in paths {
                console.bytes(&console.path_bytes(&path))?;
                console.bytes(if args.paths0 { b"\0" } else { b"\n" })?;
            }
            Ok(Exit::Success)
        }
    }
}

/// Opens the UI with a folder: it is indexed at once, and only its photos are shown if the library contains others.
fn with_folder(folder: &Path, query: &str, settings: &Settings) -> anyhow::Result<Beginning> {
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{} is neither a folder nor a library", sanitize::path(folder))));
    }
    let roots = fill::roots(&[folder.to_path_buf()])?;
    let others = match Library::open(&settings.library) {
        Ok(library) => library.roots()?.iter().any(|root| !roots.contains(root)),
        Err(snapseek_index::Error::NoLibrary { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    let within = roots.first().and_then(|root| root.to_str()).filter(|_| others);
    let query = match within {
        Some(root) => format!("path:{} {query}", quoted(root)),
        None => query.to_owned(),
    };
    let index: Vec<PathBuf> = roots;
    Ok(Beginning { index, query, ..Beginning::default() })
}
