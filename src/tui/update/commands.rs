//! Runs commands with arguments.

use crate::model::hub::presets::{CHAT_PRESETS, PRESETS};
use crate::model_choice::rounded;
use crate::tui::command::{PaletteRow, TypedCommand};
use crate::tui::event::{AlbumChange, Effect, OwnChange, Way};
use crate::tui::overlay::{Overlay, Picker, Prompt};
use crate::tui::place::Place;
use crate::tui::source::{Seek, Source};
use crate::tui::state::State;
use snapseek_index::query::quoted;
use tui_input::Input;

impl State {
    /// A line of the palette was chosen.
    pub(in crate::tui) fn choose_row(&mut self, row: PaletteRow, effects: &mut Vec<Effect>) {
        match row {
            PaletteRow::Command(command) => self.command(command, effects),
            PaletteRow::Use(known) => {
                let space = if known.arguments.is_empty() || known.name == "!" { "" } else { " " };
                let input = Input::new(format!("{}{space}", known.name));
                self.overlay = Some(Overlay::Palette(Picker { input, at: 0 }));
            }
            PaletteRow::Action(entry) => {
                // An action of another place is done there.
                if let (false, Some(place)) = (entry.counts_in(self.place), entry.places.first()) {
                    if *place == Place::Look {
                        self.look();
                    } else {
                        self.visit(*place, effects);
                    }
                    self.classify.typing = false;
                    if !entry.counts_in(self.place) {
                        return;
                    }
                }
                self.act(entry.action, effects);
            }
        }
    }

    fn command(&mut self, command: TypedCommand, effects: &mut Vec<Effect>) {
        let needs_photos = matches!(
            command,
            TypedCommand::AddToAlbum(_)
                | TypedCommand::RemoveFromAlbum(_)
                | TypedCommand::Rate(_)
                | TypedCommand::Tag(..)
                | TypedCommand::Export(_)
        );
        if needs_photos && self.chosen().is_empty() {
            return self.tell("no photo is selected");
        }
        match command {
            TypedCommand::Sort(sorting) => self.sort_by_key(sorting, effects),
            TypedCommand::Search(query) => {
                self.go(Source::Query(Seek::text(query)), effects);
                self.remember(effects);
            }
            TypedCommand::AddToAlbum(name) => self.answered(Prompt::AddToAlbum, name, effects),
            TypedCommand::RemoveFromAlbum(name) => {
                effects.push(Effect::Album(AlbumChange::Remove(name, self.chosen()), Way::Do));
            }
            TypedCommand::OpenAlbum(name) => {
                self.go(Source::Query(Seek::text(format!("album:{} ", quoted(&name)))), effects)
            }
            TypedCommand::Rate(stars) => effects.push(Effect::Own(OwnChange::Rate(self.written_on(), stars), Way::Do)),
            TypedCommand::Tag(add, remove) => {
                let photos = self.written_on();
                effects.push(Effect::Own(OwnChange::Tags { photos, add, remove }, Way::Do));
            }
            TypedCommand::Caption(text) => match self.photo() {
                Some(photo) => {
                    effects.push(Effect::SetCaption { photo, text: Some((text, None)), way: Way::Do });
                }
                None => self.tell("no photo is selected"),
            },
            TypedCommand::Save(name) => match self.query_to_save() {
                Ok(query) => effects.push(Effect::SaveSearch(name, Some(query), Way::Do)),
                Err(why) => self.tell(why),
            },
            TypedCommand::Saved(name) => {
                let folded = name.to_lowercase();
                match self.searches.iter().find(|search| search.name.to_lowercase() == folded) {
                    Some(search) => {
                        let query = search.query.clone();
                        self.go(Source::Query(Seek::text(query)), effects);
                    }
                    None => self.warn(format!("there is no saved search {name}")),
                }
            }
            TypedCommand::Export(path) => self.answered(Prompt::Export, path.to_string_lossy().into_owned(), effects),
            TypedCommand::Sidecars(folder) => effects.push(Effect::Sidecars(folder)),
            TypedCommand::Pull(name) => {
                let known = CHAT_PRESETS.iter().map(|known| (known.name, known.bytes, known.licence));
                let mut known = known.chain(PRESETS.iter().map(|known| (known.name, known.bytes, known.licence)));
                let what = match known.find(|(known, ..)| *known == name) {
                    Some((_, bytes, licence)) => format!("{}, licence: {licence}", rounded(bytes)),
                    None => "its size is known when the download begins".to_owned(),
                };
                self.prompt(Prompt::Pull(name, what), "");
            }
            TypedCommand::Reindex(name) => self.prompt(Prompt::UseModel(name), ""),
            TypedCommand::AddFolder(folder) => {
                self.answered(Prompt::Folder, folder.to_string_lossy().into_owned(), effects);
            }
            TypedCommand::Theme(name) => self.use_theme(name),
            TypedCommand::Number(number) => self.jump_to(number),
            TypedCommand::Shell(command) => {
                let photos = if command.contains('%') { self.chosen() } else { Vec::new() };
                if command.contains('%') && photos.is_empty() {
                    return self.tell("no photo is selected");
                }
                self.tell(format!("running: {command}"));
                effects.push(Effect::Shell(command, photos));
            }
        }
    }

    /// Selects the photo, or the row, at this place of the list, from 1.
    pub(in crate::tui) fn jump_to(&mut self, number: usize) {
        let at = number.saturating_sub(1);
        match self.place {
            Place::Clusters => self.step_cluster_to(at),
            Place::Models => self.models.at = self.models.settled(number, true),
            Place::Duplicates => {
                (self.copies.at, self.copies.file) = (at, 0);
                self.copies.settle();
            }
            Place::Browse => {
                self.browse.at = at;
                self.settle_row(true);
            }
            Place::Index => self.index.at = at.min(self.index.failures.len().saturating_sub(1)),
            place => {
                let of = if place == Place::Look { self.look.of } else { place };
                if let Some(gallery) = self.gallery_mut(of) {
                    gallery.select(at);
                }
            }
        }
    }
}
