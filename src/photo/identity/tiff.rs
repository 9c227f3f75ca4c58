//! The parts of a TIFF that decide what it shows.
//!
//! A program that writes metadata moves everything else about, so offsets do not count, only what they lead to.
//! Source: TIFF 6.0 (Adobe, 1992), and the BigTIFF extension.

use super::parts::Parts;
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
    let big_endian = bytes.first() == Some(&b'M');
    let mut file = Tiff { bytes, big_endian, wide: false, left: bytes.len() as u64 };
    file.wide = file.number(2, 2)? == 43;
    parts.add(&[u8::from(big_endian)]);
    let first = if file.wide { file.number(8, 8)? } else { file.number(4, 4)? };
    let (mut waiting, mut seen) = (vec![first], HashSet::new());
    while let Some(offset) = waiting.pop() {
        if offset == 0 || !seen.insert(offset) {
            continue;
        }
        if seen.len() > MOST {
            return None;
        }
        file.directory(offset, parts, &mut waiting)?;
    }
    Some(())
}

struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    /// BigTIFF, with offsets of 8 bytes.
    wide: bool,
    /// Bytes of pixels that may still be hashed: strips that lie on top of each other would take for ever.
    left: u64,
}

/// An entry of a directory: tag, type, bytes.
type TiffField<'a> = (u16, u16, &'a [u8]);

impl<'a> Tiff<'a> {
    fn slice(&self, at: u64, length: u64) -> Option<&'a [u8]> {
        let (at, end) = (usize::try_from(at).ok()?, usize::try_from(at.checked_add(length)?).ok()?);
        self.bytes.get(at..end)
    }

    fn number(&self, at: u64, length: u64) -> Option<u64> {
        Some(self.value(self.slice(at, length)?))
    }

    fn value(&self, bytes: &[u8]) -> u64 {
        let join = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }

    /// Adds one page, and where further ones are.
    fn directory(&mut self, offset: u64, parts: &mut Parts, waiting: &mut Vec<u64>) -> Option<()> {
        let (head, size, inside) = if self.wide { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(offset, head)?;
        let table = self.slice(offset + head, count.checked_mul(size)?)?;
        let mut entries: Vec<TiffField<'a>> = Vec::new();
        for entry in table.chunks_exact(usize::try_from(size).ok()?) {
            let (tag, kind) = (self.value(&entry[..2]) as u16, self.value(&entry[2..4]) as u16);
            if !(CODING.contains(&tag) || tag == SUB_IFDS || PIXELS.iter().any(|(at, long)| [at, long].contains(&&tag)))
            {
                continue;
            }
            let (number, field) = entry[4..].split_at(inside);
            let length = self.value(number).checked_mul(width(kind)?)?;
            let bytes = match usize::try_from(length).ok()? {
                length if length <= inside => &field[..length],
                _ => self.slice(self.value(field), length)?,
            };
            entries.push((tag, kind, bytes));
        }
        entries.sort_by_key(|(tag, _, _)| *tag);
        for entry @ (tag, _, _) in entries.iter().filter(|(tag, _, _)| CODING.contains(tag)) {
            parts.add(&tag.to_le_bytes());
            match self.numbers(entry) {
                Some(numbers) => parts.add_numbers(&numbers),
                None => parts.add(entry.2),
            }
        }
        let mut left = self.left;
        let numbers = |wanted: u16| self.numbers(entries.iter().find(|(tag, _, _)| *tag == wanted)?);
        for (places, lengths) in PIXELS {
            let Some(places) = numbers(places) else { continue };
            let lengths = numbers(lengths).filter(|lengths| lengths.len() == places.len())?;
            parts.add_numbers(&lengths);
            for (at, length) in places.into_iter().zip(lengths) {
                left = left.checked_sub(length)?;
                parts.add(self.slice(at, length)?);
            }
        }
        waiting.extend(self.number(offset + head + count * size, inside as u64));
        let further = numbers(SUB_IFDS).unwrap_or_default();
        waiting.extend(further);
        self.left = left;
        Some(())
    }

    /// The values of an entry, if they are whole numbers.
    fn numbers(&self, (_, kind, bytes): &TiffField<'_>) -> Option<Vec<u64>> {
        let width = usize::try_from(width(*kind)?).ok()?;
        let whole = matches!(kind, 1 | 3 | 4 | 13 | 16 | 18);
        whole.then(|| bytes.chunks_exact(width).map(|value| self.value(value)).collect())
    }
}

/// Bytes of a value of this type.
fn width(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}
