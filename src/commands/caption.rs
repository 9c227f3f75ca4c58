//! `caption`: sentences about what photos show, written by the model or by hand.

use super::selection;
use crate::captions::facts;
use crate::captions::look::SeenPicture;
use crate::captions::open::{self, NamedChatModel};
use crate::captions::run::{CaptionWork, CaptionWriter};
use crate::captions::wish::{CaptionWish, knew_the_library};
use crate::cli::{CaptionAction, CaptionArgs};
use crate::config::Settings;
use crate::exit::{Exit, Failure, explain};
use crate::indexing::run;
use crate::model::generation::Generated;
use crate::output;
use crate::search::photo_file::{self, KnownPhoto};
use crate::terminal::console::Console;
use crate::terminal::progress::PhotoProgress;
use crate::terminal::{sanitize, signals, text};
use serde_json::json;
use snapseek_index::Library;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

pub(super) fn run(args: &CaptionArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    match &args.action {
        None => write(args, settings, console),
        Some(_) if !args.photos.is_empty() => {
            Err(Failure::usage("a file called set, clear or show needs ./ before its name"))
        }
        Some(CaptionAction::Set { photo, text }) => set(photo, &text.join(" "), settings, console),
        Some(CaptionAction::Clear { photos, yes }) => clear(photos, *yes, settings, console),
        Some(CaptionAction::Show { photos }) => show(photos, settings, console),
    }
}

fn write(args: &CaptionArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let (photos, problems) = pictures(&args.photos)?;
    problems.iter().for_each(|problem| console.warn(problem));
    let library = open::library(settings, console);
    let chat_model = open::open(settings, library.as_ref(), console)?;
    let wish = args.wish();
    wish.check(&chat_model)?;
    let options = args.generate.options(wish.tokens(&chat_model))?;
    let reader = library.as_ref().map(Library::reopen).transpose()?;
    let cancel = signals::cancel()?;
    // A bar only for several photos: a single caption does not take long.
    let mut progress = (photos.len() > 1 && console.wants_bar()).then(|| PhotoProgress::new(console));
    if let Some(progress) = &mut progress {
        progress.expect(photos.len() as u64, "captioned");
    }
    let mut run = NamedPhotos {
        photos: photos.iter(),
        keep: wish.prompt.is_none(),
        chat_model: &chat_model,
        wish: &wish,
        library,
        settings,
        console,
        progress,
        complete: problems.is_empty(),
    };
    let writer = CaptionWriter { chat_model: &chat_model, options: &options, wish: &wish, cancel };
    let looking = &chat_model;
    writer.run(&mut run, move |path| looking.load(path, reader.as_ref()))?;
    Ok(match (cancel.load(Ordering::Relaxed), run.complete) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Success,
        (false, false) => Exit::Partial,
    })
}

