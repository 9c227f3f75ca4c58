//! The samples of a TIFF, of any length and kind, to opaque RGB.

use super::chunks::Packing;
use super::layout::{Alpha, Colors, SampleKind, TiffLayout};
use crate::photo::decoders::{Request, color, jpeg, raster};

/// Values of which the range is that of a picture, not that of their type: those that are no numbers are none.
const FINITE: f32 = 1e30;
/// How many values tell their range.
const SURVEYED: usize = 65_536;

/// The samples of a picture, all of a pixel together.
pub(super) enum TiffSamples {
    Bytes(Vec<u8>),
    /// Of types with a range that pictures seldom use in full: floats, signed and long integers.
    Wide(Vec<f32>),
}

impl TiffLayout<'_> {
    /// Whether samples are kept as floats.
    pub(super) fn is_wide(&self) -> bool {
        let can_be = matches!(self.colors, Colors::Grey { .. } | Colors::Rgb | Colors::Cmyk);
        can_be && (self.kind != SampleKind::Unsigned || self.bits > 16)
    }

    /// Samples that are kept of a pixel.
    pub(super) fn channels(&self) -> usize {
        let colors = if let Colors::Palette(_) = self.colors { 3 } else { self.colors.samples() };
        colors + usize::from(self.alpha != Alpha::None)
    }

    /// A whole number of a row, unsigned.
    fn number(&self, row: &[u8], index: usize) -> u32 {
        let bits = self.bits as usize;
        match bits {
            8 => row[index].into(),
            16 => {
                let value = [row[2 * index], row[2 * index + 1]];
                (if self.big_endian { u16::from_be_bytes(value) } else { u16::from_le_bytes(value) }).into()
            }
            32 => {
                let value = [0, 1, 2, 3].map(|n| row[4 * index + n]);
                if self.big_endian { u32::from_be_bytes(value) } else { u32::from_le_bytes(value) }
            }
            // Others are packed, and begin with their highest bit.
            _ => {
                let (start, last) = (index * bits, index * bits + bits - 1);
                let joined = row[start / 8..=last / 8].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                joined >> (7 - last % 8) & ((1 << bits) - 1)
            }
        }
    }

    fn wide(&self, row: &[u8], index: usize) -> f32 {
        match (self.kind, self.bits) {
            (SampleKind::Float, 16) => half::f16::from_bits(self.number(row, index) as u16).to_f32(),
            (SampleKind::Float, 32) => f32::from_bits(self.number(row, index)),
            (SampleKind::Float, _) => {
                let value: [u8; 8] = std::array::from_fn(|n| row[8 * index + n]);
                (if self.big_endian { f64::from_be_bytes(value) } else { f64::from_le_bytes(value) }) as f32
            }
            (SampleKind::Signed, bits) => {
                ((self.number(row, index) << (32 - bits)).cast_signed() >> (32 - bits)) as f32
            }
            (SampleKind::Unsigned, _) => self.number(row, index) as f32,
        }
    }

    /// A sample as a byte.
    fn byte(&self, row: &[u8], index: usize) -> u8 {
        let number = self.number(row, index);
        match self.bits {
            8.. => (number >> (self.bits - 8)) as u8,
            bits => (number * 255 / ((1 << bits) - 1)) as u8,
        }
    }

    /// Copies the pixels of a row of a strip or tile, of which the first sample lies at `at` and the next pixel's
    /// `self.channels()` further. `line` is the row's number in its group, if colours are subsampled.
    pub(super) fn copy(&self, row: &[u8], line: usize, columns: usize, samples: &mut TiffSamples, at: usize) {
        let (stored, channels) = (self.stored(), self.channels());
        let taken = if self.planar { 1 } else { channels };
        match samples {
            TiffSamples::Wide(out) => {
                for x in 0..columns {
                    for n in 0..taken {
                        out[at + x * channels + n] = self.wide(row, x * stored + n);
                    }
                }
            }
            TiffSamples::Bytes(out) => {
                let pixels = out[at..].chunks_mut(channels).take(columns);
                match &self.colors {
                    Colors::Palette(palette) => {
                        for (x, pixel) in pixels.enumerate() {
                            pixel[..3].copy_from_slice(&palette[self.number(row, x * stored) as usize]);
                            if let Some(alpha) = pixel.get_mut(3) {
                                *alpha = self.byte(row, x * stored + 1);
                            }
                        }
                    }
                    _ if self.subsampling != (1, 1) => {
                        let (across, down) = (self.subsampling.0 as usize, self.subsampling.1 as usize);
                        for (x, pixel) in pixels.enumerate() {
                            let group = &row[x / across * (across * down + 2)..];
                            let luma = group[line * across + x % across];
                            pixel.copy_from_slice(&[luma, group[across * down], group[across * down + 1]]);
                        }
                    }
                    _ if self.bits == 8 && taken == stored && taken == channels => {
                        out[at..at + columns * channels].copy_from_slice(&row[..columns * channels]);
                    }
                    _ => {
                        for (x, pixel) in pixels.enumerate() {
                            for (n, sample) in pixel[..taken].iter_mut().enumerate() {
                                *sample = self.byte(row, x * stored + n);
                            }
                        }
                    }
                }
            }
        }
    }

    /// All samples to RGB.
    pub(super) fn to_rgb(&self, samples: TiffSamples, request: &Request<'_>) -> Vec<u8> {
        let data = match samples {
            TiffSamples::Bytes(data) => data,
            TiffSamples::Wide(values) => self.stretched(&values),
        };
        let associated = self.alpha == Alpha::Associated;
        let over = |v: u8, a: u8| if associated { v.saturating_add(255 - a) } else { raster::over_white(v, a) };
        let has_alpha = self.alpha != Alpha::None;
        let mut data = match &self.colors {
            Colors::Grey { inverted } => {
                let light = |v: u8| if *inverted { 255 - v } else { v };
                if has_alpha {
                    raster::repack(data, |[v, a]| [over(light(v), a); 3])
                } else {
                    raster::repack(data, |[v]| [light(v); 3])
                }
            }
            Colors::Rgb | Colors::Palette(_) if has_alpha => {
                raster::repack(data, |[r, g, b, a]| [r, g, b].map(|v| over(v, a)))
            }
            Colors::Rgb | Colors::Palette(_) => data,
            Colors::Cmyk => {
                return request.icc.and_then(|icc| color::of_inks(&data, icc)).unwrap_or_else(|| jpeg::of_inks(data));
            }
            // The JPEG decoder has done it.
            Colors::YCbCr { .. } if self.packing == Packing::Jpeg => data,
            Colors::YCbCr { luma, range } => raster::repack(data, |pixel| of_ycbcr(pixel, *luma, *range)),
            Colors::Lab { middle } => return raster::repack(data, |pixel| of_lab(pixel, *middle)),
        };
        if let Some(icc) = request.icc {
            color::apply_icc(&mut data, icc);
        }
        data
    }

    /// Values of any range as bytes: 1 (of floats), or nearly the largest, is white, and 0, or nearly the least, black.
    fn stretched(&self, values: &[f32]) -> Vec<u8> {
        let (channels, colors) = (self.channels(), self.colors.samples());
        let apart = (values.len() / channels / SURVEYED).max(1);
        let pixels = values.chunks_exact(channels).step_by(apart).flat_map(|pixel| &pixel[..colors]);
        let mut survey: Vec<f32> = pixels.copied().filter(|value| value.abs() < FINITE).collect();
        survey.sort_unstable_by(f32::total_cmp);
        let at = |share: usize| survey.get(survey.len().saturating_sub(1) * share / 200).copied().unwrap_or(0.0);
        let half = (1_u64 << (self.bits - 1)) as f32;
        let opaque = match self.kind {
            SampleKind::Float => 1.0,
            SampleKind::Signed => half - 1.0,
            SampleKind::Unsigned => ((1_u64 << self.bits) - 1) as f32,
        };
        let (mut black, mut white) = (at(1).min(0.0), at(199).max(1.0));
        // Most pictures have a range that is usual, and do not use all of it.
        let possible = |most: &f32| self.kind == SampleKind::Float || *most <= opaque;
        let mut usual = [1.0, 255.0, 4_095.0, 65_535.0, opaque].into_iter().filter(possible);
        let usual = usual.find(|most| white <= *most);
        white = usual.filter(|most| white > most / 4.0).unwrap_or(white);
        // Far below zero, they are whole numbers of which the middle of the range is zero.
        if self.kind == SampleKind::Signed && black < -half / 4.0 {
            (black, white) = (-half, half - 1.0);
        }
        let byte = |value: f32| (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
        values
            .chunks_exact(channels)
            .flatten()
            .enumerate()
            .map(|(n, value)| match n % channels < colors {
                true => byte((value - black) / (white - black)),
                false => byte(value / opaque),
            })
            .collect()
    }
}

