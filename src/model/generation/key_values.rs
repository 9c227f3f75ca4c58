//! Keys and values of tokens that went through a language model.
//!
//! A token's keys and values are stored in a slot of the [`KeyValueCache`]; a [`Sequence`] is the list of its tokens'
//! slots. So sequences share what they have in common (the beams of a search share the prompt), and nothing is ever
//! copied.

/// Slots of a block; blocks are added as they are needed and never move.
const BLOCK: usize = 64;

/// The slots of a sequence's tokens.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct Sequence(Vec<u32>);

impl Sequence {
    /// Number of tokens.
    pub(in crate::model) fn len(&self) -> usize {
        self.0.len()
    }

    /// The slots of its tokens.
    pub(in crate::model) fn slots(&self) -> &[u32] {
        &self.0
    }

    /// Drops all but the first `len` tokens.
    pub(in crate::model) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

/// Keys and values of every token that went through the model.
pub(in crate::model) struct KeyValueCache {
    /// Numbers in a token's keys, and in its values.
    width: usize,
    /// For each layer, blocks of slots, (slots, 2 * width): a slot's keys, then its values.
    layers: Vec<Vec<Box<[f32]>>>,
    free: Vec<u32>,
    slots: u32,
}

impl KeyValueCache {
    pub(in crate::model) fn new(layers: usize, width: usize) -> Self {
        Self { width, layers: vec![Vec::new(); layers], free: Vec::new(), slots: 0 }
    }

    /// Frees the slots that none of these sequences uses.
    pub(in crate::model) fn keep<'a>(&mut self, sequences: impl IntoIterator<Item = &'a Sequence>) {
        let mut used = vec![false; self.slots as usize];
        for slot in sequences.into_iter().flat_map(|sequence| &sequence.0) {
            used[*slot as usize] = true;
        }
        self.free = (0..self.slots).filter(|slot| !used[*slot as usize]).rev().collect();
    }

    /// Gives a sequence a slot for one more token, and returns how many tokens it has then.
    ///
    /// # Errors
    /// It has `context` tokens already.
    pub(in crate::model) fn append(&mut self, sequence: &mut Sequence, context: usize) -> anyhow::Result<usize> {
        anyhow::ensure!(sequence.len() < context, "the text outgrows the model's context of {context} tokens");
        sequence.0.push(self.allocate());
        Ok(sequence.len())
    }

    fn allocate(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        if (self.slots as usize).is_multiple_of(BLOCK) {
            for blocks in &mut self.layers {
                blocks.push(vec![0.0; BLOCK * 2 * self.width].into_boxed_slice());
            }
        }
        self.slots += 1;
        self.slots - 1
    }

    pub(in crate::model) fn slot(&self, layer: usize, slot: u32) -> (&[f32], &[f32]) {
        let (block, place) = (slot as usize / BLOCK, slot as usize % BLOCK);
        self.layers[layer][block][place * 2 * self.width..][..2 * self.width].split_at(self.width)
    }

    pub(in crate::model) fn store(&mut self, layer: usize, slot: u32, keys: &[f32], values: &[f32]) {
        let (block, place) = (slot as usize / BLOCK, slot as usize % BLOCK);
        let (k, v) = self.layers[layer][block][place * 2 * self.width..][..2 * self.width].split_at_mut(self.width);
        k.copy_from_slice(keys);
        v.copy_from_slice(values);
    }
}
