//! EXIF. Source: Exif 3.0 (CIPA DC-008), read leniently: by TIFF's structure alone, whatever type a writer gave a
//! field.

use super::text::{DESCRIPTION, NAME, TITLE, decoded, kept, names, utf16};
use super::{FileMetadata, MetadataSource, Statement, time};
use crate::photo::containers::tiff::{Directory, Entry, Tiff};

const DESCRIPTION_TAG: u16 = 0x010E;
const MAKE: u16 = 0x010F;
const MODEL: u16 = 0x0110;
const ORIENTATION: u16 = 0x0112;
const DATE_TIME: u16 = 0x0132;
const ARTIST: u16 = 0x013B;
const RATING: u16 = 0x4746;
const RATING_PERCENT: u16 = 0x4749;
const COPYRIGHT: u16 = 0x8298;
const EXPOSURE_TIME: u16 = 0x829A;
const F_NUMBER: u16 = 0x829D;
const EXIF_DIRECTORY: u16 = 0x8769;
const GPS_DIRECTORY: u16 = 0x8825;
const SENSITIVITY: u16 = 0x8827;
const DATE_TIME_ORIGINAL: u16 = 0x9003;
const DATE_TIME_DIGITIZED: u16 = 0x9004;
/// From the one of the date of change on, in the order of those dates.
const OFFSETS: [u16; 3] = [0x9010, 0x9011, 0x9012];
const FOCAL_LENGTH: u16 = 0x920A;
const MAKER_NOTE: u16 = 0x927C;
const LENS_MODEL: u16 = 0xA434;
/// Windows writes these in UTF-16.
const XP_TITLE: u16 = 0x9C9B;
const XP_COMMENT: u16 = 0x9C9C;
const XP_AUTHOR: u16 = 0x9C9D;
const XP_KEYWORDS: u16 = 0x9C9E;

/// How Apple's maker notes begin; a directory follows, whose offsets count from here. Source: ExifTool's tables.
const APPLE_NOTE: &[u8] = b"Apple iOS\0\0\x01MM";
/// What the film of a Live Photo, a file of its own, has too.
const APPLE_CONTENT_IDENTIFIER: u16 = 0x0011;

/// What cameras write into every photo instead of a description.
const NO_DESCRIPTIONS: [&str; 10] = [
    "olympus digital camera",
    "sony dsc",
    "digital camera",
    "minolta digital camera",
    "konica minolta digital camera",
    "samsung camera pictures",
    "samsung digimax",
    "exif_jpeg_picture",
    "dcim",
    "default",
];

/// What an EXIF block says.
pub(super) fn read(block: &[u8]) -> Vec<Statement> {
    Fields::first(block).map(|main| statements(&main)).unwrap_or_default()
}

/// How an EXIF block says to turn the pixels upright.
pub(super) fn orientation(block: &[u8]) -> Option<u8> {
    let number = Fields::first(block)?.number(ORIENTATION)?;
    u8::try_from(number).ok().filter(|n| (1..=8).contains(n))
}

