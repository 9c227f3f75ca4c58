//! `map`: the library as a map on which similar photos are close together.

use crate::cli::{ClusterArgs, MapArgs};
use crate::clusters::{self, map};
use crate::config::Settings;
use crate::exit::Exit;
use crate::model_choice;
use crate::output::map::{MapDrawing, MapPhoto};
use crate::output::page::{self, Page};
use crate::photo::shrink;
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use crate::terminal::{sanitize, signals, text};
use std::collections::HashMap;

pub(super) fn map(args: &MapArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    for file in args.svg.iter().chain(&args.html) {
        page::check(file)?;
    }
    let library = model_choice::library(settings)?;
    if library.clusters()?.is_empty() {
        if !super::cluster::make(&library, &ClusterArgs::default(), settings, console)? {
            return Ok(Exit::Interrupted);
        }
    } else {
        clusters::adopt(&library)?;
    }
    let searcher = library.searcher()?;
    let embeddings = searcher.embeddings()?;
    if embeddings.is_empty() {
        console.note("the library contains no photos");
        return Ok(Exit::NothingFound);
    }
    let cancel = signals::cancel()?;
    let mut progress = Progress::new(console, cancel);
    let mut report = |done, total| progress.step("laying the map out", done, total);
    let spots = map::of_library(&library, &embeddings, &mut report)?;
    let Some(spots) = spots else { return Ok(Exit::Interrupted) };
    let known = library.clusters()?;
    let names: Vec<String> = known.iter().map(|cluster| cluster.name.clone()).collect();
    let position: HashMap<i64, usize> = known.iter().enumerate().map(|(at, cluster)| (cluster.id, at)).collect();
    let places: HashMap<i64, (Option<i64>, f32)> =
        library.members()?.iter().map(|member| (member.photo, (member.cluster, member.cosine))).collect();
    let photos = embeddings.iter().zip(spots).map(|((id, _), (x, y))| {
        let (cluster, cosine) = places.get(id).copied().unwrap_or_default();
        MapPhoto { id: *id, x, y, cluster: cluster.and_then(|id| position.get(&id).copied()), cosine }
    });
    let chart = MapDrawing { photos: photos.collect(), names };
    let path_of = |id: i64| Ok(searcher.photos(&[id])?.into_iter().next().and_then(|hit| hit.paths.into_iter().next()));
    let svg = chart.svg(&path_of, &shrink::file, &mut |done, total| progress.step("drawing", done, total))?;
    drop(progress);
    let Some(svg) = svg else { return Ok(Exit::Interrupted) };
    super::note_awaiting(&searcher, console)?;
    if let Some(file) = &args.svg {
        let mut picture = Page::svg(file)?;
        picture.push(&svg)?;
        picture.finish()?;
        console.note(format_args!("wrote {}", sanitize::path(file)));
    }
    if let Some(file) = &args.html {
        let title = format!("A map of {}", text::count(embeddings.len(), "photo"));
        chart.page(file, &title, &svg)?;
        console.note(format_args!("wrote {}", sanitize::path(file)));
    }
    Ok(Exit::Success)
}
