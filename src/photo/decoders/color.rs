//! From the colours that a file declares to sRGB, by `moxcms`.
//!
//! What is sRGB already, within a rounding, and what declares nothing or nothing that can be read, keeps its pixels to
//! the bit. Of HDR, what is brighter than paper is compressed.

use crate::photo::containers::icc::LONGEST;
use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, DataColorSpace, Layout, MatrixCoefficients, TransferCharacteristics,
    Transform8BitExecutor, TransformOptions,
};
use std::sync::Arc;

/// Pixels that are converted at once.
const PIECE: usize = 1 << 14;
/// Differences up to this are roundings of the same colours.
const SAME: u8 = 2;
/// Nits of white paper in HDR (ITU-R BT.2408).
const PAPER: f32 = 203.0;

/// The colours that a file declares.
#[derive(Debug)]
pub(super) enum Profile {
    /// An ICC profile.
    Icc(Vec<u8>),
    /// Numbers of ITU-T H.273.
    Cicp { primaries: u16, transfer: u16 },
}

/// Converts RGB pixels to sRGB.
pub(super) fn apply(pixels: &mut [u8], profile: Option<&Profile>) {
    match profile {
        Some(Profile::Icc(icc)) => apply_icc(pixels, icc),
        Some(Profile::Cicp { primaries, transfer: transfer @ (16 | 18) }) => tone_map(pixels, *primaries, *transfer),
        Some(Profile::Cicp { primaries, transfer }) => {
            if let Some(transform) = of_cicp(*primaries, *transfer) {
                convert(pixels, transform.as_ref());
            }
        }
        None => {}
    }
}

/// Whether a profile's colours are sRGB's.
pub(super) fn is_srgb(icc: &[u8]) -> bool {
    matches!(of_icc(icc), Some(IccColors::Same))
}

/// Whether a profile can change what a file shows.
pub(in crate::photo) fn matters(icc: &[u8]) -> bool {
    matches!(of_icc(icc), Some(IccColors::Colors(_) | IccColors::Greys(_))) || inks(icc).is_some()
}

enum IccColors {
    Same,
    Colors(Arc<Transform8BitExecutor>),
    /// What each grey becomes.
    Greys(Box<[u8; 256]>),
}

fn of_icc(icc: &[u8]) -> Option<IccColors> {
    if icc.len() > LONGEST {
        return None;
    }
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    match profile.color_space {
        DataColorSpace::Rgb => {
            let transform = transform(&profile, Layout::Rgb, Layout::Rgb)?;
            Some(if changes(transform.as_ref()) { IccColors::Colors(transform) } else { IccColors::Same })
        }
        DataColorSpace::Gray => {
            let all: [u8; 256] = std::array::from_fn(|grey| grey as u8);
            let mut colors = [0; 768];
            transform(&profile, Layout::Gray, Layout::Rgb)?.transform(&all, &mut colors).ok()?;
            let mut greys = Box::new([0; 256]);
            for (grey, color) in greys.iter_mut().zip(colors.as_chunks::<3>().0) {
                *grey = color[1];
            }
            let same = greys.iter().zip(all).all(|(grey, was)| grey.abs_diff(was) <= SAME);
            Some(if same { IccColors::Same } else { IccColors::Greys(greys) })
        }
        _ => None,
    }
}

/// Converts RGB pixels to sRGB by an ICC profile.
pub(super) fn apply_icc(pixels: &mut [u8], icc: &[u8]) {
    match of_icc(icc) {
        Some(IccColors::Colors(transform)) => convert(pixels, transform.as_ref()),
        Some(IccColors::Greys(greys)) => pixels.iter_mut().for_each(|grey| *grey = greys[usize::from(*grey)]),
        Some(IccColors::Same) | None => {}
    }
}

/// From cyan, magenta, yellow and black.
fn inks(icc: &[u8]) -> Option<Arc<Transform8BitExecutor>> {
    let profile = Some(icc).filter(|icc| icc.len() <= LONGEST).and_then(|icc| ColorProfile::new_from_slice(icc).ok());
    // Four channels are four channels.
    transform(&profile.filter(|profile| profile.color_space == DataColorSpace::Cmyk)?, Layout::Rgba, Layout::Rgb)
}

/// RGB of inks (255: all of it) as a profile for them says; `None` if it is none.
pub(super) fn of_inks(ink: &[u8], icc: &[u8]) -> Option<Vec<u8>> {
    let transform = inks(icc)?;
    let mut rgb = vec![0; ink.len() / 4 * 3];
    transform.transform(&ink[..rgb.len() / 3 * 4], &mut rgb).ok()?;
    Some(rgb)
}

