//! Recognition models for other scripts, in the ONNX form in which RapidAI publishes PaddleOCR's on ModelScope.
//!
//! Addresses and checksums are those that RapidOCR 3.9.2 downloads (`python/rapidocr/default_models.yaml` in
//! github.com/RapidAI/RapidOCR); none of the models could be downloaded where snapseek was written.

use super::network::LARGEST;
use crate::model::hub::pinned_file::PinnedFile;
use std::path::{Path, PathBuf};

/// The published files; SNAPSEEK_OCR_URL names another place that holds the same ones.
const PUBLISHED: &str = "https://www.modelscope.cn/models/RapidAI/RapidOCR/resolve/v3.9.2/onnx";

/// A recognition model of PaddleOCR; licence Apache-2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptModel {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it reads.
    pub reads: &'static str,
    /// Where it stands among the published files.
    path: &'static str,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: &'static str,
}

/// Licence of all of them, and of the models that are built in.
pub const LICENCE: &str = "Apache-2.0";

/// All of them.
pub const SCRIPT_MODELS: [ScriptModel; 4] = [
    ScriptModel {
        name: "ocr-latin",
        reads: "Latin script with accents: German, French, Polish, Turkish, Vietnamese and 40 more",
        path: "PP-OCRv5/rec/latin_PP-OCRv5_rec_mobile.onnx",
        sha256: "b20bd37c168a570f583afbc8cd7925603890efbcdc000a59e22c269d160b5f5a",
    },
    ScriptModel {
        name: "ocr-cyrillic",
        reads: "Cyrillic script",
        path: "PP-OCRv5/rec/cyrillic_PP-OCRv5_rec_mobile.onnx",
        sha256: "90f761b4bfcce0c8c561c0cb5c887b0971d3ec01c32164bdf7374a35b0982711",
    },
    ScriptModel {
        name: "ocr-greek",
        reads: "Greek",
        path: "PP-OCRv5/rec/el_PP-OCRv5_rec_mobile.onnx",
        sha256: "b4368bccd557123c702b7549fee6cd1e94b581337d1c9b65310f109131542b7f",
    },
    ScriptModel {
        name: "ocr-korean",
        reads: "Korean",
        path: "PP-OCRv5/rec/korean_PP-OCRv5_rec_mobile.onnx",
        sha256: "cd6e2ea50f6943ca7271eb8c56a877a5a90720b7047fe9c41a2e541a25773c9b",
    },
];

impl ScriptModel {
    /// The model with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SCRIPT_MODELS.iter().find(|model| model.name == name)
    }

    /// Its file below the cache folder, whether it is there or not.
    #[must_use]
    pub fn file(&self, cache: &Path) -> PathBuf {
        cache.join("ocr").join(Path::new(self.path).file_name().unwrap_or_default())
    }

    /// Downloads it. `progress` receives the bytes so far and in all, and stops the download by returning false.
    ///
    /// # Errors
    /// It was stopped, there is no network, the server falls silent, the disk has no room, or the file does not have its checksum.
    pub fn pull(&self, cache: &Path, progress: &mut dyn FnMut(u64, u64) -> bool) -> anyhow::Result<()> {
        let place = std::env::var("SNAPSEEK_OCR_URL").ok().filter(|place| !place.is_empty());
        let url = format!("{}/{}", place.as_deref().unwrap_or(PUBLISHED).trim_end_matches('/'), self.path);
        PinnedFile { url: &url, sha256: self.sha256, most: LARGEST }.fetch(&self.file(cache), progress)
    }

    /// Whether its file is what was published.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_undamaged(&self, cache: &Path) -> anyhow::Result<bool> {
        crate::model::hub::store::matches(&self.file(cache), self.sha256, &mut || true)
    }
}
