//! XMP. Sources: XMP Specification Parts 1 and 2 (ISO 16684); IPTC Photo Metadata Standard 2023.2; Metadata Working
//! Group, Guidelines 2.0 (regions of faces); the names of Adobe's, Microsoft's and digiKam's properties.
//!
//! A document with a type definition, and so with entities of its own, is refused.

use super::exif::{self, rating};
use super::text::{DESCRIPTION, NAME, TITLE, kept, levels, names};
use super::{FileMetadata, time};
use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// Most bytes of a packet. With the history of a picture that was edited a thousand times it has a few million.
pub(super) const LONGEST: usize = 16 << 20;
/// Most elements, attributes and texts of a packet.
const MOST_NODES: u32 = 1_000_000;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const DC: &str = "http://purl.org/dc/elements/1.1/";
const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";
const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
const EXIF_EX: &str = "http://cipa.jp/exif/1.0/";
const AUX: &str = "http://ns.adobe.com/exif/1.0/aux/";
const PHOTOSHOP: &str = "http://ns.adobe.com/photoshop/1.0/";
const LIGHTROOM: &str = "http://ns.adobe.com/lightroom/1.0/";
const IPTC_CORE: &str = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/";
const IPTC_EXT: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";
const DIGIKAM: &str = "http://www.digikam.org/ns/1.0/";
const REGIONS: &str = "http://www.metadataworkinggroup.com/schemas/regions/";
const MICROSOFT_REGION: &str = "http://ns.microsoft.com/photo/1.2/t/Region#";
const GOOGLE_CAMERA: &str = "http://ns.google.com/photos/1.0/camera/";
/// Windows writes the first, other programs also the second.
const MICROSOFT: [&str; 2] = ["http://ns.microsoft.com/photo/1.0/", "http://ns.microsoft.com/photo/1.0"];
/// digiKam's colours, by its numbers from 1 on.
const COLORS: [&str; 9] = ["red", "orange", "yellow", "green", "blue", "magenta", "gray", "black", "white"];

/// What an XMP packet says, and how it says to turn the picture; nothing if it is not well-formed.
pub(super) fn read(packet: &[u8]) -> (Option<u8>, FileMetadata) {
    parse(packet).unwrap_or_default()
}

