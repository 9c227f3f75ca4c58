//! Ranks the first results of a query again, by how likely its text and each photo belong together (BLIP-2's matching
//! head, ITM).

use super::photo_file::first_showing;
use super::row::Row;
use crate::exit::Failure;
use crate::model::Pixels;
use crate::model::blip2::Matcher;
use crate::photo::{self, DecodeLimits};
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// How many results are ranked again.
pub const RERANKED: usize = 50;

/// What the model gets of a picture file, from its bytes.
///
/// # Errors
/// The bytes cannot be decoded.
pub fn pixels(matcher: &Matcher, bytes: &[u8]) -> anyhow::Result<Pixels> {
    let decoded = photo::decode(bytes, Some(2 * matcher.image_size()), &DecodeLimits::default())?;
    matcher.prepare(&decoded.picture)
}

/// Ranks the first [`RERANKED`] rows again. Photos that cannot be read stay where they are, after a warning.
///
/// # Errors
/// The model's files are damaged, or the user interrupted it (exit code 130).
pub fn rerank(
    rows: &mut [Row],
    text: &str,
    matcher: &Matcher,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<()> {
    let count = rows.len().min(RERANKED);
    let text = matcher.read(text)?;
    let limits = DecodeLimits::default();
    let mut problems = Vec::new();
    let mut progress = Progress::new(console, cancel);
    for (n, row) in rows.iter_mut().take(count).enumerate() {
        if !progress.step("photos compared with the text", n, count) {
            return Err(Failure::interrupted());
        }
        let paths = row.hit.paths.iter().map(|path| -> &Path { path });
        match first_showing((row.hit.id, &row.hit.picture), paths, &limits, |_, bytes| pixels(matcher, bytes)) {
            Ok(pixels) => {
                let sight = matcher.look(&pixels, cancel)?.ok_or_else(Failure::interrupted)?;
                row.itm = Some(matcher.matching(&sight, &text)?.probability);
            }
            Err(problem) => problems.push(problem),
        }
    }
    drop(progress);
    problems.iter().for_each(|problem| console.warn(problem));
    reorder(&mut rows[..count]);
    Ok(())
}

/// Sorts the rows that have a probability, likeliest first, among the places that they have.
fn reorder(rows: &mut [Row]) {
    let places: Vec<usize> = (0..rows.len()).filter(|place| rows[*place].itm.is_some()).collect();
    let mut sorted: Vec<Row> = places.iter().map(|place| rows[*place].clone()).collect();
    sorted.sort_by(|a, b| b.itm.unwrap_or_default().total_cmp(&a.itm.unwrap_or_default()));
    for (place, row) in places.into_iter().zip(sorted) {
        rows[place] = row;
    }
}
