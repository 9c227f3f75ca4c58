//! `search` and `similar`.

use super::note_awaiting;
use super::saved;
use crate::captions;
use crate::captions::verify::Verifier;
use crate::cli::{self, Ranking, SearchArgs, ShowArgs, SimilarArgs, Sort};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model::blip2::Matcher;
use crate::model_choice::{self, Offer};
use crate::output::{self, Outputs, TableColumn, TableOptions};
use crate::photo::{self, DecodeLimits, shrink};
use crate::search::matches::Rule;
use crate::search::query_vector;
use crate::search::question::{self, Found, Means, Question};
use crate::search::rerank;
use crate::search::row::{self, Row, present_first};
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals, text};
use anyhow::Context;
use snapseek_index::{By, Fact, Filter, Filters, Library, Order, OwnerText, SearchRequest};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// How many photos are shown where none matches.
const NEAREST: usize = 3;

/// The most bytes of queries that are read from stdin.
const MOST_LINES: usize = 1 << 20;

pub(super) fn search(args: &SearchArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = model_choice::library(settings)?;
    let matcher = args.rerank.as_deref().map(|model| model_choice::matcher(model, console)).transpose()?;
    let matcher = matcher.as_ref();
    let saved = match &args.saved {
        Some(name) => match library.saved_search(name)? {
            Some(query) => Some(query),
            None => return Err(saved::unknown(&library, name)?),
        },
        None => None,
    };
    if args.query != ["-"] || saved.is_some() {
        let words: Vec<&str> = saved.iter().chain(&args.query).map(String::as_str).collect();
        return search_for(&words.join(" "), false, args, matcher, &library, settings, console);
    }
    match from_stdin()? {
        Piped::Picture(_) if args.rerank.is_some() => Err(without_words("--rerank compares photos with")),
        Piped::Picture(_) if args.verify.is_some() => Err(without_words("--verify asks for")),
        Piped::Picture(bytes) => like_bytes(&bytes, &args.show, &library, settings, console),
        Piped::Lines(lines) => {
            let several = lines.len() > 1;
            each(&lines, |query| search_for(query, several, args, matcher, &library, settings, console))
        }
    }
}

/// The error of a query without words, where an option needs them.
fn without_words(what: &str) -> anyhow::Error {
    Failure::usage(format!("{what} the words of a query, and this one has none: add words, or drop it"))
}

/// What was piped to a command.
enum Piped {
    /// The bytes of a picture.
    Picture(Vec<u8>),
    /// Lines that are not empty; at least one.
    Lines(Vec<String>),
}

fn from_stdin() -> anyhow::Result<Piped> {
    let limits = DecodeLimits::default();
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(limits.max_bytes + 1).read_to_end(&mut bytes);
    read.context("stdin cannot be read")?;
    let whole = bytes.len() as u64 <= limits.max_bytes;
    let bytes = photo::extracted(bytes);
    if photo::is_picture(&bytes) {
        anyhow::ensure!(whole, "the picture on stdin is larger than 1 GiB");
        return Ok(Piped::Picture(bytes));
    }
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= MOST_LINES);
    let text = text.ok_or_else(|| Failure::usage("stdin holds neither a picture nor lines of text"))?;
    let lines: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if lines.is_empty() {
        return Err(Failure::usage("stdin is empty: pipe a picture or lines of text to it"));
    }
    Ok(Piped::Lines(lines))
}

/// Does the same with each line: the exit code is that of the best outcome, or that some files could not be read.
fn each(lines: &[String], mut run: impl FnMut(&str) -> anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    let mut exit = Exit::NothingFound;
    for line in lines {
        exit = match (exit, run(line)?) {
            (_, Exit::Partial) | (Exit::Partial, _) => Exit::Partial,
            (Exit::NothingFound, other) => other,
            (known, _) => known,
        };
    }
    Ok(exit)
}

