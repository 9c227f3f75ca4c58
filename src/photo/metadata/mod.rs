//! What a file says about its picture.

pub(super) mod exif;
