//! Handles the answers of workers. An answer to a request that is not the latest changes nothing.

use super::undo::Undo;
use crate::tui::event::{Effect, IndexNews, Message, OwnChange, Way};
use crate::tui::overlay::Overlay;
use crate::tui::place::Place;
use crate::tui::state::{Marks, RunState, State};
use snapseek_index::{ContentHash, FacetField};
use std::collections::HashSet;
use std::time::Duration;
use tui_input::Input;

/// How long a query must rest before the user is told what is wrong with it: half of a filter is no mistake.
const RIPE: Duration = Duration::from_millis(800);

pub(super) fn on_message(state: &mut State, message: Message, effects: &mut Vec<Effect>) {
    match message {
        Message::Timer(generation) if generation == state.search.generation && state.search.waiting => {
            let source = state.search.visits.current().clone();
            effects.push(Effect::Search(generation, source, state.search.listing));
        }
        // Nothing was typed since: it is a mistake.
        Message::Timer(generation) if generation == state.search.generation && state.search.completion.is_none() => {
            state.search.ripen();
        }
        Message::Timer(generation) if state.look.slideshow == Some(generation) => state.next_slide(effects),
        Message::Timer(generation) => state.count_expired(generation, effects),
        Message::Found(generation, _) if generation != state.search.generation => {}
        Message::Found(_, Ok(mut answer)) => {
            state.search.waiting = false;
            let found = std::mem::take(&mut answer.found);
            std::mem::take(&mut answer.photos).into_iter().for_each(|photo| state.learn(photo));
            let again = std::mem::take(&mut state.search.again);
            // Whoever has not moved stays at the first, even if newer photos come before it.
            let selected = state.search.gallery.selected().filter(|_| again && state.search.gallery.at() > 0);
            let keep = state.search.keep.take().or(selected);
            state.search.gallery.fill(found, keep);
            state.search.library = Some(answer.total);
            state.search.answer = answer;
            (state.search.error, state.search.unripe) = (None, None);
            // The library has changed: its status is out of date too.
            if state.index.known && state.index.photo_count().unwrap_or(0) != state.search.answer.total {
                effects.push(Effect::Standing);
            }
        }
        // The earlier results stay: a half-written query may be wrong for a moment.
        Message::Found(_, Err(why)) => {
            state.search.waiting = false;
            if state.search.typing {
                state.search.unripe = Some(why);
                effects.push(Effect::Timer(state.search.generation, RIPE));
            } else {
                state.search.error = Some(why);
            }
        }
        Message::Photos(photos, gone) => {
            photos.into_iter().for_each(|photo| state.learn(photo));
            forget(state, &gone.into_iter().collect());
        }
        Message::Groups(Ok(groups)) => {
            let at = state.clusters.at;
            state.clusters.error = None;
            state.clusters.at = at.min(groups.groups.len().saturating_sub(1));
            state.clusters.groups = Some(groups);
        }
        Message::Groups(Err(why)) => state.clusters.error = Some(why),
        Message::Grouped(generation, outcome) => {
            if state.ends(generation) {
                match outcome {
                    Ok((done, before)) => {
                        state.tell(match before {
                            Some(_) => format!("{done}; {} undoes it", state.options.keymap.keys_of("undo")),
                            None => done,
                        });
                        if let Some(before) = before {
                            state.can_undo(Undo::Clusters(before));
                        }
                        state.map.chart = None;
                        effects.push(Effect::Groups);
                    }
                    // The existing clusters stay visible.
                    Err(why) if state.clusters.groups.as_ref().is_some_and(|groups| !groups.groups.is_empty()) => {
                        state.warn(why);
                    }
                    Err(why) => state.clusters.error = Some(why),
                }
            }
        }
        Message::Renamed { old, new, way } => {
            state.map.chart = None;
            state.tell_done(way, "the cluster has its new name", "the cluster has its old name");
            state.took(way, Undo::Rename(new, old));
        }
        Message::Restored(count, before, way) => {
            state.map.chart = None;
            let clusters = crate::terminal::text::count(count, "cluster");
            let undone = if way == Way::Redo { "done again" } else { "undone" };
            state.tell(format!("{undone}: the {clusters} of before are back"));
            if let Some(before) = before {
                state.took(way, Undo::Clusters(before));
            }
        }
        Message::Captioned { photo, before, now, way } => {
            state.asked.remove(&photo);
            state.photos.remove(&photo);
            let done = if now { "the caption is kept" } else { "the caption is deleted" };
            state.tell_done(way, done, "the caption is as it was");
            state.took(way, Undo::Caption(photo, before));
            changed(state, effects);
        }
        Message::TextsRead(generation, outcome) => {
            if state.ends(generation) {
                match outcome {
                    Ok(done) => state.tell(done),
                    Err(why) => state.warn(why),
                }
                state.photos.clear();
                state.asked.clear();
                changed(state, effects);
            }
        }
        Message::TextSet { photo, before, now, way } => {
            if before.is_none() && way == Way::Do {
                return state.tell("no text was read in this photo");
            }
            state.asked.remove(&photo);
            state.photos.remove(&photo);
            let done = if now { "the text is back" } else { "the text is deleted; a later run may read it again" };
            state.tell_done(way, done, "the text is as it was");
            state.took(way, Undo::Text(photo, before.map(Box::new)));
            changed(state, effects);
        }
        Message::CaptionerSet(done, before, way) => state.captioner_set(&done, before, way, effects),
        Message::NotTaken(way, why) => {
            state.not_taken(way);
            state.warn(why);
        }
        Message::OwnChanged(done, before, way) => {
            let (pictures, what): (HashSet<ContentHash>, _) = match &before {
                OwnChange::SetTags(tags) => {
                    (tags.iter().map(|(picture, _)| *picture).collect(), "the tags are as they were")
                }
                OwnChange::SetRatings(stars) => {
                    (stars.iter().map(|(picture, _)| *picture).collect(), "the rating is as it was")
                }
                OwnChange::Tags { .. } | OwnChange::Rate(..) => return,
            };
            if pictures.is_empty() {
                return state.tell("nothing has changed: it is so already");
            }
            for id in state.photos.values().filter(|photo| pictures.contains(&photo.picture)).map(|photo| photo.id) {
                state.asked.remove(&id);
            }
            state.photos.retain(|_, photo| !pictures.contains(&photo.picture));
            state.facets.retain(|field, _| !matches!(field, FacetField::Keyword | FacetField::Rating));
            state.tell_done(way, &done, what);
            state.took(way, Undo::Own(before));
            changed(state, effects);
        }
        Message::PathCompleted(typed, completed, choices) => {
            if let Some(Overlay::Prompt(asked)) = &mut state.overlay
                && asked.input.value() == typed
            {
                asked.input = Input::new(completed);
                asked.choices = choices;
            }
        }
        Message::StackPhoto(photo) if state.place == Place::Look => state.look.in_stack = Some(photo),
        Message::StackPhoto(_) => {}
        Message::Files(begun, names) => state.offer_files(&begun, &names),
        Message::Captioning(progress) => state.captioning = progress,
        Message::Text(title, lines) if state.overlay.is_none() => state.overlay = Some(Overlay::Text(title, lines, 0)),
        Message::Text(..) => {}
        Message::Refused(prompt, text, why) => {
            state.refuse(prompt, text, why);
            effects.push(Effect::Standing);
        }
        // What was marked since the start counts.
        Message::Marks(marked) if state.marks.is_empty() && state.undo.is_empty() => {
            state.marks = Marks::of(marked);
            state.kept_marks = state.marks.changes();
        }
        Message::Marks(_) => {}
        Message::Charted(generation, outcome) => {
            if state.ends(generation) {
                match outcome {
                    Ok(chart) => state.chart(chart),
                    Err(why) => state.map.error = Some(why),
                }
            }
        }
        Message::Sorted(generation, outcome) => {
            if state.ends(generation) {
                match outcome {
                    Ok(sorted) => state.show_sorted(sorted),
                    Err(why) => state.classify.error = Some(why),
                }
            }
        }
        Message::Copies(generation, outcome) if state.ends(generation) => state.found_copies(outcome),
        Message::Scripted(generation, file, outcome) if state.ends(generation) => {
            state.script_is_written(file, outcome);
        }
        Message::Copies(..) | Message::Scripted(..) => {}
        Message::Facets(field, facets) => {
            state.facets.insert(field, Some(facets));
            if state.search.typing && state.overlay.is_none() {
                state.offer_completion(effects);
            }
            if let Some(Overlay::Prompt(mut asked)) = state.overlay.take_if(|overlay| overlay.asks_for_tags()) {
                asked.choices = state.offered(&asked.prompt, asked.input.value());
                state.overlay = Some(Overlay::Prompt(asked));
            }
        }
        Message::Filters(generation, field, counts) => state.filters_counted(generation, field, counts),
        Message::Albums(albums) => state.albums = albums,
        Message::Forgotten(done, paths) => {
            state.tell_done(Way::Do, &done, "");
            state.can_undo(Undo::Forgotten(paths));
            state.refresh(effects);
        }
        Message::Searches(searches) => state.searches = searches,
        Message::SearchSaved(name, before, is_there, way) => state.on_saved(name, before, is_there, way),
        Message::Today(photos) => {
            // The row that is selected stays selected.
            let key = state.row().map(|row| row.key);
            state.browse.today = Some(photos);
            state.select_row(key.as_deref());
        }
        Message::Folders(folders) => state.browse.folders = Some(folders),
        Message::Months(months) => state.browse.months = Some(months),
        Message::Covers(generation, covers) if generation == state.browse.generation => state.browse.covers.1 = covers,
        Message::Covers(..) => {}
        Message::AlbumChanged(name, done, before, way) => {
            state.tell_done(way, &done, &format!("the album {name} is as it was"));
            state.took(way, Undo::Album(name, before));
            changed(state, effects);
        }
        Message::LabelSets(sets) => state.classify.sets = sets,
        Message::Step(generation, step) => {
            if let Some((current, shown)) = &mut state.work
                && *current == generation
            {
                *shown = Some(step);
            }
        }
        Message::Picture(key, picture) => state.keep_picture(key, picture),
        Message::Chat(generation, news) => state.on_chat(generation, news),
        Message::Index(news) => on_index(state, news, effects),
        Message::Models(news) => state.on_models(news, effects),
        Message::Library(Ok(standing)) => {
            state.index.known = true;
            if let Some(standing) = &standing
                && state.index.run.is_none()
            {
                state.index.failures.clone_from(&standing.failures);
            }
            state.index.standing = standing;
            state.index.at = state.index.at.min(state.index.failures.len().saturating_sub(1));
        }
        Message::Library(Err(why)) => state.warn(why),
        Message::FilesChanged => {
            if state.index.run.is_none() {
                state.index_folders(Vec::new(), effects);
            } else {
                state.index.again = true;
            }
        }
        Message::Paths(purpose, ids, paths) => state.have_paths(purpose, &ids, paths, effects),
        Message::Unwatched(why) => {
            state.index.watch = false;
            state.warn(why);
        }
        Message::History(mut earlier) => {
            earlier.retain(|text| !state.search.history.contains(text));
            earlier.append(&mut state.search.history);
            state.search.history = earlier;
            state.search.recalled = None;
        }
        Message::Note(true, text) => state.warn(text),
        Message::Note(false, text) => state.tell(text),
    }
}

