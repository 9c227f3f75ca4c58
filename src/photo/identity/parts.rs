//! The hash of a picture, as it is put together.

/// The parts of a file that decide what it shows.
pub(in crate::photo) struct Parts(blake3::Hasher);

impl Default for Parts {
    /// No parts yet. The hash can never be one of a whole file.
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key("snapseek 2026-11-27 what a picture file shows"))
    }
}

impl Parts {
    /// Adds one part.
    pub(in crate::photo) fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes()).update(part);
    }

    /// Adds numbers as one part.
    pub(super) fn add_numbers(&mut self, numbers: &[u64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.add(&bytes);
    }

    /// Adds a piece of a part, of which the length must be added after the last piece.
    pub(super) fn add_piece(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all parts.
    pub(super) fn hash(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}
