//! Clusters, names and maps of the photos in `fixtures/photos`, made with the starter, against a person's groups.

use snapseek::clusters::keywords::{Album, Words};
use snapseek::clusters::linkage::{Clustering, LinkageOptions, cluster};
use snapseek::clusters::map;
use snapseek::model::{self, Embed};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos")
}

/// The names and embeddings of all photos, sorted by name.
fn embedded(model: &dyn Embed) -> (Vec<String>, Vec<Vec<f32>>) {
    let mut names: Vec<String> = std::fs::read_dir(photos())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jpg"))
        .collect();
    names.sort();
    let vectors = names
        .iter()
        .map(|name| snapseek::search::query_vector::embed_file(&photos().join(name), model).unwrap())
        .collect();
    (names, vectors)
}

/// The group of each photo that belongs to one.
fn groups() -> HashMap<String, String> {
    let groups: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&std::fs::read_to_string(photos().join("groups.json")).unwrap()).unwrap();
    groups.into_iter().flat_map(|(group, names)| names.into_iter().map(move |name| (name, group.clone()))).collect()
}

/// The index of Hubert and Arabie 1985. Outliers count as clusters of one.
pub(crate) fn adjusted_rand_index(truth: &[&str], found: &[Option<usize>]) -> f64 {
    let pairs = |n: usize| (n * n.saturating_sub(1)) as f64 / 2.0;
    let mut cells: HashMap<(&str, usize), usize> = HashMap::new();
    let (mut rows, mut columns): (HashMap<&str, usize>, HashMap<usize, usize>) = Default::default();
    for (n, (truth, found)) in truth.iter().zip(found).enumerate() {
        let found = found.unwrap_or(1_000_000 + n);
        *cells.entry((truth, found)).or_default() += 1;
        *rows.entry(truth).or_default() += 1;
        *columns.entry(found).or_default() += 1;
    }
    let sum = |counts: &mut dyn Iterator<Item = usize>| counts.map(pairs).sum::<f64>();
    let both = sum(&mut cells.values().copied());
    let (a, b) = (sum(&mut rows.values().copied()), sum(&mut columns.values().copied()));
    let expected = a * b / pairs(truth.len());
    (both - expected) / ((a + b) / 2.0 - expected)
}

pub(crate) fn find(vectors: &[Vec<f32>]) -> Clustering {
    let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    cluster(&vectors, LinkageOptions { count: None, min_size: 3, least_size: 3 }, &mut |_, _| true).unwrap()
}

#[test]
fn the_index_is_that_of_the_textbook() {
    let truth = ["a", "a", "a", "b", "b", "b"];
    let found = |labels: [usize; 6]| labels.map(Some);
    assert!((adjusted_rand_index(&truth, &found([1, 1, 1, 0, 0, 0])) - 1.0).abs() < 1e-9);
    // scikit-learn: adjusted_rand_score([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2])
    assert!((adjusted_rand_index(&truth, &found([0, 0, 1, 1, 2, 2])) - 0.242_424).abs() < 1e-5);
}

/// Clusters of the library without a tenth of its photos, chosen at random ten times: the number of clusters, and the
/// adjusted Rand index with those of the whole library, over the photos that both have.
fn without_a_tenth(vectors: &[Vec<f32>]) -> Vec<(usize, f64)> {
    let whole = find(vectors);
    let mut state = 42_u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let one = |_| {
        let mut kept: Vec<usize> = (0..vectors.len()).collect();
        for _ in 0..vectors.len() / 10 {
            kept.swap_remove(random(kept.len()));
        }
        kept.sort_unstable();
        let part = find(&kept.iter().map(|at| vectors[*at].clone()).collect::<Vec<_>>());
        let name = |at: &usize| whole.places[*at].0.map_or(format!("none {at}"), |group| group.to_string());
        let truth: Vec<String> = kept.iter().map(name).collect();
        let places: Vec<Option<usize>> = part.places.iter().map(|place| place.0).collect();
        let truth: Vec<&str> = truth.iter().map(String::as_str).collect();
        (part.groups.len(), adjusted_rand_index(&truth, &places))
    };
    (0..10).map(one).collect()
}

#[test]
fn clusters_are_steady() {
    let model = model::starter().unwrap();
    let (_, vectors) = embedded(model.as_ref());
    let steady = without_a_tenth(&vectors);
    let mean = steady.iter().map(|(_, index)| index).sum::<f64>() / steady.len() as f64;
    let counts: Vec<usize> = steady.iter().map(|(count, _)| *count).collect();
    println!("without a tenth of the photos: {counts:?} clusters, adjusted Rand index {mean:.3}, {steady:?}");
    assert!(steady.iter().all(|(_, index)| *index >= 0.8), "{steady:?}");
}

