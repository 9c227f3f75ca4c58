//! Commands with arguments, typed after `:`.

use super::action::{Entry, Sorting};
use super::overlay::palette;
use super::place::Place;
use crate::config::ThemeName;
use clap::ValueEnum;
use snapseek_index::Order;
use std::path::PathBuf;

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum TypedCommand {
    /// Sort photos.
    Sort(Sorting),
    /// Show the photos of a query.
    Search(String),
    /// Add photos to an album.
    AddToAlbum(String),
    /// Take photos out of an album.
    RemoveFromAlbum(String),
    /// Show an album.
    OpenAlbum(String),
    /// Rate photos; `None`: as their files say.
    Rate(Option<i8>),
    /// Tag photos: tags to add, and to remove.
    Tag(Vec<String>, Vec<String>),
    /// Write the caption of a photo.
    Caption(String),
    /// Save the search under a name.
    Save(String),
    /// Show the photos of a saved search.
    Saved(String),
    /// Export photos to a file or folder.
    Export(PathBuf),
    /// Write what the user wrote on photos as XMP files into a folder.
    Sidecars(PathBuf),
    /// Download a model.
    Pull(String),
    /// Embed all photos by a model, so that it answers.
    Reindex(String),
    /// Index a folder of photos.
    AddFolder(PathBuf),
    /// Change the colours.
    Theme(ThemeName),
    /// Select the photo at this place of the list, from 1.
    Number(usize),
    /// Run a shell command; a `%` stands for the photos.
    Shell(String),
}

/// How a command is written: its name, its arguments, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct CommandUse {
    /// What it begins with.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: &'static str,
    /// What it does.
    pub says: &'static str,
}

const fn written(name: &'static str, arguments: &'static str, says: &'static str) -> CommandUse {
    CommandUse { name, arguments, says }
}

/// All commands.
pub const COMMANDS: [CommandUse; 18] = [
    written("sort", "date|name|size|path|rating|best|reverse", "sort photos"),
    written("search", "QUERY", "show the photos of a query"),
    written("album add", "NAME", "add what is marked, or this photo"),
    written("album remove", "NAME", "take it out again"),
    written("album open", "NAME", "show an album"),
    written("rate", "0..5|reject|files", "rate what is marked, or this photo"),
    written("tag", "TAG, -TAG", "give and take tags"),
    written("caption", "TEXT", "write the caption of this photo"),
    written("save", "NAME", "save the search"),
    written("saved", "NAME", "show a saved search"),
    written("export", "FILE.html|FILE.json|DIR", "export what is marked, or this photo"),
    written("export --xmp", "DIR", "what you wrote on photos, as XMP files for other programs"),
    written("pull", "MODEL", "download a model"),
    written("reindex", "MODEL", "let a model answer in this library"),
    written("add-folder", "DIR", "index a folder of photos"),
    written("theme", "auto|dark|light|ansi|none", "change the colours"),
    written("15", "", "a number: the photo at this place"),
    written("!", "COMMAND %", "run a command on what is marked, or this photo"),
];

/// Reads a command; `None` if it is none, or has no arguments yet. An error says how it is written.
#[must_use]
pub fn read(typed: &str) -> Option<Result<TypedCommand, String>> {
    let typed = typed.trim();
    if let Some(command) = typed.strip_prefix('!') {
        let command = command.trim().to_owned();
        return (!command.is_empty()).then_some(Ok(TypedCommand::Shell(command)));
    }
    if let Ok(number @ 1..) = typed.parse() {
        return Some(Ok(TypedCommand::Number(number)));
    }
    let (name, rest) = typed.split_once(char::is_whitespace)?;
    let rest = rest.trim();
    let text = || rest.to_owned();
    Some(match name {
        "sort" => {
            sorting(rest.strip_prefix("by ").unwrap_or(rest)).ok_or_else(|| wrong("sort")).map(TypedCommand::Sort)
        }
        "search" => Ok(TypedCommand::Search(text())),
        "album" => {
            let (verb, album) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let album = album.trim().to_owned();
            match verb {
                "add" if !album.is_empty() => Ok(TypedCommand::AddToAlbum(album)),
                "remove" if !album.is_empty() => Ok(TypedCommand::RemoveFromAlbum(album)),
                "open" if !album.is_empty() => Ok(TypedCommand::OpenAlbum(album)),
                _ => Err("write album add NAME, album remove NAME or album open NAME".into()),
            }
        }
        "rate" => match (rest, rest.parse()) {
            ("reject", _) => Ok(TypedCommand::Rate(Some(-1))),
            ("files", _) => Ok(TypedCommand::Rate(None)),
            (_, Ok(stars @ -1..=5)) => Ok(TypedCommand::Rate(Some(stars))),
            _ => Err(wrong("rate")),
        },
        "tag" => {
            let (add, remove) = tags(rest);
            if add.is_empty() && remove.is_empty() { Err(wrong("tag")) } else { Ok(TypedCommand::Tag(add, remove)) }
        }
        "caption" => Ok(TypedCommand::Caption(text())),
        "save" => Ok(TypedCommand::Save(text())),
        "saved" => Ok(TypedCommand::Saved(text())),
        "export" => match rest.strip_prefix("--xmp") {
            Some(folder) if !folder.trim().is_empty() && folder.starts_with(char::is_whitespace) => {
                Ok(TypedCommand::Sidecars(folder.trim().into()))
            }
            Some("") => Err(wrong("export --xmp")),
            _ => Ok(TypedCommand::Export(rest.into())),
        },
        "pull" => Ok(TypedCommand::Pull(text())),
        "reindex" => Ok(TypedCommand::Reindex(rest.strip_prefix("--model ").unwrap_or(rest).trim().to_owned())),
        "add-folder" => Ok(TypedCommand::AddFolder(rest.into())),
        "theme" => ThemeName::from_str(rest, true).map(TypedCommand::Theme).map_err(|_| wrong("theme")),
        _ => return None,
    })
}

