//! Raw files of cameras: the largest JPEG inside, and what they say about it, found without reading the rest.
//!
//! Most are built like a TIFF (CR2, NEF, ARW, DNG, ...), with the previews in directories of their own or in the notes
//! of the maker; RAF has a header of its own, CR3 is ISO media, X3F has a list of sections. What is found is put
//! together to a small file, an extract, which the rest of the program treats as a picture like any other.
//!
//! Source: TIFF 6.0; DNG 1.7 (Adobe); the tables of ExifTool for RW2, ORF and Nikon's notes; "Canon CR3" (L. Lebrun)
//! for the boxes of CR3.

use super::jpeg::{Segment, Segments};
use super::tiff;
use heifer_isobmff::BoxIter;
use std::collections::HashSet;

/// What an extract begins with.
const MAGIC: &[u8] = b"snapseek raw extract 1\0";
/// Most directories of a file, and entries of a directory.
const MOST: usize = 64;
const MOST_ENTRIES: u16 = 1_000;
/// Most bytes of a value that is kept.
const LONGEST: u64 = 64 << 10;
/// Most bytes of an XMP packet, and of the boxes of a CR3.
const LONGEST_TABLE: u64 = 4 << 20;
/// Bytes of a JPEG in which its frame is looked for.
const HEAD: u64 = 64 << 10;
/// Fewer bytes are no picture.
const SHORTEST: u64 = 128;

/// Tags.
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const SUB_IFDS: u16 = 330;
const EXIF: u16 = 34_665;
const GPS: u16 = 34_853;
const XMP: u16 = 700;
const MAKER_NOTE: u16 = 37_500;
const INTEROPERABILITY: u16 = 40_965;
/// Texts, the orientation, ratings and dates of the first directory: what EXIF has there.
const DESCRIPTIVE: [u16; 11] = [270, 271, 272, 274, 306, 315, 18_246, 18_249, 33_432, 36_867, 36_868];

/// Bytes that are read here and there.
pub(in crate::photo) trait ByteSource {
    /// How many there are.
    fn size(&self) -> u64;
    /// So many from here on; `None` if there are fewer, or they cannot be read.
    fn read_at(&mut self, at: u64, length: u64) -> Option<Vec<u8>>;
}

impl ByteSource for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, at: u64, length: u64) -> Option<Vec<u8>> {
        let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
        self.get(at..at.checked_add(length)?).map(<[u8]>::to_vec)
    }
}

/// What was found in a raw file.
#[derive(Debug, Default)]
pub(in crate::photo) struct RawFile {
    /// An EXIF block of what it says, and its XMP packet.
    exif: Vec<u8>,
    xmp: Vec<u8>,
    /// Where its largest JPEG is, and how many bytes that has.
    pub(in crate::photo) preview: Option<(u64, u64)>,
}

/// The parts of an extract.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::photo) struct Extract<'a> {
    pub(in crate::photo) exif: &'a [u8],
    pub(in crate::photo) xmp: &'a [u8],
    pub(in crate::photo) jpeg: &'a [u8],
}

