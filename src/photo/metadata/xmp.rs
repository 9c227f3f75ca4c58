//! XMP. Sources: XMP Specification Part 1 (ISO 16684-1); the names of Adobe's and Microsoft's properties.
//!
//! A document with a type definition, and so with entities of its own, is refused.

use super::exif::rating;
use super::{FileMetadata, Readout};
use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// Most bytes of a packet. With the history of a picture that was edited a thousand times it has a few million.
pub(super) const LONGEST: usize = 16 << 20;
/// Most elements, attributes and texts of a packet.
const MOST_NODES: u32 = 1_000_000;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";
/// Windows writes the first, other programs also the second.
const MICROSOFT: [&str; 2] = ["http://ns.microsoft.com/photo/1.0/", "http://ns.microsoft.com/photo/1.0"];

/// What an XMP packet says; nothing if it is not well-formed.
pub(super) fn read(packet: &[u8]) -> Readout {
    let text = if packet.len() > LONGEST { Cow::Borrowed("") } else { utf8(packet) };
    // Writers pad packets, also by zeros.
    let text = text.trim_matches(['\0', '\u{feff}', ' ', '\n', '\r', '\t']);
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map(|document| describe(&document)).unwrap_or_default()
}

fn describe(document: &Document<'_>) -> Readout {
    let is_rdf = |node: &Node<'_, '_>, name: &str| node.has_tag_name((RDF, name));
    let Some(rdf) = document.descendants().find(|node| is_rdf(node, "RDF")) else { return Readout::default() };
    let descriptions: Vec<Node<'_, '_>> = rdf.children().filter(|node| is_rdf(node, "Description")).collect();
    // A simple property is written as an attribute or as an element.
    let property = |namespace: &str, name: &str| {
        descriptions.iter().find_map(|node| {
            let element = || node.children().find(|child| child.has_tag_name((namespace, name)))?.text();
            node.attribute((namespace, name)).or_else(element).map(str::trim)
        })
    };
    let number = |namespace, name| property(namespace, name)?.parse::<f64>().ok();
    let percent = MICROSOFT.into_iter().find_map(|namespace| number(namespace, "Rating"));
    let orientation = property(TIFF, "Orientation").and_then(|text| text.parse().ok());
    Readout {
        orientation: orientation.filter(|n| (1..=8).contains(n)),
        metadata: FileMetadata { rating: rating(number(XMP, "Rating"), percent), ..FileMetadata::default() },
    }
}

/// The text of a packet in any of the encodings that XMP allows; what cannot be read is replaced.
fn utf8(packet: &[u8]) -> Cow<'_, str> {
    let wide = |two: fn([u8; 2]) -> u16| {
        let units = packet.as_chunks::<2>().0.iter().map(|unit| two(*unit));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    };
    match packet {
        [0xFE, 0xFF, ..] | [0, b'<', ..] => wide(u16::from_be_bytes),
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => wide(u16::from_le_bytes),
        _ => String::from_utf8_lossy(packet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(inside: &str) -> String {
        let spaces = format!(
            "xmlns:rdf='{RDF}' xmlns:xmp='{XMP}' xmlns:t='{TIFF}' xmlns:m='{}' xmlns:other='http://x/'",
            MICROSOFT[0]
        );
        format!(
            "<?xpacket begin='\u{feff}' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>
             <rdf:RDF {spaces}>{inside}</rdf:RDF></x:xmpmeta>   <?xpacket end='w'?>"
        )
    }

    fn facts(inside: &str) -> (Option<i8>, Option<u8>) {
        let said = read(packet(inside).as_bytes());
        (said.metadata.rating, said.orientation)
    }

    #[test]
    fn ratings_and_orientations_are_read_however_they_are_written() {
        for (inside, expected) in [
            ("<rdf:Description xmp:Rating='4'/>", (Some(4), None)),
            ("<rdf:Description><xmp:Rating> 3 </xmp:Rating></rdf:Description>", (Some(3), None)),
            ("<rdf:Description t:Orientation='6'/><rdf:Description xmp:Rating='-1'/>", (Some(-1), Some(6))),
            ("<rdf:Description m:Rating='75'/>", (Some(4), None)),
            ("<rdf:Description m:Rating='75' xmp:Rating='5'/>", (Some(5), None)),
            ("<rdf:Description xmp:Rating='0'/>", (Some(0), None)),
            ("<rdf:Description xmp:Rating='2.0' t:Orientation='9'/>", (Some(2), None)),
            ("<rdf:Description other:Rating='4' xmp:Rating='many'/>", (None, None)),
            ("<rdf:Description><other:Of><rdf:Description xmp:Rating='4'/></other:Of></rdf:Description>", (None, None)),
        ] {
            assert_eq!(facts(inside), expected, "{inside}");
        }
    }

    #[test]
    fn other_encodings_and_padding_are_read() {
        let text = packet("<rdf:Description xmp:Rating='4'/>");
        let rating = |bytes: &[u8]| read(bytes).metadata.rating;
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&[0xFF, 0xFE], little.as_slice()].concat();
        let padded = [text.as_bytes(), &[0; 99]].concat();
        for bytes in [big, little, marked, padded] {
            assert_eq!(rating(&bytes), Some(4));
        }
    }

    #[test]
    fn hostile_packets_say_nothing_and_cost_little() {
        let laughs = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><x>&b;</x>".to_owned();
        let deep = "<a>".repeat(1_000_000);
        let closed = format!("{deep}{}", "</a>".repeat(1_000_000));
        let many = packet(&"<rdf:Description/>".repeat(900_000));
        let long = packet(&format!("<rdf:Description xmp:Rating='{}'/>", "4".repeat(LONGEST)));
        for hostile in [laughs, deep, closed, many, long, "<".repeat(1_000), "\0\0\0".into(), String::new()] {
            assert_eq!(read(hostile.as_bytes()), Readout::default());
        }
        let whole = packet("<rdf:Description xmp:Rating='4'/>");
        (0..whole.len()).for_each(|length| drop(read(&whole.as_bytes()[..length])));
    }
}
