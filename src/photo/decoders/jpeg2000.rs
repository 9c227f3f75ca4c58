//! JPEG 2000 by `hayro-jpeg2000`.

use super::{Request, raster};
use crate::photo::budget::Share;
use crate::photo::picture::RgbPicture;
use crate::photo::{ErrorKind, PhotoError};
use hayro_jpeg2000::{DecodeSettings, Image};

/// Bytes for each sample while it is decoded: coefficients and components, of 32 bits.
const SCRATCH: u64 = 12;

/// The picture, not yet upright, and the memory that it was given.
pub(super) fn decode(bytes: &[u8], request: &Request<'_>) -> Result<(RgbPicture, Share), PhotoError> {
    let size = CodestreamSize::find(bytes).ok_or_else(PhotoError::truncated)?;
    request.limits.check_size(size.width, size.height)?;
    if size.tiles > 65_535 {
        return Err(PhotoError::new(ErrorKind::Damaged, "the picture claims more tiles than there can be"));
    }
    let image = Image::new(bytes, &DecodeSettings::default()).map_err(failed)?;
    raster::pixels(image, SCRATCH * u64::from(size.components), request)
}

fn failed(error: hayro_jpeg2000::DecodeError) -> PhotoError {
    PhotoError::new(ErrorKind::Damaged, error.to_string())
}

/// What the codestream's header says (ISO/IEC 15444-1, A.5.1), because the decoder trusts it.
struct CodestreamSize {
    width: u32,
    height: u32,
    tiles: u64,
    components: u16,
}

impl CodestreamSize {
    fn find(bytes: &[u8]) -> Option<Self> {
        let start = memchr::memmem::find(bytes, b"\xFF\x4F\xFF\x51")? + 8;
        let number = |n: usize| bytes.get(start + 4 * n..)?.first_chunk().map(|number| u32::from_be_bytes(*number));
        let [right, bottom, left, top] = [number(0)?, number(1)?, number(2)?, number(3)?];
        let [across, down] = [number(4)?, number(5)?];
        let tiles = |edge: u32, tile: u32| u64::from(edge).div_ceil(u64::from(tile.max(1)));
        Some(Self {
            width: right.saturating_sub(left),
            height: bottom.saturating_sub(top),
            tiles: tiles(right, across) * tiles(bottom, down),
            components: u16::from_be_bytes(*bytes.get(start + 32..)?.first_chunk()?),
        })
    }
}
