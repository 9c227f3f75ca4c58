//! Resampling with antialiasing, to the byte as Pillow 13 does it (`Image.resize`): the filter widened by the scale,
//! two passes, 8 bits between them. Bicubic is the one with a = -0.5.

use super::picture::{Region, RgbPicture};
use anyhow::Context;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U16, U16x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

/// The filters behind Pillow's `resample` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResampleFilter {
    /// 1
    Lanczos,
    /// 2
    Bilinear,
    /// 3
    Bicubic,
    /// 4
    Box,
    /// 5
    Hamming,
}

/// `region` of a picture, in pixels of its full size, as `width` x `height` x RGB bytes.
///
/// # Errors
/// The region is not inside the picture, or the picture's size and data do not match.
pub fn rgb(
    picture: &RgbPicture,
    region: Region,
    width: u32,
    height: u32,
    filter: ResampleFilter,
) -> anyhow::Result<Vec<u8>> {
    let order = PassOrder::of(picture.full, region, (width, height));
    let picture = picture.resizable(region);
    let region = picture.locate(region);
    pixels::<U16x3>(&picture.data, (picture.width, picture.height), region, (width, height), filter, order)
}

/// All of a picture, whose grey values are `grey`, as `width` x `height` bytes.
///
/// # Errors
/// The picture's size and data do not match.
pub fn grey(
    picture: &RgbPicture,
    grey: &[u8],
    width: u32,
    height: u32,
    filter: ResampleFilter,
) -> anyhow::Result<Vec<u8>> {
    let (full_width, full_height) = picture.full;
    let order = PassOrder::of(picture.full, (0.0, 0.0, full_width.into(), full_height.into()), (width, height));
    pixels::<U16>(grey, (picture.width, picture.height), picture.extent, (width, height), filter, order)
}

/// The type of pixels is known while compiling: code for all that there are would be a quarter of the program's.
///
/// The library's passes over bytes have weights of few bits, in an order of their own. Here bytes are widened, so that
/// weights are as exact as Pillow's, and each pass is one of its own, rounded and clamped to bytes.
fn pixels<P: PixelTrait<Component = u16>>(
    data: &[u8],
    (columns, rows): (u32, u32),
    (left, top, w, h): Region,
    to: (u32, u32),
    filter: ResampleFilter,
    order: PassOrder,
) -> anyhow::Result<Vec<u8>> {
    let channels = P::count_of_components();
    anyhow::ensure!(
        columns > 0 && data.len() == columns as usize * rows as usize * channels,
        "the picture's size and data do not match"
    );
    // Rounding may put an edge a hair outside, which the resizer refuses.
    let (w, h) = (w.min(f64::from(columns) - left), h.min(f64::from(rows) - top));
    let kind = match filter {
        ResampleFilter::Lanczos => FilterType::Lanczos3,
        ResampleFilter::Bilinear => FilterType::Bilinear,
        ResampleFilter::Bicubic => FilterType::CatmullRom,
        ResampleFilter::Box => FilterType::Box,
        ResampleFilter::Hamming => FilterType::Hamming,
    };
    let support = filter.support();
    let mut pass = Pass { resizer: Resizer::new(), kind };
    // The rows that the vertical pass reads, and what it reads in them.
    let reach = support * (h / f64::from(to.1)).max(1.0) + 1.0;
    let (first, last) = ((top - reach).max(0.0) as u32, ((top + h + reach).ceil() as u32).min(rows));
    let region = (0.0, top - f64::from(first), to.0.into(), h);
    let row = columns as usize * channels;
    let used = data.get(first as usize * row..last as usize * row).context("the region is not inside the picture")?;
    let rows = last - first;
    let out = match order {
        PassOrder::HorizontalFirst => {
            let mut narrow = Vec::with_capacity(to.0 as usize * rows as usize * channels);
            for strip in used.chunks((WIDENED / row).max(1) * row) {
                let height = (strip.len() / row) as u32;
                let wide: Vec<u16> = strip.iter().copied().map(u16::from).collect();
                narrow.extend(pass.run::<P>(
                    &wide,
                    (columns, height),
                    (left, 0.0, w, height.into()),
                    (to.0, height),
                )?);
            }
            pass.run::<P>(&narrow, (to.0, rows), region, to)?
        }
        PassOrder::VerticalFirst => {
            let mut low = vec![0; row * to.1 as usize];
            let step = (WIDENED / rows as usize / channels).max(1) * channels;
            for start in (0..row).step_by(step) {
                let end = (start + step).min(row);
                let wide: Vec<u16> =
                    used.chunks_exact(row).flat_map(|line| &line[start..end]).copied().map(u16::from).collect();
                let width = ((end - start) / channels) as u32;
                let part = pass.run::<P>(&wide, (width, rows), (0.0, region.1, width.into(), h), (width, to.1))?;
                for (line, part) in low.chunks_exact_mut(row).zip(part.chunks_exact(end - start)) {
                    line[start..end].copy_from_slice(part);
                }
            }
            pass.run::<P>(&low, (columns, to.1), (left, 0.0, w, to.1.into()), to)?
        }
    };
    Ok(out.into_iter().map(|value| value as u8).collect())
}

