//! Models: what there is, downloads, checks, smaller forms. Work on a model takes long and stops for nothing else, so it has
//! a thread of its own.

use super::latest::Latest;
use super::{Context, desktop, explained, guarded, spawn};
use crate::captions::open::{self, CaptionerChoice};
use crate::config::Settings;
use crate::model::ChecksumVerdict;
use crate::model_choice::rounded;
use crate::stock::verify::SelfTest;
use crate::stock::{self, Pulled, list, verify};
use crate::terminal::console::Console;
use crate::terminal::listener::Listener;
use crate::terminal::sanitize;
use crate::tui::event::{Message, ModelNews, Way};
use crate::tui::models::{CaptionerRule, ModelStock, ModelWork, UsedCaptioner, UsedModel};
use anyhow::Context as _;
use snapseek_index::{Error, Library, ModelRole};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Reports what work on a model says.
struct ModelListener(Arc<Context>, u64);

impl Listener for ModelListener {
    fn message(&self, warning: bool, text: &str) {
        self.0.send(Message::Models(ModelNews::Says(self.1, warning, text.to_owned())));
    }
    fn gauge(&self, what: &str, done: u64, total: u64) {
        self.0.send(Message::Models(ModelNews::At(self.1, what.to_owned(), done, total)));
    }
}

/// Starts the thread that works on models.
pub(super) fn start(context: Arc<Context>) -> std::io::Result<Latest<(u64, ModelWork)>> {
    Latest::start("models", move |(generation, work), cancel| {
        let console = Console::to(Arc::new(ModelListener(context.clone(), generation)));
        let done = guarded(|| run(&context, &console, &work, cancel));
        context.send(Message::Models(ModelNews::Ended(generation, done.map_err(|error| explained(&error)))));
    })
}

fn run(context: &Context, console: &Console, work: &ModelWork, cancel: &AtomicBool) -> anyhow::Result<String> {
    let settings = &context.settings;
    match work {
        ModelWork::Pull(name) => {
            let pulled = stock::pull(name, true, settings, console, cancel).map_err(|error| {
                let advice = match settings.offline {
                    true => {
                        "start snapseek without --offline (SNAPSEEK_OFFLINE, `offline` in the config) to download it"
                    }
                    false => "it needs a network; what has come is kept",
                };
                anyhow::anyhow!(
                    "{}; {advice}. The folder of a model that was downloaded elsewhere can be copied into the Hugging \
                     Face cache",
                    explained(&error)
                )
            });
            Ok(match pulled? {
                Pulled::Installed => format!("{name} is installed"),
                Pulled::Declined | Pulled::Cancelled => {
                    format!("stopped: what has come of {name} is kept, and the next download goes on from there")
                }
            })
        }
        ModelWork::Quantize(name, bits) => Ok(match stock::quantize(name, *bits, console, cancel)? {
            Some(made) => {
                let (before, now) = (rounded(made.before), rounded(made.form.bytes));
                format!("{name}: {before} became {now}; captions and chat use the smaller form from now on")
            }
            None => "stopped: the partial result was removed".into(),
        }),
        ModelWork::Verify(name) => verified(name, settings, console, cancel),
    }
}

/// Compares the files of a model, and what it computes; says what came of it.
fn verified(name: &str, settings: &Settings, console: &Console, cancel: &AtomicBool) -> anyhow::Result<String> {
    let stopped = || Ok("stopped".to_owned());
    if name != "starter" {
        let Some(files) = verify::files(name, console, cancel)? else { return stopped() };
        for file in &files {
            let says = format!("{}, {}: {}", file.file, rounded(file.bytes), verify::words(file.verdict));
            if file.verdict == ChecksumVerdict::Differs { console.warn(says) } else { console.note(says) }
        }
        anyhow::ensure!(
            files.iter().all(|file| file.verdict != ChecksumVerdict::Differs),
            "{name} is damaged: a download deletes what differs and fetches it again"
        );
    }
    let test = SelfTest { pictures: Vec::new(), settings, console, cancel };
    let is_right = test.run(name)?;
    if cancel.load(Ordering::Relaxed) {
        return stopped();
    }
    anyhow::ensure!(is_right, "{name} does not compute what its weights do: do not trust what it finds or writes");
    Ok(format!("{name} is undamaged, and computes what it should as far as numbers are known"))
}

