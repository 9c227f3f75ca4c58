//! The values of filters.

use crate::search::filters::Filter;

/// The names of all filters.
pub(super) const NAMES: [&str; 12] =
    ["path", "tag", "label", "caption", "has", "cluster", "ext", "camera", "taken", "wider", "taller", "size"];

/// Why a filter is refused.
pub(super) enum Problem {
    /// There is no filter of this name.
    Name,
    /// Its value is wrong.
    Value(String),
}

/// The filter of this name (in lower case) with this value.
pub(super) fn filter(name: &str, value: &str) -> Result<Filter, Problem> {
    let wrong = |message: &str| Problem::Value(message.to_owned());
    if !NAMES.contains(&name) {
        return Err(Problem::Name);
    }
    if value.trim().is_empty() {
        return Err(Problem::Value(format!("{name}: needs a value right after it")));
    }
    match name {
        "path" => Ok(Filter::Path(value.to_owned())),
        "cluster" => Ok(Filter::Cluster(value.to_owned())),
        "label" => label(value),
        "camera" => Ok(Filter::Camera(value.to_owned())),
        "tag" if value.chars().any(char::is_alphanumeric) => Ok(Filter::Tag(value.to_owned())),
        "caption" if value.chars().any(char::is_alphanumeric) => Ok(Filter::Caption(value.to_owned())),
        "tag" | "caption" => Err(Problem::Value(format!("{name}: needs a word, as in {name}:dog"))),
        "has" if value.eq_ignore_ascii_case("caption") => Ok(Filter::HasCaption),
        "has" => Err(wrong("write has:caption to find photos that have one")),
        "ext" => {
            let list: Vec<String> = value.split(',').map(|e| e.trim().trim_start_matches('.').to_owned()).collect();
            if list.iter().any(String::is_empty) || list.len() > 64 {
                return Err(wrong("write extensions with commas between them, as in ext:jpg,png"));
            }
            Ok(Filter::Ext(list))
        }
        "taken" => taken(value),
        "wider" | "taller" => {
            let pixels = value.parse().map_err(|_| Problem::Value(format!("write pixels, as in {name}:2000")))?;
            Ok(if name == "wider" { Filter::Wider(pixels) } else { Filter::Taller(pixels) })
        }
        "size" => size(value),
        _ => Err(Problem::Name),
    }
}

/// `pets=dog` or `pets`; the quotes around a label with spaces are already removed.
fn label(value: &str) -> Result<Filter, Problem> {
    let (set, label) = value.split_once('=').map_or((value, None), |(set, label)| (set, Some(label)));
    if set.trim().is_empty() || label.is_some_and(|label| label.trim().is_empty()) {
        return Err(Problem::Value("write label:SET or label:SET=LABEL, as in label:pets=dog".into()));
    }
    Ok(Filter::Label { set: set.trim().to_owned(), label: label.map(|label| label.trim().to_owned()) })
}

fn taken(value: &str) -> Result<Filter, Problem> {
    let help = || Problem::Value("write a date like 2019, 2019-06 or 2019-06-15, or two with .. between them".into());
    let (from, to) = value.split_once("..").unwrap_or((value, value));
    if from.is_empty() && to.is_empty() {
        return Err(help());
    }
    let date = |text: &str| match text {
        "" => Ok(None),
        _ if is_date(text) => Ok(Some(text.to_owned())),
        _ => Err(help()),
    };
    let (from, to) = (date(from)?, date(to)?);
    // If the end is a prefix of the start, it is a range too: 2019-06..2019 is June to December 2019.
    if let (Some(from), Some(to)) = (&from, &to)
        && from > to
        && !from.starts_with(to.as_str())
    {
        return Err(Problem::Value(format!("{from} is later than {to}")));
    }
    Ok(Filter::Taken { from, to })
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let number = |part: Option<&str>, length: usize| match part {
        Some(part) if part.len() == length && part.bytes().all(|b| b.is_ascii_digit()) => part.parse::<u32>().ok(),
        _ => None,
    };
    let year = number(parts.next(), 4).is_some();
    let month = parts.next().map_or(Some(1), |month| number(Some(month), 2));
    let day = parts.next().map_or(Some(1), |day| number(Some(day), 2));
    year && month.is_some_and(|m| (1..=12).contains(&m))
        && day.is_some_and(|d| (1..=31).contains(&d))
        && parts.next().is_none()
}

fn size(value: &str) -> Result<Filter, Problem> {
    let help = || Problem::Value("write a size like size:>2M, size:<500k or size:1M..3M".into());
    let one = |text: &str| bytes(text).ok_or_else(help);
    if let Some(text) = value.strip_prefix('>') {
        return Ok(Filter::Size { min: Some(one(text)?.saturating_add(1)), max: None });
    }
    if let Some(text) = value.strip_prefix('<') {
        let below = one(text)?.checked_sub(1).ok_or_else(|| Problem::Value("no file is smaller than that".into()))?;
        return Ok(Filter::Size { min: None, max: Some(below) });
    }
    let (from, to) = value.split_once("..").ok_or_else(help)?;
    let open = |text: &str| if text.is_empty() { Ok(None) } else { one(text).map(Some) };
    let (min, max) = (open(from)?, open(to)?);
    if min.is_none() && max.is_none() {
        return Err(help());
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(Problem::Value("the first size is larger than the second".into()));
    }
    Ok(Filter::Size { min, max })
}

/// Bytes of `500`, `500k`, `1.5M`, `2GB` (steps of a thousand).
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, unit) = match text.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if text.ends_with('k') => (digits, 1e3),
        Some(digits) if text.ends_with('m') => (digits, 1e6),
        Some(digits) => (digits, 1e9),
        None => (text, 1.0),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let value = digits.parse::<f64>().ok()? * unit;
    (value < 9e18).then_some(value.round() as u64)
}
