//! A local Hugging Face hub that can be slow, broken or wrong.

use crate::support::{Output, Sandbox, finish};
use sha2::Digest;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The model that most tests pull.
pub(crate) const NAME: &str = "acme/tiny";
/// The commit of its main branch.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The files of a folder, by name.
pub(crate) fn files_of(folder: impl AsRef<Path>) -> HashMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().into(), std::fs::read(path).unwrap())).collect()
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors")
}

/// What is wrong with the hub.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    Nothing,
    /// The first transfer of the weights is cut off in the middle.
    Cut,
    /// The first transfer of the weights stops in the middle, and the connection stays open.
    Stall,
    /// One byte of the weights is different.
    WrongByte,
    /// The weights end early, and the hub reports that as their length.
    Short,
    /// No file exists.
    NotFound,
}

/// A Hugging Face hub. Like the real one, it identifies small files by their git hash, and redirects requests for large
/// ones to another place, with their SHA-256.
pub(crate) struct Hub {
    address: String,
    served: Arc<Served>,
}

pub(crate) struct Served {
    /// The files of each model.
    models: HashMap<String, HashMap<String, Vec<u8>>>,
    fault: Fault,
    /// The first byte of each transfer of weights so far.
    starts: Mutex<Vec<usize>>,
}

impl Hub {
    /// A hub with one model, [`NAME`], that has these files by name.
    pub(crate) fn serving(files: HashMap<String, Vec<u8>>, fault: Fault) -> Self {
        Self::start(HashMap::from([(NAME.to_owned(), files)]), fault)
    }

    /// A hub with several models, by name.
    pub(crate) fn of<const N: usize>(models: [(&str, HashMap<String, Vec<u8>>); N]) -> Self {
        Self::start(models.into_iter().map(|(name, files)| (name.to_owned(), files)).collect(), Fault::Nothing)
    }

    fn start(models: HashMap<String, HashMap<String, Vec<u8>>>, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(Served { models, fault, starts: Mutex::default() });
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

    /// The first byte of each transfer of weights.
    pub(crate) fn starts(&self) -> Vec<usize> {
        self.served.starts.lock().unwrap().clone()
    }

    /// The files of the model [`NAME`].
    pub(crate) fn files(&self) -> &HashMap<String, Vec<u8>> {
        &self.served.models[NAME]
    }

    /// The address, for HF_ENDPOINT.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The program with this hub in place of the real one, online.
    pub(crate) fn command(&self, sandbox: &Sandbox, args: &[&str]) -> Command {
        let mut command = sandbox.command(args);
        command.env("HF_ENDPOINT", &self.address).env_remove("SNAPSEEK_OFFLINE");
        command
    }

    pub(crate) fn pull(&self, sandbox: &Sandbox) -> Output {
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
        // /ORG/NAME/resolve/REVISION/FILE, or /storage/ORG/NAME/FILE.
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (on_hub, model, revision, name) = match parts.as_slice() {
            [org, model, "resolve", revision, name @ ..] => (true, format!("{org}/{model}"), *revision, name.join("/")),
            ["storage", org, model, name @ ..] => (false, format!("{org}/{model}"), COMMIT, name.join("/")),
            _ => panic!("{request}"),
        };
        let name = name.as_str();
        let commit = if revision.len() == COMMIT.len() { revision } else { COMMIT };
        assert!(model != NAME || commit == COMMIT, "{request}");
        let content = self.models.get(&model).and_then(|files| files.get(name));
        let Some(content) = content.filter(|_| self.fault != Fault::NotFound) else {
            return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        if on_hub && is_large(name) {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {place}/storage/{model}/{name}\r\nX-Repo-Commit: {commit}\r\n\
                 X-Linked-Etag: \"{}\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                hex(&sha2::Sha256::digest(content))
            );
        }
        let git = sha1::Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content);
        self.send(stream, (name, commit), content, &hex(&git.finalize()), range)
    }

    fn send(
        &self,
        mut stream: TcpStream,
        (name, commit): (&str, &str),
        content: &[u8],
        etag: &str,
        (from, to): (usize, Option<usize>),
    ) -> std::io::Result<()> {
        let mut content = content.to_vec();
        let half = content.len() / 2;
        let transfer = is_large(name) && to.is_none();
        match self.fault {
            Fault::WrongByte if is_large(name) => content[half] ^= 1,
            Fault::Short if is_large(name) => content.truncate(half),
            _ => {}
        }
        let part = &content[from..to.map_or(content.len(), |to| to + 1)];
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n\
             ETag: \"{etag}\"\r\nX-Repo-Commit: {commit}\r\nConnection: close\r\n\r\n",
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

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
