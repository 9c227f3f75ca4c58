//! AVIF: an AV1 still picture, or a grid of them, in HEIF.
//!
//! The stream is decoded by rav1d; what it does not do is done here: planes to RGB, grids, alpha, and the container's
//! crop and turns. Source: the AVIF specification 1.1 (AOM), ITU-T H.273 for the matrices.

use super::{Request, heif, raster};
use crate::photo::picture::RgbPicture;
use crate::photo::{ErrorKind, PhotoError};
use heifer_isobmff::boxes::Property;
use heifer_isobmff::{HeifFile, ItemId};
use image::{GrayImage, RgbaImage, imageops};
use re_rav1d::dav1d::pixel::{MatrixCoefficients, YUVRange};
use re_rav1d::dav1d::{Decoder, Error, Picture, PixelLayout, PlanarImageComponent, Settings};

/// How often the decoder of a still picture may ask for the rest of its data.
const MAX_ROUNDS: u32 = 64;

/// The primary item, upright.
pub(super) fn decode(file: &HeifFile<'_>, request: &Request<'_>) -> Result<RgbPicture, PhotoError> {
    let id = file.primary_id;
    let mut image = item(file, id, request)?;
    let alpha = file.referencing_items(id, b"auxl").into_iter().find(|aux| heif::is_alpha(file, *aux));
    if let Some(alpha) = alpha {
        let alpha = imageops::grayscale(&item(file, alpha, request)?);
        lay_alpha(&mut image, &alpha);
    }
    for property in file.item_properties(id)? {
        image = match *property {
            Property::CleanAperture { width, height, horiz_offset, vert_offset } => {
                let (left, across) = aperture(image.width(), width, horiz_offset);
                let (top, down) = aperture(image.height(), height, vert_offset);
                imageops::crop_imm(&image, left, top, across, down).to_image()
            }
            Property::Rotation(1) => imageops::rotate270(&image),
            Property::Rotation(2) => imageops::rotate180(&image),
            Property::Rotation(3) => imageops::rotate90(&image),
            Property::Mirror(true) => imageops::flip_vertical(&image),
            Property::Mirror(false) => imageops::flip_horizontal(&image),
            _ => image,
        };
    }
    let (width, height) = image.dimensions();
    let data = raster::opaque(image.into_raw());
    Ok(RgbPicture::whole(width, height, data))
}

/// Where a clean aperture begins along an edge, and how long it is. One that makes no sense leaves the edge as it is.
fn aperture(edge: u32, length: (u32, u32), offset: (i32, u32)) -> (u32, u32) {
    let (length, offset) = (f64::from(length.0) / f64::from(length.1), f64::from(offset.0) / f64::from(offset.1));
    let start = (f64::from(edge) - length) / 2.0 + offset;
    let fits = length >= 1.0 && start > -1.0 && start.round() + length.round() <= f64::from(edge);
    if fits { (start.round().max(0.0) as u32, length.round() as u32) } else { (0, edge) }
}

/// Makes the picture as opaque as `alpha` is bright; where they have other sizes, at the nearest pixel.
fn lay_alpha(image: &mut RgbaImage, alpha: &GrayImage) {
    let ((width, height), (across, down)) = (image.dimensions(), alpha.dimensions());
    let scaled = |at: u32, from: u32, to: u32| (u64::from(at) * u64::from(to) / u64::from(from)) as u32;
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        pixel.0[3] = alpha.get_pixel(scaled(x, width, across), scaled(y, height, down)).0[0];
    }
}

