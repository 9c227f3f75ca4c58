//! Made libraries through the whole index: `cargo bench -p snapseek-index --bench recall [COUNT [DIM [FOLDER [SERVER]]]]`.
//!
//! Prints how long the caches take to build and to follow 10,000 more photos, sizes, the peak of memory, times of
//! opening and of queries (by meaning, with filters, with words), and recall@10 against comparing with every vector.
//! With FOLDER, the library stays there, and vectors, queries and the truth lie beside it for `peers.py`. With SERVER,
//! the address of an empty library, it is copied there, and the same is asked there.

use rayon::prelude::*;
use snapseek_index::{
    By, Change, FileIdentity, FileStamp, Library, ModelRecord, PhotoFacts, SearchRequest, Searcher, Tag, query,
};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const QUERIES: usize = 300;
const CLUSTERS: usize = 1_000;
const MORE: usize = 10_000;
/// Photos written at once.
const BATCH: usize = 2_048;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |at: usize| arguments.get(at).and_then(|a| a.parse().ok());
    let (count, dim) = (number(0).unwrap_or(100_000), number(1).unwrap_or(512));
    let temporary = tempfile::tempdir()?;
    let kept = arguments.get(2).map(PathBuf::from);
    let made = Made::new(count, dim);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let library = measure(&made, folder, kept.is_some())?;
    let grows = library.searcher()?.len() == count;
    if let Some(server) = arguments.get(3) {
        on_server(&made, folder, &library, Path::new(server))?;
    }
    if grows { follow(&made, &library) } else { Ok(()) }
}

/// Vectors around the middles of clusters, each fiftieth nearly that of the photo before it.
struct Made {
    count: usize,
    dim: usize,
    centres: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
}

impl Made {
    fn new(count: usize, dim: usize) -> Self {
        let mut random = Random::new(1);
        let centres: Vec<Vec<f32>> = (0..CLUSTERS).map(|_| near(&mut random, &vec![0.0; dim], 1.0)).collect();
        let spread = 1.0 / (dim as f32).sqrt();
        let query = |n: usize| near(&mut Random::new(n as u64 + 77), &centres[n * 7 % CLUSTERS], spread);
        let queries = (0..QUERIES).map(query).collect();
        Self { count, dim, centres, queries }
    }

    fn vector(&self, n: usize) -> Vec<f32> {
        let spread = 1.0 / (self.dim as f32).sqrt();
        let own = |n: usize| near(&mut Random::new(n as u64 + 1_000_003), &self.centres[n % CLUSTERS], spread);
        match n % 50 {
            49 => near(&mut Random::new(n as u64), &own(n - 1), spread / 20.0),
            _ => own(n),
        }
    }
}

fn measure(made: &Made, folder: &Path, is_kept: bool) -> Result<Library, Failed> {
    let Made { count, dim, .. } = made;
    println!("{count} photos, {dim} numbers, {CLUSTERS} clusters");
    let place = folder.join("library");
    if !place.exists() {
        fill(made, folder, is_kept)?;
    }
    let library = Library::open(&place)?;
    if !place.join("vectors").exists() {
        refresh(&mut library.lock()?)?;
    }
    for (what, bytes) in [
        ("size of the library a photo", bytes_below(&place)?),
        ("size of vectors a photo", bytes_below(&place.join("vectors"))?),
        ("size of words a photo", bytes_below(&place.join("text"))?),
    ] {
        println!("  {what:<44} {:>10.0} bytes", bytes as f64 / library.searcher()?.len() as f64);
    }

    ask(made, folder, &place)?;
    Ok(library)
}

/// Copies the library to a server, and asks there.
fn on_server(made: &Made, folder: &Path, library: &Library, address: &Path) -> Result<(), Failed> {
    let started = Instant::now();
    let server = Library::create(address)?;
    library.copy_to(&server, &mut |_, _| true)?;
    server.share_caches_of(library)?;
    println!("on {}", server.engine()?);
    println!("  {:<44} {:>10.1} s", "copied", started.elapsed().as_secs_f64());
    println!(
        "  {:<44} {:>10.0} bytes",
        "size a photo",
        server.status()?.bytes as f64 / library.searcher()?.len() as f64
    );
    let started = Instant::now();
    server.searcher()?.search(&with(&made.queries[0], "word")?)?;
    println!("  {:<44} {:>10.1} s", "first search of a machine", started.elapsed().as_secs_f64());
    ask(made, folder, address)
}

