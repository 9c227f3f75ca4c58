//! `caption`: sentences that say what photos show, by the model or by hand.

use crate::captions::look::{self, Describer, Picture};
use crate::cli::{CaptionAction, CaptionArgs};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::indexing::progress::Progress;
use crate::indexing::run;
use crate::model::blip2::{Finish, Generated, Request};
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals};
use serde_json::json;
use snapseek_index::Library;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Photos captioned at once.
const BATCH: usize = 8;
/// Tokens of a caption, unless the user says otherwise.
pub(super) const CAPTION_TOKENS: usize = 20;

pub(super) fn run(args: &CaptionArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    match &args.action {
        None => write(args, settings, console),
        Some(_) if !args.photos.is_empty() => {
            Err(Failure::usage("a file called set, clear or show needs ./ before its name"))
        }
        Some(CaptionAction::Set { photo, text }) => set(photo, text, settings, console),
        Some(CaptionAction::Clear { photos }) => clear(photos, settings, console),
        Some(CaptionAction::Show { photos }) => show(photos, settings, console),
    }
}

fn write(args: &CaptionArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let options = look::options(&args.generate, CAPTION_TOKENS)?;
    let describer = look::open(settings, console)?;
    let library = look::library(settings, console);
    let cancel = signals::cancel()?;
    let prompt = args.prompt.as_deref().unwrap_or_default();
    let mut complete = true;
    // A batch takes its time; the answer to one photo does not.
    let mut progress = (args.photos.len() > 1 && console.wants_bar()).then(|| Progress::new(console));
    if let Some(progress) = &mut progress {
        progress.expect(args.photos.len() as u64);
    }
    let mut tell = |message: &mut dyn FnMut() -> anyhow::Result<()>| match &mut progress {
        Some(progress) => {
            progress.done();
            progress.aside(message)
        }
        None => message(),
    };
    for paths in args.photos.chunks(BATCH) {
        let mut pictures = Vec::new();
        for path in paths {
            let loaded = match describer.load(path, library.as_ref()) {
                Ok(loaded) => loaded,
                Err(error) => {
                    complete = false;
                    tell(&mut || {
                        console.warn(format_args!("{error:#}"));
                        Ok(())
                    })?;
                    continue;
                }
            };
            let Some(picture) = describer.look(loaded, cancel)? else { return Ok(Exit::Interrupted) };
            if let Err(error) = picture.check() {
                complete = false;
                tell(&mut || {
                    console.warn(format_args!("{error:#}"));
                    Ok(())
                })?;
                continue;
            }
            describer.keep(&picture, library.as_ref(), console);
            pictures.push(picture);
        }
        let requests: Vec<Request> =
            pictures.iter().map(|picture| Request { encoding: &picture.encoding, prompt }).collect();
        let captions = describer.model.generate(&requests, &options, cancel, &mut |_, _| {})?;
        for (picture, caption) in pictures.iter().zip(&captions) {
            // Others of its batch may have been finished.
            if caption.finish == Finish::Cancelled {
                continue;
            }
            tell(&mut || {
                print(picture, caption, settings, console)?;
                match &library {
                    Some(library) if args.prompt.is_none() => keep(picture, caption, &describer, library, console),
                    _ => Ok(()),
                }
            })?;
        }
    }
    Ok(match (cancel.load(Ordering::Relaxed), complete) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Success,
        (false, false) => Exit::Partial,
    })
}

fn print(picture: &Picture, caption: &Generated, settings: &Settings, console: &Console) -> anyhow::Result<()> {
    if settings.json {
        let mut record = json!({"schema": 1, "caption": caption.text, "tokens": caption.tokens});
        output::put_path(&mut record, &picture.path);
        return console.json(&record);
    }
    line(&picture.path, &caption.text, console)
}

/// One photo and its caption: on a terminal for the eye, in a pipe with a tab between.
fn line(path: &Path, caption: &str, console: &Console) -> anyhow::Result<()> {
    let caption = sanitize::text(caption);
    if console.terminal {
        return Ok(console.line(&format!("{}  {caption}", console.style("1", &sanitize::path(path))))?);
    }
    let mut line = console.path_bytes(path);
    line.extend(format!("\t{caption}\n").into_bytes());
    Ok(console.bytes(&line)?)
}

/// Keeps the caption of a photo of the library, unless one written by hand stands there.
fn keep(
    picture: &Picture,
    caption: &Generated,
    describer: &Describer,
    library: &Library,
    console: &Console,
) -> anyhow::Result<()> {
    let Some(photo) = picture.photo else { return Ok(()) };
    let path = sanitize::path(&picture.path);
    match library.save_caption(photo, &caption.text, describer.model.fingerprint()) {
        Ok(true) => {}
        Ok(false) => {
            let by_hand = library.caption(photo)?.map(|caption| caption.text).unwrap_or_default();
            console.note(format_args!("{path} keeps its caption written by hand: {}", sanitize::text(&by_hand)));
        }
        Err(error) => console.warn(format_args!("the caption of {path} is not kept: {error}")),
    }
    Ok(())
}

fn set(photo: &Path, text: &str, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let id = find(&library, photo)?.ok_or_else(|| stranger(photo))?;
    library.set_caption_by_hand(id, text)?;
    if settings.json {
        let mut record = json!({"schema": 1, "caption": text, "by_hand": true});
        output::put_path(&mut record, photo);
        console.json(&record)?;
    }
    Ok(Exit::Success)
}

fn clear(photos: &[PathBuf], settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let mut cleared = 0;
    for photo in photos {
        let id = find(&library, photo)?.ok_or_else(|| stranger(photo))?;
        if library.clear_caption(id)? {
            cleared += 1;
        } else {
            console.note(format_args!("{} has no caption", sanitize::path(photo)));
        }
    }
    if settings.json {
        console.json(&json!({"schema": 1, "cleared": cleared}))?;
    }
    Ok(if cleared > 0 { Exit::Success } else { Exit::NothingFound })
}

fn show(photos: &[PathBuf], settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let mut any = false;
    for photo in photos {
        let Some(caption) = find(&library, photo)?.map(|id| library.caption(id)).transpose()?.flatten() else {
            console.note(format_args!("{} has no caption", sanitize::path(photo)));
            continue;
        };
        any = true;
        if settings.json {
            let mut record = json!({"schema": 1, "caption": caption.text, "by_hand": caption.captioner.is_none(),
                "captioner": caption.captioner, "written": caption.written});
            output::put_path(&mut record, photo);
            console.json(&record)?;
        } else {
            line(photo, &caption.text, console)?;
        }
    }
    Ok(if any { Exit::Success } else { Exit::NothingFound })
}

fn stranger(photo: &Path) -> anyhow::Error {
    Failure::usage(format!("{0} is not in the library; `snapseek index {0}` takes it in", sanitize::path(photo)))
}

/// The photo of the library that a path names: the one taken in under it, if the file is still the same or gone, else
/// one of the same content.
pub(super) fn find(library: &Library, path: &Path) -> anyhow::Result<Option<i64>> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for candidate in path.canonicalize().iter().chain([&absolute]) {
        let now = run::stamp_of(candidate).ok();
        if let Some(id) = library.photo_at(candidate)?
            && (now.is_none() || library.stamp_at(candidate)? == now)
        {
            return Ok(Some(id));
        }
    }
    let Ok(bytes) = crate::photo::read(path, &crate::photo::DecodeLimits::default()) else { return Ok(None) };
    Ok(library.photo_by_hash(blake3::hash(&bytes).as_bytes())?)
}
