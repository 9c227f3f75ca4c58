//! Work on the whole library: clusters, the map, labels. Only one runs at a time, the last one requested.

use super::latest::Latest;
use super::{Context, copies, explained, guarded};
use crate::clusters::Remake;
use crate::clusters::linkage::LinkageOptions;
use crate::clusters::{self, map};
use crate::labels::classify;
use crate::model::ocr::EDGE;
use crate::model_choice;
use crate::reading;
use crate::reading::index_run::{self, TextOptions};
use crate::terminal::console::Console;
use crate::terminal::listener::{Listener, Step};
use crate::terminal::progress::Progress;
use crate::terminal::text;
use crate::tui::event::{Classified, Judged, MapChart, Message, Outcome, Spot, Work};
use snapseek_index::{LabelSet, Library, PendingPhoto};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Generation, and what to do.
pub(super) type LibraryRequest = (u64, Work);

/// How many of the likeliest labels are reported for each photo.
const TOP: usize = 8;

/// Reports the progress of the work.
struct Steps(Arc<Context>, u64);

impl Listener for Steps {
    fn message(&self, warning: bool, text: &str) {
        self.0.warn(warning, text);
    }
    fn step(&self, what: &'static str, done: usize, total: usize) {
        self.0.send(Message::Step(self.1, Step { what, done, total }));
    }
}

pub(super) fn start(context: Arc<Context>) -> std::io::Result<Latest<LibraryRequest>> {
    Latest::start("library work", move |(generation, work), cancel| {
        let console = Console::to(Arc::new(Steps(context.clone(), generation)));
        context.send(answer(&context, &console, generation, &work, cancel));
    })
}

fn answer(context: &Context, console: &Console, generation: u64, work: &Work, cancel: &AtomicBool) -> Message {
    fn outcome<T>(result: anyhow::Result<T>) -> Outcome<T> {
        result.map_err(|error| explained(&error))
    }
    let library = || model_choice::library(&context.settings);
    match work {
        Work::Cluster(count) => {
            let made = guarded(|| undoable(&library()?, |library| cluster(context, console, library, *count, cancel)));
            Message::Grouped(generation, outcome(made))
        }
        Work::Split(id) => {
            let split = guarded(|| undoable(&library()?, |library| split(context, console, library, *id, cancel)));
            Message::Grouped(generation, outcome(split))
        }
        Work::ReadTexts(photos) => {
            let read = guarded(|| read_texts(context, console, &library()?, photos, cancel));
            Message::TextsRead(generation, outcome(read))
        }
        Work::Copies => Message::Copies(generation, outcome(guarded(|| copies::find(console, &library()?, cancel)))),
        Work::TrashScript(removals, file) => {
            let written = guarded(|| copies::script(console, &library()?, removals, file, cancel));
            Message::Scripted(generation, file.to_string_lossy().into_owned(), outcome(written))
        }
        Work::Chart => Message::Charted(generation, outcome(guarded(|| chart(context, console, &library()?, cancel)))),
        Work::Sort(set) => {
            Message::Sorted(generation, outcome(guarded(|| sort(context, console, &library()?, set, cancel))))
        }
    }
}

/// Does something to the clusters; says what was done, and under which number the clusters of before are kept, if there
/// were any and they were replaced.
fn undoable(
    library: &Library,
    work: impl FnOnce(&Library) -> anyhow::Result<String>,
) -> anyhow::Result<(String, Option<i64>)> {
    let last = |library: &Library| -> anyhow::Result<Option<i64>> {
        Ok(library.past_clusters()?.first().filter(|past| !past.names.is_empty()).map(|past| past.id))
    };
    let before = last(library)?;
    let done = work(library)?;
    Ok((done, last(library)?.filter(|id| Some(*id) != before)))
}

pub(super) fn stopped() -> anyhow::Error {
    anyhow::anyhow!("stopped")
}

fn cluster(
    context: &Context,
    console: &Console,
    library: &Library,
    count: Option<usize>,
    cancel: &AtomicBool,
) -> anyhow::Result<String> {
    let photos = library.searcher()?.len();
    anyhow::ensure!(photos > 0, "there are no photos yet");
    let chosen = context.model(library, console)?;
    let options = LinkageOptions { count, ..clusters::options(photos) };
    let mut progress = Progress::new(console, cancel);
    let made =
        clusters::make(library, chosen.model.as_ref(), options, Remake::Unnamed, &[], &context.cache, &mut progress)?;
    made.ok_or_else(stopped)?;
    Ok(format!("{} found", text::count(library.clusters()?.len(), "cluster")))
}

