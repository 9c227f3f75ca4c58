//! Results as a table on a terminal, as tab-separated lines in a pipe.

use super::Outputs;
use crate::search::row::{self, Row, taken};
use crate::terminal::console::{self, Console};
use crate::terminal::sanitize;
use crate::terminal::text::{self, display_path, pad, shorten_end};
use snapseek_index::Hit;
use unicode_width::UnicodeWidthStr;

/// Columns that are left for tags or a caption at least, or else there are none.
const LEAST: usize = 8;
/// Most columns for what owners wrote.
const WRITTEN: usize = 28;
/// The widest that a camera's name is shown.
const CAMERA: usize = 20;

/// What a table shows about a photo besides scores, path and tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableColumn {
    /// When it was taken.
    Date,
    /// The camera.
    Camera,
    /// Size of the file.
    Size,
    /// Width and height.
    Pixels,
    /// Stars.
    Rating,
    /// Its owner's title or description.
    Title,
    /// Where it was taken, as its owner named it, or by its coordinates.
    Place,
    /// Who is on it.
    People,
    /// Its owner's keywords.
    Keywords,
}

/// How a table looks.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// More columns.
    pub columns: Vec<TableColumn>,
    /// Whether each path has a line of its own.
    pub long: bool,
    /// In a pipe, whether a column tells matches from the photos that are merely near.
    pub states: bool,
}

/// A column of fixed width.
struct Cells {
    head: &'static str,
    cells: Vec<String>,
    right: bool,
}

impl Cells {
    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.width()).max().unwrap_or(0).max(self.head.width())
    }

    fn aligned(&self, cell: &str, width: usize) -> String {
        if self.right { format!("{cell:>width$}") } else { pad(cell, width) }
    }
}

/// Prints every row and calls `after` after each.
pub(super) fn print(
    rows: &[Row],
    wanted: &Outputs<'_>,
    console: &Console,
    after: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !console.terminal {
        return rows.iter().try_for_each(|row| Ok(console.bytes(&tab_separated(row, wanted, console))?));
    }
    if let Some(query) = wanted.query {
        console.line(&console.style("1", &format!("> {}", sanitize::text(query))))?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    let fixed = fixed_columns(rows, &wanted.table.columns);
    let widths: Vec<usize> = fixed.iter().map(Cells::width).collect();
    let room = console::width().saturating_sub(widths.iter().map(|width| width + 2).sum());
    let more = |row: &Row| match row.hit.paths.len() - 1 + row.hit.stack.len() + row.hit.folded as usize {
        0 => String::new(),
        more => format!(" (+{more})"),
    };
    let names: Vec<(String, String)> = rows.iter().map(|row| (display_path(row.path()), more(row))).collect();
    let wide = |(name, more): &(String, String)| name.width() + more.len();
    // A longer path takes the place of its tags: it may be copied, so it is never cut.
    let widest = names.iter().map(wide).max().unwrap_or(0).min(room * 2 / 3).max("photo".len());
    let long = wanted.table.long;
    let last = if rows.iter().any(|row| row.hit.caption.is_some()) { "caption or tags" } else { "tags" };
    let joined = |cell: &dyn Fn(&Cells) -> String| -> String {
        fixed.iter().zip(&widths).map(|(column, width)| column.aligned(&cell(column), *width) + "  ").collect()
    };
    let head = joined(&|column| column.head.to_owned());
    let head = if long { format!("{head}{last}") } else { format!("{head}{}  {last}", pad("photo", widest)) };
    console.line(&console.style("2", head.trim_end()))?;
    // The first rows need no title, whether they match or are merely near.
    let mut state =
        rows.first().map(RowState::group).filter(|state| *state != RowState::Gone).unwrap_or(RowState::Match);
    for (n, (row, shown_name)) in rows.iter().zip(&names).enumerate() {
        let (name, more) = shown_name;
        if RowState::group(row) != state {
            state = RowState::group(row);
            let title = match state {
                RowState::Match => "matches:",
                RowState::Near => "nearest of the rest:",
                RowState::Gone => "gone from the disk (`snapseek index --prune` drops them):",
            };
            console.line(&console.style("2", &format!("    {title}")))?;
        }
        let values = joined(&|column| column.cells.get(n).cloned().unwrap_or_default());
        let styled = console.style(if row.is_match && !row.is_missing { "1" } else { "2" }, name);
        let says = row.hit.caption.as_deref().map_or_else(|| tags(&row.hit), sanitize::text);
        if long {
            let says = shorten_end(&says, room.max(LEAST));
            console.line(format!("{values}{}", console.style("2", &says)).trim_end())?;
            console.line(&format!("{styled}{more}"))?;
        } else {
            let taken = wide(shown_name).max(widest);
            let left = room.saturating_sub(taken + 2);
            let says = if left < LEAST { String::new() } else { shorten_end(&says, left) };
            let gap = " ".repeat(taken - wide(shown_name));
            let says = if says.is_empty() { says } else { format!("{gap}  {}", console.style("2", &says)) };
            console.line(&format!("{values}{styled}{more}{says}"))?;
        }
        after(row)?;
    }
    Ok(())
}

/// Where a row stands in a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowState {
    Match,
    Near,
    Gone,
}

impl RowState {
    /// The rows that it stands among: those that were ranked again are one group.
    fn group(row: &Row) -> Self {
        match Self::of(row) {
            Self::Near if row.itm.is_some() || row.yes.is_some() => Self::Match,
            state => state,
        }
    }

    fn of(row: &Row) -> Self {
        match row {
            Row { is_missing: true, .. } => Self::Gone,
            Row { is_match: true, .. } => Self::Match,
            _ => Self::Near,
        }
    }
}

