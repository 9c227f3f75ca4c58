//! Whole files through [`decode`]: every format, every orientation, and hostile files.

use super::format::Format;
use super::*;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};
use std::io::Cursor;
use std::path::{Path, PathBuf};

fn limits() -> DecodeLimits {
    DecodeLimits { max_pixels: 4_000_000, max_bytes: 1 << 20, max_alloc: 64 << 20 }
}

fn kind(bytes: &[u8]) -> ErrorKind {
    decode(bytes, None, &limits()).map(|photo| photo.facts).unwrap_err().kind
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Small files of every format, and of the variants that the `image` crate cannot write.
fn samples() -> Vec<Vec<u8>> {
    let picture = RgbImage::from_fn(31, 22, |x, y| image::Rgb([(x * 8) as u8, (y * 11) as u8, (x * y) as u8]));
    let written = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff];
    let written = written.into_iter().map(|format| {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    });
    written.chain(files("src/photo/testdata").iter().map(|path| std::fs::read(path).unwrap())).collect()
}

/// Where the pixel of row `r` and column `c` of a file belongs in the upright picture of `w` by `h` pixels: the table
/// of the EXIF standard, which says what side the first row and the first column are.
fn place(orientation: u8, (r, c): (u32, u32), (w, h): (u32, u32)) -> (u32, u32) {
    match orientation {
        1 => (c, r),
        2 => (w - 1 - c, r),
        3 => (w - 1 - c, h - 1 - r),
        4 => (c, h - 1 - r),
        5 => (r, c),
        6 => (w - 1 - r, c),
        7 => (w - 1 - r, h - 1 - c),
        _ => (r, h - 1 - c),
    }
}

/// A TIFF header and one directory; `entries` are (tag, type, count, value).
fn tiff_block(entries: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        out.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    out.extend([0; 4]);
    out
}

/// An uncompressed grey TIFF.
fn tiff(width: u32, height: u32, orientation: u8, grey: &[u8]) -> Vec<u8> {
    let entry = |tag, value| (tag, 4, 1, value);
    let mut entries = vec![entry(256, width), entry(257, height), entry(258, 8), entry(259, 1), entry(262, 1)];
    let data = 8 + 2 + 10 * 12 + 4;
    entries.extend([entry(273, data), (274, 3, 1, orientation.into()), entry(277, 1), entry(278, height)]);
    entries.push(entry(279, grey.len() as u32));
    [tiff_block(&entries), grey.to_vec()].concat()
}

#[test]
fn predictors_are_undone_or_refused() {
    use std::io::Write;
    // Four samples of which each is one more than the one before.
    let decoded = |bits: u32, predictor: u32, kind: u32| {
        let row: Vec<u8> = (0..4).flat_map(|_| 1_u64.to_le_bytes()[..bits.div_ceil(8) as usize].to_vec()).collect();
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&row).unwrap();
        let packed = packed.finish().unwrap();
        let entry = |tag, value| (tag, 4, 1, value);
        let mut entries = vec![entry(256, 4), entry(257, 1), entry(258, bits), entry(259, 8), entry(262, 1)];
        let data = 8 + 2 + 11 * 12 + 4;
        entries.extend([entry(273, data), entry(277, 1), entry(278, 1), entry(279, packed.len() as u32)]);
        entries.extend([entry(317, predictor), entry(339, kind)]);
        decode(&[tiff_block(&entries), packed].concat(), None, &DecodeLimits::default())
            .map(|photo| photo.picture.data.iter().step_by(3).copied().collect::<Vec<_>>())
            .map_err(|error| error.kind)
    };
    assert_eq!(decoded(8, 2, 1).unwrap(), [1, 2, 3, 4]);
    assert_eq!(decoded(64, 2, 3).unwrap(), [0, 0, 0, 0], "these floats are as good as 0");
    for (bits, predictor, kind) in [(4, 2, 1), (12, 2, 1), (8, 3, 1), (16, 3, 1), (8, 4, 1)] {
        assert_eq!(decoded(bits, predictor, kind), Err(ErrorKind::Unsupported), "{bits} {predictor} {kind}");
    }
}

