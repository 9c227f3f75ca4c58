//! The values of filters.

use crate::search::filters::{Center, Fact, Filter, Moment, OwnerText, Shape};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The names of all filters, each with an example or a description of its value, the more useful ones first.
pub const FILTERS: [(&str, &str); 28] = [
    ("path", "folder or file name"),
    ("taken", "2019-06..2019-09"),
    ("keyword", "beach"),
    ("person", "anna"),
    ("place", "lisbon"),
    ("near", "lisbon,20km"),
    ("around", "@photo.jpg,2h"),
    ("title", "wedding"),
    ("description", "family"),
    ("rating", ">=4"),
    ("has", "place"),
    ("is", "portrait"),
    ("color", "red"),
    ("camera", "canon"),
    ("lens", "50mm"),
    ("iso", ">800"),
    ("creator", "anna"),
    ("format", "heic,raw"),
    ("ext", "jpg,png"),
    ("wider", "pixels"),
    ("taller", "pixels"),
    ("size", ">2M"),
    ("tag", "dog"),
    ("label", "set=label"),
    ("cluster", "name, or none"),
    ("album", "lisbon"),
    ("caption", "\"red car\""),
    ("text", "\"boarding pass\""),
];

/// Colours by which photos are found.
pub const COLORS: [&str; 12] =
    ["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "black", "gray", "white"];

/// Whether there is a filter of this name (in lower case).
pub(super) fn is_filter(name: &str) -> bool {
    FILTERS.iter().any(|(known, _)| *known == name)
}

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
    if !is_filter(name) {
        return Err(Problem::Name);
    }
    if value.trim().is_empty() {
        return Err(Problem::Value(format!("{name}: needs a value right after it")));
    }
    match name {
        "path" => Ok(Filter::Path(value.to_owned())),
        "cluster" => Ok(Filter::Cluster(value.to_owned())),
        "album" => Ok(Filter::Album(value.to_owned())),
        "label" => label(value),
        "camera" => Ok(Filter::Camera(value.to_owned())),
        "lens" => Ok(Filter::Lens(value.to_owned())),
        "keyword" | "person" | "title" | "description" | "creator" | "place" => {
            if !value.chars().any(char::is_alphanumeric) {
                return Err(Problem::Value(format!("{name}: needs a word, as in {name}:anna")));
            }
            let written = match name {
                "keyword" => OwnerText::Keyword,
                "person" => OwnerText::Person,
                "title" => OwnerText::Title,
                "description" => OwnerText::Description,
                "creator" => OwnerText::Creator,
                _ => return Ok(Filter::Place(vec![value.to_owned()])),
            };
            Ok(Filter::OwnerText(written, value.to_owned()))
        }
        "format" => {
            let list: Vec<String> = value.split(',').map(|name| name.trim().to_lowercase()).collect();
            if list.iter().any(String::is_empty) || list.len() > 64 {
                return Err(wrong("write formats with commas between them, as in format:heic,raw"));
            }
            // As people call them.
            let known = |name: String| match name.as_str() {
                "jpg" => "jpeg".to_owned(),
                "tif" => "tiff".to_owned(),
                "heif" => "heic".to_owned(),
                _ => name,
            };
            Ok(Filter::Format(list.into_iter().map(known).collect()))
        }
        "iso" => {
            let help = || wrong("write a number, as in iso:400, iso:>800, iso:100..400");
            // Any at all is no condition.
            let (min, max) = between(value, 0..=u32::MAX).filter(|_| value != "..").ok_or_else(help)?;
            Ok(Filter::Iso { min, max })
        }
        "color" => {
            let name = match value.to_lowercase().as_str() {
                "grey" => "gray".to_owned(),
                "cyan" | "turquoise" => "teal".to_owned(),
                "violet" => "purple".to_owned(),
                other => other.to_owned(),
            };
            match COLORS.contains(&name.as_str()) {
                true => Ok(Filter::Color(name)),
                false => Err(wrong(&format!("write one of {}", COLORS.map(|name| format!("color:{name}")).join(" ")))),
            }
        }
        "near" => near(value),
        "around" => around(value),
        "is" => named(name, value, &Shape::ALL).map(Filter::Is),
        "tag" if value.chars().any(char::is_alphanumeric) => Ok(Filter::Tag(value.to_owned())),
        "caption" if value.chars().any(char::is_alphanumeric) => Ok(Filter::Caption(value.to_owned())),
        "text" if value.chars().any(char::is_alphanumeric) => Ok(Filter::Text(value.to_owned())),
        "tag" | "caption" | "text" => Err(Problem::Value(format!("{name}: needs a word, as in {name}:dog"))),
        "has" => named(name, value, &Fact::ALL).map(Filter::Has),
        "ext" => {
            let list: Vec<String> = value.split(',').map(|e| e.trim().trim_start_matches('.').to_owned()).collect();
            if list.iter().any(String::is_empty) || list.len() > 64 {
                return Err(wrong("write extensions with commas between them, as in ext:jpg,png"));
            }
            Ok(Filter::Ext(list))
        }
        "taken" => taken(value),
        "rating" => rating(value),
        "wider" | "taller" => {
            let (more, digits) = match value.strip_prefix('>') {
                Some(least) if least.starts_with('=') => (0, &least[1..]),
                Some(digits) => (1, digits),
                None => (0, value),
            };
            let help = || Problem::Value(format!("write pixels, as in {name}:2000; -{name}:2000 is the opposite"));
            let pixels = digits.parse::<u32>().map_err(|_| help())?.saturating_add(more);
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

/// `38.72,-9.14,5km`, `lisbon,20km`, `@photo.jpg,500m`, `lisbon`.
fn near(value: &str) -> Result<Filter, Problem> {
    /// How far, if nothing is said.
    const USUAL: f64 = 10.0;
    let help = || {
        Problem::Value("write a place and how far, as in near:lisbon,20km near:38.72,-9.14,500m near:@photo.jpg".into())
    };
    let (place, km) = with_amount(value, kilometres, USUAL);
    if let Some(path) = place.strip_prefix('@') {
        let center = Center::Photo(PathBuf::from(Some(path).filter(|path| !path.is_empty()).ok_or_else(help)?));
        return Ok(Filter::Near { center, km });
    }
    let degrees = place
        .split_once(',')
        .and_then(|(north, east)| Some((north.trim().parse::<f64>().ok()?, east.trim().parse::<f64>().ok()?)));
    let center = match degrees {
        Some((north, east)) if north.abs() <= 90.0 && east.abs() <= 180.0 => Center::At(north, east),
        Some(_) => {
            return Err(Problem::Value("degrees north are between -90 and 90, east between -180 and 180".into()));
        }
        // A distance without a unit, or with one that is none.
        None if place.rsplit_once(',').is_some_and(|(_, end)| end.trim().starts_with(|c: char| c.is_ascii_digit())) => {
            return Err(help());
        }
        None if place.chars().any(char::is_alphabetic) => Center::Named(place.to_owned()),
        None => return Err(help()),
    };
    Ok(Filter::Near { center, km })
}

/// What stands before the last comma, and the amount behind it, or the usual one if there is none.
fn with_amount<T>(value: &str, read: fn(&str) -> Option<T>, usual: T) -> (&str, T) {
    let parts = value.rsplit_once(',').and_then(|(what, amount)| Some((what, read(amount)?)));
    let (what, amount) = parts.unwrap_or((value, usual));
    (what.trim(), amount)
}

/// `5km`, `500m`, `3mi`.
fn kilometres(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let units = [("km", 1.0), ("mi", 1.609_344), ("m", 0.001)];
    let (number, unit) = units.iter().find_map(|(unit, km)| Some((text.strip_suffix(unit)?, km)))?;
    let km = number.trim().parse::<f64>().ok()? * unit;
    (km.is_finite() && km >= 0.0 && !number.is_empty()).then_some(km)
}

/// `@photo.jpg,2h`, `@photo.jpg`.
fn around(value: &str) -> Result<Filter, Problem> {
    /// How long before and after, if nothing is said.
    const USUAL: u32 = 3_600;
    let help = || Problem::Value("write a photo and how long, as in around:@photo.jpg,2h (s, m, h, d)".into());
    let value = value.strip_prefix('@').ok_or_else(help)?;
    let (path, seconds) = with_amount(value, seconds, USUAL);
    if path.is_empty() {
        return Err(help());
    }
    Ok(Filter::Around { moment: Moment::Photo(PathBuf::from(path)), seconds })
}

/// `90s`, `30m` or `30min`, `2h`, `1d`.
fn seconds(text: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let units = [("min", 60), ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let (number, unit) = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))?;
    number.trim().parse::<u32>().ok()?.checked_mul(unit)
}

/// `4`, `>=4`, `<4`, `3..5`, `3..`: the first and the last number that is meant, among those that there are.
fn between<T>(value: &str, all: RangeInclusive<T>) -> Option<(T, T)>
where
    T: Copy + PartialOrd + TryFrom<i64>,
    i64: From<T>,
{
    let (least, most) = (i64::from(*all.start()), i64::from(*all.end()));
    let one = |text: &str| text.trim().parse::<i64>().ok().filter(|n| (least..=most).contains(n));
    let (min, max) = if let Some(number) = value.strip_prefix(">=") {
        (one(number)?, most)
    } else if let Some(number) = value.strip_prefix("<=") {
        (least, one(number)?)
    } else if let Some(number) = value.strip_prefix('>') {
        (one(number)? + 1, most)
    } else if let Some(number) = value.strip_prefix('<') {
        (least, one(number)? - 1)
    } else {
        let (from, to) = value.split_once("..").unwrap_or((value, value));
        (if from.is_empty() { least } else { one(from)? }, if to.is_empty() { most } else { one(to)? })
    };
    Some((min, max)).filter(|_| min <= max).and_then(|(min, max)| Some((min.try_into().ok()?, max.try_into().ok()?)))
}

/// The one of these that has this name, or a message that lists them all.
fn named<T: Copy>(filter: &str, value: &str, all: &[(&str, T)]) -> Result<T, Problem> {
    all.iter().find(|(name, _)| value.eq_ignore_ascii_case(name)).map(|(_, found)| *found).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|(name, _)| format!("{filter}:{name}")).collect();
        Problem::Value(format!("write one of {}", names.join(" ")))
    })
}

