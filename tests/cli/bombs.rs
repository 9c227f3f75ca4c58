//! Small files that claim much, are thin as a thread or never end: refused or right, within 900 MB and, on an idle
//! machine, two seconds. `SNAPSEEK_BOMBS=1 cargo test --release --test cli bombs -- --nocapture --test-threads 1`
//! prints the figures.

mod rarer;

use crate::support::{Output, Sandbox, measured, random_blip2, random_clip};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};
use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Peak memory of a process, in bytes.
const MEMORY: u64 = 900_000_000;
/// The tests share the machine with others.
const PATIENCE: Duration = Duration::from_secs(10);

type Bomb = (&'static str, Vec<u8>);

/// What a zlib stream of nothing but zeros would unpack to `length` bytes: 13 bits for 258 of them.
fn zeros(length: u64) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (vec![0x78, 0x01], 0_u64, 0);
    let mut put = |value: u64, width: u32| {
        bits |= value << count;
        count += width;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    };
    put(0b011, 3); // the last block, with the fixed codes
    let literals = if length == 0 { 0 } else { 1 + (length - 1) % 258 };
    (0..literals).for_each(|_| put(0b0000_1100, 8));
    // 258 bytes at a distance of one.
    (0..(length - literals) / 258).for_each(|_| put(0b0_0000_1010_0011, 13));
    put(0, 7);
    put(0, 7); // fills the last byte
    let sum = ((length % 65_521) << 16 | 1) as u32;
    out.extend(sum.to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    static TABLE: std::sync::OnceLock<[u32; 256]> = std::sync::OnceLock::new();
    let table = TABLE.get_or_init(|| {
        std::array::from_fn(|n| {
            (0..8).fold(n as u32, |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
        })
    });
    !bytes.iter().fold(u32::MAX, |sum, byte| sum >> 8 ^ table[usize::from(sum as u8 ^ byte)])
}

fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [name, body].concat();
    [&(body.len() as u32).to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
}

/// A PNG of this size, bits a sample and colour type, with these chunks between the header and the data.
fn png_of(size: (u32, u32), kind: (u8, u8), interlaced: u8, extra: &[u8], data: &[u8]) -> Vec<u8> {
    let head = [&size.0.to_be_bytes()[..], &size.1.to_be_bytes(), &[kind.0, kind.1, 0, 0, interlaced]].concat();
    let (head, data, end) = (chunk(b"IHDR", &head), chunk(b"IDAT", data), chunk(b"IEND", b""));
    [b"\x89PNG\r\n\x1a\n", &head[..], extra, &data, &end].concat()
}

/// A sound black PNG.
fn png(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let samples = [1, 0, 3, 1, 2, 0, 4][usize::from(color)];
    let row = 1 + (u64::from(width) * u64::from(depth) * samples).div_ceil(8);
    png_of((width, height), (depth, color), 0, &[], &zeros(row * u64::from(height)))
}

/// A small PNG with these chunks.
fn png_with(extra: &[u8]) -> Vec<u8> {
    png_of((40, 40), (8, 0), 0, extra, &zeros(40 * 41))
}

/// A TIFF directory at offset 8; `entries` are (tag, type, count, value), and `next` is where the next one is.
fn tiff_of(entries: &[(u16, u16, u32, u32)], next: u32, data: &[u8]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        out.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    out.extend(next.to_le_bytes());
    out.extend(data);
    out
}

/// The entries of a grey TIFF of one strip; `changes` replace or add some.
fn tiff(size: (u32, u32), compression: u32, data: &[u8], changes: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let plain =
        [(256, size.0), (257, size.1), (258, 8), (259, compression), (262, 1), (273, 0), (277, 1), (278, size.1)];
    let mut entries: Vec<_> =
        plain.into_iter().chain([(279, data.len() as u32)]).map(|(tag, v)| (tag, 4, 1, v)).collect();
    for change in changes {
        // Tiles take the place of strips.
        entries.retain(|entry| entry.0 != change.0 && !(change.0 == 322 && matches!(entry.0, 273 | 278 | 279)));
        entries.push(*change);
    }
    entries.sort_unstable();
    let start = 8 + 2 + 12 * entries.len() as u32 + 4;
    for entry in entries.iter_mut().filter(|entry| matches!(entry.0, 273 | 324) && entry.3 == 0) {
        entry.3 = start;
    }
    tiff_of(&entries, 0, data)
}

fn written(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, image::Rgb([90, 120, 60])).write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn bmp(width: i32, height: i32, rows: usize) -> Vec<u8> {
    let mut out = [&b"BM"[..], &[0; 8], &[54, 0, 0, 0, 40, 0, 0, 0]].concat();
    out.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    out.extend([1, 0, 24, 0]);
    out.extend([0; 24]);
    out.resize(54 + rows * (width.unsigned_abs() as usize * 3).next_multiple_of(4).min(1 << 20), 0);
    out
}

/// A GIF with a screen of this size, these blocks, and a frame (left, top, width, height) with this LZW data.
fn gif(screen: (u16, u16), blocks: &[u8], frame: [u16; 4], data: &[u8]) -> Vec<u8> {
    let mut out =
        [&b"GIF89a"[..], &screen.0.to_le_bytes(), &screen.1.to_le_bytes(), &[0x80, 0, 0, 0, 0, 0, 255, 255, 255]]
            .concat();
    out.extend(blocks);
    out.push(b',');
    frame.iter().for_each(|n| out.extend(n.to_le_bytes()));
    out.extend([0, 2]);
    data.chunks(255).for_each(|block| {
        out.push(block.len() as u8);
        out.extend(block);
    });
    out.extend([0, b';']);
    out
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

/// A sound JPEG with these bytes behind its start.
fn jpeg_with(extra: &[u8]) -> Vec<u8> {
    let sound = written(64, 64, ImageFormat::Jpeg);
    [&sound[..2], extra, &sound[2..]].concat()
}

fn riff(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let mut out = b"WEBP".to_vec();
    for (name, length, body) in chunks {
        out.extend([&name[..], &length.to_le_bytes(), body].concat());
        out.extend(&[0][..body.len() % 2]);
    }
    [b"RIFF", &(out.len() as u32).to_le_bytes()[..], &out].concat()
}

/// The header of an extended WebP.
fn canvas(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let three = |n: u32| n.to_le_bytes()[..3].to_vec();
    [vec![flags, 0, 0, 0], three(width - 1), three(height - 1)].concat()
}

/// Pictures of one pixel in width or height.
fn thin() -> Vec<Bomb> {
    let packed = |n: u32| zeros(u64::from(n));
    let mut long_gray = Vec::new();
    let row = vec![77; 1 << 20];
    image::codecs::png::PngEncoder::new(&mut long_gray)
        .write_image(&row[..1_000_000], 1, 1_000_000, ExtendedColorType::L8)
        .unwrap();
    vec![
        ("1x30M.png", png(1, 30_000_000, 8, 2)),
        ("30Mx1.png", png(30_000_000, 1, 8, 2)),
        ("1x1M.png", long_gray),
        ("1Mx1.png", png(1_000_000, 1, 8, 2)),
        ("1Mx1-16.png", png(1_000_000, 1, 16, 6)),
        ("100Mx1.tiff", tiff((100_000_000, 1), 8, &packed(100_000_000), &[])),
        ("1x100M.tiff", tiff((1, 100_000_000), 8, &packed(100_000_000), &[])),
        ("1Mx1.tiff", tiff((1_000_000, 1), 8, &packed(1_000_000), &[])),
        ("1x1M.tiff", tiff((1, 1_000_000), 8, &packed(1_000_000), &[])),
        ("65535x1.gif", written(65_535, 1, ImageFormat::Gif)),
        ("1x65535.gif", written(1, 65_535, ImageFormat::Gif)),
        ("16383x1.webp", written(16_383, 1, ImageFormat::WebP)),
        ("1x16383.webp", written(1, 16_383, ImageFormat::WebP)),
        ("65535x1.bmp", written(65_535, 1, ImageFormat::Bmp)),
        ("1x65535.bmp", written(1, 65_535, ImageFormat::Bmp)),
        ("1x30M.bmp", bmp(1, 30_000_000, 30_000_000)),
        ("65535x1.jpg", written(65_535, 1, ImageFormat::Jpeg)),
        ("1x65535.jpg", written(1, 65_535, ImageFormat::Jpeg)),
    ]
}

/// Files that are dangerous in other ways.
fn bombs() -> Vec<Bomb> {
    let text = |name: &[u8; 4], head: &[u8], length| chunk(name, &[head, &zeros(length)].concat());
    let gigabyte = 1 << 30;
    let grey = (8, 0);
    let sound_jpeg = written(64, 64, ImageFormat::Jpeg);
    let scan = sound_jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let frame = |process: u8, edge: u16, sampling: u8| {
        let edge = edge.to_be_bytes();
        segment(process, &[8, edge[0], edge[1], edge[0], edge[1], 3, 1, sampling, 0, 2, 0x11, 0, 3, 0x11, 0])
    };
    let empty_scan = b"\xFF\xDA\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0\0";
    let start = [0xFF, 0xD8];
    let end = [0xFF, 0xD9];
    let progressive =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/photo/testdata/progressive-420.jpg")).unwrap();
    let last_scan = progressive.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).unwrap();
    let flood =
        |scans: usize| [&progressive[..last_scan], &b"\xFF\xDA\0\x08\x01\x01\0\x01\x3f\0".repeat(scans), &end].concat();
    let webp = written(40, 40, ImageFormat::WebP);
    let vp8l = &webp[20..];
    let vp8l_length = u32::from_le_bytes(*webp[16..].first_chunk().unwrap());
    let lossless_head = |edge: u32| [&[0x2f][..], &((edge - 1) | (edge - 1) << 14).to_le_bytes(), &[0; 40]].concat();
    let lossy_head = b"\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f\0\0\0\0\0\0";
    let anmf = |width: u32, height: u32| {
        let head = [&[0; 6][..], &(width - 1).to_le_bytes()[..3], &(height - 1).to_le_bytes()[..3], &[0; 4]].concat();
        let body = [&head[..], b"VP8L", &vp8l_length.to_le_bytes(), vp8l].concat();
        [b"ANMF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
    };
    let anim: (&[u8; 4], u32, &[u8]) = (b"ANIM", 6, &[0; 6]);
    let frames = |frame: Vec<u8>, count: usize| {
        let mut out = riff(&[(b"VP8X", 10, &canvas(2, 40, 40)), anim]);
        out.extend(frame.repeat(count));
        let length = out.len() as u32 - 8;
        out[4..8].copy_from_slice(&length.to_le_bytes());
        out
    };
    let lzw = [0x84, 0x8f, 0xa9, 0xcb, 0xed, 0x0f, 0xa3, 0x9c];
    let small = [0, 0, 4, 4];
    let exif = |ifd: &[u8]| segment(0xE1, &[b"Exif\0\0", ifd].concat());
    let loop_in_exif = tiff_of(&[(0x8769, 4, 1, 8), (0x112, 3, 1, 1)], 8, &[]);
    let entries: Vec<_> = (0..5000).map(|n| (0x9000 + n, 2, u32::MAX, 8)).collect();
    vec![
        // Claims.
        ("claim-100000.png", png_of((100_000, 100_000), (8, 2), 0, &[], b"\0")),
        ("claim-2G.png", png_of((0x7fff_ffff, 0x7fff_ffff), (8, 2), 0, &[], b"\0")),
        ("claim-4G.png", png_of((u32::MAX, u32::MAX), (16, 6), 0, &[], b"\0")),
        ("claim-no-width.png", png_of((0, 7), grey, 0, &[], b"\0")),
        ("true-19000-of-16-bits.png", png(19_000, 19_000, 16, 6)),
        ("true-1Mx190.png", png(1_000_000, 190, 8, 2)),
        ("true-190x1M.png", png(190, 1_000_000, 8, 2)),
        ("true-12000-of-one-bit.png", png(12_000, 12_000, 1, 0)),
        ("true-19999-of-one-bit.png", png(19_999, 19_999, 1, 0)),
        ("claim-65535.gif", gif((u16::MAX, u16::MAX), &[], [0, 0, u16::MAX, u16::MAX], &lzw)),
        ("claim-2G.bmp", bmp(i32::MAX, i32::MAX, 0)),
        ("claim-upside-down.bmp", bmp(60_000, i32::MIN, 0)),
        ("claim-4G.tiff", tiff((u32::MAX, u32::MAX), 1, b"x", &[])),
        ("claim-65535.jpg", [&start[..], &frame(0xC0, u16::MAX, 0x11), empty_scan, &end].concat()),
        ("claim-65535-progressive.jpg", [&start[..], &frame(0xC2, u16::MAX, 0x11), empty_scan, &end].concat()),
        ("claim-20000-4x4.jpg", [&start[..], &frame(0xC2, 20_000, 0x44), empty_scan, &end].concat()),
        ("claim-16M-canvas.webp", riff(&[(b"VP8X", 10, &canvas(0, 1 << 24, 1 << 24)), (b"VP8L", vp8l_length, vp8l)])),
        ("claim-16384.webp", riff(&[(b"VP8L", 45, &lossless_head(16_384))])),
        ("claim-16383-lossy.webp", riff(&[(b"VP8 ", 16, lossy_head)])),
        // Text and metadata of a PNG.
        ("ztxt-1G.png", png_with(&text(b"zTXt", b"Comment\0\0", gigabyte))),
        ("itxt-1G.png", png_with(&text(b"iTXt", b"Comment\0\x01\0\0\0", gigabyte))),
        ("iccp-1G.png", png_with(&text(b"iCCP", b"profile\0\0", gigabyte))),
        ("ztxt-40-of-60M.png", png_with(&text(b"zTXt", b"Comment\0\0", 60 << 20).repeat(40))),
        ("text-flood.png", png_with(&chunk(b"tEXt", b"Comment\0nothing").repeat(300_000))),
        ("chunk-flood.png", png_with(&chunk(b"teSt", b"").repeat(1_000_000))),
        ("exif-50M.png", png_with(&chunk(b"eXIf", &[b"II*\0\x08\0\0\0".as_slice(), &vec![0xff; 50 << 20]].concat()))),
        ("idat-too-long.png", png_of((40, 40), grey, 0, &[], &zeros(gigabyte))),
        ("idat-flood.png", png_of((40, 40), grey, 0, &chunk(b"IDAT", b"").repeat(1_000_000), &zeros(40 * 41))),
        ("frames.png", png_with(&chunk(b"acTL", &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]))),
        ("interlaced-1Mx100.png", png_of((1_000_000, 100), grey, 1, &[], &zeros(100_200_000))),
        ("palette-without-colours.png", png_of((3000, 3000), (8, 3), 0, &[], &zeros(3001 * 3000))),
        // GIF.
        (
            "frame-flood.gif",
            gif((4, 4), &[&b",\0\0\0\0\x04\0\x04\0\0\x02\x08"[..], &lzw, &[0]].concat().repeat(300_000), small, &lzw),
        ),
        ("comment-flood.gif", gif((4, 4), &b"!\xfe\x04abcd\0".repeat(2_000_000), small, &lzw)),
        ("delay-flood.gif", gif((4, 4), &b"!\xf9\x04\0\xff\xff\0\0".repeat(2_000_000), small, &lzw)),
        ("outside.gif", gif((8, 8), &[], [60_000, 60_000, u16::MAX, u16::MAX], &lzw)),
        ("larger-than-the-screen.gif", gif((1, 1), &[], [0, 0, u16::MAX, 3000], &lzw)),
        ("no-size.gif", gif((0, 0), &[], [0, 0, 0, 0], &lzw)),
        ("clear-codes.gif", gif((9000, 9000), &[], [0, 0, 9000, 9000], &[0x24, 0x49, 0x92].repeat(1_000_000))),
        // JPEG.
        ("scans-1M.jpg", flood(1_000_000)),
        ("scans-5000.jpg", flood(5000)),
        (
            "icc-16M.jpg",
            jpeg_with(&segment(0xE2, &[b"ICC_PROFILE\0\x01\xff".as_slice(), &[7; 65_000]].concat()).repeat(255)),
        ),
        ("exif-flood.jpg", jpeg_with(&exif(&[0xff; 65_000]).repeat(300))),
        (
            "xmp-flood.jpg",
            jpeg_with(
                &segment(0xE1, &[b"http://ns.adobe.com/xap/1.0/\0".as_slice(), &[b'<'; 65_000]].concat()).repeat(300),
            ),
        ),
        ("exif-loop.jpg", jpeg_with(&exif(&loop_in_exif))),
        ("exif-endless-entries.jpg", jpeg_with(&exif(&tiff_of(&entries, 0, &[])))),
        ("table-flood.jpg", jpeg_with(&segment(0xDB, &[0; 65]).repeat(300_000))),
        ("comment-flood.jpg", jpeg_with(&segment(0xFE, b"").repeat(2_000_000))),
        ("fill-flood.jpg", jpeg_with(&[0xff; 30 << 20])),
        (
            "restart-flood.jpg",
            [&sound_jpeg[..scan + 14], &b"\xFF\xD0".repeat(5_000_000), &sound_jpeg[scan + 14..]].concat(),
        ),
        ("without-end.jpg", [&sound_jpeg[..sound_jpeg.len() - 2], &vec![0x55; 20 << 20]].concat()),
        // TIFF.
        ("next-directory-is-this-one.tiff", {
            let mut file = tiff((4, 4), 1, &[9; 16], &[]);
            let next = 8 + 2 + 12 * 9;
            file[next..next + 4].copy_from_slice(&8_u32.to_le_bytes());
            file
        }),
        ("strips-4G.tiff", tiff((40, 40), 1, &[9; 1600], &[(273, 4, u32::MAX, 8), (279, 4, u32::MAX, 8)])),
        ("strips-of-no-rows.tiff", tiff((40, 40), 1, &[9; 1600], &[(278, 4, 1, 0)])),
        (
            "strips-of-one-row.tiff",
            tiff((1, 1_000_000), 1, &[9; 16], &[(278, 4, 1, 1), (273, 4, 1_000_000, 8), (279, 4, 1_000_000, 8)]),
        ),
        ("strip-outside.tiff", tiff((40, 40), 1, &[9; 16], &[(273, 4, 1, 0xffff_fff0)])),
        ("strip-too-long.tiff", tiff((40, 40), 8, &zeros(gigabyte), &[])),
        (
            "tiles-2G.tiff",
            tiff(
                (40, 40),
                8,
                &zeros(1600),
                &[(322, 4, 1, 0x7fff_ffff), (323, 4, 1, 0x7fff_ffff), (324, 4, 1, 0), (325, 4, 1, 20)],
            ),
        ),
        (
            "tiles-of-nothing.tiff",
            tiff((40, 40), 8, &zeros(1600), &[(322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 0), (325, 4, 1, 20)]),
        ),
        (
            "tiles-of-20000.tiff",
            tiff(
                (16, 16),
                8,
                &zeros(400_000_000),
                &[(322, 4, 1, 20_000), (323, 4, 1, 20_000), (324, 4, 1, 0), (325, 4, 1, 2_000_000)],
            ),
        ),
        (
            "tiles-of-one-pixel.tiff",
            tiff(
                (20_000, 20_000),
                1,
                &[9; 64],
                &[(322, 4, 1, 1), (323, 4, 1, 1), (324, 4, 400_000_000, 8), (325, 4, 400_000_000, 8)],
            ),
        ),
        ("samples-65535.tiff", tiff((4000, 4000), 1, &[9; 64], &[(277, 3, 1, 65_535)])),
        ("bits-64.tiff", tiff((4000, 4000), 1, &[9; 64], &[(258, 3, 1, 64)])),
        ("entries-65535.tiff", [&b"II*\0\x08\0\0\0\xff\xff"[..], &[1; 100]].concat()),
        ("value-4G.tiff", tiff((40, 40), 1, &[9; 1600], &[(270, 2, u32::MAX, 8), (34_675, 7, u32::MAX, 8)])),
        ("big.tiff", [&b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0"[..], &[0xff; 8], &[1; 400]].concat()),
        (
            "lzw-of-clear-codes.tiff",
            tiff((10_000, 10_000), 5, &[0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01, 0x00].repeat(500_000), &[]),
        ),
        ("packbits-of-nothing.tiff", tiff((10_000, 10_000), 32_773, &vec![0x80; 20 << 20], &[])),
        // WebP.
        (
            "canvas-larger-than-frame.webp",
            riff(&[(b"VP8X", 10, &canvas(0, 15_000, 15_000)), (b"VP8L", vp8l_length, vp8l)]),
        ),
        ("canvas-smaller-than-frame.webp", riff(&[(b"VP8X", 10, &canvas(0, 1, 1)), (b"VP8L", vp8l_length, vp8l)])),
        ("frame-flood.webp", frames(anmf(40, 40), 60_000)),
        ("frame-larger-than-canvas.webp", frames(anmf(16_000_000, 16_000_000), 1)),
        (
            "animation-16383.webp",
            riff(&[(b"VP8X", 10, &canvas(2, 16_383, 16_383)), anim, (b"ANMF", 24, &anmf(40, 40)[8..])]),
        ),
        (
            "exif-4G.webp",
            riff(&[(b"VP8X", 10, &canvas(8, 40, 40)), (b"VP8L", vp8l_length, vp8l), (b"EXIF", u32::MAX, b"II*\0")]),
        ),
        ("chunk-flood.webp", {
            let nothing: (&[u8; 4], u32, &[u8]) = (b"teSt", 0, &[]);
            let canvas = canvas(0, 40, 40);
            let mut chunks: Vec<(&[u8; 4], u32, &[u8])> = vec![(b"VP8X", 10, &canvas)];
            chunks.extend([nothing].repeat(1_000_000));
            chunks.push((b"VP8L", vp8l_length, vp8l));
            riff(&chunks)
        }),
    ]
}

/// Whether to print what was measured.
fn printing() -> bool {
    std::env::var_os("SNAPSEEK_BOMBS").is_some()
}

/// Runs a command on a file; fails unless it ends in time and within the memory, without a panic, and with one of
/// `codes`. An error must name the file.
#[track_caller]
fn harmless(what: &str, command: Command, codes: &[i32], name: &str) -> Output {
    let started = Instant::now();
    let (output, peak) = measured(command);
    let took = started.elapsed();
    if printing() {
        let said = output.stderr.lines().find(|line| line.contains(name)).unwrap_or_default();
        let said = said.rsplit("cannot be used: ").next().unwrap_or_default();
        println!(
            "{name:34} {what:10} {:5.0} ms {:5} MB  exit {}  {said}",
            took.as_secs_f64() * 1e3,
            peak / 1_000_000,
            output.code()
        );
    }
    assert!(!output.stderr.contains("panicked"), "{what} {name}: {output}");
    assert!(codes.contains(&output.code()), "{what} {name}: {output}");
    assert!(output.code() == 0 || output.stderr.contains(name), "{what} {name} is not named: {output}");
    assert!(took < PATIENCE, "{what} {name} takes {took:?}");
    assert!(peak < MEMORY, "{what} {name} takes {peak} bytes");
    output
}

#[test]
fn thin_pictures_are_refused_or_right_in_every_command() {
    let sandbox = Sandbox::indexed(&["dog", "owl"]);
    let (clip, blip2) = (random_clip(), random_blip2());
    for (name, bytes) in thin() {
        let folder = sandbox.path(format!("thin-{name}"));
        fs::create_dir(&folder).unwrap();
        let file = folder.join(name);
        fs::write(&file, bytes).unwrap();
        let path = file.to_str().unwrap();
        let at = format!("@{path}");
        // Before it is indexed, so that it has to be decoded.
        let commands: [(&str, &[&str]); 8] = [
            ("similar", &["similar", path, "--json"]),
            ("search", &["search", &at, "--json"]),
            ("embed", &["embed", "--image", path]),
            ("clip", &["embed", "--model", &clip, "--image", path]),
            ("caption", &["caption", "--blip2", &blip2, path]),
            ("ask", &["ask", "--blip2", &blip2, path, "what is it?"]),
            ("score", &["score", path, "--text", "a line"]),
            ("index", &["index", folder.to_str().unwrap(), "-v"]),
        ];
        let mut read = None;
        for (what, args) in commands {
            let code = harmless(what, sandbox.command(args), &[0, 1, 4, 5], name).code();
            // What one command reads, all read.
            assert_eq!(*read.get_or_insert(code < 2), code < 2, "{what} {name}");
        }
        let page = sandbox.path(format!("{name}.html"));
        let commands: [(&str, &[&str]); 3] = [
            ("duplicates", &["duplicates", "--html", page.to_str().unwrap()]),
            ("page", &["search", "a dog", "--all", "--html", page.to_str().unwrap()]),
            ("preview", &["search", "a dog", "--all", "--preview"]),
        ];
        for (what, args) in commands {
            let _ = fs::remove_file(&page);
            harmless(what, sandbox.command(args), &[0, 1], name);
        }
        sandbox.run(["forget", folder.to_str().unwrap()]).exits(0);
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_thin_picture_means_what_a_stouter_one_of_the_same_look_means() {
    let sandbox = Sandbox::new();
    let ramp = |width: u32, height: u32| {
        RgbImage::from_fn(width, height, |x, y| {
            let at = u64::from(x + y) * 6 / u64::from(width.max(height));
            image::Rgb([[200, 30, 30], [40, 190, 60], [30, 40, 200]][at as usize % 3])
        })
    };
    for (name, long, short) in [("row.png", (900_000, 1), (30_000, 1)), ("column.png", (1, 900_000), (1, 30_000))] {
        let [a, b] = [("long", long), ("short", short)].map(|(which, (width, height))| {
            let path = sandbox.photo(format!("{which}-{name}"));
            ramp(width, height).save(&path).unwrap();
            let line = sandbox.run(["embed", "--json", "--image", path.to_str().unwrap()]).exits(0).line();
            let vector = line["embedding"].as_array().unwrap().clone();
            vector.iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>()
        });
        let cosine: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.99, "{name}: {cosine}");
    }
}

#[test]
fn bombs_are_refused_or_right_within_time_and_memory() {
    let sandbox = Sandbox::with_photos(&["dog", "owl"]);
    let (mut bombs, thin) = (bombs(), thin());
    bombs.extend(rarer::rarer());
    for (name, bytes) in bombs.iter().chain(&thin) {
        fs::write(sandbox.photo(name), bytes).unwrap();
        harmless("embed", sandbox.command(["embed", "--image", name]), &[0, 4], name);
    }
    File::create(sandbox.photo("sparse.jpg")).unwrap().set_len(1 << 40).unwrap();
    // All at once, on several threads: one budget for all of them.
    let command = sandbox.command(["index", ".", "--json", "--threads", "8"]);
    let started = Instant::now();
    let (output, peak) = measured(command);
    if printing() {
        println!(
            "index, 8 threads, {} files: {:?}, {} MB",
            bombs.len() + thin.len() + 3,
            started.elapsed(),
            peak / 1_000_000
        );
    }
    let summary = output.exits(4).line();
    let count = |key: &str| summary[key].as_u64().unwrap() as usize;
    assert_eq!(count("embedded") + count("failed") + count("copied"), bombs.len() + thin.len() + 3, "{summary}");
    assert!(
        summary["failures"].get("quarantined").is_none() && summary["failures"].get("crashed").is_none(),
        "{summary}"
    );
    assert!(peak < 1_500_000_000, "{peak} bytes");
}
