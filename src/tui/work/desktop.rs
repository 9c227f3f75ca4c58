//! Work outside the program: the system's viewer, the file manager, exports.

use super::latest::Latest;
use super::{Context, explained, guarded, spawn};
use crate::config::expand;
use crate::output;
use crate::photo::{looks_like_picture, shrink};
use crate::search::row::Row;
use crate::terminal::text;
use crate::tui::event::{Export, Message};
use crate::tui::overlay::Prompt;
use snapseek_index::Library;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Does work that may take a while in its own thread, and shows the result to the user, unless it is an empty text.
pub(super) fn aside(
    context: &Arc<Context>,
    failed: impl FnOnce(String) -> Message + Send + 'static,
    work: impl FnOnce(&Context) -> anyhow::Result<String> + Send + 'static,
) {
    let mine = context.clone();
    let spawned = spawn("desktop", move || {
        let note = match guarded(|| work(&mine)) {
            Ok(done) if done.is_empty() => return,
            Ok(done) => Message::Note(false, done),
            Err(error) => failed(explained(&error)),
        };
        mine.send(note);
    });
    if let Err(error) = spawned {
        context.send(Message::Note(true, error.to_string()));
    }
}

pub(super) fn warning(why: String) -> Message {
    Message::Note(true, why)
}

/// Opens a photo in the system's viewer.
pub(super) fn view(context: &Arc<Context>, path: PathBuf) {
    aside(context, warning, move |_| {
        output::open(&path)?;
        Ok(format!("opened {}", text::display_path(&path)))
    });
}

/// Shows a photo in the file manager.
pub(super) fn reveal(context: &Arc<Context>, path: PathBuf) {
    aside(context, warning, move |_| {
        let folder = path.parent().unwrap_or(&path);
        if !selected(&path) {
            output::open(folder)?;
        }
        Ok(format!("shown in the file manager: {}", text::display_path(folder)))
    });
}

/// Asks the file manager to select a file; returns whether that worked.
fn selected(path: &Path) -> bool {
    let mut command = if cfg!(target_os = "macos") {
        let mut command = Command::new("open");
        command.arg("-R").arg(path);
        command
    } else {
        let mut command = Command::new("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.FileManager1"]);
        command.args(["/org/freedesktop/FileManager1", "org.freedesktop.FileManager1.ShowItems"]);
        command.arg(format!("array:string:{}", output::page::link(path))).arg("string:");
        command
    };
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Writes photos to a file or folder.
pub(super) fn export(context: &Arc<Context>, kind: Export, ids: Vec<i64>, to: PathBuf) {
    let named = to.clone();
    let refused = move |why| Message::Refused(Prompt::Export, named.to_string_lossy().into_owned(), why);
    aside(context, refused, move |context| {
        let to = expand(&to)?;
        let library = Library::open(&context.settings.library)?;
        let hits = library.searcher()?.photos(&ids)?;
        let rows: Vec<Row> = hits.into_iter().map(|hit| Row::new(hit, true)).collect();
        let what = text::count(rows.len(), "photo");
        let shown = crate::terminal::sanitize::path(&to);
        match kind {
            Export::Html => {
                output::contact_sheet(&rows, &what, &to, &shrink::file)?;
                Ok(format!("wrote {what} to {shown}"))
            }
            Export::Json => {
                output::json_file(&rows, &to)?;
                Ok(format!("wrote {what} to {shown}"))
            }
            Export::Files => {
                let mut problems = Vec::new();
                let copied = output::copy_photos(rows.iter(), &to, &mut |path, error| {
                    problems.push(format!("{} is not copied: {error}", crate::terminal::sanitize::path(path)));
                })?;
                anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
                Ok(format!("copied {} to {shown}", text::count(copied, "photo")))
            }
        }
    });
}

