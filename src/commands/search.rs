//! `search` and `similar`.

use super::note_awaiting;
use crate::cli::{Ranking, SearchArgs, ShowArgs, SimilarArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::model_choice::{self, Offer};
use crate::output::{self, Outputs};
use crate::photo::shrink;
use crate::search::matches::Rule;
use crate::search::query_vector;
use crate::search::question::{self, Means, Question};
use crate::search::row::Row;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals};
use snapseek_index::{By, Filter, Library, SearchRequest};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub(super) fn search(args: &SearchArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let library = Library::open(&settings.library)?;
    let text = args.query.join(" ");
    let by = match args.by {
        Ranking::Meaning => By::Meaning,
        Ranking::Words => By::Words,
        Ranking::Both => By::Both,
    };
    let model = || model_choice::choose(Some(&library), settings, console, Offer::None).map(Arc::new);
    let query = question::parse(&text)?;
    let labels = query.filters.clauses.iter().any(|clause| matches!(clause.filter, Filter::Label { .. }));
    // Only labels take long. Without them the default handling of Ctrl-C is best.
    let cancel = if labels { signals::cancel()? } else { &AtomicBool::new(false) };
    let means = Means { library: &library, model: &model, cancel, console };
    let mut question = Question::new(query, by, args.template.as_deref(), &means)?;
    (question.request.min_score, question.request.unique) = (args.show.min_score, args.show.unique);
    let embedded = started.elapsed();
    let searcher = library.searcher()?;
    let limit = args.show.limit.unwrap_or(settings.limit);
    let (rows, exact) = question.ask(&searcher, limit)?;
    let (mut rows, rest): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.is_match);
    let (found, left) = (!rows.is_empty(), rest.len());
    if args.all {
        rows.extend(rest);
    }
    rows.truncate(limit);
    console.detail(format_args!(
        "{} photos, {} search; query {:.0} ms, search {:.0} ms",
        searcher.len(),
        if exact { "exact" } else { "graph" },
        embedded.as_secs_f64() * 1e3,
        (started.elapsed() - embedded).as_secs_f64() * 1e3
    ));
    let complete = output::show(&rows, &outputs(&text, by, &args.show, settings), console)?;
    if question.request.vector.is_some() {
        note_awaiting(&searcher, console)?;
    }
    if !found {
        let hint = if left > 0 && !args.all { "; --all lists the nearest photos" } else { "" };
        console.note(format_args!("no photo matches{hint}"));
    }
    Ok(exit(found, complete))
}

fn outputs<'a>(title: &'a str, by: By, show: &'a ShowArgs, settings: &Settings) -> Outputs<'a> {
    Outputs {
        title,
        by,
        json: settings.json,
        paths0: show.paths0,
        preview: show.preview,
        open: show.open,
        copy_to: show.copy_to.as_deref(),
        html: show.html.as_deref(),
        small: &shrink::file,
    }
}

fn exit(found: bool, complete: bool) -> Exit {
    match (found, complete) {
        (false, _) => Exit::NothingFound,
        (true, false) => Exit::Partial,
        (true, true) => Exit::Success,
    }
}

pub(super) fn similar(args: &SimilarArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let chosen = model_choice::choose(Some(&library), settings, console, Offer::None)?;
    let (id, vector) = query_vector::picture(&args.picture, chosen.model.as_ref(), &library)?;
    let ShowArgs { limit, min_score, unique, .. } = args.show;
    let searcher = library.searcher()?;
    let response = searcher.search(&SearchRequest {
        vector: Some(vector),
        by: By::Meaning,
        limit: limit.unwrap_or(settings.limit),
        min_score,
        unique,
        exclude: id.into_iter().collect(),
        ..SearchRequest::default()
    })?;
    // All results are shown, nearest first; the rule only marks which of them are matches.
    let decisions = Rule { neutral: None, library: response.stats }.matches(&response.hits);
    let rows: Vec<Row> =
        response.hits.into_iter().zip(decisions).map(|(hit, is_match)| Row { hit, is_match }).collect();
    let title = format!("like {}", sanitize::path(&args.picture));
    let complete = output::show(&rows, &outputs(&title, By::Meaning, &args.show, settings), console)?;
    note_awaiting(&searcher, console)?;
    Ok(exit(!rows.is_empty(), complete))
}
