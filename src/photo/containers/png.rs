//! The chunks of a PNG. Source: PNG, third edition (W3C).

/// What every PNG begins with.
pub(in crate::photo) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A chunk.
#[derive(Clone, Copy, Debug)]
pub(in crate::photo) struct Chunk<'a> {
    pub(in crate::photo) kind: [u8; 4],
    pub(in crate::photo) data: &'a [u8],
}

/// The whole chunks of a PNG, in order. Their checksums are not verified.
pub(in crate::photo) fn chunks(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = file.get(SIGNATURE.len()..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
        let kind = *rest.get(4..)?.first_chunk()?;
        let data = rest.get(8..)?.get(..length)?;
        // Four bytes of checksum follow.
        rest = rest.get(8 + length + 4..).unwrap_or_default();
        Some(Chunk { kind, data })
    })
}

/// Width and height in pixels that the header claims.
pub(in crate::photo) fn size(file: &[u8]) -> Option<(u32, u32)> {
    let header = chunks(file).next().filter(|chunk| &chunk.kind == b"IHDR")?.data;
    let edge = |at: usize| header.get(at..)?.first_chunk().map(|edge| u32::from_be_bytes(*edge));
    edge(0).zip(edge(4))
}
