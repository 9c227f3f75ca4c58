//! The map of a library as SVG and as a page.

use super::ReadSmall;
use super::page::{self, Page, escape};
use crate::terminal::progress::StepFn;
use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use unicode_width::UnicodeWidthStr;

/// Edge of the square with the photos, and the margin around it, in SVG units.
const EDGE: f32 = 1600.0;
const MARGIN: f32 = 60.0;
/// Up to this number of photos, each has a thumbnail.
const ALL: usize = 600;
/// Maximum number of thumbnails among the dots of a larger library, and their edge in SVG units.
const SOME: usize = 150;
const THUMBNAIL: f32 = 64.0;

/// Width of a letter and height of a line of the names, in SVG units, and the most letters of a name.
const LETTER: f32 = 13.5;
const LINE: f32 = 30.0;
const LONGEST_LABEL: usize = 48;

/// A photo on the map.
#[derive(Clone, Copy, Debug)]
pub struct MapPhoto {
    /// Its id.
    pub id: i64,
    /// From 0 (left) to 1.
    pub x: f32,
    /// From 0 (top) to 1.
    pub y: f32,
    /// The position of its cluster's name in [`MapDrawing::names`].
    pub cluster: Option<usize>,
    /// Its cosine with the cluster's centroid.
    pub cosine: f32,
}

/// A map: photos, and the names of their clusters.
#[derive(Clone, Debug)]
pub struct MapDrawing {
    /// The photos.
    pub photos: Vec<MapPhoto>,
    /// The names of the clusters.
    pub names: Vec<String>,
}

