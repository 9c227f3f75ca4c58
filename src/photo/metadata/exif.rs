//! EXIF facts: orientation, time, camera, place. Facts that are missing, damaged or impossible are left out.

use crate::photo::containers::{jpeg, png, riff};
use crate::photo::format::Format;
use ::exif::{Field, In, Reader, Tag, Value};

/// Maximum number of characters in a camera's name.
const MAX_TEXT: usize = 200;

/// What an EXIF block says.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::photo) struct Exif {
    /// How to turn the pixels upright: 1 (not at all) to 8.
    pub(in crate::photo) orientation: u8,
    /// `YYYY-MM-DDTHH:MM:SS`.
    pub(in crate::photo) taken: Option<String>,
    pub(in crate::photo) camera: Option<String>,
    /// Degrees north and east.
    pub(in crate::photo) position: Option<(f64, f64)>,
}

impl Default for Exif {
    fn default() -> Self {
        Self { orientation: 1, taken: None, camera: None, position: None }
    }
}

/// The facts in a picture file of the given format.
pub(in crate::photo) fn read(format: Format, file: &[u8]) -> Exif {
    let block = match format {
        Format::Jpeg => jpeg::exif(file),
        Format::Png => png::chunks(file).find(|chunk| &chunk.kind == b"eXIf").map(|chunk| chunk.data),
        Format::WebP => riff::chunks(file).find(|chunk| &chunk.kind == b"EXIF").map(|chunk| chunk.data),
        // A TIFF is its own EXIF block.
        Format::Tiff => Some(file),
        Format::Gif | Format::Bmp => None,
    };
    block.map(parse).unwrap_or_default()
}

fn parse(block: &[u8]) -> Exif {
    // Some writers keep the prefix that only JPEG has.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let parsed = Reader::new().continue_on_error(true).read_raw(block.to_vec());
    let Ok(exif) = parsed.or_else(|error| error.distill_partial_result(|_| {})) else {
        return Exif::default();
    };
    let field = |tag| exif.get_field(tag, In::PRIMARY);
    let text = |tag| field(tag).and_then(text_of);
    let orientation = field(Tag::Orientation).and_then(|f| f.value.get_uint(0));
    Exif {
        orientation: orientation.and_then(|n| u8::try_from(n).ok()).filter(|n| (1..=8).contains(n)).unwrap_or(1),
        taken: [Tag::DateTimeOriginal, Tag::DateTimeDigitized, Tag::DateTime]
            .into_iter()
            .find_map(|tag| text(tag).and_then(|text| iso_time(&text))),
        camera: camera(text(Tag::Make), text(Tag::Model)),
        position: angle(field(Tag::GPSLatitude), field(Tag::GPSLatitudeRef), b'N', b'S', 90.0).zip(angle(
            field(Tag::GPSLongitude),
            field(Tag::GPSLongitudeRef),
            b'E',
            b'W',
            180.0,
        )),
    }
}

/// The text of a field up to its NUL, without space around it; `None` if nothing is left.
fn text_of(field: &Field) -> Option<String> {
    let Value::Ascii(lines) = &field.value else { return None };
    let bytes = lines.first()?.split(|&byte| byte == 0).next()?;
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.trim().chars().take(MAX_TEXT).collect();
    (!text.is_empty()).then_some(text)
}