/// Whether a file begins as an extract does.
pub(in crate::photo) fn is_extract(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

impl RawFile {
    /// Looks into a file. `None` if it is no raw file.
    pub(in crate::photo) fn find(source: &mut impl ByteSource) -> Option<Self> {
        let head = source.read_at(0, 16.min(source.size()))?;
        let found = match head.as_slice() {
            [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', ..] => of_raf(source),
            [_, _, _, _, b'f', b't', b'y', b'p', b'c', b'r', b'x', b' ', ..] => of_cr3(source),
            [b'F', b'O', b'V', b'b', ..] => of_x3f(source),
            // TIFF; Panasonic's, Olympus' and others' own magic numbers.
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => return of_tiff(source, false),
            [b'I', b'I', 0x55, 0, ..] | [b'I', b'I', b'R', b'O' | b'S', ..] | [b'M', b'M', b'O', b'R', ..] => {
                return of_tiff(source, true);
            }
            _ => return None,
        };
        Some(found.unwrap_or_default())
    }

    /// The extract, with the preview's bytes and the size of the file.
    pub(in crate::photo) fn extract(&self, size: u64, preview: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAGIC.len() + 24 + self.exif.len() + self.xmp.len() + preview.len());
        out.extend(MAGIC);
        for number in [size, self.exif.len() as u64, self.xmp.len() as u64] {
            out.extend(number.to_le_bytes());
        }
        out.extend(&self.exif);
        out.extend(&self.xmp);
        out.extend(preview);
        out
    }

    /// Takes the largest of these JPEGs that can be a picture.
    fn choose(&mut self, source: &mut impl ByteSource, mut places: Vec<(u64, u64)>) {
        places.sort_unstable_by_key(|(_, length)| std::cmp::Reverse(*length));
        self.preview = places.into_iter().find(|(at, length)| {
            *length >= SHORTEST
                && at.checked_add(*length).is_some_and(|end| end <= source.size())
                && source.read_at(*at, HEAD.min(*length)).is_some_and(|head| is_preview(&head))
        });
    }
}

impl<'a> Extract<'a> {
    pub(in crate::photo) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?.get(8..)?;
        let (lengths, rest) = rest.split_first_chunk::<16>()?;
        let [exif, xmp] = [0, 8].map(|at| lengths[at..].first_chunk().map_or(0, |n| u64::from_le_bytes(*n)));
        let (exif, rest) = rest.split_at_checked(usize::try_from(exif).ok()?)?;
        let (xmp, jpeg) = rest.split_at_checked(usize::try_from(xmp).ok()?)?;
        Some(Self { exif, xmp, jpeg })
    }
}

/// Whether these are the first bytes of a JPEG that shows something: sensors' values are lossless ones.
fn is_preview(head: &[u8]) -> bool {
    let frame = Segments::new(head).take_while(|segment| segment.marker != Segment::SOS).find(Segment::is_frame);
    head.starts_with(&[0xFF, 0xD8]) && frame.is_none_or(|frame| matches!(frame.marker, 0xC0..=0xC2))
}

/// Reads directories at offsets from a base, in an order of bytes.
struct Directories<'s, S> {
    source: &'s mut S,
    base: u64,
    big_endian: bool,
}

/// An entry of a directory.
struct RawEntry {
    tag: u16,
    kind: u16,
    count: u32,
    inside: [u8; 4],
}

impl RawEntry {
    fn length(&self) -> u64 {
        u64::from(self.count) * tiff::width(self.kind).unwrap_or(1) as u64
    }
}

/// An entry with its bytes.
struct Value {
    tag: u16,
    kind: u16,
    count: u32,
    bytes: Vec<u8>,
}

impl<'s, S: ByteSource> Directories<'s, S> {
    /// At a header like a TIFF's, and where the first directory is.
    fn new(source: &'s mut S, base: u64) -> Option<(Self, u64)> {
        let head = source.read_at(base, 8)?;
        let new = Self { source, base, big_endian: head.starts_with(b"MM") };
        let first = new.number(&head[4..]);
        Some((new, first.into()))
    }

    fn number(&self, bytes: &[u8]) -> u32 {
        tiff::number(bytes, self.big_endian) as u32
    }

    fn read(&mut self, at: u64, length: u64) -> Option<Vec<u8>> {
        self.source.read_at(self.base.checked_add(at)?, length)
    }

    /// The entries of the directory at an offset, and where the next one is.
    fn directory(&mut self, at: u64) -> Option<(Vec<RawEntry>, u64)> {
        let count = self.read(at, 2)?;
        let count = self.number(&count) as u16;
        if count > MOST_ENTRIES {
            return None;
        }
        let table = self.read(at + 2, 12 * u64::from(count))?;
        let entries = table.as_chunks::<12>().0.iter().map(|entry| RawEntry {
            tag: self.number(&entry[..2]) as u16,
            kind: self.number(&entry[2..4]) as u16,
            count: self.number(&entry[4..8]),
            inside: [entry[8], entry[9], entry[10], entry[11]],
        });
        let entries = entries.collect();
        let next = self.read(at + 2 + 12 * u64::from(count), 4).map_or(0, |next| self.number(&next).into());
        Some((entries, next))
    }

