//! Parts of photos at full resolution. A photo that is looked at closely is kept decoded, so that moving about in it costs
//! no decoding; of a very large one, what is around the part that is seen.

use crate::photo::picture::{Region, RgbPicture};
use crate::photo::resample::{self, ResampleFilter};
use crate::photo::{self, DecodeLimits};
use crate::terminal::sanitize;
use crate::tui::event::WantedPicture;
use crate::tui::zoom::Crop;
use anyhow::Context;
use image::RgbImage;
use snapseek_index::ContentHash;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of pixels that are kept of one photo: 32 megapixels. Decoding keeps to the budget of all threads; what is
/// kept afterwards is outside of it, so that nobody waits for somebody who only looks at a photo.
const MOST: usize = 96 << 20;
/// Photos that are kept: two are seen at once.
const PHOTOS: usize = 2;
/// From this many pixels of the screen for one of the photo on, its pixels are shown as they are.
const SQUARES: f64 = 2.0;

/// The photos that are looked at closely.
#[derive(Default)]
pub(super) struct FullSize {
    kept: Mutex<Vec<KeptPixels>>,
    /// Photos may be kept.
    closely: AtomicBool,
}

struct KeptPixels {
    path: PathBuf,
    picture: ContentHash,
    pixels: RgbPicture,
}

