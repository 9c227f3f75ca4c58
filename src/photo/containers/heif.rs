//! HEIF, the container of HEIC and AVIF: items, of which one is the picture. Source: ISO/IEC 23008-12.

use crate::photo::{ErrorKind, PhotoError};
use heifer_isobmff::{BoxIter, HeifFile};

/// Most bytes of a table of items: some ten thousand of them. Tables are searched once for each item.
const LONGEST_TABLE: usize = 256 << 10;

/// The items of a file.
pub(in crate::photo) fn parse(bytes: &[u8]) -> Result<HeifFile<'_>, PhotoError> {
    let boxes = |bytes| BoxIter::new(bytes).map_while(Result::ok);
    let Some(meta) = boxes(bytes).find(|found| &found.header.box_type.0 == b"meta") else {
        // A cut download has the beginning of a box that goes on after its end.
        return Err(match BoxIter::new(bytes).find_map(Result::err) {
            Some(_) => PhotoError::truncated(),
            None => PhotoError::new(
                ErrorKind::Unsupported,
                "the file holds a film of pictures, without a single one beside it",
            ),
        });
    };
    // Four bytes of version and flags come first.
    let tables = boxes(meta.content.get(4..).unwrap_or_default()).flat_map(|table| match &table.header.box_type.0 {
        b"iprp" => boxes(table.content).filter(|inner| &inner.header.box_type.0 == b"ipma").collect(),
        b"iinf" | b"iloc" | b"iref" => vec![table],
        _ => Vec::new(),
    });
    if tables.map(|table| table.content.len()).max().unwrap_or(0) > LONGEST_TABLE {
        return Err(PhotoError::new(ErrorKind::TooLarge, "the file consists of too many parts"));
    }
    HeifFile::parse(bytes).map_err(PhotoError::from)
}

impl From<heifer_isobmff::Error> for PhotoError {
    fn from(error: heifer_isobmff::Error) -> Self {
        match error {
            heifer_isobmff::Error::UnexpectedEof => Self::truncated(),
            heifer_isobmff::Error::Unimplemented(_) => Self::new(ErrorKind::Unsupported, error.to_string()),
            _ => Self::new(ErrorKind::Damaged, error.to_string()),
        }
    }
}
