//! Shell commands on the files of photos.

use super::desktop::{aside, warning};
use super::{Context, spawn};
use crate::terminal::sanitize;
use crate::terminal::text::count;
use crate::tui::event::Message;
use anyhow::Context as _;
use snapseek_index::Library;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Most bytes of what a command says that are shown.
const MOST: u64 = 64 << 10;

/// Runs a command and shows what it says. It has no terminal.
pub(super) fn run(context: &Arc<Context>, command: String, ids: Vec<i64>) {
    let mine = context.clone();
    aside(context, warning, move |context| {
        let files: Vec<PathBuf> = if ids.is_empty() {
            Vec::new()
        } else {
            let library = Library::open(&context.settings.library)?;
            library.searcher()?.paths(&ids)?.into_iter().flatten().collect()
        };
        let (said, status) = ran(&command, &files)?;
        let lines: Vec<String> = said.lines().map(sanitize::text).collect();
        if !lines.is_empty() {
            mine.send(Message::Text(sanitize::text(&format!("{command}: {status}")), lines));
        }
        anyhow::ensure!(status == "done", "{}: {status}", sanitize::text(&command));
        Ok(format!("done: {} on {}", sanitize::text(&command), count(files.len(), "file")))
    });
}

/// The command for the shell, in which a `%` stands for all files, and `%%` for a percent sign. The names of files are no
/// part of it: the shell gets them as arguments of its own, whatever signs they have.
fn for_shell(command: &str) -> String {
    command.split("%%").map(|part| part.replace('%', "\"$@\"")).collect::<Vec<_>>().join("%")
}

/// What a command said, and how it ended.
fn ran(command: &str, files: &[PathBuf]) -> anyhow::Result<(String, String)> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(for_shell(command))
        .arg("snapseek")
        .args(files)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the shell cannot be started")?;
    // Both at once, so that neither fills up while the other is read.
    let errors = child.stderr.take();
    let (out, errors_of) = crossbeam_channel::bounded(1);
    spawn("shell", move || drop(out.send(limited(errors))))?;
    let mut said = limited(child.stdout.take());
    said.push_str(&errors_of.recv().unwrap_or_default());
    let status = child.wait()?;
    let ended = match status.code() {
        Some(0) => "done".to_owned(),
        Some(code) => format!("exit code {code}"),
        None => "it was killed".to_owned(),
    };
    Ok((said, ended))
}

/// The beginning of what a command says; the rest is read, too, so that it does not wait for ever.
fn limited(pipe: Option<impl Read>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut bytes = Vec::new();
    let _ = pipe.by_ref().take(MOST).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_no_part_of_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let proof = folder.path().join("proof");
        let evil = format!("$(touch {0}) `touch {0}`; touch {0} \"'\n*.jpg", proof.display());
        let files = [PathBuf::from(&evil), PathBuf::from("/photos/-n b.jpg")];
        let (said, status) = ran("for f in %; do printf '<%%s>' \"$f\"; done", &files).unwrap();
        assert_eq!((said, status), (format!("<{evil}></photos/-n b.jpg>"), "done".into()));
        assert!(!proof.exists());
        assert_eq!(for_shell("echo 100%% of %"), "echo 100% of \"$@\"");
    }

    #[test]
    fn what_a_command_says_is_bounded_and_its_end_is_told() {
        let (said, status) = ran("yes | head -c 1000000; yes error | head -c 300000 >&2; exit 3", &[]).unwrap();
        assert_eq!((said.len() as u64, status.as_str()), (2 * MOST, "exit code 3"));
        let (_, status) = ran("kill -9 $$", &[]).unwrap();
        assert_eq!(status, "it was killed");
    }
}