/// How many values are widened at once.
const WIDENED: usize = 1 << 21;

/// All of a picture, as `width` x `height` x RGB bytes, in Pillow's own whole numbers: where a sum is halfway between
/// two bytes, which is common in small steps of enlarging, [`rgb`] may choose the other one.
///
/// # Errors
/// A size is 0, or the picture's size and data do not match.
pub fn rgb_to_the_bit(
    picture: &RgbPicture,
    width: u32,
    height: u32,
    filter: ResampleFilter,
) -> anyhow::Result<Vec<u8>> {
    let (full_width, full_height) = picture.full;
    let all = (0.0, 0.0, full_width.into(), full_height.into());
    let order = PassOrder::of(picture.full, all, (width, height));
    let picture = picture.resizable(all);
    anyhow::ensure!(
        width > 0 && height > 0 && picture.data.len() == 3 * picture.width as usize * picture.height as usize,
        "the picture's size and data do not match"
    );
    let (left, top, w, h) = picture.locate(all);
    let across = taps(picture.width, (left, w), width, filter);
    let down = taps(picture.height, (top, h), height, filter);
    let row = picture.width as usize * 3;
    Ok(match order {
        PassOrder::HorizontalFirst => vertical(&horizontal(&picture.data, row, &across), width as usize * 3, &down),
        PassOrder::VerticalFirst => horizontal(&vertical(&picture.data, row, &down), row, &across),
    })
}

/// Binary digits after the point of Pillow's weights.
const PRECISION: u32 = 22;

/// Where the values begin that make up a new one, and their weights, for each new one. Source: Pillow's
/// `precompute_coeffs` and `normalize_coeffs_8bpc`.
fn taps(length: u32, (start, extent): (f64, f64), to: u32, filter: ResampleFilter) -> Vec<(usize, Vec<i32>)> {
    let scale = extent / f64::from(to);
    let wide = scale.max(1.0);
    let reach = filter.support() * wide;
    let tap = |n: u32| {
        let center = start + (f64::from(n) + 0.5) * scale;
        let first = (center - reach + 0.5).max(0.0) as u32;
        let last = ((center + reach + 0.5) as u32).min(length);
        let weights: Vec<f64> = (first..last).map(|at| filter.weight((f64::from(at) - center + 0.5) / wide)).collect();
        let sum: f64 = weights.iter().sum();
        let whole = |weight: f64| {
            let weight = if sum == 0.0 { weight } else { weight / sum } * f64::from(1 << PRECISION);
            (weight + if weight < 0.0 { -0.5 } else { 0.5 }) as i32
        };
        (first as usize, weights.into_iter().map(whole).collect())
    };
    (0..to).map(tap).collect()
}

/// Half a byte, in weights: what is added before the digits after the point are dropped.
const HALF: i32 = 1 << (PRECISION - 1);

fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn horizontal(data: &[u8], row: usize, taps: &[(usize, Vec<i32>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / row * taps.len() * 3);
    for line in data.chunks_exact(row) {
        for (first, weights) in taps {
            let mut sums = [HALF; 3];
            for (rgb, weight) in line[3 * first..].as_chunks::<3>().0.iter().zip(weights) {
                for (sum, value) in sums.iter_mut().zip(rgb) {
                    *sum += i32::from(*value) * weight;
                }
            }
            out.extend(sums.map(byte));
        }
    }
    out
}

fn vertical(data: &[u8], row: usize, taps: &[(usize, Vec<i32>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row * taps.len());
    let mut sums = vec![HALF; row];
    for (first, weights) in taps {
        sums.fill(HALF);
        for (line, weight) in data.chunks_exact(row).skip(*first).zip(weights) {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum += i32::from(*value) * weight;
            }
        }
        out.extend(sums.iter().copied().map(byte));
    }
    out
}

impl ResampleFilter {
    /// How far it reaches, in pixels of the smaller picture.
    fn support(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Box => 0.5,
        }
    }

    /// The weight of a value at a distance.
    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
        let far = x.abs();
        match self {
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bilinear if far < 1.0 => 1.0 - far,
            Self::Bicubic if far < 1.0 => (1.5 * far - 2.5) * far * far + 1.0,
            Self::Bicubic if far < 2.0 => ((far - 5.0) * far + 8.0) * far * -0.5 + 2.0,
            Self::Box if x > -0.5 && x <= 0.5 => 1.0,
            Self::Hamming if far < 1.0 => sinc(x) * (0.54 + 0.46 * (x * std::f64::consts::PI).cos()),
            _ => 0.0,
        }
    }
}

/// Which of the two passes comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassOrder {
    HorizontalFirst,
    VerticalFirst,
}

impl PassOrder {
    /// Pillow's order for the whole picture, of which only a region is computed here: vertical first if the height
    /// shrinks by more than twice as many pixels as the width.
    fn of((width, height): (u32, u32), (_, _, w, h): Region, to: (u32, u32)) -> Self {
        let shrinks = |length: u32, region: f64, to: u32| {
            f64::from(length) - (f64::from(length) * f64::from(to) / region).round()
        };
        let (across, down) = (shrinks(width, w, to.0), shrinks(height, h, to.1));
        if down > 0.0 && down > 2.0 * across { Self::VerticalFirst } else { Self::HorizontalFirst }
    }
}

/// One of the two passes.
struct Pass {
    resizer: Resizer,
    kind: FilterType,
}

impl Pass {
    /// Resizes a region of a picture whose values are bytes; so are those of the result.
    fn run<P: PixelTrait<Component = u16>>(
        &mut self,
        data: &[u16],
        size: (u32, u32),
        (left, top, w, h): Region,
        to: (u32, u32),
    ) -> anyhow::Result<Vec<u16>> {
        let source = TypedImageRef::<P>::from_buffer(size.0, size.1, bytemuck::cast_slice(data));
        let source = source.context("the picture's size and data do not match")?;
        let mut out = vec![0_u16; to.0 as usize * to.1 as usize * P::count_of_components()];
        let target = TypedImage::<P>::from_buffer(to.0, to.1, bytemuck::cast_slice_mut(&mut out));
        let mut target = target.context("the picture cannot have this size")?;
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(self.kind)).use_alpha(false).crop(left, top, w, h);
        self.resizer.resize_typed(&source, &mut target, &options).context("the picture cannot be resized")?;
        out.iter_mut().for_each(|value| *value = (*value).min(255));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_come_in_pillows_order() {
        let of = |full: (u32, u32), to| PassOrder::of(full, (0.0, 0.0, full.0.into(), full.1.into()), to);
        for (full, to, order) in [
            ((101, 333), (96, 316), PassOrder::VerticalFirst),
            ((50, 105), (47, 99), PassOrder::HorizontalFirst),
            ((50, 160), (60, 152), PassOrder::VerticalFirst),
            ((50, 160), (48, 170), PassOrder::HorizontalFirst),
            ((100, 200), (50, 100), PassOrder::HorizontalFirst),
        ] {
            assert_eq!(of(full, to), order, "{full:?} to {to:?}");
        }
        // Of a picture of 101 x 333 that becomes 96 x 316, the middle.
        let middle = (0.0, 110.0 * 333.0 / 316.0, 101.0, 96.0 * 333.0 / 316.0);
        assert_eq!(PassOrder::of((101, 333), middle, (96, 96)), PassOrder::VerticalFirst);
    }
}
