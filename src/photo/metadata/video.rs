//! What a video says about itself, as ffmpeg writes it: lines of `name=value`. Source: FFmpeg's metadata format 1; the
//! names that Apple's and Android's cameras use; ISO 6709 for places.

use super::text::{NAME, kept};
use super::{FileMetadata, exif, time};
use crate::photo::containers::video::VideoExtract;
use jiff::Timestamp;

/// What the extract of a video says.
pub(super) fn read(extract: &[u8]) -> FileMetadata {
    let about = VideoExtract::parse(extract).map(|extract| String::from_utf8_lossy(extract.about)).unwrap_or_default();
    // What follows is about the streams and chapters.
    let lines: Vec<(&str, String)> = about
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.replace('\\', "")))
        .collect();
    let value = |names: &[&str]| {
        let one = |name: &&str| lines.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        names.iter().filter_map(one).find_map(|(_, value)| kept(value, NAME))
    };
    // The first is the camera's own time, the second that of the whole world.
    let own = value(&["com.apple.quicktime.creationdate"]);
    let taken = own.as_deref().and_then(time::iso);
    let offset = own.as_deref().filter(|_| taken.is_some()).and_then(time::offset);
    let place = value(&["com.apple.quicktime.location.ISO6709", "location", "location-eng"]);
    let place = place.and_then(|text| position(&text));
    FileMetadata {
        taken: taken.or_else(|| value(&["creation_time"]).and_then(|text| local(&text))),
        offset,
        camera: exif::camera(
            value(&["com.apple.quicktime.make", "com.android.manufacturer", "make"]),
            value(&["com.apple.quicktime.model", "com.android.model", "model"]),
        ),
        latitude: place.map(|place| place.0),
        longitude: place.map(|place| place.1),
        title: value(&["title"]),
        description: value(&["com.apple.quicktime.description", "description", "comment"]),
        ..FileMetadata::default()
    }
}

/// A moment of the whole world in this computer's time; any other as it is.
fn local(text: &str) -> Option<String> {
    match text.parse::<Timestamp>() {
        Ok(moment) => time::local(moment.as_second()),
        Err(_) => time::iso(text),
    }
}

/// `+38.7200-009.1400+012.000/` as degrees north and east.
fn position(text: &str) -> Option<(f64, f64)> {
    let (sign, rest) = text.trim().split_at_checked(1)?;
    let at = rest.find(['+', '-'])?;
    let (latitude, rest) = rest.split_at(at);
    let end = rest.get(1..)?.find(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(rest.len(), |end| end + 1);
    let degrees = |text: &str, most: f64| text.parse::<f64>().ok().filter(|degrees| degrees.abs() <= most);
    let latitude = degrees(latitude, 90.0)?;
    Some((if sign == "-" { -latitude } else { latitude }, degrees(rest.get(..end)?, 180.0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(about: &str) -> FileMetadata {
        let extract = VideoExtract { about: about.as_bytes(), ..VideoExtract::default() };
        read(&extract.to_bytes())
    }

    #[test]
    fn phones_say_when_where_and_by_which_camera() {
        let said = said(
            ";FFMETADATA1\nmajor_brand=qt  \ncreation_time=2019-06-30T10:00:00.000000Z\n\
             com.apple.quicktime.creationdate=2019-06-30T12:00:00+0200\ncom.apple.quicktime.make=Apple\n\
             com.apple.quicktime.model=iPhone 8\ncom.apple.quicktime.location.ISO6709=+38.7200-009.1400+012.000/\n\
             [STREAM]\ncreation_time=1999-01-01T00:00:00Z\n",
        );
        assert_eq!(said.taken.as_deref(), Some("2019-06-30T12:00:00"));
        assert_eq!(said.camera.as_deref(), Some("Apple iPhone 8"));
        assert_eq!((said.latitude, said.longitude), (Some(38.72), Some(-9.14)));
    }

    #[test]
    fn moments_of_the_whole_world_become_local_and_unset_clocks_are_none() {
        let moment: Timestamp = "2019-06-30T10:00:00Z".parse().unwrap();
        let here = moment.to_zoned(jiff::tz::TimeZone::system()).datetime().to_string();
        assert_eq!(said("creation_time=2019-06-30T10:00:00.000000Z").taken, Some(here));
        assert_eq!(said("creation_time=2007-06-30 10\\:00\\:00").taken.as_deref(), Some("2007-06-30T10:00:00"));
        for unset in ["1904-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z", "x", ""] {
            assert_eq!(said(&format!("creation_time={unset}")).taken, None, "{unset}");
        }
    }

    #[test]
    fn places_are_read_if_they_are_on_earth() {
        for (text, expected) in [
            ("+38.7200-009.1400/", Some((38.72, -9.14))),
            ("-33.86+151.21", Some((-33.86, 151.21))),
            ("+99.0+000.0/", None),
            ("+38.72", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(position(text), expected, "{text}");
        }
    }
}
