//! The chunks of a RIFF file, such as WebP.

/// Bytes before the first chunk.
pub(in crate::photo) const HEAD: usize = 12;

/// A chunk.
#[derive(Clone, Copy, Debug)]
pub(in crate::photo) struct Chunk<'a> {
    pub(in crate::photo) kind: [u8; 4],
    pub(in crate::photo) data: &'a [u8],
}

impl Chunk<'_> {
    /// Bytes of the whole chunk; chunks have even lengths.
    pub(in crate::photo) fn length(&self) -> usize {
        8 + self.data.len().next_multiple_of(2)
    }
}

/// The whole chunks of a RIFF file, in order.
pub(in crate::photo) fn chunks(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = file.get(HEAD..).unwrap_or_default();
    std::iter::from_fn(move || {
        let kind = *rest.first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*rest.get(4..)?.first_chunk()?)).ok()?;
        let data = rest.get(8..)?.get(..length)?;
        let chunk = Chunk { kind, data };
        // The last one's padding may be missing.
        rest = rest.get(chunk.length()..).unwrap_or_default();
        Some(chunk)
    })
}

/// The bytes of the file that its header counts; `None` if there are fewer.
pub(in crate::photo) fn whole(file: &[u8]) -> Option<&[u8]> {
    let length = usize::try_from(u32::from_le_bytes(*file.get(4..)?.first_chunk()?)).ok()?;
    file.get(..length.checked_add(8)?)
}
