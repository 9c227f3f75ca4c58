//! Weights in safetensors and GGUF files, mapped into memory and checked against the shapes that the configuration
//! expects.

use super::gguf;
use super::matrix::{Dtype, Matrix, PackedMatrix};
use anyhow::Context;
use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Mapped weight files. Clones share the mappings.
#[derive(Clone)]
pub(in crate::model) struct Weights {
    files: Vec<Arc<Mmap>>,
    paths: Arc<[PathBuf]>,
    places: Arc<HashMap<String, TensorPlace>>,
    /// Tensors of types that are not read: their file, and the type.
    unread: Arc<HashMap<String, (usize, safetensors::Dtype)>>,
    device: Device,
}

/// Where a tensor is, its type and its shape.
#[derive(Clone, Debug)]
pub(in crate::model) struct TensorPlace {
    file: usize,
    pub(in crate::model) dtype: Dtype,
    /// In PyTorch's order: the last dimension is the contiguous one.
    pub(in crate::model) shape: Vec<usize>,
    bytes: Range<usize>,
}

impl TensorPlace {
    /// Its size in the file, in bytes.
    pub(in crate::model) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl Weights {
    /// Maps the safetensors files of a checkpoint as one. Their headers are validated: offsets that overlap or do not
    /// cover the file exactly are refused.
    pub(in crate::model) fn map_shards(paths: &[impl AsRef<Path>], device: &Device) -> anyhow::Result<Self> {
        let (mut files, mut places, mut unread) = (Vec::new(), HashMap::new(), HashMap::new());
        for path in paths {
            let path = path.as_ref();
            let file = map_file(path)?;
            let problem = || {
                format!("{} is not a complete safetensors file; delete it and download the model again", path.display())
            };
            let (header, metadata) = SafeTensors::read_metadata(&file).with_context(problem)?;
            for (name, tensor) in metadata.tensors() {
                let (start, end) = tensor.data_offsets;
                let Some(dtype) = Dtype::of_safetensors(tensor.dtype) else {
                    unread.insert(name, (files.len(), tensor.dtype));
                    continue;
                };
                let bytes = header + 8 + start..header + 8 + end;
                places.insert(name, TensorPlace { file: files.len(), dtype, shape: tensor.shape.clone(), bytes });
            }
            files.push(file);
        }
        let paths = paths.iter().map(|path| path.as_ref().to_path_buf()).collect();
        Ok(Self { files, paths, places: Arc::new(places), unread: Arc::new(unread), device: device.clone() })
    }

    /// Maps a GGUF file.
    pub(in crate::model) fn map_gguf(path: &Path) -> anyhow::Result<Self> {
        Self::of_gguf(map_file(path)?, path).with_context(|| {
            format!("{} is damaged; delete it and run `snapseek models quantize` again", path.display())
        })
    }

    /// Maps a GGUF file of the cache that ends with its checksum, as [`seal`] adds it.
    pub(in crate::model) fn map_sealed_gguf(path: &Path) -> anyhow::Result<Self> {
        let file = map_file(path)?;
        let sound = file.split_last_chunk().is_some_and(|(bytes, seal)| checksum(bytes) == *seal);
        anyhow::ensure!(sound, "{} is damaged", path.display());
        Self::of_gguf(file, path)
    }

    /// The same in memory, where there is no place for a file.
    pub(in crate::model) fn of_sealed_gguf(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut memory = memmap2::MmapMut::map_anon(bytes.len())?;
        memory.copy_from_slice(bytes);
        Self::of_gguf(Arc::new(memory.make_read_only()?), Path::new("memory"))
    }

    fn of_gguf(file: Arc<Mmap>, path: &Path) -> anyhow::Result<Self> {
        let tensors = gguf::read(&file)?;
        let place = |t: gguf::Tensor| (t.name, TensorPlace { file: 0, dtype: t.dtype, shape: t.shape, bytes: t.bytes });
        let places = tensors.into_iter().map(place).collect();
        Ok(Self {
            files: vec![file],
            paths: [path.to_path_buf()].into(),
            places: Arc::new(places),
            unread: Arc::default(),
            device: Device::Cpu,
        })
    }

    /// The files, for messages.
    pub(in crate::model) fn name(&self) -> String {
        match self.paths.as_ref() {
            [] => String::new(),
            [path] => path.display().to_string(),
            [first, others @ ..] => format!("{} (with {} more shards)", first.display(), others.len()),
        }
    }

    /// An error about weights that were read, but cannot be those of a model, and what helps.
    pub(in crate::model) fn damaged(&self, what: &str) -> anyhow::Error {
        let gguf = self.paths.iter().any(|path| path.extension().is_some_and(|ending| ending == "gguf"));
        let way = if gguf { "run `snapseek models quantize` again" } else { "download the model again" };
        anyhow::anyhow!("{} is damaged: {what}; delete it and {way}", self.name())
    }

    /// Where tensors are loaded to.
    pub(in crate::model) fn device(&self) -> &Device {
        &self.device
    }

    /// The total size of all mapped files in bytes.
    pub(in crate::model) fn len(&self) -> u64 {
        self.files.iter().map(|file| file.len() as u64).sum()
    }

    /// The tensor `name` as f32 on the device.
    pub(in crate::model) fn tensor(&self, name: &str, shape: &[usize]) -> anyhow::Result<Tensor> {
        let (place, bytes) = self.find(name, shape)?;
        let tensor = Tensor::from_raw_buffer(bytes, self.candle_dtype(name, place)?, shape, &self.device)?;
        Ok(tensor.to_dtype(DType::F32)?)
    }

    /// Some rows of the matrix `name`, without reading the others: an embedding lookup.
    pub(in crate::model) fn rows(&self, name: &str, shape: [usize; 2], rows: &[u32]) -> anyhow::Result<Tensor> {
        let (place, all) = self.find(name, &shape)?;
        let dtype = self.candle_dtype(name, place)?;
        let row_bytes = shape[1] * dtype.size_in_bytes();
        let mut bytes = Vec::with_capacity(rows.len() * row_bytes);
        for &row in rows {
            let start = row as usize * row_bytes;
            let row = all.get(start..start + row_bytes);
            let missing = || format!("{}: the weight {name} has no row for a token of this text", self.file(place));
            bytes.extend_from_slice(row.with_context(missing)?);
        }
        Ok(Tensor::from_raw_buffer(&bytes, dtype, &[rows.len(), shape[1]], &self.device)?.to_dtype(DType::F32)?)
    }

    /// The matrix `name`, left in its mapped file. `shape` may have more than two dimensions: all but the first form a
    /// row.
    pub(in crate::model) fn matrix(&self, name: &str, shape: &[usize]) -> anyhow::Result<Matrix> {
        let (place, _) = self.find(name, shape)?;
        let columns = shape[1..].iter().product();
        let file: Arc<Mmap> = Arc::clone(&self.files[place.file]);
        Matrix::new(file, place.bytes.clone(), place.dtype, shape[0], columns)
            .with_context(|| format!("{}: the weight {name}", self.file(place)))
    }

    /// The matrix `name` in panels, left in its mapped file, where its bytes are numbers of type F32.
    pub(in crate::model) fn panels(&self, name: &str, rows: usize, columns: usize) -> anyhow::Result<PackedMatrix> {
        let place = self.places.get(name).ok_or_else(|| self.missing(name))?;
        let file: Arc<Mmap> = Arc::clone(&self.files[place.file]);
        PackedMatrix::new(file, place.bytes.clone(), rows, columns)
            .with_context(|| format!("{}: the weight {name}", self.file(place)))
    }

    /// A copy of the tensor `name`, as f32.
    pub(in crate::model) fn vector(&self, name: &str, shape: &[usize]) -> anyhow::Result<Vec<f32>> {
        let (place, bytes) = self.find(name, shape)?;
        let mut out = vec![0.0; shape.iter().product()];
        place.dtype.widen(bytes, &mut out);
        Ok(out)
    }

    /// The bytes of the tensor `name`, as they are in its file.
    pub(in crate::model) fn bytes(&self, name: &str) -> anyhow::Result<&[u8]> {
        let place = self.places.get(name).ok_or_else(|| self.missing(name))?;
        Ok(self.find(name, &place.shape)?.1)
    }

    /// Whether the files contain a tensor with this name.
    pub(in crate::model) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The names of all tensors, sorted.
    pub(in crate::model) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.places.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The place of the tensor `name`, if the files contain it.
    pub(in crate::model) fn place(&self, name: &str) -> Option<&TensorPlace> {
        self.places.get(name)
    }

    fn find(&self, name: &str, shape: &[usize]) -> anyhow::Result<(&TensorPlace, &[u8])> {
        let place = self.places.get(name).ok_or_else(|| self.missing(name))?;
        anyhow::ensure!(
            place.shape == shape,
            "{}: the weight {name} has the shape {:?}, but the configuration says {shape:?}",
            self.file(place),
            place.shape
        );
        let bytes = self.files[place.file].get(place.bytes.clone());
        Ok((place, bytes.with_context(|| format!("{}: the weight {name} is outside the file", self.file(place)))?))
    }

    fn file(&self, place: &TensorPlace) -> std::path::Display<'_> {
        self.paths[place.file].display()
    }

