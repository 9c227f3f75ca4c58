//! What can stand in the place of a word that is being typed: names that only the library knows.

use crate::cli::CompleteArgs;
use crate::config::Settings;
use crate::exit::Exit;
use crate::model::hub::presets::CHAT_PRESETS;
use crate::model::{self, Kind};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use snapseek_index::query::{COLORS, quoted};
use snapseek_index::{Fact, Library, Shape, folded_name};

/// Prints the words that begin with `args.word`, one a line; nothing if there is no library.
pub(super) fn complete(args: &CompleteArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library).ok();
    for word in words(&args.word, library.as_ref()) {
        // A name with a line end would be taken for two.
        if word == sanitize::text(&word) {
            console.line(&word)?;
        }
    }
    Ok(Exit::Success)
}

fn words(word: &str, library: Option<&Library>) -> Vec<String> {
    let clusters = || library.and_then(|library| library.clusters().ok()).unwrap_or_default();
    let sets = || library.and_then(|library| library.label_sets().ok()).unwrap_or_default();
    let (kind, start) = word.split_once(':').unwrap_or((word, ""));
    let start = folded_name(start.trim_start_matches('"'));
    let fits = |name: &str| folded_name(name).starts_with(&start);
    match kind {
        "cluster" => {
            let names = clusters().into_iter().map(|cluster| cluster.name).chain(["none".to_owned()]);
            names.filter(|name| fits(name)).map(|name| format!("cluster:{}", quoted(&name))).collect()
        }
        "album" => {
            let albums = library.and_then(|library| library.albums().ok()).unwrap_or_default();
            albums
                .iter()
                .filter(|album| fits(&album.name))
                .map(|album| format!("album:{}", quoted(&album.name)))
                .collect()
        }
        "label" => {
            let mut words = Vec::new();
            for set in sets() {
                let name = quoted(&set.name);
                let labels = set.labels.iter().map(|label| (format!("{}={label}", set.name), quoted(label)));
                words.extend(fits(&set.name).then(|| format!("label:{name}")));
                let labels = labels.filter(|(whole, _)| start.contains('=') && fits(whole));
                words.extend(labels.map(|(_, label)| format!("label:{name}={label}")));
            }
            words
        }
        "has" => Fact::ALL.iter().filter(|(name, _)| fits(name)).map(|(name, _)| format!("has:{name}")).collect(),
        "color" => COLORS.iter().filter(|name| fits(name)).map(|name| format!("color:{name}")).collect(),
        "is" => Shape::ALL.iter().filter(|(name, _)| fits(name)).map(|(name, _)| format!("is:{name}")).collect(),
        "keyword" | "person" => {
            let names = library.and_then(|library| library.names(kind).ok()).unwrap_or_default();
            names.iter().filter(|name| fits(name)).map(|name| format!("{kind}:{}", quoted(name))).collect()
        }
        // Values of options and arguments, which need no name before them.
        "--set" => sets().into_iter().map(|set| set.name).collect(),
        "--cluster" => clusters().into_iter().map(|cluster| cluster.name).collect(),
        "--model" => {
            with_installed(&["auto", "starter", "clip"], |kind| matches!(kind, Kind::Starter | Kind::Encoder(_)))
        }
        "--text-model" => with_installed(&["own", "clip-multilingual"], |kind| kind == Kind::Texts),
        "--captioner" => {
            let names: Vec<&str> = CHAT_PRESETS.iter().map(|preset| preset.name).collect();
            with_installed(&names, |kind| matches!(kind, Kind::Blip2 | Kind::VisionLanguage))
        }
        "--blip2" => with_installed(&["blip2"], |kind| kind == Kind::Blip2),
        "--rerank" | "--matcher" => with_installed(&["blip2-itm"], |kind| kind == Kind::Matcher),
        _ => Vec::new(),
    }
}

/// These names of models, and those of the installed ones that are of a `wanted` kind.
fn with_installed(names: &[&str], wanted: impl Fn(Kind) -> bool) -> Vec<String> {
    let mut all: Vec<String> = names.iter().copied().map(str::to_owned).collect();
    for model in model::installed().into_iter().filter(|model| wanted(model.kind)) {
        if !all.contains(&model.name) {
            all.push(model.name);
        }
    }
    all
}
