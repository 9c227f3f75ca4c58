//! What photos must satisfy besides their meaning.

use crate::catalogue::paths;
use rusqlite::Connection;
use rusqlite::types::Value;

/// What stands in `cluster:` for no cluster.
pub(crate) const NO_CLUSTER: &str = "none";

/// Words that must stand side by side in a photo's caption, tags, names or camera, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The words.
    pub text: String,
    /// Photos that have it are left out.
    pub exclude: bool,
}

/// Clauses that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// In the order of the query.
    pub clauses: Vec<Clause>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What is asked.
    pub filter: Filter,
    /// The photo must not satisfy it.
    pub exclude: bool,
}

/// One question about a photo. Photos that lack the fact (no date, no camera) do not satisfy it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A path of it holds this text; case and accents do not count.
    Path(String),
    /// A label of it holds these words, whole and in this order.
    Tag(String),
    /// Its caption holds these words, whole and in this order.
    Caption(String),
    /// It has a caption that is not empty.
    HasCaption,
    /// The cluster of this name holds it; `none`: no cluster does. Case and accents do not count.
    Cluster(String),
    /// It gets this label of the set of this name, or (`None`) any label of it. Case and accents do not count.
    Label {
        /// The set.
        set: String,
        /// The label.
        label: Option<String>,
    },
    /// A file name of it ends in one of these (without the dot).
    Ext(Vec<String>),
    /// Its camera's name holds this text; case and accents do not count.
    Camera(String),
    /// It was taken within these dates, both included; each a prefix of `2019-06-15`.
    Taken {
        /// First.
        from: Option<String>,
        /// Last.
        to: Option<String>,
    },
    /// At least this many pixels across.
    Wider(u32),
    /// At least this many pixels down.
    Taller(u32),
    /// Bytes of the file, both bounds included.
    Size {
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
}

impl Filters {
    /// Whether every photo passes, because nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The ids of the photos that pass, ascending. Labels are not looked at: [`crate::kept::labels::LabelFilter`].
    pub(crate) fn allowed(&self, db: &Connection) -> rusqlite::Result<Vec<i64>> {
        let mut sql = String::from("SELECT p.id FROM photo p WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id)");
        let mut values = Vec::new();
        for clause in &self.clauses {
            let Some(condition) = clause.filter.sql(&mut values) else { continue };
            // Unknown (NULL) is "not satisfied", before and after a negation.
            sql.push_str(&format!(" AND {}ifnull({condition}, 0)", if clause.exclude { "NOT " } else { "" }));
        }
        sql.push_str(" ORDER BY p.id");
        let mut statement = db.prepare(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
        rows.collect()
    }

    /// Whether a path is one that the path and extension clauses speak of.
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
    /// A condition on `photo p`; its values are pushed in the order of its question marks. `None` if SQL cannot say it.
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
            Self::HasCaption => "EXISTS (SELECT 1 FROM caption c WHERE c.photo = p.id AND c.text <> '')".into(),
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
                    // '~' sorts behind all that can follow the prefix.
                    values.push(format!("{to}~").into());
                    both.push("p.taken < ?");
                }
                format!("({})", both.join(" AND "))
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
                "(p.size BETWEEN ? AND ?)".into()
            }
        })
    }
}
