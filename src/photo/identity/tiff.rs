//! The parts of a TIFF that decide what it shows.
//!
//! A program that writes metadata moves everything else about, so offsets do not count, only what they lead to.

use super::parts::Parts;
use crate::photo::containers::tiff::Tiff;
use std::collections::HashSet;

/// Tags of which the values decide how pixels are decoded.
const CODING: [u16; 30] = [
    254, // NewSubfileType
    256, 257, // width, height
    258, 259, 262, // bits, compression, photometric interpretation
    263, 264, 265, 266, // thresholding, cells, fill order
    277, 278, 284, // samples, rows per strip, planes
    292, 293, 317, 320, // options of fax codings, predictor, palette
    322, 323, // tiles
    332, 338, 339, // inks, extra samples, format of samples
    347, 512, 519, 520, 521, // tables of JPEG
    529, 530, 532, // YCbCr and reference black and white
];
/// Where pixels are, and how many bytes of them: strips, tiles, a JPEG as a whole.
const PIXELS: [(u16, u16); 3] = [(273, 279), (324, 325), (513, 514)];
const SUB_IFDS: u16 = 330;
/// Most directories that are followed.
const MOST: usize = 1_000;

/// Adds the pixels of every page, and what decodes them. `None` if the file is damaged.
pub(super) fn shown(bytes: &[u8], parts: &mut Parts) -> Option<()> {
    let file = Tiff::new(bytes)?;
    // Bytes of pixels that may still be hashed: strips that lie on top of each other would take for ever.
    let mut left = bytes.len() as u64;
    parts.add(&[u8::from(file.big_endian)]);
    let (mut waiting, mut seen) = (vec![file.first()?], HashSet::new());
    while let Some(offset) = waiting.pop() {
        if offset == 0 || !seen.insert(offset) {
            continue;
        }
        if seen.len() > MOST {
            return None;
        }
        add_page(&file, offset, parts, &mut waiting, &mut left)?;
    }
    Some(())
}

/// Adds one page, and where further ones are.
fn add_page(file: &Tiff<'_>, offset: u64, parts: &mut Parts, waiting: &mut Vec<u64>, left: &mut u64) -> Option<()> {
    let directory = file.directory(offset).filter(|directory| directory.is_whole)?;
    let counts = |tag: &u16| {
        CODING.contains(tag) || *tag == SUB_IFDS || PIXELS.iter().any(|(at, long)| [at, long].contains(&tag))
    };
    let mut entries: Vec<_> = directory.entries.into_iter().filter(|entry| counts(&entry.tag)).collect();
    entries.sort_by_key(|entry| entry.tag);
    for entry in &entries {
        let bytes = file.bytes(entry)?;
        if CODING.contains(&entry.tag) {
            parts.add(&entry.tag.to_le_bytes());
            match file.numbers(entry) {
                Some(numbers) => parts.add_numbers(&numbers),
                None => parts.add(bytes),
            }
        }
    }
    let numbers = |wanted: u16| file.numbers(entries.iter().find(|entry| entry.tag == wanted)?);
    let is_other = |tag, usual: &[u64]| numbers(tag).is_some_and(|values| values.iter().any(|v| !usual.contains(v)));
    // Extra samples, inks and YCbCr, floats and signed numbers: until 2026-11-28, they were decoded otherwise.
    if is_other(338, &[]) || is_other(262, &[0, 1, 2, 3, 4]) || is_other(339, &[1, 4]) {
        parts.add(b"2026-11-28");
    }
    for (places, lengths) in PIXELS {
        let Some(places) = numbers(places) else { continue };
        let lengths = numbers(lengths).filter(|lengths| lengths.len() == places.len())?;
        parts.add_numbers(&lengths);
        for (at, length) in places.into_iter().zip(lengths) {
            // The decoder guesses what a length of zero means.
            if length == 0 {
                return None;
            }
            *left = left.checked_sub(length)?;
            parts.add(file.slice(at, length)?);
        }
    }
    waiting.push(directory.next);
    waiting.extend(numbers(SUB_IFDS).unwrap_or_default());
    Some(())
}