fn search_for(
    text: &str,
    is_one_of_several: bool,
    args: &SearchArgs,
    matcher: Option<&Matcher>,
    library: &Library,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    let started = Instant::now();
    if let Some(option) = args.query.iter().find(|word| is_like_an_option(word)) {
        console
            .warn(format_args!("{} is read as a word of the query: options go before the --", sanitize::text(option)));
    }
    let by = match args.by {
        Ranking::Meaning => By::Meaning,
        Ranking::Words => By::Words,
        Ranking::Both => By::Both,
    };
    let model = || model_choice::choose(Some(library), settings, console, Offer::None).map(Arc::new);
    let query = question::parse(text)?;
    let labels = query.filters.clauses.iter().any(|clause| matches!(clause.filter, Filter::Label { .. }));
    let rerank = match (matcher, question::text_of(&query)) {
        (Some(_), None) => return Err(without_words("--rerank compares photos with")),
        (matcher, text) => matcher.zip(text),
    };
    let verify = match (args.verify, question::text_of(&query)) {
        (Some(_), None) => return Err(without_words("--verify asks for")),
        (count, text) => count.zip(text),
    };
    // Before the answer, so that a model that is missing is said at once.
    let chat_model = verify.is_some().then(|| captions::open::open(settings, Some(library), console)).transpose()?;
    // Only these take long. Without them the default handling of Ctrl-C is best.
    let cancel =
        if labels || rerank.is_some() || verify.is_some() { signals::cancel()? } else { &AtomicBool::new(false) };
    let means = Means { library, model: &model, cancel, console };
    let mut question = Question::new(query, by, args.template.as_deref(), &means)?;
    (question.request.min_score, question.request.unique) = (args.show.min_score, args.show.unique);
    question.request.stacked = !args.show.no_stacks;
    (question.request.order, question.request.reverse) = (order(args.show.sort), args.show.reverse);
    let embedded = started.elapsed();
    let searcher = library.searcher()?;
    let limit = args.show.limit.unwrap_or(settings.limit);
    let Found { rows, matches, at_least, exact } = question.ask_in_order(&searcher, limit)?;
    let (mut rows, rest): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.is_match);
    let (found, left) = (!rows.is_empty(), rest.len());
    let nearest = !found && !rest.is_empty() && console.terminal && !args.all && !is_for_programs(&args.show, settings);
    let limit = if nearest { limit.min(NEAREST) } else { limit };
    // Where nothing matches, the model may still see it in what is nearest.
    if args.all || nearest || (verify.is_some() && !found) {
        rows.extend(rest);
    }
    if let Some((matcher, text)) = rerank {
        rerank::rerank(&mut rows, &text, matcher, cancel, console)?;
    }
    let rows = present_first(rows, verify.as_ref().map_or(limit, |(count, _)| limit.max(usize::from(*count))));
    console.detail(format_args!(
        "{} photos, {} search; query {:.0} ms, search {:.0} ms",
        searcher.len(),
        if exact { "exact" } else { "graph" },
        embedded.as_secs_f64() * 1e3,
        (started.elapsed() - embedded).as_secs_f64() * 1e3
    ));
    let mut outputs = outputs(text, by, &args.show, settings);
    outputs.query = is_one_of_several.then_some(text);
    outputs.table.states = args.all;
    let about = question.request.filters.clauses.iter().filter_map(|clause| column_about(&clause.filter));
    for column in column_of(args.show.sort).into_iter().chain(about) {
        // In a pipe, columns keep their places.
        if console.terminal && !outputs.table.columns.contains(&column) {
            outputs.table.columns.push(column);
        }
    }
    if let (Some((count, text)), Some(chat_model)) = (&verify, &chat_model) {
        let means = Verifier { chat_model, library, cache: &Settings::cache_dir()?, cancel, console };
        return look_again(rows, (text, usize::from(*count), limit), &means, outputs, settings);
    }
    let complete = if nearest {
        // What does not match is shown, and neither copied nor opened.
        let complete = output::show(&[], &outputs, console)?;
        console.line("no photo matches; the nearest are:")?;
        output::show(&rows, &Outputs { open: false, copy_to: None, link_to: None, html: None, ..outputs }, console)?;
        complete
    } else {
        output::show(&rows, &outputs, console)?
    };
    if question.request.vector.is_some() {
        note_awaiting(&searcher, console)?;
    }
    let shown = rows.iter().filter(|row| row.is_match).count();
    if !found {
        let words = question.request.words.as_deref().unwrap_or_default();
        for (word, nearest) in searcher.misspelled(words)? {
            let (word, nearest) = (sanitize::text(&word), sanitize::text(&nearest));
            console.note(format_args!("no photo has the word {word:?}; did you mean {nearest:?}?"));
        }
    }
    if !found && !nearest {
        let hint = if left > 0 && !args.all { "; --all lists the nearest photos" } else { "" };
        console.note(format_args!("no photo matches{hint}"));
    } else if console.terminal && shown < matches && !is_for_programs(&args.show, settings) {
        let least = if at_least { "more than " } else { "" };
        console.note(format_args!("{shown} of {least}{matches} matches"));
    }
    Ok(exit(found, complete))
}

