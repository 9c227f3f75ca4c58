//! Copies of one picture in a library: exact ones by their content, changed ones by what they look like.
//!
//! Looks decide; embeddings bring candidates and settle doubtful cases. Embeddings could not decide alone: two photos
//! of one castle have a cosine of 0.95, while a photo and its turned copy may have 0.

pub mod alike;
pub mod candidates;
mod effort;
pub mod keep;
pub mod look_file;
pub mod looks;
pub mod tones;

use crate::search::photo_file;
use crate::terminal::progress::Progress;
use crate::terminal::sanitize;
use alike::{Fit, Likeness, Turns};
use candidates::Candidate;
use effort::Effort;
use look_file::LookFile;
use rayon::prelude::*;
use snapseek_index::{Hit, Library, PhotoFile, PhotoFiles, Searcher};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use tones::Tones;

/// The default for the cosine from which a good likeness is enough.
pub const NEAR: f32 = 0.96;
/// Likeness, of the whole and of each region, from which two photos are copies if their cosine is high enough.
const LIKELY: (f32, f32) = (0.9, 0.7);
/// Likeness from which two photos are copies whatever their cosine.
const SURE: (f32, f32) = (0.95, 0.8);

/// Which duplicates to look for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CopyKinds {
    /// Files with exactly the same content.
    Exact,
    /// Changed copies (and exact copies of these), with the cosine from which a good likeness is enough.
    Near(f32),
    /// Both; the cosine as for `Near`.
    Both(f32),
}

/// Files that show the same picture.
#[derive(Clone, Debug)]
pub struct CopyGroup {
    /// Its photos, the one to keep first; only one if all files show the same picture to the bit.
    pub photos: Vec<CopyMember>,
    /// Why the first file of the first photo is the one to keep, in words.
    pub reason: String,
}

/// A photo of a group.
#[derive(Clone, Debug)]
pub struct CopyMember {
    /// What the library knows about it.
    pub hit: Hit,
    /// Its files that exist unchanged, the one to keep first.
    pub files: Vec<PhotoFile>,
    /// How sharp it is and what colour and contrast it has, if changed copies were looked for.
    pub quality: Option<Quality>,
    /// How it is like the photo to keep; `None` for that photo itself.
    pub likeness: Option<Likeness>,
    /// Cosine with the photo to keep.
    pub cosine: Option<f32>,
}

/// What tells the better of two copies.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// As [`looks::Look::sharpness`].
    pub sharpness: f32,
    /// Its colour and contrast.
    pub tones: Tones,
}

/// What a search for duplicates found.
#[derive(Clone, Debug, Default)]
pub struct DuplicateGroups {
    /// The groups, those that waste most bytes first.
    pub groups: Vec<CopyGroup>,
    /// Files that could not be read, with the reason, safe to show.
    pub problems: Vec<String>,
}

impl CopyGroup {
    /// Its files: those of the first photo, then of the others.
    pub fn files(&self) -> impl Iterator<Item = (&CopyMember, &PhotoFile)> {
        self.photos.iter().flat_map(|member| member.files.iter().map(move |file| (member, file)))
    }

    /// Whether all files are equal to the bit, with all that they say about the picture.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        let first = self.files().next().map(|(_, file)| file.hash);
        self.files().all(|(_, file)| Some(file.hash) == first)
    }

    /// Bytes of all files but the one to keep.
    #[must_use]
    pub fn wasted(&self) -> u64 {
        self.files().skip(1).map(|(_, file)| file.stamp.size).sum()
    }
}

/// Candidates that are compared together.
const COMPARED_AT_ONCE: usize = 4_096;
/// Comparisons that splitting connected photos into groups may take, for each of them.
const SPLITTING: usize = 64;
/// Photos whose files are looked at together.
const GROUPED_AT_ONCE: usize = 1_024;

/// How two photos that show one picture are alike.
struct Pair {
    cosine: Option<f32>,
    likeness: Likeness,
}

