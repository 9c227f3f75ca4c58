//! How results are shown: table, JSON lines, bare paths, pictures, contact sheet, copies, XMP for other programs.

pub mod boxes;
mod copy;
pub mod copy_lines;
pub mod csv;
pub mod facts;
pub mod map;
pub mod page;
mod preview;
mod sheet;
pub mod sidecars;
mod table;
pub mod trash_script;
pub mod trial;
pub mod verdicts;

pub use copy::{copy_numbered, copy_to as copy_photos};
pub use sheet::write as contact_sheet;
pub use table::{TableColumn, TableOptions, verdict};

use crate::search::row::{self, Row};
use crate::terminal::console::{self, Console};
use crate::terminal::sanitize;
use crate::terminal::text::count;
use image::RgbImage;
use serde_json::json;
use snapseek_index::By;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the system's opener is watched.
const OPENS: Duration = Duration::from_secs(1);

/// Reads a photo as a small picture whose longest edge has at most this many pixels. The caller provides it, so that
/// this module need not decode photos.
pub type ReadSmall = dyn Fn(&Path, u32) -> anyhow::Result<RgbImage> + Sync;

/// How results are shown.
#[derive(Clone)]
pub struct Outputs<'a> {
    /// Title of the contact sheet.
    pub title: &'a str,
    /// The query, if the results are those of one of several.
    pub query: Option<&'a str>,
    /// What ranked the results.
    pub by: By,
    /// How the table looks.
    pub table: TableOptions,
    /// Print JSON lines.
    pub json: bool,
    /// Print only paths, each followed by a NUL byte.
    pub paths0: bool,
    /// Show the pictures in the terminal.
    pub preview: bool,
    /// Open the first result in the system's viewer.
    pub open: bool,
    /// Copy the photos to this folder.
    pub copy_to: Option<&'a Path>,
    /// Make symbolic links to the photos in this folder.
    pub link_to: Option<&'a Path>,
    /// Write a contact sheet to this file.
    pub html: Option<&'a Path>,
    /// Reads photos for previews and contact sheets.
    pub small: &'a ReadSmall,
}

/// Shows the results in every requested way. Returns false if a photo to be copied could not be read.
///
/// # Errors
/// stdout is closed, or a requested file cannot be written.
pub fn show(rows: &[Row], wanted: &Outputs<'_>, console: &Console) -> anyhow::Result<bool> {
    let mut complete = true;
    let present = || rows.iter().filter(|row| !row.is_missing);
    if let Some(file) = wanted.html {
        sheet::write(rows, wanted.title, file, wanted.small)?;
        console.note(format_args!("wrote {} to {}", count(rows.len(), "photo"), sanitize::path(file)));
    }
    if let Some(folder) = wanted.copy_to {
        let copied = copy::copy_to(present(), folder, &mut |path, error| {
            complete = false;
            console.warn(format_args!("{} was not copied: {error}", sanitize::path(path)));
        })?;
        console.note(format_args!("copied {} to {}", count(copied, "photo"), sanitize::path(folder)));
    }
    if let Some(folder) = wanted.link_to {
        let linked = copy::link_to(present(), folder)?;
        console.note(format_args!("linked to {} in {}", count(linked, "photo"), sanitize::path(folder)));
    }
    if wanted.json {
        for (n, row) in rows.iter().enumerate() {
            let mut record = record(n + 1, row, wanted.by)?;
            if let Some(query) = wanted.query {
                record["query"] = query.into();
            }
            console.json(&record)?;
        }
    } else if wanted.paths0 {
        for row in present() {
            console.bytes(&console.path_bytes(row.path()))?;
            console.bytes(b"\0")?;
        }
    } else if wanted.preview && console.terminal && !console::is_dumb() {
        preview::show(rows, wanted, console)?;
    } else {
        table::print(rows, wanted, console, &mut |_| Ok(()))?;
    }
    if wanted.open
        && let Some(best) = present().next()
    {
        open(best.path())?;
    }
    Ok(complete)
}

