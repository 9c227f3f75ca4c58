//! A trial of models: a table, JSON lines, a page with thumbnails.

use super::page::{self, Page};
use super::{ReadSmall, put_path};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use crate::terminal::text::{count, display_path, pad, shorten, size};
use crate::trial::judged::JudgedQuery;
use crate::trial::{DEPTHS, Trial, TriedModel};
use serde_json::json;
use std::path::Path;

/// Results of each model that the table and the page show, and that JSON lists.
pub const SHOWN: usize = 5;
const LISTED: usize = 10;
/// Width of a result in the table, in columns.
const RESULT: usize = 22;

/// What a trial says about each model as a whole, for a library of so many photos.
struct Summary<'a> {
    model: &'a TriedModel,
    recall: [Option<f64>; DEPTHS.len()],
    seconds: f64,
    bytes: u64,
}

impl<'a> Summary<'a> {
    fn of(model: &'a TriedModel, trial: &Trial, photos: usize) -> Self {
        Self {
            model,
            recall: DEPTHS.map(|depth| model.mean_recall(depth, trial)),
            seconds: trial.seconds_for(model, photos),
            // In the catalogue and in the cache.
            bytes: 2 * 4 * (model.dim as u64) * photos as u64,
        }
    }

    /// Recall, time and size, in words.
    fn words(&self) -> [String; DEPTHS.len() + 2] {
        let [first, second, third] =
            self.recall.map(|recall| recall.map_or("-".to_owned(), |recall| format!("{:.0} %", 100.0 * recall)));
        [first, second, third, duration(self.seconds), size(self.bytes)]
    }
}

/// Whether a result is one that fits.
fn fits(trial: &Trial, query: usize, photo: usize) -> bool {
    let id = trial.photos.get(photo).map(|(id, _)| id);
    id.zip(trial.fitting.get(query)).is_some_and(|(id, fitting)| fitting.contains(id))
}

/// The first results of a model for a query: whether each fits, its file and its cosine.
fn first<'a>(
    trial: &'a Trial,
    model: &'a TriedModel,
    query: usize,
    limit: usize,
) -> impl Iterator<Item = (bool, &'a Path, f32)> {
    let results = model.results.get(query).into_iter().flatten().take(limit);
    results.filter_map(move |(photo, cosine)| {
        let (_, path) = trial.photos.get(*photo)?;
        Some((fits(trial, query, *photo), path.as_path(), *cosine))
    })
}

/// Prints a trial as a table, the results side by side for each query, and what each model costs.
///
/// # Errors
/// stdout is closed.
pub fn table(trial: &Trial, queries: &[JudgedQuery], photos: usize, console: &Console) -> anyhow::Result<()> {
    let width = trial.models.iter().map(|model| sanitize::text(&model.name).chars().count()).max().unwrap_or(0).min(30);
    let name = |model: &TriedModel| pad(&shorten(&sanitize::text(&model.name), width), width);
    for (n, query) in queries.iter().enumerate() {
        console.line(&console.style("1", &sanitize::text(&query.text)))?;
        for model in &trial.models {
            let results = first(trial, model, n, SHOWN).map(|(fits, path, _)| {
                let file = path.file_name().map_or_else(|| display_path(path), |file| display_path(Path::new(file)));
                let cell = pad(&shorten(&file, RESULT), RESULT);
                if fits { console.style("32", &format!("*{cell}")) } else { format!(" {cell}") }
            });
            let results: Vec<String> = results.collect();
            console.line(format!("  {}  {}", name(model), results.join(" ")).trim_end())?;
        }
    }
    let [a, b, c] = DEPTHS.map(|depth| format!("finds@{depth}"));
    let head = format!("\n  {}  {a:>8} {b:>8} {c:>8} {:>12} {:>9}", pad("model", width), "all photos", "vectors");
    console.line(&console.style("2", &head))?;
    for model in &trial.models {
        let [first, second, third, time, bytes] = Summary::of(model, trial, photos).words();
        console.line(&format!("  {}  {first:>8} {second:>8} {third:>8} {time:>12} {bytes:>9}", name(model)))?;
    }
    Ok(())
}

/// Prints a trial as JSON lines: one for each query and model, and one for each model.
///
/// # Errors
/// stdout is closed.
pub fn json(trial: &Trial, queries: &[JudgedQuery], photos: usize, console: &Console) -> anyhow::Result<()> {
    let by_depth = |recall: [Option<f64>; DEPTHS.len()]| {
        let names = DEPTHS.iter().map(ToString::to_string);
        names.zip(recall.map(serde_json::Value::from)).collect::<serde_json::Map<_, _>>()
    };
    for (n, query) in queries.iter().enumerate() {
        for model in &trial.models {
            let results = first(trial, model, n, LISTED).map(|(fits, path, cosine)| {
                let mut record = json!({"cosine": cosine, "fits": fits});
                put_path(&mut record, path);
                record
            });
            console.json(&json!({"schema": 1, "kind": "query", "query": query.text, "model": model.name,
                "results": results.collect::<Vec<_>>(),
                "recall": by_depth(DEPTHS.map(|depth| model.recall(n, depth, trial)))}))?;
        }
    }
    for model in &trial.models {
        let Summary { recall, seconds, bytes, .. } = Summary::of(model, trial, photos);
        console.json(&json!({"schema": 1, "kind": "model", "model": model.name, "dim": model.dim,
            "sample": trial.photos.len(), "photos": photos, "seconds": seconds, "bytes": bytes,
            "recall": by_depth(recall)}))?;
    }
    Ok(())
}

/// Writes a trial as a page: for each query the first results of each model, with thumbnails.
///
/// # Errors
/// The file exists and snapseek did not write it (exit code 2), or it cannot be written.
pub fn page(
    trial: &Trial,
    queries: &[JudgedQuery],
    photos: usize,
    file: &Path,
    small: &ReadSmall,
) -> anyhow::Result<()> {
    let title = format!("{} tried on {}", count(trial.models.len(), "model"), count(trial.photos.len(), "photo"));
    let style = format!(
        "main{{grid-template-columns:repeat({SHOWN},minmax(120px,1fr))}}table{{margin-bottom:1em}}td,th{{\
         padding:0 1.2em 0 0;text-align:right}}td:first-child,th:first-child{{text-align:left}}"
    );
    let mut page = Page::begin(file, &title, &style)?;
    let depths: String = DEPTHS.iter().map(|depth| format!("<th>finds@{depth}")).collect();
    page.push(&format!("<table><tr><th>model{depths}<th>all photos<th>vectors\n"))?;
    for summary in trial.models.iter().map(|model| Summary::of(model, trial, photos)) {
        let cells: String = summary.words().iter().map(|word| format!("<td>{}", page::escape(word))).collect();
        page.push(&format!("<tr><td>{}{cells}\n", page::escape(&summary.model.name)))?;
    }
    page.push("</table>\n<main>\n")?;
    for (n, query) in queries.iter().enumerate() {
        page.heading(&query.text, "")?;
        for model in &trial.models {
            let recall = model.recall(n, SHOWN, trial);
            let found = recall.map_or(String::new(), |recall| format!("finds {:.0} %", 100.0 * recall));
            page.push("<h2>")?;
            page.push(&format!("<small>{} {found}</small></h2>\n", page::escape(&model.name)))?;
            for (fits, path, cosine) in first(trial, model, n, SHOWN) {
                let fits = if fits { " · fits" } else { "" };
                page.push(&page::figure(path, small, None, &format!("cosine {cosine:.3}{fits}")))?;
            }
        }
    }
    page.push("</main>")?;
    page.finish()
}

/// Seconds, in the unit that a person would use.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