/// An item as it is coded, neither cropped nor turned.
fn item(file: &HeifFile<'_>, id: ItemId, request: &Request<'_>) -> Result<RgbaImage, PhotoError> {
    let (width, height) = heif::size(file, id)?;
    request.limits.check_size(width, height)?;
    match &file.item(id)?.item_type.0 {
        b"av01" => coded(file, id, (width, height)),
        b"grid" => {
            let grid = file.grid(id)?;
            let tiles = file.referenced_items(id, b"dimg");
            let columns = usize::from(grid.columns);
            let first = *tiles.first().ok_or_else(|| PhotoError::new(ErrorKind::Damaged, "a grid has no tiles"))?;
            if tiles.len() != columns * usize::from(grid.rows)
                || (grid.output_width, grid.output_height) != (width, height)
            {
                return Err(PhotoError::new(ErrorKind::Damaged, "a grid does not fit its tiles"));
            }
            let (across, down) = heif::size(file, first)?;
            let mut image = RgbaImage::new(width, height);
            for (n, tile) in tiles.iter().enumerate() {
                let (x, y) = ((n % columns) as i64, (n / columns) as i64);
                let tile = coded(file, *tile, (across, down))?;
                imageops::replace(&mut image, &tile, x * i64::from(across), y * i64::from(down));
            }
            Ok(image)
        }
        other => {
            let message = format!("AVIF items of the kind {:?} cannot be decoded", String::from_utf8_lossy(other));
            Err(PhotoError::new(ErrorKind::Unsupported, message))
        }
    }
}

/// One coded item, of at most the size that it claims.
fn coded(file: &HeifFile<'_>, id: ItemId, claimed: (u32, u32)) -> Result<RgbaImage, PhotoError> {
    let mut settings = Settings::new();
    // The workers are the threads.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    // Frames have whole blocks.
    let padded = |edge: u32| edge.next_multiple_of(128);
    settings.set_frame_size_limit(padded(claimed.0).saturating_mul(padded(claimed.1)));
    let mut decoder = Decoder::with_settings(&settings).map_err(failed)?;
    let mut sent = decoder.send_data(file.item_data(id)?.into_owned(), None, None, None);
    let mut rounds = 0..MAX_ROUNDS;
    let picture = loop {
        match (decoder.get_picture(), sent) {
            (Ok(picture), _) => break picture,
            (Err(Error::Again), Err(Error::Again)) if rounds.next().is_some() => sent = decoder.send_pending_data(),
            (Err(Error::Again), _) => return Err(PhotoError::truncated()),
            (Err(error), _) => return Err(failed(error)),
        }
    };
    let color = heif::nclx(file, id).or_else(|| heif::nclx(file, file.primary_id));
    to_rgba(&picture, color.map(|(_, _, matrix, full)| (matrix, full)))
}

fn failed(error: Error) -> PhotoError {
    match error {
        Error::NotEnoughMemory => PhotoError::new(ErrorKind::TooLarge, "decoding the AV1 stream needs too much memory"),
        Error::UnsupportedBitstream => PhotoError::new(ErrorKind::Unsupported, "the AV1 stream cannot be decoded"),
        _ => PhotoError::new(ErrorKind::Damaged, format!("the AV1 stream is damaged ({error})")),
    }
}

/// Samples of a plane, with coordinates that stop at its edges.
struct Samples {
    bytes: re_rav1d::dav1d::Plane,
    stride: usize,
    wide: bool,
    last: (usize, usize),
    /// Whether it has half the columns, and half the rows, of the picture.
    halved: (bool, bool),
}

impl Samples {
    fn new(picture: &Picture, plane: PlanarImageComponent) -> Self {
        let halved = match (plane, picture.pixel_layout()) {
            (PlanarImageComponent::Y, _) | (_, PixelLayout::I444 | PixelLayout::I400) => (false, false),
            (_, PixelLayout::I422) => (true, false),
            (_, PixelLayout::I420) => (true, true),
        };
        let edge = |edge: u32, halved| (if halved { edge.div_ceil(2) } else { edge }) as usize - 1;
        Self {
            bytes: picture.plane(plane),
            stride: picture.stride(plane) as usize,
            wide: picture.bit_depth() > 8,
            last: (edge(picture.width(), halved.0), edge(picture.height(), halved.1)),
            halved,
        }
    }

