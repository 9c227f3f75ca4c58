//! The formats that hold pictures, as far as they can be read without decoding: segments, chunks and boxes.

pub(in crate::photo) mod heif;
pub(in crate::photo) mod icc;
pub(in crate::photo) mod jpeg;
pub(in crate::photo) mod png;
pub(in crate::photo) mod raw;
pub(in crate::photo) mod riff;
pub(in crate::photo) mod tiff;
pub(in crate::photo) mod video;
