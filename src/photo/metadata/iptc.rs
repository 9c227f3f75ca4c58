//! IPTC's Information Interchange Model, version 4: records of numbered texts, as agencies and older programs write
//! them.

use super::text::{DESCRIPTION, NAME, TITLE, decoded, kept, names};
use super::{FileMetadata, time};

/// The mark of UTF-8 in record 1.
const UTF8: &[u8] = b"\x1B%G";

/// The IIM block among the resources that Photoshop keeps in a file.
pub(super) fn in_photoshop(resources: &[u8]) -> Option<&[u8]> {
    let mut rest = resources;
    while let Some(resource) = rest.strip_prefix(b"8BIM") {
        let (id, after) = resource.split_first_chunk::<2>()?;
        // A name whose length comes first, padded to even.
        let name = usize::from(*after.first()?) + 1;
        let after = after.get(name + name % 2..)?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let content = after.get(..length)?;
        if id == &[0x04, 0x04] {
            return Some(content);
        }
        rest = after.get(length + length % 2..).unwrap_or_default();
    }
    None
}

/// What a block says.
pub(super) fn read(block: &[u8]) -> FileMetadata {
    let (mut is_utf8, mut fields) = (false, Vec::new());
    let mut rest = block;
    while let Some((&[0x1C, record, number, high, low], after)) = rest.split_first_chunk() {
        // Lengths over 32 KiB take a form that no program writes here.
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((value, after)) = after.split_at_checked(length) else { break };
        match (record, number) {
            (1, 90) => is_utf8 |= value == UTF8,
            (2, number) => fields.push((number, value)),
            _ => {}
        }
        rest = after;
    }
    let text = |value: &[u8]| match is_utf8 {
        true => String::from_utf8_lossy(value).into_owned(),
        false => decoded(value).into_owned(),
    };
    let all = |number: u8| fields.iter().filter(move |(known, _)| *known == number).map(|(_, value)| text(value));
    let one = |number: u8, most: usize| all(number).find_map(|value| kept(&value, most));
    let keywords: Vec<String> = all(25).collect();
    let creators: Vec<String> = all(80).filter_map(|creator| kept(&creator, NAME)).collect();
    let (taken, offset) = match one(55, NAME) {
        Some(date) => time::compact(&date, one(60, NAME).as_deref()),
        None => (None, None),
    };
    FileMetadata {
        taken,
        offset,
        title: one(5, TITLE).or_else(|| one(105, TITLE)),
        description: one(120, DESCRIPTION),
        creator: kept(&creators.join(", "), NAME),
        copyright: one(116, NAME),
        location: one(92, NAME),
        city: one(90, NAME),
        region: one(95, NAME),
        country: one(101, NAME),
        keywords: names(keywords.iter().map(String::as_str)),
        ..FileMetadata::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(record: u8, number: u8, value: &[u8]) -> Vec<u8> {
        [&[0x1C, record, number], &(value.len() as u16).to_be_bytes()[..], value].concat()
    }

    #[test]
    fn records_are_read_in_both_encodings_and_up_to_the_damage() {
        let mut block = [field(2, 25, b"caf\xE9"), field(2, 25, b"beach"), field(2, 90, b"Zandvoort")].concat();
        block.extend([field(2, 55, b"20190630"), field(2, 60, b"235959+0200"), field(2, 80, b"Anna")].concat());
        let said = read(&block);
        assert_eq!(said.keywords, ["café", "beach"]);
        assert_eq!((said.taken.as_deref(), said.offset.as_deref()), (Some("2019-06-30T23:59:59"), Some("+02:00")));
        assert_eq!((said.city.as_deref(), said.creator.as_deref()), (Some("Zandvoort"), Some("Anna")));
        let marked = [field(1, 90, UTF8), field(2, 5, "Köln".as_bytes())].concat();
        assert_eq!(read(&marked).title.as_deref(), Some("Köln"));
        (0..block.len()).for_each(|length| drop(read(&block[..length])));
        assert_eq!(read(&block[..block.len() - 1]).city.as_deref(), Some("Zandvoort"));
    }

    #[test]
    fn the_block_is_found_among_other_resources() {
        let mut resources = b"8BIM\x03\xED\0\0\0\0\0\x03abc\0".to_vec();
        resources.extend(b"8BIM\x04\x04\x02hi\0\0\0\0\x02ok");
        assert_eq!(in_photoshop(&resources), Some(&b"ok"[..]));
        (0..resources.len()).for_each(|length| assert!(in_photoshop(&resources[..length]).is_none()));
    }
}
