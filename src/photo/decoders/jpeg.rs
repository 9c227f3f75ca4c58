//! JPEG, at full size or reduced in the DCT.
//!
//! One decoder is enough: `jpeg_decoder` can leave out high frequencies of the DCT, which decodes a 12-megapixel photo
//! about twice as fast; it upsamples colour as libjpeg does; and it reports a scan that ends early, which others fill
//! with grey. What it lacks is done here, on the segments before and between the scans: limits, the colour transform by
//! libjpeg's rules, and a bound on the work that a few bytes can cause.

use super::{Request, color, raster};
use crate::photo::budget::Share;
use crate::photo::containers::jpeg::Header;
use crate::photo::picture::RgbPicture;
use crate::photo::{ErrorKind, PhotoError};
use jpeg_decoder::Decoder;

/// The picture, not yet upright, and the memory that it was given.
pub(super) fn decode(bytes: &[u8], request: &Request<'_>) -> Result<(RgbPicture, Share), PhotoError> {
    let limits = request.limits;
    let header = Header::parse(bytes)?;
    let (width, height) = (u32::from(header.frame.width), u32::from(header.frame.height));
    limits.check_size(width, height)?;
    let divisor = request.target.map_or(1, |target| dct_scale(width, height, target));
    header.check_scans()?;
    let reduced = (header.frame.width.div_ceil(divisor), header.frame.height.div_ceil(divisor));
    let kept = (reduced.0.into(), reduced.1.into());
    let memory = request.reserve((width, height), kept, header.frame.memory(divisor))?;

    let mut decoder = Decoder::new(bytes);
    decoder.set_color_transform(header.color_transform());
    decoder.set_max_decoding_buffer_size(usize::try_from(limits.max_alloc).unwrap_or(usize::MAX));
    if divisor == 1 {
        // Asked to "scale" to the full size, it would reduce a picture that is one pixel wide.
        decoder.read_info()?;
    } else {
        decoder.scale(reduced.0, reduced.1)?;
    }
    // The decoder must be about to do what was checked above.
    if decoder.info().map(|info| (info.width, info.height)) != Some(reduced) {
        return Err(PhotoError::new(ErrorKind::Damaged, "the headers of the JPEG contradict each other"));
    }
    let data = decoder.decode()?;
    let inks = header.frame.components.len() == 4;
    let printed = request.icc.filter(|_| inks).and_then(|icc| color::of_inks(&data, icc));
    let mut data = match header.frame.components.len() {
        1 => raster::repack(data, |[v]| [v; 3]),
        3 => data,
        _ => printed.unwrap_or_else(|| of_inks(data)),
    };
    if let Some(icc) = request.icc.filter(|_| !inks) {
        color::apply_icc(&mut data, icc);
    }
    let covered = |full: u32| f64::from(full) / f64::from(divisor);
    let picture = RgbPicture {
        width: reduced.0.into(),
        height: reduced.1.into(),
        data,
        full: (width, height),
        extent: (0.0, 0.0, covered(width), covered(height)),
    };
    Ok((picture, memory))
}

/// The largest of 1, 2, 4 and 8 by which the edges of a JPEG can be divided while the shortest keeps `target` pixels.
pub fn dct_scale(width: u32, height: u32, target: u32) -> u16 {
    let short = width.min(height);
    [8_u16, 4, 2].into_iter().find(|&divisor| short.div_ceil(u32::from(divisor)) >= target).unwrap_or(1)
}

/// Cyan, magenta, yellow and black, of which 255 is full, to RGB.
pub(super) fn of_inks(data: Vec<u8>) -> Vec<u8> {
    raster::repack(data, |[c, m, y, k]: [u8; 4]| [c, m, y].map(|ink| from_ink(ink, k)))
}

/// Light left by `ink` and black, as Pillow computes it.
fn from_ink(ink: u8, black: u8) -> u8 {
    let light = 255 - black;
    let product = u32::from(ink) * u32::from(light) + 128;
    let absorbed = ((product >> 8) + product) >> 8;
    // `absorbed` is at most `light`.
    light.saturating_sub(absorbed as u8)
}