/// Make and model, without the make if the model begins with it.
fn camera(make: Option<String>, model: Option<String>) -> Option<String> {
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

/// `2019:06:30 23:59:59`, with any separators, as `2019-06-30T23:59:59`. `None` if no such time exists: a camera whose
/// clock was never set writes zeros.
fn iso_time(text: &str) -> Option<String> {
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let [year, month, day, hour, minute, second] = *numbers.first_chunk()?;
    if year.len() != 4 {
        return None;
    }
    let number = |part: &str| part.parse::<u32>().ok();
    let [year, month, day] = [number(year)?, number(month)?, number(day)?];
    let [hour, minute, second] = [number(hour)?, number(minute)?, number(second)?];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    let exists = year > 0 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    exists.then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// Degrees from degrees, minutes and seconds and the letter of the hemisphere.
fn angle(value: Option<&Field>, hemisphere: Option<&Field>, plus: u8, minus: u8, most: f64) -> Option<f64> {
    let Value::Rational(parts) = &value?.value else { return None };
    if parts.is_empty() || parts.len() > 3 {
        return None;
    }
    let size: f64 = parts.iter().zip([1.0, 60.0, 3600.0]).map(|(part, unit)| part.to_f64() / unit).sum();
    let letter = text_of(hemisphere?)?.bytes().next()?.to_ascii_uppercase();
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

#[cfg(test)]
mod tests {
    use super::*;
    use ::exif::Rational;
    use ::exif::experimental::Writer;
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
        let exif = parse(&block(&[
            ascii(Tag::Make, "Canon \0"),
            ascii(Tag::Model, "Canon EOS 5D"),
            ascii(Tag::DateTimeOriginal, "0000:00:00 00:00:00"),
            ascii(Tag::DateTime, "2020:02:29 08:07:06"),
            degrees(Tag::GPSLatitude, [(33, 1), (30, 1), (36, 10)]),
            ascii(Tag::GPSLatitudeRef, "S"),
            degrees(Tag::GPSLongitude, [(70, 1), (0, 1), (0, 1)]),
            ascii(Tag::GPSLongitudeRef, "W"),
        ]));
        assert_eq!(exif.taken.as_deref(), Some("2020-02-29T08:07:06"));
        assert_eq!(exif.camera.as_deref(), Some("Canon EOS 5D"));
        assert_eq!(exif.position, Some((-33.501, -70.0)));
        assert_eq!(exif.orientation, 1);
    }

    #[test]
    fn impossible_places_are_left_out() {
        for latitude in [[(91, 1), (0, 1), (0, 1)], [(1, 0), (0, 1), (0, 1)], [(0, 0), (0, 1), (0, 1)]] {
            let exif = parse(&block(&[
                degrees(Tag::GPSLatitude, latitude),
                ascii(Tag::GPSLatitudeRef, "N"),
                degrees(Tag::GPSLongitude, [(70, 1), (0, 1), (0, 1)]),
                ascii(Tag::GPSLongitudeRef, "E"),
            ]));
            assert_eq!(exif.position, None);
        }
    }

    #[test]
    fn only_real_moments_are_times() {
        let iso = |text| iso_time(text).unwrap_or_default();
        assert_eq!(iso("2019:06:30 23:59:59"), "2019-06-30T23:59:59");
        assert_eq!(iso("2019-06-30T23:59:59.25+02:00"), "2019-06-30T23:59:59");
        for text in [
            "0000:00:00 00:00:00",
            "2019:02:29 00:00:00",
            "2019:13:01 00:00:00",
            "2019:06:30 24:00:00",
            "2019:06:30",
            "x",
        ] {
            assert_eq!(iso(text), "", "{text}");
        }
    }

    #[test]
    fn cameras_are_not_named_twice_nor_at_length() {
        let name = |make: &str, model: &str| camera(Some(make.into()), Some(model.into())).unwrap();
        assert_eq!(name("NIKON CORPORATION", "NIKON D70"), "NIKON D70");
        assert_eq!(name("Apple", "iPhone 8"), "Apple iPhone 8");
        assert_eq!(camera(None, Some("X100".into())).as_deref(), Some("X100"));
        let exif = parse(&block(&[ascii(Tag::Make, &"m".repeat(500)), ascii(Tag::Model, &"é".repeat(500))]));
        assert_eq!(exif.camera.unwrap().chars().count(), MAX_TEXT);
    }

    #[test]
    fn damaged_blocks_keep_what_can_be_read() {
        let whole = block(&[ascii(Tag::Make, "Canon"), ascii(Tag::Model, "EOS 300D and more")]);
        assert_eq!(parse(&whole[..whole.len() - 3]).camera.as_deref(), Some("Canon"));
        assert_eq!(parse(b"MM\0*"), Exif::default());
    }
}
