//! Overlays: windows over a place. They hold the help, the palette, a prompt, the search history, or a choice.

use super::action::{ACTIONS, ALIASES, Action, Entry, Menu};
use super::place::Place;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use std::path::PathBuf;
use tui_input::Input;

/// A window over a place.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// The keys of the place, with the position of the first line on the screen.
    Help(usize),
    /// All actions.
    Palette(Picker),
    /// A list to choose from.
    Choose(Choice, Picker),
    /// A prompt for a line of text.
    Prompt(Asked),
    /// A menu, and the position of the selected line.
    Menu(Menu, usize),
    /// Values to filter by: the position of the field, and that of the selected value.
    Filters(usize, usize),
    /// A text to read: its title, its lines, and the position of the first line on the screen.
    Text(String, Vec<String>, usize),
}

/// A prompt and its answer so far.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What the user is asked for.
    pub prompt: Prompt,
    /// The line that is typed.
    pub input: Input,
    /// Why the answer was refused.
    pub refused: Option<String>,
    /// How the path that is typed can go on.
    pub choices: Vec<String>,
}

/// A list that is narrowed by typing.
#[derive(Clone, Debug, Default)]
pub struct Picker {
    /// The line that is typed.
    pub input: Input,
    /// The position of the selected line.
    pub at: usize,
}

/// What is chosen from a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// An earlier query, the newest first.
    History,
    /// A saved label set.
    Set,
    /// An album.
    Album,
}

impl Choice {
    /// The title of the list.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::History => "Earlier queries",
            Self::Set => "Saved label sets",
            Self::Album => "Albums",
        }
    }
}

/// What the user is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A new name for the cluster with this name.
    Rename(String),
    /// A folder of photos.
    Folder,
    /// A name for a label set.
    SetName,
    /// A file for the chat.
    ChatFile,
    /// A file or folder for the marked photos.
    Export,
    /// A caption for this photo.
    Caption(i64),
    /// Whether this folder is left out of the library.
    ForgetFolder(PathBuf),
    /// Whether these photos are left out of the library.
    ForgetPhotos(Vec<i64>),
    /// A name for this query.
    SearchName(String),
    /// Tags that these photos are given or that are taken from them.
    Tags(Vec<i64>),
    /// Whether this model is downloaded, and what that costs.
    Pull(String, String),
    /// Whether this model is to answer in the library.
    UseModel(String),
    /// Whether to drop what this model made of the library.
    DropModel(String),
    /// A file for the script that moves copies to the trash.
    TrashScript,
    /// An album that the marked photos are added to.
    AddToAlbum,
    /// An album that the marked photos are taken out of.
    RemoveFromAlbum,
}

impl Prompt {
    /// The text of the prompt.
    #[must_use]
    pub fn asks(&self) -> &'static str {
        match self {
            Self::Rename(_) => "New name of the cluster",
            Self::Folder => "Folder with photos",
            Self::SetName => "Name of the label set",
            Self::ChatFile => "File for the chat (.md or .json)",
            Self::Export => "File (.html or .json), or folder for copies",
            Self::Caption(_) => "Caption",
            Self::ForgetFolder(_) => "Leave the folder out of the library? Type yes",
            Self::ForgetPhotos(_) => "Leave all these photos out of the library? Type yes",
            Self::SearchName(_) => "Save the search as (a known name replaces that one)",
            Self::Tags(_) => "Tags, separated by commas (-tag takes one away)",
            Self::Pull(..) => "Download the model? Type yes",
            Self::UseModel(_) => "Embed all photos by this model, so that it answers? Type yes",
            Self::DropModel(_) => "Drop what this model made of the library? Type yes",
            Self::TrashScript => "File for the script (nothing is deleted before you run it)",
            Self::AddToAlbum => "Add to the album (a new name makes a new one)",
            Self::RemoveFromAlbum => "Take out of the album",
        }
    }
}

impl Prompt {
    /// Whether the answer is a path; `Some(true)`: of a folder.
    #[must_use]
    pub fn asks_for_a_path(&self) -> Option<bool> {
        match self {
            Self::Folder => Some(true),
            Self::ChatFile | Self::Export | Self::TrashScript => Some(false),
            _ => None,
        }
    }
}

