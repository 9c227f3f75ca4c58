//! Pictures in HEIF: the primary item, coded by itself or made of others, cropped and turned as the container says.

use super::{Request, av1, color};
use crate::photo::budget::Share;
use crate::photo::containers::heif;
use crate::photo::picture::RgbPicture;
use crate::photo::{ErrorKind, PhotoError};
use heifer_isobmff::boxes::{ColorInfo, Property};
use heifer_isobmff::{HeifFile, ItemId};

/// Items in each other at most, as in the decoders.
const DEEPEST: u32 = 4;
/// Pixels that decoding an item is counted as at least.
const LEAST: u64 = 1 << 12;

/// The picture, upright, and the memory that it was given.
pub(super) fn decode(bytes: &[u8], request: &Request<'_>) -> Result<(RgbPicture, Share), PhotoError> {
    let file = heif::parse(bytes)?;
    let id = file.primary_id;
    let (width, height) = size(&file, id)?;
    request.limits.check_size(width, height)?;
    let area = u64::from(width) * u64::from(height);
    let mut work = DecodingWork { left: 2 * area + (16 << 20), largest: 0 };
    if let Some(thumbnail) = request.target.and_then(|target| thumbnail(&file, target))
        && let Some(decoded) = decode_thumbnail(&file, thumbnail, &mut work, request)
    {
        return Ok(decoded);
    }
    work.count(&file, id, 0)?;
    // RGBA before and after it is turned, three planes of 16 bits of a coded item, and its RGBA.
    let memory = request.reserve((width, height), (width, height), 8 * area + 10 * work.largest)?;
    let mut picture = match coding(&file, id, 0) {
        Some(b"hvc1" | b"hev1") => hevc(bytes, &file, request)?,
        Some(b"av01") => av1::decode(&file, request)?,
        other => {
            let name =
                other.map_or("of another kind", |name| std::str::from_utf8(name).unwrap_or("of an unknown kind"));
            let message = format!("the picture in this HEIF file is coded in a way that cannot be decoded: {name}");
            return Err(PhotoError::new(ErrorKind::Unsupported, message));
        }
    };
    color::apply(&mut picture.data, profile(&file, id).as_ref());
    Ok((picture, memory))
}

/// The smallest thumbnail of which the shortest edge has so many pixels, and that shows the whole picture in the same
/// way. Smaller ones mean too little: at an edge of 240 pixels, the cosine with the photo is 0.978 at least, instead of
/// 0.995.
fn thumbnail(file: &HeifFile<'_>, target: u32) -> Option<ItemId> {
    let primary = file.primary_id;
    let turns = |id| -> Option<Vec<&Property>> {
        let properties = file.item_properties(id).ok()?;
        let turns = properties.filter(|property| {
            matches!(property, Property::CleanAperture { .. } | Property::Rotation(_) | Property::Mirror(_))
        });
        Some(turns.collect())
    };
    let is_whole = |turns: &Vec<&Property>| !turns.iter().any(|turn| matches!(turn, Property::CleanAperture { .. }));
    let own = turns(primary).filter(is_whole)?;
    let alpha = |id| file.referencing_items(id, b"auxl").into_iter().any(|aux| is_alpha(file, aux));
    let (width, height) = size(file, primary).ok()?;
    let mut found: Vec<_> = file.referencing_items(primary, b"thmb");
    found.retain(|id| {
        let Ok((across, down)) = size(file, *id) else { return false };
        // In the same proportions, within a pixel.
        let apart = (u64::from(across) * u64::from(height)).abs_diff(u64::from(down) * u64::from(width));
        across.min(down) >= target
            && across <= width
            && apart <= u64::from(width.max(height))
            && turns(*id).as_ref() == Some(&own)
            && alpha(*id) == alpha(primary)
            && matches!(coding(file, *id, DEEPEST), Some(b"hvc1"))
    });
    found.into_iter().min_by_key(|id| size(file, *id).map_or(u64::MAX, |(w, h)| u64::from(w) * u64::from(h)))
}

