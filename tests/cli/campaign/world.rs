//! A home with a library in which every table has rows, the commands that change it, and what may be true afterwards.

use crate::support::{Output, PROGRAM, Sandbox, finish, fixture, random_blip2, random_clip, start};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use snapseek_index::Library;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The calls by which a command changes the disk.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,ftruncate,unlink,unlinkat,openat";

/// A home, its photos, and its library in two states: `uncaptioned`, and `whole`, in which every table has rows.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
}

/// What a command finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum From {
    Nothing,
    Uncaptioned,
    Whole,
}

/// Which states are legal in the middle of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Legal {
    /// That before it or that after it.
    Either,
    /// Some of its records, and all of the others.
    Steps,
    /// What was written by hand is there, but may just belong to another picture.
    ByHand,
}

/// A command under attack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) name: &'static str,
    args: &'static [&'static str],
    from: From,
    legal: Legal,
    prepare: fn(&World),
}

pub(super) const TASKS: [Task; 15] = [
    task("index, first", &["index", ".", "--json"], From::Nothing, Legal::ByHand, few_photos),
    task("index, changes", &["index", ".", "--json"], From::Whole, Legal::ByHand, change_photos),
    task("reindex", &["reindex", "--json", "--model", "starter"], From::Whole, Legal::Either, of_another_model),
    task("models drop", &["models", "drop", "starter", "--yes"], From::Whole, Legal::Either, with_another_model),
    task("caption set", &["caption", "set", "owl.jpg", "Uhu"], From::Whole, Legal::Either, |_| ()),
    task("index --captions", &["index", "--captions", "--json"], From::Uncaptioned, Legal::Steps, |_| ()),
    task("index --text", &["index", "--text", "--json"], From::Uncaptioned, Legal::Steps, |_| ()),
    task("forget", &["forget", "dog.jpg"], From::Whole, Legal::ByHand, |_| ()),
    task("cluster", &["cluster", "-k", "3", "--min-size", "1"], From::Whole, Legal::Either, |_| ()),
    task("cluster rename", &["cluster", "rename", "Tiere", "Wesen"], From::Whole, Legal::Either, |_| ()),
    task(
        "classify --save-as",
        &["classify", "--labels", "cat,bird,dog", "--save-as", "birds"],
        From::Whole,
        Legal::Either,
        |_| (),
    ),
    task("import", &["import", "../import.jsonl"], From::Whole, Legal::Either, |_| ()),
    task("export", &["export", "../export.jsonl"], From::Whole, Legal::Either, |_| ()),
    task("library compact", &["library", "compact"], From::Whole, Legal::Either, forget_most),
    task("check --repair", &["check", "--repair", "--full"], From::Whole, Legal::Either, damage),
];

const fn task(
    name: &'static str,
    args: &'static [&'static str],
    from: From,
    legal: Legal,
    prepare: fn(&World),
) -> Task {
    Task { name, args, from, legal, prepare }
}

/// Embedding takes most of the time.
fn few_photos(world: &World) {
    ["dog.jpg", "koala.jpg", "panda.jpg"].iter().for_each(|name| fs::remove_file(world.sandbox.photo(name)).unwrap());
}

/// Another model answers, and the first one is kept.
fn with_another_model(world: &World) {
    world.run(&["reindex", "--model", &random_clip()]);
}

/// Another model answers, and knows nothing of the first one.
fn of_another_model(world: &World) {
    with_another_model(world);
    world.run(&["models", "drop", "starter", "--yes"]).exits(0);
}

fn change_photos(world: &World) {
    let photo = |name| world.sandbox.photo(name);
    fs::rename(photo("cat.jpg"), photo("tom.jpg")).unwrap();
    fs::copy(photo("dog.jpg"), photo("hound.jpg")).unwrap();
    fs::copy(fixture("photos/horse.jpg"), photo("owl.jpg")).unwrap();
    fs::remove_file(photo("panda.jpg")).unwrap();
    world.sandbox.add("lemur");
}

fn forget_most(world: &World) {
    world.sandbox.run(["forget", "panda.jpg"]).exits(0);
}