/// Shows the answer, has a model look at its first rows again, and shows them in their new order. In a pipe, only the
/// second answer is shown.
fn look_again(
    mut rows: Vec<Row>,
    (text, count, limit): (&str, usize, usize),
    verifier: &Verifier,
    outputs: Outputs,
    settings: &Settings,
) -> anyhow::Result<Exit> {
    let console = verifier.console;
    let is_shown = console.terminal && !outputs.json && !outputs.paths0 && !settings.quiet;
    let first = Outputs { open: false, copy_to: None, link_to: None, html: None, ..outputs.clone() };
    if is_shown {
        output::show(&rows[..rows.len().min(limit)], &first, console)?;
        let name = sanitize::text(&verifier.chat_model.name);
        console.note(format_args!(
            "{name} looks at {} again; Ctrl-C ends it",
            text::count(rows.len().min(count), "photo")
        ));
    }
    let is_whole = verifier.verify(&mut rows, text, count, &mut |row| {
        if !is_shown {
            return Ok(());
        }
        Ok(console.line(&format!("{}  {}", output::verdict(row), sanitize::path(row.path())))?)
    })?;
    if is_shown {
        console.line("")?;
    }
    let found = rows.iter().any(|row| row.is_match || row.yes.is_some_and(|yes| yes >= 0.5));
    // As many as were asked about, in their new order.
    let complete = output::show(&rows[..rows.len().min(limit.max(count))], &outputs, console)?;
    if !is_whole {
        console.note("interrupted: what was answered is kept, and the same search goes on from there");
        return Ok(Exit::Interrupted);
    }
    Ok(exit(found, complete))
}

/// Whether a word of a query was meant as an option: `--json`, `-n`.
fn is_like_an_option(word: &str) -> bool {
    let letters = word.strip_prefix('-').unwrap_or_default();
    match letters.strip_prefix('-') {
        Some(name) => !name.is_empty(),
        None => letters.len() == 1 && letters.chars().all(|c| c.is_ascii_alphabetic()),
    }
}

/// Whether a program reads the results, also on a terminal.
fn is_for_programs(show: &ShowArgs, settings: &Settings) -> bool {
    settings.json || show.paths0
}

fn order(sort: Sort) -> Order {
    match sort {
        Sort::Score => Order::Best,
        Sort::Date => Order::Date,
        Sort::Name => Order::Name,
        Sort::Size => Order::Size,
        Sort::Path => Order::Path,
        Sort::Rating => Order::Rating,
    }
}

/// The column that shows what results are sorted by.
fn column_of(sort: Sort) -> Option<TableColumn> {
    match sort {
        Sort::Date => Some(TableColumn::Date),
        Sort::Size => Some(TableColumn::Size),
        Sort::Rating => Some(TableColumn::Rating),
        Sort::Score | Sort::Name | Sort::Path => None,
    }
}

/// The column that shows what a filter is about.
fn column_about(filter: &Filter) -> Option<TableColumn> {
    match filter {
        Filter::Taken { .. } | Filter::Around { .. } => Some(TableColumn::Date),
        Filter::Near { .. } | Filter::Place(_) | Filter::Has(Fact::Place) => Some(TableColumn::Place),
        Filter::OwnerText(OwnerText::Person, _) | Filter::Has(Fact::Person) => Some(TableColumn::People),
        Filter::OwnerText(OwnerText::Keyword, _) | Filter::Has(Fact::Keyword) => Some(TableColumn::Keywords),
        Filter::OwnerText(OwnerText::Title | OwnerText::Description, _) => Some(TableColumn::Title),
        Filter::Camera(_) => Some(TableColumn::Camera),
        Filter::Size { .. } => Some(TableColumn::Size),
        Filter::Rating { .. } | Filter::Has(Fact::Rating) => Some(TableColumn::Rating),
        Filter::Wider(_) | Filter::Taller(_) => Some(TableColumn::Pixels),
        _ => None,
    }
}

