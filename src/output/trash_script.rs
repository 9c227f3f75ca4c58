//! A shell script that moves files to the trash, each only if it and the one to keep are still what they were.

use super::write_new;
use crate::terminal::sanitize;
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file that the script moves away.
pub struct Copy<'a> {
    /// The file.
    pub path: &'a Path,
    /// How it differs from the file to keep, and what it says that that one does not.
    pub says: String,
}

/// Files that show one picture.
pub struct Copies<'a> {
    /// The file to keep.
    pub kept: &'a Path,
    /// Why it is the one to keep.
    pub reason: String,
    /// The others.
    pub copies: Vec<Copy<'a>>,
}

const HEAD: &str = r##"#!/bin/sh
# Written by `snapseek duplicates --script`. Read it, delete the lines of files that should stay, and run it: sh FILE
#
# Nothing is deleted: files go to the trash of your desktop (freedesktop.org), from which a file manager brings them
# back. Before each move, the file and the one to keep are hashed again (SHA-256); if either has changed, nothing
# happens to it. Nothing is carried over to the file to keep: dates, ratings and captions that only the copy has are
# named beside it. Run `snapseek index` afterwards.
set -u
trash=${XDG_DATA_HOME:-$HOME/.local/share}/Trash
mkdir -p "$trash/files" "$trash/info" && chmod 700 "$trash" || exit 1
moved=0
left=0

hash() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi 2>/dev/null | cut -c1-64
}

# copy COPY ITS-HASH KEPT ITS-HASH NAME PATH-FOR-THE-TRASH [COPY-AS-IT-IS-SHOWN]
copy() {
    shown=${7-$1}
    if [ ! -f "$1" ] || [ "$(hash "$1")" != "$2" ]; then
        printf 'left, it has changed or is gone: %s\n' "$shown" >&2
        left=$((left + 1))
        return
    fi
    if [ ! -f "$3" ] || [ "$1" -ef "$3" ] || [ "$(hash "$3")" != "$4" ]; then
        printf 'left, the file to keep has changed or is gone: %s\n' "$shown" >&2
        left=$((left + 1))
        return
    fi
    name=$5
    n=1
    # Only one process can create a file of this name.
    until (set -C && printf '[Trash Info]\nPath=%s\nDeletionDate=%s\n' "$6" "$(date +%Y-%m-%dT%H:%M:%S)" \
        >"$trash/info/$name.trashinfo") 2>/dev/null && [ ! -e "$trash/files/$name" ]; do
        n=$((n + 1))
        [ "$n" -gt 10000 ] && printf 'left, the trash cannot be written: %s\n' "$shown" >&2 &&
            left=$((left + 1)) && return
        name=$n-$5
    done
    if mv -- "$1" "$trash/files/$name"; then
        moved=$((moved + 1))
    else
        rm -f -- "$trash/info/$name.trashinfo"
        left=$((left + 1))
    fi
}
"##;

const END: &str = r#"
printf '%s moved to the trash, %s left\n' "$moved" "$left"
[ "$left" -eq 0 ]
"#;

/// Writes the script to a new file. `report` gets how many files are hashed and how many there are; if it returns
/// false, nothing is written, and neither is `Some` returned. Otherwise returns the files that it moves.
///
/// # Errors
/// The file exists (exit code 2) or cannot be written, or a photo cannot be read.
pub fn write<'a>(
    groups: &[Copies<'a>],
    file: &Path,
    report: &mut dyn FnMut(usize, usize) -> bool,
) -> anyhow::Result<Option<Vec<&'a Path>>> {
    let total = groups.iter().map(|group| group.copies.len() + 1).sum();
    let (mut script, mut moved, mut hashed) = (HEAD.as_bytes().to_vec(), Vec::new(), 0);
    let mut hash = |path: &Path| -> anyhow::Result<Option<String>> {
        if !report(hashed, total) {
            return Ok(None);
        }
        hashed += 1;
        sha256(path).map(Some)
    };
    for (n, Copies { kept, reason, copies }) in groups.iter().enumerate() {
        let Some(kept_hash) = hash(kept)? else { return Ok(None) };
        let head = format!("\n# {}. keep {} ({})\n", n + 1, sanitize::path(kept), sanitize::text(reason));
        script.extend(head.into_bytes());
        for Copy { path, says } in copies {
            let Some(copy_hash) = hash(path)? else { return Ok(None) };
            script.extend(format!("# {}\ncopy ", sanitize::text(says)).into_bytes());
            script.extend(quoted(path.as_os_str().as_encoded_bytes()));
            script.extend(format!(" {copy_hash} ").into_bytes());
            script.extend(quoted(kept.as_os_str().as_encoded_bytes()));
            script.extend(format!(" {kept_hash} ").into_bytes());
            script.extend(quoted(path.file_name().unwrap_or_default().as_encoded_bytes()));
            script.extend(format!(" {}", percent_encoded(path)).into_bytes());
            // What a terminal must not get from a name, it does not get from the script either.
            let shown = sanitize::path(path).to_string();
            if shown.as_bytes() != path.as_os_str().as_encoded_bytes() {
                script.push(b' ');
                script.extend(quoted(shown.as_bytes()));
            }
            script.push(b'\n');
            moved.push(*path);
        }
    }
    script.extend(END.as_bytes());
    write_new(file, &script)?;
    Ok(Some(moved))
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    let unread = || format!("{} cannot be read", sanitize::path(path));
    let mut hasher = Sha256::new();
    std::io::copy(&mut File::open(path).with_context(unread)?, &mut hasher).with_context(unread)?;
    let mut hex = String::new();
    hasher.finalize().iter().try_for_each(|byte| write!(hex, "{byte:02x}"))?;
    Ok(hex)
}

/// A word of a shell, with these bytes.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for byte in bytes {
        match byte {
            b'\'' => word.extend(b"'\\''"),
            byte => word.push(*byte),
        }
    }
    word.push(b'\'');
    word
}

/// The path as the trash writes it: all bytes that could mean something else are escaped (RFC 2396).
fn percent_encoded(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let mut text = String::new();
    for byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => text.push(char::from(*byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
