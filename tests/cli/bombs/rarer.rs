//! The same for the rarer formats, camera raw files and the packings of TIFF.

use super::{Bomb, png, tiff, tiff_of, written, zeros};
use crate::support::fixture;
use image::ImageFormat;
use std::fs;

/// A fixture in which the bytes after each occurrence of `mark` are replaced.
fn patched(name: &str, mark: &[u8], skip: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = fs::read(fixture("formats").join(name)).unwrap();
    let places: Vec<usize> = (0..bytes.len() - mark.len())
        .filter(|at| bytes[*at..].starts_with(mark))
        .map(|at| at + mark.len() + skip)
        .collect();
    assert!(!places.is_empty(), "{name}");
    for at in places {
        bytes[at..at + with.len()].copy_from_slice(with);
    }
    bytes
}

fn size(width: u32, height: u32) -> Vec<u8> {
    [width.to_be_bytes(), height.to_be_bytes()].concat()
}

/// An OpenEXR file of one grey channel with this window, without its pixels.
fn exr(width: i32, height: i32) -> Vec<u8> {
    let mut out = vec![0x76, 0x2f, 0x31, 0x01, 2, 0, 0, 0];
    let mut put = |name: &str, kind: &str, value: &[u8]| {
        out.extend(
            [name.as_bytes(), b"\0", kind.as_bytes(), b"\0", &(value.len() as u32).to_le_bytes(), value].concat(),
        );
    };
    let window: Vec<u8> = [0, 0, width - 1, height - 1].iter().flat_map(|n: &i32| n.to_le_bytes()).collect();
    put("channels", "chlist", b"R\0\x02\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0");
    put("compression", "compression", &[3]);
    put("dataWindow", "box2i", &window);
    put("displayWindow", "box2i", &window);
    put("lineOrder", "lineOrder", &[0]);
    put("pixelAspectRatio", "float", &1_f32.to_le_bytes());
    put("screenWindowCenter", "v2f", &[0; 8]);
    put("screenWindowWidth", "float", &1_f32.to_le_bytes());
    out.push(0);
    out.extend([0; 64]);
    out
}

/// A JPEG XL codestream that claims edges of up to 2^30 pixels: a bit, then two bits and thirty for each; the rest of its
/// header is the usual one.
fn jpeg_xl(width: u128, height: u128) -> Vec<u8> {
    let bits = 0b11 << 1 | (height - 1) << 3 | 0b11 << 36 | (width - 1) << 38 | 1 << 68;
    [&[0xFF, 0x0A][..], &bits.to_le_bytes(), &[0; 64]].concat()
}

/// An icon whose directory has so many entries, each of them this file.
fn icon(count: u16, file: &[u8]) -> Vec<u8> {
    let at = 6 + 16 * u32::from(count);
    let entry = [&[0, 0, 0, 0, 1, 0, 32, 0][..], &(file.len() as u32).to_le_bytes(), &at.to_le_bytes()].concat();
    [&[0, 0, 1, 0][..], &count.to_le_bytes(), &entry.repeat(count.into()), file].concat()
}

/// A RAF whose header points to this JPEG, of which it claims the length.
fn raf(jpeg: &[u8], claimed: u32) -> Vec<u8> {
    let mut out = b"FUJIFILMCCD-RAW ".to_vec();
    out.resize(84, 0);
    out.extend([100_u32.to_be_bytes(), claimed.to_be_bytes()].concat());
    out.resize(100, 0);
    out.extend(jpeg);
    out
}

