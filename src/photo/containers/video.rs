//! Videos: which kind one is, and the extract that takes its place: some of its frames, and what it says about itself.

use super::raw::ByteSource;

/// What an extract begins with.
const MAGIC: &[u8] = b"snapseek video extract 1\0";
/// Most frames of an extract.
const MOST: usize = 8;
/// Bytes at the beginning and at the end of a video, and of each piece between them, that tell it from others.
const END: u64 = 1 << 20;
const PIECE: u64 = 64 << 10;
/// How many pieces that are.
const PIECES: u64 = 30;

/// What [`crate::photo::read`] makes of a video.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::photo) struct VideoExtract<'a> {
    /// [`fingerprint`] of the file.
    pub(in crate::photo) fingerprint: [u8; 32],
    /// Lines of `name=value`, as ffmpeg writes metadata.
    pub(in crate::photo) about: &'a [u8],
    /// JPEGs, the one that stands for the video first.
    pub(in crate::photo) frames: Vec<&'a [u8]>,
}

/// Whether a file begins as an extract does.
pub(in crate::photo) fn is_extract(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

impl<'a> VideoExtract<'a> {
    pub(in crate::photo) fn to_bytes(&self) -> Vec<u8> {
        let parts = || [self.about].into_iter().chain(self.frames.iter().copied());
        let mut out = [MAGIC, &self.fingerprint].concat();
        out.extend((self.frames.len() as u64).to_le_bytes());
        parts().for_each(|part| out.extend((part.len() as u64).to_le_bytes()));
        parts().for_each(|part| out.extend(part));
        out
    }

    /// `None` if this is no extract, or a cut one.
    pub(in crate::photo) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (fingerprint, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok().filter(|count| *count <= MOST)?;
        let (lengths, mut rest) = rest.split_at_checked(8 * (count + 1))?;
        let mut parts = Vec::with_capacity(count + 1);
        for length in lengths.as_chunks().0 {
            let (part, after) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            parts.push(part);
            rest = after;
        }
        let about = parts.remove(0);
        Some(Self { fingerprint: *fingerprint, about, frames: parts })
    }
}

/// The name that ffmpeg has for the container of a video, by its first bytes. `None` for anything else, such as a list
/// of other files to read.
pub(in crate::photo) fn container(head: &[u8]) -> Option<&'static str> {
    match head {
        [_, _, _, _, b'f', b't', b'y', b'p', ..]
        | [_, _, _, _, b'm', b'o' | b'd', b'o' | b'a', b'v' | b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..]
        | [_, _, _, _, b'f', b'r', b'e', b'e', ..]
        | [_, _, _, _, b's', b'k', b'i', b'p', ..] => Some("mov"),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Some("matroska"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some("avi"),
        [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, ..] => Some("asf"),
        [b'F', b'L', b'V', 1, ..] => Some("flv"),
        [0, 0, 1, 0xBA, ..] => Some("mpeg"),
        [0, 0, 1, 0xB3, ..] => Some("mpegvideo"),
        // Packets of 188 bytes; cameras put four bytes before each.
        _ if [(0, 188), (4, 192)].iter().any(|(at, step)| (0..3).all(|n| head.get(at + n * step) == Some(&0x47))) => {
            Some("mpegts")
        }
        _ => None,
    }
}

/// BLAKE3 of a video's length and of pieces of it: reading all of a film would take as long as copying it.
pub(in crate::photo) fn fingerprint(source: &mut impl ByteSource) -> Option<[u8; 32]> {
    let size = source.size();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&size.to_le_bytes());
    if size <= 2 * END + PIECES * PIECE {
        hasher.update(&source.read_at(0, size)?);
    } else {
        let between = (size - 2 * END - PIECE) / PIECES;
        let pieces = (0..PIECES).map(|n| (END + n * between, PIECE));
        for (at, length) in [(0, END), (size - END, END)].into_iter().chain(pieces) {
            hasher.update(&source.read_at(at, length)?);
        }
    }
    Some(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extract_is_read_as_it_was_made_and_not_when_it_is_cut() {
        let extract = VideoExtract { fingerprint: [7; 32], about: b"a=b\n", frames: vec![b"one", b"", b"three"] };
        let bytes = extract.to_bytes();
        assert_eq!(VideoExtract::parse(&bytes), Some(extract));
        assert!((0..bytes.len()).all(|length| VideoExtract::parse(&bytes[..length]).is_none()));
        let mut many = bytes;
        many[MAGIC.len() + 32..][..8].fill(0xFF);
        assert_eq!(VideoExtract::parse(&many), None);
    }

    #[test]
    fn a_fingerprint_notices_other_ends_other_lengths_and_other_middles() {
        let film: Vec<u8> = (0..6_000_000_u32).map(|n| (n ^ n >> 8) as u8).collect();
        let of = |film: &[u8]| fingerprint(&mut &*film).unwrap();
        let mut seen = std::collections::HashSet::from([of(&film)]);
        for at in [0, film.len() - 1, 3 << 19] {
            let mut other = film.clone();
            other[at] ^= 1;
            seen.insert(of(&other));
        }
        seen.insert(of(&film[..film.len() - 1]));
        seen.insert(of(&film[..1_000]));
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn containers_are_told_by_their_first_bytes_and_lists_of_files_are_none() {
        let mut stream = vec![0; 600];
        (0..3).for_each(|n| stream[4 + n * 192] = 0x47);
        for (head, expected) in [
            (&b"\0\0\0\x18ftypmp42"[..], Some("mov")),
            (b"\0\0\0\x08wide", Some("mov")),
            (b"\0\0\0\x08moov", Some("mov")),
            (b"\x1A\x45\xDF\xA3", Some("matroska")),
            (b"RIFF\0\0\0\0AVI LIST", Some("avi")),
            (&stream, Some("mpegts")),
            (b"#EXTM3U\nhttp://example.org/", None),
            (b"ffconcat version 1.0\nfile '/etc/passwd'", None),
            (b"", None),
        ] {
            assert_eq!(container(head), expected, "{head:?}");
        }
    }
}
