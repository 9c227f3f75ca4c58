//! Pictures in the terminal: kitty, iTerm2, sixel or half blocks, whichever the terminal supports.

use super::{Outputs, table};
use crate::search::row::Row;
use crate::terminal::console::{self, Console};
use crate::terminal::graphics;
use ratatui::layout::Size;

/// Longest edge of a preview in pixels.
const EDGE: u32 = 640;
/// Height of a preview in terminal rows.
const ROWS: u16 = 12;

pub(super) fn show(rows: &[Row], wanted: &Outputs<'_>, console: &Console) -> anyhow::Result<()> {
    let abilities = graphics::ask_a_line_terminal();
    let picker = graphics::picker(&abilities, None);
    let room = Size::new(u16::try_from(console::width()).unwrap_or(u16::MAX), ROWS);
    table::print(rows, wanted, console, &mut |row| {
        if row.is_missing {
            return Ok(());
        }
        match (wanted.small)(row.path(), EDGE) {
            Ok(picture) => {
                let protocol = graphics::encode(picture, &picker, room)?;
                console.piece(&graphics::drawn(&protocol, abilities.colors))?;
            }
            Err(error) => console.warn(format_args!("{error:#}")),
        }
        Ok(())
    })
}
