//! The harness: a separate home for every test, the program in it, and its output.

use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A run that takes longer counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_snapseek");

/// A file or folder of `fixtures/`.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// The small random CLIP of the reference, as `--model` takes it.
pub(crate) fn random_clip() -> String {
    fixture("reference/clip-random").to_str().unwrap().to_owned()
}

/// The small random BLIP-2 of the reference, as `--blip2` takes it.
pub(crate) fn random_blip2() -> String {
    fixture("reference/blip2-random").to_str().unwrap().to_owned()
}

/// The shipped words as the starter embeds them, in the files of its cache: computed once for all tests.
static WORDS: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    sandbox.run(["cluster", "-k", "1", "--min-size", "1"]).exits(0);
    let files = std::fs::read_dir(sandbox.path(KEYWORDS)).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into(), std::fs::read(file.path()).unwrap())).collect()
});
/// The folder of that cache in a sandbox.
const KEYWORDS: &str = "home/cache/snapseek/keywords";

/// A temporary home with a photo folder, where a test sees neither the user's files nor another test's.
pub(crate) struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    /// An empty home and an empty `photos` folder.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["home", "photos"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        Self { dir }
    }

    /// A sandbox with copies of these fixture photos (names without `.jpg`) in `photos`.
    pub(crate) fn with_photos(names: &[&str]) -> Self {
        let sandbox = Self::new();
        for name in names {
            sandbox.add(name);
        }
        sandbox
    }

    /// A sandbox with these photos, indexed by the starter.
    pub(crate) fn indexed(names: &[&str]) -> Self {
        let sandbox = Self::with_photos(names);
        sandbox.index().exits(0);
        sandbox
    }

    /// Makes the shipped words known, which the first `cluster` would embed.
    pub(crate) fn knowing_words(self) -> Self {
        let folder = self.path(KEYWORDS);
        std::fs::create_dir_all(&folder).unwrap();
        WORDS.iter().for_each(|(name, content)| std::fs::write(folder.join(name), content).unwrap());
        self
    }

    /// A path in the sandbox. It is canonical, so that it equals what the program prints.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(path)
    }

    /// The photo folder.
    pub(crate) fn photos(&self) -> PathBuf {
        self.path("photos")
    }

    /// A path in the photo folder.
    pub(crate) fn photo(&self, name: impl AsRef<Path>) -> PathBuf {
        self.photos().join(name)
    }

    /// The library that `run` uses.
    pub(crate) fn library(&self) -> PathBuf {
        self.path("library")
    }

    /// Copies a fixture photo (name without `.jpg`) into the photo folder.
    pub(crate) fn add(&self, name: &str) -> PathBuf {
        let to = self.photo(format!("{name}.jpg"));
        std::fs::copy(fixture(&format!("photos/{name}.jpg")), &to).unwrap();
        to
    }

    /// A command that runs `program` in this sandbox: offline, with its own home and library.
    pub(crate) fn command_of(&self, program: impl AsRef<OsStr>) -> Command {
        let home = self.path("home");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("HOME", &home)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("HF_HOME", home.join("huggingface"))
            .env("SNAPSEEK_LIBRARY", self.library())
            .env("SNAPSEEK_OFFLINE", "1")
            .current_dir(self.photos())
            .stdin(Stdio::null());
        // If the tests are limited to a kernel level, so is the program.
        command.envs(std::env::var_os("SNAPSEEK_CPU").map(|level| ("SNAPSEEK_CPU", level)));
        command
    }

    /// A command that runs the program in this sandbox with these arguments; tests may change it before it runs.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command_of(PROGRAM);
        command.args(args);
        command
    }

    /// Runs the program with these arguments to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        finish(self.command(args))
    }

    /// `index photos --json`.
    pub(crate) fn index(&self) -> Output {
        self.run([OsStr::new("index"), self.photos().as_os_str(), OsStr::new("--json")])
    }

    /// `search QUERY --all --json`: the file names and scores of every photo of a small library, best first.
    pub(crate) fn ranking(&self, query: &str) -> Vec<(String, f64)> {
        let output = self.run(["search", query, "--all", "-n", "1000", "--json"]);
        assert!(matches!(output.code(), 0 | 1), "{output:?}");
        output.lines().iter().map(|hit| (file_name(&hit["path"]), hit["score"].as_f64().unwrap())).collect()
    }

    /// `status --json`.
    pub(crate) fn status(&self) -> Value {
        self.run(["status", "--json"]).exits(0).line()
    }

    /// What is the same for two libraries of the same photos, whatever their history: the rankings of some queries, the
    /// counts, the failures. Paths are relative to the photo folder. Panics if `check --full` finds anything.
    pub(crate) fn content(&self) -> Value {
        let photos = format!("{}/", self.photos().display());
        let mut found = serde_json::Map::new();
        for query in ["a dog", "a bird", "a building", "tools"] {
            let mut hits = self.run(["search", query, "--all", "-n", "1000", "--json"]).lines();
            // Copies of a file have times of their own.
            for hit in hits.iter_mut().filter(|hit| hit["taken_from"] == "modified") {
                hit["taken"] = Value::Null;
            }
            let text = serde_json::to_string(&hits).unwrap().replace(&photos, "");
            found.insert(query.into(), serde_json::from_str(&text).unwrap());
        }
        let status = self.status();
        for key in ["photos", "files", "model", "failed"] {
            found.insert(key.into(), status[key].clone());
        }
        let failures = status["failures"].to_string().replace(&photos, "");
        found.insert("failures".into(), serde_json::from_str(&failures).unwrap());
        let check = self.run(["check", "--full", "--json"]).exits(0).line();
        assert_eq!(check["findings"], serde_json::json!([]));
        found.into()
    }
}

