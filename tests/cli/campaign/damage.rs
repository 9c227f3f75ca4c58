//! Every region of every file of a library is damaged: `check --full` finds it, or it has no effect at all.

use super::world::World;
use super::{Random, seed};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use snapseek_index::Library;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest time that reading a damaged library may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Regions of which one bit is flipped, and those that are overwritten with zeros.
const REGION: usize = 64;
const BLOCK: usize = 512;

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// This bit of this byte is flipped.
    Flip(usize, u8),
    /// The file ends here.
    Cut(usize),
    /// The block from here on is zeros.
    Zero(usize),
    Delete,
}

/// The files of a library by their paths in it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn read_files(folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|e| (e.path(), PathBuf::from(e.file_name()))).unwrap();
        if path.is_dir() {
            files.extend(read_files(&path).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

fn write_files(folder: &Path, files: &Files) {
    let _ = fs::remove_dir_all(folder);
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// All that a catalogue says: what is set in its header, and every row of every table.
fn content(folder: &Path) -> rusqlite::Result<Vec<String>> {
    let db = Connection::open_with_flags(folder.join("catalogue.sqlite"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut all = Vec::new();
    for setting in ["user_version", "application_id", "encoding", "auto_vacuum", "page_size", "journal_mode"] {
        let value: Value = db.query_row(&format!("PRAGMA {setting}"), [], |row| row.get(0))?;
        all.push(format!("{setting}: {value:?}"));
    }
    let mut tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for table in tables.iter().map(String::as_str).chain(["sqlite_schema"]) {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>()?;
            lines.push(format!("{table}: {values:?}"));
        }
        // Where its pages lie does not matter.
        if table == "sqlite_schema" {
            lines.clear();
        }
        lines.sort();
        all.extend(lines);
    }
    Ok(all)
}

/// The answers to searches by meaning and by words.
fn answers(world: &World) -> Vec<Vec<serde_json::Value>> {
    let mut answers = Vec::new();
    for args in [["search", "a dog"], ["search", "owl tag:owl"], ["similar", "panda.jpg"]] {
        let output = world.run(&[&args[..], &["-n", "100", "--all", "--json"]].concat());
        let mut hits = output.lines();
        // It depends on removed photos as long as the full-text cache contains them.
        hits.iter_mut().for_each(|hit| drop(hit.as_object_mut().unwrap().remove("bm25")));
        answers.push(hits);
    }
    answers
}

/// What came of the damage.
#[derive(Debug, Default)]
struct Outcome {
    found: usize,
    without_effect: usize,
    unnoticed: Vec<String>,
    slowest: Duration,
    /// Runs of the program itself.
    runs: usize,
}

/// The library with this damage; `None` if that changes nothing.
fn hurt(files: &Files, name: &Path, damage: Damage) -> Option<Files> {
    let mut hurt = files.clone();
    let bytes = hurt.get_mut(name)?;
    match damage {
        Damage::Flip(at, bit) => bytes[at] ^= 1 << bit,
        Damage::Cut(at) => bytes.truncate(at),
        Damage::Zero(at) => {
            let end = (at + BLOCK).min(bytes.len());
            bytes[at..end].fill(0);
        }
        Damage::Delete => drop(hurt.remove(name)),
    }
    (hurt.get(name) != files.get(name)).then_some(hurt)
}

/// Checks a damaged library, and if nothing is found, compares it with the sound one.
fn try_one(world: &World, sound: &Sound, hurt: &Files, name: &Path, what: &str, outcome: &mut Outcome) {
    let folder = world.library();
    write_files(&folder, hurt);
    let started = Instant::now();
    let check = catch_unwind(AssertUnwindSafe(|| Library::open(&folder).and_then(|library| library.check(true))));
    let check = check.unwrap_or_else(|_| panic!("{what}: a panic"));
    let took = started.elapsed();
    assert!(took < PATIENCE, "{what} takes {took:?}");
    outcome.slowest = outcome.slowest.max(took);
    if !check.is_ok_and(|report| report.findings.is_empty()) {
        outcome.found += 1;
        return;
    }
    let now = match content(&folder) {
        Ok(now) => now,
        Err(error) => return outcome.unnoticed.push(format!("{what}: {error}")),
    };
    let added = now.iter().find(|line| !sound.content.contains(line));
    let gone = sound.content.iter().find(|line| !now.contains(line));
    if added.or(gone).is_some() {
        let short = |line: Option<&String>| line.map(|line| line.chars().take(120).collect::<String>());
        outcome.unnoticed.push(format!("{what}: {:?} was {:?}", short(added), short(gone)));
    } else if name.components().count() > 1 && answers(world) != sound.answers {
        outcome.unnoticed.push(format!("{what}: other answers"));
    } else {
        outcome.without_effect += 1;
    }
}

/// The real program on a damaged library: it answers or refuses in time, and never crashes.
fn survives(world: &World, hurt: &Files, what: &str, outcome: &mut Outcome) {
    for args in [
        &["search", "a dog", "--json"][..],
        &["search", "owl", "--by", "words", "--json"],
        &["status", "--json"],
        &["export", "-"],
        &["check", "--full"],
        &["index", "."],
        &["check", "--full", "--repair"],
    ] {
        // Each finds the damage as it was.
        write_files(&world.library(), hurt);
        let started = Instant::now();
        let output = world.run(args);
        let took = started.elapsed();
        assert!(took < PATIENCE, "{what}: {args:?} takes {took:?}");
        let harmless = (0..=5).contains(&output.code()) && !output.stderr.contains("panicked");
        assert!(harmless, "{what}: {args:?}: {output}");
        outcome.slowest = outcome.slowest.max(took);
        outcome.runs += 1;
    }
}

/// One flip in each region, zeros in each block, cuts at many lengths, and no file at all.
fn damages(bytes: &[u8], random: &mut Random) -> Vec<Damage> {
    let length = bytes.len();
    let mut damages = vec![Damage::Delete];
    for start in (0..length).step_by(REGION) {
        damages.push(Damage::Flip(start + random.below(REGION.min(length - start)), random.below(8) as u8));
    }
    // Each byte of the header of a database matters by itself.
    damages.extend((0..length.min(100)).map(|at| Damage::Flip(at, random.below(8) as u8)));
    damages.extend((0..length).step_by(BLOCK).map(Damage::Zero));
    damages.extend((0..200.min(length)).map(|n| Damage::Cut(n * length / 200.min(length))));
    damages
}

/// A library with what it says, and those of its files that are damaged.
struct Sound {
    files: Files,
    targets: Vec<PathBuf>,
    content: Vec<String>,
    answers: Vec<Vec<serde_json::Value>>,
}

impl Sound {
    fn new(world: &World, files: Files, targets: Vec<PathBuf>) -> Self {
        write_files(&world.library(), &files);
        let answers = answers(world);
        write_files(&world.library(), &files);
        assert!(Library::open(&world.library()).unwrap().check(true).unwrap().findings.is_empty());
        let content = content(&world.library()).unwrap();
        Self { files, targets, content, answers }
    }
}

/// The library at rest, and the same one as a killed process leaves it, with a WAL.
fn libraries(world: &World) -> [Sound; 2] {
    world.load("whole");
    let at_rest = read_files(&world.library());
    // As long as a connection is open, the WAL stays.
    let reader = Connection::open(world.library().join("catalogue.sqlite")).unwrap();
    let commits: i64 = reader.query_row("SELECT count FROM commits", [], |row| row.get(0)).unwrap();
    world.run(&["caption", "set", "dog.jpg", "Rex"]).exits(0);
    world.run(&["caption", "set", "owl.jpg", "Uhu"]).exits(0);
    let with_wal = read_files(&world.library());
    drop(reader);
    assert!(commits > 9 && with_wal[Path::new("catalogue.sqlite-wal")].len() > 4096);
    let side = ["catalogue.sqlite-wal", "catalogue.sqlite-shm", "position"].map(PathBuf::from).to_vec();
    let all = at_rest.keys().cloned().collect();
    [Sound::new(world, at_rest, all), Sound::new(world, with_wal, side)]
}

/// Damages a library in at most `limit` ways a file, and runs the program itself on one in `sample` of them.
fn campaign(limit: usize, sample: usize) -> (Outcome, BTreeMap<String, usize>) {
    let world = World::new();
    let mut outcome = Outcome::default();
    let mut counts = BTreeMap::new();
    for sound in libraries(&world) {
        for table in ["last_seen", "look", "encoding", "turn", "failure", "forgotten", "named_picture", "classifier"] {
            assert!(sound.content.iter().any(|line| line.starts_with(&format!("{table}: "))), "{table} is empty");
        }
        for name in &sound.targets {
            let mut random = Random::new(seed(), &name.display().to_string());
            let all = damages(&sound.files[name], &mut random);
            let chosen = random.some(&all, limit);
            let offset = random.below(sample);
            for (n, damage) in chosen.into_iter().enumerate() {
                let Some(hurt) = hurt(&sound.files, name, damage) else { continue };
                let what = format!("{}: {damage:?}, seed {}", name.display(), seed());
                try_one(&world, &sound, &hurt, name, &what, &mut outcome);
                *counts.entry(name.display().to_string()).or_default() += 1;
                if n % sample == offset {
                    survives(&world, &hurt, &what, &mut outcome);
                }
            }
        }
    }
    assert!(outcome.unnoticed.is_empty(), "{} unnoticed: {:#?}", outcome.unnoticed.len(), outcome.unnoticed);
    (outcome, counts)
}

#[test]
fn damage_is_found_or_has_no_effect() {
    let (outcome, _) = campaign(60, 30);
    assert!(outcome.found > 100 && outcome.without_effect > 10, "{outcome:?}");
}

/// The long form of the test above: every region of every file.
#[test]
#[ignore = "takes minutes: scripts/campaign.sh"]
fn campaign_damage() {
    let started = Instant::now();
    let (outcome, counts) = campaign(usize::MAX, 40);
    counts.iter().for_each(|(name, count)| println!("  {name:24} {count} damages"));
    println!(
        "damage, seed {}: {} damages of {} files: {} found, {} without effect, 0 unnoticed, 0 panics; {} runs of the \
         program; {:.0} s, the slowest {:.1} s",
        seed(),
        outcome.found + outcome.without_effect,
        counts.len(),
        outcome.found,
        outcome.without_effect,
        outcome.runs,
        started.elapsed().as_secs_f64(),
        outcome.slowest.as_secs_f64()
    );
}
