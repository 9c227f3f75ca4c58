//! `embed` and `tokens`: the embeddings that a model makes and the tokens that it reads.

use super::selection;
use crate::cli::{EmbedArgs, TokensArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::model_choice::{self, Offer};
use crate::search::query_vector;
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use anyhow::Context;
use clap::ArgMatches;
use serde_json::json;
use std::path::Path;

pub(super) fn embed(
    args: &EmbedArgs,
    matches: &ArgMatches,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    selection::must_exist(&args.image)?;
    let chosen = model_choice::asked(&settings.for_numbers(), console, Offer::None)?;
    let matches = matches.subcommand_matches("embed").context("not called as `embed`")?;
    let places = |id: &str| matches.indices_of(id).into_iter().flatten().collect::<Vec<_>>();
    let mut inputs: Vec<(usize, EmbedInput<'_>)> =
        places("text").into_iter().zip(args.text.iter().map(EmbedInput::Text)).collect();
    inputs.extend(places("image").into_iter().zip(args.image.iter().map(|p| EmbedInput::Image(p))));
    inputs.sort_by_key(|(place, _)| *place);
    let mut exit = Exit::Success;
    for (_, input) in inputs {
        let (kind, name, embedding) = match input {
            EmbedInput::Text(text) => {
                let mut all = chosen.model.embed_texts(std::slice::from_ref(text), args.template.as_deref())?;
                ("text", text.clone(), all.pop().context("the model returned no embedding")?)
            }
            EmbedInput::Image(path) => match query_vector::embed_file(path, chosen.model.as_ref()) {
                Ok(embedding) => ("image", path.to_string_lossy().into_owned(), embedding),
                Err(error) => {
                    console.warn(format_args!("{error:#}"));
                    exit = Exit::Partial;
                    continue;
                }
            },
        };
        if settings.json {
            let model = &chosen.record.name;
            console.json(&json!({"schema": 1, "kind": kind, "input": name, "model": model, "embedding": embedding}))?;
        } else {
            let numbers: Vec<String> = embedding.iter().map(ToString::to_string).collect();
            console.line(&format!("{kind}\t{}\t{}", sanitize::text(&name), numbers.join(" ")))?;
        }
    }
    Ok(exit)
}

enum EmbedInput<'a> {
    Text(&'a String),
    Image(&'a Path),
}

pub(super) fn tokens(args: &TokensArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let tokens = model_choice::asked(settings, console, Offer::None)?.model.tokens(&args.text)?;
    if settings.json {
        console.json(&json!({"schema": 1, "ids": tokens.ids, "tokens": tokens.tokens}))?;
    } else {
        for (id, token) in tokens.ids.iter().zip(&tokens.tokens) {
            console.line(&format!("{} {}", console.style("2", &format!("{id:>6}")), sanitize::text(token)))?;
        }
    }
    Ok(Exit::Success)
}
