//! Looks again at what a search found: a model is asked of each photo whether it shows what was asked for.
//!
//! Answers are kept in the cache folder, a file for each model and question, so that a run that was killed goes on
//! where it was: a line for each picture, by the hash of what it shows.

use super::open::NamedChatModel;
use crate::model::chat_model::does_it_show;
use crate::model::kept::private_folder;
use crate::photo::DecodeLimits;
use crate::search::photo_file::first_showing;
use crate::search::row::Row;
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use snapseek_index::Library;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// How many files of answers are kept.
const MOST_FILES: usize = 200;
/// The longest file of answers that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// What looks again.
pub struct Verifier<'a> {
    /// The model that is asked.
    pub chat_model: &'a NamedChatModel,
    /// The library, for what the model has seen before.
    pub library: &'a Library,
    /// The folder for caches.
    pub cache: &'a Path,
    /// Set to end it.
    pub cancel: &'a AtomicBool,
    /// For progress and warnings.
    pub console: &'a Console,
}

impl Verifier<'_> {
    /// Asks about the first `count` rows whether they show `text`, and sorts those that were answered, likeliest first,
    /// among their places. `told` receives each row as it is answered. Returns `false` if it was cancelled; what was
    /// answered until then counts.
    ///
    /// # Errors
    /// The model's files are damaged, or the catalogue cannot be read.
    pub fn verify(
        &self,
        rows: &mut [Row],
        text: &str,
        count: usize,
        told: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let count = rows.len().min(count);
        let question = does_it_show(text);
        let mut answers = KeptAnswers::open(self.cache, self.chat_model.model.fingerprint(), &question);
        let (mut problems, mut is_whole) = (Vec::new(), true);
        let mut progress = Progress::new(self.console, self.cancel);
        for (n, row) in rows.iter_mut().take(count).enumerate() {
            if !progress.step("photos looked at again", n, count) {
                is_whole = false;
                break;
            }
            let picture = row.hit.picture;
            row.yes = match answers.known.get(&hex(&picture)) {
                Some(known) => Some(*known),
                None => match self.ask(row, &question, &mut problems)? {
                    VerifyOutcome::Probability(yes) => {
                        answers.add(&picture, yes);
                        Some(yes)
                    }
                    VerifyOutcome::Unread => None,
                    VerifyOutcome::Cancelled => {
                        is_whole = false;
                        break;
                    }
                },
            };
            if row.yes.is_some() {
                told(row)?;
            }
        }
        drop(progress);
        problems.iter().for_each(|problem| self.console.warn(problem));
        reorder(&mut rows[..count]);
        Ok(is_whole)
    }

    fn ask(&self, row: &Row, question: &str, problems: &mut Vec<String>) -> anyhow::Result<VerifyOutcome> {
        let paths = row.hit.paths.iter().map(|path| -> &Path { path });
        let load = |path: &Path, bytes: &[u8]| self.chat_model.load_bytes(path, bytes, Some(self.library));
        match first_showing((row.hit.id, &row.hit.picture), paths, &DecodeLimits::default(), load) {
            Ok(loaded) => {
                let Some(seen) = self.chat_model.look(loaded, self.cancel)? else {
                    return Ok(VerifyOutcome::Cancelled);
                };
                self.chat_model.keep(&seen, Some(self.library), self.console);
                let yes = self.chat_model.model.yes(&[&seen.encoding], question, self.cancel)?;
                Ok(yes
                    .and_then(|yes| yes.first().copied())
                    .map_or(VerifyOutcome::Cancelled, VerifyOutcome::Probability))
            }
            Err(problem) => {
                problems.push(problem);
                Ok(VerifyOutcome::Unread)
            }
        }
    }
}

/// What came of a question about a photo.
enum VerifyOutcome {
    Probability(f32),
    Unread,
    Cancelled,
}

