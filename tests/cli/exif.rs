//! What a camera writes into a JPEG: its name and the time.

/// A JPEG with this text as its camera and this time (`2019:07:14 12:00:00`).
///
/// EXIF is a small TIFF file in a segment right after the start of the picture.
pub(crate) fn with_exif(jpeg: &[u8], camera: &[u8], taken: &[u8]) -> Vec<u8> {
    const ASCII: u16 = 2;
    const LONG: u16 = 4;
    let entry = |tag: u16, kind: u16, count: usize, value: usize| {
        let mut bytes = [tag.to_le_bytes(), kind.to_le_bytes()].concat();
        bytes.extend((count as u32).to_le_bytes());
        bytes.extend((value as u32).to_le_bytes());
        bytes
    };
    // Two directories, with two entries and with one, and after them their texts.
    let (first, second) = (8, 8 + 2 + 2 * 12 + 4);
    let texts = second + 2 + 12 + 4;
    let camera = [camera, &b"\0\0\0\0"[..]].concat();
    let taken = [taken, &b"\0\0\0\0"[..]].concat();
    let mut tiff = b"II*\0".to_vec();
    tiff.extend((first as u32).to_le_bytes());
    tiff.extend(2_u16.to_le_bytes());
    tiff.extend(entry(0x0110, ASCII, camera.len(), texts)); // Model
    tiff.extend(entry(0x8769, LONG, 1, second)); // where the second directory is
    tiff.extend([0; 4]);
    tiff.extend(1_u16.to_le_bytes());
    tiff.extend(entry(0x9003, ASCII, taken.len(), texts + camera.len())); // DateTimeOriginal
    tiff.extend([0; 4]);
    tiff.extend(&camera);
    tiff.extend(&taken);

    let (start, rest) = jpeg.split_at(2);
    let length = (2 + 6 + tiff.len()) as u16;
    [start, &[0xff, 0xe1], &length.to_be_bytes(), b"Exif\0\0", &tiff, rest].concat()
}
