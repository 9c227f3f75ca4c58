//! Albums: named, ordered sets of photos. They refer to pictures by their hashes, so that they outlive files and
//! libraries; what no file shows at the moment stays in them.

use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::ContentHash;
use crate::catalogue::seal;
use crate::catalogue::stored::{check_length, text_of};
use crate::engine::Database;
use crate::error::{Error, Result};
use crate::escape;
use rusqlite::{OptionalExtension, params};

/// The most characters of a name.
const LONGEST_NAME: usize = 200;

/// A named, ordered set of photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoAlbum {
    /// Its name; no two albums have names that differ only by case or accents. Foreign text.
    pub name: String,
    /// How many of its pictures a file shows.
    pub photos: u64,
    /// How many pictures it has.
    pub pictures: u64,
    /// When it was changed, in seconds since 1970.
    pub written: i64,
}

impl Library {
    /// The albums, by name.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn albums(&self) -> Result<Vec<PhotoAlbum>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT name, (SELECT count(*) FROM album_picture a WHERE a.album = album.id
                 AND EXISTS (SELECT 1 FROM photo p JOIN file f ON f.photo = p.id WHERE p.picture = a.picture)),
                 (SELECT count(*) FROM album_picture a WHERE a.album = album.id), written FROM album ORDER BY folded",
            )?;
            let album = |row: &crate::engine::SqlRow<'_>| {
                Ok(PhotoAlbum {
                    name: text_of(row, 0)?,
                    photos: row.get(1)?,
                    pictures: row.get(2)?,
                    written: row.get(3)?,
                })
            };
            statement.query_map([], album)?.collect()
        })
    }

    /// The names of the albums that a photo is in.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn albums_of(&self, photo: i64) -> Result<Vec<String>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT n.name FROM photo p JOIN album_picture a ON a.picture = p.picture JOIN album n ON n.id = a.album
                 WHERE p.id = ?1 ORDER BY n.folded",
            )?;
            statement.query_map([photo], |row| text_of(row, 0))?.collect()
        })
    }

    /// The ids of an album's photos that a file shows, in its order.
    ///
    /// # Errors
    /// [`Error::NoAlbum`], or the catalogue cannot be read.
    pub fn album_photos(&self, name: &str) -> Result<Vec<i64>> {
        let found = self.sql(|db| {
            let Some(album) = id_of(db, name)? else { return Ok(None) };
            let mut statement = db.prepare_cached(
                "SELECT p.id FROM album_picture a JOIN photo p ON p.picture = a.picture
                 WHERE a.album = ?1 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id) ORDER BY a.position",
            )?;
            Ok(Some(statement.query_map([album], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?))
        })?;
        found.map_or_else(|| Err(self.no_album(name)?), Ok)
    }

    /// The hashes of an album's pictures, in its order; `None` if there is no such album.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn album_pictures(&self, name: &str) -> Result<Option<Vec<ContentHash>>> {
        self.sql(|db| id_of(db, name)?.map(|album| pictures_of(db, album)).transpose())
    }

    /// Adds photos to the end of an album, which is made if there is none; returns how many were not in it.
    ///
    /// # Errors
    /// [`Error::Refused`] for a name that is empty or too long, or the catalogue cannot be written.
    pub fn add_to_album(&self, name: &str, photos: &[i64]) -> Result<usize> {
        check_name(name)?;
        self.write(|db| {
            // Its name stays as it was written first.
            let known = id_of(db, name)?;
            let mut pictures = known.map_or(Ok(Vec::new()), |album| pictures_of(db, album))?;
            let name = known.map_or_else(|| Ok(name.to_owned()), |album| name_of(db, album))?;
            let before = pictures.len();
            let mut picture = db.prepare_cached("SELECT picture FROM photo WHERE id = ?1")?;
            for photo in photos {
                pictures.extend(picture.query_row([photo], |row| row.get::<_, ContentHash>(0)).optional()?);
            }
            let kept = put(db, &name, None, &pictures)?;
            Ok(kept - before)
        })
    }

    /// Takes photos out of an album; returns how many were in it. An album that is left empty stays.
    ///
    /// # Errors
    /// [`Error::NoAlbum`], or the catalogue cannot be written.
    pub fn remove_from_album(&self, name: &str, photos: &[i64]) -> Result<usize> {
        let removed = self.write(|db| {
            let Some(album) = id_of(db, name)? else { return Ok(None) };
            let mut pictures = pictures_of(db, album)?;
            let before = pictures.len();
            let mut picture = db.prepare_cached("SELECT picture FROM photo WHERE id = ?1")?;
            for photo in photos {
                let gone = picture.query_row([photo], |row| row.get::<_, ContentHash>(0)).optional()?;
                pictures.retain(|picture| Some(*picture) != gone);
            }
            Ok(Some(before - put(db, &name_of(db, album)?, None, &pictures)?))
        })?;
        removed.map_or_else(|| Err(self.no_album(name)?), Ok)
    }

    /// Gives an album exactly these pictures, or deletes it with `None`.
    ///
    /// # Errors
    /// [`Error::Refused`] for a name that is empty or too long, or the catalogue cannot be written.
    pub fn set_album(&self, name: &str, pictures: Option<&[ContentHash]>) -> Result<()> {
        check_name(name)?;
        self.write(|db| match pictures {
            Some(pictures) => put(db, name, None, pictures).map(drop),
            None => db.execute("DELETE FROM album WHERE folded = ?1", [paths::fold(name)]).map(drop),
        })
    }

    /// Deletes an album; its photos stay.
    ///
    /// # Errors
    /// [`Error::NoAlbum`], or the catalogue cannot be written.
    pub fn delete_album(&self, name: &str) -> Result<()> {
        let deleted = self.write(|db| db.execute("DELETE FROM album WHERE folded = ?1", [paths::fold(name)]))?;
        if deleted > 0 { Ok(()) } else { Err(self.no_album(name)?) }
    }

    /// Renames an album.
    ///
    /// # Errors
    /// [`Error::NoAlbum`]; [`Error::Refused`] for a name that is empty, too long or another album's; or the catalogue
    /// cannot be written.
    pub fn rename_album(&self, name: &str, new: &str) -> Result<()> {
        check_name(new)?;
        let done = self.write(|db| {
            let Some(album) = id_of(db, name)? else { return Ok(None) };
            if id_of(db, new)?.is_some_and(|other| other != album) {
                return Ok(Some(false));
            }
            db.execute(
                "UPDATE album SET name = ?2, folded = ?3, written = unixepoch() WHERE id = ?1",
                params![album, new, paths::fold(new)],
            )?;
            seal::ALBUM.seal(db, "id = ?1", [album])?;
            Ok(Some(true))
        })?;
        match done {
            Some(true) => Ok(()),
            Some(false) => Err(Error::Refused {
                what: format!("the name {:?}", escape::text(new)),
                reason: "another album has it".into(),
            }),
            None => Err(self.no_album(name)?),
        }
    }

    /// The error for an album that does not exist, with the names of those that do.
    pub(crate) fn no_album(&self, name: &str) -> Result<Error> {
        let known = self.albums()?.into_iter().map(|album| album.name).collect();
        Ok(Error::NoAlbum { name: name.to_owned(), known })
    }
}

