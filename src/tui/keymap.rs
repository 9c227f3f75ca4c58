//! Which key does what in which place.

use super::action::{ACTIONS, Action, Entry};
use super::place::Place;
use crate::exit::Failure;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;

/// A key with its modifiers, as written in the config: `q`, `G`, `ctrl-p`, `alt-left`, `enter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

const NAMED: [(&str, KeyCode); 17] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("space", KeyCode::Char(' ')),
    ("minus", KeyCode::Char('-')),
    ("shift-tab", KeyCode::BackTab),
];

impl Key {
    /// The key of an event. Shift is ignored for characters, because the capital letter already contains it.
    #[must_use]
    pub fn of(event: KeyEvent) -> Self {
        let (mut code, mut modifiers) = (event.code, event.modifiers);
        if matches!(code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers.remove(KeyModifiers::SHIFT);
        }
        if code == KeyCode::Tab && modifiers.contains(KeyModifiers::SHIFT) {
            (code, modifiers) = (KeyCode::BackTab, modifiers.difference(KeyModifiers::SHIFT));
        }
        Self { code, modifiers: modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT) }
    }

    /// An event of this key.
    #[must_use]
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// The digit that it types.
    #[must_use]
    pub fn digit(self) -> Option<usize> {
        match self.code {
            KeyCode::Char(digit) if self.modifiers.is_empty() => usize::try_from(digit.to_digit(10)?).ok(),
            _ => None,
        }
    }

    /// Reads a key as the config writes it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (mut rest, mut modifiers) = (text, KeyModifiers::NONE);
        if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == rest) {
            return Some(Self { code: *code, modifiers });
        }
        loop {
            let (prefix, modifier) = match rest.split_once('-') {
                Some(("ctrl", _)) => (5, KeyModifiers::CONTROL),
                Some(("alt", _)) => (4, KeyModifiers::ALT),
                Some(("shift", _)) => (6, KeyModifiers::SHIFT),
                _ => break,
            };
            let Some(tail) = rest.get(prefix..).filter(|tail| !tail.is_empty()) else { break };
            (rest, modifiers) = (tail, modifiers | modifier);
        }
        let mut letters = rest.chars();
        let code = match (letters.next(), letters.next()) {
            (Some(letter), None) => KeyCode::Char(letter),
            _ => match NAMED.iter().find(|(name, _)| *name == rest) {
                Some((_, code)) => *code,
                None => KeyCode::F(rest.strip_prefix('f')?.parse().ok().filter(|n| (1..=24).contains(n))?),
            },
        };
        Some(Self::of(KeyEvent::new(code, modifiers)))
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (modifier, name) in
            [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        match (NAMED.iter().find(|(name, code)| *code == self.code && *name != "minus"), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::Char(letter)) => write!(f, "{letter}"),
            (None, KeyCode::F(n)) => write!(f, "f{n}"),
            (None, other) => write!(f, "{other}"),
        }
    }
}

/// A key, or two that are pressed one after the other: written `z z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyStroke {
    first: Option<Key>,
    last: Key,
}

impl KeyStroke {
    /// Reads it as the config writes it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some((first, last)) => Some(Self { first: Some(Key::read(first)?), last: Key::read(last)? }),
            None => Some(Self { first: None, last: Key::read(text)? }),
        }
    }
}

impl From<Key> for KeyStroke {
    fn from(last: Key) -> Self {
        Self { first: None, last }
    }
}

impl std::fmt::Display for KeyStroke {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.first.map(|first| first.to_string()).unwrap_or_default();
        let last = self.last.to_string();
        // `zz`, but `ctrl-w q`.
        let gap = if first.is_empty() || first.chars().count() == 1 && last.chars().count() == 1 { "" } else { " " };
        write!(f, "{first}{gap}{last}")
    }
}

/// What a key means, perhaps together with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// This.
    Action(Action),
    /// It may be the first of two.
    Begins,
    /// Nothing.
    Nothing,
}

/// The keys of all actions.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// The keys of each entry of [`ACTIONS`].
    keys: Vec<Vec<KeyStroke>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let read = |entry: &Entry| entry.keys.iter().filter_map(|key| KeyStroke::read(key)).collect();
        Self { keys: ACTIONS.iter().map(read).collect() }
    }
}

