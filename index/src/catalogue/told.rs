//! What files say about their pictures: how the catalogue keeps it, and what a photo's files say together.

use super::paths;
use super::rows::Metadata;
use super::seal::{self, told_columns};
use super::stored::{LISTED, text_of};
use crate::engine::{Database, SqlRow, values_of};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};
use std::collections::{HashMap, HashSet};

/// The columns of `file` and `photo` that hold it, in the order of [`values`] and [`read`].
pub(crate) const COLUMNS: &str = told_columns!();

/// The stars of `photo p`: those that a person gave it in the library, or else what its files say.
pub(crate) const RATING: &str =
    "nullif(coalesce((SELECT o.stars FROM own_rating o WHERE o.picture = p.picture), p.rating), 0)";

/// What a name in the table `named` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    Keyword,
    Person,
}

impl NameKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Person => "person",
        }
    }
}

/// Keywords, and names of people.
pub(crate) type KeywordsAndPeople = (Vec<String>, Vec<String>);

/// Lets SQL compare texts as queries do: `fold` leaves out case and accents, `words` keeps whole words between blanks.
pub(crate) fn register(db: &rusqlite::Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for (name, function) in [("fold", paths::fold as fn(&str) -> String), ("words", paths::padded_words)] {
        db.create_scalar_function(name, 1, flags, move |context| {
            Ok(context.get_raw(0).as_bytes_or_null()?.map(|text| function(&String::from_utf8_lossy(text))))
        })?;
    }
    db.create_scalar_function("kilometres", 4, flags, |context| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| context.get::<Option<f64>>(at).ok().flatten());
        Ok(a.zip(b).zip(c.zip(d)).map(|(from, to)| kilometres(from, to)))
    })
}

/// How many kilometres two points, in degrees north and east, are apart, along a great circle of a sphere with the mean
/// radius of the earth. Source: the haversine formula.
#[must_use]
pub fn kilometres(from: (f64, f64), to: (f64, f64)) -> f64 {
    const RADIUS: f64 = 6_371.008_8;
    let (half, across) = (((to.0 - from.0).to_radians() / 2.0).sin(), ((to.1 - from.1).to_radians() / 2.0).sin());
    let square = half * half + from.0.to_radians().cos() * to.0.to_radians().cos() * across * across;
    2.0 * RADIUS * square.clamp(0.0, 1.0).sqrt().asin()
}

/// The values of [`COLUMNS`].
pub(crate) fn values(said: &Metadata) -> Vec<Value> {
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    // SQLite would store NaN as NULL.
    let real = |number: Option<f64>| number.filter(|n| n.is_finite()).map_or(Value::Null, Value::Real);
    vec![
        text(&said.taken),
        text(&said.taken_from),
        text(&said.taken_offset),
        text(&said.camera),
        text(&said.lens),
        real(said.aperture),
        real(said.exposure),
        said.iso.map_or(Value::Null, |iso| Value::Integer(iso.into())),
        real(said.focal_length),
        real(said.latitude),
        real(said.longitude),
        text(&said.place),
        said.rating.map_or(Value::Null, |stars| Value::Integer(stars.into())),
        text(&said.color_label),
        text(&said.title),
        text(&said.description),
        text(&said.creator),
        text(&said.copyright),
        text(&said.location),
        text(&said.city),
        text(&said.region),
        text(&said.country),
        if said.motion { Value::Integer(1) } else { Value::Null },
    ]
}

