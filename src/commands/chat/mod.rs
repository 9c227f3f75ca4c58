//! `chat`: a chat about a photo.

mod input;

use super::chats;
use crate::captions::open::{self, NamedChatModel};
use crate::chat::export;
use crate::chat::session::{ANSWER_TOKENS, ChatSession};
use crate::cli::ChatArgs;
use crate::config::{Settings, expand};
use crate::exit::{Exit, Failure, explain};
use crate::model::generation::{Finish, GenerateOptions, Generated};
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals};
use anyhow::Context;
use input::{InputLine, LineInput};
use serde_json::json;
use snapseek_index::{Chat, Error, Library};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const HELP: &str = "  /undo          take back the last question and its answer
  /clear         forget everything said in this chat
  /save FILE     write the chat to a new file (Markdown, or JSON if its name ends in .json)
  /image NEXT    begin a chat about another picture
  /help /quit    Ctrl-C stops an answer, Ctrl-D ends the chat";

pub(super) fn chat(args: &ChatArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let options = args.generate.options(ANSWER_TOKENS)?;
    let library = open::library(settings, console);
    let named = args.conversation.map(|id| kept_chat(id, library.as_ref(), settings)).transpose()?;
    let photo = args.photo.clone().or_else(|| named.as_ref().map(|c| c.path.clone())).context("no photo")?;
    let chat_model = open::open(settings, library.as_ref(), console)?;
    let cancel = signals::cancel()?;
    let Some(picture) = chat_model.picture(&photo, library.as_ref(), cancel, console)? else {
        return Ok(Exit::Interrupted);
    };
    if let Some(named) = named.as_ref().filter(|named| !named.is_about(&picture.identity)) {
        let photo = sanitize::path(&photo);
        return Err(Failure::usage(format!("chat {} is about another picture than {photo}", named.id)));
    }
    let earlier = match (named, &library) {
        (None, Some(library)) if args.go_on => library.chats_about(&picture.identity)?.into_iter().next(),
        (named, _) => named,
    };
    if args.go_on && earlier.is_none() {
        console.note("there is no chat about this photo yet: a new one begins");
    }
    let mut input = LineInput::new(console)?;
    let talk = ChatSession::new(&chat_model, &picture, earlier)?;
    if input.is_editor() {
        console.note(format_args!("{}; /help lists the commands", talk.title()));
        if !talk.chat.turns.is_empty() {
            chats::show(&talk.chat, console)?;
        }
    }
    talk.chat.turns.iter().for_each(|turn| input.remember(&turn.question));
    ChatLoop { chat_model: &chat_model, library, options, cancel, settings, console, talk }.run(&mut input)
}

/// Loads a chat from the library.
fn kept_chat(id: i64, library: Option<&Library>, settings: &Settings) -> anyhow::Result<Chat> {
    let library = library.ok_or_else(|| Error::NoLibrary { path: snapseek_index::shown(&settings.library) })?;
    Ok(library.chat(id)?.ok_or(Error::NoChat { id })?)
}

struct ChatLoop<'a> {
    chat_model: &'a NamedChatModel,
    library: Option<Library>,
    options: GenerateOptions,
    cancel: &'static AtomicBool,
    settings: &'a Settings,
    console: &'a Console,
    talk: ChatSession<'a>,
}

impl ChatLoop<'_> {
    fn run(&mut self, input: &mut LineInput) -> anyhow::Result<Exit> {
        let mut exit = Exit::Success;
        loop {
            let line = match input.next()? {
                InputLine::Text(line) => line,
                InputLine::Dropped => continue,
                InputLine::End => return Ok(exit),
            };
            if line.is_empty() {
                continue;
            }
            input.remember(&line);
            let done = match line.strip_prefix('/') {
                Some("quit" | "exit") => return Ok(exit),
                Some(command) => self.command(command),
                None => self.question(&line),
            };
            if self.cancel.swap(false, Ordering::Relaxed) && !input.is_editor() {
                return Ok(Exit::Interrupted);
            }
            match done {
                Ok(()) => {}
                // stdout is closed: nobody reads the answers any more.
                Err(error) if crate::exit::exit_of(&error) == Exit::Success => return Err(error),
                // A mistake does not end the chat, but a script should get an exit code for it.
                Err(error) => {
                    self.console.warn(explain(&error));
                    if !input.is_editor() {
                        exit = Exit::Partial;
                    }
                }
            }
        }
    }

    fn question(&mut self, question: &str) -> anyhow::Result<()> {
        let console = self.console;
        let streams = console.terminal && !self.settings.json;
        let mut shown = Ok(());
        let cancel = self.cancel;
        let answer = self.talk.ask(question, &self.options, cancel, console, &mut |text| {
            if streams && shown.is_ok() {
                shown = console.piece(&sanitize::text(text));
            }
        })?;
        shown?;
        if streams {
            console.line("")?;
        }
        if answer.finish == Finish::Cancelled {
            console.note("(stopped; this question and its answer are not saved)");
            return Ok(());
        }
        self.talk.keep(self.library.as_ref(), console);
        if streams { Ok(()) } else { self.print(question, &answer) }
    }

    fn print(&self, question: &str, answer: &Generated) -> anyhow::Result<()> {
        if !self.settings.json {
            return Ok(self.console.line(&sanitize::text(&answer.text))?);
        }
        let id = Some(self.talk.chat.id).filter(|id| *id > 0);
        let mut record = json!({"schema": 1, "question": question, "answer": answer.text, "tokens": answer.tokens,
            "conversation": id});
        output::put_path(&mut record, self.talk.path());
        self.console.json(&record)
    }

    fn command(&mut self, command: &str) -> anyhow::Result<()> {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match (name, rest) {
            ("help", "") => self.console.note(HELP),
            ("undo", "") => {
                let done = self.talk.undo(self.library.as_ref())?;
                self.console.note(if done { "(taken back)" } else { "(there is nothing to take back)" });
            }
            ("clear", "") => {
                self.talk.clear(self.library.as_ref())?;
                self.console.note("(forgotten)");
            }
            ("save", file) if !file.is_empty() => {
                let file = expand(Path::new(file))?;
                export::save(&self.talk.chat, &file)?;
                self.console.note(format_args!("(saved to {})", sanitize::path(&file)));
            }
            ("image", file) if !file.is_empty() => self.image(&expand(Path::new(file))?)?,
            ("save" | "image", "") => return Err(Failure::usage(format!("/{name} needs a file name"))),
            _ => {
                let name = sanitize::text(name);
                return Err(Failure::usage(format!("there is no command /{name} here; /help lists them")));
            }
        }
        Ok(())
    }

    /// Begins a new chat about another picture.
    fn image(&mut self, path: &Path) -> anyhow::Result<()> {
        let picture = self.chat_model.picture(path, self.library.as_ref(), self.cancel, self.console)?;
        let Some(picture) = picture else { return Ok(()) };
        self.talk = ChatSession::new(self.chat_model, &picture, None)?;
        self.console.note(format_args!("(now about {})", self.talk.title()));
        Ok(())
    }
}
