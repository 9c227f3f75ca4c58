//! Stacks: photos that were taken as one and count as one result, such as a raw file and the camera's JPEG of it, a
//! photo and the film that a phone took with it, an edited copy, or a burst.

use crate::catalogue::library::{Library, current_model};
use crate::catalogue::stored::text_of;
use crate::catalogue::writer::Writer;
use crate::catalogue::{paths, seal};
use crate::engine::Database;
use crate::error::Result;
use crate::search::vectors::{self, Vectors};
use std::collections::HashMap;
use std::ffi::OsStr;
use xxhash_rust::xxh3::xxh3_128;

/// Least cosine of photos of one burst.
const ALIKE: f32 = 0.9;
/// Most seconds between photos of one burst.
const BURST: f64 = 2.0;
/// Most seconds of a burst, and most photos: those of scanners may all have one date.
const LONGEST: f64 = 30.0;
const MOST: usize = 100;
/// Most seconds between files of one name that were taken as one.
const AS_ONE: f64 = 10.0;
/// What programs put behind the name of an edited copy.
const EDITED: [&str; 6] = ["-edited", "-bearbeitet", "-modifie", "-editado", "-modificato", "-bewerkt"];

/// That another photo, which has a file, stands for `photo p`.
pub(crate) const IS_COVERED: &str = "EXISTS (SELECT 1 FROM stack s JOIN file l ON l.photo = s.leader
    WHERE s.photo = p.id AND s.leader <> p.id)";

/// A file as far as it decides what it belongs to.
struct StackFile {
    photo: i64,
    path: Vec<u8>,
    format: String,
    /// In days.
    taken: Option<f64>,
    camera: Option<String>,
    is_edited: bool,
}

impl StackFile {
    /// The one with the highest rank stands for a stack.
    fn rank(&self) -> u8 {
        match self.format.as_str() {
            "video" => 0,
            "raw" => 1,
            _ if self.is_edited => 3,
            _ => 2,
        }
    }
}

impl Writer<'_> {
    /// Finds out anew which photos belong together.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub fn refresh_stacks(&mut self) -> Result<()> {
        let (files, joined) = self.library.sql(|db| {
            let files = files(db)?;
            let load = |model| Vectors::load(db, &model, &vectors::folder(self.library, &model));
            let vectors = current_model(db)?.map(load).transpose()?;
            let joined = join(&files, &|a, b| are_alike(db, vectors.as_ref(), a, b))?;
            Ok((files, joined))
        })?;
        let mut leaders: HashMap<usize, usize> = HashMap::new();
        for (at, root) in joined.iter().enumerate() {
            let best = leaders.entry(*root).or_insert(at);
            let order = |at: usize| files.get(at).map(|file| (std::cmp::Reverse(file.rank()), file.path.as_slice()));
            if order(at) < order(*best) {
                *best = at;
            }
        }
        let of = |at: &usize| files.get(*at).map_or(0, |file| file.photo);
        let mut now: Vec<(i64, i64)> =
            joined.iter().enumerate().filter_map(|(at, root)| Some((of(&at), of(leaders.get(root)?)))).collect();
        // Only what has company is written; files of one photo are one.
        now.sort_unstable();
        now.dedup_by_key(|(photo, _)| *photo);
        let mut sizes: HashMap<i64, usize> = HashMap::new();
        now.iter().for_each(|(_, leader)| *sizes.entry(*leader).or_default() += 1);
        now.retain(|(_, leader)| sizes.get(leader).is_some_and(|size| *size > 1));
        if self.library.sql(all)? == now {
            return Ok(());
        }
        self.write(|db| {
            db.execute("DELETE FROM stack", [])?;
            for (photo, leader) in &now {
                db.prepare_cached("INSERT INTO stack (photo, leader) VALUES (?1, ?2)")?.execute([photo, leader])?;
            }
            seal::STACK.seal(db, "true", [])
        })
    }
}

/// Each photo of a stack with the one that stands for it, by photo.
pub(crate) fn all(db: &Database) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut statement = db.prepare_cached("SELECT photo, leader FROM stack ORDER BY photo")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// As [`all`], but for stacks whose leader has no file any more.
pub(crate) fn standing(db: &Database) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut statement = db.prepare_cached(
        "SELECT photo, leader FROM stack s WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = s.leader) ORDER BY photo",
    )?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

