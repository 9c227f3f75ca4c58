//! Executes actions.

use super::undo::Undo;
use crate::config::ThemeName;
use crate::tui::action::{Action, Menu, Sorting};
use crate::tui::browse::BrowseKind;
use crate::tui::event::{ChatWork, Effect, Ending, Forgotten, Listing, OwnChange, Purpose, Task, Way, Work};
use crate::tui::gallery::Gallery;
use crate::tui::layout;
use crate::tui::overlay::{Choice, Overlay, Picker, Prompt};
use crate::tui::place::Place;
use crate::tui::source::Source;
use crate::tui::state::{RunState, State};
use crate::tui::theme::Theme;
use snapseek_index::FacetField;
use std::path::PathBuf;

/// By which share of what is seen of a photo a key goes on.
const PAN: f64 = 0.25;

impl State {
    /// Executes an action that was chosen by a key or in the palette.
    pub(in crate::tui) fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::Quit => effects.push(Effect::Quit(Ending::Left)),
            Action::Suspend => effects.push(Effect::Suspend),
            Action::Help => self.overlay = Some(Overlay::Help(0)),
            Action::Palette => self.overlay = Some(Overlay::Palette(Picker::default())),
            Action::Leave => self.leave(effects),
            Action::Back => self.back(effects),
            Action::Undo => self.undo(effects),
            Action::Redo => self.redo(effects),
            Action::Go(Place::Chat) if self.chat.photo.is_none() && self.photo().is_some() => {
                self.ask_about_photo(effects);
            }
            Action::Go(place) => self.visit(place, effects),
            Action::NextPlace => self.turn_to(1, effects),
            Action::PreviousPlace => self.turn_to(Place::TABS.len() - 1, effects),
            Action::Refresh => self.refresh(effects),
            Action::EditQuery => {
                self.visit(Place::Search, effects);
                self.search.typing = true;
            }
            Action::NextTheme => {
                self.use_theme(self.theme.name.next());
                let name = format!("{:?}", self.theme.name).to_lowercase();
                self.tell(format!("colours: {name} (`theme = \"{name}\"` in the config keeps them)"));
            }
            Action::Left => self.step(-1, 0),
            Action::Right => self.step(1, 0),
            Action::Up => self.step(0, -1),
            Action::Down => self.step(0, 1),
            Action::PageUp => self.page(-1),
            Action::PageDown => self.page(1),
            Action::First => self.jump(false),
            Action::Last => self.jump(true),
            Action::Center => {
                let area = layout::areas(self).body;
                self.with_gallery(|gallery| gallery.center(area));
            }
            Action::Look if self.options.pick && matches!(self.place, Place::Search | Place::Classify) => {
                self.pick(effects);
            }
            Action::Look => {
                if self.place == Place::Search {
                    self.remember(effects);
                }
                self.look();
            }
            Action::Pick => self.pick(effects),
            Action::Mark => self.mark(),
            Action::MarkRange => self.mark_range(),
            Action::InvertMarks => {
                let matching = self.gallery_of(self.place).map(|gallery| gallery.matching().to_vec());
                self.can_undo(Undo::Marks(self.marks.clone()));
                matching.unwrap_or_default().iter().for_each(|found| self.marks.toggle(found.id));
                self.tell(format!("{} marked", self.marks.len()));
            }
            Action::Sort => self.overlay = Some(Overlay::Menu(Menu::Sort, 0)),
            Action::SortBy(sorting) => self.sort_by_key(sorting, effects),
            Action::Filters => self.open_filters(effects),
            Action::Facts => self.with_path(effects, Effect::Facts),
            Action::EditCaption => {
                let Some(id) = self.photo() else { return self.tell("no photo is selected") };
                let caption = self.photos.get(&id).and_then(|photo| photo.caption.clone()).unwrap_or_default();
                self.prompt(Prompt::Caption(id), &caption);
            }
            Action::AddToAlbum | Action::RemoveFromAlbum | Action::EditTags | Action::RateMenu | Action::Rate(_)
                if self.chosen().is_empty() =>
            {
                self.tell("no photo is selected")
            }
            Action::Forget if self.written_on().is_empty() => self.tell("no photo is selected"),
            Action::Forget => self.forget_photos(self.written_on(), effects),
            Action::ForgetFolder => match self.row().filter(|_| self.browse.kind == BrowseKind::Folders) {
                Some(row) => self.prompt(Prompt::ForgetFolder(row.key.into()), ""),
                None => self.tell("folders are left out where they are listed: f lists them"),
            },
            Action::NextInStack => self.step_in_stack(true, effects),
            Action::PreviousInStack => self.step_in_stack(false, effects),
            Action::Beside if self.look.only.is_some() && self.look.with.is_none() => {
                self.tell("only this photo is shown: photos of a list are compared")
            }
            Action::Beside => self.look.beside = usize::from(self.look.beside == 0),
            Action::FurtherBeside => {
                let behind = |gallery: &Gallery| gallery.shown().len().saturating_sub(gallery.at() + 1);
                let last = self.gallery_of(self.look.of).map_or(0, behind);
                self.look.beside = (self.look.beside + 1).min(last.max(1));
            }
            Action::Slideshow => self.toggle_slideshow(effects),
            Action::SaveSearch => self.save_search(),
            Action::Browse(kind) => self.browse(kind, effects),
            Action::OpenRow => self.open_row(effects),
            Action::Unfold => self.unfold(None),
            Action::DeleteSearch => self.delete_search(effects),
            Action::EditTags => {
                self.facets_of(FacetField::Keyword, effects);
                let photos = self.written_on();
                self.prompt(Prompt::Tags(photos), "");
            }
            Action::RateMenu => self.overlay = Some(Overlay::Menu(Menu::Rate, 0)),
            Action::Rate(stars) => effects.push(Effect::Own(OwnChange::Rate(self.written_on(), stars), Way::Do)),
            Action::AddToAlbum => {
                let last = self.last_album.clone();
                self.prompt(Prompt::AddToAlbum, &last);
            }
            Action::RemoveFromAlbum => {
                let last = self.last_album.clone();
                self.prompt(Prompt::RemoveFromAlbum, &last);
            }
            Action::OpenAlbum if self.albums.is_empty() => {
                let key = self.options.keymap.keys_of("add-to-album");
                self.tell(format!("there are no albums yet: {key} on a photo, or with marked ones, makes one"));
            }
            Action::OpenAlbum => self.overlay = Some(Overlay::Choose(Choice::Album, Picker::default())),
            Action::MakeCaptions if self.captioning.is_some() => self.tell("captions are being written already"),
            Action::MakeCaptions => self.with_paths(Purpose::Caption, effects),
            Action::ReadText if self.work.is_some() => {
                let key = self.options.keymap.keys_of("cancel");
                self.tell(format!("something else is running: {key} cancels it"));
            }
            Action::ReadText => match self.chosen() {
                photos if photos.is_empty() => self.tell("no photo is selected"),
                photos => self.work_on(Work::ReadTexts(photos), effects),
            },
            Action::ReadAllTexts if self.index.run.is_some() => self.tell("photos are being indexed already"),
            Action::ReadAllTexts if self.is_empty() => self.tell("there are no photos yet"),
            Action::ReadAllTexts => {
                self.begin_run();
                effects.push(Effect::ReadTexts { again: false });
                self.tell("reading the text in photos; later runs read that of new ones, too");
            }
            Action::ClearText => match self.photo() {
                Some(photo) => effects.push(Effect::SetText(photo, None, Way::Do)),
                None => self.tell("no photo is selected"),
            },
            Action::ClearCaption => {
                let Some(photo) = self.photo() else { return self.tell("no photo is selected") };
                effects.push(Effect::SetCaption { photo, text: None, way: Way::Do });
            }
            Action::FailureDetails if self.index.failures.is_empty() => self.index_folders(Vec::new(), effects),
            Action::FailureDetails => self.tell_failure(),
            Action::RetryFailures if self.index.failures.is_empty() => self.tell("all files could be read"),
            Action::RetryFailures => {
                let files = crate::terminal::text::count(self.index.failures.len(), "file");
                self.index.retry = true;
                self.index_folders(Vec::new(), effects);
                self.tell(format!("trying {files} again"));
            }
            Action::MarkAll => {
                let matching = self.gallery_of(self.place).map(|gallery| gallery.matching().to_vec());
                self.can_undo(Undo::Marks(self.marks.clone()));
                matching.unwrap_or_default().iter().for_each(|found| self.marks.add(found.id));
                self.tell(format!("{} marked", self.marks.len()));
            }
            Action::UnmarkAll if self.marks.is_empty() => self.tell("nothing is marked"),
            Action::UnmarkAll => {
                self.can_undo(Undo::Marks(self.marks.clone()));
                self.tell(format!("{} unmarked; {} undoes it", self.marks.len(), self.options.keymap.keys_of("undo")));
                self.marks.clear();
            }
            Action::ShowMarked => {
                if self.marks.is_empty() {
                    self.tell("nothing is marked");
                } else {
                    let source = Source::Chosen { title: "marked photos".into(), ids: self.marks.to_vec().into() };
                    self.go(source, effects);
                }
            }
            Action::MoreLikeThis | Action::LessLikeThis => {
                if let Some(id) = self.photo() {
                    self.like(id, if action == Action::MoreLikeThis { 1.0 } else { -1.0 }, effects);
                }
            }
            Action::Earlier => self.step_visits(false, effects),
            Action::Later => self.step_visits(true, effects),
            Action::ToggleList => {
                self.with_gallery(|gallery| gallery.list = !gallery.list);
                // Elsewhere `v` begins a range.
                if self.gallery_of(self.place).is_some_and(|gallery| gallery.list) {
                    let keys = &self.options.keymap;
                    let (list, range) = (keys.keys_of("toggle-list"), keys.keys_of("mark-range"));
                    self.tell(format!("a list: {list} shows the pictures again; {range} begins a range"));
                }
            }
            Action::TogglePreview => self.search.preview = !self.search.preview,
            Action::Larger => self.with_gallery(|gallery| gallery.resize(true)),
            Action::Smaller => self.with_gallery(|gallery| gallery.resize(false)),
            Action::ToggleRest => {
                self.search.gallery.toggle_rest();
                let hidden = self.search.gallery.hides_rest;
                self.tell(if hidden { "only matches are shown" } else { "the rest is shown after the matches" });
            }
            Action::View => self.with_path(effects, Effect::View),
            Action::Reveal => self.with_path(effects, Effect::Reveal),
            Action::CopyPath => self.with_paths(Purpose::Copy, effects),
            Action::CopyText => self.copy_text(effects),
            Action::Export => {
                if self.chosen().is_empty() {
                    self.tell("there is no photo to export");
                } else {
                    self.prompt(Prompt::Export, "photos.html");
                }
            }
            Action::AskAboutPhoto => self.ask_about_photo(effects),
            Action::FullScreen if self.place == Place::Look => self.look.full = !self.look.full,
            Action::FullScreen => {
                self.look();
                self.look.full = self.place == Place::Look;
            }
            Action::OpenCluster => self.open_cluster(effects),
            Action::SplitCluster => self.split_cluster(effects),
            Action::RenameCluster => self.rename_cluster(),
            Action::MakeClusters => self.make_clusters(effects),
            Action::ZoomIn | Action::ZoomOut if self.place == Place::Look => {
                self.look_closer(action == Action::ZoomIn, None);
            }
            Action::ZoomIn => self.zoom(true),
            Action::ZoomOut => self.zoom(false),
            Action::ExactSize => self.look_exactly(),
            Action::WholePhoto => self.look.zoom = None,
            Action::NextPhoto => self.turn_page(1),
            Action::PreviousPhoto => self.turn_page(-1),
            Action::Box => self.toggle_box(),
            Action::OpenBox => self.open_box(effects),
            Action::EditLabels => self.classify.typing = true,
            Action::ChooseSet => self.choose_set(),
            Action::SaveSet => self.save_set(),
            Action::NextLabel => self.next_label(1),
            Action::PreviousLabel => self.next_label(-1),
            Action::ShowLabel => self.show_label(effects),
            Action::Ask => self.chat.typing = self.chat.photo.is_some() && self.chat.missing.is_none(),
            Action::AskAgain => self.ask_again(),
            Action::SaveChat => self.save_chat(),
            Action::ClearChat => self.clear_chat(effects),
            Action::FindDuplicates => self.find_copies(effects),
            Action::KeepOrDrop => self.toggle_copy(),
            Action::KeepOnly => self.keep_only(),
            Action::KeepAll => self.keep_all_copies(),
            Action::KeepAsProposed => self.keep_as_proposed(),
            Action::WriteScript => self.ask_for_script(),
            Action::PullModel => self.ask_to_pull(),
            Action::VerifyModel => self.verify_model(effects),
            Action::QuantizeModel => self.ask_to_quantize(),
            Action::Quantize(bits) => self.quantize_model(bits, effects),
            Action::UseModel => self.ask_to_use_model(effects),
            Action::DropModel => self.ask_to_drop_model(),
            Action::AddFolder => self.prompt(Prompt::Folder, ""),
            Action::IndexNow => self.index_folders(Vec::new(), effects),
            Action::ToggleWatch => {
                self.index.watch = !self.index.watch;
                effects.push(Effect::Watch(self.index.watch));
            }
            Action::CancelWork => self.cancel(effects),
        }
    }

    /// Changes the colours.
    pub(in crate::tui) fn use_theme(&mut self, name: ThemeName) {
        let options = &self.options;
        self.theme = Theme::new(name, options.colors, options.background).with(&options.own_colors);
    }

    /// Goes to a place.
    pub(in crate::tui) fn visit(&mut self, place: Place, effects: &mut Vec<Effect>) {
        if place != self.place {
            self.trail.push(self.place);
            self.trail.drain(..self.trail.len().saturating_sub(32));
            self.place = place;
        }
        match place {
            Place::Clusters => effects.push(Effect::Groups),
            Place::Map => self.want_chart(effects),
            Place::Classify => {
                effects.push(Effect::LabelSets);
                self.classify.typing = self.classify.sorted.is_none();
            }
            Place::Index => effects.push(Effect::Standing),
            Place::Duplicates if self.work.is_none() => self.want_copies(effects),
            Place::Models => effects.push(Effect::Models),
            _ => {}
        }
    }

    fn turn_to(&mut self, by: usize, effects: &mut Vec<Effect>) {
        let at = Place::TABS.iter().position(|place| *place == self.place).unwrap_or(0);
        if let Some(place) = Place::TABS.get((at + by) % Place::TABS.len()) {
            self.visit(*place, effects);
        }
    }

    /// Closes what is open over a place, and never changes the place.
    fn leave(&mut self, effects: &mut Vec<Effect>) {
        match self.place {
            Place::Look if self.look.zoom.is_some() => self.look.zoom = None,
            Place::Look if self.look.full => {
                self.look.full = false;
                self.look.slideshow = None;
            }
            // A photo is open over the photos that it was chosen from.
            Place::Look => self.back(effects),
            Place::Map => self.map.corner = None,
            Place::Search | Place::Classify => self.with_gallery(|gallery| gallery.anchor = None),
            Place::Chat if self.chat.answering.is_some() || self.chat.opening => {
                effects.push(Effect::Cancel(Task::Chat))
            }
            _ => {}
        }
    }

    fn back(&mut self, effects: &mut Vec<Effect>) {
        match self.place {
            Place::Look if self.look.full => self.look.full = false,
            _ => match self.trail.pop() {
                Some(place) => self.place = place,
                None if self.place == Place::Search && *self.search.visits.current() != Source::default() => {
                    self.step_visits(false, effects);
                }
                None => self.place = Place::Search,
            },
        }
    }

    /// Reads the library again.
    pub(in crate::tui) fn refresh(&mut self, effects: &mut Vec<Effect>) {
        self.photos.clear();
        self.asked.clear();
        self.pictures.retain(|_, picture| picture.is_ok());
        self.map.chart = None;
        self.facets.clear();
        effects.push(Effect::Renew);
        self.seek_again(effects);
        self.filters_changed(effects);
        self.browse.covers = Default::default();
        if self.place == Place::Browse {
            effects.push(Effect::Browse(self.browse.kind));
        }
        effects.extend([Effect::Standing, Effect::LabelSets, Effect::Albums, Effect::Searches]);
        if self.place == Place::Clusters {
            effects.push(Effect::Groups);
        }
        if self.place == Place::Models {
            effects.push(Effect::Models);
        }
    }

    fn with_gallery(&mut self, change: impl Fn(&mut crate::tui::gallery::Gallery)) {
        let place = self.place;
        if let Some(gallery) = self.gallery_mut(place) {
            change(gallery);
        }
    }

    fn with_path(&mut self, effects: &mut Vec<Effect>, effect: impl Fn(PathBuf) -> Effect) {
        let path = match self.place {
            Place::Index => self.index.failures.get(self.index.at).map(|(path, _, _)| path.clone()),
            Place::Duplicates => self.copies.selected().map(|file| file.path.clone()),
            _ => self.photo().and_then(|id| self.path_of(id)),
        };
        match path {
            Some(path) => effects.push(effect(path)),
            None => self.tell("no photo is selected"),
        }
    }

    fn step(&mut self, across: isize, down: isize) {
        let area = layout::areas(self).body;
        match self.place {
            Place::Search | Place::Classify => self.with_gallery(|gallery| {
                if !gallery.list || across == 0 {
                    gallery.step(across, down, area);
                }
            }),
            Place::Look if self.look.zoom.is_some() => self.pan(PAN * across as f64, PAN * down as f64),
            Place::Look => self.turn_page(if across == 0 { down } else { across }),
            Place::Clusters => self.step_cluster(down + across),
            Place::Models => self.models.step(down),
            Place::Duplicates if across != 0 => self.step_copy(across),
            Place::Duplicates => self.step_copy_set(down),
            Place::Browse if across != 0 => self.unfold(Some(across > 0)),
            Place::Browse => self.step_row(down),
            Place::Map => self.move_cursor(across, down),
            Place::Chat => self.chat.back = self.chat.back.saturating_add_signed(-down),
            Place::Index => {
                self.index.at =
                    self.index.at.saturating_add_signed(down).min(self.index.failures.len().saturating_sub(1))
            }
        }
    }

    fn page(&mut self, by: isize) {
        let area = layout::areas(self).body;
        match self.place {
            Place::Search | Place::Classify => self.with_gallery(|gallery| {
                let rows = gallery.grid(area).rows().cast_signed().max(1);
                gallery.step(0, by * rows, area);
            }),
            Place::Map => self.move_cursor(0, by * isize::from(area.height.cast_signed() / 2)),
            Place::Look if self.look.zoom.is_some() => self.pan(0.0, by as f64),
            Place::Look => self.turn_page(by * 10),
            Place::Duplicates => self.step_copy_set(by * 5),
            _ => self.step(0, by * isize::from(area.height.cast_signed() / 2).max(1)),
        }
    }

    fn jump(&mut self, last: bool) {
        match self.place {
            Place::Search | Place::Classify => {
                self.with_gallery(|gallery| gallery.select(if last { usize::MAX } else { 0 }))
            }
            Place::Look => self.turn_page(if last { isize::MAX } else { isize::MIN + 1 }),
            Place::Clusters => self.step_cluster(if last { isize::MAX } else { isize::MIN + 1 }),
            Place::Duplicates => self.step_copy_set(if last { isize::MAX } else { isize::MIN + 1 }),
            Place::Models => self.models.at = self.models.settled(if last { usize::MAX } else { 0 }, !last),
            Place::Map => self.whole_map(),
            Place::Chat => self.chat.back = if last { 0 } else { usize::from(u16::MAX) },
            Place::Browse => {
                self.browse.at = if last { usize::MAX } else { 0 };
                self.settle_row(!last);
            }
            Place::Index => self.index.at = if last { self.index.failures.len().saturating_sub(1) } else { 0 },
        }
    }

    fn pick(&mut self, effects: &mut Vec<Effect>) {
        if !self.options.pick {
            return self.tell("`snapseek tui --pick` prints what is picked");
        }
        self.with_paths(Purpose::Pick, effects);
    }

    /// Uses the paths of the marked photos, or of the selected one; requests them if one is unknown.
    fn with_paths(&mut self, purpose: Purpose, effects: &mut Vec<Effect>) {
        let ids = self.chosen();
        let known: Vec<_> = ids.iter().filter_map(|id| self.path_of(*id)).collect();
        if known.len() == ids.len() {
            self.have_paths(purpose, &ids, known, effects);
        } else {
            effects.push(Effect::Paths(purpose, ids));
        }
    }

    /// Uses paths for the purpose that they were requested for.
    pub(in crate::tui) fn have_paths(
        &mut self,
        purpose: Purpose,
        ids: &[i64],
        paths: Vec<PathBuf>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(first) = paths.first() else { return self.tell("no photo is selected") };
        match purpose {
            Purpose::Pick => effects.push(Effect::Quit(Ending::Picked(paths))),
            Purpose::Caption => {
                self.captioning = Some((0, ids.len()));
                let photos = ids.iter().copied().zip(paths).collect();
                effects.push(Effect::Chat(self.chat.generation, ChatWork::Caption(photos)));
            }
            Purpose::Copy => {
                let text = paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join("\n");
                let one = paths.len() == 1;
                let what = if one { crate::terminal::sanitize::path(first) } else { format!("{} paths", paths.len()) };
                effects.push(Effect::Copy(text));
                self.tell(format!("copied {what}"));
            }
        }
    }

    /// Copies what stands in the photo.
    fn copy_text(&mut self, effects: &mut Vec<Effect>) {
        let text = self.photo().and_then(|id| self.photos.get(&id)).and_then(|photo| photo.text.clone());
        match text {
            Some(text) => {
                let lines = text.lines().count();
                self.tell(format!("copied {}", crate::terminal::text::count(lines, "line")));
                effects.push(Effect::Copy(text));
            }
            None => self.tell("no text was read in this photo: `:read-text` reads it, `index --text` that of all"),
        }
    }

    /// The photos that tags and stars are meant for: in Look the one that is seen, elsewhere those that are chosen.
    pub(in crate::tui) fn written_on(&self) -> Vec<i64> {
        if self.place == Place::Look { self.photo().into_iter().collect() } else { self.chosen() }
    }

    /// Begins a range of photos at the selected one, or marks those from its beginning up to this one.
    fn mark_range(&mut self) {
        let place = self.place;
        let Some(gallery) = self.gallery_mut(place) else { return };
        let Some(range) = gallery.range() else {
            gallery.anchor = Some(gallery.at());
            let key = self.options.keymap.keys_of("mark-range");
            return self.tell(format!("a range begins here: go to its other end, {key} marks it, esc drops it"));
        };
        let ids: Vec<i64> = gallery.shown().get(range).unwrap_or_default().iter().map(|found| found.id).collect();
        gallery.anchor = None;
        self.can_undo(Undo::Marks(self.marks.clone()));
        ids.iter().for_each(|id| self.marks.add(*id));
        self.tell(format!("{} marked", self.marks.len()));
    }

    pub(in crate::tui) fn sort_by_key(&mut self, sorting: Sorting, effects: &mut Vec<Effect>) {
        let Listing { order, reverse, .. } = self.search.listing;
        let (order, reverse) = match sorting {
            Sorting::Reversed => (order, !reverse),
            Sorting::By(order) => (order, false),
        };
        self.sort(order, reverse, effects);
    }

    /// Shows why the selected file could not be read.
    fn tell_failure(&mut self) {
        let Some((path, kind, message)) = self.index.failures.get(self.index.at) else { return };
        let keys = &self.options.keymap;
        let lines = vec![
            crate::terminal::sanitize::path(path),
            String::new(),
            crate::terminal::sanitize::text(&format!("{kind}: {message}")),
            String::new(),
            format!(
                "{} tries all such files again, {} opens the file, {} shows it in the file manager",
                keys.keys_of("retry"),
                keys.keys_of("view-failure"),
                keys.keys_of("reveal-failure")
            ),
        ];
        self.overlay = Some(Overlay::Text("Could not be read".into(), lines, 0));
    }

    fn mark(&mut self) {
        let Some(id) = self.photo() else { return };
        self.can_undo(Undo::Marks(self.marks.clone()));
        self.marks.toggle(id);
        // On to the next photo, so that pressing the key repeatedly marks one after another.
        match self.place {
            Place::Search | Place::Classify => self.with_gallery(|gallery| gallery.select(gallery.at() + 1)),
            Place::Look => self.turn_page(1),
            _ => {}
        }
    }

    /// Leaves photos out of the library; many, or all, only after a question: bringing them back takes long.
    fn forget_photos(&mut self, photos: Vec<i64>, effects: &mut Vec<Effect>) {
        const MANY: usize = 20;
        let all = self.index.standing.as_ref().is_some_and(|standing| standing.status.photos == photos.len() as u64);
        if photos.len() > MANY || photos.len() > 1 && all {
            self.prompt(Prompt::ForgetPhotos(photos), "");
        } else {
            effects.push(Effect::Forget(Forgotten::Photos(photos)));
        }
    }

    /// Starts to index these folders; if the list is empty, those of the library.
    pub(in crate::tui) fn index_folders(&mut self, folders: Vec<PathBuf>, effects: &mut Vec<Effect>) {
        if self.index.run.is_some() {
            return self.tell("photos are being indexed already");
        }
        let has_folders = self.index.standing.as_ref().is_some_and(|standing| !standing.status.roots.is_empty());
        if folders.is_empty() && !has_folders {
            return self.prompt(Prompt::Folder, "");
        }
        self.begin_run();
        effects.push(match std::mem::take(&mut self.index.retry) {
            true => Effect::Retry,
            false => Effect::Index(folders),
        });
    }

    /// Notes that an indexing run begins.
    pub(in crate::tui) fn begin_run(&mut self) {
        self.index.run = Some(RunState { walking: true, ..RunState::default() });
        self.index.last = None;
        self.index.failures.clear();
        self.index.at = 0;
    }

    fn cancel(&mut self, effects: &mut Vec<Effect>) {
        let chats = self.place == Place::Chat && (self.chat.answering.is_some() || self.chat.opening);
        let is_idle = self.captioning.is_none() && self.work.is_none() && self.index.run.is_none();
        if let Some(job) = self.models.job.as_mut().filter(|_| self.place == Place::Models || is_idle && !chats) {
            job.is_cancelled = true;
            effects.push(Effect::Cancel(Task::Models));
        } else if chats || self.captioning.is_some() {
            effects.push(Effect::Cancel(Task::Chat));
        } else if self.work.is_some() {
            effects.push(Effect::Cancel(Task::Library));
        } else if let Some(run) = &mut self.index.run {
            run.cancelled = true;
            effects.push(Effect::Cancel(Task::Index));
        } else {
            self.tell("nothing is running");
        }
    }
}
