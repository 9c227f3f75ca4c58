//! The values of filters.

use crate::search::filters::{Fact, Filter};
use std::fmt;

/// The names of all filters.
pub(super) const NAMES: [&str; 13] = [
    "path", "tag", "label", "caption", "has", "cluster", "ext", "camera", "taken", "rating", "wider", "taller", "size",
];

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
        "has" => Fact::ALL
            .iter()
            .find(|(fact, _)| value.eq_ignore_ascii_case(fact))
            .map(|(_, fact)| Filter::Has(*fact))
            .ok_or_else(|| {
                wrong(&format!("write one of {}", Fact::ALL.map(|(name, _)| format!("has:{name}")).join(" ")))
            }),
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

/// `4`, `>=4`, `3..5`, `-1`.
fn rating(value: &str) -> Result<Filter, Problem> {
    const STARS: std::ops::RangeInclusive<i8> = -1..=5;
    let help =
        || Problem::Value("write stars from 1 to 5 (-1: rejected), as in rating:5, rating:>=4, rating:2..3".into());
    let one = |text: &str| text.trim().parse().ok().filter(|stars| STARS.contains(stars)).ok_or_else(help);
    let (least, most) = (*STARS.start(), *STARS.end());
    let (min, max) = if let Some(stars) = value.strip_prefix(">=") {
        (one(stars)?, most)
    } else if let Some(stars) = value.strip_prefix("<=") {
        (least, one(stars)?)
    } else if let Some(stars) = value.strip_prefix('>') {
        (one(stars)?.saturating_add(1), most)
    } else if let Some(stars) = value.strip_prefix('<') {
        (least, one(stars)?.saturating_sub(1))
    } else {
        let (from, to) = value.split_once("..").unwrap_or((value, value));
        (if from.is_empty() { least } else { one(from)? }, if to.is_empty() { most } else { one(to)? })
    };
    if min > max {
        return Err(help());
    }
    Ok(Filter::Rating { min, max })
}

fn taken(value: &str) -> Result<Filter, Problem> {
    let help = || {
        let forms = "2019, 2019-06, 2019-06-15 or jun-2019";
        Problem::Value(format!("write a date like {forms}; two with .. between them; or >2019, <2019-06"))
    };
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
    Ok(Filter::Taken { from, to })
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
    /// Reads `2019`, `2019-06`, `2019/06/15`, `jun-2019`, `2019-june`. `None` if it is no date at all; an error if there
    /// is no such day.
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
