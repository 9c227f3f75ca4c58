//! What other programs write on photos is read as they meant it.

use serde_json::Value;
use snapseek::photo::identity::outline;
use snapseek::photo::sidecars::SidecarFolder;
use snapseek::photo::{self, DecodeLimits};
use snapseek::search::photo_file;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/metadata").join(path)
}

/// What is said about a photo, by the names that the library has for it.
fn told(path: &Path) -> Value {
    let bytes = photo::read(path, &DecodeLimits::default()).unwrap();
    let beside = SidecarFolder::around(path).beside(path);
    serde_json::to_value(photo_file::told(path, None, outline(&bytes).statements, &beside)).unwrap()
}

#[test]
fn each_program_is_understood() {
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(fixture("expected.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in expected.as_object().unwrap() {
        let said = told(&fixture(name));
        for (key, found) in said.as_object().unwrap() {
            let key = match key.as_str() {
                "taken_offset" => "offset",
                "color_label" => "label",
                // Made of the coordinates; of phones' photos with films in them.
                "place" | "motion" => continue,
                key => key,
            };
            let wanted = &expected[key];
            let same = match (wanted.as_f64(), found.as_f64()) {
                (Some(wanted), Some(found)) => (wanted - found).abs() < 1e-4,
                _ if found.is_array() => sorted(found) == sorted(wanted),
                _ => wanted == found,
            };
            // The time of the whole world becomes local.
            let is_utc = key == "taken" && expected.get("taken_utc").is_some() && found.is_string();
            // Only its rating counts: the rest is too long for here.
            let is_long = expected.get("_").is_some() && key != "rating";
            if !(same || is_utc || is_long) {
                wrong.push(format!("{name}: {key} is {found}, not {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(expected.as_object().unwrap().len() > 80);
}

fn sorted(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_colours_that_are_seen_are_those_that_can_be_asked_for() {
    assert_eq!(snapseek::photo::colors::NAMES, snapseek_index::query::COLORS);
}

#[test]
fn too_much_is_cut() {
    let many = told(&fixture("hostile/many-keywords.png"));
    assert_eq!(many["keywords"].as_array().unwrap().len(), 1_000);
    let long = told(&fixture("hostile/long-title.png"));
    assert_eq!(long["title"].as_str().unwrap().chars().count(), 1_000);
}