pub(super) fn rarer() -> Vec<Bomb> {
    let text = |text: &str| [text.as_bytes(), &[b'1'; 300]].concat();
    let tga = |width: u16, height: u16| {
        let [a, b] = width.to_le_bytes();
        let [c, d] = height.to_le_bytes();
        [&[0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, 24, 0][..], &[0xFF, 1, 2, 3].repeat(600)].concat()
    };
    let qoi = |width, height, runs: usize| {
        [b"qoif", &size(width, height)[..], &[3, 0], &vec![0xFD; runs], &[0, 0, 0, 0, 0, 0, 0, 1]].concat()
    };
    let bitmap = |edge: u32| {
        let mut out = vec![40, 0, 0, 0];
        out.extend([edge.to_le_bytes(), edge.saturating_mul(2).to_le_bytes()].concat());
        out.extend([1, 0, 32, 0]);
        out.resize(200, 0);
        out
    };
    let sound = written(64, 64, ImageFormat::Jpeg);
    let frame = sound.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    let mut wide = sound.clone();
    wide[frame + 5..frame + 9].fill(0xFF);
    let tile = (322, 4, 1, 16);
    let tiles = |edge: u32, compression, data: &[u8], count: u32| {
        // All of them are the same bytes, at a list of places that follows them.
        let (start, length) = (8 + 2 + 12 * 11 + 4, data.len() as u32);
        let places = start + length;
        let lists: Vec<u8> = [start, length].into_iter().flat_map(|n| n.to_le_bytes().repeat(count as usize)).collect();
        let entries =
            [(256, edge), (257, edge), (258, 8), (259, compression), (262, 1), (277, 1), (322, 16), (323, 16)];
        let mut entries: Vec<_> = entries.map(|(tag, value)| (tag, 4, 1, value)).to_vec();
        entries.extend([(324, 4, count, places), (325, 4, count, places + 4 * count), (339, 4, 1, 1)]);
        tiff_of(&entries, 0, &[data, &lists].concat())
    };
    let empty_blocks = [&[0x78, 0x01][..], &[0, 0, 0, 0xFF, 0xFF].repeat(20_000)].concat();
    let white = (262, 4, 1, 0);
    let sub_ifd = |at| (330, 4, 1, at);
    let sensor = (262, 4, 1, 32_803);
    vec![
        ("claim-4G.ppm", text("P6 4294967295 4294967295 255\n")),
        ("1x100M.pgm", text("P5 1 100000000 255\n")),
        ("plain-100Mx1.pbm", text("P1 100000000 1\n")),
        (
            "wide.pam",
            text("P7\nWIDTH 4000000000\nHEIGHT 4000000000\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"),
        ),
        ("65535x65535.tga", tga(65_535, 65_535)),
        ("1x65535.tga", tga(1, 65_535)),
        ("4G.qoi", qoi(u32::MAX, u32::MAX, 8)),
        ("1x1M.qoi", qoi(1, 1_000_000, 16_130)),
        ("20000x20000.qoi", qoi(20_000, 20_000, 6_451_613)),
        ("flood.ico", icon(65_535, &bitmap(1 << 20))),
        ("claim-2G.ico", icon(1, &bitmap(0x7FFF_FFFF))),
        ("bomb-inside.ico", icon(1, &png(100_000, 100_000, 8, 2)[..4_000])),
        ("claim.hdr", text("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n")),
        ("1x1M.hdr", text("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1000000 +X 1\n")),
        ("endless-header.hdr", [b"#?RADIANCE\n".to_vec(), b"A=1\n".repeat(2_000_000)].concat()),
        ("claim.exr", exr(i32::MAX, i32::MAX)),
        ("1x30M.exr", exr(1, 30_000_000)),
        ("claim-1G.jxl", jpeg_xl(1 << 30, 1 << 30)),
        ("1x30M.jxl", jpeg_xl(1, 30_000_000)),
        ("15000x15000.jxl", jpeg_xl(15_000, 15_000)),
        ("claim-2G.j2k", patched("owl.j2k", b"\xFF\x51", 4, &size(0x7FFF_FFFF, 0x7FFF_FFFF))),
        ("1x30M.j2k", patched("owl.j2k", b"\xFF\x51", 4, &size(1, 30_000_000))),
        ("tiles-of-one-pixel.j2k", patched("owl.j2k", b"\xFF\x51", 20, &size(1, 1))),
        ("15000x15000.jp2", patched("owl.jp2", b"\xFF\x51", 4, &size(15_000, 15_000))),
        ("60000x60000.heic", patched("owl.heic", b"ispe", 4, &size(60_000, 60_000))),
        ("1x30M.heic", patched("owl.heic", b"ispe", 4, &size(1, 30_000_000))),
        ("4G-items.heic", patched("owl.heic", b"iinf", 0, &[2, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])),
        ("60000x60000.avif", patched("owl.avif", b"ispe", 4, &size(60_000, 60_000))),
        ("1x30M.avif", patched("owl.avif", b"ispe", 4, &size(1, 30_000_000))),
        ("1x1.avif", patched("owl.avif", b"ispe", 4, &size(1, 1))),
        ("jpeg-65535.raf", raf(&wide, wide.len() as u32)),
        ("claim-4G.raf", raf(&sound, u32::MAX)),
        ("loop.nef", tiff_of(&[sensor, sub_ifd(8)], 8, &[])),
        ("directories-everywhere.dng", tiff_of(&[(262, 4, 1, 32_803), (330, 4, 100_000, 8)], 0, &[0; 400_000])),
        ("jpeg-4G.dng", tiff_of(&[sensor, (513, 4, 1, 8), (514, 4, 1, u32::MAX)], 0, &[0; 400])),
        ("xmp-4G.dng", tiff_of(&[sensor, (700, 1, u32::MAX, 8), (34_665, 4, 1, 8)], 0, &[0; 400])),
        ("boxes.cr3", [&b"\0\0\0\x10ftypcrx \0\0\0\0"[..], &b"\0\0\0\x08free".repeat(1_000_000)].concat()),
        ("box-of-16E.cr3", [&b"\0\0\0\x10ftypcrx \0\0\0\0\0\0\0\x01moov"[..], &[0xFF; 40]].concat()),
        ("list-4G.x3f", [&b"FOVb"[..], &[0xFF; 64], &4_u32.to_le_bytes()].concat()),
        ("fax-of-nothing.tiff", tiff((20_000, 20_000), 4, &[0, 0x10, 0x01], &[(258, 4, 1, 1), white])),
        ("1Mx1-fax.tiff", tiff((1_000_000, 1), 2, &[0x9B; 400], &[(258, 4, 1, 1), white])),
        ("1x1M-fax.tiff", tiff((1, 1_000_000), 3, &[0, 0x10, 0x01], &[(258, 4, 1, 1), white])),
        ("jpeg-65535.tiff", tiff((64, 64), 7, &wide, &[])),
        ("jpeg-tiles.tiff", tiles(4_000, 7, &written(16, 16, ImageFormat::Jpeg), 62_500)),
        ("tiles-on-top-of-each-other.tiff", tiles(4_000, 8, &empty_blocks, 62_500)),
        ("old-jpeg-65535.tiff", tiff((64, 64), 6, &wide, &[(513, 4, 1, 8), (514, 4, 1, u32::MAX)])),
        ("floats.tiff", tiff((12_000, 12_000), 8, &zeros(1 << 30), &[(258, 4, 1, 64), (339, 4, 1, 3)])),
        ("1x1M-floats.tiff", tiff((1, 1_000_000), 8, &zeros(4_000_000), &[(258, 4, 1, 32), (339, 4, 1, 3)])),
        ("palette-of-nothing.tiff", tiff((40, 40), 1, &[9; 1600], &[(262, 4, 1, 3), (320, 3, 768, 8)])),
        (
            "tile-of-4G.tiff",
            tiff((40, 40), 8, &zeros(1600), &[tile, (323, 4, 1, u32::MAX), (324, 4, 1, 0), (325, 4, 1, 20)]),
        ),
    ]
}
