//! BLIP-2 for a command: which one, in which form, and what it sees in a picture.

use crate::cli::GenerateArgs;
use crate::config::{DeviceChoice, Precision, Settings};
use crate::exit::Failure;
use crate::model::blip2::{Bits, Blip2, Encoding, Manifest, Options};
use crate::model::hub::quantized;
use crate::model::{self, ModelSpec, Pixels};
use crate::model_choice;
use crate::photo::{self, DecodeLimits};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use anyhow::Context;
use snapseek_index::{ContentHash, Library};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Size of BLIP-2's download.
pub const BLIP2_SIZE: &str = "15.0 GB";

/// An opened BLIP-2.
pub struct Describer {
    /// The model.
    pub model: Blip2,
    /// As the user names it.
    pub name: String,
}

/// A picture, and what BLIP-2 sees in it.
pub struct Picture {
    /// As it was named.
    pub path: PathBuf,
    /// BLAKE3 of its file.
    pub hash: ContentHash,
    /// Its id, if the library holds it.
    pub photo: Option<i64>,
    /// What the model sees.
    pub encoding: Encoding,
    /// How long the model looked; `None` if the library had kept what it sees.
    pub took: Option<Duration>,
}

/// A picture that was read, but perhaps not yet looked at.
pub struct Loaded {
    path: PathBuf,
    hash: ContentHash,
    photo: Option<i64>,
    sight: Sight,
}

impl Picture {
    /// Whether the model made anything of the picture at all: damaged weights give numbers that are none.
    ///
    /// # Errors
    /// It did not.
    pub fn check(&self) -> anyhow::Result<()> {
        let finite = self.encoding.0.iter().all(|number| number.is_finite());
        anyhow::ensure!(finite, "{}: the model makes nothing of it; are its files whole?", sanitize::path(&self.path));
        Ok(())
    }
}

impl Loaded {
    /// BLAKE3 of its file.
    #[must_use]
    pub fn hash(&self) -> &ContentHash {
        &self.hash
    }
}

enum Sight {
    Known(Encoding),
    Unseen(Pixels),
}

/// Opens the BLIP-2 that the settings name, in the form that they name.
///
/// # Errors
/// It is missing (exit code 3), is none, is damaged, or does not fit into memory.
pub fn open(settings: &Settings, console: &Console) -> anyhow::Result<Describer> {
    let cache = Settings::cache_dir()?;
    let asked = &settings.blip2;
    let (name, folder) = match model_choice::spec(asked) {
        Ok(ModelSpec::Auto | ModelSpec::Starter | ModelSpec::Clip) => {
            return Err(Failure::usage(format!(
                "{asked} writes no captions: --blip2 takes blip2, org/name or a folder"
            )));
        }
        Ok(spec) => (model_choice::name(&spec), model::locate(&spec)?),
        // A folder that is gone may have left a quantized form.
        Err(error) => {
            let name = std::path::absolute(asked)?.to_string_lossy().into_owned();
            if !quantized::forms(&cache).iter().any(|form| form.manifest.source == name) {
                return Err(error);
            }
            (name, None)
        }
    };
    if let Some(folder) = &folder
        && !model::is_blip2(folder)
    {
        return Err(Failure::usage(format!("{} holds no BLIP-2, judged by its config.json", sanitize::path(folder))));
    }
    let name = model::short_name(&name).to_owned();
    let made_of = folder.as_deref().map(Manifest::read).transpose()?.flatten();
    let folder = match (&folder, made_of) {
        (Some(folder), Some(manifest)) => {
            let form = quantized::label(manifest.bits);
            if !wanted(settings.precision).contains(&Some(manifest.bits)) {
                return Err(Failure::usage(format!("{} holds the {form} form only", sanitize::path(folder))));
            }
            folder.clone()
        }
        _ => choose(&name, folder.as_deref(), settings, &cache)?,
    };
    console.detail(format_args!("{name} in {}", sanitize::path(&folder)));
    if settings.device != DeviceChoice::Cpu {
        console.note("captions and answers are made on the processor; --device counts for the other models");
    }
    Ok(Describer { model: Blip2::open(&folder, Some(&cache))?, name })
}

/// The forms that will do, best first; `None` is the model as it was published.
fn wanted(precision: Precision) -> &'static [Option<Bits>] {
    match precision {
        Precision::Auto => &[Some(Bits::Four), Some(Bits::Eight), None],
        Precision::Full => &[None],
        Precision::Q8 => &[Some(Bits::Eight)],
        Precision::Q4 => &[Some(Bits::Four)],
    }
}

