//! What a library knows of a photo, as sentences for a model that captions it.

use crate::search::row::{place, taken};
use snapseek_index::{Hit, Library};

/// The most people that are named.
const MOST_PEOPLE: usize = 8;
/// The longest name or place, in characters: they come from files.
const LONGEST: usize = 80;

/// Where and when a photo was taken, and who is on it, as far as that is known; empty if nothing is.
///
/// # Errors
/// The catalogue cannot be read.
pub fn of(photo: i64, library: &Library) -> anyhow::Result<String> {
    Ok(library.searcher()?.photos(&[photo])?.first().map(sentences).unwrap_or_default())
}

fn sentences(hit: &Hit) -> String {
    let when = taken(hit);
    let when = when.moment.filter(|_| !when.is_guess).and_then(|moment| moment.get(..10).map(str::to_owned));
    let people = &hit.facts.metadata.people;
    let names: Vec<String> = people.iter().take(MOST_PEOPLE).map(|name| plain(name)).collect();
    let mut facts = Vec::new();
    match names.as_slice() {
        [] => {}
        [one] => facts.push(format!("{one} is on it")),
        [others @ .., last] => facts.push(format!("{} and {last} are on it", others.join(", "))),
    }
    facts.extend(place(hit).map(|place| format!("it was taken in {}", plain(&place))));
    facts.extend(when.map(|date| format!("its date is {date}")));
    if facts.is_empty() {
        return String::new();
    }
    format!("What is known of this photo: {}. Use the names of people and places.", facts.join("; "))
}

/// One line of text that is not too long, without control characters.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_one_short_line() {
        assert_eq!(plain(" Anna\n\u{1b}[31m  Maria "), "Anna [31m Maria");
        assert_eq!(plain(&"x".repeat(500)).len(), LONGEST);
    }
}