/// Source: TIFF 6.0, section 21.
fn of_ycbcr(pixel: [u8; 3], luma: [f32; 3], range: [f32; 6]) -> [u8; 3] {
    let value = |n: usize, most: f32| (f32::from(pixel[n]) - range[2 * n]) * most / (range[2 * n + 1] - range[2 * n]);
    let (y, cb, cr) = (value(0, 255.0), value(1, 127.0), value(2, 127.0));
    let (red, blue) = (y + cr * (2.0 - 2.0 * luma[0]), y + cb * (2.0 - 2.0 * luma[2]));
    let green = (y - luma[2] * blue - luma[0] * red) / luma[1];
    [red, green, blue].map(|v| (v + 0.5).clamp(0.0, 255.0) as u8)
}

/// CIE L*a*b* in the light of D50 to sRGB, adapted by Bradford's method.
fn of_lab([l, a, b]: [u8; 3], middle: bool) -> [u8; 3] {
    let signed = |v: u8| if middle { f32::from(v) - 128.0 } else { f32::from(v.cast_signed()) };
    let y = (f32::from(l) * (100.0 / 255.0) + 16.0) / 116.0;
    let (x, z) = (y + signed(a) / 500.0, y - signed(b) / 200.0);
    let light = |t: f32| if t > 6.0 / 29.0 { t * t * t } else { (t - 4.0 / 29.0) * (108.0 / 841.0) };
    let (x, y, z) = (0.9642 * light(x), light(y), 0.8251 * light(z));
    [
        3.133_856 * x - 1.616_867 * y - 0.490_615 * z,
        -0.978_768 * x + 1.916_142 * y + 0.033_454 * z,
        0.071_945 * x - 0.228_991 * y + 1.405_243 * z,
    ]
    .map(|linear| color::encode(linear.clamp(0.0, 1.0)))
}
