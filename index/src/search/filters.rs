//! Filters: conditions that photos must satisfy, whatever their meaning.

use crate::catalogue::mounts::Mounts;
use crate::catalogue::paths;
use std::path::{Path, PathBuf};

/// The time of change up to which a file's clock was never set, in nanoseconds since 1970: the third day of 1980.
pub const NO_CLOCK_NS: i64 = 315_705_600_000_000_000;

/// The name that means no cluster in `cluster:`.
pub(crate) const NO_CLUSTER: &str = "none";

/// Words that a photo must have side by side in its caption, tags, names or camera, or must not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The words.
    pub text: String,
    /// Whether photos that have it are left out.
    pub exclude: bool,
}

/// Clauses that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    /// The clauses, in the order of the query.
    pub clauses: Vec<Clause>,
}

/// A condition, or its negation.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// The condition.
    pub filter: Filter,
    /// Whether the photo must not satisfy it.
    pub exclude: bool,
}

/// A condition on a photo. Photos that lack the fact (no date, no camera) do not satisfy it.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// One of its paths contains this text; case and accents are ignored.
    Path(String),
    /// One of its tags contains these words, whole and in this order.
    Tag(String),
    /// Its caption contains these words, whole and in this order.
    Caption(String),
    /// These words stand in the picture, one after the other.
    Text(String),
    /// This is known about it.
    Has(Fact),
    /// It is in the cluster of this name; `none`: it is in no cluster. Case and accents are ignored.
    Cluster(String),
    /// Is in the album of this name.
    Album(String),
    /// It gets this label of the label set of this name, or (`None`) any of its labels. Case and accents are ignored.
    Label {
        /// The label set.
        set: String,
        /// The label.
        label: Option<String>,
    },
    /// One of its file names has one of these extensions (without the dot).
    Ext(Vec<String>),
    /// Its camera's name contains this text; case and accents are ignored.
    Camera(String),
    /// The lens's name contains this text; case and accents are ignored.
    Lens(String),
    /// What its owner wrote in one of these places contains these words, whole and in this order.
    OwnerText(OwnerText, String),
    /// One of the names of where it was taken, also those of its coordinates, contains one of these texts in whole
    /// words.
    Place(Vec<String>),
    /// Its format has one of these names.
    Format(Vec<String>),
    /// The sensor's sensitivity is within these bounds, both included.
    Iso {
        /// The lowest.
        min: u32,
        /// The highest.
        max: u32,
    },
    /// It was taken at most this far from a place.
    Near {
        /// The place.
        center: Center,
        /// How far, in kilometres.
        km: f64,
    },
    /// It was taken at most so many seconds before or after a moment.
    Around {
        /// The moment.
        moment: Moment,
        /// How many seconds.
        seconds: u32,
    },
    /// This colour dominates it.
    Color(String),
    /// It is of this kind.
    Is(Shape),
    /// It was taken within these dates, both included; each a prefix of `2019-06-15`.
    Taken {
        /// The first date.
        from: Option<String>,
        /// The last date.
        to: Option<String>,
        /// Where nothing else is known, when its file was changed counts.
        guess: bool,
    },
    /// Its stars are within these bounds, both included.
    Rating {
        /// The fewest.
        min: i8,
        /// The most.
        max: i8,
    },
    /// It is at least this many pixels wide.
    Wider(u32),
    /// It is at least this many pixels high.
    Taller(u32),
    /// One of its files has a size in bytes within these bounds, both included.
    Size {
        /// The smallest size.
        min: Option<u64>,
        /// The largest size.
        max: Option<u64>,
    },
}

/// What owners write on photos, each with the name of its filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerText {
    /// One of its keywords, or a level of it.
    Keyword,
    /// One of the people on it.
    Person,
    /// Its title.
    Title,
    /// Its description.
    Description,
    /// Who made it.
    Creator,
}

/// The middle of a circle. Whoever searches must replace names and photos by coordinates: the index knows none, and
/// finds nothing there.
#[derive(Clone, Debug, PartialEq)]
pub enum Center {
    /// Degrees north and east.
    At(f64, f64),
    /// The name of a place.
    Named(String),
    /// Where the photo in this file was taken.
    Photo(PathBuf),
}

/// A moment. Whoever searches must replace photos by moments: the index finds nothing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `2019-06-15T12:00:00`.
    At(String),
    /// When the photo in this file was taken.
    Photo(PathBuf),
}

/// Kinds of photos, by their shape or by what they are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Higher than wide.
    Portrait,
    /// Wider than high.
    Landscape,
    /// About as wide as high.
    Square,
    /// At least twice as wide as high, or the other way round.
    Panorama,
    /// A picture of a screen, by its name.
    Screenshot,
    /// Only part of it is there.
    Damaged,
    /// A camera's raw file.
    Raw,
    /// A video.
    Video,
    /// A photo with the short film that a phone took with it, in the same file or beside it.
    Live,
}

impl Shape {
    /// All of them, with their names in a query.
    pub const ALL: [(&str, Self); 9] = [
        ("portrait", Self::Portrait),
        ("landscape", Self::Landscape),
        ("square", Self::Square),
        ("panorama", Self::Panorama),
        ("screenshot", Self::Screenshot),
        ("damaged", Self::Damaged),
        ("raw", Self::Raw),
        ("video", Self::Video),
        ("live", Self::Live),
    ];
}

/// Something that may be known about a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A caption that is not empty.
    Caption,
    /// When it was taken.
    Date,
    /// The camera.
    Camera,
    /// Where it was taken, by coordinates or by name.
    Place,
    /// A keyword.
    Keyword,
    /// The name of a person.
    Person,
    /// Text that stands in the picture.
    Text,
    /// A title or a description.
    Description,
    /// Stars that a person gave it, or that it was rejected.
    Rating,
    /// A tag.
    Tags,
    /// A cluster that it is in.
    Cluster,
    /// A chat about it.
    Chat,
    /// It is in an album.
    Album,
}

impl Fact {
    /// All of them, with their names in a query.
    pub const ALL: [(&str, Self); 13] = [
        ("caption", Self::Caption),
        ("date", Self::Date),
        ("camera", Self::Camera),
        ("place", Self::Place),
        ("keyword", Self::Keyword),
        ("person", Self::Person),
        ("text", Self::Text),
        ("description", Self::Description),
        ("rating", Self::Rating),
        ("tags", Self::Tags),
        ("cluster", Self::Cluster),
        ("chat", Self::Chat),
        ("album", Self::Album),
    ];
}

impl Filters {
    /// Whether there are no clauses, so that every photo passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Whether a path satisfies the path and extension clauses.
    pub(crate) fn prefers(&self, mounts: &Mounts, path: &Path) -> bool {
        let is_about_paths = |clause: &Clause| matches!(clause.filter, Filter::Path(_) | Filter::Ext(_));
        if !self.clauses.iter().any(is_about_paths) {
            return true;
        }
        let folded = paths::fold(&String::from_utf8_lossy(&mounts.stored(path)));
        self.clauses.iter().all(|clause| match &clause.filter {
            Filter::Path(text) => folded.contains(&mounts.folded(text)) != clause.exclude,
            Filter::Ext(list) => list.iter().any(|ext| folded.ends_with(&suffix(ext))) != clause.exclude,
            _ => true,
        })
    }
}

pub(super) fn suffix(ext: &str) -> String {
    format!(".{}", paths::fold(ext))
}
