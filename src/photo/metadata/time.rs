//! Moments as cameras and programs write them.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// `2019:06:30 23:59:59`, with any separators, seconds or not, also with AM or PM, as `2019-06-30T23:59:59`; only the
/// day if the rest is missing or impossible. `None` if there is no such day, or if the camera's clock was never set.
pub(super) fn iso(text: &str) -> Option<String> {
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let (date, time) = numbers.split_first_chunk::<3>()?;
    if date[0].len() != 4 {
        return None;
    }
    let [year, month, day] = date.map(|part| part.parse::<u32>().unwrap_or_default());
    if !exists(year, month, day) || is_reset(year, month, day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(time) = clock(time, &text.to_ascii_uppercase()) else { return Some(date) };
    let moment = format!("{date}T{time}");
    (!FACTORY.contains(&moment.as_str())).then_some(moment)
}

/// How far a moment that is written with it is ahead of the whole world's time: `+02:00`, `-0330`, `Z`.
pub(super) fn offset(text: &str) -> Option<String> {
    let text = text.trim();
    if text.ends_with(['Z', 'z']) {
        return Some("+00:00".to_owned());
    }
    let (at, sign) = text.char_indices().rfind(|(_, c)| matches!(c, '+' | '-'))?;
    let digits: String = text.get(at + 1..)?.split(':').collect();
    // The sign before a day is none.
    let is_time = text.get(..at)?.contains(':') || at == 0 || digits.len() == 4 && text.get(..at)?.len() >= 6;
    let (hours, minutes) = (digits.get(..2)?.parse::<u8>().ok()?, digits.get(2..4)?.parse::<u8>().ok()?);
    (is_time && digits.len() == 4 && hours <= 14 && minutes < 60).then(|| format!("{sign}{hours:02}:{minutes:02}"))
}

/// A month or a year alone: `2019-06`, `2019`.
pub(super) fn partial(text: &str) -> Option<String> {
    let text = text.trim();
    let whole = match text.len() {
        4 => format!("{text}-06-15"),
        7 => format!("{text}-15"),
        _ => return None,
    };
    let digits = text.bytes().enumerate().all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() });
    (digits && iso(&whole).is_some()).then(|| text.to_owned())
}

/// `20190630` and `235959`, `235959+0200`, and how far that is ahead of the whole world's time.
pub(super) fn compact(date: &str, time: Option<&str>) -> (Option<String>, Option<String>) {
    let parts = |text: &str, at: [usize; 4], between: char| {
        let parts: Option<Vec<&str>> = at.windows(2).map(|ends| text.get(ends[0]..ends[1])).collect();
        parts.map(|parts| parts.join(&between.to_string()))
    };
    let Some(date) = parts(date, [0, 4, 6, 8], '-') else { return (None, None) };
    let clock = time.and_then(|time| parts(time, [0, 2, 4, 6], ':'));
    let moment = iso(&format!("{date} {}", clock.unwrap_or_default()));
    let offset = moment.as_ref().filter(|moment| moment.len() > 10).and_then(|_| offset(time?.get(6..)?));
    (moment, offset)
}

/// Seconds since 1970 in this computer's time.
pub(super) fn local(seconds: i64) -> Option<String> {
    let moment = Timestamp::from_second(seconds).ok()?;
    iso(&moment.to_string()).and_then(|_| iso(&moment.to_zoned(TimeZone::system()).datetime().to_string()))
}

/// `Sun, 30 Jun 2019 23:59:59 +0200`, as in mails.
pub(super) fn of_mail(text: &str) -> Option<String> {
    rfc2822::parse(text).ok().and_then(|moment| iso(&moment.datetime().to_string()))
}

/// Moments at which the clocks of some cameras begin.
const FACTORY: [&str; 2] = ["2000-01-01T00:00:00", "2002-12-08T12:00:00"];

/// Whether this is a day at which clocks begin that were never set, or one before photography.
fn is_reset(year: u32, month: u32, day: u32) -> bool {
    year < 1826 || (month, day) == (1, 1) && matches!(year, 1900 | 1904 | 1970 | 1980)
}