/// Runs a command to its end, for at most [`PATIENCE`].
pub(crate) fn finish(mut command: Command) -> Output {
    Output::of(start(&mut command))
}

/// Starts a command with pipes for stdout and stderr.
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{:?} cannot be started: {error}", command.get_program()))
}

/// Runs a command to its end and returns its peak memory (resident, mapped files included) in bytes too.
pub(crate) fn measured(mut command: Command) -> (Output, u64) {
    let child = start(&mut command);
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        // Once the process has ended, its status no longer has this line.
        while let Some(kib) = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text)) {
            peak = peak.max(kib * 1024);
            std::thread::sleep(Duration::from_millis(1));
        }
        peak
    });
    let output = Output::of(child);
    (output, watch.join().unwrap())
}

/// The peak memory in KiB in the text of `/proc/PID/status`.
fn high_water(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The result of a run of the program.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Output {
    /// Waits for a process and reads its output; a process that hangs is killed and fails the test.
    pub(crate) fn of(mut child: Child) -> Self {
        let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("hangs: {}", String::from_utf8_lossy(&stderr.join().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
        Self { status, stdout: stdout.join().unwrap(), stderr }
    }

    /// The exit code, or 128 plus the signal that ended the process.
    pub(crate) fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Fails unless the program ended with this code, and without a panic.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert!(!self.stderr.contains("panicked"), "{self}");
        assert_eq!(self.code(), code, "{self}");
        self
    }

    /// stdout as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// stdout as JSON, one value on each line.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// stdout as one JSON value, the last if there are several.
    #[track_caller]
    pub(crate) fn line(&self) -> Value {
        self.lines().pop().unwrap_or_else(|| panic!("no JSON on stdout: {self}"))
    }

    /// The file names of the hits that `search` or `similar` printed as JSON, best first.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        self.lines().iter().map(|hit| file_name(&hit["path"])).collect()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let out = String::from_utf8_lossy(&self.stdout);
        write!(f, "{}\nstdout: {out}\nstderr: {}", self.status, self.stderr)
    }
}

/// A JPEG with the same pixels that counts as another picture: it begins with a quantization table that nothing uses.
pub(crate) fn another(jpeg: &[u8], n: u64) -> Vec<u8> {
    let mut table = vec![0xFF, 0xDB, 0, 67, 3];
    // No entry of a table may be 0.
    table.extend((0..64).map(|bit| if n >> bit & 1 == 0 { 1 } else { 2 }));
    [&jpeg[..2], &table, &jpeg[2..]].concat()
}

/// A PNG of a few pixels, of another colour for every `n`.
pub(crate) fn dot(n: u32) -> Vec<u8> {
    let [r, g, b, _] = n.to_le_bytes();
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(16, 16, image::Rgb([r, g, b])).write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// Fills the files with zeros: they look untouched and show nothing any more.
pub(crate) fn blank<'p>(files: impl IntoIterator<Item = &'p PathBuf>) {
    for path in files {
        let seen = std::fs::metadata(path).unwrap();
        std::fs::write(path, vec![0; usize::try_from(seen.len()).unwrap()]).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_modified(seen.modified().unwrap()).unwrap();
    }
}

/// The last part of a path in a JSON value.
pub(crate) fn file_name(path: &Value) -> String {
    let path = path.as_str().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

/// Returns from a test if a tool that it needs is missing.
macro_rules! needs {
    ($($tool:literal),+) => {
        if $($crate::support::lacks($tool))||+ {
            return;
        }
    };
}

/// Whether a tool is missing; if so, it prints a line. Where every test must run (`SNAPSEEK_TEST_ALL`, set by CI and
/// scripts/test.sh), a missing tool is a failure.
pub(crate) fn lacks(tool: &str) -> bool {
    let version = match tool {
        "tmux" => "-V",
        "exiftool" => "-ver",
        "ffmpeg" => "-version",
        _ => "--version",
    };
    let found = Command::new(tool).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return false;
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("SNAPSEEK_TEST_ALL").is_none(), "{test} needs `{tool}`: scripts/test.sh installs it");
    // Not with `eprintln`, whose output the test runner captures.
    let _ = writeln!(std::io::stderr(), "skipped: {test} needs `{tool}`");
    true
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).unwrap();
        }
        bytes
    })
}