impl Library {
    /// The other photos of a photo's stack, in the order of their ids.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn stack_of(&self, photo: i64) -> Result<Vec<i64>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT s.photo FROM stack o JOIN stack s ON s.leader = o.leader
                 WHERE o.photo = ?1 AND s.photo <> o.photo ORDER BY s.photo",
            )?;
            statement.query_map([photo], |row| row.get(0))?.collect()
        })
    }
}

fn files(db: &Database) -> rusqlite::Result<Vec<StackFile>> {
    let mut statement = db.prepare(
        "SELECT f.photo, f.path, p.format, CASE WHEN length(p.taken) > 10 THEN julianday(p.taken) END, p.camera
         FROM file f JOIN photo p ON p.id = f.photo ORDER BY f.path",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(StackFile {
            photo: row.get(0)?,
            path: row.get_ref(1)?.as_blob()?.to_vec(),
            format: text_of(row, 2)?,
            taken: row.get(3)?,
            camera: row.get_ref(4)?.as_bytes_or_null()?.map(|name| String::from_utf8_lossy(name).into_owned()),
            is_edited: false,
        })
    })?;
    let mut files: Vec<StackFile> = rows.collect::<rusqlite::Result<_>>()?;
    for file in &mut files {
        file.is_edited = edited(&stem(&file.path)).is_some();
    }
    Ok(files)
}

/// The name of a file without its ending, folded.
fn stem(path: &[u8]) -> String {
    let path = paths::from_bytes(path);
    paths::fold(&path.file_stem().unwrap_or(OsStr::new("")).to_string_lossy())
}

/// The name of the original of which this is the name of an edited copy.
fn edited(stem: &str) -> Option<String> {
    let behind = EDITED.iter().find_map(|mark| stem.strip_suffix(mark)).map(str::to_owned);
    // Apple's cameras call `IMG_0001` with its edits `IMG_E0001`.
    behind.or_else(|| {
        let number = stem.strip_prefix("img_e")?;
        (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("img_{number}"))
    })
}

/// For each file the first file that it belongs to.
fn join(files: &[StackFile], alike: &Alike<'_>) -> rusqlite::Result<Vec<usize>> {
    let mut sets = Sets((0..files.len()).collect());
    let mut by_name: HashMap<u128, Vec<usize>> = HashMap::new();
    let mut by_photo: HashMap<i64, usize> = HashMap::new();
    let of = |at: usize| files.get(at);
    for (at, file) in files.iter().enumerate() {
        if let Some(first) = by_photo.insert(file.photo, at) {
            sets.join(first, at);
        }
        let path = paths::from_bytes(&file.path);
        let folder = path.parent().map(paths::bytes).unwrap_or_default();
        let own = stem(&file.path);
        let name = edited(&own).unwrap_or(own);
        let key = xxh3_128(&[folder, b"\0", name.as_bytes()].concat());
        let others = by_name.entry(key).or_default();
        for other in others.iter() {
            if of(*other).map(|other| belong(other, file, alike)).transpose()?.unwrap_or_default() {
                sets.join(*other, at);
            }
        }
        others.push(at);
    }
    let mut dated: Vec<usize> = (0..files.len())
        .filter(|at| {
            of(*at).is_some_and(|file| file.taken.is_some() && file.camera.is_some() && file.format != "video")
        })
        .collect();
    dated.sort_by(|a, b| {
        let key = |at: usize| of(at).map(|file| (&file.camera, file.taken.unwrap_or_default()));
        key(*a).partial_cmp(&key(*b)).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b))
    });
    // The first photo of the burst, and how many there are.
    let mut burst = (dated.first().copied().unwrap_or_default(), 1);
    for pair in dated.windows(2) {
        let (Some((a, b)), Some(first)) = (of(pair[0]).zip(of(pair[1])), of(burst.0)) else { continue };
        let goes_on = a.camera == b.camera
            && apart(a, b) <= BURST
            && apart(first, b) <= LONGEST
            && burst.1 < MOST
            && alike(a.photo, b.photo)?;
        if goes_on {
            sets.join(pair[0], pair[1]);
        }
        burst = if goes_on { (burst.0, burst.1 + 1) } else { (pair[1], 1) };
    }
    Ok((0..files.len()).map(|at| sets.first(at)).collect())
}

