//! Thumbnails of photos, stored in the cache folder by the photo's picture: `thumbnails/ab/cdef….jpg`.
//!
//! This is a cache: if anything is wrong with it, the photo is decoded instead, and its content is not trusted.

use super::{DecodeLimits, decode, identity, shrink};
use crate::terminal::sanitize;
use anyhow::Context;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use std::ffi::OsStr;
use std::fs::{DirBuilder, DirEntry, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Longest edge of a thumbnail in pixels.
pub const EDGE: u32 = 384;

/// JPEG quality of a thumbnail.
const QUALITY: u8 = 85;
/// Limits for a cached thumbnail; one of noise takes a third of these bytes.
const LIMITS: DecodeLimits =
    DecodeLimits { max_pixels: EDGE as u64 * EDGE as u64, max_bytes: 1 << 20, max_alloc: 16 << 20 };
/// How a draft's name begins; a draft that a killed run left behind is dropped like a thumbnail.
const DRAFT: &str = "draft-";
/// How often the use of a thumbnail is recorded, so that viewing does not wear out the disk.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The thumbnails in a cache folder. Several threads may use it at once, and several programs the same folder.
#[derive(Debug)]
pub struct Thumbnails {
    folder: PathBuf,
    limit: u64,
    /// Bytes written since the last trim.
    written: AtomicU64,
    trimming: Mutex<()>,
}

impl Thumbnails {
    /// The thumbnails in `cache`, the program's cache folder, at most `limit` bytes of them. Touches nothing yet: call
    /// [`Thumbnails::trim`] once, because an earlier run may have had a higher limit.
    #[must_use]
    pub fn new(cache: &Path, limit: u64) -> Self {
        Self { folder: cache.join("thumbnails"), limit, written: AtomicU64::new(0), trimming: Mutex::new(()) }
    }

    /// The thumbnail of the photo with this picture ([`identity`]) at `path`, upright, with its longest edge at most
    /// [`EDGE`] pixels: from the cache, otherwise made from the file and cached. If the file shows another picture by
    /// now, that is shown, but not cached.
    ///
    /// # Errors
    /// The file no longer exists, even if its thumbnail is cached, or it has to be decoded and cannot be. A cache that
    /// cannot be read or written is not an error.
    pub fn get(&self, hash: &[u8; 32], path: &Path) -> anyhow::Result<RgbImage> {
        let name = || sanitize::path(path);
        match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                anyhow::bail!("{} no longer exists; `snapseek index` updates the library", name())
            }
            found => found.with_context(|| format!("{} cannot be read", name()))?,
        };
        let file = self.file(hash);
        if let Some(kept) = read(&file) {
            return Ok(kept);
        }
        let picture = super::read(path, &DecodeLimits::default()).map_err(anyhow::Error::from).and_then(|bytes| {
            let same = identity::shows(&bytes, hash);
            Ok((shrink::bytes(&bytes, EDGE)?, same))
        });
        let (picture, same) = picture.with_context(|| format!("{} cannot be shown", name()))?;
        if same && let Ok(bytes) = write(&file, &picture) {
            // A trim frees a tenth of the limit.
            if self.written.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit / 10 {
                self.trim();
            }
        }
        Ok(picture)
    }

    /// Drops the least recently used thumbnails until the rest take at most nine tenths of the limit, and returns how
    /// many bytes that is. [`Thumbnails::get`] does the same after each tenth of the limit that it writes. Nothing else
    /// in the folder is touched.
    pub fn trim(&self) -> u64 {
        let _one_at_a_time = self.trimming.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.written.store(0, Ordering::Relaxed);
        let mut kept = self.kept();
        kept.sort_unstable();
        let mut total: u64 = kept.iter().map(|(_, size, _)| size).sum();
        for (_, size, file) in kept {
            if total <= self.limit / 10 * 9 {
                break;
            }
            if std::fs::remove_file(file).is_ok() {
                total -= size;
            }
        }
        total
    }

    /// Every file that has the place and the name of a thumbnail or draft: last use, bytes, path. Links are not
    /// followed, so that nothing outside the cache is dropped.
    fn kept(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let shelves = entries(&self.folder)
            .filter(|shelf| is_hex(&shelf.file_name(), 2) && shelf.file_type().is_ok_and(|kind| kind.is_dir()));
        let files = shelves.flat_map(|shelf| entries(&shelf.path())).filter(|file| {
            let (path, name) = (file.path(), file.file_name());
            let ours =
                path.extension().is_some_and(|ext| ext == "jpg") && path.file_stem().is_some_and(|s| is_hex(s, 62));
            ours || name.to_string_lossy().starts_with(DRAFT)
        });
        let facts = |file: &DirEntry| {
            let facts = file.metadata().ok().filter(Metadata::is_file)?;
            Some((facts.modified().ok()?, facts.len(), file.path()))
        };
        files.filter_map(|file| facts(&file)).collect()
    }

    fn file(&self, hash: &[u8; 32]) -> PathBuf {
        let hex = blake3::Hash::from_bytes(*hash).to_hex();
        let (shelf, rest) = hex.split_at(2);
        self.folder.join(shelf).join(format!("{rest}.jpg"))
    }
}

