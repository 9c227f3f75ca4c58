//! `models try`: models side by side on a sample of the library's photos, so that a person can choose by their own.

use crate::cli::TryArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model_choice::{self, Chosen, Offer};
use crate::output::{page, trial as shown};
use crate::photo::shrink;
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use crate::terminal::text::{count, display_path};
use crate::terminal::{sanitize, signals};
use crate::trial::judged::{self, JudgedQuery};
use crate::trial::{self, Sample, Trial};
use snapseek_index::Library;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;

pub(super) fn run(args: &TryArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    args.html.as_deref().map_or(Ok(()), page::check)?;
    if args.mark && !std::io::stdin().is_terminal() {
        return Err(Failure::usage("--mark asks which photos fit, and needs a terminal for that"));
    }
    let library = Library::open(&settings.library)?;
    let mut queries = match &args.queries {
        // With --mark the file may be made now.
        Some(file) if args.mark && !file.exists() => judged::general(),
        Some(file) => judged::read(file)?,
        None => judged::general(),
    };
    let models = open(&args.models, settings, console)?;
    let sample = Sample::of(&library, args.sample, &queries)?;
    if sample.photos.is_empty() {
        console.note("the library has no photos; `snapseek index FOLDER` adds some");
        return Ok(Exit::NothingFound);
    }
    let photos = sample.library;
    let mut progress = Progress::new(console, signals::cancel()?);
    let tried = trial::run(&models, sample, &queries, &mut progress)?;
    drop(progress);
    let Some(mut tried) = tried else { return Ok(Exit::Interrupted) };
    tried.problems.iter().for_each(|problem| console.warn(problem));
    if let Some(file) = args.queries.as_deref().filter(|_| args.mark) {
        mark(&mut tried, &mut queries, file, console)?;
    }
    if settings.json {
        shown::json(&tried, &queries, photos, console)?;
    } else {
        shown::table(&tried, &queries, photos, console)?;
        let sampled = count(tried.photos.len(), "photo");
        console.note(format_args!("tried on {sampled} of {photos}, each decoded once for all models"));
        if tried.fitting.iter().all(|fitting| fitting.is_empty()) {
            console.note(
                "what they find is known once it is known what fits: `--queries FILE --mark` asks you, and keeps the answers",
            );
        }
    }
    if let Some(file) = &args.html {
        shown::page(&tried, &queries, photos, file, &shrink::file)?;
    }
    Ok(if tried.problems.is_empty() { Exit::Success } else { Exit::Partial })
}

/// Opens the models, each by itself.
fn open(names: &[String], settings: &Settings, console: &Console) -> anyhow::Result<Vec<Chosen>> {
    let mut models: Vec<Chosen> = Vec::new();
    for name in names {
        let own = Settings { model: name.clone(), ..settings.clone() };
        let chosen = model_choice::asked(&own, console, Offer::None)?;
        if !models.iter().any(|known| known.record.name == chosen.record.name) {
            models.push(chosen);
        }
    }
    Ok(models)
}

/// Asks for each query which of the first results fit, and keeps the answers in `file` after each.
fn mark(trial: &mut Trial, queries: &mut [JudgedQuery], file: &Path, console: &Console) -> anyhow::Result<()> {
    for n in 0..queries.len() {
        let found: BTreeSet<usize> = trial
            .models
            .iter()
            .filter_map(|model| model.results.get(n))
            .flat_map(|results| results.iter().take(shown::SHOWN).map(|(photo, _)| *photo))
            .collect();
        let found: Vec<usize> = found.into_iter().collect();
        let mut question = format!("{}\n", sanitize::text(&queries[n].text));
        for (number, photo) in found.iter().enumerate() {
            let (id, path) = &trial.photos[*photo];
            let mark = if trial.fitting[n].contains(id) { '*' } else { ' ' };
            question.push_str(&format!("{mark}{:>3}  {}\n", number + 1, display_path(path)));
        }
        question.push_str("Which of them fit? Numbers, or Enter for no more: ");
        let Some(answer) = console.ask(&question) else { break };
        let numbers = answer.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<usize>().ok());
        for photo in numbers.filter_map(|number| found.get(number.checked_sub(1)?)) {
            let (id, path) = &trial.photos[*photo];
            if trial.fitting[n].insert(*id) {
                queries[n].fitting.push(path.clone());
            }
        }
        judged::write(file, queries)?;
    }
    Ok(())
}
