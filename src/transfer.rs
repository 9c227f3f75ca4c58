//! What people and models wrote, as JSON Lines: a backup that a person can read, and the way into another library. The
//! format is described in docs/library.md.

use crate::terminal::sanitize;
use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use snapseek_index::{Chat, ContentHash, LabelSet, Library, PhotoText, PlacedLine, SavedSearch, Turn, Written};
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;
/// Most bytes of a line.
const LONGEST: u64 = 64 << 20;

/// One line of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    /// The first line.
    Snapseek {
        format: u32,
    },
    Caption {
        picture: Hash,
        paths: Vec<Name>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gone: bool,
        text: String,
        by_hand: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        captioner: Option<String>,
        written: Time,
        #[serde(skip_serializing_if = "Option::is_none")]
        carried: Option<Name>,
    },
    Text {
        picture: Hash,
        lines: Vec<PlacedLine>,
        text: String,
        reader: String,
        read: Time,
    },
    Chat {
        picture: Hash,
        file: Hash,
        path: Name,
        model: String,
        started: Time,
        updated: Time,
        turns: Vec<Said>,
    },
    ClusterName {
        name: String,
        written: Time,
        pictures: Vec<Hash>,
    },
    Album {
        name: String,
        written: Time,
        pictures: Vec<Hash>,
    },
    Tags {
        picture: Hash,
        tags: Vec<String>,
        written: Time,
    },
    Rating {
        picture: Hash,
        stars: i8,
        written: Time,
    },
    SavedSearch {
        name: String,
        query: String,
        written: Time,
    },
    LabelSet {
        name: String,
        labels: Vec<String>,
        background: Vec<String>,
        templates: Vec<String>,
        threshold: f32,
        written: Time,
    },
    Forgotten {
        path: Name,
        forgotten: bool,
    },
}

/// A question and its answer.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    question: String,
    answer: String,
}

/// 64 hexadecimal digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hash(ContentHash);

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        blake3::Hash::from_bytes(hash.0).to_hex().to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

/// Seconds since 1970, in UTC as RFC 3339; 0 means that the time is not known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Option<String>", into = "Option<String>")]
struct Time(i64);

impl From<Time> for Option<String> {
    fn from(time: Time) -> Self {
        Timestamp::from_second(time.0).ok().filter(|_| time.0 != 0).map(|time| time.to_string())
    }
}

impl TryFrom<Option<String>> for Time {
    type Error = jiff::Error;

    fn try_from(text: Option<String>) -> Result<Self, Self::Error> {
        text.map_or(Ok(Self(0)), |text| text.parse::<Timestamp>().map(|time| Self(time.as_second())))
    }
}

/// A path: a text or, if its name is not UTF-8, its exact bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Bytes { base64: String },
}

impl Name {
    fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes { base64: STANDARD.encode(path.as_os_str().as_encoded_bytes()) },
        }
    }

    fn path(self) -> anyhow::Result<PathBuf> {
        Ok(match self {
            Self::Text(text) => text.into(),
            #[cfg(unix)]
            Self::Bytes { base64 } => {
                use std::os::unix::ffi::OsStringExt;
                std::ffi::OsString::from_vec(STANDARD.decode(base64)?).into()
            }
            #[cfg(not(unix))]
            Self::Bytes { base64 } => String::from_utf8(STANDARD.decode(base64)?)?.into(),
        })
    }
}

impl From<Written> for Line {
    fn from(written: Written) -> Self {
        match written {
            Written::Caption { picture, paths, gone, text, captioner, written, carried } => Self::Caption {
                picture: Hash(picture),
                paths: paths.iter().map(|path| Name::of(path)).collect(),
                gone,
                text,
                by_hand: captioner.is_none(),
                captioner,
                written: Time(written),
                carried: carried.map(|path| Name::of(&path)),
            },
            Written::Text { picture, text: PhotoText { reader, lines, text, read } } => {
                Self::Text { picture: Hash(picture), lines, text, reader, read: Time(read) }
            }
            Written::Chat(Chat { picture, file, path, model, started, updated, turns, .. }) => Self::Chat {
                picture: Hash(picture),
                file: Hash(file),
                path: Name::of(&path),
                model,
                started: Time(started),
                updated: Time(updated),
                turns: turns.into_iter().map(|Turn { question, answer }| Said { question, answer }).collect(),
            },
            Written::Name { name, written, pictures } => {
                Self::ClusterName { name, written: Time(written), pictures: pictures.into_iter().map(Hash).collect() }
            }
            Written::Album { name, written, pictures } => {
                Self::Album { name, written: Time(written), pictures: pictures.into_iter().map(Hash).collect() }
            }
            Written::Tags { picture, tags, written } => {
                Self::Tags { picture: Hash(picture), tags, written: Time(written) }
            }
            Written::Rating { picture, stars, written } => {
                Self::Rating { picture: Hash(picture), stars, written: Time(written) }
            }
            Written::Search(SavedSearch { name, query, written }) => {
                Self::SavedSearch { name, query, written: Time(written) }
            }
            Written::LabelSet { set, written } => {
                let LabelSet { name, labels, background, templates, threshold } = set;
                Self::LabelSet { name, labels, background, templates, threshold, written: Time(written) }
            }
            Written::Forgotten { path, forgotten } => Self::Forgotten { path: Name::of(&path), forgotten },
        }
    }
}

