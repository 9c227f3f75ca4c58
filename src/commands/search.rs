//! `search` and `similar`.

use crate::cli::{Ranking, SearchArgs, ShowArgs, SimilarArgs};
use crate::config::Settings;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::matching::{self, Rule};
use crate::models::Offer;
use crate::output::{self, Row};
use crate::{compose, models, sanitize};
use snapseek_index::query::{self, PartKind};
use snapseek_index::{By, Library, SearchRequest};
use std::time::Instant;

/// Hits that are looked at for matches, at least.
const CONSIDERED: usize = 200;

pub(super) fn search(args: &SearchArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let library = Library::open(&settings.library)?;
    let text = args.query.join(" ");
    let query = query::parse(&text).map_err(|e| Failure::usage(e.to_string()))?;
    let words = plain_words(&query);
    let words_only = args.by == Ranking::Words || query.parts.is_empty();
    let with_picture = query.parts.iter().any(|part| matches!(part.kind, PartKind::Image(_)));
    let (vector, neutral) = if words_only {
        (None, None)
    } else {
        let model = models::choose(Some(&library), settings, console, Offer::None)?.model;
        let neutral = match library.neutral_scores()? {
            _ if with_picture => None,
            None => matching::neutral_scores(&library, model.as_ref())?,
            known => known,
        };
        (compose::vector(&query.parts, model.as_ref(), &library, args.template.as_deref())?, neutral)
    };
    let embedded = started.elapsed();
    let by = match args.by {
        Ranking::Meaning => By::Meaning,
        Ranking::Words => By::Words,
        Ranking::Both => By::Both,
    };
    let searcher = library.searcher()?;
    let limit = args.show.limit.unwrap_or(settings.limit);
    // A match may rank behind photos that are none: decide first, then cut.
    let considered = limit.max(CONSIDERED);
    let response = searcher.search(&SearchRequest {
        vector,
        words: (args.by != Ranking::Meaning && !words.is_empty()).then_some(words),
        phrases: query.phrases,
        filters: query.filters,
        by,
        limit: considered,
        min_score: args.show.min_score,
        unique: args.show.unique,
        ..SearchRequest::default()
    })?;
    let rule = Rule { neutral, library: response.stats };
    let decisions = rule.matches(&response.hits);
    let all = response.hits.into_iter().zip(decisions);
    let rows = all.map(|(hit, is_match)| Row { hit, is_match: words_only || is_match });
    let (mut rows, rest): (Vec<Row>, Vec<Row>) = rows.partition(|row| row.is_match);
    let (found, left) = (!rows.is_empty(), rest.len());
    if args.all {
        rows.extend(rest);
    }
    rows.truncate(limit);
    console.detail(format_args!(
        "{} photos, {} search; query {:.0} ms, search {:.0} ms",
        searcher.len(),
        if response.exact { "exact" } else { "graph" },
        embedded.as_secs_f64() * 1e3,
        (started.elapsed() - embedded).as_secs_f64() * 1e3
    ));
    let complete = output::show(&rows, &text, by, &args.show, settings, console)?;
    if !found {
        let hint = if left > 0 && !args.all { "; --all lists the nearest photos" } else { "" };
        console.note(format_args!("no photo matches{hint}"));
    }
    Ok(exit(found, complete))
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
    let chosen = models::choose(Some(&library), settings, console, Offer::None)?;
    let (id, vector) = compose::picture(&args.picture, chosen.model.as_ref(), &library)?;
    let ShowArgs { limit, min_score, unique, .. } = args.show;
    let response = library.searcher()?.search(&SearchRequest {
        vector: Some(vector),
        by: By::Meaning,
        limit: limit.unwrap_or(settings.limit),
        min_score,
        unique,
        exclude: id.into_iter().collect(),
        ..SearchRequest::default()
    })?;
    // All are shown, nearest first; the rule only tells where likeness ends.
    let decisions = Rule { neutral: None, library: response.stats }.matches(&response.hits);
    let rows: Vec<Row> =
        response.hits.into_iter().zip(decisions).map(|(hit, is_match)| Row { hit, is_match }).collect();
    let title = format!("like {}", sanitize::path(&args.picture));
    let complete = output::show(&rows, &title, By::Meaning, &args.show, settings, console)?;
    Ok(exit(!rows.is_empty(), complete))
}

/// The words that a photo should be found by: the added texts.
fn plain_words(query: &query::Query) -> String {
    let texts = query.parts.iter().filter(|part| part.weight > 0.0).filter_map(|part| match &part.kind {
        PartKind::Text(text) => Some(text.as_str()),
        PartKind::Image(_) => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}