/// A thumbnail in place of its picture; `None` if it cannot be decoded.
fn decode_thumbnail(
    file: &HeifFile<'_>,
    id: ItemId,
    work: &mut DecodingWork,
    request: &Request<'_>,
) -> Option<(RgbPicture, Share)> {
    work.count(file, id, 0).ok()?;
    let size_of = |id| size(file, id).ok();
    let ((width, height), kept) = size_of(file.primary_id).zip(size_of(id))?;
    let memory = request.reserve((width, height), kept, 12 * u64::from(kept.0) * u64::from(kept.1)).ok()?;
    let mut picture = hevc_item(file, id)?;
    let turned = (picture.width > picture.height) != (width > height);
    picture.full = if turned { (height, width) } else { (width, height) };
    let own = profile(file, id).or_else(|| profile(file, file.primary_id));
    color::apply(&mut picture.data, own.as_ref());
    Some((picture, memory))
}

/// Width and height that an item claims, before it is cropped and turned.
pub(super) fn size(file: &HeifFile<'_>, id: ItemId) -> Result<(u32, u32), PhotoError> {
    match file.image_size(id)? {
        Some(size) => Ok(size),
        None => Err(PhotoError::new(ErrorKind::Damaged, "the file does not say how large the picture is")),
    }
}

/// How the pixels of an item are coded in the end.
fn coding<'a>(file: &'a HeifFile<'_>, id: ItemId, depth: u32) -> Option<&'a [u8; 4]> {
    let kind = &file.item(id).ok()?.item_type.0;
    if !matches!(kind, b"grid" | b"iovl" | b"iden") {
        return Some(kind);
    }
    let first = *file.referenced_items(id, b"dimg").first()?;
    (depth < DEEPEST).then(|| coding(file, first, depth + 1))?
}

/// How much decoding a file asks for: items can be used again and again, and claim any size.
struct DecodingWork {
    /// Pixels that may still be decoded.
    left: u64,
    /// Pixels of the largest coded item.
    largest: u64,
}

impl DecodingWork {
    fn count(&mut self, file: &HeifFile<'_>, id: ItemId, depth: u32) -> Result<(), PhotoError> {
        let parts = file.referenced_items(id, b"dimg");
        let coded = if parts.is_empty() { coded_pixels(file, id)? } else { LEAST };
        self.largest = self.largest.max(coded);
        self.left = self.left.checked_sub(coded.max(LEAST)).filter(|_| depth <= DEEPEST).ok_or_else(|| {
            PhotoError::new(ErrorKind::TooLarge, "the file asks to decode many more pixels than the picture has")
        })?;
        let alpha = file.referencing_items(id, b"auxl").into_iter().filter(|aux| is_alpha(file, *aux));
        for part in parts.iter().copied().chain(alpha.collect::<Vec<_>>()) {
            self.count(file, part, depth + 1)?;
        }
        Ok(())
    }
}

/// Pixels that a coded item has: as many as it claims, or as its stream does.
fn coded_pixels(file: &HeifFile<'_>, id: ItemId) -> Result<u64, PhotoError> {
    let (width, height) = file.image_size(id)?.unwrap_or((0, 0));
    let claimed = u64::from(width) * u64::from(height);
    Ok(match &file.item(id)?.item_type.0 {
        b"hvc1" | b"hev1" => claimed.max(hevc_pixels(file, id)?),
        _ => claimed,
    })
}

