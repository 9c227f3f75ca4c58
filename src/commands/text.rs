//! `text`: what stands in pictures.

use super::selection;
use crate::cli::TextArgs;
use crate::config::Settings;
use crate::exit::Exit;
use crate::model::ocr::TextReader;
use crate::output::{self, boxes};
use crate::panics;
use crate::photo::{self, DecodeLimits};
use crate::reading;
use crate::reading::picture::{self, ReadPicture};
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals};
use anyhow::Context;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn text(args: &TextArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    selection::must_exist(&args.pictures)?;
    let reader = reading::open(settings)?;
    let cancel = signals::cancel()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build()?;
    let (mut found, mut complete) = (false, true);
    for path in &args.pictures {
        let read = match pool.install(|| read(&reader, path, args.edge, cancel)) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(Exit::Interrupted),
            Err(error) => {
                console.warn(format_args!("{error:#}"));
                complete = false;
                continue;
            }
        };
        found |= !read.lines.is_empty();
        if settings.json {
            let line = |line: &crate::model::ocr::TextLine| {
                json!({
                    "text": line.text, "score": line.score, "box": line.quad,
                })
            };
            let (width, height) = read.size;
            let mut value = json!({
                "schema": 1, "width": width, "height": height,
                "lines": read.lines.iter().map(line).collect::<Vec<_>>(),
            });
            output::put_path(&mut value, path);
            console.json(&value)?;
        } else {
            // As grep does it: of several files, each line names its own.
            let name = if args.pictures.len() > 1 { format!("{}: ", sanitize::path(path)) } else { String::new() };
            for line in &read.lines {
                console.line(&format!("{}{}", console.style("2", &name), sanitize::text(&line.text)))?;
            }
        }
        if let Some(folder) = &args.boxes {
            let copy = boxes::draw(path, &read.lines.iter().map(|line| line.quad).collect::<Vec<_>>(), folder)?;
            console.note(format_args!("wrote {}", sanitize::path(&copy)));
        }
        if cancel.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(match (complete, found) {
        (false, _) => Exit::Partial,
        (true, true) => Exit::Success,
        (true, false) => {
            console.note("no text found");
            Exit::NothingFound
        }
    })
}

fn read(reader: &TextReader, path: &Path, edge: u32, cancel: &AtomicBool) -> anyhow::Result<Option<ReadPicture>> {
    let name = || format!("{} cannot be read", sanitize::path(path));
    let bytes = photo::read(path, &DecodeLimits::default()).with_context(name)?;
    panics::contained(|| picture::read(reader, &bytes, edge, false, cancel))?.with_context(name)
}
