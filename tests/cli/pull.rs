//! `models pull` from a hub that may be slow, broken or wrong: the model is there in the end, whole, or not at all.

use crate::support::{Output, Sandbox, finish, random_clip, start};
use serde_json::Value;
use sha2::Digest;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const NAME: &str = "acme/tiny-clip";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS: &str = "model.safetensors";

/// What the hub does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Nothing,
    /// The first transfer of the weights breaks off in the middle.
    Cut,
    /// The first transfer of the weights stops in the middle, and the connection stays open.
    Stall,
    /// One byte of the weights is another.
    WrongByte,
    /// The weights end early, and the hub says that this is all.
    Short,
    /// The file is not there.
    NotFound,
}

/// A Hugging Face hub for one model. As the real one, it knows small files by their git hash and sends requests for
/// large ones on to another place, where they are known by their SHA-256.
struct Hub {
    address: String,
    served: Arc<Served>,
}

struct Served {
    files: HashMap<String, Vec<u8>>,
    fault: Fault,
    /// Transfers of the weights so far: from which byte each.
    starts: Mutex<Vec<usize>>,
}

impl Hub {
    fn new(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files = std::fs::read_dir(random_clip()).unwrap().map(|entry| entry.unwrap().path());
        let files =
            files.map(|path| (path.file_name().unwrap().to_str().unwrap().into(), std::fs::read(path).unwrap()));
        let served = Arc::new(Served { files: files.collect(), fault, starts: Mutex::default() });
        let (shared, place) = (served.clone(), address.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, place) = (shared.clone(), place.clone());
                // The client may hang up at any time.
                std::thread::spawn(move || drop(shared.answer(stream, &place)));
            }
        });
        Self { address, served }
    }

    /// From which byte each transfer of the weights began.
    fn starts(&self) -> Vec<usize> {
        self.served.starts.lock().unwrap().clone()
    }

    /// The program with this hub in place of the real one, online.
    fn command(&self, sandbox: &Sandbox, args: &[&str]) -> Command {
        let mut command = sandbox.command(args);
        command.env("HF_ENDPOINT", &self.address).env_remove("SNAPSEEK_OFFLINE");
        command
    }

    fn pull(&self, sandbox: &Sandbox) -> Output {
        finish(self.command(sandbox, &["models", "pull", NAME, "--yes"]))
    }
}

impl Served {
    fn answer(&self, mut stream: TcpStream, place: &str) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap()?;
        let mut range = (0, None);
        for line in lines {
            let line = line?.to_ascii_lowercase();
            if let Some(bytes) = line.strip_prefix("range: bytes=") {
                let (from, to) = bytes.split_once('-').unwrap();
                range = (from.parse().unwrap(), to.parse().ok());
            } else if line.is_empty() {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap();
        let name = path.rsplit('/').next().unwrap();
        let revisions = ["main", COMMIT].map(|revision| format!("/{NAME}/resolve/{revision}/{name}"));
        let on_hub = revisions.iter().any(|known| known == path);
        let Some(content) = self.files.get(name).filter(|_| self.fault != Fault::NotFound) else {
            return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        if on_hub && name == WEIGHTS {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {place}/storage/{name}\r\nX-Repo-Commit: {COMMIT}\r\n\
                 X-Linked-Etag: \"{}\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                hex(&sha2::Sha256::digest(content))
            );
        }
        assert!(on_hub || path == format!("/storage/{WEIGHTS}"), "{request}");
        let git = sha1::Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content);
        self.send(stream, name, content, &hex(&git.finalize()), range)
    }

    fn send(
        &self,
        mut stream: TcpStream,
        name: &str,
        content: &[u8],
        etag: &str,
        (from, to): (usize, Option<usize>),
    ) -> std::io::Result<()> {
        let mut content = content.to_vec();
        let half = content.len() / 2;
        let transfer = name == WEIGHTS && to.is_none();
        match self.fault {
            Fault::WrongByte if name == WEIGHTS => content[half] ^= 1,
            Fault::Short if name == WEIGHTS => content.truncate(half),
            _ => {}
        }
        let part = &content[from..to.map_or(content.len(), |to| to + 1)];
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n\
             ETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nConnection: close\r\n\r\n",
            from + part.len() - 1,
            content.len(),
            part.len()
        )?;
        if transfer {
            let mut starts = self.starts.lock().unwrap();
            starts.push(from);
            if matches!(self.fault, Fault::Cut | Fault::Stall) && starts.len() == 1 {
                stream.write_all(&content[..half])?;
                if self.fault == Fault::Stall {
                    drop(starts);
                    std::thread::sleep(Duration::from_secs(300));
                }
                return stream.shutdown(Shutdown::Both);
            }
        }
        stream.write_all(part)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn cache(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("home/huggingface")
}

fn installed(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.run(["models", "list", "--json"]).exits(0).lines()
}

/// The pulled model is the folder that was served, to the byte and for every command.
#[track_caller]
fn works_offline(sandbox: &Sandbox) {
    let path = sandbox.run(["models", "path", NAME]).exits(0);
    let folder = PathBuf::from(path.text().trim_end());
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS] {
        assert!(
            std::fs::read(folder.join(file)).unwrap() == std::fs::read(Path::new(&random_clip()).join(file)).unwrap()
        );
    }
    let embed = |model: &str| {
        sandbox.run(["embed", "--text", "a puppy", "--model", model, "--offline", "--json"]).exits(0).line()["embedding"]
            .clone()
    };
    assert_eq!(embed(NAME), embed(&random_clip()));
}

