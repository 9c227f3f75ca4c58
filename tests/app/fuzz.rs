//! The fuzz targets (fuzz/targets.rs) on mutations of real files: a short run that is the same every time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Rounds for each seed; the first takes it unchanged.
const ROUNDS: usize = 60;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }

    /// Flips bits, or overwrites, cuts, doubles or splices bytes.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let (at, length) = (self.below(bytes.len()), 1 + self.below(64));
            let end = (at + length).min(bytes.len());
            match self.below(5) {
                0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << self.below(8)),
                1 => bytes[at..end].fill([0, 0x7f, 0xff][self.below(3)]),
                2 => bytes.truncate(at.max(8)),
                3 => bytes.extend_from_within(at..end),
                _ => {
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
    }
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file());
    files.sort();
    files
}

/// Runs a target on each seed and on its mutations. A panic names the seed and the round.
fn run(seeds: &[(String, Vec<u8>)], target: fn(&[u8])) {
    run_for(ROUNDS, seeds, target);
}

fn run_for(rounds: usize, seeds: &[(String, Vec<u8>)], target: fn(&[u8])) {
    let mut random = Random(20_261_127);
    for (name, seed) in seeds {
        for round in 0..rounds {
            let mut bytes = seed.clone();
            if round > 0 {
                random.mutate(&mut bytes);
            }
            let start = Instant::now();
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{name}, round {round}");
            // Far more than any takes: these would hang on larger files.
            assert!(start.elapsed() < Duration::from_secs(10), "{name}, round {round}: {:?}", start.elapsed());
        }
    }
}

fn read(files: impl IntoIterator<Item = PathBuf>) -> Vec<(String, Vec<u8>)> {
    files.into_iter().map(|file| (file.display().to_string(), fs::read(&file).unwrap())).collect()
}

#[test]
fn pictures() {
    snapseek::panics::contain_panics();
    run(
        &read(fixtures("reference/pictures").into_iter().filter(|file| file.metadata().unwrap().len() < 100_000)),
        targets::decode,
    );
}

/// A thousand mutations of each format. `SNAPSEEK_FUZZ_ROUNDS` is for more.
#[test]
fn pictures_of_every_format() {
    snapseek::panics::contain_panics();
    let rounds = std::env::var("SNAPSEEK_FUZZ_ROUNDS").map_or(1_000, |rounds| rounds.parse().unwrap());
    let mut formats: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in ["formats", "formats/tiff", "formats/raw"].into_iter().flat_map(fixtures) {
        let ending = file.extension().unwrap().to_str().unwrap().to_owned();
        if file.metadata().unwrap().len() < 100_000 && !["py", "png"].contains(&ending.as_str()) {
            formats.entry(ending).or_default().push(file);
        }
    }
    assert!(formats.len() > 10, "{formats:?}");
    for files in formats.into_values() {
        let rounds = usize::div_ceil(rounds, files.len());
        run_for(rounds, &read(files), targets::decode);
    }
}

/// A file that has the identity of another one is never decoded: so it must hold the same pixels, if any.
#[test]
fn equal_identity_means_equal_pixels() {
    use snapseek::photo::{DecodeLimits, decode, identity::outline};
    let mut random = Random(20_261_128);
    let mut same = 0;
    let boxes = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        ["owl.avif", "owl.jp2", "owl.jxl", "orientation-6.heic", "small-alpha.avif"].contains(&name)
    };
    let boxes = fixtures("formats").into_iter().filter(boxes);
    for (name, seed) in read(fixtures("reference/pictures").into_iter().chain(boxes)) {
        let (picture, limits) = (outline(&seed).picture, DecodeLimits::default());
        let pixels = decode(&seed, None, &limits).unwrap().picture;
        for round in 0..200 {
            let mut bytes = seed.clone();
            random.mutate(&mut bytes);
            if picture.is_some() && outline(&bytes).picture == picture && bytes != seed {
                same += 1;
                if let Ok(other) = decode(&bytes, None, &limits) {
                    assert!(other.picture == pixels, "{name}, round {round}");
                }
            }
        }
    }
    assert!(same > 20, "{same}");
}

#[test]
fn headers_of_model_files() {
    let weights = fs::read(
        fixtures("reference/clip-random").into_iter().find(|file| file.ends_with("model.safetensors")).unwrap(),
    )
    .unwrap();
    // The beginning of a large file is enough: the header, and fewer numbers than it announces.
    let seed = vec![("model.safetensors".to_owned(), weights[..weights.len().min(200_000)].to_vec())];
    run(&seed, targets::safetensors);
    let mut gguf = b"GGUF".to_vec();
    gguf.extend([3, 0, 0, 0].into_iter().chain(2_u64.to_le_bytes()).chain(1_u64.to_le_bytes()));
    gguf.extend(17_u64.to_le_bytes().into_iter().chain(*b"general.alignment").chain([4, 0, 0, 0, 32, 0, 0, 0]));
    for name in [b"a.weight", b"b.weight"] {
        gguf.extend(8_u64.to_le_bytes().into_iter().chain(*name).chain([1, 0, 0, 0]).chain(8_u64.to_le_bytes()));
        gguf.extend([0; 12]);
    }
    gguf.resize(256, 0);
    run(&[("a made file".to_owned(), gguf)], targets::gguf);
}

#[test]
fn queries() {
    let queries = [
        "a dog on the grass \"red pyramid\" castle - night sky",
        "@holiday.jpg + in winter - people 2*sunset 0.5*@\"my file.jpg\"",
        "path:2019 -tag:cat label:pets=dog cluster:none taken:2019-06..2019-09 size:>2M ext:jpg,png caption:\"a b\"",
        "\\-word \\@word \\color: -\"a\" has:caption wider:2000 taller:1000 camera:canon ((((",
    ];
    let seeds: Vec<_> = queries.into_iter().map(|query| (query.to_owned(), query.as_bytes().to_vec())).collect();
    (0..20).for_each(|_| run(&seeds, targets::query));
}
