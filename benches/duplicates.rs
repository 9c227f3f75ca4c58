//! `snapseek duplicates` on a made library: how long it takes, how much memory, and which copies it finds.
//! docs/figures.md quotes the figures.
//!
//! ```text
//! cargo bench --bench duplicates -- PHOTOS [DIM [FRAMES [FOLDER]]]    with FOLDER, the library stays there and is used again
//! ```
//!
//! Every twentieth photo is a copy of the one before it: with noise, darker, or turned and then far from it by meaning.
//! Another twentieth is near the one before it by meaning, but another picture, as in a burst. FRAMES more photos show one
//! scene, near each other by meaning and by looks, and no two are copies.

use snapseek::duplicates::looks::{Look, VERSION};
use snapseek::duplicates::tones::Tones;
use snapseek::model::normalize;
use snapseek::search::photo_file;
use snapseek_index::{Change, FileIdentity, FileStamp, Library, ModelRecord, PhotoFacts};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Photos written at once.
const BATCH: usize = 1_024;
const CLUSTERS: usize = 1_000;
const EDGE: usize = 64;
/// Brightnesses that a look is drawn from.
const CELLS: usize = 16 * 16;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |at: usize| arguments.get(at).and_then(|a| a.parse().ok());
    let (photos, dim, frames) = (number(0).unwrap_or(10_000), number(1).unwrap_or(512), number(2).unwrap_or(0));
    let temporary = tempfile::tempdir()?;
    let folder = arguments.get(3).map_or(temporary.path().to_path_buf(), PathBuf::from);
    if !folder.join("done").exists() {
        fill(&folder, photos, dim, frames)?;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapseek"));
    command.args(["--offline", "--quiet", "duplicates", "--near", "--json", "--library"]).arg(folder.join("library"));
    command.env("XDG_CONFIG_HOME", &folder).env("XDG_CACHE_HOME", folder.join("cache"));
    let output = fs::File::create(folder.join("found.json"))?;
    let started = Instant::now();
    let mut child = command.stdout(Stdio::from(output)).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = [0; 2];
    while child.try_wait()?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        for (peak, field) in peak.iter_mut().zip(["VmHWM:", "RssAnon:"]) {
            let line = text.lines().find_map(|line| line.strip_prefix(field));
            let kb = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<u64>().ok());
            *peak = kb.unwrap_or(0).max(*peak);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let ended = child.wait()?;
    anyhow::ensure!(ended.success(), "{command:?} ended with {ended}");
    let seconds = started.elapsed().as_secs_f64();

    let (mut right, mut wrong) = (0, 0);
    for line in fs::read_to_string(folder.join("found.json"))?.lines() {
        let group: serde_json::Value = serde_json::from_str(line)?;
        let files = group["files"].as_array().into_iter().flatten();
        let names = files.filter_map(|file| Path::new(file["path"].as_str()?).file_stem()?.to_str()?.parse().ok());
        let mut numbers: Vec<usize> = names.collect();
        numbers.sort_unstable();
        match numbers[..] {
            [first, second] if second % 20 == 19 && first + 1 == second => right += 1,
            _ => wrong += 1,
        }
    }
    println!(
        "{photos} x {dim} and {frames} frames: {seconds:.1} s, {right} of {} copies, {wrong} other groups; \
         peak memory {} MB, of which {} MB are its own and not mapped files",
        photos / 20,
        peak[0] / 1_000,
        peak[1] / 1_000,
    );
    Ok(())
}

