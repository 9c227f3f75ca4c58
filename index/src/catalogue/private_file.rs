//! Files and folders that only their owner may read, lock files among them.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Options that create files that only their owner may read.
pub(crate) fn private() -> OpenOptions {
    #[cfg(unix)]
    {
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
    }
    #[cfg(not(unix))]
    OpenOptions::new()
}

/// Makes a file that only its owner may read, in the place of another one.
pub(crate) fn create(path: &Path) -> std::io::Result<File> {
    private().create(true).truncate(true).write(true).open(path)
}

/// Makes a folder that only its owner may read, if there is none.
pub(crate) fn private_folder(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(Error::io(dir))
}

/// A file that is locked until this is dropped, or the process ends.
#[derive(Debug)]
pub(crate) struct LockFile(File);

impl Drop for LockFile {
    fn drop(&mut self) {
        // Closing it is not enough: a program that another thread starts at this moment has it open until it runs.
        let _ = self.0.unlock();
    }
}

/// Locks a file and writes this process's id into it. If another process has locked it, `held` makes the error from the
/// id of that process.
pub(crate) fn take_lock(path: &Path, held: impl FnOnce(Option<u32>) -> Error) -> Result<LockFile> {
    let mut file = private().create(true).truncate(false).read(true).write(true).open(path).map_err(Error::io(path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(read_pid(&mut file))),
        Err(TryLockError::Error(error)) => return Err(Error::io(path)(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(Error::io(path))?;
    Ok(LockFile(file))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
