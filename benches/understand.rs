//! The cost of clusters and maps of a large library, and the quality of the clusters. docs/figures.md quotes the
//! figures.
//!
//! ```text
//! cargo bench --bench understand -- PHOTOS [DIM]     synthetic vectors: groups of uneven sizes, a tenth in none
//! ```
#![allow(clippy::unwrap_used)]

use snapseek::clusters::linkage::{LinkageOptions, cluster};
use snapseek::clusters::map;
use snapseek::model::normalize;
use std::collections::HashMap;
use std::time::Instant;

const GROUPS: usize = 120;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (photos, dim) = (numbers.first().copied().unwrap_or(100_000), numbers.get(1).copied().unwrap_or(512));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut direction = |center: Option<&[f32]>| {
        let mut vector: Vec<f32> = (0..dim).map(|_| random.next()).collect();
        normalize(&mut vector);
        if let Some(center) = center {
            vector.iter_mut().zip(center).for_each(|(v, c)| *v = *v * 0.8 + c);
            normalize(&mut vector);
        }
        vector
    };
    let centers: Vec<Vec<f32>> = (0..GROUPS).map(|_| direction(None)).collect();
    // The first groups are larger, and every tenth photo is in no group.
    let truth = |n: usize| (!n.is_multiple_of(10)).then(|| ((n * 7919) % GROUPS) * ((n * 104_729) % GROUPS) / GROUPS);
    let vectors: Vec<Vec<f32>> =
        (0..photos).map(|n| direction(truth(n).map(|group| centers[group].as_slice()))).collect();
    let rows: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    println!("{photos} x {dim}, {} MB of vectors; peak memory before: {}", photos * dim * 4 / 1_000_000, peak());
    let start = Instant::now();
    let found = cluster(&rows, LinkageOptions { count: None, min_size: 5, least_size: 5 }, &mut |_, _| true).unwrap();
    println!(
        "clusters           {:8.1} s, {} of them; peak memory {}",
        start.elapsed().as_secs_f64(),
        found.groups.len(),
        peak()
    );
    let places: Vec<Option<usize>> = found.places.iter().map(|place| place.0).collect();
    let truths: Vec<Option<usize>> = (0..photos).map(truth).collect();
    println!("adjusted Rand index {:.3} over the photos in groups", adjusted_rand_index(&truths, &places));
    let strays = |n: &usize| truths[*n].is_none() && places[*n].is_none();
    println!(
        "{:.3} of the strays are outliers",
        (0..photos).filter(strays).count() as f64 / photos.div_ceil(10) as f64
    );
    let start = Instant::now();
    map::layout(&rows, &mut |_, _| true).unwrap();
    println!("map                {:8.1} s; peak memory {}", start.elapsed().as_secs_f64(), peak());
}

fn adjusted_rand_index(truth: &[Option<usize>], found: &[Option<usize>]) -> f64 {
    let pairs = |n: &usize| (*n as f64) * (*n as f64 - 1.0) / 2.0;
    let (mut cells, mut rows, mut columns) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut total = 0_usize;
    for (n, (truth, found)) in truth.iter().zip(found).enumerate() {
        let Some(truth) = truth else { continue };
        let found = found.unwrap_or(usize::MAX - n);
        total += 1;
        *cells.entry((*truth, found)).or_insert(0_usize) += 1;
        *rows.entry(*truth).or_insert(0_usize) += 1;
        *columns.entry(found).or_insert(0_usize) += 1;
    }
    let both: f64 = cells.values().map(pairs).sum();
    let (a, b): (f64, f64) = (rows.values().map(pairs).sum(), columns.values().map(pairs).sum());
    let expected = a * b / pairs(&total);
    (both - expected) / ((a + b) / 2.0 - expected)
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim().to_owned()
}

/// Pseudorandom numbers, fast and reproducible.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let [a, b, c, d] = [self.0 & 0xffff, (self.0 >> 16) & 0xffff, (self.0 >> 32) & 0xffff, self.0 >> 48];
        (a + b + c + d) as f32 / 65_536.0 - 2.0
    }
}