/// Finds duplicates in a library; `None` if cancelled. Computed looks are stored, so that each photo is decoded only
/// once.
///
/// # Errors
/// The catalogue cannot be read.
pub fn find(
    library: &Library,
    wanted: CopyKinds,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Option<DuplicateGroups>> {
    let mut found = DuplicateGroups::default();
    let mut grouped = HashSet::<i64>::new();
    let searcher = library.searcher()?;
    if let CopyKinds::Near(near) | CopyKinds::Both(near) = wanted {
        // A frame of a video may look like another video, or like the photo that was taken with it, and is no copy.
        let videos: HashSet<i64> = library.photos_of_format(VIDEO)?.into_iter().collect();
        let ids: Vec<i64> = searcher.embedded()?.into_iter().filter(|id| !videos.contains(id)).collect();
        let mut report = |done, total| progress.step("looked at", done, total);
        let looks = look_file::of_library(library, &ids, &mut found.problems, &mut report)?;
        let Some((ids, looks)) = looks else { return Ok(None) };
        let subjects = Subjects { searcher: &searcher, ids, looks, near };
        let Some(groups) = changed_copies(library, &subjects, &mut found.problems, progress)? else { return Ok(None) };
        found.groups = groups;
        grouped = found.groups.iter().flat_map(|group| &group.photos).map(|member| member.hit.id).collect();
    }
    for photo in library.copies()?.into_iter().filter(|photo| !grouped.contains(&photo.id)) {
        let Some(hit) = searcher.photos(&[photo.id])?.pop() else { continue };
        let mut files = files(Some(photo), &mut found.problems);
        compare_whole(&hit, &mut files);
        let mut sets = vec![files];
        if wanted == CopyKinds::Exact {
            let mut equal: BTreeMap<_, Vec<PhotoFile>> = BTreeMap::new();
            sets.into_iter().flatten().for_each(|file| equal.entry(file.hash).or_default().push(file));
            sets = equal.into_values().collect();
        }
        for files in sets.into_iter().filter(|files| files.len() > 1) {
            let member = CopyMember { hit: hit.clone(), files, quality: None, likeness: None, cosine: None };
            let group = CopyGroup { reason: keep::why_this_file(&member.files), photos: vec![member] };
            if !(matches!(wanted, CopyKinds::Near(_)) && group.is_exact()) {
                found.groups.push(group);
            }
        }
    }
    found.groups.sort_by_cached_key(|group| {
        (std::cmp::Reverse(group.wasted()), group.files().next().map(|(_, file)| file.path.clone()))
    });
    Ok(Some(found))
}

/// The formats of camera raw files and of videos, as photos of the library have them.
const RAW: &str = "raw";
pub(crate) const VIDEO: &str = "video";

/// Of camera raw files, the library knows the preview, of videos some pieces: where there are several, all their bytes
/// decide which are equal.
fn compare_whole(hit: &Hit, files: &mut [PhotoFile]) {
    if [RAW, VIDEO].contains(&hit.facts.format.as_str()) && files.len() > 1 {
        for file in files {
            if let Ok(hasher) = blake3::Hasher::new().update_mmap(&file.path) {
                file.hash = *hasher.finalize().as_bytes();
            }
        }
    }
}

/// Leaves out the files that lie beside a camera raw file of the same name: the camera wrote both, and neither is a
/// copy.
fn leave_out_companions(photos: &mut Vec<(usize, CopyMember)>) {
    let name = |file: &PhotoFile| file.path.with_extension("");
    let is_raw = |member: &CopyMember| member.hit.facts.format == RAW;
    let raws = photos.iter().filter(|(_, member)| is_raw(member));
    let raws: HashSet<_> = raws.flat_map(|(_, member)| member.files.iter().map(name)).collect();
    photos.retain_mut(|(_, member)| {
        let raw = is_raw(member);
        member.files.retain(|file| raw || !raws.contains(&name(file)));
        !member.files.is_empty()
    });
}

/// Pairs of photos that show one picture, by their positions, the lower one first.
type Pairs = BTreeMap<(usize, usize), Pair>;

/// The photos of a library that are compared, by position.
struct Subjects<'a> {
    searcher: &'a Searcher,
    ids: Vec<i64>,
    looks: LookFile,
    near: f32,
}