fn statements(main: &Fields<'_>) -> Vec<Statement> {
    let (exif, gps) = (main.directory(EXIF_DIRECTORY), main.directory(GPS_DIRECTORY));
    // Some writers put all fields into the first directory.
    let directories = || exif.iter().chain([main]);
    let text = |tag, most| directories().find_map(|fields| fields.text(tag, most));
    let number = |tag| directories().find_map(|fields| fields.real(tag)).filter(|n| *n > 0.0 && n.is_finite());
    let dated = |tag: u16, offset: u16| {
        let moment = directories().find_map(|fields| time::iso(&fields.text(tag, NAME)?))?;
        // A day alone has none.
        let offset = text(offset, NAME).and_then(|text| time::offset(&text)).filter(|_| moment.len() > 10);
        Some((moment, offset))
    };
    let taken = dated(DATE_TIME_ORIGINAL, OFFSETS[1]).or_else(|| dated(DATE_TIME_DIGITIZED, OFFSETS[2]));
    let position = gps.as_ref().and_then(|gps| gps.angle(1, b'N', b'S', 90.0).zip(gps.angle(3, b'E', b'W', 180.0)));
    let description = main.text(DESCRIPTION_TAG, DESCRIPTION);
    let description = description
        .filter(|text| !NO_DESCRIPTIONS.contains(&text.trim_matches(['<', '>', ' ']).to_lowercase().as_str()));
    let keywords = main.wide(XP_KEYWORDS, DESCRIPTION).unwrap_or_default();
    let (taken, offset) = taken.unzip();
    let said = FileMetadata {
        taken,
        offset: offset.flatten(),
        camera: camera(main.text(MAKE, NAME), main.text(MODEL, NAME)),
        lens: text(LENS_MODEL, NAME),
        aperture: number(F_NUMBER),
        exposure: number(EXPOSURE_TIME),
        iso: number(SENSITIVITY).filter(|iso| *iso < 1e8).map(|iso| iso as u32),
        focal_length: number(FOCAL_LENGTH),
        latitude: position.map(|p| p.0),
        longitude: position.map(|p| p.1),
        rating: rating(main.number(RATING).map(|n| n as f64), main.number(RATING_PERCENT).map(|n| n as f64)),
        title: main.wide(XP_TITLE, TITLE),
        description: description.or_else(|| main.wide(XP_COMMENT, DESCRIPTION)),
        creator: main.text(ARTIST, NAME).or_else(|| main.wide(XP_AUTHOR, NAME)),
        copyright: main.text(COPYRIGHT, NAME),
        keywords: names(keywords.split(';')),
        motion: exif.as_ref().is_some_and(Fields::is_live_photo),
        ..FileMetadata::default()
    };
    let mut statements = vec![Statement::new(MetadataSource::Exif, said)];
    if let Some((taken, offset)) = dated(DATE_TIME, OFFSETS[0]) {
        let changed = FileMetadata { taken: Some(taken), offset, ..FileMetadata::default() };
        statements.push(Statement::new(MetadataSource::ExifChange, changed));
    }
    statements
}

/// Stars (-1 to 5, 0: none), or as many percent as Windows writes for them (1, 25, 50, 75, 99).
pub(super) fn rating(stars: Option<f64>, percent: Option<f64>) -> Option<i8> {
    let of_percent = |percent: f64| match percent {
        ..1.0 => 0.0,
        ..13.0 => 1.0,
        ..38.0 => 2.0,
        ..63.0 => 3.0,
        ..87.0 => 4.0,
        _ => 5.0,
    };
    let stars = stars.or(percent.filter(|percent| (0.0..=100.0).contains(percent)).map(of_percent))?;
    (-1.0..=5.0).contains(&stars).then(|| stars.round() as i8)
}

/// The fields of one directory.
struct Fields<'a> {
    file: Tiff<'a>,
    directory: Directory<'a>,
}

impl<'a> Fields<'a> {
    /// Those of the first directory of an EXIF block.
    fn first(block: &'a [u8]) -> Option<Self> {
        // Some writers keep the prefix that only JPEG has.
        let file = Tiff::new(block.strip_prefix(b"Exif\0\0").unwrap_or(block))?;
        Some(Self { file, directory: file.directory(file.first()?)? })
    }

    fn entry(&self, tag: u16) -> Option<&Entry<'a>> {
        self.directory.entries.iter().find(|entry| entry.tag == tag)
    }

    fn number(&self, tag: u16) -> Option<u64> {
        self.file.first_number(self.entry(tag)?)
    }

    /// The directory that a field points to.
    fn directory(&self, tag: u16) -> Option<Self> {
        let directory = self.file.directory(self.number(tag)?)?;
        Some(Self { file: self.file, directory })
    }

    /// Whether Apple's notes name the film that was taken with the photo.
    fn is_live_photo(&self) -> bool {
        let note = self.entry(MAKER_NOTE).and_then(|entry| self.file.bytes(entry));
        let note = note.filter(|note| note.starts_with(APPLE_NOTE)).map(Tiff::big_endian);
        let directory = note.and_then(|note| note.directory(APPLE_NOTE.len() as u64));
        directory.is_some_and(|it| it.entries.iter().any(|entry| entry.tag == APPLE_CONTENT_IDENTIFIER))
    }

    /// The first number of a field, whole or a fraction.
    fn real(&self, tag: u16) -> Option<f64> {
        let fraction = || self.file.rationals(self.entry(tag)?)?.first().copied();
        self.number(tag).map(|n| n as f64).or_else(fraction)
    }

    /// The text of a field up to its NUL, without space around it; `None` if nothing is left.
    fn text(&self, tag: u16, most: usize) -> Option<String> {
        let entry = self.entry(tag).filter(|entry| entry.is_text())?;
        let bytes = self.file.bytes(entry)?.split(|&byte| byte == 0).next()?;
        kept(&decoded(bytes), most)
    }

    /// The text of a field in UTF-16.
    fn wide(&self, tag: u16, most: usize) -> Option<String> {
        kept(&utf16(self.file.bytes(self.entry(tag)?)?), most)
    }

    /// Degrees from degrees, minutes and seconds in the field after `tag`, which has the letter of the hemisphere.
    fn angle(&self, tag: u16, plus: u8, minus: u8, most: f64) -> Option<f64> {
        let parts = self.file.rationals(self.entry(tag + 1)?)?;
        if parts.is_empty() || parts.len() > 3 {
            return None;
        }
        let size: f64 = parts.iter().zip([1.0, 60.0, 3600.0]).map(|(part, unit)| part.abs() / unit).sum();
        let letter = self.text(tag, NAME)?.bytes().next()?.to_ascii_uppercase();
        let sign = if letter == plus {
            1.0
        } else if letter == minus {
            -1.0
        } else {
            return None;
        };
        // A denominator of zero makes the sum infinite or NaN.
        (size.is_finite() && size <= most).then_some(sign * size)
    }
}