/// Looks which models there are.
pub(super) fn look(context: &Arc<Context>) {
    let mine = context.clone();
    let spawned = spawn("model list", move || match guarded(|| stock(&mine)) {
        Ok(stock) => mine.send(Message::Models(ModelNews::Stock(Box::new(stock)))),
        Err(error) => mine.send(Message::Note(true, explained(&error))),
    });
    if let Err(error) = spawned {
        context.send(Message::Note(true, error.to_string()));
    }
}

fn stock(context: &Context) -> anyhow::Result<ModelStock> {
    let cache = Settings::cache_dir()?;
    let library = match Library::open(&context.settings.library) {
        Ok(library) => Some(library),
        Err(Error::NoLibrary { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let used = library.as_ref().map(Library::models).transpose()?.unwrap_or_default();
    let captioner = captioner(context, library.as_ref())?;
    let used = used.into_iter().map(|known| UsedModel {
        name: known.record.name,
        role: known.role,
        embedded: known.embedded,
        awaiting: known.awaiting,
        bytes: known.bytes,
    });
    let mut installed = list::installed(&cache);
    // One in a folder of the user's own is in no list.
    if let Some(UsedCaptioner { name, folder: Some(folder), .. }) = &captioner
        && installed.iter().all(|item| item.place.as_ref() != Some(folder))
    {
        installed.push(list::captioner_in(folder, name));
    }
    Ok(ModelStock { installed, offered: list::offered(&cache)?, used: used.collect(), captioner })
}

/// Which model writes captions and answers.
fn captioner(context: &Context, library: Option<&Library>) -> anyhow::Result<Option<UsedCaptioner>> {
    let settings = context.captioner_settings();
    let used =
        open::which(&settings, library)?.map(|CaptionerChoice { name, by }| match open::located(&name, &settings) {
            Ok((name, folder)) => UsedCaptioner { name, folder: Some(folder), by },
            Err(_) => UsedCaptioner { name, folder: None, by },
        });
    Ok(used)
}

/// Lets another model write captions and answers.
pub(super) fn use_captioner(context: &Arc<Context>, rule: CaptionerRule, way: Way) {
    let mine = context.clone();
    let refused = move |why| if way == Way::Do { Message::Note(true, why) } else { Message::NotTaken(way, why) };
    let shared = context.clone();
    desktop::aside(context, refused, move |context| {
        let library = Library::open(&context.settings.library)?;
        let before = CaptionerRule {
            remembered: open::remembered(&library)?,
            is_newer: mine.chosen_later.load(Ordering::Relaxed),
        };
        let mut done = "the captioner is as it was".to_owned();
        if let Some(name) = &rule.remembered {
            let shown = sanitize::text(name);
            if way == Way::Do {
                open::located(name, &Settings { captioner: None, ..context.settings.clone() })?;
            }
            done = format!("{shown} writes captions and answers in this library");
            if let Some(asked) = context.settings.captioner.as_ref().filter(|asked| rule.is_newer && *asked != name) {
                let asked = sanitize::text(asked);
                done.push_str(&format!(" (as long as this runs: --captioner or the config name {asked})"));
            }
        }
        open::choose_for(&library, rule.remembered.as_deref())?;
        mine.chosen_later.store(rule.is_newer, Ordering::Relaxed);
        mine.send(Message::CaptionerSet(done, before, way));
        look(&shared);
        Ok(String::new())
    });
}

/// Drops what a model made of the library; says what was done.
pub(super) fn drop_from_library(context: &Context, name: &str) -> anyhow::Result<String> {
    let library = Library::open(&context.settings.library)?;
    let mut writer = library.lock()?;
    let known = library.models()?;
    let known = known.iter().find(|known| known.record.name == name && known.role != ModelRole::Current);
    let known = known.with_context(|| format!("{name} has made nothing of this library that could be dropped"))?;
    writer.drop_model(&known.record)?;
    Ok(format!("dropped what {name} made of this library, {}", crate::terminal::text::size(known.bytes)))
}
