//! What is fuzzed: each function takes foreign bytes, and may neither panic, nor hang, nor take much memory. The fuzzer
//! calls them (fuzz_targets), and so does a short seeded test (tests/app/fuzz.rs).
#![allow(dead_code)] // each fuzz target calls one of them

use snapseek::model::compute::headers;
use snapseek::photo::{self, DecodeLimits};

/// Pixels and memory that a picture may take here.
const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 4 << 20, max_bytes: 1 << 20, max_alloc: 64 << 20 };

/// A picture file, decoded as for indexing.
pub(crate) fn decode(bytes: &[u8]) {
    // A decoder's panic is an error of its picture, and no find.
    snapseek::panics::contain_panics();
    let bytes = &photo::extracted(bytes.to_vec());
    let _ = photo::identity::outline(bytes);
    if let Ok(decoded) = photo::decode(bytes, Some(448), &LIMITS) {
        let picture = decoded.picture;
        assert_eq!(picture.data.len(), picture.width as usize * picture.height as usize * 3);
    }
}

/// The header of a GGUF file.
pub(crate) fn gguf(bytes: &[u8]) {
    let _ = headers::of_gguf(bytes);
}

/// The header of a safetensors file.
pub(crate) fn safetensors(bytes: &[u8]) {
    let _ = headers::of_safetensors(bytes);
}

/// A query as a person types it.
pub(crate) fn query(bytes: &[u8]) {
    let _ = snapseek_index::query::parse(&String::from_utf8_lossy(bytes));
}