/// Damage that a repair mends.
fn damage(world: &World) {
    let db = Connection::open(world.library().join("catalogue.sqlite")).unwrap();
    let hurt = "UPDATE embedding SET vector = zeroblob(length(vector)) WHERE photo = (SELECT min(photo) FROM file)";
    assert_eq!(db.execute(hurt, []).unwrap(), 1);
    assert!(db.execute("UPDATE tag SET score = 9 WHERE photo = (SELECT max(photo) FROM file)", []).unwrap() > 0);
    for cache in ["vectors", "text"] {
        let first = |folder: &Path| fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        let file = first(&world.library().join(cache));
        // Vectors have a folder for each model.
        let file = if file.is_dir() { first(&file) } else { file };
        let mut bytes = fs::read(&file).unwrap();
        bytes[200] ^= 4;
        fs::write(file, bytes).unwrap();
    }
}

/// The library as a whole, without what depends on the clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    /// The lines of `export`, without times.
    pub(super) written: BTreeSet<String>,
    /// Path, picture and content of each file.
    pub(super) files: BTreeSet<(Vec<u8>, Vec<u8>, Vec<u8>)>,
    /// Pictures and the models that embedded them.
    pub(super) embedded: BTreeSet<(Vec<u8>, String)>,
}

/// A command with the states before and after it.
pub(super) struct Attack<'a> {
    pub(super) world: &'a World,
    pub(super) task: Task,
    /// The exit codes of the command and of the same command once more.
    codes: [i32; 2],
    before: State,
    pub(super) after: State,
    findings: Vec<String>,
    exported: Option<Vec<u8>>,
}

/// A call that changes the disk: its name, its number in its thread, and what it changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) call: String,
    pub(super) number: usize,
}

impl World {
    pub(super) fn new() -> Self {
        let world =
            Self { sandbox: Sandbox::with_photos(&["cat", "dog", "owl", "panda", "koala", "africa"]).knowing_words() };
        let run = |args: &[&str]| world.run(args).exits(0);
        let index = |code: i32| drop(world.run(&["index", ".", "--prune"]).exits(code));
        fs::write(world.sandbox.photo("bad.jpg"), "no picture").unwrap();
        index(4);
        run(&["caption", "set", "owl.jpg", "Eule"]);
        run(&["caption", "set", "cat.jpg", "Minka"]);
        run(&["caption", "set", "africa.jpg", "gone"]);
        fs::remove_file(world.sandbox.photo("africa.jpg")).unwrap();
        // As a run leaves it that died with a file in work.
        fs::write(world.library().join("in-flight"), "0123456789abcdef0123456789abcdef").unwrap();
        index(0);
        assert!(world.library().join("suspects.json").exists());
        let mut chat = world.command(PROGRAM, &["chat", "cat.jpg", "--max-new-tokens", "4"]);
        let mut child = start(chat.stdin(Stdio::piped()));
        child.stdin.take().unwrap().write_all(b"Who?\n").unwrap();
        Output::of(child).exits(0);
        run(&["cluster", "-k", "2", "--min-size", "1"]);
        let name = run(&["cluster", "--json"]).lines()[0]["cluster"].as_str().unwrap().to_owned();
        run(&["cluster", "rename", &name, "Tiere"]);
        run(&["classify", "--labels", "cat,dog", "--save-as", "pets"]);
        run(&["forget", "koala.jpg"]);
        // Computed now and kept outside the library, so that the attacks below need not wait for it.
        run(&["cluster", "-k", "3", "--min-size", "1"]);
        world.save("uncaptioned");
        world.run(&["index", "--captions", "--text"]).exits(0);
        world.run(&["duplicates"]);
        world.save("whole");
        // What another library wrote.
        run(&["caption", "set", "dog.jpg", "Rex"]);
        run(&["caption", "set", "owl.jpg", "Schleiereule"]);
        run(&["classify", "--labels", "sea,land", "--save-as", "places"]);
        run(&["forget", "panda.jpg"]);
        run(&["export", "../import.jsonl"]);
        let later = fs::read_to_string(world.sandbox.path("import.jsonl"))
            .unwrap()
            .replace("\"written\":\"20", "\"written\":\"21");
        fs::write(world.sandbox.path("import.jsonl"), later).unwrap();
        copy(&world.sandbox.photos(), &world.sandbox.path("photos-as-made"));
        world
    }

    pub(super) fn library(&self) -> PathBuf {
        self.sandbox.library()
    }

    fn save(&self, name: &str) {
        copy(&self.library(), &self.sandbox.path(name));
    }

    /// The library as it was saved.
    pub(super) fn load(&self, name: &str) {
        copy(&self.sandbox.path(name), &self.library());
    }

