//! Where the photos of a library lie on its map: a cache, because laying a map out takes long.

use super::cache::{self, Cache, Head};
use crate::catalogue::change_log::Stamp;
use crate::catalogue::library::Library;
use crate::error::Result;
use crate::search::vectors::basis;

/// A map as it was kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptMap {
    /// Photos, by id, and where each lies, across and down.
    pub spots: Vec<(i64, (f32, f32))>,
    /// How many of them there were when it was laid out; the others were added since.
    pub laid_out: usize,
}

impl Library {
    /// The map that was kept last for the model that answers; `None` if there is none that can be read.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn kept_map(&self) -> Result<Option<KeptMap>> {
        let Some(model) = self.answering()? else { return Ok(None) };
        let Ok(cache) = Cache::open(&self.dir().join("map")) else { return Ok(None) };
        let sections = cache.section::<i64>(0).zip(cache.section::<[f32; 2]>(1));
        let Some((ids, spots)) = sections.filter(|(ids, spots)| ids.len() == spots.len()) else { return Ok(None) };
        if cache.head.basis != basis(&model) || !spots.as_flattened().iter().all(|v| v.is_finite()) {
            return Ok(None);
        }
        let spots = ids.iter().zip(spots).map(|(id, [x, y])| (*id, (*x, *y))).collect();
        Ok(Some(KeptMap { spots, laid_out: usize::try_from(cache.head.numbers[0]).unwrap_or(0) }))
    }

    /// Keeps a map of the model that answers, in the place of any other.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn keep_map(&self, map: &KeptMap) -> Result<()> {
        let Some(model) = self.answering()? else { return Ok(()) };
        let ids: Vec<i64> = map.spots.iter().map(|(id, _)| *id).collect();
        let spots: Vec<[f32; 2]> = map.spots.iter().map(|(_, (x, y))| [*x, *y]).collect();
        // It depends on no position of the log: who reads it looks which photos it has.
        let stamp = Stamp { seq: 0, token: 0 };
        let head = Head { stamp, basis: basis(&model), numbers: [map.laid_out as u64, 0, 0, 0] };
        let sections = [bytemuck::cast_slice(&ids), bytemuck::cast_slice(&spots), &[], &[], &[]];
        cache::write(&self.dir().join("map"), &head, &sections, &[])
    }
}