    /// Where an entry's bytes are.
    fn place(&self, entry: &RawEntry) -> u64 {
        self.base.saturating_add(self.number(&entry.inside).into())
    }

    fn bytes(&mut self, entry: &RawEntry, most: u64) -> Option<Vec<u8>> {
        match entry.length() {
            length @ 0..=4 => Some(entry.inside[..length as usize].to_vec()),
            length if length <= most => self.read(self.number(&entry.inside).into(), length),
            _ => None,
        }
    }

    fn numbers(&mut self, entries: &[RawEntry], tag: u16) -> Vec<u64> {
        let Some(entry) = entries.iter().find(|entry| entry.tag == tag) else { return Vec::new() };
        let width = if matches!(entry.kind, 3 | 8) { 2 } else { 4 };
        let bytes = self.bytes(entry, LONGEST).unwrap_or_default();
        bytes.chunks_exact(width).map(|number| self.number(number).into()).collect()
    }

    fn first(&mut self, entries: &[RawEntry], tag: u16) -> Option<u64> {
        self.numbers(entries, tag).first().copied()
    }

    /// The values of the entries that are wanted, each of a sensible length.
    fn values(&mut self, entries: &[RawEntry], wanted: impl Fn(u16) -> bool) -> Vec<Value> {
        let entries = entries.iter().filter(|entry| wanted(entry.tag));
        entries
            .filter_map(|entry| {
                let bytes = self.bytes(entry, LONGEST)?;
                Some(Value { tag: entry.tag, kind: entry.kind, count: entry.count, bytes })
            })
            .collect()
    }

    /// The entries of the directory that an entry of another one points to.
    fn below(&mut self, entries: &[RawEntry], tag: u16) -> Option<Vec<RawEntry>> {
        let at = self.first(entries, tag)?;
        Some(self.directory(at)?.0)
    }

    /// A JPEG that two entries give place and length of.
    fn jpeg(&mut self, entries: &[RawEntry], at: u16, length: u16) -> Option<(u64, u64)> {
        let (at, length) = (self.numbers(entries, at), self.numbers(entries, length));
        match (at.as_slice(), length.as_slice()) {
            ([at], [length]) => Some((self.base.checked_add(*at)?, *length)),
            _ => None,
        }
    }
}

/// A file of directories. `None` if none of them is a raw file's, unless its magic number says so.
fn of_tiff(source: &mut impl ByteSource, is_raw: bool) -> Option<RawFile> {
    // Canon's name for itself.
    let mut is_raw = is_raw || source.read_at(8, 2).is_some_and(|letters| letters == b"CR");
    let (mut file, first) = Directories::new(source, 0)?;
    let (mut found, mut places) = (RawFile::default(), Vec::new());
    let (mut waiting, mut seen) = (vec![first], HashSet::new());
    while let Some(at) = waiting.pop() {
        if at == 0 || seen.len() >= MOST || !seen.insert(at) {
            continue;
        }
        let Some((entries, next)) = file.directory(at) else { continue };
        let (compression, meaning) = (file.first(&entries, COMPRESSION), file.first(&entries, PHOTOMETRIC));
        // Colours of filters, linear ones; the packings of Sony, Samsung, Nikon, Kodak and Pentax.
        let sensor = matches!(meaning, Some(32_803 | 34_892));
        let packed = matches!(compression, Some(32_767 | 32_769 | 32_770 | 34_713 | 65_000 | 65_535));
        is_raw |= sensor || packed || entries.iter().any(|entry| entry.tag == 50_706);
        places.extend(file.jpeg(&entries, 513, 514));
        if matches!(compression, Some(6 | 7)) && !sensor {
            places.extend(file.jpeg(&entries, 273, 279));
        }
        // Panasonic's JPEG is the value of an entry.
        places.extend(entries.iter().find(|entry| entry.tag == 0x2E).map(|entry| (file.place(entry), entry.length())));
        if at == first {
            found.xmp = entries
                .iter()
                .find(|entry| entry.tag == XMP)
                .and_then(|entry| file.bytes(entry, LONGEST_TABLE))
                .unwrap_or_default();
            let exif = file.below(&entries, EXIF).unwrap_or_default();
            let gps = file.below(&entries, GPS).unwrap_or_default();
            places.extend(of_notes(&mut file, &exif));
            let own = file.values(&entries, |tag| DESCRIPTIVE.contains(&tag));
            let exif = file.values(&exif, |tag| !matches!(tag, MAKER_NOTE | INTEROPERABILITY));
            found.exif = block(file.big_endian, own, exif, file.values(&gps, |_| true));
        }
        waiting.push(next);
        waiting.extend(file.numbers(&entries, SUB_IFDS).into_iter().take(MOST));
    }
    if !is_raw {
        return None;
    }
    found.choose(source, places);
    Some(found)
}

