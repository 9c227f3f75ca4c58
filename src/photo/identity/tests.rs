use super::*;
use crate::photo::{DecodeLimits, decode};
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/pictures");
    std::fs::read(folder.join(name)).unwrap()
}

fn hash(bytes: &[u8]) -> Option<[u8; 32]> {
    outline(bytes).picture
}

/// Checks that both files have one identity and, as that means, the same pixels.
fn assert_same(a: &[u8], b: &[u8], what: &str) {
    assert!(hash(a).is_some() && hash(a) == hash(b), "{what}");
    let pixels = |bytes| decode(bytes, None, &DecodeLimits::default()).unwrap().picture;
    assert_eq!(pixels(a), pixels(b), "{what}");
}

/// The bytes with others put in at a place.
fn inserted(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    [&bytes[..at], new, &bytes[at..]].concat()
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

/// An Exif block with one entry.
fn exif(tag: u16, value: u16) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01".to_vec();
    block.extend(tag.to_be_bytes());
    block.extend([0, 3, 0, 0, 0, 1]);
    block.extend(value.to_be_bytes());
    block.extend([0; 6]);
    block
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let mut crc = u32::MAX;
    for byte in &body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    [&(data.len() as u32).to_be_bytes()[..], &body, &(!crc).to_be_bytes()].concat()
}

#[test]
fn every_fixture_is_a_picture_of_its_own() {
    let names = ["a-landscape.jpg", "b-exif-rotate-6.jpg", "c-exif-transpose-5.jpg", "d-gray.png", "e-cmyk.jpg"];
    let more = ["f-alpha.png", "g-palette.png", "h-gray16.png", "i-one-pixel.png", "j-panorama.webp", "k-animated.gif"];
    let all = names.iter().chain(&more).chain(&["m-lzw.tiff"]);
    let hashes: std::collections::HashSet<_> = all.map(|name| hash(&fixture(name)).expect(name)).collect();
    // b and c hold the same coded pixels, to be turned in different ways.
    assert_eq!(hashes.len(), 12);
    assert_eq!(hash(&fixture("l-portrait.bmp")), None);
    assert_eq!(outline(b"not a picture"), Outline::default());
}

