//! Moments as cameras and programs write them.

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

fn clock(numbers: &[&str], text: &str) -> Option<String> {
    let number = |at: usize| numbers.get(at).map_or(Some(0), |part| part.parse::<u32>().ok());
    let (hour, minute, second) = (number(0).filter(|_| numbers.len() > 1)?, number(1)?, number(2)?);
    let hour = match (hour, text.contains("PM"), text.contains("AM")) {
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
}