/// The preview in the notes of Nikon and Olympus, which have directories of their own.
fn of_notes<S: ByteSource>(file: &mut Directories<'_, S>, exif: &[RawEntry]) -> Option<(u64, u64)> {
    let note = file.place(exif.iter().find(|entry| entry.tag == MAKER_NOTE)?);
    let head = file.source.read_at(note, 20)?;
    let big_endian = |at: usize| head[at..].starts_with(b"MM");
    if head.starts_with(b"Nikon\0\x02") {
        let (mut notes, first) = Directories::new(file.source, note + 10)?;
        let entries = notes.directory(first)?.0;
        let preview = notes.below(&entries, 0x11)?;
        return notes.jpeg(&preview, 513, 514);
    }
    let (first, big_endian) = match head.as_slice() {
        [b'O', b'L', b'Y', b'M', b'P', b'U', b'S', 0, ..] => (12, big_endian(8)),
        [b'O', b'M', b' ', b'S', b'Y', b'S', b'T', b'E', b'M', ..] => (16, big_endian(12)),
        _ => return None,
    };
    let mut notes = Directories { source: &mut *file.source, base: note, big_endian };
    let entries = notes.directory(first)?.0;
    let settings = entries.iter().find(|entry| entry.tag == 0x2020)?;
    let at = notes.number(&settings.inside);
    let settings = notes.directory(at.into())?.0;
    notes.jpeg(&settings, 0x101, 0x102)
}

/// Fujifilm's: place and length of a whole JPEG, which says all about itself.
fn of_raf(source: &mut impl ByteSource) -> Option<RawFile> {
    let head = source.read_at(84, 8)?;
    let [at, length] = [0, 4].map(|n| head[n..].first_chunk().map_or(0, |n| u32::from_be_bytes(*n).into()));
    let mut found = RawFile::default();
    found.choose(source, vec![(at, length)]);
    Some(found)
}

/// Canon's: EXIF in boxes of the `moov` box, a preview in a box of its own, and the whole picture among the tracks.
fn of_cr3(source: &mut impl ByteSource) -> Option<RawFile> {
    let (mut found, mut places, mut at) = (RawFile::default(), Vec::new(), 0);
    for _ in 0..MOST {
        let Some(head) = source.read_at(at, 32.min(source.size().saturating_sub(at))).filter(|head| head.len() >= 16)
        else {
            break;
        };
        let short = u64::from(u32::from_be_bytes(*head.first_chunk()?));
        let (start, length) = match short {
            0 => (8, source.size() - at),
            1 => (16, u64::from_be_bytes(*head[8..].first_chunk()?)),
            _ => (8, short),
        };
        let Some(body) = length.checked_sub(start) else { break };
        match &head[4..8] {
            b"moov" if body <= LONGEST_TABLE => {
                let moov = source.read_at(at + start, body)?;
                of_moov(&moov, &mut found, &mut places);
            }
            b"uuid" if head[8..].starts_with(&[0xEA, 0xF4, 0x2B, 0x5E]) => {
                // A few numbers precede the JPEG.
                let inside = source.read_at(at + start, HEAD.min(body))?;
                let jpeg = inside.windows(3).take(200).position(|bytes| bytes == [0xFF, 0xD8, 0xFF]);
                places.extend(jpeg.map(|jpeg| (at + start + jpeg as u64, body - jpeg as u64)));
            }
            b"uuid" if head[8..].starts_with(&[0xBE, 0x7A, 0xCF, 0xCB]) && body <= LONGEST_TABLE => {
                found.xmp = source.read_at(at + start + 16, body.saturating_sub(16)).unwrap_or_default();
            }
            _ => {}
        }
        at = at.checked_add(length.max(8))?;
    }
    found.choose(source, places);
    Some(found)
}