/// What a model that looked again says, and how sure it is.
#[must_use]
pub fn verdict(row: &Row) -> String {
    row.yes.map_or("-".into(), |yes| format!("{} {:>3.0} %", if yes >= 0.5 { "yes" } else { "no " }, yes * 100.0))
}

/// The columns before the path: those of numbers only where there are any.
fn fixed_columns(rows: &[Row], columns: &[TableColumn]) -> Vec<Cells> {
    let column = |head, right, cell: &dyn Fn(&Hit) -> String| Cells {
        head,
        cells: rows.iter().map(|row| cell(&row.hit)).collect(),
        right,
    };
    let any = |has: &dyn Fn(&Hit) -> bool| rows.iter().any(|row| has(&row.hit));
    let digits = rows.len().to_string().len().max(2);
    let cells = (1..=rows.len()).map(|n| format!("{n:>digits$}")).collect();
    let mut fixed = vec![Cells { head: "#", cells, right: true }];
    if rows.iter().any(|row| row.itm.is_some()) {
        let percent = |row: &Row| row.itm.map_or("-".into(), |itm| format!("{:.1} %", itm * 100.0));
        fixed.push(Cells { head: "itm", cells: rows.iter().map(percent).collect(), right: true });
    }
    if rows.iter().any(|row| row.yes.is_some()) {
        fixed.push(Cells { head: "shows it", cells: rows.iter().map(verdict).collect(), right: false });
    }
    if any(&|hit| hit.cosine.is_some()) {
        fixed.push(column("cosine", true, &|hit| number(hit.cosine)));
    }
    if any(&|hit| hit.cosine.is_some() || hit.bm25.is_some()) {
        fixed.push(column("words", true, &|hit| hit.bm25.map_or("-".into(), |b| format!("{b:.1}"))));
    }
    if any(&|hit| hit.probability.is_some()) {
        fixed.push(column("label", true, &|hit| {
            hit.probability.map_or("-".into(), |probability| format!("{:.0} %", probability * 100.0))
        }));
    }
    for wanted in columns {
        fixed.push(match wanted {
            TableColumn::Date => column("date", false, &|hit| shown(*wanted, hit)),
            TableColumn::Camera => column("camera", false, &|hit| shorten_end(&shown(*wanted, hit), CAMERA)),
            TableColumn::Size => column("size", true, &|hit| text::size(hit.size)),
            TableColumn::Pixels => column("pixels", true, &|hit| shown(*wanted, hit)),
            TableColumn::Rating => column("rating", true, &|hit| shown(*wanted, hit)),
            TableColumn::Title => column("title", false, &|hit| shorten_end(&shown(*wanted, hit), WRITTEN)),
            TableColumn::Place => column("place", false, &|hit| shorten_end(&shown(*wanted, hit), WRITTEN)),
            TableColumn::People => column("people", false, &|hit| shorten_end(&shown(*wanted, hit), WRITTEN)),
            TableColumn::Keywords => column("keywords", false, &|hit| shorten_end(&shown(*wanted, hit), WRITTEN)),
        });
    }
    fixed
}

/// A value for people and programs alike; `-` if it is not known.
fn shown(column: TableColumn, hit: &Hit) -> String {
    let facts = &hit.facts;
    match column {
        TableColumn::Date => taken(hit).shown().unwrap_or_else(|| "-".into()),
        TableColumn::Camera => facts.metadata.camera.as_deref().map_or("-".into(), sanitize::text),
        TableColumn::Size => hit.size.to_string(),
        TableColumn::Pixels => format!("{}x{}", facts.width, facts.height),
        TableColumn::Rating => facts.metadata.rating.map_or("-".into(), |stars| stars.to_string()),
        TableColumn::Title => {
            let said = &facts.metadata;
            said.title.as_ref().or(said.description.as_ref()).map_or("-".into(), |text| sanitize::text(text))
        }
        TableColumn::Place => row::place(hit).map_or("-".into(), |place| sanitize::text(&place)),
        TableColumn::People => list(&facts.metadata.people),
        TableColumn::Keywords => list(&facts.metadata.keywords),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "-".into() } else { sanitize::text(&names.join(", ")) }
}

/// Score, path and tags; then, if there is one or something follows, the caption; whether it is a match; more columns.
fn tab_separated(row: &Row, wanted: &Outputs<'_>, console: &Console) -> Vec<u8> {
    let TableOptions { columns, states, .. } = &wanted.table;
    let mut line = format!("{}\t", number(super::score(row, wanted.by).0)).into_bytes();
    line.extend(console.path_bytes(row.path()));
    line.extend(format!("\t{}", tags(&row.hit)).into_bytes());
    let state = match RowState::of(row) {
        RowState::Gone => "gone",
        RowState::Near => "near",
        RowState::Match => "match",
    };
    let more = *states || row.is_missing || !columns.is_empty() || wanted.query.is_some();
    if row.hit.caption.is_some() || more {
        let caption = row.hit.caption.as_deref().map(sanitize::text).unwrap_or_default();
        line.extend(format!("\t{caption}").into_bytes());
    }
    if more {
        line.extend(format!("\t{state}").into_bytes());
    }
    columns.iter().for_each(|column| line.extend(format!("\t{}", shown(*column, &row.hit)).into_bytes()));
    line.extend(wanted.query.map(|query| format!("\t{}", sanitize::text(query))).unwrap_or_default().into_bytes());
    line.push(b'\n');
    line
}

fn number(score: Option<f32>) -> String {
    score.map_or("-".into(), |s| format!("{s:.3}"))
}

fn tags(hit: &Hit) -> String {
    hit.tags.iter().map(|t| sanitize::text(&t.label)).collect::<Vec<_>>().join(", ")
}
