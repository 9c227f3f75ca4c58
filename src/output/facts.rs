//! Everything that is known about a photo, as lines, with who says it.

use crate::photo::identity::outline;
use crate::photo::sidecars::SidecarFolder;
use crate::photo::{self, DecodeLimits, FileMetadata, Statement};
use crate::search::photo_file;
use crate::search::row::taken;
use crate::terminal::{sanitize, text};
use serde_json::{Map, Value, json};
use snapseek_index::{Hit, Library};
use std::path::{Path, PathBuf};

/// Facts by their keys, as a person reads them.
const FACTS: [(&str, &str); 22] = [
    ("title", "title"),
    ("description", "description"),
    ("taken", "taken"),
    ("offset", "ahead of UTC"),
    ("people", "people"),
    ("keywords", "keywords"),
    ("rating", "rating"),
    ("label", "colour label"),
    ("location", "location"),
    ("city", "city"),
    ("region", "region"),
    ("country", "country"),
    ("latitude", "latitude"),
    ("longitude", "longitude"),
    ("creator", "creator"),
    ("copyright", "copyright"),
    ("camera", "camera"),
    ("lens", "lens"),
    ("aperture", "aperture"),
    ("exposure", "exposure"),
    ("iso", "ISO"),
    ("focal_length", "focal length"),
];
/// Columns of the names of facts.
const NAMES: usize = 14;

/// What is said about a photo.
#[derive(Default)]
pub struct PhotoStatements {
    /// Each with the file that says it.
    pub said: Vec<(PathBuf, Statement)>,
    /// Files beside it that say nothing about it.
    pub unread: Vec<PathBuf>,
}

/// What is said about a photo by itself, its name and the files beside it.
pub fn said(path: &Path, library: Option<&Library>) -> Result<PhotoStatements, photo::PhotoError> {
    let bytes = photo::read(path, &DecodeLimits::default())?;
    let roots = library.and_then(|library| library.roots().ok()).unwrap_or_default();
    let root = roots.iter().find(|root| path.starts_with(root)).map(PathBuf::as_path);
    let mut unread = SidecarFolder::around(path).beside(path);
    let said = photo_file::said(path, root, outline(&bytes).statements, &unread);
    unread.retain(|file| said.iter().all(|(from, _)| from != file));
    Ok(PhotoStatements { said, unread })
}

/// What all sources say together, by keys; what the library remembers, if the file is gone.
pub fn merged(said: &[(PathBuf, Statement)], hit: Option<&Hit>) -> anyhow::Result<Map<String, Value>> {
    let all: Vec<Statement> = said.iter().map(|(_, statement)| statement.clone()).collect();
    let Some(hit) = hit.filter(|_| all.is_empty()) else { return facts(&FileMetadata::of(&all)) };
    let Value::Object(mut known) = serde_json::to_value(&hit.facts.metadata)? else { return Ok(Map::new()) };
    for (from, to) in [("taken_offset", "offset"), ("color_label", "label")] {
        let value = known.remove(from).unwrap_or_default();
        known.insert(to.to_owned(), value);
    }
    Ok(without_gaps(known))
}

/// What a source says, by keys, without what it does not say.
pub fn facts(said: &FileMetadata) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(facts) = serde_json::to_value(said)? else { return Ok(Map::new()) };
    Ok(without_gaps(facts))
}

fn without_gaps(mut facts: Map<String, Value>) -> Map<String, Value> {
    facts
        .retain(|_, value| !(value.is_null() || value == &json!(false) || value.as_array().is_some_and(Vec::is_empty)));
    facts
}

pub fn cluster(hit: &Hit, library: Option<&Library>) -> anyhow::Result<Option<String>> {
    let Some(library) = library else { return Ok(None) };
    Ok(library.cluster_of(hit.id)?)
}

