//! Which values photos have of a field, and how many photos have each: what a person can filter by.

use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::stored::text_of;
use crate::catalogue::told::RATING;
use crate::error::Result;
use std::collections::HashMap;

/// The most values of a field.
const MOST: usize = 1_000;

/// A field of photos that has few values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FacetField {
    /// The year in which they were taken, as `2019`.
    Year,
    /// The month, as `2019-06`.
    Month,
    /// The camera.
    Camera,
    /// The lens.
    Lens,
    /// The town where they were taken.
    Town,
    /// Who is on them.
    Person,
    /// Their owner's keywords.
    Keyword,
    /// What the model that answers sees in them.
    Tag,
    /// The folder of their files, with its path.
    Folder,
    /// The format of their files.
    Format,
    /// Stars.
    Rating,
}

impl FacetField {
    /// All of them, with their names for people, and the filters of the query language that ask for their values.
    pub const ALL: [(Self, &str, &str); 11] = [
        (Self::Year, "year", "taken"),
        (Self::Month, "month", "taken"),
        (Self::Camera, "camera", "camera"),
        (Self::Lens, "lens", "lens"),
        (Self::Town, "place", "place"),
        (Self::Person, "people", "person"),
        (Self::Keyword, "keywords", "keyword"),
        (Self::Tag, "tags", "tag"),
        (Self::Folder, "folder", "path"),
        (Self::Format, "format", "format"),
        (Self::Rating, "rating", "rating"),
    ];
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The value; foreign text.
    pub value: String,
    /// How many photos have it.
    pub photos: u64,
}

impl Library {
    /// The values of a field: years and months the newest first, stars the most first, all others the most frequent
    /// first; at most the first 1,000.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn facets(&self, field: FacetField) -> Result<Vec<Facet>> {
        const SHOWN: &str = "EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id)";
        const FREQUENT: &str = "count(*) DESC, 1";
        let of_photo = |value: &str, order: &str| {
            format!(
                "SELECT {value}, count(*) FROM photo p WHERE {value} IS NOT NULL AND {SHOWN} GROUP BY 1 ORDER BY {order}"
            )
        };
        let sql = match field {
            FacetField::Folder => {
                let mut folders = self.folder_counts()?;
                folders.truncate(MOST);
                return Ok(folders);
            }
            FacetField::Year => of_photo("substr(p.taken, 1, 4)", "1 DESC"),
            FacetField::Month => of_photo("substr(p.taken, 1, 7)", "1 DESC"),
            FacetField::Camera => of_photo("p.camera", FREQUENT),
            FacetField::Lens => of_photo("p.lens", FREQUENT),
            FacetField::Town => {
                of_photo("coalesce(p.city, substr(p.place, 1, instr(p.place || ',', ',') - 1))", FREQUENT)
            }
            FacetField::Format => of_photo("nullif(p.format, '')", FREQUENT),
            FacetField::Rating => of_photo(RATING, "1 DESC"),
            FacetField::Person => "SELECT min(n.text), count(DISTINCT f.photo) FROM named n JOIN file f ON f.id = n.file
                 WHERE n.kind = 'person' GROUP BY n.folded ORDER BY 2 DESC, 1"
                .into(),
            FacetField::Keyword => format!(
                "SELECT min(text), count(DISTINCT photo) FROM (SELECT n.text, n.folded, f.photo FROM named n
                 JOIN file f ON f.id = n.file WHERE n.kind = 'keyword' UNION ALL SELECT o.name, o.folded, p.id
                 FROM own_tag o JOIN photo p ON p.picture = o.picture WHERE {SHOWN}) AS words GROUP BY folded ORDER BY 2 DESC, 1"
            ),
            FacetField::Tag => "SELECT min(label), count(*) FROM tag GROUP BY folded ORDER BY 2 DESC, 1".into(),
        };
        self.sql(|db| {
            let mut statement = db.prepare_cached(&format!("{sql} LIMIT {MOST}"))?;
            let mut rows = statement.query([])?;
            let mut facets = Vec::new();
            while let Some(row) = rows.next()? {
                let value = match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    _ => text_of(&row, 0)?,
                };
                facets.push(Facet { value, photos: row.get(1)? });
            }
            Ok(facets)
        })
    }

    /// The folders that files lie in, with how many files lie in each, those with the most first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn folder_counts(&self) -> Result<Vec<Facet>> {
        let counts = self.sql(|db| {
            let mut statement = db.prepare_cached("SELECT path FROM file")?;
            let mut rows = statement.query([])?;
            let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
            while let Some(row) = rows.next()? {
                let path = row.get_ref(0)?.as_blob()?;
                let end = path.iter().rposition(|byte| *byte == b'/' || cfg!(windows) && *byte == b'\\').unwrap_or(0);
                match counts.get_mut(&path[..end]) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(path[..end].to_vec(), 1)),
                }
            }
            Ok(counts)
        })?;
        // What is not UTF-8 cannot be asked for.
        let shown = |(path, photos): (Vec<u8>, u64)| {
            Some(Facet { value: paths::from_bytes(&path).to_str()?.to_owned(), photos })
        };
        let mut folders: Vec<Facet> = counts.into_iter().filter_map(shown).collect();
        folders.sort_by(|a, b| b.photos.cmp(&a.photos).then(a.value.cmp(&b.value)));
        Ok(folders)
    }
}
