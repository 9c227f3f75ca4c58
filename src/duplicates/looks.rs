//! The look of a photo: a grey picture so small that two of them are compared in microseconds. An indexing run takes it
//! from the picture that it has decoded for a model; other photos are decoded for it once.

use super::tones::Tones;
use crate::photo::picture::RgbPicture;
use crate::photo::resample::{self, ResampleFilter};
use crate::photo::{self, DecodeLimits};
use std::borrow::Cow;

/// Edge of a look in pixels: the picture is squashed to a square.
pub const EDGE: usize = 64;
/// Bytes of a stored look.
pub(super) const BYTES: usize = 16 + EDGE * EDGE;
/// Must change whenever the look of the same photo changes.
pub const VERSION: u32 = 3;
/// Edge of the square on which sharpness is measured, in pixels.
const SHARP: usize = 256;
/// Length of the shortest edge that a picture is decoded at for its look: what models of 224 pixels are given.
pub const DECODED: u32 = 448;
/// Whatever was indexed is accepted.
pub(super) const LIMITS: DecodeLimits = DecodeLimits { max_pixels: u64::MAX, max_bytes: 1 << 30, max_alloc: 576 << 20 };

/// What a photo looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Width over height of the picture, upright.
    pub aspect: f32,
    /// Variance of the Laplacian over the variance of the brightness, at a fixed size: comparable between copies of one
    /// picture, whatever their size and brightness. 0 for a picture of one colour.
    pub sharpness: f32,
    /// Its colour and contrast, which its grey does not show.
    pub tones: Tones,
    /// [`EDGE`] rows of [`EDGE`] brightnesses.
    pub grey: Vec<u8>,
}

impl Look {
    /// The look of a photo file's bytes.
    ///
    /// # Errors
    /// The bytes cannot be decoded.
    pub fn of_bytes(bytes: &[u8]) -> anyhow::Result<Self> {
        let photo = photo::decode(bytes, Some(DECODED), &LIMITS)?;
        Self::of(&photo.picture)
    }

    /// The look of a picture.
    ///
    /// # Errors
    /// The picture's size and data do not match.
    pub fn of(picture: &RgbPicture) -> anyhow::Result<Self> {
        let picture = &*reduced(picture);
        let large = squash(picture)?;
        let shrink = SHARP / EDGE;
        let mut grey = Vec::with_capacity(EDGE * EDGE);
        for (y, x) in (0..EDGE * EDGE).map(|at| (at / EDGE, at % EDGE)) {
            let rows = large.chunks_exact(SHARP).skip(y * shrink).take(shrink);
            let sum: u32 = rows.flat_map(|row| row.iter().skip(x * shrink).take(shrink)).map(|v| u32::from(*v)).sum();
            let area = (shrink * shrink) as u32;
            grey.push(((sum + area / 2) / area) as u8);
        }
        let (width, height) = (picture.full.0.max(1) as f32, picture.full.1.max(1) as f32);
        let tones = Tones::of(picture, &large);
        Ok(Self { aspect: width / height, sharpness: sharpness(&large), tones, grey })
    }

    /// One of a single brightness.
    #[cfg(test)]
    pub(super) fn plain(shade: u8) -> Self {
        Self { aspect: 1.0, sharpness: 0.0, tones: Tones::default(), grey: vec![shade; EDGE * EDGE] }
    }

    /// The stored form: aspect, sharpness, colour and range of tones (f32, little endian), then the grey bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = [self.aspect, self.sharpness, self.tones.colour, self.tones.range];
        head.iter().flat_map(|number| number.to_le_bytes()).chain(self.grey.iter().copied()).collect()
    }

    /// Reads what [`Look::to_bytes`] wrote; `None` if the bytes are not a look.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, grey) = bytes.split_first_chunk::<16>()?;
        let numbers: Vec<f32> = head.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let [aspect, sharpness, colour, range] = numbers[..] else { return None };
        let sound = bytes.len() == BYTES && aspect > 0.0 && numbers.iter().all(|number| number.is_finite());
        sound.then(|| Self { aspect, sharpness, tones: Tones { colour, range }, grey: grey.to_vec() })
    }
}

/// The picture at the size to which a JPEG's DCT would reduce it, whatever size it was decoded at: otherwise a large
/// decode would be sharper than a small one.
fn reduced(picture: &RgbPicture) -> Cow<'_, RgbPicture> {
    let (width, height) = picture.full;
    let decoded = (f64::from(width) / picture.extent.2).round().max(1.0) as u32;
    let by = u32::from(photo::dct_scale(width, height, SHARP as u32)) / decoded;
    if by > 1 { Cow::Owned(picture.averaged(by, by)) } else { Cow::Borrowed(picture) }
}

/// The picture as a grey square with an edge of [`SHARP`] pixels.
fn squash(picture: &RgbPicture) -> anyhow::Result<Vec<u8>> {
    // Rec. 601, as in JPEG.
    let luma = |rgb: &[u8; 3]| {
        let [r, g, b] = rgb.map(u32::from);
        ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
    };
    let picture = picture.resizable((0.0, 0.0, picture.full.0.into(), picture.full.1.into()));
    let grey: Vec<u8> = picture.data.as_chunks::<3>().0.iter().map(luma).collect();
    resample::grey(&picture, &grey, SHARP as u32, SHARP as u32, ResampleFilter::Bilinear)
}

