//! The directories of a TIFF, and of what is built like one: EXIF blocks and camera raw files.
//!
//! Source: TIFF 6.0 (Adobe, 1992), and the BigTIFF extension.

/// Bytes that are built like a TIFF.
#[derive(Clone, Copy, Debug)]
pub(in crate::photo) struct Tiff<'a> {
    bytes: &'a [u8],
    pub(in crate::photo) big_endian: bool,
    /// BigTIFF, with offsets of 8 bytes.
    wide: bool,
}

/// One directory: its entries, not yet resolved, and where the next one is (0: nowhere).
#[derive(Debug)]
pub(in crate::photo) struct Directory<'a> {
    pub(in crate::photo) entries: Vec<Entry<'a>>,
    pub(in crate::photo) next: u64,
    /// Whether the file has all its entries.
    pub(in crate::photo) is_whole: bool,
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug)]
pub(in crate::photo) struct Entry<'a> {
    pub(in crate::photo) tag: u16,
    pub(in crate::photo) kind: u16,
    count: u64,
    inside: &'a [u8],
}

impl<'a> Tiff<'a> {
    /// The magic number is any: camera raw files have their own.
    pub(in crate::photo) fn new(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.first_chunk()? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let file = Self { bytes, big_endian, wide: false };
        Some(Self { wide: file.number(2, 2)? == 43, ..file })
    }

    /// Big-endian bytes with directories in them, but another head.
    pub(in crate::photo) fn big_endian(bytes: &'a [u8]) -> Self {
        Self { bytes, big_endian: true, wide: false }
    }

    /// Where the first directory is.
    pub(in crate::photo) fn first(&self) -> Option<u64> {
        if self.wide { self.number(8, 8) } else { self.number(4, 4) }
    }

    pub(in crate::photo) fn slice(&self, at: u64, length: u64) -> Option<&'a [u8]> {
        let (at, end) = (usize::try_from(at).ok()?, usize::try_from(at.checked_add(length)?).ok()?);
        self.bytes.get(at..end)
    }

    /// All that follows.
    pub(in crate::photo) fn rest(&self, at: u64) -> Option<&'a [u8]> {
        self.bytes.get(usize::try_from(at).ok()?..)
    }

    /// How many bytes there are.
    pub(in crate::photo) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn number(&self, at: u64, length: u64) -> Option<u64> {
        Some(self.value(self.slice(at, length)?))
    }

    fn value(&self, bytes: &[u8]) -> u64 {
        number(bytes, self.big_endian)
    }

    /// The directory at an offset.
    pub(in crate::photo) fn directory(&self, offset: u64) -> Option<Directory<'a>> {
        let (head, size, inside) = if self.wide { (8, 20, 8) } else { (2, 12, 4) };
        // Only a hostile BigTIFF has more entries than a TIFF can have.
        let count = self.number(offset, head).filter(|count| *count <= u16::MAX.into())?;
        let start = offset.checked_add(head)?;
        let length = usize::try_from(count.checked_mul(size)?).ok()?;
        let rest = self.bytes.get(usize::try_from(start).ok()?..)?;
        let table = &rest[..length.min(rest.len())];
        let entries = table.chunks_exact(usize::try_from(size).ok()?).map(|entry| {
            let (number, inside) = entry[4..].split_at(inside);
            let (tag, kind) = (self.value(&entry[..2]) as u16, self.value(&entry[2..4]) as u16);
            Entry { tag, kind, count: self.value(number), inside }
        });
        // Some writers leave out where the next one is.
        let next = self.number(start + count * size, inside as u64);
        let is_whole = table.len() == length;
        Some(Directory { entries: entries.collect(), next: next.unwrap_or_default(), is_whole })
    }

    /// The bytes of an entry's values.
    pub(in crate::photo) fn bytes(&self, entry: &Entry<'a>) -> Option<&'a [u8]> {
        let length = entry.count.checked_mul(width(entry.kind)? as u64)?;
        match usize::try_from(length).ok()? {
            length if length <= entry.inside.len() => Some(&entry.inside[..length]),
            _ => self.slice(self.value(entry.inside), length),
        }
    }

    /// The values of an entry, if they are fractions, signed or not. A denominator of zero gives infinity or NaN.
    pub(in crate::photo) fn rationals(&self, entry: &Entry<'a>) -> Option<Vec<f64>> {
        let bytes = self.bytes(entry).filter(|_| matches!(entry.kind, 5 | 10))?;
        let number = |bytes: &[u8]| match (self.value(bytes) as u32, entry.kind) {
            (number, 5) => f64::from(number),
            (number, _) => f64::from(number.cast_signed()),
        };
        Some(bytes.as_chunks::<8>().0.iter().map(|value| number(&value[..4]) / number(&value[4..])).collect())
    }

    /// The first value of an entry, if it is a whole number.
    pub(in crate::photo) fn first_number(&self, entry: &Entry<'a>) -> Option<u64> {
        let first = self.bytes(entry)?.get(..width(entry.kind)?)?;
        entry.is_whole_number().then(|| self.value(first))
    }

    /// The values of an entry, if they are whole numbers.
    pub(in crate::photo) fn numbers(&self, entry: &Entry<'a>) -> Option<Vec<u64>> {
        let (width, bytes) = (width(entry.kind)?, self.bytes(entry)?);
        entry.is_whole_number().then(|| bytes.chunks_exact(width).map(|value| self.value(value)).collect())
    }
}

impl Entry<'_> {
    fn is_whole_number(&self) -> bool {
        matches!(self.kind, 1 | 3 | 4 | 9 | 13 | 16 | 18)
    }

    /// Whether its values are bytes that can be a text.
    pub(in crate::photo) fn is_text(&self) -> bool {
        // 129 is UTF-8 in Exif 3.0; some writers give texts another type of bytes.
        matches!(self.kind, 1 | 2 | 7 | 129)
    }
}

/// The number that these bytes are, at most eight.
pub(in crate::photo) fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let join = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
}

/// Bytes of a value of this type.
pub(in crate::photo) fn width(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 | 129 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}
