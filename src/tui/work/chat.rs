//! The chat: its model runs on one thread, and is opened when it is first needed.

use super::{Context, explained, guarded, spawn};
use crate::captions::open::{self, NamedChatModel};
use crate::captions::wish::CaptionWish;
use crate::chat::export;
use crate::chat::session::{ANSWER_TOKENS, ChatSession};
use crate::config::expand;
use crate::exit::{Exit, exit_of, explain};
use crate::model::chat_model::{ChatPrompt, WriteRequest};
use crate::model::generation::{Finish, GenerateOptions};
use crate::terminal::console::Console;
use crate::terminal::text::count;
use crate::tui::event::{ChatNews, ChatWork, Message, Way};
use crate::tui::overlay::Prompt;
use crossbeam_channel::{Receiver, Sender};
use snapseek_index::Library;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

struct ChatRequest {
    generation: u64,
    work: ChatWork,
    cancel: Arc<AtomicBool>,
}

/// Passes work to the chat's thread.
pub(super) struct ChatWorker {
    requests: Sender<ChatRequest>,
    /// The cancel flag of the last request.
    cancel: Mutex<Arc<AtomicBool>>,
}

impl ChatWorker {
    pub(super) fn start(context: Arc<Context>) -> std::io::Result<Self> {
        let (requests, work) = crossbeam_channel::unbounded();
        spawn("chat", move || talk(&context, &work))?;
        Ok(Self { requests, cancel: Mutex::default() })
    }

    pub(super) fn put(&self, generation: u64, work: ChatWork) {
        let cancel = Arc::<AtomicBool>::default();
        let mut last = self.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        // Another photo: the answer about the last one is not needed any more.
        if matches!(work, ChatWork::Open(_)) {
            last.store(true, Ordering::Relaxed);
        }
        if !matches!(work, ChatWork::Clear | ChatWork::Restore(_) | ChatWork::Save(_)) {
            *last = cancel.clone();
        }
        let _ = self.requests.send(ChatRequest { generation, work, cancel });
    }

    pub(super) fn cancel(&self) {
        self.cancel.lock().unwrap_or_else(PoisonError::into_inner).store(true, Ordering::Relaxed);
    }
}

fn talk(context: &Arc<Context>, requests: &Receiver<ChatRequest>) {
    let mut chat_model: Option<NamedChatModel> = None;
    let mut next: Option<ChatRequest> = None;
    while let Some(request) = next.take().or_else(|| requests.recv().ok()) {
        let ChatRequest { generation, work, cancel } = request;
        let console = context.quiet_console();
        let (path, photos) = match work {
            ChatWork::Open(path) => (path, None),
            ChatWork::Caption(photos) => (PathBuf::new(), Some(photos)),
            _ => {
                let why = "there is no chat: `c` on the photo starts one".to_owned();
                context.send(Message::Chat(generation, ChatNews::Ended(why)));
                continue;
            }
        };
        // Another one may have been chosen, or a smaller form of it made.
        if chat_model.as_ref().is_some_and(|opened| !is_wanted(context, opened, &console)) {
            chat_model = None;
        }
        if chat_model.is_none() {
            match guarded(|| {
                let library = open::library(&context.settings, &console);
                open::open(&context.captioner_settings(), library.as_ref(), &console)
            }) {
                Ok(opened) => {
                    if !opened.others.is_empty() {
                        let says = format!(
                            "{} writes captions and answers; {} installed too: Models (8) chooses",
                            crate::terminal::sanitize::text(&opened.name),
                            opened.others_are()
                        );
                        context.send(Message::Note(false, says));
                    }
                    chat_model = Some(opened);
                }
                Err(error) if photos.is_some() => {
                    context.send(Message::Captioning(None));
                    let none = exit_of(&error) == Exit::Missing && is_none_installed(context, &console);
                    let why = if none { NONE.to_owned() } else { explained(&error) };
                    context.send(Message::Note(true, why));
                    continue;
                }
                Err(error) => {
                    let news = match exit_of(&error) {
                        Exit::Missing => ChatNews::Missing(explain(&error)),
                        _ => ChatNews::Ended(explained(&error)),
                    };
                    context.send(Message::Chat(generation, news));
                    continue;
                }
            }
        }
        let Some(chat_model) = &chat_model else { continue };
        if let Some(photos) = photos {
            caption(context, chat_model, &console, &photos, &cancel);
            continue;
        }
        let about = OpenChat { context, chat_model, console: &console, generation };
        match guarded(|| about.run(&path, &cancel, requests)) {
            Ok(other) => next = other,
            Err(error) => context.send(Message::Chat(generation, ChatNews::Ended(explained(&error)))),
        }
    }
}

/// What is said where no model that writes is installed.
const NONE: &str =
    "no model that writes captions is installed: Models (8) downloads one, and E writes a caption by hand";

fn is_none_installed(context: &Context, console: &Console) -> bool {
    let settings = context.captioner_settings();
    matches!(open::which(&settings, open::library(&settings, console).as_ref()), Ok(None))
}

/// Whether this model is the one that writes. If that cannot be known now, it goes on.
fn is_wanted(context: &Context, opened: &NamedChatModel, console: &Console) -> bool {
    let settings = context.captioner_settings();
    let library = open::library(&settings, console);
    match open::which(&settings, library.as_ref()) {
        Ok(Some(choice)) => !open::located(&choice.name, &settings).is_ok_and(|(_, folder)| folder != opened.folder),
        _ => true,
    }
}

