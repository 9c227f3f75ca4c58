//! Detects the format of a file.

use super::containers::png;
use super::{ErrorKind, PhotoError};
use std::path::Path;

/// Extensions of the files that are read. AVIF and HEIC are among them so that such photos are listed as unsupported,
/// not silently left out.
const ENDINGS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif", "heic", "heif"];

/// The formats that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
    }
}

/// Whether the name has a picture's extension (jpg, png, heic, ...), in any letter case. The content may be anything.
pub fn looks_like_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)))
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
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => Err(container(brand)),
        _ => match image::guess_format(bytes) {
            Ok(other) if other != image::ImageFormat::Bmp => {
                let name = other.extensions_str().first().unwrap_or(&"unknown").to_uppercase();
                Err(PhotoError::new(ErrorKind::Unsupported, format!("{name} pictures cannot be decoded")))
            }
            _ => Err(PhotoError::new(ErrorKind::NotAPicture, "the content is not in a known picture format")),
        },
    }
}

/// The error for an ISO media file; `brand` begins with the four letters that say which one.
fn container(brand: &[u8]) -> PhotoError {
    let unsupported = |name, way| {
        let message = format!("{name} pictures cannot be decoded: {way}");
        PhotoError::new(ErrorKind::Unsupported, message)
    };
    match brand.first_chunk::<4>() {
        Some(b"avif" | b"avis") => unsupported("AVIF", "convert them to JPEG, for example with avifdec"),
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => {
            unsupported("HEIC", "convert them to JPEG, for example with heif-convert")
        }
        _ => PhotoError::new(ErrorKind::NotAPicture, "the content is a video or another media file, not a picture"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_their_ending() {
        for name in ["a.jpg", "B.JPEG", "c.Png", "x/y.z.tif", "d.HEIC"] {
            assert!(looks_like_picture(Path::new(name)), "{name}");
        }
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
        for (bytes, name) in
            [(&b"\0\0\0\x1cftypavif"[..], "AVIF"), (b"\0\0\0\x18ftypheic", "HEIC"), (b"qoif\0\0\0\0", "QOI")]
        {
            let error = sniff(bytes).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.starts_with(name), "{}", error.message);
        }
    }
}
