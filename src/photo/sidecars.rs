//! Files beside a photo that say something about it: XMP, as darkroom programs write it, and the JSON of Google
//! Takeout.

use super::file;
use super::metadata::{self, MetadataSource, Statement};
use crate::panics::contained;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization;

/// Most bytes of such a file: of XMP, and of JSON, whose values take a hundred times as much memory.
const LONGEST: u64 = 16 << 20;
const LONGEST_JSON: u64 = 256 << 10;
/// Where Takeout cuts the names of its files, in characters, without their ending.
const TAKEOUT_CUT: std::ops::RangeInclusive<usize> = 45..=47;
/// What Takeout puts between the name of a photo and the ending.
const TAKEOUT: &str = ".supplemental-metadata";
/// What programs put behind the name of an edited copy, in the languages that we know.
const EDITED: [&str; 6] = ["-edited", "-bearbeitet", "-modifié", "-editado", "-modificato", "-bewerkt"];

/// The files of a folder that say something about photos in it.
#[derive(Debug, Default)]
pub struct SidecarFolder {
    /// By their names in lower case.
    xmp: HashMap<String, OsString>,
    json: HashMap<String, OsString>,
}

impl SidecarFolder {
    /// Looks into a folder; what cannot be read there has no such files.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let mut found = Self::default();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // A name that is no text is none of theirs.
            let Some(folded) = name.to_str().map(folded) else { continue };
            if let Some(stem) = folded.strip_suffix(".xmp") {
                found.xmp.insert(stem.to_owned(), name);
            } else if let Some(stem) = folded.strip_suffix(".json") {
                found.json.insert(stem.to_owned(), name);
            }
        }
        found
    }

    /// As [`SidecarFolder::of`], for the folder of a photo.
    #[must_use]
    pub fn around(photo: &Path) -> Self {
        Self::of(photo.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    /// The files beside a photo that are about it, those that count most first.
    #[must_use]
    pub fn beside(&self, photo: &Path) -> Vec<PathBuf> {
        let Some(name) = photo.file_name().and_then(|name| name.to_str()).map(folded) else {
            return Vec::new();
        };
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let xmp = [name.as_str(), stem].into_iter().filter_map(|stem| self.xmp.get(stem));
        let takeout = (!self.json.is_empty()).then(|| takeout_names(&name)).into_iter().flatten();
        let json = takeout.into_iter().find_map(|stem| self.json.get(&stem));
        xmp.chain(json).map(|found| photo.with_file_name(found)).collect()
    }
}

/// A name in lower case, with its accents in one form: archives of other systems have them in another one.
fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).collect()
}

/// The names, without the ending, that Takeout's file about a photo of this name may have.
fn takeout_names(photo: &str) -> Vec<String> {
    let (stem, ending) = photo.rsplit_once('.').unwrap_or((photo, ""));
    let dotted = |stem: &str| if ending.is_empty() { stem.to_owned() } else { format!("{stem}.{ending}") };
    let (bare, number) = without_number(stem);
    // As it is; the number of a duplicate behind everything; the original of an edited copy.
    let mut originals = vec![(stem, "")];
    originals.extend((!number.is_empty()).then_some((bare, number)));
    originals.extend(original(bare).map(|original| (original, number)));
    let mut names = Vec::new();
    for (stem, number) in originals {
        let full = dotted(stem);
        let extended: Vec<char> = format!("{full}{TAKEOUT}").chars().collect();
        let most = full.chars().count();
        names.push(format!("{full}{number}"));
        // Longer names first: they say more about which photo is meant.
        let cuts = (most + 1..=extended.len()).rev().chain(TAKEOUT_CUT.rev().filter(|cut| *cut < most));
        names.extend(cuts.map(|cut| extended[..cut.min(extended.len())].iter().collect::<String>() + number));
    }
    names
}

