//! What is said about a photo: how to turn it upright, when, where and with what it was taken, and what its owner wrote
//! on it. It stands in the file, in files beside it ([`super::sidecars`]) and in its name. Facts that are missing,
//! damaged or impossible are left out.

mod blocks;
mod exif;
mod file_name;
mod iptc;
mod png_text;
mod takeout;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod video;
mod xmp;

use super::format::Format;
use crate::panics::contained;
use blocks::MetadataBlocks;
use serde::Serialize;

pub(super) use file_name::taken as taken_by_name;
pub(super) use takeout::read as read_takeout;
pub(super) use xmp::parse as parse_xmp;

/// What is said about a photo, of which a change leaves the picture as it is. All texts are foreign: escape them before
/// showing them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FileMetadata {
    /// When the photo was taken, in the camera's own time: `YYYY-MM-DDTHH:MM:SS`, or only the day, month or year if
    /// that is all.
    pub taken: Option<String>,
    /// Who says so.
    pub taken_from: Option<MetadataSource>,
    /// How far that time was ahead of the whole world's: `+02:00`.
    pub offset: Option<String>,
    /// Make and model of the camera.
    pub camera: Option<String>,
    /// The lens.
    pub lens: Option<String>,
    /// The f-number of the aperture.
    pub aperture: Option<f64>,
    /// How long the sensor was exposed, in seconds.
    pub exposure: Option<f64>,
    /// The sensitivity of the sensor.
    pub iso: Option<u32>,
    /// Focal length in millimetres.
    pub focal_length: Option<f64>,
    /// Degrees north, -90 to 90; present if and only if `longitude` is.
    pub latitude: Option<f64>,
    /// Degrees east, -180 to 180.
    pub longitude: Option<f64>,
    /// Stars that a person gave it: 1 to 5, or -1 for a rejected photo.
    pub rating: Option<i8>,
    /// The colour that a person marked it with, in lower case: `red`.
    pub label: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// What it shows, in its owner's words.
    pub description: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// Who owns the rights.
    pub copyright: Option<String>,
    /// The place within the city.
    pub location: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The state or province.
    pub region: Option<String>,
    /// The country.
    pub country: Option<String>,
    /// Keywords; one of a hierarchy as `Places/Netherlands/Zandvoort`.
    pub keywords: Vec<String>,
    /// Names of the people who are on it.
    pub people: Vec<String>,
    /// Whether a short film is in the same file.
    pub motion: bool,
}

/// Where something is said about a photo, those that count most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "&'static str")]
pub enum MetadataSource {
    /// An XMP file beside it.
    Sidecar,
    /// XMP in it.
    Xmp,
    /// IPTC's information interchange model in it.
    Iptc,
    /// EXIF in it.
    Exif,
    /// Texts in a PNG.
    PngText,
    /// The header of a video.
    Video,
    /// A file of Google Takeout beside it.
    Takeout,
    /// EXIF's date of the last change.
    ExifChange,
    /// Its name, or that of its folder: a guess.
    FileName,
}

impl From<MetadataSource> for &'static str {
    fn from(source: MetadataSource) -> Self {
        source.as_str()
    }
}

impl MetadataSource {
    /// As it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sidecar | Self::Xmp => "xmp",
            Self::Iptc => "iptc",
            Self::Exif | Self::ExifChange => "exif",
            Self::PngText => "png",
            Self::Video => "video",
            Self::Takeout => "takeout",
            Self::FileName => "file-name",
        }
    }

    /// Where it comes in the search for a date: a camera's word counts more than what programs made of it.
    fn rank_of_date(self) -> u8 {
        match self {
            Self::Sidecar => 0,
            Self::Exif => 1,
            other => other as u8 + 2,
        }
    }
}

/// What one source says.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Where it says so.
    pub source: MetadataSource,
    /// What it says.
    pub metadata: FileMetadata,
}

impl Statement {
    pub(super) fn new(source: MetadataSource, mut metadata: FileMetadata) -> Self {
        metadata.taken_from = metadata.taken.is_some().then_some(source);
        Self { source, metadata }
    }
}

/// Everything that is read from the metadata of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Readout {
    /// How to turn the pixels upright, in EXIF's numbers: 1 (not at all) to 8.
    pub(super) orientation: Option<u8>,
    pub(super) statements: Vec<Statement>,
}