#[test]
fn every_orientation_is_turned_upright_in_every_format() {
    // Squares of 16 pixels, so that JPEG keeps their colours.
    let (w, h) = (48, 32);
    let upright = image::GrayImage::from_fn(w, h, |x, y| image::Luma([40 * (x / 16 + 3 * (y / 16)) as u8]));
    for orientation in 1..=8 {
        let (fw, fh) = if orientation < 5 { (w, h) } else { (h, w) };
        let stored = image::GrayImage::from_fn(fw, fh, |c, r| {
            let (x, y) = place(orientation, (r, c), (w, h));
            *upright.get_pixel(x, y)
        });
        let exif = tiff_block(&[(274, 3, 1, orientation.into())]);
        let write = |encoder: &mut dyn FnMut(&mut Vec<u8>)| {
            let mut out = Vec::new();
            encoder(&mut out);
            out
        };
        fn encode(mut encoder: impl ImageEncoder, exif: &[u8], image: &image::GrayImage, rgb: bool) {
            encoder.set_exif_metadata(exif.to_vec()).unwrap();
            if rgb {
                let image = DynamicImage::from(image.clone()).into_rgb8();
                encoder.write_image(&image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
            } else {
                encoder.write_image(image, image.width(), image.height(), ExtendedColorType::L8).unwrap();
            }
        }
        let files = [
            (write(&mut |out| encode(JpegEncoder::new_with_quality(out, 95), &exif, &stored, false)), "jpeg"),
            (write(&mut |out| encode(JpegEncoder::new_with_quality(out, 95), &exif, &stored, true)), "jpeg"),
            (write(&mut |out| encode(PngEncoder::new(out), &exif, &stored, false)), "png"),
            (write(&mut |out| encode(WebPEncoder::new_lossless(out), &exif, &stored, true)), "webp"),
            (tiff(fw, fh, orientation, &stored), "tiff"),
        ];
        for (file, format) in files {
            let photo = decode(&file, None, &limits()).unwrap();
            assert_eq!((photo.facts.width, photo.facts.height, photo.facts.format), (w, h, format));
            assert_eq!((photo.picture.width, photo.picture.height), (w, h));
            let tolerance = if format == "jpeg" { 3 } else { 0 };
            for (pixel, expected) in photo.picture.data.as_chunks::<3>().0.iter().zip(upright.iter()) {
                assert!(pixel.iter().all(|v| v.abs_diff(*expected) <= tolerance), "{format} {orientation}");
            }
        }
    }
}

#[test]
fn the_reference_pictures_decode() {
    let pictures = files("fixtures/reference/pictures");
    assert_eq!(pictures.len(), 13);
    for path in pictures {
        let photo = decode(&read(&path, &DecodeLimits::default()).unwrap(), None, &DecodeLimits::default()).unwrap();
        let RgbPicture { width, height, data, .. } = photo.picture;
        assert_eq!((width, height), (photo.facts.width, photo.facts.height), "{}", path.display());
        assert_eq!(data.len() as u64, 3 * u64::from(width) * u64::from(height), "{}", path.display());
    }
}

#[test]
fn variants_that_show_the_same_picture_look_the_same() {
    let picture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/photo/testdata").join(name);
        decode(&std::fs::read(path).unwrap(), None, &limits()).unwrap().picture
    };
    let exact = picture("lzw.tiff");
    for (name, tolerance) in
        [("progressive-420.jpg", 10.0), ("restart-422.jpg", 10.0), ("cmyk.jpg", 6.0), ("animated.webp", 12.0)]
    {
        let other = picture(name);
        assert_eq!((other.width, other.height), (exact.width, exact.height), "{name}");
        let sum: f64 = other.data.iter().zip(&exact.data).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        let mean = sum / exact.data.len() as f64;
        assert!(mean < tolerance, "{name}: {mean}");
    }
}