impl MapDrawing {
    /// The map as a self-contained SVG element. A small library is drawn as thumbnails of all photos, each in the free
    /// grid cell nearest to its position; a large one as dots and some thumbnails. `small` reads the thumbnails. `None`
    /// if `report` returned false.
    ///
    /// # Errors
    /// `path_of` fails. A photo that cannot be read is drawn as an empty frame.
    pub fn svg(
        &self,
        path_of: &dyn Fn(i64) -> anyhow::Result<Option<PathBuf>>,
        small: &ReadSmall,
        report: &mut StepFn<'_>,
    ) -> anyhow::Result<Option<String>> {
        let size = EDGE + 2.0 * MARGIN;
        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {size} {size}' font-family='system-ui,sans-serif'>\
             <title>A map of photos</title><rect width='{size}' height='{size}' fill='#fdfdfb'/>\n"
        );
        let few = self.photos.len() <= ALL;
        // A few cells more than photos, so that a photo finds a free one near its place.
        let columns = (1.2 * self.photos.len() as f32).sqrt().ceil().max(4.0);
        let cell = if few { EDGE / (columns - 1.0) } else { THUMBNAIL };
        let shown = if few { self.photos.iter().collect() } else { self.chosen(cell) };
        if !few {
            for photo in &self.photos {
                let (x, y) = at(photo);
                writeln!(svg, "<circle cx='{x:.1}' cy='{y:.1}' r='2.2' fill='{}'/>", colour(photo.cluster))?;
            }
        }
        let places = if few { spread(&shown, cell) } else { shown.iter().map(|photo| at(photo)).collect() };
        for (n, (photo, (x, y))) in shown.iter().zip(places).enumerate() {
            if !report(n, shown.len()) {
                return Ok(None);
            }
            let path = path_of(photo.id)?;
            let edge = cell * 0.9;
            let (left, top) = (x - edge / 2.0, y - edge / 2.0);
            let name = path.as_deref().map(crate::terminal::text::display_path).unwrap_or_default();
            let cluster = photo.cluster.and_then(|at| self.names.get(at)).map_or("no cluster", String::as_str);
            write!(svg, "<g><title>{} ({})</title>", escape(&name), escape(cluster))?;
            // Twice as many pixels as SVG units, so that zooming in shows more.
            let jpeg = path.and_then(|path| page::thumbnail(&path, (edge * 2.0) as u32, small).ok());
            if let Some(jpeg) = jpeg {
                write!(
                    svg,
                    "<image x='{left:.1}' y='{top:.1}' width='{edge:.1}' height='{edge:.1}' \
                     preserveAspectRatio='xMidYMid slice' href='data:image/jpeg;base64,{jpeg}'/>"
                )?;
            }
            writeln!(
                svg,
                "<rect x='{left:.1}' y='{top:.1}' width='{edge:.1}' height='{edge:.1}' fill='none' \
                 stroke='{}' stroke-width='3'/></g>",
                colour(photo.cluster)
            )?;
        }
        for NameLabel { cluster, text, x, y, .. } in self.labels() {
            writeln!(
                svg,
                "<text x='{x:.1}' y='{y:.1}' text-anchor='middle' font-size='24' font-weight='600' fill='{}' \
                 stroke='#fff' stroke-width='6' paint-order='stroke'>{}</text>",
                ink(Some(cluster)),
                escape(&text)
            )?;
        }
        svg.push_str("</svg>");
        Ok(Some(svg))
    }

    /// Writes a page with the map and the list of clusters.
    ///
    /// # Errors
    /// As [`Page::begin`].
    pub fn page(&self, file: &Path, title: &str, svg: &str) -> anyhow::Result<()> {
        let mut page = Page::begin(file, title, "svg{width:100%;max-width:1400px;height:auto}b{font-weight:600}")?;
        page.push(svg)?;
        page.push("<ul>")?;
        let names = self.names.iter().map(String::as_str).enumerate().map(|(cluster, name)| (Some(cluster), name));
        for (cluster, name) in names.chain([(None, "no cluster")]) {
            let count = crate::terminal::text::count(
                self.photos.iter().filter(|photo| photo.cluster == cluster).count(),
                "photo",
            );
            let (colour, name) = (colour(cluster), escape(name));
            page.push(&format!("<li><b style='color:{colour}'>■</b> {name} <small>{count}</small></li>\n"))?;
        }
        page.push("</ul>")?;
        page.finish()
    }

    /// The names of the clusters, each as near to the middle of its photos as it can be without leaving the picture or
    /// covering another name; those of large clusters first.
    fn labels(&self) -> Vec<NameLabel> {
        let size = EDGE + 2.0 * MARGIN;
        let mut sizes = vec![0_usize; self.names.len()];
        for cluster in self.photos.iter().filter_map(|photo| photo.cluster).filter(|at| *at < self.names.len()) {
            sizes[cluster] += 1;
        }
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by_key(|cluster| std::cmp::Reverse(sizes[*cluster]));
        let mut labels: Vec<NameLabel> = Vec::new();
        for cluster in order {
            let Some((middle, base)) = self.middle(cluster) else { continue };
            let text = crate::terminal::text::shorten_end(&self.names[cluster], LONGEST_LABEL);
            // Estimated: the font is the reader's.
            let half = (text.width() as f32 * LETTER / 2.0).min(size / 2.0);
            let at = |row: i32| NameLabel {
                cluster,
                text: text.clone(),
                x: middle.max(half).min(size - half),
                y: (base + row as f32 * LINE).clamp(LINE, size - LINE / 3.0),
                half,
            };
            // Up and down in turn, ever further away.
            let rows = (0..2 * (size / LINE) as i32).map(|n| if n % 2 == 0 { n / 2 } else { -(n + 1) / 2 });
            let free = rows.map(at).find(|label| !labels.iter().any(|other| label.covers(other)));
            labels.extend(free);
        }
        labels
    }

    /// Where a cluster's name goes: the median position of its photos.
    fn middle(&self, cluster: usize) -> Option<(f32, f32)> {
        let inside: Vec<(f32, f32)> =
            self.photos.iter().filter(|photo| photo.cluster == Some(cluster)).map(at).collect();
        let median = |of: fn(&(f32, f32)) -> f32| {
            let mut values: Vec<f32> = inside.iter().map(of).collect();
            values.sort_by(f32::total_cmp);
            values.get(values.len() / 2).copied()
        };
        Some((median(|spot| spot.0)?, median(|spot| spot.1)?))
    }

    /// Photos whose thumbnails do not overlap, those nearest to their centroids first.
    fn chosen(&self, cell: f32) -> Vec<&MapPhoto> {
        let mut order: Vec<&MapPhoto> = self.photos.iter().collect();
        order.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.id.cmp(&b.id)));
        let mut chosen: Vec<&MapPhoto> = Vec::new();
        let apart = |a: &MapPhoto, b: &MapPhoto| {
            let ((ax, ay), (bx, by)) = (at(a), at(b));
            (ax - bx).abs() >= cell || (ay - by).abs() >= cell
        };
        for photo in order {
            if chosen.len() >= SOME {
                break;
            }
            if chosen.iter().all(|other| apart(photo, other)) {
                chosen.push(photo);
            }
        }
        chosen
    }
}

/// The name of a cluster on the map.
struct NameLabel {
    cluster: usize,
    text: String,
    /// Its middle, and its base line.
    x: f32,
    y: f32,
    /// Half of its width.
    half: f32,
}

impl NameLabel {
    fn covers(&self, other: &Self) -> bool {
        (self.x - other.x).abs() < self.half + other.half && (self.y - other.y).abs() < LINE
    }
}

