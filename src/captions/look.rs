//! What a chat model sees in a picture.

use super::open::NamedChatModel;
use crate::exit::Failure;
use crate::model::chat_model::{ChatPicture, Encoding};
use crate::photo::{self, DecodeLimits};
use crate::search::photo_file::identify;
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use anyhow::Context;
use snapseek_index::{FileIdentity, Library};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// A picture, and what a chat model sees in it.
pub struct SeenPicture {
    /// Its path, as it was given.
    pub path: PathBuf,
    /// What its file is and shows.
    pub identity: FileIdentity,
    /// Its id, if the library holds it.
    pub photo: Option<i64>,
    /// What the model sees in it.
    pub encoding: Encoding,
    /// How long the model took; `None` if the library already had the encoding.
    pub took: Option<Duration>,
}

/// A picture that was read, but perhaps not yet encoded.
pub struct Loaded {
    path: PathBuf,
    identity: FileIdentity,
    photo: Option<i64>,
    sight: Sight,
}

impl SeenPicture {
    /// Checks that the encoding is finite: damaged weights produce NaN or infinity.
    ///
    /// # Errors
    /// It is not finite.
    pub fn check(&self) -> anyhow::Result<()> {
        let finite = self.encoding.0.iter().all(|number| number.is_finite());
        anyhow::ensure!(
            finite,
            "{}: the model produces NaN or infinity; are its files intact?",
            sanitize::path(&self.path)
        );
        Ok(())
    }
}

enum Sight {
    Known(Encoding),
    Unseen(ChatPicture),
}

impl NamedChatModel {
    /// Reads a picture file and, unless the library already has its encoding, decodes it.
    ///
    /// # Errors
    /// The file cannot be read or decoded, or the catalogue cannot be read.
    pub fn load(&self, path: &Path, library: Option<&Library>) -> anyhow::Result<Loaded> {
        let limits = DecodeLimits::default();
        let name = || format!("{} cannot be used", sanitize::path(path));
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::usage(format!("{} does not exist", sanitize::path(path))));
            }
            Ok(meta) if meta.is_dir() => {
                return Err(Failure::usage(format!("{} is a folder, not a picture", sanitize::path(path))));
            }
            _ => {}
        }
        let bytes = photo::read(path, &limits).with_context(name)?;
        self.load_bytes(path, &bytes, library).with_context(name)
    }

    /// As [`NamedChatModel::load`], from the file's bytes.
    ///
    /// # Errors
    /// The bytes cannot be decoded, or the catalogue cannot be read.
    pub fn load_bytes(&self, path: &Path, bytes: &[u8], library: Option<&Library>) -> anyhow::Result<Loaded> {
        let (identity, _) = identify(bytes);
        let photo = library.map(|library| library.photo_showing(&identity)).transpose()?.flatten();
        let known = match (library, photo) {
            (Some(library), Some(photo)) => library.encoding(photo, self.model.fingerprint())?,
            _ => None,
        };
        let sight = match known.map(Encoding).filter(|known| self.model.fits(known)) {
            Some(known) => Sight::Known(known),
            None => {
                let limits = DecodeLimits::default();
                let decoded = photo::decode(bytes, Some(2 * self.model.shortest_edge()), &limits)?;
                Sight::Unseen(self.model.prepare(&decoded.picture)?)
            }
        };
        Ok(Loaded { path: path.to_path_buf(), identity, photo, sight })
    }

    /// Encodes a picture; `None` if cancelled.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn look(&self, loaded: Loaded, cancel: &AtomicBool) -> anyhow::Result<Option<SeenPicture>> {
        let Loaded { path, identity, photo, sight } = loaded;
        let started = Instant::now();
        let (encoding, took) = match sight {
            Sight::Known(encoding) => (encoding, None),
            Sight::Unseen(picture) => match self.model.look(&picture, cancel)? {
                Some(encoding) => (encoding, Some(started.elapsed())),
                None => return Ok(None),
            },
        };
        Ok(Some(SeenPicture { path, identity, photo, encoding, took }))
    }

    /// Loads and encodes a picture, and saves the encoding if the library holds the picture; `None` if cancelled.
    ///
    /// # Errors
    /// As [`NamedChatModel::load`] and [`NamedChatModel::look`].
    pub fn picture(
        &self,
        path: &Path,
        library: Option<&Library>,
        cancel: &AtomicBool,
        console: &Console,
    ) -> anyhow::Result<Option<SeenPicture>> {
        let picture = self.look(self.load(path, library)?, cancel)?;
        if let Some(picture) = &picture {
            picture.check()?;
            self.keep(picture, library, console);
        }
        Ok(picture)
    }

    /// Saves the encoding of a picture of the library; a library that cannot be written is not an error.
    pub fn keep(&self, picture: &SeenPicture, library: Option<&Library>, console: &Console) {
        let path = sanitize::path(&picture.path);
        let Some(took) = picture.took else { return };
        console.detail(format_args!("looked at {path} in {:.1} s", took.as_secs_f64()));
        if let (Some(library), Some(photo)) = (library, picture.photo)
            && let Err(error) = library.save_encoding(photo, self.model.fingerprint(), &picture.encoding.0)
        {
            console.detail(format_args!("{path}: {error}"));
        }
    }
}
