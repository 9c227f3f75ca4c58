//! Which photos a command works on: files and folders, the matches of a query, or the whole library.

use crate::config::Settings;
use crate::exit::Failure;
use crate::indexing::run;
use crate::model_choice::{self, Chosen, Offer};
use crate::search::photo_file::{self, KnownPhoto};
use crate::search::query_vector;
use crate::search::question::{self, Means, Question};
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use crate::terminal::{sanitize, signals};
use rayon::prelude::*;
use snapseek_index::{By, Clause, Filter, Filters, Hit, Library, SearchRequest, Searcher};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files embedded between two progress reports.
const CHUNK: usize = 32;

/// What the user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// Nothing, which means the whole library.
    Library,
    /// A query.
    Query(String),
    /// Files and folders.
    Paths(Vec<PathBuf>),
}

impl Selection {
    /// Distinguishes paths from a query: arguments that exist as files or folders are paths, all others are query text.
    ///
    /// # Errors
    /// Both at once, or query text that is not UTF-8 (exit code 2).
    pub(super) fn of(arguments: &[OsString]) -> anyhow::Result<Self> {
        let (paths, words): (Vec<&OsString>, Vec<&OsString>) = arguments.iter().partition(|a| Path::new(a).exists());
        match (paths.first(), words.first()) {
            (None, None) => Ok(Self::Library),
            (Some(_), None) => Ok(Self::Paths(paths.into_iter().map(PathBuf::from).collect())),
            (None, Some(_)) => {
                let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
                let words = words.ok_or_else(|| Failure::usage("a query must be UTF-8, and no file has this name"))?;
                Ok(Self::Query(words.join(" ")))
            }
            (Some(path), Some(word)) => Err(Failure::usage(format!(
                "{} is a file or folder, but {} is not: name only files and folders, or write a query (in quotes, if \
                 one of its words is also the name of a file)",
                sanitize::path(Path::new(path)),
                sanitize::path(Path::new(word))
            ))),
        }
    }
}

