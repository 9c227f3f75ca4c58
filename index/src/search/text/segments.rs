//! The files of the full-text cache: how the next one is made and read. Each has one tantivy segment, made in memory.

use super::{FIELDS, Failed, LENGTHS, TOKENIZER, analyzer, open, schema, split};
use crate::catalogue::change_log::Stamp;
use crate::catalogue::stored::{LISTED, list_of, text_of};
use crate::catalogue::told;
use crate::engine::{Database, SqlRow};
use crate::error::Result;
use crate::search::cache::{self, Cache, Head};
use crate::search::segments::{Limits, SegmentKind};
use rusqlite::types::ValueRef;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use tantivy::directory::{Directory, RamDirectory};
use tantivy::{Index, TantivyDocument, TantivyError};

/// How many photos are read at once: a server is asked about many in the time of one.
const TOGETHER: usize = 1_000;

/// The sections of a file: the names and lengths of tantivy's files, and their bytes; what BM25 must know of all photos
/// has its own.
const NAMES: usize = 2;
const BYTES: usize = 1;
const LENGTHS_OF: usize = 3;
const META: &str = "meta.json";

/// An index in memory, whose documents are those of the photos `ids`, one each, in this order.
pub(super) struct Indexed {
    pub(super) index: Index,
    pub(super) ids: Vec<i64>,
    directory: RamDirectory,
}

/// Indexes those of `some` photos (ascending) that have a file, until `progress` (photos done) returns `false`.
pub(super) fn index(db: &Database, some: &[i64], progress: &mut dyn FnMut(u64) -> bool) -> Result<Indexed, Failed> {
    let (schema, [tags, names, camera, caption, text, place, written]) = schema();
    let builder = Index::builder().schema(schema);
    let directory = RamDirectory::create();
    let manager = tantivy::tokenizer::TokenizerManager::default();
    manager.register(TOKENIZER, analyzer(false));
    let mut writer = builder.tokenizers(manager).single_segment_index_writer(directory.clone(), 50_000_000)?;
    let mut ids = Vec::with_capacity(some.len());
    for chunk in some.chunks(TOGETHER) {
        for (id, said) in said_of(db, chunk)? {
            let mut document = TantivyDocument::new();
            for (field, words) in
                [caption, text, camera, camera, place].into_iter().chain([written; 7]).zip(&said.facts)
            {
                if let Some(words) = words {
                    document.add_text(field, split(words));
                }
            }
            said.names.iter().for_each(|name| document.add_text(written, split(name)));
            said.labels.iter().for_each(|label| document.add_text(tags, split(label)));
            let mut known = HashSet::new();
            for name in said.files.iter().flat_map(|(path, root)| names_of(path, root)) {
                if known.insert(name.clone()) {
                    document.add_text(names, split(&name));
                }
            }
            writer.add_document(document)?;
            ids.push(id);
        }
        if !progress(ids.len() as u64) {
            break;
        }
    }
    Ok(Indexed { index: writer.finalize()?, ids, directory })
}

/// What is indexed of a photo.
#[derive(Default)]
struct PhotoWords {
    /// Caption, text in the picture, camera, lens, place, and what its owner wrote.
    facts: Vec<Option<String>>,
    names: Vec<String>,
    labels: Vec<String>,
    /// Path and root of its files.
    files: Vec<(PathBuf, PathBuf)>,
}

/// What is said of those of some photos that have a file, by their ids.
fn said_of(db: &Database, some: &[i64]) -> rusqlite::Result<BTreeMap<i64, PhotoWords>> {
    const FACTS: usize = 12;
    let list = list_of(some);
    let mut all: BTreeMap<i64, PhotoWords> = BTreeMap::new();
    let mut each = |sql: &str, take: fn(&mut PhotoWords, &SqlRow<'_>) -> rusqlite::Result<()>| {
        let sql = sql.replace("LISTED", LISTED);
        db.prepare_cached(&sql)?.for_each([&list], |row| {
            take(all.entry(row.get(0)?).or_default(), row)?;
            Ok(true)
        })
    };
    each("SELECT photo, path, root FROM file WHERE photo LISTED ORDER BY photo, path", |said, row| {
        said.files.push((row.stored_path(1)?, row.stored_path(2)?));
        Ok(())
    })?;
    each(
        "SELECT p.id, c.text, nullif(r.text, ''), p.camera, p.lens, p.place, p.title, p.description, p.creator, p.location,
         p.city, p.region, p.country FROM photo p LEFT JOIN caption c ON c.photo = p.id
         LEFT JOIN reading r ON r.photo = p.id WHERE p.id LISTED",
        |said, row| {
            for at in 1..=FACTS {
                let is_known = row.get_ref(at)? != ValueRef::Null;
                said.facts.push(if is_known { Some(text_of(row, at)?) } else { None });
            }
            Ok(())
        },
    )?;
    each("SELECT photo, label FROM tag WHERE photo LISTED ORDER BY photo, position", |said, row| {
        said.labels.push(text_of(row, 1)?);
        Ok(())
    })?;
    // Without a file it is not found.
    all.retain(|_, said| !said.files.is_empty());
    for (id, (keywords, people)) in told::names_of_all(db, &list)? {
        if let Some(said) = all.get_mut(&id) {
            said.names = [keywords, people].concat();
        }
    }
    Ok(all)
}

