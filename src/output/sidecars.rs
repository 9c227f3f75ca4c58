//! XMP files for other programs, with what a person wrote in the library: its tags, its rating and its caption. They are
//! written into a folder of their own, never beside photos. Sources: XMP Specification Part 1 (ISO 16684-1); Adobe's
//! names of properties.

use super::unwritten;
use crate::terminal::sanitize;
use html_escape::{encode_quoted_attribute, encode_text};
use snapseek_index::{Hit, Library};
use std::path::{Component, Path, PathBuf};

/// What became of the files of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SidecarCounts {
    /// Files that were written.
    pub written: usize,
    /// Files that had this content already.
    pub unchanged: usize,
}

/// Writes a file for each file of the library's photos that a person wrote something on: tags, a rating, a caption. Files
/// that differ are replaced only with `replace`; `problem` is told of each that is not written.
///
/// # Errors
/// The catalogue cannot be read, or the folder cannot be made.
pub fn of_library(
    library: &Library,
    folder: &Path,
    replace: bool,
    problem: &mut dyn FnMut(&Path, String),
) -> anyhow::Result<SidecarCounts> {
    let mut photos = Vec::new();
    for hit in library.searcher()?.photos(&library.written_on()?)? {
        let caption = library.caption(hit.id)?.filter(|caption| caption.captioner.is_none());
        photos.push((hit, caption.map(|caption| caption.text)));
    }
    write(&photos, folder, replace, problem)
}

/// Writes a file for each file of these photos, each with its caption by hand, if it has one. Files that differ are
/// replaced only with `replace`; `problem` is told of each that is not written.
///
/// # Errors
/// The folder cannot be made.
pub fn write(
    photos: &[(Hit, Option<String>)],
    folder: &Path,
    replace: bool,
    problem: &mut dyn FnMut(&Path, String),
) -> anyhow::Result<SidecarCounts> {
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
    let mut counts = SidecarCounts::default();
    for (photo, caption) in photos {
        let text = packet(photo, caption.as_deref());
        for path in &photo.paths {
            let file = place(folder, path);
            match put(&file, &text, replace) {
                Ok(true) => counts.written += 1,
                Ok(false) => counts.unchanged += 1,
                Err(error) => problem(&file, format!("{error:#}")),
            }
        }
    }
    Ok(counts)
}

/// Where the file for a photo is: below the folder as the photo is below the root, so that no two have one name, and
/// the whole could be laid over the photos.
#[must_use]
pub fn place(folder: &Path, photo: &Path) -> PathBuf {
    let mut file = folder.to_path_buf();
    for part in photo.components() {
        match part {
            Component::Normal(name) => file.push(name),
            // The letter of a drive.
            Component::Prefix(prefix) => {
                file.push(prefix.as_os_str().to_string_lossy().replace(|c: char| !c.is_alphanumeric(), ""))
            }
            Component::RootDir | Component::CurDir | Component::ParentDir => {}
        }
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".xmp");
    file.with_file_name(name)
}

/// Writes a file; `false` if it has this content already.
fn put(file: &Path, text: &str, replace: bool) -> anyhow::Result<bool> {
    match std::fs::symlink_metadata(file) {
        Err(_) => {}
        Ok(meta) if !meta.is_file() => anyhow::bail!("it exists and is no file"),
        Ok(_) if std::fs::read(file).is_ok_and(|known| known == text.as_bytes()) => return Ok(false),
        Ok(_) if !replace => anyhow::bail!("it exists with another content; --force replaces it"),
        Ok(_) => {}
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
    let failed = |error| unwritten(file, error);
    let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut draft, text.as_bytes()).map_err(failed)?;
    draft.persist(file).map_err(|error| failed(error.error))?;
    Ok(true)
}