fn split(
    context: &Context,
    console: &Console,
    library: &Library,
    id: i64,
    cancel: &AtomicBool,
) -> anyhow::Result<String> {
    let chosen = context.model(library, console)?;
    let mut progress = Progress::new(console, cancel);
    let parts = clusters::split(library, chosen.model.as_ref(), id, &context.cache, &mut progress)?;
    Ok(match parts.ok_or_else(stopped)? {
        1 => "its photos are too alike to split: it stays as it is".into(),
        parts => format!("split into {}", text::count(parts, "cluster")),
    })
}

/// Reads the text in these photos; says what was done.
fn read_texts(
    context: &Context,
    console: &Console,
    library: &Library,
    photos: &[i64],
    cancel: &AtomicBool,
) -> anyhow::Result<String> {
    let hits = library.searcher()?.photos(photos)?;
    let pending = hits.into_iter().filter(|hit| !hit.paths.is_empty());
    let pending: Vec<PendingPhoto> =
        pending.map(|hit| PendingPhoto { id: hit.id, paths: hit.paths, picture: hit.picture }).collect();
    let reader = reading::open(&context.settings)?;
    let options = TextOptions { reader: &reader, edge: EDGE, again: true, threads: 1 };
    let mut progress = Progress::new(console, cancel);
    let mut report = |done, total| progress.step("reading the text", done, total);
    let (done, problems) = index_run::these(library, options, &pending, cancel, &mut report)?;
    if let Some(problem) = problems.first() {
        anyhow::bail!("{problem}");
    }
    let count = |n: u64| text::count(usize::try_from(n).unwrap_or(usize::MAX), "photo");
    Ok(match (done.read, done.with_text) {
        (1, 0) => "there is no text in this photo".into(),
        (1, 1) => "the text in this photo is read".into(),
        (read, with) => format!("{} read for text, which {with} hold", count(read)),
    })
}

fn chart(context: &Context, console: &Console, library: &Library, cancel: &AtomicBool) -> anyhow::Result<MapChart> {
    if library.clusters()?.is_empty() {
        cluster(context, console, library, None, cancel)?;
    } else {
        clusters::adopt(library)?;
    }
    let searcher = library.searcher()?;
    let embeddings = searcher.embeddings()?;
    let mut progress = Progress::new(console, cancel);
    let mut report = |done, total| progress.step("laying the map out", done, total);
    let spots = map::of_library(library, &embeddings, &mut report)?;
    let known = library.clusters()?;
    let position: HashMap<i64, u16> = known.iter().map(|cluster| cluster.id).zip(0..).collect();
    let places: HashMap<i64, u16> =
        library.members()?.iter().filter_map(|member| Some((member.photo, *position.get(&member.cluster?)?))).collect();
    let spots = embeddings.iter().zip(spots.ok_or_else(stopped)?);
    Ok(MapChart {
        spots: spots.map(|((id, _), (x, y))| Spot { id: *id, x, y, cluster: places.get(id).copied() }).collect(),
        names: known.into_iter().map(|cluster| cluster.name).collect(),
    })
}

fn sort(
    context: &Context,
    console: &Console,
    library: &Library,
    set: &LabelSet,
    cancel: &AtomicBool,
) -> anyhow::Result<Classified> {
    let chosen = context.model(library, console)?;
    let mut progress = Progress::new(console, cancel);
    let classifier = if set.name.is_empty() {
        classify::classifier(set, chosen.model.as_ref(), &mut progress)?
    } else {
        classify::kept_classifier(set, library, chosen.model.as_ref(), &mut progress)?
    };
    let searcher = library.searcher()?;
    let (ids, embeddings): (Vec<i64>, Vec<&[f32]>) = searcher.embeddings()?.into_iter().unzip();
    anyhow::ensure!(!ids.is_empty(), "there are no photos yet");
    let verdicts = classify::judge(&embeddings, set, &classifier, TOP, &mut progress)?;
    let photos = ids.into_iter().zip(verdicts);
    let photos = photos.map(|(id, verdict)| Judged { id, verdict }).collect();
    Ok(Classified { set: set.clone(), photos })
}