impl Subjects<'_> {
    /// The pairs that show one picture, by their positions, the lower one first, and the sets of photos that they
    /// connect; `None` if cancelled.
    fn pairs(&self, progress: &mut Progress<'_>) -> anyhow::Result<Option<(Pairs, Vec<Vec<usize>>)>> {
        let (mut pairs, mut effort) = (Pairs::new(), Effort::new(self.ids.len()));
        let mut take = |candidates: &[Candidate]| {
            for candidates in candidates.chunks(COMPARED_AT_ONCE) {
                let worth: Vec<Candidate> = candidates.iter().filter(|pair| effort.is_worth(pair)).copied().collect();
                for ((first, second), pair) in self.alike(&worth)? {
                    if pairs.insert((first, second), pair).is_none() {
                        effort.connect(first, second);
                    }
                }
            }
            Ok(())
        };
        let is_complete = if self.searcher.has_graph()? {
            // Not all pairs of a large library.
            let mut report = |done, total| progress.step("compared by meaning", done, total);
            let Some(near_pairs) = self.searcher.near_pairs(self.near, &mut report)? else { return Ok(None) };
            let position = |id: i64| self.ids.binary_search(&id).ok();
            let near_pairs: Vec<_> = near_pairs.into_iter().filter_map(|(a, b)| position(a).zip(position(b))).collect();
            let mut report = |done, total| progress.step("compared", done, total);
            candidates::each_by_graph(&self.looks, &near_pairs, &mut report, &mut take)?
        } else {
            let embeddings = self.searcher.embeddings()?.into_iter();
            let (ids, vectors): (Vec<i64>, Vec<&[f32]>) =
                embeddings.filter(|(id, _)| self.ids.binary_search(id).is_ok()).unzip();
            anyhow::ensure!(ids == self.ids, "the library was changed meanwhile: look for duplicates again");
            let mut report = |done, total| progress.step("compared", done, total);
            candidates::each(&vectors, &self.looks, self.near, &mut report, &mut take)?
        };
        Ok(is_complete.then(|| (pairs, effort.sets())))
    }

    /// Those of the candidates that show one picture, and how, by their positions, the lower one first.
    fn alike(&self, candidates: &[Candidate]) -> anyhow::Result<Vec<((usize, usize), Pair)>> {
        let id = |at: usize| self.ids.get(at).copied().unwrap_or_default();
        let pairs: Vec<(i64, i64)> = candidates.iter().map(|pair| (id(pair.first), id(pair.second))).collect();
        let cosines = self.searcher.cosines(&pairs)?;
        let (looks, near) = (&self.looks, self.near);
        let judged = candidates.par_iter().zip(cosines).map(|(candidate, cosine)| {
            let (a, b) = (candidate.first.min(candidate.second), candidate.first.max(candidate.second));
            let turns = if a == candidate.first { candidate.turns } else { candidate.turns.back() };
            let likeness = alike::compare(&looks.get(a)?, &looks.get(b)?, turns);
            let (whole, region) = if cosine.is_some_and(|cosine| cosine >= near) { LIKELY } else { SURE };
            let is_copy = likeness.score >= whole && likeness.weakest >= region;
            Ok(is_copy.then_some(((a, b), Pair { cosine, likeness })))
        });
        judged.filter_map(Result::transpose).collect()
    }
}

