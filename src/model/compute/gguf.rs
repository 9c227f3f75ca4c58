//! GGUF files, as far as snapseek needs them: tensors in the formats of [`Dtype`]. They are read from mapped bytes,
//! with every length checked, and written one tensor at a time, so that a model that does not fit into memory can be
//! quantized.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, version 3.

use super::matrix::Dtype;
use anyhow::Context;
use std::io::{self, Seek, Write};
use std::ops::Range;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;
/// The alignment of files that do not say theirs.
const DEFAULT_ALIGNMENT: u64 = 32;
/// The alignment of files that are written here: cache lines.
const ALIGNMENT: u64 = 64;
/// The limit for counts in a header: no model has more tensors, and a hostile file must not exhaust the memory.
const MOST: u64 = 1 << 20;
const ALIGNMENT_KEY: &str = "general.alignment";
const NUMBER: u32 = 4;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Tensor {
    pub(in crate::model) name: String,
    pub(in crate::model) dtype: Dtype,
    /// In PyTorch's order: the last dimension is the contiguous one (GGUF stores them in reverse).
    pub(in crate::model) shape: Vec<usize>,
    /// Where it is in the file.
    pub(in crate::model) bytes: Range<usize>,
}

/// ggml's numbers for the formats.
const FORMATS: [(u32, Dtype); 7] = [
    (0, Dtype::F32),
    (1, Dtype::F16),
    (3, Dtype::Q4_1),
    (8, Dtype::Q8_0),
    (12, Dtype::Q4K),
    (28, Dtype::F64),
    (30, Dtype::Bf16),
];

/// The tensors of a whole file.
///
/// # Errors
/// The file is not GGUF version 3, contains a format that snapseek does not read, or is too short for its tensors.
pub(in crate::model) fn read(file: &[u8]) -> anyhow::Result<Vec<Tensor>> {
    let mut rest = GgufReader(file);
    anyhow::ensure!(rest.take(4)? == MAGIC, "it is not a GGUF file");
    let version = rest.u32()?;
    anyhow::ensure!(version == VERSION, "it is GGUF version {version}, not {VERSION}");
    let (tensors, facts) = (rest.u64()?, rest.u64()?);
    anyhow::ensure!(
        tensors <= MOST && facts <= MOST,
        "it claims to have {tensors} tensors and {facts} metadata entries"
    );
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..facts {
        let key = rest.text()?;
        let kind = rest.u32()?;
        let value = rest.value(kind)?;
        if key == ALIGNMENT_KEY.as_bytes() {
            alignment = value.context("the alignment is not a number")?;
        }
    }
    anyhow::ensure!(
        alignment.is_power_of_two() && alignment <= 1 << 20,
        "an alignment of {alignment} bytes is not valid"
    );
    let mut found = Vec::new();
    for _ in 0..tensors {
        let name = String::from_utf8(rest.text()?.to_vec()).context("the name of a tensor is not UTF-8")?;
        let dimensions = rest.u32()?;
        // Of ggml's at most four; of ours five, where a kernel goes over frames.
        anyhow::ensure!((1..=5).contains(&dimensions), "{name} has {dimensions} dimensions");
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(usize::try_from(rest.u64()?)?);
        }
        shape.reverse();
        let format = rest.u32()?;
        let dtype = FORMATS.iter().find(|(number, _)| *number == format).map(|(_, dtype)| *dtype);
        let dtype = dtype.with_context(|| format!("{name} has the format {format}, which snapseek does not read"))?;
        let count = shape.iter().try_fold(1_usize, |product, n| product.checked_mul(*n));
        let bytes =
            count.and_then(|count| dtype.bytes(count)).with_context(|| format!("the size of {name} is not valid"))?;
        let start = usize::try_from(rest.u64()?)?;
        let end = start.checked_add(bytes).with_context(|| format!("the size of {name} is not valid"))?;
        found.push(Tensor { name, dtype, shape, bytes: start..end });
    }
    let head = (file.len() - rest.0.len()).next_multiple_of(usize::try_from(alignment)?);
    for tensor in &mut found {
        let place = tensor.bytes.start.checked_add(head).zip(tensor.bytes.end.checked_add(head));
        let (start, end) = place.filter(|(_, end)| *end <= file.len()).context("it ends too early")?;
        tensor.bytes = start..end;
    }
    Ok(found)
}

