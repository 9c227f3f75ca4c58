//! Detects the format of a file.

use super::containers::{png, raw, video};
use super::{ErrorKind, PhotoError};
use std::path::Path;

/// A format: as it is stored, as people call it, and the endings that its files have.
pub struct FormatInfo {
    /// In lower case, as the catalogue has it.
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// Without dots, in lower case.
    pub endings: &'static [&'static str],
}

macro_rules! formats {
    ($($format:ident $name:literal $title:literal [$($ending:literal)*])*) => {
        /// The formats that are decoded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Format { $($format,)* }

        impl Format {
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$format => $name,)* }
            }
        }

        /// Every format that is decoded. Files are told by their content; the endings decide which are looked at.
        pub const FORMATS: &[FormatInfo] =
            &[$(FormatInfo { name: $name, title: $title, endings: &[$($ending,)*] },)*];
    };
}

formats! {
    Jpeg "jpeg" "JPEG" ["jpg" "jpeg" "jpe" "jfif" "mpo" "insp"]
    Heic "heic" "HEIC" ["heic" "heif" "hif"]
    Avif "avif" "AVIF" ["avif"]
    Png "png" "PNG" ["png" "apng"]
    WebP "webp" "WebP" ["webp"]
    JpegXl "jxl" "JPEG XL" ["jxl"]
    Jpeg2000 "jp2" "JPEG 2000" ["jp2" "j2k" "j2c" "jpc" "jpf" "jpx"]
    Tiff "tiff" "TIFF" ["tif" "tiff"]
    Raw "raw" "Camera raw" [
        "3fr" "arw" "cr2" "cr3" "dcr" "dng" "erf" "fff" "gpr" "iiq" "kdc" "mef" "mos" "nef" "nrw" "orf" "pef" "raf" "rw2"
        "rwl" "sr2" "srf" "srw" "x3f"
    ]
    Gif "gif" "GIF" ["gif"]
    Bmp "bmp" "BMP" ["bmp" "dib"]
    Pnm "pnm" "PNM" ["pnm" "pbm" "pgm" "ppm" "pam"]
    Tga "tga" "TGA" ["tga"]
    Qoi "qoi" "QOI" ["qoi"]
    Ico "ico" "ICO" ["ico"]
    Hdr "hdr" "Radiance HDR" ["hdr"]
    Exr "exr" "OpenEXR" ["exr"]
    Video "video" "Video" [
        "3g2" "3gp" "avi" "flv" "insv" "m2ts" "m2v" "m4v" "mkv" "mov" "mp4" "mpeg" "mpg" "mts" "vob" "webm" "wmv"
    ]
}

/// Endings of pictures, drawings and the rarest videos, which are not decoded.
const UNREAD: &[&str] = &[
    "afphoto",
    "ai",
    "avifs",
    "bpg",
    "cdr",
    "crw",
    "dcm",
    "dds",
    "djv",
    "djvu",
    "emf",
    "eps",
    "fits",
    "flif",
    "hdp",
    "heics",
    "heifs",
    "jng",
    "jp3",
    "jxr",
    "kra",
    "lrv",
    "mng",
    "mod",
    "mrw",
    "ora",
    "pct",
    "pcx",
    "pict",
    "procreate",
    "psb",
    "psd",
    "pxd",
    "ras",
    "sgi",
    "svg",
    "svgz",
    "wdp",
    "wmf",
    "xbm",
    "xcf",
    "xpm",
];

/// The ending of a name, in lower case, if it is one of a picture, video or drawing of a kind that is not decoded.
pub fn unread_ending(path: &Path) -> Option<&'static str> {
    ending_of(path, UNREAD)
}

/// The ending of a name, in lower case, if it is a video's.
pub fn video_ending(path: &Path) -> Option<&'static str> {
    FORMATS
        .iter()
        .filter(|format| format.name == Format::Video.name())
        .find_map(|format| ending_of(path, format.endings))
}

/// Whether the name has a picture's extension (jpg, png, heic, ...), in any letter case. The content may be anything.
pub fn looks_like_picture(path: &Path) -> bool {
    let pictures = FORMATS.iter().filter(|format| format.name != Format::Video.name());
    pictures.into_iter().any(|format| ending_of(path, format.endings).is_some())
}

/// The one of these endings that a name has, in any letter case.
fn ending_of(path: &Path, endings: &'static [&'static str]) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?;
    endings.iter().find(|known| known.eq_ignore_ascii_case(ending)).copied()
}

