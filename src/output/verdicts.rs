//! Photos sorted by labels: table, JSON lines, CSV, bare paths, contact sheet.

use super::csv::{self, Field};
use super::page::{self, Page};
use super::{ReadSmall, put_path};
use crate::exit::Failure;
use crate::labels::classify::{Verdict, distribution};
use crate::terminal::console::{self, Console};
use crate::terminal::progress::Progress;
use crate::terminal::sanitize;
use crate::terminal::text::{count, display_path, pad, shorten, shorten_end};
use rayon::prelude::*;
use serde_json::json;
use snapseek_index::LabelSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use unicode_width::UnicodeWidthStr;

/// Maximum number of thumbnails under one label.
const THUMBNAILS: usize = 200;
/// Thumbnails made between two progress reports.
const CHUNK: usize = 16;
/// Shown instead of a label for photos without one.
const NONE: &str = "(none)";

/// Photos in the order of the set's labels, the most probable first within a label; photos without a label last.
pub struct SortedPhotos<'a> {
    set: &'a LabelSet,
    photos: Vec<(PathBuf, Verdict)>,
}

impl<'a> SortedPhotos<'a> {
    /// Sorts photos and their verdicts.
    #[must_use]
    pub fn new(set: &'a LabelSet, mut photos: Vec<(PathBuf, Verdict)>) -> Self {
        let key =
            |verdict: &Verdict| (verdict.label.unwrap_or(usize::MAX), verdict.ranked.first().map_or(0.0, |r| r.1));
        photos.par_sort_by(|(a_path, a), (b_path, b)| {
            let ((a_label, a_sure), (b_label, b_sure)) = (key(a), key(b));
            a_label.cmp(&b_label).then(b_sure.total_cmp(&a_sure)).then_with(|| a_path.cmp(b_path))
        });
        Self { set, photos }
    }

    /// Whether any photo got a label.
    #[must_use]
    pub fn labelled(&self) -> bool {
        self.photos.first().is_some_and(|(_, verdict)| verdict.label.is_some())
    }

    /// The name at a position in the set's labels followed by its background labels.
    fn name(&self, label: usize) -> &str {
        self.set.labels.iter().chain(&self.set.background).nth(label).map_or("", String::as_str)
    }

    fn label_of(&self, verdict: &Verdict) -> &str {
        verdict.label.map_or(NONE, |label| self.name(label))
    }

    /// Each label with the number of its photos; last, `None` with the number of photos without a label.
    fn distribution(&self) -> Vec<(Option<&str>, usize)> {
        let verdicts = self.photos.iter().map(|(_, verdict)| verdict);
        let counts = distribution(verdicts, self.set.labels.len());
        self.set.labels.iter().map(|label| Some(label.as_str())).chain([None]).zip(counts).collect()
    }
}

/// How verdicts are shown.
pub struct VerdictOutputs<'a> {
    /// Write a contact sheet to this file.
    pub html: Option<&'a Path>,
    /// Print JSON lines.
    pub json: bool,
    /// Print only the paths of labelled photos, each followed by a NUL byte.
    pub paths0: bool,
    /// Print comma-separated values.
    pub csv: bool,
    /// How many labels of each photo the CSV contains.
    pub top: usize,
    /// Reads photos for the contact sheet.
    pub small: &'a ReadSmall,
}

/// Shows the photos in every requested way.
///
/// # Errors
/// stdout is closed, the contact sheet cannot be written, or the user interrupted the work (exit code 130).
pub fn show(
    sorted: &SortedPhotos<'_>,
    wanted: &VerdictOutputs<'_>,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<()> {
    if let Some(file) = wanted.html {
        sheet(sorted, file, wanted.small, &mut Progress::new(console, cancel))?;
        console.note(format_args!("wrote {} to {}", count(sorted.photos.len(), "photo"), sanitize::path(file)));
    }
    if wanted.json {
        return json_lines(sorted, console);
    }
    if wanted.paths0 {
        for (path, _) in sorted.photos.iter().filter(|(_, verdict)| verdict.label.is_some()) {
            console.bytes(&console.path_bytes(path))?;
            console.bytes(b"\0")?;
        }
        return Ok(());
    }
    if wanted.csv {
        comma_separated(sorted, wanted.top, console)?;
    } else if console.terminal {
        table(sorted, console)?;
    } else {
        for (path, verdict) in &sorted.photos {
            let mut line = console.path_bytes(path);
            line.extend(format!("\t{}", sanitize::text(sorted.label_of(verdict))).into_bytes());
            for (label, probability) in &verdict.ranked {
                line.extend(format!("\t{}\t{probability:.4}", sanitize::text(sorted.name(*label))).into_bytes());
            }
            line.push(b'\n');
            console.bytes(&line)?;
        }
    }
    shares(sorted, wanted.csv, console)
}

fn json_lines(sorted: &SortedPhotos<'_>, console: &Console) -> anyhow::Result<()> {
    let labels = sorted.set.labels.len();
    for (path, verdict) in &sorted.photos {
        let ranked: Vec<_> = verdict
            .ranked
            .iter()
            .map(|(n, p)| json!({"label": sorted.name(*n), "probability": p, "background": *n >= labels}))
            .collect();
        let probability = verdict.label.and(verdict.ranked.first()).map(|(_, probability)| probability);
        let label = verdict.label.map(|label| sorted.name(label));
        let mut record =
            json!({"schema": 1, "kind": "photo", "label": label, "probability": probability, "ranked": ranked});
        put_path(&mut record, path);
        console.json(&record)?;
    }
    let total = sorted.photos.len();
    let shares = sorted.distribution().into_iter();
    let shares: Vec<_> = shares
        .map(|(label, photos)| json!({"label": label, "photos": photos, "share": share(photos, total)}))
        .collect();
    console.json(&json!({"schema": 1, "kind": "distribution", "photos": total, "labels": shares}))
}