    fn at(&self, x: usize, y: usize) -> u32 {
        let start = y * self.stride;
        if self.wide {
            let at = start + 2 * x;
            u32::from(u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]))
        } else {
            u32::from(self.bytes[start + x])
        }
    }

    /// The value at a pixel of the picture, between the samples around it, which lie in the middle of their pixels.
    fn between(&self, x: usize, y: usize) -> f32 {
        let around = |at: usize, halved: bool, last: usize| match halved {
            false => (at, at),
            true if at % 2 == 1 => (at / 2, (at / 2 + 1).min(last)),
            true => (at / 2, (at / 2).saturating_sub(1)),
        };
        let (near, far) = around(x, self.halved.0, self.last.0);
        let (by, off) = around(y, self.halved.1, self.last.1);
        if near == far && by == off {
            return self.at(near, by) as f32;
        }
        let row = |y| 3 * self.at(near, y) + self.at(far, y);
        (3 * row(by) + row(off)) as f32 / 16.0
    }
}

/// Planes to opaque pixels. `color` is what the container says: the matrix of H.273, and whether the range is full.
fn to_rgba(picture: &Picture, color: Option<(u16, bool)>) -> Result<RgbaImage, PhotoError> {
    let bits = picture.bits_per_component().map_or(8, |bits| bits.0);
    let own = (number(picture.matrix_coefficients()), picture.color_range() == YUVRange::Full);
    let (matrix, full) = color.unwrap_or(own);
    let matrix = if matrix == 2 { own.0 } else { matrix };
    let most = ((1_u32 << bits) - 1) as f32;
    let step = (1_u32 << (bits - 8)) as f32;
    let (floor, span, chroma_span) = if full { (0.0, most, most) } else { (16.0 * step, 219.0 * step, 224.0 * step) };
    let middle = 128.0 * step;
    let luma = Samples::new(picture, PlanarImageComponent::Y);
    let grey = picture.pixel_layout() == PixelLayout::I400;
    let chroma = [PlanarImageComponent::U, PlanarImageComponent::V];
    let chroma = (!grey).then(|| chroma.map(|plane| Samples::new(picture, plane)));
    let (red, blue) = match matrix {
        1 => (0.2126, 0.0722),
        4 => (0.30, 0.11),
        7 => (0.212, 0.087),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let (to_red, to_blue): (f32, f32) = (2.0 * (1.0 - red), 2.0 * (1.0 - blue));
    let green: f32 = 1.0 - red - blue;
    let byte = |value: f32| (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
    let mut image = RgbaImage::new(picture.width(), picture.height());
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let (x, y) = (x as usize, y as usize);
        let light = (luma.at(x, y) as f32 - floor) / span;
        let rgb = match &chroma {
            None => [light; 3],
            Some(chroma) if matrix == 0 => {
                let [b, r] = [0, 1].map(|plane| (chroma[plane].between(x, y) - floor) / span);
                [r, light, b]
            }
            Some(chroma) => {
                let [u, v] = [0, 1].map(|plane| (chroma[plane].between(x, y) - middle) / chroma_span);
                match matrix {
                    // YCgCo.
                    8 => [light - u + v, light + u, light - u - v],
                    _ => {
                        let (r, b) = (light + to_red * v, light + to_blue * u);
                        [r, (light - red * r - blue * b) / green, b]
                    }
                }
            }
        };
        let [r, g, b] = rgb.map(byte);
        pixel.0 = [r, g, b, 255];
    }
    Ok(image)
}

/// The number in H.273.
fn number(matrix: MatrixCoefficients) -> u16 {
    match matrix {
        MatrixCoefficients::Identity => 0,
        MatrixCoefficients::BT709 => 1,
        MatrixCoefficients::BT470M => 4,
        MatrixCoefficients::ST240M => 7,
        MatrixCoefficients::YCgCo => 8,
        MatrixCoefficients::BT2020NonConstantLuminance | MatrixCoefficients::BT2020ConstantLuminance => 9,
        _ => 2,
    }
}
