//! When a photo was taken, as its name or the names of its folders tell: a guess.

use super::time;
use std::path::Path;

/// The day, with a time if there is one, that a file's name tells; or else the day, month or year of its folder.
pub(in crate::photo) fn taken(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy();
    moment(&name).or_else(|| of_folders(path))
}

/// The first day in a name.
fn moment(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let starts =
        (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()));
    starts.into_iter().find_map(|at| compact(&bytes[at..]).or_else(|| parted(&bytes[at..])))
}

/// `20190630`, also with `_235959` or `235959` after it.
fn compact(text: &[u8]) -> Option<String> {
    let digits = digits_at(text);
    let (date, time) = match digits {
        8 => {
            let after = text.get(8..).unwrap_or_default();
            let behind = after.strip_prefix(b"_").or(after.strip_prefix(b"-")).or(after.strip_prefix(b" "));
            // Some cameras add thousandths.
            (&text[..8], behind.filter(|time| matches!(digits_at(time), 6 | 9)))
        }
        14 | 17 => (&text[..8], text.get(8..)),
        _ => return None,
    };
    let date = std::str::from_utf8(date).ok()?;
    let time = time.and_then(|time| std::str::from_utf8(time.get(..6)?).ok());
    let (moment, _) = time::compact(date, time);
    // Numbers of other kinds look like this too.
    moment.filter(|moment| is_of_cameras(moment) && (digits == 8 || moment.len() > 10))
}

/// `2019-06-30`, with any separator, also with `12.34.56` after it.
fn parted(text: &[u8]) -> Option<String> {
    let separator = *text.get(4).filter(|c| matches!(c, b'-' | b'_' | b'.' | b':' | b' '))?;
    let whole = digits_at(text) == 4
        && digits_at(text.get(5..)?) == 2
        && text.get(7) == Some(&separator)
        && digits_at(text.get(8..)?) == 2;
    if !whole {
        return None;
    }
    let day = std::str::from_utf8(text.get(..10)?).ok()?;
    let day = time::iso(day).filter(|day| is_of_photography(day))?;
    let rest = std::str::from_utf8(text.get(10..)?).ok()?;
    let clock = rest.trim_start_matches(['-', '_', ' ', 'T', 't']).trim_start_matches("at ").trim_start();
    let length = digits_at(clock.as_bytes());
    let with_time = match length {
        1 | 2 if clock.as_bytes().get(length).is_some_and(|c| matches!(c, b'.' | b'-' | b':' | b'_' | b'h')) => {
            time::iso(&format!("{day} {clock}"))
        }
        6 | 9 => time::compact(&day.replace('-', ""), clock.get(..6)).0,
        _ => None,
    };
    Some(with_time.filter(|moment| moment.len() > 10).unwrap_or(day))
}

/// `2015-06-20 Wedding`, `20150620`, `2015/06/20`, `2015/06`, `2015-06`, `2015`.
fn of_folders(path: &Path) -> Option<String> {
    let folders = path.parent()?.iter().rev().take(4).map(|name| name.to_string_lossy().into_owned());
    let folders: Vec<String> = folders.collect();
    for (at, folder) in folders.iter().enumerate() {
        if let Some(day) = moment(folder) {
            return Some(day.chars().take(10).collect());
        }
        let above = |up: usize| folders.get(at + up).map(String::as_str).unwrap_or_default();
        let (number, month) = (two_digits(folder), two_digits(above(1)));
        if let Some(date) =
            number.zip(month).and_then(|(day, month)| time::iso(&format!("{} {month} {day}", year(above(2))?)))
        {
            return Some(date);
        }
        let of_month =
            |year: &str, month: &str| time::iso(&format!("{year}-{month}-01")).map(|_| format!("{year}-{month}"));
        if let Some(month) = number.and_then(|month| of_month(year(above(1))?, month)) {
            return Some(month);
        }
        let parts = folder.split_once(['-', '_', '.']);
        if let Some(month) = parts.and_then(|(first, rest)| of_month(year(first)?, two_digits(rest)?)) {
            return Some(month);
        }
        if let Some(year) = year(folder) {
            return Some(year.to_owned());
        }
    }
    None
}

