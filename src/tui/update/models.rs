//! Models: downloads, checks, smaller forms, and which one answers.

use super::undo::Undo;
use crate::captions::open::ChosenBy;
use crate::model::Bits;
use crate::model_choice::rounded;
use crate::stock::list::StockKind;
use crate::tui::action::Menu;
use crate::tui::event::{ChatWork, Effect, ModelNews, Way};
use crate::tui::models::{CaptionerRule, ModelJob, ModelRow, ModelStock, ModelWork};
use crate::tui::overlay::{Overlay, Prompt};
use crate::tui::place::Place;
use crate::tui::state::{ChatState, State};

/// Most lines that are kept of what was said.
const MOST_SAID: usize = 40;

impl State {
    fn model_name(&self) -> Option<String> {
        Some(self.models.row()?.name()?.to_owned())
    }

    /// Asks whether the selected model is downloaded.
    pub(super) fn ask_to_pull(&mut self) {
        let wanted = match self.models.row() {
            Some(ModelRow::Offered(model)) => {
                let bytes = model.bytes.map_or(String::new(), |bytes| format!("{}, ", rounded(bytes)));
                Some((model.name.to_owned(), format!("{bytes}licence: {}", model.licence)))
            }
            // Once more, in case that it is damaged.
            Some(ModelRow::Installed(item)) if item.place.is_some() => {
                Some((item.name.clone(), "what is damaged or missing of it".to_owned()))
            }
            Some(ModelRow::Installed(item)) => {
                let says = format!("{} is built in and needs no download", item.name);
                return self.tell(says);
            }
            _ => None,
        };
        match wanted {
            Some((name, what)) => self.prompt(Prompt::Pull(name, what), ""),
            None => self.tell("no model is selected"),
        }
    }

    pub(super) fn verify_model(&mut self, effects: &mut Vec<Effect>) {
        match self.models.row() {
            Some(ModelRow::Installed(item)) => {
                let name = item.name.clone();
                self.work_on_model(ModelWork::Verify(name), effects);
            }
            _ => self.tell("only installed models can be verified"),
        }
    }

    pub(super) fn ask_to_quantize(&mut self) {
        match self.models.row() {
            Some(ModelRow::Installed(item)) if item.is_quantizable => {
                self.overlay = Some(Overlay::Menu(Menu::Quantize, 0));
            }
            _ => self.tell("smaller forms are made of installed models that write captions"),
        }
    }

    pub(super) fn quantize_model(&mut self, bits: Bits, effects: &mut Vec<Effect>) {
        match self.models.row() {
            Some(ModelRow::Installed(item)) if item.is_quantizable => {
                let name = item.name.clone();
                self.work_on_model(ModelWork::Quantize(name, bits), effects);
            }
            _ => self.tell("smaller forms are made of installed models that write captions"),
        }
    }

    /// Lets the selected model write, or asks whether it is to answer in the library.
    pub(super) fn ask_to_use_model(&mut self, effects: &mut Vec<Effect>) {
        match self.models.row() {
            Some(ModelRow::Installed(item))
                if matches!(item.kind, StockKind::Model(_)) && item.kind.purpose() == "search" =>
            {
                let name = item.name.clone();
                self.prompt(Prompt::UseModel(name), "");
            }
            Some(ModelRow::Installed(item)) if item.is_captioner() => {
                let (name, used) = (item.name.clone(), self.models.stock.as_ref().and_then(|s| s.captioner.as_ref()));
                if used.is_some_and(|used| used.name == name && used.by == ChosenBy::Library) {
                    return self.tell(format!("{name} writes captions and answers in this library already"));
                }
                effects.push(Effect::UseCaptioner(CaptionerRule { remembered: Some(name), is_newer: true }, Way::Do));
            }
            Some(ModelRow::Offered(_)) => self.ask_to_pull(),
            _ => self.tell("this model neither searches nor writes: it is used where it is needed"),
        }
    }