fn at(photo: &MapPhoto) -> (f32, f32) {
    (MARGIN + photo.x * EDGE, MARGIN + photo.y * EDGE)
}

/// Moves each photo to the nearest free cell of a grid.
fn spread(photos: &[&MapPhoto], cell: f32) -> Vec<(f32, f32)> {
    let columns = (EDGE / cell).round().max(1.0) as i32 + 1;
    let mut free: HashSet<(i32, i32)> = (0..columns).flat_map(|x| (0..columns).map(move |y| (x, y))).collect();
    let middle = |(x, y): (i32, i32)| (MARGIN + x as f32 * cell, MARGIN + y as f32 * cell);
    let mut places = Vec::with_capacity(photos.len());
    for photo in photos {
        let (x, y) = at(photo);
        let gap = |place: &(i32, i32)| {
            let (a, b) = middle(*place);
            (a - x).hypot(b - y)
        };
        let nearest = free.iter().copied().min_by(|a, b| gap(a).total_cmp(&gap(b)).then(a.cmp(b)));
        if let Some(place) = nearest {
            free.remove(&place);
            places.push(middle(place));
        } else {
            places.push((x, y));
        }
    }
    places
}

/// Distinct hues, spaced by the golden angle; grey for photos in no cluster.
fn colour(cluster: Option<usize>) -> String {
    cluster.map_or("#b9b9b9".into(), |n| format!("hsl({:.0},65%,50%)", n as f32 * 137.508 % 360.0))
}

/// The same hue, dark enough for text.
fn ink(cluster: Option<usize>) -> String {
    cluster.map_or("#555".into(), |n| format!("hsl({:.0},70%,28%)", n as f32 * 137.508 % 360.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_photo_has_a_place_of_its_own_and_names_stay_text() {
        let photo = |id| MapPhoto { id, x: 0.5, y: 0.5, cluster: Some(0), cosine: 0.5 };
        let chart = MapDrawing { photos: (0..50).map(photo).collect(), names: vec!["<script>\u{1b}".into()] };
        let places = spread(&chart.photos.iter().collect::<Vec<_>>(), 60.0);
        let distinct: HashSet<(i32, i32)> = places.iter().map(|(x, y)| (*x as i32, *y as i32)).collect();
        assert_eq!(distinct.len(), 50);
        let hostile = |_| Ok(Some(PathBuf::from("/nowhere/a'><script>.jpg")));
        let unreadable = |_: &Path, _: u32| anyhow::bail!("no such photo");
        let svg = chart.svg(&hostile, &unreadable, &mut |_, _| true).unwrap().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        chart.page(file.path(), "<b>", &svg).unwrap_err();
        std::fs::remove_file(file.path()).unwrap();
        chart.page(file.path(), "<b>", &svg).unwrap();
        for text in [&svg, &std::fs::read_to_string(file.path()).unwrap()] {
            assert!(!text.contains("<script") && text.contains("&lt;script&gt;") && !text.contains('\u{1b}'));
        }
        assert_eq!(chart.svg(&hostile, &unreadable, &mut |_, _| false).unwrap(), None);
    }

    #[test]
    fn names_cover_each_other_nowhere_and_stay_in_the_picture() {
        for corner in [0.0, 0.5, 1.0] {
            let photo = |n: usize| MapPhoto { id: 1, x: corner, y: corner, cluster: Some(n % 30), cosine: 0.5 };
            let names = (0..30).map(|n| format!("a name of a cluster, number {n}")).collect();
            let labels = MapDrawing { photos: (0..300).map(photo).collect(), names }.labels();
            assert_eq!(labels.len(), 30);
            for (n, label) in labels.iter().enumerate() {
                assert!(label.x - label.half >= 0.0 && label.x + label.half <= EDGE + 2.0 * MARGIN);
                assert!(label.y >= LINE && label.y <= EDGE + 2.0 * MARGIN);
                assert!(labels[..n].iter().all(|other| !label.covers(other)));
            }
        }
    }

    #[test]
    fn the_photos_of_a_small_library_fill_the_plane() {
        let photo = |n: usize| MapPhoto { id: 1, x: 0.5, y: n as f32 / 99.0, cluster: None, cosine: 0.5 };
        let photos: Vec<MapPhoto> = (0..99).map(photo).collect();
        let places = spread(&photos.iter().collect::<Vec<_>>(), EDGE / 10.0);
        let columns: HashSet<i32> = places.iter().map(|(x, _)| *x as i32).collect();
        assert!(columns.len() >= 9, "{} columns", columns.len());
    }
}