#[test]
fn clusters_are_those_of_a_person_more_or_less() {
    let model = model::starter().unwrap();
    let (names, vectors) = embedded(model.as_ref());
    let found = find(&vectors);
    let groups = groups();
    let judged: Vec<usize> = (0..names.len()).filter(|at| groups.contains_key(&names[*at])).collect();
    let truth: Vec<&str> = judged.iter().map(|at| groups[&names[*at]].as_str()).collect();
    let places: Vec<Option<usize>> = judged.iter().map(|at| found.places[*at].0).collect();
    let index = adjusted_rand_index(&truth, &places);
    let strays = found.places.iter().filter(|place| place.0.is_none()).count();
    println!(
        "{} clusters, {strays} of {} photos in none, adjusted Rand index {index:.3}",
        found.groups.len(),
        names.len()
    );
    assert!(index >= 0.5, "{index}");
    assert!(strays <= names.len() / 5, "{strays}");

    let cache = tempfile::tempdir().unwrap();
    let words = Words::load(model.as_ref(), &[], cache.path(), &mut |_, _| true).unwrap().unwrap();
    let albums: Vec<Album<'_>> = (0..found.groups.len())
        .map(|group| Album {
            centroid: &found.groups[group].centroid,
            photos: found
                .places
                .iter()
                .zip(&vectors)
                .filter(|(p, _)| p.0 == Some(group))
                .map(|(_, v)| v.as_slice())
                .collect(),
            shares: HashMap::new(),
        })
        .collect();
    let keywords = words.name(&albums);
    let accepted: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&std::fs::read_to_string(photos().join("accepted-names.json")).unwrap()).unwrap();
    let mut good = 0;
    for (group, keywords) in keywords.iter().enumerate() {
        let inside: Vec<&str> = names
            .iter()
            .zip(&found.places)
            .filter(|(_, p)| p.0 == Some(group))
            .map(|(n, _)| n.trim_end_matches(".jpg"))
            .collect();
        // The group of most of its photos decides which words a person accepts.
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &inside {
            if let Some(truth) = groups.get(&format!("{name}.jpg")) {
                *counts.entry(truth).or_default() += 1;
            }
        }
        let (most, _) = counts.into_iter().max_by_key(|(_, n)| *n).unwrap();
        let fits = keywords.iter().take(2).any(|word| accepted[most].contains(word));
        good += usize::from(fits);
        println!("{} {} [{most}] {keywords:?} {inside:?}", if fits { "good" } else { "BAD " }, inside.len());
    }
    println!("{good} of {} names are accepted", keywords.len());
    assert!(good * 10 >= keywords.len() * 8, "{good} of {}", keywords.len());
}

#[test]
fn photos_of_a_group_lie_together_on_the_map() {
    let model = model::starter().unwrap();
    let (names, vectors) = embedded(model.as_ref());
    let rows: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let spots = map::layout(&rows, &mut |_, _| true).unwrap();
    let groups = groups();
    let judged: Vec<usize> = (0..names.len()).filter(|at| groups.contains_key(&names[*at])).collect();
    let mut same = 0;
    for at in &judged {
        let gap = |other: &usize| (spots[*at].0 - spots[*other].0).hypot(spots[*at].1 - spots[*other].1);
        let nearest = judged.iter().filter(|other| *other != at).min_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap();
        same += usize::from(groups[&names[*at]] == groups[&names[*nearest]]);
    }
    let share = same as f64 / judged.len() as f64;
    println!("the nearest photo on the map is of the same group for {:.0} %", 100.0 * share);
    assert!(share >= 0.7, "{share}");
}

#[test]
fn more_clusters_are_asked_for_more_are_found() {
    let model = model::starter().unwrap();
    let (_, vectors) = embedded(model.as_ref());
    let rows: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let mut before = 0;
    let mut counts = Vec::new();
    for count in 1..=vectors.len() {
        let options = LinkageOptions { count: Some(count), min_size: 3, least_size: 2 };
        let found = cluster(&rows, options, &mut |_, _| true).unwrap().groups.len();
        assert!(found >= before && found <= count, "{count}: {found} after {before}");
        before = found;
        counts.push(found);
    }
    println!("{counts:?}");
}