/// Detects the format by the first bytes.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, PhotoError> {
    match bytes {
        [] => Err(PhotoError::new(ErrorKind::Empty, "the file has no bytes")),
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        _ if bytes.starts_with(png::SIGNATURE) => Ok(Format::Png),
        _ if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") => Ok(Format::Gif),
        // Texts can begin with "BM" too; in a bitmap, a small header size follows.
        [b'B', b'M', _, _, _, _, _, _, _, _, _, _, _, _, 12..=124, 0, 0, 0, ..] => Ok(Format::Bmp),
        // Classic TIFF and BigTIFF, little and big endian.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Format::Tiff),
        [0xFF, 0x0A, ..] => Ok(Format::JpegXl),
        [0xFF, 0x4F, 0xFF, 0x51, ..] => Ok(Format::Jpeg2000),
        [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] => Ok(Format::Pnm),
        [0, 0, 1, 0, 1..=255, 0, ..] => Ok(Format::Ico),
        _ if bytes.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n") => Ok(Format::JpegXl),
        _ if bytes.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") => Ok(Format::Jpeg2000),
        _ if bytes.starts_with(b"qoif") => Ok(Format::Qoi),
        _ if bytes.starts_with(b"#?RADIANCE") || bytes.starts_with(b"#?RGBE") => Ok(Format::Hdr),
        _ if bytes.starts_with(b"\x76\x2f\x31\x01") => Ok(Format::Exr),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => iso_media(bytes),
        _ if raw::is_extract(bytes) => Ok(Format::Raw),
        _ if video::is_extract(bytes) => Ok(Format::Video),
        _ if is_tga(bytes) => Ok(Format::Tga),
        _ => match image::guess_format(bytes) {
            Ok(other) if other != image::ImageFormat::Bmp => {
                let name = other.extensions_str().first().unwrap_or(&"unknown").to_uppercase();
                Err(PhotoError::new(ErrorKind::Unsupported, format!("{name} pictures cannot be decoded")))
            }
            _ => Err(PhotoError::new(ErrorKind::NotAPicture, "the content is not in a known picture format")),
        },
    }
}

/// Which ISO media file this is, by the brands of its first box: the one that it is, and those that it says can read
/// it.
fn iso_media(bytes: &[u8]) -> Result<Format, PhotoError> {
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let names = bytes.get(8..length.min(bytes.len())).unwrap_or_default().as_chunks::<4>().0;
    // The second of them is the version of the first.
    let mut brands = names.iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, brand)| brand);
    let found = brands.find_map(|brand| match brand {
        b"avif" | b"avis" => Some(Format::Avif),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(Format::Heic),
        _ => None,
    });
    // A general brand does not say how the picture is coded.
    let general = names.first().is_some_and(|brand| matches!(brand, b"mif1" | b"mif2" | b"msf1" | b"miaf"));
    found.or(general.then_some(Format::Heic)).ok_or_else(|| {
        PhotoError::new(ErrorKind::NotAPicture, "the content is a video or another media file, not a picture")
    })
}

/// Whether a header is one of a TGA, which has no signature: every field of it must be possible.
fn is_tga(bytes: &[u8]) -> bool {
    let Some([_, palette, kind, rest @ ..]) = bytes.first_chunk::<18>() else { return false };
    let number = |at: usize| u16::from(rest[at]) | u16::from(rest[at + 1]) << 8;
    let (first, colors, bits) = (number(0), number(2), rest[4]);
    let (width, height, depth, flags) = (number(9), number(11), rest[13], rest[14]);
    let palette = match palette {
        0 => {
            first == 0
                && colors == 0
                && bits == 0
                && matches!((kind, depth), (2 | 10, 15 | 16 | 24 | 32) | (3 | 11, 8 | 16))
        }
        1 => matches!(kind, 1 | 9) && (1..=256).contains(&colors) && matches!(bits, 15 | 16 | 24 | 32) && depth == 8,
        _ => false,
    };
    palette && width > 0 && height > 0 && flags & 0xC0 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_their_ending() {
        for name in ["a.jpg", "B.JPEG", "c.Png", "x/y.z.tif", "d.HEIC"] {
            assert!(looks_like_picture(Path::new(name)), "{name}");
        }
        assert_eq!(unread_ending(Path::new("x/Drawing.PSD")), Some("psd"));
        assert_eq!(video_ending(Path::new("x/Film.MP4")), Some("mp4"));
        assert!(["a.jpg", "a.txt", "mp4"].iter().all(|name| unread_ending(Path::new(name)).is_none()));
        let decoded = FORMATS.iter().flat_map(|format| format.endings);
        assert!(decoded.into_iter().all(|ending| !UNREAD.contains(ending)));
        for name in ["jpg", ".jpg", "a.jpg.txt", "a.mov", "a."] {
            assert!(!looks_like_picture(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn content_that_is_not_decoded_is_told_apart() {
        let kind = |bytes: &[u8]| sniff(bytes).unwrap_err().kind;
        assert_eq!(kind(b""), ErrorKind::Empty);
        for text in [&b"hello"[..], b"BMW is a maker of cars", b"II", b"\0\0\0\x18ftypmp42"] {
            assert_eq!(kind(text), ErrorKind::NotAPicture);
        }
        let error = sniff(b"DDS \0\0\0\0").unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unsupported, "DDS pictures cannot be decoded"));
    }

    #[test]
    fn brands_tell_what_a_media_file_is() {
        for (bytes, format) in [
            (&b"\0\0\0\x10ftypavif\0\0\0\0"[..], Format::Avif),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Format::Avif),
            (b"\0\0\0\x14ftypmsf1\0\0\0\0heic", Format::Heic),
            (b"\0\0\0\x10ftypmif2\0\0\0\0", Format::Heic),
            (b"\0\0\0\x18ftypisom\0\0\0\0isomheix", Format::Heic),
        ] {
            assert_eq!(sniff(bytes).unwrap(), format);
        }
    }
}