impl Keymap {
    /// The default keys, changed by the config's `[keys]`. A key given to an action is removed from the other actions
    /// of the same place.
    ///
    /// # Errors
    /// An action or a key does not exist, or no key is left to quit (exit code 2).
    pub fn new(changes: &BTreeMap<String, Vec<String>>) -> anyhow::Result<Self> {
        let mut map = Self::default();
        for (name, keys) in changes {
            let positions: Vec<usize> =
                ACTIONS.iter().enumerate().filter(|(_, entry)| entry.name == name).map(|(at, _)| at).collect();
            if positions.is_empty() {
                return Err(Failure::usage(format!(
                    "the config file: `[keys]` has no action {:?}{}; docs/terminal-ui.md lists them",
                    crate::terminal::sanitize::text(name),
                    nearest(name).map_or(String::new(), |near| format!(" (did you mean {near:?}?)"))
                )));
            }
            let mut wanted = Vec::new();
            for key in keys {
                wanted.push(KeyStroke::read(key).ok_or_else(|| {
                    Failure::usage(format!(
                        "the config file: {:?} (for {name}) is not a key; write q, G, ctrl-p, alt-left, enter, f5, z z",
                        crate::terminal::sanitize::text(key)
                    ))
                })?);
            }
            for at in positions {
                let shares = |other: &Entry| {
                    let mine = ACTIONS[at].places;
                    other.places.is_empty() && mine.is_empty() || other.places.iter().any(|place| mine.contains(place))
                };
                for (other, keys) in map.keys.iter_mut().enumerate() {
                    if other != at && shares(&ACTIONS[other]) {
                        keys.retain(|key| !wanted.contains(key));
                    }
                }
                map.keys[at].clone_from(&wanted);
            }
        }
        if map.keys_of("quit").is_empty() {
            return Err(Failure::usage(
                "the config file: `[keys]` leaves the action \"quit\" without a key, so there would be no way out",
            ));
        }
        Ok(map)
    }

    /// What a key does in a place. Actions of certain places take precedence over those that work everywhere.
    #[must_use]
    pub fn action(&self, place: Place, key: Key) -> Option<Action> {
        self.action_of(place, key.into())
    }

    /// What a key means in a place, after the first of two if there is one. A key that may be the first of two waits for
    /// the other, whatever it means alone.
    #[must_use]
    pub fn meaning(&self, place: Place, first: Option<Key>, key: Key) -> Meaning {
        let begins = |(entry, keys): (&Entry, &Vec<KeyStroke>)| {
            entry.counts_in(place) && keys.iter().any(|stroke| stroke.first == Some(key))
        };
        if first.is_none() && ACTIONS.iter().zip(&self.keys).any(begins) {
            return Meaning::Begins;
        }
        self.action_of(place, KeyStroke { first, last: key }).map_or(Meaning::Nothing, Meaning::Action)
    }

    fn action_of(&self, place: Place, stroke: KeyStroke) -> Option<Action> {
        let fits = |(at, _): &(usize, &Entry)| self.keys[*at].contains(&stroke);
        let here = ACTIONS.iter().enumerate().filter(|(_, entry)| entry.places.contains(&place)).find(fits);
        let found = here.or_else(|| ACTIONS.iter().enumerate().filter(|(_, entry)| entry.places.is_empty()).find(fits));
        found.map(|(_, entry)| entry.action)
    }

    /// What can follow the first of two keys in a place, and what both do together.
    pub fn following(&self, place: Place, first: Key) -> impl Iterator<Item = (KeyStroke, &'static str)> {
        let entries = ACTIONS.iter().zip(&self.keys).filter(move |(entry, _)| entry.counts_in(place));
        entries.flat_map(move |(entry, keys)| {
            keys.iter().filter(move |stroke| stroke.first == Some(first)).map(|stroke| (*stroke, entry.says))
        })
    }