/// The id of the album of this name; case and accents are ignored.
pub(crate) fn id_of(db: &Database, name: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM album WHERE folded = ?1")?
        .query_row([paths::fold(name)], |row| row.get(0))
        .optional()
}

fn name_of(db: &Database, album: i64) -> rusqlite::Result<String> {
    db.query_row("SELECT name FROM album WHERE id = ?1", [album], |row| text_of(row, 0))
}

/// The pictures of an album, in its order; damaged ones are left out.
pub(crate) fn pictures_of(db: &Database, album: i64) -> rusqlite::Result<Vec<ContentHash>> {
    let mut statement = db.prepare_cached("SELECT picture FROM album_picture WHERE album = ?1 ORDER BY position")?;
    let mut rows = statement.query([album])?;
    let mut pictures = Vec::new();
    while let Some(row) = rows.next()? {
        pictures.extend(row.get::<_, ContentHash>(0).ok());
    }
    Ok(pictures)
}

/// Writes an album with exactly these pictures, each once, where it comes first; returns how many. `written` is when,
/// in seconds since 1970, if not now.
pub(crate) fn put(
    db: &Database,
    name: &str,
    written: Option<i64>,
    pictures: &[ContentHash],
) -> rusqlite::Result<usize> {
    let album: i64 = db
        .prepare_cached(
            "INSERT INTO album (name, folded, written) VALUES (?1, ?2, coalesce(?3, unixepoch()))
             ON CONFLICT (folded) DO UPDATE SET name = ?1, written = coalesce(?3, unixepoch()) RETURNING id",
        )?
        .query_row(params![name, paths::fold(name), written], |row| row.get(0))?;
    seal::ALBUM.seal(db, "id = ?1", [album])?;
    db.execute("DELETE FROM album_picture WHERE album = ?1", [album])?;
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO album_picture (album, position, picture) VALUES (?1, ?2, ?3)")?;
    let mut kept = 0;
    for picture in pictures {
        kept += insert.execute(params![album, kept, picture.as_slice()])?;
    }
    seal::ALBUM_PICTURE.seal(db, "album = ?1", [album])?;
    Ok(kept)
}

/// Refuses a name that cannot be asked for.
pub(crate) fn check_name(name: &str) -> Result<()> {
    check_length("the name of an album", name, LONGEST_NAME)?;
    if paths::fold(name).trim().is_empty() {
        return Err(Error::Refused { what: "the name of an album".into(), reason: "it is empty".into() });
    }
    Ok(())
}
