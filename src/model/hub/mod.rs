//! Where models come from and where they are kept: the Hugging Face cache, downloads, quantized forms.

pub(super) mod download;
pub(super) mod fingerprint;
pub(super) mod pinned_file;
pub mod presets;
pub mod quantized;
pub(super) mod spec;
pub(super) mod store;