/// Whether an auxiliary item says how opaque another one is.
pub(super) fn is_alpha(file: &HeifFile<'_>, id: ItemId) -> bool {
    file.item_properties(id).is_ok_and(|mut properties| {
        properties.any(|property| {
            matches!(property, Property::AuxiliaryType(kind) if kind == "urn:mpeg:hevc:2015:auxid:1"
                || kind == "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
        })
    })
}

/// The colours of an item, or of the first that it is made of.
fn profile(file: &HeifFile<'_>, id: ItemId) -> Option<color::Profile> {
    if let Some(icc) = file.icc_profile(id).ok().flatten() {
        return Some(color::Profile::Icc(icc.to_vec()));
    }
    let mut id = id;
    for _ in 0..=DEEPEST {
        if let Some((primaries, transfer, ..)) = nclx(file, id) {
            return Some(color::Profile::Cicp { primaries, transfer });
        }
        id = *file.referenced_items(id, b"dimg").first()?;
    }
    None
}

/// Primaries, transfer, matrix, and whether the range is full, in the numbers of ITU-T H.273.
pub(super) fn nclx(file: &HeifFile<'_>, id: ItemId) -> Option<(u16, u16, u16, bool)> {
    file.item_properties(id).ok()?.find_map(|property| match property {
        Property::Color(ColorInfo::Nclx { primaries, transfer, matrix, full_range }) => {
            Some((*primaries, *transfer, *matrix, *full_range))
        }
        _ => None,
    })
}

#[cfg(feature = "heic")]
fn hevc_pixels(file: &HeifFile<'_>, id: ItemId) -> Result<u64, PhotoError> {
    use heifer::heifer_hevc_dec::{nal, params::ParameterSets};
    let mut sets = ParameterSets::default();
    for unit in nal::split_annex_b(&file.hevc_bitstream(id)?) {
        // Other units are as long as the picture, and say nothing about its size.
        if unit.first().is_some_and(|first| matches!((first >> 1) & 0x3F, 32..=34))
            && let Ok(unit) = nal::NalUnit::parse(unit)
        {
            let _ = sets.add(&unit);
        }
    }
    let sizes = sets.sps.iter().flatten();
    let pixels = |width, height| u64::from(width) * u64::from(height);
    Ok(sizes.map(|sps| pixels(sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples)).max().unwrap_or(0))
}

#[cfg(feature = "heic")]
fn hevc(bytes: &[u8], _: &HeifFile<'_>, request: &Request<'_>) -> Result<RgbPicture, PhotoError> {
    use super::raster;
    // Colours are converted with those of all other formats. The workers are the threads.
    let options = heifer::Options { max_threads: 1, max_pixels: request.limits.max_pixels };
    let image = heifer::decode_rgba8(bytes, &options)?;
    let data = raster::opaque(image.data);
    Ok(RgbPicture::whole(image.width, image.height, data))
}

/// One coded item, upright.
#[cfg(feature = "heic")]
fn hevc_item(file: &HeifFile<'_>, id: ItemId) -> Option<RgbPicture> {
    use super::raster;
    let image = heifer::decode_item(file, id, 0).ok()?;
    let data = raster::opaque(image.to_rgba8());
    Some(RgbPicture::whole(image.width, image.height, data))
}

#[cfg(not(feature = "heic"))]
fn hevc_item(_: &HeifFile<'_>, _: ItemId) -> Option<RgbPicture> {
    None
}

#[cfg(feature = "heic")]
impl From<heifer::Error> for PhotoError {
    fn from(error: heifer::Error) -> Self {
        use heifer::heifer_hevc_dec::Error as Hevc;
        match error {
            heifer::Error::Container(error) => error.into(),
            heifer::Error::Hevc(Hevc::UnexpectedEof) => Self::truncated(),
            heifer::Error::Hevc(Hevc::Unimplemented(_)) | heifer::Error::Unsupported(_) => {
                Self::new(ErrorKind::Unsupported, error.to_string())
            }
            _ => Self::new(ErrorKind::Damaged, error.to_string()),
        }
    }
}

#[cfg(not(feature = "heic"))]
fn hevc_pixels(_: &HeifFile<'_>, _: ItemId) -> Result<u64, PhotoError> {
    Ok(0)
}

#[cfg(not(feature = "heic"))]
fn hevc(_: &[u8], _: &HeifFile<'_>, _: &Request<'_>) -> Result<RgbPicture, PhotoError> {
    let message = "HEIC pictures cannot be decoded by this build, which was made without the feature \"heic\": convert \
                   them to JPEG, for example with heif-convert";
    Err(PhotoError::new(ErrorKind::Unsupported, message))
}