impl Overlay {
    /// The line of text that keys go into, if there is one.
    #[must_use]
    pub fn input(&self) -> Option<&Input> {
        match self {
            Self::Help(_) | Self::Menu(..) | Self::Filters(..) | Self::Text(..) => None,
            Self::Palette(picker) | Self::Choose(_, picker) => Some(&picker.input),
            Self::Prompt(asked) => Some(&asked.input),
        }
    }
}

impl Overlay {
    /// Whether it is the prompt for tags.
    #[must_use]
    pub fn asks_for_tags(&self) -> bool {
        matches!(self, Self::Prompt(Asked { prompt: Prompt::Tags(_), .. }))
    }
}

/// The entries of the palette: the one of which this is the name, then those that work here before those of other
/// places, in each the best first.
#[must_use]
pub fn palette(place: Place, typed: &str) -> Vec<&'static Entry> {
    let (here, elsewhere): (Vec<&Entry>, Vec<&Entry>) = ACTIONS.iter().partition(|entry| entry.counts_in(place));
    let named = here.iter().chain(&elsewhere).copied().find(|entry| entry.name == typed.trim());
    let mut found: Vec<&Entry> = named.into_iter().collect();
    let mut seen: Vec<Action> = found.iter().map(|entry| entry.action).collect();
    for entries in [here, elsewhere] {
        // One line for each action; the first of its entries wins.
        let entries: Vec<&Entry> = entries
            .into_iter()
            .filter(|entry| {
                let new = !seen.contains(&entry.action);
                seen.push(entry.action);
                new
            })
            .collect();
        let texts: Vec<String> = entries.iter().map(|entry| words_of(entry)).collect();
        found.extend(narrow(&texts, typed).into_iter().filter_map(|at| entries.get(at).copied()));
    }
    found
}

/// The words by which an action is found.
fn words_of(entry: &Entry) -> String {
    let others = ALIASES.iter().find(|(name, _)| *name == entry.name).map_or("", |(_, words)| *words);
    format!("{} {} {others}", entry.says, entry.name)
}

/// Positions of the texts that match what is typed, best first; if nothing is typed, all in their order.
#[must_use]
pub fn narrow(texts: &[String], typed: &str) -> Vec<usize> {
    if typed.trim().is_empty() {
        return (0..texts.len()).collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Smart, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, usize)> = texts
        .iter()
        .enumerate()
        .filter_map(|(at, text)| {
            let text = nucleo_matcher::Utf32Str::new(text, &mut buffer);
            Some((pattern.score(text, &mut matcher)?, at))
        })
        .collect();
    scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::action::Sorting;
    use snapseek_index::Order;

    #[test]
    fn the_palette_finds_actions_by_what_they_do() {
        let first = |typed| palette(Place::Search, typed).first().map(|entry| entry.action);
        assert_eq!(first("more like"), Some(Action::MoreLikeThis));
        assert_eq!(first("file manager"), Some(Action::Reveal));
        assert_eq!(first("split-cluster"), Some(Action::SplitCluster), "of another place, too");
        for words in ["delete", "undo", "caption", "model", "exif", "select", "sort by date", "light"] {
            assert!(!palette(Place::Search, words).is_empty(), "{words}");
        }
        for entry in ACTIONS {
            let here = |other: &&Entry| other.name == entry.name && other.counts_in(Place::Search);
            let named = ACTIONS.iter().find(here).unwrap_or(entry);
            assert_eq!(first(entry.name), Some(named.action), "a name is what it names: {}", entry.name);
        }
        assert_eq!(first("sort by date"), Some(Action::SortBy(Sorting::By(Order::Date))));
        let here: Vec<bool> = palette(Place::Search, "").iter().map(|entry| entry.counts_in(Place::Search)).collect();
        assert!(here.windows(2).all(|pair| pair[0] || !pair[1]), "those of this place first");
        assert!(palette(Place::Search, "zzzzqq").is_empty());
    }
}