/// `4`, `>=4`, `3..5`, `-1`.
fn rating(value: &str) -> Result<Filter, Problem> {
    let (min, max) = between(value, -1_i8..=5).ok_or_else(|| {
        Problem::Value("write stars from 1 to 5 (-1: rejected), as in rating:5, rating:>=4, rating:2..3".into())
    })?;
    Ok(Filter::Rating { min, max })
}

fn taken(value: &str) -> Result<Filter, Problem> {
    let help = || {
        let forms = "2019, 2019-06, 2019-06-15 or jun-2019";
        Problem::Value(format!("write a date like {forms}; two with .. between them; or >2019, <2019-06, ~2019"))
    };
    // Asked for: the time of the last change may be a guess.
    let (guess, value) = value.strip_prefix('~').map_or((false, value), |value| (true, value));
    let one = |text: &str| Date::read(text).ok_or_else(help)?.map_err(Problem::Value);
    let later = |date: Date| date.next().ok_or_else(|| Problem::Value(format!("nothing is later than {date}")));
    let earlier = |date: Date| date.previous().ok_or_else(|| Problem::Value(format!("nothing is earlier than {date}")));
    let text = |date: Date| Some(date.to_string());
    let (from, to) = if let Some(date) = value.strip_prefix(">=") {
        (text(one(date)?), None)
    } else if let Some(date) = value.strip_prefix("<=") {
        (None, text(one(date)?))
    } else if let Some(date) = value.strip_prefix('>') {
        (text(later(one(date)?)?), None)
    } else if let Some(date) = value.strip_prefix('<') {
        (None, text(earlier(one(date)?)?))
    } else {
        let (from, to) = value.split_once("..").unwrap_or((value, value));
        let open = |date: &str| if date.is_empty() { Ok(None) } else { one(date).map(text) };
        (open(from)?, open(to)?)
    };
    if from.is_none() && to.is_none() {
        return Err(help());
    }
    // If the end is a prefix of the start, it is a range too: 2019-06..2019 is June to December 2019.
    if let (Some(from), Some(to)) = (&from, &to)
        && from > to
        && !from.starts_with(to.as_str())
    {
        return Err(Problem::Value(format!("{from} is later than {to}")));
    }
    Ok(Filter::Taken { from, to, guess })
}