/// As [`read`]; `None` if it is not well-formed.
pub(in crate::photo) fn parse(packet: &[u8]) -> Option<(Option<u8>, FileMetadata)> {
    let text = if packet.len() > LONGEST { Cow::Borrowed("") } else { utf8(packet) };
    // Writers pad packets, also by zeros.
    let text = text.trim_matches(['\0', '\u{feff}', ' ', '\n', '\r', '\t']);
    if !is_reasonable(text) {
        return None;
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok().map(|document| describe(&document))
}

/// Whether a packet has as few attributes and namespaces as those of programs do. The parser compares each attribute
/// with all others of its element, and copies all namespaces for each element that has one of its own.
fn is_reasonable(text: &str) -> bool {
    /// Most attributes of an element: darkroom programs write some hundred.
    const ATTRIBUTES: usize = 1_500;
    const NAMESPACES: usize = 5_000;
    let equal_signs = |element: &str| memchr::memchr_iter(b'=', element.as_bytes()).count();
    text.split('<').all(|element| equal_signs(element) <= ATTRIBUTES) && text.matches("xmlns").count() <= NAMESPACES
}

fn describe(document: &Document<'_>) -> (Option<u8>, FileMetadata) {
    let is_rdf = |node: &Node<'_, '_>, name: &str| node.has_tag_name((RDF, name));
    let Some(rdf) = document.descendants().find(|node| is_rdf(node, "RDF")) else { return Default::default() };
    let said = Properties(rdf.children().filter(|node| is_rdf(node, "Description")).collect());
    let name = |namespace: &str, name: &str| kept(said.text(namespace, name)?, NAME);
    let number = |namespace: &str, name: &str| said.text(namespace, name)?.parse::<f64>().ok();
    let positive = |namespace: &str, name: &str| fraction(said.text(namespace, name)?).filter(|n| *n > 0.0);
    let percent = MICROSOFT.into_iter().find_map(|namespace| number(namespace, "Rating"));
    let orientation = said.text(TIFF, "Orientation").and_then(|text| text.parse().ok());
    let dates =
        [(EXIF, "DateTimeOriginal"), (PHOTOSHOP, "DateCreated"), (EXIF, "DateTimeDigitized"), (XMP, "CreateDate")];
    let dated = dates.into_iter().find_map(|(namespace, name)| {
        let text = said.text(namespace, name)?;
        Some((time::iso(text).or_else(|| time::partial(text))?, text))
    });
    let offset = dated.as_ref().filter(|(moment, _)| moment.len() > 10).and_then(|(_, text)| time::offset(text));
    // The letter stands behind the degrees, or, as Apple writes it, alone.
    let degrees = |name: &str, reference: &str, letters, most| {
        let size = said.text(EXIF, name)?;
        let alone = said.text(EXIF, reference).filter(|_| size.ends_with(|c: char| c.is_ascii_digit()));
        angle(&format!("{size}{}", alone.unwrap_or_default()), letters, most)
    };
    let place = degrees("GPSLatitude", "GPSLatitudeRef", ['N', 'S'], 90.0).zip(degrees(
        "GPSLongitude",
        "GPSLongitudeRef",
        ['E', 'W'],
        180.0,
    ));
    let sensitivity = positive(EXIF_EX, "PhotographicSensitivity").or_else(|| positive(EXIF, "ISOSpeedRatings"));
    let digikam = number(DIGIKAM, "ColorLabel").and_then(|n| COLORS.get((n as usize).checked_sub(1)?)).copied();
    // Adobe's programs write the name of the colour in the language of the user, and in English beside it.
    let label = name(PHOTOSHOP, "LabelColor").or_else(|| name(XMP, "Label")).map(|label| label.to_lowercase());
    // Where it was taken counts more than what is seen.
    let located = |field: &str, most: usize| {
        let of =
            |list: &str| said.inside(IPTC_EXT, list).iter().find_map(|inner| kept(inner.text(IPTC_EXT, field)?, most));
        of("LocationCreated").or_else(|| of("LocationShown"))
    };
    let creators = names(said.list(DC, "creator"));
    let metadata = FileMetadata {
        taken: dated.map(|(moment, _)| moment),
        taken_from: None,
        offset,
        camera: exif::camera(name(TIFF, "Make"), name(TIFF, "Model")),
        lens: name(EXIF_EX, "LensModel").or_else(|| name(AUX, "Lens")),
        aperture: positive(EXIF, "FNumber"),
        exposure: positive(EXIF, "ExposureTime"),
        iso: sensitivity.filter(|iso| *iso < 1e8).map(|iso| iso as u32),
        focal_length: positive(EXIF, "FocalLength"),
        latitude: place.map(|place| place.0),
        longitude: place.map(|place| place.1),
        rating: rating(number(XMP, "Rating"), percent),
        label: label.or(digikam.map(str::to_owned)),
        title: said.text(DC, "title").or(said.text(PHOTOSHOP, "Headline")).and_then(|text| kept(text, TITLE)),
        description: said.text(DC, "description").and_then(|text| kept(text, DESCRIPTION)),
        creator: kept(&creators.join(", "), NAME),
        copyright: name(DC, "rights"),
        location: name(IPTC_CORE, "Location").or_else(|| located("Sublocation", NAME)),
        city: name(PHOTOSHOP, "City").or_else(|| located("City", NAME)),
        region: name(PHOTOSHOP, "State").or_else(|| located("ProvinceState", NAME)),
        country: name(PHOTOSHOP, "Country").or_else(|| located("CountryName", NAME)),
        keywords: keywords(&said),
        people: people(document, &said),
        // Of two generations of phones.
        motion: ["MotionPhoto", "MicroVideo"].iter().any(|name| said.text(GOOGLE_CAMERA, name) == Some("1")),
    };
    (orientation.filter(|n| (1..=8).contains(n)), metadata)
}

/// Keywords as programs write them: flat, and as paths with different separators.
fn keywords(said: &Properties<'_, '_>) -> Vec<String> {
    let paths = [(LIGHTROOM, "hierarchicalSubject", '|'), (DIGIKAM, "TagsList", '/')];
    let microsoft = MICROSOFT.map(|namespace| (namespace, "LastKeywordXMP", '/'));
    let paths = paths.into_iter().chain(microsoft).flat_map(|(namespace, name, separator)| {
        said.list(namespace, name).into_iter().map(move |keyword| levels(keyword, separator))
    });
    // A slash in a flat keyword separates nothing.
    let flat = said.list(DC, "subject").into_iter().map(str::to_owned);
    let all: Vec<String> = paths.chain(flat).collect();
    names(all.iter().map(String::as_str))
}

/// Names of the faces that programs have marked, and of people without a place in the picture.
fn people(document: &Document<'_>, said: &Properties<'_, '_>) -> Vec<String> {
    let regions = document.descendants().filter(Node::is_element).filter_map(|node| {
        let region = Properties(vec![node]);
        if let Some(name) = region.text(MICROSOFT_REGION, "PersonDisplayName") {
            return Some(name);
        }
        // Other regions are of pets, of codes and of what was focused on.
        let is_face = region.text(REGIONS, "Type").is_none_or(|kind| kind.eq_ignore_ascii_case("face"));
        region.text(REGIONS, "Name").filter(|_| is_face)
    });
    let details = said.inside(IPTC_EXT, "PersonInImageWDetails");
    let details = details.iter().filter_map(|person| person.text(IPTC_EXT, "PersonName"));
    names(regions.chain(said.list(IPTC_EXT, "PersonInImage")).chain(details))
}

/// The nodes that have properties as attributes or as elements.
struct Properties<'a, 'input>(Vec<Node<'a, 'input>>);

impl<'a, 'input> Properties<'a, 'input> {
    fn element(&self, namespace: &str, name: &str) -> Option<Node<'a, 'input>> {
        self.0.iter().find_map(|node| node.children().find(|child| child.has_tag_name((namespace, name))))
    }

    /// The text of a property; of one in several languages that of the default, of a list the first one.
    fn text(&self, namespace: &str, name: &str) -> Option<&'a str> {
        let attribute = || self.0.iter().find_map(|node| node.attribute((namespace, name)));
        let element = || {
            let element = self.element(namespace, name)?;
            let items = items(element);
            let default = items.iter().find(|item| item.attribute((XML, "lang")) == Some("x-default"));
            value(default.or(items.first()).copied().unwrap_or(element))
        };
        attribute().or_else(element).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The texts of a list.
    fn list(&self, namespace: &str, name: &str) -> Vec<&'a str> {
        let Some(element) = self.element(namespace, name) else {
            return self.text(namespace, name).into_iter().collect();
        };
        let items = items(element);
        let items = if items.is_empty() { vec![element] } else { items };
        items.into_iter().filter_map(value).collect()
    }

    /// The structures in a list, or the only one.
    fn inside(&self, namespace: &str, name: &str) -> Vec<Self> {
        let Some(element) = self.element(namespace, name) else { return Vec::new() };
        let items = items(element);
        let structures = if items.is_empty() { vec![element] } else { items };
        let inner = |node: Node<'a, 'input>| node.children().find(|child| child.has_tag_name((RDF, "Description")));
        structures.into_iter().map(|node| Self(inner(node).into_iter().chain([node]).collect())).collect()
    }
}

