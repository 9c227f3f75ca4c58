//! In which order photos are listed that no vector ranks.

use crate::catalogue::paths;
use crate::catalogue::stored::{LISTED, list_of};
use crate::catalogue::told;
use crate::engine::{Database, values_of};
use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use std::cmp::Reverse;

/// The order of the hits of a search without a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// Best first. Without words, those with the likeliest label first, otherwise the newest first.
    #[default]
    Best,
    /// Newest first; those without a date last.
    Date,
    /// By the name of their first file, without its folder; case and accents are ignored.
    Name,
    /// Largest first.
    Size,
    /// By the path of their first file.
    Path,
    /// Most stars first; those without a rating before the rejected ones.
    Rating,
}

/// What photos are sorted by, by ascending id.
pub(super) struct SortKeys(Vec<(i64, Option<SortKey>)>);

impl SortKeys {
    /// Of all photos, or of some of them.
    pub(super) fn read(db: &Database, order: Order, some: Option<&[i64]>) -> rusqlite::Result<Self> {
        let rated = format!("id, taken, {}", told::RATING);
        let (what, from, id, grouped) = match order {
            Order::Best | Order::Date => ("id, taken", "photo", "id", ""),
            Order::Rating => (rated.as_str(), "photo p", "id", ""),
            Order::Name | Order::Path => ("photo, min(path)", "file", "photo", "GROUP BY photo"),
            Order::Size => ("photo, max(size)", "file", "photo", "GROUP BY photo"),
        };
        let listed = some.map_or_else(String::new, |_| format!("WHERE {id} {LISTED}"));
        let mut statement =
            db.prepare_cached(&format!("SELECT {what} FROM {from} {listed} {grouped} ORDER BY {id}"))?;
        let list = some.map(list_of);
        let mut rows = statement.query(values_of(&list))?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let key = match order {
                Order::Best | Order::Date => SortKey::Newest(Reverse(row.get(1)?)),
                Order::Rating => {
                    let stars: Option<i64> = row.get(2)?;
                    SortKey::Rated(Reverse(stars.unwrap_or_default()), Reverse(row.get(1)?))
                }
                Order::Size => SortKey::Largest(Reverse(row.get(1)?)),
                Order::Path => SortKey::Path(row.get(1)?),
                Order::Name => {
                    let path = row.stored_path(1)?;
                    SortKey::Name(paths::fold(&path.file_name().unwrap_or_default().to_string_lossy()))
                }
            };
            keys.push((row.get(0)?, Some(key)));
        }
        Ok(Self(keys))
    }

    /// The key of a photo, once: it is compared faster where it is not elsewhere.
    pub(super) fn take(&mut self, id: i64) -> Option<SortKey> {
        let at = self.0.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.0.get_mut(at)?.1.take()
    }
}

/// What photos are sorted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    Newest(Reverse<Option<TakenKey>>),
    Largest(Reverse<i64>),
    Rated(Reverse<i64>, Reverse<Option<TakenKey>>),
    Path(Vec<u8>),
    Name(String),
}

/// When a photo was taken, compared as its text is: as numbers, which are compared at once.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TakenKey {
    start: [u64; 3],
    /// `None` for what is usual: to compare two empty texts takes many times as long as to compare two numbers.
    rest: Option<Box<[u8]>>,
}

impl FromSql for TakenKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?.as_bytes();
        let mut bytes = [0; 24];
        bytes.iter_mut().zip(text).for_each(|(to, byte)| *to = *byte);
        let (eights, _) = bytes.as_chunks::<8>();
        let mut start = [0; 3];
        start.iter_mut().zip(eights).for_each(|(to, eight)| *to = u64::from_be_bytes(*eight));
        Ok(Self { start, rest: text.get(bytes.len()..).filter(|rest| !rest.is_empty()).map(Box::from) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_sorted_as_their_texts_are() {
        let long = |end: char| format!("2019-06-15T12:00:00.123456{end}");
        let texts = ["", "2019", "2019-06", "2019-06-15T12:00:00", &long('1'), &long('2'), "2020", "\u{fc}ber"];
        let key = |text: &&str| TakenKey::column_result(ValueRef::Text(text.as_bytes()));
        let keys: Vec<TakenKey> = texts.iter().filter_map(|text| key(text).ok()).collect();
        assert!(keys.len() == texts.len() && keys.is_sorted());
        assert!(keys.array_windows().all(|[a, b]| a < b));
    }
}