/// Whether two files of one name in one folder, but for their endings, were taken as one.
fn belong(a: &StackFile, b: &StackFile, alike: &Alike<'_>) -> rusqlite::Result<bool> {
    let is_video = |file: &StackFile| file.format == "video";
    let are_dated = a.taken.is_some() && b.taken.is_some();
    if are_dated && apart(a, b) > AS_ONE {
        return Ok(false);
    }
    if is_video(a) != is_video(b) {
        return Ok(are_dated || alike(a.photo, b.photo)?);
    }
    let is_raw = |file: &StackFile| file.format == "raw";
    Ok(!is_video(a) && (is_raw(a) != is_raw(b) || a.is_edited != b.is_edited))
}

/// Seconds between two files; without end if either has no time.
fn apart(a: &StackFile, b: &StackFile) -> f64 {
    a.taken.zip(b.taken).map_or(f64::INFINITY, |(a, b)| ((a - b).abs() * 86_400.0).round())
}

/// Whether two photos have near embeddings.
type Alike<'a> = dyn Fn(i64, i64) -> rusqlite::Result<bool> + 'a;

fn are_alike(db: &Database, vectors: Option<&Vectors>, a: i64, b: i64) -> rusqlite::Result<bool> {
    let Some(vectors) = vectors else { return Ok(false) };
    let Some(row) = vectors.row(db, a)? else { return Ok(false) };
    Ok(vectors.cosines(db, &row, &[b])?.values().any(|cosine| *cosine >= ALIKE))
}

/// Disjoint sets of positions; the lowest of each stands for it.
struct Sets(Vec<usize>);

impl Sets {
    fn first(&mut self, of: usize) -> usize {
        let mut at = of;
        while let Some(next) = self.0.get(at).copied().filter(|next| *next != at) {
            // Paths are halved on the way, so that long chains stay cheap.
            let after = self.0.get(next).copied().unwrap_or(next);
            if let Some(link) = self.0.get_mut(at) {
                *link = after;
            }
            at = after;
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        if let Some(link) = self.0.get_mut(a.max(b)) {
            *link = a.min(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(photo: i64, path: &str, format: &str, second: Option<f64>) -> StackFile {
        let is_edited = edited(&stem(path.as_bytes())).is_some();
        let taken = second.map(|second| 2_458_000.5 + second / 86_400.0);
        StackFile { photo, path: path.into(), format: format.into(), taken, camera: None, is_edited }
    }

    #[test]
    fn names_tell_what_belongs_together() {
        let files = [
            file(1, "/a/IMG_1.jpg", "jpeg", Some(0.0)),
            file(2, "/a/IMG_1.nef", "raw", Some(0.0)),
            file(3, "/a/img_1-edited.jpg", "jpeg", None),
            file(4, "/a/IMG_10.jpg", "jpeg", Some(0.0)),
            file(5, "/b/IMG_1.jpg", "jpeg", Some(0.0)),
            file(6, "/b/IMG_1.png", "png", Some(0.0)),
            file(7, "/c/IMG_2.heic", "heic", Some(5.0)),
            file(8, "/c/IMG_2.mov", "video", Some(3.0)),
            file(9, "/c/IMG_3.heic", "heic", Some(5.0)),
            file(10, "/c/IMG_3.mov", "video", Some(500.0)),
            file(11, "/d/IMG_0007.heic", "heic", None),
            file(12, "/d/IMG_E0007.heic", "heic", None),
        ];
        assert_eq!(join(&files, &|_, _| Ok(false)).unwrap(), [0, 0, 0, 3, 4, 5, 6, 6, 8, 9, 10, 10]);
        let ranks: Vec<u8> = files.iter().map(StackFile::rank).collect();
        assert!(ranks[2] > ranks[0] && ranks[0] > ranks[1] && ranks[1] > ranks[7]);
    }

    #[test]
    fn sets_stay_right_in_long_chains() {
        let mut sets = Sets((0..10_000).collect());
        (1..10_000).for_each(|at| sets.join(at - 1, at));
        assert!((0..10_000).all(|at| sets.first(at) == 0));
    }
}