    pub(super) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = self.sandbox.command_of(program);
        command.args(args).env("SNAPSEEK_BLIP2", random_blip2());
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        finish(self.command(PROGRAM, args))
    }

    /// What `check --full` finds.
    fn findings(&self) -> Result<Vec<String>, String> {
        let report = Library::open(&self.library()).and_then(|library| library.check(true));
        Ok(report.map_err(|error| error.to_string())?.findings.into_iter().map(|finding| finding.what).collect())
    }

    fn state(&self) -> State {
        let mut state = State::default();
        let Ok(library) = Library::open(&self.library()) else { return state };
        let mut lines = Vec::new();
        snapseek::transfer::write(&library, &mut lines).unwrap();
        for line in String::from_utf8(lines).unwrap().lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            ["written", "started", "updated", "read"]
                .iter()
                .for_each(|key| drop(line.as_object_mut().unwrap().remove(*key)));
            assert!(state.written.insert(line.to_string()), "doubled: {line}");
        }
        let db = Connection::open_with_flags(self.library().join("catalogue.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
        let mut files = db.prepare("SELECT path, picture, hash FROM file JOIN photo ON photo.id = photo").unwrap();
        let files = files.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        for file in files {
            let file = file.unwrap();
            assert!(state.files.insert(file), "a photo is doubled");
        }
        let mut embedded = db
            .prepare(
                "SELECT picture, fingerprint FROM embedding JOIN photo ON photo.id = photo
                 JOIN model ON model.id = model",
            )
            .unwrap();
        let embedded = embedded.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        state.embedded = embedded.collect::<Result<_, _>>().unwrap();
        state
    }
}

/// Copies a folder with its times over another one.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            fs::File::options().write(true).open(&target).unwrap().set_modified(modified).unwrap();
        }
    }
}

/// What a record says, without the picture that it belongs to; `None` for those of models.
fn essence(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).unwrap();
    if line["by_hand"] == false || line["kind"] == "text" {
        return None;
    }
    let parts = ["kind", "text", "turns", "name", "labels", "path"];
    Some(parts.map(|key| line[key].to_string()).join(" "))
}

impl<'a> Attack<'a> {
    /// Runs the command once without an attack.
    pub(super) fn new(world: &'a World, task: Task) -> Self {
        copy(&world.sandbox.path("photos-as-made"), &world.sandbox.photos());
        match task.from {
            From::Nothing => drop(fs::remove_dir_all(world.library())),
            From::Uncaptioned => world.load("uncaptioned"),
            From::Whole => world.load("whole"),
        }
        (task.prepare)(world);
        let _ = fs::remove_dir_all(world.sandbox.path("start"));
        if task.from != From::Nothing {
            world.save("start");
        }
        let before = world.state();
        let findings = world.findings().unwrap_or_default();
        let none = [0; 2];
        let mut attack = Self { world, task, codes: none, before, after: State::default(), findings, exported: None };
        attack.reset();
        let output = attack.run();
        assert!(matches!(output.code(), 0 | 4), "{}: {output}", task.name);
        attack.after = world.state();
        attack.exported = fs::read(world.sandbox.path("export.jsonl")).ok();
        attack.codes = [output.code(), attack.run().code()];
        assert!(task.from == From::Nothing || !attack.before.files.is_empty());
        attack
    }

    /// The library as the command finds it.
    pub(super) fn reset(&self) {
        let _ = fs::remove_file(self.world.sandbox.path("export.jsonl"));
        match self.task.from {
            From::Nothing => drop(fs::remove_dir_all(self.world.library())),
            _ => self.world.load("start"),
        }
    }

    fn args(&self) -> Vec<String> {
        let args = self.task.args.iter().map(|arg| (*arg).to_owned());
        args.chain(["--threads".into(), "1".into()]).collect()
    }

