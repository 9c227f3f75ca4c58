//! A contact sheet of search results.

use super::ReadSmall;
use super::page::{self, Page};
use crate::search::row::Row;
use std::path::Path;

/// Writes a contact sheet.
///
/// # Errors
/// The file exists and snapseek did not write it (exit code 2), or it cannot be written.
pub fn write(rows: &[Row], title: &str, file: &Path, small: &ReadSmall) -> anyhow::Result<()> {
    let mut sheet = Page::begin(file, title, "")?;
    sheet.push("<main>")?;
    for row in rows {
        let itm = row.itm.map_or(String::new(), |itm| format!("itm {:.1} % · ", itm * 100.0));
        let itm = row.yes.map_or(itm, |yes| format!("shows it {:.0} % · ", yes * 100.0));
        let score = row.hit.cosine.map_or(itm.clone(), |c| format!("{itm}cosine {c:.3} · "));
        let tags = row.hit.tags.iter().map(|t| t.label.as_str()).collect::<Vec<_>>().join(", ");
        sheet.push(&page::figure(row.path(), small, row.hit.caption.as_deref(), &format!("{score}{tags}")))?;
    }
    sheet.push("</main>")?;
    sheet.finish()
}
