//! The kernels at each level that this processor has (`SNAPSEEK_CPU`), against the reference and against each other.

use crate::clusters::{adjusted_rand_index, find};
use serde_json::Value;
use snapseek::model::compute::level::{Level, VARIABLE};
use std::path::Path;
use std::process::Command;

/// A small random CLIP.
const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/reference/clip-random");

/// The levels below that of this process.
fn lower() -> Vec<Level> {
    let best = Level::wanted().unwrap();
    Level::of_processor().filter(|level| *level < best).collect()
}

#[test]
fn the_reference_numbers_hold_at_every_lower_level() {
    for level in lower() {
        for tests in ["reference::", "blip2::"] {
            let run = Command::new(std::env::current_exe().unwrap())
                .args([tests, "--quiet"])
                .env(VARIABLE, level.name())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&run.stdout);
            assert!(run.status.success() && !said.contains(" 0 passed"), "{tests} at {}:\n{said}", level.name());
        }
    }
}

/// The embeddings of all fixture photos, and after them of some texts, as the program computes them.
fn embedded(model: &str, precision: &str, level: Level) -> Vec<Vec<f32>> {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos");
    let mut files: Vec<_> = std::fs::read_dir(photos).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "jpg"));
    files.sort();
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapseek"));
    command.args(["embed", "--json", "--offline", "--model", model, "--precision", precision]);
    command.env("HOME", home.path());
    command.env(VARIABLE, level.name());
    for file in &files {
        command.arg("--image").arg(file);
    }
    for text in ["a dog", "hand tools", "castle"] {
        command.args(["--text", text]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let numbers =
        |line: Value| line["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    lines.map(numbers).collect()
}

#[test]
fn embeddings_of_two_levels_are_near_or_equal_and_so_are_their_clusters() {
    let best = Level::wanted().unwrap();
    let expected = embedded("starter", "full", best);
    assert_eq!(expected.len(), 102);
    let groups = find(&expected[..99]);
    let names: Vec<String> = groups
        .places
        .iter()
        .enumerate()
        .map(|(n, (group, _))| group.map_or(format!("photo {n}"), |g| g.to_string()))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // AVX-VNNI multiplies integers, and these are floats.
    for level in lower().into_iter().filter(|level| *level != Level::AvxVnni) {
        let found = embedded("starter", "full", level);
        if level >= Level::Avx2 {
            assert!(found == expected, "with FMA, every level gives the same bits");
            assert!(embedded(CLIP, "full", level) == embedded(CLIP, "full", best), "and so does CLIP");
            continue;
        }
        for (found, expected) in found.iter().zip(&expected) {
            let furthest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(furthest < 1e-4, "{furthest}");
        }
        let places: Vec<Option<usize>> = find(&found[..99]).places.into_iter().map(|(group, _)| group).collect();
        let index = adjusted_rand_index(&names, &places);
        println!("clusters of embeddings at {} and {}: adjusted Rand index {index:.3}", level.name(), best.name());
        assert!(index >= 0.95, "{index}");
    }
}

/// With AVX-512 without VNNI, f32 is faster, and what is kept in 8 bits is multiplied so.
#[cfg(target_arch = "x86_64")]
#[test]
fn embeddings_in_eight_bits_are_the_same_at_every_level_with_integers() {
    let has_integers = |level: &Level| match level {
        Level::Baseline => false,
        Level::Avx2 | Level::AvxVnni => true,
        Level::Avx512 => std::arch::is_x86_feature_detected!("avx512vnni"),
    };
    let levels: Vec<Level> = Level::of_processor().filter(has_integers).collect();
    let full = embedded(CLIP, "full", Level::wanted().unwrap());
    let eight: Vec<Vec<Vec<f32>>> = levels.iter().map(|level| embedded(CLIP, "q8", *level)).collect();
    for (level, found) in levels.iter().zip(&eight) {
        assert!(found == &eight[0], "{}", level.name());
        assert!(found != &full, "{}: in f32", level.name());
    }
}