/// Writes the library, and the files of the copies and of what they are copies of.
fn fill(folder: &Path, photos: usize, dim: usize, frames: usize) -> anyhow::Result<()> {
    let started = Instant::now();
    let root = folder.join("photos");
    fs::create_dir_all(&root)?;
    let library = Library::create(&folder.join("library"))?;
    let mut writer = library.lock()?;
    writer.set_model(&ModelRecord { name: "made".into(), fingerprint: "made".into(), dim })?;
    writer.add_root(&root)?;
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let centres: Vec<Vec<f32>> = (0..CLUSTERS).map(|_| noise.beside(&vec![0.0; dim], 1.0)).collect();
    let (mut vector, mut grey) = (Vec::new(), Vec::new());
    let scene = noise.cells(&[128.0; CELLS], 150.0);
    for first in (0..photos + frames).step_by(BATCH) {
        let mut changes = Vec::new();
        for n in first..(photos + frames).min(first + BATCH) {
            let copy = (n % 20 == 19).then_some(n / 20 % 3);
            vector = match copy {
                _ if n >= photos => noise.beside(&centres[0], 0.1),
                Some(0 | 1) => noise.beside(&vector, 0.1),
                None if n % 20 == 9 => noise.beside(&vector, 0.1),
                _ => noise.beside(&centres[n % CLUSTERS], 0.7),
            };
            let drawn = |cells: &[f32; CELLS]| -> Vec<u8> {
                (0..EDGE * EDGE).map(|at| cells[at / EDGE / 4 * 16 + at % EDGE / 4].clamp(0.0, 255.0) as u8).collect()
            };
            grey = match copy {
                _ if n >= photos => drawn(&noise.cells(&scene, 60.0)),
                Some(0) => grey.iter().map(|v| (f32::from(*v) + 20.0 * noise.next()).clamp(0.0, 255.0) as u8).collect(),
                Some(1) => grey.iter().map(|v: &u8| v / 2).collect(),
                Some(_) => (0..EDGE * EDGE).map(|at| grey[(EDGE - 1 - at % EDGE) * EDGE + at / EDGE]).collect(),
                None => drawn(&noise.cells(&[128.0; CELLS], 150.0)),
            };
            let path = root.join(format!("{}", n / 1_000)).join(format!("{n}.jpg"));
            let stamp = if n % 20 < 18 {
                FileStamp { size: n as u64, mtime_ns: n as i64 }
            } else {
                fs::create_dir_all(root.join(format!("{}", n / 1_000)))?;
                fs::write(&path, n.to_string())?;
                photo_file::stamp_of(&path)?
            };
            let picture = *blake3::hash(&n.to_le_bytes()).as_bytes();
            changes.push(Change::Photo {
                path,
                root: root.clone(),
                stamp,
                identity: FileIdentity { file: *blake3::hash(&n.to_be_bytes()).as_bytes(), picture, version: 1 },
                facts: PhotoFacts { width: 4_000, height: 3_000, format: "jpeg".into(), ..PhotoFacts::default() },
                embedding: vector.clone(),
                tags: Vec::new(),
            });
            let look = Look { aspect: 1.0, sharpness: 1.0, tones: Tones::default(), grey: grey.clone() };
            changes.push(Change::Look { picture, version: VERSION, look: look.to_bytes() });
        }
        writer.apply(&changes)?;
    }
    println!("{photos} photos written in {:.0} s", started.elapsed().as_secs_f64());
    writer.refresh_caches(&mut |_, _, _| true)?;
    println!("caches built after {:.0} s", started.elapsed().as_secs_f64());
    fs::write(folder.join("done"), "")?;
    Ok(())
}

/// Pseudorandom numbers from -1 to 1, the same on every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Brightnesses that differ from others by at most `most`.
    fn cells(&mut self, others: &[f32; CELLS], most: f32) -> [f32; CELLS] {
        others.map(|other| other + most * self.next())
    }

    /// A unit vector near another one, which may be zero; their cosine is about 1 / sqrt(1 + spread²).
    fn beside(&mut self, centre: &[f32], spread: f32) -> Vec<f32> {
        let spread = spread * 3_f32.sqrt() / (centre.len() as f32).sqrt();
        let mut vector: Vec<f32> = centre.iter().map(|c| c + spread * self.next()).collect();
        normalize(&mut vector);
        vector
    }
}