/// Asks a library at a place.
fn ask(made: &Made, folder: &Path, place: &Path) -> Result<(), Failed> {
    let Made { count, queries, .. } = made;
    let truth: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(folder.join("truth.json"))?)?;
    let library = Library::open(place)?;
    let cold = |request: &dyn Fn(usize) -> Result<SearchRequest, Failed>| -> Result<Vec<Duration>, Failed> {
        let mut times = Vec::new();
        for n in 0..7 {
            let started = Instant::now();
            Library::open(place)?.searcher()?.search(&request(n)?)?;
            times.push(started.elapsed());
        }
        Ok(times)
    };
    row("open and first query", &mut cold(&|n| Ok(meaning(&queries[n], 10)))?);
    let few = format!("{} {}", name(107), name(403));
    row("open and first query, with words", &mut cold(&|n| with(&queries[n], &few))?);

    let searcher = library.searcher()?;
    searcher.search(&with(&queries[0], "word")?)?;
    let mut times = Vec::new();
    let mut right = 0;
    for (query, truth) in queries.iter().zip(&truth) {
        let found = timed(&searcher, &meaning(query, 10), &mut times)?;
        // What came later may be nearer than what was nearest.
        right += found.iter().filter(|n| truth.contains(n) || **n as usize >= *count).count();
    }
    row("query by graph", &mut times);
    println!("  {:<44} {:>10.4}", "recall@10", right as f64 / (10 * QUERIES) as f64);
    let tag = |kind, n| format!("tag:\"{kind} {}\"", name(n));
    for (name, text) in [
        ("a filter that half of the photos pass", "wider:>3999"),
        ("a filter that 1 % pass", "camera:\"camera 7 \""),
        ("a filter that all pass", "ext:jpg"),
        ("a filter that 0.01 % pass", "place:\"place 7\""),
        ("a tag that 10 % have", &tag("often", 3)),
        ("a tag that 0.1 % have", &tag("rare", 107)),
    ] {
        let filters = query::parse(text)?.filters;
        for (with, vectors) in [("", queries.as_slice()), (", alone", &[])] {
            let (mut times, mut wrong) = (Vec::new(), 0);
            for n in 0..if vectors.is_empty() { 7 } else { 50 } {
                let vector = vectors.get(n).cloned();
                let request = SearchRequest { vector, filters: filters.clone(), limit: 10, ..SearchRequest::default() };
                wrong += usize::from(timed(&searcher, &request, &mut times)?.len() != 10);
            }
            row(&format!("{name}{with}"), &mut times);
            assert_eq!(wrong, 0);
        }
    }
    for (name, text) in [
        ("words that 0.4 % of the photos have", few.clone()),
        ("a word that a tenth have", name(3)),
        ("two words that all have", "photos often".into()),
    ] {
        for by in [By::Words, By::Both] {
            let mut times = Vec::new();
            for query in queries.iter().take(20) {
                timed(&searcher, &SearchRequest { by, ..with(query, &text)? }, &mut times)?;
            }
            row(&format!("{name}{}", if by == By::Both { ", and meaning" } else { "" }), &mut times);
        }
    }
    let (mut times, mut themselves) = (Vec::new(), 0);
    for n in (0..*count).step_by(count / 1_000) {
        themselves += usize::from(timed(&searcher, &meaning(&made.vector(n), 1), &mut times)? == [n as u32]);
    }
    println!("  {:<44} {:>10.4}", "find themselves first", themselves as f64 / times.len() as f64);
    println!("  {:<44} {:>10.1} MB", "peak memory", peak());
    Ok(())
}

