//! Queries, and which photos a person says fit them: a file with a query in each line, and after it, each after a tab,
//! the files of the photos that fit.

use crate::exit::Failure;
use crate::terminal::sanitize;
use std::fs;
use std::path::{Path, PathBuf};

/// What people ask any library, for those who bring no queries.
const GENERAL: [&str; 8] = [
    "children playing",
    "a dog or a cat",
    "a sunset over water",
    "food on a table",
    "a street in a city at night",
    "flowers in a garden",
    "mountains with snow",
    "a group of people",
];

/// A query, and the photos that fit it, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedQuery {
    /// What is asked for.
    pub text: String,
    /// Files of photos that fit.
    pub fitting: Vec<PathBuf>,
}

/// General queries of which nothing is known to fit.
#[must_use]
pub fn general() -> Vec<JudgedQuery> {
    GENERAL.map(|text| JudgedQuery { text: text.to_owned(), fitting: Vec::new() }).to_vec()
}

/// Reads a file of queries. Lines that are empty or begin with `#` say nothing; relative paths begin at the file.
///
/// # Errors
/// The file cannot be read or holds no query (exit code 2).
pub fn read(file: &Path) -> anyhow::Result<Vec<JudgedQuery>> {
    let name = sanitize::path(file);
    let text = fs::read_to_string(file).map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let query = |line: &str| {
        let mut parts = line.split('\t').map(str::trim).filter(|part| !part.is_empty());
        let text = parts.next()?.to_owned();
        Some(JudgedQuery { text, fitting: parts.map(|path| folder.join(path)).collect() })
    };
    let queries: Vec<JudgedQuery> = text.lines().filter(|line| !line.starts_with('#')).filter_map(query).collect();
    if queries.is_empty() {
        return Err(Failure::usage(format!(
            "{name} holds no query: write one in each line, and after it, each after a tab, the files of photos that fit"
        )));
    }
    Ok(queries)
}

/// Writes queries in the form that [`read`] reads, in place of the file. Photos whose paths such a file cannot hold are
/// left out.
///
/// # Errors
/// The file cannot be written.
pub fn write(file: &Path, queries: &[JudgedQuery]) -> anyhow::Result<()> {
    let mut text = String::from("# query, and after tabs the files of photos that fit\n");
    for query in queries {
        text.push_str(&query.text);
        for path in query.fitting.iter().filter_map(|path| path.to_str()) {
            if !path.contains(['\t', '\n']) {
                text.push('\t');
                text.push_str(path);
            }
        }
        text.push('\n');
    }
    let name = sanitize::path(file);
    fs::write(file, text).map_err(|error| anyhow::anyhow!("{name} cannot be written: {error}"))
}

/// The error about a photo that fits a query but is not in the library.
pub(super) fn stranger(path: &Path) -> anyhow::Error {
    Failure::usage(format!("{} fits a query, but is not in the library", sanitize::path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("queries.txt");
        fs::write(&file, "# mine\n\n a dog \tdog.jpg\t/p/other dog.jpg\nsnow\n").unwrap();
        let queries = read(&file).unwrap();
        let paths = vec![dir.path().join("dog.jpg"), PathBuf::from("/p/other dog.jpg")];
        assert_eq!(queries[0], JudgedQuery { text: "a dog".into(), fitting: paths });
        assert_eq!(queries[1], JudgedQuery { text: "snow".into(), fitting: Vec::new() });
        write(&file, &queries).unwrap();
        assert_eq!(read(&file).unwrap(), queries);
        fs::write(&file, "# nothing\n").unwrap();
        assert!(read(&file).is_err() && read(&dir.path().join("none")).is_err());
    }
}