fn outputs<'a>(title: &'a str, by: By, show: &'a ShowArgs, settings: &Settings) -> Outputs<'a> {
    let column = |column: &cli::Column| match column {
        cli::Column::Date => TableColumn::Date,
        cli::Column::Camera => TableColumn::Camera,
        cli::Column::Size => TableColumn::Size,
        cli::Column::Pixels => TableColumn::Pixels,
        cli::Column::Rating => TableColumn::Rating,
        cli::Column::Title => TableColumn::Title,
        cli::Column::Place => TableColumn::Place,
        cli::Column::People => TableColumn::People,
        cli::Column::Keywords => TableColumn::Keywords,
    };
    let columns = show.columns.iter().map(column).collect();
    Outputs {
        title,
        query: None,
        by,
        table: TableOptions { columns, long: show.long, states: false },
        json: settings.json,
        paths0: show.paths0,
        preview: show.preview,
        open: show.open,
        copy_to: show.copy_to.as_deref(),
        link_to: show.link_to.as_deref(),
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
    let library = model_choice::library(settings)?;
    let like_file = |path: &Path, query: Option<&str>| {
        let chosen = model_choice::choose(Some(&library), settings, console, Offer::None)?;
        let (id, vector) = query_vector::picture(path, chosen.model.as_ref(), &library)?;
        let title = format!("like {}", sanitize::path(path));
        like(Example { id, vector, title: &title, query }, &args.show, &library, settings, console)
    };
    if args.picture != Path::new("-") {
        return like_file(&args.picture, None);
    }
    match from_stdin()? {
        Piped::Picture(bytes) => like_bytes(&bytes, &args.show, &library, settings, console),
        Piped::Lines(paths) => {
            let several = paths.len() > 1;
            each(&paths, |path| like_file(Path::new(path), several.then_some(path)))
        }
    }
}

fn like_bytes(
    bytes: &[u8],
    show: &ShowArgs,
    library: &Library,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    let chosen = model_choice::choose(Some(library), settings, console, Offer::None)?;
    let vector = query_vector::embed_bytes(bytes, Path::new("stdin"), chosen.model.as_ref())?;
    like(Example { id: None, vector, title: "like stdin", query: None }, show, library, settings, console)
}

/// A picture, to find others like it.
struct Example<'a> {
    /// Its id, if the library has this very file.
    id: Option<i64>,
    vector: Vec<f32>,
    title: &'a str,
    /// As it was given, if it is one of several.
    query: Option<&'a str>,
}

fn like(
    example: Example<'_>,
    show: &ShowArgs,
    library: &Library,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    let Example { id, vector, title, query } = example;
    let ShowArgs { limit, min_score, unique, sort, reverse, no_stacks, .. } = *show;
    let limit = limit.unwrap_or(settings.limit);
    let searcher = library.searcher()?;
    let found = searcher.rank(&SearchRequest {
        vector: Some(vector),
        by: By::Meaning,
        limit,
        min_score,
        unique,
        stacked: !no_stacks,
        exclude: match id {
            // What was taken as one with it is no answer either.
            Some(id) if !no_stacks => library.stack_of(id)?.into_iter().chain([id]).collect(),
            id => id.into_iter().collect(),
        },
        ..SearchRequest::default()
    })?;
    // All results are shown, nearest first; the rule only marks which of them are matches.
    let found = Rule { neutral: None, library: found.stats, sigmoid: None }.matches(&found.photos);
    let mut rows = row::rows(&searcher, &Filters::default(), &found)?;
    if sort != Sort::Score {
        searcher.sort(order(sort), &mut rows, |row| row.hit.id)?;
    }
    if reverse {
        rows.reverse();
    }
    rows.sort_by_key(|row| !row.is_match);
    let rows = present_first(rows, limit);
    let mut outputs = outputs(title, By::Meaning, show, settings);
    (outputs.table.states, outputs.query) = (true, query);
    let complete = output::show(&rows, &outputs, console)?;
    note_awaiting(&searcher, console)?;
    Ok(exit(!rows.is_empty(), complete))
}
