//! TIFF, as scanners, fax machines and other programs write it: what is coded, how it is predicted, what samples mean.
//!
//! Other crates decode the strips and tiles. The rest is done here, because the `tiff` crate drops samples before it
//! undoes their prediction, multiplies alpha twice, and knows neither palettes nor planes nor half of the packings.
//! Source: TIFF 6.0 (Adobe, 1992).

mod chunks;
mod fax;
mod layout;
mod samples;

use super::{Request, jpeg, salvage};
use crate::photo::budget::Share;
use crate::photo::containers::tiff::Tiff;
use crate::photo::picture::RgbPicture;
use crate::photo::{ErrorKind, PhotoError};
use chunks::{Packing, Unpacker};
use layout::TiffLayout;
use samples::TiffSamples;

/// The first page, not yet upright, the memory that it was given, and what is wrong with it, if it is damaged.
pub(super) fn decode(bytes: &[u8], request: &Request<'_>) -> Result<(RgbPicture, Share, Option<String>), PhotoError> {
    let file = Tiff::new(bytes).ok_or_else(PhotoError::truncated)?;
    let directory = file.first().and_then(|at| file.directory(at)).filter(|directory| directory.is_whole);
    let directory = directory.ok_or_else(PhotoError::truncated)?;
    if let Some(stream) = layout::old_jpeg(&file, &directory) {
        return jpeg::decode(stream, request).map(|(picture, memory)| (picture, memory, None));
    }
    let layout = TiffLayout::read(&file, &directory, request.limits)?;
    let (width, height) = layout.size;
    let area = u64::from(width) * u64::from(height);
    let kept = area * layout.channels() as u64;
    let chunk = (layout.row_bytes() as u64).saturating_mul(layout.coded_rows(layout.chunk.1) as u64);
    // The JPEG decoder returns planes and pixels of its own.
    let chunk = chunk.saturating_mul(if layout.packing == Packing::Jpeg { 4 } else { 1 });
    let widened = if layout.channels() < 3 { 3 * area } else { 0 };
    let decoding = chunk.saturating_add(kept * if layout.is_wide() { 5 } else { 1 } + widened);
    let memory = request.reserve(layout.size, layout.size, decoding)?;

    let count = usize::try_from(kept).unwrap_or(usize::MAX);
    let mut samples =
        if layout.is_wide() { TiffSamples::Wide(vec![0.0; count]) } else { TiffSamples::Bytes(vec![0; count]) };
    let flaw = read(&layout, &mut samples)?;
    let picture = RgbPicture::whole(width, height, layout.to_rgb(samples, request));
    let remark = match flaw {
        Some((error, missing)) => {
            // Columns, or one of the colours.
            let kind = if missing == 0 { ErrorKind::Damaged } else { error.kind };
            Some(salvage::remark(&picture, missing, kind).ok_or(error)?)
        }
        None => None,
    };
    Ok((picture, memory, remark))
}

/// Reads every strip or tile that can be read. What could not be read is the first error, and how many rows at the bottom
/// there are not.
fn read(layout: &TiffLayout<'_>, samples: &mut TiffSamples) -> Result<Option<(PhotoError, u32)>, PhotoError> {
    let ((width, height), (across, down)) = (layout.size, layout.grid());
    let mut unpacker = Unpacker::new(layout);
    let (mut error, mut bottom) = (None, 0);
    for n in 0..across as usize * down as usize * layout.planes() {
        let (plane, n_in_plane) =
            (n / (across as usize * down as usize), (n % (across as usize * down as usize)) as u32);
        let (left, top) = (n_in_plane % across * layout.chunk.0, n_in_plane / across * layout.chunk.1);
        let shown = (layout.chunk.0.min(width - left), layout.chunk.1.min(height - top));
        let rows = if layout.tiled { layout.chunk.1 } else { shown.1 };
        let outcome = match layout.chunks.get(n) {
            Some(Some(packed)) => unpacker.unpack(packed, rows),
            Some(None) => continue,
            None => Err(layout.flaw()),
        };
        let row_bytes = layout.row_bytes();
        let done = match outcome {
            Ok(done) => {
                if done.damaged || done.bytes < unpacker.rows.len() {
                    error.get_or_insert_with(|| layout.flaw());
                }
                (done.bytes / row_bytes * layout.subsampling.1 as usize).min(shown.1 as usize)
            }
            Err(unsupported) if unsupported.kind == ErrorKind::Unsupported => return Err(unsupported),
            Err(damaged) => {
                error.get_or_insert(damaged);
                0
            }
        };
        for line in 0..done {
            let down = layout.subsampling.1 as usize;
            let row = &unpacker.rows[line / down * row_bytes..][..row_bytes];
            let at = ((top as usize + line) * width as usize + left as usize) * layout.channels() + plane;
            layout.copy(row, line % down, shown.0 as usize, samples, at);
        }
        if done > 0 {
            bottom = bottom.max(top + done as u32);
        }
    }
    Ok(error.map(|error| (error, height - bottom)))
}