#[test]
fn a_pulled_model_is_installed_and_works_offline() {
    let (sandbox, hub) = (Sandbox::with_photos(&["cat", "dog"]), Hub::new(Fault::Nothing));
    let missing = sandbox.run(["embed", "--text", "x", "--model", NAME]).exits(3);
    assert!(missing.stderr.contains(&format!("snapseek models pull {NAME}")), "{missing}");
    sandbox.run(["models", "path", NAME]).exits(3);
    sandbox.run(["models", "pull", NAME, "--yes"]).exits(3);
    assert!(hub.starts().is_empty() && files_below(&cache(&sandbox)).is_empty(), "offline is offline");

    let pulled = hub.pull(&sandbox).exits(0);
    assert!(pulled.stderr.contains("is installed in"), "{pulled}");
    assert_eq!(hub.starts(), [0]);
    works_offline(&sandbox);

    let models = installed(&sandbox);
    assert_eq!((models.len(), &models[0]["name"]), (2, &"starter".into()));
    let model = &models[1];
    assert_eq!((&model["name"], &model["revision"]), (&NAME.into(), &COMMIT.into()));
    let sizes = ["config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS];
    let sizes = sizes.map(|file| std::fs::metadata(Path::new(&random_clip()).join(file)).unwrap().len());
    assert_eq!(model["bytes"], sizes.iter().sum::<u64>());
    assert!(model["dim"].as_u64().unwrap() > 0 && model["licence"].is_string(), "{model}");

    // A second pull has nothing to fetch, and a library remembers the model by its name.
    hub.pull(&sandbox).exits(0);
    assert_eq!(hub.starts(), [0]);
    sandbox.run(["index", ".", "--model", NAME]).exits(0);
    assert_eq!(sandbox.status()["model"], NAME);
    assert_eq!(sandbox.run(["search", "a dog", "--all", "--json"]).lines().len(), 2);
}

#[test]
fn a_transfer_that_breaks_off_is_continued() {
    let (sandbox, hub) = (Sandbox::new(), Hub::new(Fault::Cut));
    hub.pull(&sandbox).exits(0);
    let starts = hub.starts();
    let half = hub.served.files[WEIGHTS].len() / 2;
    assert!(
        starts.len() == 2 && starts[0] == 0 && (half / 2..=half).contains(&starts[1]),
        "{starts:?}, half is {half}"
    );
    works_offline(&sandbox);
}

#[test]
fn a_killed_pull_is_continued_by_the_next() {
    let (sandbox, hub) = (Sandbox::new(), Hub::new(Fault::Stall));
    let mut child = start(&mut hub.command(&sandbox, &["models", "pull", NAME, "--yes"]));
    let weights = &hub.served.files[WEIGHTS];
    let half = weights.len() as u64 / 2;
    let part = format!("{}.part", hex(&sha2::Sha256::digest(weights)));
    let arrived = || {
        let part = files_below(&cache(&sandbox)).into_iter().find(|path| path.ends_with(&part));
        part.map_or(0, |path| path.metadata().unwrap().len())
    };
    let started = Instant::now();
    while arrived() < half {
        assert!(started.elapsed() < Duration::from_secs(60), "{} of {half} bytes arrived", arrived());
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.run(["models", "path", NAME]).exits(3);
    assert_eq!(installed(&sandbox).len(), 1, "half a model is none");

    hub.pull(&sandbox).exits(0);
    let starts = hub.starts();
    assert!(starts.len() == 2 && starts[1] as u64 == half, "{starts:?}");
    works_offline(&sandbox);
}

#[test]
fn two_pulls_at_once_do_no_harm() {
    let (sandbox, hub) = (Sandbox::new(), Hub::new(Fault::Nothing));
    let pulls = [(); 2].map(|()| start(&mut hub.command(&sandbox, &["models", "pull", NAME, "--yes"])));
    for pull in pulls {
        Output::of(pull).exits(0);
    }
    works_offline(&sandbox);
    let leftovers =
        files_below(&cache(&sandbox)).into_iter().filter(|path| path.extension().is_some_and(|e| e == "part"));
    assert_eq!(leftovers.count(), 0);
}

#[test]
fn wrong_bytes_are_refused_and_not_kept() {
    for (fault, code) in [(Fault::WrongByte, 5), (Fault::Short, 5), (Fault::NotFound, 5)] {
        let (sandbox, hub) = (Sandbox::new(), Hub::new(fault));
        let refused = hub.pull(&sandbox).exits(code);
        assert!(refused.stderr.contains(NAME), "{refused}");
        if fault != Fault::NotFound {
            assert!(refused.stderr.contains(WEIGHTS) && refused.stderr.contains("checksum"), "{refused}");
        }
        let large = |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.len() > 3_700_000);
        let kept: Vec<PathBuf> = files_below(&cache(&sandbox)).into_iter().filter(large).collect();
        assert!(kept.is_empty(), "{kept:?}");
        assert_eq!(installed(&sandbox).len(), 1);
        sandbox.run(["models", "path", NAME]).exits(3);
        sandbox.run(["embed", "--text", "x", "--model", NAME]).exits(3);
        // Once the hub is well again, so is the pull.
        Hub::new(Fault::Nothing).pull(&sandbox).exits(0);
        works_offline(&sandbox);
    }
}

#[test]
fn only_names_that_can_be_models_reach_the_network() {
    let sandbox = Sandbox::new();
    let hub = Hub::new(Fault::Nothing);
    for name in ["../../etc", "acme/..", "acme/x/y", "no-such-name", "acme/a b"] {
        let output = finish(hub.command(&sandbox, &["models", "pull", name, "--yes"])).exits(3);
        assert!(output.stderr.contains("org/name"), "{output}");
    }
    assert!(files_below(&cache(&sandbox)).is_empty());
    assert!(sandbox.run(["models", "path", "starter"]).exits(3).stdout.is_empty());
}
