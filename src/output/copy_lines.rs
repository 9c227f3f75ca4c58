//! Copies of one picture, file by file, in words: why one is to be kept, and how the others differ from it.

use crate::duplicates::{CopyGroup, CopyMember, keep};
use snapseek_index::{FileStamp, Hit, Library};
use std::path::Path;

/// One file of a group.
pub struct FileLine<'a> {
    /// The photo that it shows.
    pub member: &'a CopyMember,
    /// The file.
    pub path: &'a Path,
    /// Its stamp.
    pub stamp: FileStamp,
    /// It is the one to keep.
    pub keep: bool,
    /// Why this file is to be kept, or how it differs from the kept one.
    pub says: String,
}

/// The files of a group, the one to keep first.
#[must_use]
pub fn lines(group: &CopyGroup) -> Vec<FileLine<'_>> {
    let kept = group.photos.first();
    let says = |n: usize, member, file| match kept {
        Some(kept) if n > 0 => keep::difference(kept, member, file),
        _ => group.reason.clone(),
    };
    let files = group.files().enumerate();
    files
        .map(|(n, (member, file))| FileLine {
            member,
            path: &file.path,
            stamp: file.stamp,
            keep: n == 0,
            says: says(n, member, file),
        })
        .collect()
}

/// What a copy says that the one to keep does not, which is lost with it.
///
/// # Errors
/// The catalogue cannot be read.
pub fn left_behind(copy: &Hit, kept: &Hit, library: &Library) -> anyhow::Result<Vec<String>> {
    let mut says = Vec::new();
    let (own, other) = (&copy.facts.metadata, &kept.facts.metadata);
    let dates = own.taken.as_ref().filter(|taken| Some(*taken) != other.taken.as_ref());
    says.extend(dates.map(|taken| format!("taken {taken}")));
    let cameras = own.camera.as_ref().filter(|camera| Some(*camera) != other.camera.as_ref());
    says.extend(cameras.map(|camera| format!("camera {camera}")));
    if own.latitude.is_some() && other.latitude.is_none() {
        says.push("has a place".into());
    }
    let rating = own.rating.filter(|_| own.rating != other.rating);
    says.extend(rating.map(|stars| format!("rating {stars}")));
    let by_hand = |photo| -> anyhow::Result<Option<String>> {
        let caption = library.caption(photo)?.filter(|caption| caption.captioner.is_none());
        Ok(caption.map(|caption| caption.text))
    };
    let kept = by_hand(kept.id)?;
    let caption = by_hand(copy.id)?.filter(|own| kept.as_ref() != Some(own));
    says.extend(caption.map(|text| format!("its caption by hand: {text}")));
    Ok(says)
}
