//! Which copy of a picture to keep, and why, in words.

use super::CopyMember;
use super::alike::{Fit, Likeness};
use crate::photo::MetadataSource;
use snapseek_index::PhotoFile;
use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A photo with at least this share of the most pixels counts as having as many.
const SAME_PIXELS: f64 = 0.98;
/// The same for sharpness: compression alone changes it by a few percent.
const SAME_SHARPNESS: f64 = 0.85;
/// The same for colour: a grey copy is no copy of a colour photo to keep.
const SAME_COLOUR: f64 = 0.5;
/// The same for the range of tones, which a darkened or faded copy has less of.
const SAME_TONES: f64 = 0.8;
/// The same for bytes: an original is often smaller than a copy that was saved again with high quality.
const SAME_BYTES: f64 = 0.6;
/// A reason that says nothing if the formats differ.
const MOST_BYTES: &str = "most bytes";

/// The position of the best photo of one picture, and why it is the best. Each photo comes with the share of its area
/// that is picture (less than 1 if it has a frame). There must be at least one photo.
pub(super) fn choose<'a>(photos: impl Iterator<Item = (&'a CopyMember, f32)>) -> (usize, String) {
    let photos: Vec<(&CopyMember, f32)> = photos.collect();
    let mut left: Vec<usize> = (0..photos.len()).collect();
    let mut reasons = Vec::new();
    let pixels = |(member, share): &(&CopyMember, f32)| pixels(member) * f64::from(*share);
    let frameless = |(_, share): &(&CopyMember, f32)| if *share < 1.0 { 0.0 } else { 1.0 };
    let facts = |(member, _): &(&CopyMember, f32)| {
        let told = &member.hit.facts.metadata;
        let dated = told.taken.is_some() && told.taken_from.as_deref() != Some(MetadataSource::FileName.as_str());
        let known = [dated, told.camera.is_some(), told.latitude.is_some(), told.rating.is_some()];
        known.into_iter().map(u8::from).sum::<u8>().into()
    };
    let sharpness = |(member, _): &(&CopyMember, f32)| member.quality.map_or(0.0, |quality| quality.sharpness.into());
    let bytes = |(member, _): &(&CopyMember, f32)| member.hit.size as f64;
    let age = |(member, _): &(&CopyMember, f32)| -(oldest(&member.files) as f64);
    type Measure<'m> = &'m dyn Fn(&(&CopyMember, f32)) -> f64;
    let colour = |(member, _): &(&CopyMember, f32)| member.quality.map_or(0.0, |quality| quality.tones.colour.into());
    let tones = |(member, _): &(&CopyMember, f32)| member.quality.map_or(0.0, |quality| quality.tones.range.into());
    let raw = |(member, _): &(&CopyMember, f32)| f64::from(u8::from(member.hit.facts.format == super::RAW));
    let measures: [(&str, f64, Measure); 9] = [
        // Its pixels here are those of its preview.
        ("camera raw", 1.0, &raw),
        ("most pixels", SAME_PIXELS, &pixels),
        // Before sharpness, to which a frame adds edges.
        ("no frame", 1.0, &frameless),
        ("in colour", SAME_COLOUR, &colour),
        ("most tones", SAME_TONES, &tones),
        ("has date or camera", 1.0, &facts),
        ("sharpest", SAME_SHARPNESS, &sharpness),
        (MOST_BYTES, SAME_BYTES, &bytes),
        ("oldest file", 1.0, &age),
    ];
    for (reason, same, measure) in measures {
        // A PNG has more bytes than the JPEG that it was made from.
        let formats: HashSet<&str> =
            left.iter().filter_map(|at| Some(photos.get(*at)?.0.hit.facts.format.as_str())).collect();
        if reason == MOST_BYTES && formats.len() > 1 {
            continue;
        }
        let value = |at: &usize| photos.get(*at).map_or(f64::MIN, measure);
        let best = left.iter().map(value).fold(f64::MIN, f64::max);
        let least = if best > 0.0 { best * same } else { best };
        let before = left.len();
        left.retain(|at| value(at) >= least);
        if left.len() < before {
            reasons.push(reason);
        }
    }
    let first = left.into_iter().min_by(|a, b| match (photos.get(*a), photos.get(*b)) {
        (Some((a, _)), Some((b, _))) => by_name(a).cmp(&by_name(b)),
        _ => Ordering::Equal,
    });
    if reasons.is_empty() {
        reasons.push("shortest name");
    }
    (first.unwrap_or_default(), reasons.join(", "))
}

