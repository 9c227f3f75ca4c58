//! 100,000 clustered vectors through the whole library: `cargo bench -p snapseek-index --bench recall [COUNT [DIM…]]`.
//!
//! Prints, per number of dimensions: how long the caches take to build, recall@10 of the graph against an exact search,
//! the share of photos that find themselves first, times of queries and of opening, sizes, and the peak of memory.

use snapseek_index::{
    By, Change, FileIdentity, FileStamp, Filters, Library, ModelRecord, PhotoFacts, SearchRequest, Searcher, Tag, query,
};
use std::path::Path;
use std::time::{Duration, Instant};

const QUERIES: usize = 300;
const CLUSTERS: usize = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(100_000);
    let dims = numbers.get(1..).filter(|d| !d.is_empty()).unwrap_or(&[512, 384]).to_vec();
    for dim in dims {
        measure(count, dim)?;
    }
    Ok(())
}

fn measure(count: usize, dim: usize) -> Result<(), Box<dyn std::error::Error>> {
    println!("{count} photos, {dim} numbers, {CLUSTERS} clusters");
    let folder = tempfile::tempdir()?;
    let library = Library::create(folder.path())?;
    let mut random = Random(1);
    let centres: Vec<Vec<f32>> = (0..CLUSTERS).map(|_| near(&mut random, &vec![0.0; dim], 1.0)).collect();
    let spread = 1.0 / (dim as f32).sqrt();
    let vectors: Vec<Vec<f32>> = (0..count).map(|n| near(&mut random, &centres[n % CLUSTERS], spread)).collect();
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|n| near(&mut random, &centres[n * 7 % CLUSTERS], spread)).collect();
    let started = Instant::now();
    let mut writer = library.lock()?;
    writer.set_model(&ModelRecord { name: "bench".into(), fingerprint: "bench".into(), dim })?;
    for (n, batch) in vectors.chunks(256).enumerate() {
        writer.apply(&batch.iter().enumerate().map(|(i, v)| photo(n * 256 + i, v)).collect::<Vec<_>>())?;
    }
    row("catalogue written", started.elapsed());
    let started = Instant::now();
    let mut switched = None;
    writer.refresh_caches(&mut |what, _, _| {
        if what != "vectors" && switched.is_none() {
            switched = Some(started.elapsed());
        }
        true
    })?;
    let vectors_took = switched.unwrap_or_default();
    row("vector cache and graph built", vectors_took);
    row("full-text cache built", started.elapsed() - vectors_took);
    for cache in ["vectors", "text"] {
        let bytes = bytes_below(&folder.path().join(cache))?;
        println!("  {:<34} {:>10.1} MB", format!("size of {cache}"), bytes as f64 / 1e6);
    }
    drop(writer);
    println!("  {:<34} {:>10.1} MB", "peak memory so far", peak());

    let mut opening = Vec::new();
    for query in queries.iter().take(7) {
        let started = Instant::now();
        Library::open(folder.path())?.searcher()?.search(&meaning(query, 10))?;
        opening.push(started.elapsed());
    }
    row("open and first query", median(&mut opening));
    let mut both = Vec::new();
    for query in queries.iter().take(7) {
        let started = Instant::now();
        let request = SearchRequest { by: By::Both, words: Some("word7 rare3".into()), ..meaning(query, 10) };
        Library::open(folder.path())?.searcher()?.search(&request)?;
        both.push(started.elapsed());
    }
    row("open and first query, with words", median(&mut both));

    let searcher = library.searcher()?;
    let (mut graph, mut exact, mut found, mut wanted) = (Vec::new(), Vec::new(), 0, 0);
    for query in &queries {
        // So many hits are only to be had by comparing with every photo.
        let truth = timed(&searcher, &meaning(query, count / 20 + 10), &mut exact)?;
        let answer = timed(&searcher, &meaning(query, 10), &mut graph)?;
        wanted += 10;
        found += answer.iter().filter(|id| truth[..10].contains(id)).count();
    }
    println!("  {:<34} {:>10.4}", "recall@10", found as f64 / wanted as f64);
    row("query by graph, median", median(&mut graph));
    let mut filtered = Vec::new();
    for query in &queries {
        let filters = query::parse("ext:jpg")?.filters;
        timed(&searcher, &SearchRequest { filters, ..meaning(query, 10) }, &mut filtered)?;
    }
    row("query of all photos by a filter", median(&mut filtered));
    let themselves = vectors.iter().enumerate().step_by(10).filter(|(n, vector)| {
        let hits = searcher.search(&meaning(vector, 1)).map(|r| r.hits).unwrap_or_default();
        hits.first().is_some_and(|hit| hit.paths[0] == path(*n))
    });
    println!("  {:<34} {:>10.4}", "find themselves first", themselves.count() as f64 / count.div_ceil(10) as f64);
    println!("  {:<34} {:>10.1} MB", "peak memory", peak());
    Ok(())
}

fn timed(searcher: &Searcher, request: &SearchRequest, times: &mut Vec<Duration>) -> snapseek_index::Result<Vec<i64>> {
    let started = Instant::now();
    let response = searcher.search(request)?;
    times.push(started.elapsed());
    Ok(response.hits.into_iter().map(|hit| hit.id).collect())
}

fn meaning(vector: &[f32], limit: usize) -> SearchRequest {
    SearchRequest {
        vector: Some(vector.to_vec()),
        words: None,
        phrases: Vec::new(),
        filters: Filters::default(),
        by: By::Meaning,
        limit,
        min_score: None,
        unique: None,
        exclude: Vec::new(),
        ..SearchRequest::default()
    }
}

fn path(n: usize) -> std::path::PathBuf {
    Path::new("/photos").join(format!("{}", n / 500)).join(format!("IMG_{n}.jpg"))
}

fn photo(n: usize, vector: &[f32]) -> Change {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&(n as u64).to_le_bytes());
    Change::Photo {
        path: path(n),
        root: "/photos".into(),
        stamp: FileStamp { size: n as u64, mtime_ns: 0 },
        identity: FileIdentity { file: hash, picture: hash, version: 1 },
        facts: PhotoFacts { width: 4000, height: 3000, format: "jpeg".into(), ..PhotoFacts::default() },
        embedding: vector.to_vec(),
        tags: [format!("word{}", n % 300), format!("rare{}", n % 977)].map(|label| Tag { label, score: 0.5 }).into(),
    }
}

fn row(name: &str, time: Duration) {
    println!("  {name:<34} {:>10.2} ms", time.as_secs_f64() * 1e3);
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The most memory this process ever had, in MB (Linux).
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1e3
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    }
}

/// A unit vector near another.
fn near(random: &mut Random, centre: &[f32], spread: f32) -> Vec<f32> {
    let mut vector: Vec<f32> =
        centre.iter().map(|c| c + spread * 1.7 * (0..4).map(|_| random.uniform()).sum::<f32>()).collect();
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|v| *v /= norm);
    vector
}

fn bytes_below(folder: &std::path::Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { bytes_below(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
