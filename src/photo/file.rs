//! Reads whole files, and only regular ones.

use super::budget::{FILES, Share};
use super::{DecodeLimits, ErrorKind, PhotoError};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file. They hold their part of the memory for files until they are dropped.
#[derive(Debug)]
pub struct FileBytes {
    bytes: Vec<u8>,
    _memory: Share,
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes of a regular file. A FIFO, device, socket or folder is refused without waiting for it or reading from it.
/// All threads together hold at most 1 GiB of files: if there is no room for this one, it waits.
///
/// # Errors
/// `Unreadable` if the file cannot be opened or read or is not a regular one, `Empty`, `TooLarge` if it is over
/// `limits.max_bytes`, `Changed` if its size or time changed while it was read.
pub fn read(path: &Path, limits: &DecodeLimits) -> Result<FileBytes, PhotoError> {
    let mut file = open(path).map_err(unreadable)?;
    let before = file.metadata().map_err(unreadable)?;
    if !before.is_file() {
        let what = if before.is_dir() { "a folder" } else { "a pipe, socket or device" };
        return Err(PhotoError::new(ErrorKind::Unreadable, format!("this is {what}, not a file")));
    }
    let size = before.len();
    if size == 0 {
        return Err(PhotoError::new(ErrorKind::Empty, "the file has no bytes"));
    }
    let most = limits.max_bytes.min(FILES.total());
    let memory = Some(size).filter(|size| *size <= most).and_then(|size| FILES.take(size)).ok_or_else(|| {
        let message = format!("the file has {size} bytes, more than the limit of {most}");
        PhotoError::new(ErrorKind::TooLarge, message)
    })?;
    let bytes = read_all(&mut file, size).map_err(unreadable)?;
    let after = file.metadata().map_err(unreadable)?;
    if bytes.len() as u64 != size || !same(&before, &after) {
        return Err(PhotoError::new(ErrorKind::Changed, "the file was written to while it was read: try again later"));
    }
    Ok(FileBytes { bytes, _memory: memory })
}

/// Opens without waiting: opening a FIFO for reading would hang until something writes to it.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    options.open(path)
}

/// Reads at most one byte more than `size`, so that a growing file is noticed and an endless one is not read forever.
fn read_all(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more, so that the last read, which finds the end, does not grow the buffer.
    let room = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(room.saturating_add(1))?;
    file.take(size + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn same(before: &Metadata, after: &Metadata) -> bool {
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

fn unreadable(error: io::Error) -> PhotoError {
    PhotoError::new(ErrorKind::Unreadable, format!("the file cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &Path, limits: DecodeLimits) -> ErrorKind {
        read(path, &limits).map(drop).unwrap_err().kind
    }

    #[test]
    fn reads_regular_files_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"1234").unwrap();
        let limits = DecodeLimits { max_bytes: 4, ..Default::default() };
        assert_eq!(&*read(&path, &limits).unwrap(), b"1234");
        assert_eq!(kind(&path, DecodeLimits { max_bytes: 3, ..limits }), ErrorKind::TooLarge);
        std::fs::write(&path, b"").unwrap();
        assert_eq!(kind(&path, limits), ErrorKind::Empty);
        assert_eq!(kind(&folder.path().join("gone"), limits), ErrorKind::Unreadable);
        assert_eq!(kind(folder.path(), limits), ErrorKind::Unreadable);
    }

    #[test]
    fn a_file_that_grows_or_shrinks_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"1234").unwrap();
        let mut file = open(&path).unwrap();
        let before = file.metadata().unwrap();
        std::fs::write(&path, b"123456").unwrap();
        assert_eq!(read_all(&mut file, before.len()).unwrap(), b"12345");
        assert!(!same(&before, &file.metadata().unwrap()));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.jpg");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = folder.path().join("zero.jpg");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe, link] {
            assert_eq!(kind(&path, DecodeLimits::default()), ErrorKind::Unreadable);
        }
        let sparse = folder.path().join("sparse.jpg");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(kind(&sparse, DecodeLimits::default()), ErrorKind::TooLarge);
    }
}
