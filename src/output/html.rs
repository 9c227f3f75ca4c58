//! A contact sheet in one file: thumbnails inside, no script, nothing loaded from anywhere.

use super::{Row, table};
use crate::failure::Failure;
use crate::photo::{self, DecodeLimits};
use anyhow::Context;
use base64::Engine;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest edge of a thumbnail in pixels.
const THUMBNAIL: u32 = 320;

/// How a sheet begins: only such a file is ever overwritten.
const BEGINNING: &str = "<!doctype html><!-- a snapseek contact sheet -->";

pub(super) fn write(rows: &[Row], title: &str, file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        let mut start = Vec::new();
        let read = File::open(file).and_then(|f| f.take(BEGINNING.len() as u64).read_to_end(&mut start));
        if read.is_err() || start != BEGINNING.as_bytes() {
            return Err(Failure::usage(format!(
                "{} is there already and is no contact sheet: choose another name for --html",
                crate::sanitize::path(file)
            )));
        }
    }
    let title = escape(title);
    let mut page = format!(
        "{BEGINNING}<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>body{{font:14px system-ui,sans-serif;margin:2em;background:#fafafa;color:#222}}\
         main{{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:1.2em}}figure{{margin:0}}h1{{font-size:1.3em}}\
         img{{width:100%;height:200px;object-fit:contain;background:#eee}}figcaption{{overflow-wrap:anywhere}}\
         small{{color:#777}}@media(prefers-color-scheme:dark){{body{{background:#181818;color:#ddd}}img{{background:#222}}}}\
         </style><h1>{title}</h1><main>\n",
    );
    for row in rows {
        let name = escape(&table::display_path(row.path()));
        let link = escape(&link(row.path()));
        let image = match thumbnail(row.path()) {
            Ok(jpeg) => format!("<a href='{link}'><img alt='{name}' src='data:image/jpeg;base64,{jpeg}'></a>"),
            Err(error) => format!("<p>{}</p>", escape(&format!("{error:#}"))),
        };
        let score = row.hit.cosine.map_or(String::new(), |c| format!("cosine {c:.3} · "));
        let tags = row.hit.tags.iter().map(|t| t.label.as_str()).collect::<Vec<_>>().join(", ");
        let caption = row.hit.caption.as_deref().map_or(String::new(), |text| format!("{}<br>", escape(text)));
        writeln!(
            page,
            "<figure>{image}<figcaption>{caption}{name}<br><small>{score}{}</small></figcaption></figure>",
            escape(&tags)
        )?;
    }
    page.push_str("</main></html>\n");
    std::fs::write(file, page).with_context(|| format!("{} cannot be written", crate::sanitize::path(file)))
}

/// The photo's address for a browser.
fn link(path: &Path) -> String {
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

fn thumbnail(path: &Path) -> anyhow::Result<String> {
    let picture = small(path, THUMBNAIL)?;
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

fn escape(text: &str) -> String {
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
