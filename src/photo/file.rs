//! Reads files, and only regular ones: pictures as a whole, of camera raw files and videos what is needed.

use super::budget::{FILES, Share};
use super::containers::raw::{ByteSource, RawFile};
use super::containers::video::{self, VideoExtract};
use super::format::Format;
use super::{DecodeLimits, ErrorKind, Limit, PhotoError, ffmpeg, format};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::Path;

/// The first bytes, which tell the format.
const HEAD: u64 = 4 << 10;

/// The bytes of a file, or an extract: of a camera raw file its preview, of a video some frames, and what it says. They
/// hold their part of the memory for files until they are dropped.
#[derive(Debug)]
pub struct FileBytes {
    bytes: Vec<u8>,
    file_size: u64,
    _memory: Share,
}

impl FileBytes {
    /// How many bytes the file has.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.file_size
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes of a regular file, or of a camera raw file what [`decode`](super::decode) needs, without reading the rest.
/// A file whose name and first bytes are those of a video is given to the program ffmpeg. A FIFO, device, socket or
/// folder is refused without waiting for it or reading from it, and what does not begin as a picture does before it is
/// read. All threads together hold at most 1 GiB of files: if there is no room for this one, it waits.
///
/// # Errors
/// `Unreadable` if the file cannot be opened or read or is not a regular one, `Empty`, `NotAPicture` or `Unsupported` if
/// that is what its first bytes say or a camera raw file has no preview, `TooLarge` if it is over `limits.max_bytes`,
/// `Changed` if its size or time changed while it was read.
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
    let mut source = FileSource { file: &mut file, size, error: None };
    let head = source.read_at(0, HEAD.min(size)).unwrap_or_default();
    let raw = RawFile::find(&mut source);
    if let Some(error) = source.error.take() {
        return Err(unreadable(error));
    }
    let (bytes, memory) = if let Some(raw) = raw {
        let (at, length) = raw.preview.ok_or_else(no_preview)?;
        let memory = take(length, limits)?;
        let preview = source.read_at(at, length);
        if let Some(error) = source.error {
            return Err(unreadable(error));
        }
        (raw.extract(size, &preview.ok_or_else(PhotoError::truncated)?), memory)
    } else if let Some(container) = video_container(path, &head) {
        let mut memory = take(ffmpeg::MOST.min(limits.max_bytes), limits)?;
        let fingerprint = video::fingerprint(&mut source);
        if let Some(error) = source.error {
            return Err(unreadable(error));
        }
        let (about, frames) = ffmpeg::frames(path, container)?;
        let frames = frames.iter().map(Vec::as_slice).collect();
        let fingerprint = fingerprint.ok_or_else(changed)?;
        let bytes = VideoExtract { fingerprint, about: &about, frames }.to_bytes();
        memory.shrink_to(bytes.len() as u64);
        (bytes, memory)
    } else {
        // Only what is made here may say which video it is.
        if format::sniff(&head)? == Format::Video {
            return Err(PhotoError::new(ErrorKind::NotAPicture, "the content is not in a known picture format"));
        }
        let memory = take(size, limits)?;
        let bytes = read_all(&mut file, size).map_err(unreadable)?;
        if bytes.len() as u64 != size {
            return Err(changed());
        }
        (bytes, memory)
    };
    let after = file.metadata().map_err(unreadable)?;
    if !same(&before, &after) {
        return Err(changed());
    }
    Ok(FileBytes { bytes, file_size: size, _memory: memory })
}

/// The bytes of a file as [`read`] returns them: those of a camera raw file become an extract.
#[must_use]
pub fn extracted(bytes: Vec<u8>) -> Vec<u8> {
    let mut source = bytes.as_slice();
    let raw = RawFile::find(&mut source).and_then(|raw| {
        let (at, length) = raw.preview?;
        Some(raw.extract(source.size(), &source.read_at(at, length)?))
    });
    raw.unwrap_or(bytes)
}

/// The name of a video's container, if a file with this name and these first bytes is one.
fn video_container(path: &Path, head: &[u8]) -> Option<&'static str> {
    (format::video_ending(path).is_some() && format::sniff(head).is_err()).then(|| video::container(head)).flatten()
}

fn changed() -> PhotoError {
    PhotoError::new(ErrorKind::Changed, "the file was written to while it was read: try again later")
}

fn no_preview() -> PhotoError {
    let message = "a camera raw file without a preview: the values of its sensor are not developed here";
    PhotoError::new(ErrorKind::Unsupported, message)
}

/// Waits for memory for so many bytes.
fn take(size: u64, limits: &DecodeLimits) -> Result<Share, PhotoError> {
    let most = limits.max_bytes.min(FILES.total());
    Some(size).filter(|size| *size <= most).and_then(|size| FILES.take(size)).ok_or_else(|| {
        let message = format!("the file has {size} bytes, more than the limit of {most}");
        PhotoError::over(Limit::Memory, message)
    })
}

/// Reads a file here and there, and remembers the error that kept it from doing so.
struct FileSource<'a> {
    file: &'a mut File,
    size: u64,
    error: Option<io::Error>,
}

impl ByteSource for FileSource<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, length: u64) -> Option<Vec<u8>> {
        at.checked_add(length).filter(|end| *end <= self.size)?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut bytes));
        match read {
            Ok(()) => Some(bytes),
            // It became shorter, which is noticed at the end.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }
}

/// Opens without waiting: opening a FIFO for reading would hang until something writes to it.
pub(super) fn open(path: &Path) -> io::Result<File> {
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
    file.rewind()?;
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
        std::fs::write(&path, b"GIF89a").unwrap();
        let limits = DecodeLimits { max_bytes: 6, ..Default::default() };
        let bytes = read(&path, &limits).unwrap();
        assert_eq!((&*bytes, bytes.file_size()), (&b"GIF89a"[..], 6));
        assert_eq!(kind(&path, DecodeLimits { max_bytes: 5, ..limits }), ErrorKind::TooLarge);
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
        // Its first bytes are enough.
        assert_eq!(kind(&sparse, DecodeLimits::default()), ErrorKind::NotAPicture);
        std::fs::write(&sparse, b"GIF89a").unwrap();
        File::options().write(true).open(&sparse).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(kind(&sparse, DecodeLimits::default()), ErrorKind::TooLarge);
    }
}
