//! Pictures in the terminal: kitty, iTerm2, sixel or half blocks, whichever the terminal supports.

use super::{ReadSmall, table};
use crate::search::row::Row;
use crate::terminal::console::Console;
use snapseek_index::By;

/// Longest edge of a preview in pixels.
const EDGE: u32 = 640;
/// Height of a preview in terminal rows.
const ROWS: u32 = 12;

pub(super) fn show(rows: &[Row], by: By, small: &ReadSmall, console: &Console) -> anyhow::Result<()> {
    let config = viuer::Config {
        absolute_offset: false,
        height: Some(ROWS),
        truecolor: std::env::var("COLORTERM").is_ok_and(|v| v.contains("truecolor") || v.contains("24bit")),
        ..viuer::Config::default()
    };
    table::print(rows, by, console, &mut |row| {
        match small(row.path(), EDGE) {
            Ok(picture) => drop(viuer::print(&image::DynamicImage::ImageRgb8(picture), &config)?),
            Err(error) => console.warn(format_args!("{error:#}")),
        }
        Ok(())
    })
}
