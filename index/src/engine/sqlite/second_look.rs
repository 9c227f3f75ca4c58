//! Whether a catalogue that SQLite calls malformed is so. SQLite says the same where the system fails to read a page
//! (EIO), which may pass, and for which nobody should throw a library away.

use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What a second look at a catalogue shows.
#[derive(Debug)]
pub(crate) enum SecondLook {
    /// It is damaged.
    Damage,
    /// It is sound: the first look was disturbed.
    Sound,
    /// This file of it cannot be read now.
    Unread(PathBuf, io::Error),
}

/// Reads a catalogue and its WAL from end to end, and checks it.
pub(crate) fn second_look(file: &Path) -> SecondLook {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    for file in [file, Path::new(&wal)] {
        match read(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return SecondLook::Unread(file.to_path_buf(), error);
            }
            _ => {}
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let check = |db: Connection| db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match Connection::open_with_flags(file, flags).and_then(check) {
        Ok(answer) if answer == "ok" => SecondLook::Sound,
        _ => SecondLook::Damage,
    }
}

/// Reads a file from end to end, in the way in which SQLite does.
fn read(file: &Path) -> io::Result<()> {
    let file = File::open(file)?;
    let mut block = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&file, &mut block, at)?;
        #[cfg(not(unix))]
        let read = io::Read::read(&mut &file, &mut block)?;
        if read == 0 {
            return Ok(());
        }
        at += read as u64;
    }
}