/// Reads a cached thumbnail and records that it was used; `None` if it is missing or not a thumbnail.
fn read(file: &Path) -> Option<RgbImage> {
    let photo = decode(&super::read(file, &LIMITS).ok()?, None, &LIMITS).ok()?;
    let picture = photo.picture;
    // It is made again, not mended.
    let is_whole = photo.facts.format == "jpeg" && photo.facts.remark.is_none();
    if !is_whole || picture.width.max(picture.height) > EDGE {
        return None;
    }
    // A time in the future cannot be a time of use.
    let used = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    if !used.is_ok_and(|used| used.elapsed().is_ok_and(|ago| ago < DAY)) {
        // If this fails, the thumbnail is only dropped sooner.
        let _ = File::options().write(true).open(file).and_then(|file| file.set_modified(SystemTime::now()));
    }
    RgbImage::from_raw(picture.width, picture.height, picture.data)
}

/// Stores a thumbnail atomically, and returns its size in bytes. It is not synced: a thumbnail that a crash of the
/// machine damages is made again.
fn write(file: &Path, picture: &RgbImage) -> anyhow::Result<u64> {
    let shelf = file.parent().context("the thumbnail has no folder")?;
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(shelf)?;
    // Readable by its owner only, as tempfile creates files.
    let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(shelf)?;
    let mut buffer = BufWriter::new(&mut draft);
    JpegEncoder::new_with_quality(&mut buffer, QUALITY).encode_image(picture)?;
    buffer.flush()?;
    drop(buffer);
    Ok(draft.persist(file)?.metadata()?.len())
}