/// The bytes that are left to read.
struct GgufReader<'a>(&'a [u8]);

impl<'a> GgufReader<'a> {
    fn take(&mut self, n: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n).context("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> anyhow::Result<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn u64(&mut self) -> anyhow::Result<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into()?))
    }

    fn text(&mut self) -> anyhow::Result<&'a [u8]> {
        let length = usize::try_from(self.u64()?)?;
        self.take(length)
    }

    /// Skips a value; returns it if it has a fixed size.
    fn value(&mut self, kind: u32) -> anyhow::Result<Option<u64>> {
        match kind {
            TEXT => self.text().map(|_| None),
            ARRAY => {
                let (kind, count) = (self.u32()?, self.u64()?);
                // Arrays of arrays do not occur in models, and a hostile file could nest them without end.
                anyhow::ensure!(kind != ARRAY, "it contains an array of arrays");
                if kind == TEXT {
                    for _ in 0..count {
                        self.text()?;
                    }
                } else {
                    let bytes = usize::try_from(count)?.checked_mul(size(kind)?).context("an array is too large")?;
                    self.take(bytes)?;
                }
                Ok(None)
            }
            _ => {
                let bytes = self.take(size(kind)?)?;
                let mut number = [0; 8];
                number[..bytes.len()].copy_from_slice(bytes);
                Ok(Some(u64::from_le_bytes(number)))
            }
        }
    }
}

/// The size in bytes of a value of this type.
fn size(kind: u32) -> anyhow::Result<usize> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        other => anyhow::bail!("it contains a value of the unknown type {other}"),
    }
}

/// Writes a file whose tensors are announced first and then added one by one, in that order.
pub(in crate::model) struct GgufWriter<W> {
    out: W,
    announced: std::vec::IntoIter<(u64, u64)>,
    data_start: u64,
}