/// Writes the library, and what is nearest to each query.
fn fill(made: &Made, folder: &Path, is_kept: bool) -> Result<(), Failed> {
    let library = Library::create(&folder.join("library"))?;
    let mut writer = library.lock()?;
    writer.set_model(&ModelRecord { name: "bench".into(), fingerprint: "bench".into(), dim: made.dim })?;
    let mut raw = is_kept.then(|| std::fs::File::create(folder.join("vectors.f32"))).transpose()?;
    let mut best: Vec<Vec<(f32, u32)>> = vec![Vec::new(); QUERIES];
    let mut wrote = Duration::ZERO;
    for first in (0..made.count).step_by(BATCH) {
        let numbers = first..(first + BATCH).min(made.count);
        let vectors: Vec<Vec<f32>> = numbers.clone().into_par_iter().map(|n| made.vector(n)).collect();
        best.par_iter_mut().zip(&made.queries).for_each(|(best, query)| {
            for (n, vector) in numbers.clone().zip(&vectors) {
                best.push((query.iter().zip(vector).map(|(a, b)| a * b).sum(), n as u32));
            }
            best.sort_by(|a, b| b.0.total_cmp(&a.0));
            best.truncate(10);
        });
        if let Some(raw) = &mut raw {
            for vector in &vectors {
                raw.write_all(&vector.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
            }
        }
        let started = Instant::now();
        let changes: Vec<Change> = numbers.zip(&vectors).map(|(n, vector)| photo(n, vector)).collect();
        writer.apply(&changes)?;
        wrote += started.elapsed();
    }
    println!("  {:<44} {:>10.1} s", "catalogue written", wrote.as_secs_f64());
    let truth: Vec<Vec<u32>> = best.iter().map(|best| best.iter().map(|(_, n)| *n).collect()).collect();
    std::fs::write(folder.join("truth.json"), serde_json::to_vec(&truth)?)?;
    let queries: Vec<u8> = made.queries.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(folder.join("queries.f32"), queries)?;
    println!("  {:<44} {:>10.1} MB", "peak memory so far", peak());
    refresh(&mut writer)
}

fn refresh(writer: &mut snapseek_index::Writer<'_>) -> Result<(), Failed> {
    let started = Instant::now();
    let mut vectors = None;
    writer.refresh_caches(&mut |what, _, _| {
        if what != "vectors" {
            vectors.get_or_insert(started.elapsed());
        }
        true
    })?;
    let vectors = vectors.unwrap_or(started.elapsed());
    println!("  {:<44} {:>10.1} s", "caches of vectors built", vectors.as_secs_f64());
    println!("  {:<44} {:>10.1} s", "caches of words built", (started.elapsed() - vectors).as_secs_f64());
    println!("  {:<44} {:>10.1} MB", "peak memory so far", peak());
    Ok(())
}

/// More photos come.
fn follow(made: &Made, library: &Library) -> Result<(), Failed> {
    let mut writer = library.lock()?;
    let started = Instant::now();
    let numbers: Vec<usize> = (made.count..made.count + MORE).collect();
    for numbers in numbers.chunks(256) {
        writer.apply(&numbers.iter().map(|n| photo(*n, &made.vector(*n))).collect::<Vec<_>>())?;
    }
    println!("  {:<44} {:>10.1} s", format!("{MORE} more written"), started.elapsed().as_secs_f64());
    refresh(&mut writer)
}

fn timed(searcher: &Searcher, request: &SearchRequest, times: &mut Vec<Duration>) -> Result<Vec<u32>, Failed> {
    let started = Instant::now();
    let response = searcher.search(request)?;
    times.push(started.elapsed());
    Ok(response.hits.into_iter().map(|hit| hit.size as u32).collect())
}

fn meaning(vector: &[f32], limit: usize) -> SearchRequest {
    SearchRequest { vector: Some(vector.to_vec()), by: By::Meaning, limit, ..SearchRequest::default() }
}

fn with(vector: &[f32], words: &str) -> Result<SearchRequest, Failed> {
    Ok(SearchRequest { by: By::Both, words: Some(words.into()), ..meaning(vector, 10) })
}

/// A photo, whose number is its size, too.
fn photo(n: usize, vector: &[f32]) -> Change {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&(n as u64).to_le_bytes());
    let mut facts =
        PhotoFacts { width: 4_000 - (n % 2) as u32, height: 3_000, format: "jpeg".into(), ..PhotoFacts::default() };
    facts.metadata.camera = Some(format!("camera {} model", n / 3 % 100));
    facts.metadata.city = Some(format!("place {} city", n / 7 % 10_000));
    let tags =
        [format!("word {}", name(n % 300)), format!("rare {}", name(n % 977)), format!("often {}", name(n % 10))];
    Change::Photo {
        path: Path::new("/photos").join(format!("{}", n / 500)).join(format!("IMG_{n}.jpg")),
        root: "/photos".into(),
        stamp: FileStamp { size: n as u64, mtime_ns: 0 },
        identity: FileIdentity { file: hash, picture: hash, version: 1 },
        facts,
        embedding: vector.to_vec(),
        tags: tags.map(|label| Tag { label, score: 0.5 }).into(),
    }
}

/// A word for a number; digits are words of their own.
fn name(n: usize) -> String {
    let mut letters = String::from("x");
    let mut rest = n;
    while rest > 0 || letters.len() < 2 {
        letters.push((b'b' + (rest % 20) as u8) as char);
        rest /= 20;
    }
    letters
}

/// Prints the median and the 99th percentile.
fn row(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    println!("  {name:<44} {:>10.2} ms, 99th percentile {:.2}", at(0.5), at(0.99));
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
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

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

fn bytes_below(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { bytes_below(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
