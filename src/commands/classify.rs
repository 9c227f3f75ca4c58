//! `classify`: photos sorted by labels that the user chooses.

use super::note_awaiting;
use super::selection::{self, Selection};
use crate::cli::ClassifyArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::labels::classify;
use crate::model::Embed;
use crate::model_choice::{self, Offer};
use crate::output::verdicts::{self, SortedPhotos, VerdictOutputs};
use crate::photo::shrink;
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use crate::terminal::{sanitize, signals};
use anyhow::Context;
use snapseek_index::{Classifier, Error, LabelSet, Library};
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Maximum size of a labels file in bytes.
const LONGEST_FILE: u64 = 1 << 20;

pub(super) fn classify(args: &ClassifyArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let selection = Selection::of(&args.photos)?;
    let cancel = signals::cancel()?;
    let mut set = label_set(args, settings)?;
    let mut progress = Progress::new(console, cancel);
    let (judged, complete) = match &selection {
        Selection::Paths(paths) => {
            let setting = selection::setting(settings, console)?;
            let model = setting.chosen.model.as_ref();
            let classifier = classifier(&mut set, args, model, settings, &mut progress, console)?;
            let found = selection::pictures(paths, &setting, &mut progress)?;
            let embeddings: Vec<&[f32]> = found.photos.iter().map(|(_, embedding)| embedding.as_slice()).collect();
            let judged = classify::judge(&embeddings, &set, &classifier, args.top.into(), &mut progress)?;
            drop(progress);
            found.problems.iter().for_each(|problem| console.warn(problem));
            (found.photos.into_iter().map(|(path, _)| path).zip(judged).collect(), found.problems.is_empty())
        }
        Selection::Query(_) | Selection::Library => {
            let library = model_choice::library(settings)?;
            let model = model_choice::choose(Some(&library), settings, console, Offer::None)?.model;
            let classifier = classifier(&mut set, args, model.as_ref(), settings, &mut progress, console)?;
            let wanted = match &selection {
                Selection::Query(text) => {
                    Some(selection::matches(text, &library, settings, console)?.into_iter().collect::<HashSet<i64>>())
                }
                _ => None,
            };
            let searcher = library.searcher()?;
            let mut rows = searcher.embeddings()?;
            rows.retain(|(id, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(id)));
            let (ids, embeddings): (Vec<i64>, Vec<&[f32]>) = rows.into_iter().unzip();
            let verdicts = classify::judge(&embeddings, &set, &classifier, args.top.into(), &mut progress)?;
            drop(progress);
            note_awaiting(&searcher, console)?;
            let paths = searcher.paths(&ids)?;
            // A photo whose last file was removed has no path.
            let judged = paths.into_iter().zip(verdicts).filter_map(|(path, verdict)| Some((path?, verdict)));
            (judged.collect::<Vec<(PathBuf, _)>>(), true)
        }
    };
    if judged.is_empty() {
        if let Selection::Query(text) = &selection {
            let text = sanitize::text(text);
            console.note(format_args!("no photo matches the query {text:?} (there is no file or folder of that name)"));
        } else {
            console.note("there are no photos to classify");
        }
    }
    let sorted = SortedPhotos::new(&set, judged);
    let labelled = sorted.labelled();
    let wanted = VerdictOutputs {
        html: args.html.as_deref(),
        json: settings.json,
        paths0: args.paths0,
        csv: args.csv,
        top: args.top.into(),
        small: &shrink::file,
    };
    verdicts::show(&sorted, &wanted, cancel, console)?;
    Ok(match (labelled, complete) {
        (_, false) => Exit::Partial,
        (true, true) => Exit::Success,
        (false, true) => Exit::NothingFound,
    })
}

/// The label set that the arguments describe.
fn label_set(args: &ClassifyArgs, settings: &Settings) -> anyhow::Result<LabelSet> {
    let set = match (&args.set, &args.labels, &args.labels_file) {
        (Some(name), _, _) => return Ok(Library::open(&settings.library)?.label_set(name)?),
        (None, Some(labels), _) => LabelSet { labels: commas(labels), ..LabelSet::default() },
        (None, None, Some(file)) => LabelSet { labels: lines(file)?, ..LabelSet::default() },
        (None, None, None) => LabelSet::default(),
    };
    let set = LabelSet {
        name: args.save_as.clone().unwrap_or_default(),
        background: args.background.as_deref().map(commas).unwrap_or_default(),
        templates: args.template.clone(),
        threshold: args.threshold.unwrap_or(0.0),
        ..set
    };
    set.check().map_err(|error| {
        let alone = set.labels.len() == 1 && set.background.is_empty();
        Failure::usage(format!("{error}{}", if alone { " (`--background`)" } else { "" }))
    })?;
    Ok(set)
}

/// The classifier of a set. The set is saved first if the user asks for it; the threshold of this call then overrides
/// the saved one.
fn classifier(
    set: &mut LabelSet,
    args: &ClassifyArgs,
    model: &dyn Embed,
    settings: &Settings,
    progress: &mut Progress<'_>,
    console: &Console,
) -> anyhow::Result<Classifier> {
    if args.set.is_none() && args.save_as.is_none() {
        return classify::classifier(set, model, progress);
    }
    let library = Library::open(&settings.library)?;
    if args.save_as.is_some() {
        let name = sanitize::text(&set.name);
        let saved = library.save_label_set(set).map_err(|error| match error {
            Error::Refused { .. } => Failure::usage(error.to_string()),
            _ => error.into(),
        });
        match saved? {
            None => {
                let quote = if name.contains(char::is_whitespace) { "\"" } else { "" };
                console
                    .note(format_args!("saved; `snapseek search 'label:{quote}{name}{quote}'` finds what got a label"));
            }
            Some(before) if before == *set => {}
            Some(before) => {
                let labels = sanitize::text(&before.labels.join(", "));
                console.note(format_args!("label set {name} was replaced; its labels were: {labels}"));
            }
        }
    }
    let classifier = classify::kept_classifier(set, &library, model, progress)?;
    set.threshold = args.threshold.unwrap_or(set.threshold);
    Ok(classifier)
}

fn commas(labels: &str) -> Vec<String> {
    labels.split(',').map(|label| label.trim().to_owned()).collect()
}

/// Reads a labels file: one label per line, without empty lines and comments.
fn lines(file: &Path) -> anyhow::Result<Vec<String>> {
    let name = || format!("the labels file {}", sanitize::path(file));
    let mut bytes = Vec::new();
    if !file.exists() {
        return Err(Failure::usage(format!("{} does not exist", name())));
    }
    let opened = std::fs::File::open(file).and_then(|opened| opened.take(LONGEST_FILE + 1).read_to_end(&mut bytes));
    opened.with_context(|| format!("{} cannot be read", name()))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(Failure::usage(format!("{} is larger than {LONGEST_FILE} bytes", name())));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{} is not UTF-8", name())))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}
