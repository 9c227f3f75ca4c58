//! What all HTML pages have in common: one file, no scripts, nothing loaded from anywhere, foreign text escaped.

use super::{ReadSmall, unwritten};
use crate::exit::Failure;
use crate::terminal::text;
use base64::Engine as _;
use std::fmt::Write;
use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;

/// The beginning of a page. Only files with such a beginning are ever overwritten.
const BEGINNING: &str = "<!doctype html><!-- made by snapseek -->";
/// The same for an SVG picture.
const SVG_BEGINNING: &str = "<!-- made by snapseek -->";
/// The beginning of pages that earlier releases wrote.
const OLDER: &str = "<!doctype html><!-- a snapseek contact sheet -->";

/// Refuses to overwrite a file that snapseek did not write.
///
/// # Errors
/// The file exists and snapseek did not write it (exit code 2).
pub fn check(file: &Path) -> anyhow::Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let mut start = Vec::new();
    let read = File::open(file).and_then(|f| f.take(OLDER.len() as u64).read_to_end(&mut start));
    let ours = [BEGINNING, SVG_BEGINNING, OLDER].iter().any(|beginning| start.starts_with(beginning.as_bytes()));
    if read.is_err() || !ours {
        return Err(Failure::usage(format!(
            "{} already exists and was not written by snapseek: choose another name",
            crate::terminal::sanitize::path(file)
        )));
    }
    Ok(())
}

/// JPEG quality of the thumbnails.
const QUALITY: u8 = 82;

/// A page or picture that is being written; the file appears only with [`Page::finish`].
pub struct Page<'a> {
    file: &'a Path,
    draft: BufWriter<NamedTempFile>,
    end: &'static str,
}

impl<'a> Page<'a> {
    /// Begins the page `file` and writes it up to its heading; `style` is CSS in addition to that of all pages.
    ///
    /// # Errors
    /// `file` exists and snapseek did not write it (exit code 2), or its folder cannot be written.
    pub fn begin(file: &'a Path, title: &str, style: &str) -> anyhow::Result<Self> {
        let title = escape(title);
        let head = format!(
            "{BEGINNING}<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
             <title>{title}</title><style>body{{font:14px system-ui,sans-serif;margin:2em;background:#fafafa;color:#222}}\
             main{{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:1.2em}}figure{{margin:0}}\
             h1{{font-size:1.3em}}h2{{grid-column:1/-1;font-size:1.1em;margin:1em 0 0}}h2 small{{font-weight:normal}}\
             figure img{{width:100%;height:200px;object-fit:contain;background:#eee}}figcaption{{overflow-wrap:anywhere}}\
             small{{color:#777}}{style}@media(prefers-color-scheme:dark){{body{{background:#181818;color:#ddd}}\
             figure img{{background:#222}}}}</style><h1>{title}</h1>\n",
        );
        Self::new(file, &head, "</html>\n")
    }

    /// Begins the SVG picture `file`.
    ///
    /// # Errors
    /// As [`Page::begin`].
    pub fn svg(file: &'a Path) -> anyhow::Result<Self> {
        Self::new(file, SVG_BEGINNING, "\n")
    }

    fn new(file: &'a Path, beginning: &str, end: &'static str) -> anyhow::Result<Self> {
        check(file)?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let folder = crate::terminal::sanitize::path(folder);
            let file = crate::terminal::sanitize::path(file);
            return Err(Failure::usage(format!("{file} cannot be written: the folder {folder} does not exist")));
        }
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // minus the umask
        let draft = builder.tempfile_in(folder).map_err(|error| unwritten(file, error))?;
        let mut page = Self { file, draft: BufWriter::new(draft), end };
        page.push(beginning)?;
        Ok(page)
    }

    /// Adds a heading with small print after it.
    ///
    /// # Errors
    /// The disk is full.
    pub fn heading(&mut self, title: &str, small_print: &str) -> anyhow::Result<()> {
        self.push(&format!("<h2>{} <small>{}</small></h2>\n", escape(title), escape(small_print)))
    }

    /// Adds HTML or SVG markup.
    ///
    /// # Errors
    /// The disk is full.
    pub fn push(&mut self, markup: &str) -> anyhow::Result<()> {
        self.draft.write_all(markup.as_bytes()).map_err(|error| unwritten(self.file, error))
    }

    /// Completes the page and moves it to its final place.
    ///
    /// # Errors
    /// The disk is full.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.push(self.end)?;
        let draft = self.draft.into_inner().map_err(std::io::IntoInnerError::into_error);
        draft.and_then(|draft| Ok(draft.persist(self.file)?)).map(drop).map_err(|error| unwritten(self.file, error))
    }
}

/// Longest edge in pixels of a thumbnail on a page.
const THUMBNAIL: u32 = 320;

/// A photo as HTML: its thumbnail (JPEG), a caption if there is one, its name, and small print. All texts are escaped
/// here. If the photo cannot be read, the reason replaces the thumbnail.
#[must_use]
pub fn figure(path: &Path, small: &ReadSmall, caption: Option<&str>, small_print: &str) -> String {
    let name = escape(&text::display_path(path));
    let link = escape(&link(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())));
    let image = match thumbnail(path, THUMBNAIL, small) {
        Ok(jpeg) => format!("<a href='{link}'><img alt='{name}' src='data:image/jpeg;base64,{jpeg}'></a>"),
        Err(error) => format!("<p>{}</p>", escape(&format!("{error:#}"))),
    };
    let caption = caption.map_or(String::new(), |text| format!("{}<br>", escape(text)));
    let small_print = escape(small_print);
    format!("<figure>{image}<figcaption>{caption}{name}<br><small>{small_print}</small></figcaption></figure>\n")
}

/// The `file:` URL of a photo.
#[must_use]
pub fn link(path: &Path) -> String {
    let mut link = String::from("file://");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            link.push(byte.into());
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
    link
}

/// A small JPEG of a photo in base64, with its longest edge at most `edge` pixels.
///
/// # Errors
/// The photo cannot be read.
pub fn thumbnail(path: &Path, edge: u32, small: &ReadSmall) -> anyhow::Result<String> {
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small(path, edge)?)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(jpeg))
}

/// Escapes foreign text for HTML and SVG, including quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::terminal::sanitize::text(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(super::escape("<img src=x onerror='a'>&\""), "&lt;img src=x onerror=&#39;a&#39;&gt;&amp;&quot;");
    }
}