/// The folder of the first form that is there.
fn choose(name: &str, folder: Option<&Path>, settings: &Settings, cache: &Path) -> anyhow::Result<PathBuf> {
    for form in wanted(settings.precision) {
        let found = match form {
            Some(bits) => quantized::find(cache, name, folder, *bits)?.map(|form| form.dir),
            None => folder.map(Path::to_path_buf),
        };
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(Failure::missing(match (folder, settings.precision) {
        (Some(_), Precision::Q4) => {
            format!("there is no q4 form of {name}; `snapseek models quantize {name}` makes one")
        }
        (Some(_), _) => format!("there is no q8 form of {name}; `snapseek models quantize {name} --bits 8` makes one"),
        (None, _) => {
            let size = if name == "blip2" { format!(" ({BLIP2_SIZE})") } else { String::new() };
            format!(
                "captions and questions need the model {name}, which is not installed: `snapseek models pull {name}` \
                 downloads it once{size}, and `snapseek models quantize {name}` then makes a form of it that needs \
                 little memory; --blip2 DIR names a folder that has one"
            )
        }
    }))
}

/// The library, for what it knows of pictures, if there is one.
#[must_use]
pub fn library(settings: &Settings, console: &Console) -> Option<Library> {
    match Library::open(&settings.library) {
        Ok(library) => Some(library),
        Err(snapseek_index::Error::NoLibrary { .. }) => None,
        Err(error) => {
            console.warn(format_args!("{error}; nothing is kept"));
            None
        }
    }
}

impl Describer {
    /// Reads a picture file and, unless the library has what the model sees in it, decodes it.
    ///
    /// # Errors
    /// The file cannot be read or decoded, or the catalogue cannot be read.
    pub fn load(&self, path: &Path, library: Option<&Library>) -> anyhow::Result<Loaded> {
        let limits = DecodeLimits::default();
        let name = || format!("{} cannot be used", sanitize::path(path));
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::usage(format!("{} is not there", sanitize::path(path))));
            }
            Ok(meta) if meta.is_dir() => {
                return Err(Failure::usage(format!("{} is a folder, not a picture", sanitize::path(path))));
            }
            _ => {}
        }
        let bytes = photo::read(path, &limits).with_context(name)?;
        let hash = *blake3::hash(&bytes).as_bytes();
        let photo = library.map(|library| library.photo_by_hash(&hash)).transpose()?.flatten();
        let known = match (library, photo) {
            (Some(library), Some(photo)) => library.encoding(photo, self.model.fingerprint())?,
            _ => None,
        };
        let sight = match known.filter(|known| known.len() == self.model.encoding_size()) {
            Some(known) => Sight::Known(Encoding(known)),
            None => {
                let decoded = photo::decode(&bytes, Some(2 * self.model.image_size()), &limits).with_context(name)?;
                Sight::Unseen(self.model.prepare(&decoded.picture).with_context(name)?)
            }
        };
        Ok(Loaded { path: path.to_path_buf(), hash, photo, sight })
    }

    /// What the model sees in a picture; `None` if cancelled.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn look(&self, loaded: Loaded, cancel: &AtomicBool) -> anyhow::Result<Option<Picture>> {
        let Loaded { path, hash, photo, sight } = loaded;
        let started = Instant::now();
        let (encoding, took) = match sight {
            Sight::Known(encoding) => (encoding, None),
            Sight::Unseen(pixels) => match self.model.encode(&pixels, cancel)? {
                Some(encoding) => (encoding, Some(started.elapsed())),
                None => return Ok(None),
            },
        };
        Ok(Some(Picture { path, hash, photo, encoding, took }))
    }

    /// Both in one, and keeps what the model sees if the library holds the picture.
    ///
    /// # Errors
    /// As [`Describer::load`] and [`Describer::look`].
    pub fn picture(
        &self,
        path: &Path,
        library: Option<&Library>,
        cancel: &AtomicBool,
        console: &Console,
    ) -> anyhow::Result<Option<Picture>> {
        let picture = self.look(self.load(path, library)?, cancel)?;
        if let Some(picture) = &picture {
            picture.check()?;
            self.keep(picture, library, console);
        }
        Ok(picture)
    }

    /// Keeps what the model sees in a picture of the library; a library that cannot be written is no reason to fail.
    pub fn keep(&self, picture: &Picture, library: Option<&Library>, console: &Console) {
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

/// How a text is to be made, with `most` tokens unless the user says otherwise.
///
/// # Errors
/// Wishes that exclude each other.
pub fn options(args: &GenerateArgs, most: usize) -> anyhow::Result<Options> {
    let max_new_tokens = args.max_new_tokens.map_or(most, |n| n as usize);
    let min_new_tokens = args.min_new_tokens as usize;
    if min_new_tokens > max_new_tokens {
        return Err(Failure::usage(format!(
            "--min-new-tokens {min_new_tokens} is more than --max-new-tokens {max_new_tokens}"
        )));
    }
    let temperature = args.temperature.unwrap_or(if args.top_p.is_some() { 1.0 } else { 0.0 });
    if args.num_beams > 1 && temperature > 0.0 {
        return Err(Failure::usage("--num-beams weighs texts, --temperature and --top-p draw them: choose one"));
    }
    Ok(Options {
        num_beams: args.num_beams.into(),
        max_new_tokens,
        min_new_tokens,
        temperature,
        top_p: args.top_p.unwrap_or(1.0),
        seed: args.seed,
    })
}
