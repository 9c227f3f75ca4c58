//! The parts of a GIF that decide what it shows.

use super::parts::Parts;

/// Adds the screen, the palettes and every frame, but no comments and no data of applications. `None` if the file is
/// damaged.
pub(super) fn shown(bytes: &[u8], parts: &mut Parts) -> Option<()> {
    // The version in the signature is raised by those who add comments.
    let screen = bytes.get(6..13)?;
    parts.add(screen);
    let mut rest = bytes.get(13..)?;
    rest = palette(screen[4], rest, parts)?;
    loop {
        let (kind, after) = rest.split_first()?;
        rest = match kind {
            0x21 => {
                let (label, after) = after.split_first()?;
                let blocks = blocks(after)?;
                // How long a frame stays, and which of its colours is transparent.
                if *label == 0xF9 {
                    parts.add(&after[..blocks]);
                }
                after.get(blocks..)?
            }
            0x2C => {
                let frame = after.get(..9)?;
                parts.add(frame);
                let after = palette(frame[8], after.get(9..)?, parts)?;
                // The size of the codes, then the pixels.
                let end = 1 + blocks(after.get(1..)?)?;
                parts.add(after.get(..end)?);
                after.get(end..)?
            }
            0x3B => return Some(()),
            _ => return None,
        };
    }
}

/// Adds the palette that the packed field announces, and returns what follows.
fn palette<'a>(packed: u8, bytes: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    let length = if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    parts.add(bytes.get(..length)?);
    bytes.get(length..)
}

/// The length of a sequence of blocks, each with its length in front, and of the empty one that ends it.
fn blocks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