/// Whether a message brings something that rows of the lists to browse are made of.
pub(super) fn changes_rows(message: &Message) -> bool {
    matches!(
        message,
        Message::Today(_)
            | Message::Folders(_)
            | Message::Months(_)
            | Message::Searches(_)
            | Message::SearchSaved(..)
            | Message::Albums(_)
            | Message::Groups(_)
            | Message::History(_)
    )
}

/// Something that photos are asked for by was changed: those that are listed may be others now.
fn changed(state: &mut State, effects: &mut Vec<Effect>) {
    effects.push(Effect::Renew);
    state.seek_again(effects);
    state.filters_changed(effects);
}

/// Removes photos that are not in the library any more.
fn forget(state: &mut State, gone: &HashSet<i64>) {
    for id in gone {
        state.search.gallery.remove(*id);
        state.classify.gallery.remove(*id);
        state.photos.remove(id);
    }
    state.marks.forget(gone);
    state.look.in_stack.take_if(|id| gone.contains(id));
    if state.look.only.is_some_and(|id| gone.contains(&id)) || state.place == Place::Look && state.photo().is_none() {
        state.look.only = None;
        state.look.full = false;
        state.place = state.trail.pop().filter(|place| *place != Place::Look).unwrap_or_default();
        state.tell("the photo is not in the library any more");
    }
}