#[test]
fn a_reduced_jpeg_keeps_the_edge_that_is_needed_and_looks_the_same() {
    assert_eq!([448, 375, 376, 1500, 1501, 9999].map(|target| dct_scale(4000, 3000, target)), [4, 8, 4, 2, 1, 1]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/pictures/b-exif-rotate-6.jpg");
    let bytes = std::fs::read(path).unwrap();
    let full = decode(&bytes, None, &limits()).unwrap();
    let short = full.picture.width.min(full.picture.height);
    for divisor in [2, 4, 8] {
        let reduced = decode(&bytes, Some(short.div_ceil(divisor)), &limits()).unwrap();
        assert_eq!(reduced.facts, full.facts);
        let RgbPicture { width, height, data, .. } = reduced.picture;
        assert_eq!((width, height), (full.facts.width.div_ceil(divisor), full.facts.height.div_ceil(divisor)));
        // Callers reduce it by two or more, which removes what differs between the inverse DCTs.
        let halved = |picture: &RgbPicture| {
            let image = RgbImage::from_raw(picture.width, picture.height, picture.data.clone()).unwrap();
            image::imageops::thumbnail(&image, width / 2, height / 2)
        };
        let reduced = RgbPicture::whole(width, height, data);
        let differences =
            halved(&reduced).iter().zip(halved(&full.picture).iter()).map(|(a, b)| a.abs_diff(*b)).collect::<Vec<_>>();
        let mean = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / differences.len() as f64;
        assert!(mean < 3.0, "1/{divisor}: {mean}");
    }
    let mut line = Vec::new();
    JpegEncoder::new(&mut line).encode(&[99; 40], 1, 40, ExtendedColorType::L8).unwrap();
    for target in [None, Some(8)] {
        let photo = decode(&line, target, &limits()).unwrap();
        assert_eq!((photo.picture.width, photo.picture.height, photo.facts.height), (1, 40, 40));
    }
    let larger = decode(&bytes, Some(short + 1), &limits()).unwrap();
    assert_eq!((larger.picture, larger.facts), (full.picture, full.facts));
}

#[test]
fn part_of_a_file_is_told_from_a_damaged_one() {
    for sample in samples() {
        let format = format::sniff(&sample).unwrap();
        // What is there of these is shown, with a remark.
        let salvaged = matches!(format, Format::Jpeg | Format::Png | Format::Tiff | Format::Gif | Format::Bmp);
        match decode(&sample[..sample.len() * 2 / 5], None, &limits()) {
            Ok(photo) => assert!(salvaged && photo.facts.remark.is_some(), "{format:?}"),
            // Two fifths of the animation do not contain even its first frame.
            Err(error) => assert_eq!(error.kind, ErrorKind::Truncated, "{format:?}"),
        }
        for length in 0..sample.len() {
            match decode(&sample[..length], None, &limits()) {
                // The last bytes of some formats do not matter for the pixels, those of a JPEG do.
                Ok(photo) => {
                    assert!(format != Format::Jpeg || photo.facts.remark.is_some(), "{format:?} of {length} bytes");
                    assert!(salvaged || length > sample.len() * 2 / 5, "{format:?} of {length} bytes");
                }
                Err(error) => {
                    assert!(!matches!(error.kind, ErrorKind::Crashed | ErrorKind::TooLarge), "{format:?} {error:?}")
                }
            }
        }
    }
    // A JPEG whose end marker was moved right behind the beginning of its scan.
    let jpeg = samples().swap_remove(0);
    let scan = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let cut = [&jpeg[..scan + 14 + 2], &[0xFF, 0xD9]].concat();
    let told = decode(&cut, None, &limits()).map(|photo| photo.facts.remark.is_some());
    assert!(told.is_ok_and(|told| told));
    assert_eq!(kind(b""), ErrorKind::Empty);
    assert_eq!(kind(b"<html>not found</html>"), ErrorKind::NotAPicture);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn headers_that_claim_too_much_are_refused() {
    let side = 100_000_u32;
    let mut chunk = b"IHDR".to_vec();
    chunk.extend([side.to_be_bytes(), side.to_be_bytes()].concat());
    chunk.extend([8, 2, 0, 0, 0]);
    let crc = crc32(&chunk).to_be_bytes();
    let png = [&b"\x89PNG\r\n\x1a\n\0\0\0\x0d"[..], &chunk, &crc, b"\0\0\0\x01IDAT\0\0\0\0\0\0\0\0\0"].concat();
    let gif = b"GIF89a\xFF\xFF\xFF\xFF\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\xFF\xFF\xFF\xFF\0\x02\x02D\x01\0;".to_vec();
    let mut bmp = [b"BM".to_vec(), vec![0; 8], vec![54, 0, 0, 0, 40, 0, 0, 0]].concat();
    bmp.extend([side.to_le_bytes(), side.to_le_bytes()].concat());
    bmp.extend([1, 0, 24, 0]);
    bmp.extend([0; 24]);
    let three = |n: u32| n.to_le_bytes()[..3].to_vec();
    let webp = |side: u32| {
        [
            b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec(),
            three(side),
            three(side),
            b"VP8L\x05\0\0\0\x2f\0\0\0\0\0".to_vec(),
        ]
        .concat()
    };
    let jpeg = |process: u8| {
        let frame = [0xFF, process, 0, 17, 8, 0xFF, 0xFF, 0xFF, 0xFF, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
        [&[0xFF, 0xD8][..], &frame, b"\xFF\xDA\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0\0\xFF\xD9"].concat()
    };
    let bombs = [png, gif, bmp, webp(side), webp(40_000), tiff(side, side, 1, b"x"), jpeg(0xC0), jpeg(0xC2)];
    for bomb in bombs {
        let error = decode(&bomb, None, &DecodeLimits::default()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge, "{:?}: {}", format::sniff(&bomb), error.message);
    }
}

#[test]
fn memory_and_scans_are_bounded() {
    for sample in samples() {
        let tight = DecodeLimits { max_alloc: 1500, ..limits() };
        assert_eq!(decode(&sample, None, &tight).unwrap_err().kind, ErrorKind::TooLarge);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/photo/testdata/progressive-420.jpg");
    let jpeg = std::fs::read(path).unwrap();
    let last = jpeg.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).unwrap();
    let flood = [&jpeg[..last], &b"\xFF\xDA\0\x08\x01\x01\0\x01\x3f\0".repeat(1_000_000), b"\xFF\xD9"].concat();
    assert_eq!(kind(&flood), ErrorKind::TooLarge);
}

/// A small reproducible random number generator (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        start..start + self.below((length - start).min(64))
    }

    fn mutate(&mut self, file: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = file.to_vec();
        for _ in 0..=self.below(3) {
            match self.below(5) {
                0 => (0..=self.below(8)).for_each(|_| {
                    let at = self.below(out.len());
                    out[at] ^= 1 << self.below(8);
                }),
                1 => out.truncate(1 + self.below(out.len())),
                2 => {
                    let (part, at) = (self.range(other.len()), self.below(out.len()));
                    out.splice(at..at, other[part].iter().copied());
                }
                3 => {
                    let (part, at) = (self.range(out.len()), self.below(out.len()));
                    let part = out[part].to_vec();
                    out.splice(at..at, part);
                }
                _ => {
                    let (part, value) = (self.range(out.len()), [0, 0xFF, 0x7F][self.below(3)]);
                    out[part].fill(value);
                }
            }
        }
        out
    }
}

#[test]
fn mutated_files_never_do_worse_than_an_error() {
    let samples = samples();
    let mut chance = Chance(0x5EED);
    let (mut decoded, mut failed) = (0, 0);
    for n in 0..1500 {
        let other = chance.below(samples.len());
        let file = chance.mutate(&samples[n % samples.len()], &samples[other]);
        match decode(&file, (n % 2 == 0).then_some(8), &limits()) {
            Ok(DecodedPhoto { picture, .. }) => {
                assert_eq!(picture.data.len(), picture.width as usize * picture.height as usize * 3);
                decoded += 1;
            }
            Err(error) => {
                assert!(!error.kind.as_str().is_empty() && !error.message.is_empty());
                failed += 1;
            }
        }
    }
    // Enough get past the headers, and enough do not.
    assert!(decoded > 150 && failed > 150, "{decoded} decoded, {failed} failed");
}
