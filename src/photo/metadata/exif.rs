//! EXIF. Source: Exif 3.0 (CIPA DC-008), read leniently: by TIFF's structure alone, whatever type a writer gave a field.

use super::{FileMetadata, Readout, time};
use crate::photo::containers::tiff::{Directory, Entry, Tiff};

/// Maximum number of characters in a camera's name.
const MAX_TEXT: usize = 200;

const MAKE: u16 = 0x010F;
const MODEL: u16 = 0x0110;
const ORIENTATION: u16 = 0x0112;
const DATE_TIME: u16 = 0x0132;
const RATING: u16 = 0x4746;
const RATING_PERCENT: u16 = 0x4749;
const EXIF_DIRECTORY: u16 = 0x8769;
const GPS_DIRECTORY: u16 = 0x8825;
const DATE_TIME_ORIGINAL: u16 = 0x9003;
const DATE_TIME_DIGITIZED: u16 = 0x9004;

/// What an EXIF block says.
pub(super) fn read(block: &[u8]) -> Readout {
    // Some writers keep the prefix that only JPEG has.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    parse(block).unwrap_or_default()
}

fn parse(block: &[u8]) -> Option<Readout> {
    let file = Tiff::new(block)?;
    let main = Fields { file, directory: file.directory(file.first()?)? };
    let exif = main.directory(EXIF_DIRECTORY);
    let gps = main.directory(GPS_DIRECTORY);
    // Some writers put all fields into the first directory.
    let moment = |tag| exif.iter().chain([&main]).find_map(|fields| time::iso(&fields.text(tag)?));
    let position = gps.as_ref().and_then(|gps| gps.angle(1, b'N', b'S', 90.0).zip(gps.angle(3, b'E', b'W', 180.0)));
    let orientation = main.number(ORIENTATION).and_then(|n| u8::try_from(n).ok());
    Some(Readout {
        orientation: orientation.filter(|n| (1..=8).contains(n)),
        metadata: FileMetadata {
            taken: [DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED, DATE_TIME].into_iter().find_map(moment),
            camera: camera(main.text(MAKE), main.text(MODEL)),
            latitude: position.map(|p| p.0),
            longitude: position.map(|p| p.1),
            rating: rating(main.number(RATING).map(|n| n as f64), main.number(RATING_PERCENT).map(|n| n as f64)),
        },
    })
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

/// A text without space around it, and not longer than is kept.
pub(super) fn short(text: &str) -> String {
    text.trim().chars().take(MAX_TEXT).collect()
}

/// The fields of one directory.
struct Fields<'a> {
    file: Tiff<'a>,
    directory: Directory<'a>,
}

impl<'a> Fields<'a> {
    fn entry(&self, tag: u16) -> Option<&Entry<'a>> {
        self.directory.entries.iter().find(|entry| entry.tag == tag)
    }

    fn number(&self, tag: u16) -> Option<u64> {
        self.file.numbers(self.entry(tag)?)?.first().copied()
    }

    /// The directory that a field points to.
    fn directory(&self, tag: u16) -> Option<Self> {
        let directory = self.file.directory(self.number(tag)?)?;
        Some(Self { file: self.file, directory })
    }

    /// The text of a field up to its NUL, without space around it; `None` if nothing is left.
    fn text(&self, tag: u16) -> Option<String> {
        let entry = self.entry(tag).filter(|entry| entry.is_text())?;
        let bytes = self.file.bytes(entry)?.split(|&byte| byte == 0).next()?;
        Some(short(&String::from_utf8_lossy(bytes))).filter(|text| !text.is_empty())
    }

    /// Degrees from degrees, minutes and seconds in the field after `tag`, which has the letter of the hemisphere.
    fn angle(&self, tag: u16, plus: u8, minus: u8, most: f64) -> Option<f64> {
        let parts = self.file.rationals(self.entry(tag + 1)?)?;
        if parts.is_empty() || parts.len() > 3 {
            return None;
        }
        let size: f64 = parts.iter().zip([1.0, 60.0, 3600.0]).map(|(part, unit)| part.abs() / unit).sum();
        let letter = self.text(tag)?.bytes().next()?.to_ascii_uppercase();
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
    Some(format!("{make} {model}").chars().take(MAX_TEXT).collect())
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
        let said = read(&block(&[
            ascii(Tag::Make, "Canon \0"),
            ascii(Tag::Model, "Canon EOS 5D"),
            ascii(Tag::DateTimeOriginal, "0000:00:00 00:00:00"),
            ascii(Tag::DateTime, "2020:02:29 08:07:06"),
            degrees(Tag::GPSLatitude, [(33, 1), (30, 1), (36, 10)]),
            ascii(Tag::GPSLatitudeRef, "S"),
            degrees(Tag::GPSLongitude, [(70, 1), (0, 1), (0, 1)]),
            ascii(Tag::GPSLongitudeRef, "W"),
        ]));
        let metadata = said.metadata;
        assert_eq!(metadata.taken.as_deref(), Some("2020-02-29T08:07:06"));
        assert_eq!(metadata.camera.as_deref(), Some("Canon EOS 5D"));
        assert_eq!((metadata.latitude, metadata.longitude), (Some(-33.501), Some(-70.0)));
        assert_eq!((said.orientation, metadata.rating), (None, None));
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
            assert_eq!(said.metadata.latitude, None);
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
        assert_eq!(said.metadata.camera.unwrap().chars().count(), MAX_TEXT);
    }

    #[test]
    fn damaged_blocks_keep_what_can_be_read() {
        let whole = block(&[ascii(Tag::Make, "Canon"), ascii(Tag::Model, "EOS 300D and more")]);
        assert_eq!(read(&whole[..whole.len() - 3]).metadata.camera.as_deref(), Some("Canon"));
        for length in 0..whole.len() {
            read(&whole[..length]);
        }
        assert_eq!(read(b"MM\0*"), Readout::default());
    }
}