/// The names that a photo can be found by: its file's without the extension, and its folders', from the root down.
pub(super) fn names_of(path: &Path, root: &Path) -> Vec<String> {
    let below = root.parent().and_then(|above| path.strip_prefix(above).ok()).unwrap_or(path);
    let folders = below.parent().into_iter().flat_map(Path::components).map(|c| c.as_os_str());
    let mut names: Vec<String> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
    names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    names
}

/// Brings the cache up to date where that is worth it, one generation after the other. Returns `false` if `progress`
/// (photos done, total) stopped it.
pub(crate) fn refresh(
    db: &Database,
    kind: &SegmentKind<'_>,
    limits: Limits,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Result<bool>, Failed> {
    loop {
        let newest = Stamp::newest(db)?;
        let segments = kind.open_or_begin(db)?;
        let Some(plan) = segments.plan(limits, newest, &|_| false) else { return Ok(Ok(true)) };
        let mut photos = plan.read.clone();
        for (segment, live) in segments.merged(&plan) {
            photos.extend(live.into_iter().filter_map(|row| segment.ids().get(row)));
        }
        photos.sort_unstable();
        photos.dedup();
        let total = photos.len() as u64;
        let mut go_on = progress(0, total);
        let indexed = index(db, &photos, &mut |done| {
            go_on = go_on && progress(done, total);
            go_on
        })?;
        if !go_on {
            return Ok(Ok(false));
        }
        let (names, bytes) = pack(&indexed)?;
        let lengths = lengths(&indexed.index)?;
        let (list, keep, traits) = segments.beside(&plan);
        let head = Head { stamp: plan.stamp, basis: kind.basis, numbers: [0, 0, 0, traits] };
        let sections = [
            bytemuck::cast_slice(&indexed.ids),
            &bytes,
            names.as_bytes(),
            bytemuck::cast_slice(&lengths),
            bytemuck::cast_slice(&list),
        ];
        if let Err(error) = cache::write(kind.folder, &head, &sections, &keep) {
            return Ok(Err(error));
        }
    }
}

/// Of each field, how many photos have anything in it, and how many words they have, as precisely as BM25 knows the
/// length of a field.
pub(super) fn lengths(index: &Index) -> tantivy::Result<[u64; LENGTHS]> {
    let mut lengths = [0; LENGTHS];
    let (_, fields) = schema();
    for segment in open(index)?.segment_readers() {
        for (at, field) in fields.iter().enumerate() {
            let norms = segment.get_fieldnorms_reader(*field)?;
            for words in (0..segment.max_doc()).map(|photo| norms.fieldnorm(photo)).filter(|words| *words > 0) {
                lengths[at] += 1;
                lengths[FIELDS.len() + at] += u64::from(words);
            }
        }
    }
    Ok(lengths)
}

/// The same, as a cache file has them.
pub(super) fn lengths_in(cache: &Cache) -> Option<&[u64; LENGTHS]> {
    cache.section::<u64>(LENGTHS_OF)?.try_into().ok()
}

/// The files of an index: a list with one line `name length` for each, and their bytes one after the other.
fn pack(Indexed { index, directory, .. }: &Indexed) -> tantivy::Result<(String, Vec<u8>)> {
    let mut names: Vec<PathBuf> = index.directory().list_managed_files().into_iter().collect();
    names.push(PathBuf::from(META));
    names.sort();
    names.dedup();
    let (mut list, mut all) = (String::new(), Vec::new());
    for name in names {
        // A managed file may not have been written.
        if !directory.exists(&name)? {
            continue;
        }
        let bytes = directory.open_read(&name)?.read_bytes().map_err(TantivyError::from)?;
        list.push_str(&format!("{} {}\n", name.display(), bytes.len()));
        all.extend_from_slice(&bytes);
    }
    Ok((list, all))
}

/// The index in a cache file.
pub(super) fn unpack(cache: &Cache) -> tantivy::Result<Index> {
    let wrong = || TantivyError::InternalError("its list of files is wrong".into());
    let list = cache.section::<u8>(NAMES).and_then(|list| std::str::from_utf8(list).ok()).ok_or_else(wrong)?;
    let mut rest = cache.section::<u8>(BYTES).ok_or_else(wrong)?;
    let directory = RamDirectory::create();
    for line in list.lines() {
        let (name, length) = line.rsplit_once(' ').ok_or_else(wrong)?;
        let length: usize = length.parse().map_err(|_| wrong())?;
        let (bytes, after) = rest.split_at_checked(length).ok_or_else(wrong)?;
        rest = after;
        directory.atomic_write(Path::new(name), bytes)?;
    }
    Index::open(directory)
}
