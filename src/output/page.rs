//! What our HTML pages have in common: one file, no script, nothing loaded from anywhere, foreign text escaped.

use super::table;
use crate::failure::Failure;
use crate::photo::{self, DecodeLimits};
use anyhow::Context;
use base64::Engine;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How a page begins: only such a file is ever overwritten.
const BEGINNING: &str = "<!doctype html><!-- made by snapseek -->";
/// The same for a picture.
const SVG_BEGINNING: &str = "<!-- made by snapseek -->";
/// As they began in earlier releases.
const OLDER: &str = "<!doctype html><!-- a snapseek contact sheet -->";

/// Refuses to overwrite a file that is no page of ours; `flag` named it.
///
/// # Errors
/// It is there, and is none.
pub fn check(file: &Path, flag: &str) -> anyhow::Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let mut start = Vec::new();
    let read = File::open(file).and_then(|f| f.take(OLDER.len() as u64).read_to_end(&mut start));
    let ours = [BEGINNING, SVG_BEGINNING, OLDER].iter().any(|beginning| start.starts_with(beginning.as_bytes()));
    if read.is_err() || !ours {
        return Err(Failure::usage(format!(
            "{} is there already and was not made by snapseek: choose another name for {flag}",
            crate::sanitize::path(file)
        )));
    }
    Ok(())
}

/// The start of a page, up to its heading; `style` is CSS besides that of all pages.
#[must_use]
pub fn head(title: &str, style: &str) -> String {
    let title = escape(title);
    format!(
        "{BEGINNING}<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>body{{font:14px system-ui,sans-serif;margin:2em;background:#fafafa;color:#222}}\
         main,.grid{{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:1.2em}}figure{{margin:0}}\
         h1{{font-size:1.3em}}h2{{font-size:1.1em;margin-top:2em}}\
         figure img{{width:100%;height:200px;object-fit:contain;background:#eee}}figcaption{{overflow-wrap:anywhere}}\
         small{{color:#777}}{style}@media(prefers-color-scheme:dark){{body{{background:#181818;color:#ddd}}\
         figure img{{background:#222}}}}</style><h1>{title}</h1>\n",
    )
}

/// The start of a picture.
#[must_use]
pub fn svg_head() -> &'static str {
    SVG_BEGINNING
}

/// Writes a page or picture.
///
/// # Errors
/// The file cannot be written.
pub fn write(file: &Path, page: &str) -> anyhow::Result<()> {
    std::fs::write(file, page).with_context(|| format!("{} cannot be written", crate::sanitize::path(file)))
}

/// A photo with what is said about it (`said` is HTML); in place of a photo that cannot be read stands why.
#[must_use]
pub fn figure(path: &Path, said: &str) -> String {
    let name = escape(&table::display_path(path));
    let image = match thumbnail(path, THUMBNAIL) {
        Ok(jpeg) => {
            format!("<a href='{}'><img alt='{name}' src='data:image/jpeg;base64,{jpeg}'></a>", escape(&link(path)))
        }
        Err(error) => format!("<p>{}</p>", escape(&format!("{error:#}"))),
    };
    format!("<figure>{image}<figcaption>{said}</figcaption></figure>\n")
}

/// Longest edge of a thumbnail in pixels.
const THUMBNAIL: u32 = 320;

/// The photo's address for a browser.
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
pub fn thumbnail(path: &Path, edge: u32) -> anyhow::Result<String> {
    let picture = small(path, edge)?;
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 82).encode_image(&picture)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(jpeg))
}

/// The picture, upright, with its longest edge at most `edge` pixels.
pub(super) fn small(path: &Path, edge: u32) -> anyhow::Result<image::RgbImage> {
    let limits = DecodeLimits::default();
    let picture = photo::decode(&photo::read(path, &limits)?, Some(edge), &limits)?.picture;
    let full =
        image::RgbImage::from_raw(picture.width, picture.height, picture.data).context("a picture of a wrong size")?;
    let scale = f64::from(edge) / f64::from(full.width().max(full.height()));
    if scale >= 1.0 {
        return Ok(full);
    }
    let side = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
    Ok(image::imageops::thumbnail(&full, side(full.width()), side(full.height())))
}

/// Foreign text for HTML and SVG, in quotes as well.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::sanitize::text(text).chars() {
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