/// The text of a value, which may have qualifiers beside it.
fn value<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    node.children().find(|child| child.has_tag_name((RDF, "value"))).unwrap_or(node).text()
}

/// The items of a property that is a list.
fn items<'a, 'input>(property: Node<'a, 'input>) -> Vec<Node<'a, 'input>> {
    let list = property.children().find(|node| {
        let tag = node.tag_name();
        tag.namespace() == Some(RDF) && matches!(tag.name(), "Bag" | "Seq" | "Alt")
    });
    list.into_iter().flat_map(|list| list.children()).filter(|item| item.has_tag_name((RDF, "li"))).collect()
}

/// `28/10` or `2.8`.
fn fraction(text: &str) -> Option<f64> {
    let number = match text.split_once('/') {
        Some((above, below)) => above.trim().parse::<f64>().ok()? / below.trim().parse::<f64>().ok()?,
        None => text.parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// `38,43.2N` or `38,43,12N` as degrees; the second letter is that of negative ones.
fn angle(text: &str, letters: [char; 2], most: f64) -> Option<f64> {
    let digits = text.strip_suffix(|c: char| letters.contains(&c.to_ascii_uppercase()));
    let is_negative = text.ends_with([letters[1], letters[1].to_ascii_lowercase()]) != text.starts_with('-');
    let sign = if is_negative { -1.0 } else { 1.0 };
    let parts: Vec<f64> =
        digits.unwrap_or(text).split(',').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
    let size: f64 = parts.iter().zip([1.0, 60.0, 3600.0]).map(|(part, unit)| part.abs() / unit).sum();
    (parts.len() <= 3 && size <= most).then_some(sign * size)
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
        let (orientation, said) = read(packet(inside).as_bytes());
        (said.rating, orientation)
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
        let rating = |bytes: &[u8]| read(bytes).1.rating;
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
            assert_eq!(read(hostile.as_bytes()), Default::default());
        }
        let attributes: String = (0..500_000).map(|n| format!(" a{n}=''")).collect();
        let spaces: String = (0..30_000).map(|n| format!(" xmlns:a{n}='x'")).collect();
        for wide in [format!("<rdf:Description{attributes}/>"), format!("<rdf:Description{spaces}/>")] {
            assert_eq!(read(packet(&wide).as_bytes()), Default::default());
        }
        let whole = packet("<rdf:Description xmp:Rating='4'/>");
        (0..whole.len()).for_each(|length| drop(read(&whole.as_bytes()[..length])));
    }

    #[test]
    fn places_and_fractions_are_read_and_nonsense_is_not() {
        let north = |text| angle(text, ['N', 'S'], 90.0);
        assert_eq!((north("38,43.2N"), north("38,43,12S")), (Some(38.72), Some(-38.72)));
        assert_eq!((north("38.5"), north("-38,30")), (Some(38.5), Some(-38.5)));
        for text in ["", "N", "91,0N", "38,x", "1,2,3,4N", "NaNN", "infN", "é"] {
            assert_eq!(north(text), None, "{text}");
        }
        assert_eq!(
            (fraction("28/10"), fraction("2.8"), fraction("1/0"), fraction("x")),
            (Some(2.8), Some(2.8), None, None)
        );
    }
}
