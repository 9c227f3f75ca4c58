//! What is read of the files that other programs leave.

use super::FileMetadata;
use crate::photo::identity::outline;
use std::path::Path;

fn read(name: &str) -> FileMetadata {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files").join(name);
    FileMetadata::of(&outline(&std::fs::read(path).unwrap()).statements)
}

#[test]
fn dates_and_places_of_other_programs_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files/expected.json");
    let expected: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut dates, mut places) = (0, 0);
    for (name, expected) in expected.as_object().unwrap() {
        let said = read(name);
        if let Some(taken) = expected.get("taken") {
            dates += 1;
            match taken.as_str() {
                Some(taken) => assert!(said.taken.as_deref().unwrap_or_default().starts_with(taken), "{name} {said:?}"),
                None => assert_eq!(said.taken, None, "{name}"),
            }
        }
        for (key, found) in [("latitude", said.latitude), ("longitude", said.longitude)] {
            if let Some(degrees) = expected.get(key) {
                places += 1;
                assert!((found.unwrap() - degrees.as_f64().unwrap()).abs() < 1e-4, "{name} {said:?}");
            }
        }
    }
    assert!(dates >= 9 && places >= 4, "{dates} {places}");
}

/// A JPEG with these application segments and nothing else that is whole.
fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8];
    for body in segments {
        out.extend([0xFF, 0xE1]);
        out.extend((body.len() as u16 + 2).to_be_bytes());
        out.extend(body);
    }
    out
}

/// An EXIF segment with one field of type SHORT.
fn exif(tag: u16, value: u16) -> Vec<u8> {
    let mut out = b"Exif\0\0MM\0*\0\0\0\x08\0\x01".to_vec();
    out.extend(
        [tag.to_be_bytes(), 3_u16.to_be_bytes(), [0, 0], [0, 1], value.to_be_bytes(), [0; 2], [0; 2], [0; 2]].concat(),
    );
    out
}

#[test]
fn each_fact_is_taken_from_the_first_block_that_has_it() {
    let xmp = |inside: &str| {
        format!(
            "http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF \
             xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description \
             xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:tiff='http://ns.adobe.com/tiff/1.0/' {inside}/></rdf:RDF>\
             </x:xmpmeta>"
        )
        .into_bytes()
    };
    let said = |segments: &[Vec<u8>]| {
        let said = super::read(super::Format::Jpeg, &jpeg(segments));
        (said.orientation, FileMetadata::of(&said.statements).rating)
    };
    let (turned, rated) = (exif(0x0112, 6), exif(0x4746, 2));
    assert_eq!(said(&[rated.clone(), turned.clone()]), (Some(6), Some(2)));
    // XMP's rating counts more than EXIF's, its orientation less.
    let both = xmp("xmp:Rating='5' tiff:Orientation='8'");
    assert_eq!(said(&[rated.clone(), turned.clone(), both.clone()]), (Some(6), Some(5)));
    assert_eq!(said(&[rated.clone(), both]), (Some(8), Some(5)));
    assert_eq!(said(&[exif(0x4749, 75), xmp("tiff:Orientation='3'")]), (Some(3), Some(4)));
    // Stars that were taken away in XMP are not taken from EXIF.
    assert_eq!(said(&[rated, xmp("xmp:Rating='0'")]).1, None);
    assert_eq!(said(&[exif(0x0112, 9), turned]), (Some(6), None));
}
