//! Filters as conditions in SQL, which either asks the whole catalogue or about some photos.

use super::filters::{Center, Fact, Filter, Filters, Moment, NO_CLOCK_NS, NO_CLUSTER, OwnerText, Shape, suffix};
use crate::catalogue::paths;
use crate::catalogue::stored::{LISTED, list_of};
use crate::catalogue::told::{NameKind, RATING};
use crate::engine::Database;
use rusqlite::types::Value;

impl Filters {
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
        let of = FilterScope { db, is_listed: ids.is_some() };
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

    /// Whether an index tells that at most so many photos pass, so that they are listed at once.
    pub(crate) fn pass_at_most(&self, db: &Database, most: usize) -> rusqlite::Result<bool> {
        let of = FilterScope { db, is_listed: false };
        for clause in self.clauses.iter().filter(|clause| !clause.exclude) {
            let mut values = Vec::new();
            let Some(IndexedPhotos { photos, .. }) = clause.filter.indexed(&mut values, of) else { continue };
            let first = format!("SELECT 1 FROM ({photos}) AS found LIMIT {}", most.saturating_add(1));
            let mut statement = db.prepare_cached(&format!("SELECT count(*) FROM ({first}) AS first"))?;
            let count: usize = statement.query_row(crate::engine::values_of(values), |row| row.get(0))?;
            if count <= most {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Which photos are asked for, and of which engine.
#[derive(Clone, Copy)]
struct FilterScope<'a> {
    db: &'a Database,
    /// Only those in the list ?1.
    is_listed: bool,
}

impl FilterScope<'_> {
    /// What follows a condition, so that of a list for [`FilterScope::shared`] no more is made than is needed: the
    /// photos that are asked for, and those that were taken as one with them.
    fn and(self, photo: &str) -> String {
        if !self.is_listed {
            return String::new();
        }
        format!(
            " AND {photo} IN (SELECT value FROM json_each(?1) UNION SELECT s.photo FROM stack o
             JOIN stack s ON s.leader = o.leader WHERE o.photo {LISTED})"
        )
    }

    /// Whether [`rows_of_values`] is fast: an index of a server would refuse long texts, and so refuse their photos.
    fn has_values(self) -> bool {
        !self.is_listed && self.db.server().is_none()
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
}

/// What finds those rows of a table by its index whose column has a value that satisfies a condition on `known.value`:
/// of few values, each is compared once, and found as the next one.
fn rows_of_values(table: &str, column: &str, condition: &str) -> String {
    format!(
        "(WITH RECURSIVE known(value) AS (SELECT min({column}) FROM {table} UNION ALL
         SELECT (SELECT min(t.{column}) FROM {table} t WHERE t.{column} > known.value) FROM known
         WHERE known.value IS NOT NULL) SELECT value FROM known WHERE {condition}) AS known
         JOIN {table} t ON t.{column} = known.value"
    )
}

/// A query for the photos that have names of this kind, whose words have this value within them if `with_words`.
fn named(kind: NameKind, with_words: Option<usize>, of: FilterScope<'_>) -> String {
    let condition = |text: &str| with_words.map_or("true".into(), |at| format!("instr({text}, ?{at}) > 0"));
    let (rows, condition_of_rows) = match with_words {
        Some(_) if of.has_values() => (rows_of_values("named", "folded", &condition("known.value")), "true".into()),
        _ => ("named t".into(), condition("t.folded")),
    };
    let of_files = format!(
        "SELECT f.photo FROM {rows} JOIN file f ON f.id = t.file WHERE t.kind = '{}' AND {condition_of_rows}{}",
        kind.as_str(),
        of.and("f.photo")
    );
    match kind {
        NameKind::Person => of_files,
        // Own tags are keywords.
        NameKind::Keyword => format!(
            "{of_files} UNION ALL SELECT q.id FROM own_tag o JOIN photo q ON q.picture = o.picture WHERE {}{}",
            condition("o.folded"),
            of.and("q.id")
        ),
    }
}

/// A query for the photos in the album whose name is bound as this value.
fn of_album(name: usize, of: FilterScope<'_>) -> String {
    format!(
        "SELECT q.id FROM album n JOIN album_picture a ON a.album = n.id JOIN photo q ON q.picture = a.picture
         WHERE n.folded = ?{name}{}",
        of.and("q.id")
    )
}

/// What an index finds of a filter.
struct IndexedPhotos {
    /// A query for photos, whose cost grows with how many they are.
    photos: String,
    /// Whether those that were taken as one with them satisfy the filter, too.
    is_shared: bool,
}

impl Filter {
    /// What an index finds; the values are pushed as by [`Filter::sql`].
    fn indexed(&self, values: &mut Vec<Value>, of: FilterScope<'_>) -> Option<IndexedPhotos> {
        let mut bound = |value: String| {
            values.push(value.into());
            values.len()
        };
        let mut within = |text: String| format!("instr(known.value, ?{}) > 0", bound(text));
        let of_photos =
            |column, condition: &str| format!("SELECT t.id FROM {}", rows_of_values("photo", column, condition));
        let (photos, is_shared) = match self {
            Self::Tag(text) if of.has_values() => {
                let rows = rows_of_values("tag", "folded", &within(paths::padded_words(text)));
                (format!("SELECT t.photo FROM {rows}"), false)
            }
            Self::Camera(text) if of.has_values() => (of_photos("camera_folded", &within(paths::fold(text))), false),
            Self::Place(names) if of.has_values() => {
                let either: Vec<String> = names.iter().map(|name| within(paths::padded_words(name))).collect();
                (of_photos("place_folded", &either.join(" OR ")), false)
            }
            Self::OwnerText(place @ (OwnerText::Keyword | OwnerText::Person), text) if of.has_values() => {
                let is_keyword = *place == OwnerText::Keyword;
                let kind = if is_keyword { NameKind::Keyword } else { NameKind::Person };
                (named(kind, Some(bound(paths::padded_words(text))), of), true)
            }
            Self::Cluster(name) if paths::fold(name) != NO_CLUSTER => (
                format!(
                    "SELECT m.photo FROM cluster c JOIN member m ON m.cluster = c.id WHERE c.folded = ?{}",
                    bound(paths::fold(name))
                ),
                false,
            ),
            Self::Album(name) => (of_album(bound(paths::fold(name)), of), true),
            _ => return None,
        };
        Some(IndexedPhotos { photos, is_shared })
    }

    /// A condition on `photo p`; its values are pushed in the order of the question marks. `None` if SQL cannot do it.
    fn sql(&self, values: &mut Vec<Value>, of: FilterScope<'_>) -> Option<String> {
        let whole = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        if !of.is_listed
            && let Some(IndexedPhotos { photos, is_shared }) = self.indexed(values, of)
        {
            return Some(if is_shared { of.shared(&photos) } else { of.among(&photos) });
        }
        Some(match self {
            Self::Path(text) => {
                values.push(of.db.mounts().folded(text).into());
                of.files("instr(f.folded, ?) > 0")
            }
            Self::Tag(text) => {
                values.push(paths::padded_words(text).into());
                "EXISTS (SELECT 1 FROM tag t WHERE t.photo = p.id AND instr(t.folded, ?) > 0)".into()
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
                of.shared(&of_album(values.len(), of))
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

impl Shape {
    /// A condition on `photo p`.
    fn sql(self, of: FilterScope<'_>) -> String {
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

impl Fact {
    /// A condition on `photo p`.
    fn sql(self, of: FilterScope<'_>) -> String {
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
