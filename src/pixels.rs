//! A decoded picture, the one thing that the photo and model layers share.

/// An upright, opaque 8-bit sRGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbPicture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, pixels from the left, red, green, blue.
    pub data: Vec<u8>,
}