fn exists(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Whether this stands right behind a number, and is no beginning of a word.
fn has_half(text: &str, half: &str) -> bool {
    text.match_indices(half).any(|(at, _)| {
        let before = text[..at].trim_end_matches(char::is_whitespace);
        let after = text[at + half.len()..].chars().next();
        before.ends_with(|c: char| c.is_ascii_digit()) && !after.is_some_and(char::is_alphabetic)
    })
}

fn clock(numbers: &[&str], text: &str) -> Option<String> {
    let number = |at: usize| numbers.get(at).map_or(Some(0), |part| part.parse::<u32>().ok());
    let (hour, minute, second) = (number(0).filter(|_| numbers.len() > 1)?, number(1)?, number(2)?);
    let hour = match (hour, has_half(text, "PM"), has_half(text, "AM")) {
        (1..12, true, _) => hour + 12,
        (12, _, true) => 0,
        _ => hour,
    };
    // A leap second is the last one that others know.
    let second = if second == 60 { 59 } else { second };
    (hour < 24 && minute < 60 && second < 60).then(|| format!("{hour:02}:{minute:02}:{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form_and_only_real_ones() {
        for (text, expected) in [
            ("2019:06:30 23:59:59", "2019-06-30T23:59:59"),
            ("2019-06-30T23:59:59.25+02:00", "2019-06-30T23:59:59"),
            ("2019/06/30 11:59:59 PM", "2019-06-30T23:59:59"),
            ("2019:06:30 12:00:01 am", "2019-06-30T00:00:01"),
            ("2019:06:30 12:00:01 PM", "2019-06-30T12:00:01"),
            ("2019-06-30 09.10.11 pmx", "2019-06-30T09:10:11"),
            ("2019-06-30 12.04.05 Amsterdam", "2019-06-30T12:04:05"),
            ("2019:06:30 23:59", "2019-06-30T23:59:00"),
            ("2019:06:30 23:59:60", "2019-06-30T23:59:59"),
            ("2019:06:30", "2019-06-30"),
            ("2019:06:30 24:00:00", "2019-06-30"),
            ("2019:06:30   :  :  ", "2019-06-30"),
            ("2000:01:01 00:00:01", "2000-01-01T00:00:01"),
            ("2000:02:29 00:00:00", "2000-02-29T00:00:00"),
        ] {
            assert_eq!(iso(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "0001:01:01 00:00:00",
            "1970:01:01 01:00:00",
            "1980:01:01 00:00:00",
            "1904:01:01 00:00:00",
            "2000:01:01 00:00:00",
            "2002:12:08 12:00:00",
            "2019:02:29 00:00:00",
            "1900:02:29 00:00:00",
            "2019:13:01 00:00:00",
            "2019:00:01 00:00:00",
            "19:06:30 00:00:00",
            "99999:06:30 00:00:00",
            "2019:06",
            "x",
            "",
        ] {
            assert_eq!(iso(text), None, "{text}");
        }
    }

    #[test]
    fn offsets_and_moments_without_separators_are_read() {
        for (text, expected) in [
            ("2019-06-30T23:59:59+02:00", Some("+02:00")),
            ("2019-06-30T23:59:59.25-0330", Some("-03:30")),
            ("2019-06-30T23:59:59Z", Some("+00:00")),
            ("+02:00", Some("+02:00")),
            ("235959+0200", Some("+02:00")),
            ("2019-06-30T23:59:59", None),
            ("2019-06-30", None),
            ("2019:06:30 23:59:59", None),
            ("23:59:59+99:00", None),
            ("23:59:59+é", None),
            ("", None),
        ] {
            assert_eq!(offset(text).as_deref(), expected, "{text}");
        }
        let read = |date, time| compact(date, time).0;
        assert_eq!(read("20190630", Some("235959+0200")).as_deref(), Some("2019-06-30T23:59:59"));
        assert_eq!(read("20190630", None).as_deref(), Some("2019-06-30"));
        assert_eq!(read("20190630", Some("9999")).as_deref(), Some("2019-06-30"));
        assert_eq!(read("20191399", None), None);
        assert_eq!(read("2019é", Some("é")), None);
        assert_eq!(of_mail("Sun, 30 Jun 2019 23:59:59 +0200").as_deref(), Some("2019-06-30T23:59:59"));
        assert_eq!((partial("2019-06").as_deref(), partial(" 2019 ").as_deref()), (Some("2019-06"), Some("2019")));
        assert!(["2019-13", "201-906", "1801", "20190", "é19"].iter().all(|text| partial(text).is_none()));
        assert_eq!((of_mail("yesterday"), local(0), local(i64::MAX)), (None, None, None));
    }
}
