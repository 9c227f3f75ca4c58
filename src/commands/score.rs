//! `score`: how well each photo matches each text.

use super::selection;
use crate::cli::{ScoreArgs, ScoreBy};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model::blip2::{MatchScore, Matcher};
use crate::model::{Embed, zero_shot};
use crate::model_choice;
use crate::output;
use crate::output::csv::{self, Field};
use crate::photo::{self, DecodeLimits};
use crate::search::matches::Sigmoid;
use crate::search::rerank;
use crate::terminal::console::{self, Console};
use crate::terminal::progress::Progress;
use crate::terminal::text::{display_path, pad, shorten};
use crate::terminal::{sanitize, signals};
use serde_json::json;
use snapseek_index::Classifier;
use std::path::{Path, PathBuf};
use unicode_width::UnicodeWidthStr;

/// Width of a number in terminal columns.
const CELL: usize = 7;

/// How well a photo matches a text: the numbers that `--by` has, in the order of [`columns`].
type Score = Vec<f32>;

/// Photos, each with a score for every text.
type ScoredPhotos = Vec<(PathBuf, Vec<Score>)>;

/// The names of a score's numbers.
fn columns(by: ScoreBy) -> &'static [&'static str] {
    match by {
        ScoreBy::Model => &["cosine", "logit", "probability"],
        ScoreBy::Itm => &["logit", "probability"],
        ScoreBy::Itc => &["cosine"],
    }
}

pub(super) fn score(args: &ScoreArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let (rows, problems) = match args.by {
        ScoreBy::Model if args.matcher.is_some() => {
            return Err(Failure::usage(
                "--matcher is for --by itm and --by itc; --model names the model of embeddings",
            ));
        }
        ScoreBy::Model => by_model(args, settings, console)?,
        _ if !args.template.is_empty() => {
            return Err(Failure::usage("--by itm and --by itc read texts unchanged: drop --template"));
        }
        ScoreBy::Itm | ScoreBy::Itc => by_matcher(args, console)?,
    };
    problems.iter().for_each(|problem| console.warn(problem));
    if settings.json {
        rows.iter().try_for_each(|(path, scores)| json_line(path, scores, args, console))?;
    } else if args.csv {
        comma_separated(&rows, args, console)?;
    } else if console.terminal {
        table(&rows, args, console)?;
    } else {
        for (path, scores) in &rows {
            for (text, score) in args.text.iter().zip(scores) {
                let mut line = console.path_bytes(path);
                for (_, number) in shown(args.by, score) {
                    line.extend(format!("\t{number:.4}").into_bytes());
                }
                line.extend(format!("\t{}\n", sanitize::text(text)).into_bytes());
                console.bytes(&line)?;
            }
        }
    }
    Ok(match (problems.is_empty(), rows.is_empty()) {
        (false, _) => Exit::Partial,
        (true, true) => Exit::NothingFound,
        (true, false) => Exit::Success,
    })
}

/// A score's numbers for people: all but logits, with their names.
fn shown(by: ScoreBy, score: &[f32]) -> impl Iterator<Item = (&'static str, f32)> {
    columns(by).iter().copied().zip(score.iter().copied()).filter(|(name, _)| *name != "logit")
}

/// Scores by embeddings, and what could not be read.
fn by_model(args: &ScoreArgs, settings: &Settings, console: &Console) -> anyhow::Result<(ScoredPhotos, Vec<String>)> {
    let setting = selection::setting(&settings.for_numbers(), console)?;
    let mut progress = Progress::new(console, signals::cancel()?);
    let texts = texts(args, setting.chosen.model.as_ref(), &mut progress)?;
    let found = selection::pictures(&args.photos, &setting, &mut progress)?;
    let rows = found.photos.into_iter().map(|(path, embedding)| (path, scores(&embedding, &texts))).collect();
    Ok((rows, found.problems))
}