impl FileMetadata {
    /// What these sources say together: of each fact what the source says that counts most, and all their keywords and
    /// people.
    #[must_use]
    pub fn of(statements: &[Statement]) -> Self {
        let mut ranked: Vec<&Statement> = statements.iter().collect();
        ranked.sort_by_key(|statement| statement.source);
        let mut said = ranked.iter().fold(Self::default(), |said, next| said.or(next.metadata.clone()));
        let dated = ranked.iter().filter(|statement| statement.metadata.taken.is_some());
        if let Some(dated) = dated.min_by_key(|statement| statement.source.rank_of_date()) {
            said.taken.clone_from(&dated.metadata.taken);
            said.taken_from = Some(dated.source);
            said.offset.clone_from(&dated.metadata.offset);
        }
        // 0 takes stars away.
        said.rating = said.rating.filter(|stars| *stars != 0);
        said.keywords = text::without_levels(said.keywords);
        said.people = text::distinct(said.people);
        said
    }

    /// Takes what is missing from another one.
    fn or(self, more: Self) -> Self {
        let (latitude, longitude) = match self.latitude.zip(self.longitude).or(more.latitude.zip(more.longitude)) {
            Some((latitude, longitude)) => (Some(latitude), Some(longitude)),
            None => (None, None),
        };
        let (taken, taken_from, offset) = match self.taken {
            Some(taken) => (Some(taken), self.taken_from, self.offset),
            None => (more.taken, more.taken_from, more.offset),
        };
        Self {
            taken,
            taken_from,
            offset,
            camera: self.camera.or(more.camera),
            lens: self.lens.or(more.lens),
            aperture: self.aperture.or(more.aperture),
            exposure: self.exposure.or(more.exposure),
            iso: self.iso.or(more.iso),
            focal_length: self.focal_length.or(more.focal_length),
            latitude,
            longitude,
            rating: self.rating.or(more.rating),
            label: self.label.or(more.label),
            title: self.title.or(more.title),
            description: self.description.or(more.description),
            creator: self.creator.or(more.creator),
            copyright: self.copyright.or(more.copyright),
            location: self.location.or(more.location),
            city: self.city.or(more.city),
            region: self.region.or(more.region),
            country: self.country.or(more.country),
            keywords: [self.keywords, more.keywords].concat(),
            people: [self.people, more.people].concat(),
            motion: self.motion || more.motion,
        }
    }
}

/// How a file of this format says to turn its pixels upright, in EXIF's numbers, without reading what else it says.
pub(super) fn orientation(format: Format, file: &[u8]) -> Option<u8> {
    contained(|| {
        let blocks = blocks::find(format, file);
        turned(format, &blocks, || blocks.xmp.iter().find_map(|packet| xmp::read(packet).0))
    })
    .unwrap_or_default()
}

/// What EXIF says about the orientation, or else XMP.
fn turned(format: Format, blocks: &MetadataBlocks<'_>, xmp: impl FnOnce() -> Option<u8>) -> Option<u8> {
    // Their containers say it, and their decoders obey; what EXIF repeats does not count.
    if matches!(format, Format::Heic | Format::Avif | Format::JpegXl) {
        return None;
    }
    blocks.exif.iter().find_map(|block| exif::orientation(block)).or_else(xmp)
}

/// What a file of this format says. Never fails: what cannot be read is not said.
pub(super) fn read(format: Format, file: &[u8]) -> Readout {
    contained(|| {
        if format == Format::Video {
            let statements = vec![Statement::new(MetadataSource::Video, video::read(file))];
            return Readout { orientation: None, statements };
        }
        let blocks = blocks::find(format, file);
        let packets: Vec<_> = blocks.xmp.iter().map(|packet| xmp::read(packet)).collect();
        let orientation = turned(format, &blocks, || packets.iter().find_map(|(orientation, _)| *orientation));
        let mut statements: Vec<Statement> = blocks.exif.iter().flat_map(|block| exif::read(block)).collect();
        let xmp = packets.into_iter().map(|(_, said)| Statement::new(MetadataSource::Xmp, said));
        let iptc = blocks.iptc.iter().map(|block| Statement::new(MetadataSource::Iptc, iptc::read(block)));
        statements.extend(xmp.chain(iptc));
        if !blocks.texts.is_empty() {
            statements.push(Statement::new(MetadataSource::PngText, png_text::read(&blocks.texts)));
        }
        statements.retain(|statement| statement.metadata != FileMetadata::default());
        Readout { orientation, statements }
    })
    .unwrap_or_default()
}