/// Adds what the `moov` box of a CR3 holds.
fn of_moov(moov: &[u8], found: &mut RawFile, places: &mut Vec<(u64, u64)>) {
    let boxes = |bytes| BoxIter::new(bytes).map_while(Result::ok).take(MOST);
    for outer in boxes(moov) {
        match (&outer.header.box_type.0, outer.header.user_type.as_ref().map(|kind| &kind[..4])) {
            (b"uuid", Some([0x85, 0xC0, 0xB6, 0x87])) => {
                let block_of = |name: &[u8; 4]| boxes(outer.content).find(|inner| &inner.header.box_type.0 == name);
                let values = |name, wanted: fn(u16) -> bool| {
                    let mut content = block_of(name)?.content;
                    let (mut block, first) = Directories::new(&mut content, 0)?;
                    let entries = block.directory(first)?.0;
                    Some((block.big_endian, block.values(&entries, wanted)))
                };
                let own = values(b"CMT1", |tag| DESCRIPTIVE.contains(&tag));
                let exif = values(b"CMT2", |tag| !matches!(tag, MAKER_NOTE | INTEROPERABILITY));
                let gps = values(b"CMT4", |_| true);
                let big_endian = own.as_ref().is_some_and(|(big_endian, _)| *big_endian);
                let [own, exif, gps] = [own, exif, gps].map(|part| part.map_or(Vec::new(), |(_, values)| values));
                found.exif = block(big_endian, own, exif, gps);
            }
            (b"trak", _) => {
                let inside = |content, name: &[u8; 4]| {
                    boxes(content).find(|inner| &inner.header.box_type.0 == name).map(|inner| inner.content)
                };
                let table = inside(outer.content, b"mdia")
                    .and_then(|media| inside(media, b"minf"))
                    .and_then(|media| inside(media, b"stbl"));
                let number =
                    |bytes: &[u8], at: usize| Some(u64::from(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?)));
                let place = table.and_then(|table| {
                    let at = match (inside(table, b"co64"), inside(table, b"stco")) {
                        (Some(long), _) => u64::from_be_bytes(*long.get(8..)?.first_chunk()?),
                        (None, short) => number(short?, 8)?,
                    };
                    let sizes = inside(table, b"stsz")?;
                    // One size for all, or one for each.
                    let length = number(sizes, 4).filter(|length| *length > 0).or_else(|| number(sizes, 12))?;
                    Some((at, length))
                });
                places.extend(place);
            }
            _ => {}
        }
    }
}