    fn missing(&self, name: &str) -> anyhow::Error {
        match self.unread.get(name) {
            Some((file, dtype)) => anyhow::anyhow!(
                "{}: the weight {name} has the type {dtype:?}; F64, F32, F16 and BF16 are supported",
                self.paths[*file].display()
            ),
            None => anyhow::anyhow!("{}: the weight {name} is missing", self.name()),
        }
    }

    fn candle_dtype(&self, name: &str, place: &TensorPlace) -> anyhow::Result<DType> {
        match place.dtype {
            Dtype::F64 => Ok(DType::F64),
            Dtype::F32 => Ok(DType::F32),
            Dtype::F16 => Ok(DType::F16),
            Dtype::Bf16 => Ok(DType::BF16),
            Dtype::Q8_0 | Dtype::Q4_1 | Dtype::Q4K => {
                anyhow::bail!("{}: the weight {name} is quantized", self.file(place))
            }
        }
    }
}

/// Adds its checksum to a GGUF file.
pub(in crate::model) fn seal(gguf: &mut Vec<u8>) {
    gguf.extend(checksum(gguf));
}

fn checksum(bytes: &[u8]) -> [u8; 16] {
    xxhash_rust::xxh3::xxh3_128(bytes).to_le_bytes()
}

#[allow(unsafe_code)]
fn map_file(path: &Path) -> anyhow::Result<Arc<Mmap>> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    // SAFETY: a mapping is sound as long as nobody truncates the file while it is mapped. Model files are in a cache
    // that replaces them only by renaming, which leaves the mapped file unchanged.
    let map = unsafe { Mmap::map(&file) }.with_context(|| format!("{} cannot be mapped", path.display()))?;
    Ok(Arc::new(map))
}
