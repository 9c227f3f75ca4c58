//! Keys that come together: typed ahead while the program was busy, or a text that a terminal pastes as keys because it
//! knows no brackets around it. A pasted text must not act as commands, and its line ends must not act as Enter.

use super::event::Event;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::time::{Duration, Instant};

/// From so many keys at once, they may be a text that was pasted: nobody types so fast.
pub const PASTED: usize = 32;
/// A text has at least so many different characters.
const DIFFERENT: usize = 8;
/// How long after a piece of a pasted text more of it may come. Only then its last line end is Enter.
const REST: Duration = Duration::from_millis(250);

/// Tells pasted texts from other keys.
#[derive(Debug, Default)]
pub struct Bursts {
    /// Until then, what comes belongs to a pasted text.
    until: Option<Instant>,
    /// Line ends at the end of what has come of it.
    held: Vec<KeyEvent>,
}

impl Bursts {
    /// When the line ends that are held back act as Enter, if nothing comes before that.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// The deadline has passed: the text has ended.
    pub fn rest(&mut self) -> Option<Event> {
        self.until = None;
        let held = std::mem::take(&mut self.held);
        held.iter().any(|key| key.code != KeyCode::Tab).then_some(Event::LineEnd)
    }

    /// What keys that came together are.
    pub fn take(&mut self, keys: Vec<KeyEvent>, now: Instant) -> Vec<Event> {
        let goes_on = self.until.is_some_and(|until| now < until);
        let mut events = Vec::new();
        if !goes_on {
            events.extend(self.rest());
        }
        let mut keys = [std::mem::take(&mut self.held), keys].concat();
        let is_part = |key: &KeyEvent| character(key).is_some() || is_break(key);
        let text = if goes_on {
            keys.iter().take_while(|key| is_part(key)).count()
        } else if is_text(&keys) {
            keys.len()
        } else {
            0
        };
        let others = keys.split_off(text);
        self.until = (text > 0 && others.is_empty()).then(|| now + REST);
        if self.until.is_some() {
            let breaks = keys.iter().rev().take_while(|key| is_break(key)).count();
            self.held = keys.split_off(text - breaks);
        }
        if !keys.is_empty() {
            events.push(Event::Keys { keys, is_pasted: true });
        }
        match others.as_slice() {
            [] => {}
            [key] => events.push(Event::Key(*key)),
            _ => events.push(Event::Keys { keys: others, is_pasted: false }),
        }
        events
    }
}

/// Whether keys that came together are a text: many different characters, and nothing else. Keys that are held or
/// pressed while the program is slow are few different ones.
fn is_text(keys: &[KeyEvent]) -> bool {
    let mut seen: Vec<char> = Vec::new();
    for key in keys {
        match character(key) {
            Some(c) if seen.len() < DIFFERENT && !seen.contains(&c) => seen.push(c),
            Some(_) => {}
            None if is_break(key) => {}
            None => return false,
        }
    }
    keys.len() >= PASTED && seen.len() >= DIFFERENT
}

/// The character that a key types.
#[must_use]
pub fn character(key: &KeyEvent) -> Option<char> {
    match key.code {
        KeyCode::Char(c) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => Some(c),
        _ => None,
    }
}

/// Whether a key is what a line end or a tab of a pasted text comes as.
fn is_break(key: &KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Enter | KeyCode::Tab) || matches!(key.code, KeyCode::Char('j')) && control
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<KeyEvent> {
        let code = |c| if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        text.chars().map(|c| KeyEvent::new(code(c), KeyModifiers::NONE)).collect()
    }

    fn shown(events: Vec<Event>) -> Vec<(String, bool)> {
        let text = |keys: &[KeyEvent]| -> String {
            keys.iter().map(|key| character(key).unwrap_or(if is_break(key) { '\n' } else { '^' })).collect()
        };
        let one = |event| match event {
            Event::Keys { keys, is_pasted } => (text(&keys), is_pasted),
            Event::Key(key) => (text(&[key]), false),
            Event::LineEnd => ("\n".to_owned(), false),
            _ => unreachable!(),
        };
        events.into_iter().map(one).collect()
    }

    #[test]
    fn a_text_that_comes_in_pieces_is_one_text_until_it_rests() {
        let (mut bursts, start) = (Bursts::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let long = "quit, and delete everything at once\n";
        let first = shown(bursts.take(keys(long), at(0)));
        assert_eq!(first, [(long.trim_end().to_owned(), true)], "its line end may be in the middle");
        // However small the next piece is.
        assert_eq!(shown(bursts.take(keys("q"), at(200))), [("\nq".to_owned(), true)]);
        assert_eq!(shown(bursts.take(keys("uit\n"), at(400))), [("uit".to_owned(), true)]);
        assert_eq!(bursts.deadline(), Some(at(650)));
        assert_eq!(shown(bursts.rest().into_iter().collect()), [("\n".to_owned(), false)], "now it is Enter");
        assert_eq!(shown(bursts.take(keys("q"), at(700))), [("q".to_owned(), false)]);
    }

    #[test]
    fn other_keys_end_a_text_and_few_or_like_keys_are_none() {
        let (mut bursts, now) = (Bursts::default(), Instant::now());
        for keys_of_a_person in ["/a dog\nll", &"l".repeat(100), &"hjkl".repeat(50)] {
            assert_eq!(shown(bursts.take(keys(keys_of_a_person), now)), [(keys_of_a_person.to_owned(), false)]);
        }
        bursts.take(keys("a text of many different characters"), now);
        let mut mixed = keys("more");
        mixed.push(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        mixed.extend(keys("a"));
        assert_eq!(shown(bursts.take(mixed, now)), [("more".to_owned(), true), ("^a".to_owned(), false)]);
        assert_eq!(shown(bursts.take(keys("q"), now)), [("q".to_owned(), false)]);
    }
}