/// Sorts the rows that were answered, likeliest first, among the places that they have.
fn reorder(rows: &mut [Row]) {
    let places: Vec<usize> = (0..rows.len()).filter(|place| rows[*place].yes.is_some()).collect();
    let mut sorted: Vec<Row> = places.iter().map(|place| rows[*place].clone()).collect();
    sorted.sort_by(|a, b| b.yes.unwrap_or_default().total_cmp(&a.yes.unwrap_or_default()));
    for (place, row) in places.into_iter().zip(sorted) {
        rows[place] = row;
    }
}

fn hex(picture: &[u8]) -> String {
    picture.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a model answered to one question, by the hashes of pictures.
struct KeptAnswers {
    known: HashMap<String, f32>,
    /// Where more is written; `None` if that is not possible.
    file: Option<File>,
}

impl KeptAnswers {
    /// Reads what was answered before. Lines that are damaged, as a killed run leaves its last one, are left out.
    fn open(cache: &Path, fingerprint: &str, question: &str) -> Self {
        let folder = cache.join("verified");
        let name = blake3::hash(format!("{fingerprint}\n{question}").as_bytes()).to_hex();
        let path = folder.join(format!("{}.txt", &name[..32]));
        let is_short = fs::metadata(&path).is_ok_and(|meta| meta.len() <= LONGEST);
        let text = if is_short { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let text = String::from_utf8_lossy(&text);
        let known = text.lines().filter_map(|line| {
            let (picture, rest) = line.split_once(' ')?;
            let (yes, end) = rest.split_once(' ')?;
            let yes = yes.parse::<f32>().ok().filter(|yes| (0.0..=1.0).contains(yes))?;
            (end == ".").then(|| (picture.to_owned(), yes))
        });
        let known = known.collect();
        let opened = private_folder(&folder).and_then(|()| {
            drop_old(&folder, &path);
            let options = File::options().create(true).append(is_short).write(true).truncate(!is_short).open(&path)?;
            Ok(options)
        });
        let mut file = opened.ok();
        // A last line that was cut must not run into the next one.
        if !text.is_empty() && !text.ends_with('\n') && file.as_mut().is_some_and(|file| file.write_all(b"\n").is_err())
        {
            file = None;
        }
        Self { known, file }
    }

    /// Keeps an answer. That it cannot be written costs only asking again.
    fn add(&mut self, picture: &[u8], yes: f32) {
        let picture = hex(picture);
        if let Some(file) = &mut self.file {
            let _ = file.write_all(format!("{picture} {yes} .\n").as_bytes());
        }
        self.known.insert(picture, yes);
    }
}

/// Deletes the files that were written first where there are too many.
fn drop_old(folder: &Path, but: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(_, path)| path != but && path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(MOST_FILES);
    files.into_iter().take(surplus).for_each(|(_, path)| drop(fs::remove_file(path)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_outlive_a_killed_run() {
        let cache = tempfile::tempdir().unwrap();
        let open = || KeptAnswers::open(cache.path(), "print", "Does this photo show a cat?");
        let mut answers = open();
        answers.add(&[1; 32], 0.25);
        answers.add(&[2; 32], 1.0);
        drop(answers);
        assert_eq!(open().known.get(&hex(&[1; 32])), Some(&0.25));
        assert!(KeptAnswers::open(cache.path(), "other", "Does this photo show a cat?").known.is_empty());
        // Killed within the last line.
        let file = fs::read_dir(cache.path().join("verified")).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            (fs::metadata(&path).unwrap().len() > 0).then_some(path)
        });
        let file = file.unwrap();
        let whole = fs::read(&file).unwrap();
        for end in 0..whole.len() {
            fs::write(&file, &whole[..end]).unwrap();
            let mut answers = open();
            assert!(answers.known.values().all(|yes| [0.25, 1.0].contains(yes)), "{end}");
            answers.add(&[3; 32], 0.5);
            drop(answers);
            assert_eq!(open().known.get(&hex(&[3; 32])), Some(&0.5), "{end}");
        }
    }
}
