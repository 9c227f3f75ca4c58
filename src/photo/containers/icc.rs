//! Where colour profiles are. Source: ICC.1:2022, annex B, and the formats themselves.

use super::tiff::Tiff;
use super::{jpeg, png, raw, riff};
use crate::photo::format::Format;
use flate2::read::ZlibDecoder;
use std::borrow::Cow;
use std::io::Read;

/// Most bytes of a profile: those of printers have some.
pub(in crate::photo) const LONGEST: usize = 8 << 20;
/// Tag of the profile in a TIFF.
const TIFF_ICC: u16 = 34_675;

/// The colour profile of a file, if its format keeps it outside the coded picture.
pub(in crate::photo) fn find(format: Format, file: &[u8]) -> Option<Cow<'_, [u8]>> {
    let profile = match format {
        Format::Jpeg => of_jpeg(file),
        Format::Raw => of_jpeg(raw::Extract::parse(file)?.jpeg),
        Format::Png => {
            let data =
                png::chunks(file).take_while(|chunk| &chunk.kind != b"IDAT").find(|chunk| &chunk.kind == b"iCCP")?.data;
            // A name, a zero, and how it is packed.
            let packed = data.get(data.iter().position(|byte| *byte == 0)? + 2..)?;
            let mut profile = Vec::new();
            ZlibDecoder::new(packed).take(LONGEST as u64 + 1).read_to_end(&mut profile).ok()?;
            Some(Cow::Owned(profile))
        }
        Format::WebP => riff::chunks(file).find(|chunk| &chunk.kind == b"ICCP").map(|chunk| Cow::Borrowed(chunk.data)),
        Format::Tiff => {
            let tiff = Tiff::new(file)?;
            let directory = tiff.directory(tiff.first()?)?;
            tiff.bytes(directory.entries.iter().find(|entry| entry.tag == TIFF_ICC)?).map(Cow::Borrowed)
        }
        _ => None,
    };
    profile.filter(|profile| profile.len() <= LONGEST)
}

/// Joins the pieces, which are numbered.
fn of_jpeg(file: &[u8]) -> Option<Cow<'_, [u8]>> {
    let pieces = jpeg::applications(file, jpeg::Segment::APP2, b"ICC_PROFILE\0");
    let mut pieces: Vec<_> = pieces.filter_map(|piece| Some((piece.first()?, piece.get(2..)?))).collect();
    pieces.sort_by_key(|(number, _)| **number);
    match pieces.as_slice() {
        [] => None,
        [(_, whole)] => Some(Cow::Borrowed(whole)),
        _ => Some(Cow::Owned(pieces.into_iter().flat_map(|(_, piece)| piece).copied().collect())),
    }
}