fn sharpness(square: &[u8]) -> f32 {
    let (mut edges, mut light) = (Spread::default(), Spread::default());
    for row in square.chunks_exact(SHARP) {
        light.add(row.iter().map(|v| i32::from(*v)));
    }
    for rows in square.windows(3 * SHARP).step_by(SHARP) {
        let [above, row, below] = [0, 1, 2].map(|n| &rows[n * SHARP..(n + 1) * SHARP]);
        let beside = row.iter().zip(&row[1..]).zip(&row[2..]);
        edges.add(above[1..].iter().zip(&below[1..]).zip(beside).map(|((above, below), ((left, middle), right))| {
            let [above, below, left, middle, right] = [above, below, left, middle, right].map(|v| i32::from(*v));
            above + below + left + right - 4 * middle
        }));
    }
    let light = light.variance();
    if light > 1.0 { (edges.variance() / light) as f32 } else { 0.0 }
}

/// What the variance of whole numbers is computed from.
#[derive(Default)]
struct Spread {
    count: i64,
    sum: i64,
    squares: i64,
}

impl Spread {
    /// Adds a row of numbers between -1,020 and 1,020, at most 1,000 of them.
    fn add(&mut self, row: impl Iterator<Item = i32>) {
        let (mut count, mut sum, mut squares) = (0_i32, 0_i32, 0_i32);
        for value in row {
            (count, sum, squares) = (count + 1, sum + value, squares + value * value);
        }
        self.count += i64::from(count);
        self.sum += i64::from(sum);
        self.squares += i64::from(squares);
    }

    fn variance(&self) -> f64 {
        let count = self.count.max(1) as f64;
        (self.squares as f64 / count - (self.sum as f64 / count).powi(2)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, shade: impl Fn(u32, u32) -> u8) -> RgbPicture {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        RgbPicture::whole(width, height, pixels.flat_map(|(x, y)| [shade(x, y); 3]).collect())
    }

    #[test]
    fn a_look_comes_back_as_it_was_kept_and_other_bytes_are_none() {
        let look = Look::of(&picture(300, 200, |x, y| (x + y) as u8)).unwrap();
        assert_eq!((look.aspect, look.grey.len()), (1.5, EDGE * EDGE));
        let bytes = look.to_bytes();
        assert_eq!(Look::from_bytes(&bytes), Some(look));
        for bad in [&bytes[1..], &bytes[..7], &[], &[bytes.as_slice(), &[0]].concat()] {
            assert_eq!(Look::from_bytes(bad), None);
        }
        for (at, number) in [(0, f32::NAN), (0, 0.0), (0, -1.0), (4, f32::INFINITY)] {
            let mut damaged = bytes.clone();
            damaged[at..at + 4].copy_from_slice(&number.to_le_bytes());
            assert_eq!(Look::from_bytes(&damaged), None, "{number}");
        }
    }

    #[test]
    fn sharpness_falls_with_blur_and_not_with_brightness() {
        let wave = |x: u32, width: f32| (f64::from(x as f32 / width).sin() * 60.0 + 120.0) as u8;
        let sharp = Look::of(&picture(256, 256, |x, _| wave(x, 2.0))).unwrap().sharpness;
        let dark = Look::of(&picture(256, 256, |x, _| wave(x, 2.0) / 2)).unwrap().sharpness;
        let soft = Look::of(&picture(256, 256, |x, _| wave(x, 8.0))).unwrap().sharpness;
        assert!((dark / sharp - 1.0).abs() < 0.05 && soft < sharp / 4.0, "{sharp} {dark} {soft}");
        assert_eq!(Look::of(&picture(9, 9, |_, _| 77)).unwrap().sharpness, 0.0);
    }

    #[test]
    fn a_look_depends_little_on_the_size_that_a_jpeg_was_decoded_at() {
        // Details of one pixel and of many, in colour.
        let texture = |width: u32, height: u32| {
            let shade = |x: u32, y: u32, n: u32| {
                let noise =
                    (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ n).wrapping_mul(0xc2b2_ae3d) >> 27;
                let wave = |at: u32, long: f32| (at as f32 / long).sin();
                let waves = wave(x, 3.0) * 20.0 + wave(y + n * 40, 11.0) * 30.0 + wave(x + 2 * y, 140.0) * 50.0;
                (120.0 + waves + noise as f32) as u8
            };
            let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let data = pixels.flat_map(|(x, y)| [0, 1, 2].map(|n| shade(x, y, n))).collect();
            RgbPicture::whole(width, height, data)
        };
        // Models of 224 pixels get what `of_bytes` does. The decoder's halves are a little sharper than means are.
        for (width, height, grey, sharpness) in [(901, 700, 0, 0.0), (1_203, 900, 4, 0.12), (2_201, 2_050, 1, 0.01)] {
            let whole = texture(width, height);
            let mut jpeg = Vec::new();
            let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95);
            image::ImageEncoder::write_image(encoder, &whole.data, width, height, image::ColorType::Rgb8.into())
                .unwrap();
            let look = Look::of_bytes(&jpeg).unwrap();
            let decoded = |target| Look::of(&photo::decode(&jpeg, target, &LIMITS).unwrap().picture).unwrap();
            assert_eq!(decoded(Some(2 * 224)), look);
            for (of, slack, other) in
                [(Some(672), 0, decoded(Some(672))), (None, 0, decoded(None)), (None, 2, Look::of(&whole).unwrap())]
            {
                let apart = look.grey.iter().zip(&other.grey).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                let ratio = f64::from(other.sharpness / look.sharpness) - 1.0;
                let colour = (other.tones.colour - look.tones.colour).abs();
                let said = format!("{width}x{height} at {of:?}: {apart} {ratio} {colour}");
                assert!(
                    apart <= grey + slack && ratio.abs() <= sharpness + 0.01 * f64::from(slack) && colour < 0.02,
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn the_smallest_picture_has_a_look() {
        let look = Look::of(&picture(1, 1, |_, _| 200)).unwrap();
        assert!(look.grey.iter().all(|v| *v == 200));
    }
}
