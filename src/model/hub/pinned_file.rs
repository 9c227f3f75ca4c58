//! Downloads a single file that is known by its SHA-256, from any web server.

use super::store::matches;
use anyhow::Context;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a file may take.
const LONGEST: Duration = Duration::from_secs(1800);
const BLOCK: usize = 1 << 16;

/// A file somewhere on the web.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct PinnedFile<'a> {
    pub url: &'a str,
    /// In hexadecimal digits.
    pub sha256: &'a str,
    /// The most bytes that it may have.
    pub most: u64,
}

impl PinnedFile<'_> {
    /// Downloads the file to `place`, which it reaches complete and compared with its checksum, or not at all. `progress`
    /// receives the bytes so far and in all (0 if the server does not say), and stops the download by returning false.
    ///
    /// # Errors
    /// It was stopped, the server cannot be reached or falls silent, the file is larger than it may be or does not have its checksum, or
    /// the disk has no room.
    pub(in crate::model) fn fetch(
        self,
        place: &Path,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> anyhow::Result<()> {
        let folder = place.parent().context("a file without a folder")?;
        crate::model::kept::private_folder(folder)?;
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(Some(LONGEST))
            .build();
        let mut answer = ureq::Agent::from(config).get(self.url).call().with_context(|| self.url.to_owned())?;
        let total = answer.body().content_length().unwrap_or(0);
        let too_large =
            || anyhow::anyhow!("{}: it has more than {} bytes, which no such file has", self.url, self.most);
        anyhow::ensure!(total <= self.most, too_large());
        super::download::check_room(folder, total)?;
        // Another process may download the same file: each has its own draft, and the last one is as good as the first.
        let draft = UnfinishedFile(place.with_extension(format!("{}.part", std::process::id())));
        let mut file = File::create(&draft.0).with_context(|| draft.0.display().to_string())?;
        let mut body = answer.body_mut().as_reader().take(self.most + 1);
        let (mut block, mut done) = (vec![0; BLOCK], 0);
        loop {
            let read = body.read(&mut block).with_context(|| self.url.to_owned())?;
            if read == 0 {
                break;
            }
            file.write_all(&block[..read]).with_context(|| draft.0.display().to_string())?;
            done += read as u64;
            anyhow::ensure!(done <= self.most, too_large());
            anyhow::ensure!(progress(done, total.max(done)), "stopped");
        }
        file.sync_all()?;
        let is_it = matches(&draft.0, self.sha256, &mut || true)?;
        anyhow::ensure!(is_it, "{}: what came does not have the checksum {}; it was deleted", self.url, self.sha256);
        fs::rename(&draft.0, place).with_context(|| place.display().to_string())
    }
}

/// A file that is deleted unless it was moved to its place.
struct UnfinishedFile(PathBuf);

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// SHA-256 of `abc`, from FIPS 180-4.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// Serves one request with these bytes; returns its address.
    fn serve(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/models/abc.onnx", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            stream.write_all(answer).unwrap();
        });
        address
    }

    fn fetch(answer: &'static [u8], most: u64) -> (Result<Vec<u8>, String>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("models/abc.onnx");
        let url = serve(answer);
        let fetched = PinnedFile { url: &url, sha256: ABC, most }.fetch(&place, &mut |_, _| true);
        let left = fs::read_dir(place.parent().unwrap()).unwrap().count();
        (fetched.map(|()| fs::read(&place).unwrap()).map_err(|error| format!("{error:#}")), left)
    }

    #[test]
    fn a_file_comes_whole_and_with_its_checksum_or_not_at_all() {
        let (fetched, left) = fetch(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 100);
        assert_eq!((fetched.as_deref(), left), (Ok(b"abc".as_slice()), 1));
        for (answer, says) in [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabd".as_slice(), "does not have the checksum"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", ""),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\nabc", "more than 100 bytes"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        ] {
            let (fetched, left) = fetch(answer, 100);
            let error = fetched.unwrap_err();
            assert!(error.contains(says) && left == 0, "{error}");
        }
        // A server that does not say how much it sends.
        let (fetched, left) = fetch(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", 2);
        assert!(fetched.unwrap_err().contains("more than 2 bytes") && left == 0);
    }
}