fn on_index(state: &mut State, news: IndexNews, effects: &mut Vec<Effect>) {
    match news {
        IndexNews::Photos { found, done, walking } => {
            let run = state.index.run.get_or_insert_with(RunState::default);
            let before = run.done;
            (run.found, run.done, run.walking) = (found, done, walking);
            state.filters.is_stale = true;
            // Photos appear while they are being indexed.
            if done / 50 != before / 50 && !state.search.waiting {
                state.seek_again(effects);
            }
        }
        IndexNews::Step(step) => state.index.run.get_or_insert_with(RunState::default).step = Some(step),
        IndexNews::Failure { path, kind, message } => state.fail(path, kind, message),
        IndexNews::Ended(outcome, cancelled) => {
            state.index.run = None;
            match &outcome {
                Ok(done) if cancelled => state.tell(format!("stopped: {done}; what is done is kept")),
                Ok(done) => state.tell(done.clone()),
                Err(why) => {
                    state.not_taken(Way::Undo);
                    state.warn(why.clone());
                }
            }
            state.taking.retain(|(_, step)| !matches!(step, Undo::Forgotten(_)));
            state.index.last = Some(outcome);
            state.index.was_cancelled = cancelled;
            state.clusters.tried = false;
            state.copies.is_stale = true;
            if state.place == Place::Models {
                effects.push(Effect::Models);
            }
            state.refresh(effects);
            if state.index.watch {
                // The library may have other folders now.
                effects.push(Effect::Watch(true));
            }
            if std::mem::take(&mut state.index.again) && !cancelled {
                state.index_folders(Vec::new(), effects);
            }
        }
    }
}