/// The pictures that were named and those in the folders that were named; and what could not be read.
///
/// # Errors
/// None of what was named exists (exit code 2).
fn pictures(named: &[PathBuf]) -> anyhow::Result<(Vec<PathBuf>, Vec<String>)> {
    selection::must_exist(named)?;
    let (mut photos, mut problems, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let mut is_new = |path: &Path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
    for path in named {
        if !path.is_dir() {
            photos.extend(is_new(path).then(|| path.clone()));
            continue;
        }
        let found = run::pictures(path);
        if found.is_empty() {
            problems.push(format!("there are no pictures in {}", sanitize::path(path)));
        }
        for found in found {
            match found {
                Ok(photo) => photos.extend(is_new(&photo).then_some(photo)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    Ok((photos, problems))
}

/// The photos that the user named.
struct NamedPhotos<'a> {
    photos: std::slice::Iter<'a, PathBuf>,
    /// Whether captions are saved in the library.
    keep: bool,
    chat_model: &'a NamedChatModel,
    wish: &'a CaptionWish,
    library: Option<Library>,
    settings: &'a Settings,
    console: &'a Console,
    progress: Option<PhotoProgress>,
    /// Whether all photos could be read so far.
    complete: bool,
}

impl NamedPhotos<'_> {
    /// Counts a photo as done, and hides the bar while `message` writes to the terminal.
    fn aside<T>(progress: &mut Option<PhotoProgress>, message: impl FnOnce() -> T) -> T {
        match progress {
            Some(progress) => {
                progress.done();
                progress.aside(message)
            }
            None => message(),
        }
    }
}

impl<'a> CaptionWork for NamedPhotos<'a> {
    type Job = &'a Path;

    fn next(&mut self, most: usize) -> anyhow::Result<Vec<&'a Path>> {
        Ok(self.photos.by_ref().take(most).map(PathBuf::as_path).collect())
    }

    fn failed(&mut self, why: &str) -> anyhow::Result<()> {
        self.complete = false;
        Self::aside(&mut self.progress, || self.console.warn(why));
        Ok(())
    }

    fn seen(&mut self, _: &&'a Path, picture: &SeenPicture) {
        self.chat_model.keep(picture, self.library.as_ref(), self.console);
    }

    fn facts(&self, _: &&'a Path, picture: &SeenPicture) -> anyhow::Result<String> {
        match (&self.library, picture.photo) {
            (Some(library), Some(photo)) if self.wish.context => facts::of(photo, library),
            _ => Ok(String::new()),
        }
    }

    fn captioned(&mut self, batch: Vec<(&'a Path, SeenPicture, Generated)>) -> anyhow::Result<()> {
        let captioner = self.wish.captioner(self.chat_model.model.fingerprint());
        for (_, picture, caption) in batch {
            Self::aside(&mut self.progress, || {
                print(&picture, &caption, self.settings, self.console)?;
                match &self.library {
                    Some(library) if self.keep => keep(&picture, &caption, &captioner, library, self.console),
                    _ => Ok(()),
                }
            })?;
        }
        Ok(())
    }
}

fn print(picture: &SeenPicture, caption: &Generated, settings: &Settings, console: &Console) -> anyhow::Result<()> {
    if settings.json {
        let mut record = json!({"schema": 1, "caption": caption.text, "tokens": caption.tokens});
        output::put_path(&mut record, &picture.path);
        return console.json(&record);
    }
    line(&picture.path, &caption.text, console)
}

/// Prints one photo and its caption: readable on a terminal, separated by a tab in a pipe.
fn line(path: &Path, caption: &str, console: &Console) -> anyhow::Result<()> {
    let caption = sanitize::text(caption);
    if console.terminal {
        return Ok(console.line(&format!("{}  {caption}", console.style("1", &sanitize::path(path))))?);
    }
    let mut line = console.path_bytes(path);
    line.extend(format!("\t{caption}\n").into_bytes());
    Ok(console.bytes(&line)?)
}

/// Saves the caption of a photo in the library, unless the photo has one that was written by hand.
fn keep(
    picture: &SeenPicture,
    caption: &Generated,
    captioner: &str,
    library: &Library,
    console: &Console,
) -> anyhow::Result<()> {
    let Some(photo) = picture.photo else { return Ok(()) };
    let path = sanitize::path(&picture.path);
    match library.save_caption(photo, &caption.text, captioner) {
        Ok(true) => {}
        Ok(false) => {
            let by_hand = library.caption(photo)?.map(|caption| caption.text).unwrap_or_default();
            console.note(format_args!("{path} keeps its caption written by hand: {}", sanitize::text(&by_hand)));
        }
        Err(error) => {
            console.warn(format_args!("the caption of {path} could not be saved: {}", explain(&error.into())))
        }
    }
    Ok(())
}

fn set(photo: &Path, words: &str, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let known = photo_file::find(photo, &library)?.ok_or_else(|| stranger(photo))?;
    let id = known.id();
    let before = library.caption(id)?.filter(|caption| caption.captioner.is_none());
    library.set_caption_by_hand(id, words).map_err(Failure::refused)?;
    if let KnownPhoto::SamePicture(id) = known
        && let Some(path) = library.searcher()?.paths(&[id])?.pop().flatten()
    {
        let path = text::display_path(&path);
        console.note(format_args!("it is the caption of {path} too, which shows the same picture"));
    }
    if let Some(before) = before.filter(|before| before.text != words) {
        console.note(format_args!("it replaces: {}", sanitize::text(&before.text)));
    }
    if settings.json {
        let mut record = json!({"schema": 1, "caption": words, "by_hand": true});
        output::put_path(&mut record, photo);
        console.json(&record)?;
    }
    Ok(Exit::Success)
}

fn clear(named: &[OsString], yes: bool, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let photos = selection::photos_of(named, &library, settings, console)?;
    let (mut captioned, mut by_hand) = (0, 0);
    for photo in &photos {
        let caption = library.caption(*photo)?;
        captioned += usize::from(caption.is_some());
        by_hand += usize::from(caption.is_some_and(|caption| caption.captioner.is_none()));
    }
    // A query may match more than was meant.
    let named_one = photos.len() == 1 && named.len() == 1 && Path::new(&named[0]).is_file();
    if !named_one && captioned > 0 && !yes {
        let what = format!("{} ({by_hand} by hand)", text::count(captioned, "caption"));
        let paths = library.searcher()?.paths(&photos)?;
        let shown: Vec<String> = paths.iter().flatten().take(3).map(|path| text::display_path(path)).collect();
        let more = if photos.len() > shown.len() { ", ..." } else { "" };
        let what = format!("{what} of {}{more}", shown.join(", "));
        if !console.confirm(&format!("Remove {what}?")) {
            return Err(Failure::usage(format!("this would remove {what}: --yes does it without asking")));
        }
    }
    if photos.is_empty() {
        console.note("no photo matches (there is no file or folder of that name)");
    }
    let mut cleared = 0;
    for photo in &photos {
        cleared += usize::from(library.clear_caption(*photo)?);
    }
    if !photos.is_empty() {
        let of = text::count(photos.len(), "photo");
        console.note(format_args!("removed {} of {of}", text::count(cleared, "caption")));
    }
    if settings.json {
        console.json(&json!({"schema": 1, "cleared": cleared}))?;
    }
    Ok(if cleared > 0 { Exit::Success } else { Exit::NothingFound })
}

fn show(photos: &[PathBuf], settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let (mut any, mut unknown) = (false, None);
    for photo in photos {
        let Some(known) = photo_file::find(photo, &library)? else {
            if let Some(before) = unknown.replace(photo) {
                console.warn(stranger(before));
            }
            continue;
        };
        let Some(caption) = library.caption(known.id())? else {
            console.note(format_args!("{} has no caption", sanitize::path(photo)));
            continue;
        };
        any = true;
        if settings.json {
            let mut record = json!({"schema": 1, "caption": caption.text, "by_hand": caption.captioner.is_none(),
                "captioner": caption.captioner, "written": caption.written,
                "with_context": knew_the_library(caption.captioner.as_deref())});
            output::put_path(&mut record, photo);
            console.json(&record)?;
        } else {
            line(photo, &caption.text, console)?;
            if knew_the_library(caption.captioner.as_deref()) {
                console.note("(the model was told what the library knows of this photo)");
            }
        }
    }
    match unknown {
        Some(photo) if any => {
            console.warn(stranger(photo));
            Ok(Exit::Partial)
        }
        Some(photo) => Err(stranger(photo)),
        None if any => Ok(Exit::Success),
        None => Ok(Exit::NothingFound),
    }
}

pub(super) fn stranger(photo: &Path) -> anyhow::Error {
    if photo.is_dir() {
        return Failure::usage(format!("{} is a folder: name a photo", sanitize::path(photo)));
    }
    if !photo.exists() {
        return Failure::usage(format!("{} does not exist, and the library has never seen it", sanitize::path(photo)));
    }
    Failure::usage(format!("{0} is not in the library; `snapseek index {0}` adds it", sanitize::path(photo)))
}