/// A name without the number of a duplicate, and that number: `IMG_3` and `(1)`.
fn without_number(stem: &str) -> (&str, &str) {
    let inside = stem.strip_suffix(')').and_then(|stem| stem.rsplit_once('('));
    match inside {
        Some((bare, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            stem.split_at(bare.len())
        }
        _ => (stem, ""),
    }
}

/// The name of the photo of which this is the name of an edited copy.
fn original(stem: &str) -> Option<&str> {
    EDITED.iter().find_map(|mark| stem.strip_suffix(mark))
}

/// Whether Takeout's title can be that of a photo. Long names are cut, so that those of two photos may become one.
fn is_title_of(title: &str, photo: &Path) -> bool {
    /// Shorter names are not cut.
    const WHOLE: usize = 40;
    let stem = folded(&photo.file_stem().unwrap_or_default().to_string_lossy());
    let beginning: String = stem.chars().take(WHOLE).collect();
    let is_cut = stem.chars().count() > WHOLE && title.chars().count() > WHOLE;
    let (bare, _) = without_number(&stem);
    let original = original(bare).unwrap_or(bare);
    !is_cut || folded(title).starts_with(if original.chars().count() > WHOLE { original } else { &beginning })
}

/// What a file beside this photo says about it; nothing if it cannot be read or says nothing about photos.
#[must_use]
pub fn read(path: &Path, photo: &Path) -> Option<Statement> {
    let mut bytes = Vec::new();
    let opened = file::open(path).ok()?;
    // A pipe has no end.
    if !opened.metadata().ok()?.is_file() {
        return None;
    }
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let most = if is_json { LONGEST_JSON } else { LONGEST };
    opened.take(most + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > most {
        return None;
    }
    contained(|| {
        if is_json {
            let (title, said) = metadata::read_takeout(&bytes)?;
            return is_title_of(&title, photo).then(|| Statement::new(MetadataSource::Takeout, said));
        }
        Some(Statement::new(MetadataSource::Sidecar, metadata::parse_xmp(&bytes)?.1))
    })
    .ok()
    .flatten()
}

/// What the name of a photo tells about it, and those of its folders from `root` on (if that is known).
#[must_use]
pub fn of_name(photo: &Path, root: Option<&Path>) -> Option<Statement> {
    let below = root.and_then(Path::parent).and_then(|above| photo.strip_prefix(above).ok());
    let taken = metadata::taken_by_name(below.unwrap_or(photo))?;
    let said = metadata::FileMetadata { taken: Some(taken), ..metadata::FileMetadata::default() };
    Some(Statement::new(MetadataSource::FileName, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(files: &[&str], photo: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|file| std::fs::write(folder.path().join(file), "").unwrap());
        let found = SidecarFolder::of(folder.path()).beside(&folder.path().join(photo));
        found.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn xmp_is_found_by_the_whole_name_and_by_the_stem() {
        let files = ["a.jpg.xmp", "A.XMP", "ab.xmp", "b.JPG.XMP", "notes.json"];
        assert_eq!(beside(&files, "a.jpg"), ["a.jpg.xmp", "A.XMP"]);
        assert_eq!(beside(&files, "a.nef"), ["A.XMP"]);
        assert_eq!(beside(&files, "B.jpg"), ["b.JPG.XMP"]);
        assert_eq!(beside(&files, "c.jpg"), [""; 0]);
    }

    #[test]
    fn what_is_cut_off_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, photo) = (folder.path().join("a.jpg.xmp"), folder.path().join("a.jpg"));
        let whole = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/">
            <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
            <rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>"#;
        std::fs::write(&file, whole).unwrap();
        assert_eq!(read(&file, &photo).and_then(|said| said.metadata.rating), Some(4));
        std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
        assert!(read(&file, &photo).is_none());
    }

    #[test]
    fn takeout_files_are_found_by_whole_cut_and_numbered_names() {
        let long = "a very long name of a photo that Google cuts somewhere.jpg";
        let cut = &long[..46];
        let middle = "a name so long that little else fits.jpg";
        let middle_cut = format!("{}.json", &format!("{middle}.supplemental-metadata")[..46]);
        for (file, photo) in [
            ("IMG_1.jpg.json", "IMG_1.jpg"),
            ("IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg"),
            ("IMG_1.jpg.supplemental-me.json", "IMG_1.jpg"),
            ("IMG_3.jpg(1).json", "IMG_3(1).jpg"),
            ("IMG_3.jpg.supplemental-metadata(1).json", "IMG_3(1).jpg"),
            ("IMG_3(1).jpg.json", "IMG_3(1).jpg"),
            ("IMG_4.jpg.json", "IMG_4-edited.jpg"),
            ("IMG_4.jpg(2).json", "IMG_4-bearbeitet(2).jpg"),
            (&format!("{cut}.json"), long),
            (&middle_cut, middle),
        ] {
            assert_eq!(beside(&["metadata.json", "other.jpg.json", file], photo), [file], "{photo}");
        }
        assert_eq!(beside(&["IMG_3.jpg.json"], "IMG_3(1).jpg"), [""; 0]);
        assert_eq!(beside(&["IMG_3.jpg.json"], "IMG_30.jpg"), [""; 0]);
    }

    #[test]
    fn what_is_too_long_or_no_file_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let read = |file: &Path| read(file, &path("a.jpg"));
        assert_eq!(read(&path("gone.xmp")), None);
        assert_eq!(read(folder.path()), None);
        std::fs::File::create(path("huge.xmp")).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path("huge.xmp")), None);
        std::fs::write(path("list.json"), "[1]").unwrap();
        assert_eq!(read(&path("list.json")), None);
    }
}
