//! Filters: conditions that photos must satisfy, whatever their meaning.

use crate::catalogue::mounts::Mounts;
use crate::catalogue::paths;
use crate::catalogue::stored::{LISTED, list_of};
use crate::catalogue::told::{NameKind, RATING};
use crate::engine::Database;
use rusqlite::types::Value;
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

    /// A condition on `photo p`.
    fn sql(self, of: Asked<'_>) -> String {
        let simple = match self {
            Self::Portrait => "(p.height * 100 > p.width * 103)",
            Self::Landscape => "(p.width * 100 > p.height * 103)",
            Self::Square => "(p.width * 100 <= p.height * 103 AND p.height * 100 <= p.width * 103)",
            Self::Panorama => "(p.width >= 2 * p.height OR p.height >= 2 * p.width)",
            // As systems call them in some languages.
            Self::Screenshot => {
                return of.files(
                    "f.folded LIKE '%screen shot%' OR f.folded LIKE '%screen-shot%'
                     OR f.folded LIKE '%screen\\_shot%' ESCAPE '\\' OR f.folded LIKE '%screenshot%'
                     OR f.folded LIKE '%bildschirmfoto%' OR f.folded LIKE '%capture d%ecran%'
                     OR f.folded LIKE '%captura de pantalla%' OR f.folded LIKE '%schermafbeelding%'
                     OR f.folded LIKE '%schermata%'",
                );
            }
            Self::Damaged => "(p.remark IS NOT NULL)",
            Self::Raw => "(p.format = 'raw')",
            Self::Video => "(p.format = 'video')",
            Self::Live => {
                "(p.motion IS NOT NULL OR p.format <> 'video' AND EXISTS (SELECT 1 FROM stack s JOIN stack o
                 ON o.leader = s.leader JOIN photo v ON v.id = o.photo WHERE s.photo = p.id AND v.format = 'video'))"
            }
        };
        simple.into()
    }
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

    /// A condition on `photo p`.
    fn sql(self, of: Asked<'_>) -> String {
        let simple = match self {
            Self::Caption => {
                return of.shared(&format!("SELECT photo FROM caption WHERE text <> ''{}", of.and("photo")));
            }
            Self::Keyword => return of.shared(&named(NameKind::Keyword, None, of)),
            Self::Person => return of.shared(&named(NameKind::Person, None, of)),
            Self::Date => "(p.taken IS NOT NULL)",
            Self::Camera => "(p.camera IS NOT NULL)",
            Self::Place => {
                "(p.latitude + p.longitude IS NOT NULL OR coalesce(p.location, p.city, p.region, p.country) IS NOT NULL)"
            }
            Self::Text => return of.shared(&format!("SELECT photo FROM reading WHERE text <> ''{}", of.and("photo"))),
            Self::Description => "(coalesce(p.title, p.description) IS NOT NULL)",
            Self::Rating => return format!("({RATING} IS NOT NULL)"),
            Self::Tags => "EXISTS (SELECT 1 FROM tag t WHERE t.photo = p.id)",
            Self::Cluster => "EXISTS (SELECT 1 FROM member m WHERE m.photo = p.id AND m.cluster IS NOT NULL)",
            Self::Album => {
                return of.shared(&format!(
                    "SELECT q.id FROM album_picture a JOIN photo q ON q.picture = a.picture WHERE true{}",
                    of.and("q.id")
                ));
            }
            Self::Chat => "EXISTS (SELECT 1 FROM conversation c WHERE c.picture = p.picture)",
        };
        simple.to_owned()
    }
}

/// Which photos are asked for, and of which engine.
#[derive(Clone, Copy)]
struct Asked<'a> {
    db: &'a Database,
    /// Only those in the list ?1.
    is_listed: bool,
}

impl Asked<'_> {
    /// What follows a condition, so that of a list for [`Asked::shared`] no more is made than is needed: the photos
    /// that are asked for, and those that were taken as one with them.
    fn and(self, photo: &str) -> String {
        if !self.is_listed {
            return String::new();
        }
        format!(
            " AND {photo} IN (SELECT value FROM json_each(?1) UNION SELECT s.photo FROM stack o
             JOIN stack s ON s.leader = o.leader WHERE o.photo {LISTED})"
        )
    }

    /// A condition on `photo p`: it is among the photos that this query selects. SQLite makes a list of them once; a
    /// server would look through a long one for each photo, but joins.
    fn among(self, photos: &str) -> String {
        match self.db.server() {
            None => format!("p.id IN ({photos})"),
            Some(_) => format!("EXISTS (SELECT 1 FROM ({photos}) AS found (photo) WHERE found.photo = p.id)"),
        }
    }

    /// A condition on `photo p`: it, or one that was taken as one with it, is among the photos that this query selects.
    fn shared(self, photos: &str) -> String {
        self.among(&format!(
            "WITH own(photo) AS ({photos}) SELECT photo FROM own UNION ALL SELECT s.photo FROM own
             JOIN stack o ON o.photo = own.photo JOIN stack s ON s.leader = o.leader"
        ))
    }

    /// A condition on `photo p`: one of its files `f` satisfies this one.
    fn files(self, condition: &str) -> String {
        if self.is_listed {
            format!("EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id AND ({condition}))")
        } else {
            self.among(&format!("SELECT f.photo FROM file f WHERE {condition}"))
        }
    }

    /// A condition on `photo p`: one of its tags contains the words that are bound next.
    fn tagged(self) -> String {
        if self.is_listed {
            return "EXISTS (SELECT 1 FROM tag t WHERE t.photo = p.id AND instr(t.folded, ?) > 0)".into();
        }
        // There are few tags. Each is compared once, and found in the index as the next one.
        self.among(
            "WITH RECURSIVE known(folded) AS (SELECT min(folded) FROM tag UNION ALL
             SELECT (SELECT min(t.folded) FROM tag t WHERE t.folded > known.folded) FROM known
             WHERE known.folded IS NOT NULL)
             SELECT t.photo FROM known JOIN tag t ON t.folded = known.folded WHERE instr(known.folded, ?) > 0",
        )
    }
}