#[test]
fn segments_of_applications_and_comments_do_not_count_in_a_jpeg() {
    let photo = fixture("a-landscape.jpg");
    for (what, extra) in [
        ("a comment", segment(0xFE, b"seen on Sunday")),
        ("Exif", segment(0xE1, &[b"Exif\0\0".as_slice(), &exif(0x0112, 1)].concat())),
        ("XMP", segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")),
        ("IPTC", segment(0xED, b"Photoshop 3.0\0")),
        ("a thumbnail of a JFIF extension", segment(0xE0, b"JFXX\0\x10\xFF\xD8\xFF\xD9")),
    ] {
        assert_same(&photo, &inserted(&photo, 2, &extra), what);
        let scan = photo.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
        assert_same(&photo, &inserted(&photo, scan, &extra), what);
    }
    assert_same(&photo, &[&photo[..], b"trailing bytes of a motion photo"].concat(), "what follows");
    // Without its JFIF segment, the components mean the same.
    assert_eq!(photo[2..4], [0xFF, 0xE0]);
    let length = 2 + usize::from(u16::from_be_bytes([photo[4], photo[5]]));
    assert_same(&photo, &[&photo[..2], &photo[2 + length..]].concat(), "no JFIF");
    // What changes the picture changes its identity.
    let turned = inserted(&photo, 2, &segment(0xE1, &[b"Exif\0\0".as_slice(), &exif(0x0112, 6)].concat()));
    assert_ne!(hash(&photo), hash(&turned));
    let rgb = inserted(&photo, 20, &segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"));
    let without_jfif = [&rgb[..2], &rgb[20..]].concat();
    assert_ne!(hash(&photo), hash(&without_jfif), "other meaning of the components");
    for at in (photo.len() / 2..photo.len() - 2).step_by(997) {
        let mut other = photo.clone();
        other[at] ^= 1;
        assert_ne!(hash(&photo), hash(&other), "byte {at}");
    }
    assert_eq!(hash(&photo[..photo.len() - 2]), None, "it has no end");
}

#[test]
fn texts_and_the_cutting_into_chunks_do_not_count_in_a_png() {
    let photo = fixture("g-palette.png");
    let end = photo.len() - 12;
    assert_same(&photo, &inserted(&photo, 33, &chunk(b"tEXt", b"Title\0An owl")), "text");
    assert_same(&photo, &inserted(&photo, end, &chunk(b"eXIf", &exif(0x0112, 1))), "Exif");
    assert_ne!(hash(&photo), hash(&inserted(&photo, end, &chunk(b"eXIf", &exif(0x0112, 3)))));
    let start = photo.windows(4).position(|kind| kind == b"IDAT").unwrap() - 4;
    let data = &photo[start + 8..start + 8 + u32::from_be_bytes(*photo[start..].first_chunk().unwrap()) as usize];
    let (first, second) = data.split_at(data.len() / 3);
    let cut = [chunk(b"IDAT", first), chunk(b"IDAT", second)].concat();
    assert_same(&photo, &[&photo[..start], &cut, &photo[start + 12 + data.len()..]].concat(), "two chunks");
    let palette = photo.windows(4).position(|kind| kind == b"PLTE").unwrap();
    let mut other = photo.clone();
    other[palette + 5] ^= 0x40;
    assert_ne!(hash(&photo), hash(&other), "palette");
}

#[test]
fn the_extended_header_and_metadata_do_not_count_in_a_webp() {
    let photo = fixture("j-panorama.webp");
    let riff = |chunks: &[u8]| [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat();
    let part = |kind: &[u8; 4], data: &[u8]| {
        let mut part = [kind.as_slice(), &(data.len() as u32).to_le_bytes(), data].concat();
        part.extend((data.len() % 2 == 1).then_some(0));
        part
    };
    let picture = &photo[12..];
    // A lossless one without transparency, which an extended header must not claim.
    assert_eq!((&picture[..4], picture[12] & 0x10), (b"VP8L".as_slice(), 0));
    let size = decode(&photo, None, &DecodeLimits::default()).unwrap().picture.full;
    let edge = |n: u32| (n - 1).to_le_bytes();
    let mut header = vec![0x08, 0, 0, 0];
    header.extend(&edge(size.0)[..3]);
    header.extend(&edge(size.1)[..3]);
    let extended = [part(b"VP8X", &header), picture.to_vec(), part(b"EXIF", &exif(0x0112, 1))].concat();
    assert_same(&photo, &riff(&extended), "Exif");
    let turned = [part(b"VP8X", &header), picture.to_vec(), part(b"EXIF", &exif(0x0112, 8))].concat();
    assert_ne!(hash(&photo), hash(&riff(&turned)));
    assert_eq!(hash(&photo[..photo.len() - 1]), None, "cut");
}

#[test]
fn comments_do_not_count_in_a_gif() {
    let photo = fixture("k-animated.gif");
    let end = photo.len() - 1;
    assert_eq!(photo[end], 0x3B);
    assert_same(&photo, &inserted(&photo, end, b"\x21\xFE\x05hello\0"), "comment");
    assert_same(&photo, &inserted(&photo, end, b"\x21\xFF\x0BXMP DataXMP\x02<>\0"), "XMP");
    let mut other = photo.clone();
    other[14] ^= 0x80;
    assert_ne!(hash(&photo), hash(&other), "palette");
    assert_eq!(hash(&photo[..end]), None, "cut");
}

/// The directory of a little-endian TIFF at this place: its entries.
fn entries(bytes: &[u8], at: usize) -> Vec<[u8; 12]> {
    let count = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    bytes[at + 2..].as_chunks().0[..count].to_vec()
}

/// The TIFF with its directory at the end, as programs that write metadata leave it, with these entries added.
fn moved(bytes: &[u8], new: &[[u8; 12]]) -> Vec<u8> {
    let mut list = entries(bytes, u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize);
    list.retain(|entry| !new.iter().any(|other| other[..2] == entry[..2]));
    list.extend(new);
    list.sort_by_key(|entry| u16::from_le_bytes([entry[0], entry[1]]));
    let mut file = bytes.to_vec();
    file.extend((file.len() % 2 == 1).then_some(0));
    let at = (file.len() as u32).to_le_bytes();
    file[4..8].copy_from_slice(&at);
    file.extend((list.len() as u16).to_le_bytes());
    file.extend(list.concat());
    file.extend([0; 4]);
    file
}

fn entry(tag: u16, kind: u16, count: u32, value: u32) -> [u8; 12] {
    let mut entry = [0; 12];
    entry[..2].copy_from_slice(&tag.to_le_bytes());
    entry[2..4].copy_from_slice(&kind.to_le_bytes());
    entry[4..8].copy_from_slice(&count.to_le_bytes());
    entry[8..].copy_from_slice(&value.to_le_bytes());
    entry
}

#[test]
fn places_and_descriptions_do_not_count_in_a_tiff() {
    let photo = fixture("m-lzw.tiff");
    assert_eq!(&photo[..4], b"II*\0");
    assert_same(&photo, &moved(&photo, &[]), "moved");
    assert_same(&photo, &moved(&photo, &[entry(270, 2, 4, u32::from_le_bytes(*b"owl\0"))]), "description");
    assert_same(&photo, &moved(&photo, &[entry(274, 3, 1, 1)]), "orientation 1");
    assert_ne!(hash(&photo), hash(&moved(&photo, &[entry(274, 3, 1, 6)])), "turned");
    assert_ne!(hash(&photo), hash(&moved(&photo, &[entry(262, 3, 1, 0)])), "inverted");
    let mut other = photo.clone();
    let strips = entries(&photo, u32::from_le_bytes(*photo[4..].first_chunk().unwrap()) as usize);
    let strips = strips.iter().find(|entry| entry[..2] == 273_u16.to_le_bytes()).unwrap();
    let mut first = u32::from_le_bytes(*strips[8..].first_chunk().unwrap()) as usize;
    if u32::from_le_bytes(*strips[4..].first_chunk().unwrap()) > 1 {
        first = u32::from_le_bytes(*photo[first..].first_chunk().unwrap()) as usize;
    }
    other[first + 3] ^= 1;
    assert_ne!(hash(&photo), hash(&other), "pixels");
}

#[test]
fn hostile_files_are_told_by_all_their_bytes_and_cost_no_time() {
    let photo = fixture("m-lzw.tiff");
    let start = std::time::Instant::now();
    // Strips on top of each other, a circle of directories, counts beyond the file.
    let (whole, many) = (photo.len() as u32, 1_000);
    let mut strips = moved(&photo, &[entry(273, 4, many, whole), entry(279, 4, many, whole + 4 * many)]);
    strips.splice(
        whole as usize..whole as usize,
        [0; 4].repeat(many as usize).into_iter().chain(whole.to_le_bytes().repeat(many as usize)),
    );
    let at = u32::from_le_bytes(*strips[4..].first_chunk().unwrap()) + 8 * many;
    strips[4..8].copy_from_slice(&at.to_le_bytes());
    assert_eq!(hash(&strips), None);
    for hostile in [
        moved(&photo, &[entry(258, 3, u32::MAX, 8)]),
        moved(&photo, &[entry(330, 4, u32::MAX / 4, 8)]),
        moved(&photo, &[entry(279, 4, 1, u32::MAX)]),
    ] {
        assert_eq!(hash(&hostile), None);
    }
    let mut circle = moved(&photo, &[]);
    let own = *circle[4..].first_chunk::<4>().unwrap();
    let end = circle.len();
    circle[end - 4..].copy_from_slice(&own);
    assert_eq!(hash(&circle), hash(&photo));
    for name in ["a-landscape.jpg", "g-palette.png", "j-panorama.webp", "k-animated.gif", "m-lzw.tiff"] {
        let whole = fixture(name);
        for length in (0..whole.len()).step_by(whole.len() / 300 + 1) {
            let _ = outline(&whole[..length]);
            let mut flipped = whole.clone();
            flipped[length] ^= 0x55;
            let _ = outline(&flipped);
        }
    }
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