fn of_cicp(primaries: u16, transfer: u16) -> Option<Arc<Transform8BitExecutor>> {
    // Films are made for the curve of displays, which is that of sRGB as viewers show it.
    let transfer = match transfer {
        1 | 2 | 6 | 13 | 14 | 15 => TransferCharacteristics::Srgb,
        other => TransferCharacteristics::try_from(u8::try_from(other).ok()?).ok()?,
    };
    let primaries = match primaries {
        2 => CicpColorPrimaries::Bt709,
        other => CicpColorPrimaries::try_from(u8::try_from(other).ok()?).ok()?,
    };
    if (primaries, transfer) == (CicpColorPrimaries::Bt709, TransferCharacteristics::Srgb) {
        return None;
    }
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: primaries,
        transfer_characteristics: transfer,
        matrix_coefficients: MatrixCoefficients::Bt709,
        full_range: true,
    });
    transform(&profile, Layout::Rgb, Layout::Rgb).filter(|transform| changes(transform.as_ref()))
}

fn transform(profile: &ColorProfile, from: Layout, to: Layout) -> Option<Arc<Transform8BitExecutor>> {
    profile.create_transform_8bit(from, &ColorProfile::new_srgb(), to, TransformOptions::default()).ok()
}

/// Whether any of a grid of colours becomes another one.
fn changes(transform: &Transform8BitExecutor) -> bool {
    let steps = (0..=255).step_by(51).map(|step: u16| step as u8);
    let grid: Vec<u8> = steps
        .clone()
        .flat_map(|r| {
            steps.clone().flat_map({
                let steps = steps.clone();
                move |g| steps.clone().flat_map(move |b| [r, g, b])
            })
        })
        .collect();
    let mut out = vec![0; grid.len()];
    transform.transform(&grid, &mut out).is_ok() && out.iter().zip(&grid).any(|(new, old)| new.abs_diff(*old) > SAME)
}

fn convert(pixels: &mut [u8], transform: &Transform8BitExecutor) {
    let mut out = vec![0; pixels.len().min(3 * PIECE)];
    for piece in pixels.chunks_mut(3 * PIECE) {
        let out = &mut out[..piece.len()];
        if transform.transform(piece, out).is_ok() {
            piece.copy_from_slice(out);
        }
    }
}

/// PQ (16) or HLG (18) to sRGB.
fn tone_map(pixels: &mut [u8], primaries: u16, transfer: u16) {
    let light: [f32; 256] = std::array::from_fn(|code| {
        let value = code as f32 / 255.0;
        if transfer == 16 { pq(value) * 10_000.0 / PAPER } else { hlg(value) * 1_000.0 / PAPER }
    });
    let curve: Vec<u8> = (0..=4_096_u16).map(|step| encode(f32::from(step) / 4_096.0)).collect();
    // From the primaries of BT.2020, the usual ones, to those of sRGB.
    let matrix = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];
    for pixel in pixels.as_chunks_mut::<3>().0 {
        let wide = pixel.map(|code| light[usize::from(code)]);
        let rgb = if primaries == 9 {
            matrix.map(|row| row[0] * wide[0] + row[1] * wide[1] + row[2] * wide[2])
        } else {
            wide
        };
        *pixel = compressed(rgb).map(|value| curve[(value * 4_096.0 + 0.5) as usize]);
    }
}

/// Linear light, of which 1 is white paper, in the range of a display: what is brighter is compressed, its hue kept.
pub(super) fn compressed(rgb: [f32; 3]) -> [f32; 3] {
    // Half of the range stays as it is.
    const KNEE: f32 = 0.5;
    let most = rgb.into_iter().fold(0.0, f32::max);
    if most <= KNEE {
        return rgb.map(|value| value.clamp(0.0, 1.0));
    }
    let over = (most - KNEE) / (1.0 - KNEE);
    let wanted = KNEE + (1.0 - KNEE) * over / (1.0 + over);
    rgb.map(|value| (value * wanted / most).clamp(0.0, 1.0))
}

/// The curve of sRGB, to a byte.
pub(super) fn encode(linear: f32) -> u8 {
    let value = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * libm::powf(linear, 1.0 / 2.4) - 0.055 };
    (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

/// The part of 10,000 nits that a value of PQ means (SMPTE ST 2084).
fn pq(value: f32) -> f32 {
    let root = libm::powf(value, 1.0 / 78.843_75);
    libm::powf((root - 0.835_937_5).max(0.0) / (18.851_563 - 18.687_5 * root), 1.0 / 0.159_301_76)
}

/// The part of the brightest light that a value of HLG means on a display (ITU-R BT.2100).
fn hlg(value: f32) -> f32 {
    let scene = if value <= 0.5 {
        value * value / 3.0
    } else {
        (libm::expf((value - 0.559_910_7) / 0.178_832_77) + 0.284_668_9) / 12.0
    };
    libm::powf(scene, 1.2)
}
