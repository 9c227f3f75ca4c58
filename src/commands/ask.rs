//! `ask`: one question about a photo.

use crate::captions::open;
use crate::chat::session::ANSWER_TOKENS;
use crate::cli::AskArgs;
use crate::config::Settings;
use crate::exit::Exit;
use crate::model::chat_model::{ChatPrompt, WriteRequest};
use crate::model::generation::Finish;
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals};
use serde_json::json;

pub(super) fn ask(args: &AskArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let options = args.generate.options(ANSWER_TOKENS)?;
    let library = open::library(settings, console);
    let chat_model = open::open(settings, library.as_ref(), console)?;
    let cancel = signals::cancel()?;
    let Some(picture) = chat_model.picture(&args.photo, library.as_ref(), cancel, console)? else {
        return Ok(Exit::Interrupted);
    };
    let prompt = ChatPrompt::Question { turns: &[], question: &args.question };
    let request = WriteRequest { encoding: &picture.encoding, prompt };
    let streams = console.terminal && !settings.json;
    let mut shown = Ok(());
    let mut answers = chat_model.model.write(&[request], &options, cancel, &mut |_, text| {
        if streams && shown.is_ok() {
            shown = console.piece(&sanitize::text(text));
        }
    })?;
    shown?;
    let Some(answer) = answers.pop() else { anyhow::bail!("the model returned no answer") };
    if streams {
        console.line("")?;
    }
    if answer.finish == Finish::Cancelled {
        return Ok(Exit::Interrupted);
    }
    if settings.json {
        let mut record =
            json!({"schema": 1, "question": args.question, "answer": answer.text, "tokens": answer.tokens});
        output::put_path(&mut record, &args.photo);
        console.json(&record)?;
    } else if !streams {
        console.line(&sanitize::text(&answer.text))?;
    }
    Ok(Exit::Success)
}