/// Writes captions of these photos, one after the other, until cancelled.
fn caption(
    context: &Arc<Context>,
    chat_model: &NamedChatModel,
    console: &Console,
    photos: &[(i64, PathBuf)],
    cancel: &AtomicBool,
) {
    let mut done = 0;
    for (id, path) in photos {
        context.send(Message::Captioning(Some((done, photos.len()))));
        match guarded(|| caption_one(context, chat_model, console, *id, path, cancel)) {
            Ok(true) => done += 1,
            Ok(false) => break,
            Err(error) => context.send(Message::Note(true, explained(&error))),
        }
    }
    context.send(Message::Captioning(None));
}

/// Writes the caption of a photo; `false` if cancelled.
fn caption_one(
    context: &Context,
    chat_model: &NamedChatModel,
    console: &Console,
    photo: i64,
    path: &Path,
    cancel: &AtomicBool,
) -> anyhow::Result<bool> {
    let library = Library::open(&context.settings.library)?;
    let Some(picture) = chat_model.picture(path, Some(&library), cancel, console)? else { return Ok(false) };
    let wish = CaptionWish::default();
    let options = GenerateOptions::greedy(wish.tokens(chat_model));
    let prompt = ChatPrompt::Caption { style: wish.style(), prompt: None, facts: "" };
    let request = WriteRequest { encoding: &picture.encoding, prompt };
    let written = chat_model.model.write(&[request], &options, cancel, &mut |_, _| {})?.pop();
    let Some(written) = written.filter(|written| written.finish != Finish::Cancelled) else { return Ok(false) };
    let before = library.caption(photo)?.map(|caption| (caption.text, caption.captioner));
    anyhow::ensure!(
        library.save_caption(photo, &written.text, chat_model.model.fingerprint())?,
        "{} keeps its caption written by hand",
        crate::terminal::text::display_path(path)
    );
    context.send(Message::Captioned { photo, before, now: true, way: Way::Do });
    Ok(true)
}

/// An open chat about one photo.
struct OpenChat<'a> {
    context: &'a Arc<Context>,
    chat_model: &'a NamedChatModel,
    console: &'a Console,
    generation: u64,
}

impl OpenChat<'_> {
    fn tell(&self, news: ChatNews) {
        self.context.send(Message::Chat(self.generation, news));
    }

    /// Answers until the chat about another photo is requested; returns that request.
    fn run(
        &self,
        path: &Path,
        cancel: &AtomicBool,
        requests: &Receiver<ChatRequest>,
    ) -> anyhow::Result<Option<ChatRequest>> {
        let library = open::library(&self.context.settings, self.console);
        let picture = self.chat_model.picture(path, library.as_ref(), cancel, self.console)?;
        let Some(picture) = picture else {
            self.tell(ChatNews::Stopped);
            return Ok(None);
        };
        let earlier = match &library {
            Some(library) => library.chats_about(&picture.identity)?.into_iter().next(),
            None => None,
        };
        let mut talk = ChatSession::new(self.chat_model, &picture, earlier)?;
        let model = self.chat_model.name.clone();
        self.tell(ChatNews::Opened { turns: talk.chat.turns.clone(), model });
        for request in requests {
            if matches!(request.work, ChatWork::Open(_)) {
                return Ok(Some(request));
            }
            if let ChatWork::Caption(photos) = &request.work {
                caption(self.context, self.chat_model, self.console, photos, &request.cancel);
                continue;
            }
            if request.generation != self.generation {
                continue;
            }
            if let Err(error) = self.answer(&mut talk, request, library.as_ref()) {
                self.tell(ChatNews::Failed(explained(&error)));
            }
        }
        Ok(None)
    }

    fn answer(
        &self,
        talk: &mut ChatSession<'_>,
        request: ChatRequest,
        library: Option<&Library>,
    ) -> anyhow::Result<()> {
        match request.work {
            ChatWork::Open(_) | ChatWork::Caption(_) => {}
            ChatWork::Ask(question) => self.ask(talk, &question, false, &request.cancel, library)?,
            ChatWork::AskAgain(question) => self.ask(talk, &question, true, &request.cancel, library)?,
            ChatWork::Clear => {
                talk.clear(library)?;
                self.tell(ChatNews::Answered(Vec::new()));
            }
            ChatWork::Restore(turns) => {
                talk.restore(turns, library, self.console);
                self.tell(ChatNews::Answered(talk.chat.turns.clone()));
            }
            ChatWork::Save(named) => {
                let saved = expand(&named).and_then(|file| export::save(&talk.chat, &file).map(|()| file));
                self.context.send(match saved {
                    Ok(file) => Message::Note(false, format!("saved to {}", crate::terminal::sanitize::path(&file))),
                    Err(error) => {
                        let text = named.to_string_lossy().into_owned();
                        Message::Refused(Prompt::ChatFile, text, explained(&error))
                    }
                });
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        talk: &mut ChatSession<'_>,
        question: &str,
        again: bool,
        cancel: &AtomicBool,
        library: Option<&Library>,
    ) -> anyhow::Result<()> {
        let options = GenerateOptions::greedy(ANSWER_TOKENS);
        let before = talk.unread();
        let mut piece = |text: &str| self.tell(ChatNews::Piece(text.to_owned()));
        let answer = if again {
            talk.ask_again(question, &options, cancel, library, self.console, &mut piece)?
        } else {
            talk.ask(question, &options, cancel, self.console, &mut piece)?
        };
        if answer.finish == Finish::Cancelled {
            self.tell(ChatNews::Stopped);
            return Ok(());
        }
        talk.keep(library, self.console);
        self.tell(ChatNews::Answered(talk.chat.turns.clone()));
        if talk.unread() > before {
            let gone = count(talk.unread(), "question");
            let says = format!("the chat is longer than the model can read: it no longer sees the first {gone}");
            self.context.send(Message::Note(false, says));
        }
        Ok(())
    }
}
