//! A contact sheet in one file.

use super::{Row, page, table};
use std::path::Path;

pub(super) fn write(rows: &[Row], title: &str, file: &Path) -> anyhow::Result<()> {
    page::check(file, "--html")?;
    let mut sheet = page::head(title, "");
    sheet.push_str("<main>");
    for row in rows {
        let name = page::escape(&table::display_path(row.path()));
        let score = row.hit.cosine.map_or(String::new(), |c| format!("cosine {c:.3} · "));
        let tags = row.hit.tags.iter().map(|t| t.label.as_str()).collect::<Vec<_>>().join(", ");
        let caption = row.hit.caption.as_deref().map_or(String::new(), |text| format!("{}<br>", page::escape(text)));
        let said = format!("{caption}{name}<br><small>{score}{}</small>", page::escape(&tags));
        sheet.push_str(&page::figure(row.path(), &said));
    }
    sheet.push_str("</main></html>\n");
    page::write(file, &sheet)
}