/// A query for the photos that have names of this kind, whose words have this value within them if `with_words`.
fn named(kind: NameKind, with_words: Option<usize>, of: Asked<'_>) -> String {
    let condition =
        |table: &str| with_words.map_or(String::new(), |at| format!(" AND instr({table}.folded, ?{at}) > 0"));
    let of_files = format!(
        "SELECT f.photo FROM named n JOIN file f ON f.id = n.file WHERE n.kind = '{}'{}{}",
        kind.as_str(),
        condition("n"),
        of.and("f.photo")
    );
    match kind {
        NameKind::Person => of_files,
        // Own tags are keywords.
        NameKind::Keyword => format!(
            "{of_files} UNION ALL SELECT q.id FROM own_tag o JOIN photo q ON q.picture = o.picture WHERE true{}{}",
            condition("o"),
            of.and("q.id")
        ),
    }
}

impl Filters {
    /// Whether there are no clauses, so that every photo passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The ids of the photos that pass, ascending. Label clauses are left to [`crate::kept::labels::LabelFilter`].
    pub(crate) fn allowed(&self, db: &Database) -> rusqlite::Result<Vec<i64>> {
        self.select(db, None)
    }

    /// Those of these photos that pass, ascending, at a cost that does not grow with the library. Label clauses are
    /// left to [`crate::kept::labels::LabelFilter`].
    pub(crate) fn passing(&self, db: &Database, ids: &[i64]) -> rusqlite::Result<Vec<i64>> {
        if ids.is_empty() { Ok(Vec::new()) } else { self.select(db, Some(ids)) }
    }