/// Order in which the others of a group are listed: most pixels first.
pub(super) fn order(a: &CopyMember, b: &CopyMember) -> Ordering {
    pixels(b).total_cmp(&pixels(a)).then(b.hit.size.cmp(&a.hit.size)).then_with(|| by_name(a).cmp(&by_name(b)))
}

/// Sorts files of one photo so that the one to keep comes first: not a link, the one that says most about the picture,
/// the oldest, the shortest name.
pub(super) fn sort_files(files: &mut [PhotoFile]) {
    files.sort_by_cached_key(|PhotoFile { path, stamp, facts, .. }| {
        (path.is_symlink(), Reverse(*facts), Reverse(stamp.size), stamp.mtime_ns, length(path), path.clone())
    });
}

/// Why the first of the files of one photo is the one to keep.
pub(super) fn why_this_file(files: &[PhotoFile]) -> String {
    let Some(PhotoFile { path, stamp, facts, .. }) = files.first() else { return String::new() };
    let others = &files[1..];
    let reason = if others.iter().any(|other| other.facts < *facts) {
        "has date or camera"
    } else if others.iter().any(|other| other.stamp.size < stamp.size) {
        "most metadata"
    } else if others.iter().all(|other| other.stamp.mtime_ns > stamp.mtime_ns) {
        "oldest file"
    } else if others.iter().all(|other| length(&other.path) > length(path)) {
        "shortest name"
    } else {
        "first by name"
    };
    reason.to_owned()
}

/// How a file of a copy differs from the photo to keep, in words.
#[must_use]
pub fn difference(kept: &CopyMember, copy: &CopyMember, file: &PhotoFile) -> String {
    let Some(Likeness { turns, fit, .. }) = copy.likeness else {
        let same = kept.files.first().is_some_and(|kept| kept.hash == file.hash);
        return if same { "same content" } else { "same picture, other metadata" }.into();
    };
    let mut says = Vec::new();
    match fit {
        Fit::Whole => {}
        Fit::SecondInside { share, framed: false } => says.push(format!("cropped to {:.0} %", share * 100.0)),
        Fit::SecondInside { framed: true, .. } => says.push("without the frame".into()),
        Fit::FirstInside { framed: true, .. } => says.push("with a frame".into()),
        Fit::FirstInside { share, framed: false } => says.push(format!("shows more ({:.0} %)", 100.0 / share)),
    }
    match turns {
        1 => says.push("turned right".into()),
        2 => says.push("upside down".into()),
        3 => says.push("turned left".into()),
        _ => {}
    }
    let (mine, theirs) = (&copy.hit.facts, &kept.hit.facts);
    let fewer = pixels(copy) < SAME_PIXELS * pixels(kept);
    if fewer && matches!(fit, Fit::Whole) {
        says.push(format!("{:.0} % of the pixels", (100.0 * pixels(copy) / pixels(kept).max(1.0)).max(1.0)));
    }
    if mine.format != theirs.format {
        says.push(format!("{} instead of {}", mine.format, theirs.format));
    } else if copy.hit.size < kept.hit.size && !fewer {
        says.push(format!("{:.0} % of the bytes", (100.0 * copy.hit.size as f64 / kept.hit.size as f64).max(1.0)));
    }
    // A frame or a crop has tones of its own.
    let tones = |member: &CopyMember| member.quality.filter(|_| matches!(fit, Fit::Whole)).map(|quality| quality.tones);
    if let (Some(mine), Some(theirs)) = (tones(copy), tones(kept)) {
        let less = |a: f32, b: f32, same: f64| f64::from(a) < same * f64::from(b);
        if less(mine.colour, theirs.colour, SAME_COLOUR) {
            says.push("less colour".into());
        } else if less(theirs.colour, mine.colour, SAME_COLOUR) {
            says.push("more colour".into());
        }
        if less(mine.range, theirs.range, SAME_TONES) {
            says.push("fewer tones".into());
        } else if less(theirs.range, mine.range, SAME_TONES) {
            says.push("more tones".into());
        }
    }
    if says.is_empty() {
        says.push("saved again".into());
    }
    says.join(", ")
}

fn pixels(member: &CopyMember) -> f64 {
    f64::from(member.hit.facts.width) * f64::from(member.hit.facts.height)
}

fn oldest(files: &[PhotoFile]) -> i64 {
    files.iter().map(|file| file.stamp.mtime_ns).min().unwrap_or(i64::MAX)
}

fn length(path: &Path) -> usize {
    path.as_os_str().len()
}

fn by_name(member: &CopyMember) -> (Option<usize>, Reverse<u64>, Option<&PathBuf>) {
    let first = member.files.first().map(|file| &file.path);
    (first.map(|path| length(path)), Reverse(member.hit.size), first)
}