/// Writes what the user wrote on photos as XMP files into a folder.
pub(super) fn sidecars(context: &Arc<Context>, folder: PathBuf) {
    aside(context, warning, move |context| {
        let folder = expand(&folder)?;
        let library = Library::open(&context.settings.library)?;
        let mut problems = Vec::new();
        let counts = output::sidecars::of_library(&library, &folder, false, &mut |file, why| {
            problems.push(format!("{}: {why}", crate::terminal::sanitize::path(file)));
        })?;
        let told = output::sidecars::told(counts, &folder);
        match problems.as_slice() {
            [] => Ok(told),
            [first, ..] => anyhow::bail!("{told}; {} not written, the first: {first}", problems.len()),
        }
    });
}

/// The most names with which a path can go on that are shown.
const MOST_CHOICES: usize = 8;

/// Completes a path that is typed.
pub(super) fn complete(context: &Arc<Context>, typed: String, only_folders: bool) {
    let mine = context.clone();
    // A folder may be on a disk that has to wake up.
    let spawned = spawn("desktop", move || {
        let (completed, choices) = completed(&typed, only_folders);
        mine.send(Message::PathCompleted(typed, completed, choices));
    });
    if let Err(error) = spawned {
        context.send(Message::Note(true, error.to_string()));
    }
}

/// Starts the thread that finds pictures and folders whose names begin so.
pub(super) fn files(context: Arc<Context>) -> std::io::Result<Latest<String>> {
    Latest::start("files", move |typed: String, _| {
        let names = begun(&typed, false).into_iter();
        let is_wanted = |name: &String| name.ends_with('/') || looks_like_picture(Path::new(name));
        context.send(Message::Files(typed.clone(), names.filter(is_wanted).collect()));
    })
}

/// How far a path can be completed, and the names with which it can go on, if there are several.
fn completed(typed: &str, only_folders: bool) -> (String, Vec<String>) {
    let folder = typed.rfind('/').map_or(0, |at| at + 1);
    let paths = begun(typed, only_folders);
    let Some(first) = paths.first() else { return (typed.to_owned(), Vec::new()) };
    let common = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let shared = paths.iter().fold(first.clone(), |shared, path| common(&shared, path));
    let shown = if paths.len() > 1 { MOST_CHOICES } else { 0 };
    let names = paths.iter().take(shown).map(|path| path.get(folder..).unwrap_or(path).to_owned()).collect();
    (shared, names)
}

/// The paths that begin so, by name; folders end in a slash. Hidden names are left out unless their beginning is typed.
fn begun(typed: &str, only_folders: bool) -> Vec<String> {
    let start = typed.rfind('/').map_or(0, |at| at + 1);
    let (folder, begun) = typed.split_at(start);
    let place = if folder.is_empty() { PathBuf::from(".") } else { PathBuf::from(folder) };
    let mut paths: Vec<String> = Vec::new();
    for entry in expand(&place).ok().and_then(|place| place.read_dir().ok()).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_hidden = name.starts_with('.') && !begun.starts_with('.');
        if !name.starts_with(begun) || is_hidden {
            continue;
        }
        let is_folder = entry.path().is_dir();
        if is_folder || !only_folders {
            paths.push(format!("{folder}{name}{}", if is_folder { "/" } else { "" }));
        }
    }
    paths.sort();
    paths
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_completed_as_far_as_it_is_sure() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["Pictures", "Pictures old", "Music", ".hidden"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("Notes.txt"), "").unwrap();
        let at = |typed: &str| format!("{}/{typed}", dir.path().display());
        let complete = |typed: &str, folders| completed(&at(typed), folders);
        assert_eq!(complete("Mu", true), (at("Music/"), vec![]));
        assert_eq!(complete("P", true), (at("Pictures"), vec!["Pictures old/".into(), "Pictures/".into()]));
        assert_eq!(complete("N", true), (at("N"), vec![]), "no folder");
        assert_eq!(complete("N", false), (at("Notes.txt"), vec![]));
        assert_eq!(complete(".h", true), (at(".hidden/"), vec![]));
        assert_eq!(complete("", true).1.len(), 3, "what is hidden is not offered");
        assert_eq!(completed("/nowhere/at/all", true), ("/nowhere/at/all".into(), vec![]));
        assert_eq!(completed("", true).0, "");
    }
}