fn record(rank: usize, row: &Row, by: By) -> serde_json::Result<serde_json::Value> {
    let hit = &row.hit;
    let (score, kind) = score(row, by);
    let taken = row::taken(hit);
    let mut value = json!({
        "schema": 1, "rank": rank, "score": score, "score_kind": kind, "match": row.is_match,
        "missing": row.is_missing, "probability": hit.probability,
        "cosine": hit.cosine, "bm25": hit.bm25, "itm": row.itm, "yes": row.yes,
        "caption": hit.caption, "text": hit.text,
        "tags": hit.tags.iter().map(|t| &t.label).collect::<Vec<_>>(),
        "tag_scores": hit.tags.iter().map(|t| t.score).collect::<Vec<_>>(),
        "bytes": hit.size, "folded": hit.folded,
        "also": hit.paths.iter().skip(1).chain(&hit.stack).map(|p| p.to_string_lossy()).collect::<Vec<_>>(),
    });
    // What is known about it, by the names that the library has for it.
    if let serde_json::Value::Object(facts) = serde_json::to_value(&hit.facts)? {
        facts.into_iter().for_each(|(name, fact)| value[name] = fact);
    }
    value["taken"] = taken.moment.into();
    value["taken_from"] = taken.from.into();
    put_path(&mut value, row.path());
    Ok(value)
}

/// Writes results to a new file as JSON lines, like `search --json`.
///
/// # Errors
/// The file already exists (exit code 2), or cannot be written.
pub fn json_file(rows: &[Row], file: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        text.push_str(&sanitize::json(&record(n + 1, row, By::Meaning)?)?);
        text.push('\n');
    }
    write_new(file, &text)
}

/// Writes a new file.
///
/// # Errors
/// The file already exists (exit code 2), or cannot be written.
pub fn write_new(file: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut new = std::fs::File::create_new(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            crate::exit::Failure::usage(format!("{} already exists; nothing is overwritten", sanitize::path(file)))
        }
        _ => unwritten(file, error),
    })?;
    std::io::Write::write_all(&mut new, content.as_ref()).map_err(|error| {
        // Half a file would be in the way of the next try.
        let _ = std::fs::remove_file(file);
        unwritten(file, error)
    })
}

/// The error of a file that cannot be written.
pub(crate) fn unwritten(file: &Path, error: std::io::Error) -> anyhow::Error {
    // A draft has a name of its own, which says nothing to the user.
    let is_plain = error.get_ref().is_none() || error.kind() == std::io::ErrorKind::Other;
    let error = if is_plain { error } else { error.kind().into() };
    match snapseek_index::Error::io(file)(error) {
        snapseek_index::Error::Io { cause, .. } => {
            anyhow::Error::from(cause).context(format!("{} cannot be written", sanitize::path(file)))
        }
        full => full.into(),
    }
}

/// Sets `path` and, for a name that is not UTF-8, `path_base64` with its exact bytes.
pub fn put_path(object: &mut serde_json::Value, path: &Path) {
    object["path"] = path.to_string_lossy().into();
    if path.to_str().is_none() {
        use base64::Engine;
        let bytes = path.as_os_str().as_encoded_bytes();
        object["path_base64"] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
    }
}

/// The number that ranked a result, and the name of its kind.
fn score(Row { hit, itm, yes, .. }: &Row, by: By) -> (Option<f32>, &'static str) {
    match by {
        _ if yes.is_some() => (*yes, "yes"),
        _ if itm.is_some() => (*itm, "itm"),
        By::Both if hit.cosine.is_some() => (Some(hit.fused), "reciprocal-rank"),
        By::Meaning => (hit.cosine, "cosine"),
        By::Words | By::Both => (hit.bm25, "bm25"),
    }
}

/// Opens a file or folder in the system's default program for it.
///
/// # Errors
/// There is no such program, or it fails within a second.
pub fn open(path: &Path) -> anyhow::Result<()> {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let absolute = std::path::absolute(path)?; // never begins with a dash
    let mut child = std::process::Command::new(opener)
        .arg(absolute)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map_err(|e| anyhow::anyhow!("{opener} cannot be started: {e}"))?;
    // Some openers end at once, others with the viewer: what fails fails soon.
    let started = Instant::now();
    while started.elapsed() < OPENS {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                // As xdg-open's manual numbers them.
                let why = match status.code() {
                    Some(2) => "the file is not there".to_owned(),
                    Some(3) => "no program for it is installed".to_owned(),
                    _ => status.to_string(),
                };
                anyhow::bail!("{opener} could not open it: {why}");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    // It runs on; its end is waited for, so that no zombie stays.
    std::thread::spawn(move || child.wait());
    Ok(())
}