/// A name that is a year since photography began.
fn year(name: &str) -> Option<&str> {
    (name.len() == 4 && digits_at(name.as_bytes()) == 4 && is_of_photography(name)).then_some(name)
}

/// The two digits that a name begins with, if no third follows: `06`, `06 June`.
fn two_digits(name: &str) -> Option<&str> {
    name.get(..2).filter(|_| digits_at(name.as_bytes()) == 2)
}

/// How many digits these bytes begin with.
fn digits_at(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn is_of_photography(date: &str) -> bool {
    ("1826".."2100").contains(&date)
}

fn is_of_cameras(date: &str) -> bool {
    ("1990".."2100").contains(&date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cameras_phones_and_screenshots_tell_when() {
        for (path, expected) in [
            ("IMG_20190630_235959.jpg", Some("2019-06-30T23:59:59")),
            ("PXL_20210704_120000123.jpg", Some("2021-07-04T12:00:00")),
            ("Screenshot_2022-03-04-10-11-12.png", Some("2022-03-04T10:11:12")),
            ("Screenshot_20220304-101112_Maps.png", Some("2022-03-04T10:11:12")),
            ("IMG-20190630-WA0001.jpg", Some("2019-06-30")),
            ("WhatsApp Image 2019-06-30 at 12.34.56.jpeg", Some("2019-06-30T12:34:56")),
            ("2019-06-30 12.34.56.jpg", Some("2019-06-30T12:34:56")),
            ("Screen Shot 2020-01-02 at 3.04.05 PM.png", Some("2020-01-02T15:04:05")),
            ("20190630_123456.jpg", Some("2019-06-30T12:34:56")),
            ("20190630123456.jpg", Some("2019-06-30T12:34:56")),
            ("signal-2021-05-06-070809.jpg", Some("2021-05-06T07:08:09")),
            ("1938-05-01 Oma.tif", Some("1938-05-01")),
            ("IMG_99999999.jpg", None),
            ("DSC_2019.jpg", None),
            ("12345678901234.jpg", None),
            ("report-20191399.jpg", None),
            ("19380501.jpg", None),
            ("201906301.jpg", None),
            ("2019-06-31.jpg", None),
            ("2019-06.jpg", None),
            ("é2019é.jpg", None),
            ("", None),
        ] {
            assert_eq!(taken(Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn folders_tell_the_day_the_month_or_the_year() {
        for (path, expected) in [
            ("Pictures/2015/06/20/a.jpg", Some("2015-06-20")),
            ("Pictures/2015/06/20/raw/a.jpg", Some("2015-06-20")),
            ("Pictures/2015/06/a.jpg", Some("2015-06")),
            ("Pictures/2015/06 June/a.jpg", Some("2015-06")),
            ("Pictures/2015-06-20 Wedding/a.jpg", Some("2015-06-20")),
            ("Pictures/2015-06-20 Wedding/raw/a.jpg", Some("2015-06-20")),
            ("Pictures/2015_06/a.jpg", Some("2015-06")),
            ("Pictures/20150620/a.jpg", Some("2015-06-20")),
            ("Pictures/2015/a.jpg", Some("2015")),
            ("Pictures/2015/13/a.jpg", Some("2015")),
            ("Pictures/2015/06/IMG_20140101_101010.jpg", Some("2014-01-01T10:10:10")),
            ("Pictures/100CANON/a.jpg", None),
            ("Pictures/06/a.jpg", None),
            ("Pictures/2015 Holiday/a.jpg", None),
            ("/a.jpg", None),
        ] {
            assert_eq!(taken(Path::new(path)).as_deref(), expected, "{path}");
        }
    }
}
