//! Filters: conditions that photos must satisfy, whatever their meaning.

use crate::catalogue::paths;
use rusqlite::Connection;
use rusqlite::types::Value;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// The clauses, in the order of the query.
    pub clauses: Vec<Clause>,
}

/// A condition, or its negation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The condition.
    pub filter: Filter,
    /// Whether the photo must not satisfy it.
    pub exclude: bool,
}

/// A condition on a photo. Photos that lack the fact (no date, no camera) do not satisfy it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// One of its paths contains this text; case and accents are ignored.
    Path(String),
    /// One of its tags contains these words, whole and in this order.
    Tag(String),
    /// Its caption contains these words, whole and in this order.
    Caption(String),
    /// This is known about it.
    Has(Fact),
    /// It is in the cluster of this name; `none`: it is in no cluster. Case and accents are ignored.
    Cluster(String),
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
    /// It was taken within these dates, both included; each a prefix of `2019-06-15`.
    Taken {
        /// The first date.
        from: Option<String>,
        /// The last date.
        to: Option<String>,
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

/// Something that may be known about a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A caption that is not empty.
    Caption,
    /// When it was taken.
    Date,
    /// The camera.
    Camera,
    /// Where it was taken.
    Place,
    /// Stars that a person gave it, or that it was rejected.
    Rating,
    /// A tag.
    Tags,
    /// A cluster that it is in.
    Cluster,
    /// A chat about it.
    Chat,
}

impl Fact {
    /// All of them, with their names in a query.
    pub(crate) const ALL: [(&str, Self); 8] = [
        ("caption", Self::Caption),
        ("date", Self::Date),
        ("camera", Self::Camera),
        ("place", Self::Place),
        ("rating", Self::Rating),
        ("tags", Self::Tags),
        ("cluster", Self::Cluster),
        ("chat", Self::Chat),
    ];

    /// A condition on `photo p`.
    fn sql(self) -> &'static str {
        match self {
            Self::Caption => "EXISTS (SELECT 1 FROM caption c WHERE c.photo = p.id AND c.text <> '')",
            Self::Date => "(p.taken IS NOT NULL)",
            Self::Camera => "(p.camera IS NOT NULL)",
            Self::Place => "(p.latitude IS NOT NULL AND p.longitude IS NOT NULL)",
            Self::Rating => "(p.rating IS NOT NULL)",
            Self::Tags => "EXISTS (SELECT 1 FROM tag t WHERE t.photo = p.id)",
            Self::Cluster => "EXISTS (SELECT 1 FROM member m WHERE m.photo = p.id AND m.cluster IS NOT NULL)",
            Self::Chat => "EXISTS (SELECT 1 FROM conversation c WHERE c.picture = p.picture)",
        }
    }
}

impl Filters {
    /// Whether there are no clauses, so that every photo passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The ids of the photos that pass, ascending. Label clauses are left to [`crate::kept::labels::LabelFilter`].
    pub(crate) fn allowed(&self, db: &Connection) -> rusqlite::Result<Vec<i64>> {
        let mut sql = String::from("SELECT p.id FROM photo p WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id)");
        let mut values = Vec::new();
        for clause in &self.clauses {
            let Some(condition) = clause.filter.sql(&mut values) else { continue };
            // An unknown fact (NULL) counts as "not satisfied", also where the clause is negated.
            sql.push_str(&format!(" AND {}ifnull({condition}, 0)", if clause.exclude { "NOT " } else { "" }));
        }
        sql.push_str(" ORDER BY p.id");
        let mut statement = db.prepare(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
        rows.collect()
    }

    /// Whether a path satisfies the path and extension clauses.
    pub(crate) fn prefers(&self, path: &std::path::Path) -> bool {
        let folded = paths::fold(&path.to_string_lossy());
        self.clauses.iter().all(|clause| match &clause.filter {
            Filter::Path(text) => folded.contains(&paths::fold(text)) != clause.exclude,
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
    fn sql(&self, values: &mut Vec<Value>) -> Option<String> {
        let whole = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        Some(match self {
            Self::Path(text) => {
                values.push(paths::fold(text).into());
                "EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id AND instr(f.folded, ?))".into()
            }
            Self::Tag(text) => {
                values.push(paths::padded_words(text).into());
                "EXISTS (SELECT 1 FROM tag t WHERE t.photo = p.id AND instr(t.folded, ?))".into()
            }
            Self::Caption(text) => {
                values.push(paths::padded_words(text).into());
                "EXISTS (SELECT 1 FROM caption c WHERE c.photo = p.id AND instr(c.folded, ?))".into()
            }
            Self::Label { .. } => return None,
            Self::Has(fact) => fact.sql().into(),
            Self::Cluster(name) if paths::fold(name) == NO_CLUSTER => {
                "NOT EXISTS (SELECT 1 FROM member m WHERE m.photo = p.id AND m.cluster IS NOT NULL)".into()
            }
            Self::Cluster(name) => {
                values.push(paths::fold(name).into());
                "EXISTS (SELECT 1 FROM member m JOIN cluster c ON c.id = m.cluster WHERE m.photo = p.id AND c.folded = ?)"
                    .into()
            }
            Self::Ext(list) => {
                let mut either = Vec::new();
                for ext in list {
                    let suffix = suffix(ext);
                    values.push(whole(suffix.chars().count() as u64));
                    values.push(suffix.into());
                    either.push("substr(f.folded, -?) = ?");
                }
                format!("EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id AND ({}))", either.join(" OR "))
            }
            Self::Camera(text) => {
                values.push(paths::fold(text).into());
                "(instr(p.camera_folded, ?) > 0)".into()
            }
            Self::Taken { from, to } => {
                let mut both = vec!["p.taken IS NOT NULL"];
                if let Some(from) = from {
                    values.push(from.clone().into());
                    both.push("p.taken >= ?");
                }
                if let Some(to) = to {
                    // '~' sorts after everything that can follow the prefix.
                    values.push(format!("{to}~").into());
                    both.push("p.taken < ?");
                }
                format!("({})", both.join(" AND "))
            }
            Self::Rating { min, max } => {
                values.push(Value::Integer((*min).into()));
                values.push(Value::Integer((*max).into()));
                "(p.rating BETWEEN ? AND ?)".into()
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
                "EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id AND f.size BETWEEN ? AND ?)".into()
            }
        })
    }
}
