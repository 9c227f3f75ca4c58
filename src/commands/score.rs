//! `score`: how well each photo matches each text.

use super::selection;
use crate::cli::ScoreArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model::{Embed, zero_shot};
use crate::output;
use crate::output::csv::{self, Field};
use crate::terminal::console::{self, Console};
use crate::terminal::progress::Progress;
use crate::terminal::text::{display_path, pad, shorten};
use crate::terminal::{sanitize, signals};
use serde_json::json;
use snapseek_index::Classifier;
use std::path::Path;
use unicode_width::UnicodeWidthStr;

/// Width of a pair of numbers in terminal columns.
const CELL: usize = 14;

/// How well a photo matches a text.
struct Score {
    cosine: f32,
    logit: f32,
    probability: f32,
}

pub(super) fn score(args: &ScoreArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let setting = selection::setting(settings, console)?;
    let mut progress = Progress::new(console, signals::cancel()?);
    let texts = texts(args, setting.chosen.model.as_ref(), &mut progress)?;
    let found = selection::pictures(&args.photos, &setting, &mut progress)?;
    drop(progress);
    found.problems.iter().for_each(|problem| console.warn(problem));
    let rows: Vec<(&Path, Vec<Score>)> =
        found.photos.iter().map(|(path, embedding)| (path.as_path(), scores(embedding, &texts))).collect();
    if settings.json {
        rows.iter().try_for_each(|(path, scores)| json_line(path, scores, &args.text, console))?;
    } else if args.csv {
        comma_separated(&rows, &args.text, console)?;
    } else if console.terminal {
        table(&rows, &args.text, console)?;
    } else {
        for (path, scores) in &rows {
            for (text, Score { cosine, probability, .. }) in args.text.iter().zip(scores) {
                let mut line = console.path_bytes(path);
                line.extend(format!("\t{cosine:.4}\t{probability:.4}\t{}\n", sanitize::text(text)).into_bytes());
                console.bytes(&line)?;
            }
        }
    }
    Ok(match (found.problems.is_empty(), rows.is_empty()) {
        (false, _) => Exit::Partial,
        (true, true) => Exit::NothingFound,
        (true, false) => Exit::Success,
    })
}

/// The texts as a classifier.
struct Texts {
    classifier: Classifier,
    /// As [`Embed::logit_bias`].
    bias: Option<f32>,
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
    Ok(Texts { classifier: Classifier { scale: model.logit_scale()?, rows }, bias: model.logit_bias()? })
}

fn scores(embedding: &[f32], Texts { classifier, bias }: &Texts) -> Vec<Score> {
    let logits = classifier.logits(embedding);
    let probabilities = match bias {
        None => classifier.probabilities(embedding),
        // Trained on pairs, each of which stands for itself.
        Some(bias) => logits.iter().map(|logit| (1.0 / (1.0 + (-f64::from(logit + bias)).exp())) as f32).collect(),
    };
    let bias = bias.unwrap_or_default();
    let score = |(logit, probability)| Score { cosine: logit / classifier.scale, logit: logit + bias, probability };
    logits.into_iter().zip(probabilities).map(score).collect()
}

fn json_line(path: &Path, scores: &[Score], texts: &[String], console: &Console) -> anyhow::Result<()> {
    let scores = texts.iter().zip(scores).map(|(text, Score { cosine, logit, probability })| {
        json!({"text": text, "cosine": cosine, "logit": logit, "probability": probability})
    });
    let mut record = json!({"schema": 1, "scores": scores.collect::<Vec<_>>()});
    output::put_path(&mut record, path);
    console.json(&record)
}

fn comma_separated(rows: &[(&Path, Vec<Score>)], texts: &[String], console: &Console) -> anyhow::Result<()> {
    csv::record(&["path", "text", "cosine", "logit", "probability"].map(Field::from), console)?;
    for (path, scores) in rows {
        for (text, Score { cosine, logit, probability }) in texts.iter().zip(scores) {
            let numbers = [cosine, logit, probability].map(|number| csv::number(format_args!("{number:.6}")));
            let fields: Vec<Field<'_>> =
                [Field::from(*path), text.as_str().into()].into_iter().chain(numbers).collect();
            csv::record(&fields, console)?;
        }
    }
    Ok(())
}

/// Prints the numbered texts, then a table with a row per photo and a column per text.
fn table(rows: &[(&Path, Vec<Score>)], texts: &[String], console: &Console) -> anyhow::Result<()> {
    for (n, text) in texts.iter().enumerate() {
        console.line(&format!("{:>3}  {}", n + 1, sanitize::text(text)))?;
    }
    let names: Vec<String> = rows.iter().map(|(path, _)| display_path(path)).collect();
    let room = console::width().saturating_sub(texts.len().saturating_mul(CELL + 2)).max(20);
    let photo = names.iter().map(|name| name.width()).max().unwrap_or(0).clamp(5, room);
    let numbers: String = (1..=texts.len()).map(|n| format!("  {n:>CELL$}")).collect();
    console.line(&format!("\n{}", console.style("2", &format!("{}{numbers}", pad("cosine, probability", photo)))))?;
    for (name, (_, scores)) in names.iter().zip(rows) {
        let best = scores.iter().map(|score| score.cosine).fold(f32::NEG_INFINITY, f32::max);
        let cells: String = scores
            .iter()
            .map(|Score { cosine, probability, .. }| {
                let cell = format!("{cosine:>6.3} {:>5.1} %", probability * 100.0);
                format!("  {}", console.style(if *cosine == best { "1" } else { "0" }, &cell))
            })
            .collect();
        console.line(&format!("{}{cells}", pad(&shorten(name, photo), photo)))?;
    }
    Ok(())
}
