//! A decoded picture, the one thing that the photo and model layers share.

/// Part of a picture: left, top, width and height in pixels, not necessarily whole numbers.
pub type Region = (f64, f64, f64, f64);

/// An upright, opaque 8-bit sRGB picture, possibly decoded at a reduced size.
#[derive(Clone, Debug, PartialEq)]
pub struct RgbPicture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, pixels from the left, red, green, blue.
    pub data: Vec<u8>,
    /// Width and height in pixels at full size.
    pub full: (u32, u32),
    /// The part of these pixels that the full picture covers. A picture 11 pixels wide that was decoded at a quarter of
    /// its size covers 2.75 of 3 pixels.
    pub extent: Region,
}

impl RgbPicture {
    /// A picture at its full size.
    #[must_use]
    pub fn whole(width: u32, height: u32, data: Vec<u8>) -> Self {
        let extent = (0.0, 0.0, width.into(), height.into());
        Self { width, height, data, full: (width, height), extent }
    }

    /// Where a region of the full-size picture is in these pixels.
    #[must_use]
    pub fn locate(&self, (left, top, width, height): Region) -> Region {
        let (x, y) = (self.extent.2 / f64::from(self.full.0), self.extent.3 / f64::from(self.full.1));
        (self.extent.0 + left * x, self.extent.1 + top * y, width * x, height * y)
    }
}