/// The groups of changed copies; `None` if cancelled.
fn changed_copies(
    library: &Library,
    subjects: &Subjects<'_>,
    problems: &mut Vec<String>,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Option<Vec<CopyGroup>>> {
    let Some((pairs, sets)) = subjects.pairs(progress)? else { return Ok(None) };
    let contents = contents(&pairs);
    let (mut groups, mut done) = (Vec::new(), 0);
    let total = sets.iter().map(Vec::len).sum();
    let mut left = sets.into_iter().peekable();
    while left.peek().is_some() {
        if !progress.step("grouped", done, total) {
            return Ok(None);
        }
        let mut taken = 0;
        let few: Vec<Vec<usize>> = std::iter::from_fn(|| {
            let next = left.next_if(|next| taken == 0 || taken + next.len() <= GROUPED_AT_ONCE)?;
            taken += next.len();
            Some(next)
        })
        .collect();
        done += taken;
        let members: Vec<i64> = few.iter().flatten().filter_map(|at| subjects.ids.get(*at).copied()).collect();
        let hits = subjects.searcher.photos(&members)?;
        let mut hits: HashMap<i64, Hit> = hits.into_iter().map(|hit| (hit.id, hit)).collect();
        let files_of = library.files_of(&members)?;
        let mut files_of: HashMap<i64, PhotoFiles> = files_of.into_iter().map(|photo| (photo.id, photo)).collect();
        for set in few {
            let mut present = Vec::new();
            for at in set {
                let Some(id) = subjects.ids.get(at) else { continue };
                let mut files = files(files_of.remove(id), problems);
                if let Some(hit) = hits.remove(id).filter(|_| !files.is_empty()) {
                    compare_whole(&hit, &mut files);
                    let look = subjects.looks.get(at)?;
                    let quality = Some(Quality { sharpness: look.sharpness, tones: look.tones });
                    present.push((at, CopyMember { hit, files, quality, likeness: None, cosine: None }));
                }
            }
            leave_out_companions(&mut present);
            groups.extend(split(present, &pairs, &contents, subjects)?);
        }
    }
    Ok(Some(groups))
}

/// Splits connected photos into groups in which every photo is like the one to keep: a chain of likenesses may lead
/// from one picture to a different one.
fn split(
    mut photos: Vec<(usize, CopyMember)>,
    pairs: &Pairs,
    contents: &HashMap<usize, f32>,
    subjects: &Subjects<'_>,
) -> anyhow::Result<Vec<CopyGroup>> {
    let mut groups = Vec::new();
    let mut comparisons = SPLITTING * photos.len();
    while photos.len() > 1 {
        let contents: Vec<f32> = photos.iter().map(|(at, _)| contents.get(at).copied().unwrap_or(1.0)).collect();
        let (best, reason) = keep::choose(photos.iter().map(|(_, member)| member).zip(contents));
        let (kept_at, kept) = photos.swap_remove(best);
        // Those that were not compared with it yet are now, unless that was done too often.
        let of = |at: usize| (kept_at.min(at), kept_at.max(at));
        let unknown = photos.iter().map(|(at, _)| of(*at)).filter(|pair| !pairs.contains_key(pair)).take(comparisons);
        let unknown = unknown.map(|(first, second)| Candidate { first, second, turns: Turns::ALL, by_meaning: true });
        let unknown: Vec<Candidate> = unknown.collect();
        comparisons -= unknown.len();
        let found: Pairs = subjects.alike(&unknown)?.into_iter().collect();
        let mut group = CopyGroup { photos: vec![kept], reason };
        let mut others = Vec::new();
        for (at, mut member) in photos {
            match pairs.get(&of(at)).or(found.get(&of(at))) {
                Some(Pair { cosine, likeness }) => {
                    let likeness = if kept_at < at { *likeness } else { likeness.back() };
                    (member.cosine, member.likeness) = (*cosine, Some(likeness));
                    group.photos.push(member);
                }
                None => others.push((at, member)),
            }
        }
        if group.photos.len() > 1 {
            group.photos[1..].sort_by(keep::order);
            groups.push(group);
        }
        photos = others;
    }
    Ok(groups)
}

/// The share of a photo's area that is picture, by position: of those that have a frame, as another photo reveals.
fn contents(pairs: &Pairs) -> HashMap<usize, f32> {
    let mut contents = HashMap::new();
    for ((a, b), pair) in pairs {
        let (framed, share) = match pair.likeness.fit {
            Fit::SecondInside { share, framed: true } => (a, share),
            Fit::FirstInside { share, framed: true } => (b, share),
            _ => continue,
        };
        contents.entry(*framed).and_modify(|least| *least = share.min(*least)).or_insert(share);
    }
    contents
}

/// The files of a photo that exist unchanged, the one to keep first. All others are reported in `problems`: whoever
/// deletes all files but the kept one must not lose the picture.
fn files(photo: Option<PhotoFiles>, problems: &mut Vec<String>) -> Vec<PhotoFile> {
    let mut files = Vec::new();
    for file in photo.into_iter().flat_map(|photo| photo.files) {
        let path = &file.path;
        match photo_file::stamp_of(path) {
            Ok(now) if now == file.stamp => files.push(file),
            Ok(_) => problems.push(format!(
                "{} has changed and is skipped; `snapseek index` updates the library",
                sanitize::path(path)
            )),
            Err(error) => problems.push(format!("{} is skipped: {error}", sanitize::path(path))),
        }
    }
    keep::sort_files(&mut files);
    // One file under several names (links, hard links) is not a copy, and deleting the target of a link loses the
    // picture.
    let mut seen = HashSet::new();
    files.retain(|file: &PhotoFile| identity(&file.path).is_none_or(|identity| seen.insert(identity)));
    files
}

/// What distinguishes the file at a path from every other file; links are followed.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// What distinguishes the file at a path from every other file; links are followed.
#[cfg(not(unix))]
fn identity(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}