fn comma_separated(sorted: &SortedPhotos<'_>, top: usize, console: &Console) -> anyhow::Result<()> {
    let top = top.min(sorted.set.labels.len() + sorted.set.background.len());
    let mut head: Vec<Field<'_>> = vec!["path".into(), "label".into()];
    head.extend((1..=top).flat_map(|n| [format!("label_{n}").into(), format!("probability_{n}").into()]));
    csv::record(&head, console)?;
    for (path, verdict) in &sorted.photos {
        let label = verdict.label.map_or("", |label| sorted.name(label));
        let mut fields: Vec<Field<'_>> = vec![path.as_path().into(), label.into()];
        let ranked = verdict.ranked.iter();
        fields.extend(ranked.flat_map(|(label, p)| [sorted.name(*label).into(), csv::number(format_args!("{p:.6}"))]));
        csv::record(&fields, console)?;
    }
    Ok(())
}

fn table(sorted: &SortedPhotos<'_>, console: &Console) -> anyhow::Result<()> {
    let room = console::width();
    let names: Vec<String> = sorted.photos.iter().map(|(path, _)| display_path(path)).collect();
    let photo = names.iter().map(|name| name.width()).max().unwrap_or(0).clamp(5, room * 2 / 5);
    let labels = sorted.photos.iter().map(|(_, verdict)| sanitize::text(sorted.label_of(verdict)).width());
    let label = labels.max().unwrap_or(0).clamp(5, room / 4);
    if !names.is_empty() {
        console.line(&console.style("2", &format!("{}  {}  likeliest", pad("photo", photo), pad("label", label))))?;
    }
    for (name, (_, verdict)) in names.iter().zip(&sorted.photos) {
        let ranked: Vec<String> = verdict
            .ranked
            .iter()
            .map(|(n, p)| {
                let percent = format!("{:.0} %", p * 100.0);
                if verdict.label == Some(*n) {
                    percent
                } else {
                    format!("{} {percent}", sanitize::text(sorted.name(*n)))
                }
            })
            .collect();
        let own = pad(&shorten(&sanitize::text(sorted.label_of(verdict)), label), label);
        let style = if verdict.label.is_some() { "1" } else { "2" };
        console.line(&format!(
            "{}  {}  {}",
            pad(&shorten(name, photo), photo),
            console.style(style, &own),
            console.style("2", &ranked.join(", "))
        ))?;
    }
    Ok(())
}

/// Shows how many photos each label has; on stderr if stdout is a table for programs.
fn shares(sorted: &SortedPhotos<'_>, csv: bool, console: &Console) -> anyhow::Result<()> {
    let total = sorted.photos.len();
    let with_none = |(label, photos): &(Option<&str>, usize)| label.is_some() || *photos > 0;
    let shares: Vec<_> = sorted.distribution().into_iter().filter(with_none).collect();
    let named = |label: Option<&str>| sanitize::text(label.unwrap_or(NONE));
    if csv || !console.terminal {
        let parts: Vec<String> = shares.iter().map(|(label, photos)| format!("{} {photos}", named(*label))).collect();
        console.note(format_args!("{}: {}", count(total, "photo"), parts.join(", ")));
        return Ok(());
    }
    let width = shares.iter().map(|(label, _)| named(*label).width()).max().unwrap_or(0).min(console::width() / 2);
    console.line("")?;
    for (label, photos) in shares {
        let share = share(photos, total);
        let bar = "█".repeat((share * 30.0).round() as usize);
        let name = pad(&shorten(&named(label), width), width);
        console.line(&format!("{name}  {photos:>6}  {:>4.0} %  {}", share * 100.0, console.style("2", &bar)))?;
    }
    Ok(())
}

fn share(photos: usize, total: usize) -> f64 {
    photos as f64 / total.max(1) as f64
}

fn sheet(sorted: &SortedPhotos<'_>, file: &Path, small: &ReadSmall, progress: &mut Progress<'_>) -> anyhow::Result<()> {
    let LabelSet { name, labels, .. } = sorted.set;
    let by = if name.is_empty() { shorten_end(&labels.join(", "), 120) } else { name.clone() };
    let mut sheet = Page::begin(file, &format!("Photos by {by}"), "")?;
    sheet.push("<main>")?;
    let total = sorted.photos.len();
    let mut done = 0;
    for group in sorted.photos.chunk_by(|a, b| a.1.label == b.1.label) {
        let Some((_, first)) = group.first() else { continue };
        let more = if group.len() > THUMBNAILS { format!("; the surest {THUMBNAILS}") } else { String::new() };
        let percent = share(group.len(), total) * 100.0;
        sheet.heading(sorted.label_of(first), &format!("{}, {percent:.0} %{more}", count(group.len(), "photo")))?;
        for photos in group.get(..group.len().min(THUMBNAILS)).unwrap_or_default().chunks(CHUNK) {
            if !progress.step("thumbnails", done, total) {
                return Err(Failure::interrupted());
            }
            let figure = |(path, verdict): &(PathBuf, Verdict)| {
                let ranked = verdict.ranked.iter().map(|(n, p)| format!("{} {:.0} %", sorted.name(*n), p * 100.0));
                page::figure(path, small, None, &ranked.collect::<Vec<_>>().join(" · "))
            };
            let figures: Vec<String> = photos.par_iter().map(figure).collect();
            figures.iter().try_for_each(|figure| sheet.push(figure))?;
            done += photos.len();
        }
        done += group.len().saturating_sub(THUMBNAILS);
    }
    sheet.push("</main>")?;
    sheet.finish()
}
