//! One captioning run.

use super::captions::{check_encoding, exists, put_caption, put_encoding};
use super::pending::PendingQueue;
use super::stacks::IS_COVERED;
use crate::catalogue::library::Library;
use crate::catalogue::lock::Lock;
use crate::catalogue::rows::{Captioned, PendingPhoto};
use crate::catalogue::stored::{LONGEST_CAPTION, check_length};
use crate::error::{Error, Result};
use rusqlite::types::Value;
use std::path::PathBuf;

const CAPTIONS_LOCK: &str = "captions.lock";

/// Of `photo p`: it has no caption or, if ?1, one by another model than ?2. Of photos that were taken as one, the one
/// that stands for them is captioned for all.
fn is_pending() -> String {
    format!(
        "(CASE WHEN ?1 THEN NOT EXISTS (SELECT 1 FROM caption c WHERE c.photo = p.id
             AND (c.captioner IS NULL OR c.captioner = ?2))
         ELSE NOT EXISTS (SELECT 1 FROM caption c WHERE c.photo = p.id) END) AND NOT {IS_COVERED}"
    )
}

/// The right to caption a library's photos, from [`Library::captioner`].
#[derive(Debug)]
pub struct Captioner<'a> {
    library: &'a Library,
    fingerprint: String,
    queue: PendingQueue<'a>,
    /// Dropping it releases the lock. On a server there is none: each photo is leased.
    _lock: Option<Lock<'a>>,
}

impl Library {
    /// Takes the lock for captioning the library's photos with the model of this fingerprint. With `recaption`, photos
    /// whose caption another model wrote are pending too. The system releases the lock when the process ends, however
    /// it ends. The lock excludes neither a [`crate::Writer`] nor captions that are set one by one.
    ///
    /// # Errors
    /// [`Error::Captioning`] at once if another process or handle holds it (on a server, many may caption); or the folder
    /// is read-only.
    pub fn captioner(&self, fingerprint: &str, recaption: bool) -> Result<Captioner<'_>> {
        let held = |pid| Error::Captioning { path: self.place(), pid };
        let lock = self.take_unless_shared(CAPTIONS_LOCK, held)?;
        let values = vec![Value::from(recaption), Value::from(fingerprint.to_owned())];
        let queue = PendingQueue::new(self, "caption", is_pending(), values)?;
        Ok(Captioner { library: self, fingerprint: fingerprint.to_owned(), queue, _lock: lock })
    }
}

impl Captioner<'_> {
    /// Leaves out all photos but those that have a file at or below one of these paths.
    #[must_use]
    pub fn within(mut self, folders: &[PathBuf]) -> Self {
        self.queue.keep_within(folders);
        self
    }

    /// The name under which captions are saved.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// At most `n` photos that wait for a caption, newest first: by the time they were taken or, where that is unknown,
    /// by the oldest modification time of their files. This captioner hands out each photo once, so one that cannot be
    /// captioned is simply left out of [`Captioner::save`]. Photos that are indexed meanwhile follow after at most
    /// 1,000 others. The list is empty if no photo is left.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn pending(&mut self, n: usize) -> Result<Vec<PendingPhoto>> {
        self.queue.take(n)
    }

    /// How many photos wait for a caption, including those handed out and not saved.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn pending_count(&self) -> Result<u64> {
        self.queue.count()
    }

    /// Saves captions and encodings, all or none, and returns how many captions were written. A caption written by hand
    /// meanwhile stays (the encoding is stored all the same), and a photo that is gone is skipped. After an error, the
    /// same call can be repeated.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Library::save_caption`] and [`Library::save_encoding`], or the catalogue cannot be
    /// written.
    pub fn save(&mut self, done: &[Captioned]) -> Result<usize> {
        for Captioned { photo, text, encoding } in done {
            check_length(&format!("the caption of photo {photo}"), text, LONGEST_CAPTION)?;
            encoding.as_ref().map_or(Ok(()), |encoding| check_encoding(*photo, encoding))?;
        }
        let written = self.library.write(|db| {
            let mut written = 0;
            for Captioned { photo, text, encoding } in done {
                self.queue.close(db, *photo)?;
                if !exists(db, *photo)? {
                    continue;
                }
                written += usize::from(put_caption(db, *photo, text, Some(&self.fingerprint))?);
                if let Some(encoding) = encoding {
                    put_encoding(db, *photo, &self.fingerprint, encoding)?;
                }
            }
            Ok(written)
        })?;
        done.iter().for_each(|Captioned { photo, .. }| self.queue.done(*photo));
        Ok(written)
    }

    /// Rebuilds the full-text cache if so many captions were written that searches become slow and no other process is
    /// writing. Otherwise this costs little, so call it after every hundred captions or so. Returns `false` if another
    /// process is writing: its run will refresh the cache. `progress` is as for [`crate::Writer::refresh_caches`].
    ///
    /// # Errors
    /// The catalogue cannot be read, or the cache cannot be written.
    pub fn refresh_words(&self, progress: &mut dyn FnMut(&'static str, u64, u64) -> bool) -> Result<bool> {
        self.library.refresh_words(progress)
    }
}