    fn run(&self) -> Output {
        let args = self.args();
        self.world.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs the command under `strace` with these options; its trace goes to the file `trace`.
    pub(super) fn traced(&self, options: &[&str]) -> (Output, Vec<String>) {
        let log = self.world.sandbox.path("trace");
        let mut command = self.world.command("strace", &["-f", "-qq", "-y", "-s", "0"]);
        command.arg("-o").arg(&log).args(options).arg(PROGRAM).args(self.args());
        let output = finish(command);
        let trace = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
        (output, trace.lines().map(str::to_owned).collect())
    }

    /// The calls by which the command changes files of this home, in order.
    pub(super) fn points(&self) -> Vec<Point> {
        self.reset();
        let (output, trace) = self.traced(&["-e", &format!("trace={CALLS}")]);
        assert_eq!(output.code(), self.codes[0], "strace must be allowed to trace here (ptrace): {output}");
        let home = self.world.sandbox.path("").display().to_string();
        let mut counts = BTreeMap::<(String, String), usize>::new();
        let mut points = BTreeSet::new();
        for line in &trace {
            // 1234  fsync(5</tmp/x/library/catalogue.sqlite>) = 0
            let Some((head, rest)) = line.split_once('(') else { continue };
            let Some((thread, call)) = head.split_once(' ').filter(|(_, call)| !call.contains('<')) else { continue };
            let call = call.trim();
            let number = counts.entry((thread.into(), call.into())).or_default();
            *number += 1;
            let changes = call != "openat" || rest.contains("O_CREAT");
            if changes && rest.contains(&home) {
                points.insert(Point { call: call.into(), number: *number });
            }
        }
        points.into_iter().collect()
    }

    /// Whether the command ended as if nothing had happened.
    pub(super) fn says_done(&self, output: &Output) -> bool {
        output.code() == self.codes[0]
    }

    /// Whether a trace shows that an error was injected into a change of this home.
    pub(super) fn hit(&self, trace: &[String]) -> bool {
        let home = self.world.sandbox.path("").display().to_string();
        trace.iter().any(|line| line.contains("(INJECTED)") && line.contains(&home))
    }

    /// Fails unless the library is sound and holds what it held or should hold; `done` if the command said so.
    pub(super) fn is_legal(&self, moment: &str, done: bool) -> State {
        if !self.world.library().join("catalogue.sqlite").metadata().is_ok_and(|meta| meta.len() > 0) {
            assert!(self.task.from == From::Nothing && !done, "{moment}: there is no library any more");
            return State::default();
        }
        let found = match self.world.findings() {
            // A catalogue without its tables yet.
            Err(error) if self.task.from == From::Nothing && !done && error.contains("there is no library") => {
                return State::default();
            }
            found => found.unwrap_or_else(|error| panic!("{moment}: {error}")),
        };
        let new: Vec<_> = found.iter().filter(|finding| !self.findings.contains(finding)).collect();
        assert!(new.is_empty(), "{moment}: {new:?}");
        let state = self.world.state();
        let (before, after) = (&self.before.written, &self.after.written);
        if done {
            assert_eq!(&state.written, after, "{moment}: done, but not all of it");
            assert_eq!(state.files, self.after.files, "{moment}: done, but not all of it");
        }
        match self.task.legal {
            Legal::Either => assert!(
                state.written == *before || state.written == *after,
                "{moment}: neither before nor after\nnow {:#?}\nbefore {before:#?}\nafter {after:#?}",
                state.written
            ),
            Legal::Steps => {
                assert!(state.written.is_superset(&(before & after)), "{moment}: lost");
                assert!(state.written.is_subset(&(before | after)), "{moment}: made up");
            }
            Legal::ByHand => {
                let now: BTreeSet<_> = state.written.iter().filter_map(|line| essence(line)).collect();
                let lost: Vec<_> =
                    before.iter().filter_map(|line| essence(line)).filter(|e| !now.contains(e)).collect();
                assert!(lost.is_empty(), "{moment}: lost {lost:?}");
            }
        }
        if let Ok(exported) = fs::read(self.world.sandbox.path("export.jsonl")) {
            assert_eq!(Some(exported), self.exported, "{moment}: half an export");
        }
        state
    }

    /// Runs the command again, and fails unless the library is then as after an undisturbed run.
    pub(super) fn goes_on(&self, moment: &str, state: &State) {
        let again = self.run();
        assert!(!again.stderr.contains("panicked"), "{moment}, again: {again}");
        assert!(self.codes.contains(&again.code()), "{moment}, again: {again}");
        if ["index", "reindex"].contains(&self.task.args[0]) {
            let embedded = again.line()["embedded"].as_u64().unwrap() as usize;
            let missing = self.after.embedded.difference(&state.embedded).count();
            assert!(embedded <= missing, "{moment}: {embedded} were embedded again, {missing} were missing");
        }
        assert_eq!(self.world.state(), self.after, "{moment}, again");
        assert_eq!(self.world.findings(), Ok(Vec::new()), "{moment}, again");
    }
}