    /// Asks whether to drop what the selected model made of the library.
    pub(super) fn ask_to_drop_model(&mut self) {
        let Some(name) = self.model_name() else { return self.tell("no model is selected") };
        match self.models.used(&name) {
            Some(used) if used.role != snapseek_index::ModelRole::Current => self.prompt(Prompt::DropModel(name), ""),
            Some(_) => self.tell("this model answers in the library: another one must take its place first"),
            None => self.tell("this model has made nothing of this library"),
        }
    }

    /// Begins work on a model.
    pub(in crate::tui) fn work_on_model(&mut self, work: ModelWork, effects: &mut Vec<Effect>) {
        if let Some(job) = &self.models.job {
            let says = format!("{} is under way: x in Models cancels it", job.work.says());
            return self.tell(says);
        }
        let generation = self.next_generation();
        self.models.log.clear();
        self.models.job = Some(ModelJob { generation, work: work.clone(), at: None, is_cancelled: false });
        effects.push(Effect::Model(generation, work));
    }

    /// Makes a model answer in the library.
    pub(super) fn use_model(&mut self, name: String, effects: &mut Vec<Effect>) {
        if self.index.run.is_some() {
            return self.refuse(
                Prompt::UseModel(name),
                "yes".into(),
                "photos are being indexed: wait, or cancel".into(),
            );
        }
        self.begin_run();
        effects.push(Effect::Reindex(name.clone()));
        self.tell(format!("photos are embedded by {name}; then it answers"));
    }

    /// Another model writes from now on: an open chat goes on with it.
    pub(super) fn captioner_set(&mut self, done: &str, before: CaptionerRule, way: Way, effects: &mut Vec<Effect>) {
        self.tell_done(way, done, done);
        self.took(way, Undo::Captioner(before));
        let Some(path) = self.chat.photo.and_then(|photo| self.path_of(photo)) else { return };
        let generation = self.next_generation();
        let (photo, input) = (self.chat.photo, self.chat.input.clone());
        self.chat = ChatState { photo, opening: true, generation, input, ..ChatState::default() };
        effects.push(Effect::Chat(generation, ChatWork::Open(path)));
    }

    pub(super) fn on_models(&mut self, news: ModelNews, effects: &mut Vec<Effect>) {
        match news {
            ModelNews::Stock(stock) => self.know_models(*stock),
            ModelNews::Says(generation, is_problem, text) => {
                if self.models.job.as_ref().is_some_and(|job| job.generation == generation) {
                    self.models.log.push((is_problem, text));
                    let surplus = self.models.log.len().saturating_sub(MOST_SAID);
                    self.models.log.drain(..surplus);
                }
            }
            ModelNews::At(generation, what, done, total) => {
                if let Some(job) = self.models.job.as_mut().filter(|job| job.generation == generation) {
                    job.at = Some((what, done, total));
                }
            }
            ModelNews::Ended(generation, outcome) => {
                let ended = self.models.job.take_if(|job| job.generation == generation);
                if ended.is_none() {
                    return;
                }
                let (is_problem, says) = match outcome {
                    Ok(done) => (false, done),
                    Err(why) => (true, why),
                };
                self.models.log.push((is_problem, says.clone()));
                // In Models, it stands there.
                if self.place != Place::Models {
                    self.note = Some((is_problem, says));
                }
                effects.push(Effect::Models);
            }
        }
    }

    /// The row that was selected stays selected.
    fn know_models(&mut self, stock: ModelStock) {
        let name = self.model_name();
        self.models.stock = Some(stock);
        let rows = self.models.rows();
        let is_it = |row: &ModelRow<'_>| row.name().is_some() && row.name() == name.as_deref();
        // A model may be listed in several forms.
        let stays = rows.get(self.models.at).is_some_and(is_it);
        let at = rows.iter().position(is_it).filter(|_| !stays);
        self.models.at = self.models.settled(at.unwrap_or(self.models.at), true);
    }
}
