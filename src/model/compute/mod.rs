//! Numeric code: weights in mapped files, and the kernels that multiply, add and activate.

pub(super) mod attention;
pub(super) mod awake;
pub(super) mod candle_weights;
pub(super) mod gguf;
pub mod headers;
pub(super) mod layers;
pub mod level;
pub(super) mod linear;
pub(super) mod matrix;
pub(super) mod ops;
pub(super) mod weights;
