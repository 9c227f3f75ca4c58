//! The boxes and items that decide what a file of ISO boxes shows.

use super::parts::Parts;
use crate::photo::containers::heif;
use heifer_isobmff::{BoxIter, RawBox, is_image_item};

/// The boxes of these bytes, if they are nothing else.
fn all(bytes: &[u8]) -> Option<Vec<RawBox<'_>>> {
    BoxIter::new(bytes).collect::<Result<_, _>>().ok()
}

/// Adds the contents of the boxes of these kinds, of which there is at least one. A codestream without boxes counts as a
/// whole.
pub(super) fn of_kinds(bytes: &[u8], kinds: &[&[u8; 4]], parts: &mut Parts) -> Option<()> {
    let boxes = all(bytes)?;
    let mut shown = boxes.iter().filter(|found| kinds.contains(&&found.header.box_type.0)).peekable();
    shown.peek()?;
    for found in shown {
        parts.add(&found.header.box_type.0);
        parts.add(found.content);
    }
    Some(())
}

/// Adds the items of HEIF that are pictures, what they refer to, and all properties.
pub(super) fn heif(bytes: &[u8], parts: &mut Parts) -> Option<()> {
    let meta = all(bytes)?.into_iter().find(|found| &found.header.box_type.0 == b"meta")?;
    // Its version and flags come first.
    let properties = all(meta.content.get(4..)?)?.into_iter().find(|found| &found.header.box_type.0 == b"iprp")?;
    parts.add(properties.content);
    let file = heif::parse(bytes).ok()?;
    parts.add(&file.primary_id.to_le_bytes());
    // Items may share their bytes: some would be hashed for ever.
    let mut left = 2 * bytes.len();
    for item in file.items.iter().filter(|item| is_image_item(item.item_type)) {
        parts.add(&item.id.to_le_bytes());
        parts.add(&item.item_type.0);
        for kind in [b"dimg", b"auxl", b"thmb"] {
            let to: Vec<u64> = file.referenced_items(item.id, kind).iter().map(|id| u64::from(*id)).collect();
            parts.add_numbers(&to);
        }
        let data = file.item_data(item.id).ok()?;
        left = left.checked_sub(data.len())?;
        parts.add(&data);
    }
    Some(())
}