pub fn lines(
    (path, here): (&Path, &Path),
    hit: Option<&Hit>,
    PhotoStatements { said, unread }: &PhotoStatements,
    library: Option<&Library>,
) -> anyhow::Result<Vec<String>> {
    let mut lines = vec![sanitize::path(path)];
    let mut line = |name: &str, value: &str| lines.push(format!("  {name:<NAMES$} {value}"));
    if let Some(Hit { facts, size, .. }) = hit {
        let size = text::size(*size);
        line("picture", &format!("{} x {}, {}, {size}", facts.width, facts.height, sanitize::text(&facts.format)));
        facts.remark.iter().for_each(|remark| line("damage", &sanitize::text(remark)));
    } else {
        line("", "not in the library");
    }
    let merged = merged(said, hit)?;
    let sources: Vec<(String, Map<String, Value>)> = said
        .iter()
        .map(|(file, statement)| {
            let beside = (file != here).then(|| file.file_name()).flatten();
            let name = beside.map_or(statement.source.as_str().to_owned(), |name| sanitize::path(Path::new(name)));
            Ok((name, facts(&statement.metadata)?))
        })
        .collect::<anyhow::Result<_>>()?;
    for (key, name) in FACTS {
        let Some(value) = merged.get(key) else { continue };
        let says = |one: &Value| {
            let is_part =
                |list: &Vec<Value>| one.as_array().is_some_and(|one| one.iter().any(|item| list.contains(item)));
            one == value || value.as_array().is_some_and(is_part)
        };
        let sayers = sources.iter().filter_map(|(source, facts)| Some((source, facts.get(key)?)));
        let (agree, differ): (Vec<_>, Vec<_>) = sayers.partition(|(_, one)| says(one));
        let mut names: Vec<&str> = agree.iter().map(|(source, _)| source.as_str()).collect();
        names.dedup();
        // What only the library remembers has no source any more.
        let sources = if names.is_empty() { "library".to_owned() } else { names.join(", ") };
        line(name, &format!("{}  ({sources})", shown(key, value)));
        for (source, other) in differ {
            line("", &format!("{}  (not used: {source})", shown(key, other)));
        }
    }
    for file in unread {
        let name = sanitize::path(Path::new(file.file_name().unwrap_or_default()));
        line("", &format!("{name} is not used: it cannot be read, or is about another photo"));
    }
    let Some(hit) = hit else { return Ok(lines) };
    if !merged.contains_key("taken") {
        taken(hit).shown().iter().for_each(|moment| line("taken", &format!("{moment}  (time of the file)")));
    }
    hit.facts.metadata.place.iter().for_each(|place| line("near", &sanitize::text(place)));
    hit.caption.iter().for_each(|caption| line("caption", &sanitize::text(caption)));
    let standing = hit.text.iter().flat_map(|text| text.lines()).enumerate();
    standing.for_each(|(at, text)| line(if at == 0 { "text" } else { "" }, &sanitize::text(text)));
    if !hit.tags.is_empty() {
        let tags: Vec<String> = hit.tags.iter().map(|tag| sanitize::text(&tag.label)).collect();
        line("tags", &tags.join(", "));
    }
    cluster(hit, library)?.iter().for_each(|name| line("cluster", &sanitize::text(name)));
    if !hit.own_tags.is_empty() {
        line("own tags", &hit.own_tags.iter().map(|tag| sanitize::text(tag)).collect::<Vec<_>>().join(", "));
    }
    hit.own_rating.iter().for_each(|rating| line("own rating", &stars(*rating)));
    let albums = library.map_or(Ok(Vec::new()), |library| library.albums_of(hit.id))?;
    if !albums.is_empty() {
        line("albums", &albums.iter().map(|name| sanitize::text(name)).collect::<Vec<_>>().join(", "));
    }
    hit.paths.iter().filter(|file| *file != here).for_each(|file| line("also", &sanitize::path(file)));
    hit.stack.iter().for_each(|file| line("stack", &sanitize::path(file)));
    Ok(lines)
}

/// An own rating for a person.
#[must_use]
pub fn stars(rating: i8) -> String {
    match rating {
        -1 => "rejected".into(),
        0 => "no stars".into(),
        stars => text::count(usize::try_from(stars).unwrap_or_default(), "star"),
    }
}

/// A value for a person.
fn shown(key: &str, value: &Value) -> String {
    let number = value.as_f64();
    match (value, key, number) {
        (Value::Array(list), ..) => {
            list.iter().filter_map(Value::as_str).map(sanitize::text).collect::<Vec<_>>().join(", ")
        }
        (_, "taken", _) => sanitize::text(&value.as_str().unwrap_or_default().replace('T', " ")),
        (_, "aperture", Some(number)) => format!("f/{number}"),
        (_, "exposure", Some(seconds)) if seconds < 0.3 => format!("1/{:.0} s", 1.0 / seconds),
        (_, "exposure", Some(seconds)) => format!("{seconds} s"),
        (_, "focal_length", Some(number)) => format!("{number} mm"),
        (Value::String(text), ..) => sanitize::text(text),
        _ => value.to_string(),
    }
}