impl FullSize {
    /// Whether photos may be kept; if not, those that are kept are dropped.
    pub(super) fn keep(&self, closely: bool) {
        if self.closely.swap(closely, Ordering::Relaxed)
            && !closely
            && let Ok(mut kept) = self.kept.try_lock()
        {
            kept.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<KeptPixels>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part of a photo, as large as has room in this many pixels across and down.
    ///
    /// # Errors
    /// The file cannot be read or decoded, or shows another picture by now.
    pub(super) fn part(&self, wanted: &WantedPicture, crop: Crop, room: (u32, u32)) -> anyhow::Result<RgbImage> {
        let scale = (f64::from(room.0) / f64::from(crop.width)).min(f64::from(room.1) / f64::from(crop.height));
        // One at a time: two photos of 100 megapixels at once would be too much.
        let mut kept = self.lock();
        let serves = |known: &KeptPixels| {
            known.path == wanted.path && known.picture == wanted.picture && holds(&known.pixels, crop, scale)
        };
        if let Some(at) = kept.iter().position(serves) {
            let known = kept.remove(at);
            let part = resized(&known.pixels, crop, scale);
            kept.push(known);
            return part;
        }
        kept.retain(|known| known.path != wanted.path);
        let pixels = decoded(wanted, scale)?;
        let (width, height) = pixels.full;
        anyhow::ensure!(
            wanted.size == pixels.full && crop.left + crop.width <= width && crop.top + crop.height <= height,
            "{} has changed; `snapseek index` updates the library",
            sanitize::path(&wanted.path)
        );
        let part = resized(&pixels, crop, scale)?;
        if self.closely.load(Ordering::Relaxed)
            && let Some(pixels) = around(pixels, crop)
        {
            kept.push(KeptPixels { path: wanted.path.clone(), picture: wanted.picture, pixels });
            let surplus = kept.len().saturating_sub(PHOTOS);
            kept.drain(..surplus);
        } else if !self.closely.load(Ordering::Relaxed) {
            kept.clear();
        }
        Ok(part)
    }
}

/// The photo with at least `scale` of its pixels along an edge.
fn decoded(wanted: &WantedPicture, scale: f64) -> anyhow::Result<RgbPicture> {
    let name = || format!("{} cannot be shown", sanitize::path(&wanted.path));
    let bytes = photo::read(&wanted.path, &DecodeLimits::default()).with_context(name)?;
    let shortest = f64::from(wanted.size.0.min(wanted.size.1));
    // A JPEG can be decoded at half its size, and less.
    let target = (scale <= 0.5).then(|| (shortest * scale).ceil().max(1.0) as u32);
    Ok(photo::decode(&bytes, target, &DecodeLimits::default()).with_context(name)?.picture)
}

fn region(crop: Crop) -> Region {
    (crop.left.into(), crop.top.into(), crop.width.into(), crop.height.into())
}

/// Whether pixels show a part of a photo, with as much detail as is needed.
fn holds(pixels: &RgbPicture, crop: Crop, scale: f64) -> bool {
    let detail = pixels.extent.2 / f64::from(pixels.full.0);
    let (left, top, width, height) = pixels.locate(region(crop));
    let is_inside = left >= -0.001
        && top >= -0.001
        && left + width <= f64::from(pixels.width) + 0.001
        && top + height <= f64::from(pixels.height) + 0.001;
    is_inside && (detail >= 0.999 || detail >= scale * 0.999)
}

fn resized(pixels: &RgbPicture, crop: Crop, scale: f64) -> anyhow::Result<RgbImage> {
    let side = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
    let (width, height) = (side(crop.width), side(crop.height));
    let filter = if scale >= SQUARES { ResampleFilter::Box } else { ResampleFilter::Bicubic };
    let data = resample::rgb(pixels, region(crop), width, height, filter)?;
    RgbImage::from_raw(width, height, data).context("the picture's size and data do not match")
}

/// Of many pixels, those around a part, and it: as many as are kept; `None` if not even the part can be.
fn around(pixels: RgbPicture, crop: Crop) -> Option<RgbPicture> {
    if pixels.data.len() <= MOST {
        return Some(pixels);
    }
    let (left, top, width, height) = pixels.locate(region(crop));
    let grow = (MOST as f64 / 3.0 / (width.ceil() * height.ceil())).sqrt();
    if grow < 1.0 {
        return None;
    }
    let along = |first: f64, length: f64, all: u32| {
        let wanted = ((length.ceil() * grow) as u32).clamp(1, all);
        let spare = (f64::from(wanted) - length).max(0.0) / 2.0;
        (((first - spare).max(0.0) as u32).min(all - wanted), wanted)
    };
    let (columns, across) = along(left, width, pixels.width);
    let (rows, down) = along(top, height, pixels.height);
    let row = pixels.width as usize * 3;
    let (begin, length) = (columns as usize * 3, across as usize * 3);
    let lines = pixels.data.chunks_exact(row).skip(rows as usize).take(down as usize);
    let data = lines.flat_map(|line| line.get(begin..begin + length).unwrap_or_default()).copied().collect();
    let (x, y, wide, high) = pixels.extent;
    let extent = (x - f64::from(columns), y - f64::from(rows), wide, high);
    Some(RgbPicture { width: across, height: down, data, full: pixels.full, extent })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tui::event::PictureKey;

    fn wanted(path: &std::path::Path, size: (u32, u32)) -> WantedPicture {
        let key = PictureKey { id: 1, width: 8, height: 8, crop: None };
        WantedPicture { key, path: path.to_owned(), picture: [7; 32], size }
    }

    /// A picture in which every pixel has a colour of its own.
    fn drawn(path: &std::path::Path, width: u32, height: u32) {
        let color = |x: u32, y: u32| image::Rgb([(x % 256) as u8, (y % 256) as u8, (x / 256 * 16 + y / 256) as u8]);
        RgbImage::from_fn(width, height, color).save(path).unwrap();
    }

    #[test]
    fn a_part_has_the_pixels_of_the_photo_and_is_decoded_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        drawn(&path, 600, 400);
        let full_size = FullSize::default();
        full_size.keep(true);
        let wanted = wanted(&path, (600, 400));
        let crop = Crop { left: 300, top: 100, width: 64, height: 32 };
        let part = full_size.part(&wanted, crop, (64, 40)).unwrap();
        assert_eq!((part.dimensions(), part.get_pixel(0, 0).0), ((64, 32), [44, 100, 16]));
        assert_eq!(part.get_pixel(63, 31).0, [107, 131, 16]);
        // Each pixel four times as large: squares.
        let part = full_size.part(&wanted, Crop { width: 16, height: 8, ..crop }, (64, 64)).unwrap();
        assert_eq!(
            (part.dimensions(), part.get_pixel(3, 3).0, part.get_pixel(4, 3).0),
            ((64, 32), [44, 100, 16], [45, 100, 16])
        );
        std::fs::remove_file(&path).unwrap();
        assert!(full_size.part(&wanted, crop, (64, 40)).is_ok(), "it is kept");
        full_size.keep(false);
        assert!(full_size.part(&wanted, crop, (64, 40)).is_err(), "it is not kept any longer");
    }

    #[test]
    fn a_file_that_shows_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        drawn(&path, 60, 40);
        let crop = Crop { left: 30, top: 10, width: 6, height: 3 };
        let error = FullSize::default().part(&wanted(&path, (80, 40)), crop, (60, 30)).unwrap_err();
        assert!(error.to_string().contains("has changed"), "{error}");
    }

    #[test]
    fn of_a_very_large_photo_what_is_around_the_part_is_kept() {
        let (width, height) = (9_000_u32, 4_000_u32);
        let data =
            (0..height).flat_map(|y| (0..width).flat_map(move |x| [(x / 40) as u8, (y / 20) as u8, 9])).collect();
        let whole = RgbPicture::whole(width, height, data);
        let crop = Crop { left: 5_000, top: 1_000, width: 800, height: 600 };
        let expected = resized(&whole, crop, 0.5).unwrap();
        let kept = around(whole, crop).unwrap();
        assert!(kept.data.len() <= MOST && kept.data.len() > MOST / 2, "{}", kept.data.len());
        assert!(holds(&kept, crop, 1.0) && resized(&kept, crop, 0.5).unwrap() == expected);
        let beside = Crop { left: 4_000, ..crop };
        assert!(holds(&kept, beside, 1.0), "what is beside it, too");
        assert!(!holds(&kept, Crop { left: 0, ..crop }, 1.0));
        assert!(around(kept, crop).is_some());
    }
}
