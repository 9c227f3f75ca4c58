//! The texts of a PNG. Source: PNG specification (W3C), 11.3.3, the keywords that it registers.

use super::text::{DESCRIPTION, NAME, TITLE, decoded, kept};
use super::{FileMetadata, time};
use std::borrow::Cow;

/// What these texts, each after its keyword, say.
pub(super) fn read(texts: &[(&[u8], Cow<'_, [u8]>)]) -> FileMetadata {
    let text = |keyword: &str, most: usize| {
        let is_it = |(known, _): &&(&[u8], _)| known.eq_ignore_ascii_case(keyword.as_bytes());
        texts.iter().find(is_it).and_then(|(_, text)| kept(&decoded(text), most))
    };
    let moment = text("Creation Time", NAME);
    let taken = moment.as_deref().and_then(|text| time::iso(text).or_else(|| time::of_mail(text)));
    let is_whole = taken.as_ref().is_some_and(|taken| taken.len() > 10);
    FileMetadata {
        offset: moment.as_deref().filter(|_| is_whole).and_then(time::offset),
        taken,
        title: text("Title", TITLE),
        description: text("Description", DESCRIPTION),
        creator: text("Author", NAME),
        copyright: text("Copyright", NAME),
        ..FileMetadata::default()
    }
}
