//! `describe`: what a folder or the whole library contains.

use super::selection;
use crate::cli::DescribeArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::{self, csv};
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use serde_json::json;
use snapseek_index::{Hit, Library};
use std::collections::HashMap;
use std::path::Path;

/// Maximum number of entries in a list.
const MOST: usize = 10;

pub(super) fn describe(args: &DescribeArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let folder = args.folder.as_deref().map(|folder| match folder.canonicalize() {
        Ok(folder) => Ok(folder),
        // The folder may be on a disk that was indexed and is not mounted now.
        Err(_) => std::path::absolute(folder),
    });
    let folder = folder.transpose()?;
    let searcher = library.searcher()?;
    let photos = match &folder {
        Some(folder) => selection::below(folder, &searcher)?,
        None => searcher.photos(&searcher.embeddings()?.iter().map(|(id, _)| *id).collect::<Vec<_>>())?,
    };
    if photos.is_empty() {
        let place = args.folder.as_ref().map_or(String::new(), |folder| format!(" in {}", sanitize::path(folder)));
        return Err(Failure::missing(format!("the library contains no photos{place}; `snapseek index` adds them")));
    }
    let summary = FolderSummary::of(&photos, &library)?;
    if settings.json {
        summary.json(args.folder.as_deref(), console)?
    } else if args.csv {
        summary.csv(console)?
    } else {
        summary.print(console)?
    }
    Ok(Exit::Success)
}

/// Names with the number of photos of each, highest first (years: in their order).
type Counts = Vec<(String, usize)>;

struct FolderSummary {
    photos: usize,
    files: usize,
    bytes: u64,
    captioned: usize,
    placed: usize,
    /// First and last day on which photos were taken.
    taken: Option<(String, String)>,
    years: Counts,
    cameras: Counts,
    formats: Counts,
    tags: Counts,
    clusters: Counts,
}

impl FolderSummary {
    fn of(photos: &[Hit], library: &Library) -> anyhow::Result<Self> {
        let names: HashMap<i64, String> =
            library.clusters()?.into_iter().map(|cluster| (cluster.id, cluster.name)).collect();
        let places: HashMap<i64, i64> =
            library.members()?.iter().filter_map(|member| Some((member.photo, member.cluster?))).collect();
        let cluster = |photo: &Hit| Some(names.get(places.get(&photo.id)?)?.clone());
        let mut dates: Vec<&str> = photos.iter().filter_map(|photo| photo.facts.metadata.taken.as_deref()).collect();
        dates.sort_unstable();
        let day = |date: &&str| date.chars().take(10).collect::<String>();
        Ok(Self {
            photos: photos.len(),
            files: photos.iter().map(|photo| photo.paths.len()).sum(),
            bytes: photos.iter().map(|photo| photo.size).sum(),
            captioned: photos.iter().filter(|photo| photo.caption.is_some()).count(),
            placed: photos.iter().filter(|photo| photo.facts.metadata.latitude.is_some()).count(),
            taken: dates.first().map(day).zip(dates.last().map(day)),
            years: by_name(counts(dates.iter().map(|date| date.chars().take(4).collect()))),
            cameras: counts(photos.iter().filter_map(|photo| photo.facts.metadata.camera.clone())),
            formats: counts(photos.iter().map(|photo| photo.facts.format.clone())),
            tags: counts(photos.iter().flat_map(|photo| photo.tags.iter().map(|tag| tag.label.clone()))),
            clusters: counts(photos.iter().filter_map(cluster)),
        })
    }

    /// Name by name, what there is and how often.
    fn lists(&self) -> [(&'static str, &Counts); 5] {
        [
            ("years", &self.years),
            ("cameras", &self.cameras),
            ("formats", &self.formats),
            ("tags", &self.tags),
            ("clusters", &self.clusters),
        ]
    }

    fn csv(&self, console: &Console) -> anyhow::Result<()> {
        csv::record(&["kind", "name", "number"].map(Into::into), console)?;
        let (first, last) = self.taken.clone().unwrap_or_default();
        for (kind, name, number) in [
            ("photos", String::new(), self.photos as u64),
            ("files", String::new(), self.files as u64),
            ("bytes", String::new(), self.bytes),
            ("captioned", String::new(), self.captioned as u64),
            ("with place", String::new(), self.placed as u64),
            ("first", first, 1),
            ("last", last, 1),
        ] {
            if matches!(kind, "first" | "last") && name.is_empty() {
                continue;
            }
            csv::record(&[kind.into(), name.into(), csv::number(number)], console)?;
        }
        for (kind, counts) in self.lists() {
            for (name, number) in counts {
                csv::record(&[kind.into(), name.as_str().into(), csv::number(number)], console)?;
            }
        }
        Ok(())
    }

    fn print(&self, console: &Console) -> anyhow::Result<()> {
        let row =
            |name: &str, value: &str| console.line(&format!("{} {value}", console.style("2", &format!("{name:<10}"))));
        let list = |counts: &Counts| {
            let shown: Vec<String> =
                counts.iter().take(MOST).map(|(name, n)| format!("{} {n}", sanitize::text(name))).collect();
            let more = counts.len().saturating_sub(MOST);
            if more > 0 { format!("{} and {more} more", shown.join(" · ")) } else { shown.join(" · ") }
        };
        row("photos", &format!("{} in {} ({})", self.photos, text::count(self.files, "file"), text::size(self.bytes)))?;
        if let Some((first, last)) = &self.taken {
            row("taken", &format!("{} to {}", sanitize::text(first), sanitize::text(last)))?;
        }
        for (name, counts) in self.lists() {
            if !counts.is_empty() {
                row(name, &list(counts))?;
            }
        }
        for (name, n) in [("captioned", self.captioned), ("with place", self.placed)] {
            if n > 0 {
                row(name, &n.to_string())?;
            }
        }
        if self.files > self.photos {
            row("copies", &format!("{} (files that show the same picture as another file)", self.files - self.photos))?;
        }
        if self.clusters.is_empty() {
            console.note("`snapseek cluster` groups the photos");
        }
        Ok(())
    }

    fn json(&self, folder: Option<&Path>, console: &Console) -> anyhow::Result<()> {
        let list = |counts: &Counts| -> Vec<_> {
            counts.iter().take(100).map(|(name, n)| json!({"name": name, "photos": n})).collect()
        };
        let mut value = json!({"schema": 1, "photos": self.photos, "files": self.files, "bytes": self.bytes,
            "first": self.taken.as_ref().map(|taken| &taken.0), "last": self.taken.as_ref().map(|taken| &taken.1),
            "years": list(&self.years), "cameras": list(&self.cameras), "formats": list(&self.formats),
            "tags": list(&self.tags), "clusters": list(&self.clusters), "captioned": self.captioned,
            "with_place": self.placed, "copies": self.files - self.photos});
        if let Some(folder) = folder {
            output::put_path(&mut value, folder);
        }
        console.json(&value)
    }
}

fn by_name(mut counts: Counts) -> Counts {
    counts.sort();
    counts
}

fn counts(names: impl Iterator<Item = String>) -> Counts {
    let mut counts: HashMap<String, usize> = HashMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    let mut counts: Counts = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
}