/// What is known of a photo, as XMP: all its keywords, so that none is lost where a file beside a photo counts more than
/// what is in it.
fn packet(photo: &Hit, caption: Option<&str>) -> String {
    let said = &photo.facts.metadata;
    let mut inside = String::new();
    let mut list = |name: &str, kind: &str, items: &[String]| {
        if !items.is_empty() {
            inside.push_str(&format!("   <{name}><rdf:{kind}>\n{}   </rdf:{kind}></{name}>\n", items.concat()));
        }
    };
    let item = |text: &str| format!("    <rdf:li>{}</rdf:li>\n", encode_text(&allowed(text)));
    // Flat, a keyword of a hierarchy is its last level, as Lightroom writes it.
    let flat = |keyword: &String| item(keyword.rsplit('/').next().unwrap_or(keyword));
    let levels = said.keywords.iter().filter(|keyword| keyword.contains('/') && !keyword.contains('|'));
    list("dc:subject", "Bag", &said.keywords.iter().map(flat).collect::<Vec<_>>());
    list("lr:hierarchicalSubject", "Bag", &levels.map(|keyword| item(&keyword.replace('/', "|"))).collect::<Vec<_>>());
    if let Some(caption) = caption {
        let text = format!("    <rdf:li xml:lang=\"x-default\">{}</rdf:li>\n", encode_text(&allowed(caption)));
        list("dc:description", "Alt", &[text]);
    }
    let stars = photo.own_rating.or(said.rating);
    let rating =
        stars.map_or(String::new(), |stars| format!(" xmp:Rating=\"{}\"", encode_quoted_attribute(&stars.to_string())));
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>
<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"snapseek\">
 <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">
  <rdf:Description rdf:about=\"\"
    xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"
    xmlns:dc=\"http://purl.org/dc/elements/1.1/\"
    xmlns:lr=\"http://ns.adobe.com/lightroom/1.0/\"{rating}>
{inside}  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end=\"w\"?>
"
    )
}

/// A text without what XML cannot hold, not even escaped.
fn allowed(text: &str) -> String {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r') || c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{fffd}' }).collect()
}

/// How many files were written, for a person.
#[must_use]
pub fn told(counts: SidecarCounts, folder: &Path) -> String {
    let files = crate::terminal::text::count(counts.written, "file");
    let rest = if counts.unchanged > 0 { format!(", {} as they were", counts.unchanged) } else { String::new() };
    format!("wrote {files} to {}{rest}", sanitize::path(folder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::photo::sidecars;
    use snapseek_index::{Metadata, PhotoFacts};

    fn photo(paths: &[&str], keywords: &[&str], own_rating: Option<i8>) -> Hit {
        let keywords = keywords.iter().map(|keyword| (*keyword).to_owned()).collect();
        Hit {
            id: 1,
            picture: [0; 32],
            cosine: None,
            bm25: None,
            fused: 0.0,
            probability: None,
            all_words: false,
            paths: paths.iter().map(PathBuf::from).collect(),
            tags: Vec::new(),
            caption: None,
            text: None,
            facts: PhotoFacts {
                metadata: Metadata { keywords, rating: Some(2), ..Metadata::default() },
                ..PhotoFacts::default()
            },
            size: 0,
            changed_ns: 0,
            folded: 0,
            stack: Vec::new(),
            own_tags: Vec::new(),
            own_rating,
        }
    }

    #[test]
    fn our_own_reader_reads_what_was_written_whatever_its_signs() {
        let folder = tempfile::tempdir().unwrap();
        let keywords = ["<Places>/\"Lisbon\" & 'sea'", "a|b/c", "flat", "]]>"];
        let caption = "a <cat> & \"dog\" ]]>\u{1}\n&#0; \u{1f431}".to_owned();
        let photos = [(photo(&["/p/a/x.jpg", "/p/b/x.jpg"], &keywords, Some(-1)), Some(caption))];
        let mut problems = Vec::new();
        let mut put = |replace| {
            let mut problem = |file: &Path, why| problems.push((file.to_path_buf(), why));
            write(&photos, folder.path(), replace, &mut problem).unwrap()
        };
        assert_eq!(put(false), SidecarCounts { written: 2, unchanged: 0 }, "files of one name in two folders");
        assert_eq!(put(false), SidecarCounts { written: 0, unchanged: 2 });
        let file = folder.path().join("p/a/x.jpg.xmp");
        let said = sidecars::read(&file, Path::new("/p/a/x.jpg")).unwrap().metadata;
        assert_eq!(said.rating, Some(-1), "the own rating");
        assert_eq!(said.description.as_deref(), Some("a <cat> & \"dog\" ]]>\u{fffd}\n&#0; \u{1f431}"));
        for keyword in ["<Places>/\"Lisbon\" & 'sea'", "flat", "]]>"] {
            assert!(said.keywords.iter().any(|known| known == keyword), "{keyword}: {:?}", said.keywords);
        }
        std::fs::write(&file, "mine").unwrap();
        assert_eq!(put(false), SidecarCounts { written: 0, unchanged: 1 });
        assert_eq!(put(true), SidecarCounts { written: 1, unchanged: 1 });
        assert!(problems.len() == 1 && problems[0].1.contains("--force"), "{problems:?}");
    }
}
