//! What a library shows does not depend on the processor: the same embeddings give the same clusters, names and map at
//! every kernel level that this machine has.

use crate::support::{Sandbox, finish};
use snapseek::model::compute::level::{Level, VARIABLE};
use std::fs;

const PHOTOS: [&str; 23] = [
    "fish-1",
    "fish-4",
    "fish-6",
    "fish-9",
    "fish-10",
    "fish-11",
    "fish-25",
    "hammer-5",
    "hammer-8",
    "plier-3",
    "screw-driver-2",
    "wrench",
    "scissors-1",
    "owl",
    "duck",
    "chicken",
    "kingfisher",
    "parthenon",
    "petra",
    "taj-mahal",
    "us-capitol",
    "great-pyramid",
    "giraffe",
];

#[test]
fn clusters_names_and_the_map_are_the_same_at_every_level() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let shown = |level: Level| {
        // With a cache of its own, each level also embeds the words again.
        let cache = sandbox.path(format!("cache-{}", level.name()));
        let map = sandbox.path(format!("map-{}.svg", level.name()));
        let run = |args: &[&str]| {
            let mut command = sandbox.command(args);
            command.env(VARIABLE, level.name()).env("XDG_CACHE_HOME", &cache);
            finish(command).exits(0).text()
        };
        let clusters = run(&["cluster", "--auto", "--json"]);
        run(&["map", "--svg", map.to_str().unwrap()]);
        (clusters, fs::read_to_string(map).unwrap())
    };
    // AVX-VNNI multiplies integers, and these are floats.
    let levels = Level::of_processor().filter(|level| *level != Level::AvxVnni);
    let all: Vec<_> = levels.map(shown).collect();
    assert!(all[0].0.lines().count() > 3, "{}", all[0].0);
    for other in &all[1..] {
        assert_eq!(other.0, all[0].0);
        assert!(other.1 == all[0].1, "another map");
    }
}

#[test]
fn a_level_that_does_not_exist_is_refused() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(["status"]);
    command.env(VARIABLE, "sse9");
    let refused = finish(command).exits(2);
    assert!(refused.stderr.contains("SNAPSEEK_CPU") && refused.stderr.contains("avx2"), "{refused}");
}