impl Line {
    /// What the line says; `None` for the first line.
    fn written(self) -> anyhow::Result<Option<Written>> {
        Ok(Some(match self {
            Self::Snapseek { format } => {
                ensure!(
                    format <= FORMAT,
                    "it has format {format}, made by a newer version; this one reads formats up to {FORMAT}: update \
                     snapseek"
                );
                return Ok(None);
            }
            Self::Caption { picture, paths, gone, text, by_hand, captioner, written, carried } => {
                ensure!(by_hand == captioner.is_none(), "a caption is by hand or has a captioner");
                Written::Caption {
                    picture: picture.0,
                    paths: paths.into_iter().map(Name::path).collect::<anyhow::Result<_>>()?,
                    gone,
                    text,
                    captioner,
                    written: written.0,
                    carried: carried.map(Name::path).transpose()?,
                }
            }
            Self::Text { picture, lines, text, reader, read } => {
                Written::Text { picture: picture.0, text: PhotoText { reader, lines, text, read: read.0 } }
            }
            Self::Chat { picture, file, path, model, started, updated, turns } => Written::Chat(Chat {
                id: 0,
                path: path.path()?,
                picture: picture.0,
                file: file.0,
                model,
                started: started.0,
                updated: updated.0,
                turns: turns.into_iter().map(|Said { question, answer }| Turn { question, answer }).collect(),
            }),
            Self::ClusterName { name, written, pictures } => {
                Written::Name { name, written: written.0, pictures: pictures.into_iter().map(|hash| hash.0).collect() }
            }
            Self::Album { name, written, pictures } => {
                Written::Album { name, written: written.0, pictures: pictures.into_iter().map(|hash| hash.0).collect() }
            }
            Self::Tags { picture, tags, written } => Written::Tags { picture: picture.0, tags, written: written.0 },
            Self::Rating { picture, stars, written } => {
                Written::Rating { picture: picture.0, stars, written: written.0 }
            }
            Self::SavedSearch { name, query, written } => {
                Written::Search(SavedSearch { name, query, written: written.0 })
            }
            Self::LabelSet { name, labels, background, templates, threshold, written } => Written::LabelSet {
                set: LabelSet { name, labels, background, templates, threshold },
                written: written.0,
            },
            Self::Forgotten { path, forgotten } => Written::Forgotten { path: path.path()?, forgotten },
        }))
    }
}

/// How many records were exported.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Exported {
    /// Records that were written.
    pub records: u64,
    /// Damaged ones: what could not be read of them is missing.
    pub damaged: u64,
}

/// Writes everything that people and models wrote, one JSON object a line. The same library gives the same bytes.
///
/// # Errors
/// The catalogue cannot be read, or `out` cannot be written.
pub fn write(library: &Library, out: &mut dyn Write) -> anyhow::Result<Exported> {
    let mut put = |line: &Line| -> anyhow::Result<()> { Ok(writeln!(out, "{}", sanitize::json(line)?)?) };
    put(&Line::Snapseek { format: FORMAT })?;
    let mut records = 0;
    let damaged = library.written(|written| {
        records += 1;
        put(&written.into())
    })?;
    Ok(Exported { records, damaged })
}

/// Reads what [`write()`] wrote; empty lines are skipped.
///
/// # Errors
/// A line cannot be read or is not what a library could have written; the error names its number.
pub fn read(mut input: impl BufRead) -> anyhow::Result<Vec<Written>> {
    let mut records = Vec::new();
    for number in 1_u64.. {
        let mut bytes = Vec::new();
        let length = input.by_ref().take(LONGEST + 1).read_until(b'\n', &mut bytes)? as u64;
        if length == 0 {
            ensure!(number > 1, "it is empty");
            break;
        }
        ensure!(length <= LONGEST, "line {number} is longer than {} MiB", LONGEST >> 20);
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(&bytes)
            .with_context(|| format!("line {number} is not a line that `snapseek export` writes"))?;
        if number == 1 && !matches!(line, Line::Snapseek { .. }) {
            bail!("its first line is not that of a file by `snapseek export`");
        }
        let record = line.written().and_then(|record| {
            record.iter().try_for_each(Written::check)?;
            Ok(record)
        });
        records.extend(record.with_context(|| format!("line {number}"))?);
    }
    Ok(records)
}
