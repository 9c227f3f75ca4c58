//! What a file says about its picture: how to turn it upright, when and where it was taken, how its owner rated it.
//! Facts that are missing, damaged or impossible are left out.

mod blocks;
mod exif;
#[cfg(test)]
mod tests;
mod time;
mod video;
mod xmp;

use super::format::Format;
use crate::panics::contained;

/// What a file says about its picture, of which a change leaves the picture as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileMetadata {
    /// When the photo was taken, in the camera's own time: `YYYY-MM-DDTHH:MM:SS`, or only the day if that is all.
    pub taken: Option<String>,
    /// Make and model of the camera, at most 200 characters. Foreign text: escape it before showing it.
    pub camera: Option<String>,
    /// Degrees north, -90 to 90; present if and only if `longitude` is.
    pub latitude: Option<f64>,
    /// Degrees east, -180 to 180.
    pub longitude: Option<f64>,
    /// Stars that a person gave it: 1 to 5, or -1 for a rejected photo.
    pub rating: Option<i8>,
}

/// Everything that is read from the metadata of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Readout {
    /// How to turn the pixels upright, in EXIF's numbers: 1 (not at all) to 8.
    pub(super) orientation: Option<u8>,
    pub(super) metadata: FileMetadata,
}

impl Readout {
    /// Takes what is missing from another one.
    fn or(self, other: Self) -> Self {
        let (own, more) = (self.metadata, other.metadata);
        let (latitude, longitude) = match own.latitude.zip(own.longitude).or(more.latitude.zip(more.longitude)) {
            Some((latitude, longitude)) => (Some(latitude), Some(longitude)),
            None => (None, None),
        };
        Self {
            orientation: self.orientation.or(other.orientation),
            metadata: FileMetadata {
                taken: own.taken.or(more.taken),
                camera: own.camera.or(more.camera),
                latitude,
                longitude,
                rating: own.rating.or(more.rating),
            },
        }
    }
}

/// What a file of this format says. Never fails: what cannot be read is not said.
pub(super) fn read(format: Format, file: &[u8]) -> Readout {
    contained(|| {
        if format == Format::Video {
            return video::read(file);
        }
        let blocks = blocks::find(format, file);
        let exif = blocks.exif.iter().map(|block| exif::read(block)).fold(Readout::default(), Readout::or);
        let xmp = blocks.xmp.iter().map(|packet| xmp::read(packet)).fold(Readout::default(), Readout::or);
        // A program that knows both writes both, any other XMP alone; and 0 takes stars away.
        let rating = xmp.metadata.rating.or(exif.metadata.rating).filter(|stars| *stars != 0);
        let mut said = exif.or(xmp);
        said.metadata.rating = rating;
        // Their containers say it, and their decoders obey; what EXIF repeats does not count.
        if matches!(format, Format::Heic | Format::Avif | Format::JpegXl) {
            said.orientation = None;
        }
        said
    })
    .unwrap_or_default()
}
