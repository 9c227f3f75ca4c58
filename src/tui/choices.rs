//! The lists that a user chooses from, narrowed by typing.

use super::overlay::{Choice, Prompt, narrow};
use super::state::State;
use crate::terminal::sanitize::judged;
use crate::terminal::text::count;
use snapseek_index::FacetField;

/// Most ways in which a line can go on that are shown.
const MOST: usize = 8;

impl State {
    /// The lines of a list: what they are called, and what stands beside that.
    #[must_use]
    pub(super) fn choices(&self, choice: Choice) -> Vec<(String, String)> {
        match choice {
            Choice::History => self.search.history.iter().rev().map(|query| (query.clone(), String::new())).collect(),
            Choice::Set => self.classify.sets.iter().map(|set| (set.name.clone(), set.labels.join(", "))).collect(),
            Choice::Album => {
                let photos = |photos: u64| count(usize::try_from(photos).unwrap_or(usize::MAX), "photo");
                self.albums.iter().map(|album| (album.name.clone(), photos(album.photos))).collect()
            }
        }
    }

    /// How the answer to a prompt can go on, as far as the library knows.
    #[must_use]
    pub(super) fn offered(&self, prompt: &Prompt, typed: &str) -> Vec<String> {
        let last = last_part(prompt, typed);
        let names: Vec<&str> = match prompt {
            Prompt::AddToAlbum | Prompt::RemoveFromAlbum => {
                self.albums.iter().map(|album| album.name.as_str()).collect()
            }
            Prompt::SearchName(_) => self.searches.iter().map(|search| search.name.as_str()).collect(),
            Prompt::Tags(photos) if last.starts_with('-') => {
                let known = photos.iter().filter_map(|photo| self.photos.get(photo));
                let mut own: Vec<&str> = known.flat_map(|photo| &photo.own_tags).map(String::as_str).collect();
                own.sort_unstable();
                own.dedup();
                own
            }
            Prompt::Tags(_) => {
                let known = self.facets.get(&FacetField::Keyword).and_then(Option::as_deref).unwrap_or_default();
                known.iter().map(|facet| facet.value.as_str()).filter(|name| !name.contains(',')).collect()
            }
            _ => return Vec::new(),
        };
        let begun = last.trim_start_matches('-').trim_start().to_lowercase();
        let is_clean = |name: &&&str| !judged(name).any(|(_, is_unsafe)| is_unsafe);
        let fits = |name: &&&str| name.to_lowercase().starts_with(&begun) && name.to_lowercase() != begun;
        names.iter().filter(is_clean).filter(fits).take(MOST).map(|name| (*name).to_owned()).collect()
    }
}

/// The part of an answer that is being typed: of a list, its last item.
fn last_part<'a>(prompt: &Prompt, typed: &'a str) -> &'a str {
    match prompt {
        Prompt::Tags(_) => typed.rsplit(',').next().unwrap_or(typed).trim_start(),
        _ => typed,
    }
}

/// An answer of which the part that is being typed is this.
pub(super) fn completed(prompt: &Prompt, typed: &str, whole: &str) -> String {
    let last = last_part(prompt, typed);
    let sign = if matches!(prompt, Prompt::Tags(_)) && last.starts_with('-') { "-" } else { "" };
    format!("{}{sign}{whole}", typed.strip_suffix(last).unwrap_or_default())
}

/// The positions of the lines whose names match what is typed, best first; if nothing is typed, all in their order.
pub(super) fn narrowed(choices: &[(String, String)], typed: &str) -> Vec<usize> {
    let names: Vec<String> = choices.iter().map(|(name, _)| name.clone()).collect();
    narrow(&names, typed)
}