/// Sigma's: a list of sections at the end, of which the images in format 18 are JPEGs after a header of 28 bytes.
fn of_x3f(source: &mut impl ByteSource) -> Option<RawFile> {
    let number = |bytes: &[u8], at: usize| Some(u64::from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let list = source.read_at(source.size().checked_sub(4)?, 4)?;
    let list = number(&list, 0)?;
    let head = source.read_at(list, 12)?;
    let entries = source.read_at(list + 12, 12 * number(&head, 8).filter(|count| *count <= MOST as u64)?)?;
    let mut places = Vec::new();
    for entry in entries.as_chunks::<12>().0 {
        let (at, length) = (number(entry, 0)?, number(entry, 4)?);
        let Some(section) = source.read_at(at, 28) else { continue };
        if section.starts_with(b"SECi") && number(&section, 12) == Some(18) {
            places.push((at + 28, length.saturating_sub(28)));
        }
    }
    let mut found = RawFile::default();
    found.choose(source, places);
    Some(found)
}

/// An EXIF block of these entries: those of its first directory, those of EXIF, those of the place.
fn block(big_endian: bool, mut own: Vec<Value>, exif: Vec<Value>, gps: Vec<Value>) -> Vec<u8> {
    let number = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let short = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    for tag in [EXIF, GPS] {
        own.push(Value { tag, kind: 4, count: 1, bytes: vec![0; 4] });
    }
    let length = |values: &[Value]| {
        let outside = values.iter().map(|value| value.bytes.len()).filter(|length| *length > 4);
        (6 + 12 * values.len() + outside.map(|length| length.next_multiple_of(2)).sum::<usize>()) as u32
    };
    let exif_at = 8 + length(&own);
    let gps_at = exif_at + length(&exif);
    for value in &mut own {
        match value.tag {
            EXIF => value.bytes = number(exif_at).to_vec(),
            GPS => value.bytes = number(gps_at).to_vec(),
            _ => {}
        }
    }
    let mut out = [if big_endian { b"MM" } else { b"II" }, &short(42)[..], &number(8)].concat();
    for values in [own, exif, gps] {
        let mut outside = Vec::new();
        let after = out.len() + 6 + 12 * values.len();
        out.extend(short(values.len() as u16));
        for Value { tag, kind, count, bytes } in &values {
            out.extend([short(*tag), short(*kind)].concat());
            out.extend(number(*count));
            if bytes.len() <= 4 {
                out.extend(bytes.iter().copied().chain([0; 4]).take(4));
            } else {
                out.extend(number((after + outside.len()) as u32));
                outside.extend(bytes);
                outside.resize(outside.len().next_multiple_of(2), 0);
            }
        }
        out.extend([0; 4]);
        out.extend(outside);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Counts the bytes that are read.
    struct Counted<'a>(&'a [u8], u64);

    impl ByteSource for Counted<'_> {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&mut self, at: u64, length: u64) -> Option<Vec<u8>> {
            self.1 += length;
            self.0.read_at(at, length)
        }
    }

    #[test]
    fn little_is_read_of_a_large_file() {
        for name in ["owl.nef", "owl.cr2", "owl.cr3", "owl.raf", "owl.orf", "owl.rw2", "owl.x3f", "owl.dng"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats/raw").join(name);
            let mut bytes = std::fs::read(path).unwrap();
            let small = bytes.len() as u64;
            // X3F is read from its end.
            if !name.ends_with("x3f") {
                bytes.resize(10 << 20, 7);
            }
            let mut source = Counted(&bytes, 0);
            let raw = RawFile::find(&mut source).unwrap();
            let (at, length) = raw.preview.unwrap();
            assert!(source.1 + length < 2 * small + HEAD, "{name}: {}", source.1);
            let preview = source.read_at(at, length).unwrap();
            let extract = raw.extract(source.size(), &preview);
            assert!(is_extract(&extract));
            let parts = Extract::parse(&extract).unwrap();
            assert!(parts.jpeg == preview && parts.jpeg.starts_with(&[0xFF, 0xD8]), "{name}");
        }
    }

    #[test]
    fn what_is_no_raw_file_is_left_alone() {
        for name in ["formats/tiff/rgb-lzw.tif", "formats/tiff/rgb-jpeg.tif", "formats/owl.heic", "photos/owl.jpg"] {
            let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap();
            assert!(RawFile::find(&mut &bytes[..]).is_none(), "{name}");
        }
        for bytes in [&b""[..], b"II*\0", b"FUJIFILM", b"\0\0\0\x10ftypcrx \0\0\0\0"] {
            assert!(RawFile::find(&mut &bytes[..]).is_none_or(|raw| raw.preview.is_none()));
        }
        let extract = RawFile::default().extract(0, b"x");
        for length in 0..extract.len() {
            assert!(Extract::parse(&extract[..length]).is_none_or(|parts| parts.jpeg.is_empty()));
        }
    }
}
