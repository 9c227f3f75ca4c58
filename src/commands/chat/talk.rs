//! A conversation about a picture: what was said, what the model still reads of it, and where it is kept.

use crate::console::Console;
use crate::describe::{Describer, Picture};
use crate::model::blip2::{Finish, Generated, Options, Session, Turn, question_prompt};
use crate::sanitize;
use snapseek_index::{Conversation, Library};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

/// A conversation that is going on.
pub(super) struct Talk<'m> {
    describer: &'m Describer,
    session: Session<'m>,
    /// As the library has it, or would.
    pub(super) conversation: Conversation,
    /// The library has it.
    kept: bool,
    /// Of each turn, whether the library has it.
    kept_turns: Vec<bool>,
    /// Turns that the model does not read any more.
    unread: usize,
}

impl<'m> Talk<'m> {
    /// A conversation about a picture: `earlier`, or a new one.
    pub(super) fn new(
        describer: &'m Describer,
        picture: &Picture,
        earlier: Option<Conversation>,
    ) -> anyhow::Result<Self> {
        let session = Session::new(&describer.model, &picture.encoding)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        let path = picture.path.canonicalize().unwrap_or_else(|_| picture.path.clone());
        let kept = earlier.is_some();
        let conversation = earlier.unwrap_or_else(|| Conversation {
            id: 0,
            path,
            hash: picture.hash,
            model: describer.name.clone(),
            started: now,
            updated: now,
            turns: Vec::new(),
        });
        let kept_turns = vec![true; conversation.turns.len()];
        Ok(Self { describer, session, conversation, kept, kept_turns, unread: 0 })
    }

    /// The file that the conversation is about.
    pub(super) fn path(&self) -> &PathBuf {
        &self.conversation.path
    }

    /// Answers a question. An answer that was not cancelled is added to the conversation.
    pub(super) fn ask(
        &mut self,
        question: &str,
        options: &Options,
        cancel: &AtomicBool,
        console: &Console,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated> {
        let (prompt, unread) = self.prompt(question, options)?;
        if unread > self.unread {
            let gone = crate::output::count(unread, "question");
            console.note(format_args!(
                "(the conversation is longer than the model can read: it no longer sees the first {gone})"
            ));
        }
        let answer = self.session.answer(&prompt, options, cancel, on_text)?;
        self.unread = unread;
        if answer.finish != Finish::Cancelled {
            self.conversation
                .turns
                .push(snapseek_index::Turn { question: question.to_owned(), answer: answer.text.clone() });
            self.kept_turns.push(false);
        }
        Ok(answer)
    }

    /// The prompt of a question with as many of the last turns as the model can read, and how many it cannot.
    ///
    /// # Errors
    /// The question alone is more than it can read.
    fn prompt(&self, question: &str, options: &Options) -> anyhow::Result<(String, usize)> {
        let model = &self.describer.model;
        let turns: Vec<Turn> = self.conversation.turns.iter().map(turn).collect();
        let room = model.context().saturating_sub(options.max_new_tokens.min(model.context() / 2));
        let mut unread = self.unread;
        loop {
            let prompt = question_prompt(turns.get(unread..).unwrap_or_default(), question);
            let length = model.tokens(&prompt)?.len();
            if length <= room {
                return Ok((prompt, unread));
            }
            anyhow::ensure!(
                unread < turns.len(),
                "the question has {length} tokens, and the model can read {room} beside the picture and its answer: \
                 shorten it"
            );
            unread += 1;
        }
    }

    /// Keeps the last turn in the library, with the conversation if it is its first.
    pub(super) fn keep(&mut self, library: Option<&Library>, console: &Console) {
        let (Some(library), Some(last)) = (library, self.conversation.turns.last()) else { return };
        let Conversation { id, hash, path, model, .. } = &self.conversation;
        let begun = if self.kept { Ok(*id) } else { library.begin_conversation(hash, path, model) };
        let kept = begun.and_then(|id| {
            (self.conversation.id, self.kept) = (id, true);
            library.add_turn(id, &last.question, &last.answer)
        });
        match (kept, self.kept_turns.last_mut()) {
            (Ok(()), Some(last)) => *last = true,
            (Ok(()), None) => {}
            (Err(error), _) => console.warn(format_args!("this is not kept: {error}")),
        }
    }

    /// Takes the last question and its answer back; `false` if there is none.
    pub(super) fn undo(&mut self, library: Option<&Library>) -> anyhow::Result<bool> {
        if self.conversation.turns.pop().is_none() {
            return Ok(false);
        }
        self.unread = self.unread.min(self.conversation.turns.len());
        if let (Some(library), Some(true)) = (library, self.kept_turns.pop()) {
            library.drop_last_turn(self.conversation.id)?;
        }
        Ok(true)
    }

    /// Takes back all that was said.
    pub(super) fn clear(&mut self, library: Option<&Library>) -> anyhow::Result<()> {
        self.conversation.turns.clear();
        self.kept_turns.clear();
        self.unread = 0;
        if let (Some(library), true) = (library, self.kept) {
            library.clear_conversation(self.conversation.id)?;
        }
        Ok(())
    }

    /// Its name for the user: where it is kept, or that it is not.
    pub(super) fn title(&self) -> String {
        let number = if self.kept { format!(", conversation {}", self.conversation.id) } else { String::new() };
        format!("{}{number}", sanitize::path(self.path()))
    }
}

fn turn(turn: &snapseek_index::Turn) -> Turn {
    Turn { question: turn.question.clone(), answer: turn.answer.clone() }
}