/// Make and model, without the make if the model begins with it.
pub(super) fn camera(make: Option<String>, model: Option<String>) -> Option<String> {
    let (make, model) = match (make, model) {
        (Some(make), Some(model)) => (make, model),
        (make, model) => return make.or(model),
    };
    // "NIKON CORPORATION" makes the "NIKON D70".
    let first_word = make.split_whitespace().next().unwrap_or_default().to_lowercase();
    if model.to_lowercase().starts_with(&first_word) {
        return Some(model);
    }
    Some(format!("{make} {model}").chars().take(NAME).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::exif::experimental::Writer;
    use ::exif::{Field, In, Rational, Tag, Value};
    use std::io::Cursor;

    fn ascii(tag: Tag, text: &str) -> Field {
        Field { tag, ifd_num: In::PRIMARY, value: Value::Ascii(vec![text.as_bytes().to_vec()]) }
    }

    fn degrees(tag: Tag, parts: [(u32, u32); 3]) -> Field {
        let parts = parts.map(|(num, denom)| Rational { num, denom });
        Field { tag, ifd_num: In::PRIMARY, value: Value::Rational(parts.to_vec()) }
    }

    fn block(fields: &[Field]) -> Vec<u8> {
        let mut writer = Writer::new();
        fields.iter().for_each(|field| writer.push_field(field));
        let mut out = Cursor::new(Vec::new());
        writer.write(&mut out, false).unwrap();
        out.into_inner()
    }

    #[test]
    fn reads_time_camera_and_place() {
        let block = block(&[
            ascii(Tag::Make, "Canon \0"),
            ascii(Tag::Model, "Canon EOS 5D"),
            ascii(Tag::DateTimeOriginal, "0000:00:00 00:00:00"),
            ascii(Tag::DateTime, "2020:02:29 08:07:06"),
            degrees(Tag::GPSLatitude, [(33, 1), (30, 1), (36, 10)]),
            ascii(Tag::GPSLatitudeRef, "S"),
            degrees(Tag::GPSLongitude, [(70, 1), (0, 1), (0, 1)]),
            ascii(Tag::GPSLongitudeRef, "W"),
        ]);
        let metadata = FileMetadata::of(&read(&block));
        assert_eq!(metadata.taken.as_deref(), Some("2020-02-29T08:07:06"));
        assert_eq!(metadata.camera.as_deref(), Some("Canon EOS 5D"));
        assert_eq!((metadata.latitude, metadata.longitude), (Some(-33.501), Some(-70.0)));
        assert_eq!((orientation(&block), metadata.rating), (None, None));
    }

    #[test]
    fn impossible_places_are_left_out() {
        for latitude in [[(91, 1), (0, 1), (0, 1)], [(1, 0), (0, 1), (0, 1)], [(0, 0), (0, 1), (0, 1)]] {
            let said = read(&block(&[
                degrees(Tag::GPSLatitude, latitude),
                ascii(Tag::GPSLatitudeRef, "N"),
                degrees(Tag::GPSLongitude, [(70, 1), (0, 1), (0, 1)]),
                ascii(Tag::GPSLongitudeRef, "E"),
            ]));
            assert_eq!(FileMetadata::of(&said).latitude, None);
        }
    }

    #[test]
    fn stars_and_percent_are_ratings() {
        for (stars, percent, expected) in [
            (Some(5.0), None, Some(5)),
            (Some(0.0), Some(99.0), Some(0)),
            (Some(-1.0), None, Some(-1)),
            (Some(3.4), Some(99.0), Some(3)),
            (Some(6.0), None, None),
            (Some(f64::NAN), None, None),
            (None, Some(1.0), Some(1)),
            (None, Some(25.0), Some(2)),
            (None, Some(50.0), Some(3)),
            (None, Some(75.0), Some(4)),
            (None, Some(99.0), Some(5)),
            (None, Some(0.0), Some(0)),
            (None, Some(101.0), None),
            (None, None, None),
        ] {
            assert_eq!(rating(stars, percent), expected, "{stars:?} {percent:?}");
        }
    }

    #[test]
    fn cameras_are_not_named_twice_nor_at_length() {
        let name = |make: &str, model: &str| camera(Some(make.into()), Some(model.into())).unwrap();
        assert_eq!(name("NIKON CORPORATION", "NIKON D70"), "NIKON D70");
        assert_eq!(name("Apple", "iPhone 8"), "Apple iPhone 8");
        assert_eq!(camera(None, Some("X100".into())).as_deref(), Some("X100"));
        let said = read(&block(&[ascii(Tag::Make, &"m".repeat(500)), ascii(Tag::Model, &"é".repeat(500))]));
        assert_eq!(FileMetadata::of(&said).camera.unwrap().chars().count(), NAME);
    }

    #[test]
    fn a_live_photo_is_told_by_its_makers_notes() {
        let note = |head: &[u8], tag: u8| {
            let mut note = head.to_vec();
            note.extend([0, 1, 0, tag, 0, 2, 0, 0, 0, 37, 0, 0, 0, 32, 0, 0, 0, 0]);
            let field = Field { tag: Tag::MakerNote, ifd_num: In::PRIMARY, value: Value::Undefined(note, 0) };
            FileMetadata::of(&read(&block(&[ascii(Tag::Make, "Apple"), field]))).motion
        };
        assert!(note(APPLE_NOTE, 0x11));
        assert!(!note(APPLE_NOTE, 0x01) && !note(b"Apple iOS\0\0\x01II", 0x11) && !note(b"Nikon", 0x11));
    }

    #[test]
    fn damaged_blocks_keep_what_can_be_read() {
        let whole = block(&[ascii(Tag::Make, "Canon"), ascii(Tag::Model, "EOS 300D and more")]);
        let cut = FileMetadata::of(&read(&whole[..whole.len() - 3]));
        assert_eq!(cut.camera.as_deref(), Some("Canon"));
        for length in 0..whole.len() {
            drop(read(&whole[..length]));
        }
        assert_eq!(read(b"MM\0*"), []);
    }

    #[test]
    fn exposure_texts_and_offsets_are_read_and_junk_is_no_description() {
        let fraction = |num, denom| Value::Rational(vec![Rational { num, denom }]);
        let field = |tag, value| Field { tag, ifd_num: In::PRIMARY, value };
        let said = FileMetadata::of(&read(&block(&[
            ascii(Tag::DateTimeOriginal, "2019:06:30 23:59:59"),
            ascii(Tag::OffsetTimeOriginal, "+02:00"),
            ascii(Tag::DateTime, "2020:01:01 10:00:00"),
            ascii(Tag::OffsetTime, "+01:00"),
            field(Tag::FNumber, fraction(28, 10)),
            field(Tag::ExposureTime, fraction(1, 125)),
            field(Tag::FocalLength, fraction(0, 0)),
            field(Tag::PhotographicSensitivity, Value::Short(vec![400])),
            ascii(Tag::LensModel, "EF 50mm"),
            ascii(Tag::ImageDescription, "OLYMPUS DIGITAL CAMERA         "),
            ascii(Tag::Artist, "Anna"),
            field(Tag(::exif::Context::Tiff, XP_KEYWORDS), Value::Byte(b"a\0;\0b\0\0\0".to_vec())),
        ])));
        assert_eq!(said.taken.as_deref(), Some("2019-06-30T23:59:59"));
        assert_eq!((said.taken_from, said.offset.as_deref()), (Some(MetadataSource::Exif), Some("+02:00")));
        assert_eq!((said.aperture, said.exposure, said.iso), (Some(2.8), Some(0.008), Some(400)));
        assert_eq!((said.focal_length, said.lens.as_deref()), (None, Some("EF 50mm")));
        assert_eq!((said.description, said.creator.as_deref()), (None, Some("Anna")));
        assert_eq!(said.keywords, ["a", "b"]);
    }
}