fn is_hex(name: &OsStr, digits: usize) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == digits && name.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    /// A folder with one photo of noise, 600x400, and an empty cache.
    struct Desk {
        dir: TempDir,
        photo: PathBuf,
        hash: [u8; 32],
    }

    impl Desk {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let photo = dir.path().join("photo.png");
            let hash = save(&photo, 600, 400, 1);
            Self { dir, photo, hash }
        }

        fn cache(&self) -> PathBuf {
            self.dir.path().join("cache")
        }

        fn open(&self) -> Thumbnails {
            Thumbnails::new(&self.cache(), 10 << 20)
        }

        /// Files below the cache folder.
        fn files(&self) -> Vec<PathBuf> {
            let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path());
            entries(&self.cache().join("thumbnails")).flat_map(|shelf| entries(&shelf).collect::<Vec<_>>()).collect()
        }
    }

    /// Writes a picture that is unique to this seed, and returns the hash of its file.
    fn save(path: &Path, width: u32, height: u32, seed: u32) -> [u8; 32] {
        let noise =
            |x: u32, y: u32, c: u32| ((x / 7 * 37) ^ (y / 7 * 91) ^ (c + seed * 57)).wrapping_mul(seed * 59) as u8;
        let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| noise(x, y, c))));
        picture.save_with_format(path, image::ImageFormat::Png).unwrap();
        *blake3::hash(&fs::read(path).unwrap()).as_bytes()
    }

    fn like(a: &RgbImage, b: &RgbImage) -> bool {
        let apart: u64 = a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        a.dimensions() == b.dimensions() && apart / (a.len() as u64) < 12
    }

    #[test]
    fn a_thumbnail_is_made_once_and_belongs_to_the_content() {
        let desk = Desk::new();
        let made = desk.open().get(&desk.hash, &desk.photo).unwrap();
        assert_eq!(made.dimensions(), (384, 256));
        let files = desk.files();
        let hex = blake3::Hash::from_bytes(desk.hash).to_hex();
        assert_eq!(files, [desk.cache().join("thumbnails").join(&hex[..2]).join(format!("{}.jpg", &hex[2..]))]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files[0]), mode(files[0].parent().unwrap()), mode(&desk.cache())), (0o600, 0o700, 0o700));
        // Other content at the same path: the old thumbnail is still cached.
        let other = save(&desk.photo, 600, 400, 2);
        assert!(like(&desk.open().get(&desk.hash, &desk.photo).unwrap(), &made));
        let new = desk.open().get(&other, &desk.photo).unwrap();
        assert!(!like(&new, &made));
        assert_eq!(desk.files().len(), 2);
        // A file that changed since it was indexed is shown, and never cached as what it was.
        let shown = desk.open().get(&[7; 32], &desk.photo).unwrap();
        assert!(shown == new && desk.files().len() == 2);
    }

    #[test]
    fn small_and_narrow_pictures() {
        let desk = Desk::new();
        for (size, expected) in
            [((40, 30), (40, 30)), ((384, 384), (384, 384)), ((3000, 2), (384, 1)), ((1, 500), (1, 384))]
        {
            let hash = save(&desk.photo, size.0, size.1, 3);
            for _ in ["made", "kept"] {
                assert_eq!(desk.open().get(&hash, &desk.photo).unwrap().dimensions(), expected);
            }
        }
        assert_eq!(desk.files().len(), 4);
    }

    #[test]
    fn what_is_wrong_in_the_cache_is_made_anew() {
        let desk = Desk::new();
        let made = desk.open().get(&desk.hash, &desk.photo).unwrap();
        let [file] = &desk.files()[..] else { panic!("one file") };
        let good = fs::read(file).unwrap();
        let large = desk.dir.path().join("large");
        RgbImage::new(EDGE + 1, 10).save_with_format(&large, image::ImageFormat::Jpeg).unwrap();
        let mut bomb = good.clone();
        let frame = bomb.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        bomb[frame + 5..frame + 9].fill(0xff);
        let long = [good.clone(), vec![0; 1 << 20]].concat();
        for bad in [
            b"".to_vec(),
            b"junk".to_vec(),
            good[..good.len() / 2].to_vec(),
            bomb,
            long,
            fs::read(&large).unwrap(),
            fs::read(&desk.photo).unwrap(),
        ] {
            fs::write(file, &bad).unwrap();
            assert_eq!(desk.open().get(&desk.hash, &desk.photo).unwrap(), made);
            assert_eq!(fs::read(file).unwrap(), good);
        }
        // A folder in its place cannot be replaced, which is not an error.
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        assert_eq!(desk.open().get(&desk.hash, &desk.photo).unwrap(), made);
        assert_eq!(desk.files().len(), 1, "no draft is left");
    }

    #[test]
    fn a_photo_that_is_gone_or_unreadable_is_told() {
        let desk = Desk::new();
        desk.open().get(&desk.hash, &desk.photo).unwrap();
        fs::remove_file(&desk.photo).unwrap();
        let error = format!("{:#}", desk.open().get(&desk.hash, &desk.photo).unwrap_err());
        assert!(error.ends_with("photo.png no longer exists; `snapseek index` updates the library"), "{error}");
        // Names reach the message escaped.
        let hostile = desk.dir.path().join("a\x1b[31m\n.jpg");
        fs::write(&hostile, "no picture").unwrap();
        let broken = format!("{:#}", desk.open().get(&[1; 32], &hostile).unwrap_err());
        fs::remove_file(&hostile).unwrap();
        let gone = format!("{:#}", desk.open().get(&[1; 32], &hostile).unwrap_err());
        for error in [broken, gone] {
            assert!(error.contains("[31m") && !error.chars().any(char::is_control), "{error:?}");
        }
        save(&hostile, 50, 50, 4);
        assert_eq!(desk.open().get(&[1; 32], &hostile).unwrap().dimensions(), (50, 50));
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_error() {
        let desk = Desk::new();
        fs::write(desk.cache(), "a file where the folder should be").unwrap();
        let thumbnails = desk.open();
        assert_eq!(thumbnails.get(&desk.hash, &desk.photo).unwrap().dimensions(), (384, 256));
        assert_eq!(thumbnails.trim(), 0);
    }

    #[test]
    fn the_limit_holds_and_the_longest_unused_go() {
        let desk = Desk::new();
        let limit = 400_000;
        let thumbnails = Thumbnails::new(&desk.cache(), limit);
        let old = SystemTime::now() - 30 * DAY;
        let mut first = None;
        for seed in 1..40 {
            let hash = save(&desk.photo, 200, 200, seed);
            thumbnails.get(&hash, &desk.photo).unwrap();
            let first = *first.get_or_insert(hash);
            // As if a day had passed; but the first one is viewed every day.
            desk.files().iter().for_each(|file| {
                let age = fs::metadata(file).unwrap().modified().unwrap() - DAY;
                File::options().write(true).open(file).unwrap().set_modified(age).unwrap();
            });
            thumbnails.get(&first, &desk.photo).unwrap();
            assert!(thumbnails.file(&first).exists(), "{seed}");
            let total: u64 = desk.files().iter().map(|file| fs::metadata(file).unwrap().len()).sum();
            assert!(total <= limit, "{seed}: {total}");
        }
        assert!(desk.files().len() > 3 && desk.files().len() < 39, "{}", desk.files().len());
        // Foreign files are not dropped, and links are not followed.
        let shelf = thumbnails.file(&desk.hash).parent().unwrap().to_path_buf();
        fs::create_dir_all(&shelf).unwrap();
        let outside = desk.dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let name = format!("{}.jpg", "a".repeat(62));
        let foreign = [outside.join(&name), shelf.join("letter.txt")];
        foreign.iter().for_each(|file| fs::write(file, "precious").unwrap());
        let draft = shelf.join("draft-x");
        fs::write(&draft, "half").unwrap();
        File::options().write(true).open(&draft).unwrap().set_modified(old).unwrap();
        let link =
            (0..=255).map(|n| desk.cache().join(format!("thumbnails/{n:02x}"))).find(|shelf| !shelf.exists()).unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        assert_eq!(Thumbnails::new(&desk.cache(), 0).trim(), 0);
        assert!(foreign.iter().all(|file| file.exists()) && !draft.exists());
        assert!(!thumbnails.file(&first.unwrap()).exists());
    }

    #[test]
    fn threads_share_it() {
        let desk = Desk::new();
        let photos: Vec<_> = (1..7)
            .map(|seed| {
                let photo = desk.dir.path().join(format!("{seed}.png"));
                (save(&photo, 300, 200, seed), photo)
            })
            .collect();
        // So small that threads drop what others read.
        let thumbnails = Thumbnails::new(&desk.cache(), 60_000);
        let expected: Vec<_> = photos.iter().map(|(hash, photo)| desk.open().get(hash, photo).unwrap()).collect();
        std::thread::scope(|scope| {
            for start in 0..4 {
                let (photos, thumbnails, expected) = (&photos, &thumbnails, &expected);
                scope.spawn(move || {
                    for n in start..start + 60 {
                        let (hash, photo) = &photos[n % photos.len()];
                        assert!(like(&thumbnails.get(hash, photo).unwrap(), &expected[n % photos.len()]));
                    }
                });
            }
        });
        assert!(thumbnails.trim() <= 60_000);
        assert!(desk.files().iter().all(|file| file.extension().is_some_and(|ext| ext == "jpg")));
    }
}