/// Scores by BLIP-2's own heads, and what could not be read.
fn by_matcher(args: &ScoreArgs, console: &Console) -> anyhow::Result<(ScoredPhotos, Vec<String>)> {
    let matcher = model_choice::matcher(args.matcher.as_deref().unwrap_or("blip2"), console)?;
    let (files, mut problems) = selection::files(&args.photos)?;
    let texts = args.text.iter().map(|text| matcher.read(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let cancel = signals::cancel()?;
    let mut progress = Progress::new(console, cancel);
    let (count, mut rows) = (files.len(), Vec::with_capacity(files.len()));
    for (n, file) in files.into_iter().enumerate() {
        if !progress.step("photos", n, count) {
            return Err(Failure::interrupted());
        }
        let bytes = photo::read(&file, &DecodeLimits::default()).map_err(anyhow::Error::from);
        match bytes.and_then(|bytes| rerank::pixels(&matcher, &bytes)) {
            Ok(pixels) => {
                let sight = matcher.look(&pixels, cancel)?.ok_or_else(Failure::interrupted)?;
                let scores = if args.by == ScoreBy::Itc {
                    let vectors = matcher.vectors(&sight)?;
                    texts.iter().map(|text| vec![Matcher::contrast(&vectors, text)]).collect()
                } else {
                    let score = |text| {
                        let MatchScore { logits: [no, yes], probability } = matcher.matching(&sight, text)?;
                        anyhow::Ok(vec![yes - no, probability])
                    };
                    texts.iter().map(score).collect::<anyhow::Result<_>>()?
                };
                rows.push((file, scores));
            }
            Err(error) => problems.push(format!("{} cannot be used: {error:#}", sanitize::path(&file))),
        }
    }
    Ok((rows, problems))
}

/// The texts as a classifier.
struct Texts {
    classifier: Classifier,
    /// For a model that was trained on pairs, each of which stands for itself.
    sigmoid: Option<Sigmoid>,
}

/// The texts' embeddings: with the model's default for texts, or averaged over the given templates.
fn texts(args: &ScoreArgs, model: &dyn Embed, progress: &mut Progress<'_>) -> anyhow::Result<Texts> {
    let templates: Vec<&str> = args.template.iter().map(String::as_str).collect();
    let rows = if templates.is_empty() {
        model.embed_texts(&args.text, None)?.concat()
    } else {
        let rows = zero_shot::classifier(model, &args.text, &templates, &mut |done, total| {
            progress.step("prompts", done, total)
        })?;
        rows.ok_or_else(Failure::interrupted)?
    };
    Ok(Texts { classifier: Classifier { scale: model.logit_scale()?, rows }, sigmoid: Sigmoid::of(model)? })
}

fn scores(embedding: &[f32], Texts { classifier, sigmoid }: &Texts) -> Vec<Score> {
    let logits = classifier.logits(embedding);
    let probabilities = match sigmoid {
        None => classifier.probabilities(embedding),
        Some(sigmoid) => logits.iter().map(|logit| sigmoid.probability(logit / classifier.scale)).collect(),
    };
    let bias = sigmoid.map_or(0.0, |sigmoid| sigmoid.bias);
    let score = |(logit, probability)| vec![logit / classifier.scale, logit + bias, probability];
    logits.into_iter().zip(probabilities).map(score).collect()
}

fn json_line(path: &Path, scores: &[Score], args: &ScoreArgs, console: &Console) -> anyhow::Result<()> {
    let scores = args.text.iter().zip(scores).map(|(text, score)| {
        let mut record = json!({"text": text});
        columns(args.by).iter().zip(score).for_each(|(name, number)| record[*name] = json!(number));
        record
    });
    let mut record = json!({"schema": 1, "scores": scores.collect::<Vec<_>>()});
    output::put_path(&mut record, path);
    console.json(&record)
}

fn comma_separated(rows: &ScoredPhotos, args: &ScoreArgs, console: &Console) -> anyhow::Result<()> {
    let names: Vec<Field<'_>> =
        ["path", "text"].iter().chain(columns(args.by)).map(|name| Field::from(*name)).collect();
    csv::record(&names, console)?;
    for (path, scores) in rows {
        for (text, score) in args.text.iter().zip(scores) {
            let numbers = score.iter().map(|number| csv::number(format_args!("{number:.6}")));
            let fields: Vec<Field<'_>> =
                [Field::from(path.as_path()), text.as_str().into()].into_iter().chain(numbers).collect();
            csv::record(&fields, console)?;
        }
    }
    Ok(())
}

/// Prints the numbered texts, then a table with a row per photo and a column per text.
fn table(rows: &ScoredPhotos, args: &ScoreArgs, console: &Console) -> anyhow::Result<()> {
    for (n, text) in args.text.iter().enumerate() {
        console.line(&format!("{:>3}  {}", n + 1, sanitize::text(text)))?;
    }
    let names: Vec<String> = rows.iter().map(|(path, _)| display_path(path)).collect();
    let what: Vec<&str> = columns(args.by).iter().copied().filter(|name| *name != "logit").collect();
    let (what, cell) = (what.join(", "), CELL * what.len());
    let room = console::width().saturating_sub(args.text.len().saturating_mul(cell + 2)).max(20);
    let photo = names.iter().map(|name| name.width()).max().unwrap_or(0).clamp(5, room);
    let numbers: String = (1..=args.text.len()).map(|n| format!("  {n:>cell$}")).collect();
    console.line(&format!("\n{}", console.style("2", &format!("{}{numbers}", pad(&what, photo)))))?;
    for (name, (_, scores)) in names.iter().zip(rows) {
        let first = |score: &Score| shown(args.by, score).next().map_or(f32::NEG_INFINITY, |(_, number)| number);
        let best = scores.iter().map(first).fold(f32::NEG_INFINITY, f32::max);
        let cells: String = scores
            .iter()
            .map(|score| {
                let numbers: Vec<String> = shown(args.by, score)
                    .map(|(name, number)| match name {
                        "probability" => format!("{:>5.1} %", number * 100.0),
                        _ => format!("{number:>6.3}"),
                    })
                    .collect();
                let cell = format!("{:>cell$}", numbers.join(" "));
                format!("  {}", console.style(if first(score) == best { "1" } else { "0" }, &cell))
            })
            .collect();
        console.line(&format!("{}{cells}", pad(&shorten(name, photo), photo)))?;
    }
    Ok(())
}
