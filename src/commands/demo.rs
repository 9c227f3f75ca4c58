//! `demo`: index the sample photos and show what searching them is like.

use crate::cli::{Cli, Command};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::terminal::console::Console;
use clap::{CommandFactory, FromArgMatches};
use std::path::Path;

const QUERIES: [&[&str]; 4] = [
    &["search", "a bird with a long beak", "-n", "3"],
    &["search", "hand tools", "-n", "4"],
    &["search", "castle -night", "-n", "3"],
    &["search", "a birthday cake with candles", "-n", "3"],
];

pub(super) fn demo(folder: &Path, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if !folder.is_dir() {
        return Err(Failure::usage(format!(
            "{} does not exist: run the demo in the project's folder, or name a folder of photos",
            crate::terminal::sanitize::path(folder)
        )));
    }
    let key = blake3::hash(folder.canonicalize()?.as_os_str().as_encoded_bytes());
    // A separate library, so that the demo does not touch the user's own.
    let settings = Settings {
        library: Settings::cache_dir()?.join("demo").join(&key.to_hex()[..16]),
        model: if settings.model == "auto" { "starter".into() } else { settings.model.clone() },
        ..settings.clone()
    };
    let folder = folder.to_string_lossy();
    let giraffe = format!("{folder}/giraffe.jpg");
    let similar: &[&str] = &["similar", &giraffe, "-n", "3"];
    step(&["index", &folder], &settings, console)?;
    for query in QUERIES {
        step(query, &settings, console)?;
    }
    if Path::new(&giraffe).exists() {
        step(similar, &settings, console)?;
    }
    console.line(&format!(
        "\nThis library is kept in {}. Now index your own photos: snapseek index ~/Pictures",
        crate::terminal::sanitize::path(&snapseek_index::shown(&settings.library))
    ))?;
    Ok(Exit::Success)
}

fn step(words: &[&str], settings: &Settings, console: &Console) -> anyhow::Result<()> {
    let shown: Vec<String> =
        words.iter().map(|w| if w.contains(' ') { format!("\"{w}\"") } else { (*w).to_owned() }).collect();
    console.line(&format!(
        "\n{}",
        console.style("1", &format!("$ snapseek {}", crate::terminal::sanitize::text(&shown.join(" "))))
    ))?;
    let matches = Cli::command().try_get_matches_from(["snapseek"].iter().chain(words))?;
    let cli = Cli::from_arg_matches(&matches)?;
    debug_assert!(!matches!(cli.command, Some(Command::Demo { .. })));
    super::run(cli, &matches, settings, console)?;
    Ok(())
}
