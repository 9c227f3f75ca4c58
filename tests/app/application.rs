//! The application as another front end uses it: in this process, with a listener instead of a terminal.

use clap::Parser;
use snapseek::cli::Cli;
use snapseek::config::Settings;
use snapseek::exit::{Exit, exit_of};
use snapseek::indexing::fill;
use snapseek::indexing::run::IndexOptions;
use snapseek::model_choice::{self, Chosen, Offer};
use snapseek::search::question::{Means, Question, parse};
use snapseek::terminal::console::Console;
use snapseek::terminal::listener::Listener;
use snapseek_index::query::{PartKind, Query, QueryPart};
use snapseek_index::{By, LabelSet, Library};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

#[derive(Default)]
struct Heard {
    messages: Mutex<Vec<(bool, String)>>,
    steps: Mutex<Vec<(&'static str, usize, usize)>>,
    photos: Mutex<Vec<(u64, u64, bool)>>,
    failures: Mutex<Vec<(PathBuf, String)>>,
}

impl Listener for Heard {
    fn message(&self, warning: bool, text: &str) {
        self.messages.lock().unwrap().push((warning, text.to_owned()));
    }
    fn step(&self, what: &'static str, done: usize, total: usize) {
        self.steps.lock().unwrap().push((what, done, total));
    }
    fn photos(&self, found: u64, done: u64, walking: bool) {
        self.photos.lock().unwrap().push((found, done, walking));
    }
    fn failure(&self, path: &Path, kind: &str, _: &str) {
        self.failures.lock().unwrap().push((path.to_path_buf(), kind.to_owned()));
    }
}

const PHOTOS: [&str; 4] = ["cat.jpg", "dog.jpg", "taj-mahal.jpg", "wrench.jpg"];

/// A folder with some photos and an empty library next to it.
struct World {
    folder: TempDir,
    library: Library,
    chosen: Arc<Chosen>,
    heard: Arc<Heard>,
    console: Console,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos");
        std::fs::create_dir(&photos).unwrap();
        for name in PHOTOS {
            let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos").join(name);
            std::fs::copy(fixture, photos.join(name)).unwrap();
        }
        let library = Library::create(&folder.path().join("library")).unwrap();
        let heard = Arc::new(Heard::default());
        let console = Console::to(Arc::clone(&heard) as Arc<dyn Listener>);
        let cli = Cli::parse_from(["snapseek", "--model", "starter", "status"]);
        let settings = Settings::resolve(&cli.global).unwrap();
        let chosen = Arc::new(model_choice::choose(Some(&library), &settings, &console, Offer::Ask).unwrap());
        Self { folder, library, chosen, heard, console }
    }

    fn photo(&self, name: &str) -> PathBuf {
        self.folder.path().join("photos").join(name)
    }

    fn index(&self, folders: &[PathBuf], cancelled: bool) -> fill::Done {
        let mut writer = self.library.lock().unwrap();
        writer.set_model(&self.chosen.record).unwrap();
        let cancel = AtomicBool::new(cancelled);
        let options = IndexOptions::new(2);
        let models = std::slice::from_ref(self.chosen.as_ref());
        fill::fill(&self.library, &mut writer, models, folders, &options, &cancel, &self.console).unwrap()
    }
}

#[test]
fn a_listener_hears_how_indexing_goes() {
    let world = World::new();
    let (broken, gone) = (world.photo("\u{1b}[31m.jpg"), world.folder.path().join("gone"));
    std::fs::write(&broken, "no picture").unwrap();
    let folders = [world.folder.path().join("photos"), gone];
    let done = world.index(&folders, true);
    assert!(done.summary.interrupted && world.library.failures().unwrap().is_empty());

    world.heard.photos.lock().unwrap().clear();
    let done = world.index(&folders, false);
    assert_eq!((done.summary.embedded, done.summary.failed, done.summary.interrupted), (4, 2, false));
    let photos = world.heard.photos.lock().unwrap();
    assert_eq!((photos[0], photos.last()), ((1, 0, true), Some(&(5, 5, false))));
    assert!(photos.is_sorted_by_key(|(found, done, walking)| (*found, *done, !walking)), "{photos:?}");
    let failures = world.heard.failures.lock().unwrap();
    assert!(failures.contains(&(broken, "not-a-picture".into())), "{failures:?}");
    assert_eq!(failures.len(), 2);
    let messages = world.heard.messages.lock().unwrap();
    assert!(messages.iter().any(|(warning, text)| *warning && text.contains("gone")), "{messages:?}");
    world.console.json(&1).unwrap();
    assert!(!world.console.confirm("really?"));
}

#[test]
fn with_a_listener_nothing_is_written_to_the_terminal() {
    let test = "application::a_listener_hears_how_indexing_goes";
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && out.contains(&format!("test {test} ... ok")), "{out}{err}");
    assert!(
        out.lines().all(|line| line.is_empty() || line.starts_with("running 1") || line.starts_with("test ")),
        "{out}"
    );
    assert_eq!(err, "");
}

#[test]
fn a_query_opens_the_model_only_if_it_needs_it_and_ends_when_told() {
    let world = World::new();
    world.index(&[world.folder.path().join("photos")], false);
    let opened = AtomicUsize::new(0);
    let model = || {
        opened.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::clone(&world.chosen))
    };
    let cancel = AtomicBool::new(false);
    let means = Means { library: &world.library, model: &model, cancel: &cancel, console: &world.console };
    let ask = |query: Query, by: By| -> anyhow::Result<Vec<String>> {
        let rows = Question::new(query, by, None, &means)?.ask(&world.library.searcher()?, 9)?.rows;
        Ok(rows.iter().map(|row| row.path().file_name().unwrap().to_string_lossy().into_owned()).collect())
    };
    assert_eq!(ask(parse("path:wrench").unwrap(), By::Both).unwrap(), ["wrench.jpg"]);
    assert_eq!(ask(parse("wrench").unwrap(), By::Words).unwrap(), ["wrench.jpg"]);
    assert_eq!(opened.load(Ordering::Relaxed), 0);
    assert_eq!(ask(parse("a wrench").unwrap(), By::Both).unwrap()[0], "wrench.jpg");
    assert_eq!(opened.load(Ordering::Relaxed), 1);

    // More like this photo and less like that one, as keys of a front end would ask for it.
    let mut query = Query::default();
    for (name, weight) in [("taj-mahal.jpg", 1.0), ("cat.jpg", -0.3)] {
        query.parts.push(QueryPart { kind: PartKind::Image(world.photo(name)), weight });
    }
    let found = ask(query, By::Both).unwrap();
    assert_eq!((found[0].as_str(), found[3].as_str()), ("taj-mahal.jpg", "cat.jpg"));

    let labels = ["animal", "building", "tool"].map(str::to_owned).to_vec();
    world.library.save_label_set(&LabelSet { name: "kinds".into(), labels, ..LabelSet::default() }).unwrap();
    let before = opened.load(Ordering::Relaxed);
    cancel.store(true, Ordering::Relaxed);
    for text in ["label:kinds=tool", "a wrench"] {
        assert_eq!(exit_of(&ask(parse(text).unwrap(), By::Both).unwrap_err()), Exit::Interrupted, "{text}");
    }
    cancel.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(ask(parse("label:kinds=tool").unwrap(), By::Both).unwrap(), ["wrench.jpg"]);
    }
    // Once for each cancelled query, and once for the first answer: the second found the classifier ready.
    assert_eq!(opened.load(Ordering::Relaxed), before + 3);
    assert_eq!(exit_of(&parse("taken:yesteryear").unwrap_err()), Exit::Usage);
}