fn sorting(word: &str) -> Option<Sorting> {
    Some(match word {
        "best" => Sorting::By(Order::Best),
        "date" => Sorting::By(Order::Date),
        "name" => Sorting::By(Order::Name),
        "size" => Sorting::By(Order::Size),
        "path" => Sorting::By(Order::Path),
        "rating" => Sorting::By(Order::Rating),
        "reverse" => Sorting::Reversed,
        _ => return None,
    })
}

/// How the command of this name is written.
fn wrong(name: &str) -> String {
    let known = COMMANDS.iter().find(|known| known.name == name);
    known.map_or(String::new(), |known| format!("write {} {}", known.name, known.arguments))
}

/// Tags to add and, those with a minus, to remove, of a list that is separated by commas.
#[must_use]
pub fn tags(list: &str) -> (Vec<String>, Vec<String>) {
    let all = list.split(',').map(str::trim).filter(|tag| !tag.trim_start_matches('-').trim().is_empty());
    let (remove, add): (Vec<&str>, Vec<&str>) = all.partition(|tag| tag.starts_with('-'));
    let remove = remove.iter().map(|tag| tag.trim_start_matches('-').trim().to_owned()).collect();
    (add.into_iter().map(str::to_owned).collect(), remove)
}

/// A line of the palette.
#[derive(Clone, Debug)]
pub enum PaletteRow {
    /// The command that is typed.
    Command(TypedCommand),
    /// An action.
    Action(&'static Entry),
    /// A command that can be typed.
    Use(&'static CommandUse),
}

/// The lines of the palette: the command that is typed, the action that matches best, commands that begin so, other actions.
#[must_use]
pub fn rows(place: Place, typed: &str) -> Vec<PaletteRow> {
    let read = read(typed);
    // What is a command, or almost one, is not looked for among actions: what it says of itself counts.
    let is_command = read.is_some();
    let command = read.and_then(Result::ok).map(PaletteRow::Command);
    let uses = COMMANDS.iter().filter(|known| !typed.trim().is_empty() && known.name.starts_with(typed.trim()));
    let actions = palette(place, typed).into_iter().map(PaletteRow::Action);
    let actions: Vec<PaletteRow> = if is_command { Vec::new() } else { actions.collect() };
    let mut actions = actions.into_iter();
    // The best of the actions comes first: whoever types its name means it.
    let best = actions.next();
    command.into_iter().chain(best).chain(uses.map(PaletteRow::Use)).chain(actions).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        let ok = |typed: &str| read(typed).and_then(Result::ok);
        assert_eq!(ok("sort date"), Some(TypedCommand::Sort(Sorting::By(Order::Date))));
        assert_eq!(ok("sort by name"), Some(TypedCommand::Sort(Sorting::By(Order::Name))));
        assert_eq!(
            ok(" album  add  Our \"Lisbon\" 2019 "),
            Some(TypedCommand::AddToAlbum("Our \"Lisbon\" 2019".into()))
        );
        assert_eq!(
            (ok("rate 4"), ok("rate reject")),
            (Some(TypedCommand::Rate(Some(4))), Some(TypedCommand::Rate(Some(-1))))
        );
        assert_eq!(ok("tag sea, -night"), Some(TypedCommand::Tag(vec!["sea".into()], vec!["night".into()])));
        assert_eq!(ok("!gimp %"), Some(TypedCommand::Shell("gimp %".into())));
        assert_eq!((ok("15"), ok("0")), (Some(TypedCommand::Number(15)), None));
        assert_eq!(ok("export --xmp /tmp/a b"), Some(TypedCommand::Sidecars("/tmp/a b".into())));
        assert_eq!(ok("export --xmpish"), Some(TypedCommand::Export("--xmpish".into())));
        assert_eq!(ok("reindex --model clip"), Some(TypedCommand::Reindex("clip".into())));
        assert_eq!(ok("theme light"), Some(TypedCommand::Theme(ThemeName::Light)));
        for wrong in ["rate 6", "rate many", "sort colour", "album add ", "tag , -", "theme pink", "export --xmp"] {
            assert!(matches!(read(wrong), Some(Err(why)) if why.starts_with("write ")), "{wrong}");
        }
        assert!(read("more like").is_none() && read("sort").is_none() && read("!").is_none() && read("").is_none());
    }

    #[test]
    fn the_palette_lists_commands_that_begin_so() {
        let rows = rows(Place::Search, "album");
        assert!(rows.iter().any(|row| matches!(row, PaletteRow::Use(known) if known.name == "album add")));
        assert!(matches!(super::rows(Place::Search, "sort date")[..], [PaletteRow::Command(TypedCommand::Sort(_))]));
        assert!(matches!(super::rows(Place::Search, "")[0], PaletteRow::Action(_)));
        for wrong in ["theme nosuch", "sort nosuch", "sort date reverse", "rate 9"] {
            assert!(super::rows(Place::Search, wrong).is_empty(), "{wrong} does nothing else");
        }
    }
}