/// The ids of the library's photos that are named: by files, by folders that they are in, or as matches of a query.
///
/// # Errors
/// A file is not in the library, or paths and words of a query are mixed (exit code 2); or the catalogue cannot be
/// read.
pub(super) fn photos_of(
    named: &[OsString],
    library: &Library,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Vec<i64>> {
    // A file that is gone may be in the library still.
    let known = |name: &OsString| Ok(photo_file::find(Path::new(name), library)?.map(KnownPhoto::id));
    let gone: Option<Vec<i64>> = named.iter().map(known).collect::<anyhow::Result<Option<_>>>()?;
    if let Some(photos) = gone {
        return Ok(unique(photos));
    }
    let paths = match Selection::of(named)? {
        Selection::Library => return Ok(Vec::new()),
        Selection::Query(text) => return matches(&text, library, settings, console),
        Selection::Paths(paths) => paths,
    };
    let searcher = library.searcher()?;
    let mut photos = Vec::new();
    for path in paths {
        if path.is_dir() {
            photos.extend(below(&path.canonicalize()?, &searcher)?.into_iter().map(|hit| hit.id));
        } else {
            photos.push(known(&path.clone().into_os_string())?.ok_or_else(|| super::caption::stranger(&path))?);
        }
    }
    Ok(unique(photos))
}

fn unique(mut photos: Vec<i64>) -> Vec<i64> {
    let mut seen = HashSet::new();
    photos.retain(|photo| seen.insert(*photo));
    photos
}

/// The photos with a file below this folder; `paths` holds only the files there.
///
/// # Errors
/// The catalogue cannot be read.
pub(super) fn below(folder: &Path, searcher: &Searcher) -> anyhow::Result<Vec<Hit>> {
    let filter = Filter::Path(folder.to_string_lossy().into_owned());
    let filters = Filters { clauses: vec![Clause { filter, exclude: false }] };
    let request = SearchRequest { filters, limit: searcher.len(), ..SearchRequest::default() };
    let mut photos = searcher.search(&request)?.hits;
    for photo in &mut photos {
        photo.paths.retain(|path| path.starts_with(folder));
    }
    photos.retain(|photo| !photo.paths.is_empty());
    Ok(photos)
}

/// The photos that match a query.
///
/// # Errors
/// As for [`Question::new`].
pub(super) fn matches(
    text: &str,
    library: &Library,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Vec<i64>> {
    let model = || model_choice::choose(Some(library), settings, console, Offer::None).map(Arc::new);
    let means = Means { library, model: &model, cancel: signals::cancel()?, console };
    let question = Question::new(question::parse(text)?, By::Both, None, &means)?;
    let found = question.matches(&library.searcher()?)?;
    Ok(found.into_iter().map(|(photo, _)| photo.id).collect())
}

/// The model for photos that need not be in the library, and the library if its embeddings can be reused.
pub(super) struct Setting {
    /// The model.
    pub chosen: Chosen,
    /// The library, if this is one of the models that have embedded its photos.
    pub library: Option<Library>,
}

/// Opens the model that `--model` names, else the library's own, else the best one available.
///
/// # Errors
/// The model is missing, or the model or the library is damaged.
pub(super) fn setting(settings: &Settings, console: &Console) -> anyhow::Result<Setting> {
    let library = match Library::open(&settings.library) {
        Ok(library) => Some(library),
        Err(snapseek_index::Error::NoLibrary { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if settings.model == "auto" {
        return Ok(Setting {
            chosen: model_choice::choose(library.as_ref(), settings, console, Offer::None)?,
            library,
        });
    }
    let chosen = model_choice::asked(settings, console, Offer::None)?;
    let known = library.as_ref().map(Library::models).transpose()?.unwrap_or_default();
    let same = known.iter().any(|known| known.record.fingerprint == chosen.record.fingerprint);
    let library = library.filter(|_| same);
    if let Some(library) = &library {
        library.answer_with(Some(&chosen.record));
    }
    Ok(Setting { chosen, library })
}

/// Refuses paths of which none exists. If only some do not, a command tells so and does the rest.
///
/// # Errors
/// None of them exists (exit code 2).
pub(super) fn must_exist(paths: &[PathBuf]) -> anyhow::Result<()> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let is_nowhere =
        |path: &PathBuf| path.symlink_metadata().is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory));
    match paths.first() {
        Some(first) if paths.iter().all(is_nowhere) => {
            Err(Failure::usage(format!("{} does not exist", sanitize::path(first))))
        }
        _ => Ok(()),
    }
}

/// The picture files in these files and folders, in order and without repetitions; and what could not be read, and why,
/// already escaped for a terminal.
///
/// # Errors
/// None of them exists (exit code 2).
pub(super) fn files(paths: &[PathBuf]) -> anyhow::Result<(Vec<PathBuf>, Vec<String>)> {
    must_exist(paths)?;
    let (mut files, mut problems, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for path in paths {
        for found in run::pictures(path) {
            match found {
                Ok(file) if seen.insert(file.clone()) => files.push(file),
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
    }
    Ok((files, problems))
}

/// Photos with their embeddings.
#[derive(Clone, Debug, Default)]
pub(super) struct SelectedPhotos {
    /// Their paths and embeddings (unit vectors).
    pub photos: Vec<(PathBuf, Vec<f32>)>,
    /// Which files could not be read, and why; already escaped for a terminal.
    pub problems: Vec<String>,
}

/// The photos in these files and folders, in order and without repetitions. Embeddings that the library knows are
/// reused, the others are computed.
///
/// # Errors
/// The user interrupted the work (exit code 130), or the model or the catalogue fails.
pub(super) fn pictures(
    paths: &[PathBuf],
    setting: &Setting,
    progress: &mut Progress<'_>,
) -> anyhow::Result<SelectedPhotos> {
    let (files, mut problems) = files(paths)?;
    let model = setting.chosen.model.as_ref();
    let mut photos = Vec::with_capacity(files.len());
    for chunk in files.chunks(CHUNK) {
        if !progress.step("photos", photos.len(), files.len()) {
            return Err(Failure::interrupted());
        }
        let known = match &setting.library {
            Some(library) => {
                chunk.iter().map(|file| query_vector::known(file, library)).collect::<anyhow::Result<Vec<_>>>()?
            }
            None => vec![None; chunk.len()],
        };
        let embedded: Vec<_> = chunk
            .par_iter()
            .zip(known)
            .map(|(file, known)| known.map_or_else(|| query_vector::embed_file(file, model), |(_, vector)| Ok(vector)))
            .collect();
        for (file, embedding) in chunk.iter().zip(embedded) {
            match embedding {
                Ok(vector) => photos.push((file.clone(), vector)),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
    }
    Ok(SelectedPhotos { photos, problems })
}
