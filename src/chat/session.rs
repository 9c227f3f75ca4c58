//! A chat about a picture: its turns, which of them the model still reads, and which the library has.

use crate::captions::look::SeenPicture;
use crate::captions::open::NamedChatModel;
use crate::exit::explain;
use crate::model::chat_model::{ChatPrompt, Conversation, Encoding, PromptTurn, WriteRequest};
use crate::model::generation::{Finish, GenerateOptions, Generated};
use crate::photo::identity;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use snapseek_index::{Chat, FileIdentity, Library};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

/// Default for the maximum number of tokens in an answer.
pub const ANSWER_TOKENS: usize = 100;

/// A chat in progress.
pub struct ChatSession<'m> {
    chat_model: &'m NamedChatModel,
    conversation: Box<dyn Conversation + 'm>,
    encoding: Encoding,
    /// The chat as the library has it, or would have it.
    pub chat: Chat,
    /// Whether the library has it.
    kept: bool,
    /// For each turn, whether the library has it.
    kept_turns: Vec<bool>,
    /// Number of turns that the model no longer reads.
    unread: usize,
}

impl<'m> ChatSession<'m> {
    /// Continues the chat `earlier` about a picture, or begins a new one.
    ///
    /// # Errors
    /// The model's files are damaged, or the picture was encoded by another model.
    pub fn new(chat_model: &'m NamedChatModel, picture: &SeenPicture, earlier: Option<Chat>) -> anyhow::Result<Self> {
        let conversation = chat_model.model.converse(&picture.encoding)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        let path = picture.path.canonicalize().unwrap_or_else(|_| picture.path.clone());
        let kept = earlier.is_some();
        let chat = earlier.unwrap_or_else(|| Chat {
            id: 0,
            path,
            picture: picture.identity.picture,
            file: picture.identity.file,
            model: chat_model.name.clone(),
            started: now,
            updated: now,
            turns: Vec::new(),
        });
        let kept_turns = vec![true; chat.turns.len()];
        let encoding = picture.encoding.clone();
        Ok(Self { chat_model, conversation, encoding, chat, kept, kept_turns, unread: 0 })
    }

    /// The file that the chat is about.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.chat.path
    }

    /// How many of the first questions the model no longer reads, because the chat is longer than its context.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// Answers a question; `on_text` receives the answer piece by piece (foreign text). An answer that was not
    /// cancelled is added to the chat, but not yet saved.
    ///
    /// # Errors
    /// The question is longer than the model can read, or the model's files are damaged.
    pub fn ask(
        &mut self,
        question: &str,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        console: &Console,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated> {
        let (turns, unread) = self.read_turns(question, options)?;
        if unread > self.unread {
            let gone = text::count(unread, "question");
            console
                .note(format_args!("(the chat is longer than the model can read: it no longer sees the first {gone})"));
        }
        let answer = self.conversation.answer(&turns, question, options, cancel, on_text)?;
        self.unread = unread;
        if answer.finish != Finish::Cancelled {
            self.chat.turns.push(snapseek_index::Turn { question: question.to_owned(), answer: answer.text.clone() });
            self.kept_turns.push(false);
        }
        Ok(answer)
    }

    /// Asks a question in place of the last one. The last turn is removed only when the new answer is complete.
    ///
    /// # Errors
    /// As [`ChatSession::ask`]; or the catalogue cannot be written.
    pub fn ask_again(
        &mut self,
        question: &str,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        library: Option<&Library>,
        console: &Console,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated> {
        let (last, was_kept) = (self.chat.turns.pop(), self.kept_turns.pop());
        self.unread = self.unread.min(self.chat.turns.len());
        let answer = self.ask(question, options, cancel, console, on_text);
        if !answer.as_ref().is_ok_and(|answer| answer.finish != Finish::Cancelled) {
            self.chat.turns.extend(last);
            self.kept_turns.extend(was_kept);
        } else if let (Some(library), Some(true)) = (library, was_kept) {
            library.drop_last_turn(self.chat.id)?;
        }
        answer
    }

    /// As many of the last turns as the model can read with a question, and how many turns are left out.
    ///
    /// # Errors
    /// The question alone is longer than the model can read.
    fn read_turns(&self, question: &str, options: &GenerateOptions) -> anyhow::Result<(Vec<PromptTurn>, usize)> {
        let model = &self.chat_model.model;
        let turns: Vec<PromptTurn> = self.chat.turns.iter().map(turn).collect();
        let room = model.context().saturating_sub(options.max_new_tokens.min(model.context() / 2));
        let mut unread = self.unread;
        loop {
            let read = turns.get(unread..).unwrap_or_default();
            let prompt = ChatPrompt::Question { turns: read, question };
            let length = model.length(&WriteRequest { encoding: &self.encoding, prompt })?;
            if length <= room {
                return Ok((read.to_vec(), unread));
            }
            anyhow::ensure!(
                unread < turns.len(),
                "the question has {length} tokens, but the model can read only {room} besides the picture and the \
                 answer: shorten it"
            );
            unread += 1;
        }
    }

    /// Saves the last turn in the library, and the chat too if it is new. If that fails, a warning says so.
    pub fn keep(&mut self, library: Option<&Library>, console: &Console) {
        let (Some(library), Some(last)) = (library, self.chat.turns.last()) else { return };
        let Chat { id, picture, file, path, model, .. } = &self.chat;
        let identity = FileIdentity { file: *file, picture: *picture, version: identity::VERSION };
        let begun = if self.kept { Ok(*id) } else { library.begin_chat(&identity, path, model) };
        let kept = begun.and_then(|id| {
            (self.chat.id, self.kept) = (id, true);
            library.add_turn(id, &last.question, &last.answer)
        });
        match (kept, self.kept_turns.last_mut()) {
            (Ok(()), Some(last)) => *last = true,
            (Ok(()), None) => {}
            (Err(error), _) => {
                console.warn(format_args!("this turn could not be saved: {}", explain(&error.into())));
            }
        }
    }

    /// Removes the last turn; `false` if there is none.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn undo(&mut self, library: Option<&Library>) -> anyhow::Result<bool> {
        if self.chat.turns.pop().is_none() {
            return Ok(false);
        }
        self.unread = self.unread.min(self.chat.turns.len());
        if let (Some(library), Some(true)) = (library, self.kept_turns.pop()) {
            library.drop_last_turn(self.chat.id)?;
        }
        Ok(true)
    }

    /// Removes all turns.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn clear(&mut self, library: Option<&Library>) -> anyhow::Result<()> {
        self.chat.turns.clear();
        self.kept_turns.clear();
        self.unread = 0;
        if let (Some(library), true) = (library, self.kept) {
            library.clear_chat(self.chat.id)?;
        }
        Ok(())
    }

    /// Adds turns that were removed, as the library's too.
    pub fn restore(&mut self, turns: Vec<snapseek_index::Turn>, library: Option<&Library>, console: &Console) {
        for turn in turns {
            self.chat.turns.push(turn);
            self.kept_turns.push(false);
            self.keep(library, console);
        }
    }

    /// Its title for the user: the picture's path and, if the library has the chat, its number.
    #[must_use]
    pub fn title(&self) -> String {
        let number = if self.kept { format!(", chat {}", self.chat.id) } else { String::new() };
        format!("{}{number}", sanitize::path(self.path()))
    }
}

fn turn(turn: &snapseek_index::Turn) -> PromptTurn {
    PromptTurn { question: turn.question.clone(), answer: turn.answer.clone() }
}