    fn select(&self, db: &Database, ids: Option<&[i64]>) -> rusqlite::Result<Vec<i64>> {
        let of = Asked { db, is_listed: ids.is_some() };
        let which = ids.map_or_else(String::new, |_| format!(" AND p.id {LISTED}"));
        let mut sql =
            format!("SELECT p.id FROM photo p WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id){which}");
        let mut values: Vec<Value> = ids.into_iter().map(|ids| Value::from(list_of(ids))).collect();
        for clause in &self.clauses {
            let Some(condition) = clause.filter.sql(&mut values, of) else { continue };
            // An unknown fact (NULL) counts as "not satisfied", also where the clause is negated. What is plain helps
            // the planner of a server.
            sql.push_str(&match (clause.exclude, condition.starts_with("EXISTS ")) {
                (false, _) => format!(" AND ({condition})"),
                (true, true) => format!(" AND NOT {condition}"),
                (true, false) => format!(" AND NOT coalesce({condition}, false)"),
            });
        }
        sql.push_str(" ORDER BY p.id");
        let mut statement = db.prepare(&sql)?;
        let rows = statement.query_map(crate::engine::values_of(values), |row| row.get(0))?;
        rows.collect()
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

fn suffix(ext: &str) -> String {
    format!(".{}", paths::fold(ext))
}

impl Filter {
    /// A condition on `photo p`; its values are pushed in the order of the question marks. `None` if SQL cannot do it.
    fn sql(&self, values: &mut Vec<Value>, of: Asked<'_>) -> Option<String> {
        let whole = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        Some(match self {
            Self::Path(text) => {
                values.push(of.db.mounts().folded(text).into());
                of.files("instr(f.folded, ?) > 0")
            }
            Self::Tag(text) => {
                values.push(paths::padded_words(text).into());
                of.tagged()
            }
            Self::Caption(text) => {
                values.push(paths::padded_words(text).into());
                of.shared(&format!("SELECT photo FROM caption WHERE instr(folded, ?) > 0{}", of.and("photo")))
            }
            Self::Text(text) => {
                values.push(paths::padded_words(text).into());
                of.shared(&format!("SELECT photo FROM reading WHERE instr(folded, ?) > 0{}", of.and("photo")))
            }
            Self::Label { .. } => return None,
            Self::Has(fact) => fact.sql(of),
            Self::Cluster(name) if paths::fold(name) == NO_CLUSTER => {
                "NOT EXISTS (SELECT 1 FROM member m WHERE m.photo = p.id AND m.cluster IS NOT NULL)".into()
            }
            Self::Cluster(name) => {
                values.push(paths::fold(name).into());
                "EXISTS (SELECT 1 FROM member m JOIN cluster c ON c.id = m.cluster WHERE m.photo = p.id AND c.folded = ?)"
                    .into()
            }
            Self::Album(name) => {
                values.push(paths::fold(name).into());
                of.shared(&format!(
                    "SELECT q.id FROM album n JOIN album_picture a ON a.album = n.id JOIN photo q ON q.picture = a.picture
                     WHERE n.folded = ?{}",
                    of.and("q.id")
                ))
            }
            Self::Ext(list) => {
                let mut either = Vec::new();
                for ext in list {
                    let escaped = suffix(ext).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                    values.push(format!("%{escaped}").into());
                    either.push("f.folded LIKE ? ESCAPE '\\'");
                }
                of.files(&either.join(" OR "))
            }
            Self::Camera(text) => {
                values.push(paths::fold(text).into());
                "(instr(p.camera_folded, ?) > 0)".into()
            }
            Self::Lens(text) => {
                values.push(paths::fold(text).into());
                "(instr(fold(p.lens), ?) > 0)".into()
            }
            Self::OwnerText(place, text) => {
                values.push(paths::padded_words(text).into());
                let of_kind = |kind| of.shared(&named(kind, Some(values.len()), of));
                match place {
                    OwnerText::Keyword => of_kind(NameKind::Keyword),
                    OwnerText::Person => of_kind(NameKind::Person),
                    OwnerText::Title => "(instr(words(p.title), ?) > 0)".into(),
                    OwnerText::Description => "(instr(words(p.description), ?) > 0)".into(),
                    OwnerText::Creator => "(instr(words(p.creator), ?) > 0)".into(),
                }
            }
            Self::Place(names) => {
                let mut either = Vec::new();
                for name in names {
                    values.push(paths::padded_words(name).into());
                    either.push("coalesce(instr(p.place_folded, ?) > 0, false)");
                }
                format!("({})", either.join(" OR "))
            }
            Self::Format(names) => {
                values.extend(names.iter().map(|name| Value::from(name.to_lowercase())));
                format!("(p.format IN ({}))", vec!["?"; names.len()].join(", "))
            }
            Self::Iso { min, max } => {
                values.push(whole((*min).into()));
                values.push(whole((*max).into()));
                "(p.iso BETWEEN ? AND ?)".into()
            }
            Self::Near { center: Center::At(latitude, longitude), km } => {
                values.extend([latitude, longitude, km].map(|number| Value::Real(*number)));
                "(kilometres(p.latitude, p.longitude, ?, ?) <= ?)".into()
            }
            Self::Around { moment: Moment::At(moment), seconds } => {
                values.push(moment.clone().into());
                values.push(whole(u64::from(*seconds)));
                // A day alone is no moment. Julian days are fractions, whose last bits are lost.
                "(length(p.taken) > 10 AND round(abs(julianday(p.taken) - julianday(?)) * 86400) <= ?)".into()
            }
            Self::Near { .. } | Self::Around { .. } => "false".into(),
            Self::Color(name) => {
                values.push(format!(" {name} ").into());
                "(instr(p.colors, ?) > 0)".into()
            }
            Self::Is(shape) => shape.sql(of),
            Self::Taken { from, to, guess } => {
                let changed = format!(
                    "coalesce(p.taken, (SELECT strftime('%Y-%m-%dT%H:%M:%S', min(f.mtime_ns) / 1000000000, 'unixepoch',
                     'localtime') FROM file f WHERE f.photo = p.id AND f.mtime_ns > {NO_CLOCK_NS}))"
                );
                let taken = if *guess { changed.as_str() } else { "p.taken" };
                let mut both = vec![format!("{taken} IS NOT NULL")];
                if let Some(from) = from {
                    values.push(from.clone().into());
                    both.push(format!("{taken} >= ?"));
                }
                if let Some(to) = to {
                    // '~' sorts after everything that can follow the prefix.
                    values.push(format!("{to}~").into());
                    values.push(to.clone().into());
                    values.push(to.clone().into());
                    // A year of which no more is known may be later than its first month.
                    both.push(format!("{taken} < ? AND NOT (length({taken}) < length(?) AND instr(?, {taken}) = 1)"));
                }
                format!("({})", both.join(" AND "))
            }
            Self::Rating { min, max } => {
                values.push(Value::Integer((*min).into()));
                values.push(Value::Integer((*max).into()));
                format!("({RATING} BETWEEN ? AND ?)")
            }
            Self::Wider(pixels) => {
                values.push(whole(u64::from(*pixels)));
                "(p.width >= ?)".into()
            }
            Self::Taller(pixels) => {
                values.push(whole(u64::from(*pixels)));
                "(p.height >= ?)".into()
            }
            Self::Size { min, max } => {
                values.push(whole(min.unwrap_or(0)));
                values.push(whole(max.unwrap_or(u64::MAX)));
                of.files("f.size BETWEEN ? AND ?")
            }
        })
    }
}
