//! Places by their names: what of a name is compared, and an index of that.

use super::NamedPlace;
use super::atlas::{Atlas, Named};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// What a region's inhabitants count of a city's: its city is meant more often.
const REGION: f64 = 0.1;
/// What a city's inhabitants count if this is not its first name: many of its names are old, or in rare languages.
const OTHER_NAME: f64 = 0.03;

/// The hash of each spelling of each name, with the line that the name is in, in order.
#[derive(Debug)]
pub(super) struct Index(Vec<(u32, u32)>);

impl Index {
    pub(super) fn of(atlas: &Atlas) -> Self {
        let mut entries = Vec::with_capacity(2 * atlas.lines());
        for (line, number) in (0..atlas.lines()).zip(0..) {
            let spellings = atlas.names(atlas.named(line)).flat_map(spellings);
            entries.extend(spellings.map(|spelling| (hash(&spelling), number)));
        }
        entries.sort_unstable();
        Self(entries)
    }

    /// What has this name, with qualifiers after commas, the likeliest first.
    pub(super) fn find(&self, atlas: &Atlas, name: &str) -> Vec<NamedPlace> {
        let mut parts = name.split(',').map(|part| spellings(part).collect::<Vec<String>>());
        let wanted = parts.next().unwrap_or_default();
        let qualifiers: Vec<_> = parts.filter(|part| !part.is_empty()).collect();

        let mut lines: Vec<u32> = wanted.iter().flat_map(|spelling| self.lines(hash(spelling))).collect();
        lines.sort_unstable();
        lines.dedup();
        let all: Vec<Named> = lines.into_iter().map(|line| atlas.named(line as usize)).collect();
        let narrowed = all.iter().filter(|entry| qualifiers.iter().all(|words| lies_in(atlas, **entry, words)));
        let mut found: Vec<(f64, NamedPlace)> = narrowed
            .filter_map(|entry| {
                // Another name can have the same hash.
                let which = atlas.names(*entry).position(|name| spellings(name).any(|name| wanted.contains(&name)))?;
                let place = atlas.place(*entry)?;
                let weight = match entry {
                    Named::Country(_) => 1.0,
                    Named::Region(_) => REGION,
                    Named::Settlement(_) if which == 0 => 1.0,
                    // "Lucerne" is the city more than the canton, although its first name is Luzern.
                    _ if atlas.around(*entry).any(|around| all.contains(&around)) => 1.0,
                    // "Frankfurt" is Frankfurt am Main.
                    _ if atlas.names(*entry).next().is_some_and(|first| begins(first, &wanted)) => 1.0,
                    _ => OTHER_NAME,
                };
                Some((f64::from(place.population) * weight, place))
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().map(|(_, place)| place).collect()
    }

    fn lines(&self, hash: u32) -> impl Iterator<Item = u32> {
        let start = self.0.partition_point(|(other, _)| *other < hash);
        self.0.iter().skip(start).take_while(move |(other, _)| *other == hash).map(|(_, line)| *line)
    }
}

/// Whether a qualifier, in any of its spellings, names what this lies in, or itself if it is more than a settlement.
fn lies_in(atlas: &Atlas, entry: Named, qualifier: &[String]) -> bool {
    let itself = Some(entry).filter(|entry| !matches!(entry, Named::Settlement(_)));
    itself.into_iter().chain(atlas.around(entry)).any(|around| {
        let mut all = atlas.codes(around).chain(atlas.names(around)).flat_map(spellings);
        all.any(|spelling| qualifier.contains(&spelling))
    })
}

/// Whether a name's first words are spelled like this.
fn begins(name: &str, wanted: &[String]) -> bool {
    let ends = name.match_indices(' ').map(|(end, _)| end);
    ends.filter_map(|end| name.get(..end)).flat_map(both_spellings).any(|spelling| wanted.contains(&spelling))
}

/// How a name can be written: without accents, with umlauts spelled out ("Muenchen"), without an addition in brackets
/// ("Halle (Saale)").
fn spellings(name: &str) -> impl Iterator<Item = String> {
    let short = name.ends_with(')').then(|| name.split_once(" (")).flatten().map(|(short, _)| short);
    iter::once(name).chain(short).flat_map(both_spellings)
}

/// Letters that are written as two as well (ae, oe, ue, aa), and the marks that make them where they are decomposed.
const UMLAUTS: [char; 12] = ['Ä', 'Ö', 'Ü', 'Ø', 'Å', 'ä', 'ö', 'ü', 'ø', 'å', '\u{308}', '\u{30a}'];

fn both_spellings(name: &str) -> impl Iterator<Item = String> {
    let spelled_out = (!name.is_ascii() && name.contains(UMLAUTS)).then(|| fold(name, true));
    iter::once(fold(name, false)).chain(spelled_out).filter(|spelling| !spelling.is_empty())
}

/// The letters and digits of a name in lower case and without accents, in ASCII where there is such a form, and each
/// "saint" as "st".
fn fold(name: &str, spelled_out: bool) -> String {
    let mut folded = Folded { text: String::with_capacity(name.len() + 1), word: 0, spelled_out };
    for letter in name.chars() {
        // Faster than all the tables of Unicode.
        if letter.is_ascii() {
            folded.push(letter.to_ascii_lowercase());
        } else {
            decompose_compatible(letter, |part| part.to_lowercase().for_each(|part| folded.push(part)));
        }
    }
    folded.end_word();
    folded.text
}

struct Folded {
    text: String,
    /// Where the last word begins.
    word: usize,
    /// Whether umlauts are written as two letters.
    spelled_out: bool,
}

impl Folded {
    fn push(&mut self, letter: char) {
        let text = &mut self.text;
        match letter {
            'a'..='z' | '0'..='9' => text.push(letter),
            'ß' => text.push_str("ss"),
            'æ' => text.push_str("ae"),
            'œ' => text.push_str("oe"),
            'þ' => text.push_str("th"),
            'ø' => text.push_str(if self.spelled_out { "oe" } else { "o" }),
            'đ' | 'ð' => text.push('d'),
            'ł' => text.push('l'),
            'ħ' => text.push('h'),
            'ı' => text.push('i'),
            '\u{308}' if self.spelled_out && text.ends_with(['a', 'o', 'u']) => text.push('e'),
            '\u{30a}' if self.spelled_out && text.ends_with('a') => text.push('a'),
            // The second are marks that are letters to Unicode: those of "Hawaiʻi" and "Kazanʼ".
            _ if is_combining_mark(letter) || matches!(letter, '\u{2b0}'..='\u{2ff}') => {}
            _ if letter.is_alphanumeric() => text.push(letter),
            _ => self.end_word(),
        }
    }

    fn end_word(&mut self) {
        if let Some("saint" | "sankt" | "sint") = self.text.get(self.word..) {
            self.text.truncate(self.word + 1);
            self.text.push('t');
        }
        self.word = self.text.len();
    }
}

fn hash(spelling: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    spelling.hash(&mut hasher);
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_are_one_name_are_compared_as_one() {
        for (a, b) in [
            ("MÜNCHEN", "munchen"),
            ("Muenchen", "München"),
            ("Mu\u{308}nchen", "Muenchen"),
            ("Gießen", "GIESSEN"),
            ("Århus", "Aarhus"),
            ("Tromsø", "tromsoe"),
            ("Łódź", "lodz"),
            ("İzmir", "Izmir"),
            ("Diyarbakır", "diyarbakir"),
            ("Þorlákshöfn", "thorlakshofn"),
            ("Saint-Denis", "St. Denis"),
            ("Sankt Moritz", "St Moritz"),
            ("'s-Hertogenbosch", "s hertogenbosch"),
            ("L’Aquila", "L'Aquila"),
            ("Nuku‘alofa", "nukualofa"),
            ("Hawaiʻi", "Hawaii"),
            ("Halle (Saale)", "halle"),
            ("  new   york ", "New York"),
            ("Київ", "КИЇВ"),
        ] {
            let b: Vec<String> = spellings(b).collect();
            assert!(spellings(a).any(|a| b.contains(&a)), "{a} {b:?}");
        }
        assert_eq!(fold("Saintes", false), "saintes");
        assert_eq!(spellings(" -- ").count(), 0);
    }
}