impl<W: Write + Seek> GgufWriter<W> {
    /// Writes the header: metadata about the model, and the name, format and shape of each tensor.
    ///
    /// # Errors
    /// The file cannot be written, or a shape does not fill whole blocks of its format.
    pub(in crate::model) fn new(
        mut out: W,
        facts: &[(&str, String)],
        tensors: &[(String, Dtype, Vec<usize>)],
    ) -> anyhow::Result<Self> {
        let mut head = Vec::new();
        head.extend_from_slice(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend((tensors.len() as u64).to_le_bytes());
        head.extend((facts.len() as u64 + 1).to_le_bytes());
        let text = |head: &mut Vec<u8>, text: &str| {
            head.extend((text.len() as u64).to_le_bytes());
            head.extend(text.as_bytes());
        };
        for (key, value) in facts {
            text(&mut head, key);
            head.extend(TEXT.to_le_bytes());
            text(&mut head, value);
        }
        text(&mut head, ALIGNMENT_KEY);
        head.extend(NUMBER.to_le_bytes());
        head.extend((ALIGNMENT as u32).to_le_bytes());
        let (mut announced, mut offset) = (Vec::new(), 0_u64);
        for (name, dtype, shape) in tensors {
            text(&mut head, name);
            head.extend(u32::try_from(shape.len())?.to_le_bytes());
            for n in shape.iter().rev() {
                head.extend((*n as u64).to_le_bytes());
            }
            let number = FORMATS.iter().find(|(_, d)| d == dtype).map(|(number, _)| *number);
            head.extend(number.context("this format has no number in ggml")?.to_le_bytes());
            head.extend(offset.to_le_bytes());
            let bytes = dtype
                .bytes(shape.iter().product())
                .with_context(|| format!("the shape of {name} does not fill whole blocks"))?
                as u64;
            announced.push((offset, bytes));
            offset = (offset + bytes).next_multiple_of(ALIGNMENT);
        }
        let data_start = (head.len() as u64).next_multiple_of(ALIGNMENT);
        head.resize(usize::try_from(data_start)?, 0);
        out.write_all(&head)?;
        Ok(Self { out, announced: announced.into_iter(), data_start })
    }

    /// Adds the next tensor.
    ///
    /// # Errors
    /// The file cannot be written, or no tensor of this size was announced next.
    pub(in crate::model) fn add(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let (offset, length) = self.announced.next().context("more tensors than were announced")?;
        anyhow::ensure!(length == bytes.len() as u64, "{} bytes for a tensor of {length} bytes", bytes.len());
        self.pad(offset)?;
        Ok(self.out.write_all(bytes)?)
    }

    /// Finishes the file and returns it.
    ///
    /// # Errors
    /// The file cannot be written, or tensors are missing.
    pub(in crate::model) fn finish(mut self) -> anyhow::Result<W> {
        anyhow::ensure!(self.announced.len() == 0, "{} tensors are missing", self.announced.len());
        self.out.flush()?;
        Ok(self.out)
    }

    fn pad(&mut self, offset: u64) -> io::Result<()> {
        let missing = (self.data_start + offset).saturating_sub(self.out.stream_position()?);
        self.out.write_all(&vec![0; missing as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use candle_core::quantized::gguf_file::Content;
    use std::io::Cursor;

    fn sample() -> Vec<u8> {
        let tensors = [
            ("a.weight".to_owned(), Dtype::Q8_0, vec![3, 64]),
            ("b".to_owned(), Dtype::F32, vec![5]),
            ("c".to_owned(), Dtype::Q4K, vec![1, 256]),
            ("d".to_owned(), Dtype::F16, vec![2, 1, 3]),
        ];
        let facts = [("general.architecture", "blip2".to_owned())];
        let mut writer = GgufWriter::new(Cursor::new(Vec::new()), &facts, &tensors).unwrap();
        for (_, dtype, shape) in &tensors {
            let bytes = dtype.bytes(shape.iter().product()).unwrap();
            writer.add(&(0..bytes).map(|i| (i % 50) as u8).collect::<Vec<u8>>()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn what_was_written_is_read_by_us_and_by_candle() {
        let file = sample();
        let tensors = read(&file).unwrap();
        let shapes: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.shape.clone())).collect();
        assert_eq!(shapes, [("a.weight", vec![3, 64]), ("b", vec![5]), ("c", vec![1, 256]), ("d", vec![2, 1, 3])]);
        let mut cursor = Cursor::new(&file);
        let content = Content::read(&mut cursor).unwrap();
        for tensor in tensors {
            let theirs = content.tensor(&mut cursor, &tensor.name, &Device::Cpu).unwrap();
            assert_eq!(theirs.shape().dims(), tensor.shape);
            assert_eq!(theirs.data().unwrap(), &file[tensor.bytes.clone()], "{}", tensor.name);
            assert_eq!(tensor.bytes.start % ALIGNMENT as usize, 0);
        }
    }

    #[test]
    fn every_cut_and_many_changes_are_survived() {
        let file = sample();
        for end in 0..file.len() {
            assert!(read(&file[..end]).is_err(), "cut at {end}");
        }
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                for tensor in read(&damaged).into_iter().flatten() {
                    assert!(tensor.bytes.end <= damaged.len());
                }
            }
        }
    }

    #[test]
    fn what_was_not_announced_is_not_written() {
        let tensors = [("b".to_owned(), Dtype::F32, vec![2])];
        let new = || GgufWriter::new(Cursor::new(Vec::new()), &[], &tensors).unwrap();
        assert!(new().finish().is_err());
        assert!(new().add(&[0; 4]).is_err());
        let mut writer = new();
        writer.add(&[0; 8]).unwrap();
        assert!(writer.add(&[0; 8]).is_err());
        assert!(GgufWriter::new(Cursor::new(Vec::new()), &[], &[("c".into(), Dtype::Q4K, vec![1, 32])]).is_err());
    }
}