/// A year, a month or a day; it displays as a prefix of `2019-06-15`.
#[derive(Clone, Copy)]
struct Date {
    year: u16,
    /// From 1.
    month: Option<u8>,
    /// From 1.
    day: Option<u8>,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        self.month.map_or(Ok(()), |month| write!(f, "-{month:02}"))?;
        self.day.map_or(Ok(()), |day| write!(f, "-{day:02}"))
    }
}

impl Date {
    /// Reads `2019`, `2019-06`, `2019/06/15`, `jun-2019`, `2019-june`. `None` if it is no date at all; an error if
    /// there is no such day.
    fn read(text: &str) -> Option<Result<Self, String>> {
        const MONTHS: [&str; 12] = [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        let parts: Vec<String> = text.split(['-', '/', '.']).map(str::to_ascii_lowercase).collect();
        let number = |part: &str, longest: usize| {
            (!part.is_empty() && part.len() <= longest && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse::<u16>().ok())?
        };
        let year = |part: &str| number(part, 4).filter(|_| part.len() == 4);
        let named = |part: &str| {
            let at = MONTHS.iter().position(|month| part.len() >= 3 && month.starts_with(part))?;
            u8::try_from(at + 1).ok()
        };
        let month = |part: &str| named(part).or_else(|| u8::try_from(number(part, 2)?).ok());
        let date = match &parts[..] {
            [one] => Self { year: year(one)?, month: None, day: None },
            [one, two] => match year(one) {
                Some(year) => Self { year, month: Some(month(two)?), day: None },
                None => Self { year: year(two)?, month: Some(named(one)?), day: None },
            },
            [one, two, three] => {
                let day = u8::try_from(number(three, 2)?).ok()?;
                Self { year: year(one)?, month: Some(month(two)?), day: Some(day) }
            }
            _ => return None,
        };
        let possible = date.month.is_none_or(|month| (1..=12).contains(&month))
            && date.day.is_none_or(|day| day >= 1 && day <= date.days());
        Some(if possible { Ok(date) } else { Err(format!("there is no {date}")) })
    }

    /// The days of its month.
    fn days(self) -> u8 {
        let leap = self.year.is_multiple_of(4) && !self.year.is_multiple_of(100) || self.year.is_multiple_of(400);
        match self.month {
            Some(2) => 28 + u8::from(leap),
            Some(4 | 6 | 9 | 11) => 30,
            _ => 31,
        }
    }

    /// The year, month or day after it.
    fn next(self) -> Option<Self> {
        let Self { year, month, day } = self;
        match (month, day) {
            (_, Some(day)) if day < self.days() => Some(Self { day: Some(day + 1), ..self }),
            (Some(month), day) if month < 12 => Some(Self { year, month: Some(month + 1), day: day.map(|_| 1) }),
            _ if year == 9999 => None,
            _ => Some(Self { year: year + 1, month: month.map(|_| 1), day: day.map(|_| 1) }),
        }
    }

    /// The year, month or day before it.
    fn previous(self) -> Option<Self> {
        let Self { year, month, day } = self;
        let last = |date: Self| Self { day: day.map(|_| date.days()), ..date };
        match (month, day) {
            (_, Some(day)) if day > 1 => Some(Self { day: Some(day - 1), ..self }),
            (Some(month), _) if month > 1 => Some(last(Self { month: Some(month - 1), ..self })),
            _ if year == 0 => None,
            _ => Some(last(Self { year: year - 1, month: month.map(|_| 12), ..self })),
        }
    }
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
