//! The JSON files that Google Takeout writes beside photos. Source: what Takeout writes; Google documents none of it.

use super::text::{DESCRIPTION, kept, names};
use super::{FileMetadata, time};
use serde_json::Value;

/// What such a file says, and the name of the photo that it is about; `None` if it is no such file.
pub(in crate::photo) fn read(file: &[u8]) -> Option<(String, FileMetadata)> {
    let said: Value = serde_json::from_slice(file).ok()?;
    // Those of albums have a title too.
    let seconds = said.get("photoTakenTime")?.get("timestamp")?;
    let seconds = seconds.as_i64().or_else(|| seconds.as_str()?.parse().ok());
    let title = said.get("title")?.as_str()?.to_owned();
    let position = ["geoData", "geoDataExif"].into_iter().find_map(|key| {
        let degrees = |name: &str, most: f64| said.get(key)?.get(name)?.as_f64().filter(|n| n.abs() <= most);
        // It writes zeros where it knows nothing.
        degrees("latitude", 90.0).zip(degrees("longitude", 180.0)).filter(|place| *place != (0.0, 0.0))
    });
    let people = said.get("people").and_then(Value::as_array);
    let people = people.into_iter().flatten().filter_map(|person| person.get("name")?.as_str());
    let metadata = FileMetadata {
        taken: seconds.and_then(time::local),
        latitude: position.map(|place| place.0),
        longitude: position.map(|place| place.1),
        description: said.get("description").and_then(Value::as_str).and_then(|text| kept(text, DESCRIPTION)),
        people: names(people),
        ..FileMetadata::default()
    };
    Some((title, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_and_zeros_are_no_place() {
        let json = br#"{"title": "IMG_1.jpg", "description": "Familie", "photoTakenTime": {"timestamp": "1561888800"},
            "geoData": {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0},
            "geoDataExif": {"latitude": 52.37, "longitude": 4.53}, "people": [{"name": "Anna"}, {"x": 1}]}"#;
        let (_, said) = read(json).unwrap();
        assert_eq!(said.description.as_deref(), Some("Familie"));
        assert_eq!((said.latitude, said.longitude), (Some(52.37), Some(4.53)));
        assert_eq!(said.people, ["Anna"]);
        assert!(said.taken.unwrap().starts_with("2019-06-30T") || cfg!(windows));
        for other in [&br#"{"title": "Album", "date": {"timestamp": "1"}}"#[..], b"[]", b"{", b"", b"null", b"\xFF"] {
            assert_eq!(read(other), None);
        }
        let wrong = br#"{"title": "a", "photoTakenTime": {"timestamp": "x"}, "people": 3, "geoData": []}"#;
        assert_eq!(read(wrong), Some(("a".to_owned(), FileMetadata::default())));
    }
}
