//! Statements in PostgreSQL's words.

use std::fmt::Write;

/// The columns by which tables know their rows, of those tables in which rows are replaced.
const KEYS: [(&str, &str); 9] = [
    ("caption", "photo"),
    ("classifier", "label_set, fingerprint"),
    ("forgotten", "path"),
    ("last_seen", "path"),
    ("other_tag", "photo, model, position"),
    ("own_rating", "picture"),
    ("reading", "photo"),
    ("saved_search", "folded"),
    ("setting", "name"),
];

/// A statement as the server reads it: values are numbered with `$`, and rows that exist already are left alone or
/// replaced by `ON CONFLICT`.
pub(super) fn translate(sql: &str) -> String {
    let mut rest = sql.trim();
    let mut conflict = String::new();
    let head;
    if let Some(insert) = rest.strip_prefix("INSERT OR IGNORE ") {
        conflict.push_str(" ON CONFLICT DO NOTHING");
        head = "INSERT ";
        rest = insert;
    } else if let Some(insert) = rest.strip_prefix("INSERT OR REPLACE ") {
        conflict = replacing(insert).unwrap_or_default();
        head = "INSERT ";
        rest = insert;
    } else {
        head = "";
    }
    let mut out = String::with_capacity(sql.len() + conflict.len() + 16);
    out.push_str(head);
    let (mut is_quoted, mut last) = (false, 0);
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                is_quoted = !is_quoted;
                out.push(c);
            }
            '?' if !is_quoted => {
                let mut number = String::new();
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    number.push(digit);
                }
                // As in SQLite, a mark without a number is one more than the largest so far.
                let at = number.parse().unwrap_or(last + 1);
                last = last.max(at);
                let _ = write!(out, "${at}");
            }
            _ => out.push(c),
        }
    }
    out.push_str(&conflict);
    out
}

/// What replaces the row that is there already, of `INTO table (columns) ...`.
fn replacing(insert: &str) -> Option<String> {
    let (table, rest) = insert.strip_prefix("INTO ")?.split_once(" (")?;
    let (columns, _) = rest.split_once(')')?;
    let (_, key) = KEYS.iter().find(|(known, _)| *known == table)?;
    let sets: Vec<String> = columns
        .split(',')
        .map(str::trim)
        .filter(|column| !key.split(", ").any(|part| part == *column))
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    Some(format!(" ON CONFLICT ({key}) DO UPDATE SET {}", sets.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_conflicts_are_put_into_the_servers_words() {
        assert_eq!(
            translate("SELECT ? WHERE a = ?2 AND b = '?1' AND c = ?"),
            "SELECT $1 WHERE a = $2 AND b = '?1' AND c = $3"
        );
        assert_eq!(
            translate("INSERT OR IGNORE INTO own_tag (a) VALUES (?1)"),
            "INSERT INTO own_tag (a) VALUES ($1) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            translate("INSERT OR REPLACE INTO own_rating (picture, stars, written) VALUES (?1, ?2, ?3)"),
            "INSERT INTO own_rating (picture, stars, written) VALUES ($1, $2, $3) \
             ON CONFLICT (picture) DO UPDATE SET stars = excluded.stars, written = excluded.written"
        );
    }
}