    /// The keys of an entry of [`ACTIONS`], given its name, as text for the user.
    #[must_use]
    pub fn keys_of(&self, name: &str) -> String {
        let keys = ACTIONS.iter().zip(&self.keys).find(|(entry, _)| entry.name == name).map(|(_, keys)| keys);
        keys.map(|keys| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")).unwrap_or_default()
    }

    /// The first key of an action in a place; `None` if it has none there.
    #[must_use]
    pub fn key_of(&self, place: Place, action: Action) -> Option<KeyStroke> {
        let fits = |(entry, keys): &(&Entry, &Vec<KeyStroke>)| {
            entry.action == action && entry.counts_in(place) && !keys.is_empty()
        };
        ACTIONS.iter().zip(&self.keys).find(fits).and_then(|(_, keys)| keys.first().copied())
    }
}

/// The name of an action that is most similar to this one.
fn nearest(name: &str) -> Option<&'static str> {
    let near = |other: &str| strsim::jaro_winkler(name, other);
    let names = ACTIONS.iter().map(|entry| entry.name);
    names.max_by(|a, b| near(a).total_cmp(&near(b))).filter(|best| near(best) > 0.7)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_keys_that_can_be_read_and_no_two_share_one() {
        for entry in ACTIONS {
            for key in entry.keys {
                let read = KeyStroke::read(key).unwrap_or_else(|| panic!("{key}"));
                let written = if key.contains(' ') { (*key).to_owned() } else { read.to_string() };
                assert_eq!(KeyStroke::read(&written), Some(read), "{key}");
            }
        }
        for place in Place::ALL {
            let mut taken = std::collections::HashMap::new();
            for entry in ACTIONS.iter().filter(|entry| entry.places.contains(&place)) {
                for key in entry.keys {
                    let before = taken.insert(*key, entry.name);
                    assert_eq!(before, None, "{key} in {place:?} is {} too", entry.name);
                }
            }
        }
    }

    #[test]
    fn the_config_moves_keys() {
        let keys = |name: &str, keys: &[&str]| {
            Keymap::new(&BTreeMap::from([(name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())]))
        };
        let map = keys("mark", &["m", "ctrl-space"]).unwrap();
        assert_eq!(map.action(Place::Search, Key::read("m").unwrap()), Some(Action::Mark));
        assert_eq!(map.keys_of("more-like-this"), "", "its key was taken");
        let error = keys("quit", &[]).unwrap_err().to_string();
        assert!(error.contains("quit") && error.contains("without a key"), "{error}");
        assert!(keys("suspend", &["q", "ctrl-c"]).is_err() && keys("suspend", &["q"]).is_ok());
        let error = keys("more-like-that", &["x"]).unwrap_err().to_string();
        assert!(error.contains("more-like-this"), "{error}");
        assert!(keys("mark", &["ctrl-nothing"]).is_err() && keys("mark", &[""]).is_err());
        assert!(keys("\u{1b}[31m", &[]).is_err_and(|error| !error.to_string().contains('\u{1b}')));
    }

    /// The rows of the table of keys in docs/terminal-ui.md: where actions work, and their names and keys.
    fn table() -> String {
        let mut rows: Vec<(String, String)> = Vec::new();
        for entry in ACTIONS {
            let places: Vec<&str> = entry.places.iter().map(|place| place.name()).collect();
            let places = if places.is_empty() { "everywhere".to_owned() } else { places.join(", ") };
            let keys: Vec<String> = entry.keys.iter().map(|key| format!(" {key}")).collect();
            // In a table of Markdown, a bar begins a cell.
            let action = format!("`{}`{}", entry.name, keys.concat().replace('|', "\\|"));
            match rows.iter_mut().find(|(known, _)| *known == places) {
                Some((_, actions)) => *actions = format!("{actions} \u{b7} {action}"),
                None => rows.push((places, action)),
            }
        }
        rows.into_iter().map(|(places, actions)| format!("| {places} | {actions} |\n")).collect()
    }

    /// `INSTA_UPDATE=always` writes it, as for snapshots.
    #[test]
    fn the_documents_have_the_keys_of_the_code() {
        const HEAD: &str = "| where | actions |\n|---|---|\n";
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/terminal-ui.md");
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, after) = text.split_once(HEAD).unwrap();
        let rest = after.split_once("\n\n").map_or("", |(_, rest)| rest);
        let wanted = format!("{before}{HEAD}{}\n{rest}", table());
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&file, &wanted).unwrap();
        } else {
            assert!(text == wanted, "docs/terminal-ui.md is out of date: run this test with INSTA_UPDATE=always");
        }
    }
}