/// Reads [`COLUMNS`], which begin at this column; keywords and people are read by [`names_of_all`].
pub(crate) fn read(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<Metadata> {
    let text = |column: usize| match row.get_ref(at + column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => text_of(row, at + column).map(Some),
    };
    Ok(Metadata {
        taken: text(0)?,
        taken_from: text(1)?,
        taken_offset: text(2)?,
        camera: text(3)?,
        lens: text(4)?,
        aperture: row.get(at + 5)?,
        exposure: row.get(at + 6)?,
        iso: row.get(at + 7)?,
        focal_length: row.get(at + 8)?,
        latitude: row.get(at + 9)?,
        longitude: row.get(at + 10)?,
        place: text(11)?,
        rating: row.get(at + 12)?,
        color_label: text(13)?,
        title: text(14)?,
        description: text(15)?,
        creator: text(16)?,
        copyright: text(17)?,
        location: text(18)?,
        city: text(19)?,
        region: text(20)?,
        country: text(21)?,
        motion: row.get::<_, Option<bool>>(at + 22)?.unwrap_or(false),
        ..Metadata::default()
    })
}

/// Words as a column keeps them, in which a whole word is found between blanks.
pub(crate) fn joined(words: &[String]) -> String {
    format!(" {} ", words.join(" "))
}

/// The keywords and the people of each photo of a list of ids (JSON), each once: its own tags, then those of its files
/// in their order.
pub(crate) fn names_of_all(db: &Database, list: &str) -> rusqlite::Result<HashMap<i64, KeywordsAndPeople>> {
    let own = format!(
        "SELECT p.id, false, o.name FROM own_tag o JOIN photo p ON p.picture = o.picture
         WHERE p.id {LISTED} ORDER BY p.id, o.folded"
    );
    let of_files = format!(
        "SELECT f.photo, n.kind = '{}', n.text FROM named n JOIN file f ON f.id = n.file
         WHERE f.photo {LISTED} ORDER BY f.photo, f.path, n.position",
        NameKind::Person.as_str()
    );
    let mut all: HashMap<i64, Vec<(bool, String)>> = HashMap::new();
    for sql in [own, of_files] {
        db.prepare_cached(&sql)?.for_each([list], |row| {
            all.entry(row.get(0)?).or_default().push((row.get(1)?, text_of(row, 2)?));
            Ok(true)
        })?;
    }
    let sorted_out = |names: Vec<(bool, String)>| {
        let (people, keywords): (Vec<_>, Vec<_>) = names.into_iter().partition(|(is_person, _)| *is_person);
        let texts = |list: Vec<(bool, String)>| list.into_iter().map(|(_, name)| name).collect();
        together([(texts(keywords), texts(people))])
    };
    Ok(all.into_iter().map(|(photo, names)| (photo, sorted_out(names))).collect())
}

/// Keywords and people of several photos or files, each once.
pub(crate) fn together(all: impl IntoIterator<Item = KeywordsAndPeople>) -> KeywordsAndPeople {
    let (keywords, people): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let each_once = |lists: Vec<Vec<String>>| {
        let mut seen = HashSet::new();
        lists.into_iter().flatten().filter(|name| seen.insert(paths::fold(name))).collect()
    };
    (each_once(keywords), each_once(people))
}

/// Writes the keywords and people of a file; returns whether they are others than before.
pub(crate) fn put_names(db: &Database, file: i64, said: &Metadata) -> rusqlite::Result<bool> {
    let lists = [(NameKind::Keyword, &said.keywords), (NameKind::Person, &said.people)];
    let now: Vec<(&str, &String)> =
        lists.into_iter().flat_map(|(kind, list)| list.iter().map(move |text| (kind.as_str(), text))).collect();
    let mut statement = db.prepare_cached("SELECT kind, text FROM named WHERE file = ?1 ORDER BY kind, position")?;
    let rows = statement.query_map([file], |row| Ok((text_of(row, 0)?, text_of(row, 1)?)))?;
    let before: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>()?;
    if before.iter().map(|(kind, text)| (kind.as_str(), text)).eq(now.iter().copied()) {
        return Ok(false);
    }
    db.prepare_cached("DELETE FROM named WHERE file = ?1")?.execute([file])?;
    let sql = "INSERT INTO named (file, kind, position, text, folded) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = db.prepare_cached(sql)?;
    for (position, (kind, text)) in now.into_iter().enumerate() {
        insert.execute(params![file, kind, position, text, paths::padded_words(text)])?;
    }
    seal::NAMED.seal(db, "file = ?1", [file])?;
    Ok(true)
}

/// Lets a photo say what its files say: of each fact what the first file by path that has it says, but a date that is
/// no guess before one that is. Returns whether anything changed. A photo without a file keeps what is known about it.
pub(crate) fn retell(db: &Database, photo: i64) -> rusqlite::Result<bool> {
    let mut files = db.prepare_cached(&format!("SELECT {COLUMNS} FROM file WHERE photo = ?1 ORDER BY path"))?;
    let mut rows = files.query([photo])?;
    let mut now: Option<Metadata> = None;
    while let Some(row) = rows.next()? {
        let next = read(&row, 0)?;
        now = Some(now.map_or(next.clone(), |said| said.or(next)));
    }
    let Some(now) = now else { return Ok(false) };
    let before = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM photo WHERE id = ?1"))?
        .query_row([photo], |row| read(row, 0))
        .optional()?;
    if before.is_none_or(|before| before == now) {
        return Ok(false);
    }
    let places = [&now.location, &now.city, &now.region, &now.country, &now.place];
    let places: Vec<&str> = places.into_iter().filter_map(Option::as_deref).collect();
    let mut all = values(&now);
    all.push(now.camera.as_deref().map(paths::fold).map_or(Value::Null, Value::Text));
    all.push(if places.is_empty() { Value::Null } else { paths::padded_words(&places.join(", ")).into() });
    all.push(photo.into());
    let marks = vec!["?"; all.len() - 1].join(", ");
    db.prepare_cached(&format!("UPDATE photo SET ({COLUMNS}, camera_folded, place_folded) = ({marks}) WHERE id = ?"))?
        .execute(values_of(all))?;
    seal::PHOTO.seal(db, "id = ?1", [photo])?;
    Ok(true)
}
